"""Secret values, and what is searched for in place of each: it, its decoded forms, its base64 and hex.

There are too many ways to quote, escape and encode a value to try them all. Text is decoded instead
(``views``), so a value needs only a few needles, whatever it consists of.
"""

from __future__ import annotations

import binascii
import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator
from enum import IntEnum
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus

from sentry_paste.redaction.bounds import Allowance
from sentry_paste.redaction.encoded import encoded
from sentry_paste.redaction.views import decoded

#: Other forms of a value are compared up to this many characters.
LONGEST = 1024
#: A value is recognised by its first characters, up to this many.
HEAD = 64

# Shorter values are not searched for in base64 and hex, nor with doubled quotes.
_SHORTEST_ENCODED = 8
# By the length modulo three: the bytes that pad a value to a multiple of three, and put the next copy at
# offset 1 or 2.
_PADDED = tuple(
    (b"\0" * (-size % 3 + 1), b"\0" * (-(size + 1) % 3 + 2), b"\0" * (-(size + 2) % 3)) for size in range(3)
)
# Of a value that was decoded.
_SHORTEST_FORM, _SHORTEST_NAME = 5, 4
# Shorter pieces of base64 occur in text by chance.
_SHORTEST_CORE = 7
# Shorter markers occur in every text.
_SHORTEST_MARKER = 3
# How many bytes of a value its base64 and hex needles cover: a multiple of three.
_ENCODED = 12
_SIZE_ENCODED = _ENCODED * 4 // 3
# How many levels of escapes a search undoes, and what is undone more than once.
_LEVELS, _TWO_BACKSLASHES = 3, "\\\\"
# What it costs to work out the forms of a value, as a multiple of a plain token's: for an IPv4 address, for
# an IPv6 address, and for a value beyond ASCII.
_WEIGHT_OF_IPV4, _WEIGHT_OF_IPV6, _BEYOND_ASCII = 2, 5, 6
# Each of these forms has others, one for most signs; and a longer one takes longer, by so many characters.
# Where there is a percent sign, most of what a plus sign costs is counted already.
_WEIGHT_OF_PERCENT, _SIGNS_WITH_FORMS = 2, ("\\", "&", "'", '"')
_CHARACTERS = 256
# The most that a short value may cost.
_MOST_WEIGHT = _BEYOND_ASCII * (_LEVELS + _WEIGHT_OF_PERCENT + len(_SIGNS_WITH_FORMS))

# Characters that hardly any quoting or escaping changes; only base64 and hex do.
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
# Those of them that some do: Django's escapejs, re.escape, Java's URLEncoder.
_SOMETIMES_ESCAPED = ("-", "~")
# What they are escaped as, by the character that it begins with, to which a search leaps; and, for text that
# consists of such characters, texts of which it contains at least one.
_ESCAPED_SIGNS = (
    (
        "\\",
        re.compile(r"\\(?:(?:u00|x)5[cC]){0,2}(?:[-~]|(?:u00|x)(?:2[dD]|7[eE]))"),
        ("\\-", "\\~", "5C-", "5c-", "5C~", "5c~", "2D", "2d", "7E", "7e"),
    ),
    (
        "%",
        re.compile(encoded("2[dD]|7[eE]|5[cC](?:(?:u00|x)5[cC]){0,2}(?:[-~]|(?:u00|x)(?:2[dD]|7[eE]))")),
        ("2D", "2d", "7E", "7e", "5C-", "5c-", "5C~", "5c~"),
    ),
    ("&", re.compile("&(?:amp;){0,5}#(?:45|126|[xX](?:2[dD]|7[eE]));"), ("#45;", "#126;", "#x", "#X")),
)
# With more of them, the second is faster.
_ONE_IN = 10
_RUNS = re.compile("[A-Za-z0-9_.~-]+")
_PERCENT = re.compile("%[0-9A-Fa-f]{2}")
_SIGNS = re.compile("[+/]")
_GROUP = re.compile("[0-9a-f]{4}")
_QUOTES = ("'", '"')
# A value with one of these has more forms than one.
_MORE_FORMS = re.compile("[%+\\\\&'\"]")
_NOT_PRINTABLE = re.compile("([\x7f-\xa0\xad]+)")


class Where(IntEnum):
    """Where in a text a value is searched for."""

    #: Anywhere.
    ANYWHERE = 0
    #: As a whole word, with no letter or digit next to it; not in URLs.
    WORD = 1
    #: As a whole word, with no other part of an address next to it.
    ADDRESS = 2
    #: Only where it is the whole text.
    WHOLE = 3
    #: As the value in name=value.
    PAIR = 4

    # Enum.__hash__ is Python code, and every secret is put into sets.
    __hash__ = int.__hash__


# In Python 3.11, looking up a member on the class runs Python code too.
ANYWHERE, WORD, ADDRESS, WHOLE, PAIR = Where


class Secret(NamedTuple):
    """A value to search for.

    Attributes:
        text: as it would appear in a text.
        where: in which places.
        kept: how many characters at its beginning stay: the name and equals sign of a pair.
    """

    text: str
    where: Where
    kept: int = 0


class Needle(NamedTuple):
    """A text to search for in place of a value.

    Attributes:
        text: what is searched for.
        where: in which places.
        kept: how many characters at its beginning stay.
        is_cut: whether the value is longer than the needle, in a form that is not known.
        is_run: whether all the base64 or hex around it is part of the value.
    """

    text: str
    where: Where
    kept: int = 0
    is_cut: bool = False
    is_run: bool = False


def needles_of(secret: Secret, is_encoded: bool = True) -> Iterator[Needle]:
    """Yield the texts to search for in place of a value.

    Args:
        secret: as a request has it.
        is_encoded: whether to search for its base64 and hex too.
    """
    text, where, kept = secret
    if where is ADDRESS:
        notations = _notations(text)
        for shown in notations:
            yield Needle(shown, ADDRESS)
        if not notations:
            return
    else:
        yield Needle(text, where, kept)
        if not is_unreserved(text):
            for form in _meanings(text, where):
                yield Needle(form, where, kept if form.startswith(text[:kept]) else 0, len(text) > LONGEST)
    if is_encoded and where is not PAIR and len(text) >= _SHORTEST_ENCODED:
        for core in encoded_of(text):
            yield Needle(core, ANYWHERE, is_run=True)


def are_too_many(secrets: Collection[Secret], most: int) -> bool:
    """Return whether it would take too long to work out all forms of some values.

    Args:
        secrets: as a request has them.
        most: how many plain tokens may be searched for.
    """
    # First what is quicker: hardly any request has that many.
    length = sum([len(text) for text, _, _ in secrets])
    is_little = (len(secrets) + length / _CHARACTERS) * _MOST_WEIGHT <= most
    return not is_little and sum(map(_weight_of, secrets)) > most


def _weight_of(secret: Secret) -> float:
    """Return the cost of searching for a value in all its forms, as a multiple of a plain token's."""
    text, where, _ = secret
    if where is WHOLE:
        return 1
    if where is ADDRESS:
        return _WEIGHT_OF_IPV6 if ":" in text else _WEIGHT_OF_IPV4
    is_ascii = text.isascii()
    if is_ascii and not _MORE_FORMS.search(text):
        return 1
    signs = 1 + sum([sign in text for sign in _SIGNS_WITH_FORMS])
    signs += _WEIGHT_OF_PERCENT if "%" in text else "+" in text
    if _TWO_BACKSLASHES in text or text.endswith("\\"):
        signs += _LEVELS - 1
    forms = signs if is_ascii else signs * _BEYOND_ASCII
    return forms * (1 + max(min(len(text), LONGEST) - HEAD, 0) / _CHARACTERS)


def markers_of(secrets: Iterable[Secret]) -> list[str]:
    """Return texts: whatever contains one of several values, in any form, contains one of them.

    They are much cheaper to search for than needles. One is empty if a value has none.

    Args:
        secrets: as a request has them.
    """
    found: list[str] = []
    # Most values have one beginning, so base64 is made for all of these at once.
    beginnings: set[bytes] = set()
    for text, where, _ in secrets:
        if where is WHOLE:
            found.append(text)
            continue
        head = text[:HEAD]
        is_plain = _UNRESERVED.fullmatch(head) is not None
        if where is ADDRESS:
            found += _markers_of_address(text, is_plain)
        elif is_plain:
            found.append(head)
        else:
            # If the value may itself be escaped, it is not known which parts stay the same.
            seed = "" if "\\" in head or "&" in head else seed_of(text)
            found.append(seed if len(seed) >= _SHORTEST_MARKER else "")
        if where is PAIR or len(text) < _SHORTEST_ENCODED:
            continue
        if text.isascii() and (is_plain or "%" not in text):
            beginnings.add(text[:_ENCODED].encode())
        else:
            cores = encoded_of(text)
            found += cores
            for core in cores:
                if "+" in core or "/" in core:
                    found += _markers_with_other_signs(core)
    return found + _encoded_at_once(beginnings)


def _markers_of_address(text: str, is_plain: bool) -> Collection[str]:
    """Return texts of which every notation of an address contains at least one."""
    if is_plain:
        # An IPv6 address that ends with an IPv4 address in hex shares only this with its other notations.
        return (text, "ffff", "FFFF")
    if "." in text:
        return ("",)  # IPv4 within IPv6 has a notation that shares nothing with the others
    longest = max((group.lstrip("0") for group in text.split(":")), key=len)
    if len(longest) < _SHORTEST_MARKER:
        return ("",)
    # IPv4 within IPv6: the address alone does not contain it.
    return {longest.lower(), longest.upper(), *(_notations(text) if longest.lower() == "ffff" else ())}


def _encoded_at_once(beginnings: Collection[bytes]) -> list[str]:
    """Return what ``encoded_of`` returns for values that begin with these bytes.

    Args:
        beginnings: of 8 to 12 bytes.
    """
    found: list[str] = []
    # Each begins at the same offset as the first one, as the size of all is a multiple of three.
    together = b"".join([raw.ljust(_ENCODED, b"\0") for raw in beginnings])
    for offset, first in enumerate((0, 2, 3)):
        encoded = binascii.b2a_base64(b"\0" * offset + together + b"\0\0", newline=False).decode()
        start = 0
        for raw in beginnings:
            found.append(encoded[start + first : start + (len(raw) + offset) * 4 // 3])
            start += _SIZE_ENCODED
    for core in [core for core in found if "+" in core or "/" in core]:
        found += _markers_with_other_signs(core)
    for raw in beginnings:
        as_hex = raw[:_SHORTEST_ENCODED].hex()
        found += (as_hex, as_hex.upper())
    return found


def is_found_escaped(needle: Needle) -> bool:
    """Return whether a needle, or a piece that is searched for as well, is in a text however it is escaped.

    Args:
        needle: of ``needles_of``.
    """
    if needle.is_run and _SIGNS.search(needle.text):
        return len(_longest_piece(needle.text)) >= _SHORTEST_CORE
    return needle.is_run or is_unreserved(needle.text)


def _longest_piece(core: str) -> str:
    """Return the longest piece of base64 without the signs that are escaped in URLs."""
    return max(_SIGNS.split(core), key=len)


def is_unreserved(text: str) -> bool:
    """Return whether quoting, however it is done, leaves a text unchanged.

    Args:
        text: any; only the beginning of a long one is checked.
    """
    return bool(_UNRESERVED.fullmatch(text[:LONGEST]))


def has_signs(text: str) -> bool:
    """Return whether a value has signs that hardly any quoting or escaping changes.

    Args:
        text: any; only the beginning of a long one is checked.
    """
    return any(sign in text[:LONGEST] for sign in _SOMETIMES_ESCAPED)


def has_escaped_signs(text: str) -> bool:
    """Return whether a text may have such signs that are escaped.

    Args:
        text: any.
    """
    for begin, pattern, parts in _ESCAPED_SIGNS:
        count = text.count(begin)
        if count * _ONE_IN > len(text):
            if any(map(text.__contains__, parts)):
                return True
        elif count and pattern.search(text):
            return True
    return False


def seed_of(text: str) -> str:
    """Return the longest piece at the beginning of a text that quoting leaves unchanged.

    Args:
        text: any.
    """
    head = text[:HEAD]
    if _UNRESERVED.fullmatch(head):
        return head
    return max(_RUNS.findall(_PERCENT.sub(" ", head)), key=len, default="")


def _meanings(text: str, where: Where) -> set[str]:
    """Return what a value becomes when it is decoded, and what its characters are in other encodings.

    Args:
        text: the value.
        where: in which places it is searched for.
    """
    beginning = text[:LONGEST]
    found = {beginning, *_native(beginning)}
    plain = tuple(found)
    for form in plain:
        if "%" in form or "+" in form:
            found |= {unquote(form), unquote_plus(form)}
        view = decoded(form, Allowance(LONGEST))
        if view is not None:
            found.add(view.text)
    # Forms encode a space as a plus; a decoded value may contain either.
    found |= {form.replace(" ", "+") for form in found if " " in form}
    # SQL and CSV double the quotes.
    long = [form for form in found if len(form) >= _SHORTEST_ENCODED]
    found |= {form.replace(sign, sign * 2) for sign in _QUOTES for form in long if sign in form}
    if _TWO_BACKSLASHES in beginning:
        # Each level of the escapes around a value undoes some of its own.
        for form in plain:
            found.update(_undone(form))
    if len(text) > LONGEST:
        # The value is cut here, so its last character may decode differently when the rest follows.
        found = {form[:-8] for form in found}
    # Four letters of another script have eight bytes or more; so short a name is searched for as a word only.
    shortest = min(len(text) // 2 + 1, _SHORTEST_NAME if where is WORD else _SHORTEST_FORM)
    found = {form for form in found if not text.startswith(form) and len(form) >= shortest}
    if text.endswith("\\") and _SHORTEST_ENCODED < len(text) <= LONGEST:
        # It may be taken for the beginning of an escape, with what follows the value.
        found.add(text[:-1])
    return found


def _undone(text: str) -> Iterator[str]:
    """Yield a text with its escapes undone, and those that are in the result."""
    for _ in range(_LEVELS):
        view = decoded(text, Allowance(LONGEST))
        if view is None:
            return
        text = view.text
        yield text


def _native(text: str) -> set[str]:
    """Return what an environ's text can mean in UTF-8 (PEP 3333), however invalid bytes are handled."""
    if text.isascii():
        return set()
    found = set()
    try:
        raw = text.encode("latin-1")
    except UnicodeError:
        pass
    else:
        escaped = raw.decode("utf-8", "surrogateescape")
        found = {raw.decode("utf-8", "replace"), escaped, raw.decode("utf-8", "ignore")}
        found.add(escaped.encode("utf-8", "replace").decode())
    # UTF-8 bytes decoded as Latin-1; also of what repr() has made, which escapes these characters only.
    found.add(_as_bytes(text))
    pieces = _NOT_PRINTABLE.split(text)
    if len(pieces) > 1:
        found.add("".join([piece if at % 2 else _as_bytes(piece) for at, piece in enumerate(pieces)]))
    return found


def _as_bytes(text: str) -> str:
    return text.encode("utf-8", "replace").decode("latin-1")


def encoded_of(text: str) -> set[str]:
    """Return pieces of a value's base64, for each offset at which the value may begin, and of its hex.

    Args:
        text: the value.
    """
    found: set[str] = set()
    for raw in _beginnings(text[: LONGEST // 4]):
        if len(raw) >= _SHORTEST_ENCODED:
            as_hex = raw[:_SHORTEST_ENCODED].hex()
            found.update(_cores(raw), (as_hex, as_hex.upper()))
    for core in [core for core in found if "+" in core or "/" in core]:
        found.update(_with_other_signs(core))
    return found


def _with_other_signs(core: str) -> Iterator[str]:
    """Yield other forms of base64 that has signs, which URLs may percent-encode."""
    # The URL alphabet (RFC 4648 section 5).
    yield core.replace("+", "-").replace("/", "_")
    piece = _longest_piece(core)
    if len(piece) >= _SHORTEST_CORE:
        yield piece


def _markers_with_other_signs(core: str) -> Iterator[str]:
    """Yield texts of which other forms of base64 with signs contain at least one."""
    yield from _with_other_signs(core)
    piece = _longest_piece(core)
    if len(piece) < _SHORTEST_CORE:
        yield piece if len(piece) >= _SHORTEST_MARKER else ""


def _beginnings(text: str) -> Collection[bytes]:
    """Return the first bytes of a value, as each encoding or decoding before base64 may leave them."""
    raw = text[:_ENCODED].encode("utf-8", "replace")[:_ENCODED]
    if text.isascii():
        return (raw, unquote(text).encode("utf-8", "replace")[:_ENCODED]) if "%" in text else (raw,)
    try:
        # The bytes that the client sent (PEP 3333), and what they decode to, which may be the same.
        sent = text.encode("latin-1")
    except UnicodeError:
        return (raw,)
    return {raw, sent[:_ENCODED], sent.decode("utf-8", "replace").encode()[:_ENCODED]}


def _cores(raw: bytes) -> tuple[str, str, str]:
    """Return the base64 of some bytes at each of the three offsets, without what depends on neighbours."""
    # One call for all three offsets: padding puts each copy at the next one.
    size = len(raw)
    first, second, third = _PADDED[size % 3]
    encoded = binascii.b2a_base64(raw + first + raw + second + raw + third, newline=False).decode()
    then = (size + 2) // 3 * 4
    last = then + (size + 3) // 3 * 4
    return (
        encoded[: size * 4 // 3],
        encoded[then + 2 : then + (size + 1) * 4 // 3],
        encoded[last + 3 : last + (size + 2) * 4 // 3],
    )


def is_address(text: str) -> bool:
    """Return whether a text is an IP address.

    Args:
        text: without a port.
    """
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _notations(text: str) -> set[str]:
    """Return an address in all notations; nothing if the text is no address or a loopback address."""
    try:
        found: Any = ipaddress.ip_address(text)
    except ValueError:
        return set()
    if found.is_loopback:
        return set()
    mapped = getattr(found, "ipv4_mapped", None)
    shown = {text, str(found), *([str(mapped)] if mapped else [])}
    if found.version == 6:
        # From the bytes: Python 3.13 shows the last two groups of a mapped address as IPv4, also exploded.
        groups = _GROUP.findall(found.packed.hex())
        # In full, and as Java writes it.
        shown |= {":".join(groups), ":".join(group.lstrip("0") or "0" for group in groups)}
    four = mapped or (found if found.version == 4 else None)
    if four:
        shown.add("::ffff:{:x}:{:x}".format(*divmod(int(four), 65_536)))
    return shown | {form.upper() for form in shown}
