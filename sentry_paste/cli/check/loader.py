"""PasteDeploy's loader without its imports: which sections an ini has, what they name, and what is wrong."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any
from urllib.parse import unquote

from paste.deploy.loadwsgi import (
    APP,
    ConfigLoader,
    LoaderContext,
    NicerConfigParser,
    loadcontext,
)

from sentry_paste.cli.check.source import (
    LoadProblem,
    Source,
    TolerantInterpolation,
    fault_text,
    read_source,
)
from sentry_paste.config.sources import PREFIX


@dataclass
class Reading:
    """What has been found out while an ini and those that it includes are read.

    Attributes:
        loaders: one for each file that was opened.
        sources: the text of each file by its path.
        problems: what keeps PasteDeploy from loading them.
        entered: files and sections that are being read, to find circles.
        options_section: section of ours that need not say so, as in the file of ``sentry-paste run``.
    """

    loaders: list[StaticLoader] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    problems: list[LoadProblem] = field(default_factory=list)
    entered: list[tuple[str, str]] = field(default_factory=list)
    options_section: str = ""

    @property
    def is_swift(self) -> bool:
        """Return whether Swift loads these files."""
        return any(source.is_swift for source in self.sources.values())

    def source(self, path: str) -> Source:
        """Return the text of a file.

        Args:
            path: of the file.

        Raises:
            OSError: it cannot be read.
        """
        path = os.path.abspath(path)
        if path not in self.sources:
            self.sources[path] = read_source(path)
            self.problems += self.sources[path].problems
        return self.sources[path]

    def all_problems(self) -> tuple[LoadProblem, ...]:
        """Return everything that keeps PasteDeploy from loading the files, each once, by file and line."""
        found = [*self.problems]
        for loader in self.loaders:
            found += loader.interpolation_problems()
        order = list(self.sources)
        order += [path for source in self.sources.values() for path, _ in source.parts]
        return tuple(
            sorted(dict.fromkeys(found), key=lambda found: (order.index(found.path), found.line or 0))
        )

    @contextmanager
    def inside(self, path: str, section: str) -> Iterator[None]:
        """Read a section in a with statement.

        Args:
            path: of its file.
            section: its name.

        Raises:
            LookupError: it is being read already.
        """
        if (path, section) in self.entered:
            raise LookupError(f"[{section}] refers back to itself")
        self.entered.append((path, section))
        try:
            yield
        finally:
            self.entered.pop()


class StaticLoader(ConfigLoader):  # type: ignore[misc]  # PasteDeploy has no types
    """PasteDeploy's loader, but it imports only this package; contexts have ``section``, ``spec``, ``path``.

    What cannot be loaded is a problem of the reading, and has a context with ``is_broken`` in its place.
    The overridden methods are the same in PasteDeploy 3.0.0 and 3.1.0.

    Args:
        filename: path of an ini, or of a configuration directory of Swift's.
        variables: variables for ``[DEFAULT]``.
        reading: to which this file belongs.
    """

    def __init__(self, filename: str, variables: Mapping[str, str], reading: Reading | None = None) -> None:
        # Not PasteDeploy's own, which stops at the first mistake in the file.
        self.filename = os.path.abspath(filename.strip())
        self.reading = reading or Reading()
        source = self.reading.source(self.filename)
        here = self.filename if os.path.isdir(self.filename) else os.path.dirname(self.filename)
        defaults = {"here": here, "__file__": self.filename}
        self.parser = NicerConfigParser(self.filename, defaults=defaults, strict=False)
        self.parser.optionxform = str
        for path, text in source.parts:
            self.parser.read_string(text, path)
        self.interpolation = TolerantInterpolation(self.reading.is_swift)
        self.parser._interpolation = self.interpolation
        self.update_defaults(variables, overwrite=False)
        self._titles = self._sections_by_title()
        self.reading.loaders.append(self)
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
        return self.context_or_problem(object_type, name, global_conf, name or "main")

    def context_or_problem(self, object_type: Any, name: str | None, global_conf: Any, written: str) -> Any:
        """Return the context; if it cannot be loaded, add a problem and return an empty one.

        Args:
            object_type: object type of PasteDeploy.
            name: name of a section, or a URI with a scheme.
            global_conf: ``[DEFAULT]`` of the caller.
            written: the name as the ini has it.
        """
        try:
            return self._context_of(object_type, name, global_conf)
        except _SectionError as error:
            path, line = self.reading.source(self.filename).section_place(error.section)
            text = " ".join(str(error).split())
            self.reading.problems.append(LoadProblem(path, line, "cannot-load", text, error.section))
        except OSError as error:
            message = f"{error.filename or name}: {error.strerror or error}"
            self.add_reference_problem(written, message, "missing-file")
        except (LookupError, ValueError, ImportError, AttributeError) as error:
            self.add_reference_problem(
                written,
                message_of(error),
                "missing-section" if isinstance(error, LookupError) else "cannot-load",
            )
        context = LoaderContext(None, object_type, None, global_conf or {}, {}, self)
        context.section, context.spec, context.path = "", written, self.filename
        context.is_broken = True
        return context

    def add_reference_problem(self, written: str, message: str, code: str) -> None:
        """Add a problem of what the section that is being read refers to.

        Args:
            written: the reference.
            message: what is wrong with it.
            code: of the problem.
        """
        if "%(" in written:
            return  # the missing variable is a problem of its own
        path, section = self.reading.entered[-1] if self.reading.entered else (self.filename, "")
        source = self.reading.source(path)
        place, line, option = source.referring_place(section, written)
        if not option and section:  # an option without a value, for which PasteDeploy takes main
            place, line = source.section_place(section)
            empty = next((name for name in ("use", "filter-with") if self._is_empty(section, name)), "")
            if empty:
                place, line = source.option_place(section, empty)
                message = f"{empty} in [{section}] has no value: {message}"
        text = f"{option} in [{section}] names {written}: {message}" if option else message
        self.reading.problems.append(LoadProblem(place, line, code, text, section))

    def _is_empty(self, section: str, option: str) -> bool:
        parser = self.parser
        return parser.has_option(section, option) and not parser.get(section, option, raw=True).strip()

    def _context_of(self, object_type: Any, name: str | None, global_conf: Any) -> Any:
        if name is None or not self.absolute_name(name):
            section = self.find_config_section(object_type, name)
            with self.reading.inside(self.filename, section):
                try:
                    return super().get_context(object_type, name, global_conf)
                except KeyError as error:
                    raise _SectionError(section, self._missing_default(str(error.args[0]))) from error
                except (LookupError, ValueError, ImportError, AttributeError) as error:
                    raise _SectionError(section, message_of(error)) from error
        scheme, _, rest = name.partition(":")
        if scheme.lower() in ("config", "config_dir"):
            path, _, section = rest.partition("#")
            path = os.path.join(os.path.dirname(self.filename), unquote(path))
            loader = StaticLoader(path, global_conf or {}, self.reading)
            return loader.context_or_problem(object_type, section or "main", global_conf, name)
        if is_ours(name):
            context = loadcontext(object_type, name, global_conf=global_conf)
        elif scheme.lower() in ("egg", "call"):
            context = LoaderContext(None, object_type, None, global_conf or {}, {}, self)
        else:
            raise LookupError(f"{name!r} has a scheme that PasteDeploy does not know")
        context.section, context.spec, context.path = "", name, self.filename
        return context

    def find_config_section(self, object_type: Any, name: str | None = None) -> str:
        """Return the section of a name, by PasteDeploy's rules.

        Args:
            object_type: object type of PasteDeploy.
            name: name of a section.

        Raises:
            LookupError: there is no such section, or more than one; the message has the nearest name.
        """
        wanted = name or "main"

        def sections(prefix: str) -> list[str]:
            """Return the sections of that prefix and the name; ``[app]`` alone if no name was given."""
            bare = [prefix] if name is None and self.parser.has_section(prefix) else []
            return [*bare, *self._titles.get((prefix, wanted), [])]

        possible = possible_sections(object_type, sections)
        if len(possible) == 1:
            return possible[0]
        if possible:
            raise LookupError(f"there is more than one section for {wanted!r}")
        prefixes = [prefix for group in object_type.config_prefixes for prefix in group]
        titles = {title: f"[{prefix}:{title}]" for prefix, title in self._titles if prefix in prefixes}
        nearest = difflib.get_close_matches(wanted, titles, n=1)
        hint = f"; did you mean {titles[nearest[0]]}?" if nearest else ""
        raise LookupError(f"there is no [{prefixes[0]}:{wanted}]{hint}")

    def _sections_by_title(self) -> dict[tuple[str, str], list[str]]:
        """Return the sections by prefix and name."""
        found: dict[tuple[str, str], list[str]] = {}
        for section in self.parser.sections():
            prefix, colon, title = section.partition(":")
            if colon:
                found.setdefault((prefix, title.strip()), []).append(section)
        return found

    def interpolation_problems(self) -> Iterator[LoadProblem]:
        """Yield what is wrong with values that could not be interpolated.

        A variable that an app's own option needs may come from its loader, and is none of ours.
        """
        source = self.reading.source(self.filename)
        for (section, option), name in self.interpolation.faults.items():
            is_ours = option.startswith(PREFIX) or self._is_ours(section)
            if name is None or is_ours or _is_structural(option):
                path, line = source.option_place(section, option)
                yield LoadProblem(
                    path,
                    line,
                    "variable" if name else "percent-sign",
                    fault_text(name, is_ours),
                    section,
                    option,
                )

    def _is_ours(self, section: str) -> bool:
        if not self.parser.has_section(section):
            return False
        if section == self.reading.options_section:
            return True
        values = self.parser.items(section, raw=True)
        specs = [value for key, value in values if key == "use" or key.startswith("paste.")]
        return any(is_ours(spec) for spec in specs)

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


def _is_structural(option: str) -> bool:
    return option in ("use", "pipeline", "next", "filter-with") or option.startswith(("paste.", "/"))


class _SectionError(LookupError):
    """PasteDeploy cannot load what a section says."""

    def __init__(self, section: str, message: str) -> None:
        super().__init__(message)
        self.section = section


def message_of(error: Exception) -> str:
    """Return the message of an exception in one line.

    Args:
        error: the exception.
    """
    # str() of a KeyError has quotes around its message.
    return " ".join((str(error.args[0]) if error.args else str(error)).split())


def possible_sections(object_type: Any, sections: Callable[[str], list[str]]) -> list[str]:
    """Return the sections that PasteDeploy finds, which compares each name with all sections of a file.

    Args:
        object_type: object type of PasteDeploy.
        sections: returns the sections of a type, such as ``app``, that have the name.
    """
    possible: list[str] = []
    for prefixes in object_type.config_prefixes:
        possible += next(filter(None, map(sections, prefixes)), [])
    return possible


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
