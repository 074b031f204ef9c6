"""Finding any of many texts in another, in time that does not grow with how many they are.

A few keys are sought one by one, by the interpreter's own search. Many are sought at once: a key of seven
characters has one of four blocks of four of them at a place that is divisible by four, wherever in the text
it stands; so the text is taken as a list of 32-bit numbers, of which the interpreter tells whether any is of
a key (after Wu and Manber, "A fast algorithm for multi-pattern searching", 1994).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from itertools import compress
from typing import Any

from sentry_paste.redaction.bounds import TooMuchError

#: So many characters of a key are sought.
KEY = 16

# Keys times characters: up to so many, each key is sought by itself.
_DIRECT = 250_000
_BLOCK = 4
# With so many characters a key has a whole block, wherever it begins.
_ANCHOR = 2 * _BLOCK - 1
# By the bits of a number, which are set.
_SHIFTS = [tuple(shift for shift in range(_BLOCK) if bits >> shift & 1) for bits in range(1 << _BLOCK)]
# A text is looked at in pieces of so many blocks: most have no key.
_PIECE = 256

# Letters and digits; what an escape ends with may stand right before them.
_WORDS = re.compile(
    r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[0-3][0-7]{2}|[nrtabfv0])|%[0-9A-Fa-f]{2}|([^\W_]+)"
)
_WORD = re.compile(r"[^\W_]+")
# Where a text can be parted: an escape begins with such a character, and has none in it.
_GAP = re.compile(r"[\W_]")
# So many words are sought one by one; more, while going through a text that is no longer than this for each
# place that it may have.
_FEW_WORDS = 16
_LENGTH_OF_MANY_WORDS = 48


class Finder:
    """A set of keys, made ready to be sought.

    Args:
        keys: texts; only the first characters of long ones count. Those of less than seven are found only
            where no letter or digit stands beside them, if there are many keys.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = {key[:KEY] for key in keys if key}
        # Made when a text is long enough for it.
        self._blocks: dict[int, int] | None = None
        self._anchors: dict[str, list[int]] = {}
        self._words: dict[str, list[tuple[str, int]]] = {}
        self._others: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._keys)

    def starts(self, text: str, most: int) -> list[int]:
        """Return where keys begin in a text, in order.

        Args:
            text: any.
            most: how many places there may be.

        Raises:
            TooMuchError: there are more.
        """
        if self._is_direct(text):
            return sorted(_each(self._keys, text, most))
        blocks = self._ready()
        found = self._by_blocks(blocks, text, most) | _each(self._others, text, most)
        found |= _by_words(self._words, text, most)
        if len(found) > most:
            raise TooMuchError
        return sorted(found)

    def _is_direct(self, text: str) -> bool:
        return len(self._keys) < 4 or len(self._keys) * len(text) <= _DIRECT

    def _ready(self) -> dict[int, int]:
        """Return the blocks of the keys, each with the places at which it is in a key."""
        if self._blocks is not None:
            return self._blocks
        blocks: dict[int, int] = {}
        for key in self._keys:
            if len(key) < _ANCHOR:
                self._add_short(key)
                continue
            lengths = self._anchors.setdefault(key[:_ANCHOR], [])
            if len(key) not in lengths:
                lengths.append(len(key))
                raw = key[:_ANCHOR].encode("latin-1", "replace")
                for shift in range(_BLOCK):
                    number = int.from_bytes(raw[shift : shift + _BLOCK], sys.byteorder)
                    blocks[number] = blocks.get(number, 0) | 1 << shift
        self._blocks = blocks
        return blocks

    def _add_short(self, key: str) -> None:
        word = max(_WORD.findall(key), key=len, default="")
        if word:
            self._words.setdefault(word, []).append((key, key.index(word)))
        else:
            self._others.append(key)

    def _by_blocks(self, blocks: dict[int, int], text: str, most: int) -> set[int]:
        found: set[int] = set()
        numbers = _as_numbers(text)
        anchors, keys, tries = self._anchors, self._keys, 0
        for first in range(0, len(numbers), _PIECE):
            piece = numbers[first : first + _PIECE]
            if blocks.keys().isdisjoint(piece):
                continue
            for index in compress(range(first, first + len(piece)), map(blocks.__contains__, piece)):
                tries += 1
                for shift in _SHIFTS[blocks[numbers[index]]]:
                    start = index * _BLOCK - shift
                    if start >= 0:
                        for length in anchors.get(text[start : start + _ANCHOR], ()):
                            if text[start : start + length] in keys:
                                found.add(start)
                                break
            if len(found) > most or tries > most * 2:
                raise TooMuchError
        return found


def _as_numbers(text: str) -> memoryview:
    """Return a text as a list of 32-bit numbers; other characters than those of latin-1 are all alike."""
    raw = text.encode("latin-1", "replace")
    # With room for a key that ends with the text.
    return memoryview(raw + b"\0" * (_BLOCK * 2 - len(raw) % _BLOCK)).cast("I")


def _each(keys: Iterable[str], text: str, most: int) -> set[int]:
    found: set[int] = set()
    for key in [key for key in keys if key in text]:
        start = text.find(key)
        while start >= 0:
            found.add(start)
            if len(found) > most:
                raise TooMuchError
            start = text.find(key, start + 1)
    return found


def _by_words(words: dict[str, list[tuple[str, int]]], text: str, most: int) -> set[int]:
    present = set(words) if len(words) <= _FEW_WORDS else _present(words, text)
    if len(present) <= _FEW_WORDS:
        return _each((key for word in present for key, _ in words[word]), text, most)
    if len(text) > most * _LENGTH_OF_MANY_WORDS:
        raise TooMuchError
    found: set[int] = set()
    for match in _WORDS.finditer(text):
        for key, offset in words.get(match[1], ()):
            start = match.start() - offset
            if start >= 0 and text.startswith(key, start):
                found.add(start)
    return found


def _present(words: Mapping[str, Any], text: str) -> set[str]:
    """Return which words a text has; it is looked at in pieces, for the sake of memory."""
    pattern = _WORDS if "\\" in text or "%" in text else _WORD
    found: set[str] = set()
    start = 0
    while start < len(text):
        gap = _GAP.search(text, start + _PIECE * _BLOCK)
        end = gap.start() if gap else len(text)
        found |= words.keys() & pattern.findall(text, start, end)
        start = end
    return found
