"""What was captured during one request, for showing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sentry_paste.debugtoolbar.payload import (
    DROPPED,
    KEPT_BACK,
    MOST,
    SENT,
    Event,
    Item,
    Trace,
    dropped_event,
    event_of,
    mapping,
    seconds,
    spans_of,
    text,
)


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
        event = event_of(after) if after is not None else dropped_event(before)
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
        context = mapping(mapping(found.get("contexts")).get("trace"))
        begun, ended = seconds(found.get("start_timestamp")), seconds(found.get("timestamp"))
        identity = text(context.get("span_id"))
        spans, left_out = spans_of(found.get("spans"), identity, begun)
        self._ended[identity] = Trace(
            name=text(found.get("transaction")),
            source=text(mapping(found.get("transaction_info")).get("source")),
            sampled=True,
            status=text(context.get("status")),
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
            logger = mapping(after.get("attributes")).get("logger.name")
            self._add(
                self.items, Item(text(after.get("severity_text")), text(after.get("body")), text(logger))
            )

    def note_span(self, _before: Any, after: Any) -> None:
        """Note a streamed span, at its last hook; the last one of a segment is the segment itself.

        Args:
            _before: as the hook got it.
            after: as it returned it.
        """
        attributes = mapping(after.get("attributes"))
        segment = text(attributes.get("sentry.segment.id"))
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
        begun = seconds(own["start_timestamp"])
        spans, left_out = spans_of(siblings, segment, begun)
        self._ended[segment] = Trace(
            name=text(own["description"]),
            source=text(attributes.get("sentry.segment.name.source")),
            sampled=True,
            status=text(own["status"]),
            duration=max(seconds(own["timestamp"]) - begun, 0.0),
            ended=True,
            spans=spans,
            left_out=left_out,
        )

    def note_so_far(self, found: Mapping[str, Any]) -> None:
        """Note what is known of the request's trace before its end.

        Args:
            found: as ``sdk.trace_so_far`` has it, without secrets.
        """
        begun, identity = found["start"] or time.time(), text(found["span_id"])
        spans, left_out = spans_of(self._streamed.get(identity) or found["spans"], identity, begun)
        self._so_far = (
            identity,
            Trace(
                name=text(found["name"]),
                source=text(found["source"]),
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
