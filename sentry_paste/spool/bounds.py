"""The bounds of a spool: its maximum size, and the maximum age of its files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timezone

from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import CLAIMED, SpoolFile

# Kinds that are dropped last.
_DROPPED_LAST = ("error", "feedback", "checkin")

# Seconds between checks of all files.
_LOOK_AGAIN = 60.0
# If a spool is too large, it is reduced to this share of its maximum size, so that the next write does not
# exceed it again.
_SHRINK_TO = 0.9


class Bounds:
    """Keeps a spool within its maximum size and age.

    All files are checked once a minute, and when this process has written so much that the spool may be too
    large.

    Args:
        spool: the spool.
        size: maximum size, in bytes.
        age: maximum age of a file, in seconds.
        dropped: called with each dropped file and the reason.
    """

    def __init__(
        self, spool: Spool, size: int, age: float, dropped: Callable[[SpoolFile, str], None]
    ) -> None:
        self._spool = spool
        self._size = size
        self._age = age
        self._dropped = dropped
        # Files from before the first check are not counted until then, because listing a large spool is slow.
        self._size_on_disk = 0
        self._looked = float("-inf")

    def wrote(self, file: SpoolFile) -> None:
        """Count a file that was written, and drop others if the spool is too large.

        Args:
            file: the new file.
        """
        self._size_on_disk += _size_of(file)
        if self._size_on_disk > self._size:
            self.enforce()

    def enforce_if_due(self) -> None:
        """Enforce the bounds, once a minute."""
        if time.monotonic() - self._looked >= _LOOK_AGAIN:
            self.enforce()

    def enforce(self) -> None:
        """Drop files that are too old, then the oldest until the spool is small enough; errors go last."""
        self._looked = time.monotonic()
        files = [file for file in self._spool.files() if file.state != CLAIMED]
        now = datetime.now(timezone.utc)
        sizes = {file: _size_of(file) for file in files}
        held = sum(sizes.values())
        most = self._size if held <= self._size else self._size * _SHRINK_TO
        for file in sorted(files, key=lambda file: (file.kind in _DROPPED_LAST, file.path.name)):
            if (now - file.time).total_seconds() > self._age:
                reason = "too old"
            elif held > most:
                reason = "too many"
            else:
                continue
            if self._drop(file, reason):
                held -= sizes[file]
        self._size_on_disk = held

    def _drop(self, file: SpoolFile, reason: str) -> bool:
        """Drop a file; return whether it is gone. A directory with such a name cannot be dropped."""
        try:
            # If another process has dropped or sent it, that process counts it.
            if self._spool.remove(file):
                self._dropped(file, reason)
        except OSError:
            return False
        return True


def _size_of(file: SpoolFile) -> int:
    try:
        return os.lstat(file.path).st_size
    except OSError:  # sent in the meantime
        return 0
