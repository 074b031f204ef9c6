"""Parse the rules about errors: what is none, what is expected, and how it is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple

from sentry_paste.config import kinds, references
from sentry_paste.config.lines import each_line
from sentry_paste.config.texts import split_lines, split_names, split_words

#: What an expression begins with; what does not is a glob.
EXPRESSION = "re:"


def _messages(text: str) -> tuple[str, ...]:
    return tuple(each_line(text, _message))


def _message(line: str) -> str:
    if not line.startswith(EXPRESSION):
        return line
    expression = line[len(EXPRESSION) :].strip()
    if not expression:
        raise ValueError(f"expected a regular expression after {EXPRESSION}, not {line!r}")
    kinds.expression(expression)
    return EXPRESSION + expression


class LevelRule(NamedTuple):
    """Which events have another level than they were captured with.

    Attributes:
        subject: a class of exceptions, the name of one in any module, or a glob for loggers.
        is_logger: whether it is for loggers.
        level: as Sentry calls it.
    """

    subject: Any
    is_logger: bool
    level: str


#: Sentry's levels, by what they are called in an ini: https://develop.sentry.dev/sdk/data-model/event-payloads/
LEVELS = {
    **{name: name for name in ("debug", "info", "warning", "error", "fatal")},
    "warn": "warning",
    "critical": "fatal",
}
_CLASS_LEVEL = (
    "a class of exceptions, or logger and the name of one, and debug, info, warning, error or fatal"
)
_LOGGER = "logger"


def _levels(text: str) -> references.Reference:
    rules = each_line(text, _level, (_LOGGER, *LEVELS))
    names = [rule.subject for rule in rules if not rule.is_logger]

    def build(classes: list[Any]) -> tuple[LevelRule, ...]:
        found = iter(classes)
        return tuple(rule if rule.is_logger else rule._replace(subject=next(found)) for rule in rules)

    return references.exception_classes(names, build)


def _level(line: str) -> LevelRule:
    *subject, level = line.split()
    is_logger = len(subject) == 2 and subject[0].lower() == _LOGGER
    if level.lower() not in LEVELS or not (is_logger or len(subject) == 1):
        raise ValueError(f"expected {_CLASS_LEVEL} on each line, not {line!r}")
    return LevelRule(subject[-1], is_logger, LEVELS[level.lower()])


class FingerprintRule(NamedTuple):
    """How events are grouped.

    Attributes:
        about: what decides: ``class``, ``message``, ``transaction`` or ``module``.
        subject: a class of exceptions, the name of one in any module, or a glob.
        parts: of the fingerprint.
    """

    about: str
    subject: Any
    parts: tuple[str, ...]


_CLASS = "class"
_GLOBS = ("message", "transaction", "module")
_FINGERPRINT = (
    "a rule on each line: a class of exceptions, or message, transaction or module and a glob, then -> and "
    "parts, separated by commas"
)
#: Sentry's own grouping, and what this package puts in place of a part.
DEFAULT, MESSAGE_WITHOUT_IDS = "{{ default }}", "{{ message_without_ids }}"
_ARROW = re.compile(r"\s*->\s*")
# Sentry knows it in this spelling.
_VARIABLE = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")


def _fingerprints(text: str) -> references.Reference:
    rules = each_line(text, _fingerprint, _GLOBS)
    names = [rule.subject for rule in rules if rule.about == _CLASS]

    def build(classes: list[Any]) -> tuple[FingerprintRule, ...]:
        found = iter(classes)
        return tuple(rule._replace(subject=next(found)) if rule.about == _CLASS else rule for rule in rules)

    return references.exception_classes(names, build)


def _fingerprint(line: str) -> FingerprintRule:
    condition, *rest = _ARROW.split(line, maxsplit=1)
    parts = split_words(rest[0]) if rest else []
    about, *globs = condition.split(maxsplit=1) or [""]
    if not (about and parts) or bool(globs) is not (about.lower() in _GLOBS):
        raise ValueError(f"expected {_FINGERPRINT}, not {line!r}")
    found = tuple(_VARIABLE.sub(r"{{ \1 }}", part) for part in parts)
    return FingerprintRule(about.lower(), globs[0], found) if globs else FingerprintRule(_CLASS, about, found)


# Those that Sentry knows, besides tags.NAME: src/sentry/grouping/fingerprinting/utils.py
_KNOWN = frozenset(
    {
        "default",
        *("error.type", "error.value", "level", "logger", "message", "transaction", "type", "value"),
        *("function", "module", "package", "path"),
        *("stack.abs_path", "stack.filename", "stack.function", "stack.module", "stack.package"),
    }
)


def doubtful_variables(text: str) -> Iterator[str]:
    """Yield what is wrong with variables in fingerprints, which Sentry takes for text.

    Args:
        text: rules that have been parsed.
    """
    for part in (part for line in split_lines(text) for part in _fingerprint(line).parts):
        for found in _VARIABLE.finditer(part):
            name = found[1]
            if found[0] == MESSAGE_WITHOUT_IDS:
                continue
            if name not in _KNOWN and not name.startswith("tags."):
                known = (*sorted(_KNOWN), _VARIABLE.sub(r"\1", MESSAGE_WITHOUT_IDS))
                nearest = get_close_matches(name, known, n=1, cutoff=0.7)
                hint = f"; did you mean {{{{ {nearest[0]} }}}}?" if nearest else ""
                yield f"Sentry does not know {found[0]}{hint}"
            elif found[0] != part:
                yield f"Sentry replaces {found[0]} only where it is a part of its own, not in {part!r}"


def classes_in(option: str, text: str) -> list[str]:
    """Return the names of classes in the rules of an option.

    Args:
        option: its name.
        text: which has been parsed.
    """
    if option in ("expected_exceptions", "ignore_exceptions", "ignore_errors"):
        return split_names(text)
    if option == "error_sample_rates":
        return [line.split()[0] for line in split_lines(text)]
    if option == "fingerprints":
        return [r.subject for r in map(_fingerprint, split_lines(text)) if r.about == _CLASS]
    if option == "levels":
        return [rule.subject for rule in map(_level, split_lines(text)) if not rule.is_logger]
    return []


def _rates(text: str) -> references.Reference:
    rules = each_line(text, _class_rate)
    names, rates = [name for name, _ in rules], [rate for _, rate in rules]
    return references.exception_classes(names, lambda classes: tuple(zip(classes, rates)))


def _class_rate(line: str) -> tuple[str, float]:
    name, *rest = line.split(maxsplit=1)
    try:
        return name, kinds.RATE.parse(*rest)
    except (TypeError, ValueError):
        raise ValueError(f"expected {_CLASS_RATE} on each line, not {line!r}") from None


_CLASS_RATE = "a class of exceptions and a rate from 0 to 1"
CLASS_RATES = kinds.Kind("classes with rates", f"{_CLASS_RATE} on each line", _rates)
CLASS_LEVELS = kinds.Kind("classes with levels", f"{_CLASS_LEVEL} on each line", _levels)
FINGERPRINTS = kinds.Kind("fingerprints", _FINGERPRINT, _fingerprints)
MESSAGES = kinds.Kind(
    "messages", "globs for messages, or re: and a regular expression, one on each line", _messages
)
