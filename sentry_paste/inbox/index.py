"""An index of the files of a spool, kept in memory between requests.

The directory is listed again when it has changed. A file is read once, and again only if
its size or modification time changes: each look checks some of them, in turn. One request
reads for a fraction of a second only, newest files first, and leaves the rest to the next
requests, so that no page has to wait for a large spool to be read.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zlib import crc32

from sentry_paste.inbox.cleared import Cleared
from sentry_paste.inbox.summary import MAX_BYTES, Summary, summarise
from sentry_paste.spool import Contents, Spool, SpoolFile, read_contents

#: How many files are shown at most, the newest ones.
MAX_FILES = 50_000

#: How many log lines are kept for the list at most, the newest ones.
MAX_LINES = 50_000

#: How long one request may read files, in seconds.
READ_SECONDS = 0.25

# A directory that has not changed for so long was listed after its last change, in nanoseconds: there are
# file systems that keep times to the second or two.
_SETTLED = 2_500_000_000

# How many files one look checks for changes in place. Nothing of ours changes a file without renaming it.
_CHECKED = 2000


@dataclass(frozen=True)
class Entry:
    """A file in the index.

    Attributes:
        file: the file.
        changed: its modification time, in nanoseconds.
        size: its size, in bytes.
        name: its name.
        read_summary: summary of its contents; None until it has been read.
    """

    file: SpoolFile
    changed: int
    size: int
    name: str
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
        derived: what has been worked out from the files, by name, for as long as they stay the same, and as
            ``before`` what had been before they changed.
        hidden: number of files that are hidden because they were cleared.
    """

    entries: tuple[Entry, ...] = ()
    unread: int = 0
    older: int = 0
    foreign: int = 0
    version: str = ""
    problem: str = ""
    is_there: bool = True
    derived: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    hidden: int = 0

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


def _later(snapshot: Snapshot, until: datetime) -> Snapshot:
    """Return a snapshot without the files that were captured up to a time."""
    entries = tuple(entry for entry in snapshot.entries if entry.file.time > until)
    hidden = len(snapshot.entries) - len(entries)
    version = f"{snapshot.version}-{until.timestamp():.6f}"
    return replace(snapshot, entries=entries, hidden=hidden, version=version, derived={})


class Index:
    """An index of the files of a spool.

    Args:
        spool: the spool.
        reading: how long one call of ``look`` may read files, in seconds.
    """

    def __init__(self, spool: Spool, reading: float = READ_SECONDS) -> None:
        self.spool = spool
        self.cleared = Cleared(spool)
        self._reading = reading
        # By name.
        self._known: dict[str, Entry] = {}
        self._snapshot: Snapshot | None = None
        self._listed = _Listed()
        self._checked = 0
        # What is left of a snapshot after clearing, with the version and the time that it was made of.
        self._shown: tuple[tuple[str, datetime | None], Snapshot] = (("", None), Snapshot())
        self._lock = threading.Lock()

    def look(self) -> Snapshot:
        """Return the current state of the spool: the same object for as long as it stays the same."""
        whole, until = self._look(), self.cleared.until()
        if until is None:
            return whole
        with self._lock:
            of, shown = self._shown
            if of != (whole.version, until):
                shown = replace(_later(whole, until), derived={"before": _before(shown)})
                self._shown = (whole.version, until), shown
            return shown

    def _look(self) -> Snapshot:
        with self._lock:
            found: list[Entry] = []
            older = foreign = 0
            problem, is_there = "", True
            last = self._snapshot
            try:
                if last is not None and self._is_same(last):
                    found, older, foreign = list(last.entries), last.older, last.foreign
                else:
                    found, older, foreign = self._scan()
            except FileNotFoundError:
                is_there = False
                self._listed = _Listed()
            except OSError as error:
                problem = f"{self.spool.directory}: {error.strerror or error}"
                self._listed = _Listed()
            unread = self._read(found)
            snapshot = Snapshot(tuple(found), unread, older, foreign, "", problem, is_there)
            if last is None or replace(last, version="") != snapshot:
                self._known = {entry.name: entry for entry in found}
                derived = {"before": _before(last)} if last is not None else {}
                self._snapshot = last = replace(snapshot, version=_version(snapshot), derived=derived)
            return last

    def read_all(self) -> Snapshot:
        """Return the current state of the spool, with every file read."""
        while True:
            snapshot = self.look()
            if not snapshot.unread:
                return snapshot

    def _is_same(self, last: Snapshot) -> bool:
        """Return whether the directory has not changed, nor those of its files that are checked this time."""
        entries = last.entries
        begin = self._checked if self._checked < len(entries) else 0
        self._checked = begin + _CHECKED
        changed = [entry for entry in entries[begin : self._checked] if _has_changed(entry)]
        for entry in changed:
            self._known.pop(entry.name, None)
        status = os.stat(self.spool.directory)
        return not changed and self._listed == _Listed(status.st_ino, status.st_mtime_ns, is_settled=True)

    def _scan(self) -> tuple[list[Entry], int, int]:
        foreign = 0
        status = os.stat(self.spool.directory)
        is_settled = time.time_ns() - status.st_mtime_ns > _SETTLED
        names = [
            name
            for name in os.listdir(self.spool.directory)
            if ".envelope" in name and not name.startswith(".")
        ]
        names.sort(reverse=True)
        # Claiming a file renames it, but does not change its contents.
        renamed = {_base(name): self._known[name] for name in self._known.keys() - set(names)}
        found: list[Entry] = []
        older = 0
        for place, name in enumerate(names):
            if len(found) >= MAX_FILES:
                older = len(names) - place
                break
            known = self._known.get(name)
            if known is not None:
                found.append(known)
                continue
            file = SpoolFile.from_path(self.spool.directory / name)
            if file is None:
                foreign += name.endswith(".envelope")
                continue
            entry = _entry(file, name, renamed.get(_base(name)))
            if entry is not None:
                found.append(entry)
        self._listed = _Listed(status.st_ino, status.st_mtime_ns, is_settled)
        return found, older, foreign

    def _read(self, entries: list[Entry]) -> int:
        """Read new files while there is time, at least one; return how many are left unread."""
        unread = [place for place, entry in enumerate(entries) if entry.read_summary is None]
        end = time.monotonic() + self._reading
        gone = set()
        has_lines = False
        for count, place in enumerate(unread, start=1):
            entry = entries[place]
            try:
                summary = summarise(entry.file, entry.size)
                entries[place] = replace(entry, read_summary=summary)
                has_lines = has_lines or bool(summary.lines)
            except FileNotFoundError:
                gone.add(place)
            if time.monotonic() >= end:
                left = len(unread) - count
                break
        else:
            left = 0
        if has_lines:
            _drop_old_lines(entries)
        if gone:
            entries[:] = _without(entries, gone)
        return left


@dataclass(frozen=True)
class _Listed:
    """The directory when it was listed."""

    inode: int = 0
    changed: int = 0
    is_settled: bool = False


def _before(last: Snapshot) -> dict[str, Any]:
    """Return what was worked out from the last snapshots, which must not become a chain."""
    return {**last.derived.pop("before", {}), **last.derived}


def _base(name: str) -> str:
    return name.partition(".envelope")[0]


def _entry(file: SpoolFile, name: str, before: Entry | None) -> Entry | None:
    """Return the entry of a file, None if it is gone meanwhile: sent, claimed or removed.

    Args:
        file: the file.
        name: its name.
        before: its entry before it was renamed, if it has been.
    """
    try:
        status = os.stat(file.path, follow_symlinks=False)
    except OSError:
        return None
    changed, size = status.st_mtime_ns, status.st_size
    is_same = before is not None and (before.changed, before.size) == (changed, size)
    return Entry(file, changed, size, name, before.read_summary if before is not None and is_same else None)


def _has_changed(entry: Entry) -> bool:
    """Return whether a file has changed in place; if it is gone, the directory has changed."""
    try:
        status = os.stat(entry.file.path, follow_symlinks=False)
    except OSError:
        return False
    return (entry.changed, entry.size) != (status.st_mtime_ns, status.st_size)


def _version(snapshot: Snapshot) -> str:
    """Return the version of a snapshot, the same in each process that shows the spool."""
    entries = snapshot.entries
    changed = max((entry.changed for entry in entries), default=0)
    names = crc32("".join([entry.name for entry in entries]).encode("utf-8", "replace"))
    state = f"{snapshot.unread}-{snapshot.older}-{snapshot.foreign}-{snapshot.is_there:d}"
    return f"{len(entries)}-{state}-{changed:x}-{names:x}"


def _drop_old_lines(entries: list[Entry]) -> None:
    """Keep the log lines of the newest files only, and of the others how many they have."""
    kept = 0
    for place, entry in enumerate(entries):
        lines = entry.summary.lines
        if lines and kept >= MAX_LINES:
            entries[place] = replace(entry, read_summary=entry.summary._replace(lines=()))
        kept += len(lines)


def _without(entries: Iterable[Entry], gone: set[int]) -> list[Entry]:
    return [entry for place, entry in enumerate(entries) if place not in gone]


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
