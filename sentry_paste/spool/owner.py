"""The identity of a process that has claimed a file.

A process id alone is not enough: ids are reused, containers have the same ones, hosts
may share a disk, and servers reload by ``exec``, which changes neither the process id
nor the start time.
"""

from __future__ import annotations

import os
import re
import socket
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

_TEXT = re.compile(
    r"(?P<host>[0-9a-f]{8})-(?P<boot>[0-9a-f]{6})-(?P<pid>\d{1,10})-(?P<started>\d{1,20})"
    r"-(?P<program>[0-9a-f]{6})"
)

# Positions in /proc/PID/stat, counted from after the command name: fields 22, 23 and 28 in proc(5).
_STARTED = 19
_SIZE = 20
_STACK = 25
# Stands for a value that is not known.
_UNKNOWN = "000000"


class Owner(NamedTuple):
    """A process that has claimed files.

    Attributes:
        host: a hash of the host's name, its machine id and the namespace of its process ids.
        boot: a hash of the host's boot id; zeros where the system has none.
        pid: process id.
        started: start time of the process, in clock ticks since boot; 0 if unknown.
        program: a hash of the address of the program's stack, which the system randomises at each ``exec``;
            zeros if unknown. All threads and sub-interpreters of a process share it.
    """

    host: str
    boot: str
    pid: int
    started: int
    program: str = _UNKNOWN

    def __str__(self) -> str:
        return f"{self.host}-{self.boot}-{self.pid}-{self.started}-{self.program}"

    @classmethod
    def from_text(cls, text: str) -> Owner | None:
        """Parse an owner from the text that ``str`` returns; return None for any other text.

        Args:
            text: part of a file name.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            return None
        return cls(found["host"], found["boot"], int(found["pid"]), int(found["started"]), found["program"])

    def is_alive(self) -> bool | None:
        """Return whether the process is running; None if it is on another host."""
        host, boot = _host_and_boot()
        if self.host != host:
            return None
        if self.boot != boot:
            return False
        found = _process_info(self.pid)
        if found is None:
            return False
        if self.pid == os.getpid() or self.started:
            is_same = found.started == self.started
        else:
            is_same = exists(self.pid)
        # The program is unknown for processes that this one may not inspect.
        return is_same and (_UNKNOWN in (found.program, self.program) or found.program == self.program)


class _ProcessInfo(NamedTuple):
    """What the system knows about a process, see ``Owner``."""

    started: int = 0
    program: str = _UNKNOWN


def current() -> Owner:
    """Return this process, also after a fork."""
    return _owner_of(os.getpid())


@lru_cache(maxsize=1)
def _owner_of(pid: int) -> Owner:
    return Owner(*_host_and_boot(), pid, *(_process_info(pid) or _ProcessInfo()))


@lru_cache(maxsize=1)
def _host_and_boot() -> tuple[str, str]:
    machine = _read("/etc/machine-id")
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        space = str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        space = ""
    host = _hash(f"{socket.gethostname()} {machine} {space}")[:8]
    return host, _hash(boot)[:6] if boot else _UNKNOWN


def _process_info(pid: int) -> _ProcessInfo | None:
    """Return what the system knows about a process, or None if there is no such process."""
    stat = _read(f"/proc/{pid}/stat")
    if not stat:
        return _ProcessInfo() if exists(pid) else None
    # The command name may contain anything, including parentheses and spaces.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in ("Z", "X"):  # a zombie has ended, and only waits for its parent
        return None
    started = int(fields[_STARTED])
    # An emulator (qemu-user) fakes this file for the process itself, with no size and with a stack address
    # that other processes do not see.
    if len(fields) <= _STACK or "0" in (fields[_SIZE], fields[_STACK]):
        return _ProcessInfo(started)
    return _ProcessInfo(started, _hash(fields[_STACK])[:6])


def exists(pid: int) -> bool:
    """Return whether there is a process, also one of another user.

    Args:
        pid: its number, any.
    """
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
