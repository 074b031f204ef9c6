"""Check whether a process grows with the requests it has served: ``python -m benchmarks.million``.

After each tenth of the requests, it records the resident memory and the number of objects that the garbage
collector tracks. It fails if memory grows by more than a few MiB after the first tenth, when caches are full.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import sentry_sdk

from benchmarks import work
from benchmarks.progress import keep, machine

#: MiB, after the first tenth.
LIMIT = 4.0
TENTHS = 10


class Sample(NamedTuple):
    """The state of the process at one moment.

    Attributes:
        requests: made so far.
        rss: resident memory, MiB.
        objects: tracked by the garbage collector.
        microseconds: CPU of a request since the last sample.
    """

    requests: int
    rss: float
    objects: int
    microseconds: float


def asks(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer in a line, and set a tag, which opens the request's scopes."""
    sentry_sdk.set_tag("shop", "a")
    return work.answer(environ, start_response)


RUNS: dict[str, tuple[work.App, dict[str, Any]]] = {
    "errors only": (work.answer, {}),
    "tracing on, not sampled": (work.answer, {"traces_sample_rate": work.NEVER}),
    "tracing on, not sampled, the app sets a tag": (asks, {"traces_sample_rate": work.NEVER}),
}


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE")) / 2**20


def served(app: work.App, requests: int) -> list[Sample]:
    """Make requests, and return a sample for each tenth.

    Args:
        app: asked.
        requests: how many.
    """
    samples: list[Sample] = []
    for tenth in range(1, TENTHS + 1):
        begun = time.process_time()
        for _ in range(requests // TENTHS):
            work.request(app)
        taken = (time.process_time() - begun) / (requests // TENTHS) * 1e6
        gc.collect()
        found = Sample(tenth * (requests // TENTHS), resident(), len(gc.get_objects()), taken)
        print(
            f"{found.requests:10,} {found.rss:8.1f} {found.objects:9,} {found.microseconds:7.2f}", flush=True
        )
        samples.append(found)
    return samples


def main() -> int:
    """Serve, print and save; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000, help="of each kind (default: 1000000)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    print(f"{machine()}\n\n{'requests':>10} {'RSS MiB':>8} {'objects':>9} {'µs each':>7}")
    figures, has_grown = {}, False
    for name, (app, settings) in RUNS.items():
        print(name)
        samples = served(work.filtered(app, **settings), max(options.requests, TENTHS))
        growth = max(sample.rss for sample in samples[1:]) - samples[0].rss
        print(f"growth after the first tenth, at most: {growth:+.2f} MiB")
        has_grown = has_grown or growth > LIMIT
        figures[name] = [sample._asdict() for sample in samples]
    keep(options.json, figures)
    return 1 if has_grown else 0


if __name__ == "__main__":
    sys.exit(main())
