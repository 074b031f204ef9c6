"""What the list shows: values for its templates."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sentry_paste.inbox import plots
from sentry_paste.inbox.activity import SessionItem
from sentry_paste.inbox.groups import RequestGroup, percentile
from sentry_paste.inbox.index import Snapshot
from sentry_paste.inbox.listing import Listing, listing
from sentry_paste.inbox.query import ALL, RANGES, Query

# Rows of the tables of sessions at most.
_MAX_RELEASES, _MAX_HOURS = 20, 48


def shown(snapshot: Snapshot, query_string: str) -> tuple[dict[str, Any], str]:
    """Return the values for the template of the list, and its version.

    Args:
        snapshot: the state of the spool.
        query_string: query string of the URL.

    Returns:
        The values, and a text that changes whenever they do.
    """
    now = time.time()
    found = listing(snapshot, Query.read(query_string), now)
    query = found.query
    start, end = time_range(snapshot)
    values = {
        "listing": found,
        "query": query,
        "snapshot": snapshot,
        "heading": _heading(found),
        "title": _title(found),
        "help": _HELP,
        "sessions": sessions(found.sessions) if query.kind == "session" else None,
        "plots": plots,
        "distribution": _distribution(found.group) if found.group else None,
        "slowest": max((row.duration or 0.0 for row in found.rows), default=0.0),
        "sparks": {row.key: plots.spark(row.times, start, end) for row in found.rows if row.count > 1},
        "all_kinds": ALL,
        "ranges": RANGES,
    }
    minute = f"-{int(now // 60)}" if query.within or query.text else ""
    return values, f"{snapshot.version}-{query.address()}{minute}"


def time_range(snapshot: Snapshot) -> tuple[float, float]:
    """Return the times of the oldest and the newest file, in seconds since 1970.

    Args:
        snapshot: the state of the spool.
    """
    if not snapshot.entries:
        return 0.0, 0.0
    return snapshot.entries[-1].file.time.timestamp(), snapshot.entries[0].file.time.timestamp()


# Examples of the search, each with what it finds.
_HELP = (
    ("table soup", "all of the words, in the message, type, place, transaction, URL, release or a tag"),
    ("level:warning  level:>=warning", "of this level; at least of this level"),
    ("status:404  status:5xx  status:>=400  status:failed", "how the request was answered"),
    ("handled:no", "errors that the app did not catch"),
    ("environment:staging  release:2.1", "of this environment, of this release"),
    ("url:/pay  method:POST  transaction:checkout", "part of the URL, the method, part of the transaction"),
    ("user:ada", "part of the id, name, e-mail or IP address of the user"),
    ("table:7  tag:table=7  tag:table", "with this tag; with a tag of this name"),
    ("logger:shop", "log lines of this logger and those below it"),
    ("duration:>500ms", "requests that took longer"),
    ("after:2h  before:2026-11-22T07:13", "by time, UTC; or choose a range in the form"),
    ("4c79f60c", "the first digits of an id or a trace, six or more"),
    ('!level:info  transaction:"GET /soup"  release:2.*', "not; with spaces; any text in place of *"),
)

_TITLES = {
    "error": "Errors",
    "transaction": "Transactions",
    "session": "Sessions",
    "log": "Logs",
    ALL: "All",
}


def _title(found: Listing) -> str:
    """Return the title of the page."""
    query = found.query
    kind = _TITLES.get(query.kind, query.kind.capitalize())
    what = _heading(found) or query.text or query.transaction
    return f"{what[:100]}, {kind.lower()}" if what else kind


def _heading(found: Listing) -> str:
    """Return the name of what is listed one by one, or an empty string."""
    if not found.query.group:
        return ""
    if found.query.kind == "transaction":
        return (found.group.name or "(no name)") if found.group else "Requests of one name"
    if not found.rows:
        return "Errors of one kind"
    summary = found.rows[0].entry.summary
    return f"{summary.title}: {summary.value}" if summary.value else summary.title


def _distribution(group: RequestGroup) -> plots.Distribution | None:
    durations = [
        (item.request.duration, item.request.is_failed)
        for item in group.items
        if item.request is not None and item.request.duration is not None
    ]
    return plots.distribution(durations, [percentile(group.durations, 50), percentile(group.durations, 95)])


@dataclass
class Ended:
    """How requests ended.

    Attributes:
        name: the release, or empty.
        time: the beginning of the hour; None for a release.
        healthy: number of requests without an error.
        errored: number of requests with errors that the app handled.
        crashed: number of requests with an unhandled error.
    """

    name: str
    time: datetime | None = None
    healthy: int = 0
    errored: int = 0
    crashed: int = 0

    def add(self, healthy: int, errored: int, crashed: int) -> None:
        """Add to the numbers.

        Args:
            healthy: number of requests without an error.
            errored: number of requests with errors that the app handled.
            crashed: number of requests with an unhandled error.
        """
        self.healthy += healthy
        self.errored += errored
        self.crashed += crashed

    @property
    def count(self) -> int:
        """Number of requests."""
        return self.healthy + self.errored + self.crashed

    @property
    def crash_free(self) -> float:
        """Percentage of requests that did not crash."""
        return plots.share_without(self.crashed, self.count)


@dataclass(frozen=True)
class Sessions:
    """How requests ended, over time, by release and by hour.

    Attributes:
        plot: over time.
        releases: by release, that of the most requests first.
        hours: by hour, the newest first.
        more_releases: number of releases that are left out.
        more_hours: number of older hours that are left out.
    """

    plot: plots.SessionPlot
    releases: list[Ended]
    hours: list[Ended]
    more_releases: int
    more_hours: int


def sessions(items: Iterable[SessionItem]) -> Sessions | None:
    """Return how requests ended, None if there are no sessions.

    Args:
        items: the sessions.
    """
    counts = [item.numbers for item in items]
    plot = plots.session_plot(counts)
    if plot is None:
        return None
    releases: dict[str, Ended] = {}
    hours: dict[int, Ended] = {}
    for count in counts:
        hour = int(count.time.timestamp() // 3600)
        by_release = releases.get(count.release)
        if by_release is None:
            by_release = releases[count.release] = Ended(count.release)
        by_hour = hours.get(hour)
        if by_hour is None:
            by_hour = hours[hour] = Ended("", _hour(hour))
        for ended in (by_release, by_hour):
            ended.add(count.healthy, count.errored, count.crashed)
    ordered = sorted(releases.values(), key=lambda ended: ended.count, reverse=True)
    newest = [hours[hour] for hour in sorted(hours, reverse=True)]
    return Sessions(
        plot,
        ordered[:_MAX_RELEASES],
        newest[:_MAX_HOURS],
        max(0, len(ordered) - _MAX_RELEASES),
        max(0, len(newest) - _MAX_HOURS),
    )


def _hour(number: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(number * 3600, timezone.utc)
    except (OSError, OverflowError, ValueError):
        return None
