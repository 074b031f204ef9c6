"""The SDK transport that stores envelopes in a spool when there is no DSN; and what both transports share."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from sentry_paste.sdk.failures import warn
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import SpoolFile
from sentry_paste.spool.owner import Owner, current
from sentry_paste.spool.presence import Presence

_T = TypeVar("_T")

# Seconds between warnings about repeated events.
_WARN_AGAIN = 60.0
# Seconds between looks for what dead processes have left.
_RECLAIM_AGAIN = 60.0


class LogThrottle:
    """Warnings about a spool, limited in number.

    Args:
        directory: directory of the spool.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._has_failed = False
        self._last_warning = float("-inf")
        self._pending: Counter[str] = Counter()

    def failed(self, error: BaseException) -> None:
        """Warn that nothing can be stored, once until storing works again.

        Args:
            error: the reason.
        """
        has_failed, self._has_failed = self._has_failed, True
        if not has_failed:
            warn("spool_dir: %s: nothing is stored until this is fixed", error)

    def succeeded(self) -> None:
        """Record that something could be stored."""
        self._has_failed = False

    def count(self, what: str) -> None:
        """Warn about what happened to a file, with one warning a minute for all files.

        Args:
            what: what happened, in a few words.
        """
        self._pending[what] += 1
        now = time.monotonic()
        if now - self._last_warning >= _WARN_AGAIN:
            # Swapped at once, because another thread may be counting.
            pending, self._pending, self._last_warning = self._pending, Counter(), now
            text = ", ".join(f"{count} {what}" for what, count in sorted(pending.items()))
            warn("spool_dir: %s: %s", self._directory, text)


class Unfinished:
    """What could not be done with files that this process has claimed, and is tried again.

    Nobody else touches a file that a living process has claimed: what it cannot release would wait as long as
    it lives, and what it has delivered but cannot remove would be sent again after its end.
    """

    def __init__(self) -> None:
        self._actions: dict[Path, tuple[SpoolFile, Callable[[], object]]] = {}

    def attempt(self, file: SpoolFile, action: Callable[[], _T]) -> _T:
        """Do something with a file, and remember it if that fails.

        Args:
            file: file that this process has claimed.
            action: renames or removes it.

        Raises:
            OSError: it will be tried again.
        """
        try:
            return action()
        except OSError:
            self._actions[file.path] = (file, action)
            raise

    def put_back(self, spool: Spool, file: SpoolFile, envelope: Envelope) -> None:
        """Make a file wait, and write it again if it was removed.

        Args:
            spool: the spool.
            file: file that this process has claimed.
            envelope: contents of the file.

        Raises:
            OSError: the directory is not writable; if the file is there, its release will be tried again.
        """
        if self.attempt(file, partial(spool.release, file)) is None:
            spool.put_back(file, envelope)

    def retry(self) -> None:
        """Try again what has failed."""
        for path, (file, action) in list(self._actions.items()):
            try:
                # A process that was forked leaves its parent's files alone, which the parent may send now.
                if file.owner == current():
                    action()
            except OSError:
                continue
            self._actions.pop(path, None)

    def forget(self) -> None:
        """Forget what has failed, in a process that was forked."""
        self._actions = {}


class SpoolSettings(NamedTuple):
    """The options of a spool.

    Attributes:
        directory: absolute path of the directory.
        items: kinds of envelopes that are written before they are sent.
        max_size: maximum size, in bytes.
        max_age: maximum age of a file, in seconds.
        rate: how many files of the backlog are sent per second at most.
        fsync: whether to flush each file to the disk before the SDK continues, or after how many seconds to.
        connections: how many envelopes are sent at the same time at most.
        min_free: bytes of the disk that stay free; None for the default.
    """

    directory: str
    items: Collection[str] = ("error", "feedback", "checkin", "session")
    max_size: int = 100_000_000
    max_age: float = 30 * 86400.0
    rate: float = 100.0
    fsync: bool | float = False
    connections: int = 8
    min_free: int | None = None


class SpoolTransport(Transport):
    """Write each envelope to a spool directory.

    If the directory is not writable, the envelope is lost and one warning is logged; the request is not
    affected.

    Args:
        settings: options of the spool.
        options: options of the client, as for every SDK transport.
    """

    def __init__(self, settings: SpoolSettings, options: dict[str, Any] | None = None) -> None:
        super().__init__(options)
        # There is no thread that could flush them later.
        self.spool = Spool(settings.directory, bool(settings.fsync), settings.min_free)
        self._log = LogThrottle(self.spool.directory)
        # It sends nothing, so nothing is tried, and the clock may be wrong.
        self._bounds = Bounds(
            self.spool, settings.max_size, settings.max_age, self._dropped, was_tried=lambda _: None
        )
        self._unfinished = Unfinished()
        self._presence = Presence(self.spool)
        self._reclaimed_at = float("-inf")

    def capture_envelope(self, envelope: Envelope) -> None:
        """Write the envelope before returning.

        Args:
            envelope: the envelope that the SDK captured.
        """
        self._write(envelope, None)

    def hold(self, envelope: Envelope) -> SpoolFile | None:
        """Write an envelope whose event may still change; return its file, None if that fails.

        Args:
            envelope: the envelope that the SDK captured.
        """
        return self._write(envelope, current())

    def send_held(self, envelope: Envelope, file: SpoolFile | None) -> None:
        """Let the file of an envelope wait for a process that sends it.

        Args:
            envelope: in the file.
            file: by ``hold``.
        """
        try:
            if file is not None:
                self._unfinished.put_back(self.spool, file, envelope)
        except OSError as error:
            self._log.failed(error)

    def withdraw(self, file: SpoolFile | None) -> None:
        """Remove the file of an envelope that is not to be sent.

        Args:
            file: by ``hold``.
        """
        try:
            if file is not None:
                self._unfinished.attempt(file, partial(self.spool.remove, file, "withdrawn"))
        except OSError as error:
            self._log.failed(error)

    def kill(self) -> None:
        """Try again what has failed, before the process may end."""
        self._unfinished.retry()

    def _write(self, envelope: Envelope, owner: Owner | None) -> SpoolFile | None:
        self._unfinished.retry()
        try:
            file = self.spool.write(envelope, owner=owner)
            self._bounds.wrote(file)
            self._bounds.enforce_if_due()
        except Exception as error:  # whatever the disk does, the app must continue
            self._log.failed(error)
            return None
        self._log.succeeded()
        self._reclaim_if_due()
        return file

    def _reclaim_if_due(self) -> None:
        """Take care of what dead processes have left, at least their counts: nobody else may do so."""
        now = time.monotonic()
        if now - self._reclaimed_at < _RECLAIM_AGAIN:
            return
        self._reclaimed_at = now
        try:
            with self._presence.shown():
                for _ in range(self._presence.reclaim()):
                    self._log.count("incomplete, set aside")
        except Exception:  # it is still there the next time, and the app must continue
            return

    def _dropped(self, file: SpoolFile, reason: str) -> None:
        self._log.count(f"{file.kind} dropped, {reason}")
