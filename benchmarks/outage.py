"""Measure how an outage affects the app's responses: ``python -m benchmarks.outage``.

Two processes with one spool answer requests, one in ten of which crashes, while the receiver answers,
refuses, fails, hangs or limits; the figures are medians over the rounds, of the median and of the 99th
percentile.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The tests have the failing receiver.
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import crashing
import faulty

DELAY = 0.02
LIMITED = {"X-Sentry-Rate-Limits": "60::organization"}


def _answers(answer: faulty.Answer) -> Callable[[Any], None]:
    def begin(sentry: Any) -> None:
        sentry.answer = answer

    return begin


CONDITIONS: dict[str, Callable[[Any], None]] = {
    "all is well": _answers(faulty.Answer(delay=DELAY)),
    "refused": lambda sentry: sentry.refuse(),
    "503": _answers(faulty.Answer(503, delay=DELAY)),
    "429": _answers(faulty.Answer(429, LIMITED, delay=DELAY)),
    "hangs": _answers(faulty.Answer(hangs=True)),
}


def measure(condition: Callable[[Any], None], backlog: int, requests: int) -> dict[str, list[float]]:
    """Return the seconds of requests that crash and of others, in one round."""
    with tempfile.TemporaryDirectory() as name, faulty.serve() as sentry:
        folder = Path(name)
        ini = folder / "site.ini"
        ini.write_text(crashing.ini(sentry.dsn, folder / "log", folder / "spool"), encoding="utf-8")
        if backlog:
            sentry.answer = faulty.Answer(503)
            with crashing.processes(ini, "before", PYTHONDEVMODE="") as (before,):
                before.do("crash", backlog)
                before.kill()
        condition(sentry)
        taken: dict[str, list[float]] = {"ok": [], "crash": []}
        with crashing.processes(ini, "a", "b", PYTHONDEVMODE="") as running:
            for process in running:
                process.do("crash", 3)
            for process in running:
                process.begin("mixed", requests, 0.002)
            for process in running:
                for part in process.end().split():
                    kind, _, seconds = part.partition(":")
                    taken[kind].append(float(seconds))
            for process in running:
                process.kill()
        return taken


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outage", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    parser.add_argument("--requests", type=int, default=1000, help="of each process (default: 1000)")
    parser.add_argument("--backlog", type=int, default=500, help="errors that wait already (default: 500)")
    options = parser.parse_args()
    found: dict[str, list[list[float]]] = {name: [] for name in CONDITIONS}
    for _ in range(options.rounds):
        for name, condition in CONDITIONS.items():
            taken = measure(condition, options.backlog, options.requests)
            row = []
            for kind in ("ok", "crash"):
                times = sorted(taken[kind])
                row += [statistics.median(times) * 1e6, times[int(len(times) * 0.99)] * 1e6]
            found[name].append(row)
    print(f"{'microseconds':<14} {'healthy':>9} {'99 %':>9} {'crash':>9} {'99 %':>9} {'to all is well':>16}")
    rows = {name: [statistics.median(column) for column in zip(*r)] for name, r in found.items()}
    for name, row in rows.items():
        ratios = f"{row[0] / rows['all is well'][0]:.2f} {row[2] / rows['all is well'][2]:.2f}"
        print(f"{name:<14} " + " ".join(f"{value:>9.0f}" for value in row) + f" {ratios:>16}")


if __name__ == "__main__":
    main()
