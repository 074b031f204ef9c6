"""Find regular expressions that can take very long: the same text is tried in many ways."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

# The same module; the second name is that of Python 3.11 and newer.
_parser: Any = importlib.import_module("sre_parse" if not hasattr(re, "_parser") else "re._parser")
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
_ENDLESS = 100
# With so many, a search takes more than the cube of a text's length.
_MOST_WIDE = 2


def slowness(expression: str) -> str:
    """Return why searching for a regular expression can take very long, empty if nothing is known.

    Args:
        expression: that is valid.
    """
    try:
        tree = _parser.parse(expression)
    except (re.error, OverflowError, RecursionError):
        return ""
    if any(_is_ambiguous(body) for body in _endless(tree)):
        return "a repeat within a repeat"
    if _wide(tree) > _MOST_WIDE:
        return f"more than {_MOST_WIDE} of .*"
    return ""


def _bodies(op: Any, value: Any) -> Iterator[Any]:
    """Yield the expressions within one."""
    name = str(op)
    if name in _REPEATS:
        yield value[2]
    elif name == "BRANCH":
        yield from value[1]
    elif name == "SUBPATTERN":
        yield value[-1]


def _endless(tree: Iterable[Any]) -> Iterator[Any]:
    """Yield the bodies of all repeats without a limit."""
    for op, value in tree:
        if str(op) in _REPEATS and int(value[1]) > _ENDLESS:
            yield value[2]
        for body in _bodies(op, value):
            yield from _endless(body)


def _is_ambiguous(body: Any) -> bool:
    """Return whether repeats of an expression match a text in several ways: nothing else has to be in it."""
    items = list(body)
    for at, (op, value) in enumerate(items):
        if any(_least(*item) for item in items[:at] + items[at + 1 :]):
            continue
        if str(op) in _REPEATS and int(value[1]) > _ENDLESS:
            return True
        if str(op) not in _REPEATS and any(map(_is_ambiguous, _bodies(op, value))):
            return True
    return False


def _least(op: Any, value: Any) -> int:
    """Return how many characters an item matches at least."""
    name = str(op)
    if name in ("AT", "ASSERT", "ASSERT_NOT"):
        return 0
    if name in _REPEATS and not int(value[0]):
        return 0
    bodies = list(_bodies(op, value))
    return min((sum(_least(*item) for item in body) for body in bodies), default=1)


def _wide(tree: Iterable[Any]) -> int:
    """Return how many repeats without a limit there are of any character, or of all but some."""
    count = 0
    for op, value in tree:
        if str(op) in _REPEATS and int(value[1]) > _ENDLESS and _is_wide(value[2]):
            count += 1
        else:
            count += max(map(_wide, _bodies(op, value)), default=0)
    return count


def _is_wide(body: Any) -> bool:
    items = list(body)
    if len(items) != 1:
        return False
    op, value = items[0]
    name = str(op)
    if name == "SUBPATTERN":
        return _is_wide(value[-1])
    return name in ("ANY", "NOT_LITERAL") or (name == "IN" and str(value[0][0]) == "NEGATE")
