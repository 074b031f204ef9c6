"""The pages of one thing: an envelope or a trace; and what can be copied and downloaded from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sentry_paste.config.options import options
from sentry_paste.inbox import exports, plots
from sentry_paste.inbox.heads import Head, head_of_error, head_of_trace, head_of_transaction
from sentry_paste.inbox.index import Entry, Index, LoadedEntry, Snapshot, load, load_all
from sentry_paste.inbox.lists import time_range
from sentry_paste.inbox.pages import Page, missing
from sentry_paste.inbox.query import parameters
from sentry_paste.inbox.records import Feedback, LogLine, count_of_lines, feedback, log_lines
from sentry_paste.inbox.traces import History, Trace, history, trace
from sentry_paste.spool import Contents, fields
from sentry_paste.spool.reading import read_bytes

# How many files of a trace a page reads at most.
_MAX_TRACE_FILES = 100

# How many log lines of an envelope are shown at most, the last ones.
_MAX_LINES = 500

# How many users' comments on an error are shown at most.
_MAX_FEEDBACK = 20

_GONE = "The spool has no envelope with this id. It may have been sent since, cleared or removed."
_NO_TRACE = "The spool has nothing of this trace. It may have been sent since, cleared or removed."


@dataclass(frozen=True)
class _Found:
    """A file with what belongs to it: its trace, the other files of that, its request, what was before it."""

    snapshot: Snapshot
    loaded: LoadedEntry
    trace_id: str
    related: list[LoadedEntry]
    head: Head
    history: History | None

    @property
    def entry(self) -> Entry:
        return self.loaded.entry

    @property
    def contents(self) -> Contents | None:
        return self.loaded.contents


def envelope_page(index: Index, identity: str) -> Page:
    """Return the page of one envelope.

    Args:
        index: index of the spool.
        identity: id of the envelope.
    """
    found = _find(index, identity)
    if found is None:
        return missing(_GONE)
    snapshot, entry, contents = found.snapshot, found.entry, found.contents
    own = feedback(contents.payloads) if contents else []
    head = own.pop(0) if own and entry.file.kind == "feedback" else None
    error = snapshot.find(head.error_id) if head and head.error_id else None
    of_others = [one for one in snapshot.feedback_about(identity) if one.file.path != entry.file.path]
    comments = [*(Comment(one, None) for one in own), *_comments(of_others[:_MAX_FEEDBACK], identity)]
    return Page(
        "envelope.jinja2",
        {
            "entry": entry,
            "summary": entry.summary,
            "contents": contents,
            "problem": found.loaded.problem,
            "trace_id": found.trace_id,
            "related": found.related,
            "head": found.head,
            "exports": [name for name in EXPORTS if contents and _exported(found, name)],
            "feedback": head,
            "error": error if error and error.file.kind != "feedback" else None,
            "comments": comments[:_MAX_FEEDBACK],
            "comment_count": len(comments) + max(0, len(of_others) - _MAX_FEEDBACK),
            "own_lines": log_lines(contents.payloads)[-_MAX_LINES:] if contents else [],
            "own_lines_before": count_of_lines(contents.payloads) - _MAX_LINES if contents else 0,
            "history": found.history,
            "group": _group(snapshot, entry),
            "sessions": entry.summary.sessions,
            "about": _attributes_of_sessions(contents) if contents else {},
            # An older SDK may not know an option.
            "hints": [hint for hint in _hints(found) if hint[1].partition(" ")[0] in options()],
            "waterfall": None if found.trace_id or contents is None else trace("", [found.loaded]),
        },
    )


def _attributes_of_sessions(contents: Contents) -> dict[str, str]:
    """Return release and environment of sessions."""
    found = (payload for type_, payload in contents.payloads if type_ in ("session", "sessions"))
    given = fields.mapping(fields.mapping(next(found, {})).get("attrs"))
    return {name: fields.text(given.get(name)) for name in ("release", "environment")}


def _hints(found: _Found) -> Iterator[tuple[str, str]]:
    """Yield what the page of an error lacks, and the option that would have captured it."""
    contents = found.contents
    if contents is None or not _is_event(found):
        return
    frames = [frame for error in contents.errors for frame in error.frames if frame.in_app]
    if frames and not any(frame.context for frame in frames):
        yield "The source around each frame", "include_source_context = true"
    if frames and not any(frame.variables for frame in frames):
        yield "Local variables", "include_local_variables = true"
    if contents.request and not any(one.entry.file.kind in ("transaction", "span") for one in found.related):
        yield "Where the time of the request went", "traces_sample_rate = 1.0"
    if found.history is not None and not found.history.lines:
        yield "Log lines before it", "enable_logs = true"
    if contents.request.get("method") in ("POST", "PUT", "PATCH") and "data" not in contents.request:
        yield "The body of the request", "max_request_body_size = medium"


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
    found = _trace(snapshot, trace_id)
    if found is None:
        return missing(_NO_TRACE)
    key = parameters(query_string).get("span", "")
    bars = found.trace.bars
    return Page(
        "trace.jinja2",
        {
            "trace": found.trace,
            "selected": next((bar for bar in bars if bar.key[:200] == key), None) if key else None,
            "title": found.title,
            "head": found.head,
            "exports": [name for name in EXPORTS if _trace_exported(found, name)],
            "errors": [bar for bar in bars if bar.is_error],
            "addresses": {bar.key: urlencode({"span": bar.key}, errors="replace") for bar in bars},
            "unread": snapshot.unread,
        },
    )


@dataclass(frozen=True)
class _FoundTrace:
    """A trace with its first request, and the file of that."""

    trace: Trace
    title: str
    head: Head
    first: LoadedEntry | None


def _trace(snapshot: Snapshot, trace_id: str) -> _FoundTrace | None:
    files = load_all(snapshot.of_trace(trace_id)[:_MAX_TRACE_FILES])
    if not files:
        return None
    found = trace(trace_id, files)
    segments = [bar for bar in found.bars if bar.span.is_segment]
    first = next((bar for bar in segments if not bar.span.is_missing), None)
    contents = [one.contents for one in files if one.contents]
    return _FoundTrace(
        found,
        (segments[0].span.name if segments else "") or "Trace",
        head_of_trace(contents, first.span.id if first else ""),
        next((one for one in files if first and one.entry.file.path == first.entry.file.path), None),
    )


# What can be copied.


def _text(found: _Found) -> str:
    contents, lines = found.contents, _lines(found)
    return exports.as_text(contents, found.head, lines) if contents and _is_event(found) else ""


def _markdown(found: _Found) -> str:
    contents, lines = found.contents, _lines(found)
    return exports.as_markdown(contents, found.head, lines) if contents and _is_event(found) else ""


def _curl(found: _Found) -> str:
    return exports.as_curl(found.contents, found.head) if found.contents else ""


def _is_event(found: _Found) -> bool:
    return found.entry.file.kind == "error"


def _lines(found: _Found) -> list[LogLine]:
    return found.history.lines if found.history else []


#: What an envelope can be copied as, by the last part of the address.
EXPORTS: dict[str, Callable[[Any], str]] = {"text": _text, "markdown": _markdown, "curl": _curl}


def _exported(found: _Found, name: str) -> str:
    return EXPORTS[name](found)


def _trace_exported(found: _FoundTrace, name: str) -> str:
    if name == "text":
        return exports.trace_text(found.trace, found.head)
    if name == "markdown":
        return exports.trace_markdown(found.trace, found.title, found.head)
    return exports.as_curl(found.first.contents, found.head) if found.first and found.first.contents else ""


def export_trace(index: Index, trace_id: str, name: str) -> str:
    """Return a trace as text to copy, empty if there is none of this form.

    Args:
        index: index of the spool.
        trace_id: id of the trace.
        name: one of ``EXPORTS``.
    """
    found = _trace(index.look(), trace_id)
    return _trace_exported(found, name) if found else ""


def export(index: Index, identity: str, name: str) -> str:
    """Return an envelope as text to copy, empty if there is none of this form.

    Args:
        index: index of the spool.
        identity: id of the envelope.
        name: one of ``EXPORTS``.
    """
    found = _find(index, identity)
    return _exported(found, name) if found else ""


@dataclass(frozen=True)
class Download:
    """A file to download.

    Attributes:
        name: its name.
        data: its bytes.
    """

    name: str
    data: bytes


def download(index: Index, identity: str) -> Download | None:
    """Return a file as it is, None if it is gone or cannot be read.

    Args:
        index: index of the spool.
        identity: id of the envelope.
    """
    entry = index.look().find(identity)
    try:
        # Its name begins with time, kind and id; the rest is of no use elsewhere.
        return (
            Download(f"{entry.file.kind}-{entry.file.id}.envelope", read_bytes(entry.file)) if entry else None
        )
    except (OSError, ValueError):
        return None


def download_trace(index: Index, trace_id: str) -> Download | None:
    """Return the file of a trace's first request as it is, or of its first file; None if there is none.

    Args:
        index: index of the spool.
        trace_id: id of the trace.
    """
    snapshot = index.look()
    found = _trace(snapshot, trace_id)
    if found is None:
        return None
    entry = (found.first or found.trace.files[0]).entry
    return download(index, entry.file.id)


# Files and what belongs to them.


def _find(index: Index, identity: str) -> _Found | None:
    """Find and read a file; try again if it was renamed, for example claimed, in the meantime."""
    for _ in range(3):
        snapshot = index.look()
        entry = snapshot.find(identity)
        if entry is None:
            return None
        try:
            return _with_related(snapshot, load(entry))
        except FileNotFoundError:
            continue
    return None


def _with_related(snapshot: Snapshot, loaded: LoadedEntry) -> _Found:
    entry, contents = loaded.entry, loaded.contents
    trace_id = next(iter(entry.summary.trace_ids), "")
    related = load_all(_others(snapshot, entry, trace_id))
    return _Found(
        snapshot,
        loaded,
        trace_id,
        related,
        _head(entry, contents, related) if contents else Head(),
        history(contents, trace_id, related) if contents else None,
    )


def _head(entry: Entry, contents: Contents, related: list[LoadedEntry]) -> Head:
    if entry.file.kind == "error":
        return head_of_error(contents, [one.contents for one in related if one.contents])
    return head_of_transaction(contents)


def _others(snapshot: Snapshot, entry: Entry, trace_id: str) -> list[Entry]:
    if not trace_id:
        return []
    found = [one for one in snapshot.of_trace(trace_id) if one.file.path != entry.file.path]
    return found[:_MAX_TRACE_FILES]


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
    times = [one.file.time.timestamp() for one in others]
    return Group(
        id=entry.summary.group,
        count=len(others),
        newest=others[0],
        oldest=others[-1],
        newer=others[place - 1] if place else None,
        older=others[place + 1] if place + 1 < len(others) else None,
        spark=plots.spark(times, *time_range(snapshot)),
    )
