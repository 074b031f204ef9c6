"""Redact one member of a mapping, by the rule for its key."""

from __future__ import annotations

import re
from typing import Any

from sentry_paste.redaction.appearance import is_one_random_text, looks_secret
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.headers import clean_baggage, clean_header, without_user_info
from sentry_paste.redaction.names import FILTERED, Names, Rule
from sentry_paste.redaction.parameters import clean_query

# Counts and measures: a number under such a name is not secret, whatever it counts.
_MEASURES = ("tokens", "count", "size", "limit", "length", "timeout", "age", "ttl", "total")
_LONGEST_MEASURE = 40

# Values that are not secret even under a likely name, as they are and as the SDK shows a variable.
_TRIVIAL = re.compile(r"None|True|False|-?\d{1,5}|''|\[\]|\(\)|\{\}")
# Values that mean that there is no secret.
_NO_SCALARS = frozenset({"", "''", "b''", "None", "True", "False"})
_TYPE = re.compile(r"<([\w.]+)")


def cleaned_member(
    key: str, value: Any, names: Names, is_environ: bool = False, bounds: Bounds | None = None
) -> Any:
    """Return what is sent in place of a value; ``FILTERED`` if all of it is secret.

    Args:
        key: as in the mapping.
        value: as the SDK has serialised it.
        names: which names are secret.
        is_environ: whether the mapping is a WSGI environ.
        bounds: how much may be looked at, if several members share it.
    """
    if value is None or value == FILTERED:
        return value
    rule = names.key_rule(key)
    if rule is Rule.TYPE_ONLY:
        found = _TYPE.match(value) if type(value) is str else None
        return f"<{found[1]}>" if found else FILTERED
    if is_secret(rule, key, value, is_environ):
        return FILTERED
    if type(value) is not str:
        return value
    if rule is Rule.PARAMETERS:
        return without_user_info(clean_query(value, names, bounds))
    if rule is Rule.BAGGAGE:
        return clean_baggage(value, names, bounds)
    return clean_header(key, value, names, bounds) if rule is Rule.BY_VALUE else value


def is_secret(rule: Rule, key: str, value: Any, is_environ: bool = False) -> bool:
    """Return whether all of a value is secret.

    Args:
        rule: of the key.
        key: of the member.
        value: as the SDK has serialised it.
        is_environ: whether the mapping is a WSGI environ.
    """
    if rule is Rule.SECRET:
        return True
    if rule is Rule.LIKELY:
        return not (is_trivial(value) or _is_measure(key, value))
    if rule is Rule.IF_SCALAR:
        # parse_qs returns each parameter as a list.
        found = value if type(value) is list else [value]
        return any(type(one) in (str, int) and one not in _NO_SCALARS for one in found)
    if rule is Rule.IF_RANDOM:
        return type(value) is str and is_one_random_text(value)
    if rule is Rule.IN_ENVIRON:
        return is_environ
    return rule is Rule.BY_VALUE and any(map(looks_secret, _texts_of(value)))


def is_trivial(value: Any) -> bool:
    """Return whether a value cannot be a secret: empty, a boolean, a small number.

    Args:
        value: as the SDK has serialised it.
    """
    return not value or value is True or (type(value) is str and bool(_TRIVIAL.fullmatch(value)))


def _is_measure(key: str, value: Any) -> bool:
    if type(value) not in (str, int, float) or not key.lower().endswith(_MEASURES):
        return False
    number = str(value)
    return len(number) <= _LONGEST_MEASURE and number.replace(".", "", 1).isdigit()


def _texts_of(value: Any) -> list[str]:
    """Return a text, or the texts of a list, as OpenTelemetry has the values of headers."""
    if type(value) is str:
        return [value]
    return [text for text in value if type(text) is str] if type(value) is list else []
