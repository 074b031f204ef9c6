"""A small file for each process that can read its ini again, by which ``sentry-paste reload`` finds it.

The command touches the file of a process. The process notices before its next request, and replaces the file
by one that says what came of it. Not a signal: servers have taken those that are free, each of them others
(gunicorn HUP, USR1, USR2, WINCH, TTIN and TTOU; uWSGI and Apache their own), Apache with mod_wsgi ignores
handlers that an app installs, only the main thread may install one, and a process without a handler ends when
it gets one. A handler may also run in the middle of anything. Touching a file harms no process.

The files are in a directory of the user's in the system's directory for temporary files, which all processes
of a machine know. Nobody else may write to it.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from sentry_paste.spool.owner import Owner, current
from sentry_paste.spool.private import AS_FILE, DIRECTORY_MODE, FILE_MODE

_PREFIX = "sentry-paste-"
_SUFFIX = ".json"
# The largest file that is read.
_MAX_SIZE = 1_000_000


def _user_id() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0


def directory_of_user(base: str = "") -> str:
    """Return the directory of this user's processes.

    Args:
        base: directory for temporary files; by default that of this process.
    """
    return os.path.join(base or tempfile.gettempdir(), f"{_PREFIX}{_user_id()}")


class WorkerFile:
    """The file of this process.

    Attributes:
        sequence: how often it has been written.
    """

    def __init__(self) -> None:
        self.sequence = 0
        self._path = ""
        self._pid = 0
        self._stamp: tuple[int, int] | None = None
        # Those of the process that has forked this one, until this one has a file of its own.
        self._of_parent: tuple[str, tuple[int, int] | None] | None = None

    def is_touched(self) -> bool | None:
        """Return whether somebody has touched the file since it was written; None if it is gone."""
        if self._of_parent is not None:
            path, stamp = self._of_parent
            found = _stamp_of(path)
            return True if found is not None and found != stamp else None
        found = _stamp_of(self._path) if self._path else None
        return None if found is None else found != self._stamp

    def forget(self) -> None:
        """Leave the file to the process that has written it, in a child of that."""
        if self._path:
            self._of_parent = self._path, self._stamp
        self._path, self._stamp = "", None

    def write(self, report: Mapping[str, Any]) -> None:
        """Write what there is to say.

        Args:
            report: for the command.

        Raises:
            OSError: the directory cannot be made, belongs to somebody else, or is full.
        """
        directory = directory_of_user()
        _make(directory)
        is_new = not self._path
        path = os.path.join(directory, f"{current()}{_SUFFIX}")
        self.sequence += 1
        text = json.dumps({"sequence": self.sequence, "written": time.time(), **report})
        temporary = f"{path}.new"
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | AS_FILE
        descriptor = os.open(temporary, flags, FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
        self._path, self._stamp, self._of_parent = path, _stamp_of(path), None
        self._pid = os.getpid()
        if is_new:
            _remove_dead(directory)

    def remove(self) -> None:
        """Remove the file, at the end of the process."""
        if self._path and self._pid == os.getpid():
            with suppress(OSError):
                os.unlink(self._path)
        self._path, self._stamp, self._of_parent = "", None, None


def _make(directory: str) -> None:
    """Make the directory, and refuse one that somebody else has made under its name."""
    with suppress(FileExistsError):
        os.mkdir(directory, DIRECTORY_MODE)
    found = os.lstat(directory)
    is_own = not hasattr(os, "geteuid") or (found.st_uid == _user_id() and not found.st_mode & 0o022)
    if not stat.S_ISDIR(found.st_mode) or not is_own:
        raise PermissionError(f"{directory} is not a directory of this user's alone")


def _stamp_of(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _remove_dead(directory: str) -> None:
    for path, owner in _files_in(directory):
        if owner.is_alive() is False:
            with suppress(OSError):
                os.unlink(path)


def _files_in(directory: str) -> Iterator[tuple[str, Owner]]:
    for name in os.listdir(directory):
        owner = Owner.from_text(name[: -len(_SUFFIX)]) if name.endswith(_SUFFIX) else None
        if owner is not None:
            yield os.path.join(directory, name), owner


class Worker(NamedTuple):
    """A process that can read its ini again.

    Attributes:
        owner: which process.
        path: of its file.
        report: what its file says.
    """

    owner: Owner
    path: str
    report: dict[str, Any]

    def touch(self) -> None:
        """Ask the process to read its ini before its next request.

        Raises:
            OSError: it has ended, or belongs to another user.
        """
        # Not the time that the system would set: its clock ticks every few milliseconds, and the file may
        # have been written just now.
        now = max(time.time_ns(), os.lstat(self.path).st_mtime_ns + 1)
        if os.utime in os.supports_follow_symlinks:
            os.utime(self.path, ns=(now, now), follow_symlinks=False)
        else:  # Windows
            os.utime(self.path, ns=(now, now))


def find_workers(bases: list[str]) -> tuple[list[Worker], list[str]]:
    """Return the processes that are alive, and directories that may not be read.

    Args:
        bases: directories for temporary files.
    """
    found: dict[Owner, Worker] = {}
    closed: list[str] = []
    for base in dict.fromkeys(bases):
        with suppress(OSError):
            for name in sorted(os.listdir(base)):
                if name.startswith(_PREFIX) and name[len(_PREFIX) :].isdecimal():
                    directory = os.path.join(base, name)
                    try:
                        workers = list(_workers_in(directory, int(name[len(_PREFIX) :])))
                    except OSError:
                        closed.append(directory)
                    else:
                        found.update((worker.owner, worker) for worker in workers)
    return sorted(found.values(), key=lambda worker: worker.owner.pid), closed


def _workers_in(directory: str, user: int) -> Iterator[Worker]:
    status = os.lstat(directory)
    # Anybody can make such a name; its files are believed only if they are the user's of that number.
    if not stat.S_ISDIR(status.st_mode) or (hasattr(os, "geteuid") and status.st_uid != user):
        return
    for path, owner in _files_in(directory):
        # A process may have given up root since. No other user can speak for it.
        is_believed = owner.is_alive() and (user == 0 or _user_of(owner.pid) in (user, None))
        worker = _read(path, owner) if is_believed else None
        if worker is not None:
            yield worker


def _user_of(process: int) -> int | None:
    """Return the effective user of a process, None if it is not known."""
    try:
        with open(f"/proc/{process}/status", encoding="utf-8", errors="replace") as file:
            line = next(line for line in file if line.startswith("Uid:"))
        return int(line.split()[2])
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _read(path: str, owner: Owner) -> Worker | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | AS_FILE)
        with os.fdopen(descriptor, encoding="utf-8") as file:
            found = os.fstat(descriptor)
            # Not a pipe, nor another user's file that has been linked here.
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.lstat(os.path.dirname(path)).st_uid:
                return None
            report = json.loads(file.read(_MAX_SIZE))
    except (OSError, ValueError, RecursionError):
        return None
    return Worker(owner, path, report) if isinstance(report, dict) else None
