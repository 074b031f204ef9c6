"""Read the structure of an ini without importing its apps and filters."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from paste.deploy.loadwsgi import APP, FILTER, FILTER_APP, FILTER_WITH, PIPELINE

from sentry_paste.cli.check.loader import (
    Reading,
    StaticLoader,
    has_section,
    is_ours,
    message_of,
    missing_distribution,
)
from sentry_paste.cli.check.structure import INCLUDES, RUN, SCRIPT, IniError, Layer, Structure
from sentry_paste.config.sources import PREFIX
from sentry_paste.config.variables import SECTIONS

# Keys of a composite whose value is certainly the name of an app: mount points of Paste's urlmap.
_MOUNT_POINT = re.compile(r"/|https?://|domain\s")
# Eggs that are composites even in an [app:...] section.
_COMPOSITES = re.compile(r"egg:paste(#urlmap|#cascade)", re.IGNORECASE)

# Our names in Pyramid's setting pyramid.includes.
_INCLUDED = frozenset({"sentry_paste", "sentry_paste.pyramid"})

# What is shown as the factory of a Sentry that has no section.
_PLACED = {SCRIPT: "SentryMiddleware in your wsgi.py", INCLUDES: INCLUDES}


def read_structure(path: str, name: str = "main", variables: Mapping[str, str] | None = None) -> Structure:
    """Return the layers that a server would load.

    Args:
        path: path of the ini.
        name: name of the app.
        variables: variables that the command line adds to ``[DEFAULT]``.

    Raises:
        IniError: the file cannot be read, or refers to something that is not in it.
    """
    variables, reading = dict(variables or {}), Reading()
    try:
        loader = StaticLoader(path, variables, reading)
        _refuse_file_of_uwsgi(loader)
        run_file = _read_run_file(loader) if name == "main" else None
        if run_file is not None:
            return run_file
        section = loader.section_of(name)
        root, ignored = _without_ignored(_app_layer(loader.get_context(APP, name, variables)))
        return Structure(
            root,
            loader.filename,
            section,
            loader.outermost(section),
            ignored,
            reading.all_problems(),
            tuple(reading.sources.values()),
        )
    except OSError as error:
        raise IniError(f"{error.filename or path}: {error.strerror or error}") from error
    except RecursionError as error:
        raise IniError(f"{path}: a section refers back to itself") from error
    except (LookupError, ValueError, configparser.Error) as error:
        others = [str(problem) for problem in reading.problems]
        raise IniError("\n".join([*others, f"{path}: {message_of(error)}"])) from error


def read_filter(path: str, name: str, variables: Mapping[str, str]) -> Layer | None:
    """Return a filter as if it were around an app, None if it cannot be loaded.

    Args:
        path: path of its ini.
        name: its name in the ini.
        variables: variables that the command line adds to ``[DEFAULT]``.
    """
    try:
        context = StaticLoader(path, variables).get_context(FILTER, name, dict(variables))
        layer = _filter_layer(context, Layer("", "app", "", "", path), "filter-with", "")
    except (OSError, LookupError, ValueError, RecursionError, configparser.Error):
        return None
    return layer if layer.is_sentry else None


def _read_run_file(loader: StaticLoader) -> Structure | None:
    """Return Sentry around the apps that a command loads; None if this is no file of ``sentry-paste run``.

    That has options and no app.
    """
    parser, reading = loader.parser, loader.reading
    kinds = {section.partition(":")[0] for section in parser.sections()}
    section = next((section for section in SECTIONS if parser.has_section(section)), "")
    if (
        not section
        or os.path.isdir(loader.filename)
        or kinds & {kind for group in APP.config_prefixes for kind in group}
    ):
        return None
    reading.options_section = section
    parser.items(section)  # finds what cannot be interpolated
    if section.startswith("filter:") and parser.has_option(section, "use"):
        loader.get_context(FILTER, section.partition(":")[2])  # finds what cannot be inherited
    apps = Layer("the apps that the command loads", "app", "", "", loader.filename)
    options = Layer(
        section.rpartition(":")[2],
        "sentry",
        section,
        "sentry-paste run",
        loader.filename,
        inner=(("", apps),),
        placed=RUN,
        placed_in=section,
    )
    sources = tuple(reading.sources.values())
    return Structure(
        options, loader.filename, section, section, problems=reading.all_problems(), sources=sources
    )


def _refuse_file_of_uwsgi(loader: StaticLoader) -> None:
    """Refuse a file that is uWSGI's and has no app; its message names the ini to check."""
    parser = loader.parser
    kinds = {section.partition(":")[0] for section in parser.sections()}
    if not parser.has_section("uwsgi") or kinds & {kind for group in APP.config_prefixes for kind in group}:
        return
    values = parser.items("uwsgi", raw=True)
    named = [value for key, value in values if key in ("ini-paste", "ini-paste-logged", "paste")]
    directory = f"{os.path.dirname(loader.filename)}/"
    # The variables of uWSGI's that name the directory of the file.
    inis = [re.sub(r"^config:|(?<=/)/+", "", value.replace("%d", directory)) for value in named]
    advice = f"check {' and '.join(inis)}" if inis else "check the ini that its paste or ini-paste names"
    loader.reading.problems.clear()
    raise LookupError(f"is a file of uWSGI's, without an app; {advice}")


def _without_ignored(root: Layer) -> tuple[Layer, tuple[str, ...]]:
    """Drop the filters around an app that reads the ini itself; return what is left, and their names."""
    for outside, layer in root.walk():
        if layer.reads_itself:
            own = [other for other in outside if other.placed == SCRIPT]
            ignored = [o.name for o in outside if o.kind in ("filter", "sentry") and o not in own]
            return (own[0] if own else layer), tuple(ignored)
    return root, ()


def _app_layer(context: Any) -> Layer:
    """Return the layers of a context: an app, or whatever PasteDeploy wraps around one."""
    kind, section = context.object_type, getattr(context, "section", "")
    if kind is PIPELINE:
        layer = _app_layer(context.app_context)
        for filter_context in reversed(context.filter_contexts):
            layer = _filter_layer(filter_context, layer, "pipeline", section, context.pipeline)
        return layer
    if kind is FILTER_APP:
        return _filter_layer(context.filter_context, _app_layer(context.next_context), "filter-app", section)
    if kind is FILTER_WITH:
        place = section or getattr(context.next_context, "section", "")
        return _filter_layer(context.filter_context, _app_layer(context.next_context), "filter-with", place)
    if getattr(context, "is_broken", False):
        return Layer(kind="app", **_identity(context))
    if is_ours(context.spec):
        return _our_composite(context)
    composite = "composit" in (context.protocol or "") or _COMPOSITES.match(context.spec)
    layer = Layer(
        kind="composite" if composite else "app",
        inner=tuple(_composite_apps(context)) if composite else (),
        missing=missing_distribution(context.spec),
        **_identity(context),
    )
    if layer.is_inbox:
        return replace(layer, global_conf=context.global_conf, local_conf=context.local_conf)
    return _with_included(context, layer)


def _with_included(context: Any, app: Layer) -> Layer:
    """Return an app with Sentry around it if its settings include Sentry, for Pyramid or for a script."""
    settings = {**context.global_conf, **context.local_conf}
    placed = INCLUDES
    if app.reads_itself and any(key.startswith(PREFIX) for key in settings):
        placed = SCRIPT
    elif _INCLUDED.isdisjoint(settings.get(INCLUDES, "").split()):
        return app
    location = ("here", "__file__")
    return Layer(
        kind="sentry",
        inner=(("", app),),
        placed=placed,
        placed_in=context.section,
        global_conf={
            key: value
            for key, value in context.global_conf.items()
            if key.startswith(PREFIX) or key in location
        },
        local_conf={key: value for key, value in context.local_conf.items() if key.startswith(PREFIX)},
        **{**_identity(context), "name": "sentry", "spec": _PLACED[placed]},
    )


def _filter_layer(
    context: Any, inner: Layer, placed: str, placed_in: str, pipeline: tuple[str, ...] = ()
) -> Layer:
    if context.object_type is FILTER_WITH:
        layer = _filter_layer(context.next_context, inner, placed, placed_in, pipeline)
        return _filter_layer(context.filter_context, layer, placed, placed_in, pipeline)
    if getattr(context, "is_broken", False) or not is_ours(context.spec):
        missing = "" if hasattr(context, "is_broken") else missing_distribution(context.spec)
        return Layer(kind="filter", inner=(("", inner),), missing=missing, **_identity(context))
    return Layer(
        kind="sentry",
        inner=(("", inner),),
        placed=placed,
        placed_in=placed_in,
        pipeline=pipeline,
        global_conf=context.global_conf,
        local_conf=context.local_conf,
        **_identity(context),
    )


def _our_composite(context: Any) -> Layer:
    app = context.local_conf.get("app")
    inner = [("", layer) for layer in _inner_layers(context, app)] if app else []
    return Layer(
        kind="sentry",
        inner=tuple(inner),
        placed="composite",
        placed_in=context.section,
        global_conf=context.global_conf,
        local_conf=context.local_conf,
        **_identity(context),
    )


def _composite_apps(context: Any) -> Iterator[tuple[str, Layer]]:
    """Yield keys and apps of a foreign composite, as far as its options name sections."""
    loader = context.loader
    for key, value in context.local_conf.items():
        *filters, app = value.split() or [""]
        if _MOUNT_POINT.match(key) and app and not filters:
            for layer in _inner_layers(context, app):
                yield key, layer
        elif has_section(loader, APP, app) and all(has_section(loader, FILTER, name) for name in filters):
            # OpenStack's composites choose among pipelines; others name apps under keys of any kind.
            for layer in _inner_layers(context, app):
                for name in reversed(filters):
                    found = loader.get_context(FILTER, name, context.global_conf)
                    layer = _filter_layer(found, layer, "other composite", context.section)
                yield key, layer


def _inner_layers(context: Any, app: str) -> Iterator[Layer]:
    """Yield the layers of an app that a composite names, none if that leads back to the composite."""
    reading = context.loader.reading
    try:
        with reading.inside(context.path, context.section):
            found = context.loader.get_context(APP, app, context.global_conf)
            layer = _app_layer(found)
    except LookupError as error:
        context.loader.add_reference_problem(app, str(error), "circle")
    else:
        yield layer


def _identity(context: Any) -> dict[str, Any]:
    section = context.section
    return {
        "name": section.partition(":")[2].strip() or context.spec,
        "section": section,
        "spec": context.spec,
        "path": context.path,
    }
