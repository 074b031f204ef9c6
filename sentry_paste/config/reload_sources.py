"""Where the options of a filter come from, so that they can be read from there again.

A ``Source`` remembers how a factory's options came about: which section of which file, and what the command
line has added. PasteDeploy's own rules are applied to it again, without its imports. That a source leads to
the options that the factory has received is checked when the process starts.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from paste.deploy.loadwsgi import APP, FILTER, FILTER_WITH, ConfigLoader, LoaderContext, NicerConfigParser

from sentry_paste.config.errors import ConfigError, Problem
from sentry_paste.config.inifile import IniFile
from sentry_paste.config.sources import PREFIX, RawOptions, collect, is_option, option_name
from sentry_paste.config.variables import CONFIG, collect_environment
from sentry_paste.config.watched import Texts


class _Loader(ConfigLoader):  # type: ignore[misc]  # PasteDeploy has no types
    """PasteDeploy's loader of one section. It imports nothing, and does not load what is around or inside."""

    def __init__(self, path: str, texts: Texts) -> None:
        self.filename, self._texts = path, texts
        here = path if os.path.isdir(path) else os.path.dirname(path)
        defaults = {"here": here, "__file__": path}
        self.parser = NicerConfigParser(path, defaults=defaults, strict=not os.path.isdir(path))
        self.parser.optionxform = str
        self.parser.read_string(texts.of(path), path)

    def options_of(
        self, section: str, global_conf: Mapping[str, str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return what a factory of a section receives.

        Args:
            section: its name, with its type.
            global_conf: of the file or the section that refers to this one.

        Raises:
            LookupError: there is no such section.
        """
        kind, _, name = section.partition(":")
        if not self.parser.has_section(section):
            raise LookupError("is not there any more")
        context = self.get_context(FILTER if kind == "filter" else APP, name.strip(), dict(global_conf))
        while context.object_type is FILTER_WITH:
            context = context.next_context
        return context.global_conf, context.local_conf

    def get_context(self, object_type: Any, name: str | None = None, global_conf: Any = None) -> Any:
        """Return the context of a name, without what it is made by.

        Args:
            object_type: of PasteDeploy.
            name: of a section, or a URI.
            global_conf: of the section that refers to it.

        Raises:
            LookupError: it cannot be found.
        """
        if not self.absolute_name(name):
            return super().get_context(object_type, name, global_conf)
        scheme, _, rest = str(name).partition(":")
        if scheme.lower() == "config":
            path, _, section = rest.partition("#")
            path = os.path.join(os.path.dirname(self.filename), unquote(path.replace("\\", "/")))
            loader = _Loader(os.path.abspath(path), self._texts)
            loader.update_defaults(global_conf or {}, overwrite=False)
            return loader.get_context(object_type, section or "main", global_conf)
        return LoaderContext(None, object_type, None, global_conf or {}, {}, self)

    def filter_context(self, name: str | None = None, global_conf: Any = None) -> Any:
        """Return nothing: it is what ``filter-with`` puts around the section.

        Args:
            name: of the filter.
            global_conf: of the section.
        """

    def _filter_app_context(
        self,
        _object_type: Any,
        section: str,
        global_conf: Any,
        local_conf: Any,
        global_additions: Any,
        **_: Any,
    ) -> Any:
        local_conf.pop("next", None)
        if "use" in local_conf:
            return self._context_from_use(FILTER, local_conf, global_conf, global_additions, section)
        return self._context_from_explicit(FILTER, local_conf, global_conf, global_additions, section)

    def _context_from_explicit(
        self, object_type: Any, local_conf: Any, global_conf: Any, _additions: Any, _section: str
    ) -> Any:
        protocols = {protocol for group in object_type.egg_protocols for protocol in group}
        own = {key: value for key, value in local_conf.items() if key not in protocols}
        return LoaderContext(None, object_type, None, global_conf, own, self)


class Source:
    """Where the options of a filter come from."""

    def read(self, texts: Texts) -> RawOptions:
        """Return the options as they are written by now.

        Args:
            texts: reads the files.

        Raises:
            ConfigError: a file cannot be read or parsed, or the section is gone.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class IniSource(Source):
    """A section of an ini, or its ``[DEFAULT]`` alone.

    Attributes:
        path: of the ini.
        home: path of the file that has the section, which the ini may include.
        section: its name; empty for a filter that has none.
        added: what the command line, or the section that refers to it, has added to ``[DEFAULT]``.
        is_prefixed: whether only options with the prefix are ours, as in the settings of a Pyramid app.
    """

    path: str
    home: str
    section: str
    added: tuple[tuple[str, str], ...] = ()
    is_prefixed: bool = False

    def received(self, texts: Texts) -> tuple[dict[str, str], dict[str, str]]:
        """Return what the factory of the section would receive.

        Args:
            texts: reads the files.

        Raises:
            ConfigError: as ``read``.
        """
        place = f"{self.home} [{self.section}]" if self.section else self.path
        try:
            return self._received(texts)
        except OSError as error:
            self._refuse(error.filename or place, f"cannot be read: {error.strerror or error}")
        except configparser.InterpolationError as error:
            # Not the parser's own text, which quotes the value: that may be a secret.
            reason = "has a percent sign that is not %(NAME)s of [DEFAULT]; write %%"
            self._refuse(place, reason, error.option, self._line_of(error.option))
        except configparser.Error as error:
            number = getattr(error, "lineno", None) or next(iter(getattr(error, "errors", ())), (None,))[0]
            name = getattr(error, "source", None) or place
            self._refuse(str(name), f"cannot be parsed ({type(error).__name__})", line=number)
        except KeyError as error:
            self._refuse(place, f"refers to {error}, which [DEFAULT] does not have")
        except LookupError as error:
            self._refuse(place, str(error))
        except UnicodeDecodeError:
            self._refuse(place, "is not text in the encoding of the locale")
        except (ValueError, ImportError, RecursionError) as error:
            self._refuse(place, str(error) or type(error).__name__)
        raise AssertionError

    def _received(self, texts: Texts) -> tuple[dict[str, str], dict[str, str]]:
        added = dict(self.added)
        outer = _Loader(self.path, texts)
        outer.update_defaults(added, overwrite=False)
        shared = {**outer.parser.defaults(), **added}
        if not self.section:
            return shared, {}
        if self.home == self.path:
            return outer.options_of(self.section, added)
        inner = _Loader(self.home, texts)
        inner.update_defaults(shared, overwrite=False)
        return inner.options_of(self.section, shared)

    def read(self, texts: Texts) -> RawOptions:
        """Return the options as they are written by now.

        Args:
            texts: reads the files.

        Raises:
            ConfigError: a file cannot be read or parsed, or the section is gone.
        """
        shared, own = self.received(texts)
        if self.is_prefixed:
            return collect(_prefixed({**shared, **own}), {})
        # The place of a section only, as its text was read above.
        own.pop("app", None)
        return collect(shared, own, self.section, self.home if self.home != self.path else "")

    def _line_of(self, option: str) -> int | None:
        file = IniFile.read(self.home)
        section = file.sections.get(self.section or "DEFAULT") if file else None
        return section.lines.get(option) if section else None

    def _refuse(self, place: str, reason: str, option: str = "ini", line: int | None = None) -> None:
        raise ConfigError(place, [Problem(option, None, reason, line)]) from None


@dataclass(frozen=True)
class EnvironmentSource(Source):
    """The variables and the file of ``sentry-paste run``."""

    def read(self, texts: Texts) -> RawOptions:
        """Return the options as they are written by now.

        Args:
            texts: reads the files.

        Raises:
            ConfigError: the file cannot be read or parsed.
        """
        path = os.environ.get(CONFIG, "")
        if path:
            try:
                texts.of(os.path.abspath(path))
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                raise ConfigError(path, [Problem("ini", None, f"cannot be read: {reason}")]) from None
        return collect_environment(os.environ)


def find_source(global_conf: Mapping[str, str], local_conf: Mapping[str, str]) -> IniSource | None:
    """Return where the options of a factory come from; None if they would not be the same again.

    Args:
        global_conf: as the factory has received it.
        local_conf: likewise.
    """
    path = global_conf.get("__file__", "")
    file = IniFile.read(path) if path else None
    if file is None:
        return None
    for home, section in _candidates(file, global_conf, local_conf):
        found = _with_added(IniSource(path, home, section), global_conf, local_conf)
        if found is not None:
            return found
    return None


def find_included_source(settings: Mapping[str, Any]) -> IniSource | None:
    """Return where the settings of a Pyramid app come from; None if they would not be the same again.

    Args:
        settings: of the app.
    """
    path = str(settings.get("__file__", ""))
    file = IniFile.read(path) if path else None
    for section in file.sections.values() if file else ():
        if "sentry_paste" in section.values.get("pyramid.includes", ""):
            source = IniSource(path, path, section.name, is_prefixed=True)
            texts = {key: str(value) for key, value in settings.items() if isinstance(key, str)}
            found = _with_added(source, texts, {})
            if found is not None:
                return found
    return None


def _candidates(
    file: IniFile, global_conf: Mapping[str, str], local_conf: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    local = {key: value for key, value in local_conf.items() if not key.startswith("__")}
    section = file.section_of(local, global_conf)
    elsewhere = None if section or not local else file.find_included(local)
    if elsewhere is not None:
        yield elsewhere[0].path, elsewhere[1].name
    if section is not None:
        yield file.path, section.name
    if not local:
        yield file.path, ""


def _with_added(
    source: IniSource, global_conf: Mapping[str, str], local_conf: Mapping[str, str]
) -> IniSource | None:
    """Return a source with what the command line has added, None if it does not lead to the options."""
    given = (_given(source, global_conf), _given(source, local_conf))
    try:
        before, section = source.received(Texts())
        if source.is_prefixed:
            before = {**before, **section}
        raw = {**_raw_defaults(source.home), **_raw_defaults(source.path)}
        differing = {key: value for key, value in global_conf.items() if before.get(key) != value}
        for key in ("here", "__file__"):
            differing.pop(key, None)
        if source.is_prefixed:  # Pyramid has settings of its own
            differing = {key: value for key, value in differing.items() if key.startswith(PREFIX)}
        # A value that refers to another one changes with that.
        own = {key: value for key, value in differing.items() if "%" not in raw.get(key, "")}
        for added in (own, differing):
            found = replace(source, added=tuple(sorted(added.items())))
            shared, local = found.received(Texts())
            if source.is_prefixed:
                shared, local = {**shared, **local}, {}
            if (_given(source, shared), _given(source, local)) == given:
                return found
    except ConfigError:
        return None
    return None


def _given(source: IniSource, values: Mapping[str, str]) -> dict[str, str]:
    if source.is_prefixed:
        return _prefixed(values)
    return {
        key: value
        for key, value in values.items()
        if key.startswith(PREFIX) or is_option(option_name(key)) or key == "here"
    }


def _prefixed(values: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in values.items() if k.startswith(PREFIX) or k in ("here", "__file__")}


def _raw_defaults(path: str) -> dict[str, str]:
    file = IniFile.read(path)
    return dict(file.defaults.values) if file else {}
