"""When to retry, and how fast, so that many processes do not overwhelm a Sentry that recovers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

#: Upper limit of the first wait, in seconds.
FIRST = 1.0
#: Upper limit of the longest waits of the backlog, in seconds. Live envelopes are retried more often, and end
#: the wait of the backlog when one is accepted.
LONGEST = 300.0
#: Upper limit of the longest waits for live envelopes, in seconds.
LONGEST_LIVE = 30.0

#: The longest wait that a server may ask for, in seconds. A longer one may be a proxy's, or a mistake, and is
#: probed this often.
LONGEST_ASKED = 600.0

#: Files captured less than this many seconds ago go before the rest of the backlog.
FRESH = 300.0

# Envelopes per second: the maximum after a failure, and the minimum after repeated failures.
_SLOW = 1.0
_SLOWEST = 0.25
# The factor by which the rate grows with each accepted envelope.
_FASTER = 1.25


class Backoff:
    """Exponential waits with full jitter, as AWS's Architecture Blog describes them (Brooker, 2015).

    Args:
        longest: upper limit of the longest waits, in seconds.
        clock: a monotonic clock, in seconds.
        chance: returns a random number from 0 to 1.
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
        self._failed_at = float("-inf")

    def failed(self, retry_after: float = 0.0, begun: float = float("inf")) -> bool:
        """Choose how long to wait after another failure; return False if it is no other one.

        Args:
            retry_after: seconds that the server asks to wait, of which ``LONGEST_ASKED`` count; the jitter is
                added to them.
            begun: when the attempt began, by the clock. Those that were in flight together fail together, and
                count once.
        """
        if begun < self._failed_at:
            return False
        self._failed_at = self._clock()
        ceiling = min(self._longest, FIRST * 2.0 ** min(self._failures, 32))
        self._failures += 1
        self._until = self._clock() + min(retry_after, LONGEST_ASKED) + self._chance() * ceiling
        return True

    def succeeded(self, begun: float = float("inf")) -> None:
        """Forget the failures, unless the attempt began before the last of them.

        Args:
            begun: when the attempt began, by the clock.
        """
        if begun >= self._failed_at:
            self._failures, self._until = 0, 0.0

    def remaining(self) -> float:
        """Return the remaining seconds to wait, 0 if there is no wait."""
        return max(self._until - self._clock(), 0.0) if self._until else 0.0


class Pace:
    """The pace of the backlog: a maximum rate, and slower after a failure.

    Args:
        rate: maximum rate, in envelopes per second.
    """

    def __init__(self, rate: float) -> None:
        self._most = rate
        self._rate = rate

    def failed(self) -> None:
        """Slow down, and further with each failure, down to one envelope in four seconds."""
        self._rate = min(max(min(self._rate / 2.0, _SLOW), _SLOWEST), self._most)

    def succeeded(self) -> None:
        """Speed up a little."""
        self._rate = min(self._rate * _FASTER, self._most)

    def interval(self) -> float:
        """Return the seconds between envelopes."""
        return 1.0 / self._rate
