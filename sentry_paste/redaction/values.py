"""The secret values of one request, and how each of them is to be sought in text.

A random value is sought anywhere. One that could be a word, a path or a URL
is sought as a whole word and not in URLs, so that a cookie ``page=production`` does
not blank half of an event; one that is short only where it is all of a text.
"""

from __future__ import annotations

import base64
import binascii
import html
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, unquote_plus

from sentry_paste.redaction.names import USER_KEYS, Names

# What is shorter is too likely to be found by chance.
_LONG = 8
_SHORT = 4

# Letters of one case, capitalised or in humps; anything else of letters was thrown by dice.
_WORD = "(?:[a-z]+|[A-Z]+|[A-Z]?[a-z]{2,}(?:[A-Z][a-z]{2,})*)"
_WORDS = re.compile(f"{_WORD}(?:[-_./:,; +]{_WORD})*")
_LONGEST_WORD = 15
_PATH = re.compile(r"/|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_UNQUOTED = re.compile(r"[A-Za-z0-9_.~-]*")
_PARTS = re.compile(r"[\s,;=\"]+")
_ADDRESSES = re.compile(r"[\s,;=\"\[\]]+")

# Of a user that a framework has put into the environ as a mapping.
_NAMED = ("userid", "user", "login", "username", "email", "name", "id", "mail", "password", "cn", "eppn")


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


def of_request(strings: Mapping[str, str], names: Names) -> set[Secret]:
    """Return what is secret in a request as it came.

    Args:
        strings: the texts of a WSGI environ.
        names: which names are secret.
    """
    found: set[Secret] = set()
    for key, value in strings.items():
        if value:
            found.update(_of_entry(key, value, names))
    return found


def of_environ(environ: Mapping[str, Any], names: Names) -> tuple[str, ...]:
    """Return what the app and its framework have put into the environ: the names of the signed-in user.

    Args:
        environ: as the app left it, or has it.
        names: which names are secret.
    """
    found: tuple[str, ...] = ()
    if names.has_own_environ:
        found = tuple(
            text for key in environ if names.is_own_environ(key) for text in _texts_of(environ[key])
        )
    if environ.keys().isdisjoint(USER_KEYS):
        return found
    return found + tuple(text for key in USER_KEYS for text in _texts_of(environ.get(key)))


def of_users(texts: Iterable[str]) -> Iterator[Secret]:
    """Yield how the names of users are sought.

    Args:
        texts: names, as the environ has them.
    """
    for text in texts:
        yield from _person(text)


def cookies_of(headers: Any) -> Iterator[str]:
    """Yield the cookies that a response sets, as its headers say them.

    Args:
        headers: what the app gave to ``start_response``, whatever that is.
    """
    for entry in headers if isinstance(headers, (list, tuple)) else ():
        if isinstance(entry, tuple) and len(entry) == 2 and str(entry[0]).lower() == "set-cookie":
            yield str(entry[1])


def of_cookies(texts: Iterable[str]) -> Iterator[Secret]:
    """Yield how the cookies that a response sets are sought.

    Args:
        texts: values of ``Set-Cookie``.
    """
    for text in texts:
        yield from _cookies(text.partition(";")[0])


def _texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, member in value.items():
            if str(key).rpartition(".")[2].lower() in _NAMED and isinstance(member, str):
                yield member


def _of_entry(key: str, value: str, names: Names) -> Iterator[Secret]:
    if "=" in value and (names.has_parameters(key) or "?" in value):
        yield from _parameters(value, names)
    if not names.is_environ(key):
        return
    if key == "HTTP_COOKIE":
        yield from _cookies(value)
        yield from _whole_cookie(value)
    elif key in ("HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION"):
        yield from _credentials(value)
    elif _holds_addresses(value):
        yield from _addresses(value)
    elif key in USER_KEYS or names.is_personal_header(key):
        yield from _person(value)
    else:
        yield from _value(value)
        for part in _PARTS.split(value)[:100]:
            if part != value and len(part) >= _LONG:
                yield from _value(part)


def _parameters(text: str, names: Names) -> Iterator[Secret]:
    for name, raw in names.secret_parameters(text):
        yield Secret(f"{name}={raw}", Where.PAIR, len(name) + 1)
        decoded = unquote_plus(raw)
        if decoded != raw:
            yield Secret(f"{name}={decoded}", Where.PAIR, len(name) + 1)
        yield from _value(raw)


def _cookies(text: str) -> Iterator[Secret]:
    for pair in text.split(";"):
        _, equals, value = pair.partition("=")
        value = value.strip() if equals else ""
        yield from _value(value)
        if value.startswith('"'):
            yield from _value(value.strip('"'))


def _whole_cookie(text: str) -> Iterator[Secret]:
    # A header of short values only would be a parameter's lang=en.
    if any(secret.where in (Where.ANYWHERE, Where.WORD) for secret in _cookies(text)):
        yield from _value(text)


def _credentials(text: str) -> Iterator[Secret]:
    scheme, _, credential = text.partition(" ")
    credential = credential.strip()
    yield from _value(text)
    yield from _value(credential)
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(credential, validate=False).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return
        user, colon, password = decoded.partition(":")
        yield from _value(decoded)
        yield from _person(user)
        if colon:
            yield from _value(password)
    else:
        for part in _PARTS.split(credential)[:100]:
            if len(part) >= _LONG and part != credential:
                yield from _value(part)


def _holds_addresses(text: str) -> bool:
    return any(_address(part) for part in _ADDRESSES.split(text)[:20])


def _addresses(text: str) -> Iterator[Secret]:
    for part in _ADDRESSES.split(text)[:1000]:
        # With a port, as Forwarded has it.
        found = _address(part) or _address(part.rpartition(":")[0])
        if found and not ipaddress.ip_address(found).is_loopback:
            yield from (Secret(form, Where.ADDRESS) for form in _forms(found))
        elif not found and len(part) >= _LONG:
            yield from _value(part)
    if "," in text or ";" in text:
        yield from _value(text)


def _address(text: str) -> str:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    return text.partition("%")[0]


def _person(text: str) -> Iterator[Secret]:
    if any(char.isdigit() or char == "@" for char in text) or len(text) > _LONGEST_WORD:
        yield from _value(text)
    else:
        where = Where.WORD if len(text) >= _SHORT and text.lower() not in _ROLES else Where.WHOLE
        yield from (Secret(form, where) for form in _forms(text))


# Users whose names are words of every program.
_ROLES = frozenset(
    {"admin", "root", "user", "test", "guest", "anonymous", "nobody", "system", "none", "null"}
)


def _value(text: str) -> Iterator[Secret]:
    """Yield how a value is sought, in the forms that it can have; one that is too common is not."""
    where = _where(text)
    if where is not None:
        yield from (Secret(form, where) for form in _forms(text))


def _where(text: str) -> Where | None:
    if _PATH.match(text):
        return Where.WORD if len(text) >= _LONG else None
    if (
        len(text) < 1000
        and _WORDS.fullmatch(text)
        and max(map(len, re.split("[^A-Za-z]", text))) <= _LONGEST_WORD
    ):
        return Where.WORD if len(text) >= _LONG else None
    if len(text) >= _LONG:
        return Where.ANYWHERE
    mixed = any(map(str.isdigit, text)) and any(map(str.isalpha, text))
    return Where.WORD if mixed and len(text) > _SHORT else None


def _forms(text: str) -> set[str]:
    """Return a value in all the forms in which frames, messages and URLs can hold it."""
    if _UNQUOTED.fullmatch(text):
        return {text, *_base64_of(text)}
    meant = {text, _native(text)}
    meant |= {unquote_plus(form) for form in meant if "%" in form or "+" in form}
    forms = set(meant)
    for form in meant:
        encoded = form.encode("utf-8", "replace")
        forms |= {quote(form), quote(form, safe=""), quote_plus(form)}
        forms |= {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote(form, safe=""))}
        forms |= {repr(form)[1:-1], repr(encoded)[2:-1], json.dumps(form)[1:-1], html.escape(form)}
        forms |= {form.replace("'", "\\'"), *_base64_of(form)}
    # What stands in a text that was itself shown as a text.
    return forms | {repr(form)[1:-1] for form in forms if not form.isalnum()}


def _native(text: str) -> str:
    """Return what an environ's text means in UTF-8, PEP 3333."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _base64_of(text: str) -> set[str]:
    if len(text) < _LONG:
        return set()
    encoded = text.encode("utf-8", "replace")
    both = (base64.b64encode(encoded), base64.urlsafe_b64encode(encoded))
    return {form.decode().rstrip("=") for form in both}
