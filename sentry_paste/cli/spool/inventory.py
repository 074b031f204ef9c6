"""Look into a spool directory, and change nothing in it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sentry_paste.spool.names import ASIDE, CLAIMED, SpoolFile
from sentry_paste.spool.owner import Owner


@dataclass(frozen=True)
class Held:
    """A file that a spool holds.

    Attributes:
        file: as far as its name tells.
        size: bytes; 0 where it has gone meanwhile.
        is_alive: whether the process runs that has claimed it; None where that cannot be known (it is on
            another host), and for a file that nobody has claimed.
    """

    file: SpoolFile
    size: int
    is_alive: bool | None = None

    @property
    def is_in_use(self) -> bool:
        """Whether a process has it that runs, or may run."""
        return self.file.state == CLAIMED and self.is_alive is not False


@dataclass
class Survey:
    """What a directory holds.

    Attributes:
        held: the spool's files, newest first.
        partial: how many files are being written, or were when their process died.
        foreign: how many others there are, which no command touches.
    """

    held: list[Held] = field(default_factory=list)
    partial: int = 0
    foreign: int = 0

    def of(self, kinds: Collection[str] = (), state: str | None = None) -> Survey:
        """Return the survey with fewer files.

        Args:
            kinds: of the files; all where there are none.
            state: of the files; any where it is None.
        """
        held = [
            found
            for found in self.held
            if (not kinds or found.file.kind in kinds) and (state is None or found.file.state == state)
        ]
        return Survey(held, self.partial, self.foreign)

    def totals(self) -> dict[str, tuple[int, int]]:
        """Return how many files there are in each state, and of how many bytes."""
        counts: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        for found in self.held:
            counts[found.file.state] += 1
            sizes[found.file.state] += found.size
        return {state: (count, sizes[state]) for state, count in counts.items()}


def survey(directory: Path) -> Survey:
    """Look at all files of a directory; none is opened.

    Args:
        directory: the spool's.

    Raises:
        OSError: it cannot be read.
    """
    found = Survey()
    lives: dict[Owner, bool | None] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            file = SpoolFile.from_path(directory / entry.name)
            if file is not None:
                found.held.append(Held(file, _size_of(entry), _life(file, lives)))
            elif entry.name.endswith(".partial"):
                found.partial += 1
            elif not entry.name.startswith("."):  # the spool's own signs and locks
                found.foreign += 1
    found.held.sort(key=lambda held: held.file.path.name, reverse=True)
    return found


def _size_of(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:  # sent meanwhile
        return 0


def _life(file: SpoolFile, lives: dict[Owner, bool | None]) -> bool | None:
    """Return whether the owner of a file lives; each is asked for once."""
    owner = file.owner
    if owner is None:
        return None
    if owner not in lives:
        lives[owner] = owner.is_alive()
    return lives[owner]


@dataclass(frozen=True)
class Plan:
    """What is to be sent of a spool, and what is not.

    Attributes:
        held: to be sent, the oldest first.
        elsewhere: how many were captured for other destinations, by these.
        aside: how many were set aside.
        in_use: how many are another process's at the moment.
    """

    held: Sequence[Held]
    elsewhere: Counter[str] = field(default_factory=Counter)
    aside: int = 0
    in_use: int = 0


def plan(found: Survey, destinations: Collection[str] | None, with_aside: bool) -> Plan:
    """Return what is to be sent.

    Args:
        found: in the spool.
        destinations: whose files are sent, those of all where None.
        with_aside: whether what was set aside is sent too.
    """
    chosen: list[Held] = []
    elsewhere: Counter[str] = Counter()
    aside = in_use = 0
    for held in reversed(found.held):
        if destinations is not None and held.file.destination not in destinations:
            elsewhere[held.file.destination] += 1
        elif held.is_in_use:
            in_use += 1
        elif held.file.state == ASIDE and not with_aside:
            aside += 1
        else:
            chosen.append(held)
    return Plan(chosen, elsewhere, aside, in_use)
