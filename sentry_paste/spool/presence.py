"""Which processes use a spool, also on other hosts that share the disk, and which one of them sends."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sentry_paste.spool.files import FILE_MODE, Spool
from sentry_paste.spool.owner import Owner, current

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: processes send in parallel, each what it has claimed
    fcntl = None  # type: ignore[assignment]

_PREFIX = ".alive-"
# Seconds without a sign of life after which a process on another host counts as dead. Living ones give one
# about twelve times as often.
_DEAD = 120.0


class Presence:
    """Signs of life of the processes that share a spool.

    Processes on this host are looked up by their id. A process on another host shows that it is alive by
    touching a file or claiming one. The times of these files are compared with the time of this process's own
    file, so that only the clock of the disk counts.

    Args:
        spool: the shared spool.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def show(self) -> None:
        """Touch the file of this process."""
        path = self._path(current())
        try:
            os.utime(path)
        except FileNotFoundError:
            # Another client in this process may create it at the same time.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))

    def leave(self) -> None:
        """Remove the file of this process, so that others may reclaim what it still has claimed."""
        try:
            self._path(current()).unlink(missing_ok=True)
        except OSError:  # the directory is gone or read-only
            return

    def alive(self, owners: Mapping[str, float]) -> dict[str, bool]:
        """Return which processes are alive, and remove the files of dead ones.

        A process whose name this version cannot parse is treated like one on another host: it is alive as
        long as it does something.

        Args:
            owners: names of processes on any host, and when each was last active, by the clock of the disk.
        """
        signs = {
            path.name[len(_PREFIX) :]: path
            for path in self._spool.directory.glob(f"{_PREFIX}*")
            if path.name[len(_PREFIX) :] in owners or Owner.from_text(path.name[len(_PREFIX) :]) is not None
        }
        now = _touched(self._path(current()))
        seen = {name: max(owners.get(name, 0.0), _touched(signs.get(name))) for name in {*owners, *signs}}
        found = {name: _is_alive(Owner.from_text(name), now - time) for name, time in seen.items()}
        for name, path in signs.items():
            if not found[name]:
                path.unlink(missing_ok=True)
        return found

    def _path(self, owner: Owner) -> Path:
        return self._spool.directory / f"{_PREFIX}{owner}"


def _is_alive(owner: Owner | None, silent: float) -> bool:
    known = owner.is_alive() if owner is not None else None
    return known if known is not None else silent < _DEAD


def _touched(path: Path | None) -> float:
    if path is None:
        return 0.0
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0


@contextmanager
def exclusive_sender(spool: Spool, destination: str) -> Iterator[bool]:
    """Try to become the only process that sends to a destination; yield whether this succeeded.

    Args:
        spool: the spool.
        destination: destination of a DSN.

    Raises:
        OSError: the directory is not writable.
    """
    if fcntl is None:  # pragma: no cover
        yield True
        return
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(spool.directory / f".sender-{destination}", flags, 0o600)
    try:
        try:
            # POSIX record locks belong to the process: a forked child neither has this lock nor prolongs it.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)  # this also releases the lock
