"""The spans of a transaction as a tree in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sentry_paste.spool import fields


@dataclass(frozen=True)
class Span:
    """A span of a transaction, with its place in the tree.

    Attributes:
        id: span id.
        op: operation, such as ``db``.
        description: what it did.
        status: ``ok`` and so on, empty if unknown.
        depth: depth in the tree, 0 for the transaction itself.
        offset: seconds from the start of the transaction.
        duration: duration, in seconds.
    """

    id: str
    op: str
    description: str
    status: str
    depth: int
    offset: float
    duration: float


def waterfall(event: Mapping[str, Any]) -> Iterator[Span]:
    """Yield a transaction and its spans in the order of a waterfall; nothing if its times are missing.

    Args:
        event: payload of the transaction.
    """
    trace = fields.mapping(fields.mapping(event.get("contexts")).get("trace"))
    begin, end = fields.time(event.get("start_timestamp")), fields.time(event.get("timestamp"))
    if begin is None or end is None:
        return
    children: dict[str, list[tuple[datetime, datetime, dict[str, Any]]]] = {}
    root = fields.text(trace.get("span_id"))
    found = list(fields.items(event.get("spans")))
    known = {root, *(fields.text(span.get("span_id")) for span in found)}
    for span in found:
        start, stop = fields.time(span.get("start_timestamp")), fields.time(span.get("timestamp"))
        if start is not None and stop is not None:
            parent = fields.text(span.get("parent_span_id"))
            children.setdefault(parent if parent in known else root, []).append((start, stop, span))
    yield Span(
        root,
        fields.text(trace.get("op")),
        fields.text(event.get("transaction")),
        fields.text(trace.get("status")),
        0,
        0.0,
        (end - begin).total_seconds(),
    )
    # Not recursive, and each span once: a file from elsewhere may contain a chain of any depth, or a cycle.
    stack = [(1, entry) for entry in _latest_first(children.pop(root, []))]
    while stack:
        depth, (start, stop, span) = stack.pop()
        identity = fields.text(span.get("span_id"))
        yield Span(
            identity,
            fields.text(span.get("op")),
            fields.text(span.get("description")),
            fields.text(span.get("status")),
            depth,
            (start - begin).total_seconds(),
            (stop - start).total_seconds(),
        )
        stack += [(depth + 1, entry) for entry in _latest_first(children.pop(identity, []))]


def _latest_first(
    entries: list[tuple[datetime, datetime, dict[str, Any]]],
) -> list[tuple[datetime, datetime, dict[str, Any]]]:
    return sorted(entries, key=lambda entry: entry[0], reverse=True)
