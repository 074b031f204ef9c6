"""Parse ``error_budget``: how many errors are sent in a period, of each kind and in all."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import NamedTuple

from sentry_paste.config import kinds
from sentry_paste.config.errors import LineMistake, LinesError
from sentry_paste.config.texts import split_lines

#: The seconds of each period. All divide a day, so that they begin at the same time in all processes.
PERIODS = {"minute": 60, "hour": 3600, "day": 86400}
EXPECTED = (
    "a number and a period on each line: 50 per hour for each kind of error, 100 per hour in all for all of "
    "them, with minute, hour or day"
)

_BUDGET = re.compile(r"(?P<count>\d{1,9})\s+per\s+(?P<period>minute|hour|day)(?P<all>\s+in\s+all)?", re.I)
_COUNT = re.compile(r"(?<![\d.,])\d{1,9}(?![\d.,])")
_WORD = re.compile(r"[a-z]+")
# Other words for periods, of which some are nearer to another one by their letters.
_SAME = {
    **dict.fromkeys(("m", "min", "mins", "minutes", "minutely"), "minute"),
    **dict.fromkeys(("h", "hr", "hrs", "hours", "hourly"), "hour"),
    **dict.fromkeys(("d", "days", "daily"), "day"),
}
_ALL = ("all", "total", "altogether", "overall", "sum")


class Budget(NamedTuple):
    """How many errors are sent in a period.

    Attributes:
        errors: how many.
        seconds: of the period.
        in_all: whether it is for all errors; otherwise for those of each kind.
    """

    errors: int
    seconds: int
    in_all: bool = False

    def __str__(self) -> str:
        period = next(name for name, seconds in PERIODS.items() if seconds == self.seconds)
        return f"{self.errors} per {period}{' in all' if self.in_all else ''}"


def parse(text: str) -> tuple[Budget, ...]:
    """Parse budgets.

    Args:
        text: a budget on each line, one for each kind of error, one in all, or both.

    Raises:
        LinesError: lines are no budgets, or are about the same; it has all of them.
    """
    found: dict[bool, Budget] = {}
    mistakes = []
    for line in split_lines(text):
        budget = _budget(line)
        if budget is None:
            mistakes.append(LineMistake(line, f"expected {EXPECTED}, not {line!r}", _hint(line)))
        elif budget.in_all in found:
            about, other = "in all" if budget.in_all else "for each kind of error", found[budget.in_all]
            mistakes.append(LineMistake(line, f"expected one budget {about}, not {other} and {budget}"))
        else:
            found[budget.in_all] = budget
    if mistakes:
        raise LinesError(mistakes)
    return tuple(found.values())


def _budget(line: str) -> Budget | None:
    found = _BUDGET.fullmatch(line)
    if found is None:
        return None
    return Budget(int(found["count"]), PERIODS[found["period"].lower()], found["all"] is not None)


def _hint(line: str) -> str:
    """Return what may have been meant by a line, as a question."""
    count, words = _COUNT.search(line), _WORD.findall(line.lower())
    periods = [_period(word) for word in words]
    if count is None or not any(periods):
        return ""
    in_all = any(get_close_matches(word, _ALL, n=1, cutoff=0.75) for word in words)
    budget = Budget(int(count[0]), PERIODS[next(filter(None, periods))], in_all)
    return f"; did you mean '{budget}'?"


def _period(word: str) -> str | None:
    nearest = get_close_matches(word, PERIODS, n=1, cutoff=0.6)
    return _SAME.get(word) or (nearest[0] if nearest else None)


ERROR_BUDGET = kinds.Kind("budgets", EXPECTED, parse)
