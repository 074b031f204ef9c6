"""Pyramid without a pipeline: ``pyramid.includes = sentry_paste``.

The options are the app's settings, ``sentry.dsn`` and so on. The whole WSGI app is
wrapped as by the filter, including its tweens and their transactions. The SDK's
integration adds route names and reports errors that exception views answer with a
500.
"""

from __future__ import annotations

from typing import Any

from sentry_paste.client.registry import registry
from sentry_paste.config import ConfigError, Settings, read_ini
from sentry_paste.config.errors import Problem
from sentry_paste.config.reload_sources import Source, find_included_source
from sentry_paste.config.sources import PREFIX
from sentry_paste.middleware import FindSource, SentryMiddleware, reloading_around


def includeme(config: Any) -> None:
    """Put Sentry around the app that a configurator makes.

    Args:
        config: Pyramid's ``Configurator``.

    Raises:
        ConfigError: a setting ``sentry.NAME`` is unknown, has a wrong value or names what cannot be imported.
    """
    from pyramid.events import ApplicationCreated

    # An app's settings are its section and [DEFAULT] together; the prefix marks those for Sentry.
    given = {key: value for key, value in config.registry.settings.items() if key.startswith(PREFIX)}
    place = {
        key: str(config.registry.settings[key])
        for key in ("here", "__file__")
        if key in config.registry.settings
    }
    settings = read_ini({**place, **given}, {})
    registry.client_for(settings)  # now, to report errors in making the app
    found = dict(config.registry.settings)

    def find_source() -> Source | None:
        if "__file__" not in found:
            reason = (
                "the app's settings have no __file__; "
                "give its Configurator settings={**global_config, **settings}"
            )
            raise ConfigError(settings.source, [Problem("reload", None, reason)])
        return find_included_source(found)

    config.add_subscriber(lambda event: _wrap(event.app, settings, find_source), ApplicationCreated)


def _wrap(router: Any, settings: Settings, find_source: FindSource) -> None:
    """Route calls of a router through the middleware; the app stays the same object."""
    cls = type(router)

    def app(environ: Any, start_response: Any) -> Any:
        return cls.__call__(router, environ, start_response)

    middleware = (
        reloading_around(app, settings, find_source) if settings.reload else SentryMiddleware(app, settings)
    )

    def call(_self: Any, environ: Any, start_response: Any) -> Any:
        return middleware(environ, start_response)

    router.__class__ = type(cls.__name__, (cls,), {"__call__": call, "__module__": cls.__module__})
