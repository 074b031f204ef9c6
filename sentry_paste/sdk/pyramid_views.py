"""Pyramid's views, as ``PyramidIntegration`` sees them: only those of the outer request are its own.

The integration names the request after the route of each view that is called, and so after the route of a
subrequest. Checked with sentry-sdk 2.18.0, 2.75.0 and 3.0.0b2, and Pyramid 2.0.2 and 2.1. It replaces
``pyramid.router._call_view``. Missing: requests have the integration's names.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

import sentry_sdk

from sentry_paste.sdk.scopes import current_request


def watch_pyramid_views() -> None:
    """Let the current request know of the views that Pyramid calls; do nothing if that is so already."""
    router: Any = sys.modules.get("pyramid.router")
    call_view = getattr(router, "_call_view", None)
    if call_view is None or getattr(call_view, "_is_watched", False):
        return
    # Only what the SDK has put around it: others may want to see subrequests.
    pristine = call_view
    while hasattr(pristine, "__wrapped__") and _place(pristine).startswith(("sentry_sdk.", "sentry_paste.")):
        pristine = pristine.__wrapped__

    @functools.wraps(call_view)
    def watched_call_view(registry: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        of = current_request()
        # Without the integration, requests have the names of their paths.
        if of is None or pyramid_style(sentry_sdk.get_client()) is None:
            return call_view(registry, request, *args, **kwargs)
        if not of.enters_view(request):
            return pristine(registry, request, *args, **kwargs)
        response = call_view(registry, request, *args, **kwargs)
        if response is None:
            of.has_no_view()
        return response

    watched_call_view._is_watched = True  # type: ignore[attr-defined]
    router._call_view = watched_call_view


def _place(function: Any) -> str:
    # Not its __module__, which functools.wraps takes from what is wrapped.
    return str(getattr(function, "__globals__", {}).get("__name__"))


def pyramid_style(client: Any) -> str | None:
    """Return how ``PyramidIntegration`` names requests, ``route_name`` or ``route_pattern``; None without it.

    Args:
        client: that captures.
    """
    found = client.get_integration("pyramid")
    return None if found is None else getattr(found, "transaction_style", "") or "route_name"
