"""A storm of errors beyond an error budget: ``python -m benchmarks.budget``.

Processes with many threads make requests that fail in a few ways, over one spool, with a budget for a minute.
Each error must have been sent, or an event must report it as not sent: it fails if one is missing. Then a
process makes errors of very many kinds, and its memory is recorded. ``--errors 1000000`` takes ten minutes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.million import resident
from benchmarks.progress import keep, machine
from benchmarks.work import Nowhere, environ_of_request, start_response
from sentry_paste import SentryMiddleware
from sentry_paste.client import error_budget
from sentry_paste.client.registry import registry
from sentry_paste.spool import Spool, budget, read_contents

THREADS, PROCESSES = 16, 2
BUDGET = "20 per minute\n100 per minute in all"
KINDS = 3


def fail(environ: dict[str, Any], _start_response: Callable[..., Any]) -> list[bytes]:
    """Fail in the way that the query says."""
    kind = environ["QUERY_STRING"]
    if kind == "0":
        raise ValueError(kind)
    if kind == "1":
        raise KeyError(kind)
    raise RuntimeError(kind)


class Storm(NamedTuple):
    """What has become of the errors of a storm.

    Attributes:
        errors: how many there were.
        sent: of them.
        reported: as not sent.
        seconds: that it took.
        microseconds: of CPU for each error, that of the app and its environ included.
    """

    errors: int
    sent: int
    reported: int
    seconds: float
    microseconds: float


def crash(app: Callable[..., Any], kind: int) -> None:
    """Make one request that fails.

    Args:
        app: with the filter.
        kind: of the error.
    """
    try:
        app({**environ_of_request(), "QUERY_STRING": str(kind)}, start_response)
    except Exception:
        return
    raise AssertionError("it has not failed")


def work_in_threads(directory: str, errors: int) -> float:
    """Make errors in threads; return the CPU time of each, in microseconds.

    Args:
        directory: of the spool.
        errors: how many.
    """
    app = SentryMiddleware(fail, spool_dir=directory, error_budget=BUDGET, release="1")

    def work() -> None:
        for number in range(errors // THREADS):
            crash(app, number % KINDS)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    begun = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.process_time() - begun
    registry.reset()
    return taken / errors * 1e6


def later(directory: str) -> None:
    """Report, as a process that starts minutes later, what no event has reported.

    Args:
        directory: of the spool.
    """
    then = time.time() + 180
    budget.now = lambda: then  # type: ignore[assignment]
    app = SentryMiddleware(fail, spool_dir=directory, error_budget=BUDGET, release="1")
    crash(app, 0)
    registry.reset()


def counted(directory: str) -> tuple[int, int]:
    """Return how many errors were sent, and how many were reported as not sent.

    Args:
        directory: of the spool.
    """
    sent = reported = 0
    for file in Spool(directory).files("error"):
        for type_, event in read_contents(file).payloads:
            if type_ == "event":
                sent += event.get("fingerprint") != [error_budget.CONTEXT]
                reported += event["contexts"].get(error_budget.CONTEXT, {}).get("not_sent", 0)
    return sent, reported


def kinds(number: int, errors: int) -> list[tuple[int, float]]:
    """Capture messages of many kinds; return how many, and the resident memory in MiB, ten times.

    Args:
        number: of kinds.
        errors: how many messages.
    """
    app = SentryMiddleware(fail, dsn="http://a@127.0.0.1:9/1", transport=Nowhere(), error_budget="1 per day")
    client, found = app.client, [(0, resident())]
    for tenth in range(10):
        for at in range(tenth * errors // 10, (tenth + 1) * errors // 10):
            client.capture_event({"message": f"message {at % number}", "level": "error"})
        found.append(((tenth + 1) * errors // 10, resident()))
        print(f"{found[-1][0]:10,} {found[-1][1]:8.1f} MiB", flush=True)
    return found


def storm(errors: int) -> Storm:
    """Make errors in processes with threads; return what has become of them.

    Args:
        errors: how many.
    """
    each = errors // PROCESSES // THREADS * THREADS
    with tempfile.TemporaryDirectory() as parent:
        directory = f"{parent}/spool"
        begun = time.monotonic()
        command = [sys.executable, "-m", "benchmarks.budget", "--worker", directory, "--errors", str(each)]
        workers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(PROCESSES)]
        taken = [float(worker.communicate()[0]) for worker in workers]
        seconds = time.monotonic() - begun
        later(directory)
        return Storm(each * PROCESSES + 1, *counted(directory), seconds, sum(taken) / PROCESSES)


def main() -> int:
    """Make errors, print and save; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget", description=__doc__)
    parser.add_argument("--errors", type=int, default=20_000, help="in the storm (default: 20000)")
    parser.add_argument("--kinds", type=int, default=100_000, help="of messages (default: 100000)")
    parser.add_argument("--messages", type=int, default=20_000, help="of these kinds (default: 20000)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--worker", metavar="DIR", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(work_in_threads(options.worker, options.errors))
        return 0
    print(machine())
    found = storm(options.errors)
    missing = found.errors - found.sent - found.reported
    print(
        f"{found.errors:,} errors: {found.sent:,} sent, {found.reported:,} reported, {missing} missing; "
        f"{found.seconds:.0f} s, {found.microseconds:.0f} µs of CPU each"
    )
    memory = kinds(options.kinds, options.messages)
    keep(options.json, {"storm": found._asdict(), "memory": memory})
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
