"""Counts of an error budget: how many errors of each kind were sent in a period, and how many were not.

A table has a fixed size, in memory or in a file. A kind has a slot in one page, which its key chooses; each
change is one write within one page, which a kill does not divide. No error is lost from the counts:
the errors that went, those that events have reported as not sent, and those that a slot still has are all.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

_SLOT = struct.Struct("<16s4q8I176s")
_PAGE = 4096
_EMPTY = bytes(_PAGE)
_KEY = 16
_NO_KEY = bytes(_KEY)
_RELEASES = 8
_NO_RELEASES = (0,) * _RELEASES
_LONGEST_TITLE = 176
_MOST = 2**63 - 1
#: Pages with kinds, of 16 each.
PAGES = 1024
# Slots of the first page: which version has written the table, and the time until which it was searched for
# kinds that have stopped; all kinds together; the kinds that have no slot of their own.
_MAGIC = b"sp error budget1"
_META, _ALL, _OTHERS = range(3)
_KEY_OF_ALL, _KEY_OF_OTHERS = (text.ljust(_KEY, b"\0") for text in (b"all", b"others"))
_TITLE_OF_OTHERS = "other kinds"


class Storage(Protocol):
    """The bytes of a table."""

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes, zeros where nothing has been written.

        Args:
            offset: of the first one.
            size: how many.
        """

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes at once.

        Args:
            offset: of the first one.
            data: the bytes.
        """


class Memory:
    """A table in the memory of this process, which needs only that of the pages that are in use."""

    def __init__(self, pages: int = PAGES) -> None:
        self._data = bytearray((1 + pages) * _PAGE)

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes.

        Args:
            offset: of the first one.
            size: how many.
        """
        return bytes(self._data[offset : offset + size])

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes.

        Args:
            offset: of the first one.
            data: the bytes.
        """
        self._data[offset : offset + len(data)] = data


class Limits(NamedTuple):
    """Budgets, infinite where there is none.

    Attributes:
        of_kind: errors of each kind in a period.
        period: in seconds.
        in_all: errors in a period of all kinds.
        period_of_all: in seconds.
    """

    of_kind: float
    period: int
    in_all: float
    period_of_all: int


class Kind(NamedTuple):
    """A kind of error.

    Attributes:
        key: 16 bytes.
        title: what it is, in a few words.
    """

    key: bytes
    title: str


class NotSent(NamedTuple):
    """Errors of a kind that were not sent, and that no event has reported yet.

    Attributes:
        kind: of which they are.
        errors: how many.
    """

    kind: Kind
    errors: int


@dataclass
class Taken:
    """What was decided of an error.

    Attributes:
        kind: of the error.
        release: a number that stands for it.
        start: of the kind's period, in seconds since 1970.
        start_of_all: of the period of all kinds.
        goes: whether it is sent.
        is_first: whether it is the first of its kind, or of the kind in its release.
        reports: how many errors of the kind that were not sent its event reports.
        stopped: errors of other kinds that no event of these has reported, as there are no more of them.
        is_full: whether the kind has no slot of its own.
    """

    kind: Kind
    release: int
    start: int
    start_of_all: int
    goes: bool
    is_first: bool
    reports: int
    stopped: list[NotSent]
    is_full: bool


@dataclass
class _Slot:
    """The counts of a kind.

    Attributes:
        offset: in the table.
        key: of the kind, zeros if the slot is free.
        start: of the period, in seconds since 1970.
        sent: errors that were sent in the period.
        left: errors that were not; less than zero if one that an event has reported is none after all.
        owed: errors that were not sent in periods before, likewise.
        releases: numbers of the last releases that had an error of the kind, the latest first.
        title: of the kind, in UTF-8.
    """

    offset: int
    key: bytes
    start: int = 0
    sent: int = 0
    left: int = 0
    owed: int = 0
    releases: tuple[int, ...] = _NO_RELEASES
    title: bytes = b""

    @classmethod
    def unpack(cls, offset: int, data: bytes) -> _Slot:
        key, start, sent, left, owed, *releases, title = _SLOT.unpack(data)
        return cls(offset, key, start, sent, left, owed, tuple(releases), title.rstrip(b"\0"))

    def pack(self) -> bytes:
        # A disk may have made any numbers of them.
        numbers = [
            max(min(number, _MOST), -_MOST) for number in (self.start, self.sent, self.left, self.owed)
        ]
        return _SLOT.pack(self.key, *numbers, *self.releases, self.title)

    def turn(self, start: int, seconds: int) -> None:
        """Begin another period, if there is one.

        A clock that was set back goes on with the period that has begun, but for no longer than one: it may
        have been wrong before.
        """
        if self.start < start or self.start - start > seconds:
            self.start, self.sent, self.left, self.owed = start, 0, 0, self.owed + self.left

    def add_release(self, release: int) -> bool:
        """Record a release; return whether it is new."""
        if release in self.releases:
            return False
        self.releases = (release, *self.releases[: _RELEASES - 1])
        return True

    def kind(self) -> Kind:
        """Return the kind."""
        return Kind(self.key, self.title.decode("utf-8", "ignore"))


def _page_of(key: bytes, pages: int) -> int:
    return (1 + int.from_bytes(key[:8], "little") % pages) * _PAGE


class Table:
    """The counts of all kinds.

    Nobody else may change the table while a method runs.

    Args:
        storage: its bytes.
        pages: how many it has for kinds.
    """

    def __init__(self, storage: Storage, pages: int = PAGES) -> None:
        self._storage = storage
        self._pages = pages

    def prepare(self) -> bool:
        """Begin a table that is empty; return False if it is of another version.

        Raises:
            OSError: it cannot be read or written.
        """
        meta = self._read(_META)
        if meta.key == _NO_KEY:
            meta.key = _MAGIC
            self._write(meta)
        return meta.key == _MAGIC

    def take(self, kind: Kind, release: int, now: float, limits: Limits) -> Taken:
        """Decide whether an error is sent, and count it.

        Args:
            kind: of the error.
            release: a number that stands for it, more than zero.
            now: seconds since 1970.
            limits: the budgets.

        Raises:
            OSError: the error could not be counted.
        """
        start = _start(now, limits.period)
        head = self._storage.read(0, _OTHERS * _SLOT.size)
        every = self._read(_ALL, _KEY_OF_ALL, head=head)
        every.turn(_start(now, limits.period_of_all), limits.period_of_all)
        slot = self._slot(kind, start)
        slot.turn(start, limits.period)
        is_first = slot.add_release(release)
        goes = is_first or slot.owed > 0 or (slot.sent < limits.of_kind and every.sent < limits.in_all)
        reports = max(slot.owed, 0) if goes else 0
        slot.owed -= reports
        slot.sent += goes
        slot.left += not goes
        self._write(slot)
        if goes:
            every.sent += 1
            with suppress(OSError):  # the error is counted, and may not be counted once more
                self._write(every)
        stopped = self._stopped_in_turn(self._read(_META, head=head), start, limits)
        is_full = slot.key == _KEY_OF_OTHERS
        return Taken(slot.kind(), release, slot.start, every.start, goes, is_first, reports, stopped, is_full)

    def undo(self, taken: Taken, now: float, limits: Limits) -> None:
        """Take an error out of the counts that is none after all.

        Args:
            taken: by ``take``.
            now: seconds since 1970.
            limits: the budgets.

        Raises:
            OSError: it stays in the counts.
        """
        slot = self._slot(taken.kind, _start(now, limits.period))
        is_same = slot.start == taken.start
        if not taken.goes:
            slot.left -= is_same
            slot.owed -= not is_same
        else:
            slot.owed += taken.reports
            slot.sent -= is_same and slot.sent > 0
        if taken.is_first:
            rest = [release for release in slot.releases if release != taken.release]
            slot.releases = tuple((rest + [0] * _RELEASES)[:_RELEASES])
        if slot.start == 0:  # it was removed meanwhile
            slot.start = taken.start
        self._write(slot)
        every = self._read(_ALL, _KEY_OF_ALL)
        if taken.goes and every.start == taken.start_of_all and every.sent > 0:
            every.sent -= 1
            with suppress(OSError):
                self._write(every)

    def owe(self, found: NotSent, now: float, limits: Limits) -> None:
        """Put back errors that no event could report.

        Args:
            found: by ``take`` or ``stopped``.
            now: seconds since 1970.
            limits: the budgets.

        Raises:
            OSError: they cannot be put back.
        """
        start = _start(now, limits.period)
        slot = self._slot(found.kind, start)
        slot.start = slot.start or start
        slot.owed += found.errors
        self._write(slot)

    def stopped(self, before: float) -> list[NotSent]:
        """Take out errors that were not sent, of kinds whose period began before a time.

        Args:
            before: seconds since 1970.

        Raises:
            OSError: the table cannot be read or written; what was taken out already is put back.
        """
        found: list[NotSent] = []
        try:
            for slot in self._slots():
                count = slot.left + slot.owed
                if count > 0 and slot.start < before:
                    slot.left = slot.owed = 0
                    self._write(slot)
                    found.append(NotSent(slot.kind(), count))
        except OSError:
            if not found:
                raise
        return found

    def stopped_in_turn(self, now: float, limits: Limits) -> list[NotSent]:
        """Take out errors that were not sent, of kinds that had none for a period; once in each period.

        Args:
            now: seconds since 1970.
            limits: the budgets.

        Raises:
            OSError: the table cannot be read or written.
        """
        return self._stopped_in_turn(self._read(_META), _start(now, limits.period), limits)

    def _stopped_in_turn(self, meta: _Slot, start: int, limits: Limits) -> list[NotSent]:
        if meta.start >= start and meta.start - start <= limits.period:
            return []
        try:
            meta.key, meta.start = _MAGIC, start
            self._write(meta)
            return self.stopped(start - limits.period)
        except OSError:  # the next error finds them
            return []

    def move_to(self, other: Table, now: float, limits: Limits) -> None:
        """Move all counts to another table.

        Args:
            other: the table.
            now: seconds since 1970.
            limits: the budgets.

        Raises:
            OSError: one of the tables cannot be read or written; what was not moved stays.
        """
        start = _start(now, limits.period)
        for slot in self._slots():
            target = other._slot(slot.kind(), start)
            slot.turn(max(target.start, start), limits.period)
            target.turn(slot.start, limits.period)
            target.sent += slot.sent
            target.left += slot.left
            target.owed += slot.owed
            for release in reversed([found for found in slot.releases if found]):
                target.add_release(release)
            other._write(target)
            self._storage.write(slot.offset, bytes(_SLOT.size))
        every, target = self._read(_ALL, _KEY_OF_ALL), other._read(_ALL, _KEY_OF_ALL)
        for each in (every, target):
            each.turn(_start(now, limits.period_of_all), limits.period_of_all)
        target.sent += every.sent
        other._write(target)
        self._storage.write(_ALL * _SLOT.size, bytes(_SLOT.size))

    def _slot(self, kind: Kind, start: int) -> _Slot:
        """Return the slot of a kind, a free one, or the one of kinds that have none."""
        if kind.key == _KEY_OF_OTHERS:
            return self._read(_OTHERS, _KEY_OF_OTHERS, _TITLE_OF_OTHERS)
        place = _page_of(kind.key, self._pages)
        page = self._storage.read(place, _PAGE)
        free: int | None = None
        oldest: _Slot | None = None
        for at in range(0, _PAGE, _SLOT.size):
            key = page[at : at + _KEY]
            if key == kind.key:
                return _Slot.unpack(place + at, page[at : at + _SLOT.size])
            if key == _NO_KEY:
                free = place + at if free is None else free
            elif free is None:
                slot = _Slot.unpack(place + at, page[at : at + _SLOT.size])
                is_idle = slot.left + slot.owed == 0 and slot.start < start
                if is_idle and (oldest is None or slot.start < oldest.start):
                    oldest = slot
        if free is None and oldest is not None:
            free = oldest.offset
        if free is None:
            return self._read(_OTHERS, _KEY_OF_OTHERS, _TITLE_OF_OTHERS)
        return _Slot(free, kind.key, title=_encoded(kind.title))

    def _slots(self) -> Iterator[_Slot]:
        """Yield the slots of kinds that are in use."""
        for page in range(self._pages + 1):
            data = self._storage.read(page * _PAGE, _PAGE)
            if data == _EMPTY:
                continue
            first = _OTHERS if page == 0 else 0
            for at in range(first * _SLOT.size, len(data), _SLOT.size):
                if data[at : at + _KEY] != _NO_KEY:
                    yield _Slot.unpack(page * _PAGE + at, data[at : at + _SLOT.size])

    def _read(self, number: int, key: bytes = b"", title: str = "", head: bytes | None = None) -> _Slot:
        """Return a slot of the first page, of which the first bytes may have been read before."""
        offset = number * _SLOT.size
        if head is None:
            head = self._storage.read(0, offset + _SLOT.size)
        slot = _Slot.unpack(offset, head[offset : offset + _SLOT.size])
        slot.key = key or slot.key
        slot.title = _encoded(title) or slot.title
        return slot

    def _write(self, slot: _Slot) -> None:
        self._storage.write(slot.offset, slot.pack())


def _start(now: float, seconds: int) -> int:
    return int(now // seconds) * seconds


def _encoded(title: str) -> bytes:
    return title.encode("utf-8", "replace")[:_LONGEST_TITLE]
