"""The WSGI middleware, and what puts it around an app."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from time import monotonic
from typing import Any

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.client.registry import registry
from sentry_paste.client.reloading import Watch, reloading
from sentry_paste.client.views import ClientsAgain
from sentry_paste.config import ConfigError, Settings, read_keywords
from sentry_paste.config.reload_sources import Source
from sentry_paste.request import zope
from sentry_paste.request.body import wrap
from sentry_paste.request.filter_state import FilterState
from sentry_paste.request.lifecycle import Lifecycle
from sentry_paste.request.tracing import TRACE_META, TRACE_META_KEY
from sentry_paste.sdk.failures import log_failure, warn
from sentry_paste.wsgi.errors import is_error

# How long a crash at start-up is delayed while it is sent, in seconds: the process is about to end.
_FLUSH_SECONDS = 2.0

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Any]
FindSource = Callable[[], "Source | None"]


class SentryMiddleware:
    """Put Sentry around a WSGI application.

    Args:
        app: the application (PEP 3333).
        settings: from an ini; by default they are made from the options.
        options: any option of the ini, by name: ``SentryMiddleware(app, dsn="...")``. Text is parsed as in
            an ini, other values are used as they are.

    Raises:
        ConfigError: an option is unknown or has a wrong value.
        TypeError: both settings and options are given.
    """

    # No __slots__: Swift's loader sets attributes on every member of a pipeline.

    def __init__(self, app: Application, settings: Settings | None = None, **options: Any) -> None:
        if settings is None:
            settings = read_keywords(options)
        elif options:
            raise TypeError("give SentryMiddleware settings or options, not both")
        self.app = app
        self.settings = settings
        self.client = registry.client_for(settings)
        registry.add_filter(self, self.client, settings)
        self.filter_state = FilterState(settings, self.client)
        zope.subscribe()
        sdk.carry_scopes()

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the app that the middleware does not have.

        Scripts read ``registry`` of what Pyramid's ``get_app`` returns (OCA/server-tools #3223).

        Args:
            name: of the attribute.

        Raises:
            AttributeError: the app does not have it either.
        """
        # While it is copied it has no app; and what Python asks for by such names is about the middleware.
        if name == "app" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.app, name)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Any:
        """Call the application, in the request's own context and scopes.

        Args:
            environ: of the request.
            start_response: the server's.

        Raises:
            BaseException: whatever the application raises, the same object.
        """
        client = self.client or sdk.active_client()
        if client is None:
            return self.app(environ, start_response)
        if sdk.wsgi_middleware_applied.get(False):
            # A request within a request, as Swift's proxy makes them: its secrets are hidden as well.
            sdk.record_inner_request(environ)
            return self.app(environ, start_response)
        file_wrapper = environ.get("wsgi.file_wrapper")
        lifecycle = Lifecycle(self.filter_state)
        if not lifecycle.open(environ, client):
            return self.app(environ, start_response)
        environ[TRACE_META_KEY] = TRACE_META
        try:
            body = lifecycle.run(self.app, environ, lifecycle.watch(start_response))
        except BaseException as error:
            lifecycle.capture(error)
            page = lifecycle.page_for(error)
            if page is None:
                lifecycle.finish()
                raise
            body = page
        return wrap(body, lifecycle, file_wrapper)


class ReloadingMiddleware(SentryMiddleware):
    """A middleware whose rules and rates are read again while the app runs (``reload``).

    A request belongs to the ``SentryMiddleware`` that is the current one when it begins, and ends with that:
    another one takes its place when the ini has changed, and nothing in it changes.

    Args:
        app: the application.
        settings: from an ini.
        watch: over the files of the settings.
    """

    def __init__(self, app: Application, settings: Settings, watch: Watch) -> None:
        self._current = SentryMiddleware(app, settings)
        self._show()
        registry.add_filter(self, self.client, settings)
        registry.remove_filter(self._current)
        self._watch = watch
        self._reloading = reloading
        watch.add(self)
        reloading.show()

    @property
    def app(self) -> Application:
        """The application; another one may be set, as with a ``SentryMiddleware``."""
        try:
            current: SentryMiddleware = vars(self)["_current"]
        except KeyError:  # while it is copied
            raise AttributeError("app") from None
        return current.app

    @app.setter
    def app(self, app: Application) -> None:
        after = copy(self._current)
        after.app = app
        self._current = after

    def prepare(self, settings: Settings, clients: ClientsAgain) -> Callable[[], None]:
        """Return what uses other settings for the requests that begin once it has been called.

        Nothing changes before. What may fail does so here, so that all filters change or none.

        Args:
            settings: which differ from the current ones only in what is reloadable.
            clients: with these settings.
        """
        after = copy(self._current)
        after.settings = settings
        after.client = after.client if after.client is None else clients.of(after.client)
        after.filter_state = after.filter_state.again(settings, after.client)
        return partial(self._use, after)

    def _use(self, after: SentryMiddleware) -> None:
        after.app = self.app  # it may have been replaced meanwhile
        self._current = after
        self._show()
        registry.add_filter(self, self.client, self.settings)

    def _show(self) -> None:
        """Show the attributes of the current one to whoever looks at them; requests have their own."""
        now = self._current
        self.settings, self.client, self.filter_state = now.settings, now.client, now.filter_state

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Any:
        """Call the application, with the rules that apply when the request begins.

        Args:
            environ: of the request.
            start_response: the server's.

        Raises:
            BaseException: whatever the application raises, the same object.
        """
        if monotonic() >= self._reloading.due:
            self._reloading.look()
        return self._current(environ, start_response)


def around(app: Application, settings: Settings, find_source: FindSource | None = None) -> Application:
    """Put Sentry around an app; return the app itself if nothing can be sent.

    Args:
        app: the application.
        settings: from an ini.
        find_source: returns where the settings come from, to read them again if they say so.
    """
    if registry.client_for(settings) is None and sdk.active_client() is None:
        return app
    if not settings.reload:
        return SentryMiddleware(app, settings)
    return reloading_around(app, settings, find_source)


def reloading_around(
    app: Application, settings: Settings, find_source: FindSource | None
) -> SentryMiddleware:
    """Put Sentry around an app whose ini says ``reload``.

    Args:
        app: the application.
        settings: from an ini.
        find_source: returns where the settings come from, None if that is not known.
    """
    try:
        source = find_source() if find_source is not None else None
        if source is not None:
            return ReloadingMiddleware(app, settings, reloading.watch(source, settings))
        reason = "the options are not the same when they are read from the file again"
    except ConfigError as error:
        reason = "; ".join(problem.reason for problem in error.problems)
    except Exception:
        log_failure("the ini is not read again while the app runs")
        return SentryMiddleware(app, settings)
    warn("%s: reload has no effect: %s", settings.source, reason)
    return SentryMiddleware(app, settings)


def load_with_client(settings: Settings, load: Callable[[], Application]) -> Application:
    """Start Sentry, load an app, and report a crash of that.

    Args:
        settings: from an ini.
        load: returns the app.

    Raises:
        BaseException: whatever it raises.
    """
    client = registry.client_for(settings)
    try:
        return load()
    except BaseException as error:
        if is_error(error):
            _report_start_up_crash(error, client or sdk.active_client())
        raise


def _report_start_up_crash(error: BaseException, client: Any) -> None:
    if client is None:
        return
    try:
        with sentry_sdk.new_scope() as scope:
            sdk.bind_client(scope, client)
            mechanism = {"type": "paste.deploy", "handled": False}
            event, hint = sdk.exception_event(error, error.__traceback__, client, mechanism)
            scope.capture_event(event, hint=hint)
            client.flush(timeout=_FLUSH_SECONDS)
    except Exception:
        log_failure("a crash at start-up is not reported")
