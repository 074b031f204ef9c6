"""What a value looks like, where its name tells nothing: a token, an address, a person, a certificate."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from itertools import islice
from urllib.parse import unquote

_FILTERED = "[Filtered]"

# What is longer was not written by hand: it is secret unseen.
_LONGEST = 1024

# Verdicts on values, by their hashes: no value of a client's is kept in memory.
_REMEMBERED = 4096
_verdicts: dict[int, bool] = {}

# Every pattern is run over that much at most, and each repetition is bounded or of one class.
_RUN = re.compile("[A-Za-z0-9]{12,}")
_BASE64 = re.compile("[A-Za-z0-9+/_=~-]{20,}")
# Words in humps, an acronym at the beginning: one way only to match each text.
_WORDS = re.compile("[A-Z]{0,6}[a-z]{1,20}(?:[A-Z][a-z]{2,20}){0,20}|[A-Z]{1,20}")
_DIGIT = re.compile("[0-9]")
_SIGN = re.compile("[-_/+=~]")
_PARTS = 24
_DATE = re.compile(r"\d{8}T\d{6,9}Z?|\d{1,15}")
_UUID = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_MAIL = re.compile(r"[\w.%+'-]@[\w-]{0,63}(?:[A-Za-z]|\.[A-Za-z])")
# Not the version in Chrome/120.0.0.0. What may not stand before it is looked at behind its first digit, so
# that the search leaps to digits.
_IPV4 = re.compile(r"[0-9](?<![\w.].)(?<![^/]/.)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![\w.]\d)")
# Six groups, or some and what stands for the others: a time has fewer (RFC 4291 section 2.2).
_IPV6 = re.compile(
    "(?<![0-9A-Fa-f])(?:(?:[0-9A-Fa-f]{1,4}:){6,7}|(?:[0-9A-Fa-f]{1,4}:){1,7}:|::)[0-9A-Fa-f:.]*"
)
_PART = re.compile(r"[^\s\"'\[\]()<>,;|]{4,}")
# An IPv6 address that ends with an IPv4 one, and a port.
_LONGEST_ADDRESS = 45 + len(":65535")
# What no client has: any address, and the loopback ones (RFC 4291 section 2.5, RFC 1122 section 3.2.1.3).
_OWN_IPV6 = (bytes(16), bytes(15) + b"\x01")
_OWN_IPV4 = (bytes(4), b"\x7f")
_OWN_MAPPED = bytes(10) + b"\xff\xff\x7f"
# So many parts of a line are looked at, which takes microseconds each; no line of a server has more.
_MOST_PARTS = 100
_MOST_ADDRESSES = 50
# A value that has more texts in it that are written like addresses is a list of them.
_FEW_ADDRESSES = 8
# An authentication scheme (RFC 6750), also as a subprotocol before the token.
_BEARER = re.compile(r"\bbearer[\s,:.]{1,9}[^\s,:.]", re.IGNORECASE)
_MAC = re.compile("(?<![0-9A-Fa-f])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![0-9A-Fa-f])")
_PHONE = re.compile(r"(?<!\w)\+\d{8,15}(?!\d)")
_DN = re.compile(r"(?:^|[,/;\s'\"])(?:CN|UID|DC|OU|emailAddress|SERIALNUMBER)\s?=", re.IGNORECASE)


def looks_secret(value: str) -> bool:
    """Return whether a value looks like a secret or like a person's.

    That is a token (see ``looks_random``) or whatever follows the word "bearer", an IP address that is not
    this machine's own, the address of a network card, an e-mail address, a phone number in E.164, a
    certificate, or the distinguished name of one. Also what is longer than 1,024 characters.

    Args:
        value: of a header, say; raw, percent-encoded, or as Python shows it.
    """
    if len(value) < 4:
        return False
    if len(value) > _LONGEST:
        return True
    # The same header is in several places of an event, and in the next one.
    known = _verdicts.get(hash(value))
    if known is None:
        known = _looks_secret(unquote(value) if "%" in value else value)
        if len(_verdicts) >= _REMEMBERED:
            _verdicts.clear()
        _verdicts[hash(value)] = known
    return known


def _looks_secret(text: str) -> bool:
    return (
        looks_random(text)
        or "-----BEGIN" in text
        or (("earer" in text or "EARER" in text) and bool(_BEARER.search(text)))
        or ("@" in text and bool(_MAIL.search(text)))
        or ("=" in text and bool(_DN.search(text)))
        or ("+" in text and bool(_PHONE.search(text)))
        or _has_address(text)
    )


def looks_random(value: str) -> bool:
    """Return whether there is something in a value that was thrown by dice: a key, an id, a signature.

    Twelve letters and digits in a row, or twenty of base64's alphabet, are, unless they are a date, a number
    of less than 16 digits, or words (``XMLHttpRequest``). UUIDs are.

    Args:
        value: any.
    """
    if len(value) > _LONGEST:
        return True
    return (
        any(_is_random(run) for run in _RUN.findall(value))
        or bool(_UUID.search(value))
        or any(_is_base64(run) for run in _BASE64.findall(value))
    )


def is_one_random_text(value: str) -> bool:
    """Return whether all of a value is random, and it is no sentence, program or list with a random part.

    Args:
        value: raw, or as Python shows it.
    """
    return not value.isspace() and len(value.split(None, 1)) == 1 and looks_random(value)


def _is_random(run: str) -> bool:
    if _DATE.fullmatch(run):
        return False
    return not run.isalpha() or (len(run) > 15 and not _WORDS.fullmatch(run))


def _is_base64(run: str) -> bool:
    """Return whether a run is mixed as only base64 is, and not as a path or a name with dashes."""
    if run[0] == "/" or run.lower() == run or run.upper() == run or not _DIGIT.search(run):
        return False
    # Its first parts tell.
    parts = _SIGN.split(run, _PARTS)[:_PARTS]
    mixed = sum(bool(part) and not _WORDS.fullmatch(part) and not part.isdigit() for part in parts)
    return mixed * 2 > len(parts)


def without_secret_parts(text: str) -> str:
    """Return a line without those of its parts that look secret; paths are none.

    Args:
        text: parts of it are separated by blanks, quotes, brackets, commas or bars.
    """
    return _replaced(_PART, text, _unless_harmless, _MOST_PARTS)


def _unless_harmless(part: str) -> str:
    return part if _is_harmless(part) else _FILTERED


def _is_harmless(part: str) -> bool:
    return part[:1] == "/" or "://" in part or not looks_secret(part)


def without_addresses(text: str) -> str:
    """Return a text without IP addresses, but for those of this machine itself.

    Args:
        text: any.
    """
    if text.count(".") > 2:
        text = _replaced(_IPV4, text, _unless_own, _MOST_ADDRESSES)
    return _replaced(_IPV6, text, _unless_own, _MOST_ADDRESSES) if text.count(":") > 1 else text


def _replaced(pattern: re.Pattern[str], text: str, replace: Callable[[str], str], most: int) -> str:
    """Return a text with its parts replaced; behind so many of them, the rest of the text goes.

    Args:
        pattern: of a part.
        text: any.
        replace: what stands for a part.
        most: how many parts are looked at.
    """
    parts: list[str] = []
    done = 0
    for found in pattern.finditer(text):
        if not most:
            return "".join([*parts, text[done : found.start()], _FILTERED])
        most -= 1
        parts += [text[done : found.start()], replace(found[0])]
        done = found.end()
    return "".join([*parts, text[done:]]) if parts else text


def _unless_own(text: str) -> str:
    ends = ":" if text.endswith(":") else ""
    return f"{_FILTERED}{ends}" if _is_of_a_client(text) else text


def addresses_in(text: str) -> list[str] | None:
    """Return the IP addresses in a text that are a client's, without ports; None if they may be too many.

    Args:
        text: any.
    """
    found: dict[str, None] = {}
    for pattern in _patterns_of_addresses(text):
        hits = pattern.finditer(text)
        # In steps: a text may have the same one very often, or very many.
        while some := [hit[0] for hit in islice(hits, _MOST_ADDRESSES)]:
            found.update(dict.fromkeys(some))
            if len(found) > _MOST_ADDRESSES:
                return None
    return [address for one in found for address in [_address_of_a_client(one)] if address]


def _patterns_of_addresses(text: str) -> list[re.Pattern[str]]:
    """Return the patterns that may be found in a text."""
    found = [_IPV4] if text.count(".") > 2 else []
    return [*found, _IPV6] if text.count(":") > 1 else found


def _has_address(text: str) -> bool:
    colons = text.count(":")
    if (colons > 1 or (not colons and text.count("-") > 4)) and _MAC.search(text):
        return True
    found = {one for pattern in _patterns_of_addresses(text) for one in pattern.findall(text)}
    return len(found) > _FEW_ADDRESSES or any(map(_is_of_a_client, found))


def _is_of_a_client(text: str) -> bool:
    return _address_of_a_client(text) is not None


def _address_of_a_client(text: str) -> str | None:
    """Return the address that a text is, None if it is none or this machine's own."""
    # With a port, as Forwarded and gevent have it.
    plain = text.rstrip(":.")
    if _is_address_of_a_client(plain):
        is_with_port = plain.count(":") == 8 and "::" not in plain
        return plain.rpartition(":")[0] if is_with_port else plain.strip(".")
    return text.strip(".") if plain != text and _is_address_of_a_client(text) else None


def _is_address_of_a_client(text: str) -> bool:
    text = text.strip(".")
    if len(text) > _LONGEST_ADDRESS:
        return False
    if text.count(":") == 8 and "::" not in text:
        text = text.rpartition(":")[0]  # with a port, though in no brackets
    is_ipv6 = ":" in text
    try:
        # The module ipaddress takes twenty times as long, and a client may send nothing but addresses.
        packed = socket.inet_pton(socket.AF_INET6 if is_ipv6 else socket.AF_INET, text)
    except (OSError, ValueError):
        return False
    if is_ipv6:
        return packed not in _OWN_IPV6 and not packed.startswith(_OWN_MAPPED)
    return not packed.startswith(_OWN_IPV4)
