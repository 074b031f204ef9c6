"""PasteDeploy factories: filter, filter app and composite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.client.registry import registry
from sentry_paste.config import ConfigError, Settings, read_ini
from sentry_paste.config.errors import Problem
from sentry_paste.middleware import Application, SentryMiddleware
from sentry_paste.sdk.failures import log_failure
from sentry_paste.wsgi.errors import is_error

# How long a crash at start-up is delayed while it is sent, in seconds: the process is about to end.
_FLUSH_SECONDS = 2.0


def filter_factory(global_conf: dict[str, str], /, **local_conf: str) -> Callable[[Application], Application]:
    """Return a filter that puts Sentry around an app (``paste.filter_factory``).

    Sentry is running when this returns. If the options have nowhere to send to and no Sentry client is
    active, the filter returns the app itself.

    Args:
        global_conf: the ini's ``[DEFAULT]``.
        local_conf: the options of the section; keys such as ``__name__`` are ignored.

    Raises:
        ConfigError: an option is unknown, has a wrong value or names what cannot be imported.
    """
    settings = read_ini(global_conf, local_conf)
    registry.client_for(settings)

    def sentry_filter(app: Application) -> Application:
        return _around(app, settings)

    return sentry_filter


def filter_app_factory(app: Application, global_conf: dict[str, str], /, **local_conf: str) -> Application:
    """Put Sentry around an app (``paste.filter_app_factory``).

    Args:
        app: the application.
        global_conf: the ini's ``[DEFAULT]``.
        local_conf: the options of the section.

    Raises:
        ConfigError: as ``filter_factory``.
    """
    return filter_factory(global_conf, **local_conf)(app)


def composite_factory(
    loader: Any, global_conf: dict[str, str], /, app: str = "", **local_conf: str
) -> Application:
    """Start Sentry, load an app, and put Sentry around it (``paste.composite_factory``).

    A pipeline makes its app before its filters. With a composite, a crash of the app's factory is reported,
    too, and raised again.

    Args:
        loader: PasteDeploy's.
        global_conf: the ini's ``[DEFAULT]``.
        app: name of the app's section.
        local_conf: the options, as in a filter's section.

    Raises:
        ConfigError: as ``filter_factory``.
        BaseException: whatever the app's factory raises.
    """
    settings = read_ini(global_conf, local_conf)
    if not app:
        raise ConfigError(settings.source, [Problem("app", None, "expected the name of the app's section")])
    client = registry.client_for(settings)
    try:
        loaded = loader.get_app(app, global_conf=global_conf)
    except BaseException as error:
        if is_error(error):
            _report_start_up_crash(error, client or sdk.active_client())
        raise
    return _around(loaded, settings)


def _around(app: Application, settings: Settings) -> Application:
    if registry.client_for(settings) is None and sdk.active_client() is None:
        return app
    return SentryMiddleware(app, settings)


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
