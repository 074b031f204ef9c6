"""A trace as a waterfall, built from the spans and errors of all its files; and the lines before an error."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sentry_paste.inbox.index import Entry, LoadedEntry
from sentry_paste.inbox.records import LogLine, SpanRecord, log_lines, seconds, spans
from sentry_paste.spool import Contents, fields
from sentry_paste.spool.contents import Breadcrumb

#: How many spans are shown at most; the others are only counted.
MAX_ROWS = 500

# Colours by the first word of a span's op; the style sheet defines them.
_TONES = {
    "cache": "db",
    "db": "db",
    "function": "function",
    "http": "http",
    "queue": "http",
    "template": "template",
    "view": "template",
}

# Minimum width of a bar, in percent, so that it can be seen.
_NARROWEST = 0.5


@dataclass(frozen=True)
class Bar:
    """A span or an error in the waterfall.

    Attributes:
        key: identifies it in the URL.
        span: the span; for an error, a span without duration.
        entry: the file that it is from.
        is_error: whether it is an error.
        depth: depth in the tree, from 0.
        left: its left edge, in percent of the width.
        width: its width, in percent of the width.
        offset: seconds from the start of the trace.
        tone: name of its colour.
    """

    key: str
    span: SpanRecord
    entry: Entry
    is_error: bool
    depth: int
    left: float
    width: float
    offset: float
    tone: str


@dataclass(frozen=True)
class Trace:
    """A trace.

    Attributes:
        id: id of the trace.
        bars: its spans and errors as a tree, from top to bottom.
        left_out: number of spans that are not shown.
        missing: number of segments in the tree that are not in the files.
        start: when it began, in seconds since 1970.
        duration: its duration, in seconds.
        files: its files, oldest first.
        lines: its log lines, oldest first.
    """

    id: str
    bars: list[Bar]
    left_out: int
    missing: int
    start: float
    duration: float
    files: list[LoadedEntry]
    lines: list[LogLine]


@dataclass(frozen=True)
class _Node:
    span: SpanRecord
    entry: Entry
    is_error: bool = False


def trace(trace_id: str, files: Iterable[LoadedEntry]) -> Trace:
    """Return a trace.

    Args:
        trace_id: id of the trace.
        files: its files.
    """
    found = sorted(files, key=lambda one: one.entry.file.time)
    nodes = [node for one in found for node in _nodes(one, trace_id)]
    missing = _missing_segments(nodes)
    nodes += missing
    start = min((node.span.start for node in nodes), default=0.0)
    duration = max((node.span.end for node in nodes), default=0.0) - start
    ordered = _tree(nodes)
    lines = [
        line
        for one in found
        if one.contents
        for line in log_lines(one.contents.payloads)
        if line.trace_id == trace_id
    ]
    return Trace(
        id=trace_id,
        bars=[
            _bar(number, node, depth, start, duration)
            for number, (depth, node) in enumerate(ordered[:MAX_ROWS])
        ],
        left_out=max(0, len(ordered) - MAX_ROWS),
        missing=len(missing),
        start=start,
        duration=duration,
        files=found,
        lines=sorted(lines, key=lambda line: seconds(line.time)),
    )


def _nodes(one: LoadedEntry, trace_id: str) -> Iterable[_Node]:
    if one.contents is None:
        return
    for span in spans(one.contents.payloads):
        if span.trace_id == trace_id:
            yield _Node(span, one.entry)
    for type_, payload in one.contents.payloads:
        if type_ == "event" and isinstance(payload, dict):
            yield _Node(_mark(one, payload), one.entry, is_error=True)


def _missing_segments(nodes: list[_Node]) -> list[_Node]:
    """Return nodes in place of segments that are not there, as long as the spans of each."""
    known = {node.span.id for node in nodes}
    spans: dict[str, list[_Node]] = {}
    for node in nodes:
        if node.span.segment and node.span.segment not in known:
            spans.setdefault(node.span.segment, []).append(node)
    return [_missing_segment(identity, found) for identity, found in spans.items()]


def _missing_segment(identity: str, nodes: list[_Node]) -> _Node:
    first = nodes[0].span
    span = SpanRecord(
        id=identity,
        parent="",
        trace_id=first.trace_id,
        op="",
        name=first.segment_name,
        status="",
        start=min(node.span.start for node in nodes),
        end=max(node.span.end for node in nodes),
        data=(),
        is_segment=True,
        is_missing=True,
    )
    return _Node(span, nodes[0].entry)


def _mark(one: LoadedEntry, event: dict[str, object]) -> SpanRecord:
    """Return an error as a span without duration, within the span that it happened in."""
    around = fields.mapping(fields.mapping(event.get("contexts")).get("trace"))
    time = seconds(fields.time(event.get("timestamp")) or one.entry.file.time)
    summary = one.entry.summary
    return SpanRecord(
        id="",
        parent=fields.text(around.get("span_id")),
        trace_id=fields.text(around.get("trace_id")),
        op=summary.level or "error",
        name=f"{summary.title}: {summary.value}" if summary.value else summary.title,
        status="",
        start=time,
        end=time,
        data=(),
        is_segment=False,
    )


def _tree(nodes: list[_Node]) -> list[tuple[int, _Node]]:
    """Return all nodes with their depth, parents before their children, earlier before later."""
    known = {node.span.id for node in nodes if node.span.id}
    children: dict[str, list[_Node]] = {}
    for node in nodes:
        # A span whose parent is late or lost is shown below its segment.
        parent = node.span.parent if node.span.parent in known else node.span.segment
        is_inner = parent in known and parent != node.span.id
        children.setdefault(parent if is_inner else "", []).append(node)
    found: list[tuple[int, _Node]] = []
    # Not recursive, and each node once: a file from elsewhere may contain a chain of any depth, or a cycle.
    while children:
        # A cycle has no root, so begin anywhere.
        beginning = "" if "" in children else next(iter(children))
        stack = [(0, node) for node in _latest_first(children.pop(beginning))]
        while stack:
            depth, node = stack.pop()
            found.append((depth, node))
            inner = children.pop(node.span.id, []) if node.span.id else []
            stack += [(depth + 1, child) for child in _latest_first(inner)]
    return found


def _latest_first(nodes: list[_Node]) -> list[_Node]:
    return sorted(nodes, key=lambda node: (node.span.start, node.is_error, -node.span.end), reverse=True)


def _bar(number: int, node: _Node, depth: int, start: float, whole: float) -> Bar:
    span = node.span
    tone = "error" if node.is_error else _tone(span)
    if whole > 0:
        # Clocks jump, and files may come from elsewhere: a span may end before it begins.
        left = _within(100 * (span.start - start) / whole, 0.0, 100.0 - _NARROWEST)
        width = _within(100 * span.duration / whole, _NARROWEST, 100.0 - left)
    else:
        left, width = 0.0, 100.0
    key = f"n{number}" if not span.id else span.id
    offset = span.start - start
    return Bar(key, span, node.entry, node.is_error, depth, round(left, 2), round(width, 2), offset, tone)


def _tone(span: SpanRecord) -> str:
    if span.is_missing:
        return "missing"
    return "root" if span.is_segment else _TONES.get(span.op.partition(".")[0], "other")


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


# What happened before an error.

# A line that is both a breadcrumb and a log item has two timestamps, which differ by less than this.
_SAME_SECONDS = 0.05

#: How many log lines before an error are shown at most, the last ones.
MAX_LINES = 200


@dataclass(frozen=True)
class History:
    """What happened before an error.

    Attributes:
        lines: log lines, oldest first.
        crumbs: other breadcrumbs, oldest first.
        left_out: number of log lines that are not shown.
    """

    lines: list[LogLine]
    crumbs: list[Breadcrumb]
    left_out: int = 0


def history(contents: Contents, trace_id: str, related: Iterable[LoadedEntry]) -> History:
    """Return what happened before an error.

    Args:
        contents: contents of the error's envelope.
        trace_id: id of its trace, or empty.
        related: the other files of the trace.
    """
    end = max((seconds(fields.time(event.get("timestamp"))) for event in _events(contents)), default=0.0)
    logged = [
        line
        for other in related
        if other.contents
        for line in log_lines(other.contents.payloads)
        if line.trace_id == trace_id and (not end or seconds(line.time) <= end)
    ]
    times: dict[str, list[float]] = {}
    for line in sorted(logged, key=lambda line: seconds(line.time)):
        times.setdefault(line.message, []).append(seconds(line.time))
    from_breadcrumbs = [
        LogLine(crumb.time, crumb.level, crumb.category, crumb.message)
        for crumb in contents.breadcrumbs
        if crumb.type == "log" and not _is_near(crumb, times.get(crumb.message, ()))
    ]
    lines = sorted([*from_breadcrumbs, *logged], key=lambda line: seconds(line.time))
    crumbs = [crumb for crumb in contents.breadcrumbs if crumb.type != "log"]
    return History(lines[-MAX_LINES:], crumbs, max(0, len(lines) - MAX_LINES))


def _is_near(crumb: Breadcrumb, times: Sequence[float]) -> bool:
    """Return whether a breadcrumb is at nearly one of some times, the earliest first."""
    moment = seconds(crumb.time)
    place = bisect_right(times, moment - _SAME_SECONDS)
    return place < len(times) and times[place] < moment + _SAME_SECONDS


def _events(contents: Contents) -> Iterable[dict[str, object]]:
    return (payload for type_, payload in contents.payloads if type_ == "event" and isinstance(payload, dict))
