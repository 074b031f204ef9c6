"""The backlog: a thread in each process that sends waiting files; only one of them sends at a time."""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from collections import Counter
from contextvars import Context
from datetime import datetime, timezone
from enum import Enum
from typing import Protocol

from sentry_sdk.envelope import Envelope

from sentry_paste.spool.backoff import FRESH, Backoff, Pace
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import SpoolFile
from sentry_paste.spool.owner import Owner, current
from sentry_paste.spool.presence import Presence, exclusive_sender
from sentry_paste.spool.reading import UnreadableError, read_envelope
from sentry_paste.spool.transport import LogThrottle

# Seconds between looks at the directory, unless the thread is woken.
_LOOK_AGAIN = 10.0
# Seconds after which a long backlog is listed again, so that newly captured files go first.
_LIST_AGAIN = 5.0
# A link, another user's file or a directory: trying again later would not help.
_PERMANENT_ERRORS = (errno.ELOOP, errno.EACCES, errno.EPERM, errno.EISDIR)
# Seconds between checks whether live envelopes are still waiting.
_POLL_LIVE = 0.02
# Live envelopes may go first for this many times the duration of the last upload, and for at least this many
# seconds. If they never end, the backlog still gets a fifth of the time.
_YIELD_FACTOR = 4.0
_SHORTEST_YIELD = 0.1


class Result(Enum):
    """The result of sending an envelope."""

    #: Sentry accepted it.
    DELIVERED = 1
    #: Sentry may accept it later.
    LATER = 2
    #: Sentry may accept it when the rate limit of its kind is over.
    LIMITED = 3
    #: Sentry will never accept it.
    REFUSED = 4


class Sender(Protocol):
    """Sends envelopes of the backlog, and knows whether live envelopes are waiting."""

    def send_again(self, envelope: Envelope, kind: str) -> tuple[Result, str, float]:
        """Send an envelope in this thread; return the result, the reason and the seconds to wait.

        Args:
            envelope: the stored envelope.
            kind: kind of the file.
        """

    def is_busy(self) -> bool:
        """Return whether live envelopes are waiting to be sent."""

    def record_lost(self, envelope: Envelope, reason: str) -> None:
        """Record the items of an envelope as lost.

        Args:
            envelope: envelope that was neither sent nor stored.
            reason: reason for the client report.
        """

    def record_damaged(self, file: SpoolFile) -> None:
        """Record that a file is not what was written.

        Args:
            file: the file, which is set aside.
        """


class Backlog:
    """Sends the waiting files of a spool in a thread.

    Args:
        spool: the spool.
        destinations: destinations of the files to send.
        sender: sends the envelopes.
        bounds: bounds of the spool.
        log: log of the spool.
        rate: how many files to send per second at most.
    """

    def __init__(
        self,
        spool: Spool,
        destinations: tuple[str, ...],
        sender: Sender,
        bounds: Bounds,
        log: LogThrottle,
        rate: float,
    ) -> None:
        self._spool = spool
        self._destinations = destinations
        self._sender = sender
        self._bounds = bounds
        self._log = log
        self._backoff = Backoff()
        self._pace = Pace(rate)
        self._presence = Presence(spool)
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        # Kinds under a rate limit, and until when.
        self._limited: dict[str, float] = {}
        self._recovered = False
        self._recovered_at = float("-inf")
        # Duration of the last successful upload, in seconds.
        self._took = 0.0
        # Failed attempts by name of the file.
        self._failures: Counter[str] = Counter()

    def start(self) -> None:
        """Start the thread of this process."""
        self._thread = threading.Thread(target=self._run, name="sentry-paste.spool", daemon=True)
        # The first request starts it, and would lend it its scopes.
        Context().run(self._thread.start)

    def wake(self) -> None:
        """Make the thread look at the directory."""
        self._wake.set()

    def server_recovered(self) -> None:
        """End the wait after failures, because the server accepted a live envelope."""
        # At most once per look: a file that always fails must not be sent again with each success of others.
        now = time.monotonic()
        if self._backoff.remaining() and now - self._recovered_at >= _LOOK_AGAIN:
            self._recovered_at = now
            self._recovered = True
            self._wake.set()

    def was_tried(self, file: SpoolFile) -> bool:
        """Return whether sending a waiting file has failed.

        Args:
            file: a waiting file.
        """
        return file.name in self._failures

    def stop(self, timeout: float) -> None:
        """End the thread.

        Args:
            timeout: seconds to wait for the current upload.
        """
        self._stopped.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        self._presence.leave()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._wake.clear()
                self._enforce_bounds()
                self._look()
            except Exception as error:
                self._log.failed(error)
            # Also while it waits after a failure, when files only become more.
            wait = _LOOK_AGAIN * random.uniform(0.8, 1.2)  # noqa: S311
            self._wake.wait(min(self._backoff.remaining() or wait, wait))

    def _enforce_bounds(self) -> None:
        if os.path.lexists(self._spool.directory):
            self._bounds.enforce_if_due()

    def _look(self) -> None:
        """Send the waiting files, unless another process is sending."""
        if self._recovered:
            self._recovered = False
            self._backoff.succeeded()
        if self._backoff.remaining() or not os.path.lexists(self._spool.directory):
            return
        # Also checked before sending: files in a directory that others can write to are not sent.
        self._spool.prepare()
        self._presence.show()
        with exclusive_sender(self._spool, self._destinations[0]) as is_mine:
            if not is_mine:
                return
            self._reclaim()
            while self._send_some() and not self._stopped.is_set():
                pass

    def _reclaim(self) -> None:
        _, partial = self._spool.reclaim(self._presence.alive(self._spool.owners()))
        for _ in range(partial):
            self._log.count("incomplete, set aside")

    def _send_some(self) -> bool:
        """Send waiting files for a while; return whether there may be more to send."""
        owner, progress, until = current(), False, time.monotonic() + _LIST_AGAIN
        waiting = _sorted_for_sending(self._spool.waiting(*self._destinations))
        # Files that keep failing go last, so that they do not hold up the others.
        if self._failures:
            names = {file.name for file in waiting}
            self._failures = Counter({n: count for n, count in self._failures.items() if n in names})
        waiting.sort(key=lambda file: self._failures[file.name])
        for file in waiting:
            if self._stopped.is_set() or not self._is_due(file):
                continue
            self._bounds.enforce_if_due()
            begun = time.monotonic()
            result = self._send(file, owner)
            if result is Result.LATER:
                # The caller waits, where wake() can end the wait.
                return False
            if result is Result.DELIVERED:
                progress = True
                self._stopped.wait(max(begun + self._pace.interval() - time.monotonic(), 0.0))
            if time.monotonic() > until:
                return True
        return progress

    def _is_due(self, file: SpoolFile) -> bool:
        return time.monotonic() >= self._limited.get(file.kind, 0.0)

    def _send(self, file: SpoolFile, owner: Owner) -> Result | None:
        """Send a file; return None if it is gone or is not an envelope."""
        self._yield_to_live()
        claimed = None if self._stopped.is_set() else self._spool.claim(file, owner)
        if claimed is None:
            return None
        try:
            envelope = read_envelope(claimed)
        except UnreadableError as error:
            if self._set_aside(claimed, str(error)):
                self._sender.record_damaged(claimed)
            return None
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in _PERMANENT_ERRORS:
                self._set_aside(claimed, errno.errorcode[error.errno])
                return None
            self._spool.release(claimed)
            raise
        set_sent_at(envelope)
        begun = time.monotonic()
        result, reason, seconds = self._sender.send_again(envelope, file.kind)
        took = time.monotonic() - begun
        failures = self._failures.pop(file.name, 0)
        if result is Result.DELIVERED:
            self._spool.remove(claimed)
            self._took = took
            self._backoff.succeeded()
            self._pace.succeeded()
        elif result is Result.REFUSED:
            self._set_aside(claimed, reason)
        else:
            self._pace.failed()
            if result is Result.LIMITED:
                # Other processes have the same limit; the jitter keeps them from returning at the same
                # moment.
                self._limited[file.kind] = time.monotonic() + seconds + random.random()  # noqa: S311
            else:
                self._failures[file.name] = failures + 1
                self._backoff.failed(seconds)
            self._put_back(claimed, envelope)
        return result

    def _yield_to_live(self) -> None:
        """Let live envelopes go first, for a while."""
        until = time.monotonic() + max(_YIELD_FACTOR * self._took, _SHORTEST_YIELD)
        while self._sender.is_busy() and time.monotonic() < until and not self._stopped.is_set():
            self._stopped.wait(_POLL_LIVE)

    def _put_back(self, file: SpoolFile, envelope: Envelope) -> None:
        try:
            self._spool.put_back(file, envelope)
        except OSError:
            if not os.path.lexists(file.path):
                self._sender.record_lost(envelope, "network_error")
            raise

    def _set_aside(self, file: SpoolFile, reason: str) -> bool:
        """Set a file aside; return False if it is gone."""
        if self._spool.set_aside(file, reason) is None:
            return False
        self._log.count(f"set aside ({reason})")
        return True


def _sorted_for_sending(files: list[SpoolFile]) -> list[SpoolFile]:
    """Return recent files, newest first, then the others, oldest first.

    Args:
        files: waiting files, oldest first.
    """
    now = datetime.now(timezone.utc)
    fresh = {file for file in files if 0 <= (now - file.time).total_seconds() < FRESH}
    return sorted(fresh, key=lambda file: file.time, reverse=True) + [f for f in files if f not in fresh]


def set_sent_at(envelope: Envelope) -> None:
    """Set the time of sending in an envelope to now.

    Args:
        envelope: the stored envelope.
    """
    # Sentry corrects the timestamps of a host with a wrong clock by it, so it must be the time of this
    # upload.
    envelope.headers["sent_at"] = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
