"""What to search for in place of one value: the value, its parts, the names of persons in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sentry_paste.redaction import parts
from sentry_paste.redaction.appearance import looks_random
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.needles import ADDRESS, ANYWHERE, WHOLE, WORD, Secret, Where, is_address

# Tokens and tickets that identify a person are not shorter.
READABLE = 24
# Shorter texts are too likely to be found by chance.
LONG = 8
SHORT = 4
# Letters in one case, capitalised or in camel case; any other letters are random. No two alternatives match
# the same text, so that there is only one way to match.
_WORD = re.compile("[A-Z]+|[A-Z]?[a-z]+(?:[A-Z][a-z][a-z]+)*")
_BETWEEN_WORDS = re.compile("[-_./:,; +]")
_DIGIT = re.compile("[0-9]")
_LETTER = re.compile(r"[^\W\d_]")
_LONGEST_WORD = 15
_PATH = re.compile(r"/|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_BASE64 = re.compile("[A-Za-z0-9+/]+={0,2}")
# Dates, times, versions and short numbers.
_DATE = re.compile(r"[\d\W]{1,11}|(?=\d+\D)[\d:.TZ+ -]{1,32}")
# A part that means nothing on its own: words with a number, a number, a time in milliseconds.
_PLAIN_PART = re.compile(
    # Each word begins with a sign or a capital, so that there is only one way to match.
    r"(?:[A-Z]?[a-z]{2,15}|[A-Z]{2,15})(?:[-_.][A-Z]?[a-z]{2,15}|[A-Z][a-z]{2,15}){0,3}[-_.]?\d{1,3}"
    r"|1\d{12}|\d{1,11}|b64unicode"
)
_URL_PARTS = re.compile("[/!?#&=;:]")
_HAS_PARTS = re.compile(r"[^\w-]|--")
# A random text of one part, of which nothing else is searched for: no hexadecimal number, no date, and too
# short to contain anything that can be read.
_TOKEN = re.compile("(?=[^0-9]*[0-9])(?=[0-9A-FTZa-f_-]*[G-SU-Yg-z])(?!eyJ)[A-Za-z0-9_-]{8,39}")
LIKE_AN_ADDRESS = re.compile("(?=.{0,45}[.:])[0-9A-Fa-f.:]{3,45}")
# The schemes of IANA's registry that are in use, and those of well-known APIs. WebSocket clients put a comma
# after a scheme, forms a plus sign. https://www.iana.org/assignments/http-authschemes/
_SCHEMES = (
    "basic", "bearer", "digest", "dpop", "negotiate", "ntlm", "oauth", "token", "apikey", "api-key", "key",
    "jwt", "hawk", "mac", "ssws", "splunk", "vapid", "hoba", "privatetoken", "aws4-hmac-sha256",
    "scram-sha-1", "scram-sha-256",
)  # fmt: skip
_SCHEME = re.compile(rf"({'|'.join(_SCHEMES)})[\s,+]+(?=\S)", re.IGNORECASE)
# Most values begin with none of these.
_BEGINNINGS_OF_SCHEMES = frozenset(scheme[:3] for scheme in _SCHEMES)
USER_AND_PASSWORD = frozenset({"basic", "apikey"})
# Placeholders are not searched for; roles shared by many only where they are the whole text.
_NOTHING = frozenset(
    {"undefined", "null", "(null)", "none", "true", "false", "default", "unknown", "localhost"}
)
_ROLES = frozenset({"admin", "root", "user", "test", "guest", "anonymous", "nobody", "system"})


def is_token(text: str) -> bool:
    """Return whether a value is a random text without parts, such as most session ids.

    Args:
        text: any.
    """
    return _TOKEN.fullmatch(text) is not None and "--" not in text


def scheme_of(text: str) -> re.Match[str] | None:
    """Return the authentication scheme that a value begins with, None if it begins with none."""
    return _SCHEME.match(text) if text[:3].lower() in _BEGINNINGS_OF_SCHEMES else None


def of_basic_credentials(credential: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield the user and the password of Basic credentials (RFC 7617).

    Args:
        credential: what follows the scheme, in base64.
        bounds: of the request.
    """
    bounds.are_exceeded |= len(credential) > parts.LONGEST
    # Some clients leave out the padding, or have the alphabet for URLs; some servers do not mind.
    raw = parts.bytes_of(credential[: parts.LONGEST])
    if not raw:
        return
    for charset in ("utf-8", "latin-1"):
        user, colon, password = raw.decode(charset, "replace").partition(":")
        yield from of_value(user + colon + password)
        for shown in dict.fromkeys((user, parts.decoded(user))):
            yield from of_person(shown)
        if colon:
            for shown in dict.fromkeys((password, parts.decoded(password))):
                yield from of_value(shown)


def of_person(text: str) -> Iterator[Secret]:
    """Yield what to search for in place of a person's name: the name, its parts, in each reading.

    Args:
        text: a user's name, an e-mail address, an account.
    """
    for shown in (text, *parts.readings(text)):
        yield from _name(shown)
        if "@" in shown or "\\" in shown:
            for account in _accounts(shown[: parts.LONGEST]):
                yield from _name(account)


def _name(text: str) -> Iterator[Secret]:
    """Yield what to search for in place of one reading of a person's name."""
    if LIKE_AN_ADDRESS.fullmatch(text) and is_address(text):
        yield Secret(text, ADDRESS)
        return
    if not text or text in _NOTHING:
        return
    if len(text) > _LONGEST_WORD or "@" in text or _DIGIT.search(text):
        where = _where(text)
        if where is None and len(text) >= SHORT and _LETTER.search(text):
            where = WORD
        if where is not None:
            yield Secret(text, where)
    else:
        where = WORD if len(text) >= SHORT and text.lower() not in _ROLES else WHOLE
        yield Secret(text, where)


def _accounts(text: str) -> Iterator[str]:
    r"""Yield the account of ``CORP\alice``, ``alice@REALM`` and ``alice.liddell@example.com``."""
    account = text.rpartition("\\")[2]
    if account != text:
        yield account
    account, _, domain = account.rpartition("@")
    if text != text.lower() and account:
        yield text.lower()
    # A mailbox that is a short word (info, sales) is not searched for as one; an account of Kerberos is.
    if (domain.isupper() and account.isalnum()) or (
        len(account) > SHORT and (not is_word_list(account) or len(account) >= LONG)
    ):
        yield account


def of_parts(text: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield what to search for in place of a value, with its spellings and its parts."""
    if is_token(text):
        yield Secret(text, ANYWHERE)
        bounds.may_read(len(text))
        return
    if LIKE_AN_ADDRESS.fullmatch(text) and is_address(text):
        yield Secret(text, ADDRESS)
        return
    where = _where(text)
    if where is None:
        return
    yield Secret(text, where)
    if len(text) < LONG or not bounds.may_read(min(len(text), parts.LONGEST)):
        return
    plain = parts.decoded(text) if "%" in text else text
    bounds.are_exceeded |= plain != text and len(text) > parts.LONGEST
    if plain != text:
        for shown in parts.decodings(text):
            yield from of_value(shown)
        where = _where(plain)
    scheme = scheme_of(plain)
    if scheme:
        # FastAPI's tutorial does this in a cookie, others in their own headers.
        plain = plain[scheme.end() :]
        where = _where(plain)
        yield from of_value(plain)
        if scheme[1].lower() in USER_AND_PASSWORD:
            yield from of_basic_credentials(plain, bounds)
    if where is not ANYWHERE:
        # The parts of a word or a date are not secret; those of a URL may be.
        for part in bounds.first(dict.fromkeys(_URL_PARTS.split(plain))) if "/" in plain else ():
            if is_distinctive(part) and looks_random(part):
                yield Secret(part, ANYWHERE)
        return
    for spelled in parts.spellings(plain):
        if spelled != text:
            yield from of_value(spelled)
    yield from _inner(plain, bounds)


def _inner(text: str, bounds: Bounds) -> Iterator[Secret]:
    """Yield the parts of a random value."""
    has_parts = _HAS_PARTS.search(text)
    if len(text) >= READABLE or text[0] in "{[":
        for part in parts.unseparated(text):
            yield from of_value(part)
        for user in parts.ticket_users(text):
            yield from of_person(user)
        for name, member in parts.members(text, bounds):
            if parts.identifies_user(name):
                yield from of_person(member)
            elif parts.is_secret_name(name):
                yield from of_value(member)
            elif is_distinctive(member):
                yield Secret(member, ANYWHERE)
    if not has_parts:
        return
    found = parts.split(text, bounds)
    for part in bounds.first(dict.fromkeys(found)):
        if is_distinctive(part):
            yield Secret(part, ANYWHERE)
            for spelled in parts.spellings(part):
                if spelled != part and len(spelled) >= LONG:
                    yield Secret(spelled, ANYWHERE)


def is_distinctive(text: str) -> bool:
    """Return whether a part of a value is distinctive enough to be searched for by itself."""
    return len(text) >= LONG and _where(text) is ANYWHERE and not _PLAIN_PART.fullmatch(text)


def of_value(text: str) -> Iterator[Secret]:
    """Yield what to search for in place of a value; nothing if it is too common."""
    if LIKE_AN_ADDRESS.fullmatch(text) and is_address(text):
        yield Secret(text, ADDRESS)
        return
    where = _where(text)
    if where is not None:
        yield Secret(text, where)


def _where(text: str) -> Where | None:
    if text in _NOTHING:
        return None
    if (
        ("/" in text and _PATH.match(text) and not _is_base64(text))
        or is_word_list(text)
        or _DATE.fullmatch(text)
    ):
        return WORD if len(text) >= LONG else None
    if len(text) >= LONG:
        return ANYWHERE
    return WORD if len(text) > SHORT and _DIGIT.search(text) and _LETTER.search(text) else None


def _is_base64(text: str) -> bool:
    """Return whether a text that begins like a path is base64 with a slash at the beginning."""
    is_long = len(text) >= 40 and text.count("/") * 24 <= len(text) + 24
    return is_long and bool(_DIGIT.search(text)) and bool(_BASE64.fullmatch(text))


def is_word_list(text: str) -> bool:
    """Return whether a text consists of words only, so that it could be found anywhere."""
    if _DIGIT.search(text):
        return False
    words = _BETWEEN_WORDS.split(text) if len(text) < 1000 else [""]
    return all(len(word) <= _LONGEST_WORD and _WORD.fullmatch(word) for word in words)
