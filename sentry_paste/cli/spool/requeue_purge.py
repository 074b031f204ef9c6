"""Requeue files that were set aside, and remove files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

from sentry_paste.cli.spool.inventory import Entry
from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import ASIDE, SpoolFile


def choose_aside(
    files: Iterable[SpoolFile], ids: Sequence[str], reason: str | None
) -> tuple[list[SpoolFile], list[str]]:
    """Choose among the files that were set aside; return them, and the ids that were not found.

    Args:
        files: files in any state.
        ids: event ids or their first digits, dashes allowed; empty for all files.
        reason: reason why they were set aside, as in the file's name or as the server gave it; None for any.
    """
    digits_of = {identity: identity.replace("-", "").lower() for identity in ids}
    found: list[SpoolFile] = []
    missing = dict.fromkeys(ids)
    for file in files:
        if file.state != ASIDE or (reason is not None and file.aside(reason).detail != file.detail):
            continue
        matching = [
            identity for identity, digits in digits_of.items() if digits and file.id.startswith(digits)
        ]
        if matching or not ids:
            found.append(file)
        for identity in matching:
            missing.pop(identity, None)
    return found, list(missing)


def requeue(spool: Spool, files: Iterable[SpoolFile]) -> int:
    """Let files wait again; return how many do, as another process may be faster.

    Args:
        spool: spool of the files.
        files: files that were set aside.
    """
    return sum(spool.release(file) is not None for file in files)


def choose_removable(entries: Iterable[Entry], days: float, aside_only: bool) -> list[Entry]:
    """Choose the files to remove, never one claimed by a process that may be running.

    Args:
        entries: entries of an inventory.
        days: least age in days; 0 for any age.
        aside_only: whether to choose only files that were set aside.
    """
    latest = datetime.now(timezone.utc) - timedelta(days=days)
    return [
        entry
        for entry in entries
        if not entry.is_in_use
        and (not aside_only or entry.file.state == ASIDE)
        and (days == 0 or entry.file.time < latest)
    ]


def remove(spool: Spool, entries: Iterable[Entry]) -> tuple[list[Entry], Counter[str]]:
    """Remove files; return those that were still there, as another process may have claimed some.

    Also return how many cannot be removed, by reason.

    Args:
        spool: spool of the files.
        entries: entries of an inventory.
    """
    spool.ledger.ensure()
    removed, left = [], Counter[str]()
    for entry in entries:
        try:
            if spool.drop(entry.file, "purged"):
                removed.append(entry)
        except OSError as error:  # somebody's directory with such a name, or a disk that fails
            left[error.strerror or str(error)] += 1
    return removed, left
