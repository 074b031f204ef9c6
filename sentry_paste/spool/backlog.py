"""The backlog: a thread in each process that sends waiting files; only one process sends at a time."""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from collections import Counter
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from functools import partial
from typing import Protocol

from sentry_sdk.envelope import Envelope

from sentry_paste.spool.backoff import FRESH, Backoff, Pace
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import SpoolFile
from sentry_paste.spool.owner import Owner, current
from sentry_paste.spool.presence import Presence, SenderLock, Silence, exclusive_sender
from sentry_paste.spool.reading import UnreadableError, read_envelope
from sentry_paste.spool.transport import LogThrottle, Unfinished
from sentry_paste.spool.uploads import MOST_STUCK, STUCK, Uploads, Width
from sentry_paste.spool.writer import is_there

# Seconds between looks at the directory, unless the thread is woken.
_LOOK_AGAIN = 10.0
# Seconds after which a long backlog is listed again, so that newly captured files go first.
_LIST_AGAIN = 5.0
# The same as a multiple of the time that listing takes, if that is more.
_LISTING_SHARE = 20.0
# Seconds by which a file may be late for its turn.
_LATE = 0.1
# How many files are listed at a time.
_BATCH = 2000
# Seconds between signs of life, and between looks for processes that give none.
_SHOW_AGAIN = 10.0
_RECLAIM_AGAIN = 60.0
#: Seconds after which an answer has not come, however slowly it arrives.
LONGEST_ANSWER = 60.0
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

    def free_connections(self) -> int:
        """Return how many connections live envelopes leave to the backlog."""

    def abort_overdue(self, seconds: float) -> None:
        """End the requests whose answers take too long in all.

        Args:
            seconds: that an answer may take.
        """


@dataclass
class _Outcome:
    """What became of a file.

    Attributes:
        file: the file, waiting.
        result: of sending it; None if it was not sent.
        seconds: to wait.
        begun: when the upload began, by ``time.monotonic``.
        took: duration of the upload, in seconds.
        error: that the directory or the transport raised.
    """

    file: SpoolFile
    result: Result | None = None
    seconds: float = 0.0
    begun: float = 0.0
    took: float = 0.0
    error: Exception | None = None


@dataclass
class _Round:
    """What has happened since the directory was listed.

    Attributes:
        has_failed: whether the server may accept a file later.
        has_progressed: whether it has accepted one.
        is_cut_short: whether files are left because the directory is to be listed again.
    """

    has_failed: bool = False
    has_progressed: bool = False
    is_cut_short: bool = False


class Backlog:
    """Sends the waiting files of a spool in a thread.

    Args:
        spool: the spool.
        destinations: destinations of the files to send.
        sender: sends the envelopes.
        bounds: bounds of the spool.
        log: log of the spool.
        rate: how many files to send per second at most.
        connections: how many files to send at the same time at most.
        unfinished: what could not be done with files of this process, which the thread tries again.
    """

    def __init__(
        self,
        spool: Spool,
        destinations: tuple[str, ...],
        sender: Sender,
        bounds: Bounds,
        log: LogThrottle,
        rate: float,
        connections: int = 1,
        unfinished: Unfinished | None = None,
    ) -> None:
        self._spool = spool
        self._destinations = destinations
        self._sender = sender
        self._bounds = bounds
        self._log = log
        self._unfinished = unfinished or Unfinished()
        self._backoff = Backoff()
        self._pace = Pace(rate)
        # When the next file may be sent, by ``time.monotonic``.
        self._next = 0.0
        self._width = Width(connections)
        self._uploads: Uploads[_Outcome] = Uploads("sentry-paste.upload")
        # When the uploads in flight were begun.
        self._begun: dict[SpoolFile, float] = {}
        self._presence = Presence(spool)
        self._silence = Silence()
        self._shown_at = float("-inf")
        self._reclaimed_at = float("-inf")
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

    @property
    def in_flight(self) -> int:
        """How many files are being sent."""
        return self._uploads.in_flight

    def stop(self, timeout: float) -> None:
        """End the thread.

        Args:
            timeout: seconds to wait for the current uploads.
        """
        self._stopped.set()
        self._wake.set()
        self._uploads.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        self._unfinished.retry()
        self._spool.ledger.ensure()
        self._presence.leave()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._wake.clear()
                self._tidy()
                self._look()
            except Exception as error:
                self._log.failed(error)
            # Also while it waits after a failure: others have to see that this process is alive, and files
            # only become more.
            self._sleep(_LOOK_AGAIN * random.uniform(0.8, 1.2))  # noqa: S311

    def _sleep(self, seconds: float) -> None:
        """Wait until it is time for the next look, and flush files meanwhile."""
        until = time.monotonic() + min(self._backoff.remaining() or seconds, seconds)
        while (left := until - time.monotonic()) > 0:
            if self._wake.wait(min(left, self._spool.flush_after or left)):
                return
            try:
                self._spool.flush_if_due()
            except OSError as error:
                self._log.failed(error)

    def _tidy(self) -> None:
        """Do what has to be done now and then, whether or not this process may send."""
        self._sender.abort_overdue(LONGEST_ANSWER)
        self._spool.flush_if_due()
        if os.path.lexists(self._spool.directory):
            self._spool.ledger.ensure()
            self._unfinished.retry()
            if time.monotonic() - self._shown_at >= _SHOW_AGAIN:
                self._shown_at = time.monotonic()
                self._presence.show()
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
        with exclusive_sender(self._spool, self._destinations[0], self._silence) as lock:
            if lock is None:
                return
            self._reclaimed_at = float("-inf")
            self._spool.ledger.say(sends=True)
            try:
                while self._send_some(lock) and not self._stopped.is_set():
                    pass
            finally:
                self._uploads.end()
                self._spool.ledger.say(sends=None)

    def _reclaim(self) -> None:
        if time.monotonic() - self._reclaimed_at < _RECLAIM_AGAIN:
            return
        self._reclaimed_at = time.monotonic()
        for _ in range(self._presence.reclaim()):
            self._log.count("incomplete, set aside")

    def _send_some(self, lock: SenderLock) -> bool:
        """Send waiting files for a while; return whether there may be more to send."""
        self._reclaim()
        begun, round_ = time.monotonic(), _Round()
        waiting = self._waiting()
        # Long lists take long to make.
        until = time.monotonic() + max(_LIST_AGAIN, _LISTING_SHARE * (time.monotonic() - begun))
        for file in waiting:
            self._tidy()
            if not self._is_due(file.kind):
                continue
            self._yield_to_live(round_)
            self._wait_for_turn(round_)
            if round_.has_failed or self._stopped.is_set() or not lock.is_held():
                break
            self._begun[file] = time.monotonic()
            self._uploads.start(partial(self._upload, file, current()))
            if time.monotonic() > until:
                round_.is_cut_short = True
                break
        else:
            # There may be more than were listed.
            round_.is_cut_short = round_.has_progressed and len(waiting) >= _BATCH
        # Uploads go on while the directory is listed again.
        while self._uploads.in_flight and not round_.is_cut_short:
            self._finish_one(round_)
        # After a failure the caller waits, where wake() can end the wait.
        return not round_.has_failed and (round_.is_cut_short or round_.has_progressed)

    def _waiting(self) -> list[SpoolFile]:
        """List the files to send next, in their order."""
        # Files that keep failing go last, so that they do not hold up the others.
        limit = _BATCH + len(self._failures)
        waiting = self._spool.next_waiting(self._destinations, FRESH, limit, self._is_due)
        if self._failures:
            there = {name for name in self._failures if os.path.lexists(self._spool.directory / name)}
            self._failures = Counter({name: self._failures[name] for name in there})
            waiting.sort(key=lambda file: self._failures[file.name])
        return waiting

    def _is_due(self, kind: str) -> bool:
        return time.monotonic() >= self._limited.get(kind, 0.0)

    def _wait_for_turn(self, round_: _Round) -> None:
        """Wait until the rate and the number of connections allow another upload."""
        while self._uploads.in_flight >= self._places():
            self._finish_one(round_)
            if round_.has_failed or self._stopped.is_set():
                return
        while (wait := self._next - time.monotonic()) > 0 and not self._stopped.is_set():
            if self._uploads.in_flight:
                self._finish_one(round_, wait)
            else:
                self._stopped.wait(wait)
        # A moment late, as threads are, is made good by the next one.
        now = time.monotonic()
        self._next = (self._next if now - self._next < _LATE else now) + self._pace.interval()

    def _places(self) -> int:
        """Return how many files may be sent at the same time now."""
        now = time.monotonic()
        stuck = sum(now - begun > STUCK for begun in self._begun.values())
        return min(self._width.current + min(stuck, MOST_STUCK), max(self._sender.free_connections(), 1))

    def _finish_one(self, round_: _Round, timeout: float = 1.0) -> None:
        """Wait for an upload that ends, for some time."""
        outcome = self._uploads.wait(timeout)
        if outcome is None:
            self._tidy()
            return
        self._begun.pop(outcome.file, None)
        if outcome.error is not None:
            self._log.failed(outcome.error)
        elif outcome.result is None:
            self._next -= self._pace.interval()
        elif outcome.result is Result.DELIVERED:
            round_.has_progressed = True
            self._took = outcome.took
            self._failures.pop(outcome.file.name, None)
            self._width.answered(outcome.begun, outcome.took)
            self._backoff.succeeded(outcome.begun)
            self._pace.succeeded()
        elif outcome.result is Result.LIMITED:
            self._pace.failed()
            self._width.failed()
            # Other processes have the same limit; the jitter keeps them from returning at the same moment.
            until = time.monotonic() + outcome.seconds + random.random()  # noqa: S311
            self._limited[outcome.file.kind] = until
        elif outcome.result is Result.LATER:
            round_.has_failed = True
            self._failures[outcome.file.name] += 1
            self._width.failed()
            if self._backoff.failed(outcome.seconds, outcome.begun):
                self._pace.failed()

    def _upload(self, file: SpoolFile, owner: Owner) -> _Outcome:
        """Send a file, in a thread for uploads."""
        outcome = _Outcome(file)
        try:
            self._send(outcome, owner)
        except Exception as error:
            outcome.error = error
        return outcome

    def _send(self, outcome: _Outcome, owner: Owner) -> None:
        """Send a file; the result stays None if it is gone or is not an envelope."""
        claimed = self._spool.claim(outcome.file, owner)
        if claimed is None:
            return
        envelope = self._read(claimed)
        if envelope is None:
            return
        set_sent_at(envelope)
        outcome.begun = time.monotonic()
        try:
            result, reason, outcome.seconds = self._sender.send_again(envelope, claimed.kind)
        except BaseException:
            self._put_back(claimed, envelope)
            raise
        outcome.result, outcome.took = result, time.monotonic() - outcome.begun
        if result is Result.DELIVERED:
            self._unfinished.attempt(claimed, partial(self._spool.remove, claimed))
        elif result is Result.REFUSED:
            self._set_aside(claimed, reason)
        else:
            self._put_back(claimed, envelope)

    def _read(self, file: SpoolFile) -> Envelope | None:
        """Return the envelope in a file, or set it aside if it is none."""
        try:
            return read_envelope(file)
        except UnreadableError as error:
            if self._set_aside(file, str(error)):
                self._sender.record_damaged(file)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in _PERMANENT_ERRORS:
                self._unfinished.attempt(file, partial(self._spool.release, file))
                raise
            self._set_aside(file, errno.errorcode[error.errno])
        return None

    def _yield_to_live(self, round_: _Round) -> None:
        """Let live envelopes go first, for a while, in which no file is sent."""
        while self._uploads.in_flight and self._sender.is_busy() and not self._stopped.is_set():
            self._finish_one(round_)
        until = time.monotonic() + max(_YIELD_FACTOR * self._took, _SHORTEST_YIELD)
        while self._sender.is_busy() and time.monotonic() < until and not self._stopped.is_set():
            self._stopped.wait(_POLL_LIVE)

    def _put_back(self, file: SpoolFile, envelope: Envelope) -> None:
        try:
            self._unfinished.put_back(self._spool, file, envelope)
        except OSError:
            if not is_there(file):
                self._sender.record_lost(envelope, "network_error")
                self._spool.ledger.count(file.kind, "network_error")
            raise

    def _set_aside(self, file: SpoolFile, reason: str) -> bool:
        """Set a file aside; return False if it is gone."""
        if self._unfinished.attempt(file, partial(self._spool.set_aside, file, reason)) is None:
            return False
        self._log.count(f"set aside ({reason})")
        return True


def set_sent_at(envelope: Envelope) -> None:
    """Set the time of sending in an envelope to now.

    Args:
        envelope: the stored envelope.
    """
    # Sentry corrects the timestamps of a host with a wrong clock by it, so it must be the time of this
    # upload.
    envelope.headers["sent_at"] = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
