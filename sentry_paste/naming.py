"""The name of a request's transaction: a rule of the ini, a framework's, or the path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentry_paste.request import native

# Sources of a name, https://develop.sentry.dev/sdk/data-model/event-payloads/transaction/.
URL, ROUTE, CUSTOM = "url", "route", "custom"


def default_name(strings: Mapping[str, str], path: str) -> str:
    """Return ``METHOD /script/path``, whose source is ``url``: one name for each path.

    Args:
        strings: the texts of a WSGI environ as it came in, before the app had it.
        path: decoded, the script's name included.
    """
    return f"{native(strings.get('REQUEST_METHOD', '')).upper()} {path}".lstrip()


def framework_name(environ: Mapping[str, Any]) -> str | None:
    """Return the name that a framework without an integration of the SDK's has left in the environ.

    Routes, which Pylons and OpenStack use, leaves the route there; others leave what the path was taken apart
    into (https://wsgi.readthedocs.io/en/latest/specifications/routing_args.html), of which a pattern cannot
    be told, but controller and action often can.

    Args:
        environ: after the app was called.
    """
    method = str(environ.get("REQUEST_METHOD", ""))
    route = environ.get("routes.route")
    pattern = getattr(route, "routepath", None)
    if isinstance(pattern, str) and pattern:
        script = environ.get("SCRIPT_NAME", "")
        return f"{method} {native(script if isinstance(script, str) else '')}/{pattern.lstrip('/')}".lstrip()
    arguments = environ.get("wsgiorg.routing_args")
    named = arguments[1] if isinstance(arguments, (tuple, list)) and len(arguments) == 2 else None
    if isinstance(named, dict):
        parts = [named.get("controller"), named.get("action")]
        if all(isinstance(part, str) and part for part in parts):
            return ".".join(map(str, parts))
    return None
