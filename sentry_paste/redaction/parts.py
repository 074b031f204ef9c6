"""The parts of a secret value, and its other spellings: what everyday libraries make of one.

PyJWT decodes a token, itsdangerous and Django split a signed cookie, ``uuid.UUID`` respells an id, mod_ssl
writes a whole certificate's subject into one variable. Each part is then in frames and messages by itself.

Everything here takes one value, of which no more than ``LONGEST`` characters are looked at, and takes time
that grows with them. Nothing is unpickled.
"""

from __future__ import annotations

import binascii
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

#: So much of a value is looked at for its parts.
LONGEST = 16_384
# How much a compressed session may come to, and how many of its members are looked at.
_INFLATED = 16_384
_MEMBERS = 200

# Where the formats of libraries and clients put something between two parts. A dash or an underscore is
# part of base64's URL alphabet; two dashes are what Rails has before a signature.
_SEPARATORS = re.compile(r"[.:;,|!~$&=\s\"'{}\[\]()<>?#\\@]+")
_SLASHED = re.compile(r"[/\\]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_SIGNED = re.compile("[.:]|--")
_PLAIN_BASE64 = re.compile("[A-Za-z0-9+/_-]+={0,2}")
_ENCODED = re.compile("%[0-9A-Fa-f]{2}")
_HEX = re.compile("[0-9A-Fa-f]{16,128}")
_UUID = re.compile(
    r"\{?([0-9A-Fa-f]{8})-?([0-9A-Fa-f]{4})-?([0-9A-Fa-f]{4})-?([0-9A-Fa-f]{4})-?([0-9A-Fa-f]{12})\}?"
)

# beaker.session.SignedCookie: an HMAC of SHA-1, then the id of the session.
_BEAKER = re.compile("([0-9a-f]{40})([0-9a-f]{32,40}|[A-Za-z0-9_-]{22,64})")
# AuthTkt (mod_auth_tkt, paste.auth, pyramid.authentication): digest, time, user!tokens!data.
_TICKET = re.compile("((?:[0-9a-f]{32}){1,4})([0-9a-f]{8})([^!]{1,200})!")
# How long a signature is that comes before its payload (webob.cookies.SignedSerializer), by its hash.
_DIGESTS = (0, 20, 32, 48, 64)

# What a token or a session says of its user, in the words of OpenID Connect Core (section 5.1), RFC 7519,
# Microsoft Entra, Keycloak and the frameworks' sessions.
_IDENTITY = frozenset(
    {"sub", "email", "mail", "preferred_username", "username", "user", "userid", "user_id", "uid", "login"}
    | {"name", "given_name", "family_name", "middle_name", "nickname", "unique_name", "upn", "oid", "puid"}
    | {
        "jti",
        "sid",
        "nonce",
        "phone_number",
        "phone",
        "address",
        "ipaddr",
        "eppn",
        "_auth_user_id",
        "_user_id",
    }
    | {
        "_id",
        "auth.userid",
        "account",
        "account_id",
        "customer",
        "customer_id",
        "employeeid",
        "samaccountname",
    }
)
# The same in every user's token.
_COMMON = frozenset(
    {
        "iss",
        "aud",
        "azp",
        "appid",
        "client_id",
        "alg",
        "typ",
        "kid",
        "tid",
        "ver",
        "scope",
        "scp",
        "acr",
        "amr",
    }
    | {"_auth_user_backend"}
)

# Of a distinguished name (RFC 4514, and OpenSSL's names): what is a person's, not an organisation's.
_PERSONAL_RDN = re.compile(
    r"(?:^|[,/;+\s\"])(cn|commonname|uid|userid|e|email|emailaddress|mail|sn|surname|gn|givenname|upn|serialnumber"
    r"|oid\.1\.2\.840\.113549\.1\.9\.1|1\.2\.840\.113549\.1\.9\.1)\s?=\s?"
    r"([^,/+;=\"\\]{1,200}(?:\\.[^,/+;=\"\\]{0,200}){0,8})",
    re.IGNORECASE,
)
# Envoy's X-Forwarded-Client-Cert: what it says of the client, but for the subject.
_CLIENT_CERT = re.compile(r"(?:^|[;,])\s?(hash|uri|dns)=\"?([^;,\"]{1,2000})", re.IGNORECASE)

Leaf = tuple[str, str]
_Member = tuple[str, Any]


def decoded(text: str) -> str:
    """Return a value without percent-encoding, also where it was encoded twice.

    Args:
        text: any.
    """
    for _ in range(2):
        if "%" not in text or not _ENCODED.search(text):
            break
        text = unquote(text[:LONGEST])
    return text


def spellings(text: str) -> Iterator[str]:
    """Yield how else a value can be written: UUIDs, hexadecimal numbers, e-mail addresses, plain numbers.

    Args:
        text: any.
    """
    if len(text) > 256:
        return
    uuid = _UUID.fullmatch(text) if 32 <= len(text) <= 38 else None
    if uuid:
        for spelled in ("-".join(uuid.groups()), "".join(uuid.groups())):
            yield spelled.lower()
            yield spelled.upper()
    elif text.isdigit():
        if text[0] == "0":
            yield text.lstrip("0")
    elif _HEX.fullmatch(text):
        yield text.lower()
        yield text.upper()
    elif "@" in text:
        yield text.lower()


def split(text: str) -> list[str]:
    """Return what stands between the separators of a value; nothing of one that has none.

    Args:
        text: any.
    """
    found: list[str] = []
    for part in _SEPARATORS.split(text[:LONGEST]):
        # A slash is also a letter of base64.
        if "/" in part and not _BASE64.fullmatch(part):
            found += _SLASHED.split(part)
        elif part:
            found.append(part)
            # Two dashes part a signature from what is signed, or are in it.
            found += part.split("--") if "--" in part else ()
    return found if len(found) > 1 or found[:1] != [text] else []


def glued(text: str) -> Iterator[str]:
    """Yield the parts of a signed value that has nothing between them.

    Args:
        text: any.
    """
    signed = _BEAKER.fullmatch(text) if 62 <= len(text) <= 104 else None
    if signed:
        yield from signed.groups()


def ticket_users(text: str) -> Iterator[str]:
    """Yield who an AuthTkt cookie is of, as it says it and decoded.

    Args:
        text: the cookie, also in base64.
    """
    if len(text) < 42:  # digest, time and a name
        return
    if "!" not in text:
        text = _bytes_of(text[:2000]).decode("latin-1") if _BASE64.fullmatch(text[:2000]) else ""
    found = _TICKET.match(text)
    if found:
        yield found[3]
        yield unquote(found[3])
        # pyramid.authentication writes "userid_type:b64unicode" behind it.
        if "b64" in text and _is_base64(found[3]):
            yield _bytes_of(found[3]).decode("utf-8", "replace")


def members(text: str) -> Iterator[Leaf]:
    """Yield names and texts of what a token or a signed session holds, where it can be read.

    Args:
        text: a JWT (RFC 7519), what itsdangerous, Flask, Django's ``signing.dumps``, Rails and
            ``webob.cookies`` make, or JSON.
    """
    text = text[:LONGEST]
    if text[:1] in ("{", "["):
        payload = text.encode("utf-8", "replace")
        yield from _leaves(_json_of(payload))
        return
    is_packed = text[:1] == "."
    pieces = _SIGNED.split(text.lstrip("."), maxsplit=6)
    if len(pieces) == 1 and len(text) < 40 and not text.startswith("eyJ"):
        return
    # The header of a JWT says nothing of anybody.
    payload_at = (
        1 if len(pieces) > 2 and text.startswith("eyJ") and "." in text and len(pieces[1]) > 20 else 0
    )
    for piece in dict.fromkeys((pieces[payload_at], pieces[0])):
        if len(piece) < 8 or not _is_base64(piece):
            continue
        raw = _bytes_of(piece)
        if is_packed:
            raw = _inflated(raw)
        for length in _DIGESTS:
            if raw[length : length + 1] in (b"{", b"["):
                yield from _leaves(_json_of(raw[length:]))
                return


def subject_of(text: str) -> Iterator[str]:
    """Yield what the subject of a certificate says of a person.

    Args:
        text: a distinguished name, as in RFC 4514 or with OpenSSL's slashes; or Envoy's header with one.
    """
    text = text[:LONGEST]
    for found in _PERSONAL_RDN.finditer(text):
        yield re.sub(r"\\(.)", r"\1", found[2]).strip()
    if "=" in text and ";" in text:
        for found in _CLIENT_CERT.finditer(text):
            yield found[2].strip()


def _is_base64(text: str) -> bool:
    return text[:8].isascii() and bool(_PLAIN_BASE64.fullmatch(text))


def _bytes_of(text: str) -> bytes:
    standard = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(standard + "=" * (-len(standard) % 4))
    except (binascii.Error, ValueError):
        return b""


def _inflated(raw: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(raw, _INFLATED)
    except zlib.error:
        return b""


def _json_of(raw: bytes) -> Any:
    # A number stays the text that it is: to read a long one takes time that grows with its square. What a
    # signature was glued behind, or what was cut, is not read.
    try:
        return json.loads(raw.decode("utf-8"), parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None


def _leaves(found: Any) -> Iterator[Leaf]:
    stack: list[_Member] = [("", found)]
    for _ in range(_MEMBERS):
        if not stack:
            return
        name, node = stack.pop()
        inner: list[_Member] | None = None
        if isinstance(node, dict):
            inner = [(key.lower(), value) for key, value in list(node.items())[:_MEMBERS]]
        elif isinstance(node, list):
            inner = [(name, value) for value in node[:_MEMBERS]]
        elif isinstance(node, str) and name not in _COMMON:
            yield name, node
        if inner:
            stack += inner


def tells_who(name: str) -> bool:
    """Tell whether a member of a token or a session is who somebody is.

    Args:
        name: in lower case.
    """
    return name in _IDENTITY
