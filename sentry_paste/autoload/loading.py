"""Load an app of PasteDeploy's, with Sentry around it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from sentry_paste import sdk
from sentry_paste.client.registry import registry
from sentry_paste.config.reload_sources import EnvironmentSource
from sentry_paste.config.variables import read_environment
from sentry_paste.middleware import Application, SentryMiddleware, around, load_with_client
from sentry_paste.sdk.failures import announce, warn

_FACTORIES = "sentry_paste.factories"
_MENTION = re.compile(r"\bsentry[_.-]+paste\b(?![#.](?:example|health|inbox))", re.IGNORECASE)
_COMMENT = re.compile(r"^[#;].*", re.MULTILINE)
_INCLUDED = re.compile(r"\bconfig:([^\s#]+)")
# How many files are searched at most.
_MAX_FILES = 20


class Load:
    """The load of an app, outermost.

    Args:
        context: PasteDeploy's, of the app.

    Attributes:
        has_own: whether the ini has put a filter of ours somewhere.
    """

    def __init__(self, context: Any) -> None:
        self._path = context.global_conf.get("__file__", "")
        self.has_own = has_own(context)

    def look_at(self, context: Any) -> None:
        """Look at a part that is being created: a composite loads its parts itself.

        Args:
            context: PasteDeploy's, of the part.
        """
        self.has_own = self.has_own or has_own(context)

    def run(self, create: Callable[[], Application]) -> Application:
        """Return the app, in Sentry.

        Args:
            create: creates it.

        Raises:
            ConfigError: an option is unknown or has a wrong value.
            BaseException: whatever the app's factory raises.
        """
        # What a request loads is called by that request, which is in Sentry.
        if self.has_own or sdk.wsgi_middleware_applied.get(False):
            return self._without(create())
        settings = read_environment(os.environ)
        # The first client of a process serves its threads as well: it is the ini's, if the ini has a filter.
        may_have_own = isinstance(self._path, str) and _mentions_us(self._path)
        app = create() if may_have_own else load_with_client(settings, create)
        if self.has_own or isinstance(app, SentryMiddleware) or not callable(app):
            return self._without(app)
        wrapped = around(app, settings, EnvironmentSource)
        if wrapped is app:
            announce(f"sentry-paste run reports nothing of {self._path or 'the app'}: set dsn or spool_dir")
        return wrapped

    def _without(self, app: Application) -> Application:
        if self.has_own or isinstance(app, SentryMiddleware):
            announce_own(self._path, bool(registry.clients() or sdk.active_client()))
        return app


def has_own(context: Any) -> bool:
    """Return whether the ini has put a filter of ours into a context, as far as that is known by then.

    Args:
        context: PasteDeploy's, of an app or a filter.
    """
    return any(
        getattr(found.object, "__module__", "") == _FACTORIES
        or "sentry_paste" in str(found.local_conf.get("pyramid.includes", "")).split()
        for found in _contexts(context)
    )


def _contexts(context: Any) -> Iterator[Any]:
    yield context
    parts = [getattr(context, name, None) for name in ("app_context", "next_context", "filter_context")]
    for part in [*parts, *getattr(context, "filter_contexts", [])]:
        if part is not None:
            yield from _contexts(part)


@lru_cache
def announce_own(path: Any, reports: bool = True) -> None:
    """Say, once for each ini, that it has a filter of ours.

    Args:
        path: of the ini.
        reports: whether that filter has anywhere to report to.
    """
    text = f"sentry-paste run adds no filter to {path or 'the app'}, which has one of sentry_paste already"
    if reports:
        announce(text)
    else:
        warn("%s, and that one has neither dsn nor spool_dir: nothing is reported", text)


def _mentions_us(path: str) -> bool:
    """Return whether a file, or one that it includes, has a value that could name a filter of ours."""
    files = [path]
    for file in files:
        try:
            with open(file, encoding="utf-8", errors="replace") as opened:
                text = opened.read()
        except OSError:
            continue
        text = _COMMENT.sub("", text)
        if _MENTION.search(text):
            return True
        here = os.path.dirname(file)
        for name in _INCLUDED.findall(text):
            found = os.path.normpath(os.path.join(here, unquote(name.replace("%(here)s", here))))
            if found not in files and os.path.isfile(found) and len(files) < _MAX_FILES:
                files.append(found)
    return False


def insert(loadwsgi: Any, context: Any) -> None:
    """Insert a filter into a pipeline of Swift's, where one in its ini would be.

    Args:
        loadwsgi: the module ``paste.deploy.loadwsgi``.
        context: of the pipeline.
    """
    context.app_context.sentry_is_inside = True
    if has_own(context):
        announce_own(context.global_conf.get("__file__"))
        return
    names = [found.entry_point_name for found in context.filter_contexts]
    # catch_errors answers every error with a page: Sentry belongs inside it.
    index = 1 if names[:1] == ["catch_errors"] else 0
    made = loadwsgi.LoaderContext(
        _filter_factory, loadwsgi.FILTER, "paste.filter_factory", context.global_conf, {}, context.loader
    )
    made.name = "sentry"
    context.filter_contexts.insert(index, made)


def _filter_factory(_global_conf: Any) -> Callable[[Application], Application]:
    settings = read_environment(os.environ)
    registry.client_for(settings)
    return lambda app: around(app, settings, EnvironmentSource)
