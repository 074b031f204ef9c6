"""Redact secret parts of header values that are shown: user info in URLs, members of baggage."""

from __future__ import annotations

import re

from sentry_paste.redaction.appearance import looks_secret
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.parameters import clean_query

# RFC 3986 section 3.2.1, up to the last @ of the authority, as browsers parse it.
_USER_INFO = re.compile(r"(?<=://)[^\s/?#\\<>\"']*@")
#: A user that is a token of letters and digits: https://ghp_...@github.com.
USER_LIKE_A_KEY = r"(?=[A-Za-z_.~%-]{0,255}[0-9])(?=[0-9_.~%-]{0,255}[A-Za-z])[\w.~%-]{12,255}"
# In ordinary text only if it has a password that is not masked already, or is a token: git@ is no person.
_PASSWORD = re.compile(rf"(?<=://)(?:[^\s/?#\\<>\"'@:]*:(?!\*+@)[^\s/?#\\<>\"']*|{USER_LIKE_A_KEY})@")

# The limits of W3C's baggage.
_MOST_MEMBERS = 180
_LONGEST_BAGGAGE = 8192

# What Sentry's SDKs report about a trace; a client has made up anything else with that prefix.
# https://develop.sentry.dev/sdk/telemetry/traces/dynamic-sampling-context/
_OF_TRACES = frozenset(
    {"sentry-trace_id", "sentry-public_key", "sentry-org_id", "sentry-release", "sentry-environment"}
    | {"sentry-transaction", "sentry-sample_rate", "sentry-sample_rand", "sentry-sampled", "sentry-replay_id"}
)


def clean_header(name: str, value: str, names: Names, bounds: Bounds | None = None) -> str:
    """Redact the value of a header that is not secret as a whole.

    Args:
        name: in any spelling.
        value: raw, or as Python shows it.
        names: which names are secret.
        bounds: how much may be looked at, if several headers share it.
    """
    if not has_parts(value):
        return value
    if name.lower().endswith("baggage"):
        return clean_baggage(value, names, bounds)
    if "?" in value or "#" in value or names.has_parameters(name):
        value = clean_query(value, names, bounds)
    return without_user_info(value)


def has_parts(value: str) -> bool:
    """Return whether the value of a header may have parts that are secret.

    Args:
        value: raw, or as Python shows it.
    """
    return "=" in value or "@" in value or "%" in value or "?" in value or "#" in value


def without_user_info(text: str) -> str:
    """Return a text without user names and passwords in URLs: ``https://[Filtered]@host/``.

    Args:
        text: any.
    """
    return _USER_INFO.sub(f"{FILTERED}@", text) if "@" in text and "://" in text else text


def without_passwords(text: str) -> str:
    """Return a text without user names and passwords in URLs that have both, or a token as the name.

    Args:
        text: any.
    """
    return _PASSWORD.sub(f"{FILTERED}@", text) if "@" in text and "://" in text else text


def user_infos(text: str) -> list[str]:
    """Return the user info of the URLs in a text: ``user:password``, percent-encoded as written.

    Args:
        text: any.
    """
    return [found[:-1] for found in _USER_INFO.findall(text)] if "@" in text and "://" in text else []


def clean_baggage(text: str, names: Names, bounds: Bounds | None = None) -> str:
    """Return W3C baggage without the values of members that are secret.

    A member is secret if its key would be secret as a header's name, or if its value looks secret. Sentry's
    own members (``sentry-trace_id``) describe how a trace is sampled, and stay. See
    https://www.w3.org/TR/baggage/ Baggage that exceeds the limits of the specification is hidden as a whole.

    Args:
        text: raw, or as Python shows it.
        names: which names are secret.
        bounds: how many members may be looked at, if several headers share it.
    """
    count = text.count(",") + 1
    if len(text) > _LONGEST_BAGGAGE or count > _MOST_MEMBERS or (bounds and not bounds.may_take(count)):
        return FILTERED
    members = text.split(",")
    for index, member in enumerate(members):
        key, equals, value = member.partition("=")
        if equals and _is_secret(key, value, names):
            quote = value[-1:] if index + 1 == len(members) and value[-1:] in ("'", '"', "]") else ""
            members[index] = f"{key}={FILTERED}{quote}"
    return ",".join(members)


def secret_baggage(text: str, names: Names) -> list[str]:
    """Return the values of the secret members of W3C baggage.

    Args:
        text: raw.
        names: which names are secret.
    """
    pairs = (member.partition("=") for member in text.split(","))
    # Properties follow a semicolon.
    return [value.partition(";")[0].strip() for key, _, value in pairs if _is_secret(key, value, names)]


def _is_secret(key: str, value: str, names: Names) -> bool:
    key = key.strip(" \t'\"[b")
    if key.startswith("sentry-"):
        return bool(value) and key not in _OF_TRACES
    return bool(value) and (names.is_header(key) or looks_secret(value))
