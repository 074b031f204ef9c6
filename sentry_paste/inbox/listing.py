"""The list: the files that are looked for, errors of a kind in one row, a page of them."""

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

#: For ``kind``: files of every kind.
ALL = "all"

#: What the list shows where nothing is said.
DEFAULT_KIND = "error"

_MOST_CHARACTERS = 200
_MOST_FIELDS = 20

_ID = re.compile("[0-9a-f-]{6,36}")


@dataclass(frozen=True)
class Query:
    """What is looked for.

    Attributes:
        kind: of files, or ``all``.
        text: words that must all be found, in any order and case, or what an id begins with.
        transaction: a part of its name, or a pattern with ``*``.
        group: of errors; then each of them is listed.
        page: from 1.
    """

    kind: str = DEFAULT_KIND
    text: str = ""
    transaction: str = ""
    group: str = ""
    page: int = 1

    @classmethod
    def read(cls, text: str) -> Query:
        """Read the query string of an address; what it says that means nothing is left out.

        Args:
            text: of the address.
        """
        given = parameters(text)
        kind = given.get("kind", "")
        page = given.get("page", "")
        return cls(
            kind=kind if kind in (*KINDS, ALL) else DEFAULT_KIND,
            text=given.get("q", "").strip(),
            transaction=given.get("transaction", "").strip(),
            group=given.get("group", "").strip(),
            page=max(1, int(page)) if re.fullmatch(r"[0-9]{1,6}", page) else 1,
        )

    def address(self, **changes: object) -> str:
        """Return the query string that says this, with some of it changed; what is usual is left out.

        Args:
            changes: by attribute.
        """
        other = replace(self, **changes)  # type: ignore[arg-type]  # as replace's own are
        usual = Query()
        named = (
            ("kind", other.kind, usual.kind),
            ("q", other.text, usual.text),
            ("transaction", other.transaction, usual.transaction),
            ("group", other.group, usual.group),
            ("page", other.page, usual.page),
        )
        return urlencode(
            [(name, value) for name, value, default in named if value != default], errors="replace"
        )

    @property
    def is_search(self) -> bool:
        """Whether it asks for more than a kind."""
        return bool(self.text or self.transaction or self.group)

    def matcher(self) -> Callable[[Entry], bool]:
        """Return a function that tells whether a file is looked for, whatever its kind."""
        words = self.text.lower().split()
        transaction = self.transaction.lower()
        pattern = re.compile(translate(transaction)).match if "*" in transaction else None

        def matches(entry: Entry) -> bool:
            told = entry.told
            if self.group and told.group != self.group:
                return False
            if pattern is not None and pattern(told.transaction.lower()) is None:
                return False
            if pattern is None and transaction not in told.transaction.lower():
                return False
            return all(word in told.words or _is_id(word, entry) for word in words)

        return matches


def _is_id(word: str, entry: Entry) -> bool:
    """Return whether a word is how an id begins; a few digits are in every other id, and tell nothing."""
    if _ID.fullmatch(word) is None:
        return False
    digits = word.replace("-", "")
    return any(
        identity.startswith(digits) for identity in (entry.file.id, *entry.told.trace_ids, *entry.told.about)
    )


def parameters(text: str) -> dict[str, str]:
    """Return the parameters of a query string, the first of each name, not too long.

    Args:
        text: of the address.
    """
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(text, errors="replace", max_num_fields=_MOST_FIELDS)
    except ValueError:  # too many
        return found
    for name, value in pairs:
        found.setdefault(name, value[:_MOST_CHARACTERS])
    return found


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
