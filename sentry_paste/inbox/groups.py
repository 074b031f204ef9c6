"""Groups: errors of the same kind, and requests of the same name with how long they took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from sentry_paste.inbox.activity import Item
from sentry_paste.inbox.index import Entry
from sentry_paste.inbox.summary import Request


@dataclass
class Row:
    """A row of the list: all errors of a group, a request with its errors, or a file.

    Attributes:
        item: the newest that happened.
        count: how often it happened.
        first: when it happened first.
        times: when it happened, in seconds since 1970, newest first.
        errors: the errors of a request.
    """

    item: Item
    count: int
    first: datetime
    times: list[float]
    errors: list[Item] = field(default_factory=list)

    @property
    def entry(self) -> Entry:
        """The newest file."""
        return self.item.entry

    @property
    def request(self) -> Request | None:
        """The request, or that of the newest error; None if it is unknown."""
        return self.item.request

    @property
    def key(self) -> str:
        """A key that identifies the row when the list is loaded again."""
        if self.item.number:
            return f"{self.entry.file.id}-{self.item.number}"
        return self.entry.summary.group if self.count > 1 else self.entry.file.id

    @property
    def duration(self) -> float | None:
        """Duration of a request in seconds, None if it is unknown or has no meaning."""
        if self.item.is_request:
            return self.item.request.duration if self.item.request else None
        return self.entry.summary.duration


def row(item: Item, errors: Sequence[Item] = ()) -> Row:
    """Return the row of something that happened.

    Args:
        item: what happened.
        errors: the errors of a request.
    """
    time = item.entry.file.time
    return Row(item, 1, time, [time.timestamp()], list(errors))


def error_groups(errors: Iterable[Item], sort: str = "last") -> list[Row]:
    """Return one row for each group of errors.

    Args:
        errors: errors, newest first.
        sort: ``last`` or ``first`` for the one seen last or first that is newest, or ``count``.
    """
    rows: dict[str, Row] = {}
    for item in errors:
        key = item.entry.summary.group or item.entry.file.id
        found = rows.get(key)
        if found is None:
            rows[key] = row(item)
        else:
            found.count += 1
            found.first = item.entry.file.time
            found.times.append(item.facts.time)
    ordered = list(rows.values())
    if sort == "first":
        ordered.sort(key=lambda one: one.first, reverse=True)
    elif sort == "count":
        ordered.sort(key=lambda one: one.count, reverse=True)
    return ordered


@dataclass
class RequestGroup:
    """Requests of the same name.

    Attributes:
        name: name of their transaction.
        last: the newest of them.
        items: all of them, newest first.
        failed: how many of them have failed.
        durations: how long they took, in seconds, the shortest first.
        methods: their HTTP methods.
    """

    name: str
    last: Item
    items: list[Item] = field(default_factory=list)
    failed: int = 0
    durations: list[float] = field(default_factory=list)
    methods: set[str] = field(default_factory=set)

    @property
    def id(self) -> str:
        """Id of the group, for an address."""
        return name_id(self.name)

    @property
    def count(self) -> int:
        """Number of requests."""
        return len(self.items)

    @property
    def method(self) -> str:
        """The HTTP method of all of them; empty if they have several, or the name begins with it."""
        (method,) = self.methods if len(self.methods) == 1 else ("",)
        return "" if method and self.name.startswith(f"{method} ") else method

    @property
    def p50(self) -> float | None:
        """Median duration in seconds; None if none has ended."""
        return percentile(self.durations, 50)

    @property
    def p95(self) -> float | None:
        """Duration in seconds that 95 of 100 do not exceed; None if none has ended."""
        return percentile(self.durations, 95)


def name_id(name: str) -> str:
    """Return the id of the requests of a name.

    Args:
        name: name of their transaction.
    """
    return sha256(name.encode("utf-8", "replace")).hexdigest()[:12]


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Return a percentile by the nearest rank; None if there are no values.

    Args:
        ordered: the values, the smallest first.
        percent: from 1 to 100.
    """
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None


def request_groups(requests: Iterable[Item], sort: str = "last") -> list[RequestGroup]:
    """Return the requests by the names of their transactions.

    Args:
        requests: requests, newest first.
        sort: ``last``, ``name``, or ``count``, ``failed``, ``p50`` or ``p95`` with the highest first.
    """
    groups: dict[str, RequestGroup] = {}
    for item in requests:
        request = item.request
        if request is None:  # a file that has not been read, or cannot be
            continue
        group = groups.get(request.name)
        if group is None:
            group = groups[request.name] = RequestGroup(request.name, item)
        group.items.append(item)
        group.failed += request.is_failed
        group.methods.add(request.method)
        if request.duration is not None:
            group.durations.append(request.duration)
    for group in groups.values():
        group.durations.sort()
    ordered = list(groups.values())
    if sort == "name":
        ordered.sort(key=lambda one: one.name.lower())
    elif sort in ("count", "failed", "p50", "p95"):
        ordered.sort(key=lambda one: getattr(one, sort) or 0, reverse=True)
    return ordered
