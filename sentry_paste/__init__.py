"""Sentry around the WSGI applications of an ini file."""

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
