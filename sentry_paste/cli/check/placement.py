"""What a reader of an ini should know of where Sentry stands in it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from sentry_paste.cli.check.advice import Warned
from sentry_paste.cli.check.structure import INCLUDES, Layer, Structure

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
