"""What stands around what in an ini, read without loading any of it."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
from collections.abc import Iterator, Mapping
from configparser import MissingSectionHeaderError
from dataclasses import replace
from importlib import metadata
from typing import Any
from urllib.parse import unquote

from paste.deploy.loadwsgi import (
    APP,
    FILTER,
    FILTER_APP,
    FILTER_WITH,
    PIPELINE,
    ConfigLoader,
    LoaderContext,
    loadcontext,
)

from sentry_paste.cli.check.structure import INCLUDES, SCRIPT, IniError, Layer, Structure
from sentry_paste.config.sources import PREFIX


class NoTextError(ValueError):
    """A file that is not in the encoding in which PasteDeploy reads it; the text has its name."""


class StaticLoader(ConfigLoader):  # type: ignore[misc]  # PasteDeploy has no types
    """PasteDeploy's loader, which imports nothing but us; contexts have ``section``, ``spec`` and ``path``.

    The overridden methods are the same in PasteDeploy 3.0.0 and 3.1.0.
    """

    def __init__(self, filename: str, variables: Mapping[str, str]) -> None:
        try:
            super().__init__(filename)
        except UnicodeDecodeError as error:
            raise NoTextError(
                f"{filename}: is no text in {error.encoding}{_line(filename, error)}"
            ) from error
        except MissingSectionHeaderError as error:
            if not error.line.startswith("\ufeff"):
                raise
            told = "begins with a byte order mark, which PasteDeploy takes for text; save it as UTF-8 without"
            raise NoTextError(f"{filename}: {told}") from error
        self.update_defaults(variables, overwrite=False)
        for section in self.parser.sections():
            self.parser.remove_option(section, "require")  # of distributions, which need not be here

    def section_of(self, name: str) -> str:
        """Return the section that a server's ``#name`` means.

        Args:
            name: of an app.

        Raises:
            LookupError: there is none, or more than one.
        """
        if is_there(self, APP, name):
            return str(self.find_config_section(APP, name))
        prefixes = {prefix for group in APP.config_prefixes for prefix in group}
        sections = [section.partition(":") for section in self.parser.sections()]
        names = [name.strip() for prefix, colon, name in sections if colon and prefix in prefixes]
        if name in names:
            raise LookupError(f"has more than one section for the app {name!r}")
        hint = f"; name one, as in {os.path.basename(self.filename)}#{names[0]}" if names else ""
        raise LookupError(
            f"has no section for an app {name!r}; its apps are: {', '.join(names) or 'none'}{hint}"
        )

    def outermost(self, section: str) -> str:
        """Return the section at the end of a chain of ``filter-with`` lines.

        Args:
            section: where it begins.
        """
        seen = {section}
        while self.parser.has_option(section, "filter-with"):
            following = f"filter:{self.parser.get(section, 'filter-with').strip()}"
            if following in seen or not self.parser.has_section(following):
                break
            section = following
            seen.add(section)
        return section

    def get_context(self, object_type: Any, name: str | None = None, global_conf: Any = None) -> Any:
        """Return what a name stands for, with PasteDeploy's own rules for sections.

        Args:
            object_type: of PasteDeploy's.
            name: of a section, or with a scheme.
            global_conf: of whoever asks.

        Raises:
            LookupError: there is no such section, or the name cannot be understood.
        """
        if name is None or not self.absolute_name(name):
            try:
                return super().get_context(object_type, name, global_conf)
            except KeyError as error:
                raise LookupError(self._told_of_get(str(error.args[0]))) from error
        scheme, _, rest = name.partition(":")
        if scheme.lower() == "config":
            path, _, section = rest.partition("#")
            path = os.path.join(os.path.dirname(self.filename), unquote(path))
            return StaticLoader(path, global_conf or {}).get_context(
                object_type, section or "main", global_conf
            )
        if is_ours(name):
            context = loadcontext(object_type, name, global_conf=global_conf)
        elif scheme.lower() in ("egg", "call"):
            context = LoaderContext(None, object_type, None, global_conf or {}, {}, self)
        else:
            raise LookupError(f"{name!r} has a scheme that PasteDeploy does not know")
        context.section, context.spec, context.path = "", name, self.filename
        return context

    def _told_of_get(self, missing: str) -> str:
        asking = (
            option
            for section in self.parser.sections()
            for option, value in self.parser.items(section, raw=True)
            if option.startswith("get ") and value.strip() == missing
        )
        return f"{next(asking, 'a section')} asks for {missing}, which [DEFAULT] does not have"

    def _context_from_use(
        self, object_type: Any, local_conf: Any, global_conf: Any, additions: Any, section: str
    ) -> Any:
        context = super()._context_from_use(object_type, local_conf, global_conf, additions, section)
        context.section, context.path = section, self.filename
        return context

    def _context_from_explicit(
        self, object_type: Any, local_conf: Any, global_conf: Any, additions: Any, section: str
    ) -> Any:
        known = {protocol for group in object_type.egg_protocols for protocol in group}
        given = {key: value for key, value in local_conf.items() if key in known}
        spec = next(iter(given.values()), "")
        if not is_ours(spec):
            # The checks are PasteDeploy's; what it loads is something that is always there.
            local_conf = {**local_conf, **dict.fromkeys(given, "builtins:object")}
        context = super()._context_from_explicit(object_type, local_conf, global_conf, additions, section)
        context.section, context.spec, context.path = section, spec, self.filename
        return context

    def _pipeline_app_context(self, object_type: Any, section: str, **kwargs: Any) -> Any:
        words = kwargs["local_conf"].get("pipeline", "").split()
        if not words and "pipeline" in kwargs["local_conf"]:
            raise LookupError(f"pipeline of [{section}] names no app")
        context = super()._pipeline_app_context(object_type, section, **kwargs)
        context.section, context.path, context.pipeline = section, self.filename, tuple(words)
        return context

    def _filter_app_context(self, object_type: Any, section: str, **kwargs: Any) -> Any:
        context = super()._filter_app_context(object_type, section, **kwargs)
        context.section, context.path = section, self.filename
        return context


def _line(filename: str, error: UnicodeDecodeError) -> str:
    """Return which line of a file is no text."""
    with open(filename, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode(error.encoding)
            except UnicodeDecodeError:
                return f": line {number}"
    return ""


def is_there(loader: Any, kind: Any, name: str) -> bool:
    """Return whether an ini has one section for a name.

    Args:
        loader: of the ini.
        kind: an object type of PasteDeploy's.
        name: without a scheme.
    """
    try:
        loader.find_config_section(kind, name)
    except LookupError:
        return False
    return True


#: Apps of this package: names of entry points, and of modules.
APPS = ("example", "inbox")


def is_ours(spec: str) -> bool:
    """Return whether a spec leads to this package's filter or composite; its apps are as any other.

    Args:
        spec: ``egg:sentry_paste#main``, ``sentry_paste:filter_factory``, that with ``call:`` before it.
    """
    scheme, egg, rest = spec.strip().partition("egg:")
    if egg and not scheme:
        distribution, _, name = rest.partition("#")
        return re.sub(r"[-_.]+", "-", distribution.lower()) == "sentry-paste" and name not in APPS
    package, _, module = spec.replace("call:", "").partition(":")[0].strip().partition(".")
    return package == "sentry_paste" and module not in APPS


def missing_of(spec: str) -> str:
    """Return the distribution, or the package, that a spec needs and that is not installed here.

    Args:
        spec: as ``is_ours`` takes it.
    """
    scheme, egg, rest = spec.strip().partition("egg:")
    if egg and not scheme:
        name = rest.partition("#")[0]
        try:
            metadata.distribution(name)
        except (metadata.PackageNotFoundError, ValueError):
            return name
        return ""
    package = spec.replace("call:", "").partition(":")[0].partition(".")[0].strip()
    try:
        return "" if not package or importlib.util.find_spec(package) else package
    except (ImportError, ValueError):
        return package


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
