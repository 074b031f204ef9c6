"""Check whether a server's threads and memory grow under slow streamed responses, with waitress."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import logging
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHUNKS = 10
PAUSE = 0.1
CHUNK = b"x" * 1024
REQUEST = b"GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

# The share of the measurements that is dropped as warm-up: threads start, caches fill.
WARM_UP = 0.2
ROWS = 20


def stream(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer slowly, chunk by chunk."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(CHUNKS):
        time.sleep(PAUSE)
        yield CHUNK


def serve(port: int, streams: int, seconds: float, dsn: str | None) -> None:
    """Serve the app with waitress, with the filter if there is a DSN; runs in the server's process."""
    waitress = importlib.import_module("waitress")
    # If the other process is killed, the kernel ends this one when its time is up.
    signal.alarm(int(seconds) + 180)
    # It warns when a client repeats its request before the thread is free.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    app: Any = stream
    if dsn is not None:
        from sentry_paste import SentryMiddleware

        app = SentryMiddleware(app, dsn=dsn, traces_sample_rate=1.0, release="soak")
    waitress.serve(
        app,
        host="127.0.0.1",
        port=port,
        threads=streams,
        connection_limit=streams * 2 + 100,
        backlog=streams + 100,
        clear_untrusted_proxy_headers=True,
    )


@dataclass
class Sample:
    """The state of the server's process at one moment.

    Attributes:
        seconds: since the beginning.
        requests: done so far.
        threads: of the process.
        rss: its resident memory, in KiB.
    """

    seconds: float
    requests: int
    threads: int
    rss: int


class Soak:
    """Clients that ask again and again, a receiver of envelopes, and samples of the server's process.

    Args:
        port: of the server.
        pid: its process.
        options: of the command line.
    """

    def __init__(self, port: int, pid: int, options: argparse.Namespace) -> None:
        self.port = port
        self.pid = pid
        self.options = options
        self.begun = self.done = self.broken = self.envelopes = 0
        self.samples: list[Sample] = []
        self.begin = self.end = 0.0

    async def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Swallow the envelopes that come by a connection."""
        # Cancelled at the end, while it waits for more.
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                await reader.readexactly(int(length.group(1)) if length else 0)
                self.envelopes += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
        writer.close()

    async def ask(self, number: int) -> None:
        """Ask for one response after the other, until time or requests are used up."""
        # Not all at the same moment.
        await asyncio.sleep(CHUNKS * PAUSE * number / self.options.streams)
        while time.monotonic() < self.end and self.begun < self.options.requests:
            self.begun += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(REQUEST)
                answer = await asyncio.wait_for(reader.read(-1), 60)
            finally:
                writer.close()
            # Chunked: at least the body.
            if answer.startswith(b"HTTP/1.1 200 ") and answer.count(b"x") >= CHUNKS * len(CHUNK):
                self.done += 1
            else:
                self.broken += 1

    def sample(self) -> Sample:
        """Look at the server's process."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        numbers = dict(re.findall(r"(?m)^(Threads|VmRSS):\s+(\d+)", status))
        found = Sample(
            time.monotonic() - self.begin, self.done, int(numbers["Threads"]), int(numbers["VmRSS"])
        )
        self.samples.append(found)
        return found

    async def watch(self) -> None:
        """Sample every second, and print some of the samples as they come."""
        print(f"{'seconds':>8} {'requests':>9} {'threads':>8} {'RSS MiB':>8}")
        between = self.options.seconds / ROWS
        due = 0.0
        while True:
            found = self.sample()
            if found.seconds >= due:
                due += between
                show(found)
            await asyncio.sleep(1)

    async def run(self) -> None:
        """Keep the streams going until the end."""
        self.begin = time.monotonic()
        self.end = self.begin + self.options.seconds
        watching = asyncio.ensure_future(self.watch())
        try:
            await asyncio.gather(*(self.ask(number) for number in range(self.options.streams)))
            # What is queued in the SDK's worker is sent.
            await asyncio.sleep(2)
            show(self.sample())
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    def report(self) -> None:
        """Print the results."""
        last = self.samples[-1]
        # Before warm-up has ended, the server has not begun all of its threads.
        warm = next(
            (sample for sample in self.samples if sample.seconds >= WARM_UP * last.seconds), self.samples[0]
        )
        requests = last.requests - warm.requests
        growth = last.rss - warm.rss
        print(f"{'bare' if self.options.bare else 'filtered'}, {self.options.streams} streams")
        print(f"requests done: {self.done}, broken: {self.broken}, envelopes received: {self.envelopes}")
        print(f"threads: {warm.threads} after warm-up ({warm.seconds:.0f} s), {last.threads} at the end")
        print(f"RSS: {warm.rss / 1024:.1f} MiB after warm-up, {last.rss / 1024:.1f} MiB at the end")
        if requests:
            print(f"growth: {growth / requests * 1000:.1f} KiB per 1000 requests, over {requests} requests")


def show(sample: Sample) -> None:
    """Print a row of the table."""
    print(
        f"{sample.seconds:8.0f} {sample.requests:9d} {sample.threads:8d} {sample.rss / 1024:8.1f}", flush=True
    )


@contextlib.contextmanager
def server_process(port: int, dsn: str | None, options: argparse.Namespace) -> Iterator[int]:
    """Start the server, wait until it accepts connections, and end it, whatever happens."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.soak",
        "--serve",
        str(port),
        "--streams",
        str(options.streams),
    ]
    command += ["--seconds", str(options.seconds)]
    process = subprocess.Popen(
        [*command, *(["--dsn", dsn] if dsn else [])],
        cwd=Path(__file__).parent.parent,
        env={name: value for name, value in os.environ.items() if not name.startswith("SENTRY_")},
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the server does not start")
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


def free_port() -> int:
    """Return a port on loopback that nobody has, for the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def soak(options: argparse.Namespace) -> bool:
    """Run it all; return whether every response came whole."""
    work = Soak(free_port(), 0, options)
    receiver = await asyncio.start_server(work.receive, "127.0.0.1", 0)
    dsn = f"http://public@127.0.0.1:{receiver.sockets[0].getsockname()[1]}/1"
    async with receiver:
        with server_process(work.port, None if options.bare else dsn, options) as work.pid:
            try:
                await work.run()
            finally:
                if work.samples:
                    work.report()
    return work.done > 0 and work.broken == 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long (default: 600)")
    parser.add_argument("--streams", type=int, default=200, help="at a time (default: 200)")
    parser.add_argument("--requests", type=int, default=500000, help="at most (default: 500000)")
    parser.add_argument("--bare", action="store_true", help="the app without the filter")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--dsn", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Serve or soak; return the exit code."""
    options = arguments()
    if options.serve is not None:
        serve(options.serve, options.streams, options.seconds, options.dsn)
        return 0
    # A socket for each stream, here and there, and one for each that is just being closed.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, options.streams * 4 + 100)), hard))
    # SIGTERM ends the server's process as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return 0 if asyncio.run(soak(options)) else 1


if __name__ == "__main__":
    sys.exit(main())
