"""What the name of an envelope file says, and how it is made.

A name says what a sender or a reader has to know without opening the file::

    20261122T071300.123456Z-error-4c79f60c11214eb38604f4ae0781bfb2-any.envelope
    time of capture, UTC    kind  event id or a random one         destination

so that the names' order is the order of capture. What stands behind it tells what
becomes of the file: nothing while it waits, ``.claimed-OWNER`` while a process has
it, ``.aside-REASON`` where Sentry has refused it or it is no envelope.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

from sentry_sdk.envelope import Envelope, Item

from sentry_paste.spool.owner import Owner

#: The destination of an envelope that was captured while no DSN was set.
ANY_DESTINATION = "any"

#: States of a file.
WAITING, CLAIMED, ASIDE = "waiting", "claimed", "aside"

_TIME_FORMAT = "%Y%m%dT%H%M%S.%fZ"
_NAME = re.compile(
    r"(?P<time>\d{8}T\d{6}\.\d{6}Z)-(?P<kind>[a-z_]+)-(?P<id>[0-9a-f]{32})-(?P<destination>[a-z0-9]+)\.envelope"
    r"(?:\.(?P<state>claimed|aside)-(?P<detail>[a-z0-9_-]+))?"
)
_NO_REASON = re.compile("[^a-z0-9_-]+")

# The item types of an envelope (https://develop.sentry.dev/sdk/data-model/envelope-items/) that give a
# file its kind, the weightier first: an envelope with an event and its attachment is an error.
_KINDS = {
    "event": "error",
    "feedback": "feedback",
    "user_report": "feedback",  # as older SDKs have it
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
#: All kinds that a file can have.
KINDS = (*dict.fromkeys(_KINDS.values()), "other")


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
        state: ``waiting``, ``claimed`` or ``aside``.
        detail: who has claimed it, or why it was set aside.
    """

    path: Path
    time: datetime
    kind: str
    id: str
    destination: str
    state: str = WAITING
    detail: str = ""

    @classmethod
    def new(cls, directory: Path, envelope: Envelope, destination: str) -> SpoolFile:
        """Return what the file of an envelope that was captured now is to be; it is not made.

        Args:
            directory: the spool's.
            envelope: that is to be written.
            destination: which DSN it is for.
        """
        time, kind, identity = datetime.now(timezone.utc), kind_of(envelope), _identity(envelope)
        name = f"{time.strftime(_TIME_FORMAT)}-{kind}-{identity}-{destination}.envelope"
        return cls(directory / name, time, kind, identity, destination)

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
        state, detail = match["state"] or WAITING, match["detail"] or ""
        return cls(path, time, match["kind"], match["id"], match["destination"], state, detail)

    @property
    def name(self) -> str:
        """The name without its state."""
        return self.path.name.partition(".envelope")[0] + ".envelope"

    @property
    def owner(self) -> Owner | None:
        """Who has claimed it; None where nobody has, or somebody whose name cannot be read."""
        return Owner.from_text(self.detail) if self.state == CLAIMED else None

    def waiting(self) -> SpoolFile:
        """Return the file as it is while it waits."""
        return replace(self, path=self.path.with_name(self.name), state=WAITING, detail="")

    def claimed(self, owner: Owner) -> SpoolFile:
        """Return the file as it is while a process has it.

        Args:
            owner: the process.
        """
        return self._as(CLAIMED, str(owner))

    def aside(self, reason: str) -> SpoolFile:
        """Return the file as it is when it is set aside.

        Args:
            reason: a word or two.
        """
        return self._as(ASIDE, _NO_REASON.sub("_", reason.lower())[:60] or "unknown")

    def _as(self, state: str, detail: str) -> SpoolFile:
        path = self.path.with_name(f"{self.name}.{state}-{detail}")
        return replace(self, path=path, state=state, detail=detail)


def kind_of(envelope: Envelope) -> str:
    """Return the kind of an envelope's weightiest item, ``other`` for unknown types.

    Args:
        envelope: the envelope; its payloads are not looked at.
    """
    types = {item.type for item in envelope.items}
    return next((kind for type_, kind in _KINDS.items() if type_ in types), "other")


def address_of(host: str, project: str) -> str:
    """Return what a destination is called: without a key, so that keys may be changed.

    Args:
        host: of the DSN, with its port and path.
        project: id of the project.
    """
    return f"{host.rstrip('/')}/{project}"


def hash_of(address: str) -> str:
    """Return the destination of an address, as it is in the names of files.

    Args:
        address: host and project.
    """
    return sha256(address.encode()).hexdigest()[:12]


def destination_of(host: str, project: str) -> str:
    """Return the name of a destination: the same while keys are changed, another for each project.

    Args:
        host: of the DSN, with its port and path.
        project: id of the project.
    """
    return hash_of(address_of(host, project))


def _identity(envelope: Envelope, new: Callable[[], uuid.UUID] = uuid.uuid4) -> str:
    """Return the envelope's event id where it has a proper one, else a random id."""
    try:
        return uuid.UUID(str(envelope.headers["event_id"])).hex
    except (KeyError, ValueError):
        return new().hex


_CATEGORIES = {
    "error": "error",
    "feedback": "feedback",
    "checkin": "monitor",
    "transaction": "transaction",
    "profile": "profile",
    "session": "session",
    "span": "span",
    "log": "log_item",
    "metric": "trace_metric",
}


def category_of_kind(kind: str) -> str:
    """Return the category of a kind of file, ``default`` for those that have none.

    Args:
        kind: of ``names.KINDS``.
    """
    return _CATEGORIES.get(kind, "default")


def category_of(envelope: Envelope) -> str:
    """Return the category of an envelope's weightiest item.

    Args:
        envelope: the envelope; its payloads are not looked at.
    """
    return category_of_kind(kind_of(envelope))


def has_crashed(envelope: Envelope) -> bool:
    """Return whether a session in an envelope has ended with a crash.

    Args:
        envelope: of sessions.
    """
    return any(_is_crashed(item) for item in envelope.items)


def _is_crashed(item: Item) -> bool:
    if item.type != "session":
        return False
    try:
        return bool(json.loads(item.get_bytes())["status"] == "crashed")
    except (ValueError, KeyError, TypeError):
        return False
