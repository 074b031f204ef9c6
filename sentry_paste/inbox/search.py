"""The search: words, and fields such as ``level:error`` or ``status:>=500``.

Several values of one field are alternatives; everything else must all be true. ``!`` before a
term excludes what it finds, and quotes keep spaces together: ``transaction:"GET /soup"``.
What a stranger puts into the address is parsed here, so nothing raises and all of it is linear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from operator import attrgetter
from typing import NamedTuple

#: The terms of a search that are looked at; further ones are left out.
MAX_TERMS = 20

_TERM = re.compile(r'(!?)(?:([A-Za-z_][\w.-]{0,49}):)?(?:"([^"]*)"?|([^\s"]\S*))')

_LEVELS = ("trace", "debug", "info", "warning", "error", "fatal")
# Loggers and log items have names of their own for these.
_SAME_LEVELS = {"warn": "warning", "critical": "fatal"}

_ALIASES = {"env": "environment", "type": "", "message": "", "id": "trace", "took": "duration"}

_YES, _NO = {"yes", "true", "1"}, {"no", "false", "0"}

_COMPARED = re.compile(r"(>=|<=|>|<)(.+)")
_AGO = re.compile(r"([0-9]{1,6})(s|m|h|d|w)")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|min)?")
_UNITS = {
    "ms": 0.001,
    "": 0.001,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
}

_ID = re.compile("[0-9a-f-]{6,36}")

# Words of https://develop.sentry.dev/sdk/data-model/event-payloads/contexts/#trace-context for a request
# that has failed, whatever its HTTP status.
_FAILED = {
    "aborted",
    "data_loss",
    "deadline_exceeded",
    "error",
    "internal",
    "internal_error",
    "unavailable",
    "unimplemented",
    "unknown",
    "unknown_error",
}


class Facts(NamedTuple):
    """What a search may ask of an error, a request or a log line. All text is in lower case.

    Attributes:
        words: text that words are looked up in.
        level: of an event or a log line, as ``normal_level`` has it.
        environment: environment.
        release: release.
        handled: whether the app handled an error; None if unknown.
        method: HTTP method.
        url: address of the request.
        code: HTTP status code; 0 if unknown.
        status: Sentry's word for how a request ended.
        transaction: name of the transaction.
        user: id, name and addresses of the user.
        logger: name of the logger.
        tags: pairs of name and value.
        ids: ids that it is found by: its own, those of its traces and of the errors it is about.
        time: when it was captured, in seconds since 1970.
        duration: of a request, in seconds; None if unknown.
    """

    words: str = ""
    level: str = ""
    environment: str = ""
    release: str = ""
    handled: bool | None = None
    method: str = ""
    url: str = ""
    code: int = 0
    status: str = ""
    transaction: str = ""
    user: str = ""
    logger: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    ids: tuple[str, ...] = ()
    time: float = 0.0
    duration: float | None = None


class Term(NamedTuple):
    """A term of a search.

    Attributes:
        text: as it was written.
        field: name of the field in lower case; empty for a word.
        value: what is looked for, in lower case.
        is_negated: whether it excludes what it finds.
    """

    text: str
    field: str
    value: str
    is_negated: bool = False


class Problem(NamedTuple):
    """A term that is not understood, and is left out.

    Attributes:
        text: as it was written.
        expected: what would be understood.
    """

    text: str
    expected: str


Check = Callable[[Facts], bool]


def terms(text: str) -> list[Term]:
    """Split a search into its terms; a field without a value, which is still being typed, is none.

    Args:
        text: the search.
    """
    found = []
    for match in _TERM.finditer(text):
        negated, field, quoted, plain = match.groups()
        value = (plain if quoted is None else quoted).strip().lower()
        name = (field or "").lower()
        if not value or (plain and not field and re.fullmatch(r"!?[A-Za-z_][\w.-]{0,49}:", plain)):
            continue
        found.append(Term(match[0], _ALIASES.get(name, name), value, bool(negated)))
    return found[:MAX_TERMS]


def without(text: str, term: Term) -> str:
    """Return a search without a term, with single spaces.

    Args:
        text: the search.
        term: what is left out; compared by field and value.
    """
    return " ".join(other.text for other in terms(text) if other[1:] != term[1:])


def written(field: str, value: str) -> str:
    """Return a term as text, with quotes if it needs them.

    Args:
        field: name of the field.
        value: its value.
    """
    plain = value.replace('"', "*")
    return f'{field}:"{plain}"' if re.search(r"\s", plain) else f"{field}:{plain}"


def checks(wanted: Iterable[Term], now: float) -> tuple[Check | None, list[Problem]]:
    """Return a function that checks facts against all terms, and the terms that are not understood.

    Args:
        wanted: the terms.
        now: the present time, in seconds since 1970, that ``1h`` is counted back from.

    Returns:
        The function, None if everything matches, and the problems.
    """
    all_of: list[Check] = []
    any_of: dict[str, list[Check]] = {}
    problems = []
    for term in wanted:
        check = _check(term, now)
        if isinstance(check, str):
            problems.append(Problem(term.text, check))
        elif term.is_negated:
            all_of.append(_not(check))
        elif term.field in ("", "after", "before") or term.value[0] in "<>":
            all_of.append(check)
        else:
            any_of.setdefault(term.field, []).append(check)
    all_of += [
        alternatives[0] if len(alternatives) == 1 else _any(alternatives) for alternatives in any_of.values()
    ]
    if not all_of:
        return None, problems
    return all_of[0] if len(all_of) == 1 else _all(all_of), problems


def _not(check: Check) -> Check:
    return lambda facts: not check(facts)


def _any(found: list[Check]) -> Check:
    return lambda facts: any(check(facts) for check in found)


def _all(found: list[Check]) -> Check:
    def check(facts: Facts) -> bool:
        for one in found:  # noqa: SIM110 - this runs for tens of thousands of facts
            if not one(facts):
                return False
        return True

    return check


def _check(term: Term, now: float) -> Check | str:
    """Return the check for one term, or what was expected in place of its value."""
    make = _MAKERS.get(term.field)
    if make is not None:
        return make(term.value)
    if term.field in ("after", "before"):
        moment = _moment(term.value, now)
        if moment is None:
            return "a time such as 2026-11-22T07:13 (UTC) or 1h"
        return _after(moment) if term.field == "after" else _not(_after(moment))
    return _named(term.field, term.value)


def _after(moment: float) -> Check:
    return lambda facts: facts.time >= moment


def _moment(value: str, now: float) -> float | None:
    """Return a time in seconds since 1970, None if it is not one."""
    ago = _AGO.fullmatch(value)
    if ago is not None:
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        found = datetime.fromisoformat(value.upper().replace("Z", "+00:00"))
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def text_check(value: str, is_part: bool) -> Callable[[str], bool]:
    """Return a function that checks a text in lower case.

    Args:
        value: lower case; ``*`` stands for any text.
        is_part: whether a value without ``*`` may be any part of the text, rather than all of it.
    """
    if "*" not in value:
        return (lambda text: value in text) if is_part else (lambda text: value == text)
    first, *middle, last = value.split("*")
    least = len(value.replace("*", ""))

    def check(text: str) -> bool:
        if len(text) < least or not text.startswith(first) or not text.endswith(last):
            return False
        place, end = len(first), len(text) - len(last)
        for part in middle:
            place = text.find(part, place, end)
            if place < 0:
                return False
            place += len(part)
        return True

    return check


def _word(value: str) -> Check:
    digits = value.replace("-", "") if _ID.fullmatch(value) else ""
    if "*" in value:
        has = text_check(f"*{value}*", is_part=False)
        return lambda facts: has(facts.words)
    if not digits:
        return lambda facts: value in facts.words
    return lambda facts: value in facts.words or any(one.startswith(digits) for one in facts.ids)


def _named(name: str, value: str) -> Check:
    """Return the check for a tag by its name, or for a word with a colon in it."""
    has, whole = text_check(value, is_part=False), f"{name}:{value}"

    def check(facts: Facts) -> bool:
        return whole in facts.words or any(name == tag and has(text) for tag, text in facts.tags)

    return check


def _tag(value: str) -> Check:
    name, separator, wanted = value.partition("=") if "=" in value else value.partition(":")
    is_named, has = text_check(name, is_part=False), text_check(wanted if separator else "*", is_part=False)
    return lambda facts: any(is_named(tag) and has(text) for tag, text in facts.tags)


def normal_level(name: str) -> str:
    """Return the name of a level as a search compares it.

    Args:
        name: in any case.
    """
    lower = name.lower()
    return _SAME_LEVELS.get(lower, lower)


def _level(value: str) -> Check | str:
    compared = _COMPARED.fullmatch(value)
    if compared is None:
        has = text_check(normal_level(value), is_part=False)
        return lambda facts: has(facts.level)
    level = normal_level(compared[2])
    if level not in _LEVELS:
        return f"one of {', '.join(_LEVELS)}"
    order, name = _ORDERS[compared[1]], _LEVELS.index(level)
    wanted = {one for place, one in enumerate(_LEVELS) if order(place, name)}
    return lambda facts: facts.level in wanted


_ORDERS: dict[str, Callable[[float, float], bool]] = {
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
}


def _release(value: str) -> Check:
    has, ends = text_check(value, is_part=False), f"@{value}"
    return lambda facts: has(facts.release) or facts.release.endswith(ends)


def _handled(value: str) -> Check | str:
    if value in _YES:
        return lambda facts: facts.handled is True
    if value in _NO:
        return lambda facts: facts.handled is False
    return "yes or no"


def _status(value: str) -> Check | str:
    compared = _COMPARED.fullmatch(value)
    if compared is not None:
        if not re.fullmatch("[0-9]{1,3}", compared[2]):
            return "a status such as 404, 5xx, >=400, failed or not_found"
        order, number = _ORDERS[compared[1]], int(compared[2])
        return lambda facts: facts.code > 0 and order(facts.code, number)
    if re.fullmatch("[0-9]{1,3}", value):
        code = int(value)
        return lambda facts: facts.code == code
    if re.fullmatch("[1-5]xx", value):
        hundred = int(value[0])
        return lambda facts: facts.code // 100 == hundred
    if value == "failed":
        return lambda facts: is_failed(facts.code, facts.status)
    has = text_check(value, is_part=False)
    return lambda facts: has(facts.status)


def is_failed(code: int, status: str) -> bool:
    """Return whether a request has failed: by its HTTP status, or because it crashed after that was sent.

    Args:
        code: HTTP status code; 0 if unknown.
        status: Sentry's word for how it ended.
    """
    return code >= 500 or (code < 400 and status in _FAILED)


def _duration(value: str) -> Check | str:
    compared = _COMPARED.fullmatch(value)
    found = _DURATION.fullmatch(compared[2]) if compared else None
    if compared is None or found is None:
        return "a comparison such as >500ms or <2s"
    order, limit = _ORDERS[compared[1]], float(found[1]) * _UNITS[found[2] or ""]
    return lambda facts: facts.duration is not None and order(facts.duration, limit)


def _trace(value: str) -> Check:
    digits = value.replace("-", "")
    return lambda facts: any(one.startswith(digits) for one in facts.ids)


def _of_text(name: str, is_part: bool) -> Callable[[str], Check]:
    """Return what makes checks of a text.

    Args:
        name: of the attribute of facts that has it.
        is_part: as of ``text_check``.
    """
    text = attrgetter(name)

    def make(value: str) -> Check:
        has = text_check(value, is_part)
        return lambda facts: has(text(facts))

    return make


def _logger(value: str) -> Check:
    has, beginning = text_check(value, is_part=False), f"{value}."
    return lambda facts: has(facts.logger) or facts.logger.startswith(beginning)


_MAKERS: dict[str, Callable[[str], Check | str]] = {
    "": _word,
    "duration": _duration,
    "environment": _of_text("environment", is_part=False),
    "handled": _handled,
    "level": _level,
    "logger": _logger,
    "method": _of_text("method", is_part=False),
    "release": _release,
    "status": _status,
    "tag": _tag,
    "trace": _trace,
    "transaction": _of_text("transaction", is_part=True),
    "url": _of_text("url", is_part=True),
    "user": _of_text("user", is_part=True),
}
