"""Mistakes in an ini, raised all at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# Everything before the last @ of a URL, unless it only describes a DSN: key and secret of a DSN, user and
# password of a proxy. A password may have a slash in it; a URL that was taken for a path has lost one of its
# two, and one that stands alone on a line is an option https with a value that begins with them.
_CREDENTIALS = re.compile(r"(?P<slashes>:/{1,2}|^//)(?!(?:PUBLIC_)?KEY@HOST)(?:[^/\s]*|[^/\s:@]*:[^\s@]*)@")

# In the query of a URL any parameter may be a token. A quotation mark after it is not part of it.
_QUERY = re.compile(r"(?<=://)[^\s?]*\?\S+")
_PARAMETER = re.compile(r"(?<==)[^\s&]*[^\s&'\"),.:;\]]")
# The value of an Authorization header.
_HEADER = re.compile(
    r"\b((?:Basic|Bearer|(?i:authorization)['\"]?\s*[:=]\s*['\"]?\w+) +)[^\s'\"]+"
    r"|^(\s*(?i:basic|bearer) +)\S+"
)


@dataclass(frozen=True)
class Problem:
    """One mistake in one option.

    Attributes:
        option: the name as it was written.
        value: the text as it was written, None if the name itself is wrong.
        reason: what was expected, or what is wrong; a clause without a full stop.
        line: its line in the file, None if that is not known.
        source: file and section that it is inherited from, empty if it is in the source of the error.
    """

    option: str
    value: str | None
    reason: str
    line: int | None = None
    source: str = ""

    def __str__(self) -> str:
        line = f"line {self.line}" if self.line else ""
        place = f"{self.source} {line}".strip()
        place += ": " if place else ""
        value = "" if self.value is None else f" = {shown(self.value)}"
        reason = printable(" ".join(without_credentials(self.reason).splitlines()))
        reason = reason if len(reason) <= 400 else reason[:397] + "..."
        return f"{place}{shown(self.option)}{value}: {reason}"


class ConfigError(ValueError):
    """Options that cannot be used: every mistake that was found, one on each line.

    Args:
        source: the file that they were read from, with the section if it is known, or another source.
        problems: at least one.
    """

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(
            "\n  ".join(
                [f"{printable(source)}: {count} in the options of sentry_paste", *map(str, self.problems)]
            )
        )


class LineMistake(NamedTuple):
    """A line of a value that is wrong.

    Attributes:
        line: the text of it.
        message: what was expected, empty if the option's kind says that.
        hint: what was probably meant, as the end of a message; may be empty.
    """

    line: str
    message: str
    hint: str = ""


class LinesError(ValueError):
    """Lines of a value are wrong.

    Args:
        mistakes: one for each of them.
    """

    def __init__(self, mistakes: Sequence[LineMistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(found.message + found.hint for found in mistakes))


class NotInstalledError(ValueError):
    """An option names something in a distribution or package that is not installed.

    Args:
        message: what is wrong.
        name: of the distribution or package.
    """

    def __init__(self, message: str, name: str) -> None:
        self.name = name
        super().__init__(message)


def without_credentials(text: str) -> str:
    """Return text, whoever wrote it, with the credentials of URLs and of Authorization headers masked.

    Args:
        text: such as the message of an exception.
    """
    text = _CREDENTIALS.sub(r"\g<slashes>***@", text)
    text = _QUERY.sub(lambda query: _PARAMETER.sub("***", query[0]), text)
    return _HEADER.sub(r"\1\2***", text)


def printable(text: str) -> str:
    """Return text with control characters, and others that cannot be seen, as escapes.

    Args:
        text: any, such as a message from an envelope.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def shown(value: str) -> str:
    """Return a value in a form that errors and logs may show: one line, not too long, without credentials.

    Between the lines of the value there is a bar.

    Args:
        value: text of an option.
    """
    lines = [" ".join(line.split()) for line in without_credentials(value).splitlines()]
    line = printable(" | ".join(filter(None, lines)))
    return line if len(line) <= 100 else line[:97] + "..."
