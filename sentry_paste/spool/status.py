"""What a spool has done and holds: its counts, and what its processes say of the server."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sentry_paste.spool.counts import CAPTURED, DELIVERED, DROPPED
from sentry_paste.spool.names import ASIDE, SpoolFile
from sentry_paste.spool.owner import Owner
from sentry_paste.spool.totals import Totals, read_totals

# Characters of the longest reason.
_LONGEST = 200
# The year 9999, in seconds since 1970: a later time cannot be shown.
_LATEST = 253_370_764_800


@dataclass
class Status:
    """The status of a spool.

    Attributes:
        counts: envelopes by kind and what became of them: ``captured``, ``delivered``, ``waiting``, ``aside``
            and ``dropped``.
        aside: files that were set aside, by reason.
        dropped: envelopes that were dropped, by reason.
        unaccounted: captured envelopes of which nothing is known, by kind: somebody has removed files.
        size: bytes of all files.
        oldest: age of the oldest file that waits, in seconds by the clock of the file system; None if none
            waits.
        succeeded: when Sentry last accepted something, in seconds since 1970; None if that is not known.
        failed: when it last did not.
        reason: why not.
        limits: rate limits by kind, and until when.
        senders: processes that have last sent files, and whether each is running.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    aside: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    unaccounted: Counter[str] = field(default_factory=Counter)
    size: int = 0
    oldest: float | None = None
    succeeded: float | None = None
    failed: float | None = None
    reason: str = ""
    limits: dict[str, float] = field(default_factory=dict)
    senders: dict[str, bool | None] = field(default_factory=dict)

    def total(self, outcome: str) -> int:
        """Return a count of all kinds.

        Args:
            outcome: ``captured``, ``waiting`` and so on.
        """
        return sum(counts[outcome] for counts in self.counts.values())


def read_status(directory: Path) -> Status:
    """Return the status of a spool; nothing is changed.

    Args:
        directory: directory of the spool.

    Raises:
        OSError: it cannot be read.
    """
    status = Status()
    totals = read_totals(directory)
    for (kind, outcome), count in totals.counts.items():
        counts = status.counts.setdefault(kind, Counter())
        if outcome in (CAPTURED, DELIVERED):
            counts[outcome] += count
        elif outcome in DROPPED:
            counts["dropped"] += count
            status.dropped[outcome] += count
    _add_files(status, directory)
    for kind, counts in status.counts.items():
        rest = counts[CAPTURED] - sum(counts[name] for name in (DELIVERED, "waiting", ASIDE, "dropped"))
        if rest:
            status.unaccounted[kind] = rest
    _add_states(status, totals)
    return status


def _add_files(status: Status, directory: Path) -> None:
    oldest = None
    with os.scandir(directory) as found:
        for item in found:
            file = SpoolFile.from_path(directory / item.name)
            if file is None:
                continue
            try:
                known = item.stat(follow_symlinks=False)
            except OSError:  # sent meanwhile
                continue
            counts = status.counts.setdefault(file.kind, Counter())
            if not file.checksum:  # of version 1.0, which did not count
                counts[CAPTURED] += 1
            status.size += known.st_size
            if file.state == ASIDE:
                counts[ASIDE] += 1
                status.aside[file.detail] += 1
            else:
                counts["waiting"] += 1
                oldest = known.st_mtime if oldest is None else min(oldest, known.st_mtime)
    if oldest is not None:
        status.oldest = max(time.time() - oldest, 0.0)


def _add_states(status: Status, totals: Totals) -> None:
    now = time.time()
    for name, state in totals.states.items():
        succeeded, failed = _time(state.get("succeeded")), _time(state.get("failed"))
        if succeeded is not None:
            status.succeeded = max(status.succeeded or 0.0, succeeded)
        if failed is not None and failed >= (status.failed or 0.0):
            reason = state.get("reason")
            status.failed, status.reason = failed, reason[:_LONGEST] if isinstance(reason, str) else ""
        limits = state.get("limits")
        for kind, text in limits.items() if isinstance(limits, dict) else ():
            until = _time(text)
            if until is not None and until > now:
                status.limits[kind] = max(status.limits.get(kind, 0.0), until)
        if state.get("sends"):
            owner = Owner.from_text(name.partition(".")[0])
            status.senders[name.partition(".")[0]] = owner.is_alive() if owner is not None else None


def _time(value: Any) -> float | None:
    """Return a time that a process has said; None if it is none, as anybody may have written it."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < _LATEST else None


def as_json(status: Status) -> dict[str, Any]:
    """Return a status as plain data.

    Args:
        status: of a spool.
    """
    return {
        "counts": {kind: dict(+counts) for kind, counts in sorted(status.counts.items())},
        "aside": dict(status.aside),
        "dropped": dict(status.dropped),
        "unaccounted": dict(status.unaccounted),
        "bytes": status.size,
        "oldest_waiting_seconds": None if status.oldest is None else round(status.oldest, 3),
        "last_success": _timestamp(status.succeeded),
        "last_failure": _timestamp(status.failed),
        "last_failure_reason": status.reason or None,
        "rate_limits": {kind: _timestamp(until) for kind, until in sorted(status.limits.items())},
        "senders": dict(status.senders),
    }


def _timestamp(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_prometheus(status: Status, directory: str) -> str:
    """Return a status in Prometheus' text format, for a textfile collector.

    https://prometheus.io/docs/instrumenting/exposition_formats/

    Args:
        status: of a spool.
        directory: directory of the spool, which becomes a label.
    """
    return "".join(f"{line}\n" for line in _prometheus(status, directory))


def _prometheus(status: Status, directory: str) -> Iterator[str]:
    where = f'directory="{_escaped(directory)}"'
    for outcome, text in (
        (CAPTURED, "Envelopes that were captured."),
        (DELIVERED, "Envelopes that Sentry has accepted."),
    ):
        yield from _head(f"{outcome}_total", "counter", text)
        for kind, counts in sorted(status.counts.items()):
            yield f'sentry_paste_spool_{outcome}_total{{{where},kind="{kind}"}} {counts[outcome]}'
    yield from _head("dropped_total", "counter", "Envelopes that were dropped.")
    for reason, count in sorted(status.dropped.items()):
        yield f'sentry_paste_spool_dropped_total{{{where},reason="{reason}"}} {count}'
    yield from _head("waiting", "gauge", "Files that wait or are being sent.")
    for kind, counts in sorted(status.counts.items()):
        yield f'sentry_paste_spool_waiting{{{where},kind="{kind}"}} {counts["waiting"]}'
    yield from _head("aside", "gauge", "Files that were set aside.")
    for reason, count in sorted(status.aside.items()):
        yield f'sentry_paste_spool_aside{{{where},reason="{_escaped(reason)}"}} {count}'
    numbers = {
        "bytes": (float(status.size), "Bytes of all files."),
        "oldest_waiting_seconds": (status.oldest or 0.0, "Age of the oldest file that waits."),
        "last_success_timestamp_seconds": (status.succeeded, "When Sentry last accepted something."),
        "last_failure_timestamp_seconds": (status.failed, "When Sentry last did not."),
    }
    for name, (value, text) in numbers.items():
        if value is not None:
            yield from _head(name, "gauge", text)
            yield f"sentry_paste_spool_{name}{{{where}}} {value:.3f}"
    yield from _head("rate_limited_until_timestamp_seconds", "gauge", "Until when a kind is rate-limited.")
    for kind, until in sorted(status.limits.items()):
        yield (
            f'sentry_paste_spool_rate_limited_until_timestamp_seconds{{{where},kind="{_escaped(kind)}"}} '
            f"{until:.3f}"
        )


def _head(name: str, type_: str, text: str) -> Iterator[str]:
    yield f"# HELP sentry_paste_spool_{name} {text}"
    yield f"# TYPE sentry_paste_spool_{name} {type_}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
