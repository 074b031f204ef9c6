"""Pyramid's views, as ``PyramidIntegration`` sees them: only those of the outer request are its own.

The integration names the request after the route of each view that is called, and so after the route of a
subrequest. It does so, and more, in each request, although few requests need it. In requests of the filter
its own functions are not called until they are needed: ``pyramid_work``.

Checked with sentry-sdk 2.18.0, 2.75.0 and 3.0.0b2, and Pyramid 2.0.2 and 2.1. The integration replaces
``pyramid.router._call_view`` and ``Router.__call__``. Missing: requests have the integration's names, and it
does its work in each of them.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import sentry_sdk

from sentry_paste.sdk.failures import log_failure
from sentry_paste.sdk.major import adapter
from sentry_paste.sdk.pyramid_work import error_reporter, place_of, without_view
from sentry_paste.sdk.scopes import current_request, unused_request, wsgi_middleware_applied


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
    while function is not None and not place_of(function).startswith("sentry_sdk."):
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
    while hasattr(function, "__wrapped__") and place_of(function).startswith(_PLACES):
        around.append(function)
        function = function.__wrapped__
    return around, function


def _watched_view(call_view: Any) -> Any:
    around, pristine = _unwrapped(call_view)
    work = without_view([function for function in around if place_of(function) != __name__])

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
    report_error = error_reporter(call_app) if pristine is not call_app else None
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


def pyramid_style(client: Any) -> str | None:
    """Return how ``PyramidIntegration`` names requests, ``route_name`` or ``route_pattern``; None without it.

    Args:
        client: that captures.
    """
    found = client.get_integration("pyramid")
    return None if found is None else getattr(found, "transaction_style", "") or "route_name"
