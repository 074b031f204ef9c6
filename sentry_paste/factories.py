"""PasteDeploy factories: filter, filter app and composite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sentry_paste.client.registry import registry
from sentry_paste.config import ConfigError, read_ini
from sentry_paste.config.errors import Problem
from sentry_paste.middleware import Application, around, load_with_client


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
        return around(app, settings)

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
    loaded = load_with_client(settings, lambda: loader.get_app(app, global_conf=global_conf))
    return around(loaded, settings)
