"""The names of envelope files, and the kinds and destinations in them.

A name has what a sender or a reader needs to know without opening the file::

    20261122T071300.123456Z-error-4c79f60c11214eb38604f4ae0781bfb2-any-1f0c9a2b-5d41402abc4b2a76.envelope
    time of capture, UTC    kind  event id or a random one         |   group    checksum
                                                                   destination

Sorting names sorts files by time of capture. A suffix shows the state: none while the
file is waiting, ``.claimed-OWNER`` while a process is sending it, ``.aside-REASON`` if
Sentry refused it or it is not an envelope.

The checksum is in the name because there it covers every byte of the file, which stays a
standard envelope, and recognises a file that has the contents of another. Names of
version 1.0 end with the destination.
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
from zlib import crc32

from sentry_sdk.envelope import Envelope, Item

from sentry_paste.spool.owner import Owner

#: The destination of envelopes that were captured without a DSN.
ANY_DESTINATION = "any"

#: The states of a file.
WAITING, CLAIMED, ASIDE = "waiting", "claimed", "aside"

#: The end of the name of a file that waits.
SUFFIX = ".envelope"
_TIME_FORMAT = "%Y%m%dT%H%M%S.%fZ"
_NAME = re.compile(
    r"(?P<time>\d{8}T\d{6}\.\d{6}Z)-(?P<kind>[a-z_]+)-(?P<id>[0-9a-f]{32})-(?P<destination>[a-z0-9]+)"
    r"(?:-(?P<group>[0-9a-f]{8})-(?P<checksum>[0-9a-f]{16}))?\.envelope"
    r"(?:\.(?P<state>claimed|aside)-(?P<detail>[a-z0-9_-]+))?"
)
_NOT_IN_REASONS = re.compile("[^a-z0-9_-]+")

# The kind of a file by the item types in its envelope
# (https://develop.sentry.dev/sdk/data-model/envelope-items/). The first match counts: an envelope with an
# event and an attachment is an error.
_KINDS = {
    "event": "error",
    "feedback": "feedback",
    "user_report": "feedback",  # the name in older SDKs
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
#: All kinds of files.
KINDS = (*dict.fromkeys(_KINDS.values()), "other")


@dataclass(frozen=True)
class SpoolFile:
    """An envelope file, described by its name.

    Attributes:
        path: path of the file.
        time: time of capture, UTC.
        kind: ``error``, ``transaction``, ``session``, ``log`` and so on; ``other`` for item types that
            this version does not know.
        id: the event id, or a random id for an envelope without one; 32 hexadecimal digits.
        destination: hash of the DSN's host and project, or ``any`` if it was captured without a DSN.
        state: ``waiting``, ``claimed`` or ``aside``.
        detail: the process that claimed it, or the reason why it was set aside.
        group: hashes of the kind of error and of the trace, as by ``group_of``; empty in names of version
            1.0.
        checksum: of the contents, as by ``checksum_of``; empty in names of version 1.0.
    """

    path: Path
    time: datetime
    kind: str
    id: str
    destination: str
    state: str = WAITING
    detail: str = ""
    group: str = ""
    checksum: str = ""

    @classmethod
    def new(cls, directory: Path, envelope: Envelope, destination: str, data: bytes) -> SpoolFile:
        """Return the file for an envelope that was captured now, without creating it.

        Args:
            directory: directory of the spool.
            envelope: envelope to write.
            destination: destination of the envelope.
            data: the envelope, serialised.
        """
        time, kind, identity = datetime.now(timezone.utc), kind_of(envelope), _id_of(envelope)
        group, checksum = group_of(envelope), checksum_of(data)
        name = f"{format_time(time)}-{kind}-{identity}-{destination}-{group}-{checksum}{SUFFIX}"
        path = directory / name
        return cls(path, time, kind, identity, destination, group=group, checksum=checksum)

    @classmethod
    def from_path(cls, path: Path) -> SpoolFile | None:
        """Parse the name of a file; return None if it is not that of an envelope file.

        Args:
            path: path of the file, which is not opened.
        """
        match = _NAME.fullmatch(path.name)
        if match is None:
            return None
        try:
            time = _parse_time(match["time"])
        except ValueError:
            return None
        state, detail = match["state"] or WAITING, match["detail"] or ""
        return cls(
            path,
            time,
            match["kind"],
            match["id"],
            match["destination"],
            state,
            detail,
            match["group"] or "",
            match["checksum"] or "",
        )

    @property
    def name(self) -> str:
        """The name without its state."""
        return self.path.name.partition(SUFFIX)[0] + SUFFIX

    @property
    def stem(self) -> str:
        """The name without its state and checksum: what stays if it is written again."""
        return self.name[: -len(f"-{self.checksum}{SUFFIX}")] if self.checksum else self.name

    def with_contents(self, data: bytes) -> SpoolFile:
        """Return the waiting file with the name for some contents.

        Args:
            data: the contents.
        """
        if not self.checksum:
            return self.waiting()
        checksum = checksum_of(data)
        path = self.path.with_name(f"{self.stem}-{checksum}{SUFFIX}")
        return replace(self, path=path, state=WAITING, detail="", checksum=checksum)

    @property
    def owner(self) -> Owner | None:
        """The process that claimed it; None if there is none, or its name cannot be parsed."""
        return Owner.from_text(self.detail) if self.state == CLAIMED else None

    def waiting(self) -> SpoolFile:
        """Return the file with the name it has while waiting."""
        return replace(self, path=self.path.with_name(self.name), state=WAITING, detail="")

    def claimed(self, owner: Owner) -> SpoolFile:
        """Return the file with the name it has while a process has claimed it.

        Args:
            owner: the process.
        """
        return self._as(CLAIMED, str(owner))

    def aside(self, reason: str) -> SpoolFile:
        """Return the file with the name it has when set aside.

        Args:
            reason: reason, in a word or two.
        """
        return self._as(ASIDE, _NOT_IN_REASONS.sub("_", reason.lower())[:60] or "unknown")

    def _as(self, state: str, detail: str) -> SpoolFile:
        path = self.path.with_name(f"{self.name}.{state}-{detail}")
        return replace(self, path=path, state=state, detail=detail)


def format_time(time: datetime) -> str:
    """Return a time as names begin with, which sorts as the times do.

    Args:
        time: in UTC.
    """
    return time.strftime(_TIME_FORMAT)


def _parse_time(text: str) -> datetime:
    # Ten times as fast as strptime, which takes most of the time of listing a large spool.
    return datetime(
        int(text[:4]),
        int(text[4:6]),
        int(text[6:8]),
        int(text[9:11]),
        int(text[11:13]),
        int(text[13:15]),
        int(text[16:22]),
        timezone.utc,
    )


def kind_of(envelope: Envelope) -> str:
    """Return the kind of an envelope by its most important item, ``other`` for unknown types.

    Args:
        envelope: the envelope; its payloads are not read.
    """
    types = {item.type for item in envelope.items}
    return next((kind for type_, kind in _KINDS.items() if type_ in types), "other")


def address_of(host: str, project: str) -> str:
    """Return the address of a destination. It has no key, so that keys can be rotated.

    Args:
        host: host of the DSN, with port and path.
        project: id of the project.
    """
    return f"{host.rstrip('/')}/{project}"


def hash_of(address: str) -> str:
    """Return the destination of an address, as used in file names.

    Args:
        address: host and project, as by ``address_of``.
    """
    return sha256(address.encode()).hexdigest()[:12]


def destination_of(host: str, project: str) -> str:
    """Return the destination of a DSN, as used in file names.

    Args:
        host: host of the DSN, with port and path.
        project: id of the project.
    """
    return hash_of(address_of(host, project))


def checksum_of(data: bytes) -> str:
    """Return the checksum of a file, as used in file names.

    Args:
        data: contents of the file.
    """
    return sha256(data).hexdigest()[:16]


def group_of(envelope: Envelope) -> str:
    """Return hashes of the kind of error and of the trace of an envelope, as used in file names.

    When room has to be made, envelopes of the same kind or trace make it for each other first. Anything that
    an envelope lacks counts as equal.

    Args:
        envelope: the envelope; payloads that are not decoded are not read.
    """
    try:
        kind = _kind_of_error(envelope)
    except Exception:  # an event of the app's may have any shape
        kind = ""
    trace = envelope.headers.get("trace")
    trace_id = trace.get("trace_id") if isinstance(trace, dict) else None
    return f"{_short_hash(kind)}{_short_hash(str(trace_id))}"


def _short_hash(text: str) -> str:
    return f"{crc32(text.encode('utf-8', 'surrogatepass')) & 0xFFFF:04x}"


#: The hash of an envelope without a trace, in a group.
NO_TRACE = _short_hash("None")


def _kind_of_error(envelope: Envelope) -> str:
    """Return the exception's type and where it was raised, or the logger and the message's format."""
    event = next((item.payload.json for item in envelope.items if item.payload.json is not None), None)
    if not isinstance(event, dict):
        return ""
    values = event.get("exception", {}).get("values")
    if values:
        frames = (values[-1].get("stacktrace") or {}).get("frames") or [{}]
        frame = frames[-1]
        return f"{values[-1].get('type')} {frame.get('filename')} {frame.get('function')}"
    entry = event.get("logentry") or {}
    return f"{event.get('logger')} {entry.get('message') or event.get('message') or event.get('type')}"


def _id_of(envelope: Envelope, new: Callable[[], uuid.UUID] = uuid.uuid4) -> str:
    """Return the event id of an envelope if it is valid, else a random id."""
    try:
        return uuid.UUID(str(envelope.headers["event_id"])).hex
    except (KeyError, ValueError):
        return new().hex


# https://develop.sentry.dev/sdk/expected-features/rate-limiting/ and client reports name these categories.
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
    """Return the rate limit category of a kind of file, ``default`` if it has none.

    Args:
        kind: one of ``KINDS``.
    """
    return _CATEGORIES.get(kind, "default")


def category_of(envelope: Envelope) -> str:
    """Return the rate limit category of an envelope by its most important item.

    Args:
        envelope: the envelope; its payloads are not read.
    """
    return category_of_kind(kind_of(envelope))


def has_crashed(envelope: Envelope) -> bool:
    """Return whether a session in an envelope ended with a crash.

    Args:
        envelope: envelope with sessions.
    """
    return any(_is_crashed(item) for item in envelope.items)


def _is_crashed(item: Item) -> bool:
    if item.type != "session":
        return False
    try:
        return bool(json.loads(item.get_bytes())["status"] == "crashed")
    except (ValueError, KeyError, TypeError):
        return False
