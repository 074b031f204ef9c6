"""What came before an error: its breadcrumbs, and the log lines of its request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sentry_paste.inbox.reading import Opened
from sentry_paste.inbox.records import LogLine, log_lines, seconds
from sentry_paste.spool import Contents, fields
from sentry_paste.spool.model import Breadcrumb

# A line that is both a breadcrumb and a log item has two times, which differ by less.
_SAME_SECONDS = 0.05

#: The last ones are shown.
MOST_LINES = 200


@dataclass(frozen=True)
class Story:
    """What came before an error.

    Attributes:
        lines: of the log, oldest first.
        crumbs: other breadcrumbs, oldest first.
        left_out: how many lines are more than are shown.
    """

    lines: list[LogLine]
    crumbs: list[Breadcrumb]
    left_out: int = 0


def story(contents: Contents, trace_id: str, related: Iterable[Opened]) -> Story:
    """Return what came before an error.

    Args:
        contents: of the error's envelope.
        trace_id: of its trace, or empty.
        related: the other files of its trace.
    """
    end = max((seconds(fields.time(event.get("timestamp"))) for event in _events(contents)), default=0.0)
    logged = [
        line
        for other in related
        if other.contents
        for line in log_lines(other.contents.payloads)
        if line.trace_id == trace_id and (not end or seconds(line.time) <= end)
    ]
    times: dict[str, list[float]] = {}
    for line in logged:
        times.setdefault(line.message, []).append(seconds(line.time))
    told = [
        LogLine(crumb.time, crumb.level, crumb.category, crumb.message)
        for crumb in contents.breadcrumbs
        if crumb.type == "log" and not _is_near(crumb, times.get(crumb.message, ()))
    ]
    lines = sorted([*told, *logged], key=lambda line: seconds(line.time))
    crumbs = [crumb for crumb in contents.breadcrumbs if crumb.type != "log"]
    return Story(lines[-MOST_LINES:], crumbs, max(0, len(lines) - MOST_LINES))


def _is_near(crumb: Breadcrumb, times: Iterable[float]) -> bool:
    return any(abs(seconds(crumb.time) - time) < _SAME_SECONDS for time in times)


def _events(contents: Contents) -> Iterable[dict[str, object]]:
    return (payload for type_, payload in contents.payloads if type_ == "event" and isinstance(payload, dict))
