"""Agents in processes of their own that take turns, for ``python -m benchmarks``.

An agent replaces parts of its process and works in threads of its own, so each has a process for itself. What
is measured is the CPU time of the whole process, until all that was recorded is sent: work that an agent puts
off, or does in the background, counts.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import sentry_sdk

from benchmarks import work
from benchmarks.agents import AGENTS, Started

QUERIES = tuple(
    f"SELECT id, name, price FROM {table} WHERE basket_id = %s AND colour = %s ORDER BY name LIMIT 20"
    for table in (
        *("items", "baskets", "customers", "orders", "prices"),
        *("stock", "offers", "reviews", "addresses", "sessions"),
    )
)


class Work(NamedTuple):
    """What an agent does in its turns.

    Attributes:
        agent: its name in ``AGENTS``.
        kind: what it records.
        measure: a name in ``MEASURES``.
        queries: of each request.
        options: further ones of the filter.
        app: a name in ``APPS``.
    """

    agent: str
    kind: str
    measure: str
    queries: int
    options: dict[str, Any]
    app: str = "a line"


def whole(app: work.App, count: int, flush: Callable[[], None]) -> float:
    """Return the seconds of CPU for a request, those of all threads, until all is sent."""
    begun = time.process_time()
    for _ in range(count):
        work.request(app)
    flush()
    return (time.process_time() - begun) / count


def other_clients(app: work.App, count: int, flush: Callable[[], None]) -> float:
    """Return the same for requests that each have another client."""
    begun = time.process_time()
    for _ in range(count):
        work.request(app, next(_CLIENTS))
    flush()
    return (time.process_time() - begun) / count


_CLIENTS = itertools.cycle(range(65_536))


def to_the_first_byte(app: work.App, count: int, flush: Callable[[], None]) -> float:
    """Return the seconds of CPU of the request's own thread up to the first byte."""
    taken = 0.0
    for _ in range(count):
        begun = time.thread_time()
        body = work.first_byte(app)
        taken += time.thread_time() - begun
        close = getattr(body, "close", None)
        if close is not None:
            close()
    flush()
    return taken / count


def own_thread(app: work.App, count: int, flush: Callable[[], None]) -> float:
    """Return the seconds of CPU for a request in the thread that makes it, until the body is closed."""
    begun = time.thread_time()
    for _ in range(count):
        work.request(app)
    taken = time.thread_time() - begun
    flush()
    return taken / count


def per_chunk(app: work.App, count: int, flush: Callable[[], None]) -> float:
    """Return the seconds of CPU for one chunk of a stream."""
    return whole(app, max(count // 40, 3), flush) / work.CHUNKS


#: Each returns seconds for one piece of work, given the app, how many, and what sends the rest.
MEASURES = {
    "whole": whole,
    "other clients": other_clients,
    "own thread": own_thread,
    "first byte": to_the_first_byte,
    "chunk": per_chunk,
}


def tagging(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer in a line, and set a tag."""
    sentry_sdk.set_tag("shop", "a")
    return work.answer(environ, start_response)


def pyramid() -> work.App:
    """Return an app of one route and one view."""
    app: work.App = importlib.import_module("benchmarks.site").plain({})

    def basket(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        environ["PATH_INFO"] = "/shop/basket/1"
        return app(environ, start_response)

    return basket


#: Each returns an app.
APPS: dict[str, Callable[[], work.App]] = {
    "a line": lambda: work.answer,
    "chunks": lambda: work.stream,
    "tags": lambda: tagging,
    "Pyramid": pyramid,
}


def app_of(found: Work, started: Started) -> work.App:
    """Return the app that is asked, in the agent's middleware.

    Args:
        found: what it does.
        started: the agent.
    """
    texts, app = QUERIES[: found.queries], APPS[found.app]()

    def querying(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        for text in texts:
            started.query(text)
        return app(environ, start_response)

    return started.wrap(querying if texts else app)


class Turns:
    """An agent's process.

    Args:
        found: what it does.
        receiver: the address that it sends to.
        before: the command that runs Python, such as valgrind's.
    """

    def __init__(self, found: Work, receiver: str, before: tuple[str, ...] = ()) -> None:
        self.work = found
        command = [*before, sys.executable, "-m", "benchmarks.turns", receiver, json.dumps(found)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if before else None,
            encoding="utf-8",
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        self._answer()

    def take(self, count: int, prepare: Callable[[], None] = lambda: None) -> float:
        """Do so many pieces of work, and return what ``MEASURES`` does.

        Args:
            count: of requests.
            prepare: called just before, when garbage is collected.
        """
        self._ask(str(count))
        prepare()
        return float(self._ask("now"))

    def end(self) -> str:
        """End the process; return what it has written to standard error, if that is read."""
        _, errors = self.process.communicate(timeout=60)
        return errors or ""

    def _ask(self, text: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.work.agent} has ended")
        return line


@contextlib.contextmanager
def running(works: list[Work], receiver: str) -> Iterator[list[Turns]]:
    """Run the processes of agents, and end them.

    Args:
        works: what each does.
        receiver: the address that they send to.
    """
    with contextlib.ExitStack() as stack:
        started = []
        for found in works:
            started.append(Turns(found, receiver))
            stack.callback(started[-1].end)
        yield started


def main(receiver: str, found: Work) -> None:
    """Take turns until standard input ends.

    Args:
        receiver: as of ``Turns``.
        found: as of ``Turns``.
    """
    # Agents may write to standard output; the answers have it for themselves.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    started = AGENTS[found.agent].start(found.kind, receiver, found.options)
    app = app_of(found, started)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        gc.collect()
        print("ready", file=answers, flush=True)
        sys.stdin.readline()
        print(MEASURES[found.measure](app, int(line), started.flush), file=answers, flush=True)
    # Work at exit does not belong to any request.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], Work(*json.loads(sys.argv[2])))
