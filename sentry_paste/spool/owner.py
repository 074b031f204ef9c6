"""Who has claimed a file: which process, of which start, with which program, on which host.

A process id alone tells little: ids are used again, containers have the same ones,
a disk may be shared by hosts, and servers reload by ``exec``, which changes neither
the id nor the time of start.
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

# In /proc/PID/stat, counted after the command's name: see proc(5), fields 22, 23 and 28.
_STARTED = 19
_SIZE = 20
_STACK = 25
# Of a program of which nothing is told.
_UNKNOWN = "000000"


class Owner(NamedTuple):
    """A process that has claimed files.

    Attributes:
        host: a hash of the host's name, its machine id and the namespace of its process ids.
        boot: a hash of the host's boot id; zeros where the system has none.
        pid: process id.
        started: when the process was started, in clock ticks since boot; 0 where the system does not tell.
        program: a hash of where the system has put the program's stack, which it chooses by chance with each
            ``exec``; zeros where it does not tell. Whatever runs in the process has the same one: threads,
            sub-interpreters.
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
        """Return the owner of a text made by ``str``, None for any other text.

        Args:
            text: as it stands in a file's name.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            return None
        return cls(found["host"], found["boot"], int(found["pid"]), int(found["started"]), found["program"])

    def is_alive(self) -> bool | None:
        """Return whether the process runs; None where that cannot be known: it is on another host."""
        host, boot = _machine()
        if self.host != host:
            return None
        if self.boot != boot:
            return False
        found = _look(self.pid)
        if found is None:
            return False
        if self.pid == os.getpid() or self.started:
            is_same = found.started == self.started
        else:
            is_same = _answers(self.pid)
        # Of a process that may not be looked into, its program is not told.
        return is_same and (_UNKNOWN in (found.program, self.program) or found.program == self.program)


class _Found(NamedTuple):
    """What the system tells of a process: see ``Owner``."""

    started: int = 0
    program: str = _UNKNOWN


def current() -> Owner:
    """Return this process, also after a fork."""
    return _process(os.getpid())


@lru_cache(maxsize=1)
def _process(pid: int) -> Owner:
    return Owner(*_machine(), pid, *(_look(pid) or _Found()))


@lru_cache(maxsize=1)
def _machine() -> tuple[str, str]:
    machine = _read("/etc/machine-id")
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        space = str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        space = ""
    host = _hash(f"{socket.gethostname()} {machine} {space}")[:8]
    return host, _hash(boot)[:6] if boot else _UNKNOWN


def _look(pid: int) -> _Found | None:
    """Return what the system tells of a process, None where there is none."""
    stat = _read(f"/proc/{pid}/stat")
    if not stat:
        return _Found() if _answers(pid) else None
    # The command's name may hold anything, parentheses and spaces too.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in ("Z", "X"):  # a zombie has ended, and waits for its parent only
        return None
    started = int(fields[_STARTED])
    # An emulator (qemu-user) makes this file up for the process itself, without a size and with a stack that
    # others do not see.
    if len(fields) <= _STACK or "0" in (fields[_SIZE], fields[_STACK]):
        return _Found(started)
    return _Found(started, _hash(fields[_STACK])[:6])


def _answers(pid: int) -> bool:
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
