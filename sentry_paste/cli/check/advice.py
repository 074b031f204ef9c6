"""Warnings of ``check``, and the rules that warn of options."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sentry_paste import sdk
from sentry_paste.cli import network
from sentry_paste.cli.check.dead_rules import dead_rules
from sentry_paste.cli.check.structure import INCLUDES, Layer
from sentry_paste.config import Settings
from sentry_paste.config.options import options

#: Most severe first: nothing is reported; too expensive, or misleading; good to know.
SEVERITIES = ("high", "medium", "low")


@dataclass(frozen=True)
class Finding:
    """A warning.

    Attributes:
        severity: one of ``SEVERITIES``.
        code: names the rule, for machines; it stays the same when the text is reworded.
        text: what is wrong, and what to do about it.
        path: the file that it is about, empty for the ini that is checked.
        line: the line in that file, None if it is about more than one.
        lines: what to write, a line each.
    """

    severity: str
    code: str
    text: str
    path: str = ""
    line: int | None = None
    lines: tuple[str, ...] = ()

    @property
    def is_mistake(self) -> bool:
        """Return whether the app does not start, or does not run as its ini says."""
        return self.severity == "high" and self.code in (
            "filter-with-unusable",
            "logging-handler-args",
            "logging-handler-gone",
            "no-entry-point",
            "options-lost",
            "raven-handler",
        )


@dataclass(frozen=True)
class Subject:
    """The filter that the rules examine.

    Attributes:
        settings: settings of the filter.
        options: options of its client, with the SDK's defaults.
    """

    settings: Settings
    options: Mapping[str, Any]


def check_settings(layer: Layer, settings: Settings) -> Iterator[Finding]:
    """Warn of options that Pyramid may not see, or not as they are meant.

    PasteDeploy passes ``[DEFAULT]`` to a factory separately from the section, and the factories of Pyramid's
    cookiecutters use only the section as settings.

    Args:
        layer: Sentry, where it is placed around the app.
        settings: its settings.
    """
    names = [f"sentry.{name}" for name, origin in settings.origins.items() if origin.place == "[DEFAULT]"]
    if layer.placed == INCLUDES and names:
        reach, them = ("reaches", "it") if len(names) == 1 else ("reach", "them")
        yield Finding(
            "medium",
            "default-not-seen",
            f"{', '.join(sorted(names))} in [DEFAULT] {reach} Pyramid only if the app's factory passes "
            f"global_config on, which most do not; move {them} to [{layer.section}]",
        )
    if layer.placed == INCLUDES:
        yield from _relative_paths(settings)


def _relative_paths(settings: Settings) -> Iterator[Finding]:
    table = options()
    for name, origin in settings.origins.items():
        value = getattr(settings, name, settings.sdk.get(name))
        is_path = name in table and table[name].kind.is_path and isinstance(value, str)
        if is_path and not os.path.isabs(os.path.expanduser(origin.text)):
            yield Finding(
                "medium",
                "relative-path",
                f"sentry.{name} is a relative path, and Pyramid does not say where the ini is: it is looked "
                "up from the directory in which the server is started; put %(here)s/ in front of it",
            )


def check_version(settings: Settings, version: tuple[int, int]) -> Iterator[Finding]:
    """Report what would change with another version of the SDK, by line.

    Args:
        settings: of the filter.
        version: major and minor version.
    """
    given = {name: settings.sdk.get(name, origin.text) for name, origin in settings.origins.items()}
    title = f"sentry-sdk {version[0]}" + (f".{version[1]}" if 0 < version[1] < 99 else "")
    for name, note in sdk.changes(version, given):
        line = settings.origins[name].line
        where = f"line {line}: " if line else ""
        yield Finding("medium", "sdk-version", f"With {title}, {where}{name} {note}")


def check_options(subject: Subject) -> Iterator[Finding]:
    """Warn of what is wrong with a filter's options, by every rule.

    Args:
        subject: the filter.
    """
    for rule in _RULES:
        yield from rule(subject)


def _nothing_is_reported(subject: Subject) -> Iterator[Finding]:
    if not has_destination(subject.settings):
        yield Finding(
            "high",
            "nothing-reported",
            "This filter reports nothing: dsn has no value, and there is no spool_dir. Only a client that "
            "the app starts itself would be used",
        )


def _no_errors(subject: Subject) -> Iterator[Finding]:
    if subject.settings.error_sample_rates:
        return
    if subject.options.get("sample_rate") == 0 and not subject.options.get("error_sampler"):
        yield Finding("high", "no-errors", "sample_rate = 0 reports no errors at all")


def _everything_is_traced(subject: Subject) -> Iterator[Finding]:
    if subject.options.get("environment") != "production":
        return
    unset = (
        ""
        if "environment" in subject.settings.origins
        else " (environment is not set, which means production)"
    )
    if subject.options.get("traces_sample_rate") == 1 and not subject.options.get("traces_sampler"):
        yield Finding(
            "medium",
            "all-traced",
            f"traces_sample_rate = 1 traces every request in production{unset}; 0.1 or less is usual",
        )
    # Of the ini: sentry-sdk 3 has other options for the same.
    given = subject.settings.sdk
    if given.get("profiles_sample_rate") == 1 and not given.get("profiles_sampler"):
        yield Finding(
            "medium",
            "all-profiled",
            f"profiles_sample_rate = 1 profiles every traced request in production{unset}",
        )
    if given.get("profile_session_sample_rate") == 1:
        yield Finding(
            "medium",
            "all-profiled",
            f"profile_session_sample_rate = 1 profiles every process in production{unset}",
        )


def _personal_data(subject: Subject) -> Iterator[Finding]:
    collected, where = subject.settings.sdk.get("data_collection"), _destinations(subject.settings)
    if isinstance(collected, Mapping):  # where it is given, the SDK ignores send_default_pii
        if collected.get("user_info"):
            yield Finding(
                "medium",
                "personal-data",
                f"data_collection.user_info sends addresses and names of your users {where}",
            )
    elif sdk.sends_user_info(subject.options):
        yield Finding(
            "medium",
            "personal-data",
            f"send_default_pii sends cookies, addresses and names of your users {where}",
        )


def _destinations(settings: Settings) -> str:
    places = []
    if settings.sdk.get("dsn"):  # with a spool too: its files go there
        places.append("to Sentry")
    elif settings.spool_dir:
        places.append("into the files in spool_dir")
    elif has_transport(settings):
        places.append("to its transport")
    if settings.sdk.get("spotlight"):
        places.append("to Spotlight")
    # Where there is no DSN now, one may be in the environment of another machine.
    return " and ".join(places) or "to Sentry"


def _debug(subject: Subject) -> Iterator[Finding]:
    if subject.settings.sdk.get("debug"):
        yield Finding("low", "debug", "debug makes the SDK write what it does to stderr, for every event")


def _no_release(subject: Subject) -> Iterator[Finding]:
    if not subject.options.get("release") and "release" not in subject.settings.absent:
        yield Finding(
            "low",
            "no-release",
            "release has no value: there are no sessions, and errors have no version; write "
            "release = dist:NAME for the version of an installed distribution",
        )


def _without_effect(subject: Subject) -> Iterator[Finding]:
    given, settings = subject.settings.origins, subject.settings
    if settings.user_feedback and not settings.error_page:
        yield Finding("low", "no-effect", "user_feedback has no effect without error_page")
    if settings.user_feedback and settings.error_page and not settings.sdk.get("dsn"):
        yield Finding(
            "low", "no-effect", "user_feedback has no effect: its dialog needs the DSN, which has no value"
        )
    if settings.fingerprint_without_ids and settings.sdk.get("attach_stacktrace"):
        yield Finding(
            "low",
            "no-effect",
            "fingerprint_without_ids has no effect with attach_stacktrace: messages are grouped by their "
            "stack traces",
        )
    if settings.propagate_traceparent and settings.sdk.get("propagate_traces") is False:
        yield Finding("low", "no-effect", "propagate_traceparent has no effect with propagate_traces = false")
    spooling = sorted(name for name in given if name.startswith("spool_") and name != "spool_dir")
    if spooling and not settings.spool_dir:
        yield Finding("low", "no-effect", f"{_no_effect(spooling)} without spool_dir")
    if not has_destination(settings):
        pages = [name for name in ("error_page", "event_id_header") if name in given]
        if pages:
            yield Finding("medium", "no-effect", f"{_no_effect(pages)}, as nothing is reported")


def _no_effect(names: list[str]) -> str:
    return f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} no effect"


def _never_applied(subject: Subject) -> Iterator[Finding]:
    for option, about, earlier in dead_rules(subject.settings):
        text = f"{option} has two rules about {about}, of which the first applies"
        if about != earlier:
            text = (
                f"{option}: the rule about {about} can never apply, as that about {earlier} before it is "
                "about the same; put the narrower rule first"
            )
        yield Finding("medium", "never-applied", text)


def _budgets(subject: Subject) -> Iterator[Finding]:
    budgets = subject.settings.error_budget
    for budget in budgets:
        if not budget.errors:
            yield Finding(
                "medium",
                "error-budget",
                f"error_budget = {budget} sends only the first error of each kind and release, and one in a "
                "period that reports how many more there were",
            )
    of_kind = next((budget for budget in budgets if not budget.in_all), None)
    in_all = next((budget for budget in budgets if budget.in_all), None)
    # How often all errors can have their budget again in a period of a kind.
    if of_kind and in_all and of_kind.errors > in_all.errors * max(1, of_kind.seconds // in_all.seconds):
        yield Finding(
            "medium",
            "error-budget",
            f"error_budget: {of_kind} for each kind can never apply, as {in_all} is used up before",
        )
    if budgets and not subject.settings.spool_dir:
        yield Finding(
            "low",
            "error-budget",
            "error_budget without spool_dir: each worker process has the budget for itself; with spool_dir "
            "they share it",
        )


_RULES: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    _nothing_is_reported,
    _no_errors,
    _everything_is_traced,
    _personal_data,
    _debug,
    _no_release,
    _without_effect,
    _never_applied,
    _budgets,
)


def check_connection(subject: Subject) -> Iterator[Finding]:
    """Connect to the DSN's host, and warn if that fails.

    Args:
        subject: the filter.
    """
    dsn = subject.settings.sdk.get("dsn")
    fault = network.connection_fault(dsn, subject.options) if dsn else ""
    if fault:
        yield Finding("high", "unreachable", f"The DSN's host cannot be reached from here: {fault}")


def has_destination(settings: Settings) -> bool:
    """Return whether there is anywhere to report to.

    Args:
        settings: settings of a filter.
    """
    return has_transport(settings) or bool(settings.sdk.get("spotlight"))


def has_transport(settings: Settings) -> bool:
    """Return whether a client with these settings has a transport.

    Without a DSN the SDK uses a transport that is an object, and no transport class. Spotlight needs none.

    Args:
        settings: settings of a filter.
    """
    transport = settings.sdk.get("transport")
    is_object = transport is not None and not isinstance(transport, type)
    return bool(settings.sdk.get("dsn") or settings.spool_dir or is_object)
