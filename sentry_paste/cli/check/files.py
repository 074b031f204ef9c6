"""Texts and parsers of ini files, each read once, also with changes that are not on disk.

And the references of their sections to each other, whether or not they are loaded.
"""

from __future__ import annotations

import configparser
import copy
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from configparser import BasicInterpolation, InterpolationError
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from paste.deploy.loadwsgi import NicerConfigParser

#: What ``Files`` raises for a file that cannot be read.
UNREADABLE = (OSError, ValueError, configparser.Error)

# Options whose words are names of sections; in a composite, those of any option may be.
_REFERRING = ("use", "filter-with", "pipeline", "next")
_COMPOSITES = ("composite", "composit")
_KINDS = ("app", "application", "filter", "filter-app", "pipeline", *_COMPOSITES)


@dataclass(frozen=True)
class Place:
    """A section.

    Attributes:
        path: absolute path of its file.
        section: its name, without brackets.
    """

    path: str
    section: str

    @property
    def kind(self) -> str:
        """Return the type of the section: ``app``, ``pipeline``."""
        return self.section.partition(":")[0]

    @property
    def name(self) -> str:
        """Return the section's name without its type."""
        return self.section.partition(":")[2].strip()


class Files:
    """Texts of ini files, as they are on disk, or with changes that are not written there.

    Args:
        texts: texts by absolute path, of files that are not read from disk.
    """

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self._texts = dict(texts or {})
        self._parsers: dict[str, NicerConfigParser] = {}
        self._titles: dict[str, dict[tuple[str, str], list[str]]] = {}

    def text(self, path: str) -> str:
        """Return the text of a file.

        Args:
            path: absolute path.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no text.
        """
        if path not in self._texts:
            with open(path) as file:  # as PasteDeploy does, in the encoding of the locale
                self._texts[path] = file.read()
        return self._texts[path]

    def with_changes(self, changed: Mapping[str, str]) -> Files:
        """Return these files with other texts for some.

        Args:
            changed: texts by absolute path.
        """
        files = Files({**self._texts, **changed})
        files._parsers = {path: parser for path, parser in self._parsers.items() if path not in changed}
        files._titles = {path: titles for path, titles in self._titles.items() if path not in changed}
        return files

    def sections(self, path: str, kind: str, name: str) -> list[str]:
        """Return the sections of a type and a name.

        Args:
            path: absolute path of the file.
            kind: ``app``, ``pipeline``.
            name: of the section.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no text.
            configparser.Error: it is no ini.
        """
        if path not in self._titles:
            titles = self._titles[path] = {}
            for section in self.parser(path).sections():
                place = Place(path, section)
                titles.setdefault((place.kind, place.name), []).append(section)
        return self._titles[path].get((kind, name), [])

    def parser(self, path: str) -> NicerConfigParser:
        """Return a parser of a file, with ``[DEFAULT]`` of its own.

        Args:
            path: absolute path.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no text.
            configparser.Error: it is no ini.
        """
        if path not in self._parsers:
            here = path if os.path.isdir(path) else os.path.dirname(path)
            defaults = {"here": here, "__file__": path}
            parser = NicerConfigParser(path, defaults=defaults, interpolation=_Tolerant())
            parser.optionxform = str
            parser.read_string(self.text(path))
            for section in parser.sections():
                parser.remove_option(section, "require")  # distributions that need not be installed here
            self._parsers[path] = parser
        # update_defaults changes [DEFAULT] for one loader; to parse the file again would take longer.
        own = copy.copy(self._parsers[path])
        own._defaults = dict(own._defaults)
        return own


class _Tolerant(BasicInterpolation):
    """PasteDeploy's interpolation; a value that cannot be interpolated here stays as it is written."""

    def before_get(self, parser: Any, section: str, option: str, value: str, defaults: Any) -> str:
        """Return the value of an option, interpolated if that is possible."""
        try:
            return super().before_get(parser, section, option, value, defaults)
        except InterpolationError:
            return value


def is_any_used(files: Files, gone: Collection[Place], paths: Iterable[str]) -> bool:
    """Return whether a section refers to filters that are there no more.

    Args:
        files: after a change.
        gone: sections of filters that it has given another title.
        paths: files that may refer to them.
    """
    names = {(place.path, place.name) for place in gone}
    return bool(names) and any(target in names for path in paths for target in _targets(files, path))


def reached_by(files: Files, targets: Iterable[str], paths: Iterable[str]) -> list[str]:
    """Return files, and those that refer to them, directly or by way of others.

    Args:
        files: the files.
        targets: paths of the files.
        paths: files that may refer to them.
    """
    found = sorted(set(targets))
    referred = {path: {other for other, _ in _targets(files, path)} - {path} for path in paths}
    for target in found:  # which grows
        found += [path for path, others in referred.items() if target in others and path not in found]
    return found


def _targets(files: Files, path: str) -> Iterator[tuple[str, str]]:
    """Yield path and name of whatever the sections of a file refer to."""
    try:
        parser = files.parser(path)
        for section in parser.sections():
            kind = Place(path, section).kind
            for key, raw in parser.items(section, raw=True):
                is_referring = kind in _KINDS and (key in _REFERRING or kind in _COMPOSITES)
                if is_referring or "config:" in raw:
                    value = parser.get(section, key) if "%" in raw else raw
                    # A path may have spaces in it where the value is one reference.
                    for word in {*value.split(), value.strip()}:
                        yield from _target(path, word, is_referring)
    except UNREADABLE:
        return


def _target(path: str, word: str, is_referring: bool) -> Iterator[tuple[str, str]]:
    scheme, _, rest = word.partition(":")
    if scheme.lower() == "config":
        file, _, name = rest.partition("#")
        file = unquote(os.path.join(os.path.dirname(path), file.replace("\\", "/")))
        yield os.path.abspath(file), name or "main"
    elif is_referring:
        yield path, word
