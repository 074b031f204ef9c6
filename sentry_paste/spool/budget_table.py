"""Counts of an error budget: how many errors of each kind were sent in a period, and how many were not.

A table has a fixed size, in memory or in a file. A kind has a slot in one page, which its key chooses; each
change is one write within one page, which a kill does not divide. No error is lost from the counts:
the errors that went, those that events have reported as not sent, and those that a slot still has are all.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

_SLOT = struct.Struct("<16s4q9I172s")
_PAGE = 4096
_EMPTY = bytes(_PAGE)
_KEY = 16
_NO_KEY = bytes(_KEY)
_RELEASES = 8
_NO_RELEASES = (0,) * _RELEASES
_LONGEST_TITLE = 172
_MOST = 2**63 - 1
_EVER = float("inf")
#: Pages with kinds, of 16 each.
PAGES = 1024
# The first slot of the first page: which version has written the table, and the time until which it was
# searched for kinds that have stopped. The others, for each period: all kinds together, and the kinds that
# have no slot of their own.
_MAGIC = b"sp error budget2"
_META = 0
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
        period: of the kind, in seconds.
        start: of the kind's period, in seconds since 1970.
        period_of_all: of all kinds, in seconds.
        start_of_all: of the period of all kinds.
        goes: whether it is sent.
        is_first: whether it is the first of its kind, or of the kind in its release.
        reports: how many errors of the kind that were not sent its event reports.
        stopped: errors of other kinds that no event of these has reported, as there are no more of them.
        is_full: whether the kind has no slot of its own.
    """

    kind: Kind
    release: int
    period: int
    start: int
    period_of_all: int
    start_of_all: int
    goes: bool
    is_first: bool
    reports: int
    stopped: list[NotSent]
    is_full: bool


@dataclass
class _Slot:
    """The counts of a kind in periods of one length.

    Attributes:
        offset: in the table.
        key: of the kind, zeros if the slot is free.
        period: in seconds.
        start: of the period, in seconds since 1970.
        sent: errors that were sent in the period.
        left: errors that were not; less than zero if one that an event has reported is none after all.
        owed: errors that were not sent in periods before, likewise.
        releases: numbers of the last releases that had an error of the kind, the latest first.
        title: of the kind, in UTF-8.
    """

    offset: int
    key: bytes
    period: int
    start: int = 0
    sent: int = 0
    left: int = 0
    owed: int = 0
    releases: tuple[int, ...] = _NO_RELEASES
    title: bytes = b""

    @classmethod
    def unpack(cls, offset: int, data: bytes) -> _Slot:
        key, start, sent, left, owed, period, *releases, title = _SLOT.unpack(data)
        period = max(period, 1)  # a disk may have made any number of it
        return cls(offset, key, period, start, sent, left, owed, tuple(releases), title.rstrip(b"\0"))

    def pack(self) -> bytes:
        # A disk may have made any numbers of them.
        numbers = [
            max(min(number, _MOST), -_MOST) for number in (self.start, self.sent, self.left, self.owed)
        ]
        return _SLOT.pack(self.key, *numbers, self.period, *self.releases, self.title)

    def turn(self, now: float) -> None:
        """Begin another period, if there is one.

        A clock that was set back goes on with the period that has begun, but for no longer than one: it may
        have been wrong before.
        """
        start = _start(now, self.period)
        if self.start < start or self.start - start > self.period:
            self.start, self.sent, self.left, self.owed = start, 0, 0, self.owed + self.left

    def begin_with(self, other: _Slot) -> None:
        """Count what another slot has counted, which has periods of another length; what it owes moves here.

        More than one process does so, one after another.
        """
        if other.start >= self.start:
            self.sent = max(self.sent, other.sent)
            self.left += other.left
        else:
            self.owed += other.left
        self.owed += other.owed
        other.left = other.owed = 0
        self.add_releases(other.releases)

    def add_releases(self, releases: Sequence[int]) -> None:
        """Record the releases of another slot, the latest first."""
        for release in reversed([found for found in releases if found]):
            self.add_release(release)

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
        meta = self._meta()
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
        head = self._storage.read(0, _PAGE)
        every = _in_head(head, _KEY_OF_ALL, limits.period_of_all)
        every.turn(now)
        slot = self._slot(kind, limits.period, now)
        slot.turn(now)
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
        stopped = self._stopped_in_turn(_Slot.unpack(0, head[: _SLOT.size]), now, limits)
        return Taken(
            slot.kind(),
            release,
            slot.period,
            slot.start,
            every.period,
            every.start,
            goes,
            is_first,
            reports,
            stopped,
            is_full=slot.key == _KEY_OF_OTHERS,
        )

    def undo(self, taken: Taken, now: float) -> None:
        """Take an error out of the counts that is none after all.

        Args:
            taken: by ``take``.
            now: seconds since 1970.

        Raises:
            OSError: it stays in the counts.
        """
        slot = self._slot(taken.kind, taken.period, now)
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
        every = _in_head(self._storage.read(0, _PAGE), _KEY_OF_ALL, taken.period_of_all)
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
        slot = self._slot(found.kind, limits.period, now)
        slot.start = slot.start or _start(now, slot.period)
        slot.owed += found.errors
        self._write(slot)

    def stopped(self, now: float) -> list[NotSent]:
        """Take out errors that were not sent, of kinds that had none for a whole period.

        Args:
            now: seconds since 1970; infinite for all kinds.

        Raises:
            OSError: the table cannot be read or written; what was taken out already is put back.
        """
        found: list[NotSent] = []
        try:
            for slot in self._slots():
                count = slot.left + slot.owed
                if count > 0 and (now == _EVER or slot.start < _start(now, slot.period) - slot.period):
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
        return self._stopped_in_turn(self._meta(), now, limits)

    def _stopped_in_turn(self, meta: _Slot, now: float, limits: Limits) -> list[NotSent]:
        start = _start(now, limits.period)
        if meta.start >= start and meta.start - start <= limits.period:
            return []
        try:
            meta.key, meta.start = _MAGIC, start
            self._write(meta)
            return self.stopped(now)
        except OSError:  # the next error finds them
            return []

    def move_to(self, other: Table, now: float) -> None:
        """Move all counts to another table.

        Args:
            other: the table.
            now: seconds since 1970.

        Raises:
            OSError: one of the tables cannot be read or written; what was not moved stays.
        """
        for slot in self._slots():
            target = other._slot(slot.kind(), slot.period, now)
            slot.turn(max(target.start, now))
            target.turn(slot.start)
            target.sent += slot.sent
            target.left += slot.left
            target.owed += slot.owed
            target.add_releases(slot.releases)
            other._write(target)
            self._storage.write(slot.offset, bytes(_SLOT.size))
        for every in self._slots_of_all():
            target = _in_head(other._storage.read(0, _PAGE), _KEY_OF_ALL, every.period)
            for each in (every, target):
                each.turn(now)
            target.sent += every.sent
            other._write(target)
            self._storage.write(every.offset, bytes(_SLOT.size))

    def change_periods(self, before: Limits, after: Limits, now: float) -> None:
        """Begin budgets with other periods with the counts so far, which budgets of others may go on with.

        Args:
            before: the budgets so far.
            after: those that apply from now on.
            now: seconds since 1970.

        Raises:
            OSError: the table cannot be read or written; what was not moved stays.
        """
        for slot in self._slots() if before.period != after.period else ():
            if slot.period != before.period:
                continue
            target = self._slot(slot.kind(), after.period, now)
            if target.key != slot.key:  # there is no room for two
                slot.period = after.period
                self._write(slot)
                continue
            slot.turn(now)
            target.turn(now)
            target.begin_with(slot)
            self._write(target)
            self._write(slot)
        for every in self._slots_of_all():
            if every.period == before.period_of_all != after.period_of_all:
                target = _in_head(self._storage.read(0, _PAGE), _KEY_OF_ALL, after.period_of_all)
                every.turn(now)
                target.turn(now)
                target.begin_with(every)
                self._write(target)

    def _slot(self, kind: Kind, period: int, now: float) -> _Slot:
        """Return the slot of a kind, a free one, or the one of kinds that have none."""
        if kind.key == _KEY_OF_OTHERS:
            return self._others(period)
        place = _page_of(kind.key, self._pages)
        page = self._storage.read(place, _PAGE)
        free: int | None = None
        oldest: _Slot | None = None
        for at in range(0, _PAGE, _SLOT.size):
            key = page[at : at + _KEY]
            if key == _NO_KEY:
                free = place + at if free is None else free
            elif key == kind.key or free is None:
                slot = _Slot.unpack(place + at, page[at : at + _SLOT.size])
                if key == kind.key and slot.period == period:
                    return slot
                is_idle = slot.left + slot.owed == 0 and slot.start < _start(now, slot.period)
                if is_idle and (oldest is None or slot.start < oldest.start):
                    oldest = slot
        if free is None and oldest is not None:
            free = oldest.offset
        if free is None:
            return self._others(period)
        return _Slot(free, kind.key, period, title=_encoded(kind.title))

    def _others(self, period: int) -> _Slot:
        found = _in_head(self._storage.read(0, _PAGE), _KEY_OF_OTHERS, period)
        found.title = _encoded(_TITLE_OF_OTHERS)
        return found

    def _slots(self) -> Iterator[_Slot]:
        """Yield the slots of kinds that are in use."""
        for page in range(self._pages + 1):
            data = self._storage.read(page * _PAGE, _PAGE)
            if data == _EMPTY:
                continue
            first = _SLOT.size if page == 0 else 0
            for at in range(first, len(data), _SLOT.size):
                if data[at : at + _KEY] not in (_NO_KEY, _KEY_OF_ALL):
                    yield _Slot.unpack(page * _PAGE + at, data[at : at + _SLOT.size])

    def _slots_of_all(self) -> list[_Slot]:
        """Return the slots of all kinds together, one for each period."""
        head = self._storage.read(0, _PAGE)
        places = range(_SLOT.size, _PAGE, _SLOT.size)
        return [
            _Slot.unpack(at, head[at : at + _SLOT.size])
            for at in places
            if head[at : at + _KEY] == _KEY_OF_ALL
        ]

    def _meta(self) -> _Slot:
        return _Slot.unpack(_META, self._storage.read(_META, _SLOT.size))

    def _write(self, slot: _Slot) -> None:
        self._storage.write(slot.offset, slot.pack())


def _in_head(head: bytes, key: bytes, period: int) -> _Slot:
    """Return a slot of the first page, or a free one: there is room for more periods than an ini may have."""
    free = 0
    for at in range(_SLOT.size, _PAGE, _SLOT.size):
        found = head[at : at + _KEY]
        if found == key:
            slot = _Slot.unpack(at, head[at : at + _SLOT.size])
            if slot.period == period:
                return slot
        elif found == _NO_KEY:
            free = free or at
    return _Slot(free or _PAGE - _SLOT.size, key, period)


def _start(now: float, seconds: int) -> int:
    return int(now // seconds) * seconds


def _encoded(title: str) -> bytes:
    return title.encode("utf-8", "replace")[:_LONGEST_TITLE]
