"""Texts and parsers of ini files, each read once, also with changes that are not on disk."""

from __future__ import annotations

import configparser
import copy
import os
from collections.abc import Mapping
from configparser import BasicInterpolation, InterpolationError
from dataclasses import dataclass
from typing import Any

from paste.deploy.loadwsgi import NicerConfigParser

#: What ``Files`` raises for a file that cannot be read.
UNREADABLE = (OSError, ValueError, configparser.Error)


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
        try:
            return super().before_get(parser, section, option, value, defaults)
        except InterpolationError:
            return value
