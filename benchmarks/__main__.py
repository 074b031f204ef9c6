"""Compare what the filter adds to a request with the SDK's middleware and others: ``python -m benchmarks``.

Ratios compare overheads: what a middleware adds to the bare app, divided by what the SDK's adds, with the
same options. All take turns in one run; the median of the pairs is reported. ``--quick`` takes under a
minute, ``--json FILE`` saves the figures, ``--instructions`` counts instructions with callgrind, which is
reproducible.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import counting, work
from benchmarks.progress import keep, machine, progress
from sentry_paste import filter_factory


class Row(NamedTuple):
    """A piece of work.

    Attributes:
        name: in words.
        goal: the ratio to reach.
        options: of the client.
        measure: returns seconds for one piece, given a middleware's app.
        app: the app to wrap.
    """

    name: str
    goal: float
    options: dict[str, Any]
    measure: Callable[[work.App, int], float]
    app: work.App


def whole(app: work.App, count: int) -> float:
    """Return the seconds of a whole request."""
    begun = time.perf_counter()
    for _ in range(count):
        work.request(app)
    return (time.perf_counter() - begun) / count


def to_the_first_byte(app: work.App, count: int) -> float:
    """Return the seconds up to the first byte; the rest of the request is not timed."""
    taken = 0.0
    for _ in range(count):
        begun = time.perf_counter()
        body = work.first_byte(app)
        taken += time.perf_counter() - begun
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return taken / count


def per_chunk(app: work.App, count: int) -> float:
    """Return the seconds of one chunk of a stream."""
    return whole(app, max(count // 100, 3)) / work.CHUNKS


ROWS = (
    Row("errors only, sessions on", 0.06, {}, whole, work.answer),
    Row("tracing on, not sampled", 0.30, {"traces_sample_rate": work.NEVER}, whole, work.answer),
    Row("sampled: to the first byte", 0.12, {"traces_sample_rate": 1.0}, to_the_first_byte, work.answer),
    Row("sampled: in all", 0.65, {"traces_sample_rate": 1.0}, whole, work.answer),
    Row("a chunk of a streamed body", 0.04, {}, per_chunk, work.stream),
    Row(
        "path in ignore_paths",
        0.05,
        {"traces_sample_rate": work.NEVER, "ignore_paths": ["/shop/*"]},
        whole,
        work.answer,
    ),
)


class Figure(NamedTuple):
    """What was measured for one row.

    Attributes:
        name: of the row.
        goal: of the row.
        ratio: the filter's overhead over the SDK's.
        overheads: by middleware, microseconds.
    """

    name: str
    goal: float
    ratio: float
    overheads: dict[str, float]


def timed(row: Row, pairs: int, count: int) -> Figure:
    """Measure a row, all middlewares taking turns."""
    overheads: dict[str, list[float]] = {name: [] for name in work.MIDDLEWARES}
    ratios = []
    for _ in range(pairs):
        taken: dict[str, float] = {}
        for name, wrap in {"bare": work.bare, **work.MIDDLEWARES}.items():
            app = wrap(row.app, **row.options)
            row.measure(app, max(count // 10, 1))
            gc.collect()
            taken[name] = row.measure(app, count)
        for name in work.MIDDLEWARES:
            overheads[name].append((taken[name] - taken["bare"]) * 1e6)
        ratios.append(overheads["filter"][-1] / overheads["SDK"][-1])
        progress(".")
    medians = {name: statistics.median(found) for name, found in overheads.items()}
    return Figure(row.name, row.goal, statistics.median(ratios), medians)


def rules(pairs: int, count: int) -> Figure:
    """Return how much longer a request takes with a thousand rules by path than with one, at most."""
    taken: dict[int, list[float]] = {1: [], 10: [], 1000: []}
    for _ in range(pairs):
        for number, found in taken.items():
            globs = [f"/other{index}/*" for index in range(number)]
            app = work.filtered(work.answer, ignore_paths=globs)
            whole(app, max(count // 10, 1))
            found.append(whole(app, count) * 1e6)
        progress(".")
    medians = {f"{number} rules": statistics.median(found) for number, found in taken.items()}
    return Figure("1, 10 and 1000 path rules", 1.3, max(medians.values()) / min(medians.values()), medians)


def memory(count: int) -> Figure:
    """Measure the memory of requests in flight, whose bodies are started and not closed."""
    held: dict[str, float] = {}
    for name, wrap in (("bare", work.bare), ("filter", work.filtered), ("SDK", work.by_the_sdk)):
        app = wrap(work.stream, traces_sample_rate=work.NEVER)
        work.request(app)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        bodies = []
        for _ in range(count):
            body = app(work.environ_of_request(), work.start_response)
            iterator = iter(body)
            next(iterator)
            bodies.append((body, iterator))
        held[name] = (tracemalloc.get_traced_memory()[0] - before) / count
        tracemalloc.stop()
        for body, _ in bodies:
            body.close()
    overheads = {name: held[name] - held["bare"] for name in ("filter", "SDK")}
    progress(".")
    return Figure(
        "memory of a request in flight, bytes", 0.5, overheads["filter"] / overheads["SDK"], overheads
    )


_INI = """
[filter:sentry]
use = egg:sentry_paste
dsn = http://k@127.0.0.1:9/1

[app:main]
use = call:benchmarks.work:factory
filter-with = sentry
"""


def start(pairs: int) -> Figure:
    """Measure a start: loading an ini with the filter, compared with importing and starting the SDK."""
    with tempfile.TemporaryDirectory() as folder:
        ini = Path(folder, "app.ini")
        ini.write_text(_INI)
        plain = Path(folder, "plain.ini")
        plain.write_text("[app:main]\nuse = call:benchmarks.work:factory\n")
        load = "from paste.deploy import loadapp; loadapp('config:{}')"
        scripts = {
            "python and PasteDeploy": load.format(plain),
            "filter": load.format(ini),
            "SDK": load.format(plain) + "; import sentry_sdk; sentry_sdk.init('http://k@127.0.0.1:9/1')",
        }
        taken: dict[str, list[float]] = {name: [] for name in scripts}
        for _ in range(pairs):
            for name, script in scripts.items():
                begun = time.perf_counter()
                subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
                taken[name].append((time.perf_counter() - begun) * 1e3)
            progress(".")
    medians = {name: statistics.median(found) for name, found in taken.items()}
    return Figure("import and load of an ini, ms", 1.15, medians["filter"] / medians["SDK"], medians)


def instructions(count: int) -> list[Figure]:
    """Count the instructions of a request with callgrind."""
    figures = []
    for row in (ROWS[0], ROWS[1], ROWS[3]):
        taken = {name: counting.counted(name, row.options, count) for name in ("bare", "filter", "SDK")}
        overheads = {name: taken[name] - taken["bare"] for name in ("filter", "SDK")}
        name, goal = f"{row.name}, instructions", row.goal
        figures.append(Figure(name, goal, overheads["filter"] / overheads["SDK"], overheads))
        progress(".")
    return figures


def table(figures: list[Figure]) -> str:
    """Return figures as a table."""
    lines = [f"{'work':44} {'ratio':>6}   figures"]
    for figure in figures:
        overheads = ", ".join(f"{name} {value:,.2f}" for name, value in figure.overheads.items())
        lines.append(f"{figure.name:44} {figure.ratio:6.3f}   {overheads}")
    return "\n".join(lines)


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats, under a minute")
    parser.add_argument("--instructions", action="store_true", help="count instructions, with valgrind")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    if options.instructions:
        figures = instructions(200)
    else:
        pairs, count = (5, 300) if options.quick else (15, 1000)
        figures = [timed(row, pairs, count) for row in ROWS]
        work.forget_clients()
        assert filter_factory({})(work.answer) is work.answer
        figures += [rules(pairs, count), memory(200), start(pairs)]
    print(f"\n{machine()}\n\n{table(figures)}")
    if not options.instructions:
        print("no DSN: the app object itself")
    keep(options.json, [figure._asdict() for figure in figures])


if __name__ == "__main__":
    main()
