"""Simulate whether several connections press a slow Sentry harder: ``python -m benchmarks.slow``.

This is a simulation of discrete events, as ``benchmarks.herd``. Each of many processes has a backlog, and
sends as much as its connections allow. The server has one queue; it is fast for a minute, then too slow for
all of them for another, and fast again. The spool's own class decides how many connections a process uses.
"""

from __future__ import annotations

import argparse
import heapq
import statistics
from collections.abc import Callable
from typing import NamedTuple, Protocol

from sentry_paste.spool.uploads import Width

#: Seconds of each phase, and of a round trip to an idle server.
PHASE, ROUND_TRIP = 60.0, 0.05
#: Envelopes a second that one process sends at most, and that the server accepts while it is fast and slow.
RATE = 100.0
FAST, SLOW = 100_000.0, 500.0


class Policy(Protocol):
    """How many requests of a process may be in flight."""

    @property
    def current(self) -> int:
        """How many may be now."""

    def answered(self, begun: float, took: float) -> None:
        """Take an answer into account."""


class Fixed:
    """As many as ever.

    Args:
        current: how many.
    """

    def __init__(self, current: int) -> None:
        self.current = current

    def answered(self, begun: float, took: float) -> None:
        """Change nothing."""


class Phase(NamedTuple):
    """What happened in one phase.

    Attributes:
        accepted: envelopes a second.
        median: seconds from a request to its answer.
        most: requests at the server at one moment.
    """

    accepted: float
    median: float
    most: int


def simulate(processes: int, policy: Callable[[], Policy]) -> list[Phase]:
    """Return what happened in each phase.

    Args:
        processes: that have more to send than can be sent.
        policy: makes one for a process.
    """
    policies = [policy() for _ in range(processes)]
    flying, next_at = [0] * processes, [0.0] * processes
    # When something is due: the time, the process, and when the request began that is answered then; -1 if
    # the process may send again.
    due: list[tuple[float, int, float]] = [
        (process / processes, process, -1.0) for process in range(processes)
    ]
    heapq.heapify(due)
    took: list[list[float]] = [[], [], []]
    most, free_at, at_server = [0, 0, 0], 0.0, 0
    while due and due[0][0] < 3 * PHASE:
        now, process, begun = heapq.heappop(due)
        phase = int(now // PHASE)
        if begun >= 0:
            flying[process] -= 1
            at_server -= 1
            took[phase].append(now - begun)
            policies[process].answered(begun, now - begun)
        while flying[process] < policies[process].current and next_at[process] <= now:
            free_at = max(free_at, now) + 1 / (SLOW if phase == 1 else FAST)
            flying[process] += 1
            at_server += 1
            most[phase] = max(most[phase], at_server)
            heapq.heappush(due, (free_at + ROUND_TRIP, process, now))
            next_at[process] = now + 1 / RATE
            heapq.heappush(due, (next_at[process], process, -1.0))
    return [
        Phase(len(taken) / PHASE, statistics.median(taken or [0.0]), highest)
        for taken, highest in zip(took, most)
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slow", description=__doc__)
    parser.add_argument("--processes", type=int, default=200, help="how many send (200)")
    count = parser.parse_args().processes
    print(f"{'connections':<16} {'server':<12} {'accepted':>11} {'answer':>9} {'most at the server':>19}")
    policies: dict[str, Callable[[], Policy]] = {
        "one": lambda: Fixed(1),
        "up to 8": lambda: Width(8),
        "always 8": lambda: Fixed(8),
    }
    for title, policy in policies.items():
        for server, phase in zip(("fast", "slow", "fast again"), simulate(count, policy)):
            accepted, answer = f"{phase.accepted:,.0f}/s", f"{phase.median:.2f} s"
            print(f"{title:<16} {server:<12} {accepted:>11} {answer:>9} {phase.most:>19,}")


if __name__ == "__main__":
    main()
