"""Measure what the filter costs a Pyramid app behind a server: ``python -m benchmarks.servers``.

An ini is served by ``pserve`` (waitress) and by ``gunicorn --paste`` (one process, four threads), with
nothing around the app, with the SDK's middleware and with the filter; ``wrk`` sends the requests. Envelopes
go to a receiver in its own process. All servers run at the same time and take turns. A share is the
throughput divided by that of the bare app in the same turn; the median of the rounds is reported. So is the
CPU time of the server's processes for each request, which is of use where the machine has other things to do.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.inis import RATES, THREADS, Site, all_sites, free_port, ini
from benchmarks.progress import columns, keep, machine, median, progress

GOALS = {"waitress": 0.85, "gunicorn": 0.80}
# Seconds after a turn in which a server may send what is left.
REST = 0.2

_WRK = """
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format('\\n{"requests": %d, "rate": %f, "p50": %f, "p95": %f, "p99": %f, "errors": %d}\\n',
    summary.requests, summary.requests / summary.duration * 1e6,
    latency:percentile(50), latency:percentile(95), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@contextlib.contextmanager
def running(command: Sequence[str], port: int) -> Iterator[int]:
    """Run a process that listens on a port, and end it; give its id.

    Args:
        command: of Python.
        port: to wait for.
    """
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"does not start: {' '.join(command)}")
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def command_of(site: Site, file: Path) -> list[str]:
    """Return the command that serves an ini.

    Args:
        site: of the ini.
        file: the ini.
    """
    if site.server == "waitress":
        return ["pyramid.scripts.pserve", str(file)]
    bind = f"127.0.0.1:{site.port}"
    options = ["--bind", bind, "--workers", "1", "--worker-class", "gthread", "--threads", str(THREADS)]
    return ["gunicorn", "--paste", str(file), *options, "--log-level", "warning"]


def cpu_of(process: int) -> float:
    """Return the seconds of CPU that a process and those that it has started have taken.

    Args:
        process: its id.
    """
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # After the name of the command, which may contain anything.
            fields = file.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            if process in (int(file.parent.name), int(fields[1])):
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def asked(site: Site, process: int, script: Path, seconds: int, connections: int) -> dict[str, float]:
    """Run wrk on a site; return requests per second, and latency and CPU in microseconds.

    Args:
        site: to measure.
        process: that serves it.
        script: for wrk.
        seconds: how long.
        connections: at a time.
    """
    before = cpu_of(process)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
    command.append(f"http://127.0.0.1:{site.port}/shop/basket/1?page=3&colour=green")
    output = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    found: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    if found["errors"]:
        raise SystemExit(f"{site}: {found['errors']} requests failed\n{output}")
    time.sleep(REST)
    found["cpu"] = (cpu_of(process) - before) / found["requests"] * 1e6
    progress(".")
    return found


def rounds(
    processes: dict[Site, int], script: Path, options: argparse.Namespace
) -> dict[Site, list[dict[str, float]]]:
    """Measure all sites in turns; the bare one first for each rate, with its share of 1.

    Args:
        processes: that run, by what they serve.
        script: for wrk.
        options: of the command line.
    """
    sites = list(processes)
    found: dict[Site, list[dict[str, float]]] = {site: [] for site in sites}
    for number in range(-1, options.rounds):
        for bare in (site for site in sites if site.middleware == "bare"):
            for rate in RATES:
                group = [site for site in sites if site.server == bare.server and site.rate == rate]
                group = [bare, *(site for site in group if site is not bare)]
                # The first round warms up.
                seconds = 1 if number < 0 else options.seconds
                taken = {
                    site: asked(site, processes[site], script, seconds, options.connections) for site in group
                }
                for site, figures in taken.items():
                    figures["share"] = figures["rate"] / taken[bare]["rate"]
                    if number >= 0:
                        found[site].append(figures)
    return found


def summary(found: dict[Site, list[dict[str, float]]], sent: dict[str, int]) -> list[dict[str, Any]]:
    """Return the medians of each site.

    Args:
        found: of the rounds.
        sent: envelopes, by project.
    """
    return [
        {
            "server": site.server,
            "app": site.middleware,
            "traces_sample_rate": site.rate,
            **{name: median(figures[name] for figures in taken) for name in taken[0] if name != "errors"},
            "shares": [figures["share"] for figures in taken],
            "envelopes": sent.get(str(site.project), 0),
        }
        for site, taken in found.items()
    ]


def table(figures: Sequence[dict[str, Any]]) -> str:
    """Return the medians as a table.

    Args:
        figures: of ``summary``.
    """
    rows = [
        ["server, app", "sampled", "requests/s", "share", "CPU µs", "p50 ms", "p95 ms", "p99 ms", "envelopes"]
    ]
    for row in figures:
        rate = row["traces_sample_rate"] or ("" if row["app"] == "bare" else "errors only")
        times = [f"{row[name] / 1000:.2f}" for name in ("p50", "p95", "p99")]
        name = f"{row['server']}, {row['app']}"
        rows.append(
            [
                *(name, rate, f"{row['rate']:,.0f}", f"{row['share']:.3f}", f"{row['cpu']:,.0f}"),
                *(*times, f"{row['envelopes']:,}"),
            ]
        )
    return columns(rows)


def compare(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Start all servers, measure them and stop them.

    Args:
        options: of the command line.
    """
    receiver, processes = free_port(), {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        script = folder / "wrk.lua"
        script.write_text(_WRK, encoding="utf-8")
        stack.enter_context(running(["benchmarks.receiver", str(receiver)], receiver))
        for site in all_sites():
            file = folder / f"{site.project}.ini"
            file.write_text(ini(site, receiver), encoding="utf-8")
            processes[site] = stack.enter_context(running(command_of(site, file), site.port))
        found = rounds(processes, script, options)
        with urllib.request.urlopen(f"http://127.0.0.1:{receiver}/") as answer:
            return summary(found, json.load(answer))


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers", description=__doc__)
    parser.add_argument("--seconds", type=int, default=2, help="of each turn, whole (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="of turns (default: 5)")
    parser.add_argument("--connections", type=int, default=8, help="at a time (default: 8)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed; it is in the packages of most distributions")
    figures = compare(options)
    print(f"\n{machine()}\n\n{table(figures)}\n\ngoals, filter, errors only: {GOALS}")
    keep(options.json, figures)


if __name__ == "__main__":
    main()
