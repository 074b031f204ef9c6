"""What is known of the files of a spool, kept between requests.

Every request looks at the names; a file is read when it is new, and never again
while its name and its time of change are the same. A request reads for a fraction
of a second only, newest files first: what is left is read by the next ones, so that
no page waits for a spool that was never looked at before.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from sentry_paste.inbox.summary import MOST_BYTES, Summary, summarise
from sentry_paste.spool import Contents, Spool, SpoolFile, read_contents

#: Of a spool with more files the newest are shown; what is kept of 10,000 takes about 12 MB.
MOST_FILES = 20_000

#: How long one request may read, in seconds.
READING = 0.1


@dataclass(frozen=True)
class Entry:
    """A file, and what is known of it.

    Attributes:
        file: of the spool.
        changed: when it was, in nanoseconds.
        size: in bytes.
        summary: what it tells; None until it has been read.
    """

    file: SpoolFile
    changed: int
    size: int
    summary: Summary | None = None

    @property
    def told(self) -> Summary:
        """What it tells, as far as it has been read."""
        return self.summary or _UNREAD


_UNREAD = Summary("")


@dataclass(frozen=True)
class Snapshot:
    """A spool as it is now.

    Attributes:
        entries: newest first.
        unread: how many of them have not been read yet.
        older: how many files are more than the inbox shows.
        foreign: how many files look like envelopes and have no name of a spool's.
        version: a text that is another when anything of this is.
        problem: why the directory cannot be read, else empty.
        is_there: whether there is a directory of that name.
    """

    entries: tuple[Entry, ...] = ()
    unread: int = 0
    older: int = 0
    foreign: int = 0
    version: str = ""
    problem: str = ""
    is_there: bool = True

    def find(self, identity: str) -> Entry | None:
        """Return the newest file whose id this is, or None.

        A user's report has the id of its error: where both are there, that is the error's.

        Args:
            identity: 32 hexadecimal digits.
        """
        found = (entry for entry in self.entries if entry.file.id == identity)
        return min(found, key=lambda entry: entry.file.kind == "feedback", default=None)

    def about(self, identity: str) -> list[Entry]:
        """Return the files in which users tell of an error, newest first.

        Args:
            identity: id of the error.
        """
        return [entry for entry in self.entries if identity in entry.told.about]

    def of_trace(self, trace_id: str) -> list[Entry]:
        """Return the files that tell of a trace, newest first.

        Args:
            trace_id: its id.
        """
        return [entry for entry in self.entries if trace_id in entry.told.trace_ids]


class Index:
    """Keep what is known of the files of a spool.

    Args:
        spool: whose files.
        reading: how long one call of ``look`` may read files, in seconds.
    """

    def __init__(self, spool: Spool, reading: float = READING) -> None:
        self.spool = spool
        self._reading = reading
        # By the name without the state: a file that is claimed is renamed, and holds what it held.
        self._known: dict[str, Entry] = {}
        self._lock = threading.Lock()

    def look(self) -> Snapshot:
        """Return the spool as it is now."""
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
        """Return the spool as it is now, when every file has been read."""
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
            if len(found) >= MOST_FILES:
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
            except OSError:  # gone since: sent, claimed or removed
                continue
            is_same = known and (known.changed, known.size) == (status.st_mtime_ns, status.st_size)
            if known and path is None and is_same:
                found.append(known)
            else:
                summary = known.summary if known and is_same else None
                found.append(Entry(file, status.st_mtime_ns, status.st_size, summary))
        return found, older, foreign

    def _read(self, entries: list[Entry]) -> int:
        """Read new files while there is time, at least one; return how many are left."""
        unread = [place for place, entry in enumerate(entries) if entry.summary is None]
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
class Opened:
    """A file, read as far as it can be.

    Attributes:
        entry: what the index knows of it.
        contents: what it tells, None where it cannot be read.
        problem: why it cannot be read, else empty.
    """

    entry: Entry
    contents: Contents | None
    problem: str = ""


def opened(entry: Entry) -> Opened:
    """Read a file; what cannot be read is told so.

    Args:
        entry: of the index.

    Raises:
        FileNotFoundError: it is gone since the index was made.
    """
    if entry.size > MOST_BYTES:
        return Opened(entry, None, entry.told.problem)
    try:
        return Opened(entry, read_contents(entry.file))
    except FileNotFoundError:
        raise
    except OSError as error:
        return Opened(entry, None, error.strerror or str(error))
    except (ValueError, RecursionError) as error:
        return Opened(entry, None, str(error))


def opened_all(entries: list[Entry]) -> list[Opened]:
    """Read files, those left out that are gone.

    Args:
        entries: of the index.
    """
    found = []
    for entry in entries:
        try:
            found.append(opened(entry))
        except FileNotFoundError:
            continue
    return found
