"""The layout of a file of counts: what one process has counted, what it is about to do, and its state.

A count and the end of its intention are one write within one page, which a kill does not divide.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sentry_paste.spool.names import KINDS, SpoolFile

#: What can become of an envelope, except that it waits or is set aside, which the directory shows.
CAPTURED, DELIVERED = "captured", "delivered"
#: Why envelopes were dropped: by the bounds, by ``spool purge``, because sending failed and storing did too,
#: because the server refused what was not stored, and because the app did not want it after all.
DROPPED = (
    "too old",
    "too many",
    "purged",
    "network_error",
    "ratelimit_backoff",
    "queue_overflow",
    "refused",
    "withdrawn",
)
OUTCOMES = (CAPTURED, DELIVERED, *DROPPED)

#: What the name of a file begins with; who has written it and a number follow.
PREFIX = ".counts-"
_PAGE = 4096
#: Bytes of a file: a page of counts and intentions, and one with the state of the process.
SIZE = 2 * _PAGE
_MAGIC = b"sentry_paste counts 1\n"
_COUNT = struct.Struct("<Q")
_COUNTS_AT = 64
# Each intention is a letter, the index of the kind, that of the outcome, and id and checksum of a file.
_SLOT = struct.Struct("<cBB16s8s5x")
_SLOTS_AT = 2048
_SLOTS = 64
# The state begins with its length.
_LENGTH = struct.Struct("<I")
# Characters of a text there, such as the reason of a failure.
_LONGEST_TEXT = 200

# Intentions: a file that is complete under a partial name will be renamed, one that a dead process has left
# under such a name will be set aside, and a file will be removed after it was delivered, or to drop it.
WRITE, SET_ASIDE, DELIVER, DROP, _FREE = b"w", b"a", b"d", b"x", b"\0"
# What such names end with before and after a file was set aside.
PARTIAL, _PARTIAL_ASIDE = ".partial", ".aside-partial"


class Page:
    """The counts and intentions of this process.

    Attributes:
        data: as the first page of its file has them.
    """

    def __init__(self) -> None:
        self.data = bytearray(_PAGE)
        self.data[: len(_MAGIC)] = _MAGIC

    def count(self, kind: str, outcomes: Iterable[str]) -> None:
        """Count an envelope.

        Args:
            kind: one of ``names.KINDS``.
            outcomes: what became of it.
        """
        for outcome in outcomes:
            place = _COUNTS_AT + _index(kind, outcome) * _COUNT.size
            _COUNT.pack_into(self.data, place, _COUNT.unpack_from(self.data, place)[0] + 1)

    def clear_counts(self) -> None:
        """Count from zero again; the intentions stay."""
        self.data[_COUNTS_AT:_SLOTS_AT] = bytes(_SLOTS_AT - _COUNTS_AT)

    def intend(self, action: bytes, file: SpoolFile, outcome: str) -> int:
        """Enter what is about to be done.

        Args:
            action: ``WRITE``, ``SET_ASIDE``, ``DELIVER`` or ``DROP``.
            file: the file.
            outcome: that it comes to.

        Returns:
            Its place, -1 if there is none left.
        """
        entry = (
            action,
            _kind_index(file.kind),
            OUTCOMES.index(outcome),
            bytes.fromhex(file.id),
            bytes.fromhex(file.checksum),
        )
        for slot in range(_SLOTS):
            place = _SLOTS_AT + slot * _SLOT.size
            if self.data[place] == 0:
                _SLOT.pack_into(self.data, place, *entry)
                return slot
        return -1

    def free(self, slot: int) -> None:
        """Remove an intention.

        Args:
            slot: its place.
        """
        self.data[_SLOTS_AT + slot * _SLOT.size] = 0


def packed_state(state: Mapping[str, Any]) -> tuple[bytes, int] | None:
    """Return the state of a process as bytes, and their place in its file; None if it is too long.

    Args:
        state: what can be written as JSON.
    """
    data = json.dumps({name: _short(value) for name, value in state.items()}).encode()
    if len(data) > _PAGE - _LENGTH.size:
        return None
    return _LENGTH.pack(len(data)) + data, _PAGE


def _short(value: Any) -> Any:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else value


def is_complete(data: bytes) -> bool:
    """Return whether these are the bytes of a file of counts.

    Args:
        data: the bytes.
    """
    return len(data) >= _PAGE and data.startswith(_MAGIC)


def counts_in(data: bytes) -> Counter[tuple[str, str]]:
    """Return the counts of a file, by kind and outcome.

    Args:
        data: its bytes, if they are complete.
    """
    found: Counter[tuple[str, str]] = Counter()
    for kind in KINDS:
        for outcome in OUTCOMES:
            count = _COUNT.unpack_from(data, _COUNTS_AT + _index(kind, outcome) * _COUNT.size)[0]
            if count:
                found[kind, outcome] = count
    return found


def state_in(data: bytes) -> dict[str, Any]:
    """Return the state of a process; empty if its file has none.

    Args:
        data: the bytes of the file.
    """
    try:
        length = _LENGTH.unpack_from(data, _PAGE)[0]
    except struct.error:
        return {}
    return parsed(data[_PAGE + _LENGTH.size : _PAGE + _LENGTH.size + length])


def parsed(data: bytes) -> dict[str, Any]:
    """Return a mapping that was written as JSON; empty if it is none.

    Args:
        data: the text's bytes.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class Intention(NamedTuple):
    """What a process had begun when it ended.

    Attributes:
        action: ``WRITE``, ``SET_ASIDE``, ``DELIVER`` or ``DROP``.
        kind: of the file.
        outcome: that it comes to.
        middle: part of the file's name.
        end: of the file's name without its state.
    """

    action: bytes
    kind: str
    outcome: str
    middle: str
    end: str

    def files(self, names: Iterable[str]) -> list[str]:
        """Return the names under which the file is there.

        Args:
            names: of all files.
        """
        return [name for name in names if self.middle in name and self.end in name]

    def was_done(self, names: Iterable[str]) -> bool:
        """Return whether it was done before the process ended.

        Args:
            names: of all files.
        """
        found = self.files(names)
        if self.action == WRITE:  # another process may have set it aside meanwhile, and counted it
            return not any(name.endswith((PARTIAL, _PARTIAL_ASIDE)) for name in found)
        if self.action == SET_ASIDE:
            return any(name.endswith(_PARTIAL_ASIDE) for name in found)
        return self.action == DELIVER or all(name.endswith(PARTIAL) for name in found)


def intentions(data: bytes) -> Iterator[Intention]:
    """Yield what a process had begun.

    Args:
        data: the bytes of its file, if they are complete.
    """
    for slot in range(_SLOTS):
        action, kind, outcome, identity, checksum = _SLOT.unpack_from(data, _SLOTS_AT + slot * _SLOT.size)
        if action != _FREE and kind < len(KINDS) and outcome < len(OUTCOMES):
            end = f"-{checksum.hex()}.envelope" if checksum.strip(b"\0") else ".envelope"
            yield Intention(action, KINDS[kind], OUTCOMES[outcome], f"-{identity.hex()}-", end)


def _kind_index(kind: str) -> int:
    return KINDS.index(kind) if kind in KINDS else KINDS.index("other")


def _index(kind: str, outcome: str) -> int:
    return _kind_index(kind) * len(OUTCOMES) + OUTCOMES.index(outcome)
