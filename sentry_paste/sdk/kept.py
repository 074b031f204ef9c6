"""Traces that are sent although the SDK has not sampled them, with a sample rate that stays true.

Sentry multiplies what it gets by the inverse of the sample rate. So a trace that is sent by a rule has the
rule's rate, and so has one to which the rule applies and that the SDK has sampled anyway. The random number
of the trace decides in both cases, as for the SDK's own rate. Checked with sentry-sdk 2.18.0, 2.75.0 and
3.0.0b2.
"""

from __future__ import annotations

import random
from datetime import datetime, timezone
from typing import Any

from sentry_sdk.scope import Scope

from sentry_paste.sdk.major import adapter
from sentry_paste.sdk.scopes import bound
from sentry_paste.sdk.sessions import wall_clock
from sentry_paste.sdk.tracing import downsample_factor


def is_sampled_at(client: Any, rate: float, sample_rand: float) -> bool:
    """Return whether a trace is sampled at a rate.

    Args:
        client: that would send it; if its queue is full, its rates are lower.
        rate: from 0 to 1.
        sample_rand: the random number of the trace.
    """
    return bool(sample_rand < rate / 2 ** downsample_factor(client))


def record_spans(transaction: Any, client: Any) -> None:
    """Record the spans of a transaction that is not sampled.

    ``init_span_recorder`` of ``Transaction``. Missing: there are none.

    Args:
        transaction: that has begun.
        client: whose option limits their number.
    """
    init = getattr(transaction, "init_span_recorder", None)
    if transaction.sampled is False and init is not None:
        init(maxlen=_most_spans(client))


def forget_spans(transaction: Any) -> None:
    """Drop the recorded spans of a transaction that is not sent, so that the SDK counts it as such.

    Args:
        transaction: at its end.
    """
    if transaction.sampled is False and getattr(transaction, "_span_recorder", None) is not None:
        transaction._span_recorder = None


def keep_transaction(transaction: Any, client: Any, rate: float, over_caller: bool) -> bool:
    """Have a transaction sent at a rate; return whether it would not have been sent otherwise.

    Args:
        transaction: before its end.
        client: that sends it.
        rate: from 0 to 1.
        over_caller: whether to send it also if the caller has decided otherwise.
    """
    if not hasattr(transaction, "sample_rate"):  # a NoOpSpan, without tracing
        return False
    if not _may_decide(transaction.parent_sampled, over_caller):
        return False
    if transaction.sampled:
        if (transaction.sample_rate or 1.0) < rate:
            transaction.sample_rate = rate
            _set_rate(getattr(transaction, "_baggage", None), rate)
        return False
    if not is_sampled_at(client, rate, _sample_rand(transaction)):
        return False
    transaction.sampled, transaction.sample_rate = True, rate
    _set_rate(getattr(transaction, "_baggage", None), rate)
    record = getattr(transaction, "init_span_recorder", None)
    if record is not None:
        record(maxlen=_most_spans(client))
    return True


def keep_segment(
    span: Any, client: Any, rate: float, over_caller: bool, attributes: dict[str, Any], begun: int
) -> Any:
    """Have a request's streamed span sent at a rate; return the span to end in its place, None if it stays.

    A span that is not sampled has no attributes, so another one is started, as of the request's start. It has
    the same trace, but not the spans below it.

    Args:
        span: before its end.
        client: that sends it, with the rate as its option.
        rate: from 0 to 1.
        over_caller: whether to send it also if the caller has decided otherwise.
        attributes: for another span.
        begun: the request's start, by ``time.perf_counter_ns``.
    """
    scope = Scope.get_current_scope()
    context = scope.get_active_propagation_context()
    if not _may_decide(context.parent_sampled, over_caller):
        return None
    if span.sampled:
        if (getattr(span, "_sample_rate", None) or 1.0) < rate:
            span._sample_rate = rate
            _set_rate(getattr(span, "_baggage", None), rate)
        return None
    sample_rand = _sample_rand(span)
    if span.sampled is None or not is_sampled_at(client, rate, sample_rand):
        return None
    # It does not count as lost.
    span._unsampled_reason = None
    span.__exit__(None, None, None)
    # The caller's decision would be the new one's.
    context.parent_sampled = None
    with bound(scope, client):
        own = sample_rand if context.baggage is None else None
        found = adapter.start_segment(span.name, attributes, begun, own)
    if not found.sampled:
        return None
    _set_rate(getattr(found, "_baggage", None), rate)
    found._start_timestamp = datetime.fromtimestamp(wall_clock(begun), timezone.utc)
    found._start_timestamp_monotonic_ns = begun
    return found


def _may_decide(parent_sampled: bool | None, over_caller: bool) -> bool:
    return parent_sampled is None or (over_caller and not parent_sampled)


def _sample_rand(span: Any) -> float:
    """Return the random number of a trace; 2.18 has none, and does not say by which one it has decided."""
    found = getattr(span, "_sample_rand", None)
    return random.random() if found is None else float(found)  # noqa: S311


def _most_spans(client: Any) -> int:
    return int((client.options.get("_experiments") or {}).get("max_spans") or 1000)


def _set_rate(baggage: Any, rate: float) -> None:
    """Set the sample rate that Sentry is sent with a trace, unless it has none yet."""
    if baggage is not None:
        baggage.sentry_items["sample_rate"] = str(rate)
        if "sampled" in baggage.sentry_items:
            baggage.sentry_items["sampled"] = "true"
