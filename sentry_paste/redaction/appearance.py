"""Judge a value by its appearance, if its name says nothing: a token, an address, a person, a certificate."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from itertools import islice
from urllib.parse import unquote

_FILTERED = "[Filtered]"

# Longer values were not typed by hand: they are secret without being looked at.
_LONGEST = 1024

# How many verdicts are cached, by the hashes of values: no client's value is kept in memory.
_CACHE_SIZE = 4096
_verdicts: dict[int, bool] = {}

# Every pattern runs over at most that much, and each repetition is bounded or of one class.
_RUN = re.compile("[A-Za-z0-9]{12,}")
_BASE64 = re.compile("[A-Za-z0-9+/_=~-]{20,}")
# Words in camel case, with an acronym at the beginning; there is only one way to match each text.
_WORDS = re.compile("[A-Z]{0,6}[a-z]{1,20}(?:[A-Z][a-z]{2,20}){0,20}|[A-Z]{1,20}")
_DIGIT = re.compile("[0-9]")
_SIGN = re.compile("[-_/+=~]")
_PARTS = 24
_DATE = re.compile(r"\d{8}T\d{6,9}Z?|\d{1,15}")
_UUID = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_MAIL = re.compile(r"[\w.%+'-]@[\w-]{0,63}(?:[A-Za-z]|\.[A-Za-z])")
# Not the version in Chrome/120.0.0.0. Lookbehinds come after the first digit, so that the search leaps to
# digits.
_IPV4 = re.compile(r"[0-9](?<![\w.].)(?<![^/]/.)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![\w.]\d)")
# Six groups, or some and a double colon for the others: a time has fewer (RFC 4291 section 2.2).
_IPV6 = re.compile(
    "(?<![0-9A-Fa-f])(?:(?:[0-9A-Fa-f]{1,4}:){6,7}|(?:[0-9A-Fa-f]{1,4}:){1,7}:|::)[0-9A-Fa-f:.]*"
)
_PART = re.compile(r"[^\s\"'\[\]()<>,;|]{4,}")
# An IPv6 address that ends with an IPv4 address, and a port.
_LONGEST_ADDRESS = 45 + len(":65535")
# Addresses that no client has: the unspecified and the loopback ones (RFC 4291 section 2.5, RFC 1122 section
# 3.2.1.3).
_OWN_IPV6 = (bytes(16), bytes(15) + b"\x01")
_OWN_IPV4 = (bytes(4), b"\x7f")
_OWN_MAPPED = bytes(10) + b"\xff\xff\x7f"
# How many parts of a line are examined, at microseconds each; no server's lines have more.
_MOST_PARTS = 100
_MOST_ADDRESSES = 50
# A value with more texts that look like addresses is a list of them.
_FEW_ADDRESSES = 8
# An authentication scheme (RFC 6750), also as a subprotocol before the token.
_BEARER = re.compile(r"\bbearer[\s,:.]{1,9}[^\s,:.]", re.IGNORECASE)
_MAC = re.compile("(?<![0-9A-Fa-f])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![0-9A-Fa-f])")
_PHONE = re.compile(r"(?<!\w)\+\d{8,15}(?!\d)")
_DN = re.compile(r"(?:^|[,/;\s'\"])(?:CN|UID|DC|OU|emailAddress|SERIALNUMBER)\s?=", re.IGNORECASE)


def looks_secret(value: str) -> bool:
    """Return whether a value looks like a secret or like personal data.

    That is a token (see ``looks_random``), anything after the word "bearer", an IP address that is not this
    machine's own, a MAC address, an e-mail address, a phone number in E.164, a certificate or its
    distinguished name, and anything longer than 1,024 characters.

    Args:
        value: of a header, for example; raw, percent-encoded, or as Python shows it.
    """
    if len(value) < 4:
        return False
    if len(value) > _LONGEST:
        return True
    # The same header occurs in several places of an event, and in the next one.
    known = _verdicts.get(hash(value))
    if known is None:
        known = _looks_secret(unquote(value) if "%" in value else value)
        if len(_verdicts) >= _CACHE_SIZE:
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
    """Return whether a value contains something random: a key, an id, a signature.

    That is a run of twelve letters and digits, or of twenty characters of base64, unless it is a date, a
    number of less than 16 digits, or words (``XMLHttpRequest``). UUIDs count as random.

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
    """Return whether a value is one random text, not a sentence, program or list with a random part.

    Args:
        value: raw, or as Python shows it.
    """
    return not value.isspace() and len(value.split(None, 1)) == 1 and looks_random(value)


def _is_random(run: str) -> bool:
    if _DATE.fullmatch(run):
        return False
    return not run.isalpha() or (len(run) > 15 and not _WORDS.fullmatch(run))


def _is_base64(run: str) -> bool:
    """Return whether a run mixes characters as only base64 does, unlike a path or a name with dashes."""
    if run[0] == "/" or run.lower() == run or run.upper() == run or not _DIGIT.search(run):
        return False
    # Its first parts are enough to decide.
    parts = _SIGN.split(run, _PARTS)[:_PARTS]
    mixed = sum(bool(part) and not _WORDS.fullmatch(part) and not part.isdigit() for part in parts)
    return mixed * 2 > len(parts)


def without_secret_parts(text: str) -> str:
    """Return a line without the parts that look secret; paths do not.

    Args:
        text: its parts are separated by whitespace, quotes, brackets, commas or bars.
    """
    return _replaced(_PART, text, _redact_part, _MOST_PARTS)


def _redact_part(part: str) -> str:
    return part if _is_harmless(part) else _FILTERED


def _is_harmless(part: str) -> bool:
    return part[:1] == "/" or "://" in part or not looks_secret(part)


def without_addresses(text: str) -> str:
    """Return a text without IP addresses, except this machine's own.

    Args:
        text: any.
    """
    if text.count(".") > 2:
        text = _replaced(_IPV4, text, _redact_address, _MOST_ADDRESSES)
    return _replaced(_IPV6, text, _redact_address, _MOST_ADDRESSES) if text.count(":") > 1 else text


def _replaced(pattern: re.Pattern[str], text: str, replace: Callable[[str], str], most: int) -> str:
    """Return a text with its parts replaced; after a number of parts, the rest of the text is removed.

    Args:
        pattern: matches a part.
        text: any.
        replace: returns the replacement for a part.
        most: how many parts are examined.
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


def _redact_address(text: str) -> str:
    ends = ":" if text.endswith(":") else ""
    return f"{_FILTERED}{ends}" if _is_of_a_client(text) else text


def addresses_in(text: str) -> list[str] | None:
    """Return the IP addresses of clients in a text, without ports; None if there may be too many.

    Args:
        text: any.
    """
    found: dict[str, None] = {}
    for pattern in _patterns_of_addresses(text):
        hits = pattern.finditer(text)
        # In batches: a text may repeat one address very often, or have very many.
        while some := [hit[0] for hit in islice(hits, _MOST_ADDRESSES)]:
            found.update(dict.fromkeys(some))
            if len(found) > _MOST_ADDRESSES:
                return None
    return [address for one in found for address in [_address_of_a_client(one)] if address]


def _patterns_of_addresses(text: str) -> list[re.Pattern[str]]:
    """Return the patterns that may match in a text."""
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
    """Return the client's address that a text consists of, None if it is not one or this machine's own."""
    # Forwarded and gevent add a port.
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
        text = text.rpartition(":")[0]  # a port, without brackets around the address
    is_ipv6 = ":" in text
    try:
        # The ipaddress module takes twenty times as long, and a client may send nothing but addresses.
        packed = socket.inet_pton(socket.AF_INET6 if is_ipv6 else socket.AF_INET, text)
    except (OSError, ValueError):
        return False
    if is_ipv6:
        return packed not in _OWN_IPV6 and not packed.startswith(_OWN_MAPPED)
    return not packed.startswith(_OWN_IPV4)
