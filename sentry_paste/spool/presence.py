"""Which processes are there, also on other hosts that share the disk, and which of them sends."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sentry_paste.spool.files import FILE_MODE, Spool
from sentry_paste.spool.owner import Owner, current

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: processes send side by side, each claims what it sends
    fcntl = None  # type: ignore[assignment]

_PREFIX = ".alive-"
# Seconds after which a process of another host that has not shown itself is taken for dead. It shows itself
# some twelve times as often.
_DEAD = 120.0


class Presence:
    """The sign of life of this process, and those of the others.

    A process of this host is asked for by its number. One of another host shows that it lives by touching a
    file, or by claiming one; the ages of such files are compared with that of this process's own, so that
    only the disk's clock counts.

    Args:
        spool: the spool that is shared.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def show(self) -> None:
        """Touch the sign of life."""
        path = self._path(current())
        try:
            os.utime(path)
        except FileNotFoundError:
            # Another client of this process may be at it.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))

    def leave(self) -> None:
        """Remove the sign of life; what this process still has claimed is another's then."""
        try:
            self._path(current()).unlink(missing_ok=True)
        except OSError:  # a directory that is gone or read-only has none
            return

    def alive(self, owners: Mapping[str, float]) -> dict[str, bool]:
        """Return of some processes whether they live; signs of dead ones are removed.

        One whose name cannot be read, as of another version of this package, is treated as one of another
        host: it lives as long as it does something.

        Args:
            owners: names of processes of any host, and when they last did something, by the disk's clock.
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
def only_one(spool: Spool, destination: str) -> Iterator[bool]:
    """Return whether no other process sends what waits for a destination; it cannot begin meanwhile.

    Args:
        spool: the spool.
        destination: of a DSN.

    Raises:
        OSError: the directory cannot be written.
    """
    if fcntl is None:  # pragma: no cover
        yield True
        return
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(spool.directory / f".sender-{destination}", flags, 0o600)
    try:
        try:
            # Of the process: a child that is forked meanwhile does not have it, and cannot keep it.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)  # and with it the lock
