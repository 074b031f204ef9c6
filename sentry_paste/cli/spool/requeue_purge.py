"""Which files of a spool wait again, and which go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

from sentry_paste.cli.spool.inventory import Held
from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import ASIDE, SpoolFile


def chosen(
    files: Iterable[SpoolFile], ids: Sequence[str], reason: str | None
) -> tuple[list[SpoolFile], list[str]]:
    """Return those of the files that were set aside that are meant, and the ids that none has.

    Args:
        files: in any state.
        ids: event ids or their first digits, dashes allowed; all are meant where there are none.
        reason: why they were set aside, as it was given or as it stands in the name; any where None.
    """
    wanted = {identity: identity.replace("-", "").lower() for identity in ids}
    found: list[SpoolFile] = []
    missing = dict.fromkeys(ids)
    for file in files:
        if file.state != ASIDE or (reason is not None and file.aside(reason).detail != file.detail):
            continue
        named = [identity for identity, digits in wanted.items() if digits and file.id.startswith(digits)]
        if named or not ids:
            found.append(file)
        for identity in named:
            missing.pop(identity, None)
    return found, list(missing)


def requeue(spool: Spool, files: Iterable[SpoolFile]) -> int:
    """Have files wait again; return how many do: others may be faster.

    Args:
        spool: whose they are.
        files: that were set aside.
    """
    return sum(spool.release(file) is not None for file in files)


def expired(held: Iterable[Held], days: float, aside_only: bool) -> list[Held]:
    """Return what is to go; never what a process has claimed that may run.

    Args:
        held: of a survey.
        days: only what is older.
        aside_only: only what was set aside.
    """
    latest = datetime.now(timezone.utc) - timedelta(days=days)
    return [
        found
        for found in held
        if not found.is_in_use
        and (not aside_only or found.file.state == ASIDE)
        and (days == 0 or found.file.time < latest)
    ]


def remove(held: Iterable[Held]) -> list[Held]:
    """Remove files; return those that were there still: another process may have claimed some.

    Args:
        held: of a survey.
    """
    removed = []
    for found in held:
        try:
            found.file.path.unlink()
        except FileNotFoundError:
            continue
        removed.append(found)
    return removed
