"""The files of a spool directory: write, list, claim, set aside, remove.

A file is written under another name and renamed when it is complete. A process claims a
file by renaming it, and the file system guarantees that only one process succeeds. So the
directory needs no lock and no server.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import islice
from pathlib import Path

from sentry_sdk.envelope import Envelope

from sentry_paste.sdk.events import encode
from sentry_paste.spool.counts import DELIVERED
from sentry_paste.spool.ledger import Ledger
from sentry_paste.spool.names import ANY_DESTINATION, CLAIMED, SUFFIX, WAITING, SpoolFile, format_time
from sentry_paste.spool.owner import Owner, current
from sentry_paste.spool.private import FILE_MODE, SpoolError, flush_file, prepare_directory

# How much of the disk stays free by default: the smaller of these.
_MIN_FREE = 500_000_000
_MIN_FREE_SHARE = 0.05
# Seconds between looks at a disk that has room.
_FREE_AGAIN = 1.0

_PARTIAL = ".partial"
_CLOCK = ".clock"


class Spool:
    """A directory of envelope files.

    Args:
        directory: path of the directory, which is created on the first write.
        fsync: whether to flush each file to the disk before ``write`` returns, so that it survives a power
            failure; or the seconds after which ``flush_if_due`` flushes it.
        min_free: bytes of the disk that stay free; None for 5 % of it or 500 MB, the smaller.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        fsync: bool | float = False,
        min_free: int | None = None,
    ) -> None:
        self.directory = Path(directory)
        self._fsync = fsync is True
        #: How often ``flush_if_due`` has to be called, in seconds; None for never.
        self.flush_after = None if isinstance(fsync, bool) else fsync
        self._min_free = min_free
        # Until when there is enough room for sure, by ``time.monotonic``.
        self._free_until = 0.0
        # By name without the state.
        self._unflushed: dict[str, SpoolFile] = {}
        self._flushed_at = float("-inf")
        # What could neither be dropped nor given back: the claimed file, and what it was before.
        self._undropped: list[tuple[SpoolFile, SpoolFile]] = []
        #: The counts of this process.
        self.ledger = Ledger(self.directory)

    def write(
        self, envelope: Envelope, destination: str = ANY_DESTINATION, owner: Owner | None = None
    ) -> SpoolFile:
        """Write an envelope to a new file, atomically.

        Args:
            envelope: envelope to store.
            destination: destination of the envelope, lower-case letters and digits, default ``any``.
            owner: the process that will send it; None if it waits for any process.

        Raises:
            SpoolError: the directory belongs to another user, or is not a directory.
            OSError: the disk is full, read-only or gone.
        """
        encode(envelope)
        data = envelope.serialize()
        file = SpoolFile.new(self.directory, envelope, destination, data)
        file = file if owner is None else file.claimed(owner)
        return self._put(data, file, owner, is_new=True)

    def _put(self, data: bytes, file: SpoolFile, owner: Owner | None, *, is_new: bool) -> SpoolFile:
        if self.prepare() or not self.ledger.has_file:
            self.ledger.ensure()
        self._check_free(len(data))
        partial = self.directory / f".{file.name}.{owner or current()}{_PARTIAL}"
        # O_EXCL: if somebody has put something there, such as a symbolic link, fail instead of following it.
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(data)
                if self._fsync:
                    opened.flush()
                    os.fsync(descriptor)
            if is_new:
                self._rename_counted(partial, file)
            else:
                os.rename(partial, file.path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(partial)
            raise
        if self._fsync:
            with suppress(OSError):  # the file is there, and would be sent twice if this were a failure
                self._sync_directory()
        if self.flush_after is not None:
            self._unflushed[file.name] = file
        return file

    def _rename_counted(self, partial: Path, file: SpoolFile) -> None:
        intention, is_written = self.ledger.will_write(file), False
        try:
            os.rename(partial, file.path)
            is_written = True
        finally:
            self.ledger.wrote(intention, file, is_written)

    def _check_free(self, size: int) -> None:
        """Raise an error if less of the disk would stay free than has to.

        Raises:
            SpoolError: as on a full disk.
        """
        now = time.monotonic()
        if self._min_free == 0 or now < self._free_until or not hasattr(os, "statvfs"):
            return
        found = os.statvfs(self.directory)
        least = self._min_free
        if least is None:
            least = min(_MIN_FREE, int(found.f_blocks * found.f_frsize * _MIN_FREE_SHARE))
        free = found.f_bavail * found.f_frsize
        if free - size < least:
            raise SpoolError(
                f"{self.directory}: {free // 10**6} MB are free, and {least // 10**6} MB have to stay "
                "free (spool_min_free)"
            )
        self._free_until = now + _FREE_AGAIN

    def flush_if_due(self) -> None:
        """Flush the files that were written since the last time and are still there, if it is time.

        Raises:
            OSError: the disk fails.
        """
        now = time.monotonic()
        if self.flush_after is None or not self._unflushed or now - self._flushed_at < self.flush_after:
            return
        self._flushed_at = now
        self.flush()

    def flush(self) -> None:
        """Flush the files that ``flush_if_due`` would flush some time.

        Raises:
            OSError: the disk fails.
        """
        is_any = False
        while self._unflushed:
            try:
                file = self._unflushed.popitem()[1]
            except KeyError:  # another thread flushes them as well
                break
            # Claimed when it was written, it may wait now. If another process has claimed it meanwhile, that
            # one flushes it if it waits again.
            paths = dict.fromkeys((file.path, file.waiting().path))
            is_any = any(map(flush_file, paths)) or is_any
        if is_any:
            self._sync_directory()

    def _sync_directory(self) -> None:
        """Flush the new name to the disk too, on systems that can flush directories."""
        if not hasattr(os, "O_DIRECTORY"):
            return
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def prepare(self) -> bool:
        """Create the directory, or check that it is private, as ``prepare_directory`` does.

        Raises:
            SpoolError: it belongs to another user, is open to others, or is not a directory.
            OSError: it cannot be created.
        """
        return prepare_directory(self.directory)

    def now(self) -> float:
        """Return the time by the clock of the file system, in seconds since 1970.

        Ages of files are only true by that clock: this process may have another one.
        """
        path = self.directory / _CLOCK
        try:
            try:
                os.utime(path)
            except FileNotFoundError:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
            return os.lstat(path).st_mtime
        except OSError:  # full, read-only or gone
            return time.time()

    def files(self, *kinds: str, state: str | None = None) -> list[SpoolFile]:
        """List the envelope files, newest first; the list is empty if the directory does not exist.

        Args:
            kinds: only files of these kinds, default all.
            state: only files in this state, ``waiting``, ``claimed`` or ``aside``; default all.

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
        """Return the newest file whose id begins with some digits, or None.

        Args:
            identity: first digits of an event id, or all 32; dashes are allowed.
        """
        wanted = identity.replace("-", "").lower()
        if not wanted:
            return None
        return next((file for file in self.files() if file.id.startswith(wanted)), None)

    def foreign(self) -> list[Path]:
        """List files that look like envelopes, but have other names; they are left alone."""
        return sorted(
            self.directory / name
            for name in self._names()
            if name.endswith(".envelope") and SpoolFile.from_path(Path(name)) is None
        )

    def claim(self, file: SpoolFile, owner: Owner) -> SpoolFile | None:
        """Claim a file for a process; return the claimed file, or None if another process was faster.

        Args:
            file: a waiting file.
            owner: the process.
        """
        return self._rename(file, file.claimed(owner))

    def release(self, file: SpoolFile) -> SpoolFile | None:
        """Make a file wait again; return the waiting file, or None if it is gone.

        Args:
            file: file in any state.
        """
        return self._rename(file, file.waiting())

    def put_back(self, file: SpoolFile, envelope: Envelope) -> SpoolFile | None:
        """Make a file wait, and write it again if it was removed; return None if another process has it.

        Args:
            file: file that this process has claimed.
            envelope: contents of the file.

        Raises:
            OSError: the directory is not writable.
        """
        released = self.release(file)
        if released is not None or any(name.startswith(file.stem) for name in self._names()):
            return released
        encode(envelope)
        data = envelope.serialize()
        # It was counted when it was captured.
        return self._put(data, file.with_contents(data), None, is_new=False)

    def set_aside(self, file: SpoolFile, reason: str) -> SpoolFile | None:
        """Set a file aside, so that it is kept but not sent; return None if it is gone.

        Args:
            file: file in any state.
            reason: reason in a word or two, such as ``http 413``.
        """
        return self._rename(file, file.aside(reason))

    def remove(self, file: SpoolFile, outcome: str = DELIVERED) -> bool:
        """Remove a file and count what became of it; return whether it was there.

        Args:
            file: file that this process has claimed, or that it drops.
            outcome: ``delivered``, or why it is dropped: one of ``counts.DROPPED``.
        """
        with self.ledger.removing(file, outcome) as removed:
            try:
                os.unlink(file.path)
            except FileNotFoundError:
                return False
            removed()
        return True

    def drop(self, file: SpoolFile, reason: str) -> bool:
        """Drop a file that no process has claimed; return whether it was there.

        Args:
            file: file that waits or was set aside.
            reason: one of ``counts.DROPPED``.

        Raises:
            OSError: it cannot be dropped, or is a directory.
        """
        # Claimed first, so that it is certain who has to count it. A process that ends here leaves a claim.
        claimed = self.claim(file, current())
        if claimed is None:
            return False
        try:
            return self.remove(claimed, reason)
        except OSError:
            self._undropped.append((claimed, file))
            self.give_back()
            raise

    def give_back(self) -> None:
        """Let go of the files that could not be dropped, as far as that is possible now."""
        for claimed, file in list(self._undropped):
            # A process that was forked leaves its parent's files alone.
            if claimed.owner == current():
                try:
                    self._rename(claimed, file)
                except OSError:  # nobody else can do it, so it is tried again
                    continue
            self._undropped.remove((claimed, file))

    def reclaim(self, is_alive: Mapping[str, bool]) -> tuple[int, int]:
        """Make files of dead processes wait again; return their number and the number of incomplete files.

        Files that a process was writing when it died are set aside: ``write`` had not returned, so nobody
        relies on them.

        Args:
            is_alive: whether each known owner is alive, by the name in the file names.
        """
        taken, partial = 0, 0
        for name in self._taken_names():
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
        # Its process had not counted it, because it did not complete it. Files of version 1.0, which did not
        # count at all, are counted when they go.
        intention = self.ledger.will_set_aside(file) if file.checksum else None
        is_there = False
        try:
            is_there = self._rename(replace(file, path=path), file.aside("partial")) is not None
        finally:
            if intention is not None:
                self.ledger.wrote(intention, file, is_there)
        return is_there

    def owners(self) -> dict[str, float]:
        """Return the processes that have claimed or are writing files, and when each last did so.

        The keys are the owners as in the file names, where anything may stand; the values are times by the
        clock of the disk, in seconds since 1970.
        """
        found: dict[str, float] = {}
        for name in self._taken_names():
            base, owner = _partial_of(name) if name.endswith(_PARTIAL) else (name, "")
            file = SpoolFile.from_path(self.directory / base)
            if file is not None and (owner or file.state == CLAIMED):
                owner = owner or file.detail
                found[owner] = max(found.get(owner, 0.0), _changed(self.directory / name))
        return found

    def waiting(self, *destinations: str) -> list[SpoolFile]:
        """List the files that wait for some destinations, oldest first.

        Args:
            destinations: destinations of DSNs.

        Raises:
            OSError: the directory cannot be read.
        """
        return [file for file in self.files(state=WAITING)[::-1] if file.destination in destinations]

    def next_waiting(
        self, destinations: Collection[str], fresh: float, limit: int, is_due: Callable[[str], bool]
    ) -> list[SpoolFile]:
        """List the files to send next: fresh ones, newest first, and then the others, oldest first.

        The directory is read once, and no more is kept of it than that: a hundred thousand files may wait.

        Args:
            destinations: destinations of DSNs.
            fresh: files captured less than so many seconds ago are fresh.
            limit: how many files to list at most.
            is_due: returns whether files of a kind are to be sent now.

        Raises:
            OSError: the directory cannot be read.
        """
        now = datetime.now(timezone.utc)
        first, last = format_time(now - timedelta(seconds=fresh)), format_time(now)
        due: dict[str, bool] = {}
        newest: list[str] = []
        oldest: list[str] = []
        for name in self._iterate():
            kind = name[len(last) + 1 :].partition("-")[0]
            if kind not in due:
                due[kind] = is_due(kind)
            if not due[kind] or not name.endswith(SUFFIX) or not any(part in name for part in destinations):
                continue
            chosen = newest if first < name[: len(first)] <= last else oldest
            chosen.append(name)
            if len(chosen) >= 4 * limit:
                chosen.sort(reverse=chosen is newest)
                del chosen[limit:]
        newest.sort(reverse=True)
        oldest.sort()
        files = (SpoolFile.from_path(self.directory / name) for name in (*newest, *oldest))
        found = (file for file in files if file is not None and file.destination in destinations)
        return list(islice(found, limit))

    def _iterate(self) -> Iterator[str]:
        try:
            with os.scandir(self.directory) as found:
                yield from (item.name for item in found)
        except FileNotFoundError:
            return

    def _taken_names(self) -> list[str]:
        """List what has an owner, without parsing the names of all that waits."""
        return [name for name in self._iterate() if name.endswith(_PARTIAL) or ".claimed-" in name]

    def _rename(self, file: SpoolFile, renamed: SpoolFile) -> SpoolFile | None:
        try:
            os.rename(file.path, renamed.path)
        except FileNotFoundError:
            return None
        if self.flush_after is not None and (file.name in self._unflushed or renamed.state == WAITING):
            self._unflushed[file.name] = renamed
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
    """Return the final name of a file that is being written, and its owner."""
    base, _, owner = name[1 : -len(_PARTIAL)].rpartition(".")
    return base, owner


def _changed(path: Path) -> float:
    try:
        return os.lstat(path).st_ctime
    except OSError:  # sent meanwhile
        return 0.0
