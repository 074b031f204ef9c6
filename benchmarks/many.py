"""Measure a spool in which 100,000 files wait, beside an empty one: ``python -m benchmarks.many``.

A process for each captures crashes through the filter while the receiver refuses connections, and then sends
while it answers after 20 milliseconds. The two take turns; the figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from typing import Any

from benchmarks import throughput, work
from sentry_paste import SentryMiddleware
from sentry_paste.client.registry import registry
from sentry_paste.spool import Spool
from sentry_paste.spool.names import destination_of

DELAY = 0.02
CRASHES = 200
# More than are sent in ten seconds.
FEW = 6000
NAMES = ("capture, median ms", "capture, 95 % ms", "memory, MB")


def fill(directory: str, port: int, count: int) -> None:
    """Write errors that wait for the receiver."""
    spool, destination = Spool(directory), destination_of(f"127.0.0.1:{port}/", "1")
    for number in range(count):
        spool.write(throughput.envelope(number), destination)


def crash(environ: dict[str, Any], _start_response: Any) -> Any:
    """Crash."""
    raise ValueError(environ["PATH_INFO"])


def captured(directory: str, port: int) -> list[float]:
    """Return the seconds of crashing requests, and print these and the memory of the process."""
    app = SentryMiddleware(
        crash,
        dsn=f"http://public@127.0.0.1:{port}/1",
        release="1",
        spool_dir=directory,
        # All that is written stays.
        spool_max_size="10 GB",
    )
    taken = []
    for _ in range(CRASHES):
        environ = work.environ_of_request()
        begun = time.perf_counter()
        try:
            app(environ, work.start_response)
        except ValueError:
            taken.append(time.perf_counter() - begun)
        time.sleep(0.005)
    return taken


def child(directory: str, port: int) -> None:
    """Capture, and print the figures."""
    taken = sorted(captured(directory, port))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(statistics.median(taken) * 1000, taken[int(len(taken) * 0.95)] * 1000, memory, flush=True)
    registry.reset()


def drained(folder: str, count: int, seconds: float) -> float:
    """Return how many files a second are sent from a spool in which so many wait."""
    context = get_context("spawn")
    pipe, other = context.Pipe()
    receiver = context.Process(target=throughput.receive, args=(DELAY, other), daemon=True)
    receiver.start()
    port = pipe.recv()
    with tempfile.TemporaryDirectory(dir=folder) as directory:
        fill(directory, port, count)
        options = {"dsn": f"http://public@127.0.0.1:{port}/1", "default_integrations": False}
        begun = time.monotonic()
        client = throughput.with_spool(options, directory, throughput.Scenario("", DELAY, spool_rate=1000))
        time.sleep(seconds)
        pipe.send("arrivals?")
        arrivals, _ = pipe.recv()
        taken = time.monotonic() - begun
        client.close(timeout=1)
        pipe.send("end")
        receiver.join()
    return len(arrivals) / taken


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="how many wait (100,000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each takes its turn (3)")
    parser.add_argument("--seconds", type=float, default=10.0, help="for how long files are sent (10)")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child[0], int(arguments.child[1]))
    with tempfile.TemporaryDirectory() as folder:
        # Nobody listens on the port of "discard".
        few, many = f"{folder}/few", f"{folder}/many"
        fill(many, 9, arguments.files)
        fill(few, 9, 1)
        found: dict[str, list[list[float]]] = {few: [], many: []}
        for _ in range(arguments.rounds):
            for directory, rows in found.items():
                command = [sys.executable, "-m", "benchmarks.many", "--child", directory, "9"]
                output = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
                rows.append([float(word) for word in output.split()])
        print(f"{'files waiting':<20} {'1':>9} {arguments.files:>9,} {'ratio':>7}")
        for index, name in enumerate(NAMES):
            one, other = (
                statistics.median(row[index] for row in found[directory]) for directory in (few, many)
            )
            print(f"{name:<20} {one:>9.2f} {other:>9.2f} {other / one:>7.2f}")
        one, other = (drained(folder, count, arguments.seconds) for count in (FEW, arguments.files))
        print(f"{'sent in a second':<20} {one:>9.0f} {other:>9.0f} {other / one:>7.2f}   ({FEW:,} at first)")
    return None


if __name__ == "__main__":
    main()
