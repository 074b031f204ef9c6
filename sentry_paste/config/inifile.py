"""An ini file as it is written: sections, lines, and what PasteDeploy makes of them.

A factory is told neither its section nor its lines, and nothing of what PasteDeploy
hides from it: a key of ``[DEFAULT]``, of the command line or of ``global_conf``
removes the key of the same name from every section (``ConfigLoader.get_context``:
"It's a global option (?), so skip it").
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

_SECTION = re.compile(r"\[(?P<name>[^]]+)\]")
_OPTION = re.compile(r"(?P<key>[^\s#;\[][^=:]*?)\s*(?P<delimiter>[=:])")


# The package's apps have sections with options of their own.
_OTHERS = re.compile(r"[#.](?:example|inbox)(?::main)?\s*$")

# A chain of ``use`` lines that is longer is a ring, which PasteDeploy itself does not survive.
_MOST_USES = 10

# Where a value names a file; so many are looked at.
_CONFIG = re.compile(r"\bconfig:([^\s#]+)")
_MOST_FILES = 20


@dataclass(frozen=True)
class Section:
    """A section of an ini file.

    Attributes:
        name: ``filter:sentry`` say.
        values: the values by key, not interpolated.
        lines: line numbers by key, from 1.
        texts: the lines themselves by key.
    """

    name: str
    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def loader(self) -> str:
        """Return what makes the section's object: the value of ``use``, or of ``paste.filter_factory``."""
        return next(
            (
                value
                for key, value in self.values.items()
                if key == "use" or (key.startswith("paste.") and key.endswith("factory"))
            ),
            "",
        )


class IniFile:
    """An ini file.

    Args:
        path: of the file.
        sections: by name, ``DEFAULT`` among them.
    """

    def __init__(self, path: str, sections: Mapping[str, Section]) -> None:
        self.path = path
        self.sections = sections

    @classmethod
    def read(cls, path: str) -> IniFile | None:
        """Read a file; None where there is no such file, or none that can be understood.

        Args:
            path: of the file.
        """
        parser = configparser.RawConfigParser(default_section="\0", strict=False)
        parser.optionxform = str  # type: ignore[method-assign,assignment]  # keys keep their case
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
            parser.read_string(text)
        except (OSError, ValueError, configparser.Error):
            return None  # a loader that needs no file, or a file that only its loader can read
        sections = {name: Section(name, dict(parser.items(name))) for name in parser.sections()}
        section = Section("")
        for number, line in enumerate(text.split("\n"), start=1):
            header, option = _SECTION.match(line), _OPTION.match(line)
            if header:
                section = sections.get(header["name"], Section(""))
            elif option and option["key"] in section.values:
                section.lines.setdefault(option["key"], number)
                section.texts.setdefault(option["key"], line)
        return cls(path, sections)

    @property
    def defaults(self) -> Section:
        """Return ``[DEFAULT]``."""
        return self.sections.get("DEFAULT", Section("DEFAULT"))

    def ours(self) -> list[Section]:
        """Return the sections that are made by this package, and those that ``use`` one of them."""
        return [section for section in self.sections.values() if self._is_ours(section)]

    def _is_ours(self, section: Section, depth: int = 0) -> bool:
        if _names_us(section.loader):
            return _OTHERS.search(section.loader) is None
        used = self.used_by(section)
        return used is not None and depth < _MOST_USES and used[0]._is_ours(used[1], depth + 1)

    def used_by(self, section: Section) -> tuple[IniFile, Section] | None:
        """Return the section, of this file or of another, that a section inherits from by ``use``.

        Args:
            section: of this file.
        """
        use = section.values.get("use", "").strip()
        if use.startswith("config:"):
            path, _, name = use[len("config:") :].partition("#")
            file = IniFile.read(os.path.join(os.path.dirname(self.path), path))
            kind = section.name.partition(":")[0]
            found = file and (file.sections.get(f"{kind}:{name or 'main'}"))
            return (file, found) if file and found else None
        if not use or ":" in use:
            return None
        for other in self.sections.values():
            if other.name.partition(":")[2].strip() == use and other is not section:
                return self, other
        return None

    def found_in(self, local_conf: Mapping[str, str]) -> tuple[IniFile, Section] | None:
        """Return the section that a factory was called for, and the file it is in: one that this one names.

        Args:
            local_conf: what reached the factory.
        """
        files = [(file, file.section_of(local_conf)) for file in self._named()]
        found = [(file, section) for file, section in files if section]
        return found[0] if len(found) == 1 else None

    def _named(self) -> list[IniFile]:
        """Return the files that this one names by ``config:``, and those that they name."""
        found: dict[str, IniFile] = {}
        waiting: list[IniFile] = [self]
        while waiting and len(found) < _MOST_FILES:
            file = waiting.pop()
            here = os.path.dirname(file.path)
            values = [value for section in file.sections.values() for value in section.values.values()]
            for name in _CONFIG.findall("\n".join(values)):
                plain = unquote(name.replace("%(here)s", here).replace("%%", "%"))
                path = os.path.normpath(os.path.join(here, plain))
                # Any value may look like a file's name, and to open a pipe or a device is to wait for it.
                is_new = path not in found and path != self.path and os.path.isfile(path)
                other = IniFile.read(path) if is_new else None
                if other is not None:
                    found[path] = other
                    waiting.append(other)
        return list(found.values())

    def values_of(self, section: Section, depth: int = 0) -> dict[str, str]:
        """Return a section's values, those among them that it inherits by ``use``.

        Args:
            section: of this file.
            depth: how many ``use`` lines led here.
        """
        used = self.used_by(section) if depth < _MOST_USES else None
        inherited = used[0].values_of(used[1], depth + 1) if used else {}
        return {**inherited, **section.values}

    def section_of(self, local_conf: Mapping[str, str]) -> Section | None:
        """Return the section that a factory was called for, None where it cannot be told.

        Args:
            local_conf: what reached the factory.
        """
        ranks: list[tuple[int, int, Section]] = []
        for section in self.ours():
            values = self.values_of(section)
            if set(local_conf) <= set(values):
                equal = sum(values[key] == value for key, value in local_conf.items())
                ranks.append((equal, -len(values), section))
        ranks.sort(key=lambda rank: rank[:2], reverse=True)
        if not ranks or (len(ranks) > 1 and ranks[0][:2] == ranks[1][:2]):
            return None
        return ranks[0][2]

    @property
    def name(self) -> str:
        """Return the file's name, for messages."""
        return os.path.basename(self.path)


def _names_us(loader: str) -> bool:
    return bool(re.search(r"(?:^|:)\s*sentry[_.-]+paste\b", loader, re.IGNORECASE))
