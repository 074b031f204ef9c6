"""The sample rate of requests to the example: a ``traces_sampler`` that the ini names."""

from __future__ import annotations

from typing import Any


def sample_rate(context: dict[str, Any]) -> float:
    """Return 0 for the index page, static files and the debug toolbar, else 1.

    Args:
        context: sampling context of the SDK, with the request's environ as ``wsgi_environ``
            (https://docs.sentry.io/platforms/python/configuration/sampling/).
    """
    path = context["wsgi_environ"].get("PATH_INFO", "")
    is_aside = path in ("", "/", "/favicon.ico") or path.startswith(("/static/", "/_debug_toolbar/"))
    return 0.0 if is_aside else 1.0
