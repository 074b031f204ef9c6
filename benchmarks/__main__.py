"""Compare what the filter adds to a request with the SDK's middleware and others: ``python -m benchmarks``.

What counts is CPU, that of background threads included, until everything is sent to a receiver in a process
of its own. Ratios compare overheads: what the filter adds to the bare app, divided by what the SDK's
middleware adds, with the same options. Each agent has a process for itself; they take turns, and the medians
of the turns are reported. Agents that are not installed are left out. ``--quick`` takes a minute, ``--json
FILE`` saves the figures, ``--instructions`` counts instructions with callgrind, which is reproducible.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import tracemalloc
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import sentry_sdk

from benchmarks import counting, receiver, turns, work
from benchmarks.agents import AGENTS, ERRORS, SAMPLED, STREAM, UNSAMPLED
from benchmarks.progress import columns, keep, machine, progress
from sentry_paste import filter_factory, sdk

OURS = ("bare", "filter", "SDK")
OTHERS = tuple(name for name in AGENTS if name not in OURS)


class Row(NamedTuple):
    """A piece of work.

    Attributes:
        name: in words.
        goal: the ratio to reach, if there is one.
        kinds: what is recorded; of several the first that an agent can.
        measure: a name in ``turns.MEASURES``.
        queries: of each request.
        options: further ones of the filter.
        app: a name in ``turns.APPS``.
    """

    name: str
    goal: float | None
    kinds: tuple[str, ...]
    measure: str = "whole"
    queries: int = 0
    options: dict[str, Any] = {}  # noqa: RUF012
    app: str = "a line"

    def works(self) -> list[turns.Work]:
        """Return what each agent does that is installed and can do it."""
        found = []
        for name, agent in AGENTS.items():
            kind = next((kind for kind in self.kinds if kind in agent.kinds), None)
            if kind is not None and agent.is_installed() and (name in OURS or not self.is_ours()):
                found.append(turns.Work(name, kind, self.measure, self.queries, self.options, self.app))
        return found

    def is_ours(self) -> bool:
        """Return whether it says nothing of others: it has options of the filter, or calls of the SDK."""
        return bool(self.options) or self.app == "tags"

    def requests(self) -> int:
        """Return how many requests a turn has.

        What is queued meanwhile has to fit into each agent's queue. The little that is sent of other requests
        is sent at the end of a turn, which therefore has more of them.
        """
        return 150 if SAMPLED in self.kinds or STREAM in self.kinds else 4000


ROWS = [
    Row("sampled, no spans", 0.50, (SAMPLED,)),
    Row("sampled, ten database spans", 0.35, (SAMPLED,), queries=10),
    Row("sampled, each from another client", None, (SAMPLED,), "other clients"),
    Row("streamed, no spans", 0.60, (STREAM,)),
    Row("streamed, ten database spans", 0.60, (STREAM,), queries=10),
    Row("errors only, sessions on", 0.06, (ERRORS,)),
    Row("tracing on, not sampled", 0.10, (UNSAMPLED,)),
    Row("sampled: to the first byte", 0.05, (SAMPLED,), "first byte"),
    Row("a chunk of a streamed body", 0.03, (ERRORS, UNSAMPLED), "chunk", app="chunks"),
    Row("path in ignore_paths", 0.05, (UNSAMPLED,), options={"ignore_paths": ["/shop/*"]}),
    Row("errors only, a Pyramid app", None, (ERRORS,), app="Pyramid"),
    Row("errors only, the app sets a tag", None, (ERRORS,), app="tags"),
]


def rows() -> list[Row]:
    """Return what can be measured: there are SDKs that never stream spans, and those that always do."""
    left_out = set()
    if not hasattr(sentry_sdk, "traces") or sdk.streams_spans({}):
        left_out = {row.name for row in ROWS if row.kinds == (STREAM,)}
    if importlib.util.find_spec("pyramid") is None:
        left_out |= {row.name for row in ROWS if row.app == "Pyramid"}
    return [row for row in ROWS if row.name not in left_out]


class Figure(NamedTuple):
    """What was measured for one row.

    Attributes:
        name: of the row.
        goal: of the row.
        ratio: the filter's overhead over the SDK's.
        overheads: by agent, microseconds.
        sent: by agent, bytes of a request.
    """

    name: str
    goal: float | None
    ratio: float
    overheads: dict[str, float]
    sent: dict[str, float] = {}  # noqa: RUF012


def timed(row: Row, address: str, rounds: int, share: float) -> Figure:
    """Measure a row, all agents taking turns.

    Args:
        row: to measure.
        address: of the receiver.
        rounds: how many turns each agent has, after one that warms it up.
        share: of the usual number of requests.
    """
    count = max(int(row.requests() * share), 10)
    taken: dict[str, list[float]] = {found.agent: [] for found in row.works()}
    before = _received(address)
    with turns.running(row.works(), address) as agents:
        for number in range(-1, rounds):
            for agent in agents:
                seconds = agent.take(count)
                if number >= 0:
                    taken[agent.work.agent].append(seconds * 1e6)
            progress(".")
    sent = _sent(row, before, _received(address), count * (rounds + 1))
    pairs = {
        name: [found - bare for found, bare in zip(times, taken["bare"])]
        for name, times in taken.items()
        if name != "bare"
    }
    ratio = statistics.median(ours / theirs for ours, theirs in zip(pairs["filter"], pairs["SDK"]))
    medians = {name: statistics.median(found) for name, found in pairs.items()}
    return Figure(row.name, row.goal, ratio, medians, sent)


def _received(address: str) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many requests a receiver has had, and of how many bytes."""
    found = []
    for path in ("/", "/bytes"):
        with urllib.request.urlopen(address + path) as answer:
            found.append(json.load(answer))
    return found[0], found[1]


def _sent(row: Row, before: Any, after: Any, requests: int) -> dict[str, float]:
    """Return the bytes that each agent has sent for a request.

    Raises:
        SystemExit: an agent has not sent what it was to send, so that its figures say nothing.
    """
    found = {}
    for work_ in row.works():
        agent = AGENTS[work_.agent]
        count, size = (
            sum(after[which].get(name, 0) - before[which].get(name, 0) for name in agent.sends_to)
            for which in (0, 1)
        )
        if not agent.sends_to:
            continue
        # The others send many traces at once.
        expected = requests if work_.agent in OURS else 1
        if work_.kind in (SAMPLED, STREAM) and count < expected:
            raise SystemExit(f"{row.name}: {work_.agent} has sent {count} of {expected}")
        found[work_.agent] = size / requests
    return found


def rules(pairs: int, count: int) -> Figure:
    """Return how much longer a request takes with a thousand rules by path than with one, at most."""
    taken: dict[int, list[float]] = {1: [], 10: [], 1000: []}
    for _ in range(pairs):
        for number, found in taken.items():
            globs = [f"/other{index}/*" for index in range(number)]
            app = work.filtered(work.answer, ignore_paths=globs)
            turns.whole(app, max(count // 10, 1), lambda: None)
            found.append(turns.whole(app, count, lambda: None) * 1e6)
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
    """Measure the CPU of a start: loading an ini with the filter, compared with starting the SDK."""
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
                begun = _cpu_of_children()
                subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
                taken[name].append((_cpu_of_children() - begun) * 1e3)
            progress(".")
    medians = {name: statistics.median(found) for name, found in taken.items()}
    return Figure("import and load of an ini, ms", 1.15, medians["filter"] / medians["SDK"], medians)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def instructions(address: str, count: int) -> list[Figure]:
    """Count the instructions of a request with callgrind.

    Args:
        address: of the receiver.
        count: of requests that cost little; of others a quarter as many.
    """
    figures = []
    for row in rows():
        if row.measure not in ("whole", "other clients") or row.is_ours():
            continue
        number = count if ERRORS in row.kinds or UNSAMPLED in row.kinds else count // 4
        taken = {
            found.agent: counting.counted(found, address, number)
            for found in row.works()
            if found.agent in OURS
        }
        overheads = {name: taken[name] - taken["bare"] for name in ("filter", "SDK")}
        name = f"{row.name}, instructions"
        figures.append(Figure(name, row.goal, overheads["filter"] / overheads["SDK"], overheads))
        progress(".")
    return figures


def table(figures: list[Figure]) -> str:
    """Return figures as a table.

    Args:
        figures: to show.
    """
    lines = [f"{'work':44} {'ratio':>6} {'goal':>5}   figures"]
    for figure in figures:
        shown = {name: value for name, value in figure.overheads.items() if name not in OTHERS}
        overheads = ", ".join(f"{name} {value:,.2f}" for name, value in shown.items())
        goal = "" if figure.goal is None else f"{figure.goal:.2f}"
        lines.append(f"{figure.name:44} {figure.ratio:6.3f} {goal:>5}   {overheads}")
    return "\n".join(lines)


def beside_others(figures: list[Figure]) -> str:
    """Return a table of all agents, and what each sends; nothing if there are no others.

    Args:
        figures: of rows.
    """
    if not any(name in figure.overheads for figure in figures for name in OTHERS):
        return ""
    names = [name for name in AGENTS if any(name in figure.overheads for figure in figures)]
    shown = [["work", *names]]
    for figure in figures:
        if set(figure.overheads).isdisjoint(OTHERS):
            continue
        shown.append([figure.name, *(_number(figure.overheads.get(name)) for name in names)])
        if figure.name.endswith("spans"):
            shown.append(["   bytes sent", *(_number(figure.sent.get(name), 0) for name in names)])
    return columns(shown)


def _number(found: float | None, places: int | None = None) -> str:
    if found is None:
        return "-"
    return f"{found:,.{places if places is not None else 0 if found >= 100 else 1 if found >= 10 else 2}f}"


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer turns, a minute")
    parser.add_argument("--instructions", action="store_true", help="count instructions, with valgrind")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    rounds, share = (3, 0.3) if options.quick else (15, 1.0)
    with receiver.running() as address:
        if options.instructions:
            figures = instructions(address, 60 if options.quick else 400)
        else:
            figures = [timed(row, address, rounds, share) for row in rows()]
    agents = beside_others(figures)
    if not options.instructions:
        work.forget_clients()
        assert filter_factory({})(work.answer) is work.answer
        figures += [rules(rounds, int(2000 * share)), memory(200), start(rounds)]
    print(f"\n{machine()}\n\n{table(figures)}")
    if not options.instructions:
        missing = [name for name, agent in AGENTS.items() if not agent.is_installed()]
        print("no DSN: the app object itself")
        print(f"\n{agents}" if agents else "", f"\nnot installed: {', '.join(missing)}" if missing else "")
    keep(options.json, [figure._asdict() for figure in figures])


if __name__ == "__main__":
    main()
