"""The counts of a spool: what was captured, delivered and dropped, across processes and restarts.

At any time, ``captured`` is the sum of what was delivered, what waits, what was set aside and
what was dropped. Each process counts in a file of its own. Before a file is written or
removed, the intention is written down as well, so that whoever adds the counts of a dead process
to the total knows whether it still came to that.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from sentry_paste.sdk.forks import reset_when_forked
from sentry_paste.spool.counts import (
    CAPTURED,
    DELIVER,
    DELIVERED,
    DROP,
    PREFIX,
    SET_ASIDE,
    SIZE,
    WRITE,
    Page,
    packed_state,
)
from sentry_paste.spool.names import SpoolFile
from sentry_paste.spool.owner import current
from sentry_paste.spool.private import FILE_MODE
from sentry_paste.spool.totals import shown_total

# How many files a process has at most, one for each client that it has had.
_MOST_FILES = 1000


class Ledger:
    """The counts of this process, in a file of the spool's directory.

    Until the directory exists, or while it is full, it counts in memory.

    Args:
        directory: directory of the spool.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # Reentrant: the garbage collector may run while it is held, and a destructor may log an error.
        self._lock = threading.RLock()
        self._path = directory
        self._begin()
        reset_when_forked(self)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._page = Page()
        self._descriptor: int | None = None
        # Device and inode of the file, None before there is one.
        self._file: tuple[int, int] | None = None
        # Whether the file lacks counts.
        self._is_behind = False
        # Whether this process has as many files as it may have: it takes long to find out.
        self._has_no_place = False
        self._state: dict[str, Any] = {}

    def ensure(self) -> None:
        """Create the file of this process, if the directory is there and has none."""
        with self._locked():
            if self._file is not None:
                if not _is_gone(self._path, self._file):
                    if self._descriptor is None:
                        self._descriptor = _open_again(self._path, self._file)
                    if self._is_behind:
                        self._write()
                    return
                # Its counts were added to the total, or went with the directory.
                self.close()
                self._file = None
                self._page.clear_counts()
            if self._has_no_place:
                return
            # One for each client of this process. What has the name that was added last does not count.
            added = shown_total(self._directory).get("added")
            for number in range(_MOST_FILES):
                self._path = self._directory / f"{PREFIX}{current()}.{number}"
                if self._path.name == added:
                    continue
                try:
                    created = _create(self._path)
                except FileExistsError:
                    continue
                if created is not None:
                    self._descriptor, self._file = created
                break
            else:
                self._has_no_place = True
            self._write()
            self.say()

    def __del__(self) -> None:
        """Close the file of this process, whose counts stay."""
        self.close()

    def close(self) -> None:
        """Close the file of this process."""
        # Without the lock, as a destructor calls it.
        descriptor, self._descriptor = self._descriptor, None
        _close(descriptor, self._file)

    def reset_after_fork(self) -> None:
        """Begin again in a process that was forked: the counts are its parent's, as is who holds the lock."""
        descriptor, file = self._descriptor, self._file
        self._lock = threading.RLock()
        self._begin()
        _close(descriptor, file)

    def _locked(self) -> AbstractContextManager[Any]:
        if self._pid != os.getpid():  # forked in C without Python's fork hooks, as uWSGI does
            self.reset_after_fork()
        return self._lock

    @property
    def has_file(self) -> bool:
        """Whether this process has a file, which may be gone meanwhile."""
        return self._descriptor is not None and self._pid == os.getpid()

    def _check(self) -> None:
        """Make sure that the descriptor is that of the file, and the file still counts."""
        if self._descriptor is None:
            return
        try:
            found = os.fstat(self._descriptor)
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._file:
            # The app has closed it, as daemons close all descriptors, and another file may have the number.
            self._descriptor, self._is_behind = None, True
            self.ensure()
        elif not found.st_nlink:
            self.ensure()

    def _write(self) -> None:
        if self._descriptor is not None:
            try:
                os.pwrite(self._descriptor, self._page.data, 0)
            except OSError:  # the next count writes this one as well, or ``ensure``
                self._is_behind = True
            else:
                self._is_behind = False

    def count(self, kind: str, *outcomes: str) -> None:
        """Count an envelope.

        Args:
            kind: one of ``names.KINDS``.
            outcomes: what became of it.
        """
        with self._locked():
            self._check()
            self._page.count(kind, outcomes)
            self._write()

    def will_write(self, file: SpoolFile) -> int:
        """Write down that a file is about to be renamed, which is complete under a partial name.

        Args:
            file: the file.

        Returns:
            A number for ``wrote``.
        """
        return self._intend(WRITE, file, CAPTURED)

    def will_set_aside(self, file: SpoolFile) -> int:
        """Write down that a partial file of a dead process is about to be set aside.

        Args:
            file: the file.

        Returns:
            A number for ``wrote``.
        """
        return self._intend(SET_ASIDE, file, CAPTURED)

    def wrote(self, intention: int, file: SpoolFile, is_written: bool) -> None:
        """Count an envelope as captured, if its file was renamed.

        Args:
            intention: by ``will_write`` or ``will_set_aside``.
            file: the file.
            is_written: whether it was renamed.
        """
        self._settle(intention, file.kind, (CAPTURED,) if is_written else ())

    @contextmanager
    def removing(self, file: SpoolFile, outcome: str) -> Iterator[Callable[[], None]]:
        """Count what becomes of a file that is removed meanwhile, also if that ends the process.

        Args:
            file: the file, which only this process touches.
            outcome: ``delivered``, or why it is dropped.

        Yields:
            A function to call when the file was removed.
        """
        slot = self._intend(DELIVER if outcome == DELIVERED else DROP, file, outcome)
        # What version 1.0 has written was not counted when it was captured.
        outcomes: tuple[str, ...] = (outcome,) if file.checksum else (CAPTURED, outcome)
        was_removed = False

        def removed() -> None:
            """Have the outcome counted."""
            nonlocal was_removed
            was_removed = True

        try:
            yield removed
        finally:
            self._settle(slot, file.kind, outcomes if was_removed else ())

    def say(self, **state: Any) -> None:
        """Say something about this process, which ``spool status`` shows.

        Args:
            state: what can be written as JSON; None takes a value back.
        """
        with self._locked():
            self._check()
            said = {**self._state, **state}
            self._state = {name: value for name, value in said.items() if value is not None}
            packed = packed_state(self._state)
            if self._descriptor is not None and packed is not None:
                with suppress(OSError):
                    os.pwrite(self._descriptor, *packed)

    def _intend(self, action: bytes, file: SpoolFile, outcome: str) -> int:
        """Write down what is about to be done; return its place, -1 if there is none left."""
        with self._locked():
            self._check()
            slot = self._page.intend(action, file, outcome)
            if slot >= 0:
                self._write()
        return slot

    def _settle(self, slot: int, kind: str = "other", outcomes: Iterable[str] = ()) -> None:
        with self._locked():
            self._check()
            self._page.count(kind, outcomes)
            if slot >= 0:
                self._page.free(slot)
            self._write()


def _create(path: Path) -> tuple[int, tuple[int, int]] | None:
    """Create a file of counts; return its descriptor, device and inode, None if that is not possible.

    Raises:
        FileExistsError: it is another client's.
    """
    # If somebody has put something there, such as a symbolic link, it is not followed.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags, FILE_MODE)
    except FileExistsError:
        raise
    except OSError:  # there is no directory, no room or no right
        return None
    try:
        _keep_owner(path, descriptor)
        found = os.fstat(descriptor)
    except OSError:  # nobody else could add the counts, or this process would begin another file
        with suppress(OSError):
            os.close(descriptor)
        with suppress(OSError):
            os.unlink(path)
        return None
    with suppress(OSError):
        os.pwrite(descriptor, bytes(SIZE), 0)
    return descriptor, (found.st_dev, found.st_ino)


def _open_again(path: Path, file: tuple[int, int]) -> int | None:
    """Open a file of counts that this process has created; return None if that is not possible."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return None
    if _file_of(descriptor) == file:
        return descriptor
    with suppress(OSError):
        os.close(descriptor)
    return None


def _close(descriptor: int | None, file: tuple[int, int] | None) -> None:
    """Close a descriptor if it still is that of a file: the app may have closed it and opened another one."""
    if descriptor is not None and file is not None and _file_of(descriptor) == file:
        with suppress(OSError):
            os.close(descriptor)


def _file_of(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_gone(path: Path, file: tuple[int, int]) -> bool:
    """Return whether a file has gone, or another one has its name; False if that cannot be known now."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # beginning again in another file would count what is about to be done in both
        return False
    return (found.st_dev, found.st_ino) != file


def _keep_owner(path: Path, descriptor: int) -> None:
    """Give a file to the owner of its directory, if root has made it, as with ``spool purge``.

    Raises:
        OSError: it stays root's.
    """
    if hasattr(os, "fchown"):
        owner = os.stat(path.parent)
        if owner.st_uid != os.geteuid():
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
