"""Read the structure of an ini without importing its apps and filters."""

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


class NotTextError(ValueError):
    """PasteDeploy cannot decode the file; the message names it."""


class StaticLoader(ConfigLoader):  # type: ignore[misc]  # PasteDeploy has no types
    """PasteDeploy's loader, but it imports only this package; contexts have ``section``, ``spec``, ``path``.

    The overridden methods are the same in PasteDeploy 3.0.0 and 3.1.0.
    """

    def __init__(self, filename: str, variables: Mapping[str, str]) -> None:
        try:
            super().__init__(filename)
        except UnicodeDecodeError as error:
            raise NotTextError(
                f"{filename}: is not text in {error.encoding}{_line(filename, error)}"
            ) from error
        except MissingSectionHeaderError as error:
            if not error.line.startswith("\ufeff"):
                raise
            raise NotTextError(
                f"{filename}: begins with a byte order mark, which PasteDeploy takes for text; "
                "save it as UTF-8 without one"
            ) from error
        self.update_defaults(variables, overwrite=False)
        for section in self.parser.sections():
            self.parser.remove_option(section, "require")  # distributions that need not be installed here

    def section_of(self, name: str) -> str:
        """Return the section that ``#name`` after the ini's path refers to.

        Args:
            name: name of an app.

        Raises:
            LookupError: there is no such section, or more than one.
        """
        if has_section(self, APP, name):
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
            section: first section of the chain.
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
        """Return the context of a name, by PasteDeploy's own rules for sections.

        Args:
            object_type: object type of PasteDeploy.
            name: name of a section, or a URI with a scheme.
            global_conf: ``[DEFAULT]`` of the caller.

        Raises:
            LookupError: there is no such section, or the name cannot be understood.
        """
        if name is None or not self.absolute_name(name):
            try:
                return super().get_context(object_type, name, global_conf)
            except KeyError as error:
                raise LookupError(self._missing_default(str(error.args[0]))) from error
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

    def _missing_default(self, missing: str) -> str:
        referring = (
            option
            for section in self.parser.sections()
            for option, value in self.parser.items(section, raw=True)
            if option.startswith("get ") and value.strip() == missing
        )
        return f"{next(referring, 'a section')} refers to {missing}, which [DEFAULT] does not have"

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
            # PasteDeploy still checks the section, but imports something that is always there.
            local_conf = {**local_conf, **dict.fromkeys(given, "builtins:object")}
        context = super()._context_from_explicit(object_type, local_conf, global_conf, additions, section)
        context.section, context.spec, context.path = section, spec, self.filename
        return context

    def _pipeline_app_context(self, object_type: Any, section: str, **kwargs: Any) -> Any:
        words = kwargs["local_conf"].get("pipeline", "").split()
        if not words and "pipeline" in kwargs["local_conf"]:
            raise LookupError(f"pipeline in [{section}] names no app")
        context = super()._pipeline_app_context(object_type, section, **kwargs)
        context.section, context.path, context.pipeline = section, self.filename, tuple(words)
        return context

    def _filter_app_context(self, object_type: Any, section: str, **kwargs: Any) -> Any:
        context = super()._filter_app_context(object_type, section, **kwargs)
        context.section, context.path = section, self.filename
        return context


def _line(filename: str, error: UnicodeDecodeError) -> str:
    """Return the number of the first line that cannot be decoded, as text."""
    with open(filename, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode(error.encoding)
            except UnicodeDecodeError:
                return f": line {number}"
    return ""


def has_section(loader: Any, kind: Any, name: str) -> bool:
    """Return whether an ini has exactly one section for a name.

    Args:
        loader: loader of the ini.
        kind: object type of PasteDeploy.
        name: name without a scheme.
    """
    try:
        loader.find_config_section(kind, name)
    except LookupError:
        return False
    return True


#: Apps of this package, by their entry points and modules.
APPS = ("example", "inbox")


def is_ours(spec: str) -> bool:
    """Return whether a spec refers to our filter or composite; our apps count as any other.

    Args:
        spec: ``egg:sentry_paste#main`` or ``sentry_paste:filter_factory``, also with ``call:`` in front.
    """
    scheme, egg, rest = spec.strip().partition("egg:")
    if egg and not scheme:
        distribution, _, name = rest.partition("#")
        return re.sub(r"[-_.]+", "-", distribution.lower()) == "sentry-paste" and name not in APPS
    package, _, module = spec.replace("call:", "").partition(":")[0].strip().partition(".")
    return package == "sentry_paste" and module not in APPS


def missing_distribution(spec: str) -> str:
    """Return the distribution or package that a spec needs, empty if it is installed here.

    Args:
        spec: as for ``is_ours``.
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
    variables = dict(variables or {})
    try:
        loader = StaticLoader(os.path.abspath(path), variables)
        section = loader.section_of(name)
        root, ignored = _without_ignored(_app_layer(loader.get_context(APP, name, variables)))
        return Structure(root, loader.filename, section, loader.outermost(section), ignored)
    except OSError as error:
        raise IniError(f"{error.filename or path}: {error.strerror or error}") from error
    except RecursionError as error:
        raise IniError(f"{path}: a section refers back to itself") from error
    except configparser.InterpolationSyntaxError as error:
        place = f"in {error.option} of [{error.section}]; write a percent sign as %%"
        raise IniError(f"{' '.join(error.message.split())}, {place}") from error
    except configparser.Error as error:
        raise IniError(" ".join(error.message.split())) from error
    except NotTextError as error:
        raise IniError(str(error)) from error
    except (LookupError, ValueError, ImportError, AttributeError) as error:
        # str() of a KeyError has quotes around its message.
        message = str(error.args[0]) if error.args else str(error)
        raise IniError(f"{path}: {' '.join(message.split())}") from error


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
    if not is_ours(context.spec):
        missing = missing_distribution(context.spec)
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
    inner = [("", _app_layer(context.loader.get_context(APP, app, context.global_conf)))] if app else []
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
            yield key, _app_layer(loader.get_context(APP, app, context.global_conf))
        elif has_section(loader, APP, app) and all(has_section(loader, FILTER, name) for name in filters):
            # OpenStack's composites choose among pipelines; others name apps under keys of any kind.
            layer = _app_layer(loader.get_context(APP, app, context.global_conf))
            for name in reversed(filters):
                found = loader.get_context(FILTER, name, context.global_conf)
                layer = _filter_layer(found, layer, "other composite", context.section)
            yield key, layer


def _identity(context: Any) -> dict[str, Any]:
    section = context.section
    return {
        "name": section.partition(":")[2].strip() or context.spec,
        "section": section,
        "spec": context.spec,
        "path": context.path,
    }
