"""The errors of one request that were captured, and what its answer makes of them.

Whoever captures first, an integration, a panel or a log handler, does not know what
becomes of the request. Here that is settled, for each error once:

- an error that the app raises to the server after all is unhandled;
- an error that a framework gave up on is unhandled, also if somebody logged it before;
- an error that was logged, and then answered with a 500 that nobody else explains, is unhandled;
- an error that an error handler answered with a status below 500 is handled;
- a framework's own answer below 500 that was raised, as by ``abort(404)``, is none;
- an error of an attempt that is tried again is none;
- an error that the ini expects is handled, and the request has not failed by it.

Until then its envelope waits (``client.held``).
"""

from __future__ import annotations

import sys
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from threading import RLock
from types import SimpleNamespace
from typing import Any

from sentry_paste import sdk
from sentry_paste.client.held import Waiting, latest
from sentry_paste.client.mechanisms import is_unhandled, mechanisms, set_handled
from sentry_paste.sdk.failures import log_failure
from sentry_paste.wsgi.real_types import is_real

# The status of an answer to a crash. Others, such as 503, are usually meant.
_CRASHED = 500

# Types of mechanisms, https://develop.sentry.dev/sdk/data-model/event-payloads/exception/.
_LOGGING = frozenset({"logging", "loguru"})

# How many errors are remembered, as a stream can raise and catch for hours.
_MOST = 100
# How many of them are kept alive, with the objects in their frames: built-in exceptions, for example.
_MOST_ALIVE = 8


class ReportedError:
    """An error that was captured.

    Args:
        errors: of the request, to which it belongs.
        error: the exception.
        event: of the SDK, before it is serialised.
        attempt: of pyramid_retry, in the form that it has in the environ; None if there is only one.
        expected: whether nobody has handled it, of an error that the ini expects; None of others.

    Attributes:
        error: returns the exception, None if it does not exist any more and cannot be raised.
        keeps_alive: whether the exception is kept alive.
        identity: event id.
        is_answer: whether the exception is a response below 500.
        is_expected: whether it is one that the ini expects.
        is_marked: whether its event says that nobody has handled it.
        is_given_up: whether a framework has said so, before or since.
        is_logged: whether it was captured because it was logged.
        is_of_thread: whether a thread of the request has captured it.
        is_raised: whether the app has raised it to the server.
        is_settled: whether it does not wait for the answer any more.
        held: the envelope, one for each transport; none if it is not sent, but what counts it may be.
        until: when it may be kept alive no longer, by ``time.monotonic``.
    """

    __slots__ = (
        "_errors",
        "attempt",
        "error",
        "held",
        "identity",
        "is_answer",
        "is_expected",
        "is_given_up",
        "is_logged",
        "is_marked",
        "is_of_thread",
        "is_raised",
        "is_settled",
        "keeps_alive",
        "until",
    )

    def __init__(
        self,
        errors: ReportedErrors,
        error: BaseException,
        event: Any,
        attempt: dict[str, Any] | None,
        expected: bool | None,
    ) -> None:
        self._errors = errors
        # pyramid_retry is asked about the exception when the attempt is over.
        self.error, self.keeps_alive = _referred_to(error, is_needed=attempt is not None)
        self.identity = event.get("event_id")
        self.attempt = attempt
        self.is_answer = _is_answer(error)
        self.is_expected = expected is not None
        self.is_marked = is_unhandled(event)
        self.is_given_up = self.is_marked or bool(expected)
        self.is_logged = any(mechanism.get("type") in _LOGGING for mechanism in mechanisms(event))
        self.is_of_thread = sdk.in_thread_of_request()
        self.is_raised = False
        # A thread crashes whatever the request answers.
        self.is_settled = self.is_of_thread and self.is_marked
        self.held: list[Waiting] = []
        self.until = latest()

    def hold(self, held: Waiting) -> None:
        """Keep an envelope until the answer is known.

        Args:
            held: the envelope.
        """
        self._errors.hold(self, held)

    def release(self) -> None:
        """Keep the exception alive no longer."""
        self.error, self.keeps_alive = _no_error, False

    def forget(self) -> None:
        """Forget the error: a hook has dropped its event, and may keep the next one."""
        self._errors.forget(self)


def _no_error() -> None:
    """Return nothing, in place of an exception that was released."""


def _referred_to(error: BaseException, is_needed: bool) -> tuple[Callable[[], BaseException | None], bool]:
    """Return a function that returns an exception, and whether it keeps the exception alive."""
    if not is_needed:
        try:
            return weakref.ref(error), False
        except TypeError:  # built-in exceptions support no references of this kind
            pass
    return lambda: error, True


class ReportedErrors:
    """The errors of one request that were captured.

    Attributes:
        is_over: whether the request is.
        dropped: how many were captured, but are none, or expected.
    """

    __slots__ = (
        "_dropped_ids",
        "_errors",
        "_lock",
        "_was_changed",
        "_was_expected",
        "_was_unhandled",
        "dropped",
        "is_over",
    )

    def __init__(self) -> None:
        # Threads of the app capture, too.
        self._lock = RLock()
        self._errors: deque[ReportedError] = deque()
        self._was_changed = False
        # Whether an error was unhandled in the end.
        self._was_unhandled = False
        # Whether one that is expected was not handled.
        self._was_expected = False
        self.is_over = False
        self.dropped = 0
        self._dropped_ids: list[Any] = []

    def add(
        self,
        error: BaseException,
        event: Any,
        environ: Mapping[str, Any] | None,
        expected: bool | None = None,
    ) -> ReportedError | None:
        """Record an error that is being captured; return the record, None if it has been captured before.

        Args:
            error: the exception.
            event: of the SDK.
            environ: of the request; None if the request is over.
            expected: whether nobody has handled it, of an error that the ini expects; None of others.
        """
        attempt = attempt_of(environ) if environ is not None else None
        if attempt is not None and is_tried_again(error, attempt):
            return None
        found = ReportedError(self, error, event, attempt, expected)
        with self._lock:
            before = self.find(error)
            if before is not None and before.attempt == attempt:
                return None
            self._errors.append(found)
            self.release_late()
            surplus = before or self._surplus()
            if surplus is not None:
                self._errors.remove(surplus)
        if surplus is not None:
            self._settle(surplus, None, is_surplus=True)
        if found.is_settled:
            self._was_unhandled = True
        return found

    def release_late(self) -> None:
        """Keep no exception alive, with the objects in its frames, for longer than its envelope may wait.

        The last one is kept in any case by the SDK, which drops it if it is captured again.
        """
        now = time.monotonic()
        released = []
        with self._lock:
            for found in list(self._errors)[:-1]:
                if found.keeps_alive and found.attempt is None and found.until <= now:
                    # Not within the lock, as an object in its frames may have a destructor.
                    released.append(found.error)
                    found.release()

    def _surplus(self) -> ReportedError | None:
        """Return an error that has to be forgotten for the others."""
        alive = [found for found in list(self._errors) if found.keeps_alive]
        if len(alive) > _MOST_ALIVE:
            return alive[0]
        return self._errors[0] if len(self._errors) > _MOST else None

    def forget(self, found: ReportedError) -> None:
        """Forget an error whose event a hook has dropped; the hook may keep the next one.

        Args:
            found: the error.
        """
        with self._lock:
            if found in self._errors and not (found.is_settled or found.held):
                self._errors.remove(found)

    def is_dropped(self, identity: Any) -> bool:
        """Return whether the answer has made an event none.

        Args:
            identity: event id.
        """
        return identity in self._dropped_ids

    def find(self, error: BaseException) -> ReportedError | None:
        """Return what is recorded of an error, None if it has not been captured.

        Args:
            error: the exception.
        """
        with self._lock:
            # A copy: the garbage collector may run meanwhile, and a destructor may log an error.
            return next((found for found in list(self._errors) if found.error() is error), None)

    def captured_again(
        self, error: BaseException, is_given_up: bool, environ: Mapping[str, Any] | None
    ) -> bool:
        """Record that an error is captured by somebody else, who may know that nobody has handled it.

        Args:
            error: the exception.
            is_given_up: whether its event, which is dropped, says that nobody has handled it.
            environ: of the request; None if the request is over.

        Returns:
            Whether it is the same object, but raised by another attempt.
        """
        found = self.find(error)
        if found is None:
            return False
        if environ is not None and found.attempt != attempt_of(environ):
            return True
        found.is_given_up = found.is_given_up or is_given_up
        return False

    def raised(self, error: BaseException) -> None:
        """Settle an error that the app has raised to the server.

        Args:
            error: the exception.
        """
        found = self.find(error)
        if found is None:
            return
        found.is_raised = True
        if found.is_settled and found.is_expected:
            self._was_expected = True
        elif found.is_settled:
            # Its event is on its way, but the session can still say so.
            self._was_unhandled = self._was_changed = True
        else:
            self._settle(found, None)

    def hold(self, found: ReportedError, held: Waiting) -> None:
        """Keep an envelope until the answer is known.

        Args:
            found: the error.
            held: its envelope.
        """
        with self._lock:
            held.when_late = self.release_late
            if not found.is_settled:
                found.held.append(held)
                return
        held.send()

    def answered(self, status: int | None, is_explained: bool = False) -> None:
        """Settle the errors so far: the response has begun.

        Args:
            status: of the response, None if it is not known.
            is_explained: whether the app has passed the error for which it is.
        """
        with self._lock:
            errors = list(self._errors)
        own = [found for found in errors if not found.is_of_thread]
        if (
            status == _CRASHED
            and not is_explained
            and not any(found.is_given_up or found.is_raised for found in own)
        ):
            # Nobody else knows of a crash, so it is what was logged last, as by pyramid_debugtoolbar, which
            # logs an exception and answers it with its debugger.
            for found in reversed(own):
                if found.is_logged:
                    found.is_given_up = True
                    break
        for found in errors:
            try:
                self._settle(found, status)
            except Exception:  # of a transport; the others are settled
                log_failure("an event is lost")

    def end(self, status: int | None) -> None:
        """Settle all errors: the request is over.

        Args:
            status: of the response, None if it is not known.
        """
        self.is_over = True
        self.answered(status)
        self._errors.clear()

    @property
    def crashes(self) -> bool | None:
        """Whether the request's session has crashed; None if that is what the SDK has made of the events."""
        return self._was_unhandled if self._was_changed else None

    @property
    def fails_as_expected(self) -> bool:
        """Whether the request has failed with an error that the ini expects, and with no other."""
        with self._lock:
            given_up = [found for found in list(self._errors) if found.is_given_up and not found.is_settled]
        if self._was_unhandled or not all(found.is_expected for found in given_up):
            return False
        return self._was_expected or bool(given_up)

    def _settle(self, found: ReportedError, status: int | None, is_surplus: bool = False) -> None:
        with self._lock:
            if found.is_settled:
                return
            found.is_settled = True
            held, found.held = found.held, []
        if not found.is_raised and _is_none(found, status):
            self._was_changed = True
            self.dropped += 1  # also if it was not sampled: the SDK has counted it
            self._dropped_ids.append(found.identity)
            for each in held:
                each.drop()
            return
        if found.is_expected:
            self._was_changed = True
            self._was_expected = self._was_expected or found.is_given_up or found.is_raised
            self.dropped += 1
            for each in held:
                each.send()
            return
        if is_surplus and not found.is_raised:
            is_final = found.is_marked  # nothing is known of the answer: as it was captured
        else:
            is_final = found.is_raised or (found.is_given_up and (status is None or status >= 500))
        self._was_unhandled = self._was_unhandled or (is_final and not is_surplus)
        is_changed = is_final is not found.is_marked
        self._was_changed = self._was_changed or is_changed
        for each in held:
            each.send(partial(set_handled, is_handled=not is_final) if is_changed else None)


def _is_none(found: ReportedError, status: int | None) -> bool:
    error = found.error()
    if error is not None and found.attempt is not None and is_tried_again(error, found.attempt):
        return True
    # flask-restful signals Werkzeug's exceptions like any other, so the SDK's integration captures them.
    return found.is_given_up and status is not None and status < 500 and found.is_answer


# Modules with a class HTTPException whose instances are responses; their ``code`` is the status.
_ANSWERS = frozenset({"werkzeug.exceptions", "webob.exc", "pyramid.httpexceptions"})


def _is_answer(error: BaseException) -> bool:
    """Return whether an exception is a response below 500, of Werkzeug, WebOb or Pyramid."""
    for cls in type(error).__mro__:
        if cls.__name__ == "HTTPException" and cls.__module__ in _ANSWERS:
            try:
                code: Any = getattr(error, "code", None)
            except Exception:  # a property of the app's
                return False
            return code is None or (is_real(code, int) and code < _CRASHED)
    return False


def attempt_of(environ: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the number of pyramid_retry's attempt and how many there may be, None without it.

    Args:
        environ: of the request, in which pyramid_retry counts while an attempt runs.
    """
    if "pyramid_retry" not in sys.modules or "retry.attempts" not in environ:
        return None
    return {key: environ.get(key) for key in ("retry.attempt", "retry.attempts")}


def is_tried_again(error: BaseException, attempt: dict[str, Any]) -> bool:
    """Return whether pyramid_retry tries the request again after an error.

    pyramid_tm only marks an error for that when it has left the exception views.

    Args:
        error: of the attempt.
        attempt: by ``attempt_of``.
    """
    # Of the request it only reads the environ.
    request = SimpleNamespace(environ=attempt)
    return bool(sys.modules["pyramid_retry"].is_error_retryable(request, error))


def swallowed_error(environ: Mapping[str, Any]) -> BaseException | None:
    """Return the error for which a framework has shown an error page, if nobody has reported it.

    TurboGears leaves it for its debugger (``tg.appwrappers.errorpage``).

    Args:
        environ: as the app has changed it.
    """
    exc_info: Any = environ.get("backlash.exc_info")
    if not is_real(exc_info, tuple) or len(exc_info) != 3 or not is_real(exc_info[1], BaseException):
        return None
    error: BaseException = exc_info[1]
    return error
