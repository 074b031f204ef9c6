"""Bounds on how much of a client's data is looked at: of a text, of a payload, of all items of a request.

They count places and characters, so they are the same on each machine. ``time_limit`` is behind them, for
texts that nobody has thought of.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from sentry_paste.redaction.time_limit import Timed, TimeLimit, TimeOfEvents, is_time_up

Item = TypeVar("Item")

# After how many steps, places or characters the time is looked at: that many take some 100 µs.
_STEPS_BETWEEN, _PLACES_BETWEEN, _CHARACTERS_BETWEEN = 16, 64, 10_000


class TooMuchError(Exception):
    """A text would need more work than its length allows."""


def check_time() -> None:
    """Do nothing as long as there is time left.

    Raises:
        TooMuchError: there is none.
    """
    if is_time_up():
        raise TooMuchError


class Allowance:
    """What may be spent on one text.

    Args:
        places: how many places in it may be examined.
        shared: by several texts, of which this is a part; None if it is by itself.

    Attributes:
        left: how many places are left.
    """

    __slots__ = ("_shared", "left")

    def __init__(self, places: int, shared: Allowance | None = None) -> None:
        self.left: int = places if shared is None else min(places, max(shared.left, 0))
        self._shared = shared

    def charge(self, places: int) -> None:
        """Take places only off what several texts share.

        Args:
            places: how many.
        """
        if self._shared is not None:
            self._shared.left -= places

    def charge_before(self, places: int) -> None:
        """Take places only off what several texts share, before the work for them is done.

        Args:
            places: how many.

        Raises:
            TooMuchError: fewer are left.
        """
        if self._shared is not None:
            self._shared.left -= places
            if places > 0 > self._shared.left:
                raise TooMuchError

    def spend(self, places: int) -> None:
        """Take places off the allowance.

        Args:
            places: how many.

        Raises:
            TooMuchError: fewer are left, or no time is.
        """
        before = self.left
        self.left -= places
        self.charge(places)
        if self.left < 0:
            raise TooMuchError
        if before // _PLACES_BETWEEN != self.left // _PLACES_BETWEEN:
            check_time()


class Bounds:
    """A number of steps and characters, shared by everything that is looked at for one request.

    Args:
        steps: how many cookies, addresses, parameters and parts may be looked at.
        characters: how much text may be searched for parts.

    Attributes:
        steps: how many are left.
        characters: how many are left.
        are_exceeded: whether there was more than that.
    """

    __slots__ = ("are_exceeded", "characters", "steps")

    def __init__(self, steps: int, characters: int) -> None:
        self.steps = steps
        self.characters = characters
        self.are_exceeded = False

    def first(self, found: Iterable[Item]) -> list[Item]:
        """Return as many items as may be looked at.

        Args:
            found: all items; no more are consumed than necessary.
        """
        listed = list(islice(found, self.steps + 1))
        if len(listed) > self.steps:
            self.are_exceeded = True
            listed.pop()
        self.steps -= len(listed)
        return listed

    def step(self) -> bool:
        """Take a step, and return whether there was one left."""
        if self.steps > 0:
            self.steps -= 1
            if self.steps % _STEPS_BETWEEN == 0 and is_time_up():
                self.are_exceeded = True
        else:
            self.are_exceeded = True
        return not self.are_exceeded

    def may_take(self, steps: int) -> bool:
        """Take several steps, and return whether that many were left.

        Args:
            steps: how many; if fewer are left, all are taken.
        """
        before = self.steps
        self.steps = max(before - steps, 0)
        if steps > before or (before // _STEPS_BETWEEN != self.steps // _STEPS_BETWEEN and is_time_up()):
            self.are_exceeded = True
        return not self.are_exceeded

    def may_read(self, length: int) -> bool:
        """Take some characters, and return whether that many were left.

        Args:
            length: of a text that is examined closely.
        """
        before = self.characters
        self.characters -= length
        if self.characters < 0:
            self.are_exceeded = True
        elif before // _CHARACTERS_BETWEEN != self.characters // _CHARACTERS_BETWEEN and is_time_up():
            self.are_exceeded, self.characters = True, -1
        return self.characters >= 0


class Search:
    """A search through a text that can skip ahead, past parts that are done.

    Args:
        pattern: what to search for.
        text: any.
        begin: where the search begins.

    Attributes:
        position: where the search continues; it may be moved forward.
    """

    __slots__ = ("_pattern", "_text", "position")

    def __init__(self, pattern: re.Pattern[str], text: str, begin: int = 0) -> None:
        self._pattern = pattern
        self._text = text
        self.position = begin

    def __iter__(self) -> Iterator[re.Match[str]]:
        search, text = self._pattern.search, self._text
        hit = search(text, self.position)
        while hit is not None:
            self.position = max(hit.end(), self.position)
            yield hit
            hit = search(text, self.position)


# Places that texts name as secret, and how much is searched for the ends of values. About 10 µs each.
_PLACES, _SEARCHED = 1000, 1_000_000
# Parameters of queries and URLs, how much of these is read, and what new names of attributes may cost.
_PARAMETERS, _READ, _NEW_NAMES = 4000, 600_000, 8000
# Places that may be secret values of the request. About 2 µs each.
_VALUES = 12_000
# The weight of lines of access logs: a few hundred ordinary ones.
_LINES = 98_304
_SECONDS = 1.0


class Allowances:
    """What redacting the log items, metrics and spans of a request, or of a thread outside it, may cost.

    If an app logs once for each element of a body, the client decides how many items there are, so a limit
    for each item does not limit the request. Beyond the allowance, an item is hidden from the first place on
    that may be secret. The allowance is renewed every second, for responses that take hours.

    Attributes:
        places: in texts that are searched for secrets that they name.
        readings: the same, in these texts without their escapes.
        queries: parameters, and texts that may have some.
        names: of attributes and of members of mappings.
        values: places in all texts that are searched for secret values.
        lines: of access logs, by weight.
        time: CPU time.
        events: CPU time of the events of the request or the thread, which share nothing else.
    """

    __slots__ = ("_until", "events", "lines", "names", "places", "queries", "readings", "time", "values")

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
            self.time, self.events = TimeLimit(), TimeOfEvents()


class _ThreadAllowance(threading.local):
    """The allowance of a thread outside requests, and the one in use."""

    def __init__(self) -> None:
        self.own = Allowances()
        self.now: Allowances | None = None


_of_thread = _ThreadAllowance()


def current_allowances() -> Allowances | None:
    """Return the allowance that the current item is charged to, None for an event."""
    return _of_thread.now


class Sharing:
    """A context manager that charges redaction to an allowance.

    Args:
        allowances: of a request, None for the thread's own.
    """

    __slots__ = ("_allowances", "_before", "_timed")

    def __init__(self, allowances: Allowances | None) -> None:
        self._allowances = allowances
        self._before: Allowances | None = None

    def __enter__(self) -> None:
        self._before = _of_thread.now
        _of_thread.now = now = self._allowances or _of_thread.own
        now.renew()
        self._timed = Timed(now.time)
        self._timed.__enter__()

    def __exit__(self, *error: object) -> None:
        self._timed.__exit__()
        _of_thread.now = self._before


class TimedEvent:
    """A context manager that limits the time of redacting an event, and charges it to an allowance.

    It can be entered again, for another part of the event; what is done in between takes no time from it.

    Args:
        allowances: of a request, None for the thread's own.
    """

    __slots__ = ("_charged", "_limit", "_timed", "_times")

    def __init__(self, allowances: Allowances | None) -> None:
        charged = allowances or _of_thread.own
        charged.renew()
        self._times = charged.events
        self._limit = self._times.for_next()
        self._charged = 0.0

    def __enter__(self) -> None:
        self._timed = Timed(self._limit, starts=True)
        self._timed.__enter__()

    def __exit__(self, *error: object) -> None:
        self._timed.__exit__()
        self._charged = self._times.charge(self._limit, self._charged)
