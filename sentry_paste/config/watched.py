"""Files that may change while they are used: what they look like, and their text, read with care."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from hashlib import blake2b

from sentry_paste.config.inifile import files_of

#: The largest file that is read, in bytes. Inis have a few kilobytes; this is read during a request.
MAX_SIZE = 1_000_000
#: For how many seconds after a change a file is fresh. It may still be written, and it may change again
#: without looking different: that is the resolution of the times of some file systems, of FAT two seconds.
FRESH = 2.0

#: What a file looks like, None if it is not there or cannot be looked at.
Look = tuple[int, ...]


def look(path: str) -> Look | None:
    """Return what a file looks like, by what the system says of it.

    Links are followed: in a Kubernetes volume a link to a directory is replaced, and the file stays. An
    editor may write to the same file or replace it; tools may preserve its time or its size. The time of the
    last change of its inode is beyond them.

    Args:
        path: of the file.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev, found.st_ctime_ns, found.st_mode)


def look_at(paths: Iterable[str]) -> tuple[Look | None, ...]:
    """Return what files look like.

    Args:
        paths: of the files.
    """
    return tuple(map(look, paths))


def is_fresh(found: Iterable[Look | None]) -> bool:
    """Return whether a file was changed in the last seconds.

    Args:
        found: what files look like.
    """
    now = time.time()
    return any(each is not None and abs(now - max(each[0], each[4]) / 1e9) < FRESH for each in found)


def _check(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path} is not a file")
    if found.st_size > MAX_SIZE:
        raise ValueError(f"{path} is larger than {MAX_SIZE:,} bytes, which is the most that is read again")


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class Texts:
    """The texts of files, each read once, and only if it is a file of a reasonable size.

    Attributes:
        paths: those of the files that were asked for.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self.paths: list[str] = []

    def of(self, path: str) -> str:
        """Return the text of a file, in the encoding of the locale, as PasteDeploy reads it.

        Args:
            path: of the file, or of a directory with files of Swift's.

        Raises:
            OSError: it cannot be read, or is no file.
            ValueError: it is not text, or too large.
        """
        if path not in self._texts:
            found = files_of(path)
            if found != [path]:  # a file may be added to the directory
                self.paths.append(path)
            self._texts[path] = "\n".join(map(self._read, found))
        return self._texts[path]

    def _read(self, path: str) -> str:
        self.paths.append(path)
        # Opening a pipe or a device would wait for somebody to write to it.
        _check(path, os.stat(path))
        with open(path, opener=_open_without_waiting) as file:
            _check(path, os.fstat(file.fileno()))  # it may have been replaced meanwhile
            return file.read(MAX_SIZE + 1)

    def digest(self) -> bytes:
        """Return bytes that are the same for the same files with the same texts."""
        found = blake2b()
        for item in self._texts.items():
            for text in item:
                # With the length, so that the end of one is not the beginning of another.
                found.update(f"{len(text)} {text}".encode("utf-8", "surrogatepass"))
        return found.digest()

    def is_unfinished(self) -> bool:
        """Return whether a text ends in the middle of a line, as one that is still being written may."""
        return any(not text.endswith("\n") for text in self._texts.values())
