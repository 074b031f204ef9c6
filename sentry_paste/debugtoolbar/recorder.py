"""Noting what a request captures, for whoever wants to see it: the panel of Pyramid's debug toolbar.

The request's isolation scope gets a view of its client whose documented hooks
(``before_send`` and its kin) note what they return: what is sent, after redaction
and after the hooks of the ini. The client itself, and requests of which nobody
wants to know, have nothing to do with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.client.registry import GuardedClient
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
from sentry_paste.redaction import Redaction
from sentry_paste.request.event_processor import RequestData
from sentry_paste.sdk.failures import log_failure
from sentry_paste.wsgi.naming import CUSTOM, URL


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

    def record_event(self, before: Any, after: Any) -> None:
        """Note an error or a message, at its last hook.

        Args:
            before: as the hook got it.
            after: as it returned it, None where it dropped it.
        """
        event = event_of(after) if after is not None else dropped_event(before)
        self._add(self.events, event)

    def record_withheld(self, identity: Any) -> None:
        """Note that an event was not sent though no hook has dropped it.

        Args:
            identity: of the event.
        """
        for index, event in enumerate(self.events):
            if event.id == identity and event.fate == SENT:
                self.events[index] = replace(event, fate=KEPT_BACK)

    def record_transaction(self, before: Any, after: Any) -> None:
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

    def name_so_far_of(self, found: Mapping[str, Any]) -> None:
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


class _Noting:
    """What a view of a client is of, beside the client's own class."""

    captures: Captures

    def capture_event(self, event: Any, *args: Any, **kwargs: Any) -> str | None:
        identity: str | None = super().capture_event(event, *args, **kwargs)  # type: ignore[misc]
        if identity is None:
            self.captures.record_withheld(event.get("event_id"))
        return identity


@lru_cache(maxsize=8)
def _noting(cls: Any) -> Any:
    return type(cls.__name__, (_Noting, cls), {})


def request_data() -> RequestData | None:
    """Return what events of the current request are given, None where it does not go through a filter."""
    if not sdk.wsgi_middleware_applied.get(False):
        return None  # the scopes are those of a thread
    data = sdk.request_data()
    candidates = [data, *sdk.event_processors()]
    return next((found for found in candidates if isinstance(found, RequestData)), None)


def capture_request() -> Captures:
    """Note from now on what the current request captures, in its context and in threads that are given it.

    A request within another is part of that, and gets what is noted of it.
    """
    client: Any = sentry_sdk.get_client()
    if isinstance(client, _Noting):
        return client.captures
    captures = Captures()
    options = dict(client.options)
    experiments = dict(options.get("_experiments") or {})
    for name, note in (
        ("before_send", captures.record_event),
        ("before_send_transaction", captures.record_transaction),
        ("before_send_log", captures.note_item),
        ("before_send_span", captures.note_span),
    ):
        hook = options.get(name) or experiments.get(name)
        # An SDK that has the hook as an experiment only.
        (options if name in options else experiments)[name] = _after(hook, note)
    view = sdk.with_options(client, **{**options, "_experiments": experiments})
    cls: Any = type(client)
    view.__class__ = _noting(cls)
    view.captures = captures
    sdk.bind_client(sentry_sdk.get_isolation_scope(), view)
    return captures


def _after(hook: Any, note: Callable[[Any, Any], None]) -> Callable[[Any, Any], Any]:
    def call(found: Any, hint: Any) -> Any:
        result = hook(found, hint) if callable(hook) else found
        try:
            note(found, result)
        except Exception:  # what a hook returns may be anything
            log_failure("the debug toolbar does not show all")
        return result

    return call


def look_at_trace(captures: Captures, data: RequestData) -> None:
    """Note the request's trace as it is now; to be called in the request's context.

    Args:
        captures: that is to know.
        data: of the request.
    """
    client = sentry_sdk.get_client()
    captures.trace_id = (sentry_sdk.get_traceparent() or "").partition("-")[0]
    found = sdk.trace_so_far(client.options)
    if found is None:
        return
    better = data.better_name()
    if better is not None and (better[1] == CUSTOM or found["source"] == URL):
        found["name"], found["source"] = better
    # It has not gone through the hooks yet: its secrets are still in it.
    event = {"type": "transaction", "transaction": found["name"], "spans": found["spans"]}
    event = _redaction(client, data).clean_event(event, {})
    captures.name_so_far_of({**found, "name": event.get("transaction"), "spans": event.get("spans")})


def _redaction(client: Any, data: RequestData) -> Redaction:
    if isinstance(client, GuardedClient):
        return client.redaction
    redaction = Redaction(data.filter_state.secret_names, data.filter_state.patterns)
    redaction.made(client.options)
    return redaction
