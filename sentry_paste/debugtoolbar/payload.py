"""Convert payloads of the SDK into plain texts and numbers to display. A payload may contain anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: How many items of a kind are recorded for a request at most; the others are only counted.
MAX_RECORDED = 200
_MAX_LENGTH = 1000

#: Whether captured data was sent.
SENT = "sent"
NOT_SENT = "not sent"
DROPPED = "dropped by {}"


@dataclass(frozen=True)
class Event:
    """An error or a message.

    Attributes:
        id: event id.
        level: ``error`` and so on.
        type: type of the exception, empty for a message.
        message: message of the exception, or the message that was logged or captured.
        logged: message that was logged with an exception.
        logger: name of the logger.
        where: innermost frame of the app.
        mechanism: what captured the exception.
        handled: whether the app handled it; None if unknown.
        outcome: ``sent``, or why it was not, or where it is now.
        is_spooled: whether the spool has it.
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
    outcome: str = SENT
    is_spooled: bool = False


@dataclass(frozen=True)
class Item:
    """A log item.

    Attributes:
        level: level as text.
        text: the formatted message.
        logger: name of the logger.
    """

    level: str
    text: str
    logger: str


@dataclass(frozen=True)
class Span:
    """A span of a trace.

    Attributes:
        op: operation.
        description: what it did.
        status: how it ended.
        depth: depth in the tree; 1 for children of the root.
        begun: seconds from the start of the trace.
        duration: seconds; None while it is running.
    """

    op: str
    description: str
    status: str
    depth: int
    begun: float
    duration: float | None

    @property
    def is_query(self) -> bool:
        """Whether it is a query of a database, with its text."""
        return bool(self.description) and (self.op == "db" or self.op.startswith("db."))


@dataclass(frozen=True)
class Repeated:
    """A query that was made more than once.

    Attributes:
        text: the query.
        count: how often it was made.
        duration: how long that took together, in seconds.
    """

    text: str
    count: int
    duration: float


@dataclass(frozen=True)
class Trace:
    """A transaction, or a segment of streamed spans.

    Attributes:
        name: name of the transaction.
        source: source of the name.
        sampled: whether it is sent.
        status: status as text.
        duration: seconds; until it was recorded, if it has not ended.
        ended: whether it has ended.
        spans: its spans, in chronological order.
        left_out: number of spans that were not recorded.
        id: event id of a transaction, empty for a segment.
        outcome: ``sent``, or why it was not, or where it is now.
        is_spooled: whether the spool has it.
    """

    name: str
    source: str
    sampled: bool
    status: str
    duration: float
    ended: bool
    spans: tuple[Span, ...]
    left_out: int
    id: str = ""
    outcome: str = SENT
    is_spooled: bool = False

    @property
    def repeated(self) -> list[Repeated]:
        """The queries that were made more than once, the most frequent first: often a loop makes them."""
        found: dict[str, list[float]] = {}
        for span in self.spans:
            if span.is_query:
                found.setdefault(span.description, []).append(span.duration or 0.0)
        repeated = [Repeated(text, len(took), sum(took)) for text, took in found.items() if len(took) > 1]
        return sorted(repeated, key=lambda query: -query.count)


def event_of(found: Mapping[str, Any]) -> Event:
    """Convert an event.

    Args:
        found: payload of the event, as it is sent.
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
    """Return the formatted message of a log entry; older SDKs leave formatting to Sentry."""
    formatted, message, params = entry.get("formatted"), entry.get("message"), entry.get("params")
    if formatted or not (isinstance(message, str) and params):
        return formatted or message
    try:
        return message % (tuple(params) if isinstance(params, list) else params)
    except (TypeError, ValueError, KeyError):
        return message


def dropped_event(found: Mapping[str, Any]) -> Event:
    """Convert an event that a hook dropped, without its text: that may be why it was dropped.

    Args:
        found: payload of the event, as the hook received it.
    """
    event = event_of(found)
    return Event(event.id, event.level, event.type, outcome=DROPPED.format("before_send"))


def _where(raised: Mapping[str, Any]) -> str:
    frames = [mapping(frame) for frame in _list(mapping(raised.get("stacktrace")).get("frames"))]
    if not frames:
        return ""
    frame = next((frame for frame in reversed(frames) if frame.get("in_app")), frames[-1])
    place = text(frame.get("filename") or frame.get("module"))
    return f"{place}, line {text(frame.get('lineno'))}, in {text(frame.get('function'))}"


def spans_of(found: Any, root: str, begun: float) -> tuple[tuple[Span, ...], int]:
    """Convert spans, in chronological order and with their depths; return them and the number left out.

    Args:
        found: list of spans, as in the payload of a transaction.
        root: id of the root span.
        begun: start of the root span, in seconds since 1970.
    """
    spans = sorted(map(mapping, _list(found)), key=lambda span: seconds(span.get("start_timestamp")))
    depths = {root: 0}
    return tuple(_with_depths(spans[:MAX_RECORDED], depths, begun)), max(len(spans) - MAX_RECORDED, 0)


def _with_depths(spans: list[Mapping[str, Any]], depths: dict[str, int], begun: float) -> Iterator[Span]:
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
    """Return a timestamp of a payload in seconds since 1970.

    Args:
        found: a datetime, an ISO 8601 string or a number.
    """
    if isinstance(found, datetime):
        return found.timestamp()
    if isinstance(found, str):
        return datetime.fromisoformat(found.replace("Z", "+00:00")).timestamp()
    return float(found or 0)


def text(found: Any) -> str:
    """Convert a value to text that can be encoded and is not too long.

    Args:
        found: any value of a payload.
    """
    if found is None:
        return ""
    shown = str(found).encode("utf-8", "backslashreplace").decode()
    return shown if len(shown) <= _MAX_LENGTH else shown[: _MAX_LENGTH - 1] + "…"


def mapping(found: Any) -> Mapping[str, Any]:
    """Return a value if it is a mapping, else an empty mapping.

    Args:
        found: any value of a payload.
    """
    return found if isinstance(found, Mapping) else {}


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []
