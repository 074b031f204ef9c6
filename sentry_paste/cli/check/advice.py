"""What a reader of an ini should know of its options: rules, each of which warns of one thing."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sentry_paste.cli import network
from sentry_paste.cli.check.structure import INCLUDES, Layer, Structure
from sentry_paste.config import Settings
from sentry_paste.config.options import options

#: From the weightiest: nothing is reported; it costs too much, or is not what it seems; good to know.
SEVERITIES = ("high", "medium", "low")


@dataclass(frozen=True)
class Warned:
    """A warning.

    Attributes:
        severity: one of ``SEVERITIES``.
        text: what is so, and what to do about it.
    """

    severity: str
    text: str


@dataclass(frozen=True)
class Facts:
    """What the rules look at.

    Attributes:
        settings: of a filter.
        options: of its client, with the SDK's defaults.
    """

    settings: Settings
    options: Mapping[str, Any]


def of_settings(layer: Layer, settings: Settings) -> Iterator[Warned]:
    """Yield which options of ``[DEFAULT]`` may not be among the settings of an app of Pyramid's.

    PasteDeploy gives a factory ``[DEFAULT]`` apart from the section, and Pyramid's own make settings of the
    section alone.

    Args:
        layer: Sentry as it stands around the app.
        settings: of it.
    """
    names = [f"sentry.{name}" for name, origin in settings.origins.items() if origin.place == "[DEFAULT]"]
    if layer.placed == INCLUDES and names:
        reach, them = ("reaches", "it") if len(names) == 1 else ("reach", "them")
        yield Warned(
            "medium",
            f"{', '.join(sorted(names))} of [DEFAULT] {reach} Pyramid only where the app's factory hands "
            f"global_config on, which most do not; write {them} in [{layer.section}]",
        )
    if layer.placed == INCLUDES:
        yield from _relative_paths(settings)


def _relative_paths(settings: Settings) -> Iterator[Warned]:
    table = options()
    for name, origin in settings.origins.items():
        value = getattr(settings, name, settings.sdk.get(name))
        is_path = name in table and table[name].kind.is_path and isinstance(value, str)
        if is_path and not os.path.isabs(os.path.expanduser(origin.text)):
            yield Warned(
                "medium",
                f"sentry.{name} is relative, and Pyramid does not tell Sentry where the ini is: it is taken "
                "from the directory that the server is started in; write %(here)s/ before it",
            )


def of_options(facts: Facts) -> Iterator[Warned]:
    """Yield what is to be said of a filter's options.

    Args:
        facts: of the filter.
    """
    for rule in _RULES:
        yield from rule(facts)


def _nothing_is_reported(facts: Facts) -> Iterator[Warned]:
    if not reports(facts.settings):
        yield Warned(
            "high",
            "Nothing is reported from here: dsn has no value, and there is no spool_dir. Only a client that "
            "the app starts itself would be used",
        )


def _no_errors(facts: Facts) -> Iterator[Warned]:
    if facts.options.get("sample_rate") == 0 and not facts.options.get("error_sampler"):
        yield Warned("high", "sample_rate = 0 reports no errors at all")


def _everything_is_measured(facts: Facts) -> Iterator[Warned]:
    if facts.options.get("environment") != "production":
        return
    unset = (
        "" if "environment" in facts.settings.origins else " (environment is not set, which means production)"
    )
    if facts.options.get("traces_sample_rate") == 1 and not facts.options.get("traces_sampler"):
        yield Warned(
            "medium",
            f"traces_sample_rate = 1 measures every request in production{unset}; 0.1 or less is usual",
        )
    if facts.options.get("profiles_sample_rate") == 1 and not facts.options.get("profiles_sampler"):
        yield Warned(
            "medium", f"profiles_sample_rate = 1 profiles every measured request in production{unset}"
        )
    if facts.options.get("profile_session_sample_rate") == 1:
        yield Warned("medium", f"profile_session_sample_rate = 1 profiles every process in production{unset}")


def _personal_data(facts: Facts) -> Iterator[Warned]:
    collected, where = facts.settings.sdk.get("data_collection"), _where_it_goes(facts.settings)
    if isinstance(collected, Mapping):  # which the SDK goes by where it is given
        if collected.get("user_info"):
            yield Warned(
                "medium", f"data_collection.user_info sends addresses and names of your users {where}"
            )
    elif facts.options.get("send_default_pii"):
        yield Warned("medium", f"send_default_pii sends cookies, addresses and names of your users {where}")


def _where_it_goes(settings: Settings) -> str:
    places = []
    if settings.sdk.get("dsn"):  # a spool is on the way there
        places.append("to Sentry")
    elif settings.spool_dir:
        places.append("into the files of spool_dir")
    elif sends(settings):
        places.append("to its transport")
    if settings.sdk.get("spotlight"):
        places.append("to Spotlight")
    # Where there is no DSN now, one may be in the environment of another machine.
    return " and ".join(places) or "to Sentry"


def _debug(facts: Facts) -> Iterator[Warned]:
    if facts.settings.sdk.get("debug"):
        yield Warned("low", "debug has the SDK write on stderr what it does, for every event")


def _no_release(facts: Facts) -> Iterator[Warned]:
    if not facts.options.get("release") and "release" not in facts.settings.absent:
        yield Warned(
            "low",
            "release has no value: there are no sessions, and errors cannot be told apart by version; write "
            "release = dist:NAME for the version of an installed distribution",
        )


def _without_effect(facts: Facts) -> Iterator[Warned]:
    given, settings = facts.settings.origins, facts.settings
    if settings.user_feedback and not settings.error_page:
        yield Warned("low", "user_feedback is without effect: it is for error_page")
    if settings.user_feedback and settings.error_page and not settings.sdk.get("dsn"):
        yield Warned("low", "user_feedback is without effect: its dialog is the DSN's, which has no value")
    spooling = sorted(name for name in given if name.startswith("spool_") and name != "spool_dir")
    if spooling and not settings.spool_dir:
        yield Warned("low", f"{', '.join(spooling)}: without effect, as there is no spool_dir")
    if not reports(settings):
        pages = [name for name in ("error_page", "event_id_header") if name in given]
        if pages:
            yield Warned("medium", f"{', '.join(pages)}: without effect where nothing is reported")


_RULES: tuple[Callable[[Facts], Iterator[Warned]], ...] = (
    _nothing_is_reported,
    _no_errors,
    _everything_is_measured,
    _personal_data,
    _debug,
    _no_release,
    _without_effect,
)


def of_connection(facts: Facts) -> Iterator[Warned]:
    """Connect to the DSN's host, and yield what is wrong with it.

    Args:
        facts: of the filter.
    """
    dsn = facts.settings.sdk.get("dsn")
    fault = network.unreachable(dsn, facts.options) if dsn else ""
    if fault:
        yield Warned("high", f"dsn cannot be reached from here: {fault}")


def reports(settings: Settings) -> bool:
    """Return whether settings name anything to report to.

    Args:
        settings: of a filter.
    """
    return sends(settings) or bool(settings.sdk.get("spotlight"))


def sends(settings: Settings) -> bool:
    """Return whether a client of these settings has a transport.

    The SDK makes none of a class without a DSN, and Spotlight needs none.

    Args:
        settings: of a filter.
    """
    transport = settings.sdk.get("transport")
    is_object = transport is not None and not isinstance(transport, type)
    return bool(settings.sdk.get("dsn") or settings.spool_dir or is_object)


# Filters for Sentry that were there before this one, and ours by the name of something else of ours.
_MEANT = re.compile(
    r"egg:(raven|sentry[-_.]sdk|sentry[-_.]paste|plone\.recipe\.zope2instance#sentry$)(\W|$)", re.IGNORECASE
)


def of_structure(structure: Structure) -> Iterator[Warned]:
    """Yield what is to be said of where Sentry stands.

    Args:
        structure: of the ini, with Sentry somewhere in it.
    """
    first = next(layer for _, layer in structure.root.walk() if layer.is_sentry)
    for outside, layer in structure.root.walk():
        covered = any(other.is_sentry for other in outside)
        if layer.is_sentry:
            yield from _on_no_app(layer)
        if layer.is_sentry and covered:
            yield Warned(
                "medium", f"{layer.name} stands inside another Sentry, which has the request: it does nothing"
            )
        elif layer.is_sentry:
            yield from _not_outermost(structure, outside, layer)
        elif layer.kind == "app" and not covered and not (layer.is_inbox or layer.is_healthcheck):
            yield Warned(
                "medium",
                f"No Sentry stands around {layer.name}: its errors are not reported; "
                f"{_around_all(structure, first.name)} is around everything",
            )


def meant_as_sentry(structure: Structure) -> Layer | None:
    """Return the filter that would be ours after its ``use`` line alone is changed, None where there is none.

    Args:
        structure: of an ini, with no Sentry in it.
    """
    for _, layer in structure.root.walk():
        is_near = difflib.get_close_matches(
            layer.missing.lower(), ["sentry_paste", "sentry-paste"], cutoff=0.8
        )
        if layer.kind == "filter" and (is_near or _MEANT.match(layer.spec)):
            return layer
    return None


def of_ignored(structure: Structure) -> Iterator[Warned]:
    """Yield that filters are in the ini for nothing.

    Args:
        structure: of the ini.
    """
    for name in structure.ignored:
        yield Warned("high", f"{name} does nothing: CKAN reads this file by itself, and no filter in it")


def _not_outermost(structure: Structure, outside: tuple[Layer, ...], sentry: Layer) -> Iterator[Warned]:
    filters = [layer.name for layer in outside if layer.kind == "filter" and not layer.is_catcher]
    if filters:
        are = "is" if len(filters) == 1 else "are"
        yield Warned(
            "medium",
            f"{', '.join(filters)} {are} outside of {sentry.name}, so what goes wrong there is not reported; "
            + _way_out(structure, outside, sentry),
        )


def _way_out(structure: Structure, outside: tuple[Layer, ...], sentry: Layer) -> str:
    catcher = next((layer.name for layer in outside if layer.is_catcher), "")
    if catcher:
        return f"write {sentry.name} right behind {catcher}"
    if sentry.placed == INCLUDES:
        return f"a [filter:sentry], and {_around_all(structure, 'sentry')}, would cover them"
    if structure.outermost.startswith("pipeline:"):
        return f"make {sentry.name} the first of [{structure.outermost}]"
    return f"write filter-with = {sentry.name} in [{structure.outermost}] instead"


def _around_all(structure: Structure, name: str) -> str:
    if structure.outermost.startswith("pipeline:"):
        return f"{name} as the first of [{structure.outermost}]"
    return f"filter-with = {name} in [{structure.outermost}]"


def _on_no_app(sentry: Layer) -> Iterator[Warned]:
    """Tell of ``filter-with`` in what PasteDeploy then takes for a filter (``_FilterWith.invoke``)."""
    section = sentry.placed_in
    if sentry.placed == "filter-with" and section.startswith(("pipeline:", "filter-app:")):
        yield Warned(
            "high",
            f"PasteDeploy does not make an app of [{section}] with filter-with: each request fails; "
            + (
                f"make {sentry.name} the first of it" if section.startswith("pipeline:") else "use a pipeline"
            ),
        )
