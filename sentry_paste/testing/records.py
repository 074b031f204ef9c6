"""What was captured, as records to assert on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sentry_paste.spool import fields, segments

Record = TypeVar("Record")


class Records(list[Record], Generic[Record]):
    """A list of records, with what a test looks for in it."""

    def matching(self, **attributes: Any) -> Records[Record]:
        """Return the records whose attributes have some values.

        Args:
            attributes: names and values, such as ``type="KeyError"``.
        """
        return Records(
            record
            for record in self
            if all(getattr(record, name) == value for name, value in attributes.items())
        )

    def one(self, **attributes: Any) -> Record:
        """Return the only record whose attributes have some values.

        Args:
            attributes: names and values; none if there must be only one record.

        Raises:
            AssertionError: there is none, or more than one; the message lists all records.
        """
        __tracebackhide__ = True  # pytest shows the line of the test
        found = self.matching(**attributes)
        if len(found) == 1:
            return found[0]
        wanted = "".join(f" with {name}={value!r}" for name, value in attributes.items())
        listed = "".join(f"\n  {record}" for record in self) or "\n  nothing"
        raise AssertionError(f"expected one record{wanted}, found {len(found)}; captured:{listed}")


@dataclass(frozen=True)
class CapturedException:
    """An exception that was reported.

    Attributes:
        type: name of its class.
        value: its message.
        handled: whether the app had handled it; None if that is unknown.
        mechanism: what has reported it, such as ``wsgi`` or ``logging``.
        level: ``error``, ``fatal`` and so on.
        transaction: name of the request's transaction, or empty.
        tags: tags of the event.
        causes: the exceptions that caused it, as text, the innermost first.
        event: the whole event, as Sentry gets it.
    """

    type: str
    value: str
    handled: bool | None
    mechanism: str
    level: str
    transaction: str
    tags: Mapping[str, str]
    causes: tuple[str, ...] = ()
    event: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __str__(self) -> str:
        """Return type and message, as a traceback ends."""
        return _text(self.type, self.value)


@dataclass(frozen=True)
class CapturedSpan:
    """A span within a transaction; the transaction's own is not among them.

    Attributes:
        op: operation, such as ``db``.
        name: what it did: the SDK's description or name.
        status: ``ok`` and so on, or empty.
        duration: in seconds; None if its times are missing.
        transaction: name of the transaction, or empty.
        trace_id: id of the trace.
        data: its data, which streamed spans call attributes.
        payload: the whole span, as Sentry gets it.
    """

    op: str
    name: str
    status: str
    duration: float | None
    transaction: str
    trace_id: str
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __str__(self) -> str:
        """Return operation and name."""
        return f"{self.op} {self.name}".strip()


class CapturedTransaction(dict[str, Any]):
    """A transaction as Sentry gets it, with what a test asks for; streamed spans are put together to one."""

    @property
    def name(self) -> str:
        """Name of the transaction, such as ``GET /shop``."""
        return fields.text(self.get("transaction"))

    @property
    def op(self) -> str:
        """Operation, ``http.server`` for a request."""
        return fields.text(self._trace.get("op"))

    @property
    def status(self) -> str:
        """How it ended: ``ok``, ``internal_error``, ``not_found`` and so on."""
        return fields.text(self._trace.get("status"))

    @property
    def http_status(self) -> int | None:
        """Status of the response; None if there is none."""
        code = fields.mapping(fields.mapping(self.get("contexts")).get("response")).get("status_code")
        return code if isinstance(code, int) else None

    @property
    def duration(self) -> float | None:
        """Duration in seconds; None if its times are missing."""
        return segments.duration(self)

    @property
    def trace_id(self) -> str:
        """Id of its trace."""
        return fields.text(self._trace.get("trace_id"))

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags; streamed spans have attributes instead."""
        return dict(fields.pairs(self.get("tags")))

    @property
    def spans(self) -> Records[CapturedSpan]:
        """The spans in it."""
        return Records(map(self._span, fields.items(self.get("spans"))))

    @property
    def _trace(self) -> Mapping[str, Any]:
        return fields.mapping(fields.mapping(self.get("contexts")).get("trace"))

    def _span(self, span: Mapping[str, Any]) -> CapturedSpan:
        return CapturedSpan(
            op=fields.text(span.get("op")),
            name=fields.text(span.get("description")),
            status=fields.text(span.get("status")),
            duration=segments.duration(span),
            transaction=self.name,
            trace_id=fields.text(span.get("trace_id")) or self.trace_id,
            data=fields.mapping(span.get("data")),
            payload=span,
        )

    def __str__(self) -> str:
        """Return name and status."""
        return f"{self.name} {self.http_status or ''} {self.status}".replace("  ", " ").strip()


@dataclass(frozen=True)
class CapturedLog:
    """A log item.

    Attributes:
        level: ``info``, ``warn``, ``error`` and so on, in Sentry's words.
        message: the formatted message.
        logger: name of the logger, or empty.
        trace_id: id of its trace, or empty.
        attributes: its attributes, with plain values.
        payload: the whole item, as Sentry gets it.
    """

    level: str
    message: str
    logger: str
    trace_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __str__(self) -> str:
        """Return level, logger and message."""
        return (
            f"{self.level} {self.logger}: {self.message}" if self.logger else f"{self.level} {self.message}"
        )


def exceptions(events: Iterable[Any]) -> Iterator[CapturedException]:
    """Yield the exception of each event that has one.

    Args:
        events: payloads of the type ``event``.
    """
    for event in events:
        chain = list(fields.values(fields.mapping(event).get("exception")))
        if not chain:
            continue
        raised, mechanism = chain[-1], fields.mapping(chain[-1].get("mechanism"))
        handled = mechanism.get("handled")
        yield CapturedException(
            type=fields.text(raised.get("type")),
            value=fields.text(raised.get("value")),
            handled=handled if isinstance(handled, bool) else None,
            mechanism=fields.text(mechanism.get("type")),
            level=fields.text(event.get("level")),
            transaction=fields.text(event.get("transaction")),
            tags=dict(fields.pairs(event.get("tags"))),
            causes=tuple(
                _text(fields.text(cause.get("type")), fields.text(cause.get("value"))) for cause in chain[:-1]
            ),
            event=event,
        )


def logs(payloads: Iterable[Any]) -> Iterator[CapturedLog]:
    """Yield the log items.

    Args:
        payloads: payloads of the type ``log``, each with a batch of items.
    """
    for payload in payloads:
        for item in fields.items(fields.mapping(payload).get("items")):
            attributes = segments.attributes(item)
            yield CapturedLog(
                level=fields.text(item.get("level")),
                message=fields.text(item.get("body")),
                logger=fields.text(attributes.get("logger.name")),
                trace_id=fields.text(item.get("trace_id")),
                attributes=attributes,
                payload=item,
            )


def _text(type_: str, value: str) -> str:
    return f"{type_}: {value}" if value else type_
