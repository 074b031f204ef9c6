"""Which rules of the ini are about an event: by the class of its exception, or by its texts.

Nothing here runs the code of an exception: only its real type counts, and the texts
that its event has already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from sentry_paste.config.error_rules import EXPRESSION
from sentry_paste.wsgi.path_rules import PathRules
from sentry_paste.wsgi.real_types import is_real, text_of

Value = TypeVar("Value")

# How much of a message is compared: it may hold whatever a client has sent.
_LONGEST = 8192
_WILD = re.compile(r"[*?\[]")

# Types of logging's arguments that can be formatted without running the app's code.
_PLAIN = frozenset({str, int, float, bool, type(None)})


class GlobRules(Generic[Value]):
    """Values by glob; the first rule that is about a text applies. A thousand take about as long as one.

    Args:
        rules: pairs of a glob for the whole text and a value.
    """

    def __init__(self, rules: Sequence[tuple[str, Value]]) -> None:
        self._values = [value for _, value in rules]
        # A word within a text is the usual glob, and the one that PathRules would try one by one.
        self._words = [(glob[1:-1], at) for at, (glob, _) in enumerate(rules) if _is_of_word(glob)]
        self._others = PathRules([(glob, at) for at, (glob, _) in enumerate(rules) if not _is_of_word(glob)])

    def __bool__(self) -> bool:
        return bool(self._values)

    def find(self, text: str) -> Value | None:
        """Return the value of the first rule that is about a text, None if there is none.

        Args:
            text: of which a part may be left out, if it is very long.
        """
        text = text[:_LONGEST]
        word = next((at for word, at in self._words if word in text), None)
        other = self._others.find(text) if self._others else None
        found = [at for at in (word, other) if at is not None]
        return self._values[min(found)] if found else None


class MessageRules:
    """Globs and expressions for messages; a thousand take about as long as one.

    Args:
        rules: globs, or ``re:`` and a regular expression, that is searched.
    """

    def __init__(self, rules: Sequence[str]) -> None:
        self._globs = GlobRules([(rule, True) for rule in rules if not rule.startswith(EXPRESSION)])
        expressions = [rule for rule in rules if rule.startswith(EXPRESSION)]
        self._expressions = _joined([rule[len(EXPRESSION) :] for rule in expressions])

    def matches(self, text: str) -> bool:
        """Return whether a rule is about a message.

        Args:
            text: of the message.
        """
        if self._globs and self._globs.find(text):
            return True
        text = text[:_LONGEST]
        return any(expression.search(text) for expression in self._expressions)


def _is_of_word(glob: str) -> bool:
    return len(glob) > 2 and glob[0] == glob[-1] == "*" and not _WILD.search(glob[1:-1])


def _joined(texts: Sequence[str]) -> list[re.Pattern[str]]:
    """Compile expressions into as few as possible."""
    compiled = [re.compile(text) for text in texts]
    # In a larger expression, groups would have other numbers, and flags would apply to all of it.
    plain = [each for each in compiled if not each.groups and each.flags == re.UNICODE]
    if len(plain) > 1:
        compiled = [each for each in compiled if each not in plain]
        compiled.append(re.compile("|".join(f"(?:{each.pattern})" for each in plain)))
    return compiled


# A metaclass of the app's may have properties of these names.
_BASES: Any = type.__dict__["__mro__"].__get__
_NAME: Any = type.__dict__["__name__"].__get__


class ClassRules(Generic[Value]):
    """Values by class of exception; the first rule that is about a class or one of its bases applies.

    Args:
        rules: pairs of a class, or of the name of one in any module, and a value.
    """

    def __init__(self, rules: Sequence[tuple[Any, Value]]) -> None:
        # With the classes, so that no other has the identity of one.
        self._rules = tuple(rules)
        self._classes: dict[int, int] = {}
        self._names: dict[str, int] = {}
        for index, (found, _) in enumerate(rules):
            if isinstance(found, str):
                self._names.setdefault(found, index)
            else:
                self._classes.setdefault(id(found), index)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def find(self, cls: type | None) -> Value | None:
        """Return the value of the first rule that is about a class, None if there is none.

        Args:
            cls: of an exception, None for none.
        """
        bases = () if cls is None else _BASES(cls)
        found = [self._classes[id(base)] for base in bases if id(base) in self._classes]
        found += [self._names[name] for name in map(_NAME, bases) if name in self._names]
        return self._rules[min(found)][1] if found else None


def class_of(hint: Any) -> type | None:
    """Return the class of the exception that an event is about, None if it is about none.

    Args:
        hint: of the SDK.
    """
    exc_info = hint.get("exc_info") if is_real(hint, dict) else None
    found = exc_info[0] if is_real(exc_info, tuple) and exc_info else None
    return found if is_real(found, type) else None


def messages_of(event: Any) -> Iterator[str]:
    """Yield the texts of an event: the message that was logged or captured, and that of its exception.

    Args:
        event: of the SDK.
    """
    entry = event.get("logentry")
    found = [event.get("message")]
    if is_real(entry, dict):
        found += [entry.get("message"), entry.get("formatted") or _formatted(entry)]
    value = last_exception(event)
    text = text_of(value.get("value"))
    if text is not None:
        found += [text, f"{value.get('type')}: {text}"]
    yield from filter(None, map(text_of, found))


def message_of(event: Any) -> str:
    """Return the message of an event, as it was before its arguments were added.

    Args:
        event: of the SDK.

    Returns:
        The text of the exception, or the message that was logged or captured; empty if there is none.
    """
    value = last_exception(event)
    if value:
        return text_of(value.get("value")) or ""
    entry = event.get("logentry")
    logged = text_of(entry.get("message")) if is_real(entry, dict) else None
    return logged or text_of(event.get("message")) or ""


def is_message(event: Any) -> bool:
    """Return whether an event is a message without a stack trace, by whose text Sentry groups it.

    Args:
        event: of the SDK.
    """
    return event.get("type") is None and not any(
        event.get(name) for name in ("exception", "stacktrace", "threads")
    )


def _formatted(entry: dict[str, Any]) -> str | None:
    """Return what older SDKs leave to Sentry: the message with its arguments."""
    message = text_of(entry.get("message"))
    params: Any = entry.get("params")
    # The SDK makes lists of tuples when it serialises them.
    if message is None or type(params) not in (tuple, list) or not _PLAIN.issuperset(map(type, params)):
        return None
    try:
        return message % tuple(params)
    except (TypeError, ValueError):  # a mistake of the app's, which logging reports
        return None


def transaction_of(event: Any) -> Iterator[str]:
    """Yield the name of an event's transaction, if it has one.

    Args:
        event: of the SDK.
    """
    name = text_of(event.get("transaction"))
    if name:
        yield name


def module_of(event: Any) -> Iterator[str]:
    """Yield the module of the app in which an error was raised, or that of a library if there is no other.

    Args:
        event: of the SDK.
    """
    found = [frame for frame in frames_of(last_exception(event)) if text_of(frame.get("module"))]
    own = [frame for frame in found if frame.get("in_app")]
    for frame in (own or found)[-1:]:
        yield frame["module"]


def frames_of(value: Any) -> list[dict[str, Any]]:
    """Return the frames of an exception, the one that has raised it last.

    Args:
        value: as an event has it.
    """
    stack: Any = value.get("stacktrace")
    frames: Any = stack.get("frames") if is_real(stack, dict) else None
    return [frame for frame in frames if is_real(frame, dict)] if is_real(frames, list, tuple) else []


def last_exception(event: Any) -> dict[str, Any]:
    """Return the exception that was raised last: the others are its causes.

    Args:
        event: of the SDK.
    """
    found: Any = event.get("exception")
    # Sentry takes a list as well.
    values: Any = found.get("values") if is_real(found, dict) else found
    value: Any = values[-1] if is_real(values, list, tuple) and values else None
    return dict(value) if is_real(value, dict) else {}
