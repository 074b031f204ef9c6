"""How much CPU time redaction may take: for all events of a request within a second, and for all its items.

What ``bounds`` counts stands for the time that texts take which somebody has thought of. A client may think
of others. So what has not been examined when the time is up is hidden, whatever it is.

It is the CPU time of the thread, which is hardly any longer on a busy machine, in seconds of a fast machine:
on a slow one they take longer. An event of ordinary size takes a fortieth of what the first one may take. An
app may report one for each element of a body, so all further ones share what the first one leaves, but each
has several times what an ordinary one takes for itself.
"""

from __future__ import annotations

import gc
import re
import threading
import time
from collections.abc import Callable
from functools import lru_cache

# In seconds: for a first event, for each character of the texts in it, and then for its short texts.
_SECONDS, _PER_CHARACTER, _RESERVE = 0.04, 30e-9, 0.01
# The same for each further event of a request, whatever the ones before it have taken.
_EACH, _LEAST_PER_CHARACTER, _LEAST_RESERVE = 0.005, 8e-9, 0.001

# Missing on some platforms, where only the counts are left: any other clock runs on while other threads work.
_thread_time: Callable[[], float] = getattr(time, "thread_time", lambda: 0.0)
# A sample of what redaction does, the seconds that it takes on a fast machine (that of the page about
# performance), how often that is tried, and how much slower a machine may be.
_SAMPLE = "name=value; password=hunter22; colour=green; " * 40
_FIELD = re.compile("(?:[a-z]+(?:word|key|token))=([^;]*)")
_SECONDS_OF_SAMPLE, _TRIES, _SLOWEST = 45e-6, 5, 10.0


@lru_cache(maxsize=1)
def slowness() -> float:
    """Return how many times slower this machine is than a fast one, and 1 if it is faster."""
    taken = []
    for _ in range(_TRIES):
        begun = _thread_time()
        _search_sample()
        taken.append(_thread_time() - begun)
    return min(max(min(taken) / _SECONDS_OF_SAMPLE, 1.0), _SLOWEST)


def _search_sample() -> None:
    found = {hit.start(): hit[1].upper().lower() for hit in _FIELD.finditer(_SAMPLE)}
    sum([len(text) for text in found.values()])
    sum(map(_SAMPLE.count, "abcdefgh"))


def _cpu_time() -> float:
    """Return the CPU time of this thread, in seconds of a fast machine."""
    return _thread_time() / slowness()


class TimeLimit:
    """The CPU time that is left.

    Args:
        seconds: at first.
        reserve: for short texts, once these are over.
        per_character: how many seconds each character of its texts adds.

    Attributes:
        seconds: that are left.
        per_character: how many of them each character adds.
        used: that have passed, less what characters and garbage collections may take.
    """

    __slots__ = ("_collections", "_reserve", "per_character", "seconds", "used")

    def __init__(
        self,
        seconds: float = _SECONDS,
        reserve: float = _RESERVE,
        per_character: float = _PER_CHARACTER,
    ) -> None:
        self.seconds = seconds
        self.per_character = per_character
        self.used = 0.0
        self._reserve = reserve
        self._collections = _full_collections()

    def add(self, seconds: float) -> None:
        """Add time.

        Args:
            seconds: that are not charged to anything else.
        """
        self.seconds += seconds
        self.used -= seconds

    def take(self, seconds: float) -> None:
        """Take time off.

        Args:
            seconds: that have passed.
        """
        self.seconds -= seconds
        self.used += seconds

    def forgive_collection(self, seconds: float) -> bool:
        """Add time that a garbage collection may have taken; return whether there was one.

        In a process with many objects, a full collection takes longer than all of redaction may, and happens
        in whichever thread creates the next object.

        Args:
            seconds: that have passed between two looks at the clock.
        """
        before, self._collections = self._collections, _full_collections()
        if self._collections == before or seconds < _SECONDS / 2:
            return False
        self.add(seconds)
        return True

    def take_reserve(self, passed: float) -> None:
        """Add the reserve, if it is still there.

        Args:
            passed: seconds since the beginning.
        """
        if self._reserve:
            self.seconds, self._reserve = passed + self._reserve, 0.0


class TimeOfEvents:
    """The CPU time that is left for the events of a request.

    Attributes:
        seconds: that are left, besides those that each event has for itself.
    """

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = _SECONDS - _EACH

    def for_next(self) -> TimeLimit:
        """Return the limit for the next event."""
        per_character = _PER_CHARACTER if self.seconds else _LEAST_PER_CHARACTER
        return TimeLimit(_EACH + self.seconds, min(_LEAST_RESERVE + self.seconds, _RESERVE), per_character)

    def charge(self, limit: TimeLimit, charged: float) -> float:
        """Take off what an event has used of the time that all share; return how much that is by now.

        Args:
            limit: of the event.
            charged: what has been taken off for it before.
        """
        over = max(limit.used - _EACH, charged)
        self.seconds = max(self.seconds - (over - charged), 0.0)
        return over


class _Running(threading.local):
    """What a thread is spending its time on.

    Attributes:
        limit: the time that is left, None if there is no limit.
        begun: when the time was first looked at, None if it was not yet.
        looked: when it was last looked at.
    """

    limit: TimeLimit | None = None
    begun: float | None = None
    looked = 0.0


_running = _Running()


class Timed:
    """A context manager that limits the time of what runs in it.

    The clock starts when the time is first looked at. So ordinary log items, in which nothing is counted,
    cost nothing.

    Args:
        limit: the time that is left, None for as much as it takes.
        starts: whether the clock starts at once.
    """

    __slots__ = ("_before", "_limit", "_starts")

    def __init__(self, limit: TimeLimit | None, starts: bool = False) -> None:
        self._limit = limit
        self._starts = starts

    def __enter__(self) -> None:
        self._before = _running.limit, _running.begun
        _running.limit, _running.begun = self._limit, None
        if self._starts:
            is_time_up()

    def __exit__(self, *error: object) -> None:
        if self._limit is not None and _running.begun is not None:
            now = _cpu_time()
            if now - _running.looked >= _SECONDS / 2:  # to ask for it takes a microsecond
                self._limit.forgive_collection(now - _running.looked)
            self._limit.take(now - _running.begun)
        _running.limit, _running.begun = self._before


def allow_time_for(characters: int) -> None:
    """Add the time that texts may take.

    Args:
        characters: how long they are together.
    """
    if _running.limit is not None:
        _running.limit.add(characters * _running.limit.per_character)


def is_time_up() -> bool:
    """Return whether there is no time left; start the clock if it has not started yet."""
    limit = _running.limit
    if limit is None:
        return False
    now = _cpu_time()
    if _running.begun is None:
        _running.begun = _running.looked = now
    passed = now - _running.looked
    if now - _running.begun > limit.seconds and not limit.forgive_collection(passed):
        return True
    _running.looked = now
    return False


def allow_time_for_short_texts() -> None:
    """If the time is up, add some for what is short, such as names: once for each limit."""
    limit = _running.limit
    if limit is not None and is_time_up():
        limit.take_reserve(_cpu_time() - (_running.begun or 0.0))


def _full_collections() -> int:
    try:
        return int(gc.get_stats()[2]["collections"])
    except (AttributeError, TypeError):  # PyPy has other statistics
        return 0
