"""Split text of an ini into several values, or parse text whose type is not declared."""

from __future__ import annotations

import math
import re
from typing import Any

from paste.deploy.converters import asbool


def split_words(text: str) -> list[str]:
    """Split a list at newlines and commas; empty entries are dropped.

    Args:
        text: ``a, b`` or an entry on each line.
    """
    return [word for line in split_lines(text) for word in map(str.strip, line.split(",")) if word]


def split_names(text: str) -> list[str]:
    """Split a list of names, which contain no spaces, at newlines, commas and spaces.

    Args:
        text: ``a, b`` or ``a b`` or a name on each line.
    """
    return [name for word in split_words(text) for name in word.split()]


def split_lines(text: str) -> list[str]:
    """Split text into stripped lines; empty ones are dropped.

    Args:
        text: an entry on each line.
    """
    return [line for line in map(str.strip, text.splitlines()) if line]


def number(text: str) -> float:
    """Parse a finite number.

    Args:
        text: in Python's notation.

    Raises:
        ValueError: it is not a finite number.
    """
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def scalar(text: str) -> Any:
    """Return a boolean, an integer or a number if the text is one, else the text.

    Args:
        text: a value whose type is not declared.
    """
    for parse in (lambda word: bool(asbool(word)) if not word.isdecimal() else int(word), int, number):
        try:
            return parse(text)
        except ValueError:
            continue
    return text


def plain_scalar(text: str) -> Any:
    """Return a boolean or a number if the text is its exact notation, so that versions and commits stay text.

    Args:
        text: a value whose type is not declared.
    """
    if text in ("true", "false"):
        return text == "true"
    for parse in (int, number):
        try:
            value: Any = parse(text)
        except ValueError:
            continue
        if str(value) == text:
            return value
    return text


_SIZES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}

# The seconds in each unit, and its spellings.
_UNITS = {
    "milliseconds": (0.001, {"ms", "millisecond", "milliseconds"}),
    "seconds": (1.0, {"s", "sec", "second", "seconds"}),
    "minutes": (60.0, {"m", "min", "minute", "minutes"}),
    "hours": (3600.0, {"h", "hour", "hours"}),
    "days": (86400.0, {"d", "day", "days"}),
    "weeks": (604800.0, {"w", "week", "weeks"}),
}
_AMOUNT = re.compile(r"(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<unit>[A-Za-z]*)", re.ASCII)


def size(text: str) -> int:
    """Parse a size, in bytes.

    Args:
        text: ``10 MB``; a bare number is in bytes.

    Raises:
        ValueError: it is not a size.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None or match["unit"].lower() not in _SIZES:
        raise ValueError
    amount = float(match["number"]) * _SIZES[match["unit"].lower()]
    if not math.isfinite(amount):
        raise ValueError
    return int(amount)


def duration(text: str, bare: str, result: str) -> float:
    """Parse a duration.

    Args:
        text: such as ``30 s``.
        bare: the unit of a bare number, such as ``seconds``.
        result: the unit of the result.

    Raises:
        ValueError: it is not a duration.
    """
    match = _AMOUNT.fullmatch(text)
    unit = match and (match["unit"].lower() or bare)
    factors = [factor for name, (factor, words) in _UNITS.items() if unit == name or unit in words]
    if match is None or not factors:
        raise ValueError
    value = round(float(match["number"]) * factors[0] / _UNITS[result][0], 9)
    if not math.isfinite(value):
        raise ValueError
    return value
