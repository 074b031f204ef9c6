"""Read text without its escapes: of HTML, of strings in JSON and JavaScript, of URLs.

Every place in the reading corresponds to a place in the text, so that a secret can be replaced there while
the rest stays byte for byte.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate, islice

# ASCII characters in HTML (https://html.spec.whatwg.org/#character-references), including escaped escapes and
# Go's JSON for an ampersand. Only characters that give a text its structure appear here by name.
_HTML = re.compile(
    r"(&(?:amp;){0,5}(?:lt|gt|quot|apos|#0{0,4}[0-9]{2,3}|#[xX]0{0,4}[2-7][0-9a-fA-F]);"
    # RFC 8259 section 7, strings of ECMAScript, logs of nginx and Apache. A run of backslashes is read
    # once, and a few consecutive slashes are one piece.
    r"|\\(?<!\\\\)\\*(?:u0026(?:lt|gt|quot|apos|#[0-9]{2,3});|(?:u00|x)[2-7][0-9a-fA-F]|/(?:\\/){0,3}))"
)
# RFC 3986 section 2.1, also in a URL in a URL.
_URL = re.compile("(%(?:25){0,5}[2-7][0-9a-fA-F])")
_TAG_IN_URL = re.compile("%(?:25){0,5}3[cC]")
# How many offsets of pieces are computed at a time.
_PIECES = 1000
_NAMED = {"lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_QUOTES = ("'", '"')


class Reading:
    """A text without its escapes.

    Args:
        text: any.
        escape: a pattern whose only group contains the whole match.

    Attributes:
        text: the result. A quote that was escaped several times has backslashes, as in JSON in JSON.
    """

    __slots__ = ("_in_raw", "_in_read", "_raw", "_read", "_size", "text")

    def __init__(self, text: str, escape: re.Pattern[str]) -> None:
        self._raw = pieces = escape.split(text)
        # The same few escapes occur again and again.
        meanings = {piece: _meaning(piece) for piece in set(pieces[1::2])}
        self._read = pieces.copy()
        self._read[1::2] = map(meanings.__getitem__, pieces[1::2])
        self.text = "".join(self._read)
        self._size = len(text)
        # Where pieces begin, as far as was needed.
        self._in_read, self._in_raw = [0], [0]

    def place_in_text(self, place: int) -> int:
        """Return the place in the text that a place in the reading corresponds to.

        Args:
            place: in the reading.
        """
        if place >= len(self.text):
            return self._size
        while place >= self._in_read[-1]:
            self._add_places()
        index = bisect_right(self._in_read, place) - 1
        # For an escape, return its beginning.
        return self._in_raw[index] + (0 if index % 2 else place - self._in_read[index])

    def _add_places(self) -> None:
        """Compute where more pieces begin: often only the first ones are needed."""
        first = len(self._in_read) - 1
        for places, pieces in ((self._in_read, self._read), (self._in_raw, self._raw)):
            lengths = map(len, pieces[first : first + _PIECES])
            places += islice(accumulate(lengths, initial=places[-1]), 1, None)


def read_markup(text: str) -> Reading | None:
    """Read a text without the escapes of HTML and of strings; return None if it has none.

    Args:
        text: any.
    """
    return Reading(text, _HTML) if _may_have_markup(text) and _HTML.search(text) else None


def _may_have_markup(text: str) -> bool:
    return "&" in text or "\\u00" in text or "\\x" in text or "\\/" in text


def may_have_escapes(text: str) -> bool:
    """Return whether a text may have escapes, which is faster than reading it.

    Args:
        text: any.
    """
    return "%" in text or _may_have_markup(text)


def read_url(text: str) -> Reading | None:
    """Read a text without percent-encoding if it has tags in a URL or a form; return None if not.

    Args:
        text: any.
    """
    # Other parameters of URLs are found without decoding. A plus sign is a space in a form.
    return Reading(text.replace("+", " "), _URL) if "%" in text and _TAG_IN_URL.search(text) else None


#: All ways to read a text.
READERS = (read_markup, read_url)


def _meaning(escape: str) -> str:
    """Return the character that an escape stands for."""
    if escape[0] == "%":
        level, code = escape.count("25", 0, len(escape) - 2), int(escape[-2:], 16)
    elif escape[-1] == ";":
        level, name = escape.count("amp;"), re.split("[&;]|u0026", escape)[-2]
        if name in _NAMED:
            code = ord(_NAMED[name])
        else:
            code = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
    elif escape[-1] == "/":
        return "/" * escape.count("/")
    else:
        found = escape.rstrip("0123456789abcdefABCDEFux")
        code = int(escape[-2:], 16)
        return "\\" * (len(found) - 1) + chr(code) if chr(code) in _QUOTES else chr(code)
    character = chr(code)
    return "\\" * (2**level - 1) + character if character in _QUOTES else character
