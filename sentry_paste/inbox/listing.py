"""The list: what matches a query, grouped, sorted and split into pages."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from sentry_paste.inbox.activity import Activity, Item, LogItem, SessionItem, activity
from sentry_paste.inbox.groups import RequestGroup, Row, error_groups, name_id, request_groups, row
from sentry_paste.inbox.index import Entry, Snapshot
from sentry_paste.inbox.query import ALL, Query
from sentry_paste.inbox.search import Check, Problem, normal_level
from sentry_paste.spool.names import KINDS

#: Rows per page, and log lines.
PAGE, LINES = 50, 100

# How many listings of one state of the spool are kept.
_KEPT = 8

# Kinds that are always shown, and first; the others only if there is something of them.
_ALWAYS = ("error", "transaction", "session", "log")

# How many values of a field have a chip.
_MAX_CHIPS = 4


class Chip(NamedTuple):
    """A term that is offered for the search.

    Attributes:
        field: name of the field.
        value: its value.
        found: how much of the kind it finds, without the rest of the search.
    """

    field: str
    value: str
    found: int


@dataclass
class Listing:
    """A page of the list.

    Attributes:
        query: the query, with the page that is shown.
        snapshot: the state of the spool.
        counts: what matches, by kind: errors, requests, sessions, log lines and so on.
        total: number of rows on all pages.
        found: what matches of the kind; the sum of what is in the rows.
        pages: number of pages, at least one.
        rows: rows of this page, except for the following.
        groups: the groups of requests on this page.
        group: the group of requests that is shown one by one.
        lines: the log lines on this page.
        sessions: the sessions that match.
        transactions: names of transactions, the most frequent first.
        chips: terms for the search.
        problems: terms that are not understood.
        lines_left_out: number of log lines that are not in memory.
    """

    query: Query
    snapshot: Snapshot
    counts: dict[str, int]
    total: int = 0
    found: int = 0
    pages: int = 1
    rows: list[Row] = field(default_factory=list)
    groups: list[RequestGroup] = field(default_factory=list)
    group: RequestGroup | None = None
    lines: list[LogItem] = field(default_factory=list)
    sessions: list[SessionItem] = field(default_factory=list)
    transactions: list[str] = field(default_factory=list)
    chips: list[Chip] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    lines_left_out: int = 0


def listing(snapshot: Snapshot, query: Query, now: float | None = None) -> Listing:
    """Return the page of the list that a query asks for, or the last page if there are fewer.

    It is kept with the snapshot; a time range that moves with the clock is to the minute.

    Args:
        snapshot: the state of the spool.
        query: the query.
        now: the present time in seconds since 1970, default the clock's.
    """
    minute = int((time.time() if now is None else now) // 60)
    kept = snapshot.derived.setdefault("listings", {})
    found = kept.get((query, minute))
    if found is None:
        found = _listing(snapshot, query, minute * 60.0 + 60)
        kept[query, minute] = found
        for oldest in list(kept)[:-_KEPT]:
            kept.pop(oldest, None)
    return found  # type: ignore[no-any-return]  # what is derived is of any type


def _listing(snapshot: Snapshot, query: Query, now: float) -> Listing:
    happened = activity(snapshot)
    check, problems = query.check(now)
    errors = _matching(happened.errors, check)
    requests = _matching(happened.requests, check)
    sessions = _matching(happened.sessions, check)
    others = _others(happened, check)
    found = Listing(query, snapshot, {}, transactions=happened.names, problems=problems)
    if query.kind == "error":
        _show_errors(found, errors)
    elif query.kind == "transaction":
        _show_requests(found, requests)
    elif query.kind == "log":
        found.lines_left_out = happened.lines_left_out
        _show_page(found, _matching(happened.lines, check), LINES, "lines")
    elif query.kind == "session":
        found.sessions = sessions
        files = [item for made in happened.of_kind("session") for item in made.items]
        _show_page(found, _matching(files, check), PAGE, "rows", row)
    elif query.kind == ALL:
        _show_all(found, happened, check)
    else:
        rows = [row(Item(entry, entry.summary.facts)) for entry in others if entry.file.kind == query.kind]
        _show_page(found, rows, PAGE, "rows")
    counts = Counter[str]()
    for entry in others:
        counts[entry.file.kind] += entry.summary.amount
    counts["error"] = len(errors)
    counts["transaction"] = len(requests)
    counts["session"] = sum(item.numbers.total for item in sessions)
    counts["log"] = _count_of_lines(happened, check)
    apart = sum(counts[kind] for kind in ("span", "session", "log"))
    found.counts = {**_counts(counts, query.kind), ALL: sum(counts.values()) - apart}
    found.found = found.found if query.group else found.counts.get(query.kind, 0)
    found.chips = _chips(snapshot, happened, query)
    return found


_Item = TypeVar("_Item", Item, LogItem, SessionItem)


def _matching(items: list[_Item], check: Check | None) -> list[_Item]:
    return items if check is None else [item for item in items if check(item.facts)]


def _others(happened: Activity, check: Check | None) -> list[Entry]:
    shown = ("error", "transaction", "session", "log")
    return [
        made.entry
        for kind, files in happened.by_kind.items()
        if kind not in shown
        for made in files
        if check is None or check(made.entry.summary.facts)
    ]


def _count_of_lines(happened: Activity, check: Check | None) -> int:
    if check is None:
        return len(happened.lines) + happened.lines_left_out
    return len(_matching(happened.lines, check))


def _show_errors(found: Listing, errors: list[Item]) -> None:
    query = found.query
    if query.group:
        rows = [row(item) for item in errors if item.entry.summary.group == query.group]
        found.found = len(rows)
    else:
        rows = error_groups(errors, query.sorted_by)
    _show_page(found, rows, PAGE, "rows")


def _show_requests(found: Listing, requests: list[Item]) -> None:
    query = found.query
    if not query.group:
        _show_page(found, request_groups(requests, query.sorted_by), PAGE, "groups")
        return
    own = [item for item in requests if item.request and name_id(item.request.name) == query.group]
    found.group, found.found = next(iter(request_groups(own)), None), len(own)
    if query.sorted_by == "slowest":
        own = sorted(own, key=lambda item: item.facts.duration or 0.0, reverse=True)
    errors_of = activity(found.snapshot)
    _show_page(found, own, PAGE, "rows", lambda item: row(item, errors_of.of_request(item)))


def _show_all(found: Listing, happened: Activity, check: Check | None) -> None:
    pairs = [
        (item, errors)
        for item, errors in happened.everything()
        if check is None or check(item.facts) or any(check(error.facts) for error in errors)
    ]
    _show_page(found, pairs, PAGE, "rows", lambda pair: row(*pair))


_Found = TypeVar("_Found")


def _show_page(
    found: Listing,
    items: list[_Found],
    size: int,
    name: str,
    make: Callable[[_Found], object] = lambda item: item,
) -> None:
    found.total = len(items)
    found.pages = max(1, -(-len(items) // size))
    page = min(found.query.page, found.pages)
    found.query = replace(found.query, page=page)
    setattr(found, name, [make(item) for item in items[(page - 1) * size : page * size]])


def _counts(counts: Counter[str], kind: str) -> dict[str, int]:
    rare = (name for name in KINDS if name not in _ALWAYS and (counts[name] or name == kind))
    shown = [*_ALWAYS, *rare]
    shown += sorted(name for name in counts if name not in KINDS)
    return {name: counts[name] for name in shown}


# Chips.


def _chips(snapshot: Snapshot, happened: Activity, query: Query) -> list[Chip]:
    """Return the terms that tell things of a kind apart, by how much they find."""
    kept = snapshot.derived.setdefault("chips", {})
    if query.kind not in kept:
        kept[query.kind] = list(_offered(happened, query.kind))
    return kept[query.kind]  # type: ignore[no-any-return]  # what is derived is of any type


def _offered(happened: Activity, kind: str) -> Iterable[Chip]:
    if kind == "log":
        lines = happened.lines
        yield from _values("level", Counter(normal_level(item.line.level) for item in lines))
        yield from _values("logger", Counter(item.line.logger for item in lines))
        return
    if kind == "session":
        sessions = [item.numbers for item in happened.sessions]
        releases, environments = Counter[str](), Counter[str]()
        for numbers in sessions:
            releases[numbers.release] += numbers.total
            environments[numbers.environment] += numbers.total
        yield from _values("release", releases)
        yield from _values("environment", environments)
        return
    items = {"error": happened.errors, "transaction": happened.requests}.get(kind)
    if items is None:
        items = [item for item, _ in happened.everything()] if kind == ALL else []
    facts = [item.facts for item in items]
    unhandled = sum(one.handled is False for one in facts) if kind == "error" else 0
    if 0 < unhandled < len(facts):
        yield Chip("handled", "no", unhandled)
    codes = Counter(one.code // 100 for one in facts if one.code)
    failed = sum(item.request is not None and item.request.is_failed for item in items)
    if kind != "error" and 0 < failed < len(facts):
        yield Chip("status", "failed", failed)
    if len(codes) > 1:
        # Where no request has crashed after its status, those with 5xx are those that have failed.
        yield from (
            Chip("status", f"{code}xx", codes[code])
            for code in (4, 5)
            if codes[code] and (code == 4 or kind == "error" or codes[code] != failed)
        )
    if kind == "error":
        yield from _values("level", Counter(one.level for one in facts))
    yield from _values("environment", Counter(map(_environment, items)))
    yield from _values("release", Counter(map(_release, items)))
    yield from _values("method", Counter(item.request.method for item in items if item.request))


def _environment(item: Item) -> str:
    return item.entry.summary.environment


def _release(item: Item) -> str:
    return item.entry.summary.release


def _values(name: str, values: Counter[str]) -> list[Chip]:
    del values[""]
    if len(values) < 2:
        return []
    return [Chip(name, value, count) for value, count in values.most_common(_MAX_CHIPS)]
