"""What was captured during one request, as plain texts and numbers for showing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

#: How many of a kind are noted of a request; the others are counted.
MOST = 200
_LONGEST = 1000

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


@dataclass
class Captures:
    """What was captured during one request. Nothing of the request is kept alive by it.

    Attributes:
        trace_id: of the request.
        events: errors and messages.
        items: log items.
        left_out: how many there are beside those.
    """

    trace_id: str = ""
    events: list[Event] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    left_out: int = 0
    # By the id of the transaction's span, or of the segment's.
    _ended: dict[str, Trace] = field(default_factory=dict)
    _streamed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _so_far: tuple[str, Trace] | None = None

    @property
    def traces(self) -> list[Trace]:
        """Return the traces that have ended, and the request's own where it has not, as it was last seen."""
        found = dict(self._ended)
        if self._so_far is not None:
            found.setdefault(*self._so_far)
        return list(found.values())

    def note_event(self, before: Any, after: Any) -> None:
        """Note an error or a message, at its last hook.

        Args:
            before: as the hook got it.
            after: as it returned it, None where it dropped it.
        """
        event = _event(after) if after is not None else _dropped(before)
        self._add(self.events, event)

    def note_kept_back(self, identity: Any) -> None:
        """Note that an event was not sent though no hook has dropped it.

        Args:
            identity: of the event.
        """
        for index, event in enumerate(self.events):
            if event.id == identity and event.fate == SENT:
                self.events[index] = replace(event, fate=KEPT_BACK)

    def note_transaction(self, before: Any, after: Any) -> None:
        """Note a transaction, at its last hook.

        Args:
            before: as the hook got it.
            after: as it returned it, None where it dropped it.
        """
        found = after if after is not None else before
        context = _mapping(_mapping(found.get("contexts")).get("trace"))
        begun, ended = _seconds(found.get("start_timestamp")), _seconds(found.get("timestamp"))
        identity = _text(context.get("span_id"))
        spans, left_out = _spans(found.get("spans"), identity, begun)
        self._ended[identity] = Trace(
            name=_text(found.get("transaction")),
            source=_text(_mapping(found.get("transaction_info")).get("source")),
            sampled=True,
            status=_text(context.get("status")),
            duration=max(ended - begun, 0.0),
            ended=True,
            spans=spans if after is not None else (),
            left_out=left_out if after is not None else 0,
            fate=SENT if after is not None else DROPPED.format("before_send_transaction"),
        )

    def note_item(self, _before: Any, after: Any) -> None:
        """Note a log item, at its last hook.

        Args:
            _before: as the hook got it.
            after: as it returned it, None where it dropped it.
        """
        if after is not None:
            logger = _mapping(after.get("attributes")).get("logger.name")
            self._add(
                self.items, Item(_text(after.get("severity_text")), _text(after.get("body")), _text(logger))
            )

    def note_span(self, _before: Any, after: Any) -> None:
        """Note a streamed span, at its last hook; the last one of a segment is the segment itself.

        Args:
            _before: as the hook got it.
            after: as it returned it.
        """
        attributes = _mapping(after.get("attributes"))
        segment = _text(attributes.get("sentry.segment.id"))
        siblings = self._streamed.setdefault(segment, [])
        siblings.append(
            {
                "span_id": after.get("span_id"),
                "parent_span_id": after.get("parent_span_id"),
                "op": attributes.get("sentry.op"),
                "description": after.get("name"),
                "status": after.get("status"),
                "start_timestamp": after.get("start_timestamp"),
                "timestamp": after.get("end_timestamp"),
            }
        )
        if not after.get("is_segment"):
            return
        own = self._streamed.pop(segment).pop()
        begun = _seconds(own["start_timestamp"])
        spans, left_out = _spans(siblings, segment, begun)
        self._ended[segment] = Trace(
            name=_text(own["description"]),
            source=_text(attributes.get("sentry.segment.name.source")),
            sampled=True,
            status=_text(own["status"]),
            duration=max(_seconds(own["timestamp"]) - begun, 0.0),
            ended=True,
            spans=spans,
            left_out=left_out,
        )

    def note_so_far(self, found: Mapping[str, Any]) -> None:
        """Note what is known of the request's trace before its end.

        Args:
            found: as ``sdk.trace_so_far`` has it, without secrets.
        """
        begun, identity = found["start"] or time.time(), _text(found["span_id"])
        spans, left_out = _spans(self._streamed.get(identity) or found["spans"], identity, begun)
        self._so_far = (
            identity,
            Trace(
                name=_text(found["name"]),
                source=_text(found["source"]),
                sampled=bool(found["sampled"]),
                status="",
                duration=max(time.time() - begun, 0.0),
                ended=False,
                spans=spans,
                left_out=left_out,
            ),
        )

    def _add(self, kind: list[Any], found: Any) -> None:
        if len(kind) < MOST:
            kind.append(found)
        else:
            self.left_out += 1


def _event(found: Mapping[str, Any]) -> Event:
    text = _text(_logged(_mapping(found.get("logentry"))) or found.get("message"))
    values = _list(_mapping(found.get("exception")).get("values"))
    raised = _mapping(values[-1]) if values else {}
    mechanism = _mapping(raised.get("mechanism"))
    handled = mechanism.get("handled")
    return Event(
        id=_text(found.get("event_id")),
        level=_text(found.get("level")) or "error",
        type=_text(raised.get("type")),
        message=_text(raised.get("value")) if values else text,
        logged=text if values else "",
        logger=_text(found.get("logger")),
        where=_where(raised),
        mechanism=_text(mechanism.get("type")),
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


def _dropped(found: Mapping[str, Any]) -> Event:
    # What a hook has dropped it may have dropped for what is in it.
    event = _event(found)
    return Event(event.id, event.level, event.type, fate=DROPPED.format("before_send"))


def _where(raised: Mapping[str, Any]) -> str:
    frames = [_mapping(frame) for frame in _list(_mapping(raised.get("stacktrace")).get("frames"))]
    if not frames:
        return ""
    frame = next((frame for frame in reversed(frames) if frame.get("in_app")), frames[-1])
    place = _text(frame.get("filename") or frame.get("module"))
    return f"{place}, line {_text(frame.get('lineno'))}, in {_text(frame.get('function'))}"


def _spans(found: Any, root: str, begun: float) -> tuple[tuple[Span, ...], int]:
    """Return spans in the order of time, with their depths, and how many more there are."""
    spans = sorted(map(_mapping, _list(found)), key=lambda span: _seconds(span.get("start_timestamp")))
    depths = {root: 0}
    return tuple(_placed(spans[:MOST], depths, begun)), max(len(spans) - MOST, 0)


def _placed(spans: list[Mapping[str, Any]], depths: dict[str, int], begun: float) -> Iterator[Span]:
    for span in spans:
        depth = depths.get(_text(span.get("parent_span_id")), 0) + 1
        depths[_text(span.get("span_id"))] = depth
        start, end = _seconds(span.get("start_timestamp")), span.get("timestamp")
        yield Span(
            op=_text(span.get("op")),
            description=_text(span.get("description") or span.get("name")),
            status=_text(span.get("status")),
            depth=depth,
            begun=max(start - begun, 0.0),
            duration=None if end is None else max(_seconds(end) - start, 0.0),
        )


def _seconds(found: Any) -> float:
    """Return a time of a payload, in seconds since 1970."""
    if isinstance(found, datetime):
        return found.timestamp()
    if isinstance(found, str):
        return datetime.fromisoformat(found.replace("Z", "+00:00")).timestamp()
    return float(found or 0)


def _text(found: Any) -> str:
    """Return text that a page can show: it can be encoded, and is not too long."""
    if found is None:
        return ""
    text = str(found).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []
