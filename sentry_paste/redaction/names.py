"""Which names say that what they stand for is secret: headers, parameters, keys of the environ, other keys.

A name is looked at in one spelling, lower case with underscores, so that
``X-Api-Key``, ``HTTP_X_API_KEY`` and ``xApiKey`` are one.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import unquote_plus

from sentry_sdk.scrubber import DEFAULT_DENYLIST, DEFAULT_PII_DENYLIST

FILTERED = "[Filtered]"

Value = TypeVar("Value")

# In any name, wherever in it they stand.
_SECRET = re.compile(
    "passw|pwd|passphrase|secret|token|csrf|xsrf|jwt|bearer|credential|cookie|signature|oidc|saml"
    "|(?:api|private|access|auth|client|master|signing|encryption)_?key|session_?id|authoriz|authentic"
)
# In the name of a local variable there are fewer: a parser's ``tokens`` are no secrets.
_SECRET_VARIABLE = re.compile("passw|secret|(?:api|private|access)_?key|credential|authorization")

# In the names of headers and parameters, as words.
_SECRET_WORDS = frozenset(
    {"key", "auth", "oauth", "session", "sid", "sso", "sig", "hmac", "otp", "pin", "pass", "pw", "dpop"}
)
_NO_KEYS = frozenset({"monkey", "turkey", "donkey", "hockey", "jockey", "whiskey"})

# In the names of headers, as words: addresses, and who somebody is.
_ADDRESS_WORDS = frozenset(
    {"ip", "addr", "address", "clientip", "realip", "ipv4", "ipv6", "socketip", "forwarded", "remote"}
)
_PERSON_WORDS = frozenset(
    {"user", "userid", "username", "login", "email", "mail", "principal", "identity", "subject", "person"}
    | {"eppn", "uid", "dn", "cn", "cert", "certificate"}
)
# "from" is somebody's address (RFC 9110 section 10.1.2); "via" is in a list of the SDK's.
_PERSONAL_HEADERS = frozenset({"from", "via", "x_envoy_external_address"})

# These say no more than how the client asks, and which URL it asked a proxy for.
_ORDINARY_HEADERS = frozenset(
    {"user_agent", "x_user_agent", "sec_fetch_user", "x_forwarded_proto", "x_forwarded_host"}
    | {"x_forwarded_port", "x_forwarded_prefix", "x_forwarded_scheme", "x_forwarded_path", "x_forwarded_uri"}
    | {"x_forwarded_method", "x_forwarded_server", "x_forwarded_ssl", "x_forwarded_protocol"}
)

#: Where the filter puts who is signed in, when a framework tells that before it is in the environ.
NOTED_USER = "sentry_paste.user"

#: Keys of the environ that hold who the user is, and which the app's frameworks set while they work.
USER_KEYS = frozenset(
    {"REMOTE_USER", "REMOTE_IDENT", "REDIRECT_REMOTE_USER", "AUTH_USER", "LOGON_USER", "GSS_NAME"}
    | {"REMOTE_USER_TOKENS", "REMOTE_USER_DATA", "repoze.who.identity", "repoze.what.credentials"}
    | {NOTED_USER}
)
_SECRET_ENVIRON = USER_KEYS | {
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "AUTH_PASSWORD",
    "webob._parsed_cookies",
    "keystone.token_info",
    "keystone.token_auth",
}
_SECRET_PREFIXES = ("SSL_CLIENT_", "OIDC_", "AUTHENTICATE_", "REDIRECT_SSL_CLIENT_")
# The last part of names such as beaker.session and zope.user.
_SECRET_LAST_PARTS = frozenset(
    {"session", "user", "cookies", "identity", "userid", "username", "login", "credentials", "userdata"}
)

# What holds a query string, alone or at the end of a URL.
_WITH_PARAMETERS = frozenset(
    {"QUERY_STRING", "REQUEST_URI", "RAW_URI", "REDIRECT_QUERY_STRING", "REDIRECT_URL", "HTTP_REFERER"}
    | {"Referer", "query_string", "http.query", "url.query", "url.full", "http.url", "url"}
    | {"http.request.header.referer"}
)

_HEADER_PREFIXES = ("HTTP_", "http.request.header.", "http.response.header.")

# How many names are remembered with what they say.
_REMEMBERED = 4096
_LONGEST_NAME = 100

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORD = re.compile(r"[^a-z0-9]+")
_NO_GLOB = re.compile(r"[^a-z0-9*?\[\]!]+")


class Rule(IntEnum):
    """What is to become of the value of a key."""

    KEEP = 0
    #: It may be a secret, unless the value is one that cannot be.
    LIKELY = 1
    SECRET = 2
    PARAMETERS = 3
    TYPE_ONLY = 4


def normal(name: str) -> str:
    """Return a name in the spelling in which names are compared.

    Args:
        name: ``X-Api-Key``, ``HTTP_X_API_KEY``, ``apiKey``.
    """
    for prefix in _HEADER_PREFIXES:
        if name.startswith(prefix):
            name = name[len(prefix) :]
            break
    return _NO_WORD.sub("_", _HUMP.sub("_", name).lower())


def _normal_glob(glob: str) -> str:
    """Return a glob in that spelling; its wildcards stay."""
    return _NO_GLOB.sub("_", _HUMP.sub("_", glob).lower())


class Names:
    """The names that an ini holds to be secret.

    Args:
        headers: names or globs of headers, beside the usual ones.
        parameters: names or globs of query parameters and form fields, beside the usual ones.
        environ: names or globs of the environ's keys, beside the usual ones.
        kept_headers: names or globs of headers that are not secret, whatever else says so.
    """

    def __init__(
        self,
        headers: Sequence[str] = (),
        parameters: Sequence[str] = (),
        environ: Sequence[str] = (),
        kept_headers: Sequence[str] = (),
    ) -> None:
        self._headers = _globs(map(_normal_glob, headers))
        self._kept_headers = _globs(map(_normal_glob, kept_headers))
        self._parameters = _globs(map(_normal_glob, parameters))
        self._environ = _globs(environ)
        self._exact = frozenset(normal(name) for name in (*DEFAULT_DENYLIST, *DEFAULT_PII_DENYLIST))
        self.is_own_environ = self._environ.match
        #: Whether the ini names keys of the environ.
        self.has_own_environ = bool(environ)
        self.key_rule = _remembering(self._key_rule)
        self.is_parameter = _remembering(self._is_parameter)
        self.is_header = _remembering(self._is_header)
        self.is_environ = _remembering(self._is_environ)
        self.is_personal_header = _remembering(_is_personal_header)
        #: Names that are known to be of no secrets: whether all of a mapping's are is one question.
        self.plain_keys: set[Any] = set()
        self.plain_variables: set[Any] = set()
        self._of_keys: dict[tuple[Any, ...], list[str]] = {}

    def deny(self, names: Iterable[str]) -> None:
        """Add exact names: those of the SDK's ``event_scrubber``, which then hold at any depth.

        Args:
            names: of keys.
        """
        self._exact |= {normal(name) for name in names}
        self.key_rule = _remembering(self._key_rule)
        self.is_parameter = _remembering(self._is_parameter)
        self.is_header = _remembering(self._is_header)
        self.is_environ = _remembering(self._is_environ)
        self.plain_keys.clear()
        self._of_keys.clear()

    def _is_header(self, name: str) -> bool:
        """Tell whether a header is secret, in any spelling."""
        name = normal(name)
        if self._kept_headers.match(name):
            return False
        if self._headers.match(name) or name in self._exact or name in _PERSONAL_HEADERS:
            return True
        if name in _ORDINARY_HEADERS:
            return False
        words = set(name.split("_"))
        return _says_secret(name, words) or bool(words & (_ADDRESS_WORDS | _PERSON_WORDS))

    def tells_addresses(self, key: str) -> bool:
        """Tell whether a secret key of the environ is one for addresses.

        Args:
            key: as the environ has it.
        """
        return key == "REMOTE_ADDR" or _has_words_of_addresses(key)

    def _is_parameter(self, name: str) -> bool:
        """Tell whether a parameter of a query or a form is secret; decoded or percent-encoded."""
        name = normal(unquote_plus(name))
        return (
            bool(self._parameters.match(name))
            or name in self._exact
            or _says_secret(name, set(name.split("_")))
        )

    def _is_environ(self, key: str) -> bool:
        """Tell whether a key of the environ is secret."""
        if key.startswith("HTTP_"):
            return self.is_header(key) or bool(self._environ.match(key))
        return (
            key in _SECRET_ENVIRON
            or key.startswith(_SECRET_PREFIXES)
            or ("." in key and key.rpartition(".")[2] in _SECRET_LAST_PARTS)
            or bool(self._environ.match(key))
        )

    def has_parameters(self, key: str) -> bool:
        """Tell whether what stands under a key is a query string or a URL.

        Args:
            key: of an environ, a span's data and so on.
        """
        return key in _WITH_PARAMETERS

    def secret_keys(self, mapping: Collection[Any]) -> list[str]:
        """Return those keys of a mapping whose values are not to be kept as they are.

        Args:
            mapping: any.
        """
        # An environ has the same keys in frame after frame, some of them secret.
        keys = tuple(mapping)
        found = self._of_keys.get(keys)
        if found is None:
            found = _unknown(mapping, self.plain_keys, self.key_rule)
            if len(self._of_keys) > _REMEMBERED // 16:
                self._of_keys.clear()
            if sum(map(len, map(str, keys))) < _LONGEST_NAME * 10:
                self._of_keys[keys] = found
        return found

    def secret_variables(self, variables: Collection[Any]) -> list[str]:
        """Return those names of local variables that are secret.

        Args:
            variables: of a frame.
        """
        return _unknown(variables, self.plain_variables, self._is_variable)

    def _key_rule(self, key: str) -> Rule:
        """Return what is to become of the value of a key, in whatever mapping it stands."""
        if key == "wsgi.input":
            return Rule.TYPE_ONLY
        name = normal(key)
        if key.startswith(_HEADER_PREFIXES) or ("-" in key and _reads_as_header(key)):
            secret = self.is_header(key)
            if secret or self._kept_headers.match(name):
                return Rule.SECRET if secret else Rule.KEEP
        if self.is_environ(key) or name in self._exact or self._parameters.match(name):
            return Rule.SECRET
        if key in _WITH_PARAMETERS:
            return Rule.PARAMETERS
        return Rule.LIKELY if _SECRET.search(name) else Rule.KEEP

    def _is_variable(self, name: str) -> bool:
        """Tell whether a local variable is secret by its name."""
        name = normal(name)
        return bool(_SECRET_VARIABLE.search(name) or self._parameters.match(name))


def _unknown(mapping: Collection[Any], plain: set[Any], rule: Callable[[str], Any]) -> list[str]:
    """Return the names that a rule is about, and note the others."""
    found = {name for name in mapping if name not in plain and type(name) is str and rule(name)}
    if len(plain) > _REMEMBERED:  # what clients make up must not be remembered for ever
        plain.clear()
    plain.update(name for name in mapping if name not in found and len(str(name)) <= _LONGEST_NAME)
    return [name for name in mapping if name in found]


def _is_personal_header(name: str) -> bool:
    """Tell whether a secret header holds names or addresses, and no random text."""
    name = normal(name)
    words = set(name.split("_"))
    return name in _PERSONAL_HEADERS or bool(words & (_ADDRESS_WORDS | _PERSON_WORDS))


@lru_cache(maxsize=256)
def _has_words_of_addresses(key: str) -> bool:
    words = set(normal(key).split("_"))
    return bool(words & {"forwarded", "ip", "addr", "address"}) and not words & _PERSON_WORDS


def _reads_as_header(key: str) -> bool:
    """Tell whether a key with a dash is spelled as a header's name, and not as a setting's."""
    return key[:1].isupper() or key.lower().startswith(("x-", "cf-", "sec-", "proxy-", "set-", "true-"))


def _remembering(function: Callable[[str], Value]) -> Callable[[str], Value]:
    """Return a function of a name that remembers what it said, of names that are not too long to keep."""
    remembered = lru_cache(maxsize=_REMEMBERED)(function)
    return lambda name: remembered(name) if len(name) <= _LONGEST_NAME else function(name)


def _says_secret(name: str, words: set[str]) -> bool:
    return bool(_SECRET.search(name) or words & _SECRET_WORDS) or any(
        (word.endswith("key") and word not in _NO_KEYS) or word.startswith("session") for word in words
    )


def _globs(globs: Iterable[str]) -> re.Pattern[str]:
    # Of no globs at all, what matches nothing.
    return re.compile("|".join(map(fnmatch.translate, globs)) or "(?!)")
