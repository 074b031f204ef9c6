"""Rules for where Sentry is placed around the apps of an ini, and what to write where it is missing."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sentry_paste.cli.check.advice import Finding
from sentry_paste.cli.check.changes import (
    NEW_FILTER,
    add_sentry,
    cover_all,
    make_callable,
    make_ours,
    move_outermost,
    replace_entry,
    restore_options,
    start_first,
)
from sentry_paste.cli.check.edits import line_of, new_section, shown_edits
from sentry_paste.cli.check.files import UNREADABLE, Place
from sentry_paste.cli.check.inheritance import first_line, loss_text, uncallable_text
from sentry_paste.cli.check.loader import missing_distribution
from sentry_paste.cli.check.structure import Layer, Structure
from sentry_paste.cli.check.trial import Change, Goal, Trial

# Names in one warning.
_MOST_NAMES = 10

# Older filters for Sentry, and ours under the name of another of our entry points.
_LIKELY_OURS = re.compile(
    r"egg:(raven|sentry[-_.]sdk|sentry[-_.]paste|plone\.recipe\.zope2instance#sentry$)(\W|$)", re.IGNORECASE
)


def check_structure(structure: Structure, trial: Trial) -> Iterator[Finding]:
    """Warn of apps and filters that Sentry does not cover, and of Sentry where it does nothing.

    Args:
        structure: structure of the ini, with Sentry somewhere in it.
        trial: tries what is advised.
    """
    first = next(layer for _, layer in structure.root.walk() if layer.is_sentry)
    around_all = None
    for outside, layer in structure.root.walk():
        covered = any(other.is_sentry for other in outside)
        if layer.is_sentry and covered:
            file = os.path.relpath(layer.path, os.path.dirname(structure.path))
            name = layer.name if layer.path == structure.path else f"{layer.name} of {file}"
            yield Finding(
                "medium",
                "inside-sentry",
                f"{name} is inside another Sentry, which handles the request: it does nothing",
                "" if layer.path == structure.path else layer.path,
            )
        elif layer.is_sentry:
            yield from _not_outermost(structure, trial, outside, layer)
        elif layer.kind == "app" and not covered and not (layer.is_inbox or layer.is_healthcheck):
            if around_all is None:
                change = trial.first(cover_all(trial, structure, first))
                around_all = f"; to cover everything, {change.phrase}" if change else ""
            yield Finding(
                "medium",
                "not-covered",
                f"{layer.name} is not covered by Sentry: its errors are not reported{around_all}",
            )


def _few(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:_MOST_NAMES])} and {more} more"


def _not_outermost(
    structure: Structure, trial: Trial, outside: tuple[Layer, ...], sentry: Layer
) -> Iterator[Finding]:
    filters = [layer.name for layer in outside if layer.kind == "filter" and not layer.is_catcher]
    if filters:
        are = "is" if len(filters) == 1 else "are"
        change = trial.first(move_outermost(trial, structure, outside, sentry))
        yield Finding(
            "medium",
            "not-outermost",
            f"{_few(filters)} {are} outside {sentry.name}, so errors there are not reported"
            + (f"; {change.phrase}" if change else ""),
        )
    for layer in outside:
        if layer.is_repeating:
            yield Finding(
                "medium",
                "forwards-outside",
                f"{layer.name} forwards requests by an exception and is outside {sentry.name}: a request "
                f"that is forwarded counts as two; {layer.name} belongs inside",
            )


def check_ignored(structure: Structure) -> Iterator[Finding]:
    """Warn of filters that the app ignores.

    Args:
        structure: structure of the ini.
    """
    for name in structure.ignored:
        yield Finding(
            "high",
            "filter-ignored",
            f"{name} does nothing: CKAN reads this file itself and ignores its filters",
        )


def check_inheritance(trial: Trial) -> Iterator[Finding]:
    """Warn of options that are lost where sections inherit, and of apps that cannot answer.

    Args:
        trial: the ini as PasteDeploy loads it, which tries what is advised.
    """
    path = trial.path
    changes: dict[Place, Change | None] = {}
    for loss in trial.losses():
        what = "filter" if loss.base.kind == "filter" else "app"
        lines: tuple[str, ...] = ()
        if loss.base in changes:
            advice = "; the same lines restore them" if changes[loss.base] else ""
        else:
            change = changes[loss.base] = trial.first(restore_options(trial, loss))
            lines = tuple(shown_edits(change.edits, path)) if change else ()
            advice = "; write" if change else _advice_without_change(what, loss.is_sentry)
        yield Finding(
            "high" if loss.is_sentry else "medium",
            "options-lost",
            loss_text(trial.files, loss, path, is_placed=True) + advice,
            loss.place.path,
            first_line(trial.files, loss),
            lines,
        )
    mended = any(changes.values())  # each of these has been answered a request
    for found in trial.loaded.uncallable:
        change = None if mended else trial.first(make_callable(trial, found))
        advice = f"; {change.phrase}" if change else ""
        if mended:
            advice = "; the lines that restore the options mend this, too"
        yield Finding(
            "high",
            "filter-with-unusable",
            uncallable_text(found, path) + advice,
            found.place.path,
            line_of(trial.files, found.place, "filter-with"),
        )


def _advice_without_change(what: str, is_sentry: bool) -> str:
    advice = f"; inherit from a section that has the {what} alone, without filter-with or a pipeline"
    if not is_sentry:
        return advice
    return f"{advice}, or remove the filter and start the server with sentry-paste run, which changes no ini"


def find_intended_sentry(structure: Structure) -> Layer | None:
    """Return a filter that was probably meant to be ours, None if there is none.

    Args:
        structure: structure of an ini without Sentry.
    """
    for _, layer in structure.root.walk():
        if layer.kind == "filter" and _is_meant_to_be_ours(layer.spec, layer.missing):
            return layer
    return None


def _is_meant_to_be_ours(spec: str, missing: str) -> bool:
    is_near = difflib.get_close_matches(missing.lower(), ["sentry_paste", "sentry-paste"], cutoff=0.8)
    return bool(is_near or _LIKELY_OURS.match(spec))


@dataclass(frozen=True)
class Remedy:
    """What to write where Sentry is missing.

    Attributes:
        lines: the lines.
        notes: what is to be known about them.
    """

    lines: tuple[str, ...]
    notes: tuple[str, ...] = ()


def find_remedy(structure: Structure, trial: Trial, unused: Sequence[str]) -> Remedy | None:
    """Return what to write in an ini without Sentry; None if nothing works that was tried.

    Args:
        structure: structure of the ini.
        trial: tries what is advised.
        unused: sections of ours that are in the ini.
    """
    try:
        return _remedy(structure, trial, unused)
    except UNREADABLE:
        return None


def _remedy(structure: Structure, trial: Trial, unused: Sequence[str]) -> Remedy | None:
    filters = [name.partition(":")[2].strip() for name in unused if name.startswith("filter:")]
    intended = None if filters else find_intended_sentry(structure)
    if intended is not None:
        return _replacement(trial, intended)
    notes: list[str] = []
    path, section = structure.path, None
    idle = _idle_filter(structure, trial)
    if filters:
        name = filters[0]
        notes.append(f"[filter:{name}] is in the file, but nothing here uses it.")
    elif idle:
        name = idle.name
        section = make_ours(trial.files, idle)
        notes.append(f"[{idle.section}] is in the file, but it is another filter, and nothing here uses it.")
    else:
        name = next(name for name in ("sentry", "sentry_paste", "sentry_filter") if not _has(trial, name))
        section = new_section(path, f"filter:{name}", *NEW_FILTER)
    change = trial.first(add_sentry(trial, structure, name, section))
    if change is None:
        return None
    lines = tuple(shown_edits(change.edits, path))
    if any(line.endswith(" ...") for line in lines):
        notes.append(f"In the last line, {name} comes before what [{structure.outermost}] already lists.")
    elif lines[-1] == f"filter-with = {name}":
        notes.append(_where_filter_with_goes(trial, Place(path, structure.outermost)))
    return Remedy(lines, tuple(notes))


def _where_filter_with_goes(trial: Trial, place: Place) -> str:
    line = line_of(trial.files, place, "filter-with")
    if line is None:
        return f"Add the last line to what [{place.section}] already has."
    value = trial.files.parser(place.path).get(place.section, "filter-with", raw=True)
    old = f"filter-with = {' '.join(value.split())}".rstrip()
    return f"The last line goes in place of {old} (line {line})."


def _has(trial: Trial, name: str) -> bool:
    return bool(trial.files.sections(trial.path, "filter", name))


def _idle_filter(structure: Structure, trial: Trial) -> Place | None:
    """Return a section that was meant to be Sentry's, and that nothing uses."""
    used = {(layer.path, layer.section) for _, layer in structure.root.walk()}
    parser = trial.files.parser(structure.path)
    for section in parser.sections():
        place = Place(structure.path, section)
        if place.kind != "filter" or (place.path, section) in used:
            continue
        options = dict(parser.items(section, raw=True))
        spec = options.get("use") or options.get("paste.filter_factory", "")
        if place.name == "sentry" or _is_meant_to_be_ours(spec, missing_distribution(spec)):
            return place
    return None


def _replacement(trial: Trial, intended: Layer) -> Remedy | None:
    """Return the line that makes a filter ours."""
    notes = (f"in place of {intended.spec}, which is another filter.",)
    if intended.section:
        edits = [make_ours(trial.files, Place(intended.path, intended.section))]
        lines: tuple[str, ...] = (f"[{intended.section}]", "use = egg:sentry_paste")
    else:
        edits = list(replace_entry(trial.files, intended.path, intended.spec))
        lines = ("egg:sentry_paste",)
    change = trial.first([Change("", tuple(edits), Goal.SOME)])
    return Remedy(lines, notes) if change else None


def find_first_start(layer: Layer, trial: Trial) -> tuple[str, ...]:
    """Return the lines that start Sentry before the app; none if nothing works that was tried.

    Args:
        layer: one of our filters.
        trial: tries what is advised.
    """
    change = trial.first(start_first(trial, layer))
    return tuple(shown_edits(change.edits, trial.path)) if change else ()
