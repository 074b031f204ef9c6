"""The adapter for sentry-sdk 2: what it has under other names than sentry-sdk 3.

Checked with sentry-sdk 2.18.0 and 2.75.0. ``major`` chooses between this module and ``major3``, which has the
same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, cast

import sentry_sdk
from sentry_sdk.integrations import dedupe, logging
from sentry_sdk.integrations.logging import ignore_logger as ignore_logger
from sentry_sdk.scrubber import DEFAULT_DENYLIST as DEFAULT_DENYLIST
from sentry_sdk.scrubber import DEFAULT_PII_DENYLIST as DEFAULT_PII_DENYLIST
from sentry_sdk.scrubber import EventScrubber as EventScrubber
from sentry_sdk.utils import event_from_exception

from sentry_paste.sdk.changes import GoneOption

try:
    # Several options turn streaming on (trace_lifecycle, _experiments).
    # Missing (an SDK without streamed spans): it is off.
    from sentry_sdk.tracing_utils import has_span_streaming_enabled as _sdk_streams_spans
except ImportError:
    _sdk_streams_spans = None  # type: ignore[assignment]


try:
    # data_collection replaces send_default_pii step by step; the SDK decides which of them applies.
    # Missing (an SDK without data_collection): send_default_pii applies.
    from sentry_sdk.utils import has_data_collection_enabled as _sdk_collects
except ImportError:
    _sdk_collects = None  # type: ignore[assignment]


try:
    # The SDK's own choice of headers that are not sent without PII, for both ways to configure it
    # (send_default_pii, data_collection). Missing: no headers are sent at all.
    from sentry_sdk.integrations._wsgi_common import _filter_headers as _sdk_filter_headers
except ImportError:  # pragma: no cover
    _sdk_filter_headers = None  # type: ignore[assignment]

#: Whether a streamed span can begin late, with a random number for sampling that was chosen before.
BEGINS_SPANS_LATE = False

#: The categories in which a trace counts that was not sampled, as in ``Transaction.finish``.
LOST_WITH_A_TRACE = ("transaction", "span")

#: Defaults of options that differ from the SDK's.
DEFAULTS: Mapping[str, Any] = {}

#: Options of another major version that this one does not have, by name.
GONE_OPTIONS: Mapping[str, GoneOption] = {}

#: Arguments of integrations of another major version that this one does not have, by integration and name.
GONE_ARGUMENTS: Mapping[tuple[str, str], str] = {}

#: Names of modules that this major version has no longer, and what stands in for them.
MOVED_MODULES: Mapping[str, str] = {}

#: Options of an ini that apply to a client of the app's own.
OPTIONS_IN_REQUESTS: frozenset[str] = frozenset()

#: Options that the SDK reads at each event or trace, so that another value of them can apply from then on.
#: ``profiles_sample_rate`` only once the profiler runs, which a client starts.
RELOADABLE = frozenset(
    {"sample_rate", "traces_sample_rate", "profiles_sample_rate", "ignore_errors", "ignore_spans"}
    | {"trace_ignore_status_codes"}
)

#: Whether the variable of the last error holds weak references where that is possible.
REMEMBERS_WEAKLY = hasattr(dedupe, "weakref")


def for_client(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of an ini as the SDK's client takes them.

    Args:
        options: those that are set.
    """
    return dict(options)


def integration_class(cls: type[Any]) -> type[Any]:
    """Return the class to create an integration with.

    Args:
        cls: of the SDK.
    """
    return cls


def set_up(client: Any) -> None:
    """Change what the integrations of a new client do.

    Args:
        client: that was just created.
    """


def last_seen(client: Any) -> ContextVar[Any] | None:
    """Return the variable with the last error that ``DedupeIntegration`` has seen, None if it is off.

    Args:
        client: that captures.
    """
    return getattr(client.get_integration("dedupe"), "_last_seen", None)


def ignore_logger_for_logs(name: str) -> None:
    """Keep a logger out of log items, which have a list of their own in newer SDKs.

    Args:
        name: of the logger.
    """
    ignore = getattr(logging, "ignore_logger_for_sentry_logs", None)
    if ignore is not None:
        ignore(name)


def streams_spans(options: Mapping[str, Any]) -> bool:
    """Return whether a client sends spans one by one (``trace_lifecycle = stream``).

    Args:
        options: of the client.
    """
    return bool(_sdk_streams_spans is not None and _sdk_streams_spans(cast("dict[str, Any]", options)))


def collects(options: Mapping[str, Any]) -> bool:
    """Return whether ``data_collection`` decides what is collected.

    Args:
        options: of the client.
    """
    return bool(_sdk_collects is not None and _sdk_collects(cast("dict[str, Any]", options)))


def sends_user_info(options: Mapping[str, Any]) -> bool:
    """Return whether a client may send data that identifies the user: addresses and names.

    Args:
        options: of the client.
    """
    if collects(options):
        return bool(options["data_collection"]["user_info"])
    return bool(options.get("send_default_pii"))


def options_in_requests(options: Mapping[str, Any], ini: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
    """Return the options that a client of the app's own has in requests: its own.

    Args:
        options: of the client.
        ini: the SDK's options in the ini.
    """
    return options


def filter_headers(headers: dict[str, str], options: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Return the headers as the current client may send them.

    Args:
        headers: by their names in HTTP's spelling.
        options: of the current client.
    """
    return {} if _sdk_filter_headers is None else dict(_sdk_filter_headers(headers))


def filters_query(options: Mapping[str, Any]) -> bool:
    """Return whether the SDK's rules apply to query strings; otherwise it sends them unchanged.

    Args:
        options: of the client.
    """
    return collects(options)


def exception_event(
    error: BaseException, traceback: TracebackType | None, client: Any, mechanism: dict[str, Any]
) -> tuple[Any, Any]:
    """Return the event and the hint for an exception.

    Args:
        error: the exception.
        traceback: where its stack trace begins.
        client: the client that will capture it.
        mechanism: how it was caught.
    """
    return event_from_exception(
        (type(error), error, traceback), client_options=client.options, mechanism=mechanism
    )


def streamed_span(scope: Any) -> Any:
    """Return the streamed span of a scope, None if it has none.

    Args:
        scope: the current one.
    """
    return scope.streamed_span


def dropped_statuses(options: Mapping[str, Any]) -> frozenset[int]:  # noqa: ARG001 - major3 needs them
    """Return the statuses whose traces the filter has to drop: none, as the SDK does it.

    Args:
        options: of the ini.
    """
    return frozenset()


def drop_trace(client: Any, segment: Any) -> None:  # noqa: ARG001 - major3 needs it
    """End a request's streamed span as usual: the SDK sends streamed spans whatever their status is.

    Args:
        client: that captures.
        segment: the span, not ended.
    """
    segment.__exit__(None, None, None)


def continue_trace(headers: dict[str, str]) -> None:
    """Continue the caller's trace in streamed spans.

    Args:
        headers: the caller's.
    """
    sentry_sdk.traces.continue_trace(headers)


def start_segment(
    name: str,
    attributes: dict[str, Any],
    begun: int,  # noqa: ARG001 - major3 needs it
    sample_rand: float | None,  # noqa: ARG001
) -> Any:
    """Start the streamed span of a request.

    Args:
        name: of the span.
        attributes: for the span.
        begun: the request's start.
        sample_rand: None, as the SDK chooses it.
    """
    return sentry_sdk.traces.start_span(name=name, attributes=attributes, parent_span=None)
