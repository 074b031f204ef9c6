"""Read the strings of an ini into typed, checked, frozen settings."""

from sentry_paste.config.errors import ConfigError
from sentry_paste.config.reader import read_ini, read_keywords
from sentry_paste.config.settings import Settings

__all__ = ["ConfigError", "Settings", "read_ini", "read_keywords"]
