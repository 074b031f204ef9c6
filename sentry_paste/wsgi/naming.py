"""The name of a request's transaction: the path, or the name that a framework has left in the environ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from types import FrameType, TracebackType
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
FRAMEWORK_KEYS = ("routes.route", "wsgiorg.routing_args", "paste.registry", "bottle.route")


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
    pattern = "/" + _without_expressions(pattern).lstrip("/")
    mount = _mount_of_routes(environ)
    rest = _PATH_INFO.search(pattern)
    if rest is not None:
        prefix = pattern[: rest.start()]
        mount, pattern = _without_prefix(mount, prefix), f"{prefix}/{{path_info}}"
    return f"{environ.get('REQUEST_METHOD', '')} {mount}{pattern}".lstrip(), ROUTE


# The rest of the path, for another app: Routes moves what comes before it from PATH_INFO to SCRIPT_NAME.
_PATH_INFO = re.compile(r"/?(?:\{path_info\}|\*\(path_info\)|\*path_info)$")


def _mount_of_routes(environ: Mapping[str, Any]) -> str:
    """Return the path below which a mapper's patterns are.

    For a pattern without a slash, as ``/v3{path_info:.*}``, Routes moves the whole path.
    """
    given: tuple[Any, Any] = environ.get("SCRIPT_NAME"), environ.get("PATH_INFO")
    script, path = (native(found) if is_real(found, str) else "" for found in given)
    return (script[: -len(path)] if path and script.endswith(path) else script).rstrip("/")


def _without_prefix(mount: str, prefix: str) -> str:
    """Return a path without the last part of it that a pattern's prefix matches, and what follows it."""
    parts, wanted = mount.split("/"), prefix.split("/")[1:]
    for start in range(len(parts) - len(wanted), 0, -1):
        if all("{" in name or name == part for name, part in zip(wanted, parts[start:])):
            return "/".join(parts[:start])
    return mount


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


# TurboGears has dispatched the request again, for its error page.
_ERROR_PAGE_KEYS = ("tg.original_request", "backlash.exc_info")

# TurboGears' own, and the one of Paste that it comes from.
_REGISTRIES = ("tg.support.registry", "paste.registry")


def _of_turbogears(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the controller and method of TurboGears 2, which forgets them when its app returns.

    Its registry still has them when repoze.who, which the quickstart puts around the app, starts the
    response; ``tg.locals`` is gone by then.
    """
    registry: Any = environ.get("paste.registry")
    if type(registry).__module__ not in _REGISTRIES or any(key in environ for key in _ERROR_PAGE_KEYS):
        return None
    # The registered objects, each with its proxy, of the innermost manager.
    for _, value in registry.reglist[-1].values():
        if type(value).__module__.startswith("tg."):
            name = _of_dispatch(getattr(getattr(value, "request", None), "dispatch_state", None))
            if name is not None:
                return name
    return None


def _of_dispatch(state: Any) -> tuple[str, str] | None:
    method = getattr(getattr(state, "action", None), "__name__", None)
    if not is_real(method, str):
        return None
    cls = type(getattr(state, "controller", None))
    return f"{cls.__module__}.{cls.__qualname__}.{method}", COMPONENT


def _of_bottle(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the rule of Bottle's route: sentry-sdk 3 does not name requests that crash."""
    rule = getattr(environ.get("bottle.route"), "rule", None)
    return (rule, ROUTE) if is_real(rule, str) and rule else None


# Frames of a traceback that are looked at, from the outermost: those of a framework come first.
_MOST_FRAMES = 100


def name_in_traceback(traceback: TracebackType | None, pyramid_style: str | None) -> tuple[str, str] | None:
    """Return the name and its source from the frames of the framework that a crash has passed through.

    Pyramid tells nobody of a route whose factory crashes, and TurboGears forgets what it has dispatched when
    it shows its error page.

    Args:
        traceback: of the crash.
        pyramid_style: ``route_name``, ``route_pattern``, or None if Pyramid names no requests.
    """
    for frame in islice(_frames(traceback), _MOST_FRAMES):
        place = frame.f_globals.get("__name__"), frame.f_code.co_name
        # An object of the app's may raise when its attributes are read.
        with suppress(Exception):
            if place == ("pyramid.router", "handle_request") and pyramid_style is not None:
                return _of_pyramid(frame.f_locals, pyramid_style)
            if place == ("tg.controllers.dispatcher", "_perform_call"):
                return _of_dispatch(frame.f_locals.get("state"))
    return None


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _of_pyramid(variables: Mapping[str, Any], style: str) -> tuple[str, str] | None:
    attributes = vars(variables["request"])
    route = attributes.get("matched_route")
    if route is None:
        return None
    return (route.name, COMPONENT) if style == "route_name" else (route.pattern, ROUTE)


def traversed_by(attributes: Mapping[str, Any]) -> tuple[type, str] | None:
    """Return the class of the context and the name of the view to which Pyramid has traversed.

    Args:
        attributes: of Pyramid's request.

    Returns:
        None if a route has matched, or traversal has not ended.
    """
    view: Any = attributes.get("view_name")
    if attributes.get("matched_route") is not None or not is_real(view, str):
        return None
    return type(attributes.get("context")), view


def name_of_traversal(context: type, view: str) -> tuple[str, str]:
    """Return a name and its source: the class of the context, and the view if it has a name.

    Args:
        context: class of the context.
        view: its name, empty for the default view.
    """
    return ".".join(part for part in (context.__module__, context.__qualname__, view) if part), COMPONENT
