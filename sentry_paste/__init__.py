"""Sentry around the WSGI applications of an ini file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentry_paste.config import ConfigError
    from sentry_paste.factories import composite_factory, filter_app_factory, filter_factory
    from sentry_paste.middleware import SentryMiddleware
    from sentry_paste.pyramid import includeme

__all__ = [
    "ConfigError",
    "SentryMiddleware",
    "composite_factory",
    "filter_app_factory",
    "filter_factory",
    "includeme",
]

_MODULES = {
    "ConfigError": "config",
    "SentryMiddleware": "middleware",
    "composite_factory": "factories",
    "filter_app_factory": "factories",
    "filter_factory": "factories",
    "includeme": "pyramid",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used.

    The SDK's import takes longer than all else at the start of ``sentry-paste run`` and of the processes that
    it starts, most of which do not need it.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found
