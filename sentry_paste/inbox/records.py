"""Payloads that hold records: log lines, spans, metrics, client reports, users' feedback."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sentry_paste.spool import fields, segments
from sentry_paste.spool.segments import attribute

Payloads = tuple[tuple[str, Any], ...]

#: How many records of a payload are read at most.
MAX_RECORDS = 5000


@dataclass(frozen=True)
class LogLine:
    """A line of a log.

    Attributes:
        time: when it was logged, None if unknown.
        level: ``info``, ``error`` and so on.
        logger: name of the logger.
        message: the formatted message.
        trace_id: id of its trace, or empty.
    """

    time: datetime | None
    level: str
    logger: str
    message: str
    trace_id: str = ""


@dataclass(frozen=True)
class SpanRecord:
    """A span in a payload; times are in seconds since 1970.

    Attributes:
        id: span id, or empty.
        parent: id of its parent span, or empty.
        trace_id: id of its trace, or empty.
        op: operation, such as ``db``.
        name: what it did.
        status: ``ok`` and so on, or empty.
        start: when it began.
        end: when it ended.
        data: its attributes, as pairs of name and value.
        is_segment: whether it is the root span of one service: a transaction.
        segment: id of the segment that a streamed span belongs to, or empty.
        segment_name: name of that segment, or empty.
        is_missing: whether it stands for a segment that is not in the spool.
    """

    id: str
    parent: str
    trace_id: str
    op: str
    name: str
    status: str
    start: float
    end: float
    data: tuple[tuple[str, str], ...]
    is_segment: bool
    segment: str = ""
    segment_name: str = ""
    is_missing: bool = False

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.end - self.start


def log_lines(payloads: Payloads) -> list[LogLine]:
    """Return the last log items (https://develop.sentry.dev/sdk/telemetry/logs/), oldest first.

    Args:
        payloads: payloads of the envelope.
    """
    found = [
        LogLine(
            time=fields.time(item.get("timestamp")),
            level=fields.text(item.get("level")),
            logger=attribute(item, "logger.name"),
            message=fields.text(item.get("body")),
            trace_id=fields.text(item.get("trace_id")),
        )
        for item in _all_items(payloads, "log")[-MAX_RECORDS:]
    ]
    return sorted(found, key=lambda line: seconds(line.time))


def count_of_lines(payloads: Payloads) -> int:
    """Return how many log items an envelope has.

    Args:
        payloads: payloads of the envelope.
    """
    return len(_all_items(payloads, "log"))


def count(payloads: Payloads, type_: str) -> int:
    """Return how many records of a type an envelope has.

    Args:
        payloads: payloads of the envelope.
        type_: type of the items, such as ``span``.
    """
    return len(_all_items(payloads, type_))


def spans(payloads: Payloads) -> list[SpanRecord]:
    """Return the spans of an envelope: those of its transactions, and streamed spans.

    Args:
        payloads: payloads of the envelope.
    """
    found = []
    for type_, payload in payloads:
        if type_ == "transaction" and isinstance(payload, dict):
            found += [span for span in _spans_of(payload) if span is not None]
    found += [span for item in _items(payloads, "span") if (span := _streamed(item)) is not None]
    return found[:MAX_RECORDS]


def _spans_of(event: Mapping[str, Any]) -> Iterator[SpanRecord | None]:
    trace = fields.mapping(fields.mapping(event.get("contexts")).get("trace"))
    trace_id = fields.text(trace.get("trace_id"))
    whole = {**trace, "start_timestamp": event.get("start_timestamp"), "timestamp": event.get("timestamp")}
    yield _span(whole, trace_id, fields.text(event.get("transaction")), is_segment=True)
    root = fields.text(trace.get("span_id"))
    for span in fields.items(event.get("spans")):
        name = fields.text(span.get("description"))
        yield _span({"parent_span_id": root, **span}, trace_id, name, is_segment=False)


def _span(span: Mapping[str, Any], trace_id: str, name: str, is_segment: bool) -> SpanRecord | None:
    start, end = fields.time(span.get("start_timestamp")), fields.time(span.get("timestamp"))
    if start is None or end is None:
        return None
    return SpanRecord(
        id=fields.text(span.get("span_id")),
        parent=fields.text(span.get("parent_span_id")),
        trace_id=trace_id,
        op=fields.text(span.get("op")),
        name=name,
        status=fields.text(span.get("status")),
        start=start.timestamp(),
        end=end.timestamp(),
        data=(*fields.pairs(span.get("data")), *fields.pairs(span.get("tags"))),
        is_segment=is_segment,
    )


def _streamed(item: Mapping[str, Any]) -> SpanRecord | None:
    """Return a streamed span (https://develop.sentry.dev/sdk/telemetry/spans/span-protocol/)."""
    data, is_segment = segments.attributes(item), item.get("is_segment") is True
    start, end = fields.time(item.get("start_timestamp")), fields.time(item.get("end_timestamp"))
    if start is None or end is None:
        return None
    status = fields.text(item.get("status"))
    return SpanRecord(
        id=fields.text(item.get("span_id")),
        parent=fields.text(item.get("parent_span_id")),
        trace_id=fields.text(item.get("trace_id")),
        op=fields.text(data.get("sentry.op")),
        name=fields.text(item.get("name")),
        status=segments.status(status, data) if is_segment else status,
        start=start.timestamp(),
        end=end.timestamp(),
        data=tuple(fields.pairs(data)),
        is_segment=is_segment,
        segment=segments.segment_of(item),
        segment_name=fields.text(data.get("sentry.segment.name")),
    )


def title(kind: str, payloads: Payloads) -> str:
    """Return a title for an envelope of records, or an empty string if it has none.

    Args:
        kind: kind of the file.
        payloads: payloads of the envelope.
    """
    if kind == "log":
        lines = log_lines(payloads)
        return f"{_count(count_of_lines(payloads), 'log line')}: {lines[-1].message}" if lines else ""
    if kind == "span":
        found = spans(payloads)
        first = (found[0].segment_name or found[0].name) if found else ""
        named = next((span.name for span in found if span.is_segment), first)
        return f"{named or '(no name)'}, {_count(len(found), 'span')}" if found else ""
    if kind == "metric":
        names = dict.fromkeys(fields.text(item.get("name")) for item in _items(payloads, "trace_metric"))
        return ", ".join(list(names)[:10])
    if kind == "report":
        lost = [item for type_, payload in payloads if type_ == "client_report" for item in _lost(payload)]
        return "Not sent: " + ", ".join(lost[:10]) if lost else ""
    for type_, payload in payloads:
        if type_ == "check_in":
            check_in = fields.mapping(payload)
            return (
                f"{fields.text(check_in.get('monitor_slug'))} {fields.text(check_in.get('status'))}".strip()
            )
        if type_ == "feedback":
            contexts = fields.mapping(fields.mapping(payload).get("contexts"))
            return fields.text(fields.mapping(contexts.get("feedback")).get("message"))
        if type_ == "user_report":
            return fields.text(fields.mapping(payload).get("comments"))
    return ""


def seconds(time: datetime | None) -> float:
    """Return a time as seconds since 1970, 0 if it is unknown.

    Args:
        time: in UTC.
    """
    return time.replace(tzinfo=timezone.utc).timestamp() if time else 0.0


def _lost(payload: Any) -> Iterator[str]:
    for item in fields.items(fields.mapping(payload).get("discarded_events")):
        quantity, category, reason = (
            fields.text(item.get(key)) for key in ("quantity", "category", "reason")
        )
        yield f"{quantity} {category} ({reason})"


def _items(payloads: Payloads, wanted: str) -> list[dict[str, Any]]:
    return _all_items(payloads, wanted)[:MAX_RECORDS]


def _all_items(payloads: Payloads, wanted: str) -> list[dict[str, Any]]:
    found = []
    for type_, payload in payloads:
        if type_ == wanted:
            found += list(fields.items(fields.mapping(payload).get("items")))
    return found


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


# Feedback of users.


@dataclass(frozen=True)
class Feedback:
    """Feedback of a user. Missing texts are empty.

    Attributes:
        name: name of the user.
        email: e-mail address of the user.
        source: how it was sent, such as ``widget``.
        message: what the user wrote.
        url: the page that the user was on.
        error_id: id of the error that it is about, 32 hexadecimal digits.
        time: when it was sent, None if unknown.
    """

    name: str
    email: str
    source: str
    message: str
    url: str
    error_id: str
    time: datetime | None

    @property
    def who(self) -> str:
        """Name and e-mail address of the user."""
        return ", ".join(dict.fromkeys(filter(None, (self.name, self.email))))


def feedback(payloads: Payloads) -> list[Feedback]:
    """Return the feedback of users in an envelope.

    Args:
        payloads: payloads of the envelope.
    """
    return list(_feedback(payloads))


def _feedback(payloads: Payloads) -> Iterator[Feedback]:
    for type_, payload in payloads:
        if type_ == "feedback":
            found = fields.mapping(fields.mapping(fields.mapping(payload).get("contexts")).get("feedback"))
            if found:
                yield _feedback_of_event(found, payload)
        elif type_ == "user_report" and isinstance(payload, dict):
            yield _feedback_of_report(payload)


def _feedback_of_event(feedback: Mapping[str, Any], event: Mapping[str, Any]) -> Feedback:
    """Return the feedback of an event (https://develop.sentry.dev/sdk/telemetry/feedbacks/).

    As in Sentry, the event's user stands in for a name or an address that the feedback lacks.
    """
    user = fields.mapping(event.get("user"))
    return Feedback(
        name=_first(feedback.get("name"), user.get("name"), user.get("username")),
        email=_first(feedback.get("contact_email"), user.get("email")),
        source=fields.text(feedback.get("source")),
        message=fields.text(feedback.get("message")),
        url=fields.text(feedback.get("url")),
        error_id=_event_id(feedback.get("associated_event_id")),
        time=fields.time(event.get("timestamp")),
    )


def _feedback_of_report(report: Mapping[str, Any]) -> Feedback:
    """Return the feedback of https://develop.sentry.dev/sdk/data-model/envelope-items/#user-report."""
    return Feedback(
        name=fields.text(report.get("name")),
        email=fields.text(report.get("email")),
        source="",
        message=fields.text(report.get("comments")),
        url="",
        error_id=_event_id(report.get("event_id")),
        time=None,
    )


def _first(*found: Any) -> str:
    return next((text for value in found if (text := fields.text(value))), "")


def _event_id(value: Any) -> str:
    """Return an event id as 32 hexadecimal digits, or an empty string if the value is not one."""
    try:
        return uuid.UUID(fields.text(value)).hex
    except ValueError:
        return ""
