"""A trace: the spans and errors of all its files as one tree, placed in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sentry_paste.inbox.index import Entry, Opened
from sentry_paste.inbox.records import LogLine, SpanRecord, log_lines, seconds, spans
from sentry_paste.spool import Contents, fields
from sentry_paste.spool.contents import Breadcrumb

#: Of a trace with more spans the rest is counted.
MOST_ROWS = 500

# By the first word of a span's op; the style sheet has a colour for each.
_TONES = {
    "cache": "db",
    "db": "db",
    "function": "function",
    "http": "http",
    "queue": "http",
    "template": "template",
    "view": "template",
}

# Narrower than this, in percent, a bar could not be seen.
_NARROWEST = 0.5


@dataclass(frozen=True)
class Bar:
    """A span or an error with its place in the waterfall.

    Attributes:
        key: what it can be asked for by.
        span: the span; of an error, one that takes no time.
        entry: the file that tells of it.
        is_error: whether it is an error.
        depth: 0 for what has nothing around it.
        left: where it begins, in percent of the width.
        width: how wide it is, in percent of the width.
        offset: seconds from the trace's begin.
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
    """All that is known of a trace.

    Attributes:
        id: its id.
        bars: as a tree read from top to bottom.
        left_out: how many spans are more than are shown.
        start: when it began, seconds since 1970.
        duration: seconds.
        files: that tell of it, oldest first.
        lines: its log lines, oldest first.
    """

    id: str
    bars: list[Bar]
    left_out: int
    start: float
    duration: float
    files: list[Opened]
    lines: list[LogLine]


@dataclass(frozen=True)
class _Node:
    span: SpanRecord
    entry: Entry
    is_error: bool = False


def trace(trace_id: str, files: Iterable[Opened]) -> Trace:
    """Return a trace.

    Args:
        trace_id: its id.
        files: those that tell of it.
    """
    found = sorted(files, key=lambda one: one.entry.file.time)
    nodes = [node for one in found for node in _nodes(one, trace_id)]
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
            for number, (depth, node) in enumerate(ordered[:MOST_ROWS])
        ],
        left_out=max(0, len(ordered) - MOST_ROWS),
        start=start,
        duration=duration,
        files=found,
        lines=sorted(lines, key=lambda line: seconds(line.time)),
    )


def _nodes(one: Opened, trace_id: str) -> Iterable[_Node]:
    if one.contents is None:
        return
    for span in spans(one.contents.payloads):
        if span.trace_id == trace_id:
            yield _Node(span, one.entry)
    for type_, payload in one.contents.payloads:
        if type_ == "event" and isinstance(payload, dict):
            yield _Node(_mark(one, payload), one.entry, is_error=True)


def _mark(one: Opened, event: dict[str, object]) -> SpanRecord:
    """Return where an error happened, as a span that takes no time within the span it happened in."""
    around = fields.mapping(fields.mapping(event.get("contexts")).get("trace"))
    time = seconds(fields.time(event.get("timestamp")) or one.entry.file.time)
    told = one.entry.told
    return SpanRecord(
        id="",
        parent=fields.text(around.get("span_id")),
        trace_id=fields.text(around.get("trace_id")),
        op=told.level or "error",
        name=f"{told.title}: {told.value}" if told.value else told.title,
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
        parent = node.span.parent
        is_inner = parent in known and parent != node.span.id
        children.setdefault(parent if is_inner else "", []).append(node)
    found: list[tuple[int, _Node]] = []
    # Not recursive, and every node once: a foreign file may hold a chain of any depth, or a ring.
    while children:
        # A ring has no beginning: any part of it will do.
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
        # Clocks jump and files are foreign: a span may claim to end before it begins.
        left = _within(100 * (span.start - start) / whole, 0.0, 100.0 - _NARROWEST)
        width = _within(100 * span.duration / whole, _NARROWEST, 100.0 - left)
    else:
        left, width = 0.0, 100.0
    key = f"n{number}" if not span.id else span.id
    offset = span.start - start
    return Bar(key, span, node.entry, node.is_error, depth, round(left, 2), round(width, 2), offset, tone)


def _tone(span: SpanRecord) -> str:
    return "root" if span.is_segment else _TONES.get(span.op.partition(".")[0], "other")


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


# A line that is both a breadcrumb and a log item has two times, which differ by less.
_SAME_SECONDS = 0.05

#: The last ones are shown.
MOST_LINES = 200


@dataclass(frozen=True)
class Story:
    """What came before an error.

    Attributes:
        lines: of the log, oldest first.
        crumbs: other breadcrumbs, oldest first.
        left_out: how many lines are more than are shown.
    """

    lines: list[LogLine]
    crumbs: list[Breadcrumb]
    left_out: int = 0


def story(contents: Contents, trace_id: str, related: Iterable[Opened]) -> Story:
    """Return what came before an error.

    Args:
        contents: of the error's envelope.
        trace_id: of its trace, or empty.
        related: the other files of its trace.
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
    for line in logged:
        times.setdefault(line.message, []).append(seconds(line.time))
    told = [
        LogLine(crumb.time, crumb.level, crumb.category, crumb.message)
        for crumb in contents.breadcrumbs
        if crumb.type == "log" and not _is_near(crumb, times.get(crumb.message, ()))
    ]
    lines = sorted([*told, *logged], key=lambda line: seconds(line.time))
    crumbs = [crumb for crumb in contents.breadcrumbs if crumb.type != "log"]
    return Story(lines[-MOST_LINES:], crumbs, max(0, len(lines) - MOST_LINES))


def _is_near(crumb: Breadcrumb, times: Iterable[float]) -> bool:
    return any(abs(seconds(crumb.time) - time) < _SAME_SECONDS for time in times)


def _events(contents: Contents) -> Iterable[dict[str, object]]:
    return (payload for type_, payload in contents.payloads if type_ == "event" and isinstance(payload, dict))
