"""An ini file as it is written: sections, lines, and what PasteDeploy makes of them.

PasteDeploy passes a factory neither its section nor its line numbers, nor which
options it has hidden: a key in ``[DEFAULT]``, on the command line or in
``global_conf`` removes the key of the same name from every section
(``ConfigLoader.get_context``: "It's a global option (?), so skip it").
"""

from __future__ import annotations

import configparser
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from urllib.parse import unquote

_SECTION = re.compile(r"\[(?P<name>[^]]+)\]")
_OPTION = re.compile(r"(?P<key>[^\s#;\[][^=:]*?)\s*(?P<delimiter>[=:])")

# The example, the inbox and the health app have sections with their own options.
_OTHER_FACTORIES = re.compile(r"[#.](?:example|health|inbox)(?::main)?\s*$")

# A longer chain of ``use`` lines is a circle, in which PasteDeploy itself recurses until it fails.
_MAX_USES = 10

# Values that name another ini, and how many of those are read at most.
_CONFIG = re.compile(r"\bconfig:([^\s#]+)")
_MAX_FILES = 20
_VARIABLE = re.compile(r"%\(([^)]+)\)s")

_APPS = ("app", "application", "composite", "composit", "pipeline", "filter-app")


@dataclass(frozen=True)
class Section:
    """A section of an ini file.

    Attributes:
        name: such as ``filter:sentry``.
        values: the values by key, not interpolated.
        lines: line numbers by key, from 1.
        texts: the lines themselves by key.
        rows: the line numbers of values of several lines by key, each by the line's text.
        path: the file that it is in.
    """

    name: str
    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    path: str = ""

    @property
    def loader(self) -> str:
        """Return the loader of the section's object: the value of ``use`` or of ``paste.filter_factory``."""
        return next(
            (
                value
                for key, value in self.values.items()
                if key == "use" or (key.startswith("paste.") and key.endswith("factory"))
            ),
            "",
        )


def files_of(path: str) -> list[str]:
    """Return the file, or the ``*.conf`` files of a directory, in the order in which Swift reads them.

    Args:
        path: of a file or directory.

    Raises:
        OSError: it cannot be read.
    """
    if not os.path.isdir(path):
        return [path]
    names = [name for name in os.listdir(path) if name.endswith(".conf") and name[0] != "."]
    return [os.path.join(path, name) for name in sorted(names)]


def _read(path: str) -> str:
    """Return the text of a file; lines before the first section are empty."""
    # What a pipe has said to the loader, it does not say again: opening it would wait, and so would a device.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        lines = file.read().split("\n")
    first = next((number for number, line in enumerate(lines) if _SECTION.match(line)), len(lines))
    return "\n" * first + "\n".join(lines[first:])


# Files that are mounted together are looked at for each filter in each of them.
@lru_cache(maxsize=16)
def _sections_of(texts: tuple[tuple[str, str], ...]) -> dict[str, Section]:
    """Return the sections of files, which are paths and texts, by name."""
    parser = configparser.RawConfigParser(default_section="\0", strict=False)
    parser.optionxform = str  # type: ignore[method-assign,assignment]  # keys keep their case
    for _, text in texts:
        # What it cannot parse, PasteDeploy refuses; a loader of somebody else's may read it.
        with suppress(configparser.Error):
            parser.read_string(text)
    sections = {name: Section(name, dict(parser.items(name))) for name in parser.sections()}
    for file, text in texts:
        _find_lines(file, text, sections)
    return sections


def _find_lines(path: str, text: str, sections: dict[str, Section]) -> None:
    """Add the lines of a file to its sections; those that another file has begun have no lines here."""
    section, key = Section(""), ""
    for number, line in enumerate(text.split("\n"), start=1):
        header, option = _SECTION.match(line), _OPTION.match(line)
        if header:
            found = sections.get(header["name"], Section(""))
            if found.name and not found.path:
                found = sections[found.name] = replace(found, path=path)
            section, key = found if found.path == path else Section(""), ""
        elif option and option["key"] in section.values:
            key = option["key"]
            section.lines.setdefault(key, number)
            section.texts.setdefault(key, line)
            section.rows.setdefault(key, {}).setdefault(_row(line[option.end() :]), number)
        elif key and line[:1].isspace():
            section.rows[key].setdefault(_row(line), number)


def _row(line: str) -> str:
    """Return a line of a value as PasteDeploy passes it, if there are no variables in it."""
    return line.strip().replace("%%", "%")


class IniFile:
    """An ini file.

    Args:
        path: of the file.
        sections: by name, including ``DEFAULT``.
    """

    def __init__(self, path: str, sections: Mapping[str, Section]) -> None:
        self.path = path
        self.sections = sections

    @classmethod
    def read(cls, path: str) -> IniFile | None:
        """Read a file, as far as it can be parsed; return None if there is no such file.

        Args:
            path: of the file, or of a configuration directory of Swift's.
        """
        try:
            texts = tuple((file, _read(file)) for file in files_of(path))
        except (OSError, ValueError):
            return None  # the loader may need no file
        return cls(path, _sections_of(texts))

    @property
    def defaults(self) -> Section:
        """Return ``[DEFAULT]``."""
        return self.sections.get("DEFAULT", Section("DEFAULT"))

    def ours(self) -> list[Section]:
        """Return the sections that this package loads, and those that ``use`` one of them."""
        return [section for section in self.sections.values() if self._is_ours(section)]

    def _is_ours(self, section: Section, depth: int = 0) -> bool:
        if _is_this_package(section.loader):
            return _OTHER_FACTORIES.search(section.loader) is None
        used = self.parent_of(section)
        return used is not None and depth < _MAX_USES and used[0]._is_ours(used[1], depth + 1)

    def parent_of(self, section: Section) -> tuple[IniFile, Section] | None:
        """Return the section from which a section inherits by ``use``, in this file or another.

        Args:
            section: of this file.
        """
        use = section.values.get("use", "").strip()
        kinds = _kinds_of(section)
        if use.startswith("config:"):
            path, _, name = use[len("config:") :].partition("#")
            file = IniFile.read(self._path_of(path))
            found = file and file._named(kinds, name.strip() or "main")
            return (file, found) if file and found else None
        if not use or ":" in use:
            return None
        other = self._named(kinds, use)
        return (self, other) if other is not None and other is not section else None

    def _named(self, kinds: tuple[str, ...], name: str) -> Section | None:
        for section in self.sections.values():
            kind, _, own_name = section.name.partition(":")
            if kind in kinds and own_name.strip() == name:
                return section
        return None

    def _path_of(self, path: str) -> str:
        """Return the path of another ini, relative to this one, with PasteDeploy's variables."""
        here = os.path.dirname(self.path)
        values = {**self.defaults.values, "here": here, "__file__": self.path}
        for name in _VARIABLE.findall(path):
            path = path.replace(f"%({name})s", values.get(name, "").replace("%(here)s", here))
        return os.path.normpath(os.path.join(here, unquote(path.replace("%%", "%"))))

    def holders(self, section: Section, depth: int = 0) -> list[tuple[IniFile, Section]]:
        """Return a section and those that it inherits from, each after those whose options it replaces.

        Args:
            section: of this file.
            depth: how many ``use`` lines have been followed.
        """
        used = self.parent_of(section) if depth < _MAX_USES else None
        return [(self, section), *(used[0].holders(used[1], depth + 1) if used else [])]

    def find_included(self, local_conf: Mapping[str, str]) -> tuple[IniFile, Section] | None:
        """Return the section that a factory was called for, and its file: one that this file includes.

        Args:
            local_conf: the options that the factory received.
        """
        files = [(file, file.section_of(local_conf)) for file in self._included()]
        found = [(file, section) for file, section in files if section]
        return found[0] if len(found) == 1 else None

    def _included(self) -> list[IniFile]:
        """Return the files that this one includes by ``config:``, and those that they include."""
        found: dict[str, IniFile] = {}
        waiting: list[IniFile] = [self]
        while waiting and len(found) < _MAX_FILES:
            file = waiting.pop()
            values = [value for section in file.sections.values() for value in section.values.values()]
            for name in _CONFIG.findall("\n".join(values)):
                path = file._path_of(name)
                # Any value may look like a file name, and opening a pipe or a device would block.
                is_new = path not in found and path != self.path and os.path.isfile(path)
                other = IniFile.read(path) if is_new else None
                if other is not None:
                    found[path] = other
                    waiting.append(other)
        return list(found.values())

    def inherited_values(self, section: Section) -> dict[str, str]:
        """Return a section's values, including those that it inherits by ``use``.

        Args:
            section: of this file.
        """
        values: dict[str, str] = {}
        for _, holder in reversed(self.holders(section)):
            values.update(holder.values)
        return values

    def section_of(
        self, local_conf: Mapping[str, str], global_conf: Mapping[str, str] | None = None
    ) -> Section | None:
        """Return the section that a factory was called for, None if it is ambiguous.

        Args:
            local_conf: the options that the factory received.
            global_conf: ``[DEFAULT]`` as the factory received it, with what sections ``set``.
        """
        ranks: list[tuple[int, int, int, Section]] = []
        for section in self.ours():
            values = self.inherited_values(section)
            if set(local_conf) <= {key[4:] if key.startswith("get ") else key for key in values}:
                equal = sum(values.get(key) == value for key, value in local_conf.items())
                own = [key for key in values if not key.startswith("set ")]
                ranks.append((equal, _count_set(values, global_conf or {}), -len(own), section))
        best = max((rank[:3] for rank in ranks), default=None)
        found = [section for *rank, section in ranks if tuple(rank) == best]
        for section in found:
            # One that inherits from the others, and adds nothing, is as good as any of them.
            chain = [holder for _, holder in self.holders(section)]
            if all(any(other is holder for holder in chain) for other in found):
                return section
        return None

    @property
    def name(self) -> str:
        """Return the file's name, for messages."""
        return os.path.basename(self.path)


def _kinds_of(section: Section) -> tuple[str, ...]:
    """Return the types of the sections that a section may inherit from."""
    kind = section.name.partition(":")[0]
    if kind == "filter-app":  # its ``use`` is that of a filter
        return ("filter",)
    return _APPS if kind in _APPS else (kind,)


def _count_set(values: Mapping[str, str], global_conf: Mapping[str, str]) -> int:
    """Return how many ``set`` lines have had their effect; less than 0 if one has not."""
    given = [(key[4:].strip(), value) for key, value in values.items() if key.startswith("set ")]
    if any("%" not in value and global_conf.get(name) != value for name, value in given):
        return -1
    return len(given)


def _is_this_package(loader: str) -> bool:
    return bool(re.search(r"(?:^|:)\s*sentry[_.-]+paste\b", loader, re.IGNORECASE))
