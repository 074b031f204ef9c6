"""Secret values, and what is sought in text for each: itself, what it means, what is in its base64 and hex.

A value is not quoted, escaped or encoded in all the ways there are: text is decoded instead (``views``), so
that a value has few needles, whatever it is made of.
"""

from __future__ import annotations

import binascii
import ipaddress
import re
from collections.abc import Collection, Iterator
from enum import IntEnum
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus

from sentry_paste.redaction.bounds import Allowance
from sentry_paste.redaction.views import decoded

#: Of a longer value so much is compared in other forms than its own.
LONGEST = 1024
#: A value is recognised by so many of its first characters.
HEAD = 64

# What is shorter is no text that is sought encoded.
_SHORTEST_ENCODED = 8
# By how many bytes there are beyond threes: what fills them up, and stands before the next one or two.
_PADDED = tuple(
    (b"\0" * (-size % 3 + 1), b"\0" * (-(size + 1) % 3 + 2), b"\0" * (-(size + 2) % 3)) for size in range(3)
)
# A shorter piece of base64 is in a text by chance.
_SHORTEST_CORE = 7
# What is shorter is in every text.
_SHORTEST_SIGN = 3
# So much of a value is in its needles for base64 and hex.
_ENCODED = 12
# What is no plain text has more forms, which take more time and memory: so many times as much.
_WEIGHT_OF_ESCAPES = 3
#: How much it takes at most to seek a value, as a multiple of what a plain token takes.
MOST_WEIGHT = 12

# What no quoting, escaping or encoding changes, but base64 and hex.
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
_RUNS = re.compile("[A-Za-z0-9_.~-]+")
_PERCENT = re.compile("%[0-9A-Fa-f]{2}")
_SIGNS = re.compile("[+/]")


class Where(IntEnum):
    """Where in text a value is sought."""

    #: Anywhere.
    ANYWHERE = 0
    #: Where neither a letter nor a digit stands beside it; not in URLs.
    WORD = 1
    #: As a word, where no other part of an address stands beside it.
    ADDRESS = 2
    #: Where it is all of a text.
    WHOLE = 3
    #: As the value in name=value.
    PAIR = 4

    # An enum's own is Python code, and each secret is put into sets.
    __hash__ = int.__hash__


# To ask the class for a member is Python code too, in Python 3.11.
ANYWHERE, WORD, ADDRESS, WHOLE, PAIR = Where


class Secret(NamedTuple):
    """A value to be sought.

    Attributes:
        text: as it would stand in text.
        where: in what places.
        kept: how many characters at its beginning stay: the name and the equals sign of a pair.
    """

    text: str
    where: Where
    kept: int = 0


class Needle(NamedTuple):
    """A text to be sought.

    Attributes:
        text: what is sought.
        where: in what places.
        kept: how many characters at its beginning stay.
        is_cut: whether the value goes on, in a form that is not known.
        is_run: whether all the base64 or hex around it belongs to it.
    """

    text: str
    where: Where
    kept: int = 0
    is_cut: bool = False
    is_run: bool = False


def needles_of(secret: Secret, is_encoded: bool = True) -> Iterator[Needle]:
    """Yield what is to be sought for a value.

    Args:
        secret: as a request has it.
        is_encoded: whether it is sought in base64 and hex too.
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
            for form in _meanings(text):
                yield Needle(form, where, kept if form.startswith(text[:kept]) else 0, len(text) > LONGEST)
    if is_encoded and where is not PAIR and len(text) >= _SHORTEST_ENCODED:
        for core in _encoded(text[: LONGEST // 4]):
            yield Needle(core, ANYWHERE, is_run=True)


def weight_of(secret: Secret) -> int:
    """Return how much it takes to seek a value in all its forms, as a multiple of what a plain token takes.

    Args:
        secret: as a request has it.
    """
    text = secret.text
    if not text.isascii():
        return MOST_WEIGHT
    return _WEIGHT_OF_ESCAPES if "%" in text or "+" in text or "\\" in text or "&" in text else 1


def signs_of(secret: Secret) -> set[str] | None:
    """Return texts of which one is in every text that has a value in any form; None where none is known.

    They are much cheaper than needles.

    Args:
        secret: as a request has it.
    """
    text = secret.text
    head = text[:HEAD]
    if _UNRESERVED.fullmatch(head):
        # With an IPv4 address as hex, one of IPv6 has nothing in it but this that is known.
        found = {head, "ffff", "FFFF"} if secret.where is ADDRESS else {head}
    elif "\\" in head or "&" in head:
        return None  # it may be escaped itself: what of it stays is not known
    elif secret.where is ADDRESS:
        if "." in head:
            return None  # an IPv4 address within one of IPv6 has a notation without any part of the others
        longest = max((group.lstrip("0") for group in head.split(":")), key=len)
        found = {longest.lower(), longest.upper()}
    else:
        found = {seed_of(text)}
    if min(map(len, found)) < _SHORTEST_SIGN:
        return None
    if secret.where is not PAIR and len(text) >= _SHORTEST_ENCODED:
        found |= _encoded(text[: LONGEST // 4])
    return found


def is_unreserved(text: str) -> bool:
    """Return whether a text stays as it is however it is quoted.

    Args:
        text: any; of a long one the beginning is looked at.
    """
    return bool(_UNRESERVED.fullmatch(text[:LONGEST]))


def seed_of(text: str) -> str:
    """Return the longest piece at the beginning of a text that stays as it is however that is quoted.

    Args:
        text: any.
    """
    head = text[:HEAD]
    if _UNRESERVED.fullmatch(head):
        return head
    return max(_RUNS.findall(_PERCENT.sub(" ", head)), key=len, default="")


def _meanings(text: str) -> set[str]:
    """Return what a value is to those who decode it, and what its characters are in other encodings."""
    beginning = text[:LONGEST]
    found = {beginning, *_native(beginning)}
    for form in tuple(found):
        if "%" in form or "+" in form:
            found |= {unquote(form), unquote_plus(form)}
        view = decoded(form, Allowance(LONGEST))
        if view is not None:
            found.add(view.text)
    # A form has a plus for each space; what it decodes to has both.
    found |= {form.replace(" ", "+") for form in found if " " in form}
    if len(text) > LONGEST:
        # The last character, or what is left of it, may be another where the text goes on.
        found = {form[:-8] for form in found}
    return {form for form in found if not text.startswith(form) and 2 * len(form) > min(len(text), 8)}


def _native(text: str) -> set[str]:
    """Return what an environ's text can mean in UTF-8 (PEP 3333), whatever becomes of other bytes."""
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
    # As bytes that are shown.
    found.add(text.encode("utf-8", "replace").decode("latin-1"))
    return found


def _encoded(text: str) -> set[str]:
    """Return what is in a value's base64, wherever in it the value begins, and in its hex."""
    found: set[str] = set()
    for raw in _beginnings(text):
        if len(raw) >= _SHORTEST_ENCODED:
            as_hex = raw[:_SHORTEST_ENCODED].hex()
            found.update(_cores(raw), (as_hex, as_hex.upper()))
    with_signs = [core for core in found if "+" in core or "/" in core]
    for core in with_signs:
        # Other signs in the alphabet for URLs (RFC 4648 section 5), more of them in a URL.
        piece = max(_SIGNS.split(core), key=len)
        found.add(core.replace("+", "-").replace("/", "_"))
        if len(piece) >= _SHORTEST_CORE:
            found.add(piece)
    return found


def _beginnings(text: str) -> Collection[bytes]:
    """Return with which bytes a value begins, whoever encodes or decodes it before it becomes base64."""
    raw = text[:_ENCODED].encode("utf-8", "replace")[:_ENCODED]
    if text.isascii():
        return (raw, unquote(text).encode("utf-8", "replace")[:_ENCODED]) if "%" in text else (raw,)
    try:
        # The bytes that the client sent (PEP 3333), and what is decoded of them, which may be the same.
        sent = text.encode("latin-1")
    except UnicodeError:
        return (raw,)
    return {raw, sent[:_ENCODED], sent.decode("utf-8", "replace").encode()[:_ENCODED]}


def _cores(raw: bytes) -> tuple[str, str, str]:
    """Return what the base64 of some bytes is, whatever stands before and behind them."""
    # One call for all three places at which they may begin, each with what it takes to be whole.
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
    """Return an address in all notations; none of what is no address, nor of this machine's own."""
    try:
        found: Any = ipaddress.ip_address(text)
    except ValueError:
        return set()
    if found.is_loopback:
        return set()
    mapped = getattr(found, "ipv4_mapped", None)
    shown = {text, str(found), found.exploded, *([str(mapped)] if mapped else [])}
    if found.version == 6:
        # As Java writes it, and with an IPv4 address as hex.
        shown.add(":".join(format(int(group, 16), "x") for group in found.exploded.split(":")))
    four = mapped or (found if found.version == 4 else None)
    if four:
        shown.add("::ffff:{:x}:{:x}".format(*divmod(int(four), 65_536)))
    return shown | {form.upper() for form in shown}
