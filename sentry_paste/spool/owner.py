"""Who has claimed a file: which process, of which start, on which host.

A process id alone tells little: ids are used again, containers have the same ones,
and a disk may be shared by hosts.
"""

from __future__ import annotations

import os
import re
import socket
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

_TEXT = re.compile(r"(?P<host>[0-9a-f]{8})-(?P<boot>[0-9a-f]{6})-(?P<pid>\d{1,10})-(?P<started>\d{1,20})")

# In /proc/PID/stat, counted after the command's name: see proc(5), field 22.
_STARTED = 19


class Owner(NamedTuple):
    """A process that has claimed files.

    Attributes:
        host: a hash of the host's name, its machine id and the namespace of its process ids.
        boot: a hash of the host's boot id; zeros where the system has none.
        pid: process id.
        started: when the process was started, in clock ticks since boot; 0 where the system does not tell.
    """

    host: str
    boot: str
    pid: int
    started: int

    def __str__(self) -> str:
        return f"{self.host}-{self.boot}-{self.pid}-{self.started}"

    @classmethod
    def from_text(cls, text: str) -> Owner | None:
        """Return the owner of a text made by ``str``, None for any other text.

        Args:
            text: as it stands in a file's name.
        """
        found = _TEXT.fullmatch(text)
        return cls(found["host"], found["boot"], int(found["pid"]), int(found["started"])) if found else None

    def is_alive(self) -> bool | None:
        """Tell whether the process runs; None where that cannot be known: it is on another host."""
        host, boot = _machine()
        if self.host != host:
            return None
        if self.boot != boot:
            return False
        if self.pid == os.getpid():
            return self.started == _started(self.pid)
        started = _started(self.pid)
        if started is not None and self.started:
            return started == self.started
        return started is not None and _answers(self.pid)


def current() -> Owner:
    """Return this process, also after a fork."""
    return _process(os.getpid())


@lru_cache(maxsize=1)
def _process(pid: int) -> Owner:
    return Owner(*_machine(), pid, _started(pid) or 0)


@lru_cache(maxsize=1)
def _machine() -> tuple[str, str]:
    machine = _read("/etc/machine-id")
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        space = str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        space = ""
    host = _hash(f"{socket.gethostname()} {machine} {space}")[:8]
    return host, _hash(boot)[:6] if boot else "000000"


def _started(pid: int) -> int | None:
    """Return when a process was started, 0 where the system does not tell, None where there is none."""
    stat = _read(f"/proc/{pid}/stat")
    if stat:
        # The command's name may hold anything, parentheses and spaces too.
        fields = stat.rpartition(")")[2].split()
        # A zombie has ended, and waits for its parent only.
        return None if fields[0] in ("Z", "X") else int(fields[_STARTED])
    return 0 if _answers(pid) else None


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
