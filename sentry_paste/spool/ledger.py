"""The counts of a spool: what was captured, delivered and dropped, across processes and restarts.

At any time, ``captured`` is the sum of what was delivered, what waits, what was set aside and
what was dropped. Each process counts in a file of its own. Before a file is written or
removed, the intention is written down as well, so that whoever adds the counts of a dead process
to the total knows whether it still came to that. A count and the end of its intention are one
write within one page, which a kill does not divide.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sentry_paste.sdk.forks import reset_when_forked
from sentry_paste.spool.names import KINDS, SpoolFile
from sentry_paste.spool.owner import current

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: two processes might add the same counts
    fcntl = None  # type: ignore[assignment]

#: What can become of an envelope, except that it waits or is set aside, which the directory shows.
CAPTURED, DELIVERED = "captured", "delivered"
#: Why envelopes were dropped: by the bounds, by ``spool purge``, because sending failed and storing did too,
#: because the server refused what was not stored, and because the app did not want it after all.
DROPPED = (
    "too old",
    "too many",
    "purged",
    "network_error",
    "ratelimit_backoff",
    "queue_overflow",
    "refused",
    "withdrawn",
)
_OUTCOMES = (CAPTURED, DELIVERED, *DROPPED)

_PREFIX = ".counts"
_TOTAL, _LOCK = ".counts", ".counts.lock"
_FILE_MODE = 0o600
_MAGIC = b"sentry_paste counts 1\n"
_PAGE = 4096
_COUNT = struct.Struct("<Q")
_COUNTS_AT = 64
# Each intention is a letter, the index of the kind, that of the outcome, and id and checksum of a file.
_SLOT = struct.Struct("<cBB16s8s5x")
_SLOTS_AT = 2048
_SLOTS = 64
# On the next page, what the process says of itself.
_LENGTH = struct.Struct("<I")
_SIZE = 2 * _PAGE
# Characters of a text there, such as the reason of a failure.
_LONGEST_TEXT = 200
# Bytes of the longest total that is read, which is many times what this writes, and what no count comes to.
_LONGEST_TOTAL = 2**18
_MOST = 2**62
# How many files a process has at most, one for each client that it has had.
_MOST_FILES = 1000
# Intentions: a file that is complete under a partial name will be renamed, one that a dead process has left
# under such a name will be set aside, and a file will be removed after it was delivered, or to drop it.
_WRITE, _SET_ASIDE, _DELIVER, _DROP, _FREE = b"w", b"a", b"d", b"x", b"\0"
# What such names end with before and after a file was set aside.
_PARTIAL, _PARTIAL_ASIDE = ".partial", ".aside-partial"
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


class Ledger:
    """The counts of this process, in a file of the spool's directory.

    Until the directory exists, or while it is full, it counts in memory.

    Args:
        directory: directory of the spool.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # Reentrant: the garbage collector may run while it is held, and a destructor may log an error.
        self._lock = threading.RLock()
        self._path = directory
        self._begin()
        reset_when_forked(self)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._page = bytearray(_PAGE)
        self._page[: len(_MAGIC)] = _MAGIC
        self._descriptor: int | None = None
        # Device and inode of the file, None before there is one.
        self._file: tuple[int, int] | None = None
        # Whether the file lacks counts.
        self._is_behind = False
        # Whether this process has as many files as it may have: it takes long to find out.
        self._has_no_place = False
        self._state: dict[str, Any] = {}

    def ensure(self) -> None:
        """Create the file of this process, if the directory is there and has none."""
        with self._locked():
            if self._file is not None:
                if not _is_gone(self._path, self._file):
                    if self._descriptor is None:
                        self._descriptor = _open_again(self._path, self._file)
                    if self._is_behind:
                        self._write()
                    return
                # Its counts were added to the total, or went with the directory.
                self.close()
                self._file = None
                self._page[_COUNTS_AT:_SLOTS_AT] = bytes(_SLOTS_AT - _COUNTS_AT)
            if self._has_no_place:
                return
            # One for each client of this process. What has the name that was added last does not count.
            added = _shown_total(self._directory).get("added")
            for number in range(_MOST_FILES):
                self._path = self._directory / f"{_PREFIX}-{current()}.{number}"
                if self._path.name == added:
                    continue
                try:
                    created = _create(self._path)
                except FileExistsError:
                    continue
                if created is not None:
                    self._descriptor, self._file = created
                break
            else:
                self._has_no_place = True
            self._write()
            self.say()

    def __del__(self) -> None:
        """Close the file of this process, whose counts stay."""
        self.close()

    def close(self) -> None:
        """Close the file of this process."""
        # Without the lock, as a destructor calls it.
        descriptor, self._descriptor = self._descriptor, None
        _close(descriptor, self._file)

    def reset_after_fork(self) -> None:
        """Begin again in a process that was forked: the counts are its parent's, as is who holds the lock."""
        descriptor, file = self._descriptor, self._file
        self._lock = threading.RLock()
        self._begin()
        _close(descriptor, file)

    def _locked(self) -> AbstractContextManager[Any]:
        if self._pid != os.getpid():  # forked in C without Python's fork hooks, as uWSGI does
            self.reset_after_fork()
        return self._lock

    @property
    def has_file(self) -> bool:
        """Whether this process has a file, which may be gone meanwhile."""
        return self._descriptor is not None and self._pid == os.getpid()

    def _check(self) -> None:
        """Make sure that the descriptor is that of the file, and the file still counts."""
        if self._descriptor is None:
            return
        try:
            found = os.fstat(self._descriptor)
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._file:
            # The app has closed it, as daemons close all descriptors, and another file may have the number.
            self._descriptor, self._is_behind = None, True
            self.ensure()
        elif not found.st_nlink:
            self.ensure()

    def _write(self) -> None:
        if self._descriptor is not None:
            try:
                os.pwrite(self._descriptor, self._page, 0)
            except OSError:  # the next count writes this one as well, or ``ensure``
                self._is_behind = True
            else:
                self._is_behind = False

    def count(self, kind: str, *outcomes: str) -> None:
        """Count an envelope.

        Args:
            kind: one of ``names.KINDS``.
            outcomes: what became of it.
        """
        with self._locked():
            self._check()
            self._count(kind, outcomes)
            self._write()

    def _count(self, kind: str, outcomes: Iterable[str]) -> None:
        for outcome in outcomes:
            place = _COUNTS_AT + _index(kind, outcome) * _COUNT.size
            _COUNT.pack_into(self._page, place, _COUNT.unpack_from(self._page, place)[0] + 1)

    def will_write(self, file: SpoolFile) -> int:
        """Write down that a file is about to be renamed, which is complete under a partial name.

        Args:
            file: the file.

        Returns:
            A number for ``wrote``.
        """
        return self._intend(_WRITE, file, CAPTURED)

    def will_set_aside(self, file: SpoolFile) -> int:
        """Write down that a partial file of a dead process is about to be set aside.

        Args:
            file: the file.

        Returns:
            A number for ``wrote``.
        """
        return self._intend(_SET_ASIDE, file, CAPTURED)

    def wrote(self, intention: int, file: SpoolFile, is_written: bool) -> None:
        """Count an envelope as captured, if its file was renamed.

        Args:
            intention: by ``will_write`` or ``will_set_aside``.
            file: the file.
            is_written: whether it was renamed.
        """
        self._settle(intention, file.kind, (CAPTURED,) if is_written else ())

    @contextmanager
    def removing(self, file: SpoolFile, outcome: str) -> Iterator[Callable[[], None]]:
        """Count what becomes of a file that is removed meanwhile, also if that ends the process.

        Args:
            file: the file, which only this process touches.
            outcome: ``delivered``, or why it is dropped.

        Yields:
            A function to call when the file was removed.
        """
        slot = self._intend(_DELIVER if outcome == DELIVERED else _DROP, file, outcome)
        # What version 1.0 has written was not counted when it was captured.
        outcomes: tuple[str, ...] = (outcome,) if file.checksum else (CAPTURED, outcome)
        was_removed = False

        def removed() -> None:
            nonlocal was_removed
            was_removed = True

        try:
            yield removed
        finally:
            self._settle(slot, file.kind, outcomes if was_removed else ())

    def say(self, **state: Any) -> None:
        """Say something about this process, which ``spool status`` shows.

        Args:
            state: what can be written as JSON; None takes a value back.
        """
        with self._locked():
            self._check()
            said = {**self._state, **state}
            self._state = {name: value for name, value in said.items() if value is not None}
            data = json.dumps({name: _short(value) for name, value in self._state.items()}).encode()
            if self._descriptor is not None and len(data) <= _PAGE - _LENGTH.size:
                with suppress(OSError):
                    os.pwrite(self._descriptor, _LENGTH.pack(len(data)) + data, _PAGE)

    def _intend(self, action: bytes, file: SpoolFile, outcome: str) -> int:
        """Write down what is about to be done; return its place, -1 if there is none left."""
        entry = (
            action,
            _kind_index(file.kind),
            _OUTCOMES.index(outcome),
            bytes.fromhex(file.id),
            bytes.fromhex(file.checksum),
        )
        with self._locked():
            self._check()
            for slot in range(_SLOTS):
                place = _SLOTS_AT + slot * _SLOT.size
                if self._page[place] == 0:
                    _SLOT.pack_into(self._page, place, *entry)
                    self._write()
                    return slot
        return -1

    def _settle(self, slot: int, kind: str = "other", outcomes: Iterable[str] = ()) -> None:
        with self._locked():
            self._check()
            self._count(kind, outcomes)
            if slot >= 0:
                self._page[_SLOTS_AT + slot * _SLOT.size] = 0
            self._write()


def _short(value: Any) -> Any:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else value


def _create(path: Path) -> tuple[int, tuple[int, int]] | None:
    """Create a file of counts; return its descriptor, device and inode, None if that is not possible.

    Raises:
        FileExistsError: it is another client's.
    """
    # If somebody has put something there, such as a symbolic link, it is not followed.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags, _FILE_MODE)
    except FileExistsError:
        raise
    except OSError:  # there is no directory, no room or no right
        return None
    try:
        _keep_owner(path, descriptor)
        found = os.fstat(descriptor)
    except OSError:  # nobody else could add the counts, or this process would begin another file
        with suppress(OSError):
            os.close(descriptor)
        with suppress(OSError):
            os.unlink(path)
        return None
    with suppress(OSError):
        os.pwrite(descriptor, bytes(_SIZE), 0)
    return descriptor, (found.st_dev, found.st_ino)


def _open_again(path: Path, file: tuple[int, int]) -> int | None:
    """Open a file of counts that this process has created; return None if that is not possible."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return None
    if _file_of(descriptor) == file:
        return descriptor
    with suppress(OSError):
        os.close(descriptor)
    return None


def _close(descriptor: int | None, file: tuple[int, int] | None) -> None:
    """Close a descriptor if it still is that of a file: the app may have closed it and opened another one."""
    if descriptor is not None and file is not None and _file_of(descriptor) == file:
        with suppress(OSError):
            os.close(descriptor)


def _file_of(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_gone(path: Path, file: tuple[int, int]) -> bool:
    """Return whether a file has gone, or another one has its name; False if that cannot be known now."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # beginning again in another file would count what is about to be done in both
        return False
    return (found.st_dev, found.st_ino) != file


def _keep_owner(path: Path, descriptor: int) -> None:
    """Give a file to the owner of its directory, if root has made it, as with ``spool purge``.

    Raises:
        OSError: it stays root's.
    """
    if hasattr(os, "fchown"):
        owner = os.stat(path.parent)
        if owner.st_uid != os.geteuid():
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def read_totals(directory: Path) -> Totals:
    """Return the counts of a spool, those of all processes together.

    Args:
        directory: directory of the spool.

    Raises:
        OSError: it cannot be read.
    """
    # Read first: what is added to it meanwhile is in a file that is still listed below.
    for _ in range(10):
        total = _shown_total(directory)
        totals = _sum(directory, total)
        if _shown_total(directory) == total:
            break
    return totals


def _shown_total(directory: Path) -> dict[str, Any]:
    """Return the total, empty if it cannot be read."""
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
                totals.counts.update(_counts_in(data))
                totals.states[name[len(_PREFIX) + 1 :]] = _state_in(data)
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
    return names_with(directory, f"{_PREFIX}-")


def _owner_of(name: str) -> str:
    return name[len(_PREFIX) + 1 :].partition(".")[0]


def _add(directory: Path, name: str) -> None:
    path = directory / name
    total = _read_total(directory)
    if total.get("added") != name:
        try:
            data = _read(path, _SIZE)
        except PermissionError:  # another user's
            return
        if data is None:
            return
        if _is_complete(data):
            counts = _counts_of(total) + _counts_in(data)
            counts.update(_finish(directory, data))
            state = {**_state_of(total), **_state_in(data)}
            for gone in ("sends", "limits"):
                state.pop(gone, None)
            _write_total(directory, counts, name, state)
    # If this process ends here, the next one knows by the name that the counts were added.
    with suppress(FileNotFoundError):
        os.unlink(path)


def _remove_delivered(directory: Path, name: str) -> None:
    """Remove the files that a process had delivered when it ended."""
    data = _read_counts(directory / name)
    begun = list(_intentions(data)) if data is not None else []
    delivered = [intention for intention in begun if intention.action == _DELIVER]
    names = os.listdir(directory) if delivered else []
    for intention in delivered:
        for found in intention.files(names):
            if not found.endswith(_PARTIAL):
                with suppress(FileNotFoundError):
                    os.unlink(directory / found)


class _Intention(NamedTuple):
    """What a process had begun when it ended.

    Attributes:
        action: ``_WRITE``, ``_SET_ASIDE``, ``_DELIVER`` or ``_DROP``.
        kind: of the file.
        outcome: that it comes to.
        middle: part of the file's name.
        end: of the file's name without its state.
    """

    action: bytes
    kind: str
    outcome: str
    middle: str
    end: str

    def files(self, names: Iterable[str]) -> list[str]:
        """Return the names under which the file is there.

        Args:
            names: of all files.
        """
        return [name for name in names if self.middle in name and self.end in name]

    def was_done(self, names: Iterable[str]) -> bool:
        """Return whether it was done before the process ended.

        Args:
            names: of all files.
        """
        found = self.files(names)
        if self.action == _WRITE:  # another process may have set it aside meanwhile, and counted it
            return not any(name.endswith((_PARTIAL, _PARTIAL_ASIDE)) for name in found)
        if self.action == _SET_ASIDE:
            return any(name.endswith(_PARTIAL_ASIDE) for name in found)
        return self.action == _DELIVER or all(name.endswith(_PARTIAL) for name in found)


def _intentions(data: bytes) -> Iterator[_Intention]:
    for slot in range(_SLOTS):
        action, kind, outcome, identity, checksum = _SLOT.unpack_from(data, _SLOTS_AT + slot * _SLOT.size)
        if action != _FREE and kind < len(KINDS) and outcome < len(_OUTCOMES):
            end = f"-{checksum.hex()}.envelope" if checksum.strip(b"\0") else ".envelope"
            yield _Intention(action, KINDS[kind], _OUTCOMES[outcome], f"-{identity.hex()}-", end)


def _finish(directory: Path, data: bytes) -> Counter[tuple[str, str]]:
    """Return what came of that which a process had begun when it ended."""
    found: Counter[tuple[str, str]] = Counter()
    names = os.listdir(directory)
    for intention in _intentions(data):
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
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE)
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
        data = _read(path, _SIZE)
    except PermissionError:
        return None
    return data if data is not None and _is_complete(data) else None


def _is_complete(data: bytes) -> bool:
    return len(data) >= _PAGE and data.startswith(_MAGIC)


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


def _counts_in(data: bytes) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for kind in KINDS:
        for outcome in _OUTCOMES:
            count = _COUNT.unpack_from(data, _COUNTS_AT + _index(kind, outcome) * _COUNT.size)[0]
            if count:
                found[kind, outcome] = count
    return found


def _state_in(data: bytes) -> dict[str, Any]:
    try:
        length = _LENGTH.unpack_from(data, _PAGE)[0]
    except struct.error:
        return {}
    return _parsed(data[_PAGE + _LENGTH.size : _PAGE + _LENGTH.size + length])


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _read_total(directory: Path) -> dict[str, Any]:
    """Return the total; empty if there is none yet.

    Raises:
        OSError: it cannot be read now, or is another user's, and must not be taken for none.
    """
    return _parsed(_read(directory / _TOTAL, _LONGEST_TOTAL) or b"")


def _counts_of(total: Mapping[str, Any]) -> Counter[tuple[str, str]]:
    """Return the counts of a total, as far as they are counts: anybody may have written it."""
    found: Counter[tuple[str, str]] = Counter()
    counts = total.get("counts")
    for kind, outcomes in counts.items() if isinstance(counts, dict) else ():
        for outcome, count in outcomes.items() if isinstance(outcomes, dict) else ():
            if kind in KINDS and outcome in _OUTCOMES and type(count) is int and 0 < count < _MOST:
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
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(text)
    os.rename(partial, directory / _TOTAL)


def _kind_index(kind: str) -> int:
    return KINDS.index(kind) if kind in KINDS else KINDS.index("other")


def _index(kind: str, outcome: str) -> int:
    return _kind_index(kind) * len(_OUTCOMES) + _OUTCOMES.index(outcome)
