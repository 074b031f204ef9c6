"""The secret values of one request, and how each of them is to be sought in text.

A random value is sought anywhere. One that could be a word, a path or a URL
is sought as a whole word and not in URLs, so that a cookie ``page=production`` does
not blank half of an event; one that is short only where it is all of a text.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from sentry_paste.redaction.forms import ADDRESS, ANYWHERE, PAIR, WHOLE, WORD, Secret, Where
from sentry_paste.redaction.names import USER_KEYS, Names
from sentry_paste.redaction.parameters import secret_parameters

# What is shorter is too likely to be found by chance.
_LONG = 8
_SHORT = 4

# Letters of one case, capitalised or in humps; anything else of letters was thrown by dice. No two parts of
# it match the same text, so that none is tried in two ways.
_WORD = re.compile("[A-Z]+|[A-Z]?[a-z]+(?:[A-Z][a-z][a-z]+)*")
_BETWEEN_WORDS = re.compile("[-_./:,; +]")
_DIGIT = re.compile("[0-9]")
_LONGEST_WORD = 15
_PATH = re.compile(r"/|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# Dates, times, versions and short numbers.
_DATE = re.compile(r"[\d\W]{1,11}|(?=\d+\D)[\d:.TZ+ -]{1,32}")
_PARTS = re.compile(r"[\s,;=\"]+")
_LIKE_AN_ADDRESS = re.compile("(?=.*[.:])[0-9A-Fa-f.:]{3,45}")
_ADDRESSES = re.compile(r"[\s,;=\"\[\]]+")

# What stands for nothing, and who is many: not sought, or only where it is all of a text.
_NOTHING = frozenset(
    {"undefined", "null", "(null)", "none", "true", "false", "default", "unknown", "localhost"}
)
_ROLES = frozenset({"admin", "root", "user", "test", "guest", "anonymous", "nobody", "system"})

# What of a person a header tells: who it is, or only what kind of one.
_WHO = frozenset(
    {"user", "username", "userid", "login", "email", "mail", "principal", "name", "id", "uid", "cn"}
)
_WHAT = frozenset({"domain", "role", "roles", "type", "status", "locale", "language", "group", "groups"})

_OCTAL = re.compile(r"\\([0-3][0-7][0-7]|.)")

# Of a user that a framework has put into the environ as a mapping.
_NAMED = ("userid", "user", "login", "username", "email", "name", "id", "mail", "password", "cn", "eppn")


def of_request(strings: Mapping[str, str], names: Names) -> set[Secret]:
    """Return what is secret in a request as it came; ``expanded`` gives the forms that it can have.

    Args:
        strings: the texts of a WSGI environ.
        names: which names are secret.
    """
    found: set[Secret] = set()
    if not strings:
        return found
    for key, value in strings.items():
        # Most entries are neither secret nor have parameters.
        if value and ("=" in value or names.is_environ(key)):
            found.update(_of_entry(key, value, names))
    # The server's own address is in every URL, also of a client on the same machine.
    own = {strings.get("SERVER_NAME", ""), strings.get("HTTP_HOST", "").partition(":")[0]}
    return {secret for secret in found if secret.where is not ADDRESS or secret.text not in own}


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
    return found + tuple(text for key in USER_KEYS if key in environ for text in _texts_of(environ.get(key)))


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
    if "=" in value and (names.has_parameters(key) or "?" in value or (key == "PATH_INFO" and ";" in value)):
        yield from _parameters(value, names)
    if not names.is_environ(key):
        return
    if key == "HTTP_COOKIE":
        yield from _cookies(value)
        yield from _whole_cookie(value)
    elif key in ("HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION"):
        yield from _credentials(value)
    elif names.tells_addresses(key):
        yield from _addresses(value)  # which may be none: "unknown", "localhost"
    elif key == "REMOTE_HOST" and _LIKE_AN_ADDRESS.fullmatch(value):
        # RFC 3875 section 4.1.9 lets it be the address where the name is not known, as waitress has it.
        yield from _addresses(value)
    elif key in USER_KEYS or key in ("AUTH_USER", "REMOTE_HOST"):
        yield from _person(value)
    elif names.is_personal_header(key):
        words = set(key.lower().split("_"))
        if not _is_words(value) or (words & _WHO and not words & _WHAT):
            yield from _person(value)
    else:
        yield from _value(value)
        for part in _PARTS.split(value)[:100]:
            if part != value and len(part) >= _LONG:
                yield from _value(part)


def _parameters(text: str, names: Names) -> Iterator[Secret]:
    for name, raw in secret_parameters(text, names):
        yield Secret(f"{name}={raw}", PAIR, len(name) + 1)
        decoded = unquote_plus(raw)
        if decoded != raw:
            yield Secret(f"{name}={decoded}", PAIR, len(name) + 1)
        yield from _value(raw)


def _cookies(text: str) -> Iterator[Secret]:
    for name, value in _pairs(text):
        yield from _value(value or name)
        if value.startswith('"'):
            plain = value.strip('"')
            yield from _value(plain)
            if "\\" in plain:
                # As http.cookies has it: an octal number of a character, or the character.
                yield from _value(_OCTAL.sub(lambda e: chr(int(e[1], 8)) if len(e[1]) == 3 else e[1], plain))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield names and values of cookies; a quoted value may hold semicolons."""
    start = 0
    while start < len(text):
        end = text.find(";", start)
        end = len(text) if end < 0 else end
        quote_at = text.find('="', start, end)
        closing = text.find('"', quote_at + 2) if quote_at >= 0 else -1
        if closing >= end:
            end = text.find(";", closing)
            end = len(text) if end < 0 else end
        name, equals, value = text[start:end].partition("=")
        yield name.strip(), value.strip() if equals else ""
        start = end + 1


def _whole_cookie(text: str) -> Iterator[Secret]:
    # One of a short value would be a parameter's lang=en.
    if len(text) >= _LONG and (";" in text or any(_cookies(text))):
        yield Secret(text, ANYWHERE)


def _credentials(text: str) -> Iterator[Secret]:
    scheme, _, credential = text.partition(" ")
    credential = credential.strip()
    yield from _value(text)
    yield from _value(credential)
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(credential, validate=False)
        except (binascii.Error, ValueError):
            return
        for charset in ("utf-8", "latin-1"):
            user, colon, password = decoded.decode(charset, "replace").partition(":")
            yield from _value(user + colon + password)
            yield from _person(user)
            if colon:
                yield from _value(password)
    else:
        for part in _PARTS.split(credential)[:100]:
            if len(part) >= _LONG and part != credential:
                yield from _value(part)


def _addresses(text: str) -> Iterator[Secret]:
    for part in _ADDRESSES.split(text)[:1000]:
        # With a port, as Forwarded has it.
        for shown in (part, part.rpartition(":")[0]):
            if _LIKE_AN_ADDRESS.fullmatch(shown.partition("%")[0]):
                yield Secret(shown.partition("%")[0], ADDRESS)
    if "," in text:
        yield from _value(text)


def _person(text: str) -> Iterator[Secret]:
    if text in _NOTHING:
        return
    if any(char.isdigit() or char == "@" for char in text) or len(text) > _LONGEST_WORD:
        yield from _value(text)
    else:
        where = WORD if len(text) >= _SHORT and text.lower() not in _ROLES else WHOLE
        yield Secret(text, where)


def _value(text: str) -> Iterator[Secret]:
    """Yield how a value is sought; one that is too common is not."""
    where = _where(text)
    if where is not None:
        yield Secret(text, where)


def _where(text: str) -> Where | None:
    if text in _NOTHING:
        return None
    if ("/" in text and _PATH.match(text)) or _is_words(text) or _DATE.fullmatch(text):
        return WORD if len(text) >= _LONG else None
    if len(text) >= _LONG:
        return ANYWHERE
    mixed = any(map(str.isdigit, text)) and any(map(str.isalpha, text))
    return WORD if mixed and len(text) > _SHORT else None


def _is_words(text: str) -> bool:
    if _DIGIT.search(text):
        return False
    words = _BETWEEN_WORDS.split(text) if len(text) < 1000 else [""]
    return all(len(word) <= _LONGEST_WORD and _WORD.fullmatch(word) for word in words)
