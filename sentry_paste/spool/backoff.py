"""When to try again, and how fast: what keeps many processes from trampling a Sentry that recovers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

#: Seconds: what the first wait is chosen below.
FIRST = 1.0
#: Seconds: what waits of the backlog are chosen below at last. What is captured just now asks more often, and
#: ends the wait of the backlog when it is taken.
LONGEST = 300.0
#: Seconds, of what is captured just now.
LONGEST_LIVE = 30.0

#: Seconds: what was captured so lately goes before the rest of the backlog.
FRESH = 300.0

# Envelopes a second: after a failure the backlog goes on so fast at most, and so slowly after more of them.
_SLOW = 1.0
_SLOWEST = 0.25
# With each envelope that is taken it goes so much faster.
_FASTER = 1.25


class Backoff:
    """Exponential waits with full jitter, as AWS's Architecture Blog describes them (Brooker, 2015).

    Args:
        longest: seconds that waits are chosen below at last.
        clock: seconds, which only grow.
        chance: returns a number from 0 to 1.
    """

    def __init__(
        self,
        longest: float = LONGEST,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._longest = longest
        self._clock = clock
        self._chance = chance
        self._failures = 0
        self._until = 0.0

    def failed(self, retry_after: float = 0.0) -> None:
        """Choose how long to wait after one more failure.

        Args:
            retry_after: seconds that the server asks for; the jitter comes on top of them.
        """
        ceiling = min(self._longest, FIRST * 2.0 ** min(self._failures, 32))
        self._failures += 1
        self._until = self._clock() + retry_after + self._chance() * ceiling

    def succeeded(self) -> None:
        """Forget the failures."""
        self._failures, self._until = 0, 0.0

    def remaining(self) -> float:
        """Return how many seconds are left to wait, 0 if none."""
        return max(self._until - self._clock(), 0.0) if self._until else 0.0


class Pace:
    """How fast the backlog goes: at a rate, and after a failure slowly at first.

    Args:
        rate: envelopes a second at most.
    """

    def __init__(self, rate: float) -> None:
        self._most = rate
        self._rate = rate

    def failed(self) -> None:
        """Go slowly, and after each further failure more slowly, down to an envelope in four seconds."""
        self._rate = min(max(min(self._rate / 2.0, _SLOW), _SLOWEST), self._most)

    def succeeded(self) -> None:
        """Go a little faster."""
        self._rate = min(self._rate * _FASTER, self._most)

    def interval(self) -> float:
        """Return the seconds from one envelope to the next."""
        return 1.0 / self._rate
