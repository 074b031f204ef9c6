"""What a spool tells of itself in the log: little, whatever happens how often."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from sentry_paste.sdk.failures import warn

# Seconds between two warnings of what happens again and again.
_TELL_AGAIN = 60.0


class Teller:
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
