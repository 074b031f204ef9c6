"""The list: find the files of a query, group errors of the same kind, and split the rows into pages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import translate
from urllib.parse import parse_qsl, urlencode

from sentry_paste.inbox.index import Entry, Snapshot
from sentry_paste.spool.names import KINDS
from sentry_paste.spool.segments import Request

#: The ``kind`` that stands for files of every kind.
ALL = "all"

#: The ``kind`` that the list shows by default.
DEFAULT_KIND = "error"

_MAX_CHARACTERS = 200
_MAX_FIELDS = 20

_ID = re.compile("[0-9a-f-]{6,36}")


@dataclass(frozen=True)
class Query:
    """What the list is asked to show.

    Attributes:
        kind: kind of file, or ``all``.
        text: words that must all be found, in any order and case; a word may be the beginning of an id.
        transaction: part of the transaction's name, or a pattern with ``*``.
        group: id of a group of errors, which are then listed one by one.
        page: number of the page, from 1.
    """

    kind: str = DEFAULT_KIND
    text: str = ""
    transaction: str = ""
    group: str = ""
    page: int = 1

    @classmethod
    def read(cls, text: str) -> Query:
        """Parse the query string of a URL; unknown values are ignored.

        Args:
            text: the query string.
        """
        values = parameters(text)
        kind = values.get("kind", "")
        page = values.get("page", "")
        return cls(
            kind=kind if kind in (*KINDS, ALL) else DEFAULT_KIND,
            text=values.get("q", "").strip(),
            transaction=values.get("transaction", "").strip(),
            group=values.get("group", "").strip(),
            page=max(1, int(page)) if re.fullmatch(r"[0-9]{1,6}", page) else 1,
        )

    def address(self, **changes: object) -> str:
        """Return the query string for this query with some changes; default values are left out.

        Args:
            changes: attributes and their new values.
        """
        other = replace(self, **changes)  # type: ignore[arg-type]  # replace() takes any
        default = Query()
        named = (
            ("kind", other.kind, default.kind),
            ("q", other.text, default.text),
            ("transaction", other.transaction, default.transaction),
            ("group", other.group, default.group),
            ("page", other.page, default.page),
        )
        return urlencode([(name, value) for name, value, usual in named if value != usual], errors="replace")

    @property
    def is_search(self) -> bool:
        """Whether it filters by more than the kind."""
        return bool(self.text or self.transaction or self.group)

    def matcher(self) -> Callable[[Entry], bool]:
        """Return a function that checks whether a file matches, whatever its kind."""
        words = self.text.lower().split()
        is_named = self.name_matcher()

        def matches(entry: Entry) -> bool:
            summary = entry.summary
            if self.group and summary.group != self.group:
                return False
            names = (summary.transaction, *(request.name for request in summary.requests))
            if not any(map(is_named, names)):
                return False
            return all(word in summary.words or _is_id(word, entry) for word in words)

        return matches

    def name_matcher(self) -> Callable[[str], bool]:
        """Return a function that checks whether the name of a transaction matches."""
        transaction = self.transaction.lower()
        if "*" not in transaction:
            return lambda name: transaction in name.lower()
        pattern = re.compile(translate(transaction))
        return lambda name: pattern.match(name.lower()) is not None


def _is_id(word: str, entry: Entry) -> bool:
    """Return whether an id of a file begins with a word. Fewer than six digits would match too many ids."""
    if _ID.fullmatch(word) is None:
        return False
    digits = word.replace("-", "")
    return any(
        identity.startswith(digits)
        for identity in (entry.file.id, *entry.summary.trace_ids, *entry.summary.error_ids)
    )


def parameters(text: str) -> dict[str, str]:
    """Return the parameters of a query string: the first of each name, cut to a maximum length.

    Args:
        text: the query string.
    """
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(text, errors="replace", max_num_fields=_MAX_FIELDS)
    except ValueError:  # too many parameters
        return found
    for name, value in pairs:
        found.setdefault(name, value[:_MAX_CHARACTERS])
    return found


# The rows that match a query.

#: Rows per page.
PAGE = 50

# How many names of transactions the search form suggests.
_SUGGESTED = 50

# Kinds that are always shown, and first; the others only if there are files of them.
_ALWAYS = ("error", "transaction", "session", "log")


@dataclass
class Row:
    """A row of the list: a file, all errors of a group, or a request.

    Attributes:
        entry: the newest file.
        count: number of files.
        first: capture time of the oldest file.
        times: capture times of all files, in seconds since 1970, newest first.
        request: the request, if the row is one that has been read.
        number: its number among the requests in the file.
    """

    entry: Entry
    count: int
    first: datetime
    times: list[float]
    request: Request | None = None
    number: int = 0

    @property
    def key(self) -> str:
        """A key that identifies the row when the list is loaded again."""
        if self.number:
            return f"{self.entry.file.id}-{self.number}"
        return self.entry.summary.group if self.count > 1 else self.entry.file.id

    @property
    def duration(self) -> float | None:
        """Duration in seconds, None if it is unknown or has no meaning."""
        return self.entry.summary.duration if self.request is None else self.request.duration


@dataclass(frozen=True)
class Listing:
    """A page of the list.

    Attributes:
        query: the query, with the page that is shown.
        rows: rows of this page, newest first.
        found: number of matching files of the kind, or of requests.
        total: number of rows on all pages.
        pages: number of pages, at least one.
        counts: number of matching files by kind; of transactions, also those that are streamed as spans.
        transactions: names of transactions, the most frequent first.
        snapshot: the state of the spool.
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
    """Return the page of the list that a query asks for, or the last page if there are fewer.

    Args:
        snapshot: the state of the spool.
        query: the query.
    """
    matches = query.matcher() if query.is_search else None
    entries = [entry for entry in snapshot.entries if matches is None or matches(entry)]
    counts = Counter(entry.file.kind for entry in entries)
    requests = _requests(entries, query.name_matcher(), _ended(snapshot))
    counts["transaction"] = len(requests)
    wanted = entries if query.kind == ALL else [entry for entry in entries if entry.file.kind == query.kind]
    if query.kind == "transaction":
        rows = [_row(*found) for found in requests]
    elif query.kind == "error" and not query.group:
        rows = grouped(wanted)
    else:
        rows = [_row(entry) for entry in wanted]
    pages = max(1, -(-len(rows) // PAGE))
    page = min(query.page, pages)
    return Listing(
        query=Query(query.kind, query.text, query.transaction, query.group, page),
        rows=rows[(page - 1) * PAGE : page * PAGE],
        found=len(requests) if query.kind == "transaction" else len(wanted),
        total=len(rows),
        pages=pages,
        counts={**_counts(counts, query.kind), ALL: len(entries)},
        transactions=_transactions(snapshot),
        snapshot=snapshot,
    )


def grouped(entries: Iterable[Entry]) -> list[Row]:
    """Return one row for each group of errors, the most recently seen group first.

    Args:
        entries: errors, newest first.
    """
    rows: dict[str, Row] = {}
    for entry in entries:
        key = entry.summary.group or entry.file.id
        row = rows.get(key)
        if row is None:
            rows[key] = _row(entry)
        else:
            row.count += 1
            row.first = entry.file.time
            row.times.append(entry.file.time.timestamp())
    return list(rows.values())


def _ended(snapshot: Snapshot) -> set[str]:
    """Return the ids of all segments that have ended."""
    return {
        request.id
        for entry in snapshot.entries
        if entry.file.kind == "span"
        for request in entry.summary.requests
        if request.duration is not None
    }


def _requests(
    entries: Iterable[Entry], is_named: Callable[[str], bool], ended: set[str]
) -> list[tuple[Entry, Request | None, int]]:
    """Return each request with its file and its number in it: its transaction, its segment, or other spans.

    Args:
        entries: files, newest first.
        is_named: whether the name of a request matches.
        ended: ids of the segments that have ended, of which other spans are no request of their own.
    """
    found: list[tuple[Entry, Request | None, int]] = []
    running: set[str] = set()
    for entry in entries:
        requests = entry.summary.requests
        if entry.file.kind == "transaction":
            found.append((entry, requests[0] if requests else None, 0))
        elif entry.file.kind == "span":
            for number in reversed(range(len(requests))):  # they are in the order in which they have ended
                request = requests[number]
                is_repeated = request.duration is None and (request.id in ended or request.id in running)
                if not is_repeated and is_named(request.name):
                    running.add(request.id)
                    found.append((entry, request, number))
    return found


def _row(entry: Entry, request: Request | None = None, number: int = 0) -> Row:
    return Row(entry, 1, entry.file.time, [entry.file.time.timestamp()], request, number)


def _counts(counts: Counter[str], kind: str) -> dict[str, int]:
    rare = (name for name in KINDS if name not in _ALWAYS and (counts[name] or name == kind))
    shown = [*_ALWAYS, *rare]
    shown += sorted(name for name in counts if name not in KINDS)
    return {name: counts[name] for name in shown}


def _transactions(snapshot: Snapshot) -> list[str]:
    names: Counter[str] = Counter()
    for entry in snapshot.entries:
        requests = entry.summary.requests if entry.file.kind == "span" else ()
        names.update([request.name for request in requests] or [entry.summary.transaction])
    del names[""]
    return [name for name, _ in names.most_common(_SUGGESTED)]
