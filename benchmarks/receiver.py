"""A receiver of envelopes that answers 200 at once and counts: ``python -m benchmarks.receiver PORT``.

Envelopes are counted by the project of the DSN they were sent to; ``GET /`` answers with the counts.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter

LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
PROJECT = re.compile(rb"POST /api/(\d+)/envelope/")


class Receiver:
    """Counts envelopes.

    Attributes:
        counts: of envelopes, by project.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    async def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, whose bodies are not looked at."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                await reader.readexactly(int(length.group(1)) if length else 0)
                writer.write(self.answer(head))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def answer(self, head: bytes) -> bytes:
        """Count a request, and return the response.

        Args:
            head: of the request.
        """
        project = PROJECT.match(head)
        if project is not None:
            self.counts[project.group(1).decode("ascii")] += 1
        body = b"{}" if project is not None else json.dumps(self.counts).encode("ascii")
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
            len(body),
            body,
        )


async def serve(port: int) -> None:
    """Receive until the process is ended.

    Args:
        port: on loopback.
    """
    server = await asyncio.start_server(Receiver().receive, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
