"""The SDK transport that keeps envelopes in a spool while there is nowhere to send them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from sentry_paste.sdk.failures import warn
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import SpoolFile

# Seconds between two warnings of what happens again and again.
_TELL_AGAIN = 60.0


class LogThrottle:
    """Tell of one directory.

    Args:
        directory: the spool's.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._has_failed = False
        self._told = float("-inf")
        self._untold: Counter[str] = Counter()

    def failed(self, error: BaseException) -> None:
        """Warn that nothing can be kept, once until something could be.

        Args:
            error: why.
        """
        has_failed, self._has_failed = self._has_failed, True
        if not has_failed:
            warn("spool_dir: %s: nothing is kept until this is mended", error)

    def succeeded(self) -> None:
        """Note that something could be kept."""
        self._has_failed = False

    def count(self, what: str) -> None:
        """Warn of what has happened to a file; what happens within a minute is told together.

        Args:
            what: in a few words.
        """
        self._untold[what] += 1
        now = time.monotonic()
        if now - self._told >= _TELL_AGAIN:
            # Another thread may be counting meanwhile.
            untold, self._untold, self._told = self._untold, Counter(), now
            told = ", ".join(f"{count} {what}" for what, count in sorted(untold.items()))
            warn("spool_dir: %s: %s", self._directory, told)


class Terms(NamedTuple):
    """What the ini says of the spool.

    Attributes:
        directory: absolute.
        items: kinds that are written before they are sent.
        max_size: bytes that it may hold.
        max_age: seconds that a file may wait.
        rate: files of the backlog that are sent in a second, at most.
        fsync: whether a file is on the disk itself before the SDK goes on.
    """

    directory: str
    items: Collection[str] = ("error", "feedback", "checkin", "session")
    max_size: int = 100_000_000
    max_age: float = 30 * 86400.0
    rate: float = 100.0
    fsync: bool = False


class SpoolTransport(Transport):
    """Write each envelope to a spool directory.

    A directory that cannot be written costs the envelope and one warning, never the request.

    Args:
        terms: of the spool.
        options: the client's options, as every SDK transport takes them.
    """

    def __init__(self, terms: Terms, options: dict[str, Any] | None = None) -> None:
        super().__init__(options)
        self.spool = Spool(terms.directory, terms.fsync)
        self._teller = LogThrottle(self.spool.directory)
        self._bounds = Bounds(self.spool, terms.max_size, terms.max_age, self._dropped)

    def capture_envelope(self, envelope: Envelope) -> None:
        """Write the envelope before returning.

        Args:
            envelope: what the SDK captured.
        """
        try:
            self._bounds.wrote(self.spool.write(envelope))
            self._bounds.enforce_now_and_then()
        except Exception as error:  # whatever the disk does, the app goes on
            self._teller.failed(error)
        else:
            self._teller.succeeded()

    def _dropped(self, file: SpoolFile, reason: str) -> None:
        self._teller.count(f"{file.kind} dropped, {reason}")
