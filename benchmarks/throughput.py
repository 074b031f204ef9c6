"""Measure how fast errors reach a Sentry that is far away: ``python -m benchmarks.throughput``.

A receiver in a process of its own answers each envelope after a delay, which stands for the round trip. A
client with a spool captures errors of 5 kB at a rate, or sends a backlog. What counts is when each error has
arrived.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import sentry_sdk
from sentry_sdk.envelope import Envelope

from sentry_paste.spool import Spool
from sentry_paste.spool.delivery import delivering_class
from sentry_paste.spool.names import destination_of
from sentry_paste.spool.transport import SpoolSettings

# Seconds after which a scenario ends, whatever has arrived.
PATIENCE = 400.0


class Scenario(NamedTuple):
    """One run.

    Attributes:
        name: in the table.
        delay: seconds until an envelope is answered.
        backlog: files that wait at the start.
        rate: errors captured per second.
        seconds: for how long errors are captured.
        connections: ``spool_connections``.
        spool_rate: ``spool_rate``.
        queue: ``transport_queue_size`` of the SDK's transport, 0 with a spool.
    """

    name: str
    delay: float
    backlog: int = 0
    rate: float = 0.0
    seconds: float = 0.0
    connections: int = 8
    spool_rate: float = 100.0
    queue: int = 0


SCENARIOS = (
    Scenario("20 a second for 30 s, 150 ms", 0.15, rate=20, seconds=30),
    Scenario("100 a second for 60 s, 150 ms", 0.15, rate=100, seconds=60),
    Scenario("backlog of 500, 20 ms, spool_rate = 1000", 0.02, backlog=500, spool_rate=1000),
    Scenario("backlog of 10,000, 150 ms", 0.15, backlog=10_000),
    Scenario("the same, spool_connections = 16", 0.15, backlog=10_000, connections=16),
    Scenario("backlog of 2,000 and 5 a second for 20 s, 150 ms", 0.15, backlog=2000, rate=5, seconds=20),
    Scenario("without a spool: 20 a second for 30 s, 150 ms", 0.15, rate=20, seconds=30, queue=100),
    Scenario("the same, transport_queue_size = 1000", 0.15, rate=20, seconds=30, queue=1000),
)
# Without a spool, errors may be lost: nothing more is expected after so many seconds.
QUIET = 3.0


class Receiver(asyncio.Protocol):
    """A receiver of envelopes: HTTP/1.1 with kept connections.

    Args:
        delay: seconds until an envelope is answered.
        arrivals: event ids, and when each was answered.
        open_connections: those that are open; the greatest number is kept in ``most``.
    """

    most = 0

    def __init__(self, delay: float, arrivals: dict[str, float], open_connections: set[Receiver]) -> None:
        self.delay = delay
        self.arrivals = arrivals
        self.open = open_connections
        self.data = b""

    def connection_made(self, transport: Any) -> None:
        """Count the connection."""
        self.transport = transport
        self.open.add(self)
        Receiver.most = max(Receiver.most, len(self.open))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Count the connection no more."""
        self.open.discard(self)

    def data_received(self, data: bytes) -> None:
        """Answer a request that is complete."""
        self.data += data
        head, _, body = self.data.partition(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(body) < int(headers.get(b"content-length", b"0")):
            return
        self.data = b""
        if headers.get(b"content-encoding") == b"gzip":
            body = gzip.decompress(body)
        identity = json.loads(body.partition(b"\n")[0]).get("event_id")
        asyncio.get_running_loop().call_later(self.delay, self.answer, identity)

    def answer(self, identity: str | None) -> None:
        """Accept an envelope."""
        if identity is not None:
            self.arrivals.setdefault(identity, time.monotonic())
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


def receive(delay: float, pipe: Connection) -> None:
    """Run a receiver, and answer each message of a pipe with the arrivals and the most connections."""

    async def run() -> None:
        arrivals: dict[str, float] = {}
        connections: set[Receiver] = set()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Receiver(delay, arrivals, connections), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        while True:
            while not pipe.poll():
                await asyncio.sleep(0.02)
            if pipe.recv() == "end":
                return
            pipe.send((arrivals, Receiver.most))

    asyncio.run(run())


def envelope(number: int) -> Envelope:
    """Return an error of 5 kB."""
    identity = f"{number:032x}"
    made = Envelope(headers={"event_id": identity})
    frames = [{"filename": f"app{n}.py", "function": "view", "vars": {"x": "y" * 150}} for n in range(20)]
    value = {"type": "RuntimeError", "value": str(number), "stacktrace": {"frames": frames}}
    made.add_event({"event_id": identity, "level": "error", "exception": {"values": [value]}})
    return made


class Measured(NamedTuple):
    """What has arrived.

    Attributes:
        arrived: how many errors.
        after: seconds from the last capture to the last arrival.
        delays: seconds from capture to arrival of those captured, sorted.
        connections: how many were open at the same time.
    """

    arrived: int
    after: float
    delays: list[float]
    connections: int


def measure(scenario: Scenario) -> Measured:
    """Run a scenario."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    receiver = context.Process(target=receive, args=(scenario.delay, other), daemon=True)
    receiver.start()
    port = pipe.recv()
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _measure(scenario, port, pipe, f"{folder}/spool")
    finally:
        pipe.send("end")
        receiver.join()


def _measure(scenario: Scenario, port: int, pipe: Connection, directory: str) -> Measured:
    spool = Spool(directory)
    destination = destination_of(f"127.0.0.1:{port}/", "1")
    for number in range(scenario.backlog):
        spool.write(envelope(number), destination)
    options: dict[str, Any] = {"dsn": f"http://public@127.0.0.1:{port}/1", "default_integrations": False}
    if scenario.queue:
        options["transport_queue_size"] = scenario.queue
        client = sentry_sdk.Client(**options)
    else:
        client = with_spool(options, directory, scenario)
    begun = time.monotonic()
    captured: dict[str, float] = {}
    transport: Any = client.transport
    for number in range(int(scenario.rate * scenario.seconds)):
        live = envelope(10**6 + number)
        captured[live.headers["event_id"]] = time.monotonic()
        transport.capture_envelope(live)
        time.sleep(max(begun + (number + 1) / scenario.rate - time.monotonic(), 0.0))
    last = time.monotonic()
    wanted = scenario.backlog + len(captured)
    while True:
        pipe.send("arrivals?")
        arrivals, most = pipe.recv()
        now = time.monotonic()
        is_quiet = scenario.queue and now - max(arrivals.values(), default=begun) > QUIET
        if len(arrivals) >= wanted or now - begun > PATIENCE or is_quiet:
            break
        time.sleep(0.2)
    client.close(timeout=1)
    found = [name for name in captured if name in arrivals]
    delays = sorted(arrivals[name] - captured[name] for name in found)
    return Measured(len(arrivals), max(arrivals.values()) - last, delays, most)


def with_spool(options: dict[str, Any], directory: str, scenario: Scenario) -> sentry_sdk.Client:
    """Return a client that sends through a spool, and has started to.

    Args:
        options: of the client.
        directory: of the spool.
        scenario: with the settings of the spool.
    """
    settings = SpoolSettings(
        directory, max_size=10**10, connections=scenario.connections, rate=scenario.spool_rate
    )
    transport = delivering_class(sentry_sdk.Client(**options).options, settings)
    client = sentry_sdk.Client(**options, transport=transport)
    delivering: Any = client.transport
    delivering.open()
    return client


def main() -> int:
    """Print the table; return 1 if something has not arrived."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("numbers", metavar="N", nargs="*", type=int, help="only these scenarios, from 1")
    chosen = parser.parse_args().numbers or range(1, len(SCENARIOS) + 1)
    print(f"{'scenario':<50} {'arrived':>13} {'all after':>9} {'live 95 %':>9} {'connections':>11}")
    lost = 0
    for number in chosen:
        scenario = SCENARIOS[number - 1]
        wanted = scenario.backlog + int(scenario.rate * scenario.seconds)
        found = measure(scenario)
        late = f"{found.delays[int(len(found.delays) * 0.95)]:.2f} s" if found.delays else ""
        count = f"{found.arrived:,}/{wanted:,}"
        print(f"{scenario.name:<50} {count:>13} {found.after:>7.1f} s {late:>9} {found.connections:>11}")
        lost += 0 if scenario.queue else wanted - found.arrived
    return 1 if lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
