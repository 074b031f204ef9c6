"""The files of what is captured: whatever the disk does, nothing raises, and the app goes on."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from sentry_sdk.envelope import Envelope

from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.files import FILE_MODE, Spool
from sentry_paste.spool.names import SpoolFile, hash_of
from sentry_paste.spool.owner import current
from sentry_paste.spool.transport import LogThrottle

_PREFIX = ".destination-"
# Bytes; a host's name has 253 at most.
_LONGEST = 1000
# Neither a link is followed nor a pipe waited for.
_AS_FILE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def record_destination(directory: Path, address: str) -> None:
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


class Keeper:
    """Write what is captured for a destination, and do with its files what becomes of it.

    Args:
        spool: the spool.
        address: of the destination: host and project of the DSN.
        bounds: of the spool.
        teller: of the spool.
    """

    def __init__(self, spool: Spool, address: str, bounds: Bounds, teller: LogThrottle) -> None:
        self._spool = spool
        self._address = address
        self._destination = hash_of(address)
        self._is_noted = False
        self._bounds = bounds
        self._teller = teller

    def write(self, envelope: Envelope) -> SpoolFile | None:
        """Return the file of an envelope, claimed by this process; None where it cannot be written.

        Args:
            envelope: that was captured.
        """
        self._is_noted = self._is_noted and os.path.lexists(self._spool.directory)
        try:
            file = self._spool.write(envelope, self._destination, current())
        except Exception as error:  # the sending goes on
            self._teller.failed(error)
            return None
        self._teller.succeeded()
        if not self._is_noted:
            record_destination(self._spool.directory, self._address)
            self._is_noted = True
        try:
            self._bounds.wrote(file)
        except Exception as error:  # the file is there, and to be removed when it was sent
            self._teller.failed(error)
        return file

    def put_back(self, file: SpoolFile, envelope: Envelope) -> bool:
        """Have a file wait, anew where somebody has removed it; return whether it is kept.

        Args:
            file: that this process has claimed.
            envelope: that was in it.
        """
        try:
            self._spool.put_back(file, envelope)
        except Exception as error:
            self._teller.failed(error)
            # A disk that has become read-only has it still: another process takes it when this one has ended.
            return os.path.lexists(file.path)
        return True

    def remove(self, file: SpoolFile | None) -> None:
        """Remove the file of what has arrived.

        Args:
            file: None where there is none.
        """
        if file is not None:
            try:
                self._spool.remove(file)
            except OSError as error:
                self._teller.failed(error)

    def set_aside(self, file: SpoolFile | None, reason: str) -> None:
        """Keep the file of what is not to be sent again.

        Args:
            file: None where there is none.
            reason: a word or two.
        """
        if file is not None:
            try:
                is_there = self._spool.set_aside(file, reason) is not None
            except OSError as error:
                self._teller.failed(error)
            else:
                if is_there:
                    self._teller.count(f"set aside ({reason})")
