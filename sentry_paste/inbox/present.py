"""Say and arrange for the templates what an envelope tells."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import groupby
from typing import Any

from markupsafe import Markup, escape

from sentry_paste.spool.contents import Frame


def ago(time: datetime, now: datetime | None = None) -> str:
    """Return how long ago something was, or its date where that was more than a day ago.

    Args:
        time: when it was.
        now: what counts as now, default the clock's time.
    """
    seconds = ((now or datetime.now(timezone.utc)) - time).total_seconds()
    if seconds < 2:
        return "just now"
    if seconds < 60:
        return f"{seconds // 1:.0f} s ago"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 86400:
        return f"{seconds // 3600:.0f} h ago"
    return f"{time:%Y-%m-%d}"


def clock(time: datetime) -> str:
    """Return the time of day, UTC.

    Args:
        time: when it was.
    """
    return f"{_utc(time):%H:%M:%S}"


def moment(time: datetime) -> str:
    """Return date and time to the millisecond, UTC.

    Args:
        time: when it was.
    """
    return _utc(time).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(timezone.utc)
    except OverflowError:  # a foreign file may name the first or the last hour there is
        return time


def duration(seconds: float) -> str:
    """Return a duration with the unit that suits it.

    Args:
        seconds: how long.
    """
    # Compared with what rounds to the next unit, so that nothing took "1000 ms".
    if abs(seconds) < 0.00995:
        return f"{seconds * 1000:.1f} ms"
    if abs(seconds) < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 99.995:
        return f"{seconds:.2f} s"
    return f"{seconds / 60:.1f} min"


def size(count: int) -> str:
    """Return a number of bytes with the unit that suits it.

    Args:
        count: bytes.
    """
    if count < 1000:
        return f"{count} B"
    if count < 999_950:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e6:.1f} MB"


# What a browser would drop, or take for an instruction: control characters, and those that turn the
# direction of text. Their pictures (U+2400) are shown, and for the others the sign for what cannot be.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

# A word of a dotted name or a path, with the sign behind it.
_WORDS = re.compile(r"[^._/:\\-]+[._/:\\-]*|[._/:\\-]+")

# Characters of one value, and pairs of one table, that a page shows; the whole of it is in the file.
_MOST_TEXT = 20_000
_MOST_PAIRS = 500


@dataclass(frozen=True)
class FrameGroup:
    """Frames in a row that are the app's own, or in a row that are not.

    Attributes:
        in_app: which of the two.
        frames: innermost first.
    """

    in_app: bool
    frames: tuple[Frame, ...]


def frame_groups(stack: Sequence[Frame]) -> list[FrameGroup]:
    """Return frames in groups, innermost first.

    Args:
        stack: innermost last.
    """
    groups = groupby(reversed(stack), key=lambda frame: frame.in_app)
    return [FrameGroup(in_app, tuple(frames)) for in_app, frames in groups]


def rows(value: Any) -> list[tuple[str, str]]:
    """Return pairs of name and text for a mapping, a list of pairs or whatever else a field holds.

    Args:
        value: the field, of any type.
    """
    return list(_rows(value))[:_MOST_PAIRS]


def _rows(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        yield from ((str(name), text(item)) for name, item in value.items())
    elif isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        yield from ((text(name), text(item)) for name, item in value)
    elif value:
        yield "", text(value)


def text(value: Any) -> str:
    """Return a value as text, JSON where it is not text already.

    Args:
        value: what JSON can hold.
    """
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def pretty(payload: Any) -> str:
    """Return a payload as indented JSON, the beginning of one that is very long.

    Args:
        payload: what JSON can hold.
    """
    try:
        told = json.dumps(payload, indent=2, ensure_ascii=False, default=str)
    except RecursionError:
        return "(nested too deep to be shown)"
    return told if len(told) <= 10 * _MOST_TEXT else told[: 10 * _MOST_TEXT] + "\n…"


def printable(value: Any) -> Any:
    """Return a value as a page can show it; all but plain text is returned as it is.

    JSON may hold halves of surrogate pairs, and UTF-8 may not.

    Args:
        value: what a template prints.
    """
    if type(value) is not str:
        return value
    if len(value) > 10 * _MOST_TEXT + 10:
        value = value[:_MOST_TEXT] + "…"
    return _UNSEEN.sub(_picture, value.encode("utf-8", "replace").decode())


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"


def breakable(value: str) -> Markup:
    """Return a dotted name or a path that breaks between its words, where it has to break.

    Args:
        value: the name.
    """
    return Markup("<wbr>").join(escape(part) for part in _WORDS.findall(printable(value)))


def instant(seconds: float) -> datetime:
    """Return a time, UTC; the first there is for seconds that no calendar has.

    Args:
        seconds: since 1970.
    """
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (OSError, OverflowError, ValueError):
        return datetime.fromtimestamp(0, timezone.utc)


def number(count: int) -> str:
    """Return a number with its thousands apart.

    Args:
        count: the number.
    """
    return f"{count:,}".replace(",", "\u202f")


def plural(count: int, what: str) -> str:
    """Return a number of things.

    Args:
        count: how many.
        what: one of them; its plural ends in s.
    """
    return f"{number(count)} {what}{'' if count == 1 else 's'}"


#: What the templates call as filters.
FILTERS: dict[str, Callable[..., Any]] = {
    "ago": ago,
    "breakable": breakable,
    "clock": clock,
    "duration": duration,
    "frame_groups": frame_groups,
    "instant": instant,
    "moment": moment,
    "number": number,
    "plural": plural,
    "pretty": pretty,
    "rows": rows,
    "size": size,
    "text": text,
    "zip": zip,
}
