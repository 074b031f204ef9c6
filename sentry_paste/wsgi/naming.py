"""The name of a request's transaction: the path, or the name that a framework has left in the environ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sentry_paste.wsgi.environ import native
from sentry_paste.wsgi.real_types import is_real

# Sources of a name, https://develop.sentry.dev/sdk/data-model/event-payloads/transaction/.
URL, ROUTE, COMPONENT, CUSTOM = "url", "route", "component", "custom"


def default_name(strings: Mapping[str, str], path: str) -> str:
    """Return ``METHOD /script/path``, a name with the source ``url``.

    Args:
        strings: the texts of a WSGI environ, before the app has changed it.
        path: decoded, including the script name.
    """
    return f"{native(strings.get('REQUEST_METHOD', '')).upper()} {path}".lstrip()


_LONGEST_PATTERN = 2000

#: The keys of the environ that ``framework_name`` reads.
FRAMEWORK_KEYS = ("routes.route", "wsgiorg.routing_args", "tg.locals", "bottle.route")


def framework_name(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the name and its source from a framework, where an integration of the SDK has set none.

    Args:
        environ: as the app has changed it.
    """
    if environ.keys().isdisjoint(FRAMEWORK_KEYS):
        return None
    for found in (_of_routes, _of_routing_args, _of_turbogears, _of_bottle):
        # An object of the app's that raises when its attributes are read has no name.
        with suppress(Exception):
            name = found(environ)
            if name is not None:
                return name
    return None


def _of_routes(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the pattern of the matched route of Routes, which Pylons and OpenStack use."""
    pattern = getattr(environ.get("routes.route"), "routepath", None)
    if not is_real(pattern, str) or not pattern:
        return None
    script, pattern = environ.get("SCRIPT_NAME", ""), _without_expressions(pattern)
    path = f"{native(script if is_real(script, str) else '')}/{pattern.lstrip('/')}"
    return f"{environ.get('REQUEST_METHOD', '')} {path}".lstrip(), ROUTE


# Of Routes: {name:expression}, whose braces may be nested once, and the older :(name) and :name.
_EXPRESSION = re.compile(r"\{(\w+):(?:[^{}]|\{[^{}]*\})*\}")
_OLD_NAME = re.compile(r"(?<![\w{}]):(?:\((\w+)\)|(\w+))")


def _without_expressions(pattern: str) -> str:
    """Return a pattern of Routes as a person reads it: ``/v2/{project_id}/shares/{id}``."""
    if len(pattern) > _LONGEST_PATTERN:
        return pattern
    found = _EXPRESSION.sub(r"{\1}", pattern)
    return _OLD_NAME.sub(lambda match: f"{{{match[1] or match[2]}}}", found)


def _of_routing_args(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return controller and action of https://wsgi.readthedocs.io/en/latest/specifications/routing_args.html."""
    arguments: Any = environ.get("wsgiorg.routing_args")
    named: Any = arguments[1] if is_real(arguments, tuple, list) and len(arguments) == 2 else None
    parts = [named.get("controller"), named.get("action")] if is_real(named, dict) else [None]
    return (".".join(map(str, parts)), ROUTE) if all(is_real(part, str) and part for part in parts) else None


def _of_turbogears(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the controller and method of TurboGears 2, which forgets them when its app returns."""
    state = getattr(getattr(environ.get("tg.locals"), "request", None), "dispatch_state", None)
    method = getattr(getattr(state, "action", None), "__name__", None)
    if not is_real(method, str):
        return None
    cls = type(getattr(state, "controller", None))
    return f"{cls.__module__}.{cls.__qualname__}.{method}", COMPONENT


def _of_bottle(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the rule of Bottle's route: sentry-sdk 3 does not name requests that crash."""
    rule = getattr(environ.get("bottle.route"), "rule", None)
    return (rule, ROUTE) if is_real(rule, str) and rule else None
