"""What stands around what in an ini, read without loading any of it."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from paste.deploy.loadwsgi import APP, FILTER, FILTER_APP, FILTER_WITH, PIPELINE

from sentry_paste.cli.check.static_loader import NoTextError, StaticLoader, is_ours, is_there, missing_of
from sentry_paste.cli.check.structure import INCLUDES, SCRIPT, IniError, Layer, Structure
from sentry_paste.config.sources import PREFIX

# What a composite's key looks like whose value is the name of an app for certain: Paste's urlmap has them.
_MOUNT_POINT = re.compile(r"/|https?://|domain\s")
# Eggs whose apps are composites in a section of any kind.
_COMPOSITES = re.compile(r"egg:paste(#urlmap|#cascade)", re.IGNORECASE)

# What Pyramid's setting pyramid.includes names us by.
_INCLUDED = frozenset({"sentry_paste", "sentry_paste.pyramid"})

# What puts Sentry there where no section of its own does.
_PLACED = {SCRIPT: "SentryMiddleware of your wsgi.py", INCLUDES: INCLUDES}


def read_structure(path: str, name: str = "main", variables: Mapping[str, str] | None = None) -> Structure:
    """Return what a server would load.

    Args:
        path: of the ini.
        name: of the app.
        variables: what the command line adds to ``[DEFAULT]``.

    Raises:
        IniError: the file cannot be read, or names what is not in it.
    """
    variables = dict(variables or {})
    try:
        loader = StaticLoader(os.path.abspath(path), variables)
        section = loader.section_of(name)
        root, ignored = _without_ignored(_app(loader.get_context(APP, name, variables)))
        return Structure(root, loader.filename, section, loader.outermost(section), ignored)
    except OSError as error:
        raise IniError(f"{error.filename or path}: {error.strerror or error}") from error
    except RecursionError as error:
        raise IniError(f"{path}: a section leads back to itself") from error
    except configparser.InterpolationSyntaxError as error:
        place = f"in {error.option} of [{error.section}]; a percent sign itself is written %%"
        raise IniError(f"{' '.join(error.message.split())}, {place}") from error
    except configparser.Error as error:
        raise IniError(" ".join(error.message.split())) from error
    except NoTextError as error:
        raise IniError(str(error)) from error
    except (LookupError, ValueError, ImportError, AttributeError) as error:
        told = str(error.args[0]) if error.args else str(error)
        raise IniError(f"{path}: {' '.join(told.split())}") from error


def _without_ignored(root: Layer) -> tuple[Layer, tuple[str, ...]]:
    """Return what is left where an app reads the ini by itself, and the names of the filters around it."""
    for outside, layer in root.walk():
        if layer.reads_itself:
            own = [other for other in outside if other.placed == SCRIPT]
            ignored = [o.name for o in outside if o.kind in ("filter", "sentry") and o not in own]
            return (own[0] if own else layer), tuple(ignored)
    return root, ()


def _app(context: Any) -> Layer:
    kind, section = context.object_type, getattr(context, "section", "")
    if kind is PIPELINE:
        layer = _app(context.app_context)
        for filter_context in reversed(context.filter_contexts):
            layer = _filter(filter_context, layer, "pipeline", section, context.pipeline)
        return layer
    if kind is FILTER_APP:
        return _filter(context.filter_context, _app(context.next_context), "filter-app", section)
    if kind is FILTER_WITH:
        place = section or getattr(context.next_context, "section", "")
        return _filter(context.filter_context, _app(context.next_context), "filter-with", place)
    if is_ours(context.spec):
        return _our_composite(context)
    composite = "composit" in (context.protocol or "") or _COMPOSITES.match(context.spec)
    layer = Layer(
        kind="composite" if composite else "app",
        inner=tuple(_parts(context)) if composite else (),
        missing=missing_of(context.spec),
        **_naming(context),
    )
    if layer.is_inbox:
        return replace(layer, global_conf=context.global_conf, local_conf=context.local_conf)
    return _included(context, layer)


def _included(context: Any, app: Layer) -> Layer:
    """Return an app in Sentry where its settings say that: to Pyramid, or to the script that loads it."""
    settings = {**context.global_conf, **context.local_conf}
    placed = INCLUDES
    if app.reads_itself and any(key.startswith(PREFIX) for key in settings):
        placed = SCRIPT
    elif _INCLUDED.isdisjoint(settings.get(INCLUDES, "").split()):
        return app
    place = ("here", "__file__")
    return Layer(
        kind="sentry",
        inner=(("", app),),
        placed=placed,
        placed_in=context.section,
        global_conf={
            key: value for key, value in context.global_conf.items() if key.startswith(PREFIX) or key in place
        },
        local_conf={key: value for key, value in context.local_conf.items() if key.startswith(PREFIX)},
        **{**_naming(context), "name": "sentry", "spec": _PLACED[placed]},
    )


def _filter(context: Any, inner: Layer, placed: str, placed_in: str, pipeline: tuple[str, ...] = ()) -> Layer:
    if context.object_type is FILTER_WITH:
        layer = _filter(context.next_context, inner, placed, placed_in, pipeline)
        return _filter(context.filter_context, layer, placed, placed_in, pipeline)
    if not is_ours(context.spec):
        missing = missing_of(context.spec)
        return Layer(kind="filter", inner=(("", inner),), missing=missing, **_naming(context))
    return Layer(
        kind="sentry",
        inner=(("", inner),),
        placed=placed,
        placed_in=placed_in,
        pipeline=pipeline,
        global_conf=context.global_conf,
        local_conf=context.local_conf,
        **_naming(context),
    )


def _our_composite(context: Any) -> Layer:
    app = context.local_conf.get("app")
    inner = [("", _app(context.loader.get_context(APP, app, context.global_conf)))] if app else []
    return Layer(
        kind="sentry",
        inner=tuple(inner),
        placed="composite",
        placed_in=context.section,
        global_conf=context.global_conf,
        local_conf=context.local_conf,
        **_naming(context),
    )


def _parts(context: Any) -> Iterator[tuple[str, Layer]]:
    """Yield the parts of another's composite, as far as its lines name sections."""
    loader = context.loader
    for key, value in context.local_conf.items():
        *filters, app = value.split() or [""]
        if _MOUNT_POINT.match(key) and app and not filters:
            yield key, _app(loader.get_context(APP, app, context.global_conf))
        elif is_there(loader, APP, app) and all(is_there(loader, FILTER, name) for name in filters):
            # The pipelines that OpenStack's composites choose from, and apps by keys of all kinds.
            layer = _app(loader.get_context(APP, app, context.global_conf))
            for name in reversed(filters):
                found = loader.get_context(FILTER, name, context.global_conf)
                layer = _filter(found, layer, "other composite", context.section)
            yield key, layer


def _naming(context: Any) -> dict[str, Any]:
    section = context.section
    return {
        "name": section.partition(":")[2].strip() or context.spec,
        "section": section,
        "spec": context.spec,
        "path": context.path,
    }
