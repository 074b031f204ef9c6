"""The parts of a secret value and its other spellings, as common libraries produce them.

PyJWT decodes a token, itsdangerous and Django split a signed cookie, ``uuid.UUID`` normalises an id, mod_ssl
puts the whole subject of a certificate into one variable. Each part can then appear alone in frames and
messages.

Every function takes one value, looks at no more than ``LONGEST`` characters of it and takes time linear in
their number. Where more could be secret, the bounds of the request are marked as exceeded. Nothing is
unpickled.
"""

from __future__ import annotations

import binascii
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from sentry_paste.redaction.bounds import Bounds

#: How much of a value is searched for parts. Servers accept headers of 8 KB, browsers cookies of 4 KB.
LONGEST = 16_384
# The most that a compressed session may inflate to: ten times the longest cookie.
_INFLATED = 40_000
# How many of the groups and roles in a token are used: more ids than fit into a header of 8 KB.
# Beyond that, only groups that contain a person's address are.
_GROUPS = 150

# What libraries and clients put between parts. A dash or an underscore belongs to base64's URL alphabet; two
# dashes are what Rails puts before a signature.
_SEPARATORS = re.compile(r"[.:;,|!~$&=\s\"'{}\[\]()<>?#\\@]+")
_SLASHED = re.compile(r"[/\\]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_SIGNED = re.compile("[.:]")
_PLAIN_BASE64 = re.compile("[A-Za-z0-9+/_-]+={0,2}")
_ENCODED = re.compile("%[0-9A-Fa-f]{2}")
_HEX = re.compile("[0-9A-Fa-f]{16,128}")
_UUID = re.compile(
    r"\{?([0-9A-Fa-f]{8})-?([0-9A-Fa-f]{4})-?([0-9A-Fa-f]{4})-?([0-9A-Fa-f]{4})-?([0-9A-Fa-f]{12})\}?"
)

# beaker.session.SignedCookie: an HMAC of SHA-1, then the id of the session.
_BEAKER = re.compile("([0-9a-f]{40})([0-9a-f]{32,40}|[A-Za-z0-9_-]{22,64})")
# The beginning of JSON, as opposed to a signature that happens to contain a bracket.
_OPENING = re.compile(rb"\{[\s\"}]|\[[\s\[{\"\d\]tfn-]")
# AuthTkt (mod_auth_tkt, paste.auth, pyramid.authentication): digest, time, user!tokens!data.
_TICKET = re.compile("((?:[0-9a-f]{32}){1,4})([0-9a-f]{8})([^!]{1,1000})!")
# Length of a signature that precedes its payload (webob.cookies.SignedSerializer), by hash.
_DIGESTS = (0, 20, 32, 48, 64)

# Claims that identify the user of a token or a session, as named by OpenID Connect Core (section 5.1), RFC
# 7519, Microsoft Entra, Keycloak and the sessions of frameworks.
_IDENTITY = frozenset(
    {"sub", "email", "mail", "preferred_username", "username", "user", "userid", "user_id", "uid", "login"}
    | {"emailaddress", "nameidentifier", "objectidentifier", "surname", "givenname"}
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
# Claims that are the same in every user's token.
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

# Always secret, even if the value is a plain word.
_SECRET = re.compile("passw|pwd|passphrase|secret|token|credential")

# Permissions say little about who somebody is: Entra lists 200 groups by their ids, Keycloak all roles.
_MEMBERSHIPS = frozenset(
    {"group", "groups", "groupsid", "role", "roles", "wids", "memberof", "ismemberof", "authorities"}
    | {"permission", "permissions", "scope", "scopes", "scp", "entitlement", "entitlements", "amr", "aud"}
)

# The attributes of a distinguished name (RFC 4514, OpenSSL's names) that describe a person, not an
# organisation.
_PERSONAL = (
    r"(?:cn|commonname|uid|userid|e|email|emailaddress|mail|sn|surname|gn|givenname|upn|serialnumber"
    r"|(?:oid\.)?1\.2\.840\.113549\.1\.9\.1)\s?=\s?"
)
# The pattern consumes the closing quote of a quoted value (RFC 2253), so that nothing is scanned twice.
_PERSONAL_RDN = re.compile(
    rf"(?:^|[,/;+\s\"]){_PERSONAL}(?:\"([^\"\\]*(?:\\.[^\"\\]*)*)\"|([^,/+;=\"\\]*(?:\\.[^,/+;=\"\\]*)*))",
    re.IGNORECASE,
)
# In the form with slashes, a comma belongs to the value.
_SLASHED_RDN = re.compile(rf"/{_PERSONAL}([^/]+)", re.IGNORECASE)
# An escaped byte as nginx and RFC 4514 write it, or as mod_ssl does; or an escaped separator.
_ESCAPED = re.compile(r"\\(?:x?([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_ESCAPED_BYTE = re.compile(r"\\x([0-9A-Fa-f]{2})")
# Envoy's X-Forwarded-Client-Cert, except for the subject.
_CLIENT_CERT = re.compile(r"(?:^|[;,])\s?(hash|uri|dns)=\"?([^;,\"]+)", re.IGNORECASE)

# An encoded word (RFC 2047), and a value with its character set (RFC 8187).
_ENCODED_WORD = re.compile(
    r"=\?([\w.:-]{1,40})(?:\*[\w-]{1,20})?\?([bq])\?([^?\s]*)\?=(?:\s+(?==\?))?", re.IGNORECASE
)
_QUOTED_BYTE = re.compile("=([0-9A-Fa-f]{2})")
_EXTENDED = re.compile(r"(utf-8|iso-8859-\d{1,2}|us-ascii|windows-1252)'[\w-]{0,20}'(\S*)", re.IGNORECASE)
# The client must not choose the codec: some are slow.
_CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "windows-1252": "cp1252", "cp1252": "cp1252"}

Leaf = tuple[str, str]
_Member = tuple[str, Any]


def decoded(text: str) -> str:
    """Return a value without percent-encoding, also where it was encoded twice.

    Args:
        text: any.
    """
    return _unquoted(_unquoted(text))


def decodings(text: str) -> Iterator[str]:
    """Yield a value without percent-encoding, in each way that it may have been encoded.

    A value of its own with a percent sign looks as if it had been encoded twice; what follows the sign need
    not be UTF-8.

    Args:
        text: any.
    """
    once = _unquoted(text)
    yield once
    twice = _unquoted(once)
    if twice != once:
        yield twice
        if "\ufffd" in twice:
            yield _unquoted(once, "latin-1")


def _unquoted(text: str, charset: str = "utf-8") -> str:
    return unquote(text[:LONGEST], charset) if "%" in text and _ENCODED.search(text) else text


def spellings(text: str) -> Iterator[str]:
    """Yield other ways to write a value: UUIDs, hexadecimal numbers, e-mail addresses, plain numbers.

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


def readings(text: str) -> Iterator[str]:
    """Yield the decoded forms of a person's name (RFC 2047, RFC 8187, mod_ssl's escaped bytes).

    Args:
        text: any; at most ``LONGEST`` characters are read.
    """
    text = text[:LONGEST]
    if "=?" in text:
        plain = _ENCODED_WORD.sub(_decoded_word, text)
        if plain != text:
            yield plain
    extended = _EXTENDED.fullmatch(text) if "'" in text else None
    if extended:
        yield unquote(extended[2], _charset(extended[1]))
    if "\\x" in text:
        yield from _without_nulls(_ESCAPED_BYTE.sub(lambda found: chr(int(found[1], 16)), text))


def split(text: str, bounds: Bounds) -> list[str]:
    """Return the parts of a value between its separators; nothing if it has none.

    Args:
        text: any.
        bounds: marked as exceeded if there are parts that were not looked at.
    """
    if len(text) > LONGEST and _SEPARATORS.search(text.rstrip("="), LONGEST):
        bounds.are_exceeded = True
    found: list[str] = []
    for part in _SEPARATORS.split(text[:LONGEST]):
        # A slash is also part of base64's alphabet.
        if "/" in part and not _BASE64.fullmatch(part):
            found += _SLASHED.split(part)
        elif part:
            found.append(part)
            # Two dashes separate a signature from its payload, or occur in it by chance.
            found += part.split("--") if "--" in part else ()
    return found if len(found) > 1 or found[:1] != [text] else []


def unseparated(text: str) -> Iterator[str]:
    """Yield the parts of a signed value that are joined without a separator.

    Args:
        text: any.
    """
    signed = _BEAKER.fullmatch(text) if 62 <= len(text) <= 104 else None
    if signed:
        yield from signed.groups()


def ticket_users(text: str) -> Iterator[str]:
    """Yield the user of an AuthTkt cookie, as written and decoded.

    Args:
        text: the cookie, also in base64.
    """
    if len(text) < 42:  # digest, time and a name
        return
    if "!" not in text:
        text = bytes_of(text[:2000]).decode("latin-1") if _BASE64.fullmatch(text[:2000]) else ""
    found = _TICKET.match(text)
    if found:
        yield found[3]
        yield unquote(found[3])
        # pyramid.authentication appends "userid_type:b64unicode".
        if "b64" in text and _is_base64(found[3]):
            yield bytes_of(found[3]).decode("utf-8", "replace")


def members(text: str, bounds: Bounds) -> Iterator[Leaf]:
    """Yield names and texts of the members of a token or a signed session, where they can be read.

    Args:
        text: a JWT (RFC 7519), JSON, or the output of itsdangerous, Flask, Django's ``signing.dumps``, Rails
            or ``webob.cookies``.
        bounds: marked as exceeded if there is more than is looked at.
    """
    is_cut = len(text) > LONGEST
    text = text[:LONGEST]
    if text[:1] in ("{", "["):
        payload = text.encode("utf-8", "replace")
        yield from _leaves(_json_of(payload, is_cut, bounds), bounds)
        return
    is_packed = text[:1] == "."
    pieces = _SIGNED.split(text.lstrip("."), maxsplit=6)
    if len(pieces) == 1:
        # Rails puts two dashes before a signature; elsewhere they belong to the payload.
        pieces = text.rsplit("--", 1)
    if len(pieces) == 1 and len(text) < 40 and not text.startswith("eyJ"):
        return
    # The header of a JWT does not identify anybody.
    payload_at = (
        1 if len(pieces) > 2 and text.startswith("eyJ") and "." in text and len(pieces[1]) > 20 else 0
    )
    if is_cut and len(pieces) < 3 and text.startswith("eyJ"):
        payload_at = len(pieces) - 1
    for piece in dict.fromkeys((pieces[payload_at], pieces[0])):
        if len(piece) < 8 or not _is_base64(piece):
            continue
        raw = bytes_of(piece)
        if is_packed:
            raw = _inflated(raw, is_cut, bounds)
        for length in _DIGESTS:
            if _OPENING.match(raw, length):
                found = _json_of(raw[length:], is_cut, bounds)
                if found is not None:
                    yield from _leaves(found, bounds)
                    return


def subject_of(text: str, bounds: Bounds) -> Iterator[str]:
    """Yield what the subject of a certificate reveals about a person.

    Args:
        text: a distinguished name, as in RFC 4514 or with OpenSSL's slashes; or Envoy's header with one.
        bounds: marked as exceeded if the text is longer than what is looked at.
    """
    bounds.are_exceeded |= len(text) > LONGEST
    text = text[:LONGEST]
    # Envoy's header nests a quoted value in a quoted one.
    for shown in dict.fromkeys((text, text.replace('\\"', '"'))):
        for found in _PERSONAL_RDN.finditer(shown):
            yield from _unescaped(found[1] or found[2] or "")
    if text[:1] == "/":
        for found in _SLASHED_RDN.finditer(text):
            yield from _unescaped(found[1])
    if "=" in text and ";" in text:
        for found in _CLIENT_CERT.finditer(text):
            yield found[2].strip()


def bytes_of(text: str) -> bytes:
    """Return the bytes encoded in base64, in either alphabet, padded or not; nothing if it is not base64.

    Args:
        text: any.
    """
    standard = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(standard + "=" * (-len(standard) % 4))
    except (binascii.Error, ValueError):
        return b""


def _unescaped(text: str) -> Iterator[str]:
    # Bytes become characters as everywhere in an environ (PEP 3333).
    plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text).strip()
    if plain:
        yield from _without_nulls(plain)


def _without_nulls(text: str) -> Iterator[str]:
    """Yield a text, and the text without NULs in case its characters had two bytes each (a BMPString)."""
    yield text
    if "\0" in text:
        yield text.replace("\0", "")


def _decoded_word(found: re.Match[str]) -> str:
    if found[2] in "bB":
        raw = bytes_of(found[3])
    else:
        plain = _QUOTED_BYTE.sub(lambda byte: chr(int(byte[1], 16)), found[3].replace("_", " "))
        raw = plain.encode("latin-1", "replace")
    return raw.decode(_charset(found[1]), "replace")


def _charset(name: str) -> str:
    return _CHARSETS.get(name.lower(), "latin-1")


def _is_base64(text: str) -> bool:
    return text[:8].isascii() and bool(_PLAIN_BASE64.fullmatch(text))


def _inflated(raw: bytes, is_cut: bool, bounds: Bounds) -> bytes:
    try:
        packed = zlib.decompressobj()
        found = packed.decompress(raw, _INFLATED)
    except zlib.error:
        return b""
    bounds.are_exceeded |= is_cut or len(found) >= _INFLATED
    return found if bounds.may_read(len(found)) else b""


def _json_of(raw: bytes, is_cut: bool, bounds: Bounds) -> Any:
    # Numbers stay text: parsing a long one takes quadratic time. Whatever follows the JSON, such as a
    # signature, is not read.
    try:
        return json.loads(raw.decode("utf-8"), parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:
        bounds.are_exceeded |= is_cut
    except RecursionError:
        bounds.are_exceeded = True
    return None


def _leaves(found: Any, bounds: Bounds) -> Iterator[Leaf]:
    stack: list[_Member] = [("", found)]
    while stack and bounds.step():
        name, node = stack.pop()
        if isinstance(node, dict):
            named = [(key.lower(), value) for key, value in node.items()]
            if isinstance(node.get("typ"), str) and "val" in node:
                # A claim in the X-MS-CLIENT-PRINCIPAL header of Azure App Service.
                named.append((node["typ"].lower(), node["val"]))
        elif isinstance(node, list):
            named = [(name, value) for value in node]
            if len(node) > _GROUPS and _without_namespace(name) in _MEMBERSHIPS:
                named = [one for at, one in enumerate(named) if at < _GROUPS or _is_personal(one[1])]
        else:
            if isinstance(node, str) and name not in _COMMON:
                yield name, node
            continue
        stack += [one for one in named if isinstance(one[1], (str, dict, list))]


def _is_personal(group: Any) -> bool:
    """Return whether a group in a long list may identify a person: alice@example.com, CN=alice."""
    return not isinstance(group, str) or "@" in group or "=" in group


def _without_namespace(name: str) -> str:
    """Return a claim's name without its namespace: a URL, or a prefix as Amazon Cognito adds it."""
    return re.split("[/:]", name)[-1] if "/" in name or ":" in name else name


def identifies_user(name: str) -> bool:
    """Return whether a member of a token or a session identifies its user.

    Args:
        name: in lower case.
    """
    return name in _IDENTITY or _without_namespace(name) in _IDENTITY


def is_secret_name(name: str) -> bool:
    """Return whether a member of a token or a session is a password or a token.

    Args:
        name: in lower case.
    """
    return bool(_SECRET.search(name))
