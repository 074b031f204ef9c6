"""Record what is captured during a request, for the panel of Pyramid's debug toolbar.

The isolation scope of the request gets a view of its client. In that view the documented
hooks, such as ``before_send``, also record what they return: the data as it is sent,
after redaction and after the hooks in the ini. The client itself and requests without a
panel are not affected.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.client.guarded import GuardedClient
from sentry_paste.debugtoolbar.payload import (
    DROPPED,
    MAX_RECORDED,
    NOT_SENT,
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
from sentry_paste.spool import segments
from sentry_paste.wsgi.naming import CUSTOM, URL

# How many spans of a segment are recorded at most, as in transactions (max_spans).
_MAX_SPANS = 1000


@dataclass
class _Segment:
    """The streamed spans of a segment, in the order in which they have ended.

    Attributes:
        id: span id of the segment.
        spans: spans below it, in the form that they have in transactions.
        left_out: number of spans that were not recorded.
        own: the segment itself, None until it has ended.
        source: source of its name.
    """

    id: str
    spans: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0
    own: dict[str, Any] | None = None
    source: str = ""

    def add(self, found: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
        """Add a span, which may be the segment itself.

        Args:
            found: payload of the span.
            attributes: its attributes.
        """
        span = {
            "span_id": found.get("span_id"),
            "parent_span_id": found.get("parent_span_id"),
            "op": attributes.get("sentry.op"),
            "description": found.get("name"),
            "status": found.get("status"),
            "start_timestamp": found.get("start_timestamp"),
            "timestamp": found.get("end_timestamp"),
        }
        if found.get("is_segment"):
            span["status"] = segments.status(text(found.get("status")), attributes)
            self.own, self.source = span, text(attributes.get("sentry.segment.name.source"))
        elif len(self.spans) < _MAX_SPANS:
            self.spans.append(span)
        else:
            self.left_out += 1

    def trace(self) -> Trace:
        """Return the trace of a segment that has ended."""
        own = mapping(self.own)
        begun = seconds(own.get("start_timestamp"))
        spans, left_out = spans_of(self.spans, self.id, begun)
        return Trace(
            name=text(own.get("description")),
            source=self.source,
            sampled=True,
            status=text(own.get("status")),
            duration=max(seconds(own.get("timestamp")) - begun, 0.0),
            ended=True,
            spans=spans,
            left_out=left_out + self.left_out,
        )


@dataclass
class Recording:
    """What was captured during one request. It holds no references to the request.

    Attributes:
        trace_id: trace id of the request.
        events: errors and messages.
        items: log items.
        left_out: number of events and items that were not recorded.
    """

    trace_id: str = ""
    events: list[Event] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    left_out: int = 0
    # By span id of the transaction or the segment.
    _ended: dict[str, Trace] = field(default_factory=dict)
    _segments: dict[str, _Segment] = field(default_factory=dict)
    _so_far: tuple[str, Trace] | None = None

    @property
    def traces(self) -> list[Trace]:
        """Return the traces that have ended, and the current state of the request's own if it has not."""
        found = dict(self._ended)
        # The toolbar's page is rendered while threads of the app may go on.
        for identity, segment in list(self._segments.items()):
            if segment.own is not None:
                found[identity] = segment.trace()
        if self._so_far is not None:
            found.setdefault(*self._so_far)
        return list(found.values())

    def record_event(self, before: Any, after: Any) -> None:
        """Record an error or a message, after its last hook.

        Args:
            before: payload that the hook received.
            after: payload that it returned, None if it dropped it.
        """
        event = event_of(after) if after is not None else dropped_event(before)
        self._add(self.events, event)

    def record_not_sent(self, identity: Any) -> None:
        """Record that an event was not sent, although no hook dropped it.

        Args:
            identity: event id.
        """
        for index, event in enumerate(self.events):
            if event.id == identity and event.outcome == SENT:
                self.events[index] = replace(event, outcome=NOT_SENT)

    def record_transaction(self, before: Any, after: Any) -> None:
        """Record a transaction, after its last hook.

        Args:
            before: payload that the hook received.
            after: payload that it returned, None if it dropped it.
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
            id=text(found.get("event_id")).replace("-", ""),
            outcome=SENT if after is not None else DROPPED.format("before_send_transaction"),
        )

    def record_item(self, _before: Any, after: Any) -> None:
        """Record a log item, after its last hook.

        Args:
            _before: payload that the hook received.
            after: payload that it returned, None if it dropped it.
        """
        if after is not None:
            logger = mapping(after.get("attributes")).get("logger.name")
            self._add(
                self.items, Item(text(after.get("severity_text")), text(after.get("body")), text(logger))
            )

    def record_span(self, _before: Any, after: Any) -> None:
        """Record a streamed span, after its last hook; a segment usually ends after its other spans.

        Args:
            _before: payload that the hook received.
            after: payload that it returned.
        """
        attributes = mapping(after.get("attributes"))
        identity = text(attributes.get("sentry.segment.id"))
        self._segments.setdefault(identity, _Segment(identity)).add(after, attributes)

    def record_trace_so_far(self, found: Mapping[str, Any]) -> None:
        """Record the trace of the request before it has ended.

        Args:
            found: the trace by ``sdk.trace_so_far``, after redaction.
        """
        begun, identity = found["start"] or time.time(), text(found["span_id"])
        segment = self._segments.get(identity, _Segment(identity))
        spans, left_out = spans_of(segment.spans or found["spans"], identity, begun)
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
                left_out=left_out + segment.left_out,
            ),
        )

    def _add(self, kind: list[Any], found: Any) -> None:
        if len(kind) < MAX_RECORDED:
            kind.append(found)
        else:
            self.left_out += 1


class _RecordingClient:
    """Mixed into the class of a client's view: record events that the client does not send."""

    recording: Recording

    def capture_event(self, event: Any, *args: Any, **kwargs: Any) -> str | None:
        identity: str | None = super().capture_event(event, *args, **kwargs)  # type: ignore[misc]
        if identity is None:
            self.recording.record_not_sent(event.get("event_id"))
        return identity


@lru_cache(maxsize=8)
def _recording_class(cls: Any) -> Any:
    return type(cls.__name__, (_RecordingClient, cls), {})


def request_data() -> RequestData | None:
    """Return the data of the current request, or None if it does not go through a filter."""
    if not sdk.wsgi_middleware_applied.get(False):
        return None  # the current scopes are not those of a request
    data = sdk.request_data()
    candidates = [data, *sdk.event_processors()]
    return next((found for found in candidates if isinstance(found, RequestData)), None)


def record_request() -> Recording:
    """Record what is captured from now on in the current request, also in threads that run in its context.

    A request within a request is part of the outer one, and shares its recording.
    """
    client: Any = sentry_sdk.get_client()
    if isinstance(client, _RecordingClient):
        return client.recording
    recording = Recording()
    options = dict(client.options)
    experiments = dict(options.get("_experiments") or {})
    for name, record in (
        ("before_send", recording.record_event),
        ("before_send_transaction", recording.record_transaction),
        ("before_send_log", recording.record_item),
        ("before_send_span", recording.record_span),
    ):
        hook = options.get(name) or experiments.get(name)
        if hook is None and name == "before_send_span" and isinstance(client, GuardedClient):
            hook = client.redaction.clean_item  # the client itself does that later
        # Some SDKs have the hook only as an experiment.
        (options if name in options else experiments)[name] = _with_recording(hook, record)
    view = sdk.with_options(client, **{**options, "_experiments": experiments})
    cls: Any = type(client)
    view.__class__ = _recording_class(cls)
    view.recording = recording
    sdk.bind_client(sentry_sdk.get_isolation_scope(), view)
    return recording


def _with_recording(hook: Any, record: Callable[[Any, Any], None]) -> Callable[[Any, Any], Any]:
    def call(found: Any, hint: Any) -> Any:
        result = hook(found, hint) if callable(hook) else found
        try:
            record(found, result)
        except Exception:  # what a hook returns may be anything
            log_failure("the panel of the debug toolbar is incomplete")
        return result

    return call


def record_trace(recording: Recording, data: RequestData) -> None:
    """Record the current state of the request's trace. Call this in the context of the request.

    Args:
        recording: recording of the request.
        data: data of the request.
    """
    client = sentry_sdk.get_client()
    recording.trace_id = (sentry_sdk.get_traceparent() or "").partition("-")[0]
    found = sdk.trace_so_far(client.options)
    if found is None:
        return
    better = data.better_name()
    if better is not None and (better[1] == CUSTOM or found["source"] == URL):
        found["name"], found["source"] = better
    # It has not gone through the hooks yet, so it still contains secrets.
    event = {"type": "transaction", "transaction": found["name"], "spans": found["spans"]}
    event = _redaction(client, data).clean_event(event, {})
    recording.record_trace_so_far({**found, "name": event.get("transaction"), "spans": event.get("spans")})


def _redaction(client: Any, data: RequestData) -> Redaction:
    if isinstance(client, GuardedClient):
        return client.redaction
    redaction = Redaction(data.filter_state.secret_names, data.filter_state.patterns)
    redaction.use_options(client.options)
    return redaction
