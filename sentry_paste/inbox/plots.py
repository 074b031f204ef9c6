"""Small plots: request sessions over time, and sparklines of when an error was seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sentry_paste.inbox.index import Entry

# Possible widths of a bar in the session plot, in minutes: round units of clock and calendar.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440, 10080)
_MAX_BARS = 48

#: Height of the session plot, in its own units.
HEIGHT = 100.0

# Number of bars in a sparkline.
_SPARKS = 24
_SPARK_HEIGHT = 20


@dataclass(frozen=True)
class Part:
    """A part of a bar.

    Attributes:
        kind: ``healthy``, ``errored`` or ``crashed``.
        count: number of requests.
        y: its upper edge, in the plot's units.
        height: its height, in the plot's units.
    """

    kind: str
    count: int
    y: float
    height: float


@dataclass(frozen=True)
class SessionBar:
    """A bar of the session plot: the requests of one period.

    Attributes:
        time: start of the period.
        left: its left edge, in percent of the plot's width.
        width: its width, in percent of the plot's width.
        parts: the crashed ones first.
    """

    time: datetime
    left: float
    width: float
    parts: list[Part]


@dataclass(frozen=True)
class SessionPlot:
    """How requests ended, over time.

    Attributes:
        bars: the bars that have requests, from left to right.
        totals: number of requests by how they ended.
        start: start of the plot.
        end: end of the plot.
        step: period of one bar, in minutes.
        highest: number of requests in the highest bar.
    """

    bars: list[SessionBar]
    totals: dict[str, int]
    start: datetime
    end: datetime
    step: int
    highest: int

    @property
    def crash_free(self) -> float:
        """Percentage of requests that did not crash, rounded down so that 100 means all of them."""
        whole = sum(self.totals.values())
        return math.floor(1000 * (whole - self.totals["crashed"]) / whole) / 10 if whole else 100.0


_KINDS = ("crashed", "errored", "healthy")


def session_plot(entries: Iterable[Entry]) -> SessionPlot | None:
    """Return the plot of the sessions in some files, or None if there are no sessions.

    Args:
        entries: the files.
    """
    minutes: dict[int, list[int]] = {}
    for entry in entries:
        for count in entry.summary.sessions:
            sums = minutes.setdefault(int(count.time.timestamp() // 60), [0, 0, 0])
            for place, number in enumerate((count.crashed, count.errored, count.healthy)):
                sums[place] += number
    if not minutes:
        return None
    last = max(minutes)
    # Show at most a year: otherwise one host with a wrong clock would squeeze all sessions into one bar.
    first = min(minute for minute in minutes if minute > last - 525_600)
    step = next((step for step in _STEPS if (last - first) // step < _MAX_BARS - 1), _STEPS[-1])
    begin = first // step
    bars: dict[int, list[int]] = {}
    for minute, numbers in minutes.items():
        if minute >= first:
            sums = bars.setdefault(minute // step - begin, [0, 0, 0])
            for place, number in enumerate(numbers):
                sums[place] += number
    # If there are few bars, they are at the right and keep a normal width.
    places = max(24, last // step - begin + 1)
    shift = places - (last // step - begin + 1)
    highest = max(sum(sums) for sums in bars.values()) or 1
    width = 100 / places
    return SessionPlot(
        bars=[
            SessionBar(
                time=_moment((begin + place) * step),
                left=round((place + shift) * width + width * 0.1, 2),
                width=round(width * 0.8, 2),
                parts=_parts(bars[place], highest),
            )
            for place in sorted(bars)
        ],
        totals={kind: sum(sums[place] for sums in bars.values()) for place, kind in enumerate(_KINDS)},
        start=_moment((begin - shift) * step),
        end=_moment((last // step + 1) * step),
        step=step,
        highest=highest,
    )


def _parts(counts: Sequence[int], highest: int) -> list[Part]:
    parts = []
    y = HEIGHT
    for kind, count in reversed(list(zip(_KINDS, counts))):
        if count:
            height = max(2.0, HEIGHT * count / highest)  # one crash among thousands must stay visible
            y = max(0.0, y - height)
            parts.append(Part(kind, count, round(y, 1), round(min(height, HEIGHT), 1)))
    return parts[::-1]


def _moment(minute: int) -> datetime:
    try:
        return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=minute)
    except OverflowError:
        return datetime(1970, 1, 1, tzinfo=timezone.utc)


def spark(times: Sequence[float], start: float, end: float) -> str:
    """Return the SVG path of a sparkline, 24 wide and 20 high; empty for fewer than two times.

    Args:
        times: when something happened, in seconds since 1970.
        start: time at the left edge.
        end: time at the right edge.
    """
    if len(times) < 2 or end <= start:
        return ""
    bars = [0] * _SPARKS
    for time in times:
        place = int((time - start) / (end - start) * _SPARKS)
        bars[min(max(place, 0), _SPARKS - 1)] += 1
    highest = max(bars)
    heights = [max(2, round(_SPARK_HEIGHT * bar / highest)) if bar else 0 for bar in bars]
    return "".join(
        f"M{place}.1 {_SPARK_HEIGHT}v-{height}h.8v{height}z" for place, height in enumerate(heights) if height
    )
