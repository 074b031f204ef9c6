"""Traces: their headers, and transactions that begin late or not at all."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import sentry_sdk
from sentry_sdk.scope import Scope

from sentry_paste.sdk.major import adapter
from sentry_paste.sdk.options import streams_spans
from sentry_paste.sdk.sessions import wall_clock

# The keys of an environ from which the SDK continues a trace (sentry_sdk.tracing_utils.PropagationContext).
_TRACE_HEADERS = ("HTTP_SENTRY_TRACE", "HTTP_BAGGAGE", "HTTP_TRACEPARENT", "HTTP_TRACESTATE")


def can_begin_late(options: Mapping[str, Any]) -> bool:
    """Return whether a transaction can be created late: nothing else starts with it or decides on it.

    Args:
        options: of a client that traces.
    """
    experiments = options.get("_experiments") or {}
    profiles = ("profiles_sample_rate", "profiles_sampler", "profile_session_sample_rate")
    return (
        (adapter.BEGINS_SPANS_LATE if streams_spans(options) else _HAS_SAMPLE_RAND)
        and not callable(options.get("traces_sampler"))
        and not any(options.get(name) or experiments.get(name) for name in profiles)
        and not experiments.get("continuous_profiling_auto_start")
    )


# Whether transactions are sampled by a random number of six digits, as newer SDKs do.
_TRANSACTION: Any = getattr(getattr(sentry_sdk, "tracing", None), "Transaction", None)
_HAS_SAMPLE_RAND = "_sample_rand" in getattr(_TRANSACTION, "__slots__", ())


def new_sample_rand() -> float:
    """Return a random number for sampling, with six digits as in the SDK."""
    return int(random.random() * 1_000_000) / 1_000_000  # noqa: S311


def discards(client: Any, options: Mapping[str, Any], sample_rand: float) -> bool:
    """Return whether the SDK would not sample a transaction.

    The rule is that of ``Transaction._set_initial_sampling_decision``. The SDK itself warns of a rate that is
    not a number.

    Args:
        client: that would send it.
        options: by which it is sampled.
        sample_rand: from 0 to 1.
    """
    rate = options.get("traces_sample_rate")
    return isinstance(rate, (int, float)) and sample_rand >= float(rate) / 2 ** downsample_factor(client)


def count_discarded(client: Any) -> None:
    """Count a trace that was not sampled as lost, as the SDK does.

    Args:
        client: that would have sent it.
    """
    if client.transport is not None:
        reason = "backpressure" if downsample_factor(client) > 0 else "sample_rate"
        for category in adapter.LOST_WITH_A_TRACE:
            client.transport.record_lost_event(reason, data_category=category)


def downsample_factor(client: Any) -> int:
    """Return how often sample rates are halved, because a client has more to send than it can.

    Args:
        client: that sends.
    """
    monitor = getattr(client, "monitor", None)
    return int(monitor.downsample_factor) if monitor is not None else 0


def backdate(transaction: Any, begun: int, sample_rand: float | None) -> None:
    """Backdate a new transaction to its request's start, with the random number that was chosen then.

    Args:
        transaction: not started yet.
        begun: the request's start, by ``time.perf_counter_ns``.
        sample_rand: None for the transaction's own.
    """
    if hasattr(transaction, "_start_timestamp_monotonic_ns"):
        transaction.start_timestamp = datetime.fromtimestamp(wall_clock(begun), timezone.utc)
        transaction._start_timestamp_monotonic_ns = begun
    if sample_rand is not None and _HAS_SAMPLE_RAND:
        transaction._sample_rand = type(transaction._sample_rand)(str(sample_rand))
        baggage = getattr(transaction, "_baggage", None)
        if baggage is not None:
            baggage.sentry_items["sample_rand"] = f"{sample_rand:.6f}"


def start_request_span(
    name: str,
    attributes: dict[str, Any],
    headers: dict[str, str],
    environ: dict[str, Any],
    begun: int,
    sample_rand: float | None,
) -> Any:
    """Start the streamed span of a request, backdated to the request's start; continue the caller's trace.

    Args:
        name: of the span.
        attributes: for the span; a ``traces_sampler`` gets them.
        headers: of the caller.
        environ: for a ``traces_sampler``, as ``wsgi_environ``.
        begun: the request's start, by ``time.perf_counter_ns``.
        sample_rand: the random number that was chosen then, None for the SDK's.
    """
    adapter.continue_trace(headers)
    if sample_rand is None:
        Scope.set_custom_sampling_context({"wsgi_environ": environ})
    return adapter.start_segment(name, attributes, begun, sample_rand)


def stream_no_spans(current: Scope, isolation: Scope) -> None:
    """Let spans that an app starts be no traces of their own where its request is not measured.

    ``NoOpStreamedSpan`` (``NoOpSpan`` in sentry-sdk 3) is what the SDK itself uses. Without a decision on
    sampling it leaves that to the services that the app calls. Missing: each is a trace.

    Args:
        current: the current scope.
        isolation: the isolation scope, which has the trace.
    """
    cls: Any = getattr(sentry_sdk.traces, "NoOpStreamedSpan", None)
    context = isolation.get_active_propagation_context()
    if cls is not None:
        cls(
            scope=current,
            trace_id=context.trace_id,
            parent_span_id=context.parent_span_id,
            baggage=context.baggage,
            sampled=None,
        )


def begin_trace(scope: Scope, headers: dict[str, str]) -> None:
    """Continue the caller's trace, or begin one, without a transaction.

    A new trace is set before the headers are read: if they contain no trace, 2.18 keeps the scope's, which
    comes from the fork and is the same for all requests of a thread.

    Args:
        scope: of the request.
        headers: of the caller.
    """
    scope.set_new_propagation_context()
    if headers:
        scope.generate_propagation_context(headers)


def become_head(span: Any) -> None:
    """Let a transaction or a segment be the first of its trace, whose sample rate Sentry counts with.

    With a ``sentry-trace`` header alone the SDK takes the caller for one with an older SDK, which has
    decided. ``_baggage`` is made anew where it is missing.

    Args:
        span: that has begun.
    """
    if getattr(span, "_baggage", None) is not None:
        span._baggage = None


def sample_rand_of(headers: Mapping[str, str]) -> float:
    """Return the random number for sampling that the SDK makes of a trace's id.

    As ``sentry_sdk.tracing_utils._generate_sample_rand``, so that services decide alike.

    Args:
        headers: with ``sentry-trace``.
    """
    trace_id = headers["HTTP_SENTRY_TRACE"].partition("-")[0]
    return random.Random(trace_id).randrange(1_000_000) / 1_000_000  # noqa: S311


def trace_headers(strings: Mapping[str, str]) -> dict[str, str]:
    """Return the headers from which the SDK continues a trace.

    Args:
        strings: the texts of a WSGI environ.
    """
    return {name: strings[name] for name in _TRACE_HEADERS if name in strings}


def trace_so_far(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the current transaction or segment before its end; None if there is none.

    Args:
        options: of the client that captures.

    Returns:
        ``name``, ``source``, ``sampled``, ``trace_id``, ``span_id``, ``start`` and ``spans``: plain texts and
        numbers. The spans are those of ``_SpanRecorder``, or none if it is missing. Streamed spans are not
        included, as they are sent when they end.
    """
    scope = sentry_sdk.get_current_scope()
    spans: Any = ()
    if streams_spans(options):
        span: Any = adapter.streamed_span(scope)
        trace: Any = getattr(span, "_segment", None) or span
        if trace is None or trace.sampled is None:  # of a request that is not measured
            return None
        # A span that is not sampled has no attributes.
        on_scope = getattr(scope, "_transaction_info", {}).get("source")
        source = trace.get_attributes().get("sentry.segment.name.source") or on_scope
    else:
        trace = scope.transaction
        if trace is None:
            return None
        source = getattr(trace, "source", None)
        spans = getattr(getattr(trace, "_span_recorder", None), "spans", ())
    return {
        "name": getattr(trace, "name", None),
        "source": source,
        "sampled": trace.sampled,
        "trace_id": trace.trace_id,
        "span_id": trace.span_id,
        "start": _seconds(trace.start_timestamp),
        "spans": [_plain(span) for span in list(spans) if span is not trace],
    }


def name_so_far(options: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """Return the name of the current transaction and its source, None if there is no name yet.

    Without tracing, it is the name in errors: ``Scope._transaction``, for which the SDK has no getter.
    Missing: there is none.

    Args:
        options: of the client that captures.
    """
    found = trace_so_far(options)
    if found is not None and found["name"]:
        return found["name"], found["source"]
    scope = sentry_sdk.get_current_scope()
    name = getattr(scope, "_transaction", None)
    return (name, getattr(scope, "_transaction_info", {}).get("source")) if name else None


def _plain(span: Any) -> dict[str, Any]:
    return {
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "op": span.op,
        "description": span.description,
        "status": span.status,
        "start_timestamp": _seconds(span.start_timestamp),
        "timestamp": _seconds(span.timestamp),
    }


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def leave_span(span: Any) -> None:
    """Detach a span that has ended from the current scope.

    Args:
        span: that may have begun while another scope was current.
    """
    scope = sentry_sdk.get_current_scope()
    if scope.span is span:
        scope.span = None


def start_child_span(op: str, name: str) -> Any:
    """Start a span below the current one; return it as a context manager.

    Args:
        op: its operation, https://develop.sentry.dev/sdk/telemetry/traces/span-operations/.
        name: what it does.
    """
    if not streams_spans(sentry_sdk.get_client().options):
        return sentry_sdk.start_span(op=op, name=name)
    return sentry_sdk.traces.start_span(name=name, attributes={"sentry.op": op})


def has_attributes(options: Mapping[str, Any]) -> bool:
    """Return whether a client sends items with attributes from the scope: log items, streamed spans.

    Args:
        options: of the client.
    """
    return hasattr(Scope, "set_attribute") and (bool(options.get("enable_logs")) or streams_spans(options))


def mark_server_span(scope: Scope, span: Any) -> None:
    """Mark a streamed span as the request's, for integrations that add the route to it.

    ``PyramidIntegration`` does. Missing: the span has no ``http.route``.

    Args:
        scope: the current scope.
        span: the streamed span.
    """
    if hasattr(scope, "_server_segment_span"):
        scope._server_segment_span = span
