"""What stands around what in an ini, told without loading any of it."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from paste.deploy.loadwsgi import APP, FILTER, FILTER_APP, FILTER_WITH, PIPELINE

from sentry_paste.config.sources import PREFIX
from sentry_paste.staticloader import StaticLoader, is_ours, is_there, missing_of

# What a composite's key looks like whose value is the name of an app for certain: Paste's urlmap has them.
_MOUNT_POINT = re.compile(r"/|https?://|domain\s")
# Eggs whose apps are composites in a section of any kind.
_COMPOSITES = re.compile(r"egg:paste(#urlmap|#cascade)", re.IGNORECASE)
_INBOX = re.compile(r"sentry[_.-]paste(#inbox|\.inbox:)", re.IGNORECASE)

# Swift's own catcher of errors: in front of it Sentry sees an answer, behind it the error.
_CATCHER = re.compile(r"egg:swift#catch_errors|swift\.common\.middleware\.catch_errors:", re.IGNORECASE)

# CKAN has no factory for PasteDeploy since 2.9: a class of its own reads the section.
_READS_ITSELF = re.compile(r"egg:ckan(#|$)", re.IGNORECASE)

_HEALTHCHECK = re.compile(r"oslo_middleware(\.healthcheck)?:Healthcheck\.")

# What Pyramid's setting pyramid.includes names us by.
_INCLUDED = frozenset({"sentry_paste", "sentry_paste.pyramid"})


#: Where Sentry stands that a script puts around the app, with options from the app's section.
SCRIPT = "script"
#: Where Sentry stands that Pyramid puts around the app, with options from the app's settings.
INCLUDES = "pyramid.includes"

# What puts it there where no section of its own does.
_PLACED = {SCRIPT: "SentryMiddleware of your wsgi.py", INCLUDES: INCLUDES}


class IniError(ValueError):
    """An ini that PasteDeploy would not load, on one line."""


@dataclass(frozen=True)
class Layer:
    """An app, or a filter or composite around others.

    Attributes:
        name: as the ini refers to it.
        kind: ``app``, ``filter``, ``composite`` or ``sentry``.
        section: its section, without brackets; empty for a bare ``egg:`` in a pipeline.
        spec: what makes it: ``egg:Paste#urlmap``, ``myapp.wsgi:factory``.
        path: of the ini that it stands in, absolute.
        inner: what it calls, by mount point or key; by an empty key where there is one thing only.
        missing: the distribution or module that it needs and that is not installed here.
        placed: how Sentry came to stand here: ``pipeline``, ``filter-with``, ``filter-app``, ``composite``,
            ``pyramid.includes``, ``script``.
        placed_in: the section that says so.
        pipeline: what that section lists, where it is a pipeline.
        global_conf: what Sentry's factory, or the inbox's, gets.
        local_conf: what Sentry's factory, or the inbox's, gets.
    """

    name: str
    kind: str
    section: str
    spec: str
    path: str
    inner: tuple[tuple[str, Layer], ...] = ()
    missing: str = ""
    placed: str = ""
    placed_in: str = ""
    pipeline: tuple[str, ...] = ()
    global_conf: Mapping[str, str] | None = None
    local_conf: Mapping[str, str] | None = None

    @property
    def is_sentry(self) -> bool:
        """Tell whether this is ours."""
        return self.kind == "sentry"

    @property
    def is_inbox(self) -> bool:
        """Tell whether this shows what was captured of others: nobody waits for errors of its own."""
        return self.kind == "app" and bool(_INBOX.search(self.spec))

    @property
    def is_catcher(self) -> bool:
        """Tell whether this answers all errors, so that Sentry is right to stand behind it."""
        return self.kind == "filter" and _CATCHER.match(self.spec) is not None

    @property
    def is_healthcheck(self) -> bool:
        """Tell whether this is oslo.middleware's health check, which can do without Sentry."""
        return self.kind == "app" and _HEALTHCHECK.match(self.spec) is not None

    @property
    def reads_itself(self) -> bool:
        """Tell whether this is an app that reads the ini by itself."""
        return self.kind == "app" and _READS_ITSELF.match(self.spec) is not None

    @property
    def has_sentry(self) -> bool:
        """Tell whether this, or anything in it, is ours."""
        return self.is_sentry or any(layer.has_sentry for _, layer in self.inner)

    def walk(self, outside: tuple[Layer, ...] = ()) -> Iterator[tuple[tuple[Layer, ...], Layer]]:
        """Yield this and all that is in it, each after those that stand around it, outermost first.

        Args:
            outside: what stands around this.
        """
        yield outside, self
        for _, layer in self.inner:
            yield from layer.walk((*outside, self))


@dataclass(frozen=True)
class Structure:
    """What an ini makes of one name.

    Attributes:
        root: the outermost.
        path: of the ini, absolute.
        section: the section of the name, without brackets.
        outermost: the section where ``filter-with`` puts a filter around all of it.
        ignored: names of filters that do nothing, as the app reads the ini by itself.
    """

    root: Layer
    path: str
    section: str
    outermost: str
    ignored: tuple[str, ...] = ()

    @property
    def reads_itself(self) -> bool:
        """Tell whether the app reads the ini by itself, so that no filter in it does anything."""
        return any(layer.reads_itself for _, layer in self.root.walk())

    @property
    def is_inbox(self) -> bool:
        """Tell whether there are inboxes and no other apps."""
        apps = [layer for _, layer in self.root.walk() if layer.kind == "app"]
        return bool(apps) and all(app.is_inbox for app in apps)

    def is_inside_sentry(self, layer: Layer) -> bool:
        """Tell whether one of ours stands around a layer.

        Args:
            layer: of this structure.
        """
        return any(other.is_sentry for other in self._outside_of(layer))

    def is_caught(self, layer: Layer) -> bool:
        """Tell whether a layer stands behind a filter that answers all errors.

        Args:
            layer: of this structure.
        """
        return any(other.is_catcher for other in self._outside_of(layer))

    def _outside_of(self, layer: Layer) -> Iterator[Layer]:
        for outside, found in self.root.walk():
            if found is layer:
                yield from outside


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
    except configparser.Error as error:
        raise IniError(" ".join(error.message.split())) from error
    except UnicodeDecodeError as error:
        raise IniError(f"{path}: is no text in {error.encoding}") from error
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
