"""Say times, durations and sizes as a reader wants them."""

from __future__ import annotations

from datetime import datetime, timezone


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
        return f"{seconds // 1:.0f} s ago"
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
    return f"{_utc(time):%H:%M:%S}"


def moment(time: datetime) -> str:
    """Return date and time to the millisecond, UTC.

    Args:
        time: when it was.
    """
    return _utc(time).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(timezone.utc)
    except OverflowError:  # a foreign file may name the first or the last hour there is
        return time


def duration(seconds: float) -> str:
    """Return a duration with the unit that suits it.

    Args:
        seconds: how long.
    """
    # Compared with what rounds to the next unit, so that nothing took "1000 ms".
    if abs(seconds) < 0.00995:
        return f"{seconds * 1000:.1f} ms"
    if abs(seconds) < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 99.995:
        return f"{seconds:.2f} s"
    return f"{seconds / 60:.1f} min"


def size(count: int) -> str:
    """Return a number of bytes with the unit that suits it.

    Args:
        count: bytes.
    """
    if count < 1000:
        return f"{count} B"
    if count < 999_950:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e6:.1f} MB"
