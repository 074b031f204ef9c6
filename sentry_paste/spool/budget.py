"""An error budget that all processes of a spool share, in a file of its directory.

Each decision is made while the process has the lock of the file, so that it is exact whoever else
decides. Budgets with different periods, of other inis, count for themselves. Where there is no spool, or its
file cannot be used, a process has a table in its memory. As soon as the file can be used, what the process
has counted meanwhile is moved there.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from threading import RLock
from typing import TypeVar

from sentry_paste.sdk.failures import warn
from sentry_paste.sdk.forks import reset_when_forked
from sentry_paste.spool.budget_table import Kind, Limits, Memory, NotSent, Table, Taken
from sentry_paste.spool.private import FILE_MODE, SpoolError, prepare_directory

try:
    import fcntl
except ImportError:  # Windows: each process has its own table
    fcntl = None  # type: ignore[assignment]

_T = TypeVar("_T")

_PREFIX = ".budget-"
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
# Seconds that an error waits for the lock. Whoever has it needs microseconds, unless it is stopped meanwhile.
_LONGEST_WAIT = 0.25
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0001, 0.002
# Seconds after which a file that cannot be used, or locked, is tried again.
_TRY_AGAIN = 5.0


def now() -> float:
    """Return the time, which all processes have: seconds since 1970."""
    return time.time()


class _File:
    """The bytes of a table that processes share.

    Args:
        path: of the file; its directory is created on first use.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.table = Table(self)
        self._descriptor: int | None = None
        # Device and inode.
        self._file: tuple[int, int] | None = None
        #: Whether the table is one of this version.
        self.is_prepared = False

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes.

        Args:
            offset: of the first one.
            size: how many.

        Raises:
            OSError: the disk fails.
        """
        return os.pread(self._open_descriptor(), size, offset).ljust(size, b"\0")

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes.

        Args:
            offset: of the first one.
            data: the bytes.

        Raises:
            OSError: the disk is full, or fails.
        """
        if os.pwrite(self._open_descriptor(), data, offset) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._descriptor

    def open(self) -> bool:
        """Open the file, unless it is open; return whether it still is the one in the directory.

        Raises:
            OSError: it cannot be opened.
        """
        if self._descriptor is not None:
            # The app may have closed it, as daemons close all descriptors, and opened another file.
            try:
                found = os.fstat(self._descriptor)
            except OSError:
                found = None
            if found is not None and (found.st_dev, found.st_ino) == self._file:
                return found.st_nlink > 0
            self._descriptor = None
        prepare_directory(self._path.parent)
        descriptor = os.open(self._path, _FLAGS, FILE_MODE)
        try:
            found = os.fstat(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._file = descriptor, (found.st_dev, found.st_ino)
        self.is_prepared = False
        return True

    def lock(self) -> bool:
        """Wait for the lock; return False if another process has it for too long.

        Raises:
            OSError: the file system has no locks.
        """
        descriptor, until, pause = self._open_descriptor(), time.monotonic() + _LONGEST_WAIT, _FIRST_PAUSE
        while True:
            try:
                # Not a record lock: a process that closes any descriptor of the file would lose it, and
                # two clients of one process would not exclude each other.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EINTR):
                    raise
            else:
                return True
            if time.monotonic() > until:
                return False
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def unlock(self) -> None:
        """Release the lock."""
        with suppress(OSError):
            fcntl.flock(self._open_descriptor(), fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file. In a process that was forked, that leaves the parent its lock."""
        descriptor, self._descriptor = self._descriptor, None
        with suppress(OSError):
            if descriptor is not None:
                found = os.fstat(descriptor)
                if (found.st_dev, found.st_ino) == self._file:
                    os.close(descriptor)


class SharedBudget:
    """The counts of an error budget, exact across the threads of a process and the processes of a spool.

    Nothing here raises because of the disk.

    Args:
        limits: the budgets.
        directory: of the spool, None without one.
        owner: what distinguishes this budget from others of the spool, such as a DSN.

    Attributes:
        limits: the budgets.
    """

    def __init__(self, limits: Limits, directory: str | None = None, owner: str = "") -> None:
        self.limits = limits
        self._path: Path | None = None
        if directory is not None and fcntl is not None:
            name = blake2b(owner.encode("utf-8", "replace"), digest_size=8).hexdigest()
            self._path = Path(directory) / f"{_PREFIX}{name}"
        self._file: _File | None = None
        self._begin()
        reset_when_forked(self)

    def _begin(self) -> None:
        # Reentrant: the garbage collector may run while it is held, and a destructor may log an error.
        self._lock = RLock()
        self._is_busy = False
        self._own: Table | None = None
        self._file = None if self._path is None else _File(self._path)
        # Until when the file is not tried again, by ``time.monotonic``.
        self._again = float("-inf")
        self._has_failed = False
        self._pid = os.getpid()

    def reset_after_fork(self) -> None:
        """Begin again in a process that was forked: what is in memory is its parent's, as is the lock."""
        file = self._file
        self._begin()
        if file is not None:
            file.close()

    def __del__(self) -> None:
        """Close the file."""
        file = getattr(self, "_file", None)
        if file is not None:
            file.close()

    @property
    def is_shared(self) -> bool:
        """Whether there is a spool whose processes share the budget."""
        return self._path is not None

    def change(self, limits: Limits) -> None:
        """Apply other budgets from now on, to what has been counted as well.

        Args:
            limits: the budgets.
        """
        before, self.limits = self.limits, limits
        is_same = before[1::2] == limits[1::2]
        if not is_same and (self._own is not None or (self._path is not None and not self._has_nothing())):
            self._do(lambda table: table.change_periods(before, limits, now()))

    def take(self, kind: Kind, release: int) -> Taken | None:
        """Decide whether an error is sent, and count it; return None if it is sent without being counted.

        Args:
            kind: of the error.
            release: a number that stands for it, more than zero.
        """
        return self._do(lambda table: table.take(kind, release, now(), self.limits))

    def undo(self, taken: Taken) -> None:
        """Take an error out of the counts that is none after all.

        Args:
            taken: by ``take``.
        """
        self._do(lambda table: table.undo(taken, now()))

    def owe(self, found: NotSent) -> None:
        """Put back errors that no event could report.

        Args:
            found: by ``take`` or ``stopped``.
        """
        self._do(lambda table: table.owe(found, now(), self.limits))

    def stopped(self) -> list[NotSent]:
        """Take out errors that were not sent, of kinds that had none for a period."""
        if self._has_nothing():
            return []
        return self._do(lambda table: table.stopped_in_turn(now(), self.limits)) or []

    def rest(self) -> list[NotSent]:
        """Take out all errors that were not sent, unless another process will find them in the file."""

        def take(table: Table) -> list[NotSent]:
            if table is self._own:
                return table.stopped(float("inf"))
            return table.stopped_in_turn(now(), self.limits)

        return [] if self._has_nothing() else self._do(take) or []

    def _has_nothing(self) -> bool:
        """Return whether there was no error yet; before that, the directory is not created either."""
        if self._own is not None or self._path is None:
            return False
        try:
            return not self._path.exists()
        except OSError:  # its directory cannot be searched
            return True

    def _do(self, action: Callable[[Table], _T]) -> _T | None:
        """Do something with the counts, those of the file if possible; return None if nothing can be done."""
        with self._locked() as is_free:
            if not is_free:
                return None
            with self._shared() as shared:
                if shared is not None:
                    try:
                        return action(shared)
                    except OSError as error:
                        self._failed(error)
            return action(self._own_table())

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Yield whether nothing else is done with the counts, at which this thread may be interrupted."""
        if self._pid != os.getpid():  # forked in C without Python's fork hooks, as uWSGI does
            self.reset_after_fork()
        with self._lock:
            if self._is_busy:
                yield False
                return
            self._is_busy = True
            try:
                yield True
            finally:
                self._is_busy = False

    @contextmanager
    def _shared(self) -> Iterator[Table | None]:
        """Yield the table of the file, locked; None if it cannot be used now."""
        file = self._file
        try:
            is_locked = file is not None and time.monotonic() >= self._again and self._lock_file(file)
        except OSError as error:
            is_locked = False
            self._failed(error)
        if file is None or not is_locked:
            yield None
            return
        try:
            yield file.table
        finally:
            file.unlock()

    def _lock_file(self, file: _File) -> bool:
        """Lock the file, and move there what is in memory; return False if another process has the lock.

        Raises:
            OSError: the file cannot be used.
        """
        if not file.open():
            # The file or its directory was removed. Whoever sees it first moves the counts to a new one.
            if file.lock():
                try:
                    file.table.move_to(self._own_table(), now())
                finally:
                    file.unlock()
            file.close()
            file.open()
        if not file.lock():
            self._again = time.monotonic() + _TRY_AGAIN
            return False
        try:
            file.is_prepared = file.is_prepared or file.table.prepare()
            if not file.is_prepared:
                raise SpoolError(f"{self._path} was written by another version")
            if self._own is not None:
                self._own.move_to(file.table, now())
                self._own = None
        except BaseException:
            file.unlock()
            raise
        self._has_failed = False
        return True

    def _own_table(self) -> Table:
        if self._own is None:
            self._own = Table(Memory())
            self._own.prepare()
        return self._own

    def _failed(self, error: OSError) -> None:
        """Warn that the budget is not shared, once until it is."""
        self._again = time.monotonic() + _TRY_AGAIN
        has_failed, self._has_failed = self._has_failed, True
        if not has_failed:
            warn("error_budget: %s: each process has a budget of its own until this is fixed", error)
