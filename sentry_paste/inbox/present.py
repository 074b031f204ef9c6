"""Filters for the templates: format times, sizes, names, stack frames and payloads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import groupby
from typing import Any

from markupsafe import Markup, escape

from sentry_paste.inbox.heads import failure
from sentry_paste.spool.contents import Error, Frame


def ago(time: datetime, now: datetime | None = None) -> str:
    """Return how long ago a time was, or its date if that was more than a day ago.

    Args:
        time: the time.
        now: the current time, default the clock's.
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
        time: the time.
    """
    return f"{_utc(time):%H:%M:%S}"


def moment(time: datetime) -> str:
    """Return date and time to the millisecond, UTC.

    Args:
        time: the time.
    """
    return _utc(time).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(timezone.utc)
    except OverflowError:  # a file from elsewhere may hold the first or the last possible time
        return time


def duration(seconds: float) -> str:
    """Format a duration with a suitable unit.

    Args:
        seconds: the duration, in seconds.
    """
    # The limits are where rounding would reach the next unit, so that nothing takes "1000 ms".
    if abs(seconds) < 0.00995:
        return f"{seconds * 1000:.1f} ms"
    if abs(seconds) < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 99.995:
        return f"{seconds:.2f} s"
    return f"{seconds / 60:.1f} min"


def size(count: int) -> str:
    """Format a size with a suitable unit.

    Args:
        count: the size, in bytes.
    """
    if count < 1000:
        return f"{count} B"
    if count < 999_950:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e6:.1f} MB"


# Characters that a browser would drop or obey: control characters, and those that change the direction of
# text. Control characters are shown as their symbols (U+2400), the others as the replacement character
# (U+FFFD).
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

# A word of a dotted name or a path, with the separator after it.
_WORDS = re.compile(r"[^._/:\\-]+[._/:\\-]*|[._/:\\-]+")

# Limits of what a page shows: characters of a value, and pairs of a table. The file has all of it.
_MAX_TEXT = 20_000
_MAX_PAIRS = 500


@dataclass(frozen=True)
class FrameGroup:
    """Consecutive frames that are all the app's own, or all of libraries.

    Attributes:
        in_app: whether they are the app's own.
        frames: the frames, innermost first.
    """

    in_app: bool
    frames: tuple[Frame, ...]


def frame_groups(stack: Sequence[Frame]) -> list[FrameGroup]:
    """Group consecutive frames of the app and of libraries, innermost first.

    Args:
        stack: the frames, innermost last.
    """
    groups = groupby(reversed(stack), key=_is_own)
    return [FrameGroup(in_app, tuple(frames)) for in_app, frames in groups]


def _is_own(frame: Frame) -> bool:
    """Return whether a frame is of a file of the app's, and not of generated code (``<string>``)."""
    return frame.in_app and not frame.filename.startswith("<")


def is_open(frame: Frame) -> bool:
    """Return whether a frame is worth showing at once: one of a function of the app's.

    Args:
        frame: the frame.
    """
    return _is_own(frame) and not frame.function.startswith("<")


def raising_frame(error: Error) -> Frame | None:
    """Return the frame to look at first: the innermost one of the app, if possible with its source.

    Args:
        error: the error.
    """
    innermost = error.frames[::-1]
    own = [frame for frame in innermost if _is_own(frame)]
    with_source = [frame for frame in innermost if frame.context]
    found = [frame for frame in own if frame.context] or own or with_source or innermost
    return found[0] if found else None


def rows(value: Any) -> list[tuple[str, str]]:
    """Return pairs of name and text for a mapping, a list of pairs or any other value.

    Args:
        value: value of any type.
    """
    return list(_rows(value))[:_MAX_PAIRS]


def _rows(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        yield from ((str(name), text(item)) for name, item in value.items())
    elif isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        yield from ((text(name), text(item)) for name, item in value)
    elif value:
        yield "", text(value)


def text(value: Any) -> str:
    """Return text as it is, and any other value as JSON.

    Args:
        value: a JSON value.
    """
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def pretty(payload: Any) -> str:
    """Return a payload as indented JSON, cut if it is very long.

    Args:
        payload: a JSON value.
    """
    try:
        dumped = json.dumps(payload, indent=2, ensure_ascii=False, default=str)
    except RecursionError:
        return "(nested too deeply to show)"
    return dumped if len(dumped) <= 10 * _MAX_TEXT else dumped[: 10 * _MAX_TEXT] + "\n…"


def printable(value: Any) -> Any:
    """Make text safe to encode and to read; other values are returned unchanged.

    JSON may contain lone surrogates, which UTF-8 cannot encode.

    Args:
        value: a value that a template prints.
    """
    if type(value) is not str:
        return value
    if len(value) > 10 * _MAX_TEXT + 10:
        value = value[:_MAX_TEXT] + "…"
    return _UNSEEN.sub(_picture, value.encode("utf-8", "replace").decode())


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"


def breakable(value: str) -> Markup:
    """Allow line breaks between the words of a dotted name or a path.

    Args:
        value: the name.
    """
    return Markup("<wbr>").join(escape(part) for part in _WORDS.findall(printable(value)))


def instant(seconds: float) -> datetime:
    """Return a time in UTC; 1970-01-01 if it is out of range.

    Args:
        seconds: seconds since 1970.
    """
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (OSError, OverflowError, ValueError):
        return datetime.fromtimestamp(0, timezone.utc)


def number(count: int) -> str:
    """Format a number with thousands separators.

    Args:
        count: the number.
    """
    return f"{count:,}".replace(",", "\u202f")


def plural(count: int, what: str) -> str:
    """Return a number with a noun in singular or plural.

    Args:
        count: the number.
        what: the noun in singular; its plural ends in s.
    """
    return f"{number(count)} {what}{'' if count == 1 else 's'}"


def pairs_with(names: Iterable[str], prefix: str) -> list[tuple[str, str]]:
    """Return each name with the address of that name.

    Args:
        names: last parts of addresses.
        prefix: what comes before them.
    """
    return [(name, f"{prefix}{name}") for name in names]


_SITE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^/?#]{0,500}")


def path(url: str) -> str:
    """Return the path and the query of a URL; anything else as it is.

    Args:
        url: the URL.
    """
    site = _SITE.match(url)
    return url[site.end() :] or "/" if site else url


#: The filters of the templates, by name.
FILTERS: dict[str, Callable[..., Any]] = {
    "ago": ago,
    "breakable": breakable,
    "clock": clock,
    "duration": duration,
    "failure": failure,
    "frame_groups": frame_groups,
    "instant": instant,
    "is_open": is_open,
    "moment": moment,
    "number": number,
    "path": path,
    "pairs_with": pairs_with,
    "plural": plural,
    "pretty": pretty,
    "rows": rows,
    "size": size,
    "text": text,
    "zip": zip,
}
