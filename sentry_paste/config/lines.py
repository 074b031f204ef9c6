"""Parse options with a rule on each line: every wrong line is a mistake of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from difflib import get_close_matches
from typing import TypeVar

from sentry_paste.config.errors import LineMistake, LinesError
from sentry_paste.config.texts import split_lines

Rule = TypeVar("Rule")


def each_line(text: str, parse: Callable[[str], Rule], words: Collection[str] = ()) -> list[Rule]:
    """Parse each line of a value.

    Args:
        text: a rule on each line.
        parse: turns a line into a rule, or raises ValueError.
        words: that have a meaning in a rule, for what was probably meant.

    Raises:
        LinesError: lines are no rules; it has all of them.
    """
    found, mistakes = [], []
    for line in split_lines(text):
        try:
            found.append(parse(line))
        except ValueError as error:
            mistakes.append(LineMistake(line, str(error), _hint(line, parse, words)))
    if mistakes:
        raise LinesError(mistakes)
    return found


def _hint(line: str, parse: Callable[[str], Rule], words: Collection[str]) -> str:
    """Ask for the line with the nearest words in it, if that is a rule."""
    written = line.replace("=>", "->").replace("- >", "->").split()
    meant = " ".join(_nearest(word, words) for word in written)
    if meant == " ".join(line.split()):
        return ""
    try:
        parse(meant)
    except ValueError:
        return ""
    return f"; did you mean {meant!r}?"


def _nearest(word: str, words: Collection[str]) -> str:
    if not word.isalpha() or word.lower() in words:
        return word
    found = get_close_matches(word.lower(), words, n=1, cutoff=0.7)
    return found[0] if found else word
