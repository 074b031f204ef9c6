"""What an ini says of Sentry, found out without starting its app."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sentry_paste import sdk
from sentry_paste.cli.check.advice import (
    SEVERITIES,
    Facts,
    Warned,
    of_connection,
    of_ignored,
    of_options,
    of_settings,
    of_structure,
    reports,
)
from sentry_paste.cli.check.effective import Value, effective
from sentry_paste.cli.check.static import read_structure
from sentry_paste.cli.check.structure import INCLUDES, SCRIPT, IniError, Layer, Structure
from sentry_paste.client.registry import registry
from sentry_paste.config import ConfigError, Settings, read_ini
from sentry_paste.config.errors import Problem
from sentry_paste.config.inifile import IniFile
from sentry_paste.config.sources import option_name
from sentry_paste.inbox.settings import read_settings as read_inbox
from sentry_paste.request.error_page import ErrorPage
from sentry_paste.sdk.failures import log
from sentry_paste.testing import capture_envelopes


@dataclass(frozen=True)
class Filter:
    """What one filter does.

    Attributes:
        layer: where it stands.
        title: its section in brackets, or how the ini names it.
        values: its options: those that are given, and a few defaults.
        integrations: those that will be on; None where there is no client of the filter's own.
        mistake: what stops a start, None for nothing.
        reached: whether the DSN's host can be reached; None where that was not tried.
    """

    layer: Layer
    title: str
    values: tuple[Value, ...] = ()
    integrations: tuple[str, ...] | None = None
    mistake: ConfigError | None = None
    reached: bool | None = None

    @property
    def reports(self) -> bool:
        """Return whether it has anything to report to."""
        return self.integrations is not None


@dataclass(frozen=True)
class Report:
    """All that was found out.

    Attributes:
        path: of the ini.
        name: of the app.
        structure: what stands around what.
        filters: those around the app, outermost first; and inboxes with mistakes.
        unused: sections of filters of ours that are not around the app.
        warnings: the weightiest first.
    """

    path: str
    name: str
    structure: Structure
    filters: tuple[Filter, ...]
    unused: tuple[str, ...]
    warnings: tuple[Warned, ...]

    def status(self, strict: bool = False) -> int:
        """Return the exit status: 2 with mistakes, 1 where nothing is reported, or with warnings that count.

        An inbox alone has nothing to report.

        Args:
            strict: whether warnings count.
        """
        if any(found.mistake for found in self.filters):
            return 2
        reports = self.structure.is_inbox or any(found.reports for found in self.filters)
        return 1 if not reports or (strict and self.warnings) else 0


def check(
    path: str, name: str = "main", variables: Mapping[str, str] | None = None, connect: bool = False
) -> Report:
    """Return what an ini says of Sentry.

    The filters' hooks are imported, as at a start; the app is not. Nothing is sent.

    Args:
        path: of the ini.
        name: of the app.
        variables: what the command line adds to ``[DEFAULT]``.
        connect: whether to connect to the host of each DSN.

    Raises:
        IniError: the ini cannot be read, or names what is not in it.
    """
    structure = read_structure(path, name, variables)
    filters: dict[str, Filter] = {}
    elsewhere = any(layer.missing for _, layer in structure.root.walk())
    warned = list(of_structure(structure)) if structure.root.has_sentry else []
    warned += of_ignored(structure)
    for _, layer in structure.root.walk():
        if layer.is_sentry and _title(layer) not in filters:
            found, more = _examine(layer, connect, elsewhere)
            filters[found.title] = found
            warned += more
        elif layer.is_inbox:
            filters.update(_broken_inbox(layer))
    warned.sort(key=lambda warning: SEVERITIES.index(warning.severity))
    return Report(
        path=path,
        name=name,
        structure=structure,
        filters=tuple(filters.values()),
        unused=tuple(_unused(path, structure)),
        warnings=tuple(dict.fromkeys(warned)),
    )


def read_settings(layer: Layer, elsewhere: bool = False) -> Settings:
    """Return the settings that a filter or composite of ours will have.

    Args:
        layer: of ours.
        elsewhere: whether the app is installed somewhere else: what is not installed here is no mistake.

    Raises:
        ConfigError: as at a start.
    """
    global_conf, local_conf = layer.global_conf or {}, dict(layer.local_conf or {})
    if layer.placed != "composite":
        # The section of an app is none of those that are ours, where options are looked for by themselves.
        is_app = layer.placed in (SCRIPT, INCLUDES) and layer.path == global_conf.get("__file__")
        return read_ini(global_conf, local_conf, elsewhere, layer.section if is_app else "")
    app = local_conf.pop("app", "")
    settings = read_ini(global_conf, local_conf, elsewhere)
    if not app:
        raise ConfigError(settings.source, [Problem("app", None, "expected the name of the app's section")])
    return settings


def first_sentry(structure: Structure) -> Layer:
    """Return the outermost filter of ours.

    Args:
        structure: of an ini.

    Raises:
        IniError: there is none.
    """
    found = next((layer for _, layer in structure.root.walk() if layer.is_sentry), None)
    if found is None:
        raise IniError(
            f"[{structure.section}] has no Sentry around it; sentry-paste check tells what to write"
        )
    return found


def _examine(layer: Layer, connect: bool, elsewhere: bool) -> tuple[Filter, list[Warned]]:
    """Return what a filter does and what is to be said of it."""
    title = _title(layer)
    with _logged() as messages:
        try:
            settings = read_settings(layer, elsewhere)
            if settings.error_page:
                ErrorPage(settings, None)  # reads its template
            options, integrations = _client_of(settings)
        except ConfigError as mistake:
            return Filter(layer, title, mistake=mistake), _told(messages, mistake.source)
    facts = Facts(settings, options)
    warned = _told(messages, settings.source)
    warned += [*of_settings(layer, settings), *of_options(facts)]
    reached = None
    if connect and settings.sdk.get("dsn"):
        unreached = list(of_connection(facts))
        warned += unreached
        reached = not unreached
    empty = {option_name(key) for key in layer.local_conf or ()}
    values = effective(settings, options, title, empty)
    on = tuple(integrations) if reports(settings) else None
    return Filter(layer, title, values, on, reached=reached), warned


def _broken_inbox(layer: Layer) -> Iterator[tuple[str, Filter]]:
    """Yield an inbox whose section stops the start, by its title."""
    try:
        read_inbox(layer.global_conf or {}, layer.local_conf or {})
    except ConfigError as mistake:
        yield _title(layer), Filter(layer, _title(layer), mistake=mistake)


def _client_of(settings: Settings) -> tuple[Mapping[str, Any], list[str]]:
    """Make the client of some settings, with nowhere to send to; return its options and integrations."""
    quiet = dataclasses.replace(settings, sdk={**settings.sdk, "debug": False})
    with capture_envelopes():
        client = registry.client_for(quiet)
        if client is None:  # which is logged, and so told
            return settings.sdk, []
        return client.options, sdk.active_integrations(client)


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Collect what this package logs, in place of logging it."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            cause = record.exc_info[1] if record.exc_info else None
            messages.append(record.getMessage() + (f": {cause}" if cause else ""))

    collector = Collector(logging.WARNING)
    before = log.propagate, log.disabled
    log.propagate, log.disabled = False, False
    log.addHandler(collector)
    try:
        yield messages
    finally:
        log.removeHandler(collector)
        log.propagate, log.disabled = before


def _told(messages: list[str], source: str) -> list[Warned]:
    """Return what was logged as warnings; each need not say again in which section it is."""
    texts = [text[len(source) + 2 :] if text.startswith(f"{source}: ") else text for text in messages]
    return [Warned("high" if text.startswith("Sentry failed") else "medium", text) for text in texts]


def _title(layer: Layer) -> str:
    return f"[{layer.section}]" if layer.section else layer.name


def _unused(path: str, structure: Structure) -> Iterator[str]:
    file = IniFile.read(path)
    used = {layer.section for _, layer in structure.root.walk()}
    for section in file.ours() if file else []:
        if section.name not in used:
            yield section.name
