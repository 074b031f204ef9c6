"""Show where the time of a request goes: ``python -m benchmarks.where``.

First, how much of a request's CPU is taken in its own thread, and how much in others until all is sent. Then,
for a request with errors only, one that is not sampled and one that is, the functions that take most time
themselves, by ``cProfile``, with nothing sent. Profiling slows calls down more than lines, so times are
shares of the profile, multiplied by the time of the request without a profile. ``--lines`` lists the lines of
the filter's own modules that take most time, including what they call, by line_profiler, if it is installed;
its overhead for a line exceeds the time of most lines, so only their order is meaningful.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib
import pstats
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import receiver, turns, work
from benchmarks.__main__ import rows
from benchmarks.agents import SAMPLED as ALL_SAMPLED
from benchmarks.agents import STREAM, Started
from benchmarks.agents.sentry import query_of
from benchmarks.progress import columns, keep, machine, median
from benchmarks.scaling import ERRORS, SAMPLED, UNSAMPLED, microseconds
from sentry_paste import sdk

# Options, and how many queries the app makes.
KINDS: dict[str, tuple[dict[str, Any], int]] = {
    "errors only": (ERRORS, 0),
    "tracing on, not sampled": (UNSAMPLED, 0),
    "sampled": (SAMPLED, 0),
    "sampled, ten database spans": (SAMPLED, 10),
    "streamed, ten database spans": ({**SAMPLED, "trace_lifecycle": "stream"}, 10),
}
MODULES = ("middleware", "request.lifecycle", "request.scopes", "sdk", "request.body", "request.filter_state")
TOP = 15
# The benchmark's own work, which is also part of the bare app's.
NOT_THEIRS = ("benchmarks", "<frozen", "cProfile")
BENCHMARK = "the benchmark"
PYTHON = "Python itself, and other modules"

# File, line and name of a function, in a profile.
_Key = tuple[str, int, str]


class Function(NamedTuple):
    """The cost of one function in a request.

    Attributes:
        name: with its module.
        calls: in a request.
        microseconds: without the functions that it calls.
    """

    name: str
    calls: float
    microseconds: float


def name_of(file: str, line: int, function: str) -> str:
    """Return the name that a function is listed under: package and module, without the path.

    Args:
        file: of its code, ``~`` for C.
        line: where it begins.
        function: its name.
    """
    if file == "~":
        return function.strip("<>").replace("built-in method ", "").replace("method ", "")
    if not line:
        return function
    parts = Path(file).with_suffix("").parts
    packages = [number for number, part in enumerate(parts) if part in ("sentry_paste", "sentry_sdk")]
    return ".".join([*(parts[packages[-1] :] if packages else parts[-1:]), function])


def profiled(app: work.App, count: int) -> tuple[list[Function], dict[str, float]]:
    """Return the cost of functions and that of packages, in microseconds; the most expensive first.

    Args:
        app: asked.
        count: of requests.
    """
    whole = microseconds([app], work.environ_of_request, 0.5)
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(count):
        work.request(app)
    profile.disable()
    # Documented for its file format, but missing from typeshed.
    stats: dict[_Key, tuple[int, int, float, float, dict[_Key, tuple[int, int, float, float]]]] = vars(
        pstats.Stats(profile)
    )["stats"]
    share = whole / sum(own for _, _, own, _, _ in stats.values())
    found = [
        Function(name_of(*key), calls / count, own * share)
        for key, (_, calls, own, _, _) in stats.items()
        if not any(part in key[0] for part in NOT_THEIRS)
    ]
    packages: dict[str, float] = {}
    for key, (_, _, own, _, callers) in stats.items():
        # What is Python's own is done for those who call it.
        users = {user: taken[2] for user, taken in callers.items()} if package_of(key) == PYTHON else {}
        for user, taken in (users or {key: own}).items():
            packages[package_of(user)] = packages.get(package_of(user), 0.0) + taken * share
    packages.pop(BENCHMARK, None)
    return (
        sorted(found, key=lambda function: -function.microseconds),
        dict(sorted(packages.items(), key=lambda item: -item[1])),
    )


def package_of(key: _Key) -> str:
    """Return what a function is listed under: the filter's package, the SDK's module, or Python.

    Args:
        key: of the function in a profile.
    """
    if any(part in key[0] for part in NOT_THEIRS):
        return BENCHMARK
    parts = name_of(*key).split(".")
    return ".".join(parts[:2]) if parts[0] in ("sentry_paste", "sentry_sdk") else PYTHON


def lines_of(app: work.App, count: int) -> str:
    """Return the most expensive lines of the filter's own modules.

    Args:
        app: asked.
        count: of requests.
    """
    profiler = importlib.import_module("line_profiler").LineProfiler()
    for module in MODULES:
        profiler.add_module(importlib.import_module(f"sentry_paste.{module}"))
    profiler.enable()
    for _ in range(count):
        work.request(app)
    profiler.disable()
    stats = profiler.get_stats()
    rows = [
        (taken * stats.unit * 1e6 / count, hits / count, file, line)
        for (file, _, _), timings in stats.timings.items()
        for line, hits, taken in timings
    ]
    shown = [["line", "hits", "µs", ""]]
    for taken, hits, file, line in sorted(rows, reverse=True)[:TOP]:
        text = Path(file).read_text(encoding="utf-8").splitlines()[line - 1].strip()
        shown.append([f"{Path(file).name}:{line}", f"{hits:.1f}", f"{taken:.2f}", text])
    return columns([[*row[:3], row[3][:80].ljust(80)] for row in shown])


def by_thread(rounds: int) -> dict[str, dict[str, float]]:
    """Return the CPU of sampled requests in their own thread and in others, in microseconds.

    Args:
        rounds: of turns.
    """
    found = {}
    for row in rows():
        if row.kinds[0] not in (ALL_SAMPLED, STREAM) or row.measure != "whole":
            continue
        works = [
            work_._replace(measure=measure)
            for work_ in row.works()
            if work_.agent in ("filter", "SDK")
            for measure in ("own thread", "whole")
        ]
        with receiver.running() as address, turns.running(works, address) as agents:
            taken = [[agent.take(row.requests()) * 1e6 for agent in agents] for _ in range(rounds + 1)][1:]
        own, whole, sdk_own, sdk_whole = (median(column) for column in zip(*taken))
        found[row.name] = {
            "filter": own,
            "filter, others": whole - own,
            "SDK": sdk_own,
            "SDK, others": sdk_whole - sdk_own,
        }
    return found


def main() -> None:
    """Profile, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.where", description=__doc__)
    parser.add_argument("--requests", type=int, default=2000, help="of each kind (default: 2000)")
    parser.add_argument("--lines", action="store_true", help="list lines, with line_profiler")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    print(f"{machine()}\n")
    threads = by_thread(9)
    heads = list(next(iter(threads.values())))
    shown = [[name, *(f"{row[head]:,.0f}" for head in heads)] for name, row in threads.items()]
    print(columns([["µs in its own thread", *heads], *shown]))
    figures: dict[str, Any] = {"threads": threads}
    for kind, (settings, queries) in KINDS.items():
        if sdk.streams_spans({}) and kind.startswith("streamed"):
            continue
        done = turns.Work(
            "filter", STREAM if kind.startswith("streamed") else ALL_SAMPLED, "whole", queries, {}
        )
        query = query_of(done.kind)
        app = turns.app_of(done, Started(partial(work.filtered, **settings), query, lambda: None))
        work.request(app)
        functions, packages = profiled(app, options.requests)
        figures[kind] = {"functions": [found._asdict() for found in functions[:TOP]], "packages": packages}
        rows = [["function", "calls", "µs"]]
        rows += [[name, f"{calls:.1f}", f"{taken:.2f}"] for name, calls, taken in functions[:TOP]]
        modules = [[name, f"{taken:.2f}"] for name, taken in list(packages.items())[:TOP]]
        print(f"\n{kind}\n\n{columns(rows)}\n\n{columns([['package', 'µs'], *modules])}")
        if options.lines:
            print(f"\n{lines_of(app, options.requests)}")
    keep(options.json, figures)


if __name__ == "__main__":
    main()
