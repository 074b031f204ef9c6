"""Locate secrets that messages show in front of their names or apart from them: of databases and validators.

Also passwords that a statement of SQL gives a user, and arguments of well-known programs (``commands``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.commands import ARGUMENT, SIGNS_OF_ARGUMENTS, password_of_program
from sentry_paste.redaction.enclosed import closed_value
from sentry_paste.redaction.named_values import NEAR, SECRET_RULES
from sentry_paste.redaction.names import Names
from sentry_paste.redaction.statements import has_secret_column

_FAR = 4096
# To look at a message takes as long as to read so much of a text several times.
_WEIGHT = 2
_ESCAPED_LINE = r"(?:\r?\n|\\{1,64}[nr])"
# MySQL: Duplicate entry '...' for key 'users.token'.
_DUPLICATE = re.compile(r"Duplicate entry \\{0,64}'")
_FOR_KEY = re.compile(r"\\{0,64}' for key \\{0,64}['`]?([\w.$-]{1,200})")
# SQL Server: ... unique index 'ix_token'. The duplicate key value is (...).
_DUPLICATE_KEY = re.compile(r"The duplicate key value is \(")
_QUOTED_NAME = re.compile(r"'([^'\\\s]{1,200})")
_LONGEST_SENTENCE = 400
# PostgreSQL: Failing row contains (1, ...), with SQLAlchemy's statement behind it.
_FAILING_ROW = re.compile(r"Failing row contains \(")
_END_OF_BRACKETS = re.compile(rf"\)\.?(?=\s*(?:\Z|{_ESCAPED_LINE}|\\{{0,64}}['\"]))")
# jsonschema: '...' is too short [...] On instance['password']: '...'.
_INSTANCE = re.compile(r"On instance((?:\[[^\]\r\n]{1,200}\]){1,20}):(?:\s|\\{1,64}n){1,40}(?=\\{0,64}['\"])")
# attrs: 'password' must be <class 'int'> (got '...' that is a <class 'str'>).
_MUST_BE = re.compile(r"'(\w{1,100})\\{0,64}' must [^\r\n()]{1,300}\(got (?=b?\\{0,64}['\"])")
# SQLAlchemy's objects: BindParameter('%(139659874021712 password)s', '...'.
_BIND = re.compile(r"BindParameter\(\\{0,64}'%\(\d{1,20} ([\w.]{1,100})\)s\\{0,64}', ")
#: SQLAlchemy's log: parameters in order, in a line of their own behind that with the statement.
ECHO = re.compile(
    r"\[(?:generated in|cached since|no key|raw sql|caching disabled|dialect)\b[^\]\r\n]{0,80}\] (?=[\[(])"
)
# A text without any of these is none of them.
_SIGNS_OF_ECHO = ("] (", "] [")
_IN_QUOTES = re.compile(r"['\"]([^'\"\\\]]{1,200})")
_MOST_REPEATED = 3
# Parameters that have names, or none at all.
_ONLY_MAPPINGS = re.compile(r"\[?\{|\(\)|\[\]")
# The end of the line before a private key (RFC 7468 section 10).
_PRIVATE_KEY = "PRIVATE KEY-----"
_BEGIN_OF_KEY = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----")
_END_OF_KEY = re.compile(r"[^A-Za-z0-9+/=\s\\:,.-]|-----END")
# CREATE USER bob IDENTIFIED BY '...'; of PostgreSQL, PASSWORD '...' is a name and its value (``statements``).
_IDENTIFIED = re.compile(
    r"\bidentified\s(?:with\s\S{1,80}\s)?(?:by|as)\s(?:password\s)?(?=\\{0,64}['\"])", re.IGNORECASE
)
_USER = re.compile(r"\b(?:create|alter|grant)\s", re.IGNORECASE)


def secrets_in_messages(text: str, names: Names, bounds: Bounds) -> list[tuple[int, int]]:
    """Return where such secrets are, in order.

    Args:
        text: any.
        names: which names are secret.
        bounds: how many places may be examined.
    """
    found: list[tuple[int, int]] = []
    for sign, pattern, locate in _KINDS:
        if not any(map(text.__contains__, sign)):
            continue
        done = 0
        for hit in pattern.finditer(text):
            if hit.start() < done:
                continue
            if not (bounds.step() and bounds.may_read(_WEIGHT * _FAR)):
                found.append((hit.start(), len(text)))
                break
            for span in locate(text, hit, names):
                found.append(span)
                done = max(done, span[1])
    return sorted(found)


def _is_secret(name: str, names: Names) -> bool:
    return names.key_rule(name.rpartition(".")[2]) in SECRET_RULES


def _of_duplicate(text: str, hit: re.Match[str], names: Names) -> Iterator[tuple[int, int]]:
    start = hit.end()
    end = text.find(" for key ", start, start + NEAR)
    while text[end - 1 : end] == "\\" or (end > start and text[end - 1] == "'"):
        end -= 1
        if text[end] == "'":
            break
    key = _FOR_KEY.match(text, end) if end >= start else None
    while end > start and text[end - 1] == "\\":
        end -= 1
    if key and _is_secret(key[1], names):
        yield start, end


def _of_duplicate_key(text: str, hit: re.Match[str], names: Names) -> Iterator[tuple[int, int]]:
    before = text[max(hit.start() - _LONGEST_SENTENCE, 0) : hit.start()]
    if any(_is_secret(name, names) for name in _QUOTED_NAME.findall(before)):
        yield hit.end(), _end_of_brackets(text, hit.end())


def _of_row(text: str, hit: re.Match[str], names: Names) -> Iterator[tuple[int, int]]:
    end = _end_of_brackets(text, hit.end())
    if has_secret_column(text[end : end + _FAR], names):
        yield hit.end(), end


def _end_of_brackets(text: str, start: int) -> int:
    found = _END_OF_BRACKETS.search(text, start, start + NEAR)
    return found.start() if found else len(text)


def _of_instance(text: str, hit: re.Match[str], names: Names) -> Iterator[tuple[int, int]]:
    if not any(_is_secret(name, names) for name in _IN_QUOTES.findall(hit[1])):
        return
    span = closed_value(text, hit.end())
    if span is None:
        return
    yield span
    # The first line of the message has it too, with the same quotes.
    yield from _repeated(text, span, max(hit.start() - NEAR, 0), hit.start())


def _repeated(text: str, span: tuple[int, int], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where else the same value is."""
    value, at = text[slice(*span)], start
    for _ in range(_MOST_REPEATED if value else 0):
        at = text.find(value, at, end)
        if at < 0:
            break
        yield at, at + len(value)
        at += len(value)


def _of_attribute(text: str, hit: re.Match[str], names: Names) -> Iterator[tuple[int, int]]:
    span = closed_value(text, hit.end()) if _is_secret(hit[1], names) else None
    if span:
        yield span
        # It is also the last argument of the error.
        yield from _repeated(text, span, span[1], span[1] + NEAR)


def _of_parameter(text: str, hit: re.Match[str], names: Names) -> Iterator[tuple[int, int]]:
    span = closed_value(text, hit.end()) if _is_secret(hit[1], names) else None
    if span:
        yield span


def _of_echo(text: str, hit: re.Match[str], names: Names) -> Iterator[tuple[int, int]]:  # noqa: ARG001
    span = closed_value(text, hit.end())
    if span and not _ONLY_MAPPINGS.match(text, *span):
        yield span


def _of_key(text: str, hit: re.Match[str], names: Names) -> Iterator[tuple[int, int]]:  # noqa: ARG001
    end = _END_OF_KEY.search(text, hit.end(), hit.end() + NEAR)
    yield hit.end(), end.start() if end else min(hit.end() + NEAR, len(text))


def _of_user(text: str, hit: re.Match[str], names: Names) -> Iterator[tuple[int, int]]:  # noqa: ARG001
    before = text[max(hit.start() - _LONGEST_SENTENCE, 0) : hit.start()]
    span = closed_value(text, hit.end()) if _USER.search(before) else None
    if span:
        yield span


_Locate = Callable[[str, "re.Match[str]", Names], Iterator[tuple[int, int]]]
_KINDS: tuple[tuple[tuple[str, ...], re.Pattern[str], _Locate], ...] = (
    (("Duplicate entry ",), _DUPLICATE, _of_duplicate),
    (("duplicate key value is ",), _DUPLICATE_KEY, _of_duplicate_key),
    (("Failing row contains ",), _FAILING_ROW, _of_row),
    (("On instance[",), _INSTANCE, _of_instance),
    ((" (got ",), _MUST_BE, _of_attribute),
    (("BindParameter(",), _BIND, _of_parameter),
    (_SIGNS_OF_ECHO, ECHO, _of_echo),
    ((_PRIVATE_KEY,), _BEGIN_OF_KEY, _of_key),
    (("dentified ", "DENTIFIED "), _IDENTIFIED, _of_user),
    (SIGNS_OF_ARGUMENTS, ARGUMENT, password_of_program),
)
