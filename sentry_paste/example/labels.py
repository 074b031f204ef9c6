"""Say times, durations and sizes as a reader wants them."""

from __future__ import annotations

from datetime import datetime, timezone

_KILO = 1000


def ago(time: datetime, now: datetime | None = None) -> str:
    """Return how long ago something was, or its date where that was more than a day ago.

    Args:
        time: when it was.
        now: what counts as now, default the clock's time.
    """
    seconds = ((now or datetime.now(timezone.utc)) - time).total_seconds()
    if seconds < 2:
        return "just now"
    if seconds < 60:
        return f"{seconds:.0f} s ago"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 86400:
        return f"{seconds // 3600:.0f} h ago"
    return f"{time:%Y-%m-%d}"


def clock(time: datetime) -> str:
    """Return the time of day, UTC.

    Args:
        time: when it was.
    """
    return f"{time.astimezone(timezone.utc):%H:%M:%S}"


def moment(time: datetime) -> str:
    """Return date and time to the millisecond, UTC.

    Args:
        time: when it was.
    """
    return time.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def duration(seconds: float) -> str:
    """Return a duration with the unit that suits it.

    Args:
        seconds: how long.
    """
    if abs(seconds) < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 100:
        return f"{seconds:.2f} s"
    return f"{seconds / 60:.0f} min"


def size(count: int) -> str:
    """Return a number of bytes with the unit that suits it.

    Args:
        count: bytes.
    """
    if count < _KILO:
        return f"{count} B"
    if count < _KILO**2:
        return f"{count / _KILO:.1f} kB"
    return f"{count / _KILO**2:.1f} MB"
