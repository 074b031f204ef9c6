"""Locate what messages of databases show of secret columns: parameters of a statement, keys of an index."""

from __future__ import annotations

import re

from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.enclosed import after_space, closed_value
from sentry_paste.redaction.named_values import END_OF_LINE, NEAR, SECRET_RULES, Place, Span
from sentry_paste.redaction.names import Names

# SQLAlchemy's errors have a statement, and its parameters in order; those with names are a mapping.
_PARAMETERS = re.compile(r"\[parameters: ?(?=[\[(])")
_STATEMENT = "[SQL: "
_LONGEST_STATEMENT = 4096
_COLUMNS = re.compile(r"\binto\s[^()]{1,200}\(([^()]*)\)", re.IGNORECASE)
_COMPARED = re.compile(
    r"(\w{1,100})[\"`\]\\]{0,4}\s?(?:=|<>|!=|i?like\s|in\s)\s?\(?(?:\?|%s|%\(|:\w|\$\d|@)", re.IGNORECASE
)
_WORD = re.compile(r"\w+")
#: Words and signs between a column and the literals that it is compared with.
COMPARISONS = frozenset({"<>", "like", "ilike", "in"})
_NATIONAL = re.compile(r"[ENen](?=\\{0,64}')")
_LITERALS = re.compile(r"\(\s{0,9}[ENen]?\\{0,64}['\"]")
# To look at all names in a statement takes longer than to read it.
_WEIGHT = 8
# PostgreSQL: Key (name, token)=(alice, 4711) already exists.
_KEY = re.compile(r"[^()'\"\r\n]{0,300}\)=\(")
_END_OF_KEY = re.compile(
    r"\) (?=(?:already exists|is (?:not present|still referenced|duplicated)|conflicts with)\b)"
)


def parameters_of_statements(text: str, names: Names, bounds: Bounds) -> list[tuple[int, int]]:
    """Return where parameters without names are whose statement has one for a secret column.

    Args:
        text: any.
        names: which names are secret.
        bounds: how many of them may be examined.
    """
    found: list[tuple[int, int]] = []
    done = 0
    for hit in _PARAMETERS.finditer(text) if "[parameters:" in text else ():
        if hit.start() < done:
            continue  # within the parameters of another
        low = text.rfind(_STATEMENT, max(hit.start() - _LONGEST_STATEMENT, done), hit.start())
        statement = text[max(low, hit.start() - _LONGEST_STATEMENT, 0) : hit.start()]
        if not (bounds.step() and bounds.may_read(_WEIGHT * len(statement))):
            return [*found, (hit.end(), len(text))]
        if _has_secret_column(statement, names):
            span = closed_value(text, hit.end()) or (hit.end(), len(text))
            found.append(span)
            done = span[1]
    return found


def _has_secret_column(statement: str, names: Names) -> bool:
    """Return whether a parameter of a statement is the value of a secret column."""
    columns = [name for inserted in _COLUMNS.finditer(statement) for name in _WORD.findall(inserted[1])]
    columns += [compared[1] for compared in _COMPARED.finditer(statement)]
    return any(names.key_rule(name) in SECRET_RULES for name in columns)


def value_compared(text: str, place: Place) -> Span:
    """Locate literals that a secret column is compared with: password LIKE '...', token IN ('...', '...')."""
    word = text[place.end - len(place.sign) : place.end]
    if word != word.upper():
        return None  # part of a sentence
    begin = after_space(text, place.end)
    if text[begin : begin + 1] == "(" and not _LITERALS.match(text, begin):
        return None
    prefix = _NATIONAL.match(text, begin)
    return closed_value(text, prefix.end() if prefix else begin)


def values_of_key(text: str, place: Place) -> Span:
    """Locate the values of an index with a secret column: Key (name, token)=(alice, 4711)."""
    if place.quote or place.sign not in (")", ","):
        return None
    found = _KEY.match(text, place.end - 1)
    if found is None:
        return None
    end = _END_OF_KEY.search(text, found.end(), found.end() + NEAR)
    if end is None:
        end = END_OF_LINE[""].search(text, found.end())
    return found.end(), end.start() if end else len(text)
