"""Secret values, and the forms in which text can have them."""

from __future__ import annotations

import base64
import binascii
import html
import ipaddress
import json
import re
from collections.abc import Collection, Iterator
from enum import IntEnum
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, unquote, unquote_plus

# What is shorter is no text that is sought encoded.
_LONG = 8

# More values than these are no browser's doing: they are sought in fewer forms.
_MANY = 1000

_UNQUOTED = re.compile(r"[A-Za-z0-9_.~-]*")
_RUNS = re.compile("[A-Za-z0-9_.~-]+")
_PERCENT = re.compile("%[0-9A-Fa-f]{2}")


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


def expanded(secrets: Collection[Secret]) -> Iterator[Secret]:
    """Yield secrets in all the forms in which frames, messages and URLs can hold them.

    Args:
        secrets: as a request has them.
    """
    are_many = len(secrets) > _MANY
    for secret in secrets:
        if secret.where is PAIR:
            yield secret
        elif secret.where is ADDRESS:
            for shown in _notations(secret.text):
                yield from (Secret(form, ADDRESS) for form in _forms(shown, are_many))
        else:
            yield from (Secret(form, secret.where) for form in _forms(secret.text, are_many))


def _notations(text: str) -> set[str]:
    """Return an address in all notations; none of what is no address, nor of this machine's own."""
    try:
        found: Any = ipaddress.ip_address(text)
    except ValueError:
        return set()
    if found.is_loopback:
        return set()
    mapped = getattr(found, "ipv4_mapped", None)
    return {text, str(found), found.exploded, *([str(mapped)] if mapped else [])}


def seed(secret: Secret) -> str:
    """Return what is in every form of a secret but its base64, an empty text where nothing is.

    Quoting, escaping and decoding leave letters, digits and a few others as they are. An IPv6 address
    has many notations.

    Args:
        secret: as a request has it.
    """
    # Of a long one the beginning is enough to be recognised.
    text = secret.text[secret.kept :][:64]
    if secret.where is ADDRESS and ":" in text:
        return ""
    runs = _RUNS.findall(_PERCENT.sub(" ", text) if "%" in text else text)
    return runs[0] if len(runs) == 1 else max(runs, key=len, default="")


def base64_seed(secret: Secret) -> str:
    """Return with what a secret's base64 begins, an empty text where that depends on how it is decoded.

    Args:
        secret: as a request has it.
    """
    beginning = secret.text[:8]
    if "%" in beginning or "+" in beginning or not beginning.isascii():
        return ""
    return binascii.b2a_base64(beginning[:6].encode())[:8].decode()


def _forms(text: str, is_one_of_many: bool) -> set[str]:
    """Return a value in the forms in which frames, messages and URLs can hold it."""
    if is_one_of_many:
        return {text, unquote(text), quote(text, safe="", errors="replace")}
    if _UNQUOTED.fullmatch(text):
        return {text, *_base64_of(text)}
    meant = {text, *_native(text)}
    meant |= {
        decode(form) for form in meant if "%" in form or "+" in form for decode in (unquote, unquote_plus)
    }
    forms = set(meant)
    for form in meant:
        encoded = form.encode("utf-8", "replace")
        as_json = json.dumps(form)[1:-1]
        forms |= {quote(form, errors="replace"), quote_plus(form, errors="replace")}
        whole = quote(form, safe="", errors="replace")
        forms |= {whole, re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), whole)}
        forms |= {
            repr(form)[1:-1],
            repr(encoded)[2:-1],
            as_json,
            json.dumps(as_json)[1:-1],
            html.escape(form),
        }
        forms |= {form.replace("'", "\\'"), form.replace("\\", "\\\\").replace("'", "\\'")}
        forms |= _base64_of(form)
    if text.isascii():
        # What stands in a text that was itself shown as a text.
        return (forms | {repr(form)[1:-1] for form in forms}) - {""}
    forms.add(repr(text.encode("latin-1", "replace"))[2:-1])
    return (forms | {repr(form)[1:-1] for form in forms}) - {""}


def _native(text: str) -> set[str]:
    """Return what an environ's text can mean in UTF-8 (PEP 3333), whatever becomes of other bytes."""
    if text.isascii():
        return set()
    try:
        raw = text.encode("latin-1")
    except UnicodeError:
        return set()
    return {raw.decode("utf-8", errors) for errors in ("replace", "surrogateescape", "ignore")}


def _base64_of(text: str) -> set[str]:
    if len(text) < _LONG:
        return set()
    encoded = text.encode("utf-8", "replace")
    both = (base64.b64encode(encoded), base64.urlsafe_b64encode(encoded))
    return {form.decode().rstrip("=") for form in both}
