"""The error budget of a client: which errors are sent, and how events report those that were not.

An error's kind is its class and the place in the app's code where it was raised; of a message without an
exception, its logger and its text without arguments. Only a hash of it is kept, and a title, in which there
is no text of messages.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from sentry_sdk.envelope import Envelope

from sentry_paste.client.held import Capture, current_capture
from sentry_paste.client.message_ids import without_ids
from sentry_paste.client.rule_matching import frames_of, last_exception
from sentry_paste.config.error_budget import PERIODS, Budget
from sentry_paste.config.settings import Settings
from sentry_paste.sdk.failures import log_failure, warn
from sentry_paste.spool.budget import SharedBudget
from sentry_paste.spool.budget_table import Kind, Limits, NotSent, Taken
from sentry_paste.wsgi.real_types import is_real, text_of

#: The tag and the context of events that report errors that were not sent.
TAG, CONTEXT = "sentry_paste.not_sent", "error_budget"
#: The text of the event that reports them where no event of their own kind has.
SUMMARY = "Errors beyond the error budget were not sent"
# How many kinds it names.
_MOST_NAMED = 50
_NO_LIMIT = float("inf")


class ErrorBudget:
    """The budget of a client.

    Args:
        settings: of the client.
    """

    def __init__(self, settings: Settings) -> None:
        dsn = str(settings.sdk.get("dsn") or "")
        self._counts = SharedBudget(_limits(settings.error_budget), settings.spool_dir, dsn)
        self._was_full = False
        self._shorten = _shortening(settings)

    def change(self, settings: Settings) -> None:
        """Apply the budgets of other settings to the errors from now on, and keep what has been counted.

        Args:
            settings: that were read again. Without budgets, all errors are sent; those that were not sent
                before are still reported.
        """
        self._shorten = _shortening(settings)
        try:
            self._counts.change(_limits(settings.error_budget))
        except Exception:
            log_failure("what an error budget has counted is not kept")

    def allows(self, event: Any, release: Any) -> bool:
        """Return whether an event is sent, and count it.

        Args:
            event: of the SDK, which nothing but the transport can drop any more.
            release: of the client.
        """
        capture = current_capture()
        if capture is None or capture.verdict is not None:  # the event with a summary
            return True
        try:
            kind = kind_of(event, capture.client.redaction.clean_name, self._shorten)
            taken = self._counts.take(kind, _number(event.get("release") or release))
            if taken is None:
                return True
            if taken.is_full and not self._was_full:
                self._was_full = True
                warn(
                    "error_budget: there are too many kinds of errors to count each of them: those that are "
                    "new share one budget"
                )
            verdict = capture.verdict = Verdict(self._counts, taken)
            record = capture.record
            if not taken.goes and record is not None and not record.is_settled:
                record.hold(verdict)
        except Exception:
            log_failure("an error is not counted in its budget")
            return True
        return taken.goes

    def stopped(self) -> list[NotSent]:
        """Take out errors that were not sent, of kinds that had none for a period."""
        return self._taken_out(self._counts.stopped)

    def rest(self) -> list[NotSent]:
        """Take out errors that were not sent and that no other process would report."""
        return self._taken_out(self._counts.rest)

    def _taken_out(self, take: Callable[[], list[NotSent]]) -> list[NotSent]:
        try:
            return take()
        except Exception:
            log_failure("errors that were not sent are not reported")
            return []

    def owe(self, found: Iterable[NotSent]) -> None:
        """Put back errors whose event was not sent.

        Args:
            found: the errors.
        """
        try:
            for each in found:
                self._counts.owe(each)
        except Exception:
            log_failure("errors that were not sent are not reported")


def _limits(budgets: Sequence[Budget]) -> Limits:
    of_kind = next((found for found in budgets if not found.in_all), None)
    in_all = next((found for found in budgets if found.in_all), None)
    period_of_all = in_all.seconds if in_all else PERIODS["hour"]
    return Limits(
        _NO_LIMIT if of_kind is None else of_kind.errors,
        period_of_all if of_kind is None else of_kind.seconds,
        _NO_LIMIT if in_all is None else in_all.errors,
        period_of_all,
    )


def _shortening(settings: Settings) -> Callable[[str], str]:
    # A kind is what Sentry shows as one issue.
    return without_ids if settings.fingerprint_without_ids else str


class Verdict:
    """What the budget says of an error.

    Args:
        counts: of the budget.
        taken: what was decided.

    Attributes:
        until: not used: nothing waits.
        when_late: likewise.
    """

    __slots__ = ("_counts", "_is_undone", "_taken", "until", "when_late")

    def __init__(self, counts: SharedBudget, taken: Taken) -> None:
        self._counts = counts
        self._taken = taken
        self._is_undone = False
        self.until = _NO_LIMIT
        self.when_late: Callable[[], None] | None = None

    @property
    def stopped(self) -> Sequence[NotSent]:
        """Errors of other kinds that were found on this occasion."""
        return self._taken.stopped

    def mark(self, envelope: Envelope) -> None:
        """Let an event report the errors of its kind that were not sent.

        Args:
            envelope: with the event.
        """
        if not self._taken.reports:
            return
        try:
            _mark(envelope, self._taken.reports)
        except Exception:  # a hook has made something else of its tags
            log_failure("an event does not report the errors of its kind that were not sent")
            self._counts.owe(NotSent(self._taken.kind, self._taken.reports))

    def send(self, change: Callable[[Any], None] | None = None) -> None:
        """Leave an error that is not sent in the counts.

        Args:
            change: not used.
        """

    def drop(self) -> None:
        """Take the error out of the counts: it is none after all."""
        if self._is_undone:
            return
        self._is_undone = True
        try:
            self._counts.undo(self._taken)
        except Exception:
            log_failure("an error stays counted in its budget")


class Summary:
    """An event that reports errors of kinds of which there are no more.

    Args:
        found: the errors.
    """

    __slots__ = ("_count", "_found")

    def __init__(self, found: Sequence[NotSent]) -> None:
        self._found = found
        self._count = sum(each.errors for each in found)

    @property
    def stopped(self) -> Sequence[NotSent]:
        """Nothing: it reports what was found before."""
        return ()

    def event(self) -> dict[str, Any]:
        """Return the event."""
        titles: dict[str, int] = {}
        for kind, count in sorted(self._found, key=lambda each: -each.errors):
            title = kind.title if len(titles) < _MOST_NAMED or kind.title in titles else "others"
            titles[title] = titles.get(title, 0) + count
        return {
            "message": SUMMARY,
            "level": "warning",
            "logger": "sentry_paste",
            "fingerprint": [CONTEXT],
            "contexts": {CONTEXT: {"kinds": titles}},
        }

    def mark(self, envelope: Envelope) -> None:
        """Let the event report how many there are.

        Args:
            envelope: with the event.
        """
        _mark(envelope, self._count)

    def drop(self) -> None:
        """Do nothing: no request decides on it."""


def _mark(envelope: Envelope, count: int) -> None:
    event: Any = envelope.get_event()
    if event is None:
        return
    # After all hooks, so that nothing changes the number.
    tags, contexts = event.get("tags"), event.get("contexts")
    event["tags"] = {**(tags if isinstance(tags, Mapping) else dict(tags or ())), TAG: str(count)}
    contexts = dict(contexts or ())
    event["contexts"] = {**contexts, CONTEXT: {**(contexts.get(CONTEXT) or {}), "not_sent": count}}


def with_budget(budget: ErrorBudget, options: Mapping[str, Any]) -> Callable[[Any, Any], Any]:
    """Return the SDK's sampler of errors: what it samples away does not use the budget.

    The SDK calls it when hooks have run and the request has failed.

    Args:
        budget: of the client.
        options: of the client, with the sampler or the rate that applies first.
    """
    sampler, sample_rate = options.get("error_sampler"), options.get("sample_rate", 1.0)
    release = options.get("release")

    def rate_of(event: Any, hint: Any) -> Any:
        capture = current_capture()
        if capture is None:  # of another client, which has these options
            return sampler(event, hint) if callable(sampler) else sample_rate
        if capture.rate is None:
            capture.rate = decided(event, hint)
        return capture.rate

    def decided(event: Any, hint: Any) -> Any:
        rate = sampler(event, hint) if callable(sampler) else sample_rate
        if not isinstance(rate, (int, float)):
            return rate  # the SDK warns of it, and sends the event
        if rate < 1.0 and random.random() >= rate:  # noqa: S311, as in the SDK
            return 0.0
        return 1.0 if budget.allows(event, release) else 0.0

    return rate_of


def decides(capture: Capture, hint: Any) -> Callable[[Any], bool]:
    """Return a function that decides on an event before it is serialised and redacted, which takes longest.

    Args:
        capture: of a client whose ini has no hook that could drop the event afterwards.
        hint: of the SDK.
    """
    sampler = capture.client.options["error_sampler"]

    def is_sent(event: Any) -> bool:
        try:
            return bool(sampler(event, hint or {}) != 0.0)
        except Exception:  # of the user's sampler, which the SDK calls again
            return True

    return is_sent


def kind_of(event: Any, clean: Callable[[str], str] = str, shorten: Callable[[str], str] = str) -> Kind:
    """Return the kind of an event.

    Args:
        event: of the SDK, before it is serialised.
        clean: returns a name without secrets of the request: the title is kept longer than it.
        shorten: returns the part of a message that the messages of a kind have in common.
    """
    value = last_exception(event)
    name, module = text_of(value.get("type")) or "", text_of(value.get("module")) or ""
    frame = _frame_of(value)
    if frame is not None:
        place = text_of(frame.get("module")) or text_of(frame.get("filename")) or ""
        function, line = text_of(frame.get("function")) or "", frame.get("lineno")
        line = line if is_real(line, int) else 0
        parts = ["raised", module, name, place, function, str(line)]
        title = f"{_joined(module, name)} in {_joined(place, function)}, line {line}"
    else:
        logger = text_of(event.get("logger")) or ""
        entry = event.get("logentry")
        text = text_of(entry.get("message")) if is_real(entry, dict) else text_of(event.get("message"))
        parts = ["logged", module, name, logger, shorten(text or "")]
        if not name:
            # That of a failed status has the name of the transaction.
            fingerprint = event.get("fingerprint")
            parts += [str(text_of(part)) for part in fingerprint] if is_real(fingerprint, list) else []
        about = _joined(module, name) if name else "messages"
        title = (
            f"{about} of the logger {logger if logger in sys.modules else clean(logger)}" if logger else about
        )
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(part.encode("utf-8", "replace") + b"\0")
    return Kind(digest.digest(), title)


def _frame_of(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the frame of the app in which an exception was raised, or of a library if there is none."""
    found = frames_of(value)
    own = next((frame for frame in reversed(found) if frame.get("in_app")), None)
    return own or (found[-1] if found else None)


def _joined(module: str, name: str) -> str:
    return f"{module}.{name}" if module else name


def _number(release: Any) -> int:
    """Return a number from 1 that stands for a release."""
    text = text_of(release) or ""
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=4).digest(), "little") or 1


def budget_for(settings: Settings) -> ErrorBudget | None:
    """Return the budget of an ini, None if it has none.

    Args:
        settings: of a client.
    """
    return ErrorBudget(settings) if settings.error_budget else None
