"""Read text without its escapes: of HTML, of strings in JSON and JavaScript, of URLs.

Every place in the reading corresponds to a place in the text, so that a secret can be replaced there while
the rest stays byte for byte.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate

from sentry_paste.redaction.bounds import Bounds, TooMuchError
from sentry_paste.redaction.encoded import encoded

_CHARACTER = "(?:lt|gt|quot|apos|nbsp|#(?:0{0,4}[0-9]{2,3}|[xX]0{0,4}(?:[2-7][0-9a-fA-F]|[9aAdD])));"
# ASCII characters in HTML (https://html.spec.whatwg.org/#character-references), including escaped escapes and
# Go's JSON for an ampersand. Only characters that give a text its structure appear here by name.
_HTML = re.compile(
    rf"(&(?:{_CHARACTER}|amp;(?:amp;){{0,4}}(?:{_CHARACTER}))"
    # RFC 8259 section 7, strings of ECMAScript, logs of nginx and Apache. A run of backslashes is read
    # once, and a few consecutive slashes are one piece.
    r"|\\(?<!\\\\)\\*(?:u0026(?:lt|gt|quot|apos|#[0-9]{2,3});|(?:u00|x)(?:[2-7][0-9a-fA-F]|0[9aAdD])|/(?:\\/){0,3}))"
)
# RFC 3986 section 2.1, also in a URL in a URL.
_URL = re.compile("(%(?:25){0,5}(?:[2-7][0-9a-fA-F]|0[aAdD]))")
# What is read in them: tags, quotes, lines, names before a colon and a blank, arguments.
_MARK_IN_URL = re.compile(encoded(r"3[cC]|2[27]|0[aA]|3[aA](?:\+|%(?:25){0,5}20)|20-"))
# What colours text in a terminal (ECMA-48 section 8.3.117), as it is or as Python and JSON show it.
_COLOUR = re.compile(r"((?:\x1b|\\(?<!\\\\)\\*(?:x1[bB]|u001[bB]))\[[0-9;]{0,20}m)")
_COLOURS = ("\x1b[", "1b[", "1B[")
# How references of HTML begin; and one in how many characters is an ampersand where that is looked for first.
_REFERENCES, _ONE_IN = ("&#", "&a", "&g", "&l", "&n", "&q"), 10
_BEGIN_MARKS = ("%2", "%3", "%0")
# How many escapes are undone at a time.
_PIECES = 1000
# How many backslashes stand for each time that a quote was escaped before. In JSON in JSON it has one, three
# or seven: this is more, and even, so that neither ends text in the other.
_BACKSLASHES = 8
# How much longer it takes to read a text without percent-encoding, or without colours.
_URL_WEIGHT = _COLOUR_WEIGHT = 2
_NAMED = {"lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
_QUOTES = ("'", '"')


class Reading:
    """A text without its escapes.

    Args:
        text: any.
        escape: a pattern whose only group contains the whole match.

    Attributes:
        text: the result. A quote that was escaped several times has backslashes, as in JSON in JSON.
    """

    __slots__ = ("_escape", "_in_raw", "_in_read", "_meanings", "_places", "_raw", "_share", "text")

    def __init__(self, text: str, escape: re.Pattern[str]) -> None:
        self._raw, self._escape = text, escape
        # The same few escapes occur again and again.
        self._meanings: dict[str, str] = {}
        # Where shares of the text begin, and the places of the pieces of one: the pieces of a long text take
        # many times its memory.
        self._in_read, self._in_raw = [0], [0]
        self._share, self._places = -1, ([0], [0])
        parts: list[str] = []
        while text:
            pieces = escape.split(text, _PIECES)
            text = pieces.pop() if len(pieces) > 2 * _PIECES else ""
            size = sum(map(len, pieces))
            parts.append("".join(self._undone(pieces)))
            self._in_raw.append(self._in_raw[-1] + size)
            self._in_read.append(self._in_read[-1] + len(parts[-1]))
        self.text = "".join(parts)

    def _undone(self, pieces: list[str]) -> list[str]:
        """Replace the escapes among pieces of the text, those at odd indexes, by what they mean."""
        meanings = self._meanings
        escapes = pieces[1::2]
        for escape in set(escapes).difference(meanings):
            meanings[escape] = _meaning(escape)
        pieces[1::2] = map(meanings.__getitem__, escapes)
        return pieces

    def place_in_text(self, place: int) -> int:
        """Return the place in the text that a place in the reading corresponds to.

        Args:
            place: in the reading.
        """
        if place >= len(self.text):
            return len(self._raw)
        share = bisect_right(self._in_read, place) - 1
        if share != self._share:
            self._share, self._places = share, self._places_in(share)
        in_read, in_raw = self._places
        index = bisect_right(in_read, place) - 1
        # For an escape, return its beginning.
        return in_raw[index] + (0 if index % 2 else place - in_read[index])

    def end_in_text(self, place: int) -> int:
        """Return the place in the text of something that ends at a place in the reading.

        Args:
            place: in the reading.
        """
        # An escape right behind it may stand for nothing.
        return self.place_in_text(place - 1) + 1 if self._is_of_nothing(place) else self.place_in_text(place)

    def _is_of_nothing(self, place: int) -> bool:
        return self._escape is _COLOUR and place > 0

    def _places_in(self, share: int) -> tuple[list[int], list[int]]:
        """Return where the pieces of a share begin, in the reading and in the text."""
        pieces = self._escape.split(self._raw[self._in_raw[share] : self._in_raw[share + 1]])
        in_raw = [*accumulate(map(len, pieces), initial=self._in_raw[share])]
        in_read = [*accumulate(map(len, self._undone(pieces)), initial=self._in_read[share])]
        return in_read, in_raw


def read_markup(text: str, bounds: Bounds | None = None) -> Reading | None:
    """Read a text without the escapes of HTML and of strings; return None if it has none.

    Args:
        text: any.
        bounds: how much may be read, if several texts share it.

    Raises:
        TooMuchError: the text is longer than that.
    """
    if not (_may_have_markup(text) and _HTML.search(text)):
        return None
    _charge(len(text), bounds)
    return Reading(text, _HTML)


def _charge(length: int, bounds: Bounds | None) -> None:
    # Reading a text, and searching what was read, takes three times as long as searching the text.
    if bounds is not None and not bounds.may_read(length):
        raise TooMuchError


def _may_have_markup(text: str) -> bool:
    count = text.count("&")
    if count and (count * _ONE_IN <= len(text) or any(map(text.__contains__, _REFERENCES))):
        return True
    return "\\u00" in text or "\\x" in text or "\\/" in text


def _has_mark_in_url(text: str) -> bool:
    count = text.count("%")
    if not count or (count * _ONE_IN > len(text) and not any(map(text.__contains__, _BEGIN_MARKS))):
        return False  # a text of such signs is searched faster for what follows them
    return bool(_MARK_IN_URL.search(text))


def may_have_escapes(text: str) -> bool:
    """Return whether a text may have escapes, which is faster than reading it.

    Args:
        text: any.
    """
    return "%" in text or "\x1b[" in text or _may_have_markup(text)


def has_escapes(text: str) -> bool:
    """Return whether a text has escapes that any of ``READERS`` would undo.

    Args:
        text: any.
    """
    return bool(
        (_may_have_markup(text) and _HTML.search(text)) or _has_mark_in_url(text) or _has_colours(text)
    )


def read_url(text: str, bounds: Bounds | None = None) -> Reading | None:
    """Read a text without percent-encoding if it is more than a query; return None if it is not.

    Args:
        text: any.
        bounds: how much may be read, if several texts share it.

    Raises:
        TooMuchError: the text is longer than that.
    """
    # Other parameters of URLs are found without decoding.
    if not _has_mark_in_url(text):
        return None
    _charge(_URL_WEIGHT * len(text), bounds)  # it may consist of escapes
    return Reading(text.replace("+", " "), _URL)  # a plus sign is a space in a form


def _has_colours(text: str) -> bool:
    return any(map(text.__contains__, _COLOURS)) and bool(_COLOUR.search(text))


def read_colours(text: str, bounds: Bounds | None = None) -> Reading | None:
    """Read a text without what colours it in a terminal; return None if nothing does.

    Args:
        text: any.
        bounds: how much may be read, if several texts share it.

    Raises:
        TooMuchError: the text is longer than that.
    """
    if not _has_colours(text):
        return None
    _charge(_COLOUR_WEIGHT * len(text), bounds)
    return Reading(text, _COLOUR)


#: All ways to read a text that has been read as it is.
READERS = (read_markup, read_url)


def _meaning(escape: str) -> str:
    """Return the character that an escape stands for."""
    if escape[-1] == "m":
        return ""
    if escape[0] == "%":
        level, code = escape.count("25", 0, len(escape) - 2), int(escape[-2:], 16)
    elif escape[-1] == ";":
        # Go's JSON has the references of a text that was escaped before.
        level = escape.count("amp;") + (escape[0] == "\\")
        name = re.split("[&;]|u0026", escape)[-2]
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
    return "\\" * (_BACKSLASHES * level) + character if character in _QUOTES else character
