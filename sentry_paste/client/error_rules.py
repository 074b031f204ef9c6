"""What the ini makes of errors: rules that are compiled once, and change nothing if they fail."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sentry_paste.client.error_budget import ErrorBudget, with_budget
from sentry_paste.client.mechanisms import is_unhandled, set_handled
from sentry_paste.client.message_ids import ID, without_ids
from sentry_paste.client.rule_matching import (
    ClassRules,
    GlobRules,
    MessageRules,
    class_of,
    is_message,
    message_of,
    messages_of,
    module_of,
    transaction_of,
)
from sentry_paste.config.error_rules import DEFAULT, MESSAGE_WITHOUT_IDS, FingerprintRule
from sentry_paste.config.settings import Settings
from sentry_paste.sdk.failures import log_failure
from sentry_paste.wsgi.path_rules import PathRules
from sentry_paste.wsgi.real_types import text_of

#: The texts of an event that a glob of a fingerprint's rule may be about.
_ABOUT: dict[str, Callable[[Any], Iterator[str]]] = {
    "message": messages_of,
    "transaction": transaction_of,
    "module": module_of,
}


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


class Fingerprints:
    """How the events of a client are grouped; the first rule that is about an event applies.

    Args:
        rules: of the ini.
        without_ids: whether messages that no rule is about are grouped without the ids in them.
    """

    def __init__(self, rules: Sequence[FingerprintRule], without_ids: bool = False) -> None:
        self._without_ids = without_ids
        self._parts = [rule.parts for rule in rules]
        self._of = {
            about: [(r.subject, at) for at, r in enumerate(rules) if r.about == about]
            for about in ("class", *_ABOUT)
        }
        self._classes = ClassRules(self._of.pop("class"))
        self._globs = {about: GlobRules(found) for about, found in self._of.items() if found}

    def group(self, event: Any, hint: Any) -> Any:
        """Return an event with the fingerprint that the ini says, as a hook of the SDK.

        Args:
            event: as it is sent; changed.
            hint: of the SDK.
        """
        try:
            if event.get("type") is None and not event.get("fingerprint"):
                first = min(self._found(event, hint), default=None)
                if first is not None:
                    event["fingerprint"] = [_filled(part, event) for part in self._parts[first]]
                elif self._without_ids and is_message(event):
                    _leave_out_ids(event)
        except Exception:
            log_failure("a rule about errors is not applied")
        return event

    def _found(self, event: Any, hint: Any) -> Iterator[int]:
        if self._classes:
            yield from _given(self._classes.find(class_of(hint)))
        for about, rules in self._globs.items():
            for text in _ABOUT[about](event):
                yield from _given(rules.find(text))


def _filled(part: str, event: Any) -> str:
    if MESSAGE_WITHOUT_IDS not in part:
        return part
    text = without_ids(message_of(event))
    return part.replace(MESSAGE_WITHOUT_IDS, text) if text else DEFAULT


def _leave_out_ids(event: Any) -> None:
    """Group a message that has ids by the rest of it; others are grouped by Sentry as before."""
    text = without_ids(message_of(event))
    if ID in text:
        event["fingerprint"] = [text]


def _given(found: int | None) -> Iterator[int]:
    if found is not None:
        yield found


def with_error_rules(
    settings: Settings, options: dict[str, Any], budget: ErrorBudget | None = None
) -> dict[str, Any]:
    """Return options of the SDK with those rules of the ini that are hooks.

    Args:
        settings: of the client.
        options: for it.
        budget: of the client, None without one.
    """
    found = dict(options)
    if settings.error_sample_rates:
        found["error_sampler"] = _rate_of(ClassRules(settings.error_sample_rates), options)
    if budget is not None:
        found["error_sampler"] = with_budget(budget, found)
    if settings.fingerprints or settings.fingerprint_without_ids:
        rules = Fingerprints(settings.fingerprints, settings.fingerprint_without_ids)
        found["before_send"] = _run_before(rules, options.get("before_send"))
    return found


def _rate_of(rules: ClassRules[float], options: dict[str, Any]) -> Callable[[Any, Any], Any]:
    """Return the SDK's sampler of errors. It decides when it is recorded that the request has failed."""
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

    return rate_of


def _run_before(rules: Fingerprints, hook: Any) -> Callable[[Any, Any], Any]:
    if not callable(hook):
        return rules.group

    def call(event: Any, hint: Any) -> Any:
        return hook(rules.group(event, hint), hint)

    return functools.update_wrapper(call, hook)


def rules_for(settings: Settings) -> ErrorRules | None:
    """Return the rules of an ini about errors, None if it has none.

    Args:
        settings: of a client.
    """
    has_rules = settings.ignore_messages or settings.expected_exceptions or settings.levels
    return ErrorRules(settings) if has_rules else None
