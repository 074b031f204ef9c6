"""Rules for what is around filters and apps: names that are nearly right, and the directory of a spool."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import metadata

from sentry_paste.cli.check.advice import Finding
from sentry_paste.cli.check.loader import is_ours
from sentry_paste.cli.check.structure import INCLUDES, Layer, Structure
from sentry_paste.config import Settings
from sentry_paste.config.inifile import IniFile, Section
from sentry_paste.config.sources import PREFIX, is_option, option_name

_EGG = re.compile(r"egg:(?P<distribution>[\w.-]+)(?:#(?P<name>[^\s#]+))?\s*")
# Distributions that inis often name: where one is not installed here, no other is meant.
_WELL_KNOWN = {
    *("paste", "pastedeploy", "pastescript", "plaster", "pylons", "pyramid", "turbogears2", "waitress"),
    *("ckan", "glance", "heat", "keystone", "keystonemiddleware", "neutron", "nova", "oslo.middleware"),
    *("repoze.tm2", "repoze.who", "swift", "weberror", "zope", "zope2"),
}
_OUR_NAMES = ("sentry-paste", "sentry_paste")


def check_names(structure: Structure) -> Iterator[Finding]:
    """Warn of factories that are nearly ours, or nearly of a distribution that is installed.

    Args:
        structure: structure of the ini.
    """
    used = {(layer.path, layer.section): layer for _, layer in structure.root.walk()}
    files = [IniFile.read(source.path) for source in structure.sources]
    for file in filter(None, files):
        for section in file.sections.values():
            layer = used.get((file.path, section.name))
            # What should be ours is shown in its place if there is no other.
            if structure.root.has_sentry or layer is None:
                yield from _nearly_ours(section)
    for layer in used.values():
        yield from _nearly_installed(layer, structure)


def _nearly_ours(section: Section) -> Iterator[Finding]:
    match = _EGG.fullmatch(section.values.get("use", "").strip())
    if match is None or is_ours(match[0]):
        return
    name = match["distribution"].lower()
    if name.replace("_", "-") != _OUR_NAMES[0] and difflib.get_close_matches(name, _OUR_NAMES, cutoff=0.8):
        line = section.lines.get("use")
        text = f"egg:{match['distribution']} in [{section.name}] is nearly egg:sentry_paste; is that meant?"
        yield Finding("high", "nearly-ours", text, section.path, line)


def _nearly_installed(layer: Layer, structure: Structure) -> Iterator[Finding]:
    match = _EGG.fullmatch(layer.spec.strip())
    if match is None or is_ours(layer.spec) or layer.kind == "sentry":
        return
    if layer.missing:
        nearest = _nearest_distribution(layer.missing, layer.kind)
        if nearest:
            text = f"egg:{layer.missing} is not installed here; did you mean egg:{nearest}?"
            yield _finding(layer, structure, "nearly-installed", text)
        return
    names = _entry_points(match["distribution"], layer.kind)
    wanted = match["name"] or "main"
    if names and wanted not in names:
        close = difflib.get_close_matches(wanted, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(names)}"
        text = f"egg:{match['distribution']} has no {layer.kind} {wanted}; {hint}"
        yield _finding(layer, structure, "no-entry-point", text)


def _finding(layer: Layer, structure: Structure, code: str, text: str) -> Finding:
    source = next((source for source in structure.sources if source.path == layer.path), None)
    path, line = source.option_place(layer.section, "use") if source else (layer.path, None)
    return Finding("high" if code == "no-entry-point" else "medium", code, text, path, line)


@lru_cache(maxsize=100)
def _nearest_distribution(name: str, kind: str) -> str:
    """Return an installed distribution of nearly that name, empty if there is none, or if ours is meant."""
    lower = name.lower()
    if lower in _WELL_KNOWN or difflib.get_close_matches(lower, _OUR_NAMES, cutoff=0.8):
        return ""
    return next(iter(difflib.get_close_matches(lower, _distributions(kind), n=1, cutoff=0.85)), "")


@lru_cache(maxsize=4)
def _distributions(kind: str) -> tuple[str, ...]:
    """Return the names of the installed distributions that have anything for a kind of layer."""
    found = (found for found in metadata.distributions() if _names_for(kind, found.entry_points))
    return tuple(sorted({name.lower() for name in (one.metadata["Name"] for one in found) if name}))


def _entry_points(distribution: str, kind: str) -> list[str]:
    """Return the names that a distribution has for a kind of layer, none if there is no such distribution."""
    try:
        points = metadata.distribution(distribution).entry_points
    except (metadata.PackageNotFoundError, ValueError):
        return []
    return sorted(_names_for(kind, points))


def _names_for(kind: str, points: Iterable[metadata.EntryPoint]) -> set[str]:
    prefix = "paste.filter" if kind == "filter" else ("paste.app", "paste.composit")
    return {point.name for point in points if point.group.startswith(prefix)}


def check_unread(structure: Structure) -> Iterator[Finding]:
    """Warn of options of ours in the section of an app, as raven's middleware for Pylons read them.

    Args:
        structure: structure of the ini.
    """
    for outside, layer in structure.root.walk():
        file = IniFile.read(layer.path) if layer.kind == "app" and not layer.reads_itself else None
        section = file.sections.get(layer.section) if file else None
        if section is None or any(other.section == layer.section and other.is_sentry for other in outside):
            continue
        names = [key for key in section.values if key.startswith(PREFIX) and is_option(option_name(key))]
        if names:
            text = (
                f"The filter does not read {', '.join(names)} in [{section.name}]: move them to the section "
                f"of the filter, or write {INCLUDES} = sentry_paste if the app is made with Pyramid"
            )
            yield Finding("medium", "unread-options", text, section.path, section.lines.get(names[0]))


def check_spool(settings: Settings) -> Iterator[Finding]:
    """Warn of a spool directory in which this user cannot write.

    Args:
        settings: settings of a filter.
    """
    directory = settings.spool_dir
    if not directory:
        return
    reason = _unwritable(directory)
    if reason:
        line = settings.origins["spool_dir"].line if "spool_dir" in settings.origins else None
        text = f"spool_dir: {reason}: nothing can be stored by the user who runs this check"
        yield Finding("high", "spool-not-writable", text, settings.source.partition(" [")[0], line)


def _unwritable(directory: str) -> str:
    """Return why a directory, or the first one above it that is there, cannot be written; empty if it can."""
    while not os.path.lexists(directory):
        above = os.path.dirname(directory)
        if above == directory:
            return ""
        directory = above
    if not os.path.isdir(directory):
        return f"{directory} is not a directory"
    return "" if os.access(directory, os.W_OK | os.X_OK) else f"{directory} cannot be written"
