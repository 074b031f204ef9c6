"""What was cleared: files that the inbox hides, until that is undone or they are removed.

A small file in the spool directory holds the time up to which files are hidden, so that all workers of a
server agree, and a restart changes nothing. Clearing removes nothing: a file may still have to be sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timezone

from sentry_paste.spool import Spool, SpoolFile
from sentry_paste.spool.names import CLAIMED
from sentry_paste.spool.private import read_small, write_small

_FILE = ".inbox-cleared"


class Cleared:
    """The time up to which files of a spool are hidden.

    Args:
        spool: the spool.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._path = spool.directory / _FILE

    def until(self) -> datetime | None:
        """Return the time, None if nothing is hidden."""
        try:
            found = datetime.fromisoformat(read_small(self._path).strip())
        except (OSError, ValueError):
            return None
        return found if found.tzinfo else None

    def clear(self, until: datetime) -> None:
        """Hide the files that were captured up to a time.

        Args:
            until: the time.

        Raises:
            OSError: the directory is not writable.
        """
        self._spool.prepare()
        write_small(self._path, until.astimezone(timezone.utc).isoformat())

    def undo(self) -> None:
        """Hide nothing any more.

        Raises:
            OSError: the directory is not writable.
        """
        self._path.unlink(missing_ok=True)

    def act(self, action: str, newest: datetime | None) -> None:
        """Do what a button of a page asks for.

        Args:
            action: ``clear``, ``undo`` or ``purge``.
            newest: the time of the newest file, None if there is none.

        Raises:
            OSError: the directory cannot be read or is not writable.
        """
        if action == "clear":
            if newest is not None:
                # A file of a clock that was wrong must not hide what is captured from now on.
                self.clear(min(newest, datetime.now(timezone.utc)))
        elif action == "undo":
            self.undo()
        else:
            self.purge()

    def purge(self) -> tuple[int, Counter[str]]:
        """Remove the hidden files, except those being sent; return how many, and why others are left.

        Raises:
            OSError: the directory cannot be read.
        """
        until = self.until()
        hidden = [] if until is None else hidden_of(self._spool.files(), until)
        removed, left = 0, Counter[str]()
        self._spool.ledger.ensure()
        for file in hidden:
            try:
                removed += file.state != CLAIMED and self._spool.drop(file, "purged")
            except OSError as error:  # somebody's directory with such a name, or a disk that fails
                left[error.strerror or str(error)] += 1
        self.undo()
        return removed, left


def hidden_of(files: Iterable[SpoolFile], until: datetime) -> list[SpoolFile]:
    """Return the files that were captured up to a time.

    Args:
        files: the files.
        until: the time.
    """
    return [file for file in files if file.time <= until]
