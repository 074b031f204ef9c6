"""Count which captured errors arrive, with the SDK alone and with a spool: ``python -m benchmarks.delivery``.

In each scenario, two processes capture errors and a receiver counts them; only those that it answers with 2xx
count. With a spool, a last process then sends what is left, as the next one to start would.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

# The tests have the failing receiver and the processes to kill.
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from sentry_paste.spool import Spool

import crashing
import faulty
import servers

# Seconds until the receiver answers.
DELAY = 0.02


class Run(NamedTuple):
    """One run of a scenario.

    Attributes:
        sentry: the receiver.
        ini: of the app.
        folder: its own folder.
    """

    sentry: Any
    ini: Path
    folder: Path

    @contextmanager
    def processes(self) -> Iterator[list[Any]]:
        """Start two processes."""
        with crashing.processes(self.ini, "a", "b") as running:
            yield running

    def crash(self, running: list[Any], count: int) -> None:
        """Crash in all processes so many times, concurrently."""
        for process in running:
            process.begin("crash", count // len(running))
        for process in running:
            process.end()


def outage(run: Run) -> None:
    """100 of 200 while the server answers 503."""
    with run.processes() as running:
        run.crash(running, 50)
        time.sleep(1.5)
        run.sentry.answer = faulty.Answer(503)
        run.crash(running, 100)
        time.sleep(1.5)
        run.sentry.answer = faulty.Answer(delay=DELAY)
        run.crash(running, 50)
        for process in running:
            process.exit()


def burst(run: Run) -> None:
    """500, then a normal exit."""
    with run.processes() as running:
        run.crash(running, 500)
        for process in running:
            process.exit()


def kill(run: Run) -> None:
    """100, then SIGKILL."""
    with run.processes() as running:
        run.crash(running, 100)
        for process in running:
            process.kill()


def random_kills(run: Run) -> None:
    """40 processes, each killed at a random moment."""
    with run.processes() as running:
        for number, process in enumerate(running):
            process.begin("kills", 20, 0.12, number)
        for process in running:
            process.end()


def _terminated(run: Run, kind: servers.Kind) -> None:
    with servers.serving(kind, run.ini.read_text(encoding="utf-8"), run.folder) as server:
        for number in range(100):
            server.ask(servers.request_bytes(f"/crash/{number}"))
        server.end(signal.SIGTERM)


def pserve(run: Run) -> None:
    """100, then SIGTERM, in pserve with waitress."""
    _terminated(run, servers.SERVERS["waitress"])


def gunicorn(run: Run) -> None:
    """100, then SIGTERM, in gunicorn."""
    _terminated(run, servers.SERVERS["gunicorn-sync"])


SCENARIOS: dict[str, Callable[[Run], None]] = {
    "outage": outage,
    "burst before exit": burst,
    "SIGKILL": kill,
    "SIGKILL at random": random_kills,
    "SIGTERM, pserve": pserve,
    "SIGTERM, gunicorn": gunicorn,
}


def measure(scenario: Callable[[Run], None], has_spool: bool) -> tuple[int, int, int]:
    """Return how many errors were captured, how many of them arrived, and how many arrived twice."""
    with tempfile.TemporaryDirectory() as name, faulty.serve() as sentry:
        folder = Path(name)
        log, directory = folder / "captured.log", folder / "spool"
        sentry.answer = faulty.Answer(delay=DELAY)
        ini = folder / "site.ini"
        spool = str(directory) if has_spool else None
        ini.write_text(crashing.ini(sentry.dsn, log, spool), encoding="utf-8")
        scenario(Run(sentry, ini, folder))
        if has_spool:
            with crashing.processes(ini, "last") as (last,):
                last.do("ok", 1)
                sentry.wait_for(
                    lambda: all(file.state == "aside" for file in Spool(directory).files()), seconds=120
                )
                last.exit()
        else:
            time.sleep(0.5)
        captured = crashing.captured(log)
        return len(captured), len(set(captured) & set(sentry.tags())), sentry.sent_twice()


def main() -> int:
    """Print the table; return 1 if something was lost with a spool."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("scenarios", nargs="*", help=f"some of: {', '.join(SCENARIOS)} (default: all)")
    chosen = parser.parse_args().scenarios or SCENARIOS
    lost = 0
    print(f"{'scenario':<20} {'SDK':>12} {'with spool':>12} {'sent twice':>11}")
    for name in chosen:
        captured, alone, _ = measure(SCENARIOS[name], has_spool=False)
        kept, arrived, twice = measure(SCENARIOS[name], has_spool=True)
        lost += kept - arrived
        print(f"{name:<20} {f'{alone}/{captured}':>12} {f'{arrived}/{kept}':>12} {twice:>11}", flush=True)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
