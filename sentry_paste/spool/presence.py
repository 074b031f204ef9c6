"""Which processes use a spool, also on other hosts that share the disk, and which one of them sends."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sentry_paste.sdk.failures import warn
from sentry_paste.spool import totals
from sentry_paste.spool.files import Spool
from sentry_paste.spool.owner import Owner, current
from sentry_paste.spool.private import FILE_MODE

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: processes send in parallel, each what it has claimed
    fcntl = None  # type: ignore[assignment]

_PREFIX = ".alive-"
# Seconds without a sign of life after which a process on another host counts as dead, and one on this host as
# stopped. Living ones give one about twelve times as often.
_DEAD = 120.0
# How many seconds between two looks at other processes count: as many as there are between them usually.
_LONGEST_LOOK = 60.0
# Seconds between signs of life of the process that has the lock.
_SHOW_AGAIN = 10.0


class Silence:
    """For how long things have not changed, as this process has observed them.

    A clock that jumps does not count, nor does the time in which this process was stopped itself, as when a
    machine sleeps: both would make all others look silent.
    """

    def __init__(self) -> None:
        # How each looks, for how long it has, and when it was last looked at.
        self._seen: dict[str, tuple[object, float, float]] = {}

    def of(self, name: str, stamp: object) -> float:
        """Return for how many seconds something has looked the same.

        Args:
            name: of the thing.
            stamp: how it looks now.
        """
        now = time.monotonic()
        before = self._seen.get(name)
        silent = 0.0
        if before is not None and before[0] == stamp:
            # All were stopped together if a container was, and the others need a moment to go on.
            silent = before[1] + min(now - before[2], _LONGEST_LOOK)
        self._seen[name] = (stamp, silent, now)
        return silent


class Presence:
    """Signs of life of the processes that share a spool.

    Processes on this host are looked up by their id. A process on another host shows that it is alive by
    touching a file or claiming one. The times of these files are compared with the time of this process's own
    file, so that only the clock of the disk counts. A process on this host that exists but gives no more
    signs, because a signal or a debugger holds it, counts as dead as well: what it has claimed would wait as
    long as it does.

    Args:
        spool: the shared spool.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._silence = Silence()
        self._has_warned = False

    def show(self) -> None:
        """Touch the file of this process; ignore a disk that is full or read-only."""
        path = self._path(current())
        try:
            os.utime(path)
        except FileNotFoundError:
            # Another client in this process may create it at the same time.
            with suppress(OSError):
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
        except OSError:
            return

    def leave(self) -> None:
        """Remove the file of this process, so that others may reclaim what it still has claimed."""
        try:
            self._path(current()).unlink(missing_ok=True)
        except OSError:  # the directory is gone or read-only
            return

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show this process meanwhile, unless another client of it does anyway."""
        is_shown = os.path.lexists(self._path(current()))
        self.show()
        try:
            yield
        finally:
            if not is_shown:
                self.leave()

    def alive(self, owners: Mapping[str, float]) -> dict[str, bool]:
        """Return which processes are alive, and remove the files of dead ones.

        A process whose name this version cannot parse is treated like one on another host: it is alive as
        long as it does something.

        Args:
            owners: names of processes on any host, and when each was last active, by the clock of the disk.
        """
        directory = self._spool.directory
        names: list[str] = []
        with suppress(OSError):
            names = [name[len(_PREFIX) :] for name in totals.names_with(directory, _PREFIX)]
        signs = {
            name: directory / f"{_PREFIX}{name}"
            for name in names
            if name in owners or Owner.from_text(name) is not None
        }
        now = _touched(self._path(current()))
        found = {}
        for name in sorted({*owners, *signs}):
            touched, claimed = _touched(signs.get(name)), owners.get(name, 0.0)
            owner = Owner.from_text(name)
            exists = owner.is_alive() if owner is not None else None
            if exists is None:
                found[name] = now - max(touched, claimed) < _DEAD
            elif exists and name in signs and owner != current():
                found[name] = self._silence.of(name, (touched, claimed)) < _DEAD
            else:
                found[name] = exists
            if name in signs and not found[name] and not exists:
                with suppress(OSError):
                    signs[name].unlink(missing_ok=True)
        return found

    def reclaim(self) -> int:
        """Let files of dead processes wait again; return how many were incomplete.

        What those processes had counted is added to the total.

        Raises:
            OSError: the directory is not writable.
        """
        owners = self._spool.owners()
        # A process that has just counted something is not dead: what it had delivered would be sent again.
        with suppress(OSError):
            for name, counted in totals.owners(self._spool.directory).items():
                owners[name] = max(owners.get(name, 0.0), counted)
        is_alive = self.alive(owners)
        # Before their claims are taken back: it shows what they had already delivered.
        self._add_counts()
        return self._spool.reclaim(is_alive)[1]

    def _add_counts(self) -> None:
        """Add the counts of dead processes to the total, and warn once if that fails."""
        directory = self._spool.directory
        try:
            totals.add_dead(directory, self.may_go_on(totals.owners(directory)))
        except FileNotFoundError:  # the directory is gone, or another client adds them at the same time
            return
        except Exception as error:  # whatever becomes of the counts, what waits has to be sent
            if not self._has_warned:
                warn("spool_dir: %s: the counts of ended processes cannot be added (%s)", directory, error)
            self._has_warned = True
        else:
            self._has_warned = False

    def may_go_on(self, owners: Mapping[str, float]) -> dict[str, bool]:
        """Return which processes may still go on; one that is stopped may.

        Args:
            owners: names of processes on any host, and when each last counted something, by the clock of the
                disk.
        """
        now = _touched(self._path(current()))
        found = {}
        for name, counted in owners.items():
            owner = Owner.from_text(name)
            exists = owner.is_alive() if owner is not None else None
            if exists is None:
                exists = now - max(_touched(self._path_of(name)), counted) < _DEAD
            found[name] = exists
        return found

    def _path(self, owner: Owner) -> Path:
        return self._path_of(str(owner))

    def _path_of(self, name: str) -> Path:
        return self._spool.directory / f"{_PREFIX}{name}"


def _touched(path: Path | None) -> float:
    if path is None:
        return 0.0
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0


class SenderLock:
    """The lock of the process that sends to a destination.

    Args:
        path: path of the lock file.
        descriptor: of the lock file, which has the lock; None where there can be none, on a full disk or
            without ``fcntl``. Then processes send in parallel, each what it has claimed.
    """

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self._path = path
        self._descriptor = descriptor
        self._shown_at = float("-inf")

    def is_held(self) -> bool:
        """Show that this process is alive; return False if another has taken the lock meanwhile."""
        if self._descriptor is None:
            return True
        try:
            found, own = os.lstat(self._path), os.fstat(self._descriptor)
        except OSError:  # another process is taking it, or the directory is gone
            return False
        if (found.st_ino, found.st_dev) != (own.st_ino, own.st_dev):
            return False
        if time.monotonic() - self._shown_at >= _SHOW_AGAIN:
            with suppress(OSError):
                os.utime(self._path)
            self._shown_at = time.monotonic()
        return True


@contextmanager
def exclusive_sender(spool: Spool, destination: str, silence: Silence) -> Iterator[SenderLock | None]:
    """Try to become the only process that sends to a destination; yield the lock, None if that fails.

    The lock of a process that has been silent for two minutes passes on.

    Args:
        spool: the spool.
        destination: destination of a DSN.
        silence: of other processes, which lasts longer than this call.
    """
    path = spool.directory / f".sender-{destination}"
    found: tuple[bool, int | None] = (False, None)
    try:
        found = _lock(path, destination, silence)
        lock = SenderLock(path, found[1])
        yield lock if found[0] and lock.is_held() else None
    finally:
        if found[1] is not None:
            os.close(found[1])  # this also releases the lock


def _lock(path: Path, destination: str, silence: Silence) -> tuple[bool, int | None]:
    """Return whether this process may send, and the descriptor with the lock."""
    if fcntl is None:  # pragma: no cover
        return True, None
    for _ in range(2):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        except OSError:  # there is no room for a lock; what waits is sent, which makes room
            return True, None
        try:
            # POSIX record locks belong to the process: a forked child neither has this lock nor prolongs it.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            status = os.fstat(descriptor)
            os.close(descriptor)
            if error.errno not in (errno.EACCES, errno.EAGAIN):  # a disk without locks, as some of networks
                return True, None
            if silence.of(destination, (status.st_ino, status.st_mtime)) < _DEAD:
                return False, None
            # The silent process keeps its lock on a file that no longer has a name, and finds out.
            with suppress(OSError):
                if os.lstat(path).st_ino == status.st_ino:
                    os.unlink(path)
        else:
            return True, descriptor
    return False, None
