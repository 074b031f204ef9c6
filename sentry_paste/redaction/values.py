"""The secret values of one request, and how each of them is to be sought in text.

A random value is sought anywhere. One that could be a word, a path or a URL
is sought as a whole word and not in URLs, so that a cookie ``page=production`` does
not blank half of an event; one that is short only where it is all of a text.

Of a value its parts and its other spellings are sought too, where they are long and odd enough: ``parts``
says what they are. Whatever a client sends, it takes a bounded number of steps and gives a bounded number
of values; where that is not enough, the result says so, and nothing that comes from elsewhere is believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
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
    is_odd,
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

#: So many values a request can have; of one that has more, ``of_request`` returns more than these.
MOST = 2000
# So many cookies, addresses, parameters and parts are looked at, and so much text for parts.
_STEPS = 3000
_PARTED = 65_536
_MOST_ADDRESSES = 400
# Who has a longer name? And more members in a baggage than W3C has a server take?
_LONGEST_NAME = 100
_MOST_MEMBERS = 200
# So much of a value tells whether it is a certificate's.
_BEGINNING = 4000
# A request of more headers than any server takes by default, but for one that bounds their bytes only.
_MOST_STRINGS = 2000


_LIST = re.compile(r"[\s,;=\"]+")
_ADDRESSES = re.compile(r"[\s,;=\"\[\]]+")
# A distinguished name, or what Envoy says of a client's certificate.
_SUBJECT = re.compile(r"(?:^|[,/;\s\"])(?:CN|UID|E|emailAddress)\s?=|\A(?:By|Hash|URI|DNS)=", re.IGNORECASE)
# Of an Authorization header: name=value, as RFC 9110 section 11.2 has them, and AWS' Signature Version 4. A
# quoted value ends with the quote, which the next one has too: nothing is looked at twice.
_CREDENTIAL = re.compile(r"(?<![\w*.-])([\w*.-]+)\s?=\s?(?:\"([^\"]*)\"|([^\s,;\"=][^\s,;\"]*))")
# Between the members of a list of persons, and of what is said of one.
_OF_PEOPLE = re.compile(r"[:;,<>=\s\"]+")
_SAID_OF_ONE = re.compile("[;,&|]")
# Before a cookie of a second header: a server joins headers of one name with a comma (RFC 9110 section 5.3).
_NEXT_COOKIE = re.compile(r",\s?(?=[A-Za-z_][\w.-]{0,63}=)")
_NO_USER = re.compile(r"[\s=,;\"]")
# Neither a user nor a password has a slash, so that each is looked at once.
_USER_INFO = re.compile(r"://([^\s/?#:@'\"<>]*)(?::([^\s/?#'\"<>]+))?@")
# Where a URL within a URL has them: the slashes, the longest of which tells how often it is encoded.
_DEPTH = 6
_P = rf"%(?:25){{0,{_DEPTH - 1}}}"
_ENCODED_AUTHORITY = re.compile(rf"(?::|{_P}3a)(/|{_P}2f)(/|{_P}2f)", re.IGNORECASE)
_ENDS_OF_AUTHORITY = [
    re.compile(rf"[\s/?#&'\"<>]|%{'25' * (level - 1)}(?:2f|3f|23)", re.IGNORECASE)
    for level in range(1, _DEPTH + 1)
]
_AT = re.compile("@|40")


# What of a person a header tells: who it is, or only what kind of one.
_WHO = frozenset(
    {"user", "username", "userid", "login", "email", "mail", "principal", "name", "id", "uid", "cn"}
)
_WHAT = frozenset({"domain", "role", "roles", "type", "status", "locale", "language", "group", "groups"})

_OCTAL = re.compile(r"\\([0-3][0-7][0-7]|.)")

# Of a user that a framework has put into the environ as a mapping.
_NAMED = ("userid", "user", "login", "username", "email", "name", "id", "mail", "password", "cn", "eppn")


def _bounds() -> Bounds:
    return Bounds(_STEPS, _PARTED)


def of_request(strings: Mapping[str, str], names: Names) -> set[Secret]:
    """Return what is secret in a request as it came.

    Args:
        strings: the texts of a WSGI environ.
        names: which names are secret.

    Returns:
        The values; more than ``MOST`` where there may be others that were not looked at.
    """
    if len(strings) > _MOST_STRINGS:
        return set(_more_than_are_sought())
    bounds = _bounds()
    found: set[Secret] = set()
    for secret in _of_strings(strings, names, bounds):
        found.add(secret)
        if len(found) > MOST or bounds.are_exceeded:
            break
    if bounds.are_exceeded and len(found) <= MOST:
        found.update(_more_than_are_sought())
    # The server's own address is in every URL, also of a client on the same machine.
    own = {strings.get("SERVER_NAME", ""), strings.get("HTTP_HOST", "").partition(":")[0]}
    return {secret for secret in found if secret.where is not ADDRESS or secret.text not in own}


def _more_than_are_sought() -> Iterator[Secret]:
    """Yield so many values that none is sought and nothing is sent that could hold one."""
    return (Secret(f"\0{number}", WHOLE) for number in range(MOST + 1))


def _of_strings(strings: Mapping[str, str], names: Names, bounds: Bounds) -> Iterator[Secret]:
    for key, value in strings.items():
        if bounds.are_exceeded:
            return
        if not isinstance(key, str):
            continue  # PEP 3333 has none, but an app may
        # Most entries are neither secret nor have parameters.
        if value and ("=" in value or names.is_environ(key)):
            yield from _of_entry(key, value, names, bounds)
        elif _is_secret_by_value(key, value, names):
            yield from _of_secret(value, bounds)
        if "@" in value and "://" in value:
            yield from _of_user_info(value, bounds)
        if "%" in value and ("40" in value or "@" in value):
            yield from _of_encoded_user_info(value, bounds)
        if key == "HTTP_BAGGAGE":
            yield from _of_baggage(value, names, bounds)


def _is_secret_by_value(key: str, value: str, names: Names) -> bool:
    """Return whether a header that nobody has heard of has a value that looks secret."""
    if key.startswith("REDIRECT_"):
        key = original_key(key)
    return key.startswith("HTTP_") and names.is_unknown_header(key) and names.is_secret_header_value(value)


def of_environ(environ: Mapping[str, Any], names: Names) -> tuple[str, ...]:
    """Return what the app and its framework have put into the environ: the names of the signed-in user.

    Args:
        environ: as the app left it, or has it.
        names: which names are secret.
    """
    found: tuple[str, ...] = ()
    if names.has_own_environ:
        found = tuple(
            text
            for key in environ
            if isinstance(key, str) and names.is_own_environ(key)
            for text in _texts_of(environ[key])
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
        yield from of_person(text)


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
    bounds = _bounds()
    for text in texts:
        yield from _cookies(text.partition(";")[0], bounds)
    if bounds.are_exceeded:
        yield from _more_than_are_sought()


def _texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, member in value.items():
            if str(key).rpartition(".")[2].lower() in _NAMED and isinstance(member, str):
                yield member


def _of_entry(key: str, value: str, names: Names, bounds: Bounds) -> Iterator[Secret]:
    if "=" in value and (
        names.has_parameters(key) or "?" in value or "#" in value or (key == "PATH_INFO" and ";" in value)
    ):
        yield from _parameters(value, names, bounds)
    if not names.is_environ(key):
        if _is_secret_by_value(key, value, names):
            yield from _of_secret(value, bounds)
        return
    if key.startswith("REDIRECT_"):
        key = original_key(key)
    if key == "HTTP_COOKIE":
        yield from _cookies(value, bounds)
        yield from _whole_cookie(value)
    elif key.endswith("AUTHORIZATION"):
        yield from _credentials(value, bounds)
    elif names.tells_addresses(key):
        yield from _addresses(value, bounds)  # which may be none: "unknown", "localhost"
    elif key == "REMOTE_HOST" and LIKE_AN_ADDRESS.fullmatch(value):
        # RFC 3875 section 4.1.9 lets it be the address where the name is not known, as waitress has it.
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
    """Yield how the value of a header is sought that says who somebody is, and who stands in it."""
    words = set(key.lower().split("_"))
    is_words = is_word_list(value)
    if not is_words or (words & _WHO and not words & _WHAT):
        yield from of_person(value)
    if not is_words:
        # A certificate, a token or JSON, too.
        yield from of_parts(value, bounds)
        yield from _people_in(value, bounds)


def _of_secret(value: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield how a secret header's value is sought, and what stands in it as in a list."""
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
    """Yield who stands within a value: in mailboxes (RFC 5322 section 3.4), lists and pairs."""
    bounds.are_exceeded |= len(text) > parts.LONGEST and "@" in text[parts.LONGEST :]
    text = text[: parts.LONGEST]
    name, _, address = text.partition("<")
    if "@" in address:
        yield from of_person(name.strip(' "'))
    for part in bounds.first(dict.fromkeys(_OF_PEOPLE.split(text, bounds.steps + 1))):
        if "@" in part:
            yield from of_person(part)
        elif is_odd(part):
            yield Secret(part, ANYWHERE)
    for pair in bounds.first(_SAID_OF_ONE.split(text, bounds.steps + 1)) if "=" in text else ():
        name, _, value = pair.partition("=")
        if value and parts.tells_who(name.strip().lower()):
            yield from of_person(value.strip(' "'))


def _of_user_info(text: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield who is in the URLs of a text, with what password (RFC 3986 section 3.2.1)."""
    if not bounds.may_read(len(text)):
        return
    for found in bounds.first(_USER_INFO.finditer(text)):
        yield from _user(found[1], found[2] or "")


def _of_encoded_user_info(text: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield who is in the URLs that are parameters of a URL, and percent-encoded."""
    for found in bounds.first(_ENCODED_AUTHORITY.finditer(text)):
        # Of one whose slashes are not encoded all the rest can be.
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
    # Those too short to be sought are not looked at, however many there are.
    pairs = dict.fromkeys(pair for pair in dict.fromkeys(text.split(";")) if len(pair) > SHORT)
    if '"' in text:
        # Some take a semicolon between quotes for a part of the value (RFC 2109), and some do not (RFC 6265).
        pairs.update(dict.fromkeys(_quoted_pairs(text, bounds.steps + 1)))
    for pair in bounds.first(pairs):
        name, equals, value = pair.partition("=")
        value = value.strip() if equals else ""
        if "," in value and "=" in value:
            yield from _joined_cookies(value, bounds)
        yield from of_parts(value or name.strip(), bounds)
        if value.startswith('"'):
            plain = value.strip('"')
            yield from of_parts(plain, bounds)
            if "\\" in plain and bounds.may_read(len(plain)):
                # As http.cookies has it: an octal number of a character, or the character.
                yield from of_parts(
                    _OCTAL.sub(lambda e: chr(int(e[1], 8)) if len(e[1]) == 3 else e[1], plain), bounds
                )


def _joined_cookies(text: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield the cookies of other headers, which a server has put behind the value of one."""
    first, *others = _NEXT_COOKIE.split(text, bounds.steps + 1)
    if not others or "=" in first.rstrip("="):
        return  # pairs that are the value of one cookie
    yield from of_parts(first, bounds)
    for pair in bounds.first(others):
        yield from of_parts(pair.partition("=")[2].strip(), bounds)


def _quoted_pairs(text: str, most: int) -> Iterator[str]:
    """Yield cookies; a quoted value may hold semicolons."""
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
    # One of a short value would be a parameter's lang=en.
    if len(text) >= LONG and (";" in text or any(True for _ in _cookies(text, _bounds()))):
        yield Secret(text, ANYWHERE)


def _credentials(text: str, bounds: Bounds) -> Iterator[Secret]:
    scheme, _, credential = text.replace("\t", " ").strip().partition(" ")
    if not credential:
        scheme, credential = "", scheme  # as some APIs have it
    credential = credential.strip()
    yield from of_value(text)
    yield from of_parts(credential, bounds)
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
            # AWS' access key id stands before the date, the region and the service.
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
        # With a port, as Forwarded has it.
        for shown in (part, part.rpartition(":")[0]):
            if LIKE_AN_ADDRESS.fullmatch(shown.partition("%")[0]):
                yield Secret(shown.partition("%")[0], ADDRESS)
        if part[:1] == "_" and is_odd(part):
            # What a proxy calls a client that it does not name (RFC 7239 section 6.3).
            yield Secret(part, ANYWHERE)
    if "," in text:
        yield from of_value(text)


def _is_subject(text: str, bounds: Bounds) -> bool:
    """Return whether a value is a distinguished name, or Envoy's of a certificate; also percent-encoded."""
    beginning = text[:_BEGINNING]
    if "=" in beginning and _SUBJECT.search(beginning):
        return True
    if len(text) > _BEGINNING and "CN=" in text[_BEGINNING:-2]:
        return True  # base64 ends with a sign of equality, and has none within
    if "%3D" not in beginning or not bounds.may_read(len(beginning)):
        return False
    return bool(_SUBJECT.search(parts.decoded(beginning)))


def _certificate(text: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield who a certificate is of: of a distinguished name what is a person's."""
    bounds.are_exceeded |= len(text) > parts.LONGEST
    yield from of_value(text)
    for shown in dict.fromkeys((text, parts.decoded(text))):
        if bounds.may_read(len(shown)):
            for part in bounds.first(parts.subject_of(shown, bounds)):
                yield from of_person(part)
