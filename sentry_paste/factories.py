"""PasteDeploy factories: filter, filter app and composite."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sentry_paste.client.registry import registry
from sentry_paste.config import ConfigError, Settings, read_ini
from sentry_paste.config.errors import Problem
from sentry_paste.config.reload_sources import find_source
from sentry_paste.middleware import Application, around, load_with_client
from sentry_paste.sdk.failures import log_failure, warn

# Only in an ini with such lines can options get lost on their way to the app: others are not looked at.
_INHERITS = re.compile(
    r"^use\s*[=:]\s*(?!egg:|call:)|^\[(?:pipeline|filter-app):[^[]*^filter-with", re.MULTILINE
)

# Inis that were looked at: a factory is called once for each filter.
_examined: set[str] = set()


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
    settings = _read(global_conf, local_conf)
    registry.client_for(settings)

    def sentry_filter(app: Application) -> Application:
        return around(app, settings, lambda: find_source(global_conf, local_conf))

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
    settings = _read(global_conf, local_conf)
    if not app:
        raise ConfigError(settings.source, [Problem("app", None, "expected the name of the app's section")])
    loaded = load_with_client(settings, lambda: loader.get_app(app, global_conf=global_conf))
    return around(loaded, settings, lambda: find_source(global_conf, {**local_conf, "app": app}))


def _read(global_conf: dict[str, str], local_conf: dict[str, str]) -> Settings:
    """Return the settings; warn of options that PasteDeploy drops because Sentry is around the app."""
    path = global_conf.get("__file__", "")
    if path not in _examined:
        _examined.add(path)
        for text, _ in _lost_options(path, global_conf):
            warn("%s: %s; sentry-paste check shows what to write", path, text, code="options-lost")
    try:
        return read_ini(global_conf, local_conf)
    except ConfigError as error:
        received = [text for text, to_sentry in _lost_options(path, global_conf) if to_sentry]
        if not received:
            raise
        problems = [*error.problems, *(Problem("use", None, text) for text in received)]
        raise ConfigError(error.source, problems) from None


def _lost_options(path: str, global_conf: dict[str, str]) -> list[tuple[str, bool]]:
    try:
        with open(path) as file:
            if not _INHERITS.search(file.read()):
                return []
    except (OSError, ValueError):
        return []  # the loader may need no file
    try:
        from sentry_paste.cli.check.inheritance import find_at_start

        return list(find_at_start(global_conf))
    except Exception:
        log_failure("the ini is not searched for options that are lost")
        return []
