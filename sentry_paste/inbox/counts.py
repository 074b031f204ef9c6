"""How requests ended: what session payloads count."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sentry_paste.spool import fields

_MOST = 1000
# A count beyond this is no count of requests, and too large to draw.
_MOST_COUNTED = 1_000_000_000


class SessionCount(NamedTuple):
    """How many requests ended in which way, of those that began in one minute.

    Attributes:
        time: when they began.
        healthy: without an error.
        errored: with an error that the app handled.
        crashed: with one that it did not.
    """

    time: datetime
    healthy: int
    errored: int
    crashed: int


def session_counts(payloads: tuple[tuple[str, Any], ...]) -> tuple[SessionCount, ...]:
    """Return what the sessions of an envelope count (https://develop.sentry.dev/sdk/telemetry/sessions/).

    Args:
        payloads: of the envelope.
    """
    found = []
    for type_, payload in payloads:
        if type_ == "sessions":
            found += list(_aggregates(payload))
        elif type_ == "session":
            found += list(_session(fields.mapping(payload)))
    return tuple(found[:_MOST])


def _aggregates(payload: Any) -> Iterator[SessionCount]:
    for item in fields.items(fields.mapping(payload).get("aggregates")):
        time = fields.time(item.get("started"))
        if time is not None:
            crashed = _count(item.get("crashed")) + _count(item.get("abnormal"))
            yield SessionCount(time, _count(item.get("exited")), _count(item.get("errored")), crashed)


def _session(session: Any) -> Iterator[SessionCount]:
    time = fields.time(session.get("started")) or fields.time(session.get("timestamp"))
    if time is not None:
        is_crashed = session.get("status") in ("crashed", "abnormal")
        is_errored = not is_crashed and _count(session.get("errors")) > 0
        yield SessionCount(time, int(not is_crashed and not is_errored), int(is_errored), int(is_crashed))


def _count(value: Any) -> int:
    return min(value, _MOST_COUNTED) if type(value) is int and value > 0 else 0
