"""What happened, from the files of a spool: errors, requests, log lines, and which belong together.

It is worked out once for each state of the spool, and kept with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from sentry_paste.inbox.index import Entry, Snapshot
from sentry_paste.inbox.search import Facts
from sentry_paste.inbox.summary import Line, Request, SessionCount, line_facts

# How many names of transactions the search form suggests.
_SUGGESTED = 50


class Item(NamedTuple):
    """Something that happened.

    Attributes:
        entry: the file that it is in.
        facts: what a search may ask of it.
        request: the request itself, or the one that an error happened in; None if it is unknown.
        number: number of a request in its file.
    """

    entry: Entry
    facts: Facts
    request: Request | None = None
    number: int = 0

    @property
    def is_request(self) -> bool:
        """Whether it is a request itself."""
        return self.entry.file.kind in ("transaction", "span")


class LogItem(NamedTuple):
    """A log line in the list.

    Attributes:
        line: the line.
        entry: the file that it is in.
        number: its number in the file.
    """

    line: Line
    entry: Entry
    number: int

    @property
    def facts(self) -> Facts:
        """What a search may ask of it."""
        return line_facts(self.line, self.entry.summary)


class SessionItem(NamedTuple):
    """How the requests of a minute ended.

    Attributes:
        numbers: the numbers.
        facts: what a search may ask of them.
    """

    numbers: SessionCount
    facts: Facts


@dataclass
class Activity:
    """What happened. All lists are newest first.

    Attributes:
        entries: the files that have been read.
        errors: errors.
        requests: requests.
        errors_of: the errors of a request, by the place of the request in ``requests``.
        place_of: the place of an error's request, by the place of the error in ``errors``.
    """

    entries: tuple[Entry, ...]
    errors: list[Item] = field(default_factory=list)
    requests: list[Item] = field(default_factory=list)
    errors_of: dict[int, Sequence[Item]] = field(default_factory=dict)
    place_of: dict[int, int] = field(default_factory=dict)
    # What is made of each file, by its entry's identity: most of it is taken over when a file is added.
    made: dict[int, Made] = field(default_factory=dict)
    by_kind: dict[str, list[Made]] = field(default_factory=dict)

    def of_kind(self, kind: str) -> list[Made]:
        """Return what is made of the files of a kind.

        Args:
            kind: the kind.
        """
        return self.by_kind.get(kind, [])

    @cached_property
    def lines(self) -> list[LogItem]:
        """Log lines."""
        found = [item for made in self.of_kind("log") for item in reversed(made.lines)]
        return sorted(found, key=lambda item: item.line.time, reverse=True)

    @cached_property
    def lines_left_out(self) -> int:
        """Number of log lines that are not in memory."""
        logs = (made.entry.summary for made in self.of_kind("log"))
        return sum(summary.amount - len(summary.lines) for summary in logs if not summary.problem)

    @cached_property
    def sessions(self) -> list[SessionItem]:
        """Sessions by minute."""
        return [item for made in self.of_kind("session") for item in made.sessions]

    @cached_property
    def names(self) -> list[str]:
        """Names of transactions, the most frequent first."""
        names = Counter(item.request.name for item in self.requests if item.request is not None)
        names.update(item.entry.summary.transaction for item in self.errors)
        del names[""]
        return [name for name, _ in names.most_common(_SUGGESTED)]

    @cached_property
    def _errors_by_request(self) -> dict[tuple[str, int], Sequence[Item]]:
        return {
            (self.requests[place].entry.file.id, self.requests[place].number): errors
            for place, errors in self.errors_of.items()
        }

    def of_request(self, item: Item) -> Sequence[Item]:
        """Return the errors of a request, newest first.

        Args:
            item: the request.
        """
        return self._errors_by_request.get((item.entry.file.id, item.number), ())

    def everything(self) -> Iterator[tuple[Item, Sequence[Item]]]:
        """Yield requests with their errors, other errors, feedback and so on, newest first.

        An error whose request is there is below that and nowhere else. Log lines, sessions and spans have
        lists of their own.
        """
        place = number = 0
        for entry in self.entries:
            while place < len(self.requests) and self.requests[place].entry is entry:
                yield self.requests[place], self.errors_of.get(place, ())
                place += 1
            if entry.file.kind == "error":
                if number not in self.place_of:
                    yield self.errors[number], ()
                number += 1
            elif entry.file.kind not in ("transaction", "span", "log", "session"):
                yield self.made[id(entry)].items[0], ()


def activity(snapshot: Snapshot) -> Activity:
    """Return what happened, by the files of a snapshot that have been read.

    Args:
        snapshot: the state of the spool.
    """
    found = snapshot.derived.get("activity")
    if not isinstance(found, Activity):
        entries = snapshot.entries
        if snapshot.unread:
            entries = tuple(entry for entry in entries if entry.read_summary is not None)
        before = snapshot.derived.pop("before", {}).get("activity")
        found = snapshot.derived["activity"] = _activity(entries, before)
    return found


class Made(NamedTuple):
    """What is made of one file.

    Attributes:
        kind: kind of the file.
        entry: the file.
        items: its error, its requests or what else it is.
        lines: its log lines.
        sessions: its sessions.
    """

    kind: str
    entry: Entry
    items: tuple[Item, ...] = ()
    lines: tuple[LogItem, ...] = ()
    sessions: tuple[SessionItem, ...] = ()


def _made(entry: Entry) -> Made:
    summary = entry.summary
    kind = entry.file.kind
    if kind == "transaction":
        return Made(kind, entry, (Item(entry, summary.facts, next(iter(summary.requests), None)),))
    if kind == "span":
        items = [Item(entry, one.facts, one, number) for number, one in enumerate(summary.requests)]
        return Made(kind, entry, tuple(items[::-1]))  # they are in the order in which they have ended
    if kind == "log":
        return Made(kind, entry, lines=tuple(LogItem(line, entry, n) for n, line in enumerate(summary.lines)))
    items = [Item(entry, summary.facts)]
    sessions = [
        SessionItem(numbers, summary.facts._replace(time=numbers.time.timestamp()))
        for numbers in summary.sessions
    ]
    return Made(kind, entry, tuple(items), sessions=tuple(sessions))


def _activity(entries: tuple[Entry, ...], before: Activity | None) -> Activity:
    known = before.made if before is not None else {}
    # The same identity is the same entry: those of before are still there.
    made = {id(entry): known.get(id(entry)) or _made(entry) for entry in entries}
    by_kind: dict[str, list[Made]] = {}
    for one in made.values():
        by_kind.setdefault(one.kind, []).append(one)
    both = [one for one in made.values() if one.kind in ("transaction", "span")]
    found = Activity(entries, requests=list(_requests(both)), made=made, by_kind=by_kind)
    places = _Places(found.requests)
    for one in by_kind.get("error", ()):
        entry, (error,) = one.entry, one.items
        of = places.of(entry)
        request = found.requests[of].request if of is not None else None
        if error.request is not request:
            error = _with_request(entry, request)
            made[id(entry)] = Made("error", entry, (error,))
        if of is not None:
            found.place_of[len(found.errors)] = of
            _append(found.errors_of, of, error)
        found.errors.append(error)
    return found


def _append(errors_of: dict[int, Sequence[Item]], place: int, error: Item) -> None:
    """Add an error to those of a request. Most have one only, and a tuple is made faster than a list."""
    errors = errors_of.get(place)
    if errors is None:
        errors_of[place] = (error,)
    elif isinstance(errors, list):
        errors.append(error)
    else:
        errors_of[place] = [*errors, error]


class _Places:
    """Where the request of an error is: that of its span, else the newest of its trace and transaction.

    Any number of requests may be of one trace, because clients choose it.
    """

    def __init__(self, requests: list[Item]) -> None:
        self._by_span: dict[str, int] = {}
        self._by_name: dict[str, int] = {}
        for place, item in enumerate(requests):
            request = item.request
            if request is not None and request.trace_id:
                self._by_span.setdefault(f"{request.trace_id}{request.id}", place)
                self._by_name.setdefault(f"{request.trace_id}{request.name}", place)

    def of(self, entry: Entry) -> int | None:
        """Return the place of the request of an error, None if it is not there.

        Args:
            entry: the error.
        """
        summary = entry.summary
        if not summary.trace_ids:
            return None
        trace_id = summary.trace_ids[0]
        found = self._by_span.get(f"{trace_id}{summary.span_id}")
        return self._by_name.get(f"{trace_id}{summary.transaction}") if found is None else found


def _with_request(entry: Entry, request: Request | None) -> Item:
    """Return an error with what its request knows."""
    facts = entry.summary.facts
    if request is None:
        return Item(entry, facts)
    return Item(
        entry,
        facts._replace(
            code=request.code,
            status=request.facts.status,
            url=facts.url or request.facts.url,
            method=facts.method or request.facts.method,
            transaction=facts.transaction or request.facts.transaction,
        ),
        request,
    )


def _requests(files: list[Made]) -> Iterator[Item]:
    """Yield each request: its transaction, its segment, or one other span of it.

    Other spans of a segment that has ended are no request of their own.
    """
    ended = {
        item.request.id
        for one in files
        if one.kind == "span"
        for item in one.items
        if item.request is not None and item.request.duration is not None
    }
    running: set[str] = set()
    for one in files:
        if one.kind == "transaction":
            yield from one.items
            continue
        for item in one.items:
            if item.request is not None and item.request.duration is None:
                if item.request.id in ended or item.request.id in running:
                    continue
                running.add(item.request.id)
            yield item
