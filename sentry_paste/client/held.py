"""Errors of requests that are not over yet, which wait for the answer.

An integration or a log handler captures an error before anybody knows what becomes of
the request: it may be tried again, be answered with a 404 by an error handler, or crash
after all. The finished envelope waits here for that, no longer than ``LONGEST``. With a
spool it is on the disk meanwhile, and what a killed process has left there is sent by
the next one.
"""

from __future__ import annotations

import atexit
import functools
import os
import time
from collections.abc import Callable, Sequence
from contextvars import Context, ContextVar
from threading import RLock, Thread
from typing import Any, Protocol

from sentry_sdk.envelope import Envelope

from sentry_paste import sdk
from sentry_paste.sdk.failures import log_failure
from sentry_paste.sdk.forks import reset_when_forked
from sentry_paste.spool.budget_table import NotSent

#: Seconds after which an envelope is sent as it is. A request may go on for hours, and its errors should be
#: seen before.
LONGEST = 2.0
_LOOK_AGAIN = 0.25


def latest() -> float:
    """Return until when an error that is captured now can wait, by ``time.monotonic``."""
    return time.monotonic() + LONGEST


# Reasons for which the SDK drops an event before it is sent, other than by chance.
_HOOKS = frozenset({"before_send", "event_processor"})


class Verdict(Protocol):
    """What an error budget says of an event."""

    @property
    def stopped(self) -> Sequence[NotSent]:
        """Errors of other kinds that were not sent, and were found on this occasion."""

    def mark(self, envelope: Envelope) -> None:
        """Let the event report errors that were not sent.

        Args:
            envelope: with the event.
        """

    def drop(self) -> None:
        """Take the error out of the counts: it is none after all."""


class Waiting(Protocol):
    """What waits until it is known whether an error is one.

    Attributes:
        when_late: is called if that takes too long, None if there is nothing to do.
    """

    when_late: Callable[[], None] | None

    def send(self, change: Callable[[Any], None] | None = None) -> None:
        """Send it.

        Args:
            change: changes its event, None if it is sent as it is.
        """

    def drop(self) -> None:
        """Drop it."""


class Held:
    """An envelope that waits until it is known whether it is sent, and as what.

    Args:
        envelope: with an event.
        transport: that will send it. If it has a method ``hold``, it keeps the envelope safe until then.
        verdict: of the error budget, None without one.

    Attributes:
        until: when it is sent at the latest, by ``time.monotonic``.
        when_late: is called if it is sent then, None if there is nothing to do.
    """

    __slots__ = ("_envelope", "_file", "_transport", "_verdict", "until", "when_late")

    def __init__(self, envelope: Envelope, transport: Any, verdict: Verdict | None = None) -> None:
        self._envelope: Envelope | None = envelope
        self._verdict = verdict
        self.until = latest()
        self.when_late: Callable[[], None] | None = None
        self._transport = transport
        hold = getattr(transport, "hold", None)
        self._file = hold(envelope) if hold is not None else None

    def send(self, change: Callable[[Any], None] | None = None) -> None:
        """Send the envelope, unless it has been sent.

        Args:
            change: changes its event, None if it is sent as it is.
        """
        envelope = self._take()
        if envelope is None:
            return
        if change is not None:
            change(envelope.get_event())
            sdk.encode_again(envelope)
        if self._file is None:
            self._transport.capture_envelope(envelope)
            return
        before = self._file
        if change is not None:
            # The new file first: a process that is killed in between leaves two with the same event id. If
            # there is no room for it, the first one is sent.
            self._file = self._transport.hold(envelope) or before
        self._transport.send_held(envelope, self._file)
        if self._file is not before:
            self._transport.withdraw(before)

    def drop(self) -> None:
        """Drop the envelope, unless it has been sent, and count it as dropped by an event processor."""
        if self._take() is None:
            return
        if self._verdict is not None:
            self._verdict.drop()
        if self._file is not None:
            self._transport.withdraw(self._file)
        record_lost = getattr(self._transport, "record_lost_event", None)
        if record_lost is not None:  # Spotlight has none
            record_lost("event_processor", data_category="error")

    def _take(self) -> Envelope | None:
        """Return the envelope, once.

        A request that goes on keeps this object, but no envelope that was sent.
        """
        if not _waiting.take(self):
            return None
        envelope, self._envelope = self._envelope, None
        return envelope


class _Waiting:
    """The envelopes of this process that wait, and the thread that sends those which wait too long."""

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_when_forked(self)

    def reset_after_fork(self) -> None:
        """Forget what waits: it belongs to the parent."""
        # Reentrant, as the garbage collector may run while it is held, and a destructor may log an error.
        self._lock = RLock()
        self._held: dict[Held, None] = {}
        self._thread: Thread | None = None
        self._pid = os.getpid()

    def add(self, held: Held) -> None:
        """Let an envelope wait.

        Args:
            held: the envelope.
        """
        _send_at_exit()
        if self._pid != os.getpid():  # forked in C without Python's fork hooks, as uWSGI does
            self.reset_after_fork()
        with self._lock:
            self._held[held] = None
            starts = self._thread is None and not sdk.sleep_blocks_process()
            if starts:
                self._thread = Thread(target=self._watch, name="sentry-paste.held", daemon=True)
        if starts:
            try:
                Context().run(self._thread.start)  # type: ignore[union-attr]
            except RuntimeError:  # no more threads, or the interpreter shuts down
                self._thread = None

    def take(self, held: Held) -> bool:
        """Take an envelope out; return whether it was still there.

        Args:
            held: the envelope.
        """
        with self._lock:
            return self._held.pop(held, held) is None

    def send_all(self) -> None:
        """Send what waits, as it is."""
        with self._lock:
            found = list(self._held)
        for held in found:
            _send_anyway(held)

    def send_late(self) -> None:
        """Send what may not wait any longer, as it is."""
        now = time.monotonic()
        with self._lock:
            found = [held for held in self._held if held.until <= now]
        for held in found:
            _send_anyway(held)
            if held.when_late is not None:
                held.when_late()

    def _watch(self) -> None:
        while True:
            with self._lock:
                first = min((held.until for held in self._held), default=None)
                if first is None or self._thread is None:
                    self._thread = None
                    return
            # Usually nothing waits any more by then, and the thread ends.
            time.sleep(min(max(first - time.monotonic(), 0.01), _LOOK_AGAIN))
            self.send_late()


def _send_anyway(held: Held) -> None:
    try:
        held.send()
    except Exception:
        log_failure("an event is lost")


_waiting = _Waiting()


def send_held() -> None:
    """Send all that waits, as it is: the process may be about to end."""
    _waiting.send_all()


@functools.lru_cache(maxsize=1)
def _send_at_exit() -> None:
    # With the first error, and so after the SDK has registered the end of its clients: the last one is called
    # first.
    atexit.register(send_held)


class Record(Protocol):
    """What a request records of an error that is being captured."""

    @property
    def is_settled(self) -> bool:
        """Whether the error does not wait for the answer any more."""

    def hold(self, held: Waiting) -> None:
        """Keep an envelope until the answer is known.

        Args:
            held: the envelope.
        """

    def forget(self) -> None:
        """Forget the error: a hook has dropped its event, and may keep the next one."""


class Capture:
    """An error on its way through a client, from the call that captures it to the transport.

    Args:
        client: that captures.
        expected: whether nobody has handled it, of an error that the ini expects; None of others.

    Attributes:
        record: of the request, None until the request has recorded the error.
        rate: at which the event is sent, None until that was decided.
        verdict: of the error budget, None until it was asked, and where there is none.
    """

    __slots__ = ("client", "expected", "rate", "record", "verdict")

    def __init__(self, client: Any, expected: bool | None = None) -> None:
        self.client = client
        self.expected = expected
        self.record: Record | None = None
        self.rate: Any = None
        self.verdict: Verdict | None = None


_capture: ContextVar[Capture | None] = ContextVar("sentry_paste_capture", default=None)


def current_capture() -> Capture | None:
    """Return the capture in which this is called, None outside of those of this module's clients."""
    return _capture.get()


class HoldingTransport:
    """A transport that leaves the errors of the current request to the request.

    Args:
        transport: of a client.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        if name == "_transport":  # while it is copied
            raise AttributeError(name)
        return getattr(self._transport, name)

    def flush(self, *args: Any, **kwargs: Any) -> Any:
        """Send what waits, and flush the transport."""
        send_held()
        return self._transport.flush(*args, **kwargs)

    def kill(self) -> Any:
        """Send what waits, and shut down the transport."""
        send_held()
        return self._transport.kill()

    def record_lost_event(self, reason: str, *args: Any, **kwargs: Any) -> Any:
        """Record a loss; an error that a hook has dropped has not been captured.

        Args:
            reason: https://develop.sentry.dev/sdk/telemetry/client-reports/.
            args: of the SDK.
            kwargs: of the SDK.
        """
        capture = _capture.get()
        record = capture.record if capture is not None else None
        if capture is not None and record is not None and reason in _HOOKS:
            record.forget()
            sdk.forget_error(capture.client)
        if capture is not None and capture.verdict is not None and reason != "sample_rate":
            capture.verdict.drop()  # it was within the budget, but a hook has failed
        return self._transport.record_lost_event(reason, *args, **kwargs)

    def capture_envelope(self, envelope: Envelope) -> None:
        """Hold an envelope, if the request waits for its event, or send it.

        Args:
            envelope: that the SDK captured.
        """
        capture = _capture.get()
        record, verdict = (capture.record, capture.verdict) if capture is not None else (None, None)
        if verdict is not None:
            verdict.mark(envelope)
        if record is None or record.is_settled:
            self._transport.capture_envelope(envelope)
        else:
            held = Held(envelope, self._transport, verdict)
            _waiting.add(held)
            record.hold(held)


def _holding(client: Any) -> Any:
    """Return a view of a client whose transports leave the errors of the current request to the request."""
    view = sdk.with_options(client)
    for name in ("transport", "spotlight"):
        found = getattr(client, name, None)
        if found is not None:
            setattr(view, name, HoldingTransport(found))
    return view


def is_of_error(hint: Any) -> bool:
    """Return whether an event is that of an exception.

    Args:
        hint: of the SDK.
    """
    return isinstance(hint, dict) and bool(hint.get("exc_info"))


def capture_error(
    capture: Capture, capture_event: Callable[..., str | None], *args: Any, **kwargs: Any
) -> str | None:
    """Capture an event, and leave that of an exception to the request.

    Args:
        capture: of the client that captures.
        capture_event: the SDK's function, which takes the client and the other arguments.
        args: event and hint.
        kwargs: of the SDK.
    """
    return _captured(capture, capture_event, _holding(capture.client), *args, **kwargs)


def _captured(
    capture: Capture | None, capture_event: Callable[..., str | None], *args: Any, **kwargs: Any
) -> str | None:
    token = _capture.set(capture)
    try:
        return capture_event(*args, **kwargs)
    finally:
        _capture.reset(token)


def holding(client: Any) -> Any:
    """Return a view of a client that leaves the errors of the current request to the request.

    Args:
        client: of the app.
    """
    view = _holding(client)
    capture_event = view.capture_event

    def capture(event: Any, hint: Any = None, *args: Any, **kwargs: Any) -> str | None:
        # An error's hook may capture a message.
        found = Capture(view) if is_of_error(hint) else None
        return _captured(found, capture_event, event, hint, *args, **kwargs)

    view.capture_event = capture
    return view
