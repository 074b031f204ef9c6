"""Find secret names of more than a word in text: ``ctl00$Password$txt``, ``password (again)``.

The name of a field goes on to its sign, whatever it consists of, and a name in quotes to the closing one. How
much is read of a name is bounded: other text may go on for as long as it likes.
"""

from __future__ import annotations

import re

from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.encoded import decoded, end_of_value, name_at
from sentry_paste.redaction.names import Names

_P = "%(?:25){0,5}"
#: Matches behind a word in a name that may go on, to its sign or its closing quote. What is right behind it
#: is checked first, as this is tried at every such word of a text; what a lookahead has matched is not given
#: back.
GOES_ON = (
    r"(?= ?[$|(!*@^{}])"
    r"(?=(?=(?P<rest>[^&;?#=\"'\r\n/<>\\]{1,32}))(?P=rest)[=\"'\\&])(?P<goes_on>)"
)
# How much is read before and behind a word.
_LONGEST = 80
# To find where a field begins takes as long as to read so many characters.
_FIELD_WEIGHT = 125
# How much of a value is read to find out whether another field follows.
_LONGEST_SEEN = 256
# Quotes within the name: user["password"].
_CLOSING = rf"(?:\\{{0,64}}[\"']\]|{_P}2[27]{_P}5d)"
_OPENING = re.compile(rf"(?:\[|{_P}5b)(?:\\{{0,64}}[\"']|{_P}2[27])\Z", re.IGNORECASE)
# What separates fields, or a field from other text.
_SEPARATORS = rf"[&;?#=\"'\s/<>\\]|{_P}(?:2[2367f]|3[bdf]|5c|0[ad])"
_SEPARATOR = re.compile(_SEPARATORS, re.IGNORECASE)
_CLOSING_QUOTE = re.compile(_CLOSING)
_REST_IN_QUOTES = re.compile(rf"{_CLOSING}?[^\"'\r\n<>&;=\\%]{{0,60}}")
# What no name in quotes has: then the quotes are those of other texts.
_NOT_BEFORE_WORD = re.compile(r"[\"'\r\n<>&;=]")
_NOT_IN_NAMES = re.compile(r"[:,]\s")
_NOT_FIRST_IN_NAMES = " :,.;)]}>%"
_AMPERSAND = re.compile(f"&|{_P}26")
_BEFORE_FIELDS = "?&#;"
# In a pair, words are a label rather than a name: ["password reset", "done"].
_WORDS = re.compile(r"\s(?!\()")


def sign_of_long_field(lower: str, end: int) -> re.Match[str] | None:
    """Return the sign of a field whose name goes on behind a word, None if there is none.

    Args:
        lower: a text in lower case.
        end: of the word.
    """
    quote = _CLOSING_QUOTE.match(lower, end)
    sign = _SEPARATOR.search(lower, quote.end() if quote else end, end + _LONGEST)
    is_sign = sign is not None and sign.start() > end and sign[0].endswith(("=", "3d"))
    return sign if is_sign else None


def value_of_long_field(
    text: str, word: tuple[int, int], sign: re.Match[str], names: Names, bounds: Bounds, *, is_certain: bool
) -> tuple[int, int] | None:
    """Locate the value of a field in a query or a form whose name goes on behind a word.

    Args:
        text: any.
        word: where it begins and ends.
        sign: of the field.
        names: which names are secret.
        bounds: how much may be read.
        is_certain: whether only a field counts that something precedes which separates fields.
    """
    if not bounds.may_read(_FIELD_WEIGHT):
        return word[1], len(text)
    begin, mark = _begin_of_field(text, word[0])
    is_field = bool(mark) and mark in _BEFORE_FIELDS
    if mark == "=" or (is_certain and not is_field):
        return None
    known = decoded(text[begin : sign.start()]), name_at(text, *word)
    if not any(map(names.is_parameter, known)):
        return None
    level, start = len(sign[0]) // 2, sign.end()
    if not is_field:
        # Nothing is read to its end in vain.
        near = end_of_value(text, start, level, min(start + _LONGEST_SEEN, len(text)), is_prose=True)
        if not _AMPERSAND.match(text, near):
            return None
    end = end_of_value(text, start, level, len(text), is_prose=True)
    return (start, end) if end > start else None


def _begin_of_field(text: str, at: int) -> tuple[int, str]:
    """Return where the field's name begins that a word is in, and what separates it from what is before."""
    low = max(at - _LONGEST, 0)
    window = text[low:at]
    opening = _OPENING.search(window)
    begin, mark = low, ""
    for found in _SEPARATOR.finditer(window, 0, opening.start() if opening else len(window)):
        begin, mark = low + found.end(), found[0]
    return begin, decoded(mark)


def end_in_quotes(lower: str, end: int) -> int:
    """Return where a name may end that goes on behind a word: before its closing quote.

    Args:
        lower: a text in lower case.
        end: of the word.
    """
    found = _REST_IN_QUOTES.match(lower, end)
    return found.end() if found else end


def begin_in_quotes(text: str, at: int, end: int, quote: str) -> int | None:
    """Return where the name in quotes begins that a word is in, None if it is not in quotes.

    Args:
        text: any.
        at: the place of the word.
        end: where the name may end.
        quote: that closes the name, with the backslashes before it.
    """
    low = max(at - _LONGEST, 0)
    window = text[low:at]
    opening = _OPENING.search(window)
    last = opening.start() if opening else len(window)
    begin = window.rfind(quote, 0, last) + len(quote)
    if begin < len(quote) or _NOT_BEFORE_WORD.search(window, begin, last):
        return None
    if window[begin : begin + 1] in _NOT_FIRST_IN_NAMES and begin < len(window):
        return None
    return None if _NOT_IN_NAMES.search(text, low + begin, end) else low + begin


def is_label(name: str) -> bool:
    """Return whether a name consists of words, as those do that are shown to people.

    Args:
        name: in quotes.
    """
    return bool(_WORDS.search(name))
