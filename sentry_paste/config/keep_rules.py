"""Parse ``traces_keep``: which requests are sent though sampling has not chosen them, a rule on each line."""

from __future__ import annotations

import re
from typing import NamedTuple

from sentry_paste.config import kinds
from sentry_paste.config.lines import each_line
from sentry_paste.config.texts import duration, number

#: The conditions, in words for messages.
EXPECTED = (
    "a rule on each line: slower than TIME, status CODES or errors, optionally after a path and with "
    "'at RATE' at the end"
)

_RULE = re.compile(
    r"(?:(?P<glob>\S+)\s+)?"
    r"(?:slower\s+than\s+(?P<slow>.+?)|status\s+(?P<status>.+?)|(?P<errors>errors))"
    r"(?:\s+at\s+(?P<rate>\S+))?",
    re.IGNORECASE,
)

_WORDS = ("slower", "than", "status", "errors", "at")

# Between status codes.
_SPACE = re.compile(r"(?<=\d)\s+(?=\d)")


class KeepRule(NamedTuple):
    """A rule: which requests are sent, and at which rate.

    Attributes:
        text: as it is written.
        glob: of the paths that it is for, None for all.
        slower_than: seconds, None for any duration.
        statuses: of responses, None for any.
        errors: whether it is for requests that have reported an error.
        rate: from 0 to 1.
    """

    text: str
    glob: str | None = None
    slower_than: float | None = None
    statuses: frozenset[int] | None = None
    errors: bool = False
    rate: float = 1.0

    @property
    def label(self) -> str:
        """What is sent is marked with: ``slow``, ``status`` or ``error``."""
        return "slow" if self.slower_than is not None else "error" if self.errors else "status"


def parse(text: str) -> tuple[KeepRule, ...]:
    """Parse rules.

    Args:
        text: a rule on each line.

    Raises:
        LinesError: lines are no rules; it says which, and why.
    """
    return tuple(each_line(text, _rule, _WORDS))


def _rule(line: str) -> KeepRule:
    found = _RULE.fullmatch(line)
    if found is None:
        raise ValueError(f"expected {EXPECTED}, not {line!r}")
    glob, slow, status, rate = found["glob"], found["slow"], found["status"], found["rate"]
    return KeepRule(
        line,
        None if glob is None else kinds.glob(glob),
        None if slow is None else _seconds(slow, line),
        None if status is None else _statuses(status, line),
        found["errors"] is not None,
        1.0 if rate is None else _rate(rate, line),
    )


def _seconds(text: str, line: str) -> float:
    try:
        return duration(text, "seconds", "seconds")
    except ValueError as error:
        raise ValueError(f"expected a time such as 500 ms or 2 s, not {text!r} in {line!r}") from error


def _statuses(text: str, line: str) -> frozenset[int]:
    try:
        return kinds.status_codes(_SPACE.sub(",", text))
    except ValueError as error:
        raise ValueError(
            f"expected HTTP status codes such as 404 or 500-599, not {text!r} in {line!r}"
        ) from error


def _rate(text: str, line: str) -> float:
    try:
        value = number(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise ValueError(f"expected a rate above 0, up to 1, not {text!r} in {line!r}")
    return value


KEEP_RULES = kinds.Kind("rules", EXPECTED, parse)
