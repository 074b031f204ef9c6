"""The bounds of a spool: its maximum size, and the maximum age of its files.

Who makes room is decided by size, kind and number, not by age alone: one huge envelope, or
one error that a loop raises a million times, must not cost the other errors that wait.
"""

from __future__ import annotations

import heapq
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import ASIDE, CLAIMED, NO_TRACE, SUFFIX, SpoolFile
from sentry_paste.spool.private import read_small, write_small

# Kinds that are dropped last, unless they are larger than what Sentry accepts as an event (1 MiB,
# https://develop.sentry.dev/sdk/data-model/envelopes/#size-limits).
_DROPPED_LAST = ("error", "feedback", "checkin")
_LARGEST_EVENT = 2**20

# Seconds between checks of all files.
_LOOK_AGAIN = 60.0
# If a spool is too large, it is reduced to this share of its maximum size, so that the next write does not
# exceed it again.
_SHRINK_TO = 0.9
# A process that cannot wait for its thread reduces the spool itself at this share of the maximum size.
_OVERFULL = 1.25
# What neither the bytes of a spool nor the number of those who write to it come to.
_MOST = 2**62
# The least share of the size that a process writes between two looks.
_LEAST_SHARE = 0.01
# Sizes up to this many bytes count as equal, and above it those within a factor of four.
_SMALL = 2**14
# Scores that have become lower by less than this are not computed again, which would take quadratic time.
_TOLERANCE = 0.95
# Seconds for which a file of another destination is known before it is dropped as too old: time for the
# process that sends it, if the clock was wrong when it was captured.
_OTHERS_TIME = 86400.0


class _Entry(NamedTuple):
    file: SpoolFile
    size: int
    changed: float


class Bounds:
    """Keeps a spool within its maximum size and age, whichever processes write to it.

    All files are checked once a minute, and when this process has written its part of what is still free.

    Args:
        spool: the spool.
        size: maximum size, in bytes.
        age: maximum age of a file, in seconds, by the clock of the file system.
        dropped: called with each dropped file and the reason.
        was_tried: returns whether sending a file has failed, None for files that this process does not send.
            Only files that were tried are dropped as too old: the clock may have been wrong.
        wake: called instead of checking all files in ``wrote``; the thread that it wakes has to call
            ``enforce_if_due``.
    """

    def __init__(
        self,
        spool: Spool,
        size: int,
        age: float,
        dropped: Callable[[SpoolFile, str], None],
        was_tried: Callable[[SpoolFile], bool | None] = lambda file: True,  # noqa: ARG005
        wake: Callable[[], bool] = lambda: False,
    ) -> None:
        self._spool = spool
        self._size = size
        self._age = age
        self._dropped = dropped
        self._was_tried = was_tried
        self._wake = wake
        # What the process has found that has looked last, for the others.
        self._marker = spool.directory / ".bounds"
        # Files from before the first check are not counted until then, because listing a large spool is slow.
        self._held = 0.0
        self._written = 0
        self._budget = size * _LEAST_SHARE
        self._looked = float("-inf")
        # Whether this client has looked itself, and so is known to the others that have looked since.
        self._is_known = False
        # When files of other destinations were first found to be too old, by ``time.monotonic``.
        self._others: dict[str, float] = {}

    def wrote(self, file: SpoolFile) -> None:
        """Count a file that was written, and drop others if the spool may be too large.

        Args:
            file: the new file.
        """
        self._written += _size_of(file)
        if self._written <= self._budget:
            return
        if self._held + self._written > self._size * _OVERFULL or not self._wake():
            self.enforce()

    def enforce_if_due(self) -> None:
        """Enforce the bounds, once a minute and when this process has written its part."""
        self._spool.give_back()
        if self._written > self._budget or (
            time.monotonic() - self._looked >= _LOOK_AGAIN and not self._was_done_by_another()
        ):
            self.enforce()

    def _was_done_by_another(self) -> bool:
        """Take over what another process has found within the last minute; return whether one has."""
        try:
            age = time.time() - os.lstat(self._marker).st_mtime
            if not 0 <= age < _LOOK_AGAIN:
                return False
            held, writers = map(int, read_small(self._marker).split())
        except (OSError, ValueError):
            return False
        if not (0 <= held < _MOST and 0 < writers < _MOST):  # somebody else has written it
            return False
        self._looked = time.monotonic()
        self._found(held, writers)
        return True

    def enforce(self) -> None:
        """Drop files that are too old, and then others until the spool is small enough."""
        self._looked = time.monotonic()
        self._written = 0
        held, oldest, writers = self._survey()
        if held > self._size or (oldest is not None and time.time() - oldest > self._age):
            held = self._drop_some()
        self._is_known = True
        self._found(held, writers)
        with suppress(OSError):
            write_small(self._marker, f"{int(held)} {writers}")

    def _found(self, held: float, writers: int) -> None:
        self._held = held
        if not self._is_known:  # nor are others that have begun since
            return
        # Half of what is free, shared with the other clients, none of which knows what the others write.
        self._budget = max((self._size - held) / (2 * writers), self._size * _LEAST_SHARE)

    def _survey(self) -> tuple[float, float | None, int]:
        """Return the bytes of all files, the time of the oldest, and the number of clients that write.

        Nothing is kept of the files, of which there may be a hundred thousand.
        """
        held, oldest, processes, clients = 0.0, None, 0, 0
        with suppress(FileNotFoundError), os.scandir(self._spool.directory) as found:
            for item in found:
                processes += item.name.startswith(".alive-")
                # Each client counts in a file of its own, also without a DSN.
                clients += item.name.startswith(".counts-")
                status = _status(item) if SUFFIX in item.name else None
                if status is not None:
                    held += status.st_size
                    oldest = status.st_mtime if oldest is None else min(oldest, status.st_mtime)
        return held, oldest, max(processes, clients, 1)

    def _drop_some(self) -> float:
        """Drop what has to be dropped; return the bytes of the rest."""
        entries = list(self._drop_old(self._scan()))
        held = float(sum(entry.size for entry in entries))
        if held > self._size:
            held -= self._make_room(entries, held - self._size * _SHRINK_TO)
        return held

    def _scan(self) -> list[_Entry]:
        """Return all files."""
        entries: list[_Entry] = []
        with suppress(FileNotFoundError), os.scandir(self._spool.directory) as found:
            for item in found:
                file = SpoolFile.from_path(self._spool.directory / item.name)
                status = _status(item) if file is not None else None
                if file is not None and status is not None:
                    entries.append(_Entry(file, status.st_size, status.st_mtime))
        return entries

    def _drop_old(self, entries: list[_Entry]) -> Iterator[_Entry]:
        """Drop the files that are too old; yield the others."""
        known, self._others = self._others, {}
        now = time.time()
        if any(now - entry.changed > self._age for entry in entries):
            now = self._spool.now()
        for entry in entries:
            is_old = (
                now - entry.changed > self._age
                and entry.file.state != CLAIMED
                and self._may_expire(entry.file, known)
            )
            if not is_old or not self._drop(entry.file, "too old"):
                yield entry

    def _may_expire(self, file: SpoolFile, known: dict[str, float]) -> bool:
        was_tried = True if file.state == ASIDE else self._was_tried(file)
        if was_tried is not None:
            return was_tried
        # Kept for the next check, as long as the file is there.
        first = self._others[file.name] = known.get(file.name, self._looked)
        return self._looked - first >= _OTHERS_TIME

    def _make_room(self, entries: list[_Entry], excess: float) -> float:
        """Drop files until there is room; return how many bytes are free now.

        Files that are being sent cannot be dropped, and are gone in a moment or wait again. Until then their
        place is not taken from files that would not have to make room for them.
        """
        freed = 0.0
        for entry in _victims(entries):
            if freed >= excess:
                break
            if entry.file.state == CLAIMED or self._drop(entry.file, "too many"):
                freed += entry.size
        return freed

    def _drop(self, file: SpoolFile, reason: str) -> bool:
        """Drop a file; return whether it is gone. A directory with such a name cannot be dropped."""
        try:
            # If another process has dropped or sent it, that process counts it.
            if self._spool.drop(file, reason):
                self._dropped(file, reason)
        except OSError:
            return False
        return True


def _victims(entries: list[_Entry]) -> Iterator[_Entry]:
    """Yield files in the order in which they make room.

    What matters less comes first, and then what costs least: large files, and files of the kind or trace that
    has most; among those the oldest.
    """
    for is_last in (False, True):
        chosen = [entry for entry in entries if _is_dropped_last(entry) is is_last]
        held: Counter[str] = Counter()
        for entry in chosen:
            for group in _groups(entry.file):
                held[group] += entry.size
        heap = [(-_score(entry, held), entry.file.path.name, entry) for entry in chosen]
        heapq.heapify(heap)
        while heap:
            score, name, entry = heapq.heappop(heap)
            # Scores only become lower, so one that is still as high is the highest.
            now = -_score(entry, held)
            if now > score * _TOLERANCE:
                heapq.heappush(heap, (now, name, entry))
                continue
            for group in _groups(entry.file):
                held[group] -= entry.size
            yield entry


def _is_dropped_last(entry: _Entry) -> bool:
    return entry.file.kind in _DROPPED_LAST and entry.size <= _LARGEST_EVENT


def _score(entry: _Entry, held: Counter[str]) -> float:
    size = max((entry.size - 1) // _SMALL, 0)
    rounded = float(_SMALL << (size.bit_length() + 1) // 2 * 2)
    return rounded * max(held[group] for group in _groups(entry.file))


def _groups(file: SpoolFile) -> tuple[str, ...]:
    """Return the groups of which a file is a part: its kind, and the trace if it has one."""
    kind, trace = f"{file.kind} {file.group[:4]}", file.group[4:]
    return (kind, f"trace {trace}") if trace and trace != NO_TRACE else (kind,)


def _size_of(file: SpoolFile) -> int:
    try:
        return os.lstat(file.path).st_size
    except OSError:  # sent in the meantime
        return 0


def _status(item: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return item.stat(follow_symlinks=False)
    except OSError:  # sent in the meantime
        return None
