"""Pyramid's views, as ``PyramidIntegration`` sees them: only those of the outer request are its own.

The integration names the request after the route of each view that is called, and so after the route of a
subrequest. Before each view, its function writes to the scopes: the name of the request, its route, and an
event processor for its body, its cookies and its user, although few requests need them. In requests of the
filter, a copy of that function, which is made to call no view, does so when it is needed.

Checked with sentry-sdk 2.18.0, 2.75.0 and 3.0.0b2, and Pyramid 2.0.2 and 2.1. The integration replaces
``pyramid.router._call_view`` and ``Router.__call__``. Missing, or if a function does anything that is not
known here: requests have the integration's names, and it does its work in each of them.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import CellType, CodeType, FunctionType
from typing import Any

import sentry_sdk

from sentry_paste.sdk.failures import log_failure
from sentry_paste.sdk.major import adapter
from sentry_paste.sdk.scopes import current_request, unused_request, wsgi_middleware_applied

# Everything that the integration's function uses before it calls a view: the request is read, scopes are
# written to. What uses anything else, such as a span around the view, may not be able to wait.
_BEFORE_VIEWS = frozenset(
    {
        *("sentry_sdk", "PyramidIntegration", "SPANDATA", "HTTP_ROUTE", "SegmentNameSource", "ROUTE"),
        *("get_client", "get_integration", "get_current_scope", "get_isolation_scope", "options"),
        *("has_span_streaming_enabled", "has_data_collection_enabled", "should_send_default_pii"),
        *("matched_route", "pattern", "name", "transaction_style", "authenticated_userid"),
        *(
            "_set_transaction_name_and_source",
            "set_transaction_name",
            "_server_segment_span",
            "set_attribute",
        ),
        *("set_user", "add_event_processor", "_make_event_processor", "weakref", "ref", "Exception"),
        # Of our own for sentry-sdk 3.
        *("getattr", "suppress"),
    }
)

# Everything that the integration's function uses around an app.
_AROUND_APPS = frozenset(
    {
        *("SentryWsgiMiddleware", "PyramidIntegration", "origin"),
        *("Exception", "sys", "exc_info", "_capture_exception", "reraise"),
    }
)


def watch_pyramid_views(client: Any) -> bool:
    """Let requests know of the views that Pyramid calls, if a client has ``PyramidIntegration``.

    Args:
        client: that captures.

    Returns:
        Whether the integration's work on a request can wait until the request's scopes are used.
    """
    router: Any = sys.modules.get("pyramid.router")
    # Without the integration, requests have the names of their paths.
    if router is None or pyramid_style(client) is None:
        return False
    _watch(router, "_call_view", _watched_view)
    _watch(getattr(router, "Router", None), "__call__", _watched_app)
    # The integration asks the app who is signed in. Later the app may not know any more.
    options = client.options
    return not (adapter.streams_spans(options) and adapter.sends_user_info(options))


def pyramid_style(client: Any) -> str | None:
    """Return how ``PyramidIntegration`` names requests, ``route_name`` or ``route_pattern``; None without it.

    Args:
        client: that captures.
    """
    found = client.get_integration("pyramid")
    return None if found is None else getattr(found, "transaction_style", "") or "route_name"


def _watch(owner: Any, name: str, watched: Callable[[Any], Any]) -> None:
    function = getattr(owner, name, None)
    if function is None or _is_watched(function):
        return
    try:
        made = watched(function)
        if made is not None:
            made._sentry_paste_watches = made
            setattr(owner, name, made)
    except Exception:  # it is not what it was in the versions above
        log_failure("requests of Pyramid are slower, and may have names of subrequests")


def _is_watched(function: Any) -> bool:
    """Return whether a function, or one that it wraps, is ours and is called before the SDK's."""
    while function is not None and not _place_of(function).startswith("sentry_sdk."):
        # functools.wraps copies attributes.
        if getattr(function, "_sentry_paste_watches", None) is function:
            return True
        function = getattr(function, "__wrapped__", None)
    return False


_PLACES = ("sentry_sdk.", "sentry_paste.")


def _unwrapped(function: Any) -> tuple[list[Any], Any]:
    """Return the functions that the SDK and we have put around another one, from the outermost, and that one.

    Only those: others may want to see subrequests.
    """
    around = []
    while hasattr(function, "__wrapped__") and _place_of(function).startswith(_PLACES):
        around.append(function)
        function = function.__wrapped__
    return around, function


def _watched_view(call_view: Any) -> Any:
    around, pristine = _unwrapped(call_view)
    work = _without_view([function for function in around if _place_of(function) != __name__])

    @functools.wraps(call_view)
    def watched_at_once(registry: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        of = current_request()
        if of is None or pyramid_style(sentry_sdk.get_client()) is None:
            return call_view(registry, request, *args, **kwargs)
        if not of.enters_view(request):
            return pristine(registry, request, *args, **kwargs)
        response = call_view(registry, request, *args, **kwargs)
        if response is None:
            of.has_no_view()
        return response

    @functools.wraps(call_view)
    def watched(registry: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        of = unused_request()
        if of is None or not of.defers_views:
            return watched_at_once(registry, request, *args, **kwargs)
        if not of.enters_view(request, work):
            return pristine(registry, request, *args, **kwargs)
        # A thread may be using the scopes now. Then the work may be done twice.
        call = pristine if of.data is None else call_view
        response = call(registry, request, *args, **kwargs)
        if response is None:
            of.has_no_view()
        return response

    return watched_at_once if work is None else watched


def _watched_app(call_app: Any) -> Any:
    pristine = _unwrapped(call_app)[1]
    report_error = _error_reporter(call_app) if pristine is not call_app else None
    if report_error is None:
        return None

    is_applied = wsgi_middleware_applied.get

    @functools.wraps(call_app)
    def watched_app(router: Any, environ: Any, start_response: Any) -> Any:
        __tracebackhide__ = True
        # Under the filter, the SDK's middleware that the integration puts around the app does nothing.
        if not is_applied(False) or current_request() is None:
            return call_app(router, environ, start_response)
        try:
            return pristine(router, environ, start_response)
        except Exception:
            report_error(sys.exc_info())
            raise

    return watched_app


def _place_of(function: Any) -> str:
    """Return the module that a function was written in; ``functools.wraps`` changes its ``__module__``."""
    return str(getattr(function, "__globals__", {}).get("__name__"))


class _Request:
    """Stands in for a request of Pyramid that does not exist any more.

    Args:
        route: that was matched, None if there is none.
    """

    def __init__(self, route: Any) -> None:
        self.matched_route = route


def _without_view(around: list[Any]) -> Callable[[Any, Any], None] | None:
    """Return a function that does what others do before they call a view, in the request's scopes.

    It takes the route and a weak reference to Pyramid's request.

    Args:
        around: functions around ``_call_view``, from the outermost; each has the next one as ``__wrapped__``.

    Returns:
        None if they do anything that is not known.
    """
    if not around or any(not _uses_only(function, _BEFORE_VIEWS) for function in around):
        return None
    inner: Any = _no_view
    for function in reversed(around):
        inner = _calling(function, inner)
        if inner is None:
            return None

    def work(route: Any, request: Callable[[], Any]) -> None:
        try:
            inner(None, request() or _Request(route))
        except Exception:
            log_failure("a request of Pyramid has no route")

    return work


def _no_view(_registry: Any, _request: Any) -> None:
    """Stand in for ``_call_view``."""


def _calling(function: Any, other: Any) -> Any:
    """Return a copy of a function that calls another one than it wraps, None if it wraps none."""
    wrapped = function.__wrapped__
    cells = [CellType(other) if _holds(cell, wrapped) else cell for cell in function.__closure__ or ()]
    if cells == list(function.__closure__ or ()):
        return None
    return FunctionType(function.__code__, function.__globals__, function.__name__, None, tuple(cells))


def _holds(cell: CellType, value: Any) -> bool:
    with suppress(ValueError):  # it is empty
        return cell.cell_contents is value
    return False


def _error_reporter(call_app: Any) -> Callable[[Any], None] | None:
    """Return the function with which the integration reports an error that an app has raised.

    It takes what ``sys.exc_info`` returns.

    Args:
        call_app: the integration's function, which ``ensure_integration_enabled`` has wrapped.

    Returns:
        None if the integration does anything else around an app.
    """
    for cell in call_app.__closure__ or ():
        function = cell.cell_contents
        if _place_of(function) == "sentry_sdk.integrations.pyramid" and _uses_only(function, _AROUND_APPS):
            found: Any = function.__globals__.get("_capture_exception")
            return found if callable(found) else None
    return None


def _uses_only(function: Any, names: frozenset[str]) -> bool:
    code = getattr(function, "__code__", None)
    return isinstance(code, CodeType) and all(names.issuperset(each.co_names) for each in _codes(code))


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of a function and of those that are defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
