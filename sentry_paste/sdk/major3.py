"""The adapter for sentry-sdk 3: options, integrations and defaults mean what they mean with sentry-sdk 2.

Checked with sentry-sdk 3.0.0b2. ``major`` chooses between this module and ``major2``, which has the same
names. An ini is written in the options of sentry-sdk 2 and 3; ``for_client`` translates it.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from copy import deepcopy
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

import sentry_sdk
import sentry_sdk.utils
from sentry_sdk.data_collection import _resolve_data_collection
from sentry_sdk.integrations import _wsgi_common
from sentry_sdk.integrations import logging as sdk_logging
from sentry_sdk.scope import add_global_event_processor
from sentry_sdk.tracing_utils import Baggage
from sentry_sdk.transport import Transport

from sentry_paste.sdk.changes import GONE_ARGUMENTS_IN_3, GONE_IN_3
from sentry_paste.sdk.compat3 import DEFAULT_DENYLIST as DEFAULT_DENYLIST
from sentry_paste.sdk.compat3 import DEFAULT_PII_DENYLIST as DEFAULT_PII_DENYLIST
from sentry_paste.sdk.compat3 import FILTERED, EventScrubber, class_of_sdk, integrations
from sentry_paste.sdk.compat3 import integration_class as integration_class
from sentry_paste.sdk.sessions import wall_clock

#: Whether a streamed span can begin late, with a random number for sampling that was chosen before.
BEGINS_SPANS_LATE = True

#: The categories in which a trace counts that was not sampled, as in ``NoOpSpan._end``.
LOST_WITH_A_TRACE = ("span",)

#: What this major version has no longer: options, and arguments of integrations.
GONE_OPTIONS, GONE_ARGUMENTS = GONE_IN_3, GONE_ARGUMENTS_IN_3

#: Names of modules that this major version has no longer, and what stands in for them.
MOVED_MODULES: Mapping[str, str] = {"sentry_sdk.scrubber": EventScrubber.__module__}

#: Defaults of options that differ from the SDK's. With stack traces each message would be another issue in
#: Sentry than it was before.
DEFAULTS: Mapping[str, Any] = {"attach_stacktrace": False}

# Parts of the names of headers and parameters that are hidden, as in 2.75 without send_default_pii.
_PERSONAL = {"mode": "denylist", "terms": ["forwarded", "-ip", "remote-", "via", "-user"]}


def _private() -> dict[str, Any]:
    """Return a ``data_collection`` that collects what sentry-sdk 2 does without ``send_default_pii``."""
    return {
        "user_info": False,
        "cookies": {"mode": "off"},
        "http_headers": {"request": deepcopy(_PERSONAL)},
        # Parsed forms and JSON, whose secret fields redaction hides; no answers of GraphQL.
        "http_bodies": ["incoming_request"],
        "url_query_params": deepcopy(_PERSONAL),
        "graphql": {"document": False, "variables": False},
        "gen_ai": {"inputs": False, "outputs": False},
        "mcp": {"inputs": False, "outputs": False},
        "database_query_data": False,
        "queues": False,
    }


#: Options that the SDK reads at each event or trace, so that another value of them can apply from then on.
#: The share of processes with profiles is decided when a client is made.
RELOADABLE = frozenset(
    {"sample_rate", "traces_sample_rate", "ignore_errors", "ignore_spans", "trace_ignore_status_codes"}
)


def for_client(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of an ini as the SDK's client takes them.

    Args:
        options: those that are set, of sentry-sdk 2 or 3.
    """
    found = {name: value for name, value in options.items() if name not in GONE_OPTIONS}
    found["data_collection"] = _data_collection(options)
    found["integrations"] = integrations(options)
    if "disabled_integrations" in found:
        found["disabled_integrations"] = [class_of_sdk(cls) for cls in found["disabled_integrations"]]
    if "transport" in found:
        found["transport"] = _transport(found["transport"])
    for name, default in DEFAULTS.items():
        found.setdefault(name, default)
    if found.get("trace_lifecycle") == "static":
        del found["trace_lifecycle"]
    if options.get("enable_tracing") and options.get("traces_sample_rate") is None:
        found["traces_sample_rate"] = 1.0
    elif options.get("enable_tracing") is False:
        found["traces_sample_rate"] = found["traces_sampler"] = None
    if options.get("propagate_traces") is False:
        found["trace_propagation_targets"] = []
    if options.get("profiles_sample_rate") and options.get("profile_session_sample_rate") is None:
        found["profile_session_sample_rate"] = options["profiles_sample_rate"]
        found["profile_lifecycle"] = options.get("profile_lifecycle") or "trace"
    if options.get("enable_logs") is False:
        found["before_send_log"] = _drop
    if options.get("enable_metrics") is False:
        found["before_send_metric"] = _drop
    scrubber = options.get("event_scrubber") or EventScrubber(send_default_pii=_sends_user_info(options))
    found["before_send"] = _scrubbing(scrubber, options.get("before_send"))
    return found


def _sends_user_info(options: Mapping[str, Any]) -> bool:
    return bool((options.get("data_collection") or {}).get("user_info", options.get("send_default_pii")))


def _data_collection(options: Mapping[str, Any]) -> dict[str, Any]:
    given = options.get("data_collection") or {}
    found: dict[str, Any] = {} if _sends_user_info(options) else _private()
    if options.get("include_local_variables") is False:
        found["stack_frame_variables"] = False
    if options.get("include_source_context") is False:
        found["frame_context_lines"] = 0
    return _merged(found, given)


def _merged(private: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``data_collection`` of an ini in which each part that it leaves out is as in another one."""
    found = {**private, **given}
    for name, part in private.items():
        if isinstance(part, dict) and isinstance(given.get(name), dict):
            found[name] = _merged(part, given[name])
    return found


def _drop(_item: Any, _hint: Any) -> None:
    """Drop a log item or a metric."""


def _scrubbing(scrubber: Any, hook: Any) -> Any:
    def scrub(event: Any, hint: Any) -> Any:
        # What a scrubber raises must not lose the event, as in sentry-sdk 2.
        with suppress(Exception):
            scrubber.scrub_event(event)
        return event if hook is None else hook(event, hint)

    return scrub if hook is None else functools.update_wrapper(scrub, hook)


def set_up(client: Any) -> None:
    """Change what the integrations of a new client do.

    Args:
        client: that was just created.
    """
    # It would mark the app's own exceptions with an attribute, for ever: an exception object that is raised
    # again in a later request would not be reported.
    if client.integrations.pop("dedupe", None) is not None:
        client._sentry_paste_last_seen = ContextVar("sentry_paste_last_seen")
        _compare_errors()


def last_seen(client: Any) -> ContextVar[Any] | None:
    """Return the variable with the last error that was captured, None if errors are not compared.

    Args:
        client: that captures.
    """
    return getattr(client, "_sentry_paste_last_seen", None)


#: Whether the variable holds weak references where that is possible.
REMEMBERS_WEAKLY = True


def _drop_repeated(event: Any, hint: Any) -> Any:
    """Drop an event with the exception that was captured last, as an event processor."""
    exc_info = (hint or {}).get("exc_info")
    seen = last_seen(sentry_sdk.get_client())
    if seen is None or not exc_info:
        return event
    error, last = exc_info[1], seen.get(None)
    if error is (last() if isinstance(last, weakref.ref) else last):
        return None
    try:
        seen.set(weakref.ref(error))
    except TypeError:  # built-in exceptions support no weak references
        seen.set(error)
    return event


@functools.lru_cache(maxsize=1)
def _compare_errors() -> None:
    # As late as the SDK's own, after those event processors that see what is repeated.
    add_global_event_processor(_drop_repeated)


def ignore_logger(name: str) -> None:
    """Keep a logger out of events and breadcrumbs.

    Args:
        name: of the logger.
    """
    sdk_logging.ignore_logger_for_events(name)  # type: ignore[attr-defined]


def ignore_logger_for_logs(name: str) -> None:
    """Keep a logger out of log items.

    Args:
        name: of the logger.
    """
    sdk_logging.ignore_logger(name)


def streams_spans(_options: Mapping[str, Any]) -> bool:
    """Return whether a client sends spans one by one: sentry-sdk 3 does nothing else."""
    return True


def collects(_options: Mapping[str, Any]) -> bool:
    """Return whether ``data_collection`` decides what is collected."""
    return True


def sends_user_info(options: Mapping[str, Any]) -> bool:
    """Return whether a client may send data that identifies the user: addresses and names.

    Args:
        options: of the client.
    """
    return bool((options.get("data_collection") or {}).get("user_info"))


#: Options of an ini that apply to a client of the app's own.
OPTIONS_IN_REQUESTS = frozenset({"send_default_pii"})


def options_in_requests(options: Mapping[str, Any], ini: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options that a client of the app's own has in requests: private, as with sentry-sdk 2.

    sentry-sdk 3 collects personal data if nobody has decided on it. In requests it does only if the ini says
    ``send_default_pii = true``. A ``data_collection`` that differs from the SDK's is the app's decision.

    Args:
        options: of the client.
        ini: the SDK's options in the ini.
    """
    if ini.get("send_default_pii") or options["data_collection"] != _resolved({}):
        return options
    return {**options, "data_collection": _resolved(_private())}


def _resolved(data_collection: Mapping[str, Any]) -> Any:
    """Return a ``data_collection`` with the SDK's defaults for what it leaves out."""
    return _resolve_data_collection({"data_collection": data_collection})


def filter_headers(headers: dict[str, str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers as the current client may send them.

    Args:
        headers: by their names in HTTP's spelling.
        options: of the current client.
    """
    behaviour = options["data_collection"]["http_headers"]["request"]
    if behaviour != _PERSONAL:
        return dict(_wsgi_common._filter_headers(headers))
    # The same headers as in sentry-sdk 2: parts of names would hide innocent ones.
    hidden = _wsgi_common.SENSITIVE_HEADERS
    return {
        name: FILTERED if name.upper().replace("-", "_") in hidden else value
        for name, value in headers.items()
    }


def filters_query(options: Mapping[str, Any]) -> bool:
    """Return whether the SDK's rules apply to query strings; otherwise it sends them unchanged.

    Args:
        options: of the client.
    """
    return bool(options["data_collection"]["url_query_params"] != _PERSONAL)


def exception_event(
    error: BaseException,
    traceback: TracebackType | None,
    client: Any,  # noqa: ARG001 - major2 needs it
    mechanism: dict[str, Any],
) -> tuple[Any, Any]:
    """Return the event and the hint for an exception.

    Args:
        error: the exception.
        traceback: where its stack trace begins.
        client: the client that will capture it, the current one.
        mechanism: how it was caught.
    """
    return sentry_sdk.utils.event_from_exception((type(error), error, traceback), mechanism=mechanism)


def streamed_span(scope: Any) -> Any:
    """Return the streamed span of a scope, None if it has none.

    Args:
        scope: the current one.
    """
    return scope.span


class _FunctionTransport(Transport):
    """Passes events to a function, as sentry-sdk 2 does.

    Args:
        function: takes an event.
    """

    def __init__(self, function: Any) -> None:
        super().__init__()
        self._function = function

    def capture_envelope(self, envelope: Any) -> None:
        """Pass the envelope's event to the function."""
        event = envelope.get_event()
        if event is not None:
            self._function(event)


def _transport(given: Any) -> Any:
    """Return the ini's transport as the SDK takes it.

    Args:
        given: a class, an object or a function.
    """
    if given is None or isinstance(given, (type, Transport)) or not callable(given):
        return given
    return _FunctionTransport(given)


def dropped_statuses(options: Mapping[str, Any]) -> frozenset[int]:
    """Return the statuses whose traces the filter has to drop.

    Args:
        options: of the ini.
    """
    return frozenset(options.get("trace_ignore_status_codes") or ())


def drop_trace(client: Any, segment: Any) -> None:
    """End a request's span without sending it or its children that still wait to be sent.

    Args:
        client: that captures.
        segment: the span, not ended.
    """
    if not segment.sampled:
        segment.end()  # counts it as lost, for its own reason
        return
    batcher, trace, dropped = client.span_batcher, segment.trace_id, 1
    with batcher._lock:
        waiting = batcher._span_buffer.get(trace) or []
        kept = [span for span in waiting if span.get("_segment_span") is not segment]
        dropped += len(waiting) - len(kept)
        if kept:
            waiting[:] = kept
        else:
            # The SDK removes a trace when it sends its spans, and never sends none.
            batcher._span_buffer.pop(trace, None)
            batcher._running_size.pop(trace, None)
    segment._end_timestamp = datetime.now(timezone.utc)
    scope = segment._scope
    if scope is not None and scope.span is segment:
        scope.span = None
    if client.transport is not None:
        client.transport.record_lost_event("event_processor", data_category="span", quantity=dropped)


def continue_trace(headers: dict[str, str]) -> None:
    """Continue the caller's trace in streamed spans.

    Args:
        headers: the caller's.
    """
    sentry_sdk.continue_trace(headers)  # type: ignore[arg-type, unused-ignore]


def start_segment(name: str, attributes: dict[str, Any], begun: int, sample_rand: float | None) -> Any:
    """Start the streamed span of a request, backdated to the request's start.

    Args:
        name: of the span.
        attributes: for the span.
        begun: the request's start, by ``time.perf_counter_ns``.
        sample_rand: the random number that was chosen then, None for the SDK's.
    """
    context = sentry_sdk.get_current_scope().get_active_propagation_context()
    if sample_rand is not None:
        # Where the SDK looks for it. It is removed again, as the span makes complete baggage of its own.
        context.baggage = Baggage({"sample_rand": f"{sample_rand:.6f}"})
    try:
        span: Any = sentry_sdk.start_span(name=name, attributes=attributes, parent_span=None)
    finally:
        if sample_rand is not None:
            context.baggage = None
    if sample_rand is not None:
        span._baggage = None
    if span.sampled:
        span._start_timestamp = datetime.fromtimestamp(wall_clock(begun), timezone.utc)
        span._start_timestamp_monotonic_ns = begun
    return span
