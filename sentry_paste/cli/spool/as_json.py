"""The reports of the ``spool`` commands for machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from sentry_paste.cli.spool.inventory import Entry, Inventory, SendPlan
from sentry_paste.cli.spool.sending import Progress
from sentry_paste.spool.contents import Contents, read_contents
from sentry_paste.spool.names import SpoolFile


def dumped(report: Any) -> str:
    """Return a report as JSON.

    Args:
        report: plain data.
    """
    return json.dumps(report, indent=2)


def list_json(inventory: Inventory, listed: Sequence[Entry], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the files of a spool.

    Args:
        inventory: inventory of the directory.
        listed: the files to list.
        names: known names of destinations, by hash.
    """
    return {
        "files": [_listed(entry.file, names) for entry in listed],
        "total": len(inventory.entries),
        "states": {
            state: {"files": count, "bytes": size} for state, (count, size) in inventory.totals().items()
        },
        "partial": inventory.partial,
        "foreign": inventory.foreign,
    }


def _listed(file: SpoolFile, names: Mapping[str, str]) -> dict[str, Any]:
    try:
        contents = read_contents(file)
    except (OSError, ValueError) as error:
        return {**_named(file, names), "problem": str(error)}
    return {**_named(file, names), **_described(contents)}


def _named(file: SpoolFile, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what the name of a file says."""
    age = (datetime.now(timezone.utc) - file.time).total_seconds()
    return {
        "id": file.id,
        "kind": file.kind,
        "time": file.time.isoformat(),
        "age_seconds": round(max(age, 0.0), 3),
        "state": file.state,
        "detail": file.detail,
        "destination": file.destination,
        "destination_name": names.get(file.destination),
        "path": str(file.path),
    }


def _described(contents: Contents) -> dict[str, Any]:
    return {
        "title": contents.title,
        "level": contents.level,
        "transaction": contents.transaction,
        "trace_id": contents.trace_id,
        "duration_seconds": contents.duration,
        "release": contents.release,
        "environment": contents.environment,
        "bytes": contents.size,
    }


def show_json(shown: Iterable[Contents], names: Mapping[str, str]) -> dict[str, Any]:
    """Return envelopes with the payloads of their items; a payload that is not JSON is null.

    Args:
        shown: contents of the envelopes.
        names: known names of destinations, by hash.
    """
    return {
        "envelopes": [
            {
                **_named(contents.file, names),
                **_described(contents),
                "items": [{"type": type_, "payload": payload} for type_, payload in contents.payloads],
            }
            for contents in shown
        ]
    }


def send_json(
    plan: SendPlan, where: str, dry_run: bool, progress: Progress | None, seconds: float
) -> dict[str, Any]:
    """Return what is sent, and what became of it.

    Args:
        plan: plan of the command.
        where: host and project, as text.
        dry_run: whether this is a dry run.
        progress: progress at the end; None if nothing was to be sent.
        seconds: how long it took.
    """
    planned = {
        "destination": where,
        "dry_run": dry_run,
        "planned": files_json(plan.entries),
        "not_sent": {"elsewhere": dict(plan.elsewhere), "aside": plan.aside, "in_use": plan.in_use},
    }
    if progress is None:
        return planned
    return {
        **planned,
        "sent": progress.sent,
        "sent_bytes": progress.sent_bytes,
        "seconds": round(seconds, 3),
        "aside": dict(progress.aside),
        "unreadable": dict(progress.unreadable),
        "taken": progress.taken,
        "left": progress.left,
        "stopped": progress.stop_reason or None,
        "problem": progress.problem or None,
    }


def files_json(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return number, kinds and size of files.

    Args:
        entries: the files.
    """
    entries = list(entries)
    return {
        "files": len(entries),
        "bytes": sum(entry.size for entry in entries),
        "kinds": dict(Counter(entry.file.kind for entry in entries)),
    }
