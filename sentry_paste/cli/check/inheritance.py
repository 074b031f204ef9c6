"""Options that an app loses where its section inherits from one with a filter, in words.

PasteDeploy adds the options of ``[app:main] use = config:base.ini`` to what that file makes. With
``filter-with``, a pipeline or a filter app there, this is not the app: it keeps the values of
``base.ini``, and tests run on the production database.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from paste.deploy.loadwsgi import APP

from sentry_paste.cli.check.edits import line_of
from sentry_paste.cli.check.files import UNREADABLE, Files, Place
from sentry_paste.cli.check.stubs import Loss, Uncallable, load

# Names of options that are shown.
_MOST_NAMES = 8

# Apps of an ini that are looked at when it is started.
_MOST_APPS = 20


def loss_text(files: Files, loss: Loss, path: str, is_placed: bool = False) -> str:
    """Return what has been lost, and why; a clause.

    Args:
        files: the files.
        loss: the options.
        path: the ini that is checked; other files are named.
        is_placed: whether file and line of the first option are shown in front of the text.
    """
    base = loss.base
    names = ", ".join(_names(files, loss, is_placed))
    more = len(loss.keys) - _MOST_NAMES
    names += f" and {more} more" if more > 0 else ""
    do = "does" if len(loss.keys) == 1 else "do"
    what = "filter" if base.kind == "filter" else "app"
    title = f"[{loss.place.section}]" if is_placed else _title(loss.place, path)
    inherits = f"{names} of {title} {do} not reach the {what}: the section inherits {_title(base, path)}"
    if loss.to_sentry:
        return f"{inherits}, so PasteDeploy gives the options to Sentry"
    return (
        f"{inherits}, where PasteDeploy drops its options at {_around(loss)}; "
        f"the {what} runs with the values of {_title(loss.app, path)}"
    )


def uncallable_text(found: Uncallable, path: str) -> str:
    """Return why each request fails; a clause.

    Args:
        found: the section.
        path: the ini that is checked; other files are named.
    """
    place, inner = found.place, found.inner
    uses = "" if inner == place else f", as it uses {_title(inner, path)}, {_WHAT[found.how]}"
    return (
        f"PasteDeploy cannot make an app of {_title(place, path)} with filter-with: every request fails with "
        f"a TypeError{uses}"
    )


_WHAT = {
    "pipeline": "a pipeline",
    "filter-app": "a filter app",
    "filter-with": "which has a filter-with itself",
}


def _around(loss: Loss) -> str:
    if loss.how == "filter-with":
        return f"filter-with = {loss.filters[0]}"
    if loss.how == "pipeline":
        shown = [*loss.filters[:3], "..."] if len(loss.filters) > 3 else loss.filters
        return f"the pipeline ({', '.join(shown)})" if shown else "the pipeline"
    return "the filter"


def _names(files: Files, loss: Loss, is_placed: bool) -> Iterator[str]:
    for number, key in enumerate(loss.keys[:_MOST_NAMES]):
        line = line_of(files, loss.place, key)
        yield f"{key} (line {line})" if line and not (is_placed and number == 0) else key


def _title(place: Place, path: str) -> str:
    title = f"[{place.section}]"
    return title if place.path == path else f"{title} of {os.path.relpath(place.path, os.path.dirname(path))}"


def first_line(files: Files, loss: Loss) -> int | None:
    """Return the line of the first option that is lost.

    Args:
        files: the files.
        loss: the options.
    """
    return line_of(files, loss.place, loss.keys[0])


def find_at_start(global_conf: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Yield what has been lost because Sentry is around an app, and why an app cannot answer, as clauses.

    With each goes whether Sentry receives the options. PasteDeploy does not say which app of the file it
    loads: each is looked at.

    Args:
        global_conf: of a factory: ``[DEFAULT]``, with the loader's ``__file__``.
    """
    path = os.path.abspath(global_conf["__file__"])
    files = Files()
    try:
        names = _apps_that_inherit(files, path)
    except UNREADABLE:
        return  # the loader may have read something else
    variables = {key: value for key, value in global_conf.items() if key not in ("here", "__file__")}
    found: dict[tuple[str, bool], None] = {}
    for name in names[:_MOST_APPS]:
        loaded = load(files, path, name, variables)
        for loss in loaded.losses:
            if loss.is_sentry:
                found[loss_text(files, loss, path), loss.to_sentry] = None
        found.update(((uncallable_text(bad, path), False), None) for bad in loaded.uncallable)
    yield from found


def _apps_that_inherit(files: Files, path: str) -> list[str]:
    parser = files.parser(path)
    prefixes = {prefix for group in APP.config_prefixes for prefix in group}
    names = []
    for section in parser.sections():
        place = Place(path, section)
        if place.kind in prefixes and place.name:
            options = dict(parser.items(section, raw=True))
            inherits = not options.get("use", "egg:").startswith(("egg:", "call:"))
            if inherits or ("filter-with" in options and place.kind in ("pipeline", "filter-app")):
                names.append(place.name)
    return names
