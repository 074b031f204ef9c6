"""Messages without what differs from event to event: ids, numbers and addresses.

Sentry groups an event without a stack trace by the first two lines of its message. It leaves numbers, UUIDs,
addresses and dates out, but no ids of letters and digits, and no numbers within words.
Everything here takes time in proportion to the text, whatever that is.
"""

from __future__ import annotations

import re

#: Stands for what was left out.
ID = "<id>"

_LINES, _LONGEST = 2, 2048
_DIGITS = "0123456789"

_URL = re.compile(r"(?<=://)[^\s\"'`<>(){}\[\]|]+")
_CHUNK = re.compile(r"[^\s\"'`<>(){}\[\],;|=]+")
_PIECE = re.compile(r"[^\W_]+")
_UUID = re.compile(r"(?<![^\W_])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![^\W_])", re.IGNORECASE)
# IPv6, MAC addresses, times.
_COLONS = re.compile(r"[0-9a-f.:]+(?:%\w+)?(?:/[0-9]+)?", re.IGNORECASE)
_HEXADECIMAL = re.compile(r"[0-9a-f]{7,}", re.IGNORECASE)
_CAMEL = re.compile(r"[A-Z]?[a-z]+(?:[A-Z][a-z]+)*")
# Dates, fractions, versions, and IPv4 with a port.
_SERIES = re.compile(rf"(?:(?<![\w>])[-+])?{ID}(?:[-.:+]{ID})*")


def without_ids(text: str) -> str:
    """Return the first two lines of a message with ``<id>`` in place of each id, number and address.

    An id is a word with a digit. Of one with digits at its end only, such as ``user12``, and of a number with
    its unit, such as ``10ms``, the letters stay. What has no digit cannot be told from a word.

    Args:
        text: of any length.
    """
    lines = [line for line in map(str.strip, text[:_LONGEST].splitlines()) if line]
    return "\n".join(_CHUNK.sub(_chunk, _URL.sub("", line)) for line in lines[:_LINES])


def _chunk(match: re.Match[str]) -> str:
    chunk = match[0]
    if chunk.isalpha():
        return chunk
    body = chunk.rstrip(".:!?")
    return _without(body) + chunk[len(body) :]


def _without(body: str) -> str:
    if "://" in body or "@" in body.strip("@"):
        return ID
    if body.count(":") > 1 and _COLONS.fullmatch(body) and not body.isalpha() and any(map(str.isdigit, body)):
        return ID
    return _SERIES.sub(ID, _PIECE.sub(_piece, _UUID.sub(ID, body)))


def _piece(match: re.Match[str]) -> str:
    piece = match[0]
    if piece.isalpha():
        return piece
    if piece.isdecimal() or piece[:2].lower() == "0x" or _HEXADECIMAL.fullmatch(piece):
        return ID
    word = piece.rstrip(_DIGITS)
    if word.isalpha():
        is_word = word.islower() or word.isupper() or _CAMEL.fullmatch(word)
        return word + ID if is_word else ID
    unit = piece.lstrip(_DIGITS)
    if unit.isalpha() and len(unit) <= 3:
        return ID if unit in ("st", "nd", "rd", "th") else ID + unit
    return piece if len(piece) <= 3 else ID
