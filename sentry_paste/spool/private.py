"""What belongs to one user only: directories, small files, the modes of both."""

from __future__ import annotations

import os
import stat
from pathlib import Path

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
#: Flags that do not follow links or wait for pipes.
AS_FILE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class SpoolError(OSError):
    """The spool directory cannot be used; the message says why."""


def prepare_directory(directory: Path) -> bool:
    """Create a directory, private to its owner, or check that it is private; return whether it is new.

    Envelopes contain personal data of the app's users, which nobody else on the host may read. The mode
    of an existing directory is not changed, because it may serve another purpose.

    Args:
        directory: of a spool.

    Raises:
        SpoolError: it belongs to another user, is open to others, or is not a directory.
        OSError: it cannot be created.
    """
    is_new = False
    try:
        found = os.lstat(directory)
    except FileNotFoundError:
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        found, is_new = os.lstat(directory), True
    if stat.S_ISLNK(found.st_mode):
        raise SpoolError(f"{directory} is a symbolic link, which is not followed")
    if not stat.S_ISDIR(found.st_mode):
        raise SpoolError(f"{directory} is not a directory")
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise SpoolError(f"{directory} belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise SpoolError(f"{directory} is open to other users: chmod 700 {directory}")
    return is_new


def write_small(path: Path, text: str) -> None:
    """Write a line to a file of the spool's own, which is not one of envelopes.

    Args:
        path: path of the file; a link is not followed.
        text: in ASCII.

    Raises:
        OSError: it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | AS_FILE, FILE_MODE)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)


def read_small(path: Path) -> str:
    """Return what ``write_small`` has written.

    Args:
        path: path of the file; a link is not followed, and a pipe not waited for.

    Raises:
        OSError: it cannot be read.
        ValueError: somebody else has written it.
    """
    descriptor = os.open(path, os.O_RDONLY | AS_FILE)
    try:
        return os.read(descriptor, 1000).decode("ascii")
    finally:
        os.close(descriptor)


def flush_file(path: Path) -> bool:
    """Flush a file to the disk; return whether it is there.

    Args:
        path: path of the file.

    Raises:
        OSError: the disk fails.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | AS_FILE)
    except FileNotFoundError:  # sent meanwhile
        return False
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True
