"""What a payload tells, as plain texts and numbers for showing. A payload may hold anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: How many of a kind are noted of a request; the others are counted.
MOST = 200
_LONGEST = 1000

#: What becomes of what was captured.
SENT = "sent"
KEPT_BACK = "not sent"
DROPPED = "dropped by {}"


@dataclass(frozen=True)
class Event:
    """An error or a message.

    Attributes:
        id: of the event.
        level: ``error`` and so on.
        type: of the exception, empty for a message.
        message: the exception's, or what was logged or captured.
        logged: what was logged with an exception.
        logger: that has logged it.
        where: the innermost frame of the app's.
        mechanism: what has caught the exception.
        handled: whether the app has caught it; None where that is not said.
        fate: sent, or why not.
    """

    id: str
    level: str
    type: str = ""
    message: str = ""
    logged: str = ""
    logger: str = ""
    where: str = ""
    mechanism: str = ""
    handled: bool | None = None
    fate: str = SENT


@dataclass(frozen=True)
class Item:
    """A log item.

    Attributes:
        level: in words.
        text: of the item.
        logger: that has logged it.
    """

    level: str
    text: str
    logger: str


@dataclass(frozen=True)
class Span:
    """A span of a trace.

    Attributes:
        op: kind of work.
        description: what was done.
        status: how it ended.
        depth: 1 for what stands in the trace itself.
        begun: seconds from the beginning of the trace.
        duration: seconds; None while it goes on.
    """

    op: str
    description: str
    status: str
    depth: int
    begun: float
    duration: float | None


@dataclass(frozen=True)
class Trace:
    """A transaction, or a segment of streamed spans.

    Attributes:
        name: of it.
        source: of the name.
        sampled: whether it is sent.
        status: in words.
        duration: seconds; up to the moment at which this was known where it has not ended.
        ended: whether it has.
        spans: in the order of time.
        left_out: how many there are beside those.
        fate: sent, or why not.
    """

    name: str
    source: str
    sampled: bool
    status: str
    duration: float
    ended: bool
    spans: tuple[Span, ...]
    left_out: int
    fate: str = SENT


def event_of(found: Mapping[str, Any]) -> Event:
    """Return what an event tells.

    Args:
        found: as it is sent.
    """
    message = text(_logged(mapping(found.get("logentry"))) or found.get("message"))
    values = _list(mapping(found.get("exception")).get("values"))
    raised = mapping(values[-1]) if values else {}
    mechanism = mapping(raised.get("mechanism"))
    handled = mechanism.get("handled")
    return Event(
        id=text(found.get("event_id")),
        level=text(found.get("level")) or "error",
        type=text(raised.get("type")),
        message=text(raised.get("value")) if values else message,
        logged=message if values else "",
        logger=text(found.get("logger")),
        where=_where(raised),
        mechanism=text(mechanism.get("type")),
        handled=handled if isinstance(handled, bool) else None,
    )


def _logged(entry: Mapping[str, Any]) -> Any:
    """Return the text of a log entry; older SDKs leave putting it together to Sentry."""
    formatted, message, params = entry.get("formatted"), entry.get("message"), entry.get("params")
    if formatted or not (isinstance(message, str) and params):
        return formatted or message
    try:
        return message % (tuple(params) if isinstance(params, list) else params)
    except (TypeError, ValueError, KeyError):
        return message


def dropped_event(found: Mapping[str, Any]) -> Event:
    """Return what may be told of an event that a hook has dropped, maybe for what is in it.

    Args:
        found: as the hook got it.
    """
    event = event_of(found)
    return Event(event.id, event.level, event.type, fate=DROPPED.format("before_send"))


def _where(raised: Mapping[str, Any]) -> str:
    frames = [mapping(frame) for frame in _list(mapping(raised.get("stacktrace")).get("frames"))]
    if not frames:
        return ""
    frame = next((frame for frame in reversed(frames) if frame.get("in_app")), frames[-1])
    place = text(frame.get("filename") or frame.get("module"))
    return f"{place}, line {text(frame.get('lineno'))}, in {text(frame.get('function'))}"


def spans_of(found: Any, root: str, begun: float) -> tuple[tuple[Span, ...], int]:
    """Return spans in the order of time, with their depths, and how many more there are.

    Args:
        found: a list of spans, as a transaction has it.
        root: id of the span that they are in.
        begun: when that began, in seconds since 1970.
    """
    spans = sorted(map(mapping, _list(found)), key=lambda span: seconds(span.get("start_timestamp")))
    depths = {root: 0}
    return tuple(_placed(spans[:MOST], depths, begun)), max(len(spans) - MOST, 0)


def _placed(spans: list[Mapping[str, Any]], depths: dict[str, int], begun: float) -> Iterator[Span]:
    for span in spans:
        depth = depths.get(text(span.get("parent_span_id")), 0) + 1
        depths[text(span.get("span_id"))] = depth
        start, end = seconds(span.get("start_timestamp")), span.get("timestamp")
        yield Span(
            op=text(span.get("op")),
            description=text(span.get("description") or span.get("name")),
            status=text(span.get("status")),
            depth=depth,
            begun=max(start - begun, 0.0),
            duration=None if end is None else max(seconds(end) - start, 0.0),
        )


def seconds(found: Any) -> float:
    """Return a time of a payload, in seconds since 1970.

    Args:
        found: a time, the text of one, or a number.
    """
    if isinstance(found, datetime):
        return found.timestamp()
    if isinstance(found, str):
        return datetime.fromisoformat(found.replace("Z", "+00:00")).timestamp()
    return float(found or 0)


def text(found: Any) -> str:
    """Return text that a page can show: it can be encoded, and is not too long.

    Args:
        found: any member of a payload.
    """
    if found is None:
        return ""
    shown = str(found).encode("utf-8", "backslashreplace").decode()
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def mapping(found: Any) -> Mapping[str, Any]:
    """Return a member of a payload that is to be a mapping, an empty one where it is none.

    Args:
        found: the member.
    """
    return found if isinstance(found, Mapping) else {}


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []
