"""The SDK transport with a spool: it wraps the SDK's own transport and stores what cannot be sent.

Errors are written to a file before they are sent; the file is removed once Sentry has
accepted them. Everything else is written only if sending fails, if the queue is full or
when the process ends. The ``backlog`` sends the files in the spool.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from contextvars import Context
from functools import partial
from itertools import count
from typing import Any

from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from sentry_paste.sdk.answers import Attempt
from sentry_paste.sdk.failures import warn
from sentry_paste.sdk.forks import reset_when_forked
from sentry_paste.sdk.transports import host_and_project, transport_class
from sentry_paste.spool.backlog import LONGEST_ANSWER, Backlog, Result
from sentry_paste.spool.backoff import LONGEST_LIVE, Backoff
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.counts import CAPTURED, DELIVERED
from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import (
    ANY_DESTINATION,
    SpoolFile,
    address_of,
    category_of,
    category_of_kind,
    has_crashed,
    hash_of,
    kind_of,
)
from sentry_paste.spool.transport import LogThrottle, SpoolSettings, Unfinished
from sentry_paste.spool.uploads import MOST_STUCK, STUCK, Width
from sentry_paste.spool.writer import EnvelopeWriter

# Seconds that the end of the process waits for the current upload.
_SHUTDOWN_WAIT = 1.0
# Seconds between looks at the requests that are left then.
_END_AGAIN = 1.0
# Seconds between times at which Sentry is said to have accepted something.
_SAY_AGAIN = 1.0


class DeliveringTransport(Transport):
    """Deliver envelopes despite failures of the network, the server or the process.

    Args:
        options: options of the client.
        inner: the SDK's transport, of a class by ``sdk.transports.transport_class``.
        settings: options of the spool.
    """

    def __init__(self, options: dict[str, Any], inner: Any, settings: SpoolSettings) -> None:
        super().__init__(options)
        self._inner = inner
        self._settings = settings
        self._spool = Spool(settings.directory, settings.fsync, settings.min_free)
        self._log = LogThrottle(self._spool.directory)
        self._bounds = Bounds(
            self._spool,
            settings.max_size,
            settings.max_age,
            self._dropped,
            self._was_tried,
            self._wake_backlog,
        )
        address = address_of(*host_and_project(self))
        self._destination = hash_of(address)
        self._unfinished = Unfinished()
        self._writer = EnvelopeWriter(self._spool, address, self._bounds, self._log, self._unfinished)
        self._begin_lock = threading.Lock()
        self._begin()
        reset_when_forked(self)

    def _begin(self) -> None:
        # Reentrant, because the garbage collector may run while it is held, and a destructor may log an
        # error.
        self._lock = threading.RLock()
        self._live = Backoff(LONGEST_LIVE)
        self._unfinished.forget()
        # What is in the SDK's queue, with its file. Whoever takes an entry out is responsible for it.
        self._keys = count()
        self._queued: dict[int, tuple[Envelope, SpoolFile | None]] = {}
        # What is being sent and has no file, and the files that were written at the end of the process.
        self._in_flight: dict[int, Envelope] = {}
        self._in_flight_files: dict[int, SpoolFile | None] = {}
        # Live envelopes are sent by the SDK's thread, and by others if that is not enough.
        self._live_width = Width(self._settings.connections)
        self._sending = 0
        self._helpers = 0
        self._backlog: Backlog | None = None
        self._is_killed = False
        # What was last said of this process: that Sentry has accepted something, and the rate limits by kind.
        self._said = 0.0
        self._limits: dict[str, float] = {}
        # The last answer that was not Sentry's.
        self._foreign = ""
        # Must be set last: other threads take it as the sign that the rest is set.
        self._pid = os.getpid()

    @property
    def inner(self) -> Any:
        """The SDK's transport."""
        return self._inner

    def reset_after_fork(self) -> None:
        """Begin again in a process that was forked: what is queued or claimed is its parent's."""
        try:
            self._inner.reset_after_fork()
        finally:
            self._begin()

    def open(self) -> None:
        """Start sending the files in the spool, at this process's first request or envelope."""
        if self._pid != os.getpid():  # forked in C without Python's fork hooks, as uWSGI does
            with self._begin_lock:
                if self._pid != os.getpid():
                    self.reset_after_fork()
        if self._backlog is not None or self._is_killed:
            return
        with self._lock:
            if self._backlog is None:
                destinations = (self._destination, ANY_DESTINATION)
                backlog = Backlog(
                    self._spool,
                    destinations,
                    self,
                    self._bounds,
                    self._log,
                    self._settings.rate,
                    self._settings.connections,
                    self._unfinished,
                )
                try:
                    backlog.start()
                except RuntimeError:  # the interpreter is shutting down: leave it to the next process
                    return
                self._backlog = backlog

    def capture_envelope(self, envelope: Envelope) -> None:
        """Write the envelope if it must not be lost, and queue it for sending.

        Args:
            envelope: the envelope that the SDK captured.
        """
        self.send_held(envelope, self.hold(envelope))

    def hold(self, envelope: Envelope) -> SpoolFile | None:
        """Write an envelope that is to be sent later, if it must not be lost; return its file.

        Args:
            envelope: the envelope that the SDK captured.
        """
        self.open()
        return self._writer.write(envelope) if self._is_written_first(envelope, kind_of(envelope)) else None

    def withdraw(self, file: SpoolFile | None) -> None:
        """Remove the file of an envelope that is not to be sent.

        Args:
            file: by ``hold``.
        """
        self._writer.remove(file, "withdrawn")

    def send_held(self, envelope: Envelope, file: SpoolFile | None) -> None:
        """Queue an envelope for sending.

        Args:
            envelope: the envelope that the SDK captured.
            file: by ``hold``.
        """
        kind = kind_of(envelope)
        if file is not None and self._inner.limited_for(category_of(envelope)):
            # The backlog may not send this kind either, so there is no point in waking it.
            self._store_or_lose(envelope, kind, file, "ratelimit_backoff", wakes=False)
            return
        if self._is_killed or (file is not None and self._live.remaining()):
            self._store_or_lose(envelope, kind, file, "queue_overflow")
            return
        key = next(self._keys)
        with self._lock:
            self._queued[key] = (envelope, file)
        if not self._inner.submit(partial(self._send_queued, key)) and self._take(key) is not None:
            self._store_or_lose(envelope, kind, file, "queue_overflow")

    def _is_written_first(self, envelope: Envelope, kind: str) -> bool:
        if kind == "session" and "session" in self._settings.items:
            return has_crashed(envelope)
        # Streamed spans are what a transaction consists of.
        return kind in self._settings.items or (kind == "span" and "transaction" in self._settings.items)

    def _take(self, key: int) -> tuple[Envelope, SpoolFile | None] | None:
        with self._lock:
            return self._queued.pop(key, None)

    def _send_queued(self, key: int) -> None:
        """Send an envelope from the queue, in the SDK's thread or one that helps it."""
        found = self._take(key)
        if found is None:
            return  # stored at the end of the process, or queued by the parent process
        envelope, file = found
        kind = kind_of(envelope)
        if self._live.remaining():
            file = self._written(envelope, kind, file)
            if self._let_wait(envelope, file):
                return
        begun = time.monotonic()
        attempt = self._attempt(key, envelope, file is None)
        with self._lock:
            self._in_flight.pop(key, None)
            file = file or self._in_flight_files.pop(key, None)
        result, reason, seconds = self._result(attempt, envelope)
        self._say(result, reason, seconds, kind)
        if result is Result.DELIVERED:
            # Items whose category is under a rate limit were left out.
            self._inner.count_lost(attempt)
            self._live.succeeded(begun)
            self._live_width.answered(begun, time.monotonic() - begun)
            self._writer.remove(file)
            if file is None:
                self._spool.ledger.count(kind, CAPTURED, DELIVERED)
            if self._backlog is not None:
                self._backlog.server_recovered()
            self._help_if_needed()
            return
        self._live_width.failed()
        if result is Result.LATER:
            self._live.failed(seconds, begun)
            self._store_or_lose(envelope, kind, file, "network_error")
        elif result is Result.LIMITED and file is not None:
            self._store_or_lose(envelope, kind, file, "ratelimit_backoff")
        else:
            self._inner.count_lost(attempt)
            self._writer.set_aside(file, reason)
            if file is None:
                outcome = "ratelimit_backoff" if result is Result.LIMITED else "refused"
                self._spool.ledger.count(kind, CAPTURED, outcome)

    def _attempt(self, key: int, envelope: Envelope, is_unwritten: bool) -> Attempt:
        with self._lock:
            self._sending += 1
            if is_unwritten:  # what was written first is already in the spool
                self._in_flight[key] = envelope
        try:
            attempt: Attempt = self._inner.attempt(envelope)
        finally:
            with self._lock:
                self._sending -= 1
        return attempt

    def _help_if_needed(self) -> None:
        """Start another thread for live envelopes if they wait and the server answers in time.

        Never in the app's threads, and each as long as something waits.
        """
        with self._lock:
            if self._is_killed or not self._inner.is_busy() or not self._may_help(1):
                return
            self._helpers += 1
        thread = threading.Thread(target=self._help, name="sentry-paste.live", daemon=True)
        try:
            Context().run(thread.start)
        except RuntimeError:  # no more threads, or the interpreter is shutting down
            with self._lock:
                self._helpers -= 1

    def _may_help(self, more: int) -> bool:
        """Return whether so many more threads may help."""
        backlog = self._backlog
        uploads = backlog.in_flight if backlog is not None else 0
        helpers = self._helpers + more
        # A receiver that never ends its answer holds up nothing else.
        stuck = min(self._inner.count_stuck(STUCK), MOST_STUCK)
        return helpers < self._live_width.current + stuck and helpers + uploads < self._settings.connections

    def _help(self) -> None:
        pid = self._pid
        try:
            self._inner.work(lambda: self._pid == pid and self._may_help(0))
        finally:
            with self._lock:
                if self._pid == pid:
                    self._helpers -= 1

    def free_connections(self) -> int:
        """Return how many connections live envelopes leave to the backlog."""
        return self._settings.connections - self._sending

    def abort_overdue(self, seconds: float) -> None:
        """End the requests whose answers take too long in all.

        Args:
            seconds: that an answer may take.
        """
        self._inner.abort_overdue(seconds)
        self._help_if_needed()

    def send_again(self, envelope: Envelope, kind: str) -> tuple[Result, str, float]:
        """Send an envelope in this thread; return the result, the reason and the seconds to wait.

        Args:
            envelope: the stored envelope.
            kind: kind of the file.
        """
        limited = self._inner.limited_for(category_of(envelope))
        if limited:
            return Result.LIMITED, "rate limit", limited
        begun = time.monotonic()
        attempt = self._inner.attempt(envelope)
        result, reason, seconds = self._result(attempt, envelope)
        self._say(result, reason, seconds, kind)
        if result is Result.DELIVERED:
            self._live.succeeded(begun)
        if result in (Result.DELIVERED, Result.REFUSED):
            # If it was delivered: items whose category is under a rate limit, which were left out.
            self._inner.count_lost(attempt)
        return result, reason, seconds

    def is_busy(self) -> bool:
        """Return whether live envelopes are waiting to be sent."""
        return bool(self._inner.is_busy())

    def _result(self, attempt: Attempt, envelope: Envelope) -> tuple[Result, str, float]:
        if attempt.delivered:
            self._foreign = ""
            return Result.DELIVERED, "", 0.0
        if attempt.withheld:
            return Result.LIMITED, "rate limit", self._inner.limited_for(category_of(envelope)) or 1.0
        if attempt.status == 429:
            # The SDK has recorded the categories and the time.
            limited = self._inner.limited_for(category_of(envelope)) or attempt.retry_after or 1.0
            return Result.LIMITED, "http 429", limited
        if attempt.may_be_repeated:
            self._warn_of_foreign(attempt)
            return Result.LATER, attempt.reason, attempt.retry_after
        return Result.REFUSED, attempt.reason, 0.0

    def _warn_of_foreign(self, attempt: Attempt) -> None:
        """Warn of an answer that is not Sentry's, once until Sentry accepts something."""
        if attempt.is_foreign and self._foreign != attempt.reason:
            self._foreign = attempt.reason
            warn("spool_dir: %s: envelopes are kept (%s)", self._spool.directory, attempt.reason)

    def _store_or_lose(
        self, envelope: Envelope, kind: str, file: SpoolFile | None, reason: str, wakes: bool = True
    ) -> None:
        """Store an envelope in the spool, or record it as lost for a reason."""
        file = self._written(envelope, kind, file)
        if not self._let_wait(envelope, file, wakes) and kind != "report":
            self.record_lost(envelope, reason)
            self._spool.ledger.count(kind, *([CAPTURED] if file is None else []), reason)

    def _written(self, envelope: Envelope, kind: str, file: SpoolFile | None) -> SpoolFile | None:
        """Return the file of an envelope, which is written if there is none; None if it cannot be."""
        return self._writer.write(envelope) if file is None and kind != "report" else file

    def _let_wait(self, envelope: Envelope, file: SpoolFile | None, wakes: bool = True) -> bool:
        """Let the file of an envelope wait; return whether that succeeded."""
        if file is None or not self._writer.put_back(file, envelope):
            return False
        backlog = self._backlog
        if wakes and backlog is not None:
            backlog.wake()
        return True

    def record_lost(self, envelope: Envelope, reason: str) -> None:
        """Record the items of an envelope as lost.

        Args:
            envelope: envelope that was neither sent nor stored.
            reason: reason for the client report.
        """
        for item in envelope.items:
            self._inner.record_lost_event(reason, item=item)

    def _say(self, result: Result, reason: str, seconds: float, kind: str) -> None:
        """Say what the server has answered, for ``spool status``."""
        now = time.time()
        if result is Result.DELIVERED:
            if now - self._said >= _SAY_AGAIN:
                self._said = now
                self._spool.ledger.say(succeeded=now)
            return
        limits = {name: until for name, until in self._limits.items() if until > now}
        if result is Result.LIMITED:
            limits[kind] = now + seconds
        self._limits = limits
        self._spool.ledger.say(failed=now, reason=reason, limits=limits or None)

    def _was_tried(self, file: SpoolFile) -> bool | None:
        """Return whether sending a file has failed; None if it is for another destination."""
        if file.destination not in (self._destination, ANY_DESTINATION):
            return None
        backlog = self._backlog
        return backlog is not None and backlog.was_tried(file)

    def _wake_backlog(self) -> bool:
        """Have the thread look at the directory; return False if there is none."""
        backlog = self._backlog
        if backlog is None:
            return False
        backlog.wake()
        return True

    def record_damaged(self, file: SpoolFile) -> None:
        """Record that a file is not what was written.

        Args:
            file: the file, which is set aside.
        """
        self._inner.record_lost_event("internal_sdk_error", data_category=category_of_kind(file.kind))

    def _dropped(self, file: SpoolFile, reason: str) -> None:
        # A reason of https://develop.sentry.dev/sdk/telemetry/client-reports/.
        self._inner.record_lost_event("cache_overflow", data_category=category_of_kind(file.kind))
        self._log.count(f"{file.kind} dropped, {reason}")

    def record_lost_event(self, *args: Any, **kwargs: Any) -> None:
        """Record lost events, as the SDK does."""
        self._inner.record_lost_event(*args, **kwargs)

    def is_healthy(self) -> bool:
        """Return whether the SDK's transport is healthy."""
        return bool(self._inner.is_healthy())

    def flush(self, timeout: float, callback: Any = None) -> None:
        """Wait for the queue, as the SDK does, but not for the files in the spool.

        Args:
            timeout: seconds to wait.
            callback: callback of the SDK.
        """
        self._inner.flush(timeout, callback)

    def __del__(self) -> None:
        """Do nothing: SDK 2.18 kills a transport here, which would hang when the interpreter exits."""

    def kill(self) -> None:
        """Shut down, and store what is still queued."""
        with self._lock:
            self._is_killed = True
            queued, self._queued = self._queued, {}
            backlog, self._backlog = self._backlog, None
        for envelope, file in queued.values():
            self._store_or_lose(envelope, kind_of(envelope), file, "queue_overflow")
        until = time.monotonic() + _SHUTDOWN_WAIT
        if backlog is not None:
            backlog.stop(_SHUTDOWN_WAIT)
        self._inner.flush(max(until - time.monotonic(), _SHUTDOWN_WAIT / 10))
        self._store_in_flight()
        self._finish_files()
        if self._inner.is_sending():
            thread = threading.Thread(target=self._end_requests, name="sentry-paste.end", daemon=True)
            with suppress(RuntimeError):  # the interpreter is shutting down, which ends them
                Context().run(thread.start)
        self._inner.kill()

    def _end_requests(self) -> None:
        """End the requests whose answers take too long, in a process that goes on: each holds a file."""
        while self._inner.is_sending():
            self._inner.abort_overdue(LONGEST_ANSWER)
            time.sleep(_END_AGAIN)
        self._finish_files()

    def _finish_files(self) -> None:
        """Do what is left to do with files, after which no thread looks at them."""
        self._unfinished.retry()
        try:
            self._spool.flush()
        except OSError as error:
            self._log.failed(error)

    def _store_in_flight(self) -> None:
        """Store the envelopes that are being sent, because nobody will know whether they arrive."""
        with self._lock:
            for key, envelope in self._in_flight.items():
                if kind_of(envelope) != "report":
                    self._in_flight_files[key] = self._writer.write(envelope)


def delivering_class(options: Mapping[str, Any], settings: SpoolSettings) -> type[DeliveringTransport] | None:
    """Return a transport class for a client, or None if the SDK's transport cannot be wrapped.

    Args:
        options: options of the client, with a DSN.
        settings: options of the spool.
    """
    inner = transport_class(options, settings.connections)
    if inner is None:
        return None

    class Delivering(DeliveringTransport):
        def __init__(self, options: dict[str, Any]) -> None:
            super().__init__(options, inner(options), settings)

    return Delivering
