"""Name, write and list the envelope files of a spool directory.

A name says what a sender or a reader has to know without opening the file::

    20261122T071300.123456Z-error-4c79f60c11214eb38604f4ae0781bfb2-any.envelope
    time of capture, UTC    kind  event id or a random one         destination

so that the names' order is the order of capture. A file comes into being under
another name and is renamed when it is complete: whoever lists the directory
sees whole envelopes only.
"""

from __future__ import annotations

import os
import re
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from sentry_sdk.envelope import Envelope

#: The destination of an envelope that was captured while no DSN was set.
ANY_DESTINATION = "any"

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

_TIME_FORMAT = "%Y%m%dT%H%M%S.%fZ"
_NAME = re.compile(
    r"(?P<time>\d{8}T\d{6}\.\d{6}Z)-(?P<kind>[a-z_]+)-(?P<id>[0-9a-f]{32})-(?P<destination>[a-z0-9]+)\.envelope"
)

# The item types of an envelope (https://develop.sentry.dev/sdk/data-model/envelope-items/) that give a
# file its kind, the weightier first: an envelope with an event and its attachment is an error.
_KINDS = {
    "event": "error",
    "feedback": "feedback",
    "check_in": "checkin",
    "transaction": "transaction",
    "profile": "profile",
    "profile_chunk": "profile",
    "session": "session",
    "sessions": "session",
    "span": "span",
    "log": "log",
    "trace_metric": "metric",
    "client_report": "report",
}


class SpoolError(OSError):
    """A spool directory that cannot be used, with the reason."""


@dataclass(frozen=True)
class SpoolFile:
    """An envelope file, as far as its name tells.

    Attributes:
        path: where it lies.
        time: when it was captured, UTC.
        kind: ``error``, ``transaction``, ``session``, ``log`` and so on; ``other`` for item types that
            this version does not know.
        id: the event id, or a random id for an envelope that has none; 32 hexadecimal digits.
        destination: which DSN it was captured for, ``any`` where none was set.
    """

    path: Path
    time: datetime
    kind: str
    id: str
    destination: str

    @classmethod
    def from_path(cls, path: Path) -> SpoolFile | None:
        """Return what the name tells, or None for a name that is not a spool's.

        Args:
            path: the file; it is not opened.
        """
        match = _NAME.fullmatch(path.name)
        if match is None:
            return None
        try:
            time = datetime.strptime(match["time"], _TIME_FORMAT).replace(tzinfo=timezone.utc)
        except ValueError:
            return None
        return cls(path, time, match["kind"], match["id"], match["destination"])


class Spool:
    """A directory of envelope files.

    Args:
        directory: where they lie; made on the first write if it is not there.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)

    def write(self, envelope: Envelope, destination: str = ANY_DESTINATION) -> SpoolFile:
        """Write an envelope as a file of its own, whole or not at all.

        Args:
            envelope: what to keep.
            destination: which DSN it is for, lower-case letters and digits, default ``any``.

        Raises:
            SpoolError: the directory is another user's, or no directory.
            OSError: the disk is full, read-only or gone.
        """
        data = envelope.serialize()
        self.prepare()
        kind = kind_of(envelope)
        identity = _identity(envelope)
        time = datetime.now(timezone.utc)
        path = self.directory / f"{time.strftime(_TIME_FORMAT)}-{kind}-{identity}-{destination}.envelope"
        partial = self.directory / f".{path.name}.{os.getpid()}.partial"
        # O_EXCL: a name that somebody prepared, a symbolic link for one, is refused and not followed.
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.rename(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        return SpoolFile(path, time, kind, identity, destination)

    def prepare(self) -> None:
        """Make the directory, private to its owner, or check that it is.

        Envelopes hold what the app knows of its users: nobody else on the host may read them. A directory
        that is there already is not changed: it may be somebody's for another purpose.

        Raises:
            SpoolError: it belongs to another user, can be read by others, or is not a directory.
            OSError: it cannot be made.
        """
        try:
            found = os.lstat(self.directory)
        except FileNotFoundError:
            self.directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            found = os.lstat(self.directory)
        if stat.S_ISLNK(found.st_mode):
            raise SpoolError(f"{self.directory} is a symbolic link, which is not followed")
        if not stat.S_ISDIR(found.st_mode):
            raise SpoolError(f"{self.directory} is not a directory")
        if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
            raise SpoolError(f"{self.directory} belongs to another user")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise SpoolError(f"{self.directory} is open to other users: chmod 700 {self.directory}")

    def files(self, *kinds: str) -> list[SpoolFile]:
        """List the envelope files, newest first; a directory that is not there has none.

        Args:
            kinds: only files of these kinds; all where none is named.

        Raises:
            OSError: the directory cannot be read.
        """
        found = [file for file in self._scan() if not kinds or file.kind in kinds]
        found.sort(key=lambda file: file.path.name, reverse=True)
        return found

    def find(self, identity: str) -> SpoolFile | None:
        """Return the newest file whose id begins so, or None.

        Args:
            identity: the first digits of an event id, or all 32; dashes are allowed.
        """
        wanted = identity.replace("-", "").lower()
        if not wanted:
            return None
        return next((file for file in self.files() if file.id.startswith(wanted)), None)

    def _scan(self) -> Iterator[SpoolFile]:
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return
        for name in names:
            file = SpoolFile.from_path(self.directory / name)
            if file is not None:
                yield file


def kind_of(envelope: Envelope) -> str:
    """Return the kind of an envelope's weightiest item, ``other`` for unknown types.

    Args:
        envelope: the envelope; its payloads are not looked at.
    """
    types = {item.type for item in envelope.items}
    return next((kind for type_, kind in _KINDS.items() if type_ in types), "other")


def _identity(envelope: Envelope) -> str:
    """Return the envelope's event id where it has a proper one, else a random id."""
    try:
        return uuid.UUID(str(envelope.headers["event_id"])).hex
    except (KeyError, ValueError):
        return uuid.uuid4().hex
