"""Write captured envelopes to files without ever raising, whatever the disk does; and name destinations."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path

from sentry_sdk.envelope import Envelope

from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.counts import DELIVERED
from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import SpoolFile, hash_of
from sentry_paste.spool.owner import current
from sentry_paste.spool.private import AS_FILE, FILE_MODE
from sentry_paste.spool.transport import LogThrottle, Unfinished

_PREFIX = ".destination-"
# Bytes; a host name has at most 253.
_LONGEST = 1000


def record_destination(directory: Path, address: str) -> None:
    """Write the address of a destination to a file, for the command line; ignore failures.

    Args:
        directory: directory of the spool.
        address: host and project, as by ``names.address_of``.
    """
    with suppress(OSError):
        descriptor = os.open(
            directory / f"{_PREFIX}{hash_of(address)}",
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | AS_FILE,
            FILE_MODE,
        )
        try:
            os.write(descriptor, address.encode())
        finally:
            os.close(descriptor)


def destination_names(directory: Path) -> dict[str, str]:
    """Return the recorded addresses by destination; addresses with the wrong hash are left out.

    Args:
        directory: directory of the spool.

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
        descriptor = os.open(path, os.O_RDONLY | AS_FILE)
    except OSError:
        return ""
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return os.read(descriptor, _LONGEST).decode("utf-8", "replace") if is_file else ""
    finally:
        os.close(descriptor)


def is_there(file: SpoolFile) -> bool:
    """Return whether a file that this process has claimed is still there, or waits meanwhile.

    Args:
        file: the file.
    """
    return _may_exist(file.path) or _may_exist(file.waiting().path)


def _may_exist(path: Path) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # it cannot be looked up now: what is not lost must not be counted as lost
        return True
    return True


class EnvelopeWriter:
    """Writes envelopes for a destination to files, and releases, removes or sets aside the files afterwards.

    Args:
        spool: the spool.
        address: address of the destination: host and project of the DSN.
        bounds: bounds of the spool.
        log: log of the spool.
        unfinished: remembers what fails.
    """

    def __init__(
        self, spool: Spool, address: str, bounds: Bounds, log: LogThrottle, unfinished: Unfinished
    ) -> None:
        self._spool = spool
        self._unfinished = unfinished
        self._address = address
        self._destination = hash_of(address)
        self._is_recorded = False
        self._bounds = bounds
        self._log = log

    def write(self, envelope: Envelope) -> SpoolFile | None:
        """Write an envelope to a file that this process has claimed; return None if that fails.

        Args:
            envelope: the captured envelope.
        """
        self._is_recorded = self._is_recorded and os.path.lexists(self._spool.directory)
        try:
            file = self._spool.write(envelope, self._destination, current())
        except Exception as error:  # sending must continue
            self._log.failed(error)
            return None
        self._log.succeeded()
        if not self._is_recorded:
            record_destination(self._spool.directory, self._address)
            self._is_recorded = True
        try:
            self._bounds.wrote(file)
        except Exception as error:  # the file was written, and must be removed when it is sent
            self._log.failed(error)
        return file

    def put_back(self, file: SpoolFile, envelope: Envelope) -> bool:
        """Make a file wait, and write it again if somebody removed it; return whether it is stored.

        Args:
            file: file that this process has claimed.
            envelope: contents of the file.
        """
        try:
            self._unfinished.put_back(self._spool, file, envelope)
        except Exception as error:
            self._log.failed(error)
            # If the disk became read-only, the file is still there, and will be released later.
            return is_there(file)
        return True

    def remove(self, file: SpoolFile | None, outcome: str = DELIVERED) -> None:
        """Remove the file of an envelope that was delivered, or is not to be.

        Args:
            file: the file, None if there is none.
            outcome: what became of it, one of ``counts``.
        """
        if file is not None:
            try:
                self._unfinished.attempt(file, partial(self._spool.remove, file, outcome))
            except OSError as error:
                self._log.failed(error)

    def set_aside(self, file: SpoolFile | None, reason: str) -> None:
        """Set aside the file of an envelope that must not be sent again.

        Args:
            file: the file, None if there is none.
            reason: reason in a word or two.
        """
        if file is not None:
            try:
                action = partial(self._spool.set_aside, file, reason)
                is_there = self._unfinished.attempt(file, action) is not None
            except OSError as error:
                self._log.failed(error)
            else:
                if is_there:
                    self._log.count(f"set aside ({reason})")
