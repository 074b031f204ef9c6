"""What is wrong with an ini, told all at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# What stands before the last @ of a URL: key and secret of a DSN, user and password of a proxy.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]*(?=@)")


@dataclass(frozen=True)
class Problem:
    """One mistake in one option.

    Attributes:
        option: name as it was written.
        value: text as it was written, None where the name alone is wrong.
        reason: what was expected, or what is wrong; a clause without a full stop.
        line: its line in the file, None where that is not known.
    """

    option: str
    value: str | None
    reason: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        value = "" if self.value is None else f" = {shown(self.value)}"
        reason = self.reason if len(self.reason) <= 400 else self.reason[:397] + "..."
        return f"{place}{shown(self.option)}{value}: {reason}"


class ConfigError(ValueError):
    """Options that cannot be used: every mistake that was found, a line each.

    Args:
        source: the file they were read from, with the section where it is known, or what else gave them.
        problems: at least one.
    """

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(
            "\n  ".join([f"{source}: {count} in the options of sentry_paste", *map(str, self.problems)])
        )


class NotInstalledError(ValueError):
    """An option names something of a distribution, or of a package, that is not installed.

    Args:
        told: what is wrong.
        name: of the distribution or the package.
    """

    def __init__(self, told: str, name: str) -> None:
        self.name = name
        super().__init__(told)


def shown(value: str) -> str:
    """Return a value as an error or a log may show it: on one line, not too long, no credentials.

    Args:
        value: text of an option.
    """
    line = " ".join(_CREDENTIALS.sub("***", value).split())
    return line if len(line) <= 100 else line[:97] + "..."
