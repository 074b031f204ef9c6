"""Find any of many keys in a text, in time that does not grow with the number of keys.

A few keys are searched for one by one, with the interpreter's own search. Many are searched for at once:
wherever a key of seven characters stands, one of its four blocks of four characters is at a place divisible
by four. So the text is read as a list of 32-bit numbers, and the interpreter checks whether any of them
belongs to a key (after Wu and Manber, "A fast algorithm for multi-pattern searching", 1994).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from itertools import compress

from sentry_paste.redaction.bounds import Allowance, TooMuchError, check_time

#: How many characters of a key are used for searching.
KEY = 16

# Keys times characters: up to this many in one text, and in all of them, keys are searched for one by one.
# Searching for a key costs at least as much as this many characters, however short the text.
_DIRECT, _DIRECT_IN_ALL = 250_000, 1_000_000
_CALL = 64
# Up to this many keys, that is as fast as searching for all at once.
_FEW = 24
_BLOCK = 4
# A key of this length contains a whole block, wherever it begins.
_ANCHOR = 2 * _BLOCK - 1
# Shared, as nearly every key has a beginning of its own.
_ONE_LENGTH = [(length,) for length in range(KEY + 1)]
# The set bits of each number.
_SHIFTS = [tuple(shift for shift in range(_BLOCK) if bits >> shift & 1) for bits in range(1 << _BLOCK)]
# A text is searched in pieces of this many blocks: most contain no key.
_PIECE = 256

# Letters and digits, without the end of an escape right before them, also one that colours a terminal.
_P = "%(?:25){0,5}"
_BACKSLASH = rf"(?:\\|{_P}5[cC])(?:(?:u00|x)5[cC]){{0,2}}"
_ESCAPE = (
    rf"(?:\x1b|{_BACKSLASH}(?:x1[bB]|u001[bB])|{_P}1[bB])(?:\[|{_P}5[bB])[0-9;]{{0,20}}m"
    rf"|{_BACKSLASH}(?:x[0-9A-Fa-f]{{2}}|u[0-9A-Fa-f]{{4}}|[0-3][0-7]{{2}}|[nrtabfv0])|{_P}[0-9A-Fa-f]{{2}}"
)
_ESCAPES = re.compile(_ESCAPE)
# What they begin with.
_SIGNS = ("\\", "%", "\x1b")
_WORDS = re.compile(rf"{_ESCAPE}|([^\W_]+)")
_WORD = re.compile(r"[^\W_]+")
# Where a text can be split: escapes begin with such a character and contain none.
_GAP = re.compile(r"[^\w\[;]|_")
# Text with blanks for all that is neither a letter nor a digit; so are letters beyond Latin-1.
_ENCODING = ("latin-1", "replace")
_BLANKED = bytes(code if chr(code).isalnum() else 0x20 for code in range(256))
# Up to this many words, and keys that contain them, are searched for one by one; for more, the text is
# scanned, if it is no longer than this for each place that it may have.
_FEW_WORDS, _FEW_KEYS = 16, 32
_LENGTH_OF_MANY_WORDS = 48
# What takes as long as examining one place: to try so many keys, to find so many places, to split text with
# so many escapes into words, or to scan so many characters for them.
_TRIED, _FOUND, _SPLIT = 4, 4, 32
# A text may have as many tries where nothing is left of what it shares with others.
_FREE_TRIES = 16
# To search a shorter text takes hardly longer than to look at the clock.
_LONG = 5000
# Short keys without a letter or a digit; no ordinary request has more.
_MOST_OTHERS = 64


class Finder:
    """A set of keys, prepared for searching.

    Args:
        keys: texts; only the first characters of long ones are used. If there are many keys, those of less
            than seven characters are found only where no letter or digit is next to them.
        is_anywhere: whether those are found everywhere nevertheless; then they have to be few.
    """

    def __init__(self, keys: Iterable[str], is_anywhere: bool = False) -> None:
        self._keys = {key[:KEY] for key in keys if key}
        self._is_anywhere = is_anywhere
        # Built for the first text that is long enough, or after enough short ones.
        self._index: _Index | None = None
        self._searched = 0

    def __bool__(self) -> bool:
        return bool(self._keys)

    def starts(self, text: str, allowance: Allowance) -> list[int]:
        """Return where keys begin in a text, in order.

        Args:
            text: any.
            allowance: how many places there may be; what it takes to find them is charged to what it is
                shared with.

        Raises:
            TooMuchError: there are more, or no time is left.
        """
        if len(text) > _LONG:
            check_time()
        most = allowance.left
        try:
            found = self._places(text, allowance)
        except TooMuchError:
            allowance.charge(2 * most // _TRIED)
            raise
        allowance.charge(len(found) // _FOUND)
        if len(found) > most:
            raise TooMuchError
        return sorted(found)

    def _places(self, text: str, allowance: Allowance) -> set[int]:
        if self._is_direct(text):
            return _search_each(self._keys, text, allowance.left)
        if self._index is None:
            self._index = _Index(self._keys, self._is_anywhere)
        return self._index.places(text, allowance)

    def _is_direct(self, text: str) -> bool:
        if len(self._keys) < 4:
            return True
        if len(self._keys) * len(text) > _DIRECT:
            return False
        if len(self._keys) <= _FEW:
            return True
        if self._index is not None:
            return False
        self._searched += len(text) + _CALL
        return len(self._keys) * self._searched <= _DIRECT_IN_ALL


class _Index:
    """Many keys, prepared for searching at once. It is immutable, so that threads can share it."""

    def __init__(self, keys: set[str], is_anywhere: bool) -> None:
        self._keys = keys
        # The offsets at which each block occurs in a key; and the lengths of keys by their beginnings.
        self._blocks: dict[int, int] = {}
        self._anchors: dict[str, tuple[int, ...]] = {}
        # Keys by the longest word in them, where the word begins in each, and how long they are.
        self._words: dict[str, list[str]] = {}
        self._shapes: dict[str, set[tuple[int, int]]] = {}
        self._others: list[str] = []
        for key in keys:
            if len(key) >= _ANCHOR:
                self._add(key)
            elif is_anywhere:
                self._others.append(key)
            else:
                self._add_short(key)
        # Words by what is left of them where a text is blanked: nothing, if they have other letters only.
        self._raw_words: dict[bytes, list[str]] = {}
        for word in self._words:
            raw = max(word.encode(*_ENCODING).translate(_BLANKED).split(), key=len, default=b"")
            self._raw_words.setdefault(raw, []).append(word)

    def _add(self, key: str) -> None:
        anchor = key[:_ANCHOR]
        lengths = self._anchors.get(anchor, ())
        if len(key) not in lengths:
            self._anchors[anchor] = (*lengths, len(key)) if lengths else _ONE_LENGTH[len(key)]
            raw = key[:_ANCHOR].encode("latin-1", "replace")
            for shift in range(_BLOCK):
                number = int.from_bytes(raw[shift : shift + _BLOCK], sys.byteorder)
                self._blocks[number] = self._blocks.get(number, 0) | 1 << shift

    def _add_short(self, key: str) -> None:
        word = max(_WORD.findall(key), key=len, default="")
        if word:
            self._words.setdefault(word, []).append(key)
            self._shapes.setdefault(word, set()).add((key.index(word), len(key)))
        else:
            self._others.append(key)

    def places(self, text: str, allowance: Allowance) -> set[int]:
        """Return where keys begin in a text.

        Args:
            text: any.
            allowance: how many places there may be.

        Raises:
            TooMuchError: there are more, or many keys that cannot be searched for at once.
        """
        if len(self._others) > _MOST_OTHERS:
            raise TooMuchError
        found = self._by_blocks(text, allowance)
        if self._others:
            found |= _search_each(self._others, text, allowance.left)
        return found | self._by_words(text, allowance) if self._words else found

    def _by_blocks(self, text: str, allowance: Allowance) -> set[int]:
        found: set[int] = set()
        numbers = _as_numbers(text)
        blocks, anchors, keys, tries = self._blocks, self._anchors, self._keys, 0
        most = allowance.left
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
                if len(found) > most or tries > most * 2 + _FREE_TRIES:
                    raise TooMuchError
        allowance.charge(tries // _TRIED)
        return found

    def _by_words(self, text: str, allowance: Allowance) -> set[int]:
        words, shapes, keys, most = self._words, self._shapes, self._keys, allowance.left
        present = words.keys() if len(words) <= _FEW_WORDS else self._present(text, allowance)
        if sum(len(words[word]) for word in present) <= _FEW_KEYS:
            return _search_each((key for word in present for key in words[word]), text, most)
        if len(text) > most * _LENGTH_OF_MANY_WORDS:
            raise TooMuchError
        allowance.charge(len(text) // _SPLIT)
        found: set[int] = set()
        for match in _WORDS.finditer(text):
            for offset, length in shapes.get(match[1], ()):
                start = match.start() - offset
                if start >= 0 and text[start : start + length] in keys:
                    found.add(start)
        return found

    def _present(self, text: str, allowance: Allowance) -> set[str]:
        """Return which words a text contains; it is read in pieces to save memory.

        Raises:
            TooMuchError: it has more escapes than all texts together may have.
        """
        allowance.charge_before(sum(map(text.count, _SIGNS)) // _SPLIT)
        raw_words, found = self._raw_words.keys(), {b""} & self._raw_words.keys()
        start = 0
        while start < len(text):
            gap = _GAP.search(text, start + _PIECE * _BLOCK)
            end = gap.start() if gap else len(text)
            piece = text[start:end]
            if any(map(piece.__contains__, _SIGNS)):
                piece = _ESCAPES.sub(" ", piece)
            found |= raw_words & piece.encode(*_ENCODING).translate(_BLANKED).split()
            start = end
        return {word for raw in found for word in self._raw_words[raw]}


def _as_numbers(text: str) -> memoryview:
    """Return a text as a list of 32-bit numbers; all characters beyond Latin-1 become the same one."""
    raw = text.encode(*_ENCODING)
    # Padded, for a key that ends with the text.
    return memoryview(raw + b"\0" * (_BLOCK * 2 - len(raw) % _BLOCK)).cast("I")


def _search_each(keys: Iterable[str], text: str, most: int) -> set[int]:
    found: set[int] = set()
    for key in [key for key in keys if key in text]:
        start = text.find(key)
        while start >= 0:
            found.add(start)
            if len(found) > most:
                raise TooMuchError
            start = text.find(key, start + 1)
    return found
