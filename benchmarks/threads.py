"""Requests of many threads at once: throughput, and waiting for locks. ``benchmarks.scaling`` runs it.

Each measurement has its own process. To measure waiting, ``threading.Lock`` and ``threading.RLock`` are
replaced before anything else is imported: if a lock is not free at once, the wait is timed. Locks made in C,
such as those of ``queue.SimpleQueue``, are not included. The share is that of all threads' time together;
with one interpreter lock, most of the rest is spent waiting for that one, in the bare app too. Throughput is
measured without all of this.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

from benchmarks.locks import KINDS
from benchmarks.progress import median

Lines = dict[str, dict[int, float]]

NUMBERS = (1, 2, 4, 8, 16, 32, 64)
TITLES = {
    "threads": "Requests of many threads at once",
    "locks": "Waiting for locks, with requests of many threads at once",
}
LABELS = {"threads": "requests/s, all threads together", "locks": "time spent waiting for locks, %"}


def in_a_process(middleware: str, kind: str, number: int, locks: bool) -> dict[str, float]:
    """Return what is measured in a separate process.

    Args:
        middleware: as of ``measured``.
        kind: as of ``measured``.
        number: of threads.
        locks: whether to time them.
    """
    command = [sys.executable, "-m", "benchmarks.locks", middleware, kind, str(number)]
    output = subprocess.run(
        [*command, *(["locks"] if locks else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    ).stdout
    found: dict[str, float] = json.loads(output)
    return found


def swept(tick: Callable[[], None], rounds: int) -> dict[str, Lines]:
    """Return throughput and waiting, by line and number of threads.

    Args:
        tick: called at each step.
        rounds: of turns.
    """
    combinations = [("bare", "errors only"), *((name, kind) for kind in KINDS for name in ("filter", "SDK"))]
    found: dict[str, Lines] = {"threads": {}, "locks": {}}
    for number in NUMBERS:
        taken: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for middleware, kind in combinations:
                name = "bare" if middleware == "bare" else f"{middleware}, {kind}"
                rate = in_a_process(middleware, kind, number, False)["rate"]
                waiting = in_a_process(middleware, kind, number, True)["waiting"]
                taken.setdefault(("threads", name), []).append(rate)
                taken.setdefault(("locks", name), []).append(waiting)
            tick()
        for (figure, name), values in taken.items():
            found[figure].setdefault(name, {})[number] = median(values)
    return found
