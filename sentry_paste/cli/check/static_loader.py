"""PasteDeploy's loader, made to read an ini without importing what it names.

Sections, ``use``, ``set``, ``filter-with`` and ``[DEFAULT]`` mean what they mean at a start. Only
names that lead to code (``egg:``, ``call:``, ``paste.app_factory``) are not followed, unless they are
ours: the app need not be installed.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from configparser import MissingSectionHeaderError
from importlib import metadata
from typing import Any
from urllib.parse import unquote

from paste.deploy.loadwsgi import APP, ConfigLoader, LoaderContext, loadcontext


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
    """Tell whether an ini has one section for a name.

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
    """Tell whether a spec leads to this package's filter or composite; its apps are as any other.

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
