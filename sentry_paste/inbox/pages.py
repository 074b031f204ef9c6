"""The pages: what each of them shows, by the address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sentry_paste.inbox import plots
from sentry_paste.inbox.index import Entry, Index, Opened, Snapshot, opened, opened_all
from sentry_paste.inbox.listing import ALL, Query, Row, grouped, listing, parameters
from sentry_paste.inbox.records import Feedback, count_of_lines, feedback, log_lines
from sentry_paste.inbox.traces import story, trace

# Files of one trace that a page reads.
_MOST_OF_TRACE = 100

# Of an envelope of log lines, so many are shown.
_MOST_LINES = 500

# Of what users told of one error, so many are shown.
_MOST_TOLD = 20


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
        template: its name.
        values: for the template.
        status: of HTTP.
        version: another one when what is shown is another; empty where that is not known.
    """

    template: str
    values: Mapping[str, Any]
    status: int = 200
    version: str = ""


def list_page(index: Index, query_string: str, template: str = "list.jinja2") -> Page:
    """Return the list.

    Args:
        index: of the spool.
        query_string: of the address.
        template: that of the page, or that of the part of it that is fetched again.
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
    return max((row.entry.told.duration or 0.0 for row in rows), default=0.0)


def envelope_page(index: Index, identity: str) -> Page:
    """Return the page of one file.

    Args:
        index: of the spool.
        identity: its id.
    """
    snapshot, found = _find(index, identity)
    if found is None:
        return missing(
            "There is no envelope with this id in the spool. It may have been sent since, or removed."
        )
    entry, contents = found.entry, found.contents
    told = entry.told
    trace_id = next(iter(told.trace_ids), "")
    related = opened_all(_others(snapshot, entry, trace_id))
    own = feedback(contents.payloads) if contents else []
    head = own.pop(0) if own and entry.file.kind == "feedback" else None
    error = snapshot.find(head.about) if head and head.about else None
    of_others = [one for one in snapshot.about(identity) if one.file.path != entry.file.path]
    said = [*(Said(one, None) for one in own), *_said(of_others[:_MOST_TOLD], identity)]
    return Page(
        "envelope.jinja2",
        {
            "entry": entry,
            "told": told,
            "contents": contents,
            "problem": found.problem,
            "trace_id": trace_id,
            "related": related,
            "feedback": head,
            "error": error if error and error.file.kind != "feedback" else None,
            "said": said[:_MOST_TOLD],
            "said_count": len(said) + max(0, len(of_others) - _MOST_TOLD),
            "own_lines": log_lines(contents.payloads)[-_MOST_LINES:] if contents else [],
            "own_lines_before": count_of_lines(contents.payloads) - _MOST_LINES if contents else 0,
            "story": story(contents, trace_id, related) if contents else None,
            "group": _group(snapshot, entry),
            "waterfall": None if trace_id or contents is None else trace("", [found]),
        },
    )


@dataclass(frozen=True)
class Said:
    """What a user told of an error.

    Attributes:
        feedback: what it is.
        entry: the file whose page tells more; None where that is the error's own.
    """

    feedback: Feedback
    entry: Entry | None


def _said(entries: list[Entry], identity: str) -> list[Said]:
    return [
        Said(one, found.entry if found.entry.file.id != identity else None)
        for found in opened_all(entries)
        if found.contents
        for one in feedback(found.contents.payloads)
        if one.about == identity
    ]


def trace_page(index: Index, trace_id: str, query_string: str) -> Page:
    """Return the page of a trace.

    Args:
        index: of the spool.
        trace_id: its id.
        query_string: of the address; ``span`` names a span to tell more of.
    """
    snapshot = index.look()
    files = opened_all(snapshot.of_trace(trace_id)[:_MOST_OF_TRACE])
    if not files:
        return missing("Nothing in the spool is of this trace. It may have been sent since, or removed.")
    found = trace(trace_id, files)
    key = parameters(query_string).get("span", "")
    chosen = next((bar for bar in found.bars if bar.key[:200] == key), None) if key else None
    name = next((bar.span.name for bar in found.bars if bar.span.is_segment), "")
    return Page(
        "trace.jinja2",
        {
            "trace": found,
            "chosen": chosen,
            "title": name or "Trace",
            "addresses": {bar.key: urlencode({"span": bar.key}, errors="replace") for bar in found.bars},
            "unread": snapshot.unread,
        },
    )


def missing(detail: str = "Nothing is at this address.") -> Page:
    """Return the page that tells that there is no such page.

    Args:
        detail: why.
    """
    return Page("missing.jinja2", {"detail": detail}, status=404)


@dataclass(frozen=True)
class Group:
    """The place of an error among those of its kind.

    Attributes:
        id: of the group.
        count: how many there are.
        newest: the newest file.
        oldest: the oldest file.
        newer: the next newer one, None where this is the newest.
        older: the next older one, None where this is the oldest.
        spark: the path of a sparkline of all of them.
    """

    id: str
    count: int
    newest: Entry
    oldest: Entry
    newer: Entry | None
    older: Entry | None
    spark: str


def _group(snapshot: Snapshot, entry: Entry) -> Group | None:
    if not entry.told.group:
        return None
    others = [one for one in snapshot.entries if one.told.group == entry.told.group]
    place = next((place for place, one in enumerate(others) if one.file.id == entry.file.id), None)
    if place is None:
        return None
    (row,) = grouped(others)
    return Group(
        id=entry.told.group,
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


def _find(index: Index, identity: str) -> tuple[Snapshot, Opened | None]:
    """Return a file and what is in it; it may be renamed while it is looked for, and is then found again."""
    for _ in range(3):
        snapshot = index.look()
        entry = snapshot.find(identity)
        if entry is None:
            return snapshot, None
        try:
            return snapshot, opened(entry)
        except FileNotFoundError:
            continue
    return snapshot, None


def _others(snapshot: Snapshot, entry: Entry, trace_id: str) -> list[Entry]:
    if not trace_id:
        return []
    found = [one for one in snapshot.of_trace(trace_id) if one.file.path != entry.file.path]
    return found[:_MOST_OF_TRACE]
