"""Rules for the logging sections of an ini, whose handlers for Sentry do not work next to the filter."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sentry_paste.cli.check.advice import Finding
from sentry_paste.config.inifile import IniFile, Section
from sentry_paste.config.texts import split_names

_SDK = "sentry_sdk.integrations.logging."

# What each handler of the SDK's does again, and the argument of the logging integration that stops the filter
# from doing it.
_HANDLERS = {
    "EventHandler": ("event", "event_level"),
    "SentryHandler": ("event", "event_level"),
    "BreadcrumbHandler": ("breadcrumb", "level"),
    "SentryLogsHandler": ("log item", "sentry_logs_level"),
}

#: Arguments of the logging integration, each of which may be ``none``.
HANDLED_LEVELS = tuple(argument for _, argument in _HANDLERS.values())


@dataclass(frozen=True)
class FilterLogging:
    """What the filters of an ini do with log records.

    Attributes:
        is_there: whether there is a filter.
        off: arguments of the logging integration that are ``none``, or all of them if it is off.
    """

    is_there: bool
    off: Collection[str] = ()


def check_logging(file: IniFile, filters: FilterLogging) -> Iterator[Finding]:
    """Warn of handlers that stop the start, or that report what the filter reports as well.

    Args:
        file: the ini.
        filters: what its filters do with log records.
    """
    handlers = file.sections.get("handlers", Section("handlers"))
    for name in split_names(handlers.values.get("keys", "")):
        section = file.sections.get(f"handler_{name}")
        if section is not None:
            yield from _check_handler(file, section, filters)


def _check_handler(file: IniFile, section: Section, filters: FilterLogging) -> Iterator[Finding]:
    path, line = section.path, section.lines.get("class")
    factory = section.values.get("class", "").strip()
    module, _, name = factory.rpartition(".")
    if module.partition(".")[0] == "raven":
        is_gone = importlib.util.find_spec("raven") is None
        if is_gone or filters.is_there:
            yield Finding(
                "high" if is_gone else "medium",
                "raven-handler",
                _raven_text(file, section, is_gone),
                path,
                line,
            )
    elif factory.startswith(_SDK) and name in _HANDLERS:
        if not hasattr(importlib.import_module(module), name):
            gone = f"[{section.name}] stops the start, as this sentry-sdk has no {name}"
            text = f"{gone}; {_removal(file, section)}"
            yield Finding("high", "logging-handler-gone", text, path, line)
        elif not _is_level(section.values.get("args", "()")):
            line = section.lines.get("args", line)
            text = (
                f"args of [{section.name}] stop the start: {name} takes no DSN, only a level; "
                f"{_removal(file, section)}"
            )
            yield Finding("high", "logging-handler-args", text, path, line)
        elif filters.is_there and _HANDLERS[name][1] not in filters.off:
            what, argument = _HANDLERS[name]
            text = (
                f"[{section.name}] makes a second {what} of each log record, as the filter makes one without "
                f"any handler; {_removal(file, section)}, or write integration.logging.{argument} = none in "
                "the filter"
            )
            yield Finding("medium", "logging-handler-twice", text, path, line)


def _raven_text(file: IniFile, section: Section, is_gone: bool) -> str:
    found = (
        f"[{section.name}] stops the start, as raven is not installed"
        if is_gone
        else f"[{section.name}] sends log records to Sentry a second time, by raven"
    )
    level = section.values.get("level", "").strip().upper()
    text = f"{found}; {_removal(file, section)}: the filter reports records of level ERROR without a handler"
    if level and level not in ("ERROR", "NOTSET"):
        text += f", and those of {level} with integration.logging.event_level = {level}"
    return text


def _removal(file: IniFile, section: Section) -> str:
    """Return what has to be removed for a handler to be gone."""
    name = section.name.partition("_")[2]
    users = [
        f"[{other.name}]"
        for other in file.sections.values()
        if other.name.startswith("logger_") and name in split_names(other.values.get("handlers", ""))
    ]
    return f"remove {name} from keys in [handlers]" + (
        f" and from handlers in {', '.join(users)}" if users else ""
    )


def _is_level(text: str) -> bool:
    """Return whether arguments of a handler are empty or begin with a level, as far as that can be known."""
    try:
        values = ast.literal_eval(text.strip() or "()")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return "://" not in text and "dsn" not in text.lower()
    first = values[0] if isinstance(values, tuple) and values else logging.NOTSET if values == () else values
    return isinstance(first, int) or isinstance(logging.getLevelName(first), int)
