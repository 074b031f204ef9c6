"""Allowances: what redacting the log items, metrics and spans of one request may cost in total.

If an app logs once for each element of a body, the client decides how many items there are, so a limit for
each item does not limit the request. Beyond the allowance, an item is hidden from the first place on that may
be secret. The allowance is renewed every second, for responses that take hours.
"""

from __future__ import annotations

import threading
import time

from sentry_paste.redaction.bounds import Allowance, Bounds

# Places that texts name as secret, and how much is searched for the ends of values. About 10 µs each.
_PLACES, _SEARCHED = 1000, 1_000_000
# Parameters of queries and URLs, how much of these is read, and what new names of attributes may cost.
_PARAMETERS, _READ, _NEW_NAMES = 4000, 600_000, 8000
# Places that may be secret values of the request. About 2 µs each.
_VALUES = 20_000
# The weight of lines of access logs: a few hundred ordinary ones.
_LINES = 98_304
_SECONDS = 1.0


class Allowances:
    """What is left for a request, or for a thread outside requests.

    Attributes:
        places: in texts that are searched for secrets that they name.
        readings: the same, in these texts without their escapes.
        queries: parameters, and texts that may have some.
        names: of attributes and of members of mappings.
        values: places in all texts that are searched for secret values.
        lines: of access logs, by weight.
    """

    __slots__ = ("_until", "lines", "names", "places", "queries", "readings", "values")

    def __init__(self) -> None:
        self._until = 0.0
        self.renew()

    def renew(self) -> None:
        """Start a new allowance, if the last one is old enough."""
        now = time.monotonic()
        if now >= self._until:
            self._until = now + _SECONDS
            self.places, self.readings = Bounds(_PLACES, _SEARCHED), Bounds(_PLACES, _SEARCHED)
            self.queries, self.names = Bounds(_PARAMETERS, _READ), Bounds(_NEW_NAMES, 0)
            self.lines, self.values = _LINES, Allowance(_VALUES)


class _ThreadAllowance(threading.local):
    """The allowance of a thread outside requests, and the one in use."""

    def __init__(self) -> None:
        self.own = Allowances()
        self.now: Allowances | None = None


_of_thread = _ThreadAllowance()


def current() -> Allowances | None:
    """Return the allowance that the current item is charged to, None for an event."""
    return _of_thread.now


class Sharing:
    """A context manager that charges redaction to an allowance.

    Args:
        allowances: of a request, None for the thread's own.
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
