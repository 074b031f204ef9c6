"""A receiver that answers 200 at once and counts: ``python -m benchmarks.receiver PORT``.

Envelopes are counted by the project of the DSN they were sent to, what other agents send by its path. ``GET
/`` answers with the counts, ``GET /bytes`` with the lengths of the bodies as they were sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator

from benchmarks.inis import free_port

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
PROJECT = re.compile(rb"POST /api/(\d+)/envelope/")
PATH = re.compile(rb"(?:POST|PUT) (/[^ ?]*)")


class Receiver:
    """Counts what it receives.

    Attributes:
        counts: of requests, by project or path.
        bytes: of their bodies.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    async def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, whose bodies are not looked at."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answer(head, await _skip_body(head, reader)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def answer(self, head: bytes, length: int) -> bytes:
        """Count a request, and return the response.

        Args:
            head: of the request.
            length: of its body.
        """
        found = PROJECT.match(head) or PATH.match(head)
        if found is None:
            body = json.dumps(self.bytes if head.startswith(b"GET /bytes ") else self.counts).encode("ascii")
        else:
            name = found.group(1).decode("ascii")
            self.counts[name] += 1
            self.bytes[name] += length
            body = b"{}"
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
            len(body),
            body,
        )


async def _skip_body(head: bytes, reader: asyncio.StreamReader) -> int:
    """Read the body of a request; return its length."""
    if CHUNKED.search(head) is None:
        length = LENGTH.search(head)
        return len(await reader.readexactly(int(length.group(1)) if length else 0))
    total = 0
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        await reader.readexactly(size + 2)
        total += size
        if not size:
            return total


async def serve(port: int) -> None:
    """Receive until the process is ended.

    Args:
        port: on loopback.
    """
    server = await asyncio.start_server(Receiver().receive, "127.0.0.1", port, limit=2**20)
    async with server:
        await server.serve_forever()


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Run a receiver in a process of its own; give its address, without a slash at the end."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "benchmarks.receiver", str(port)]
    with subprocess.Popen(command) as process:
        try:
            deadline = time.monotonic() + 60
            while not _answers(address):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the receiver does not start")
                time.sleep(0.05)
            yield address
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=1):
        return True
    return False


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
