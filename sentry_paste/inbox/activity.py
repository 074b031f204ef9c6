"""What happened, from the files of a spool: errors, requests, log lines, and which belong together.

It is worked out once for each state of the spool, and kept with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
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
    errors_of: dict[int, list[Item]] = field(default_factory=dict)
    place_of: dict[int, int] = field(default_factory=dict)

    @cached_property
    def lines(self) -> list[LogItem]:
        """Log lines."""
        found = [
            LogItem(line, entry, number)
            for entry in self.entries
            for number, line in enumerate(entry.summary.lines)
        ]
        return sorted(found, key=lambda item: item.line.time, reverse=True)

    @cached_property
    def lines_left_out(self) -> int:
        """Number of log lines that are not in memory."""
        logs = (entry.summary for entry in self.entries if entry.file.kind == "log")
        return sum(summary.amount - len(summary.lines) for summary in logs if not summary.problem)

    @cached_property
    def sessions(self) -> list[SessionItem]:
        """Sessions by minute."""
        return [
            SessionItem(numbers, entry.summary.facts._replace(time=numbers.time.timestamp()))
            for entry in self.entries
            for numbers in entry.summary.sessions
        ]

    @cached_property
    def names(self) -> list[str]:
        """Names of transactions, the most frequent first."""
        names = Counter(item.request.name for item in self.requests if item.request is not None)
        names.update(item.entry.summary.transaction for item in self.errors)
        del names[""]
        return [name for name, _ in names.most_common(_SUGGESTED)]

    @cached_property
    def _errors_by_request(self) -> dict[tuple[str, int], list[Item]]:
        return {
            (self.requests[place].entry.file.id, self.requests[place].number): errors
            for place, errors in self.errors_of.items()
        }

    def of_request(self, item: Item) -> list[Item]:
        """Return the errors of a request, newest first.

        Args:
            item: the request.
        """
        return self._errors_by_request.get((item.entry.file.id, item.number), [])

    def everything(self) -> Iterator[tuple[Item, list[Item]]]:
        """Yield requests with their errors, other errors, feedback and so on, newest first.

        An error whose request is there is below that and nowhere else. Log lines, sessions and spans have
        lists of their own.
        """
        place = number = 0
        for entry in self.entries:
            while place < len(self.requests) and self.requests[place].entry is entry:
                yield self.requests[place], self.errors_of.get(place, [])
                place += 1
            if entry.file.kind == "error":
                if number not in self.place_of:
                    yield self.errors[number], []
                number += 1
            elif entry.file.kind not in ("transaction", "span", "log", "session"):
                yield Item(entry, entry.summary.facts), []


def activity(snapshot: Snapshot) -> Activity:
    """Return what happened, by the files of a snapshot that have been read.

    Args:
        snapshot: the state of the spool.
    """
    found = snapshot.derived.get("activity")
    if not isinstance(found, Activity):
        read = tuple(entry for entry in snapshot.entries if entry.read_summary is not None)
        found = snapshot.derived["activity"] = _activity(read)
    return found


def _activity(entries: tuple[Entry, ...]) -> Activity:
    found = Activity(entries, requests=list(_requests(entries)))
    of_trace: dict[str, list[int]] = {}
    for place, item in enumerate(found.requests):
        if item.request is not None and item.request.trace_id:
            of_trace.setdefault(item.request.trace_id, []).append(place)
    for entry in entries:
        if entry.file.kind == "error":
            of = _place_of(entry, of_trace, found.requests)
            if of is None:
                found.errors.append(Item(entry, entry.summary.facts))
                continue
            found.place_of[len(found.errors)] = of
            error = _with_request(entry, found.requests[of].request)
            found.errors.append(error)
            found.errors_of.setdefault(of, []).append(error)
    return found


def _place_of(entry: Entry, of_trace: dict[str, list[int]], requests: list[Item]) -> int | None:
    """Return the place of the request that an error happened in: of its span, else of its transaction."""
    places = of_trace.get(entry.summary.trace_ids[0], []) if entry.summary.trace_ids else []
    rules: tuple[Callable[[Request], bool], ...] = (
        lambda request: request.id == entry.summary.span_id,
        lambda request: request.name == entry.summary.transaction,
    )
    for rule in rules:
        for place in places:
            request = requests[place].request
            if request is not None and rule(request):
                return place
    return None


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


def _requests(entries: Iterable[Entry]) -> Iterator[Item]:
    """Yield each request: its transaction, its segment, or one other span of it.

    Other spans of a segment that has ended are no request of their own.
    """
    entries = list(entries)
    ended = {
        request.id
        for entry in entries
        if entry.file.kind == "span"
        for request in entry.summary.requests
        if request.duration is not None
    }
    running: set[str] = set()
    for entry in entries:
        requests = entry.summary.requests
        if entry.file.kind == "transaction":
            yield Item(entry, entry.summary.facts, requests[0] if requests else None)
        elif entry.file.kind == "span":
            for number in reversed(range(len(requests))):  # they are in the order in which they have ended
                request = requests[number]
                if request.duration is None:
                    if request.id in ended or request.id in running:
                        continue
                    running.add(request.id)
                yield Item(entry, request.facts, request, number)
