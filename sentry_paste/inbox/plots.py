"""Small plots: sessions over time, and when an error was seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sentry_paste.inbox.index import Entry

# Durations of one bar of the plot of sessions, in minutes: what a clock or a calendar knows.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440, 10080)
_MOST_BARS = 48

#: Height of the plot of sessions, in its own units.
HEIGHT = 100.0

# Bars of a sparkline.
_SPARKS = 24
_SPARK_HEIGHT = 20


@dataclass(frozen=True)
class Part:
    """A part of a bar.

    Attributes:
        kind: ``healthy``, ``errored`` or ``crashed``.
        count: of requests.
        y: its upper end.
        height: in the plot's units.
    """

    kind: str
    count: int
    y: float
    height: float


@dataclass(frozen=True)
class SessionBar:
    """The requests of a span of time.

    Attributes:
        time: when it begins.
        left: in percent of the width.
        width: in percent of the width.
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
        bars: those with requests, from left to right.
        totals: requests by kind.
        start: where the plot begins.
        end: where it ends.
        step: how long a bar is, minutes.
        highest: requests of the highest bar.
    """

    bars: list[SessionBar]
    totals: dict[str, int]
    start: datetime
    end: datetime
    step: int
    highest: int

    @property
    def crash_free(self) -> float:
        """Percent of the requests that did not crash, rounded down so that 100 means all of them."""
        whole = sum(self.totals.values())
        return math.floor(1000 * (whole - self.totals["crashed"]) / whole) / 10 if whole else 100.0


_KINDS = ("crashed", "errored", "healthy")


def session_plot(entries: Iterable[Entry]) -> SessionPlot | None:
    """Return the plot of the sessions of some files, None where there are none.

    Args:
        entries: of sessions.
    """
    minutes: dict[int, list[int]] = {}
    for entry in entries:
        for count in entry.told.sessions:
            sums = minutes.setdefault(int(count.time.timestamp() // 60), [0, 0, 0])
            for place, number in enumerate((count.crashed, count.errored, count.healthy)):
                sums[place] += number
    if not minutes:
        return None
    last = max(minutes)
    # A clock that jumped must not press all others into one bar: a year is the most that is shown.
    first = min(minute for minute in minutes if minute > last - 525_600)
    step = next((step for step in _STEPS if (last - first) // step < _MOST_BARS - 1), _STEPS[-1])
    begin = first // step
    bars: dict[int, list[int]] = {}
    for minute, numbers in minutes.items():
        if minute >= first:
            sums = bars.setdefault(minute // step - begin, [0, 0, 0])
            for place, number in enumerate(numbers):
                sums[place] += number
    # Few bars stand at the right, and are not as wide as the plot.
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
            height = max(2.0, HEIGHT * count / highest)  # one crash among thousands is to be seen
            y = max(0.0, y - height)
            parts.append(Part(kind, count, round(y, 1), round(min(height, HEIGHT), 1)))
    return parts[::-1]


def _moment(minute: int) -> datetime:
    try:
        return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=minute)
    except OverflowError:
        return datetime(1970, 1, 1, tzinfo=timezone.utc)


def spark(times: Sequence[float], start: float, end: float) -> str:
    """Return the path of a sparkline, 24 wide and 20 high; empty where there is nothing to compare.

    Args:
        times: when something happened.
        start: the time at the left.
        end: the time at the right.
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
