"""The name of a request's transaction: a rule of the ini, a framework's, or the path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentry_paste.wsgi.environ import native

# Sources of a name, https://develop.sentry.dev/sdk/data-model/event-payloads/transaction/.
URL, ROUTE, COMPONENT, CUSTOM = "url", "route", "component", "custom"


def default_name(strings: Mapping[str, str], path: str) -> str:
    """Return ``METHOD /script/path``, whose source is ``url``: one name for each path.

    Args:
        strings: the texts of a WSGI environ as it came in, before the app had it.
        path: decoded, the script's name included.
    """
    return f"{native(strings.get('REQUEST_METHOD', '')).upper()} {path}".lstrip()


#: The keys that ``framework_name`` looks at.
FRAMEWORK_KEYS = ("routes.route", "wsgiorg.routing_args", "tg.locals")


def framework_name(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the name, and its source, that a framework without an integration of the SDK's has left.

    Args:
        environ: as the app has changed it.
    """
    if environ.keys().isdisjoint(FRAMEWORK_KEYS):
        return None
    return _of_routes(environ) or _of_routing_args(environ) or _of_turbogears(environ)


def _of_routes(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the pattern of a route of Routes, which Pylons and OpenStack use."""
    pattern = getattr(environ.get("routes.route"), "routepath", None)
    if not isinstance(pattern, str) or not pattern:
        return None
    script = environ.get("SCRIPT_NAME", "")
    path = f"{native(script if isinstance(script, str) else '')}/{pattern.lstrip('/')}"
    return f"{environ.get('REQUEST_METHOD', '')} {path}".lstrip(), ROUTE


def _of_routing_args(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return controller and action of https://wsgi.readthedocs.io/en/latest/specifications/routing_args.html."""
    arguments = environ.get("wsgiorg.routing_args")
    named = arguments[1] if isinstance(arguments, (tuple, list)) and len(arguments) == 2 else None
    parts = [named.get("controller"), named.get("action")] if isinstance(named, dict) else [None]
    return (
        (".".join(map(str, parts)), ROUTE) if all(isinstance(part, str) and part for part in parts) else None
    )


def _of_turbogears(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return controller and method that TurboGears 2 has found; it forgets them when its app returns."""
    state = getattr(getattr(environ.get("tg.locals"), "request", None), "dispatch_state", None)
    method = getattr(getattr(state, "action", None), "__name__", None)
    if not isinstance(method, str):
        return None
    cls = type(getattr(state, "controller", None))
    return f"{cls.__module__}.{cls.__qualname__}.{method}", COMPONENT
