"""What an assistant may ask of a spool. The answers are plain data; nothing here changes a file."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sentry_paste.inbox.activity import Activity, Item, activity
from sentry_paste.inbox.groups import RequestGroup, Row, error_groups, request_groups
from sentry_paste.inbox.heads import Head, head_of_error, head_of_trace
from sentry_paste.inbox.index import Entry, Index, LoadedEntry, Snapshot, load_all
from sentry_paste.inbox.query import Query
from sentry_paste.inbox.records import LogLine, feedback, seconds
from sentry_paste.inbox.traces import Bar, History, history, trace
from sentry_paste.spool import Spool
from sentry_paste.spool.contents import Breadcrumb, Contents, Error, Frame

_AGO = re.compile(r"(\d{1,6}) ?(s|m|h|d|w)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_ID = re.compile("[0-9a-f]{4,32}")

# Limits of one answer.
_MAX_ROWS = 100
_MAX_TRACE_FILES = 100
_MAX_BARS = 300
_MAX_ERRORS = 5
_MAX_FRAMES = 60
_MAX_OWN_FRAMES = 8
_MAX_VARIABLES = 25
_MAX_VALUE = 300
_MAX_CANDIDATES = 20


class QueryError(ValueError):
    """The question cannot be answered; the message says why, and holds nothing that was recorded."""


class SpoolReader:
    """Answers questions about a spool.

    Args:
        directory: directory of the spool.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._index = Index(Spool(directory))

    def _snapshot(self) -> Snapshot:
        snapshot = self._index.read_all()
        if snapshot.problem:
            raise QueryError(f"the spool cannot be read: {snapshot.problem}")
        if not snapshot.is_there:
            raise QueryError(
                f"there is no directory {self._directory}: nothing was captured yet, or the path is wrong"
            )
        return snapshot

    def errors(self, search: str, sort: str, limit: int) -> dict[str, Any]:
        """Return groups of errors of the same kind and place.

        Args:
            search: as in the inbox.
            sort: ``last``, ``first`` or ``count``.
            limit: how many groups.
        """
        found, problems = _matching(activity(self._snapshot()).errors, search)
        rows = error_groups(found, sort)
        return {
            "found": {"errors": len(found), "groups": len(rows)},
            "groups": [_group(row) for row in rows[: _bounded(limit)]],
            "not_understood": problems,
        }

    def error(self, identity: str) -> dict[str, Any]:
        """Return an error with its traceback, source, variables and request.

        Args:
            identity: id of the error or of its group, or its first digits.
        """
        snapshot = self._snapshot()
        entry = _find_error(snapshot, identity)
        loaded, related = _loaded(snapshot, entry)
        contents = _readable(loaded)
        others = [
            one
            for one in snapshot.entries
            if one.file.kind == "error" and one.summary.group == entry.summary.group
        ]
        head = head_of_error(contents, [one.contents for one in related if one.contents])
        return {
            "id": entry.file.id,
            "time": _moment(entry.file.time),
            **_facts(contents, head),
            "handled": entry.summary.handled,
            "raised_in": entry.summary.place,
            # As in a traceback, the exception that was raised last is the last.
            "exceptions": [_error(error) for error in contents.errors],
            "message": "" if contents.errors else contents.title,
            "stack": _frames(contents.stack),
            "tags": dict(contents.tags),
            # What is recorded chooses these names, so they are not among ours.
            "contexts": {name: dict(pairs) for name, pairs in contents.details},
            "feedback": [one.message for one in feedback(contents.payloads)],
            "same_kind": {
                "group": entry.summary.group,
                "count": len(others),
                "first": _moment(others[-1].file.time) if others else None,
                "last": _moment(others[0].file.time) if others else None,
            },
        }

    def lines_before(self, identity: str, limit: int) -> dict[str, Any]:
        """Return what was logged before an error, and its other breadcrumbs, oldest first.

        Args:
            identity: id of the error or of its group, or its first digits.
            limit: how many lines.
        """
        snapshot = self._snapshot()
        entry = _find_error(snapshot, identity)
        loaded, related = _loaded(snapshot, entry)
        found: History = history(_readable(loaded), _trace_of(entry), related)
        rows = [(seconds(line.time), _line(line)) for line in found.lines]
        rows += [(seconds(crumb.time), _crumb(crumb)) for crumb in found.crumbs]
        rows.sort(key=lambda row: row[0])
        kept = rows[-_bounded(limit) :]
        return {
            "id": entry.file.id,
            "error_at": _moment(entry.file.time),
            "lines": [row for _, row in kept],
            "left_out": found.left_out + len(rows) - len(kept),
        }

    def traces(self, search: str, sort: str, limit: int) -> dict[str, Any]:
        """Return requests, each of which has a trace.

        Args:
            search: as in the inbox.
            sort: ``last`` or ``slowest``.
            limit: how many requests.
        """
        happened = activity(self._snapshot())
        found, problems = _matching(happened.requests, search)
        if sort == "slowest":
            found = sorted(found, key=lambda item: -(_duration(item) or 0.0))
        return {
            "found": len(found),
            "requests": [_request(item, happened) for item in found[: _bounded(limit)]],
            "not_understood": problems,
        }

    def routes(self, search: str, sort: str, limit: int) -> dict[str, Any]:
        """Return requests by the names of their transactions, with counts and durations.

        Args:
            search: as in the inbox.
            sort: ``last``, ``name``, ``count``, ``failed``, ``p50`` or ``p95``.
            limit: how many names.
        """
        found, problems = _matching(activity(self._snapshot()).requests, search)
        groups = request_groups(found, sort)
        return {
            "found": {"requests": len(found), "names": len(groups)},
            "names": [_route(group) for group in groups[: _bounded(limit)]],
            "not_understood": problems,
        }

    def trace(self, identity: str) -> dict[str, Any]:
        """Return a trace: its spans and errors as a tree, and its log lines.

        Args:
            identity: id of the trace or of one of its errors, or its first digits.
        """
        snapshot = self._snapshot()
        trace_id = _find_trace(snapshot, identity)
        files = load_all(snapshot.of_trace(trace_id)[:_MAX_TRACE_FILES])
        found = trace(trace_id, files)
        first = next((bar.span.id for bar in found.bars if bar.span.is_segment), "")
        head = head_of_trace([one.contents for one in found.files if one.contents], first)
        return {
            "id": trace_id,
            "time": _moment(datetime.fromtimestamp(found.start, timezone.utc)),
            "duration_ms": _milliseconds(found.duration),
            "request": _head(head),
            "transaction": head.transaction,
            "spans": [_bar(bar) for bar in found.bars[:_MAX_BARS]],
            "spans_left_out": found.left_out + max(0, len(found.bars) - _MAX_BARS),
            "lines": [_line(line) for line in found.lines[-_MAX_ROWS:]],
        }

    def news(self, since: str, limit: int) -> dict[str, Any]:
        """Return what has happened since a time: kinds of errors that are new, and those that came again.

        Args:
            since: ``15m``, ``2h`` or ``1d`` before now, or a time in ISO 8601.
            limit: how many groups of each.
        """
        now = time.time()
        begin = max(moment_of(since, now), 0.0)
        happened = activity(self._snapshot())
        rows = [row for row in error_groups(happened.errors) if row.item.facts.time >= begin]
        new = [row for row in rows if row.times[-1] >= begin]
        again = [row for row in rows if row.times[-1] < begin]
        requests = [item for item in happened.requests if item.facts.time >= begin]
        return {
            "since": _moment(datetime.fromtimestamp(begin, timezone.utc)),
            "until": _moment(datetime.fromtimestamp(now, timezone.utc)),
            "new": [_group(row, begin) for row in new[: _bounded(limit)]],
            "again": [_group(row, begin) for row in again[: _bounded(limit)]],
            "counts": {
                "new_groups": len(new),
                "groups_again": len(again),
                "errors": sum(1 for row in rows for moment in row.times if moment >= begin),
                "requests": len(requests),
                "failed_requests": sum(
                    item.request is not None and item.request.is_failed for item in requests
                ),
            },
        }


def moment_of(text: str, now: float) -> float:
    """Return a time in seconds since 1970.

    Args:
        text: ``15m``, ``2h`` or ``1d`` before now, or a time in ISO 8601, in UTC if it names no zone.
        now: the present time.

    Raises:
        QueryError: it is no such time.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise QueryError("since: expected 15m, 2h, 1d or a time such as 2026-11-22T07:13:00Z") from None


def _matching(items: Sequence[Item], search: str) -> tuple[list[Item], list[str]]:
    """Return what matches a search, and what of the search was not understood."""
    check, problems = Query(text=search).check()
    found = list(items) if check is None else [item for item in items if check(item.facts)]
    return found, [f"{problem.text}: expected {problem.expected}" for problem in problems]


def _bounded(limit: int) -> int:
    return max(1, min(limit, _MAX_ROWS))


# Ids.


def _digits(identity: str) -> str:
    digits = identity.strip().replace("-", "").lower()
    if not _ID.fullmatch(digits):
        raise QueryError("expected an id of 32 hexadecimal digits, or at least its first four")
    return digits


def _find_error(snapshot: Snapshot, identity: str) -> Entry:
    digits = _digits(identity)
    errors = [entry for entry in snapshot.entries if entry.file.kind == "error"]
    found = {entry.file.id: entry for entry in reversed(errors) if entry.file.id.startswith(digits)}
    if not found:
        newest = next((entry for entry in errors if entry.summary.group == digits), None)
        if newest is None:
            raise QueryError("no error has this id; it may have been sent since, cleared or removed")
        return newest
    _refuse_many(found)
    return next(iter(found.values()))


def _find_trace(snapshot: Snapshot, identity: str) -> str:
    digits = _digits(identity)
    found = {
        trace_id
        for entry in snapshot.entries
        for trace_id in entry.summary.trace_ids
        if trace_id.startswith(digits)
    } or {
        _trace_of(entry)
        for entry in snapshot.entries
        if entry.file.id.startswith(digits) and _trace_of(entry)
    }
    if not found:
        raise QueryError("no trace has this id; it may have been sent since, cleared or removed")
    _refuse_many(found)
    return next(iter(found))


def _refuse_many(ids: Iterable[str]) -> None:
    found = sorted(ids)
    if len(found) > 1:
        listed = ", ".join(found[:_MAX_CANDIDATES])
        raise QueryError(f"the digits are the beginning of {len(found)} ids: {listed}")


def _trace_of(entry: Entry) -> str:
    return next(iter(entry.summary.trace_ids), "")


def _loaded(snapshot: Snapshot, entry: Entry) -> tuple[LoadedEntry, list[LoadedEntry]]:
    """Return a file, and the others of its trace."""
    trace_id = _trace_of(entry)
    others = [one for one in snapshot.of_trace(trace_id) if one is not entry] if trace_id else []
    loaded, *related = [*load_all([entry]), *load_all(others[:_MAX_TRACE_FILES])] or [
        LoadedEntry(entry, None)
    ]
    return (loaded, related) if loaded.entry is entry else (LoadedEntry(entry, None, "it has just gone"), [])


def _readable(loaded: LoadedEntry) -> Contents:
    if loaded.contents is None:
        raise QueryError("its file cannot be read, or has just been sent")
    return loaded.contents


# Plain data.


def _moment(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(duration: float | None) -> float | None:
    return None if duration is None else round(duration * 1000, 1)


def _duration(item: Item) -> float | None:
    return item.request.duration if item.request is not None else item.entry.summary.duration


def _group(row: Row, since: float = 0.0) -> dict[str, Any]:
    summary = row.entry.summary
    return {
        "id": row.entry.file.id,
        "group": summary.group,
        "type": summary.title,
        "message": summary.value,
        "raised_in": summary.place,
        "transaction": summary.transaction,
        "level": summary.level,
        "handled": summary.handled,
        "count": sum(moment >= since for moment in row.times) if since else row.count,
        "first": _moment(row.first),
        "last": _moment(row.entry.file.time),
        "environment": summary.environment,
        "release": summary.release,
        "trace": _trace_of(row.entry),
    }


def _request(item: Item, happened: Activity) -> dict[str, Any]:
    request, summary = item.request, item.entry.summary
    found: dict[str, Any] = {"time": _moment(item.entry.file.time), "trace": _trace_of(item.entry)}
    if request is not None:
        found.update(
            trace=request.trace_id,
            name=request.name,
            method=request.method,
            url=request.url,
            status=request.code or request.status,
            failed=request.is_failed,
            duration_ms=_milliseconds(request.duration),
        )
    found["release"] = summary.release
    errors = happened.of_request(item)
    found["errors"] = [
        {"id": error.entry.file.id, "type": error.entry.summary.title} for error in errors[:_MAX_ERRORS]
    ]
    found["errors_left_out"] = max(0, len(errors) - _MAX_ERRORS) or None
    return found


def _route(group: RequestGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "count": group.count,
        "failed": group.failed,
        "p50_ms": _milliseconds(group.p50),
        "p95_ms": _milliseconds(group.p95),
        "last": _moment(group.last.entry.file.time),
    }


def _facts(contents: Contents, head: Head) -> dict[str, Any]:
    return {
        "level": contents.level,
        "transaction": contents.transaction,
        "environment": contents.environment,
        "release": contents.release,
        "trace": contents.trace_id,
        "request": {**_head(head), "headers": contents.request.get("headers")},
    }


def _head(head: Head) -> dict[str, Any]:
    return {"method": head.method, "url": head.url, "status": head.status}


def _error(error: Error) -> dict[str, Any]:
    return {
        "type": error.type,
        "message": error.value,
        "handled": error.handled,
        "reported_by": error.mechanism,
        "frames": _frames(error.frames),
    }


def _frames(frames: Sequence[Frame]) -> list[dict[str, Any]]:
    """Return frames, innermost last; the app's own innermost ones with source and variables."""
    kept = list(frames[-_MAX_FRAMES:])
    own = [frame for frame in kept if frame.in_app][-_MAX_OWN_FRAMES:]
    if not own:
        own = kept[-1:]
    return [_frame(frame, any(frame is one for one in own)) for frame in kept]


def _frame(frame: Frame, is_whole: bool) -> dict[str, Any]:
    line = next((text.strip() for number, text in frame.context if number == frame.line), "")
    found: dict[str, Any] = {
        "file": frame.path or frame.filename,
        "line": frame.line,
        "function": frame.function,
        "code": line,
    }
    if not is_whole:
        return found
    return {
        **found,
        "own": frame.in_app or None,
        "source": [f"{number}: {text}" for number, text in frame.context],
        "variables": {name: value[:_MAX_VALUE] for name, value in frame.variables[:_MAX_VARIABLES]},
    }


def _line(line: LogLine) -> dict[str, Any]:
    return {
        "time": _moment(line.time) if line.time else None,
        "level": line.level,
        "logger": line.logger,
        "message": line.message,
    }


def _crumb(crumb: Breadcrumb) -> dict[str, Any]:
    return {
        "time": _moment(crumb.time) if crumb.time else None,
        "level": crumb.level,
        "breadcrumb": crumb.category,
        "message": crumb.message,
    }


def _bar(bar: Bar) -> dict[str, Any]:
    found: dict[str, Any] = {
        "depth": bar.depth,
        "op": bar.span.op,
        "name": bar.span.name,
        "at_ms": _milliseconds(bar.offset),
    }
    if bar.is_error:
        return {**found, "error": bar.entry.file.id}
    if bar.span.is_missing:
        return {**found, "missing": True}
    return {**found, "duration_ms": _milliseconds(bar.span.duration), "status": bar.span.status}
