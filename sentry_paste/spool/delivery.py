"""The SDK transport that loses nothing: a spool before and behind the SDK's own.

Errors are written before they are sent, and removed once Sentry has them. All else
is written where sending fails, where the queue is full and where the process ends.
What lies in the spool is sent by the ``backlog``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from functools import partial
from itertools import count
from typing import Any

from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from sentry_paste.sdk.forks import renew_when_forked
from sentry_paste.sdk.transports import Attempt, host_and_project, transport_class
from sentry_paste.spool.backlog import Backlog, Result
from sentry_paste.spool.backoff import LONGEST_LIVE, Backoff
from sentry_paste.spool.bounds import Bounds
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
from sentry_paste.spool.transport import LogThrottle, Terms
from sentry_paste.spool.writer import Keeper

# Seconds that the end of the process waits for what is being sent just then.
_LAST = 1.0


class DeliveringTransport(Transport):
    """Deliver what is captured, whatever happens to the network, the server or the process.

    Args:
        options: of the client.
        inner: the SDK's transport, which sends; of a class by ``sdk.transports.transport_class``.
        terms: of the spool.
    """

    def __init__(self, options: dict[str, Any], inner: Any, terms: Terms) -> None:
        super().__init__(options)
        self._inner = inner
        self._terms = terms
        self._spool = Spool(terms.directory, terms.fsync)
        self._teller = LogThrottle(self._spool.directory)
        self._bounds = Bounds(self._spool, terms.max_size, terms.max_age, self._dropped)
        address = address_of(*host_and_project(self))
        self._destination = hash_of(address)
        self._keeper = Keeper(self._spool, address, self._bounds, self._teller)
        self._beginning = threading.Lock()
        self._begin()
        renew_when_forked(self)

    def _begin(self) -> None:
        # The garbage collector may run while it is held, and what it calls may log an error.
        self._lock = threading.RLock()
        self._live = Backoff(LONGEST_LIVE)
        # What the SDK's queue holds, with its file; who takes an entry out decides what becomes of it.
        self._keys = count()
        self._queued: dict[int, tuple[Envelope, SpoolFile | None]] = {}
        # What the SDK's thread is just sending, and its file if it was given one at the end of the process.
        self._at_work: Envelope | None = None
        self._file_at_work: SpoolFile | None = None
        self._backlog: Backlog | None = None
        self._is_killed = False
        # The last of all: other threads take it for the sign that the rest is there.
        self._pid = os.getpid()

    def begin_again(self) -> None:
        """Begin again in a process that was forked: what is queued or claimed is its parent's."""
        try:
            self._inner.begin_again()
        finally:
            self._begin()

    def open(self) -> None:
        """Have what lies in the spool sent, from this process's first request or envelope on."""
        if self._pid != os.getpid():  # forked by a server in C that does not tell Python, as uWSGI does
            with self._beginning:
                if self._pid != os.getpid():
                    self.begin_again()
        if self._backlog is not None or self._is_killed:
            return
        with self._lock:
            if self._backlog is None:
                destinations = (self._destination, ANY_DESTINATION)
                backlog = Backlog(
                    self._spool, destinations, self, self._bounds, self._teller, self._terms.rate
                )
                try:
                    backlog.start()
                except RuntimeError:  # the interpreter is at its end: the next process sends
                    return
                self._backlog = backlog

    def capture_envelope(self, envelope: Envelope) -> None:
        """Write what must not be lost, and have the envelope sent.

        Args:
            envelope: what the SDK captured.
        """
        self.open()
        kind = kind_of(envelope)
        file = self._keeper.write(envelope) if self._is_written_first(envelope, kind) else None
        if file is not None and self._inner.limited_for(category_of(envelope)):
            # The backlog may send nothing of this kind either: it is not to look for each of them.
            self._keep(envelope, kind, file, "ratelimit_backoff", wakes=False)
            return
        if self._is_killed or (file is not None and self._live.remaining()):
            self._keep(envelope, kind, file, "queue_overflow")
            return
        key = next(self._keys)
        with self._lock:
            self._queued[key] = (envelope, file)
        if not self._inner.submit(partial(self._send_queued, key)) and self._take(key) is not None:
            self._keep(envelope, kind, file, "queue_overflow")

    def _is_written_first(self, envelope: Envelope, kind: str) -> bool:
        if kind == "session" and "session" in self._terms.items:
            return has_crashed(envelope)
        return kind in self._terms.items

    def _take(self, key: int) -> tuple[Envelope, SpoolFile | None] | None:
        with self._lock:
            return self._queued.pop(key, None)

    def _send_queued(self, key: int) -> None:
        """Send an envelope of the queue, in the SDK's thread."""
        found = self._take(key)
        if found is None:
            return  # put off at the end of the process, or another process's
        envelope, file = found
        kind = kind_of(envelope)
        if self._live.remaining() and self._is_kept(envelope, kind, file):
            return
        # What was written first is in the spool already.
        self._at_work = envelope if file is None else None
        attempt = self._inner.attempt(envelope)
        with self._lock:
            self._at_work = None
            file = file or self._file_at_work
        result, reason, seconds = self._result(attempt, envelope)
        if result is Result.DELIVERED:
            self._live.succeeded()
            self._keeper.remove(file)
            if self._backlog is not None:
                self._backlog.server_is_back()
        elif result is Result.LATER:
            self._live.failed(seconds)
            self._keep(envelope, kind, file, "network_error")
        elif result is Result.LIMITED and file is not None:
            self._keep(envelope, kind, file, "ratelimit_backoff")
        else:
            self._inner.count_lost(attempt)
            self._keeper.set_aside(file, reason)

    def send_again(self, envelope: Envelope, kind: str) -> tuple[Result, str, float]:  # noqa: ARG002
        """Send an envelope in this thread; return what became of it, why, and for how long to wait.

        Args:
            envelope: as it was kept.
            kind: of the file.
        """
        limited = self._inner.limited_for(category_of(envelope))
        if limited:
            return Result.LIMITED, "rate limit", limited
        attempt = self._inner.attempt(envelope)
        result, reason, seconds = self._result(attempt, envelope)
        if result is Result.DELIVERED:
            self._live.succeeded()
        elif result is Result.REFUSED:
            self._inner.count_lost(attempt)
        return result, reason, seconds

    def is_busy(self) -> bool:
        """Return whether something that was captured just now waits to be sent."""
        return bool(self._inner.is_busy())

    def _result(self, attempt: Attempt, envelope: Envelope) -> tuple[Result, str, float]:
        if attempt.delivered:
            return Result.DELIVERED, "", 0.0
        if attempt.withheld:
            return Result.LIMITED, "rate limit", self._inner.limited_for(category_of(envelope)) or 1.0
        if attempt.status == 429:
            # For how long, and for what, the SDK has noted.
            limited = self._inner.limited_for(category_of(envelope)) or attempt.retry_after or 1.0
            return Result.LIMITED, "http 429", limited
        if attempt.may_be_repeated:
            return Result.LATER, f"http {attempt.status}", attempt.retry_after
        return Result.REFUSED, f"http {attempt.status}", 0.0

    def _keep(
        self, envelope: Envelope, kind: str, file: SpoolFile | None, reason: str, wakes: bool = True
    ) -> None:
        """Have an envelope wait in the spool; where it cannot, it is lost for the reason given."""
        if not self._is_kept(envelope, kind, file, wakes) and kind != "report":
            self.lose(envelope, reason)

    def _is_kept(self, envelope: Envelope, kind: str, file: SpoolFile | None, wakes: bool = True) -> bool:
        """Have an envelope wait in the spool; return whether it can."""
        if file is None and kind != "report":
            file = self._keeper.write(envelope)
        if file is None or not self._keeper.put_back(file, envelope):
            return False
        backlog = self._backlog
        if wakes and backlog is not None:
            backlog.wake()
        return True

    def lose(self, envelope: Envelope, reason: str) -> None:
        """Count what was in an envelope as lost.

        Args:
            envelope: that is neither sent nor kept.
            reason: of those that client reports have.
        """
        for item in envelope.items:
            self._inner.record_lost_event(reason, item=item)

    def _dropped(self, file: SpoolFile, reason: str) -> None:
        # The reason is one of https://develop.sentry.dev/sdk/telemetry/client-reports/.
        self._inner.record_lost_event("cache_overflow", data_category=category_of_kind(file.kind))
        self._teller.count(f"{file.kind} dropped, {reason}")

    def record_lost_event(self, *args: Any, **kwargs: Any) -> None:
        """Count what is lost, as the SDK does."""
        self._inner.record_lost_event(*args, **kwargs)

    def is_healthy(self) -> bool:
        """Return whether envelopes are sent as they come."""
        return bool(self._inner.is_healthy())

    def flush(self, timeout: float, callback: Any = None) -> None:
        """Wait for the queue, as the SDK does; what lies in the spool is not waited for.

        Args:
            timeout: seconds.
            callback: of the SDK.
        """
        self._inner.flush(timeout, callback)

    def __del__(self) -> None:
        """Do nothing: SDK 2.18 kills what is collected, which at the interpreter's end waits for ever."""

    def kill(self) -> None:
        """End, and leave in the spool what is still queued."""
        with self._lock:
            self._is_killed = True
            queued, self._queued = self._queued, {}
            backlog, self._backlog = self._backlog, None
        for envelope, file in queued.values():
            self._keep(envelope, kind_of(envelope), file, "queue_overflow")
        until = time.monotonic() + _LAST
        if backlog is not None:
            backlog.stop(_LAST)
        self._inner.flush(max(until - time.monotonic(), _LAST / 10))
        self._keep_what_is_at_work()
        self._inner.kill()

    def _keep_what_is_at_work(self) -> None:
        """Write what is just being sent: whether it arrives nobody will know."""
        with self._lock:
            envelope = self._at_work
            if envelope is not None and kind_of(envelope) != "report":
                self._file_at_work = self._keeper.write(envelope)


def delivering(options: Mapping[str, Any], terms: Terms) -> type[DeliveringTransport] | None:
    """Return a class of transport for a client's options, None where the SDK's has no place for a spool.

    Args:
        options: of a client that is to be made, with a DSN.
        terms: of the spool.
    """
    inner = transport_class(options)
    if inner is None:
        return None

    class Delivering(DeliveringTransport):
        def __init__(self, options: dict[str, Any]) -> None:
            super().__init__(options, inner(options), terms)

    return Delivering
