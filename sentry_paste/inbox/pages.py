"""The pages of the inbox: each function returns the template and the values of one page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sentry_paste.inbox import plots
from sentry_paste.inbox.index import Entry, Index, LoadedEntry, Snapshot, load, load_all
from sentry_paste.inbox.listing import ALL, Query, Row, grouped, listing, parameters
from sentry_paste.inbox.records import Feedback, count_of_lines, feedback, log_lines
from sentry_paste.inbox.traces import history, trace

# How many files of a trace a page reads at most.
_MAX_TRACE_FILES = 100

# How many log lines of an envelope are shown at most, the last ones.
_MAX_LINES = 500

# How many users' comments on an error are shown at most.
_MAX_FEEDBACK = 20


@dataclass(frozen=True)
class Page:
    """A page to render.

    Attributes:
        template: name of the template.
        values: values for the template.
        status: HTTP status code.
        version: changes whenever the page changes; empty if the page has no version.
    """

    template: str
    values: Mapping[str, Any]
    status: int = 200
    version: str = ""


def list_page(index: Index, query_string: str, template: str = "list.jinja2") -> Page:
    """Return the list.

    Args:
        index: index of the spool.
        query_string: query string of the URL.
        template: template of the whole page, or of the part that the script loads again.
    """
    snapshot = index.look()
    found = listing(snapshot, Query.read(query_string))
    query = found.query
    plot = None
    if query.kind == "session":
        matches = query.matcher()
        plot = plots.session_plot(
            entry for entry in snapshot.entries if entry.file.kind == "session" and matches(entry)
        )
    start, end = _range(snapshot)
    values = {
        "listing": found,
        "query": query,
        "snapshot": snapshot,
        "plot": plot,
        "height": plots.HEIGHT,
        "slowest": _slowest(found.rows) if query.kind in ("transaction", "span") else 0.0,
        "sparks": {row.key: plots.spark(row.times, start, end) for row in found.rows},
        "all_kinds": ALL,
    }
    return Page(template, values, version=f"{snapshot.version}-{query.address()}")


def _slowest(rows: Iterable[Row]) -> float:
    return max((row.duration or 0.0 for row in rows), default=0.0)


def envelope_page(index: Index, identity: str) -> Page:
    """Return the page of one envelope.

    Args:
        index: index of the spool.
        identity: id of the envelope.
    """
    snapshot, found = _find(index, identity)
    if found is None:
        return missing("The spool has no envelope with this id. It may have been sent since, or removed.")
    entry, contents = found.entry, found.contents
    summary = entry.summary
    trace_id = next(iter(summary.trace_ids), "")
    related = load_all(_others(snapshot, entry, trace_id))
    own = feedback(contents.payloads) if contents else []
    head = own.pop(0) if own and entry.file.kind == "feedback" else None
    error = snapshot.find(head.error_id) if head and head.error_id else None
    of_others = [one for one in snapshot.feedback_about(identity) if one.file.path != entry.file.path]
    comments = [*(Comment(one, None) for one in own), *_comments(of_others[:_MAX_FEEDBACK], identity)]
    return Page(
        "envelope.jinja2",
        {
            "entry": entry,
            "summary": summary,
            "contents": contents,
            "problem": found.problem,
            "trace_id": trace_id,
            "related": related,
            "feedback": head,
            "error": error if error and error.file.kind != "feedback" else None,
            "comments": comments[:_MAX_FEEDBACK],
            "comment_count": len(comments) + max(0, len(of_others) - _MAX_FEEDBACK),
            "own_lines": log_lines(contents.payloads)[-_MAX_LINES:] if contents else [],
            "own_lines_before": count_of_lines(contents.payloads) - _MAX_LINES if contents else 0,
            "history": history(contents, trace_id, related) if contents else None,
            "group": _group(snapshot, entry),
            "waterfall": None if trace_id or contents is None else trace("", [found]),
        },
    )


@dataclass(frozen=True)
class Comment:
    """A user's comment on an error.

    Attributes:
        feedback: the feedback.
        entry: the file of the feedback; None if it is in the error's own envelope.
    """

    feedback: Feedback
    entry: Entry | None


def _comments(entries: list[Entry], identity: str) -> list[Comment]:
    return [
        Comment(one, found.entry if found.entry.file.id != identity else None)
        for found in load_all(entries)
        if found.contents
        for one in feedback(found.contents.payloads)
        if one.error_id == identity
    ]


def trace_page(index: Index, trace_id: str, query_string: str) -> Page:
    """Return the page of a trace.

    Args:
        index: index of the spool.
        trace_id: id of the trace.
        query_string: query string of the URL; ``span`` selects a span to show in detail.
    """
    snapshot = index.look()
    files = load_all(snapshot.of_trace(trace_id)[:_MAX_TRACE_FILES])
    if not files:
        return missing("The spool has nothing of this trace. It may have been sent since, or removed.")
    found = trace(trace_id, files)
    key = parameters(query_string).get("span", "")
    selected = next((bar for bar in found.bars if bar.key[:200] == key), None) if key else None
    name = next((bar.span.name for bar in found.bars if bar.span.is_segment), "")
    return Page(
        "trace.jinja2",
        {
            "trace": found,
            "selected": selected,
            "title": name or "Trace",
            "addresses": {bar.key: urlencode({"span": bar.key}, errors="replace") for bar in found.bars},
            "unread": snapshot.unread,
        },
    )


def missing(detail: str = "There is no page at this address.") -> Page:
    """Return the 404 page.

    Args:
        detail: what was not found.
    """
    return Page("missing.jinja2", {"detail": detail}, status=404)


@dataclass(frozen=True)
class Group:
    """The errors of the same kind as one error.

    Attributes:
        id: id of the group.
        count: number of errors.
        newest: the newest error.
        oldest: the oldest error.
        newer: the next newer error; None if this is the newest.
        older: the next older error; None if this is the oldest.
        spark: SVG path of a sparkline of all of them.
    """

    id: str
    count: int
    newest: Entry
    oldest: Entry
    newer: Entry | None
    older: Entry | None
    spark: str


def _group(snapshot: Snapshot, entry: Entry) -> Group | None:
    if not entry.summary.group:
        return None
    others = [one for one in snapshot.entries if one.summary.group == entry.summary.group]
    place = next((place for place, one in enumerate(others) if one.file.id == entry.file.id), None)
    if place is None:
        return None
    (row,) = grouped(others)
    return Group(
        id=entry.summary.group,
        count=len(others),
        newest=others[0],
        oldest=others[-1],
        newer=others[place - 1] if place else None,
        older=others[place + 1] if place + 1 < len(others) else None,
        spark=plots.spark(row.times, *_range(snapshot)),
    )


def _range(snapshot: Snapshot) -> tuple[float, float]:
    if not snapshot.entries:
        return 0.0, 0.0
    return snapshot.entries[-1].file.time.timestamp(), snapshot.entries[0].file.time.timestamp()


def _find(index: Index, identity: str) -> tuple[Snapshot, LoadedEntry | None]:
    """Find and read a file; try again if it was renamed, for example claimed, in the meantime."""
    for _ in range(3):
        snapshot = index.look()
        entry = snapshot.find(identity)
        if entry is None:
            return snapshot, None
        try:
            return snapshot, load(entry)
        except FileNotFoundError:
            continue
    return snapshot, None


def _others(snapshot: Snapshot, entry: Entry, trace_id: str) -> list[Entry]:
    if not trace_id:
        return []
    found = [one for one in snapshot.of_trace(trace_id) if one.file.path != entry.file.path]
    return found[:_MAX_TRACE_FILES]
