"""Load an ini with PasteDeploy, with stubs in place of its apps and filters.

PasteDeploy itself decides which options each of them receives and what is around what; nothing of the
ini is imported. A request then shows whether the result can be called, and what Sentry is around.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
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
)

from sentry_paste.cli.check.files import Files, Place
from sentry_paste.cli.check.loader import has_section, is_ours, possible_sections

# Larger inis are not loaded: composites may refer to the same sections over and over.
_MOST_PARTS = 5_000

# Where a stub of ours says that it is around.
_MARK = "sentry_paste.stub"

# Composites by their egg, also in an [app:...] section, and keys whose value is the name of an app.
_COMPOSITES = re.compile(r"egg:paste(#urlmap|#cascade)", re.IGNORECASE)
_MOUNT_POINT = re.compile(r"/|https?://|domain\s")

_INCLUDES = "pyramid.includes"
_INCLUDED = frozenset({"sentry_paste", "sentry_paste.pyramid"})

#: Sections whose options are meant for an app, whatever they inherit by ``use``.
APP_SECTIONS = ("app", "application")


@dataclass(frozen=True)
class Use:
    """Sections that inherit from one that puts something around an app.

    Attributes:
        base: the section that is inherited.
        users: the sections that inherit it, each from the one before.
    """

    base: Place
    users: tuple[Place, ...]


@dataclass(frozen=True)
class Loss:
    """Options that do not get to the app or filter that they are written for.

    PasteDeploy adds the options of a section with ``use`` to whatever the other section makes
    (``ConfigLoader._context_from_use``). With a filter around its app that is not the app.

    Attributes:
        place: the section with the options.
        keys: the options, also ``set NAME``.
        base: the section that is inherited, which puts something around the app.
        users: the sections that inherit it, each from the one before, down to the one with the options.
        app: the section of the app, or of the filter, that the options do not reach.
        how: ``filter-with``, ``pipeline``, ``filter-app`` or ``composite``.
        filters: names of the filters that are around it there.
        is_sentry: whether one of these is ours.
        to_sentry: whether our factory receives the options.
    """

    place: Place
    keys: tuple[str, ...]
    base: Place
    users: tuple[Place, ...]
    app: Place
    how: str
    filters: tuple[str, ...]
    is_sentry: bool
    to_sentry: bool = False


@dataclass(frozen=True)
class Uncallable:
    """A section with ``filter-with`` of which PasteDeploy makes no app, so that each request fails.

    Attributes:
        place: the section.
        filter_with: its filter.
        inner: the section that it is put around.
        how: what that is: ``pipeline``, ``filter-app`` or ``filter-with``.
    """

    place: Place
    filter_with: str
    inner: Place
    how: str


@dataclass(frozen=True)
class Part:
    """An app or a filter, and what its factory received.

    Attributes:
        kind: ``app``, ``composite``, ``filter`` or ``sentry``.
        spec: its factory.
        place: the section that names the factory.
        local_conf: what the factory received.
        global_conf: what the factory received.
        meant: options that were written for it and that it did not receive.
    """

    kind: str
    spec: str
    place: Place | None
    local_conf: Mapping[str, str]
    global_conf: Mapping[str, str]
    meant: Mapping[str, str]


@dataclass
class Loaded:
    """What came of loading an app.

    Attributes:
        parts: apps and filters, in the order in which their factories were called.
        uses: sections that inherit from one with something around its app.
        losses: options that were lost.
        uncallable: sections that cannot answer.
        called: the parts that a request reached, and whether Sentry was around each.
        error: why it cannot be loaded or does not answer; empty if it does.
    """

    parts: list[Part] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    uncallable: list[Uncallable] = field(default_factory=list)
    called: list[tuple[Part, bool]] = field(default_factory=list)
    error: str = ""


def load(files: Files, path: str, name: str = "main", variables: Mapping[str, str] | None = None) -> Loaded:
    """Load an app with stubs, and send it a request.

    Args:
        files: where to read the ini and those that it includes.
        path: absolute path of the ini.
        name: name of the app.
        variables: variables that the command line adds to ``[DEFAULT]``.
    """
    loaded = Loaded()
    try:
        loader = _Loader(path, files, loaded)
        loader.update_defaults(variables or {}, overwrite=False)
        context = loader.get_context(APP, name, dict(variables or {}))
        _Stubs(loaded).create(context)(_environ(), _start_response)
    except RecursionError:
        loaded.error = "a section refers back to itself"
    except Exception as error:  # whatever PasteDeploy raises for such an ini
        loaded.error = f"{type(error).__name__}: {error}"
    # A section that is used twice is loaded twice.
    loaded.uses = list(dict.fromkeys(loaded.uses))
    loaded.losses = list(dict.fromkeys(loaded.losses))
    loaded.uncallable = list(dict.fromkeys(loaded.uncallable))
    if any(loss.to_sentry for loss in loaded.losses):
        loaded.error = loaded.error or "Sentry refuses the options of an app"
    return loaded


def _environ() -> dict[str, Any]:
    return {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/"}


def _start_response(*_args: Any) -> None:
    """Ignore status and headers."""


class _Loader(ConfigLoader):  # type: ignore[misc]  # PasteDeploy has no types
    """PasteDeploy's loader, which imports nothing and records where each context comes from."""

    def __init__(self, path: str, files: Files, loaded: Loaded) -> None:
        self.filename = path
        self.parser = files.parser(path)
        self._files = files
        self._loaded = loaded

    def get_context(self, object_type: Any, name: str | None = None, global_conf: Any = None) -> Any:
        """Return the context of a name, with the section that it comes from; of an egg, one without code."""
        if not self.absolute_name(name):
            context = super().get_context(object_type, name, global_conf)
            if not hasattr(context, "place"):
                context.place = Place(self.filename, self.find_config_section(object_type, name))
                self._note_uncallable(object_type, context)
            return context
        scheme, _, rest = str(name).partition(":")
        if scheme.lower() == "config":
            path, _, section = rest.partition("#")
            path = unquote(os.path.join(os.path.dirname(self.filename), path.replace("\\", "/")))
            loader = _Loader(os.path.abspath(path), self._files, self._loaded)
            loader.update_defaults(global_conf or {}, overwrite=False)
            return loader.get_context(object_type, section or "main", global_conf)
        if scheme.lower() not in ("egg", "call"):
            raise LookupError(f"{scheme}: is no scheme that PasteDeploy knows")
        context = LoaderContext(None, object_type, None, global_conf or {}, {}, self)
        context.spec, context.place = name, None
        return context

    def find_config_section(self, object_type: Any, name: str | None = None) -> str:
        """Return the section of a name, from an index: PasteDeploy looks at every section for each name."""
        possible = possible_sections(
            object_type, lambda kind: self._files.sections(self.filename, kind, str(name))
        )
        if len(possible) == 1:
            return possible[0]
        return str(super().find_config_section(object_type, name))

    def _note_uncallable(self, object_type: Any, context: Any) -> None:
        if object_type is not APP or context.object_type is not FILTER_WITH:
            return
        inner = context.next_context
        if inner.object_type is not APP:  # for which _FilterWith.invoke returns a function of an app
            filter_with = self.parser.get(context.place.section, "filter-with").strip()
            self._loaded.uncallable.append(
                Uncallable(context.place, filter_with, _place(inner), _HOW[inner.object_type.name])
            )

    def _context_from_use(
        self, object_type: Any, local_conf: Any, global_conf: Any, additions: Any, section: str
    ) -> Any:
        own = {key: value for key, value in local_conf.items() if key != "use"}
        context = super()._context_from_use(object_type, local_conf, global_conf, additions, section)
        place = Place(self.filename, section)
        if context.place is None:
            context.place, context.users = place, ()
        else:
            context.users = (*getattr(context, "users", ()), place)
        if context.object_type in (FILTER_WITH, PIPELINE, FILTER_APP):
            self._loaded.uses.append(Use(context.place, context.users))
            self._note_loss(context, own, additions, place)
        elif _is_our_composite(context) and place.kind in APP_SECTIONS and context.place != place:
            self._loaded.uses.append(Use(context.place, context.users))
            meant = {key: value for key, value in own.items() if key != "app"}
            _mean(context, meant, place)
            if meant:
                self._loaded.losses.append(
                    Loss(
                        place,
                        tuple(meant),
                        context.place,
                        context.users,
                        context.place,
                        "composite",
                        (context.place.name,),
                        True,
                        True,
                    )
                )
        return context

    def _note_loss(
        self, wrapper: Any, own: Mapping[str, str], additions: Mapping[str, str], place: Place
    ) -> None:
        innermost = _innermost(wrapper)
        lost = {key: value for key, value in own.items() if innermost.local_conf.get(key) != value}
        _mean(innermost, lost, place)
        not_set = [
            f"set {key}" for key, value in additions.items() if innermost.global_conf.get(key) != value
        ]
        if lost or not_set:
            filters = list(_filters(wrapper))
            to_sentry = wrapper.object_type is FILTER_APP and wrapper.local_conf is (
                wrapper.filter_context.local_conf
            )
            self._loaded.losses.append(
                Loss(
                    place,
                    (*lost, *not_set),
                    _place(wrapper),
                    wrapper.users,
                    _place(innermost),
                    _HOW[wrapper.object_type.name],
                    tuple(_name(context) for context in filters),
                    any(is_ours(_innermost(context).spec) for context in filters),
                    to_sentry and is_ours(_innermost(wrapper.filter_context).spec),
                )
            )

    def _context_from_explicit(
        self, object_type: Any, local_conf: Any, global_conf: Any, additions: Any, section: str
    ) -> Any:
        known = {protocol for group in object_type.egg_protocols for protocol in group}
        given = [key for key in local_conf if key in known]
        spec = local_conf[given[0]] if given else ""
        # In place, and something that can be imported: filter-with keeps the same dict, and so its app
        # receives what a section that inherits from it adds.
        local_conf.update(dict.fromkeys(given, "builtins:object"))
        context = super()._context_from_explicit(object_type, local_conf, global_conf, additions, section)
        context.spec, context.place = spec, Place(self.filename, section)
        return context


def _mean(context: Any, options: Mapping[str, str], place: Place) -> None:
    """Record options that were written for an app or a filter, or for the app of our composite."""
    is_for_app = _is_our_composite(context) and place.kind in APP_SECTIONS
    name = "for_app" if is_for_app else "meant"
    setattr(context, name, {**getattr(context, name, {}), **options})


_HOW = {PIPELINE.name: "pipeline", FILTER_APP.name: "filter-app", FILTER_WITH.name: "filter-with"}


def _place(context: Any) -> Place:
    place = getattr(context, "place", None)
    return place if place is not None else Place(context.loader.filename, "")


def _name(context: Any) -> str:
    place = getattr(context, "place", None)
    return place.name if place is not None else str(getattr(context, "spec", ""))


def _innermost(context: Any) -> Any:
    """Return the context of the app, or of the filter, that others are put around."""
    while context.object_type in (FILTER_WITH, PIPELINE, FILTER_APP):
        context = context.app_context if context.object_type is PIPELINE else context.next_context
    return context


def _filters(context: Any) -> Iterator[Any]:
    """Yield the contexts of the filters around an app, outermost first."""
    while context.object_type in (FILTER_WITH, PIPELINE, FILTER_APP):
        if context.object_type is PIPELINE:
            yield from context.filter_contexts
            context = context.app_context
        else:
            yield context.filter_context
            context = context.next_context


def _is_composite(context: Any) -> bool:
    composite = "composit" in (context.protocol or "") or _COMPOSITES.match(context.spec)
    return bool(composite) or is_ours(context.spec)


def _inner_apps(loader: Any, local_conf: Mapping[str, str]) -> Iterator[list[str]]:
    """Yield the names of filters and an app that a composite's options seem to refer to."""
    for key, value in local_conf.items():
        *filters, app = value.split() or [""]
        names = has_section(loader, APP, app) and all(has_section(loader, FILTER, name) for name in filters)
        if names or (_MOUNT_POINT.match(key) and app and not filters):
            yield [*filters, app]


def _is_our_composite(context: Any) -> bool:
    return context.object_type is APP and is_ours(context.spec)


class _Stubs:
    """Makes stubs of contexts, and records what each receives.

    Args:
        loaded: what to record in.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def create(self, context: Any) -> Callable[..., Any]:
        """Return what PasteDeploy makes of a context.

        Args:
            context: context of an app.
        """
        self._prepare(context)
        made: Callable[..., Any] = context.create()
        return made

    def _prepare(self, context: Any) -> None:
        kind = context.object_type
        if kind is PIPELINE:
            for inner in (context.app_context, *context.filter_contexts):
                self._prepare(inner)
        elif kind in (FILTER_APP, FILTER_WITH):
            self._prepare(context.next_context)
            self._prepare(context.filter_context)
        elif kind is FILTER:
            context.protocol = "paste.filter_factory"
            context.object = self._filter_factory(context)
        elif _is_composite(context):
            context.protocol = "paste.composite_factory"
            context.object = self._composite_factory(context)
        else:
            context.protocol = "paste.app_factory"
            context.object = self._app_factory(context)

    def _record(self, kind: str, context: Any, global_conf: Any, local_conf: Any) -> Part:
        if len(self._loaded.parts) >= _MOST_PARTS:
            raise ValueError(f"more than {_MOST_PARTS} apps and filters")
        meant = getattr(context, "meant", {})
        part = Part(kind, context.spec, context.place, dict(local_conf), dict(global_conf), dict(meant))
        self._loaded.parts.append(part)
        return part

    def _app_factory(self, context: Any) -> Callable[..., Any]:
        def app_factory(global_conf: Any, /, **local_conf: Any) -> Any:
            """Record the options of an app, and return one that records each request."""
            part = self._record("app", context, global_conf, local_conf)
            includes = local_conf.get(_INCLUDES, global_conf.get(_INCLUDES, "")).split()
            has_own = not _INCLUDED.isdisjoint(includes)

            def app(environ: Any, start_response: Any) -> list[bytes]:
                """Record whether Sentry is around this app, and answer with nothing."""
                self._loaded.called.append((part, has_own or _MARK in environ))
                start_response("200 OK", [])
                return [b""]

            return app

        return app_factory

    def _filter_factory(self, context: Any) -> Callable[..., Any]:
        def filter_factory(global_conf: Any, /, **local_conf: Any) -> Any:
            """Record the options of a filter, and return what puts it around an app."""
            kind = "sentry" if is_ours(context.spec) else "filter"
            part = self._record(kind, context, global_conf, local_conf)
            return lambda app: self._around(app, part)

        return filter_factory

    def _composite_factory(self, context: Any) -> Callable[..., Any]:
        def composite_factory(loader: Any, global_conf: Any, /, **local_conf: Any) -> Any:
            """Record the options of a composite, and create all apps that these seem to name."""
            kind = "sentry" if is_ours(context.spec) else "composite"
            part = self._record(kind, context, global_conf, local_conf)
            if kind == "sentry":
                inner = loader.get_context(APP, local_conf["app"], global_conf)
                app = _innermost(inner)
                app.meant = {**getattr(app, "meant", {}), **getattr(context, "for_app", {})}
                return self._around(self.create(inner), part)
            apps = []
            for *filters, name in _inner_apps(loader, local_conf):
                made = self.create(loader.get_context(APP, name, global_conf))
                for filter_name in reversed(filters):
                    found = loader.get_context(FILTER, filter_name, global_conf)
                    made = self.create(found)(made)
                apps.append(made)
            return self._around(_all_of(apps), part)

        return composite_factory

    def _around(self, app: Any, part: Part) -> Any:
        def called(environ: Any, start_response: Any) -> Any:
            """Record the request, and call the app, inside Sentry if the part is ours."""
            self._loaded.called.append((part, _MARK in environ))
            return app({**environ, _MARK: True} if part.kind == "sentry" else environ, start_response)

        return called


def _all_of(apps: list[Any]) -> Any:
    """Return an app that calls each of the apps, so that one request reaches all of a composite."""

    def composite(environ: Any, start_response: Any) -> Any:
        """Call each of the apps, and answer with nothing."""
        for app in apps:
            app(dict(environ), start_response)
        return [b""]

    return composite
