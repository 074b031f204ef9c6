"""Send the waiting files of a spool, next to the processes that use it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import sentry_sdk
from sentry_sdk.envelope import Envelope

from sentry_paste import sdk
from sentry_paste.cli import network
from sentry_paste.cli.spool.inventory import Entry
from sentry_paste.sdk.transports import host_and_project, transport_class
from sentry_paste.spool.backlog import Result, set_sent_at
from sentry_paste.spool.backoff import Backoff, Pace
from sentry_paste.spool.delivery import DeliveringTransport
from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import ASIDE, SpoolFile, destination_of
from sentry_paste.spool.owner import current
from sentry_paste.spool.presence import Presence
from sentry_paste.spool.reading import UnreadableError, read_envelope
from sentry_paste.spool.transport import SpoolSettings

#: Failures in a row after which the rest is left, which takes some 15 seconds.
MAX_FAILURES = 5
#: Longest pause that a server may ask for, in seconds; if it asks for more, the rest is left.
MAX_WAIT = 300.0

# Seconds between signs of life.
_PRESENCE_INTERVAL = 10.0
# Seconds until an interruption is noticed during a pause.
_STEP = 0.05


@dataclass
class Progress:
    """The progress of sending.

    Attributes:
        files: how many files there are to send.
        sent: how many have arrived.
        sent_bytes: size of those, in bytes.
        taken: how many another process has claimed or removed meanwhile.
        aside: how many were set aside, by reason.
        unreadable: how many could not be read and still wait, by reason.
        problem: the answer for the last file that did not arrive; empty after one that did.
        waiting: seconds until the next file is sent, during a pause after a failure.
        stop_reason: why the rest is left; empty while it is not.
    """

    files: int
    sent: int = 0
    sent_bytes: int = 0
    taken: int = 0
    aside: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    problem: str = ""
    waiting: float = 0.0
    stop_reason: str = ""

    @property
    def left(self) -> int:
        """How many are still to be sent."""
        return self.files - self.sent - self.taken - sum(self.aside.values())


class SupportsSend(Protocol):
    """Anything that sends one envelope."""

    def send(self, envelope: Envelope, kind: str) -> tuple[Result, str, float, str]:
        """Send an envelope; return the result, its reason, seconds to wait, and the answer in words.

        Args:
            envelope: the envelope.
            kind: kind of its file.
        """


class SpoolSender:
    """Send files of a spool, one after the other.

    Each is claimed first by renaming it, as the processes that use the spool do, so that no file is sent
    twice.

    Args:
        spool: the spool.
        sender: sends one envelope.
        rate: files per second, at most.
        on_progress: called with the progress, after each file and during a pause.
        should_stop: returns whether to leave the rest.

    Attributes:
        progress: progress so far.
    """

    def __init__(
        self,
        spool: Spool,
        sender: SupportsSend,
        rate: float,
        on_progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._spool = spool
        self._sender = sender
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._pace = Pace(rate)
        self._backoff = Backoff()
        self._presence = Presence(spool)
        self._presence_shown_at = float("-inf")
        self._failures = 0
        # Kinds that the server has rate-limited, and until when.
        self._limited: dict[str, float] = {}
        self.progress = Progress(0)

    def take_back(self) -> None:
        """Let files that dead processes have claimed wait again, as the processes that use the spool do."""
        with self._presence_shown():
            self._presence.reclaim()

    def send(self, entries: Sequence[Entry]) -> Progress:
        """Send files, or leave them as they are; return the progress at the end.

        Args:
            entries: the files, oldest first.

        Raises:
            OSError: the directory cannot be written.
        """
        self.progress = Progress(len(entries))
        self._spool.ledger.ensure()
        vain_rounds = 0
        with self._presence_shown():
            while entries and not self._is_over():
                before = self.progress.left
                entries = self._send_once(entries)
                vain_rounds = vain_rounds + 1 if self.progress.left == before else 0
                if vain_rounds >= MAX_FAILURES and not self.progress.stop_reason:
                    self.progress.stop_reason = f"the server accepted nothing in {vain_rounds} rounds"
                elif entries and not self._is_over():
                    self._wait_for_limits(entries)
        return self.progress

    def _is_over(self) -> bool:
        if self._should_stop():
            self.progress.stop_reason = "interrupted"
        return bool(self.progress.stop_reason)

    def _send_once(self, entries: Sequence[Entry]) -> list[Entry]:
        """Send each file that is not rate-limited; return those to try again."""
        again: list[Entry] = []
        for index, entry in enumerate(entries):
            if self._is_over():
                return [*again, *entries[index:]]
            if time.monotonic() < self._limited.get(entry.file.kind, 0.0):
                again.append(entry)
                continue
            started = time.monotonic()
            result = self._send_one(entry)
            self._on_progress(self.progress)
            if result in (Result.LATER, Result.LIMITED):
                again.append(entry)
                self._wait(self._backoff.remaining())
            elif result is not None:
                self._wait(started + self._pace.interval() - time.monotonic())
        return again

    def _send_one(self, entry: Entry) -> Result | None:
        """Send a file; return None if it is gone, cannot be read or is not an envelope."""
        self._show_presence()
        claimed = self._spool.claim(entry.file, current())
        if claimed is None:
            self.progress.taken += 1
            return None
        try:
            return self._send_claimed(entry, claimed)
        except BaseException:
            self._put_back(entry.file, claimed)
            raise

    def _send_claimed(self, entry: Entry, claimed: SpoolFile) -> Result | None:
        try:
            envelope = read_envelope(claimed)
        except UnreadableError as error:
            self._set_aside(claimed, str(error))
            return None
        except FileNotFoundError:
            self.progress.taken += 1
            return None
        except OSError as error:  # a symbolic link, or another user's
            self._put_back(entry.file, claimed)
            self.progress.unreadable[error.strerror or str(error)] += 1
            return None
        set_sent_at(envelope)
        result, reason, seconds, answer = self._sender.send(envelope, claimed.kind)
        if result is Result.DELIVERED:
            self._spool.remove(claimed)
            self._succeeded(entry.size)
        elif result is Result.REFUSED:
            self.progress.problem = answer
            self._set_aside(claimed, reason)
        else:
            self._put_back(entry.file, claimed)
            self._failed(result, claimed.kind, seconds, answer)
        return result

    def _succeeded(self, size: int) -> None:
        self.progress.sent += 1
        self.progress.sent_bytes += size
        self.progress.problem = ""
        self._failures = 0
        self._backoff.succeeded()
        self._pace.succeeded()

    def _failed(self, result: Result, kind: str, seconds: float, answer: str) -> None:
        self.progress.problem = answer
        if result is Result.LIMITED:
            self._limited[kind] = time.monotonic() + seconds
            return
        self._failures += 1
        self._backoff.failed(seconds)
        self._pace.failed()
        if seconds > MAX_WAIT:
            self.progress.stop_reason = f"the server asks to wait for {seconds:.0f} s"
        elif self._failures >= MAX_FAILURES:
            self.progress.stop_reason = f"{self._failures} failures in a row"

    def _set_aside(self, file: SpoolFile, reason: str) -> None:
        renamed = self._spool.set_aside(file, reason)
        if renamed is None:
            self.progress.taken += 1
        else:
            self.progress.aside[renamed.detail] += 1

    def _put_back(self, file: SpoolFile, claimed: SpoolFile) -> None:
        """Return a file to the state that it was in."""
        if file.state == ASIDE:
            self._spool.set_aside(claimed, file.detail)
        else:
            self._spool.release(claimed)

    def _wait_for_limits(self, entries: Sequence[Entry]) -> None:
        """Wait until the first rate limit of the rest ends."""
        due = min(self._limited.get(entry.file.kind, 0.0) for entry in entries)
        seconds = due - time.monotonic()
        if seconds > MAX_WAIT:
            self.progress.stop_reason = f"the server accepts no more of this kind for {seconds:.0f} s"
        else:
            self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        # In steps, and not with an Event: a signal handler runs in this thread, and its set() could deadlock.
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._is_over():
            self.progress.waiting = left if self.progress.problem else 0.0
            self._on_progress(self.progress)
            self._show_presence()
            time.sleep(min(left, _STEP))
        self.progress.waiting = 0.0

    @contextmanager
    def _presence_shown(self) -> Iterator[None]:
        """Show other hosts that this process is alive, or they would take back what it has claimed."""
        self._show_presence()
        try:
            yield
        finally:
            self._presence.leave()
            self._presence_shown_at = float("-inf")

    def _show_presence(self) -> None:
        if time.monotonic() - self._presence_shown_at >= _PRESENCE_INTERVAL:
            self._presence.show()
            self._presence_shown_at = time.monotonic()


# Nothing is captured here, so only the transport has to be set up. Without these the SDK would look for a
# release with git, and for a Spotlight to send everything to as well. What the server refuses is set aside
# and not lost, so no client report may count it.
_OPTIONS: dict[str, Any] = {
    "auto_enabling_integrations": False,
    "auto_session_tracking": False,
    "default_integrations": False,
    "enable_backpressure_handling": False,
    "release": "",
    "send_client_reports": False,
    "spotlight": False,
}


class _IdleTransport(DeliveringTransport):
    """A transport that has started no thread, and so has none to stop."""

    def __del__(self) -> None:
        # sentry-sdk 2.18 kills the transport here. That flushes, which starts a thread and hangs at exit.
        pass


class EnvelopeSender:
    """Send envelopes as the SDK does for a client with this DSN.

    Args:
        dsn: DSN to send to.
        directory: directory of the spool.

    Raises:
        ValueError: the DSN is not valid, or the SDK's transport does not report what happens to an envelope.
    """

    def __init__(self, dsn: str, directory: str) -> None:
        fault = sdk.dsn_fault(dsn)
        if fault:
            raise ValueError(f"the DSN cannot be used: {fault}")
        reporting_class = transport_class({})
        if reporting_class is None:
            raise ValueError("the transport of this sentry-sdk does not report what happens to an envelope")
        client = sentry_sdk.Client(dsn=dsn, transport=reporting_class, **_OPTIONS)
        inner = reporting_class(client.options)
        self._transport = _IdleTransport(client.options, inner, SpoolSettings(directory))
        self._answer: Any = None
        sdk.watch_transport(inner, self._record_answer, lambda _: None)
        scheme, host, port = sdk.dsn_address(dsn)
        where, self.project = host_and_project(self._transport)
        self.destination = destination_of(where, self.project)
        self.host = f"{host}:{port}"
        self.scheme = scheme

    def _record_answer(self, answer: Any) -> None:
        self._answer = answer

    def send(self, envelope: Envelope, kind: str) -> tuple[Result, str, float, str]:
        """Send an envelope; return the result, its reason, seconds to wait, and the answer in words.

        Args:
            envelope: the envelope.
            kind: kind of its file.
        """
        self._answer = None
        result, reason, seconds = self._transport.send_again(envelope, kind)
        answer = reason if self._answer is None else network.answer_text(self._answer, self.host)[1]
        return result, reason, seconds, answer
