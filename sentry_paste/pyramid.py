"""Pyramid without a pipeline: ``pyramid.includes = sentry_paste``.

The options are the app's settings, ``sentry.dsn`` and so on. The whole WSGI app is
wrapped as the filter wraps it, tweens and their transactions inside; the SDK's own
integration names routes and reports what exception views answer with a 500.
"""

from __future__ import annotations

from typing import Any

from sentry_paste.config import read_ini
from sentry_paste.config.sources import PREFIX
from sentry_paste.middleware import SentryMiddleware


def includeme(config: Any) -> None:
    """Put Sentry around the app that a configurator makes.

    Args:
        config: Pyramid's ``Configurator``.

    Raises:
        ConfigError: a setting ``sentry.NAME`` is unknown, has a wrong value or names what cannot be imported.
    """
    from pyramid.events import ApplicationCreated

    # An app's settings are its section and [DEFAULT] together; the prefix tells which are ours.
    given = {key: str(value) for key, value in config.registry.settings.items() if key.startswith(PREFIX)}
    place = {
        key: str(config.registry.settings[key])
        for key in ("here", "__file__")
        if key in config.registry.settings
    }
    settings = read_ini({**place, **given}, {})
    middleware = SentryMiddleware(_nothing, settings)
    config.add_subscriber(lambda event: _wrap(event.app, middleware), ApplicationCreated)


def _nothing(environ: Any, start_response: Any) -> Any:
    """Stand for the app until there is one: mistakes are told while the app is configured."""
    raise NotImplementedError


def _wrap(router: Any, middleware: SentryMiddleware) -> None:
    """Have a router be called through the middleware; it stays the object that the app was made as."""
    cls = type(router)
    middleware.app = lambda environ, start_response: cls.__call__(router, environ, start_response)

    def call(_self: Any, environ: Any, start_response: Any) -> Any:
        return middleware(environ, start_response)

    router.__class__ = type(cls.__name__, (cls,), {"__call__": call, "__module__": cls.__module__})
