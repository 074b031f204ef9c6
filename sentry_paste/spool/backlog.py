"""The thread that sends what waits in a spool: one in a process, one at work in a directory."""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from collections import Counter
from datetime import datetime, timezone
from enum import Enum
from typing import Protocol

from sentry_sdk.envelope import Envelope

from sentry_paste.spool.backoff import FRESH, Backoff, Pace
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import SpoolFile
from sentry_paste.spool.owner import Owner, current
from sentry_paste.spool.presence import Presence, only_one
from sentry_paste.spool.reading import UnreadableError, read_envelope
from sentry_paste.spool.transport import LogThrottle

# Seconds from one look at the directory to the next, where nothing tells to look.
_LOOK_AGAIN = 10.0
# Seconds from one list of what waits to the next, where there is much: what is captured meanwhile goes first.
_LIST_AGAIN = 5.0
# A link, another user's file, a directory: it is not read later either.
_FOR_EVER = (errno.ELOOP, errno.EACCES, errno.EPERM, errno.EISDIR)
# Seconds from one look whether something that was captured now is to go first to the next.
_STEP_ASIDE = 0.02
# So many times as long as the last one took, and so many seconds at least, what is captured now goes first:
# where it never ends, the rest has a fifth of the time.
_ASIDE = 4.0
_LEAST_ASIDE = 0.1


class Result(Enum):
    """What became of a file that was sent."""

    #: Sentry has it.
    DELIVERED = 1
    #: It may be taken later.
    LATER = 2
    #: It may be taken when the rate limit of its kind is over.
    LIMITED = 3
    #: Sentry will not take it.
    REFUSED = 4


class Sender(Protocol):
    """Who sends an envelope, and knows whether there is something more urgent."""

    def send_again(self, envelope: Envelope, kind: str) -> tuple[Result, str, float]:
        """Send an envelope in this thread; return what became of it, why, and for how long to wait.

        Args:
            envelope: as it was kept.
            kind: of the file.
        """

    def is_busy(self) -> bool:
        """Return whether something that was captured just now waits to be sent."""

    def lose(self, envelope: Envelope, reason: str) -> None:
        """Count what was in an envelope as lost.

        Args:
            envelope: that is neither sent nor kept.
            reason: of those that client reports have.
        """


class Backlog:
    """What waits in a spool for one destination.

    Args:
        spool: the spool.
        destinations: whose files are sent.
        sender: sends them.
        bounds: of the spool.
        teller: of the spool.
        rate: files a second, at most.
    """

    def __init__(
        self,
        spool: Spool,
        destinations: tuple[str, ...],
        sender: Sender,
        bounds: Bounds,
        teller: LogThrottle,
        rate: float,
    ) -> None:
        self._spool = spool
        self._destinations = destinations
        self._sender = sender
        self._bounds = bounds
        self._teller = teller
        self._backoff = Backoff()
        self._pace = Pace(rate)
        self._presence = Presence(spool)
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        # Kinds of which the server takes nothing, and until when.
        self._limited: dict[str, float] = {}
        self._is_back = False
        self._was_back = float("-inf")
        # Seconds that the last one took that arrived.
        self._took = 0.0
        # By name: how often the files were sent in vain.
        self._failures: Counter[str] = Counter()

    def start(self) -> None:
        """Start the thread, which is the process's own."""
        self._thread = threading.Thread(target=self._run, name="sentry-paste.spool", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have the thread look at the directory."""
        self._wake.set()

    def server_is_back(self) -> None:
        """End the wait after failures: what was captured just now has been taken."""
        # What Sentry fails at each time, while it takes all else, is not to be sent as often as that.
        now = time.monotonic()
        if self._backoff.remaining() and now - self._was_back >= _LOOK_AGAIN:
            self._was_back = now
            self._is_back = True
            self._wake.set()

    def stop(self, timeout: float) -> None:
        """End the thread.

        Args:
            timeout: seconds to wait for what it is sending.
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
                self._look()
            except Exception as error:
                self._teller.failed(error)
            wait = self._backoff.remaining() or _LOOK_AGAIN * random.uniform(0.8, 1.2)  # noqa: S311
            self._wake.wait(wait)

    def _look(self) -> None:
        """Send what waits, unless another process does."""
        if self._is_back:
            self._is_back = False
            self._backoff.succeeded()
        if self._backoff.remaining() or not os.path.lexists(self._spool.directory):
            return
        # Also here: what lies in a directory that is open to others is not sent.
        self._spool.prepare()
        self._presence.show()
        with only_one(self._spool, self._destinations[0]) as is_mine:
            if not is_mine:
                return
            self._take_back()
            self._bounds.enforce_now_and_then()
            while self._send_some() and not self._stopped.is_set():
                pass

    def _take_back(self) -> None:
        _, partial = self._spool.take_back(self._presence.alive(self._spool.owners()))
        for _ in range(partial):
            self._teller.count("half written, set aside")

    def _send_some(self) -> bool:
        """Send what waits, for a while; return whether there may be more to send at once."""
        owner, progress, until = current(), False, time.monotonic() + _LIST_AGAIN
        waiting = _in_order(self._spool.waiting(*self._destinations))
        # What fails each time is not to keep the rest back.
        if self._failures:
            names = {file.name for file in waiting}
            self._failures = Counter({n: count for n, count in self._failures.items() if n in names})
        waiting.sort(key=lambda file: self._failures[file.name])
        for file in waiting:
            if self._stopped.is_set() or not self._is_due(file):
                continue
            begun = time.monotonic()
            result = self._send(file, owner)
            if result is Result.LATER:
                # The wait is outside, where it can be ended.
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
        """Send a file; None where it is gone, or is no envelope."""
        self._step_aside()
        claimed = None if self._stopped.is_set() else self._spool.claim(file, owner)
        if claimed is None:
            return None
        try:
            envelope = read_envelope(claimed)
        except UnreadableError as error:
            self._set_aside(claimed, str(error))
            return None
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in _FOR_EVER:
                self._set_aside(claimed, errno.errorcode[error.errno])
                return None
            self._spool.release(claimed)
            raise
        renew(envelope)
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
                # Others are told the same time: they are not to come back in the same moment.
                self._limited[file.kind] = time.monotonic() + seconds + random.random()  # noqa: S311
            else:
                self._failures[file.name] = failures + 1
                self._backoff.failed(seconds)
            self._put_back(claimed, envelope)
        return result

    def _step_aside(self) -> None:
        """Have what is captured just now go first, for a while."""
        until = time.monotonic() + max(_ASIDE * self._took, _LEAST_ASIDE)
        while self._sender.is_busy() and time.monotonic() < until and not self._stopped.is_set():
            self._stopped.wait(_STEP_ASIDE)

    def _put_back(self, file: SpoolFile, envelope: Envelope) -> None:
        try:
            self._spool.put_back(file, envelope)
        except OSError:
            if not os.path.lexists(file.path):
                self._sender.lose(envelope, "network_error")
            raise

    def _set_aside(self, file: SpoolFile, reason: str) -> None:
        if self._spool.set_aside(file, reason) is not None:
            self._teller.count(f"set aside ({reason})")


def _in_order(files: list[SpoolFile]) -> list[SpoolFile]:
    """Return what was captured just now, then the rest, the oldest first.

    Args:
        files: the oldest first.
    """
    now = datetime.now(timezone.utc)
    fresh = {file for file in files if 0 <= (now - file.time).total_seconds() < FRESH}
    return sorted(fresh, key=lambda file: file.time, reverse=True) + [f for f in files if f not in fresh]


def renew(envelope: Envelope) -> None:
    """Have an envelope say that it is sent now.

    Args:
        envelope: as it was kept.
    """
    # By it Sentry corrects the clock of the host: it is to be the time at which this is sent.
    envelope.headers["sent_at"] = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
