"""Text of an ini that is split into several, or whose type nobody has declared."""

from __future__ import annotations

import math
from typing import Any

from paste.deploy.converters import asbool


def split_words(text: str) -> list[str]:
    """Split a list that is written by line or by comma; blank entries are dropped.

    Args:
        text: ``a, b`` or an entry on each line.
    """
    return [word for line in split_lines(text) for word in map(str.strip, line.split(",")) if word]


def split_names(text: str) -> list[str]:
    """Split a list of names, which hold no blanks, by line, comma or blank.

    Args:
        text: ``a, b`` or ``a b`` or a name on each line.
    """
    return [name for word in split_words(text) for name in word.split()]


def split_lines(text: str) -> list[str]:
    """Split text into its lines, trimmed; blank ones are dropped.

    Args:
        text: an entry on each line.
    """
    return [line for line in map(str.strip, text.splitlines()) if line]


def number(text: str) -> float:
    """Return a finite number.

    Args:
        text: as Python writes it.

    Raises:
        ValueError: it is none.
    """
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def scalar(text: str) -> Any:
    """Return a boolean, an integer or a number where text is one, else the text.

    Args:
        text: a value whose type nobody has declared.
    """
    for parse in (lambda word: bool(asbool(word)) if not word.isdecimal() else int(word), int, number):
        try:
            return parse(text)
        except ValueError:
            continue
    return text


def plain_scalar(text: str) -> Any:
    """Return a boolean or a number where text is nothing but one, so that no version or commit is changed.

    Args:
        text: a value whose type nobody has declared.
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
