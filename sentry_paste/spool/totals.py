"""The counts of all processes: those that have ended are added to a total, once.

Whoever adds the counts of a dead process finds out whether it still did what it was about to do.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sentry_paste.spool.counts import (
    DELIVER,
    OUTCOMES,
    PARTIAL,
    PREFIX,
    SIZE,
    counts_in,
    intentions,
    is_complete,
    parsed,
    state_in,
)
from sentry_paste.spool.names import KINDS
from sentry_paste.spool.private import FILE_MODE

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: two processes might add the same counts
    fcntl = None  # type: ignore[assignment]

_TOTAL, _LOCK = ".counts", ".counts.lock"
# Bytes of the longest total that is read, which is many times what this writes, and what no count comes to.
_LONGEST_TOTAL = 2**18
_MOST = 2**62
# What adds counts now, by process and directory.
_adding: dict[tuple[int, str], object] = {}


@dataclass
class Totals:
    """The counts of a spool.

    Attributes:
        counts: by kind and outcome.
        states: what each process last said of itself, by its name; see ``Ledger.say``.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_totals(directory: Path) -> Totals:
    """Return the counts of a spool, those of all processes together.

    Args:
        directory: directory of the spool.

    Raises:
        OSError: it cannot be read.
    """
    # Read first: what is added to it meanwhile is in a file that is still listed below.
    for _ in range(10):
        total = shown_total(directory)
        totals = _sum(directory, total)
        if shown_total(directory) == total:
            break
    return totals


def shown_total(directory: Path) -> dict[str, Any]:
    """Return the total; empty if it cannot be read.

    Args:
        directory: directory of the spool.
    """
    try:
        return _read_total(directory)
    except OSError:  # another user's
        return {}


def _sum(directory: Path, total: Mapping[str, Any]) -> Totals:
    totals = Totals(_counts_of(total))
    totals.states[""] = _state_of(total)
    for name in _names(directory):
        if name != total.get("added"):
            data = _read_counts(directory / name)
            if data is not None:
                totals.counts.update(counts_in(data))
                totals.states[name[len(PREFIX) :]] = state_in(data)
    return totals


def add_dead(directory: Path, is_alive: Mapping[str, bool]) -> None:
    """Add the counts of processes that have ended to the total, and finish what they had begun.

    Args:
        directory: directory of the spool.
        is_alive: whether each process is alive, by its name.

    Raises:
        OSError: the counts cannot be added now. What was delivered is removed all the same.
    """
    dead = [name for name in _names(directory) if not is_alive.get(_owner_of(name), True)]
    if not dead:
        return
    # First of all, and without the lock: what Sentry has accepted must not be sent again, whatever becomes of
    # the counts.
    for name in dead:
        with suppress(OSError):  # of one that cannot be read nothing is known
            _remove_delivered(directory, name)
    with _only_one(directory) as is_mine:
        if is_mine:
            # First the one that was added last, also of another host: if its file is still there, it has to
            # go before another name takes the place of its own.
            added = _read_total(directory).get("added")
            left = [name for name in _names(directory) if name == added]
            for name in (*left, *(name for name in dead if name != added)):
                _add(directory, name)


def owners(directory: Path) -> dict[str, float]:
    """Return the processes that have counted something, by their names, and when each last did so.

    Args:
        directory: directory of the spool.
    """
    found: dict[str, float] = {}
    for name in _names(directory):
        with suppress(OSError):  # added meanwhile
            owner, changed = _owner_of(name), os.lstat(directory / name).st_mtime
            found[owner] = max(found.get(owner, 0.0), changed)
    return found


def names_with(directory: Path, beginning: str) -> list[str]:
    """Return the names in a directory that begin with a text.

    Args:
        directory: of the spool.
        beginning: of the names.

    Raises:
        OSError: the directory cannot be read.
    """
    # One by one: the entries of 100,000 files that wait take 40 MB.
    with os.scandir(directory) as found:
        return [item.name for item in found if item.name.startswith(beginning)]


def _names(directory: Path) -> list[str]:
    return names_with(directory, PREFIX)


def _owner_of(name: str) -> str:
    return name[len(PREFIX) :].partition(".")[0]


def _add(directory: Path, name: str) -> None:
    path = directory / name
    total = _read_total(directory)
    if total.get("added") != name:
        try:
            data = _read(path, SIZE)
        except PermissionError:  # another user's
            return
        if data is None:
            return
        if is_complete(data):
            counts = _counts_of(total) + counts_in(data)
            counts.update(_finish(directory, data))
            state = {**_state_of(total), **state_in(data)}
            for gone in ("sends", "limits"):
                state.pop(gone, None)
            _write_total(directory, counts, name, state)
    # If this process ends here, the next one knows by the name that the counts were added.
    with suppress(FileNotFoundError):
        os.unlink(path)


def _remove_delivered(directory: Path, name: str) -> None:
    """Remove the files that a process had delivered when it ended."""
    data = _read_counts(directory / name)
    begun = list(intentions(data)) if data is not None else []
    delivered = [intention for intention in begun if intention.action == DELIVER]
    names = os.listdir(directory) if delivered else []
    for intention in delivered:
        for found in intention.files(names):
            if not found.endswith(PARTIAL):
                with suppress(FileNotFoundError):
                    os.unlink(directory / found)


def _finish(directory: Path, data: bytes) -> Counter[tuple[str, str]]:
    """Return what came of that which a process had begun when it ended."""
    found: Counter[tuple[str, str]] = Counter()
    names = os.listdir(directory)
    for intention in intentions(data):
        if intention.was_done(names):
            found[intention.kind, intention.outcome] += 1
    return found


@contextmanager
def _only_one(directory: Path) -> Iterator[bool]:
    """Yield whether this client is the only one that adds counts, of all processes."""
    # The lock is one of processes. The first client that enters its token is the one of this process.
    token, place = object(), (os.getpid(), str(directory))
    if _adding.setdefault(place, token) is not token:
        yield False
        return
    try:
        with _only_process(directory) as is_only:
            yield is_only
    finally:
        del _adding[place]


@contextmanager
def _only_process(directory: Path) -> Iterator[bool]:
    """Yield whether this process is the only one that adds counts."""
    if fcntl is None:  # pragma: no cover
        yield True
        return
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _read_counts(path: Path) -> bytes | None:
    """Return the bytes of a file of counts; None if it is gone, another user's or something else.

    Raises:
        OSError: it cannot be read now.
    """
    try:
        data = _read(path, SIZE)
    except PermissionError:
        return None
    return data if data is not None and is_complete(data) else None


def _read(path: Path, most: int) -> bytes | None:
    """Return the first bytes of a file; None if it is gone or something else.

    Raises:
        PermissionError: it is another user's.
        OSError: it cannot be read now.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return None
        raise
    try:
        return os.read(descriptor, most) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    finally:
        os.close(descriptor)


def _read_total(directory: Path) -> dict[str, Any]:
    """Return the total; empty if there is none yet.

    Raises:
        OSError: it cannot be read now, or is another user's, and must not be taken for none.
    """
    return parsed(_read(directory / _TOTAL, _LONGEST_TOTAL) or b"")


def _counts_of(total: Mapping[str, Any]) -> Counter[tuple[str, str]]:
    """Return the counts of a total, as far as they are counts: anybody may have written it."""
    found: Counter[tuple[str, str]] = Counter()
    counts = total.get("counts")
    for kind, outcomes in counts.items() if isinstance(counts, dict) else ():
        for outcome, count in outcomes.items() if isinstance(outcomes, dict) else ():
            if kind in KINDS and outcome in OUTCOMES and type(count) is int and 0 < count < _MOST:
                found[kind, outcome] = count
    return found


def _state_of(total: Mapping[str, Any]) -> dict[str, Any]:
    state = total.get("state")
    return state if isinstance(state, dict) else {}


def _write_total(
    directory: Path, counts: Counter[tuple[str, str]], added: str, state: Mapping[str, Any]
) -> None:
    table: dict[str, dict[str, int]] = {}
    for (kind, outcome), count in sorted(counts.items()):
        table.setdefault(kind, {})[outcome] = count
    text = json.dumps({"added": added, "at": time.time(), "counts": table, "state": dict(state)})
    partial = directory / f"{_TOTAL}.new"
    with suppress(FileNotFoundError):
        os.unlink(partial)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(text)
    os.rename(partial, directory / _TOTAL)
