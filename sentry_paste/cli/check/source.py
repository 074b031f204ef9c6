"""The text of an ini, and all that keeps PasteDeploy from loading it.

Where configparser stops at the first mistake, and quotes the text, which may hold a password, this
takes the mistake out and reads on.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator
from configparser import (
    BasicInterpolation,
    DuplicateOptionError,
    DuplicateSectionError,
    InterpolationError,
    InterpolationMissingOptionError,
    MissingSectionHeaderError,
    ParsingError,
)
from dataclasses import dataclass, field
from typing import Any

from sentry_paste.config.errors import without_credentials
from sentry_paste.config.inifile import files_of


@dataclass(frozen=True)
class LoadProblem:
    """Something that keeps PasteDeploy from loading an ini.

    Attributes:
        path: of the file.
        line: its line, None if that is not known.
        code: names the kind, for machines.
        text: what is wrong, and what to write instead; a clause, without any value of the ini.
        section: the section that it is in, without brackets, empty if it is in none.
        option: the option that it is about, empty if it is about none.
    """

    path: str
    line: int | None
    code: str
    text: str
    section: str = ""
    option: str = ""

    def __str__(self) -> str:
        place = f": line {self.line}" if self.line else ""
        option = f"{self.option} in [{self.section}] " if self.option else ""
        return without_credentials(f"{self.path}{place}: {option}{self.text}")


# More mistakes than this in one file are those of another format.
_MOST = 50

_SECTION = re.compile(r"\s*\[(?P<name>.+)\]")
_OPEN_SECTION = re.compile(r"\[(?P<name>\w[^\]=]*?)\s*(?:\s[#;].*)?")


@dataclass
class Source:
    """The text of an ini, without what cannot be parsed.

    Attributes:
        path: of the file, or of the directory.
        parts: path and text of each file; a line with a mistake is empty.
        problems: the mistakes.
    """

    path: str
    parts: list[tuple[str, str]] = field(default_factory=list)
    problems: list[LoadProblem] = field(default_factory=list)

    @property
    def is_swift(self) -> bool:
        """Return whether Swift loads this, which has its own rule for percent signs."""
        return any(_SWIFT.search(text) for _, text in self.parts)

    def option_place(self, section: str, option: str) -> tuple[str, int | None]:
        """Return file and line of an option, no line if it is not there.

        Args:
            section: without brackets.
            option: its name.
        """
        for path, number, line in self._lines_of(section):
            if _split(line)[0] == option:
                return path, number
        return self.path, None

    def section_place(self, section: str) -> tuple[str, int | None]:
        """Return file and line of a section's title, no line if it is not there.

        Args:
            section: without brackets.
        """
        for path, text in self.parts:
            for number, line in enumerate(text.split("\n"), start=1):
                header = _SECTION.match(line)
                if header and header["name"] == section:
                    return path, number
        return self.path, None

    def referring_place(self, section: str, word: str) -> tuple[str, int | None, str]:
        """Return file and line of a section that has a word in a value, and the option that it is in.

        Args:
            section: without brackets.
            word: such as the name of another section.
        """
        option = ""
        for path, number, line in self._lines_of(section):
            is_more = line[:1].isspace()
            name, delimiter, value = ("", "", line) if is_more else _split(line)
            option = name if delimiter else option
            if word in value.split() or (delimiter and word and word == value.strip()):
                return path, number, option
        return self.path, None, ""

    def _lines_of(self, section: str) -> Iterator[tuple[str, int, str]]:
        for path, text in self.parts:
            current = ""
            for number, line in enumerate(text.split("\n"), start=1):
                header = _SECTION.match(line)
                if header and not line[:1].isspace():
                    current = header["name"]
                elif current == section and line.lstrip()[:1] not in ("#", ";"):
                    yield path, number, line


_SWIFT = re.compile(r"^\s*use\s*[=:]\s*egg:swift(#|\s|$)", re.IGNORECASE | re.MULTILINE)


def read_source(path: str) -> Source:
    """Read an ini, or the ``*.conf`` files of a directory, as Swift does.

    Args:
        path: of the file or directory.

    Raises:
        OSError: it cannot be read.
        ValueError: its name cannot be that of a file.
    """
    source = Source(path)
    for file in files_of(path):
        lines = _decoded(file, source.problems).split("\n")
        source.parts.append((file, _without_mistakes(file, lines, source.problems)))
    return source


def _decoded(path: str, problems: list[LoadProblem]) -> str:
    try:
        with open(path) as file:  # as PasteDeploy does, in the encoding of the locale
            text = file.read()
    except UnicodeDecodeError as error:
        with open(path, "rb") as binary:
            lines = binary.read().splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            try:
                line.decode(error.encoding)
            except UnicodeDecodeError:
                problems.append(LoadProblem(path, number, "not-text", f"is not text in {error.encoding}"))
                lines[number - 1] = b"\n"
        text = b"".join(lines).decode(error.encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")
    if text.startswith("\ufeff"):
        message = (
            "begins with a byte order mark, which PasteDeploy takes for text; save it as UTF-8 without one"
        )
        problems.append(LoadProblem(path, 1, "byte-order-mark", message))
        text = text[1:]
    return text


def _without_mistakes(path: str, lines: list[str], problems: list[LoadProblem]) -> str:
    """Return the text without the lines that cannot be parsed, which are empty; add their mistakes."""
    for number, line in enumerate(lines, start=1):
        title = _OPEN_SECTION.fullmatch(line)
        if title:  # with a colon in it, configparser takes it for an option of the section before
            lines[number - 1] = f"[{title['name']}]"
            text = "is the title of a section, and has no ] at its end"
            problems.append(LoadProblem(path, number, "syntax", text))
    for _ in range(_MOST):
        parser = configparser.RawConfigParser()
        parser.optionxform = str  # type: ignore[method-assign,assignment]  # keys keep their case
        try:
            parser.read_string("\n".join(lines))
        except MissingSectionHeaderError as error:
            # configparser stops at the first such line; none before the first section belongs there.
            for number in range(error.lineno, _first_section(lines) + 1):
                lines[number - 1] = ""
            text = "stands before the first section; is a section's [title] missing?"
            problems.append(LoadProblem(path, error.lineno, "no-section", text))
        except ParsingError as error:
            for number, _line in error.errors:
                lines[number - 1] = ""
                text = "is neither a section nor an option: there is no = in it"
                problems.append(LoadProblem(path, number, "syntax", text))
        except DuplicateOptionError as error:
            number = error.lineno or 1
            lines[number - 1] = ""
            for after in range(number, len(lines)):  # the lines that it goes on in
                if not lines[after][:1].isspace():
                    break
                lines[after] = ""
            text = f"{error.option} is twice in [{error.section}]"
            problems.append(LoadProblem(path, number, "duplicate-option", text))
        except DuplicateSectionError as error:
            number = error.lineno or 1
            lines[number - 1] = f"[line {number}]"
            text = f"[{error.section}] is there twice"
            problems.append(LoadProblem(path, number, "duplicate-section", text))
        else:
            return "\n".join(lines)
    return ""


def _first_section(lines: list[str]) -> int:
    """Return how many lines stand before the first section."""
    return next((number for number, line in enumerate(lines) if _SECTION.match(line)), len(lines))


class TolerantInterpolation(BasicInterpolation):
    """PasteDeploy's interpolation, which reports a value that has none instead of raising.

    Args:
        is_swift: whether only ``%(`` is special, as in Swift's loader.
    """

    def __init__(self, is_swift: bool) -> None:
        self._is_swift = is_swift
        #: What is wrong, by section and option: the name of a missing variable, or None for a percent sign.
        self.faults: dict[tuple[str, str], str | None] = {}

    def before_get(self, parser: Any, section: str, option: str, value: str, defaults: Any) -> str:
        """Return the value with its variables replaced; as it is written if that is not possible.

        Args:
            parser: of the file.
            section: of the option.
            option: its name.
            value: as it is written.
            defaults: values of all variables.
        """
        if self._is_swift and "%(" not in value:
            return value
        try:
            return super().before_get(parser, section, option, value, defaults)
        except InterpolationMissingOptionError as error:
            self.faults[section, option] = str(error.reference)
        except InterpolationError:
            self.faults[section, option] = None
        return value


def fault_text(name: str | None, is_ours: bool = False) -> str:
    """Return what is wrong with a value that cannot be interpolated.

    Args:
        name: of the missing variable, None for a percent sign that stands alone.
        is_ours: whether it is the value of an option of ours, which may have variables of the environment.
    """
    if name is None:
        return "has a percent sign that PasteDeploy takes for the beginning of %(NAME)s; write it as %%"
    advice = f"give it as {name}=VALUE after the ini"
    if is_ours:
        advice += f", or write ${{{name}}} for a variable of the environment"
    if name in os.environ:
        advice += "; with c2cwsgiutils' loader, check c2c://FILE"
    return f"needs %({name})s, which neither its section nor [DEFAULT] has: {advice}"


def _split(line: str) -> tuple[str, str, str]:
    match = re.match(r"\s*(?P<name>[^=:]*?)\s*(?P<delimiter>[=:])(?P<value>.*)", line)
    return (match["name"], match["delimiter"], match["value"]) if match else ("", "", "")
