"""Locate what messages of databases show of secret columns: parameters of a statement, keys of an index."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice

from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.enclosed import after_space, closed_value
from sentry_paste.redaction.named_values import END_OF_LINE, NEAR, SECRET_RULES, Place, Span
from sentry_paste.redaction.names import Names

# SQLAlchemy's errors have a statement, and its parameters in order; those with names are a mapping. So do the
# lines of Django's log, where the parameters are in the statement as well.
_PARAMETERS = re.compile(r"(?:\[parameters: ?|; args=)(?=[\[(])")
# A text without any of these has no such parameters.
_SIGNS_OF_PARAMETERS = ("[parameters:", "; args=")
_STATEMENT = "[SQL: "
_LONGEST_STATEMENT, _MOST_STATEMENTS = 4096, 6
# How one begins that has parameters, also as Python shows it.
_VERB = re.compile(
    r"[bu]?['\"(]{0,3}(?:\s|\\{1,8}[nrt]){0,40}(?:insert|update|select|delete|merge|replace|with|call|exec\w{0,4}|upsert)\b",
    re.IGNORECASE,
)
_COLUMNS = re.compile(r"\binto\s[^()]{1,200}\(([^()]*)\)", re.IGNORECASE)
_COMPARED = re.compile(
    # Each word is read once.
    r"\b(?=(\w+))\1[\"`\]\\)]{0,6}(?:::\w{1,30})?\s?"
    r"(?:=|<>|[!<>]=|!?~\*?|(?:i?like|in|between|regexp|rlike|similar to)\s)\s?"
    r"\(?(?:\w{1,30}\()?(?:\?|%s|%\(|:\w|\$\d|@)",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")
_ESCAPED_BLANK = re.compile(r"\\{1,8}[nrt]")
_BEFORE_LITERAL = r"(?:[en]|_\w{1,20}|binary\s|array\s?)?"
_CALLS = r"(?:[a-z]\w{0,30}\(){0,3}"
#: Between a column and the literals that it is compared with, in lower case.
COMPARISON = (
    r"(?:\s{0,9}(?:<>|<=>|[!<>=]=|!?~\*?)"
    r"|\s{1,9}(?:(?:not\s{1,9})?(?:i?like|in(?=\s{0,9}\()|regexp|rlike|glob|between|similar\sto)"
    r"|is\s(?:not\s)?distinct\sfrom)(?=[\s(]))"
    rf"(?=[\s(]{{0,9}}{_CALLS}{_BEFORE_LITERAL}\\{{0,64}}['\"&])"
)
#: The last words and signs of those.
COMPARISONS = frozenset(
    {"<>", "<=>", "!=", "<=", ">=", "==", "~", "~*", "!~", "!~*"}
    | {"like", "ilike", "in", "regexp", "rlike", "glob", "between", "to", "from"}
)
_PREFIX = re.compile(rf"{_BEFORE_LITERAL}(?=\\{{0,64}}['\"])", re.IGNORECASE)
_LITERALS = re.compile(rf"\(\s{{0,9}}{_BEFORE_LITERAL}\\{{0,64}}['\"]", re.IGNORECASE)
_AND = re.compile(r"\\{0,64}['\"]\s{1,9}and\s{1,9}[en]?(?=\\{0,64}['\"])", re.IGNORECASE)
# Behind the name of a column that brackets or a cast end, or that is not the last of several:
# lower(password) =, password::text =, (name, password) =.
_BEHIND_COLUMNS = re.compile(
    r"(?:(?:,[^()'\"\r\n=]{0,300})?\){1,3}|(?=::))(?:::\w{1,30}(?:\(\d{1,5}\)|\[\])?\)?)?\s{0,9}"
    r"(?:<>|<=>|[!<>]?=|!?~\*?|(?:not\s{1,9})?(?:i?like|in|regexp|rlike)(?=[\s(]))\s{0,9}"
    rf"(?=\(|{_CALLS}{_BEFORE_LITERAL}\\{{0,64}}['\"])",
    re.IGNORECASE,
)
_CAST = re.compile(r":\w{1,30}(?:\(\d{1,5}\)|\[\])?\s{0,9}(?:[<>=!~]|(?:not|i?like|in|is)\s)", re.IGNORECASE)
_MAY_BE_LITERAL = re.compile("['\"]")
# An expression that is no literal by itself: = ANY(ARRAY['a']), = BINARY 'a', = $$a$$.
_EXPRESSION = re.compile(
    r"\s{0,9}(?:(?:any|some|all)\s?\(\s?)?(?:array\s?(?=\[)|(?:binary|date|n?varchar|text)\s(?=\\{0,64}'))",
    re.IGNORECASE,
)
_CASE = re.compile(r"\s{0,9}\(?case\s", re.IGNORECASE)
_END = re.compile(r"\bend\b", re.IGNORECASE)
_DOLLARS = re.compile(r"\s{0,9}(\$\w{0,20}\$)")
#: Behind PASSWORD, where a statement gives it to a user: ALTER ROLE bob PASSWORD '...', SET PASSWORD FOR a =.
OF_USER = r"(?:for\s[^\s=]{1,100}\s{0,3}=\s{0,3}|(?=[en]?\\{0,64}['\"&]))"
_OF_USER = re.compile(r"\b(?:(?:create|alter)\s+(?:user|role|login)|set)\b[^;=]{0,120}\Z", re.IGNORECASE)
_LONGEST_OF_USER = 150
# What makes it certain that a comparison is one of SQL, not of a program: the statement, and the clause.
_STATEMENT_BEGINS = re.compile(
    r"\b(?:select\s|update\s|delete\s+from\s|insert\s+into\s|merge\s+into\s)", re.IGNORECASE
)
_CLAUSE = re.compile(
    r"\b(?:where|and|or|on|having|when|set|not|by)\b(?:\s|\\{1,8}[nrt])*[(\w\"`\[\].\s\\]{0,80}\Z|,\s?\Z",
    re.IGNORECASE,
)
_LONGEST_CLAUSE = 100
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
    if not any(map(text.__contains__, _SIGNS_OF_PARAMETERS)):
        return found
    for hit in _PARAMETERS.finditer(text):
        if hit.start() < done:
            continue  # within the parameters of another
        low = text.rfind(_STATEMENT, max(hit.start() - _LONGEST_STATEMENT, done), hit.start())
        statement = text[max(low, hit.start() - _LONGEST_STATEMENT, 0) : hit.start()]
        if not (bounds.step() and bounds.may_read(_WEIGHT * len(statement))):
            return [*found, (hit.end(), len(text))]
        if has_secret_column(statement, names):
            span = closed_value(text, hit.end()) or (hit.end(), len(text))
            found.append(span)
            done = span[1]
    return found


def have_secret_columns(statements: Iterable[str], names: Names) -> bool:
    """Return whether a parameter of any statement is the value of a secret column.

    Args:
        statements: texts that may be some of SQL; if there are more than a few, they are taken to have one.
        names: which names are secret.
    """
    few = list(islice(filter(_VERB.match, statements), _MOST_STATEMENTS + 1))
    return len(few) > _MOST_STATEMENTS or any(
        has_secret_column(one[:_LONGEST_STATEMENT], names) for one in few
    )


def has_secret_column(statement: str, names: Names) -> bool:
    """Return whether a parameter of a statement is the value of a secret column.

    Args:
        statement: of SQL.
        names: which names are secret.
    """
    if "\\" in statement:  # as Python shows it
        statement = _ESCAPED_BLANK.sub(" ", statement)
    columns = [name for inserted in _COLUMNS.finditer(statement) for name in _WORD.findall(inserted[1])]
    columns += [compared[1] for compared in _COMPARED.finditer(statement)]
    return any(names.key_rule(name) in SECRET_RULES for name in columns)


def value_compared(text: str, place: Place, bounds: Bounds) -> Span:
    """Locate literals that a secret column is compared with: password LIKE '...', token IN ('...', '...')."""
    sign = text[place.end - len(place.sign) : place.end]
    is_of_sql = sign.strip() == "<>" or (sign == sign.upper() and any(map(str.isalpha, sign)))
    if not (is_of_sql or _is_in_statement(text, place.begin, bounds)):
        return None  # of a program, or part of a sentence
    return _literals(text, after_space(text, place.end), is_range=sign.lower().endswith("between"))


def password_of_user(text: str, place: Place, bounds: Bounds) -> Span:
    """Locate the password that a statement gives to a user: ALTER ROLE bob PASSWORD '...'."""
    if not bounds.may_read(_WEIGHT * _LONGEST_OF_USER):
        return place.end, len(text)
    if not _OF_USER.search(text[max(place.begin - _LONGEST_OF_USER, 0) : place.begin]):
        return None
    prefix = _PREFIX.match(text, place.end)
    return closed_value(text, prefix.end() if prefix else place.end)


def value_behind_columns(text: str, place: Place, bounds: Bounds) -> Span:
    """Locate what several columns, or a function of one, are compared with: lower(token) = '...'."""
    found = None if place.quote.startswith("'") else _BEHIND_COLUMNS.match(text, place.end - 1)
    if found is None or not _is_in_statement(text, place.begin, bounds):
        return None
    begin = found.end()
    if text[begin : begin + 1] != "(":
        return _literals(text, begin)
    span = closed_value(text, begin)
    return span if span and _MAY_BE_LITERAL.search(text, *span) else None


def is_cast(text: str, place: Place) -> bool:
    """Return whether a colon behind a name is the first of a cast: password::text = ..."""
    return bool(_CAST.match(text, place.end))


def value_of_expression(text: str, start: int) -> Span:
    """Locate the literal in an expression of SQL behind an equals sign: ANY(ARRAY['...']), $$...$$."""
    found = _EXPRESSION.match(text, start)
    if found is not None and found.end() > start:
        return closed_value(text, found.end())
    case = _CASE.match(text, start)
    if case is not None:
        end_of_case = _END.search(text, case.end(), case.end() + NEAR)
        end = end_of_case.start() if end_of_case else len(text)
        return (case.end(), end) if _MAY_BE_LITERAL.search(text, case.end(), end) else None
    dollars = _DOLLARS.match(text, start)
    end = text.find(dollars[1], dollars.end(), dollars.end() + NEAR) if dollars else -1
    return (dollars.end(), end) if dollars and end >= 0 else None


def _literals(text: str, begin: int, *, is_range: bool = False) -> Span:
    if text[begin : begin + 1] == "(" and not _LITERALS.match(text, begin):
        return None
    prefix = _PREFIX.match(text, begin)
    found = closed_value(text, prefix.end() if prefix else begin)
    other = _AND.match(text, found[1]) if found and is_range else None
    last = closed_value(text, other.end()) if other else None
    return (found[0], last[1]) if found and last else found


def _is_in_statement(text: str, begin: int, bounds: Bounds) -> bool:
    """Return whether a place is in a clause of a statement of SQL."""
    if not _CLAUSE.search(text[max(begin - _LONGEST_CLAUSE, 0) : begin]):
        return False
    low = max(begin - _LONGEST_STATEMENT, 0)
    # What may not be looked at may be one.
    return not bounds.may_read(begin - low) or bool(_STATEMENT_BEGINS.search(text, low, begin))


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
