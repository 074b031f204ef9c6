"""Small plots: sessions over time, how long requests took, and sparklines of when an error was seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sentry_paste.inbox.summary import SessionCount

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
        return share_without(self.totals["crashed"], sum(self.totals.values()))


def share_without(part: int, whole: int) -> float:
    """Return the percentage of a whole without a part, rounded down so that 100 means all of it.

    Args:
        part: number that is left out.
        whole: number of all.
    """
    return math.floor(1000 * (whole - part) / whole) / 10 if whole else 100.0


_KINDS = ("crashed", "errored", "healthy")


def session_plot(counts: Iterable[SessionCount]) -> SessionPlot | None:
    """Return the plot of sessions, or None if there are none.

    Args:
        counts: how they ended, by minute.
    """
    minutes: dict[int, list[int]] = {}
    for count in counts:
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


# How long requests took.

# Bars of the distribution, and the height of its plot in its own units.
_BINS = 40
_BIN_HEIGHT = 60.0


@dataclass(frozen=True)
class Bin:
    """A bar of a distribution: requests that took about as long.

    Attributes:
        begin: shortest duration, in seconds.
        end: longest duration, in seconds.
        count: number of requests.
        failed: how many of them have failed.
        left: its left edge, in percent of the width.
        width: its width, in percent of the width.
        y: its upper edge.
        height: its height.
        failed_height: height of the part for those that have failed.
    """

    begin: float
    end: float
    count: int
    failed: int
    left: float
    width: float
    y: float
    height: float
    failed_height: float


@dataclass(frozen=True)
class Distribution:
    """How long requests took, on a logarithmic scale.

    Attributes:
        bins: the bars that have requests, from left to right.
        begin: duration at the left edge, in seconds.
        end: duration at the right edge, in seconds.
        marks: where some durations are, in percent of the width.
        height: height of the plot.
    """

    bins: list[Bin]
    begin: float
    end: float
    marks: list[float]
    height: float = _BIN_HEIGHT


def distribution(
    durations: Sequence[tuple[float, bool]], marks: Sequence[float | None]
) -> Distribution | None:
    """Return the plot of how long requests took; None if there are fewer than two.

    Args:
        durations: duration of each in seconds, and whether it has failed.
        marks: durations to mark.
    """
    # A tenth of a millisecond: less is not measured, and has no logarithm at 0.
    logs = [(math.log10(max(duration, 1e-4)), is_failed) for duration, is_failed in durations]
    if len(logs) < 2:
        return None
    low, high = min(logs)[0], max(logs)[0]
    if high - low < 0.3:  # a factor of two, so that equal durations are not spread over the whole width
        middle = (low + high) / 2
        low, high = middle - 0.15, middle + 0.15
    sums: dict[int, list[int]] = {}
    for place, is_failed in logs:
        bar = sums.setdefault(min(int((place - low) / (high - low) * _BINS), _BINS - 1), [0, 0])
        bar[0] += 1
        bar[1] += is_failed
    highest = max(count for count, _ in sums.values())
    width, step = 100 / _BINS, (high - low) / _BINS
    bins = []
    for number, (count, failed) in sorted(sums.items()):
        height = max(1.5, _BIN_HEIGHT * count / highest)
        bins.append(
            Bin(
                begin=10 ** (low + number * step),
                end=10 ** (low + (number + 1) * step),
                count=count,
                failed=failed,
                left=round(number * width + width * 0.1, 2),
                width=round(width * 0.8, 2),
                y=round(_BIN_HEIGHT - height, 2),
                height=round(height, 2),
                failed_height=round(max(1.5, height * failed / count) if failed else 0.0, 2),
            )
        )
    return Distribution(
        bins,
        10**low,
        10**high,
        [
            round(min(100.0, max(0.0, (math.log10(max(mark, 1e-4)) - low) / (high - low) * 100)), 2)
            for mark in marks
            if mark is not None
        ],
    )
