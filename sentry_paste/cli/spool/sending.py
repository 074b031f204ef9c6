"""Send what waits in a spool, from the command line and beside the processes that use it."""

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
from sentry_paste.cli.spool.inventory import Held
from sentry_paste.sdk.transports import host_and_project, transport_class
from sentry_paste.spool.backlog import Result, renew
from sentry_paste.spool.backoff import Backoff, Pace
from sentry_paste.spool.delivery import DeliveringTransport
from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import ASIDE, SpoolFile, destination_of
from sentry_paste.spool.owner import current
from sentry_paste.spool.presence import Presence
from sentry_paste.spool.reading import UnreadableError, read_envelope
from sentry_paste.spool.transport import Terms

#: After so many failures in a row the rest is left: some 15 seconds.
MOST_FAILURES = 5
#: Seconds: a server that asks to wait for longer is not waited for.
MOST_WAIT = 300.0

# Seconds from one sign of life to the next.
_SHOW_AGAIN = 10.0
# Seconds in which an interruption is noticed while nothing is sent.
_STEP = 0.05


@dataclass
class Progress:
    """How far it has come.

    Attributes:
        files: how many there are to send.
        sent: how many have arrived.
        sent_bytes: of those.
        taken: how many another process has taken meanwhile, or removed.
        aside: how many were set aside, by the reason.
        unread: why files could not be read, which wait still: how many, by the reason.
        trouble: what was said of the last one that was not taken; empty after one that was.
        waiting: seconds that are left until the next is sent, where the server is given time.
        ended: why the rest is left; empty where it is not.
    """

    files: int
    sent: int = 0
    sent_bytes: int = 0
    taken: int = 0
    aside: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    trouble: str = ""
    waiting: float = 0.0
    ended: str = ""

    @property
    def left(self) -> int:
        """How many are still to be sent."""
        return self.files - self.sent - self.taken - sum(self.aside.values())


class Carrier(Protocol):
    """Who sends one envelope."""

    def send(self, envelope: Envelope, kind: str) -> tuple[Result, str, float, str]:
        """Send an envelope; return what became of it, why, how long to wait, and the answer in words.

        Args:
            envelope: as it is to arrive.
            kind: of its file.
        """


class Sending:
    """Send files of a spool, one after the other.

    Each is claimed first by renaming it, as the processes do that use the spool: none is sent by two.

    Args:
        spool: the spool.
        carrier: sends.
        rate: files a second, at most.
        tell: called with the progress, after each file and while nothing is sent.
        is_stopped: tells whether to leave the rest.

    Attributes:
        progress: how far it has come.
    """

    def __init__(
        self,
        spool: Spool,
        carrier: Carrier,
        rate: float,
        tell: Callable[[Progress], None],
        is_stopped: Callable[[], bool],
    ) -> None:
        self._spool = spool
        self._carrier = carrier
        self._tell = tell
        self._is_stopped = is_stopped
        self._pace = Pace(rate)
        self._backoff = Backoff()
        self._presence = Presence(spool)
        self._shown = float("-inf")
        self._failures = 0
        # Kinds of which the server takes nothing, and until when.
        self._limited: dict[str, float] = {}
        self.progress = Progress(0)

    def take_back(self) -> None:
        """Have files of processes that have died wait again, as those do that use the spool."""
        with self._shown_alive():
            self._spool.take_back(self._presence.alive(self._spool.owners()))

    def send(self, held: Sequence[Held]) -> Progress:
        """Send files, or leave them as they are found; return how far it came.

        Args:
            held: the oldest first.

        Raises:
            OSError: the directory cannot be written.
        """
        self.progress = Progress(len(held))
        fruitless = 0
        with self._shown_alive():
            while held and not self._is_over():
                before = self.progress.left
                held = self._send_once(held)
                fruitless = fruitless + 1 if self.progress.left == before else 0
                if fruitless >= MOST_FAILURES and not self.progress.ended:
                    self.progress.ended = f"{fruitless} rounds in which the server took nothing"
                elif held and not self._is_over():
                    self._wait_for_limits(held)
        return self.progress

    def _is_over(self) -> bool:
        if self._is_stopped():
            self.progress.ended = "interrupted"
        return bool(self.progress.ended)

    def _send_once(self, held: Sequence[Held]) -> list[Held]:
        """Send each file that is due; return those that are to be tried again."""
        again: list[Held] = []
        for place, found in enumerate(held):
            if self._is_over():
                return [*again, *held[place:]]
            if time.monotonic() < self._limited.get(found.file.kind, 0.0):
                again.append(found)
                continue
            begun = time.monotonic()
            result = self._send_one(found)
            self._tell(self.progress)
            if result in (Result.LATER, Result.LIMITED):
                again.append(found)
                self._wait(self._backoff.remaining())
            elif result is not None:
                self._wait(begun + self._pace.interval() - time.monotonic())
        return again

    def _send_one(self, found: Held) -> Result | None:
        """Send a file; None where it is gone, or is no envelope."""
        self._show()
        claimed = self._spool.claim(found.file, current())
        if claimed is None:
            self.progress.taken += 1
            return None
        try:
            return self._send_claimed(found, claimed)
        except BaseException:
            self._put_back(found.file, claimed)
            raise

    def _send_claimed(self, found: Held, claimed: SpoolFile) -> Result | None:
        try:
            envelope = read_envelope(claimed)
        except UnreadableError as error:
            self._set_aside(claimed, str(error))
            return None
        except FileNotFoundError:
            self.progress.taken += 1
            return None
        except OSError as error:  # a symbolic link, or another user's
            self._put_back(found.file, claimed)
            self.progress.unread[error.strerror or str(error)] += 1
            return None
        renew(envelope)
        result, reason, seconds, told = self._carrier.send(envelope, claimed.kind)
        if result is Result.DELIVERED:
            self._spool.remove(claimed)
            self._succeeded(found.size)
        elif result is Result.REFUSED:
            self.progress.trouble = told
            self._set_aside(claimed, reason)
        else:
            self._put_back(found.file, claimed)
            self._failed(result, claimed.kind, seconds, told)
        return result

    def _succeeded(self, size: int) -> None:
        self.progress.sent += 1
        self.progress.sent_bytes += size
        self.progress.trouble = ""
        self._failures = 0
        self._backoff.succeeded()
        self._pace.succeeded()

    def _failed(self, result: Result, kind: str, seconds: float, told: str) -> None:
        self.progress.trouble = told
        if result is Result.LIMITED:
            self._limited[kind] = time.monotonic() + seconds
            return
        self._failures += 1
        self._backoff.failed(seconds)
        self._pace.failed()
        if seconds > MOST_WAIT:
            self.progress.ended = f"the server asks to wait for {seconds:.0f} s"
        elif self._failures >= MOST_FAILURES:
            self.progress.ended = f"{self._failures} failures in a row"

    def _set_aside(self, file: SpoolFile, reason: str) -> None:
        renamed = self._spool.set_aside(file, reason)
        if renamed is None:
            self.progress.taken += 1
        else:
            self.progress.aside[renamed.detail] += 1

    def _put_back(self, file: SpoolFile, claimed: SpoolFile) -> None:
        """Leave a file as it was found."""
        if file.state == ASIDE:
            self._spool.set_aside(claimed, file.detail)
        else:
            self._spool.release(claimed)

    def _wait_for_limits(self, held: Sequence[Held]) -> None:
        """Wait until something of the rest is due."""
        due = min(self._limited.get(found.file.kind, 0.0) for found in held)
        seconds = due - time.monotonic()
        if seconds > MOST_WAIT:
            self.progress.ended = f"the server takes no more of this kind for {seconds:.0f} s"
        else:
            self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        # In steps: the handler of a signal can set no event that the same thread waits for.
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._is_over():
            self.progress.waiting = left if self.progress.trouble else 0.0
            self._tell(self.progress)
            self._show()
            time.sleep(min(left, _STEP))
        self.progress.waiting = 0.0

    @contextmanager
    def _shown_alive(self) -> Iterator[None]:
        """Show processes of other hosts that this one lives, or they would take back what it has claimed."""
        self._show()
        try:
            yield
        finally:
            self._presence.leave()
            self._shown = float("-inf")

    def _show(self) -> None:
        if time.monotonic() - self._shown >= _SHOW_AGAIN:
            self._presence.show()
            self._shown = time.monotonic()


# Nothing is captured here, so that nothing but the transport is to be set up. The SDK would look for a
# release with git, and for a Spotlight to send everything to as well. What is refused is not lost: it is set
# aside, and no report is to count it.
_OPTIONS: dict[str, Any] = {
    "auto_enabling_integrations": False,
    "auto_session_tracking": False,
    "default_integrations": False,
    "enable_backpressure_handling": False,
    "release": "",
    "send_client_reports": False,
    "spotlight": False,
}


class _Idle(DeliveringTransport):
    """A transport that has started no thread, and so has none to end."""

    def __del__(self) -> None:
        # SDKs of 2.18 kill it here. That flushes, which starts a thread; as the interpreter ends, that hangs.
        pass


class Courier:
    """Sends envelopes, as the SDK does for a client with this DSN.

    Args:
        dsn: where to.
        directory: of the spool.

    Raises:
        ValueError: it is no DSN, or the SDK's transport is not one that tells what becomes of an envelope.
    """

    def __init__(self, dsn: str, directory: str) -> None:
        fault = sdk.dsn_fault(dsn)
        if fault:
            raise ValueError(f"the DSN cannot be used: {fault}")
        telling = transport_class({})
        if telling is None:
            raise ValueError("the transport of this sentry-sdk does not tell what becomes of an envelope")
        client = sentry_sdk.Client(dsn=dsn, transport=telling, **_OPTIONS)
        inner = telling(client.options)
        self._transport = _Idle(client.options, inner, Terms(directory))
        self._answer: Any = None
        sdk.watch_transport(inner, self._note, lambda _: None)
        scheme, host, port = sdk.dsn_address(dsn)
        where, self.project = host_and_project(self._transport)
        self.destination = destination_of(where, self.project)
        self.host = f"{host}:{port}"
        self.scheme = scheme

    def _note(self, answer: Any) -> None:
        self._answer = answer

    def send(self, envelope: Envelope, kind: str) -> tuple[Result, str, float, str]:
        """Send an envelope; return what became of it, why, how long to wait, and the answer in words.

        Args:
            envelope: as it is to arrive.
            kind: of its file.
        """
        self._answer = None
        result, reason, seconds = self._transport.send_again(envelope, kind)
        told = reason if self._answer is None else network.answer_text(self._answer, self.host)[1]
        return result, reason, seconds, told
