"""An index of the files of a spool, kept in memory between requests.

Every request lists the directory. A file is read once, and again only if its size or
modification time changes. One request reads for a fraction of a second only, newest
files first, and leaves the rest to the next requests, so that no page has to wait for a
large spool to be read.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from sentry_paste.inbox.summary import MAX_BYTES, Summary, summarise
from sentry_paste.spool import Contents, Spool, SpoolFile, read_contents

#: How many files are shown at most, the newest ones. The index of 10,000 files takes about 12 MB.
MAX_FILES = 20_000

#: How long one request may read files, in seconds.
READ_SECONDS = 0.1


@dataclass(frozen=True)
class Entry:
    """A file in the index.

    Attributes:
        file: the file.
        changed: its modification time, in nanoseconds.
        size: its size, in bytes.
        read_summary: summary of its contents; None until it has been read.
    """

    file: SpoolFile
    changed: int
    size: int
    read_summary: Summary | None = None

    @property
    def summary(self) -> Summary:
        """Summary of its contents; an empty one until it has been read."""
        return self.read_summary or _UNREAD


_UNREAD = Summary("")


@dataclass(frozen=True)
class Snapshot:
    """The state of a spool at one moment.

    Attributes:
        entries: the files, newest first.
        unread: number of files that have not been read yet.
        older: number of older files that the inbox does not show.
        foreign: number of files that look like envelopes but whose names are not a spool's.
        version: changes whenever anything else here changes.
        problem: why the directory cannot be read, or empty.
        is_there: whether the directory exists.
    """

    entries: tuple[Entry, ...] = ()
    unread: int = 0
    older: int = 0
    foreign: int = 0
    version: str = ""
    problem: str = ""
    is_there: bool = True

    def find(self, identity: str) -> Entry | None:
        """Return the newest file with an id, or None.

        A user report has the same id as its error; if both are there, return the error.

        Args:
            identity: 32 hexadecimal digits.
        """
        found = (entry for entry in self.entries if entry.file.id == identity)
        return min(found, key=lambda entry: entry.file.kind == "feedback", default=None)

    def feedback_about(self, identity: str) -> list[Entry]:
        """Return the files with feedback about an error, newest first.

        Args:
            identity: id of the error.
        """
        return [entry for entry in self.entries if identity in entry.summary.error_ids]

    def of_trace(self, trace_id: str) -> list[Entry]:
        """Return the files that belong to a trace, newest first.

        Args:
            trace_id: id of the trace.
        """
        return [entry for entry in self.entries if trace_id in entry.summary.trace_ids]


class Index:
    """An index of the files of a spool.

    Args:
        spool: the spool.
        reading: how long one call of ``look`` may read files, in seconds.
    """

    def __init__(self, spool: Spool, reading: float = READ_SECONDS) -> None:
        self.spool = spool
        self._reading = reading
        # By name without the state: claiming a file renames it, but does not change its contents.
        self._known: dict[str, Entry] = {}
        self._lock = threading.Lock()

    def look(self) -> Snapshot:
        """Return the current state of the spool."""
        with self._lock:
            found: list[Entry] = []
            older = foreign = 0
            problem, is_there = "", True
            try:
                found, older, foreign = self._scan()
            except FileNotFoundError:
                is_there = False
            except OSError as error:
                problem = f"{self.spool.directory}: {error.strerror or error}"
            unread = self._read(found)
            self._known = {_base(entry.file): entry for entry in found}
        changed = max((entry.changed for entry in found), default=0)
        names = crc32("".join(entry.file.path.name for entry in found).encode("utf-8", "replace"))
        version = f"{len(found)}-{unread}-{older}-{foreign}-{changed:x}-{names:x}-{is_there:d}"
        return Snapshot(tuple(found), unread, older, foreign, version, problem, is_there)

    def read_all(self) -> Snapshot:
        """Return the current state of the spool, with every file read."""
        while True:
            snapshot = self.look()
            if not snapshot.unread:
                return snapshot

    def _scan(self) -> tuple[list[Entry], int, int]:
        names, foreign = [], 0
        with os.scandir(self.spool.directory) as entries:
            for entry in entries:
                if ".envelope" in entry.name and not entry.name.startswith("."):
                    names.append(entry.name)
        names.sort(reverse=True)
        found: list[Entry] = []
        older = 0
        for name in names:
            if len(found) >= MAX_FILES:
                older += 1
                continue
            known = self._known.get(name.partition(".envelope")[0])
            path = self.spool.directory / name if known is None or known.file.path.name != name else None
            file = known.file if known and path is None else SpoolFile.from_path(path or Path(name))
            if file is None:
                foreign += name.endswith(".envelope")
                continue
            try:
                status = os.stat(file.path, follow_symlinks=False)
            except OSError:  # gone meanwhile: sent, claimed or removed
                continue
            is_same = known and (known.changed, known.size) == (status.st_mtime_ns, status.st_size)
            if known and path is None and is_same:
                found.append(known)
            else:
                summary = known.read_summary if known and is_same else None
                found.append(Entry(file, status.st_mtime_ns, status.st_size, summary))
        return found, older, foreign

    def _read(self, entries: list[Entry]) -> int:
        """Read new files while there is time, at least one; return how many are left unread."""
        unread = [place for place, entry in enumerate(entries) if entry.read_summary is None]
        end = time.monotonic() + self._reading
        gone = set()
        for count, place in enumerate(unread, start=1):
            entry = entries[place]
            try:
                summary = summarise(entry.file, entry.size)
                entries[place] = Entry(entry.file, entry.changed, entry.size, summary)
            except FileNotFoundError:
                gone.add(place)
            if time.monotonic() >= end:
                left = len(unread) - count
                break
        else:
            left = 0
        if gone:
            entries[:] = _without(entries, gone)
        return left


def _without(entries: Iterable[Entry], gone: set[int]) -> list[Entry]:
    return [entry for place, entry in enumerate(entries) if place not in gone]


def _base(file: SpoolFile) -> str:
    return file.path.name.partition(".envelope")[0]


@dataclass(frozen=True)
class LoadedEntry:
    """A file with its contents.

    Attributes:
        entry: its entry in the index.
        contents: what was read from it; None if it cannot be read.
        problem: why it cannot be read, or empty.
    """

    entry: Entry
    contents: Contents | None
    problem: str = ""


def load(entry: Entry) -> LoadedEntry:
    """Read a file; return the problem if it cannot be read.

    Args:
        entry: the file.

    Raises:
        FileNotFoundError: the file has gone since it was listed.
    """
    if entry.size > MAX_BYTES:
        return LoadedEntry(entry, None, entry.summary.problem)
    try:
        return LoadedEntry(entry, read_contents(entry.file))
    except FileNotFoundError:
        raise
    except OSError as error:
        return LoadedEntry(entry, None, error.strerror or str(error))
    except (ValueError, RecursionError) as error:
        return LoadedEntry(entry, None, str(error))


def load_all(entries: list[Entry]) -> list[LoadedEntry]:
    """Read files, and skip those that have gone.

    Args:
        entries: the files.
    """
    found = []
    for entry in entries:
        try:
            found.append(load(entry))
        except FileNotFoundError:
            continue
    return found
