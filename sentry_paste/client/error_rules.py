"""What the ini makes of errors before the SDK sees them, compiled once.

Nothing here runs the code of an exception: only its real type counts, and the texts
that its event has already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from sentry_paste.client.mechanisms import is_unhandled, set_handled
from sentry_paste.config.error_rules import EXPRESSION
from sentry_paste.config.settings import Settings
from sentry_paste.sdk.failures import log_failure
from sentry_paste.wsgi.path_rules import PathRules
from sentry_paste.wsgi.real_types import is_real, text_of

Value = TypeVar("Value")

# How much of a message is compared: it may hold whatever a client has sent.
_LONGEST = 8192
_WILD = re.compile(r"[*?\[]")

# Types of logging's arguments that can be formatted without running the app's code.
_PLAIN = frozenset({str, int, float, bool, type(None)})


class MessageRules:
    """Globs and expressions for messages; a thousand take about as long as one.

    Args:
        rules: globs, or ``re:`` and a regular expression, that is searched.
    """

    def __init__(self, rules: Sequence[str]) -> None:
        globs = {rule for rule in rules if not rule.startswith(EXPRESSION)}
        # A word within a message is the usual glob, and the one that PathRules would try one by one.
        self._words = tuple(glob[1:-1] for glob in globs if _is_of_word(glob))
        self._globs = PathRules([(glob, True) for glob in globs if not _is_of_word(glob)])
        self._expressions = _joined([rule[len(EXPRESSION) :] for rule in rules if rule not in globs])

    def matches(self, text: str) -> bool:
        """Return whether a rule is about a message.

        Args:
            text: of the message.
        """
        text = text[:_LONGEST]
        return (
            any(word in text for word in self._words)
            or bool(self._globs and self._globs.find(text))
            or any(expression.search(text) for expression in self._expressions)
        )


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


class ErrorRules:
    """The rules of one client about its events.

    Args:
        settings: of the client.
    """

    def __init__(self, settings: Settings) -> None:
        self._messages = MessageRules(settings.ignore_messages) if settings.ignore_messages else None
        self._expected = ClassRules([(name, True) for name in settings.expected_exceptions])
        levels = list(enumerate(settings.levels))
        self._levels = ClassRules([(r.subject, (at, r.level)) for at, r in levels if not r.is_logger])
        self._logger_levels = PathRules([(r.subject, (at, r.level)) for at, r in levels if r.is_logger])

    def is_ignored(self, event: Any) -> bool:
        """Return whether an event is not reported.

        Args:
            event: of the SDK, as it is captured.
        """
        try:
            return self._messages is not None and any(map(self._messages.matches, messages_of(event)))
        except Exception:
            log_failure("a rule about errors is not applied")
            return False

    def expect(self, event: Any, hint: Any) -> bool | None:
        """Mark an event of an error that is expected as handled.

        Args:
            event: of the SDK, as it is captured; changed.
            hint: of the SDK.

        Returns:
            Whether it was marked as an error that nobody has handled, None if it is not expected.
        """
        try:
            if not self._expected or self._expected.find(class_of(hint)) is None:
                return None
            was_unhandled = is_unhandled(event)
            set_handled(event, is_handled=True)
        except Exception:
            log_failure("a rule about errors is not applied")
            return None
        return was_unhandled

    def set_level(self, event: Any, hint: Any) -> None:
        """Give an event the level that the ini says.

        Args:
            event: of the SDK, as it is captured; changed.
            hint: of the SDK.
        """
        try:
            found = [self._levels.find(class_of(hint))] if self._levels else []
            logger = text_of(event.get("logger")) if self._logger_levels else None
            if logger is not None:
                found.append(self._logger_levels.find(logger))
            first = min(filter(None, found), default=None)
            if first is not None:
                event["level"] = first[1]
        except Exception:
            log_failure("a rule about errors is not applied")


def with_error_rates(settings: Settings, options: dict[str, Any]) -> dict[str, Any]:
    """Return options of the SDK with the rates of the ini, which take precedence over its own.

    The SDK decides when it has recorded that the request has failed.

    Args:
        settings: of the client.
        options: for it.
    """
    if not settings.error_sample_rates:
        return options
    rules = ClassRules(settings.error_sample_rates)
    sampler, rate = options.get("error_sampler"), options.get("sample_rate", 1.0)

    def rate_of(event: Any, hint: Any) -> Any:
        try:
            found = rules.find(class_of(hint))
        except Exception:
            log_failure("a rule about errors is not applied")
            found = None
        if found is not None:
            return found
        return sampler(event, hint) if callable(sampler) else rate

    return {**options, "error_sampler": rate_of}


def rules_for(settings: Settings) -> ErrorRules | None:
    """Return the rules of an ini about errors, None if it has none.

    Args:
        settings: of a client.
    """
    has_rules = settings.ignore_messages or settings.expected_exceptions or settings.levels
    return ErrorRules(settings) if has_rules else None


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
    value = _last_exception(event)
    text = text_of(value.get("value"))
    if text is not None:
        found += [text, f"{value.get('type')}: {text}"]
    yield from filter(None, map(text_of, found))


def _formatted(entry: dict[str, Any]) -> str | None:
    """Return what older SDKs leave to Sentry: the message with its arguments."""
    message, params = text_of(entry.get("message")), entry.get("params")
    if message is None or type(params) is not tuple or not _PLAIN.issuperset(map(type, params)):
        return None
    try:
        return message % params
    except (TypeError, ValueError):  # a mistake of the app's, which logging reports
        return None


def _last_exception(event: Any) -> dict[str, Any]:
    """Return the exception that was raised last: the others are its causes."""
    values: Any = (event.get("exception") or {}).get("values")
    value: Any = values[-1] if is_real(values, list, tuple) and values else None
    return dict(value) if is_real(value, dict) else {}
