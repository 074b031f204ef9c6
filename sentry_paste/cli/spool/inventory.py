"""The inventory of a spool directory, and the plan of what to send; nothing is changed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sentry_paste.spool.names import ASIDE, CLAIMED, SpoolFile
from sentry_paste.spool.owner import Owner


@dataclass(frozen=True)
class Entry:
    """A file of a spool.

    Attributes:
        file: the file, as its name describes it.
        size: size in bytes; 0 if it has gone meanwhile.
        is_alive: whether the process that has claimed it is running; None if that cannot be known (it is
            on another host), and for a file that is not claimed.
    """

    file: SpoolFile
    size: int
    is_alive: bool | None = None

    @property
    def is_in_use(self) -> bool:
        """Whether it is claimed by a process that is running, or may be."""
        return self.file.state == CLAIMED and self.is_alive is not False


@dataclass
class Inventory:
    """The contents of a directory.

    Attributes:
        entries: the files of the spool, newest first.
        partial: how many files are being written, or were when their process died.
        foreign: how many other files there are; no command touches them.
    """

    entries: list[Entry] = field(default_factory=list)
    partial: int = 0
    foreign: int = 0

    def of(self, kinds: Collection[str] = (), state: str | None = None) -> Inventory:
        """Return the inventory with only some of its files.

        Args:
            kinds: kinds of files; empty for all.
            state: state of the files; None for any.
        """
        entries = [
            entry
            for entry in self.entries
            if (not kinds or entry.file.kind in kinds) and (state is None or entry.file.state == state)
        ]
        return Inventory(entries, self.partial, self.foreign)

    def totals(self) -> dict[str, tuple[int, int]]:
        """Return the number of files in each state, and their bytes."""
        counts: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        for entry in self.entries:
            counts[entry.file.state] += 1
            sizes[entry.file.state] += entry.size
        return {state: (count, sizes[state]) for state, count in counts.items()}


def take_inventory(directory: Path) -> Inventory:
    """List all files of a directory; none is opened.

    Args:
        directory: directory of the spool.

    Raises:
        OSError: it cannot be read.
    """
    inventory = Inventory()
    known: dict[Owner, bool | None] = {}
    with os.scandir(directory) as found:
        for item in found:
            file = SpoolFile.from_path(directory / item.name)
            if file is not None:
                inventory.entries.append(Entry(file, _size_of(item), _is_alive(file, known)))
            elif item.name.endswith(".partial"):
                inventory.partial += 1
            elif not item.name.startswith("."):  # locks, signs of life and destinations of the spool
                inventory.foreign += 1
    inventory.entries.sort(key=lambda entry: entry.file.path.name, reverse=True)
    return inventory


def _size_of(item: os.DirEntry[str]) -> int:
    try:
        return item.stat(follow_symlinks=False).st_size
    except OSError:  # sent meanwhile
        return 0


def _is_alive(file: SpoolFile, known: dict[Owner, bool | None]) -> bool | None:
    """Return whether the owner of a file is running; each owner is looked up once."""
    owner = file.owner
    if owner is None:
        return None
    if owner not in known:
        known[owner] = owner.is_alive()
    return known[owner]


@dataclass(frozen=True)
class SendPlan:
    """The files that will be sent, and how many will not.

    Attributes:
        entries: files to send, oldest first.
        elsewhere: how many are for other destinations, by destination.
        aside: how many were set aside.
        in_use: how many are claimed by another process.
    """

    entries: Sequence[Entry]
    elsewhere: Counter[str] = field(default_factory=Counter)
    aside: int = 0
    in_use: int = 0


def plan_sending(inventory: Inventory, destinations: Collection[str] | None, with_aside: bool) -> SendPlan:
    """Choose the files to send.

    Args:
        inventory: inventory of the spool.
        destinations: only files for these destinations; None for all.
        with_aside: whether to send files that were set aside too.
    """
    chosen: list[Entry] = []
    elsewhere: Counter[str] = Counter()
    aside = in_use = 0
    for entry in reversed(inventory.entries):
        if destinations is not None and entry.file.destination not in destinations:
            elsewhere[entry.file.destination] += 1
        elif entry.is_in_use:
            in_use += 1
        elif entry.file.state == ASIDE and not with_aside:
            aside += 1
        else:
            chosen.append(entry)
    return SendPlan(chosen, elsewhere, aside, in_use)
