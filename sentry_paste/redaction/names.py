"""Which names mark their values as secret: headers, parameters, keys of the environ, other keys.

Names are compared in one normalised spelling, lower case with underscores, so that
``X-Api-Key``, ``HTTP_X_API_KEY`` and ``xApiKey`` are the same name. A name of more than
200 characters is always secret.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import IntEnum
from functools import lru_cache, partial
from typing import Any, TypeVar
from urllib.parse import unquote_plus

from sentry_paste.redaction.appearance import looks_secret
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.sdk import DEFAULT_DENYLIST, DEFAULT_PII_DENYLIST

FILTERED = "[Filtered]"

Value = TypeVar("Value")

# Anywhere in any name.
_SECRET = re.compile(
    "passw|pwd|passphrase|passcode|secret|token|csrf|xsrf|jwt|bearer|credential|cookie|signature|oidc|saml"
    "|(?:api|private|access|auth|client|master|signing|encryption|session|account|subscription|consumer|shared|ssh|pass)"
    "_?key|sess(?:ion)?_?id|authoriz|authentic|(?:^|_)creds?(?:$|_)"
)
# Local variables have fewer such words: a parser's ``tokens`` are not secrets.
_SECRET_VARIABLE = re.compile("passw|secret|(?:api|private|access)_?key|credential|authorization")

# As whole words in the names of headers and parameters.
_SECRET_WORDS = frozenset(
    {"key", "auth", "oauth", "session", "sid", "sso", "sig", "hmac", "otp", "pin", "pass", "pw", "dpop"}
    | {"totp", "mfa", "cvv", "cvc", "cvv2", "sess", "assertion"}
)
# As whole words in headers only: a ticket number is an ordinary parameter.
_SECRET_WORDS_OF_HEADERS = _SECRET_WORDS | {"ticket", "crumb", "nonce"}
# At the beginning or the end of a word.
_SECRET_PART = re.compile(
    r"(?:\A|_)(?:session|(?!(?:mon|tur|don|hoc|joc|whis)key(?:_|\Z))[a-z0-9]*key(?:_|\Z))"
)

# Codes that prove an identity. Forms also have a country_code, and mappings of all kinds a code.
_SECRET_CODE = re.compile(
    "(?:^|_)(?:auth|authorization|device|user|access|login|reset|recovery|verification|verify|confirmation|activation"
    "|security|backup|invite|invitation|sms|otp|mfa|pin|scratch|one_time|two_factor|2fa)_?codes?$"
)
_CODES = frozenset({"code", "ticket", "assertion", "client_assertion", "nonce"})
# As keys of mappings: numbers under them are secret as well as texts.
_SHORT_SECRETS = frozenset(
    {"pin", "otp", "totp", "mfa", "pass", "cvv", "cvc", "cvv2", "card_cvv", "card_cvc", "passcode"}
    | {"user_pin", "card_pin", "new_pin", "old_pin", "pin_number", "user_pass", "db_pass", "smtp_pass"}
    | {"auth_pass", "http_pass", "ftp_pass", "login_pass", "userpass", "dbpass"}
    | {"pw", "user_pw", "db_pw", "bind_pw", "root_pw", "bindpw", "rootpw"}
)
# As keys of mappings: secret if they look random. A state may be "open", a code 404 or a line of Python.
_RANDOM_IF_SECRET = _CODES | {"state"}

# As whole words in the names of headers: addresses and identities.
_ADDRESS_WORDS = frozenset(
    {"ip", "addr", "address", "clientip", "realip", "ipv4", "ipv6", "socketip", "forwarded", "remote"}
    | {"forward", "proxied", "latlong", "citylatlong", "latitude", "longitude"}
)
_PERSON_WORDS = frozenset(
    {"user", "userid", "username", "userinfo", "login", "email", "mail", "principal", "identity", "subject"}
    | {"person", "eppn", "uid", "dn", "cn", "cert", "certificate", "clientcert", "mtls", "claim", "claims"}
    | {"msisdn", "imsi", "imei", "phone", "calling", "fingerprint", "thumbprint"}
)
# "from" is a person's address (RFC 9110 section 10.1.2); "via" is in a list of the SDK's.
_WORDS_OF_HEADERS = _SECRET_WORDS_OF_HEADERS | _ADDRESS_WORDS | _PERSON_WORDS
_PERSONAL_HEADERS = frozenset({"from", "via", "x_envoy_external_address"})
# Identity headers of proxies, with or without X- before them: authentik, Pomerium, Kong, IBM's
# WebSEAL, SiteMinder, Cloudflare Access, Tailscale, Vouch, Grafana's webauth, mod_auth_cas, Shibboleth,
# mod_auth_mellon, and the client certificates of several.
_PERSONAL_PREFIXES = ("authentik_", "pomerium_", "consumer_", "iv_", "sm_", "cf_access_", "tailscale_",
                      "vouch_", "webauth_", "cas_", "shib_", "ajp_", "mellon_", "ssl_client_",
                      "tls_client_", "client_ssl_", "client_tls_", "amzn_mtls_")  # fmt: skip

# These only say how the client asks, and which URL it asked a proxy for.
_ORDINARY_HEADERS = frozenset(
    {"user_agent", "x_user_agent", "sec_fetch_user", "x_forwarded_proto", "x_forwarded_host"}
    | {"x_forwarded_port", "x_forwarded_prefix", "x_forwarded_scheme", "x_forwarded_path", "x_forwarded_uri"}
    | {"x_forwarded_method", "x_forwarded_server", "x_forwarded_ssl", "x_forwarded_protocol"}
)
# Headers with a known meaning that is not secret (RFC 9110, IANA's registry, browsers, tracing).
_KNOWN_HEADERS = _ORDINARY_HEADERS | {
    "host", "accept", "age", "alt_used", "baggage", "cache_control", "cdn_loop", "cf_ipcountry", "cf_ray",
    "cf_visitor", "connection", "cookie2", "date", "depth", "destination", "dnt", "downlink", "dpr",
    "early_data", "ect", "expect", "hostname", "http2_settings", "keep_alive", "last_event_id", "link",
    "max_forwards", "origin", "overwrite", "ping_from", "ping_to", "pragma", "prefer", "priority", "purpose",
    "range", "referer", "rtt", "save_data", "sentry_trace", "soapaction", "te", "timeout", "traceparent",
    "tracestate", "trailer", "transfer_encoding", "upgrade", "upgrade_insecure_requests", "user_agent",
    "viewport_width", "warning", "width", "x_cache", "x_http_method_override", "x_original_uri",
    "x_original_url", "x_powered_by", "x_queue_start", "x_request_start", "x_requested_with",
    "x_github_delivery", "x_rewrite_url", "x_wap_profile",
}  # fmt: skip
# A script that opens a WebSocket cannot set any other header, so subprotocols may hold a token.
# https://developer.mozilla.org/docs/Web/API/WebSocket/WebSocket
_SECRET_BY_VALUE = frozenset({"sec_websocket_protocol", "sec_web_socket_protocol"})
_KNOWN_PREFIXES = ("accept_", "access_control_", "content_", "if_", "sec_", "x_b3_", "x_datadog_",
                   "x_newrelic_", "x_instana_", "uber_trace_")  # fmt: skip
# Ids that identify a request in the logs of several services.
_TRACING = re.compile(
    "(?:request|req|correlation|trace|span|invocation|delivery|ray|vercel|cf|cloud_trace)_?(?:id|uuid|context)"
)

#: Where the filter puts the signed-in user, if a framework reports it before it is in the environ.
RECORDED_USER = "sentry_paste.user"

#: Keys of the environ with the user's identity, which the app's frameworks set while they run.
USER_KEYS = frozenset(
    {"REMOTE_USER", "REMOTE_IDENT", "REDIRECT_REMOTE_USER", "AUTH_USER", "LOGON_USER", "GSS_NAME"}
    | {"REMOTE_USER_TOKENS", "REMOTE_USER_DATA", "repoze.who.identity", "repoze.what.credentials"}
    | {"UNMAPPED_REMOTE_USER", "CAS_USER", RECORDED_USER}
)
_SECRET_ENVIRON = USER_KEYS | {
    "REMOTE_ADDR", "REMOTE_HOST", "AUTH_PASSWORD", "CLIENT_IP", "CLIENT_ADDR", "GEOIP_ADDR", "MMDB_ADDR",
    "HTTPS_DN", "HTTPS_CC", "PHP_AUTH_USER", "PHP_AUTH_PW", "SSL_SESSION_ID", "REMOTE_EMAIL", "REMOTE_NAME",
    "REMOTE_GROUPS", "eppn", "persistent-id", "targeted-id", "pairwise-id", "subject-id",
    "webob._parsed_cookies", "keystone.token_info", "keystone.token_auth",
}  # fmt: skip
# mod_ssl; mod_auth_openidc; mod_authn_*; mod_lookup_identity; Shibboleth, directly and by way of AJP;
# mod_auth_mellon; mod_auth_cas; IIS; GridSite; SiteMinder.
_SECRET_PREFIXES = ("SSL_CLIENT_", "OIDC_", "AUTHENTICATE_", "REMOTE_USER_", "AJP_", "Shib-", "SHIB_",
                    "MELLON_", "CAS_", "CERT_", "GRST_CRED", "SM_USER",
                    "SM_UNIVERSALID", "SM_SERVERSESSION")  # fmt: skip
# After an internal redirect, Apache repeats each key with this prefix, once for each redirect.
_REDIRECTED = re.compile(r"\A(?:REDIRECT_){1,9}")
# The attributes that Shibboleth puts into the environ under their own names, which mean other things
# elsewhere.
_ATTRIBUTES = frozenset(
    {"mail", "uid", "cn", "sn", "displayName", "givenName", "affiliation", "unscoped-affiliation"}
    | {"primary-affiliation", "entitlement", "telephoneNumber", "employeeNumber", "schacPersonalUniqueCode"}
)
_ATTRIBUTES_IN_LOWER_CASE = {
    key.lower(): key for key in (*_ATTRIBUTES, *_SECRET_ENVIRON) if key.upper() != key
}
#: Keys of which a mapping has at least one if it is a WSGI environ, or the serialised remains of one.
ENVIRON_KEYS = ("REQUEST_METHOD", "SERVER_PROTOCOL", "SERVER_NAME", "SCRIPT_NAME", "PATH_INFO",
                "wsgi.version", "wsgi.url_scheme", "wsgi.input")  # fmt: skip
#: Local variables in which libraries for databases have a statement: next to it are its parameters.
STATEMENTS = frozenset({"statement", "str_statement", "sql", "query", "operation"})
# The last part of keys such as beaker.session and zope.user.
_SECRET_LAST_PARTS = frozenset(
    {"session", "user", "cookies", "identity", "userid", "username", "login", "credentials", "userdata"}
)

# Values that are a query string, or a URL with one.
_URL_HEADERS = frozenset(
    {"referer", "origin", "destination", "x_original_url", "x_original_uri", "x_rewrite_url"}
    | {"x_forwarded_uri", "x_forwarded_url", "x_forwarded_path", "x_auth_request_redirect"}
)
_WITH_PARAMETERS = frozenset(
    {"QUERY_STRING", "REQUEST_URI", "RAW_URI", "REDIRECT_QUERY_STRING", "REDIRECT_URL", "query_string"}
    | {"http.fragment", "url.fragment", "http.query", "url.query", "url.full"}
    | {"http.url", "http.target", "url"}
)

_HEADER_PREFIXES = ("HTTP_", "http.request.header.", "http.response.header.")

# How many names each cache holds.
_CACHE_SIZE = 4096
# What it costs to find out the rule of a name that is not a plain word, if that of a plain word costs one.
_COST = 4
# Nobody uses such long names. Examining one and then forgetting the result takes time wherever it appears, so
# it is secret without being looked at, and options that keep headers do not match it.
_LONGEST_NAME = 200
# The total length of a mapping's keys up to which the result is cached.
_LONGEST_KEYS = 1000

# Names whose values Sentry expects to be numbers or lists: hidden, they would be mistakes in the event.
_OF_PROTOCOL = frozenset({"params", "status_code", "body_size", "http.response.status_code"})

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORD = re.compile(r"[^a-z0-9]+")
_NO_GLOB = re.compile(r"[^a-z0-9*?\[\]!]+")


class Rule(IntEnum):
    """How the value of a key is redacted."""

    KEEP = 0
    #: Secret, unless the value cannot be one.
    LIKELY = 1
    SECRET = 2
    PARAMETERS = 3
    TYPE_ONLY = 4
    #: Secret if it looks like it: the value of an unknown header.
    BY_VALUE = 5
    #: Secret if it is one random text: a code, which elsewhere may be a status or a program.
    IF_RANDOM = 6
    #: Secret if it is a text or a number, not if it is a mapping.
    IF_SCALAR = 7
    #: Secret in an environ; elsewhere the name means something else.
    IN_ENVIRON = 8
    #: W3C baggage: each member has its own name and is judged by it.
    BAGGAGE = 9


def normal(name: str) -> str:
    """Return a name in the normalised spelling used for comparisons.

    Args:
        name: ``X-Api-Key``, ``HTTP_X_API_KEY``, ``apiKey``.
    """
    for prefix in _HEADER_PREFIXES:
        if name.startswith(prefix):
            name = name[len(prefix) :]
            break
    return _NO_WORD.sub("_", _HUMP.sub("_", name).lower())


# The rules for a name are applied one after the other, so a few names are enough.
_normal = lru_cache(maxsize=32)(normal)


def _normal_globs(globs: Iterable[str]) -> Iterator[str]:
    """Yield globs in the normalised spelling, with their wildcards.

    Also as the environ spells them, without regard to camel case: ``HTTP_SEC_WEBSOCKET_PROTOCOL``.
    """
    for glob in globs:
        yield from {_NO_GLOB.sub("_", spelled.lower()) for spelled in (glob, _HUMP.sub("_", glob))}


class Names:
    """Which names are secret, according to the ini and by default.

    Args:
        headers: names or globs of headers, in addition to the usual ones.
        parameters: names or globs of query parameters and form fields, in addition to the usual ones.
        environ: names or globs of the environ's keys, in addition to the usual ones.
        kept_headers: names or globs of headers that are not secret, whatever other rules say.
    """

    def __init__(
        self,
        headers: Sequence[str] = (),
        parameters: Sequence[str] = (),
        environ: Sequence[str] = (),
        kept_headers: Sequence[str] = (),
    ) -> None:
        self._headers = _globs(_normal_globs(headers))
        self._kept_headers = _globs(_normal_globs(kept_headers))
        self._parameters = _globs(_normal_globs(parameters))
        self._environ = _globs(environ)
        self._exact = frozenset(normal(name) for name in (*DEFAULT_DENYLIST, *DEFAULT_PII_DENYLIST))
        #: Whether the ini names keys of the environ.
        self.has_own_environ = bool(environ)
        #: The client's ``server_name``, once the client exists: a value that stays.
        self.server_name = ""
        self._build_caches()
        #: What results of these names depend on: another object once more names are secret.
        self.rules = object()
        self.plain_variables: set[Any] = set()
        self._forget()

    def deny(self, names: Iterable[str]) -> None:
        """Add exact names, those of the SDK's ``event_scrubber``; they then apply at any depth.

        Args:
            names: of keys.
        """
        new = {normal(name) for name in names} - self._exact
        if not new:  # as with each client of an app that makes several
            return
        self._exact |= new
        self._build_caches()
        self.rules = object()
        self._forget()

    def _forget(self) -> None:
        """Begin anew: what another thread adds to the sets that it has is not found in these."""
        #: Names known not to be secret, so that a whole mapping can be checked at once.
        self.plain_keys: set[Any] = set()
        #: Hashes of texts known to name nothing that is secret.
        self.plain_texts: set[int] = set()
        #: The arguments of the process, which are in every event, without their secrets, by what they are.
        self.arguments: dict[tuple[str, ...], list[str]] = {}
        self._of_keys: dict[tuple[Any, ...], list[str]] = {}
        # Names whose rules are known, secret or not.
        self._examined: set[str] = set()

    def _build_caches(self) -> None:
        self.key_rule = _cached(self._key_rule, Rule.SECRET)
        self.is_parameter = _cached(self._is_parameter, True)
        self.is_header = _cached(self._is_header, True)
        self.is_environ = _cached(self._is_environ, True)
        self.is_own_environ = _cached(self._is_own_environ, False)
        self.holds_addresses = _cached(_holds_addresses, False)
        # These apply only to names that are not secret already.
        self.is_unknown_header = _cached(self._is_unknown_header, False)
        self.is_personal_header = _cached(_is_personal_header, False)
        self.has_parameters = _cached(_has_parameters, False)
        self._has_no_kind = _cached(self._is_of_no_kind, False)
        self._is_secret_variable = _cached(self._is_variable, True)

    def _is_header(self, name: str) -> bool:
        """Return whether a header is secret, in any spelling."""
        name = _normal(name)
        if self._kept_headers.match(name):
            return False
        if self._headers.match(name) or name in self._exact or name in _PERSONAL_HEADERS:
            return True
        if name in _ORDINARY_HEADERS or name.endswith("user_agent"):
            return False
        if (name[2:] if name.startswith("x_") else name).startswith(_PERSONAL_PREFIXES):
            return True
        words = set(name.split("_"))
        return _names_secret(name, words) or bool(words & _WORDS_OF_HEADERS)

    #: Whether the value of a header of unknown kind is secret: see ``looks_secret``.
    is_secret_header_value = staticmethod(looks_secret)

    def is_secret_header(self, name: str, value: str) -> bool:
        """Return whether a header of a request is secret by its name or, if that is unknown, by its value.

        A header is unknown if it is not a standard header and its name suggests no secret, person or address.
        The ids that identify requests in logs (``X-Request-Id``, ``X-Correlation-Id``,
        ``X-Amzn-Trace-Id`` and others) are known, and stay.

        Args:
            name: in any spelling.
            value: raw, or as Python shows it.
        """
        return self.is_header(name) or (self._has_no_kind(name) and looks_secret(value))

    def _is_unknown_header(self, key: str) -> bool:
        """Return whether a key is a header of unknown kind: ``HTTP_X_FOO``, ``X-Foo``.

        Its value is then judged by ``is_secret_header_value``. A key without such a prefix is not a header.
        """
        is_header = key.startswith(("HTTP_", "http.request.header.", "X-", "x-"))
        return is_header and self._has_no_kind(key) and not self.is_header(key)

    def _is_of_no_kind(self, name: str) -> bool:
        name = _normal(name)
        if name in _SECRET_BY_VALUE:
            return not self._kept_headers.match(name)
        return not (
            name in _KNOWN_HEADERS
            or name.startswith(_KNOWN_PREFIXES)
            or name.endswith("user_agent")
            or _TRACING.search(name)
            or self._kept_headers.match(name)
        )

    def _is_own_environ(self, key: str) -> bool:
        """Return whether the ini lists a key of the environ."""
        return bool(self._environ.match(key))

    def _is_parameter(self, name: str) -> bool:
        """Return whether a parameter of a query or a form is secret; its name may be percent-encoded."""
        name = normal(unquote_plus(name))
        return (
            bool(self._parameters.match(name))
            or name in self._exact
            or name in _CODES
            or bool(_SECRET_CODE.search(name))
            or _names_secret(name, set(name.split("_")))
        )

    def _is_environ(self, key: str) -> bool:
        """Return whether a key of the environ is secret."""
        if self._environ.match(key):
            return True
        redirected = _REDIRECTED.match(key)
        if redirected and key not in _SECRET_ENVIRON:
            key = key[redirected.end() :]
        if key.startswith("HTTP_"):
            return self.is_header(key)
        return (
            key in _SECRET_ENVIRON
            or key in _ATTRIBUTES
            or key.startswith(_SECRET_PREFIXES)
            or ("." in key and key.rpartition(".")[2] in _SECRET_LAST_PARTS)
        )

    def may_examine(self, name: str, bounds: Bounds) -> bool:
        """Return whether the rule of a key is known or may be found out, which takes ten times as long.

        Args:
            name: of the key.
            bounds: what new names may cost together.
        """
        if name in self._examined or name in self.plain_keys or len(name) > _LONGEST_NAME:
            return True
        if name in _OF_PROTOCOL:
            return True
        if not bounds.may_take(1 if name.isidentifier() and name.islower() else _COST):
            return False
        if len(self._examined) >= _CACHE_SIZE:  # clients can make up names without end
            self._examined.clear()
        self._examined.add(name)
        return True

    def _is_secret_key(self, bounds: Bounds, name: str) -> bool:
        """Return whether a key's value must not be sent unchanged, or whether the key may not be examined."""
        if name in self._examined:
            return self.key_rule(name) is not Rule.KEEP
        if not self.may_examine(name, bounds):
            return True
        is_secret = self.key_rule(name) is not Rule.KEEP
        if is_secret:  # it is looked at once more, and remarked upon
            bounds.may_take(_COST)
        return is_secret

    def secret_keys(self, mapping: Collection[Any], bounds: Bounds) -> list[str]:
        """Return the keys of a mapping whose values must not be sent unchanged.

        Args:
            mapping: any.
            bounds: what new names may cost together; beyond it, they are among those that are returned.
        """
        # An environ has the same keys in every frame, some of them secret.
        keys, known = tuple(mapping), self._of_keys
        found = known.get(keys)
        if found is None:
            found = _find_matching(mapping, self.plain_keys, partial(self._is_secret_key, bounds))
            if len(known) > _CACHE_SIZE // 16:
                known.clear()
            if sum(map(len, map(str, keys))) < _LONGEST_KEYS and not bounds.are_exceeded:
                known[keys] = found
        return found

    def secret_variables(self, variables: Collection[Any]) -> list[str]:
        """Return the names of local variables that are secret.

        Args:
            variables: of a frame.
        """
        return _find_matching(variables, self.plain_variables, self._is_secret_variable, STATEMENTS)

    def _key_rule(self, key: str) -> Rule:
        """Return how the value of a key is redacted, in any mapping."""
        if key == "wsgi.input":
            return Rule.TYPE_ONLY
        name = _normal(key)
        has_prefix = key.startswith(_HEADER_PREFIXES)
        if has_prefix or ("-" in key and _reads_as_header(key)):
            secret = self.is_header(key)
            if secret or self._kept_headers.match(name):
                return Rule.SECRET if secret else Rule.KEEP
        if key in _ATTRIBUTES and not self._environ.match(key):
            return Rule.IN_ENVIRON
        if self.is_environ(key) or name in self._exact or self._parameters.match(name):
            return Rule.SECRET
        if name == "baggage":
            return Rule.BAGGAGE
        is_written_as_header = has_prefix or "-" in key or key == "Referer"
        if key in _WITH_PARAMETERS or (is_written_as_header and name in _URL_HEADERS):
            return Rule.PARAMETERS
        if self.is_unknown_header(key):
            return Rule.BY_VALUE
        return _rule_of_any_key(name)

    def _is_variable(self, name: str) -> bool:
        """Return whether a local variable is secret by its name."""
        name = _normal(name)
        return bool(_SECRET_VARIABLE.search(name) or self._parameters.match(name))


def _rule_of_any_key(name: str) -> Rule:
    """Return how the value of a key that belongs to nothing in particular is redacted."""
    if name in _SHORT_SECRETS:
        return Rule.IF_SCALAR
    if name in _RANDOM_IF_SECRET:
        return Rule.IF_RANDOM
    return Rule.LIKELY if _SECRET.search(name) or _SECRET_CODE.search(name) else Rule.KEEP


def is_environ(mapping: Collection[Any]) -> bool:
    """Return whether a mapping is a WSGI environ, or the serialised remains of one.

    Args:
        mapping: any.
    """
    return any(key in mapping for key in ENVIRON_KEYS)


def original_key(key: str) -> str:
    """Return the key of the environ that an internal redirect copied, or the key itself.

    Args:
        key: ``REDIRECT_HTTP_AUTHORIZATION``, as Apache sets it after a redirect.
    """
    return _REDIRECTED.sub("", key)


def environ_key(name: str) -> str:
    """Return the original spelling of a key of the environ that was converted to lower case.

    Args:
        name: as in gunicorn's access log: ``http_x_foo``, ``displayname``.
    """
    if "." in name:
        return name
    return _ATTRIBUTES_IN_LOWER_CASE.get(name.lower(), name.upper())


def _find_matching(
    mapping: Collection[Any], plain: set[Any], rule: Callable[[str], Any], others: Collection[str] = ()
) -> list[str]:
    """Return the names that a rule applies to; remember as plain what is neither of them nor of others."""
    found = {name for name in mapping if name not in plain and type(name) is str and rule(name)}
    if len(plain) > _CACHE_SIZE:  # clients can make up names without end
        plain.clear()
    known = found.union(others)
    plain.update(name for name in mapping if name not in known and len(str(name)) <= _LONGEST_NAME)
    return [name for name in mapping if name in found]


def _has_parameters(key: str) -> bool:
    """Return whether the value of a key is a query string or a URL: in an environ, in a span's data."""
    return key in _WITH_PARAMETERS or _normal(key) in _URL_HEADERS


def _is_personal_header(name: str) -> bool:
    """Return whether a secret header holds names or addresses rather than random text."""
    name = _normal(name)
    words = set(name.split("_"))
    if name in _PERSONAL_HEADERS or words & _PERSON_WORDS:
        return True
    # X-Forwarded-Access-Token is a token that a proxy sends.
    return bool(words & _ADDRESS_WORDS) and not _names_secret(name, words)


def _holds_addresses(key: str) -> bool:
    """Return whether a secret key of the environ holds addresses."""
    if key == "REMOTE_ADDR":
        return True
    name = _normal(key)
    words = set(name.split("_"))
    is_of_addresses = words & {"forwarded", "ip", "addr", "address"} and not words & _PERSON_WORDS
    return bool(is_of_addresses) and not _names_secret(name, words)


def _reads_as_header(key: str) -> bool:
    """Return whether a key with a dash is spelled like a header and not like a setting."""
    return key[:1].isupper() or key.lower().startswith(("x-", "cf-", "sec-", "proxy-", "set-", "true-"))


class _Results(dict[str, Value]):
    """The results of a function of a name, so that those that are known cost no call of Python's."""

    __slots__ = ("_function", "_of_long_names")

    def __init__(self, function: Callable[[str], Value], of_long_names: Value) -> None:
        super().__init__()
        self._function, self._of_long_names = function, of_long_names

    def __missing__(self, name: str) -> Value:
        if len(name) > _LONGEST_NAME:
            return self._of_long_names
        result = self._function(name)
        if len(self) >= _CACHE_SIZE:  # clients can make up names without end
            self.clear()
        self[name] = result
        return result


def _cached(function: Callable[[str], Value], of_long_names: Value) -> Callable[[str], Value]:
    """Return a function of a name with its results cached.

    Args:
        function: of a name.
        of_long_names: the result for names that are too long to examine.
    """
    return _Results(function, of_long_names).__getitem__


def _names_secret(name: str, words: set[str]) -> bool:
    return bool(_SECRET.search(name) or words & _SECRET_WORDS or _SECRET_PART.search(name))


def _globs(globs: Iterable[str]) -> re.Pattern[str]:
    # Without any globs, a pattern that matches nothing.
    return re.compile("|".join(map(fnmatch.translate, globs)) or "(?!)")
