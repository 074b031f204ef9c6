"""Arrange what an envelope tells for the templates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sentry_paste.example import labels
from sentry_paste.spool.model import Error, Frame, Span

# By the first word of a span's op; the style sheet has a colour for each.
_TONES = {
    "cache": "db",
    "db": "db",
    "function": "function",
    "http": "http",
    "template": "template",
    "view": "template",
}

# Narrower than this, in percent, a bar could not be seen.
_NARROWEST = 0.4


@dataclass(frozen=True)
class Bar:
    """A span with its place in the waterfall.

    Attributes:
        span: the span.
        left: where its bar begins, in percent of the width.
        width: how wide it is, in percent of the width.
        tone: name of its colour.
    """

    span: Span
    left: float
    width: float
    tone: str


@dataclass(frozen=True)
class FrameGroup:
    """Frames in a row that are the app's own, or in a row that are not.

    Attributes:
        in_app: which of the two.
        frames: innermost first.
    """

    in_app: bool
    frames: tuple[Frame, ...]


def frame_groups(error: Error) -> list[FrameGroup]:
    """Return the frames of an error in groups, innermost first.

    Args:
        error: whose frames.
    """
    groups = groupby(reversed(error.frames), key=lambda frame: frame.in_app)
    return [FrameGroup(in_app, tuple(frames)) for in_app, frames in groups]


def waterfall(spans: Iterable[Span]) -> list[Bar]:
    """Return a bar for each span, none of them outside of the first one's.

    Args:
        spans: the transaction, then its spans.
    """
    spans = tuple(spans)
    whole = spans[0].duration if spans else 0.0
    return [_bar(span, whole) for span in spans]


def _bar(span: Span, whole: float) -> Bar:
    tone = "root" if span.depth == 0 else _TONES.get(span.op.partition(".")[0], "other")
    if whole <= 0:
        return Bar(span, 0.0, 100.0, tone)
    # Clocks jump and files are foreign: a span may claim to begin before the transaction or to outlast it.
    left = _within(100 * span.offset / whole, 0.0, 100.0 - _NARROWEST)
    width = _within(100 * span.duration / whole, _NARROWEST, 100.0 - left)
    return Bar(span, round(left, 2), round(width, 2), tone)


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def rows(value: Any) -> list[tuple[str, str]]:
    """Return pairs of name and text for a mapping, a list of pairs or whatever else a field holds.

    Args:
        value: the field, of any type.
    """
    if isinstance(value, Mapping):
        return [(str(name), text(item)) for name, item in value.items()]
    if isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        return [(text(name), text(item)) for name, item in value]
    return [("", text(value))] if value else []


def text(value: Any) -> str:
    """Return a value as text, JSON where it is not text already.

    Args:
        value: what JSON can hold.
    """
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def pretty(payload: Any) -> str:
    """Return a payload as indented JSON.

    Args:
        payload: what JSON can hold.
    """
    return json.dumps(payload, indent=2, ensure_ascii=False, default=str)


def printable(value: Any) -> Any:
    """Return a value such that it can be encoded: JSON may hold halves of surrogate pairs, UTF-8 may not.

    Args:
        value: what a template prints; all but plain text is returned as it is.
    """
    return value.encode("utf-8", "replace").decode() if type(value) is str else value


#: What the templates call as filters.
FILTERS: dict[str, Callable[..., Any]] = {
    "ago": labels.ago,
    "clock": labels.clock,
    "duration": labels.duration,
    "frame_groups": frame_groups,
    "moment": labels.moment,
    "pretty": pretty,
    "rows": rows,
    "size": labels.size,
    "text": text,
    "waterfall": waterfall,
}
