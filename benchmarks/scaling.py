"""Measure how the cost of a request grows: ``python -m benchmarks.scaling``.

It grows with headers, spans, chunks of the response, threads and filters in the process. Overheads are those
over the bare app, in microseconds of CPU, all taking turns; medians are reported. ``--quick`` takes a minute,
``--plots FOLDER`` draws plots.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import sentry_sdk

from benchmarks import threads, work
from benchmarks.progress import columns, keep, machine, median, progress
from sentry_paste import SentryMiddleware

ERRORS: dict[str, Any] = {}
UNSAMPLED = {"traces_sample_rate": work.NEVER}
SAMPLED = {"traces_sample_rate": 1.0}
WRAPS = {"filter": work.filtered, "SDK": work.by_the_sdk}

#: Approximate seconds for one measurement.
LENGTH = 0.05


class Sweep(NamedTuple):
    """What grows, and how it is measured.

    Attributes:
        name: of the plot's file.
        title: of the plot.
        axis: what grows.
        sizes: to measure.
        options: of the clients, by the name of the line.
        prepare: returns an app and a function that returns its environs, for a size.
    """

    name: str
    title: str
    axis: str
    sizes: Sequence[int]
    options: dict[str, dict[str, Any]]
    prepare: Callable[[int], tuple[work.App, Callable[[], dict[str, Any]]]]


Lines = dict[str, dict[int, float]]


def with_headers(size: int) -> tuple[work.App, Callable[[], dict[str, Any]]]:
    """Return an app, and requests of so many headers.

    Args:
        size: their number.
    """
    base = {key: value for key, value in work.environ_of_request().items() if not key.startswith("HTTP_")}
    names = itertools.chain(["HTTP_HOST"], (f"HTTP_X_HEADER_{number}" for number in itertools.count()))
    headers = {name: f"value of {name}" for name in itertools.islice(names, size)}
    return work.answer, lambda: {**base, **headers}


def with_spans(size: int) -> tuple[work.App, Callable[[], dict[str, Any]]]:
    """Return an app that makes so many spans.

    Args:
        size: their number.
    """

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        for number in range(size):
            with sentry_sdk.start_span(op="db", name=f"SELECT {number}"):
                pass
        return work.answer(environ, start_response)

    return app, work.environ_of_request


def with_chunks(size: int) -> tuple[work.App, Callable[[], dict[str, Any]]]:
    """Return an app that streams so many chunks.

    Args:
        size: their number.
    """

    def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        for _ in range(size):
            yield b"x"

    return app, work.environ_of_request


SWEEPS = (
    Sweep(
        "headers",
        "Headers of a request",
        "headers",
        (1, 10, 100),
        {"errors only": ERRORS, "sampled": SAMPLED},
        with_headers,
    ),
    Sweep("spans", "Spans in a sampled request", "spans", (0, 1, 10, 100), {"sampled": SAMPLED}, with_spans),
    Sweep(
        "chunks",
        "Chunks of a streamed body",
        "chunks",
        (1, 10, 100, 1000, 10_000, 100_000),
        {"errors only": ERRORS, "sampled": SAMPLED},
        with_chunks,
    ),
)
FILTERS = (1, 2, 4, 8)


def once(app: work.App, environ: dict[str, Any]) -> None:
    """Make one request.

    Args:
        app: asked.
        environ: of the request.
    """
    body = app(environ, work.start_response)
    for _ in body:
        pass
    close = getattr(body, "close", None)
    if close is not None:
        close()


def microseconds(apps: Sequence[work.App], environ: Callable[[], dict[str, Any]], length: float) -> float:
    """Return the CPU that a request takes in its own thread, the apps taking turns.

    Args:
        apps: asked.
        environ: makes that of a request.
        length: of the measurement, seconds.
    """
    turns = itertools.cycle(apps)
    for _ in apps:
        once(next(turns), environ())
    gc.collect()
    count, begun = 0, time.thread_time()
    while (taken := time.thread_time() - begun) < length or not count:
        # Not every request reads the clock.
        for _ in range(max(1, count)):
            once(next(turns), environ())
            count += 1
    return taken / count * 1e6


def overheads(sweep: Sweep, size: int, rounds: int) -> dict[str, float]:
    """Return what each middleware adds at one size.

    Args:
        sweep: that is measured.
        size: one of its sizes.
        rounds: of turns.
    """
    app, environ = sweep.prepare(size)
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        work.forget_clients()
        bare = microseconds([app], environ, LENGTH)
        for (kind, options), (name, wrap) in itertools.product(sweep.options.items(), WRAPS.items()):
            taken = microseconds([wrap(app, **options)], environ, LENGTH)
            found.setdefault(f"{name}, {kind}", []).append(taken - bare)
        progress(".")
    return {name: median(taken) for name, taken in found.items()}


def swept(sweep: Sweep, rounds: int) -> Lines:
    """Return the overheads of a sweep, by line and size.

    Args:
        sweep: that is measured.
        rounds: of turns.
    """
    lines: Lines = {}
    for size in sweep.sizes:
        for name, overhead in overheads(sweep, size, rounds).items():
            lines.setdefault(name, {})[size] = overhead
    return lines


def several(number: int, **options: Any) -> list[work.App]:
    """Return apps in filters of distinct settings; the first has the process's client, others bind theirs.

    Args:
        number: of filters.
        options: of all.
    """
    first = work.filtered(work.answer, **options)
    return [
        first,
        *(
            SentryMiddleware(work.answer, transport=work.Nowhere(), release=f"1.{number}", **options)
            for number in range(1, number)
        ),
    ]


def filters(rounds: int) -> Lines:
    """Return the overheads with several filters in the process, by line and number.

    Args:
        rounds: of turns.
    """
    kinds = {"errors only": ERRORS, "not sampled": UNSAMPLED, "sampled": SAMPLED}
    found: dict[str, dict[int, list[float]]] = {}
    for _, (kind, options) in itertools.product(range(rounds), kinds.items()):
        work.forget_clients()
        bare = microseconds([work.answer], work.environ_of_request, LENGTH)
        for number in FILTERS:
            taken = microseconds(several(number, **options), work.environ_of_request, LENGTH)
            found.setdefault(f"filter, {kind}", {}).setdefault(number, []).append(taken - bare)
        progress(".")
    return {name: {size: median(taken) for size, taken in line.items()} for name, line in found.items()}


def table(axis: str, lines: Lines) -> str:
    """Return lines as a table.

    Args:
        axis: what grows.
        lines: by name and size.
    """
    sizes = list(next(iter(lines.values())))
    rows = [[axis, *(f"{size:,}" for size in sizes)]]
    rows += [[name, *(f"{line[size]:,.2f}" for size in sizes)] for name, line in lines.items()]
    return columns(rows)


def draw(folder: str, found: dict[str, tuple[str, str, Lines]]) -> None:
    """Plot each sweep into its own file.

    Args:
        folder: of the files.
        found: title, axis and lines, by name.
    """
    from benchmarks import plots

    for name, (title, axis, lines) in found.items():
        label = threads.LABELS.get(name, "overhead over the bare app, µs a request")
        plots.draw(folder, name, plots.Text(title, axis, label), lines)


def main() -> None:
    """Measure, print, save and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, about a minute")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--plots", metavar="FOLDER", help="draw the plots there, with matplotlib")
    options = parser.parse_args()
    rounds = 2 if options.quick else 9
    found: dict[str, tuple[str, str, Lines]] = {
        sweep.name: (sweep.title, sweep.axis, swept(sweep, rounds)) for sweep in SWEEPS
    }
    found["filters"] = ("Filters with different settings in a process", "filters", filters(rounds))
    # In separate processes: locks are replaced before the SDK is imported.
    measured = threads.swept(partial(progress, "."), 1 if options.quick else 3)
    for name, lines in measured.items():
        found[name] = (threads.TITLES[name], "threads", lines)
    print(f"\n{machine()}")
    for title, axis, lines in found.values():
        print(f"\n{title}\n{table(axis, lines)}")
    keep(options.json, {name: {"title": entry[0], "lines": entry[2]} for name, entry in found.items()})
    if options.plots:
        draw(options.plots, found)


if __name__ == "__main__":
    main()
