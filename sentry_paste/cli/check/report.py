"""Check the Sentry set-up of an ini without starting its app."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sentry_paste import sdk
from sentry_paste.cli.check.advice import (
    SEVERITIES,
    Finding,
    Subject,
    check_connection,
    check_options,
    check_settings,
    check_version,
    has_destination,
)
from sentry_paste.cli.check.effective import OptionValue, effective_options, without_secrets
from sentry_paste.cli.check.logging_sections import HANDLED_LEVELS, FilterLogging, check_logging
from sentry_paste.cli.check.placement import (
    Remedy,
    check_ignored,
    check_inheritance,
    check_structure,
    find_first_start,
    find_remedy,
)
from sentry_paste.cli.check.source import LoadProblem
from sentry_paste.cli.check.static import read_filter, read_structure
from sentry_paste.cli.check.structure import RUN, IniError, Layer, Structure
from sentry_paste.cli.check.surroundings import check_names, check_spool, check_unread
from sentry_paste.cli.check.trial import Change, Trial
from sentry_paste.client.registry import registry
from sentry_paste.config import ConfigError, Settings, read_ini
from sentry_paste.config.errors import Problem, without_credentials
from sentry_paste.config.inifile import IniFile
from sentry_paste.config.sources import option_name
from sentry_paste.config.texts import split_names
from sentry_paste.config.variables import CONFIG, read_environment
from sentry_paste.inbox.settings import read_settings as read_inbox
from sentry_paste.request.error_page import ErrorPage
from sentry_paste.sdk.failures import log
from sentry_paste.testing import capture_envelopes


@dataclass(frozen=True)
class Filter:
    """What was found out about one filter.

    Attributes:
        layer: its place in the structure.
        title: its section in brackets, or its name in the ini; with the file if that is another one.
        values: its options: those that are set, and a few defaults.
        integrations: those that will be enabled; None if the filter has no client.
        mistake: what keeps the app from starting, None for nothing.
        reached: whether the DSN's host can be reached; None if that was not tried.
        first_start: lines to write so that it is started before the app, none if it is, or if nothing works.
        is_readable: whether all of its options have a value; what else is here is not known otherwise.
    """

    layer: Layer
    title: str
    values: tuple[OptionValue, ...] = ()
    integrations: tuple[str, ...] | None = None
    mistake: ConfigError | None = None
    reached: bool | None = None
    first_start: tuple[str, ...] = ()
    is_readable: bool = True

    @property
    def reports(self) -> bool:
        """Return whether it has anywhere to report to."""
        return self.integrations is not None


@dataclass(frozen=True)
class Report:
    """The result of a check.

    Attributes:
        path: path of the ini.
        name: name of the app.
        structure: filters, composites and apps.
        filters: our filters around the app, outermost first; and inboxes with mistakes.
        unused: sections of our filters that are not around the app.
        warnings: most severe first.
        problems: what keeps PasteDeploy from loading the ini.
        changes: the changes that are advised, each of which was tried.
        remedy: what to write where Sentry is missing, None if it is not, or if nothing works that was tried.
    """

    path: str
    name: str
    structure: Structure
    filters: tuple[Filter, ...]
    unused: tuple[str, ...]
    warnings: tuple[Finding, ...]
    problems: tuple[LoadProblem, ...] = ()
    remedy: Remedy | None = None
    changes: tuple[Change, ...] = ()

    def status(self, strict: bool = False) -> int:
        """Return the exit status, which the help of the command explains.

        Nothing is reported, and the status is 1, also where the DSN's host cannot be reached. An inbox alone
        has nothing to report, and its status is 0.

        Args:
            strict: whether warnings count.
        """
        if self.problems or any(found.mistake for found in self.filters):
            return 2
        if any(warning.is_mistake for warning in self.warnings):
            return 2
        reports = self.structure.is_inbox or any(found.reports for found in self.filters)
        is_reached = all(found.reached is not False for found in self.filters)
        return 1 if not (reports and is_reached) or (strict and self.warnings) else 0


def check(
    path: str,
    name: str = "main",
    variables: Mapping[str, str] | None = None,
    connect: bool = False,
    version: tuple[int, int] | None = None,
) -> Report:
    """Check the Sentry set-up of an ini.

    The filters' hooks are imported, as at a start; the app is not. Nothing is sent.

    Args:
        path: path of the ini.
        name: name of the app.
        variables: variables that the command line adds to ``[DEFAULT]``.
        connect: whether to connect to the host of each DSN.
        version: of sentry-sdk, for which changes are reported as warnings; None for the installed one.

    Raises:
        IniError: the ini cannot be read, or refers to something that is not in it.
    """
    structure = read_structure(path, name, variables)
    filters: dict[tuple[str, str], Filter] = {}
    is_app_missing = any(layer.missing for _, layer in structure.root.walk())
    examination = _Examination(structure, connect, is_app_missing, version)
    trial = Trial(structure.path, name, variables, _texts(structure))
    trial.find_heirs()
    findings = list(check_structure(structure, trial)) if structure.root.has_sentry else []
    findings += check_ignored(structure)
    if not structure.reads_itself:
        findings += check_inheritance(trial)
    for _, layer in structure.root.walk():
        identity = layer.path, layer.section or layer.name
        if layer.is_sentry and identity not in filters:
            found, more = examination.examine(layer)
            if not structure.is_inside_sentry(layer) and not structure.is_caught(layer):
                found = dataclasses.replace(found, first_start=find_first_start(layer, trial))
            filters[identity] = found
            findings += more
        elif layer.is_inbox:
            filters.update((identity, found) for found in _broken_inbox(layer, structure))
    findings += _of_the_file(structure, tuple(filters.values()))
    warned = {(finding.code, finding.path, finding.line) for finding in findings}
    known = _mistakes_of(filters.values())
    findings += _of_unused_filters(structure, variables or {}, is_app_missing, known, warned)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    unused = tuple(_unused(path, structure))
    remedy = None if structure.root.has_sentry else find_remedy(structure, trial, unused)
    return Report(
        path=path,
        name=name,
        structure=structure,
        filters=tuple(filters.values()),
        unused=unused,
        remedy=remedy,
        changes=tuple(trial.accepted),
        warnings=tuple(dict.fromkeys(findings)),
        problems=structure.problems,
    )


def _texts(structure: Structure) -> dict[str, str]:
    return {source.path: "\n".join(text for _, text in source.parts) for source in structure.sources}


def _of_the_file(structure: Structure, filters: Sequence[Filter]) -> Iterator[Finding]:
    """Yield warnings about what is in the file besides filters and apps."""
    yield from check_names(structure)
    yield from check_unread(structure)
    file = IniFile.read(structure.path)
    if file is not None:
        yield from check_logging(file, _logging_of(filters))


def _mistakes_of(filters: Iterable[Filter]) -> set[Problem]:
    """Return the mistakes of filters, each with the file and section that it is in."""
    mistakes = [found.mistake for found in filters if found.mistake]
    return {_placed(problem, mistake) for mistake in mistakes for problem in mistake.problems}


def _placed(problem: Problem, mistake: ConfigError) -> Problem:
    return dataclasses.replace(problem, source=problem.source or mistake.source)


def _of_unused_filters(
    structure: Structure,
    variables: Mapping[str, str],
    is_app_missing: bool,
    known: set[Problem],
    warned: set[tuple[str, str, int | None]],
) -> Iterator[Finding]:
    """Yield the mistakes of filters of ours that no app here uses: of one that is to be used, for example."""
    for source in structure.sources:
        for title in _unused(source.path, structure):
            kind, _, name = title.partition(":")
            layer = read_filter(source.path, name.strip(), variables) if kind == "filter" else None
            if layer is None:
                continue
            with _collected_logs() as messages:
                try:
                    place = read_settings(layer, is_app_missing).source
                except ConfigError as mistake:
                    place = mistake.source
                    for found in mistake.problems:
                        if _placed(found, mistake) in known:  # of a section from which a used one inherits
                            continue
                        plain = dataclasses.replace(found, line=None, source="")
                        text = f"[{title}], which nothing here uses: {plain}"
                        path = (found.source or mistake.source).partition(" [")[0]
                        yield Finding("medium", "unused-filter-mistake", text, path, found.line)
            for logged in _logged_findings(messages, place):
                if (logged.code, logged.path, logged.line) not in warned:
                    text = f"[{title}], which nothing here uses: {logged.text}"
                    yield dataclasses.replace(logged, severity="medium", text=text)


def _logging_of(filters: Sequence[Filter]) -> FilterLogging:
    off = set(HANDLED_LEVELS) if filters else set()
    for found in filters:
        texts = {value.name: value.text.lower() for value in found.values}
        names = split_names(texts.get("disabled_integrations", ""))
        if "logging" not in names and texts.get("default_integrations") not in ("false", "off", "no", "0"):
            off &= {
                level
                for level in HANDLED_LEVELS
                if texts.get(f"integration.logging.{level}") in ("none", "off")
            }
    return FilterLogging(bool(filters), off)


def read_settings(layer: Layer, is_app_missing: bool = False) -> Settings:
    """Return the settings that one of our filters or composites will have.

    Args:
        layer: the filter or composite.
        is_app_missing: whether the app is not installed here; then a missing distribution is no mistake.

    Raises:
        ConfigError: as at a start.
    """
    if layer.placed == RUN:
        return read_environment({**os.environ, CONFIG: layer.path})
    global_conf, local_conf = layer.global_conf or {}, dict(layer.local_conf or {})
    app = local_conf.pop("app", "") if layer.placed == "composite" else layer.name
    # A start has to search for the section among those of all files.
    settings = read_ini(global_conf, local_conf, is_app_missing, layer.section, layer.path)
    if not app:
        raise ConfigError(settings.source, [Problem("app", None, "expected the name of the app's section")])
    return settings


def first_sentry(structure: Structure) -> Layer:
    """Return our outermost filter.

    Args:
        structure: structure of an ini.

    Raises:
        IniError: there is none.
    """
    found = next((layer for _, layer in structure.root.walk() if layer.is_sentry), None)
    if found is None:
        raise IniError(
            f"[{structure.section}] is not covered by Sentry; sentry-paste check shows what to write"
        )
    return found


@dataclass
class _Examination:
    """What all filters of an ini are examined with.

    Attributes:
        structure: structure of the ini.
        connect: whether to connect to the host of each DSN.
        is_app_missing: whether the app is not installed here.
        version: of sentry-sdk, for which changes are reported.
        clients: options and integrations of the clients that have been made, by the settings that make them.
    """

    structure: Structure
    connect: bool
    is_app_missing: bool
    version: tuple[int, int] | None
    clients: dict[Hashable, tuple[Mapping[str, Any], list[str]]] = field(default_factory=dict)

    def examine(self, layer: Layer) -> tuple[Filter, list[Finding]]:
        """Return what one filter does, and the warnings about it.

        Args:
            layer: the filter.
        """
        title = _title(layer, self.structure)
        if layer.placed == RUN and self.structure.problems:  # run refuses the file, for the same reasons
            return Filter(layer, title, is_readable=False), []
        unreadable = self._unreadable(layer)
        if unreadable:
            readable = {key: text for key, text in (layer.local_conf or {}).items() if key not in unreadable}
            layer = dataclasses.replace(layer, local_conf=readable)
        with _collected_logs() as messages:
            try:
                settings = read_settings(layer, self.is_app_missing)
                if settings.error_page:
                    ErrorPage(settings, None)  # reads its template
                options, integrations = self._client_of(settings)
            except ConfigError as mistake:
                return Filter(layer, title, mistake=mistake), _logged_findings(messages, mistake.source)
        if unreadable:  # what else is true of this filter depends on these options
            return Filter(layer, title, is_readable=False), _logged_findings(messages, settings.source)
        subject = Subject(settings, options)
        findings = _logged_findings(messages, settings.source)
        findings += [*check_settings(layer, settings), *check_options(subject), *check_spool(settings)]
        if self.version is not None:
            findings += check_version(settings, self.version)
        reached = None
        if self.connect and settings.sdk.get("dsn"):
            faults = list(check_connection(subject))
            findings += faults
            reached = not faults
        empty = {option_name(key) for key in layer.local_conf or ()}
        values = effective_options(settings, options, title, empty)
        enabled = tuple(integrations) if has_destination(settings) else None
        return Filter(layer, title, values, enabled, reached=reached), findings

    def _unreadable(self, layer: Layer) -> set[str]:
        """Return the options of a filter that have no value, as PasteDeploy cannot read them."""
        source = next((source for source in self.structure.sources if source.path == layer.path), None)
        files = [path for path, _ in source.parts] if source else []
        problems = [found for found in self.structure.problems if found.path in files]
        return {found.option for found in problems if found.section == layer.section} - {""}

    def _client_of(self, settings: Settings) -> tuple[Mapping[str, Any], list[str]]:
        if settings.client_key not in self.clients:
            self.clients[settings.client_key] = _client_of(settings)
        return self.clients[settings.client_key]


def _broken_inbox(layer: Layer, structure: Structure) -> Iterator[Filter]:
    """Yield a filter for an inbox whose section has mistakes."""
    try:
        read_inbox(layer.global_conf or {}, layer.local_conf or {})
    except ConfigError as mistake:
        yield Filter(layer, _title(layer, structure), mistake=mistake)


def _client_of(settings: Settings) -> tuple[Mapping[str, Any], list[str]]:
    """Make the client that settings describe, but send nothing; return its options and integrations."""
    quiet = dataclasses.replace(settings, sdk={**settings.sdk, "debug": False})
    with capture_envelopes(warn=False), _silent(logging.getLogger("spotlight")):
        client = registry.client_for(quiet)
        if client is None:  # the reason was logged, and so becomes a warning
            return settings.sdk, []
        return client.options, sdk.active_integrations(client)


@contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    """Keep a logger quiet: that of Spotlight prints its URL, which the report shows without credentials."""
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


@contextmanager
def _collected_logs() -> Iterator[list[tuple[str, str]]]:
    """Collect what this package logs, codes and texts, in place of logging it."""
    messages: list[tuple[str, str]] = []

    class Collector(logging.Handler):
        """Adds each record to the messages."""

        def emit(self, record: logging.LogRecord) -> None:
            """Add code and text of a record, without secrets."""
            cause = record.exc_info[1] if record.exc_info else None
            because = f": {without_secrets(str(cause))}" if cause else ""
            text = without_credentials(record.getMessage() + because)
            messages.append((getattr(record, "code", "") or "logged", text))

    collector = Collector(logging.WARNING)
    before = log.propagate, log.disabled
    log.propagate, log.disabled = False, False
    log.addHandler(collector)
    try:
        yield messages
    finally:
        log.removeHandler(collector)
        log.propagate, log.disabled = before


# A file and a section in front of a message, of a source that the filter inherits from.
_SOURCE = r"(?P<path>[^\n]*?) \[[^\]\n]+\]"


def _logged_findings(messages: list[tuple[str, str]], source: str) -> list[Finding]:
    """Return log messages as warnings, without the section in front, which the report shows anyway."""
    place = re.compile(rf"(?:{re.escape(source)}|{_SOURCE})(?: line (?P<line>\d+))?: (?P<text>.*)", re.DOTALL)
    found = []
    for code, message in messages:
        match = place.fullmatch(message)
        severity = "high" if message.startswith("Sentry failed") else "medium"
        path = (match["path"] or source.partition(" [")[0]) if match else ""
        if match is None or (match["path"] and not os.path.isabs(path)):
            found.append(Finding(severity, code, message))
        else:
            line = int(match["line"]) if match["line"] else None
            found.append(Finding(severity, code, match["text"], path, line))
    return found


def _title(layer: Layer, structure: Structure) -> str:
    title = f"[{layer.section}]" if layer.section else layer.name
    if layer.path == structure.path:
        return title
    return f"{title} of {os.path.relpath(layer.path, os.path.dirname(structure.path))}"


def _unused(path: str, structure: Structure) -> Iterator[str]:
    file = IniFile.read(path)
    used = {(layer.path, layer.section) for _, layer in structure.root.walk()}
    for section in file.ours() if file else []:
        if (os.path.abspath(path), section.name) not in used:
            yield section.name
