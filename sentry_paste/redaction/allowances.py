"""What the log items, metrics and spans of one request may cost together.

An app that logs once for each element of a body has a client decide how many items there are: a bound for
each of them is none for the request. What is beyond the allowance is hidden, from the first place on that
may be secret; a second later there is a new one, for a response that goes on for hours.
"""

from __future__ import annotations

import threading
import time

from sentry_paste.redaction.bounds import Bounds

# Places that a text says are secret, and how much is searched for the ends of values. About 10 µs each.
_PLACES, _LOOKED_FOR = 1000, 1_000_000
# What lines of access logs weigh: a few hundred ordinary ones.
_LINES = 98_304
_SECONDS = 1.0


class Allowances:
    """What is left for a request, or for a thread outside of requests.

    Attributes:
        places: in texts that are searched for what they say is secret.
        readings: the same, of what these texts read without their escapes.
        lines: of access logs, by their weight.
    """

    __slots__ = ("_until", "lines", "places", "readings")

    def __init__(self) -> None:
        self._until = 0.0
        self.renew()

    def renew(self) -> None:
        """Begin anew, if the last time is long enough ago."""
        now = time.monotonic()
        if now >= self._until:
            self._until = now + _SECONDS
            self.places, self.readings = Bounds(_PLACES, _LOOKED_FOR), Bounds(_PLACES, _LOOKED_FOR)
            self.lines = _LINES


class _OfThread(threading.local):
    """What a thread spends on items outside of requests, and what it spends now."""

    def __init__(self) -> None:
        self.own = Allowances()
        self.now: Allowances | None = None


_of_thread = _OfThread()


def current() -> Allowances | None:
    """Return what the item that is looked at shares with others, None where it is an event."""
    return _of_thread.now


class Sharing:
    """A context in which what is looked at is charged to an allowance.

    Args:
        allowances: of a request, None for those of the thread.
    """

    __slots__ = ("_allowances", "_before")

    def __init__(self, allowances: Allowances | None) -> None:
        self._allowances = allowances
        self._before: Allowances | None = None

    def __enter__(self) -> None:
        self._before = _of_thread.now
        _of_thread.now = now = self._allowances or _of_thread.own
        now.renew()

    def __exit__(self, *error: object) -> None:
        _of_thread.now = self._before
