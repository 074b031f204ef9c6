"""The files of a spool directory: write, list, claim, set aside, remove.

A file comes into being under another name and is renamed when it is complete, and
whoever wants one renames it first: the file system sees to it that only one
process succeeds. So the directory needs no lock, and no server that keeps one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from sentry_sdk.envelope import Envelope

from sentry_paste.spool.names import ANY_DESTINATION, CLAIMED, WAITING, SpoolFile
from sentry_paste.spool.owner import Owner, current

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

_PARTIAL = ".partial"


class SpoolError(OSError):
    """A spool directory that cannot be used, with the reason."""


class Spool:
    """A directory of envelope files.

    Args:
        directory: where they lie; made on the first write if it is not there.
        fsync: whether a file is on the disk itself before ``write`` returns, and survives a power failure.
    """

    def __init__(self, directory: str | os.PathLike[str], fsync: bool = False) -> None:
        self.directory = Path(directory)
        self._fsync = fsync

    def write(
        self, envelope: Envelope, destination: str = ANY_DESTINATION, owner: Owner | None = None
    ) -> SpoolFile:
        """Write an envelope as a file of its own, whole or not at all.

        Args:
            envelope: what to keep.
            destination: which DSN it is for, lower-case letters and digits, default ``any``.
            owner: the process that is going to send it; None where it is to wait for one.

        Raises:
            SpoolError: the directory is another user's, or no directory.
            OSError: the disk is full, read-only or gone.
        """
        file = SpoolFile.new(self.directory, envelope, destination)
        return self._put(envelope, file if owner is None else file.claimed(owner), owner)

    def _put(self, envelope: Envelope, file: SpoolFile, owner: Owner | None) -> SpoolFile:
        data = envelope.serialize()
        self.prepare()
        partial = self.directory / f".{file.name}.{owner or current()}{_PARTIAL}"
        # O_EXCL: a name that somebody prepared, a symbolic link for one, is refused and not followed.
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(data)
                if self._fsync:
                    opened.flush()
                    os.fsync(descriptor)
            os.rename(partial, file.path)
            if self._fsync:
                self._sync_directory()
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        return file

    def _sync_directory(self) -> None:
        """Have the new name on the disk too, where directories can be synchronised."""
        if not hasattr(os, "O_DIRECTORY"):
            return
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def prepare(self) -> None:
        """Make the directory, private to its owner, or check that it is.

        Envelopes hold what the app knows of its users: nobody else on the host may read them. A directory
        that is there already is not changed: it may be somebody's for another purpose.

        Raises:
            SpoolError: it belongs to another user, can be read by others, or is not a directory.
            OSError: it cannot be made.
        """
        try:
            found = os.lstat(self.directory)
        except FileNotFoundError:
            self.directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            found = os.lstat(self.directory)
        if stat.S_ISLNK(found.st_mode):
            raise SpoolError(f"{self.directory} is a symbolic link, which is not followed")
        if not stat.S_ISDIR(found.st_mode):
            raise SpoolError(f"{self.directory} is not a directory")
        if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
            raise SpoolError(f"{self.directory} belongs to another user")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise SpoolError(f"{self.directory} is open to other users: chmod 700 {self.directory}")

    def files(self, *kinds: str, state: str | None = None) -> list[SpoolFile]:
        """List the envelope files, newest first; a directory that is not there has none.

        Args:
            kinds: only files of these kinds; all where none is named.
            state: only ``waiting``, ``claimed`` or ``aside`` ones; all where it is None.

        Raises:
            OSError: the directory cannot be read.
        """
        found = [
            file
            for file in self._scan()
            if (not kinds or file.kind in kinds) and (state is None or file.state == state)
        ]
        found.sort(key=lambda file: file.path.name, reverse=True)
        return found

    def find(self, identity: str) -> SpoolFile | None:
        """Return the newest file whose id begins so, or None.

        Args:
            identity: the first digits of an event id, or all 32; dashes are allowed.
        """
        wanted = identity.replace("-", "").lower()
        if not wanted:
            return None
        return next((file for file in self.files() if file.id.startswith(wanted)), None)

    def foreign(self) -> list[Path]:
        """List what looks like an envelope file and has no name of a spool's; it is left alone."""
        return sorted(
            self.directory / name
            for name in self._names()
            if name.endswith(".envelope") and SpoolFile.from_path(Path(name)) is None
        )

    def claim(self, file: SpoolFile, owner: Owner) -> SpoolFile | None:
        """Take a file for a process; return it as it is then, None where another was faster.

        Args:
            file: that waits.
            owner: the process.
        """
        return self._rename(file, file.claimed(owner))

    def release(self, file: SpoolFile) -> SpoolFile | None:
        """Have a file wait for whoever sends it next; None where it is gone.

        Args:
            file: in any state.
        """
        return self._rename(file, file.waiting())

    def put_back(self, file: SpoolFile, envelope: Envelope) -> SpoolFile | None:
        """Have a file wait again, and write it anew where it was removed; None where another process has it.

        Args:
            file: that this process has claimed.
            envelope: that was in it.

        Raises:
            OSError: the directory cannot be written.
        """
        released = self.release(file)
        if released is not None or any(name.startswith(file.name) for name in self._names()):
            return released
        return self._put(envelope, file.waiting(), None)

    def set_aside(self, file: SpoolFile, reason: str) -> SpoolFile | None:
        """Keep a file and send it no more; None where it is gone.

        Args:
            file: in any state.
            reason: a word or two, ``http 413`` say.
        """
        return self._rename(file, file.aside(reason))

    def remove(self, file: SpoolFile) -> bool:
        """Remove a file; return whether it was there.

        Args:
            file: in any state.
        """
        try:
            file.path.unlink()
        except FileNotFoundError:
            return False
        return True

    def take_back(self, is_alive: Mapping[str, bool]) -> tuple[int, int]:
        """Have files of dead processes wait again; return how many those are, and how many were half written.

        What was half written when its process died is set aside: nobody has been told that it is kept.

        Args:
            is_alive: of the owners that are known, as their names stand in the files', whether they are.
        """
        taken, partial = 0, 0
        for name in self._names():
            if name.endswith(_PARTIAL):
                partial += self._set_partial_aside(name, is_alive)
            file = SpoolFile.from_path(self.directory / name)
            if file is not None and file.state == CLAIMED and not is_alive.get(file.detail, True):
                taken += self.release(file) is not None
        return taken, partial

    def _set_partial_aside(self, name: str, is_alive: Mapping[str, bool]) -> bool:
        path = self.directory / name
        base, owner = _partial_of(name)
        file = SpoolFile.from_path(self.directory / base)
        if file is None or is_alive.get(owner, True):
            return False
        return self._rename(replace(file, path=path), file.aside("partial")) is not None

    def owners(self) -> dict[str, float]:
        """Return who has claimed or begun a file, and when the last of its files came to be so.

        Who it is is told as in the file's name, which may be anything; the time is the disk's, in seconds
        since 1970.
        """
        found: dict[str, float] = {}
        for name in self._names():
            base, owner = _partial_of(name) if name.endswith(_PARTIAL) else (name, "")
            file = SpoolFile.from_path(self.directory / base)
            if file is not None and (owner or file.state == CLAIMED):
                owner = owner or file.detail
                found[owner] = max(found.get(owner, 0.0), _changed(self.directory / name))
        return found

    def waiting(self, *destinations: str) -> list[SpoolFile]:
        """List what waits for some destinations, the oldest first.

        Args:
            destinations: of DSNs.

        Raises:
            OSError: the directory cannot be read.
        """
        return [file for file in self.files(state=WAITING)[::-1] if file.destination in destinations]

    def _rename(self, file: SpoolFile, renamed: SpoolFile) -> SpoolFile | None:
        try:
            os.rename(file.path, renamed.path)
        except FileNotFoundError:
            return None
        return renamed

    def _scan(self) -> Iterator[SpoolFile]:
        for name in self._names():
            file = SpoolFile.from_path(self.directory / name)
            if file is not None:
                yield file

    def _names(self) -> list[str]:
        try:
            return os.listdir(self.directory)
        except FileNotFoundError:
            return []


def _partial_of(name: str) -> tuple[str, str]:
    """Return the name of a file that is half written, as it is to be, and who writes it."""
    base, _, owner = name[1 : -len(_PARTIAL)].rpartition(".")
    return base, owner


def _changed(path: Path) -> float:
    try:
        return os.lstat(path).st_ctime
    except OSError:  # sent meanwhile
        return 0.0
