"""What the destinations of a spool are called.

The names of envelope files have a hash of a DSN's host and project. A file of the
spool's own for each says what it is a hash of; a key is in neither.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from sentry_paste.spool.files import FILE_MODE
from sentry_paste.spool.names import hash_of

_PREFIX = ".destination-"
# Bytes; a host's name has 253 at most.
_LONGEST = 1000
# Neither a link is followed nor a pipe waited for.
_AS_FILE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def note_destination(directory: Path, address: str) -> None:
    """Note the name of a destination; where that cannot be done, it is done without.

    Args:
        directory: the spool's.
        address: host and project, as by ``names.address_of``.
    """
    with suppress(OSError):
        descriptor = os.open(
            directory / f"{_PREFIX}{hash_of(address)}",
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _AS_FILE,
            FILE_MODE,
        )
        try:
            os.write(descriptor, address.encode())
        finally:
            os.close(descriptor)


def destination_names(directory: Path) -> dict[str, str]:
    """Return the names that are noted, by destination; what is no name of its destination is left out.

    Args:
        directory: the spool's.

    Raises:
        OSError: it cannot be read.
    """
    found = {}
    for name in os.listdir(directory):
        if name.startswith(_PREFIX):
            address = _read(directory / name)
            destination = name[len(_PREFIX) :]
            if hash_of(address) == destination:
                found[destination] = address
    return found


def _read(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | _AS_FILE)
    except OSError:
        return ""
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return os.read(descriptor, _LONGEST).decode("utf-8", "replace") if is_file else ""
    finally:
        os.close(descriptor)
