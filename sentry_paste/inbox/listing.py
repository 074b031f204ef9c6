"""The list: the files that are looked for, errors of a kind in one row, a page of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sentry_paste.inbox.index import Entry, Snapshot
from sentry_paste.inbox.query import ALL, Query
from sentry_paste.spool.names import KINDS

#: Rows of one page.
PAGE = 50

# How many names the field for the transaction offers.
_SUGGESTED = 50

# Kinds that are always offered, and first; the others when there are files of them.
_ALWAYS = ("error", "transaction", "session", "log")


@dataclass
class Row:
    """A row of the list: a file, or all errors of a group.

    Attributes:
        entry: the newest file.
        count: how many there are.
        first: when the oldest was captured.
        times: when each was captured, seconds since 1970, newest first.
    """

    entry: Entry
    count: int
    first: datetime
    times: list[float]

    @property
    def key(self) -> str:
        """What the row can be known by when the list is made again."""
        return self.entry.told.group if self.count > 1 else self.entry.file.id


@dataclass(frozen=True)
class Listing:
    """A page of the list.

    Attributes:
        query: what was looked for.
        rows: newest first.
        found: how many files are of that kind.
        total: how many rows all pages have.
        pages: how many pages there are, at least one.
        counts: how many files of each kind are looked for; ``all`` is their sum.
        transactions: names of transactions, the most frequent first.
        snapshot: of the spool.
    """

    query: Query
    rows: list[Row]
    found: int
    total: int
    pages: int
    counts: dict[str, int]
    transactions: list[str]
    snapshot: Snapshot


def listing(snapshot: Snapshot, query: Query) -> Listing:
    """Return the page of the list that a query asks for, the last one where there are fewer.

    Args:
        snapshot: of the spool.
        query: what is looked for.
    """
    matches = query.matcher() if query.is_search else None
    entries = [entry for entry in snapshot.entries if matches is None or matches(entry)]
    counts = Counter(entry.file.kind for entry in entries)
    wanted = entries if query.kind == ALL else [entry for entry in entries if entry.file.kind == query.kind]
    rows = grouped(wanted) if query.kind == "error" and not query.group else [_row(entry) for entry in wanted]
    pages = max(1, -(-len(rows) // PAGE))
    page = min(query.page, pages)
    return Listing(
        query=Query(query.kind, query.text, query.transaction, query.group, page),
        rows=rows[(page - 1) * PAGE : page * PAGE],
        found=len(wanted),
        total=len(rows),
        pages=pages,
        counts=_counts(counts, query.kind),
        transactions=_transactions(snapshot),
        snapshot=snapshot,
    )


def grouped(entries: Iterable[Entry]) -> list[Row]:
    """Return a row for each group of errors, the one that was seen last first.

    Args:
        entries: errors, newest first.
    """
    rows: dict[str, Row] = {}
    for entry in entries:
        key = entry.told.group or entry.file.id
        row = rows.get(key)
        if row is None:
            rows[key] = _row(entry)
        else:
            row.count += 1
            row.first = entry.file.time
            row.times.append(entry.file.time.timestamp())
    return list(rows.values())


def _row(entry: Entry) -> Row:
    return Row(entry, 1, entry.file.time, [entry.file.time.timestamp()])


def _counts(counts: Counter[str], kind: str) -> dict[str, int]:
    rare = (name for name in KINDS if name not in _ALWAYS and (counts[name] or name == kind))
    shown = [*_ALWAYS, *rare]
    shown += sorted(name for name in counts if name not in KINDS)
    return {**{name: counts[name] for name in shown}, ALL: sum(counts.values())}


def _transactions(snapshot: Snapshot) -> list[str]:
    names = Counter(entry.summary.transaction for entry in snapshot.entries if entry.summary)
    del names[""]
    return [name for name, _ in names.most_common(_SUGGESTED)]
