"""The secret values of one request, and how each of them is searched for in text.

A random value is searched for anywhere. A value that could be a word, a path or a URL
is searched for as a whole word and not in URLs, so that a cookie ``page=production`` does
not blank half of an event; a short one only where it is the whole text.
Parts and other spellings of a value are searched for too, if they are long and distinctive enough
(``parts``). Whatever a client sends, the number of steps and of values is bounded. If that is not enough, the
result says so, and no text that could come from the request is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote, unquote_plus

from sentry_paste.redaction import parts
from sentry_paste.redaction.appearance import addresses_in
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.candidates import (
    LIKE_AN_ADDRESS,
    LONG,
    READABLE,
    SHORT,
    USER_AND_PASSWORD,
    is_distinctive,
    is_token,
    is_word_list,
    of_basic_credentials,
    of_parts,
    of_person,
    of_value,
    scheme_of,
)
from sentry_paste.redaction.headers import secret_baggage
from sentry_paste.redaction.names import USER_KEYS, Names, original_key
from sentry_paste.redaction.needles import ADDRESS, ANYWHERE, PAIR, WHOLE, Secret
from sentry_paste.redaction.parameters import secret_parameters
from sentry_paste.redaction.recent import LONGEST_NAME, Recent

#: The most values of a request that are searched for; if there are more, ``of_request`` returns more than
#: this.
MOST = 2000
# How many cookies, addresses, parameters and parts are looked at, and how much text is searched for parts.
_STEPS = 3000
_PARTED = 65_536
_MOST_ADDRESSES = 400
# Names are hardly ever longer. W3C does not require servers to accept more members of baggage.
_LONGEST_NAME = 100
_MOST_MEMBERS = 200
# How much of a value is read to decide whether it belongs to a certificate.
_BEGINNING = 4000
# More headers than any server accepts by default, except servers that limit only their total size.
_MOST_STRINGS = 2000
# The total length of names is limited too. It is not checked for this many or fewer, because names of more
# than 200 characters are not examined.
_FEW_STRINGS = 500
_MOST_CHARACTERS_OF_NAMES = 100_000


_LIST = re.compile(r"[\s,;=\"]+")
_ADDRESSES = re.compile(r"[\s,;=\"\[\]]+")
# A distinguished name, or Envoy's description of a client certificate.
_SUBJECT = re.compile(r"(?:^|[,/;\s\"])(?:CN|UID|E|emailAddress)\s?=|\A(?:By|Hash|URI|DNS)=", re.IGNORECASE)
# A parameter in an Authorization header: name=value, as in RFC 9110 section 11.2 and AWS' Signature Version
# 4. The pattern consumes the closing quote of a quoted value, so that nothing is scanned twice.
_CREDENTIAL = re.compile(r"(?<![\w*.-])([\w*.-]+)\s?=\s?(?:\"([^\"]*)\"|([^\s,;\"=][^\s,;\"]*))")
# Separates the members of a list of persons, and their attributes.
_OF_PEOPLE = re.compile(r"[:;,<>=\s\"]+")
_SAID_OF_ONE = re.compile("[;,&|]")
# Precedes a cookie from a second header: servers join headers with a comma (RFC 9110 section 5.3).
_NEXT_COOKIE = re.compile(r",\s?(?=[A-Za-z_][\w.-]{0,63}=)")
_NO_USER = re.compile(r"[\s=,;\"]")
# Neither users nor passwords contain a slash, so each is scanned once.
_USER_INFO = re.compile(r"://([^\s/?#:@'\"<>]*)(?::([^\s/?#'\"<>]+))?@")
# The same in a URL within a URL: the longest encoded slash shows how often it is encoded.
_DEPTH = 6
_P = rf"%(?:25){{0,{_DEPTH - 1}}}"
_ENCODED_AUTHORITY = re.compile(rf"(?::|{_P}3a)(/|{_P}2f)(/|{_P}2f)", re.IGNORECASE)
_ENDS_OF_AUTHORITY = [
    re.compile(rf"[\s/?#&'\"<>]|%{'25' * (level - 1)}(?:2f|3f|23)", re.IGNORECASE)
    for level in range(1, _DEPTH + 1)
]
_AT = re.compile("@|40")


# Words in identity headers: those that identify a person, and those that only describe one.
_WHO = frozenset(
    {"user", "username", "userid", "login", "email", "mail", "principal", "name", "id", "uid", "cn"}
)
_WHAT = frozenset({"domain", "role", "roles", "type", "status", "locale", "language", "group", "groups"})

# Schemes whose credentials are nothing but a token.
_TOKEN_SCHEMES = frozenset({"", "Bearer", "bearer", "Token", "token"})

_OCTAL = re.compile(r"\\([0-3][0-7][0-7]|.)")

# Keys of a user that a framework has put into the environ as a mapping.
_NAMED = ("userid", "user", "login", "username", "email", "name", "id", "mail", "password", "cn", "eppn")


def _bounds() -> Bounds:
    return Bounds(_STEPS, _PARTED)


def of_request(strings: Mapping[str, str], names: Names, recent: Recent | None = None) -> set[Secret]:
    """Return the secret values of a request.

    Args:
        strings: the texts of a WSGI environ.
        names: which names are secret.
        recent: what was worked out for other requests.

    Returns:
        The values; more than ``MOST`` if there may be others that were not looked at.
    """
    if len(strings) > _MOST_STRINGS or (
        len(strings) > _FEW_STRINGS and sum(map(len, map(str, strings))) > _MOST_CHARACTERS_OF_NAMES
    ):
        return set(too_many_secrets())
    bounds = _bounds()
    found: set[Secret] = set()
    if recent is not None:
        recent.begin()
    for secret in _of_strings(strings, names, bounds, recent):
        found.add(secret)
        if len(found) > MOST or bounds.are_exceeded:
            break
    if bounds.are_exceeded and len(found) <= MOST:
        found.update(too_many_secrets())
    # The server's own address is in every URL, even if the client runs on the same machine.
    own = {strings.get("SERVER_NAME", ""), strings.get("HTTP_HOST", "").partition(":")[0]}
    return {secret for secret in found if secret.where is not ADDRESS or secret.text not in own}


def too_many_secrets() -> Iterator[Secret]:
    """Yield more values than are searched for, so that nothing is sent that could hold a secret."""
    return (Secret(f"\0{number}", WHOLE) for number in range(MOST + 1))


def may_matter(key: Any, value: str, names: Names) -> bool:
    """Return whether ``of_request`` may depend on an entry of the environ.

    This is a quick check, which always returns true for headers.

    Args:
        key: of the environ.
        value: its text.
        names: which names are secret.
    """
    return (
        not isinstance(key, str)
        or key.startswith(("HTTP_", "REDIRECT_", "SERVER_NAME"))
        or "=" in value
        or "@" in value
        or "%" in value
        or names.is_environ(key)
    )


def _of_strings(
    strings: Mapping[str, str], names: Names, bounds: Bounds, recent: Recent | None
) -> Iterator[Secret]:
    is_environ = names.is_environ
    for key, value in strings.items():
        if bounds.are_exceeded:
            return
        if not isinstance(key, str):
            continue  # not allowed by PEP 3333, but an app may do it
        # Most entries are not secret and have no parameters.
        if value and ("=" in value or is_environ(key)):
            yield from _of_entry(key, value, names, bounds, recent)
        elif key.startswith(("HTTP_", "REDIRECT_")) and _is_secret_by_value(key, value, names):
            yield from _of_secret(value, bounds)
        if "@" in value and "://" in value:
            yield from _of_user_info(value, bounds)
        if "%" in value and ("40" in value or "@" in value):
            yield from _of_encoded_user_info(value, bounds)
        if key == "HTTP_BAGGAGE":
            yield from _of_baggage(value, names, bounds)


def _is_secret_by_value(key: str, value: str, names: Names) -> bool:
    """Return whether an unknown header has a value that looks secret."""
    if key.startswith("REDIRECT_"):
        key = original_key(key)
    return key.startswith("HTTP_") and names.is_unknown_header(key) and names.is_secret_header_value(value)


def of_environ(environ: Mapping[str, Any], names: Names) -> tuple[str, ...]:
    """Return the names of the signed-in user that the app and its framework have put into the environ.

    Args:
        environ: during the request or after it.
        names: which names are secret.
    """
    found: tuple[str, ...] = ()
    if names.has_own_environ:
        found = tuple(
            text
            for key, value in environ.items()
            if (name := _text_of(key)) is not None and names.is_own_environ(name)
            for text in _texts_of(value)
        )
    present = environ.keys() & USER_KEYS
    if not present:
        return found
    return found + tuple([text for key in sorted(present) for text in _texts_of(environ.get(key))])


def of_users(texts: Iterable[str], recent: Recent | None = None) -> Iterator[Secret]:
    """Yield what to search for in place of the names of users.

    Args:
        texts: names, as in the environ.
        recent: what was worked out for other requests.
    """
    for text in texts:
        if recent is None:
            yield from of_person(text)
        else:
            yield from recent.secrets(("user",), text, _bounds(), partial(of_person, text))


def cookies_of(headers: Any) -> Iterator[str]:
    """Yield the cookies that a response sets, as in its headers.

    Args:
        headers: what the app passed to ``start_response``, of any type.
    """
    if issubclass(type(headers), list):
        entries = list.__iter__(headers)
    elif issubclass(type(headers), tuple):
        entries = tuple.__iter__(headers)
    else:
        return
    for entry in entries:
        if issubclass(type(entry), tuple) and tuple.__len__(entry) == 2:
            name, value = (_text_of_header(each) for each in tuple.__iter__(entry))
            if name is not None and value is not None and name.lower() == "set-cookie":
                yield value


def with_cookies_of(before: Any, headers: Any) -> list[tuple[str, str]]:
    """Return the cookies of a response and of the one whose place it takes, as headers.

    Args:
        before: the headers of the first one, of any type.
        headers: of the other.
    """
    return [("Set-Cookie", text) for found in (before, headers) for text in cookies_of(found)]


def of_cookies(texts: Iterable[str]) -> Iterator[Secret]:
    """Yield what to search for in place of the cookies that a response sets.

    Args:
        texts: values of ``Set-Cookie``.
    """
    bounds = _bounds()
    for text in texts:
        yield from _cookies(text.partition(";")[0], bounds)
    if bounds.are_exceeded:
        yield from too_many_secrets()


def _text_of(value: Any) -> str | None:
    """Return the text of a str or of an instance of a subclass, whose own methods are not called."""
    return str.__str__(value) if issubclass(type(value), str) else None


def _text_of_header(value: Any) -> str | None:
    """Return the text of a part of a header, which some servers accept as bytes."""
    if issubclass(type(value), bytes):
        return bytes.decode(value, "latin-1")
    return _text_of(value)


def _texts_of(value: Any) -> Iterator[str]:
    # By real types: a lazy object would load what it stands for.
    text = _text_of(value)
    if text is not None:
        yield text
    elif issubclass(type(value), Mapping):
        items = dict.items(value) if issubclass(type(value), dict) else value.items()
        for key, member in items:
            name, text = _text_of(key), _text_of(member)
            if name is not None and text is not None and name.rpartition(".")[2].lower() in _NAMED:
                yield text


def _of_entry(key: str, value: str, names: Names, bounds: Bounds, recent: Recent | None) -> Iterator[Secret]:
    if "=" in value and (
        names.has_parameters(key) or "?" in value or "#" in value or (key == "PATH_INFO" and ";" in value)
    ):
        if recent is None:
            yield from _parameters(value, names, bounds)
        else:
            of_parameters = partial(_parameters, value, names, bounds)
            yield from recent.secrets(("parameters", names.rules), value, bounds, of_parameters)
    if not names.is_environ(key):
        if _is_secret_by_value(key, value, names):
            yield from _of_secret(value, bounds)
        return
    if key.startswith("REDIRECT_"):
        key = original_key(key)
    if recent is None or len(key) > LONGEST_NAME:
        yield from _of_secret_entry(key, value, names, bounds)
    else:
        of_entry = partial(_of_secret_entry, key, value, names, bounds)
        yield from recent.secrets(("environ", names.rules, key), value, bounds, of_entry)


def _of_secret_entry(key: str, value: str, names: Names, bounds: Bounds) -> Iterator[Secret]:
    if key == "HTTP_COOKIE":
        yield from _cookies(value, bounds)
        yield from _whole_cookie(value)
    elif key.endswith("AUTHORIZATION"):
        yield from _credentials(value, bounds)
    elif names.holds_addresses(key):
        yield from _addresses(value, bounds)  # which may be none: "unknown", "localhost"
    elif key == "REMOTE_HOST" and LIKE_AN_ADDRESS.fullmatch(value):
        # RFC 3875 section 4.1.9 allows the address here if the name is unknown; waitress does so.
        yield from _addresses(value, bounds)
    elif _is_subject(value, bounds):
        yield from _certificate(value, bounds)
    elif key in USER_KEYS or key in ("AUTH_USER", "REMOTE_HOST"):
        yield from of_person(value)
        yield from _people_in(value, bounds)
    elif names.is_personal_header(key):
        yield from _of_personal(key, value, bounds)
    else:
        yield from _of_secret(value, bounds)


def _of_personal(key: str, value: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield what to search for in place of an identity header's value, and of the persons named in it."""
    words = set(key.lower().split("_"))
    is_words = is_word_list(value)
    if not is_words or (words & _WHO and not words & _WHAT):
        yield from of_person(value)
    if not is_words:
        # It may also be a certificate, a token or JSON.
        yield from of_parts(value, bounds)
        yield from _people_in(value, bounds)


def _of_secret(value: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield what to search for in place of a secret header's value, and of the members if it is a list."""
    if is_token(value):
        yield from of_parts(value, bounds)
        return
    if _is_subject(value, bounds):
        yield from _certificate(value, bounds)
        return
    if scheme_of(value):
        yield from _credentials(value, bounds)
        return
    yield from of_parts(value, bounds)
    if "@" in value:
        yield from _people_in(value, bounds)
    addresses = addresses_in(value)
    bounds.are_exceeded |= addresses is None
    for address in addresses or ():
        yield Secret(address, ADDRESS)
    if _LIST.search(value):
        for part in bounds.first(dict.fromkeys(_LIST.split(value, bounds.steps + 1))):
            if part != value and len(part) >= LONG:
                yield from of_parts(part, bounds) if len(part) >= READABLE else of_value(part)


def _people_in(text: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield the persons named in a value: in mailboxes (RFC 5322 section 3.4), lists and pairs."""
    bounds.are_exceeded |= len(text) > parts.LONGEST and "@" in text[parts.LONGEST :]
    text = text[: parts.LONGEST]
    name, _, address = text.partition("<")
    if "@" in address:
        yield from of_person(name.strip(' "'))
    for part in bounds.first(dict.fromkeys(_OF_PEOPLE.split(text, bounds.steps + 1))):
        if "@" in part:
            yield from of_person(part)
        elif is_distinctive(part):
            yield Secret(part, ANYWHERE)
    for pair in bounds.first(_SAID_OF_ONE.split(text, bounds.steps + 1)) if "=" in text else ():
        name, _, value = pair.partition("=")
        if value and parts.identifies_user(name.strip().lower()):
            yield from of_person(value.strip(' "'))


def _of_user_info(text: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield the users and passwords in the URLs of a text (RFC 3986 section 3.2.1)."""
    if not bounds.may_read(len(text)):
        return
    for found in bounds.first(_USER_INFO.finditer(text)):
        yield from _user(found[1], found[2] or "")


def _of_encoded_user_info(text: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield the users and passwords in percent-encoded URLs that are parameters of a URL."""
    for found in bounds.first(_ENCODED_AUTHORITY.finditer(text)):
        # Even if its slashes are not encoded, all the rest may be.
        level = max(len(found[1]) // 2, len(found[2]) // 2, 1)
        start, end = found.end(), _ENDS_OF_AUTHORITY[level - 1].search(text, found.end())
        authority = text[start : end.start() if end else len(text)]
        if not _AT.search(authority):
            continue
        if not bounds.may_read(len(authority)):
            return
        for _ in range(level):
            authority = unquote(authority)
        info, at, _ = authority.rpartition("@")
        if at:
            user, _, password = info.partition(":")
            yield from _user(user, password)


def _user(user: str, password: str) -> Iterator[Secret]:
    yield from of_person(parts.decoded(user))
    for shown in dict.fromkeys((password, parts.decoded(password))):
        yield from of_value(shown)


def _of_baggage(text: str, names: Names, bounds: Bounds) -> Iterator[Secret]:
    """Yield the values of those members of W3C baggage that are secret."""
    members = [
        member
        for member in text.split(",")
        if not member.lstrip().startswith("sentry-") and not member.rstrip().endswith("=")
    ]
    if len(members) > _MOST_MEMBERS:
        bounds.are_exceeded = True
        return
    for value in bounds.first(secret_baggage(",".join(members), names)):
        for shown in dict.fromkeys((value, parts.decoded(value))):
            yield from of_person(shown)


def _parameters(text: str, names: Names, bounds: Bounds) -> Iterator[Secret]:
    for name, raw in secret_parameters(text, names, bounds):
        yield Secret(f"{name}={raw}", PAIR, len(name) + 1)
        shown = unquote_plus(raw)
        if shown != raw:
            yield Secret(f"{name}={shown}", PAIR, len(name) + 1)
        yield from of_parts(raw, bounds)


def _cookies(text: str, bounds: Bounds) -> Iterator[Secret]:
    # Cookies too short to be searched for are skipped, however many there are.
    pairs = dict.fromkeys(pair for pair in dict.fromkeys(text.split(";")) if len(pair) > SHORT)
    if '"' in text:
        # Some parsers treat a semicolon in quotes as part of the value (RFC 2109), others do not (RFC 6265).
        pairs.update(dict.fromkeys(_quoted_pairs(text, bounds.steps + 1)))
    for pair in bounds.first(pairs):
        name, equals, value = pair.partition("=")
        value = value.strip() if equals else ""
        if "," in value and "=" in value:
            yield from _joined_cookies(value, bounds)
        yield from _of_cookie(value or name.strip(), bounds)


def _of_cookie(value: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield what to search for in place of a cookie's value, as sent and as parsed."""
    yield from of_parts(value, bounds)
    if value.startswith('"'):
        plain = value.strip('"')
        yield from of_parts(plain, bounds)
        if "\\" in plain and bounds.may_read(len(plain)):
            # http.cookies escapes a character as an octal number, or with a backslash.
            yield from of_parts(
                _OCTAL.sub(lambda e: chr(int(e[1], 8)) if len(e[1]) == 3 else e[1], plain), bounds
            )


def _joined_cookies(text: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield the cookies of further headers, which the server appended to the value of the first."""
    first, *others = _NEXT_COOKIE.split(text, bounds.steps + 1)
    if not others or ("=" in first.rstrip("=") and not first.startswith('"')):
        return  # pairs that together are the value of one cookie
    yield from _of_cookie(first, bounds)
    for pair in bounds.first(others):
        yield from _of_cookie(pair.partition("=")[2].strip(), bounds)


def _quoted_pairs(text: str, most: int) -> Iterator[str]:
    """Yield cookies whose quoted values may contain semicolons."""
    start = 0
    while start < len(text) and most > 0:
        end = text.find(";", start)
        end = len(text) if end < 0 else end
        quote_at = text.find('="', start, end)
        closing = text.find('"', quote_at + 2) if quote_at >= 0 else -1
        if closing >= end:
            end = text.find(";", closing)
            end = len(text) if end < 0 else end
        if end - start > SHORT:
            most -= 1
            yield text[start:end]
        start = end + 1


def _whole_cookie(text: str) -> Iterator[Secret]:
    # With a short value it would match a parameter such as lang=en.
    if len(text) >= LONG and (";" in text or any(True for _ in _cookies(text, _bounds()))):
        yield Secret(text, ANYWHERE)


def _credentials(text: str, bounds: Bounds) -> Iterator[Secret]:
    scheme, _, credential = text.replace("\t", " ").strip().partition(" ")
    if not credential:
        scheme, credential = "", scheme  # some APIs use no scheme
    credential = credential.strip()
    yield from of_value(text)
    yield from of_parts(credential, bounds)
    if scheme in _TOKEN_SCHEMES and is_token(credential):
        return
    if scheme.lower() in USER_AND_PASSWORD:
        yield from of_basic_credentials(credential, bounds)
    if scheme.lower() == "basic":
        return
    user, colon, key = credential.partition(":")
    if colon and not _NO_USER.search(user):
        # ApiKey user:key
        yield from of_person(user)
        yield from of_value(key)
    pairs = bounds.first(_CREDENTIAL.finditer(credential))
    for found in pairs:
        name, value = found[1].rstrip("*"), found[2] or found[3] or ""
        if name.lower() in ("username", "user", "login"):
            yield from of_person(value)
        elif name.lower() == "credential":
            # AWS' access key id comes before the date, the region and the service.
            yield from of_value(value.partition("/")[0])
        elif name.lower() not in ("realm", "uri", "algorithm", "qop", "signedheaders"):
            yield from of_value(value)
    if not pairs:
        for part in bounds.first(_LIST.split(credential, bounds.steps + 1)):
            if len(part) >= LONG and part != credential:
                yield from of_value(part)


def _addresses(text: str, bounds: Bounds) -> Iterator[Secret]:
    found = _ADDRESSES.split(text, _MOST_ADDRESSES)
    bounds.are_exceeded |= len(found) > _MOST_ADDRESSES
    for part in bounds.first(dict.fromkeys(found)):
        # Forwarded allows a port.
        for shown in (part, part.rpartition(":")[0]):
            if LIKE_AN_ADDRESS.fullmatch(shown.partition("%")[0]):
                yield Secret(shown.partition("%")[0], ADDRESS)
        if part[:1] == "_" and is_distinctive(part):
            # An obfuscated identifier for a client (RFC 7239 section 6.3).
            yield Secret(part, ANYWHERE)
    if "," in text:
        yield from of_value(text)


def _is_subject(text: str, bounds: Bounds) -> bool:
    """Return whether a value is a distinguished name or Envoy's certificate header; also percent-encoded."""
    beginning = text[:_BEGINNING]
    if "=" in beginning and _SUBJECT.search(beginning):
        return True
    if len(text) > _BEGINNING and "CN=" in text[_BEGINNING:-2]:
        return True  # base64 has equals signs only at its end
    if "%3D" not in beginning or not bounds.may_read(len(beginning)):
        return False
    return bool(_SUBJECT.search(parts.decoded(beginning)))


def _certificate(text: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield what a certificate reveals about a person, such as parts of its distinguished name."""
    bounds.are_exceeded |= len(text) > parts.LONGEST
    yield from of_value(text)
    for shown in dict.fromkeys((text, parts.decoded(text))):
        if bounds.may_read(len(shown)):
            for part in bounds.first(parts.subject_of(shown, bounds)):
                yield from of_person(part)
