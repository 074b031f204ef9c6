"""Find the files that a few digits name: the beginning of the id of an envelope, or of a trace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sentry_paste.inbox.summary import summarise
from sentry_paste.spool.names import SpoolFile
from sentry_paste.spool.reading import read_bytes

#: Digits of a short id, unless more are needed to tell two ids apart.
SHORT = 8


class AmbiguousError(ValueError):
    """The digits are the beginning of more than one id.

    Args:
        digits: the digits.
        ids: the ids, and the newest file of each.
    """

    def __init__(self, digits: str, ids: dict[str, SpoolFile]) -> None:
        super().__init__(f"{digits} is the beginning of {len(ids):,} ids")
        self.ids = ids


def look_up(files: Sequence[SpoolFile], digits: str) -> list[SpoolFile]:
    """Return the file with an id, or else the files of a trace, oldest first; none if there is neither.

    Args:
        files: the files, newest first.
        digits: first digits of the id; dashes are allowed.

    Raises:
        AmbiguousError: more than one id begins with them.
    """
    wanted = digits.replace("-", "").lower()
    named: dict[str, SpoolFile] = {}
    for file in files:
        if file.id.startswith(wanted):
            named.setdefault(file.id, file)
    if len(named) > 1:
        raise AmbiguousError(digits, named)
    return list(named.values()) or _of_trace(files, wanted, digits)


def _of_trace(files: Iterable[SpoolFile], wanted: str, digits: str) -> list[SpoolFile]:
    traces: dict[str, list[SpoolFile]] = {}
    for file in files:
        try:
            data = read_bytes(file)
            # Most files are of other traces, and need no parser to be passed over.
            found = summarise(file, len(data)).trace_ids if wanted.encode("ascii", "replace") in data else ()
        except (OSError, ValueError):
            continue
        for trace_id in found:
            if trace_id.startswith(wanted):
                traces.setdefault(trace_id, []).append(file)
    if len(traces) > 1:
        raise AmbiguousError(digits, {trace_id: found[0] for trace_id, found in traces.items()})
    return next((found[::-1] for found in traces.values()), [])


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Return for each id its first digits, at least eight, which no other one has.

    Args:
        ids: full ids.
    """
    ordered = sorted(set(ids))
    found = {}
    for before, identity, after in zip(["", *ordered], ordered, [*ordered[1:], ""]):
        least = 1 + max(_common(identity, before), _common(identity, after))
        found[identity] = identity[: max(SHORT, least)]
    return found


def _common(one: str, other: str) -> int:
    """Return how many first characters two texts have in common."""
    count = 0
    for a, b in zip(one, other):
        if a != b:
            break
        count += 1
    return count
