"""Undo quoting and escaping in text, and map places in the result back to the text."""

from __future__ import annotations

import html
import json
import re
import sys
from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from sentry_paste.redaction.bounds import Allowance, TooMuchError

#: Between texts that are searched together. No line of base64 goes on behind it, no escape contains it.
SEPARATOR = "\x1e"

# Percent-encoding (RFC 3986), the escapes of Python, JSON and C, and the references of HTML and XML.
# Each kind begins with a different character, so that the search leaps from one to the next. re remembers a
# position for each repetition of a group, so a run is cut into pieces: not within a character of UTF-8, nor
# between surrogates.
_REFERENCE = "(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,7});"
_ESCAPE = re.compile(
    r"(%[0-9A-Fa-f]{2}(?:(?:%[0-9A-Fa-f]{2}){1,63}(?:%[89ABab][0-9A-Fa-f]){0,3})?"
    r"|\\(?:u[0-9A-Fa-f]{4}(?:\\u[0-9A-Fa-f]{4}){0,63}(?:(?<=u[dD][89ABab]..)\\u[dD][C-Fc-f][0-9A-Fa-f]{2})?"
    # A backslash before an escape of another kind is no part of it.
    r"|x[0-9A-Fa-f]{2}|U[0-9A-Fa-f]{8}|[0-3][0-7]{2}|[^\n\x1e%&]|%(?![0-9A-Fa-f]{2})"
    rf"|&(?!{_REFERENCE}))"
    rf"|&(?=[#A-Za-z]){_REFERENCE})"
)
# The end of a line of base64 before the next one, raw or escaped. Lines are 76 characters long (RFC 2045
# section 6.8), of PEM 64 (RFC 7468 section 2).
_BASE64 = "[A-Za-z0-9+/_-]"
_FULL = f"(?<={_BASE64}{{60}}"
_END_OF_LINE = re.compile(
    rf"((?:\n{_FULL}\n)|\r{_FULL}\r)\n|\\{_FULL}\\)\\?(?:r\\{{1,2}})?n"
    rf"|%{_FULL}%)(?:25)?(?:0[dD]%(?:25)?)?0[aA]|&{_FULL}&)#(?:13;&#)?10;)(?={_BASE64}))"
)
# What may be such a place, where letters, digits and signs of base64 are one letter, and all beginnings of an
# end one character: the interpreter's own search is several times faster.
_LETTERS_OF_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_OUTLINE = bytes(
    0x61 if code in _LETTERS_OF_BASE64 else 0x0A if code in b"\n\r\\%&" else 0x20 for code in range(256)
)
_OUTLINE_OF_END = b"a" * 60 + b"\n"
# Undoing this many escapes takes about as long as examining one place.
_ESCAPES = 6
# So does undoing this many in runs, and passing over this many characters that begin none.
_IN_RUNS = 16
_BEGINNINGS = 100
# Python stores each character of a text in four bytes if there is one emoji in it: such a text is not decoded
# if it is long.
_MOST_BYTES = 2_000_000
# How many characters are looked at together to count the escapes in them.
_PART = 16_384
# How many escapes are undone at once: this many, or such a share of those that are allowed.
_AT_ONCE, _SHARES = 4000, 8
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


class View(NamedTuple):
    """A text with its escapes undone.

    Attributes:
        text: the result.
        starts: where each piece begins in it, escapes at odd indexes; and its length. Arrays take a ninth of
            the memory of lists.
        origins: where each piece begins in the text before; and its length.
    """

    text: str
    starts: array[int]
    origins: array[int]

    def start(self, place: int) -> int:
        """Map the start of something back to the text before.

        Args:
            place: where it begins in this text.
        """
        piece = bisect_right(self.starts, place) - 1
        if piece % 2:
            return self.origins[piece]
        return self.origins[min(piece, len(self.origins) - 1)] + place - self.starts[piece]

    def end(self, place: int) -> int:
        """Map the end of something back to the text before.

        Args:
            place: where it ends in this text.
        """
        piece = bisect_left(self.starts, place) - 1
        if piece < 0:
            return 0
        if piece % 2:
            return self.origins[piece + 1]
        return self.origins[piece] + place - self.starts[piece]


def has_escapes(text: str) -> bool:
    """Return whether a text may have escapes.

    Args:
        text: any.
    """
    return "\\" in text or "%" in text or "&" in text


def decoded(text: str, allowance: Allowance) -> View | None:
    """Return a text with one level of escapes undone, None where there are none.

    Args:
        text: any.
        allowance: what may be spent.

    Raises:
        TooMuchError: there are more.
    """
    if not has_escapes(text):
        return None
    most = _ESCAPES * allowance.left
    beginnings = _count_beginnings(text)
    # A run of escapes counts as one, however long it takes to undo it.
    allowance.charge_before(beginnings // _IN_RUNS)
    if sys.getsizeof(text) > _MOST_BYTES:
        raise TooMuchError
    if beginnings > most:
        # Counted first: the pieces of a text take many times its memory.
        count = _count_escapes(text, most)
        allowance.spend(allowance.left + 1 if count > most else (beginnings - count) // _BEGINNINGS)
        if not count:
            return None
    # For the same reason only a share of the text is split at once.
    at_once = max(_AT_ONCE, most // _SHARES)
    starts, origins = array("I", [0]), array("I", [0])
    meanings: dict[str, str] = {}
    parts: list[str] = []
    is_done = False
    while not is_done:
        pieces = _ESCAPE.split(text, at_once)
        is_done = len(pieces) // 2 < at_once
        text = "" if is_done else pieces.pop()
        _add_places(origins, pieces)
        _undo(pieces, meanings)
        _add_places(starts, pieces)
        parts.append("".join(pieces))
    count = len(origins) // 2 - 1
    if not count:
        return None
    allowance.spend(-(-count // _ESCAPES))
    return View("".join(parts), starts, origins)


def may_have_lines(text: str) -> bool:
    """Return whether a text may have base64 that was broken into lines.

    Args:
        text: any.
    """
    return _OUTLINE_OF_END in text.encode("latin-1", "replace").translate(_OUTLINE)


def unfolded(text: str, allowance: Allowance) -> View | None:
    """Return a text with its lines of base64 joined, None where there are none.

    Args:
        text: any.
        allowance: what may be spent.

    Raises:
        TooMuchError: there are more.
    """
    if not may_have_lines(text):
        return None
    pieces = _END_OF_LINE.split(text)
    if len(pieces) == 1:
        return None
    allowance.spend(len(pieces) // 2)
    starts, origins = array("I", [0]), array("I", [0])
    _add_places(origins, pieces)
    pieces[1::2] = [""] * (len(pieces) // 2)
    _add_places(starts, pieces)
    return View("".join(pieces), starts, origins)


def _count_beginnings(text: str) -> int:
    """Return the number of characters with which escapes begin."""
    return text.count("\\") + text.count("%") + text.count("&")


def _count_escapes(text: str, most: int) -> int:
    """Return about how many escapes a text has, 0 only if it has none; no more are counted than necessary."""
    count = 0
    for start in range(0, len(text), _PART):
        # One that goes on in the next part may be missed.
        count += len(_ESCAPE.findall(text, start, start + _PART))
        if count > most:
            return count
    return count or int(next(_ESCAPE.finditer(text), None) is not None)


def _undo(pieces: list[str], meanings: dict[str, str]) -> None:
    """Replace the escapes among the pieces of a text, those at odd indexes, by what they mean."""
    escapes = pieces[1::2]
    for escape in set(escapes).difference(meanings):
        meanings[escape] = _meaning(escape)
    pieces[1::2] = map(meanings.__getitem__, escapes)


def _add_places(places: array[int], pieces: list[str]) -> None:
    """Add where each piece of a text begins, and where the last one ends."""
    places.extend(accumulate(map(len, pieces), initial=places.pop()))


def _of_reference(escape: str) -> str:
    """Return what a reference means to who has written it.

    Browsers, and ``html.unescape``, take ``&#130;`` for Windows-1252 and drop what is no character. Codecs
    and libraries for XML mean the character with that number.
    """
    if escape[1] != "#":
        return html.unescape(escape)
    number = int(escape[3:-1], 16) if escape[2] in "xX" else int(escape[2:-1])
    return chr(number) if number < 0x110000 else escape


def _meaning(escape: str) -> str:
    kind = escape[0]
    if kind == "%":
        raw = unquote_to_bytes(escape)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    if kind == "&":
        return _of_reference(escape)
    kind = escape[1]
    if kind == "u":
        # Two \u escapes may be one character: a surrogate pair.
        return str(json.loads(f'"{escape}"')) if len(escape) > 2 else "u"
    if kind in "xU" and len(escape) > 2:
        number = int(escape[2:], 16)
        return chr(number) if number < 0x110000 else escape
    if len(escape) == 4:
        return chr(int(escape[1:], 8))
    return _LETTERS.get(kind, kind)
