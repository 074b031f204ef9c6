"""What the list is asked to show: the query string of its address."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode

from sentry_paste.inbox import search
from sentry_paste.inbox.search import Check, Facts, Problem, Term
from sentry_paste.spool.names import KINDS

#: The ``kind`` that stands for everything.
ALL = "all"

#: The ``kind`` that the list shows by default.
DEFAULT_KIND = "error"

#: The time ranges that are offered, by the text in the address: names, and seconds before the present time.
RANGES = {
    "15m": ("last 15 minutes", 900),
    "1h": ("last hour", 3600),
    "24h": ("last 24 hours", 86_400),
    "7d": ("last 7 days", 604_800),
}

#: How a list may be sorted, by its kind; the first is the default.
SORTS = {
    "error": ("last", "first", "count"),
    "transaction": ("last", "name", "count", "failed", "p50", "p95"),
    "requests": ("last", "slowest"),
}

_MAX_CHARACTERS = 200
_MAX_FIELDS = 20


@dataclass(frozen=True)
class Query:
    """What the list is asked to show.

    Attributes:
        kind: kind of file, or ``all``.
        text: the search, see ``search``.
        transaction: part of the transaction's name, or a pattern with ``*``.
        group: id of a group of errors or of requests, which are then listed one by one.
        within: one of ``RANGES``, or empty.
        sort: one of ``SORTS`` of the kind, or empty for the default.
        page: number of the page, from 1.
    """

    kind: str = DEFAULT_KIND
    text: str = ""
    transaction: str = ""
    group: str = ""
    within: str = ""
    sort: str = ""
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
        query = cls(
            kind=kind if kind in (*KINDS, ALL) else DEFAULT_KIND,
            text=values.get("q", "").strip(),
            transaction=values.get("transaction", "").strip(),
            group=values.get("group", "").strip(),
            within=values["within"] if values.get("within") in RANGES else "",
            page=max(1, int(page)) if re.fullmatch(r"[0-9]{1,6}", page) else 1,
        )
        sort = values.get("sort", "")
        return replace(query, sort=sort) if sort in query.sorts[1:] else query

    @property
    def sorts(self) -> tuple[str, ...]:
        """How it may be sorted; the first is the default."""
        if self.group:
            return SORTS["requests"] if self.kind == "transaction" else ("last",)
        return SORTS.get(self.kind, ("last",))

    @property
    def sorted_by(self) -> str:
        """How it is sorted."""
        return self.sort or self.sorts[0]

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
            ("within", other.within, default.within),
            ("sort", other.sort if other.sort in other.sorts[1:] else "", default.sort),
            ("page", other.page, default.page),
        )
        return urlencode([(name, value) for name, value, usual in named if value != usual], errors="replace")

    @property
    def is_search(self) -> bool:
        """Whether it filters by more than the kind and the group."""
        return bool(self.text or self.transaction or self.within)

    def terms(self) -> list[Term]:
        """Return the terms of the search."""
        return search.terms(self.text)

    def toggled(self, field: str, value: str) -> str:
        """Return the query string with a term added to the search, or removed if it is there.

        Args:
            field: name of the field.
            value: its value.
        """
        text = search.written(field, value)
        for term in search.terms(text):
            if self.has(field, value):
                return self.address(text=search.without(self.text, term), page=1)
        return self.address(text=f"{self.text} {text}".strip(), page=1)

    def release_address(self, release: str) -> str:
        """Return the query string for the errors of a release.

        Args:
            release: name of the release.
        """
        return Query(text=search.written("release", release)).address()

    def hour_address(self, begin: datetime) -> str:
        """Return the query string for everything that happened in an hour.

        Args:
            begin: beginning of the hour, in UTC.
        """
        text = f"after:{_minute(begin)}"
        with contextlib.suppress(OverflowError):  # the last hour that there is
            text += f" before:{_minute(begin + timedelta(hours=1))}"
        return Query(ALL, text).address()

    def has(self, field: str, value: str) -> bool:
        """Return whether the search has a term.

        Args:
            field: name of the field.
            value: its value.
        """
        wanted = search.terms(search.written(field, value))
        return bool(wanted) and any(term[1:] == wanted[0][1:] for term in self.terms())

    def check(self, now: float | None = None) -> tuple[Check | None, list[Problem]]:
        """Return a function that checks what matches, whatever its kind, and what was not understood.

        Args:
            now: the present time, default the clock's.

        Returns:
            The function, None if everything matches, and the problems.
        """
        moment = time.time() if now is None else now
        found, problems = search.checks(self.terms(), moment)
        more = [found] if found is not None else []
        if self.within:
            begin = moment - RANGES[self.within][1]
            more.append(lambda facts: facts.time >= begin)
        if self.transaction:
            is_named = search.text_check(self.transaction.lower(), is_part=True)
            more.append(lambda facts: is_named(facts.transaction))
        if len(more) < 2:
            return (more[0] if more else None), problems

        def check(facts: Facts) -> bool:
            return all(one(facts) for one in more)

        return check, problems


def _minute(time: datetime) -> str:
    return time.isoformat(timespec="minutes")[:16]


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
