"""How much a spool may hold, and for how long."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timezone

from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import CLAIMED, SpoolFile

# What goes last.
_WEIGHTY = ("error", "feedback", "checkin")

# Seconds from one look at all files to the next.
_LOOK_AGAIN = 60.0
# A spool that is too large is brought down to this, so that not each write makes it too large again.
_DOWN_TO = 0.9


class Bounds:
    """What keeps a spool within its size and its age.

    The files are looked at once a minute, and when this process has written so much that they may be too
    many.

    Args:
        spool: the spool.
        size: bytes that it may hold.
        age: seconds that a file may wait.
        dropped: called with each file that is dropped, and why.
    """

    def __init__(
        self, spool: Spool, size: int, age: float, dropped: Callable[[SpoolFile, str], None]
    ) -> None:
        self._spool = spool
        self._size = size
        self._age = age
        self._dropped = dropped
        # Of what was there before the first look, which takes long where there is much, nothing is known.
        self._held = 0
        self._looked = float("-inf")

    def wrote(self, file: SpoolFile) -> None:
        """Note that a file was written, and drop others if there are too many.

        Args:
            file: that was written.
        """
        self._held += _size_of(file)
        if self._held > self._size:
            self.enforce()

    def enforce_now_and_then(self) -> None:
        """Drop what is too old or too much, once a minute."""
        if time.monotonic() - self._looked >= _LOOK_AGAIN:
            self.enforce()

    def enforce(self) -> None:
        """Drop what is too old, and what is too much: the oldest first, errors after all else."""
        self._looked = time.monotonic()
        files = [file for file in self._spool.files() if file.state != CLAIMED]
        now = datetime.now(timezone.utc)
        sizes = {file: _size_of(file) for file in files}
        held = sum(sizes.values())
        most = self._size if held <= self._size else self._size * _DOWN_TO
        for file in sorted(files, key=lambda file: (file.kind in _WEIGHTY, file.path.name)):
            if (now - file.time).total_seconds() > self._age:
                reason = "too old"
            elif held > most:
                reason = "too many"
            else:
                continue
            if self._drop(file, reason):
                held -= sizes[file]
        self._held = held

    def _drop(self, file: SpoolFile, reason: str) -> bool:
        """Return whether the file is gone: a directory of such a name stays, and holds nothing back."""
        try:
            # Where another process has dropped it, or sends it, that one counts it.
            if self._spool.remove(file):
                self._dropped(file, reason)
        except OSError:
            return False
        return True


def _size_of(file: SpoolFile) -> int:
    try:
        return os.lstat(file.path).st_size
    except OSError:  # sent meanwhile
        return 0
