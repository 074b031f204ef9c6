"""Send an envelope over HTTP with fewer steps than the SDK and urllib3 take for it.

The request is the same: the same bytes, headers, connections, retries and timeouts. Each envelope is one
request of its own, whose CPU is a large part of what a sampled request costs. Checked with sentry-sdk 2.18.0,
2.75.0 and 3.0.0b2, urllib3 1.26 and 2.
"""

from __future__ import annotations

import io
import socket
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from http.client import HTTPException, HTTPResponse
from typing import Any

from urllib3 import PoolManager
from urllib3.exceptions import ProtocolError, ReadTimeoutError
from urllib3.util import parse_url

# Adds the header and trailer of gzip (RFC 1952) to what zlib compresses.
_GZIP = zlib.MAX_WBITS | 16
# A transport has one URL; there are as many as projects.
_parse = lru_cache(maxsize=64)(parse_url)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Which http.client sets itself.
_FRAMING = frozenset({"host", "accept-encoding", "content-length", "transfer-encoding", "connection"})


def compress_at_once(transport: Any) -> None:
    """Let a transport compress envelopes in one call, not with one for each of their lines.

    ``_serialize_envelope`` returns the content encoding and a buffer. Missing, or with another algorithm than
    gzip: the transport is not changed.

    Args:
        transport: of the SDK.
    """
    original = getattr(transport, "_serialize_envelope", None)
    if original is None or getattr(transport, "_compression_algo", None) != "gzip":
        return
    level = transport._compression_level
    if type(level) is not int or not 0 < level <= 9:
        return

    def serialize(envelope: Any) -> tuple[str | None, io.BytesIO]:
        compressor = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
        return "gzip", io.BytesIO(compressor.compress(envelope.serialize()) + compressor.flush())

    transport._serialize_envelope = serialize


def request_directly(pool: Any, follows_redirects: bool = True) -> None:
    """Let a pool of urllib3 request a URL in as few steps as possible.

    Connections are made, and kept, by urllib3. On one that is kept, a request is sent in one piece, and the
    response is read by ``http.client``: urllib3 takes three times as long. ``_get_conn`` and ``_put_conn`` of
    its pools are not documented. Missing: urllib3 makes each request.

    Args:
        pool: of a transport. Those of proxies, and of other libraries, are not changed.
        follows_redirects: whether to follow redirects, as the pool does by default.
    """
    if type(pool) is not PoolManager:
        return
    original: Callable[..., Any] = pool.request
    last: tuple[Any, Any, Any] = None, None, None

    def connections_to(url: Any) -> Any:
        """Return the connections to a host, whose key the pool makes of some twenty arguments each time."""
        nonlocal last
        before, key, found = last
        if url != before or found is None or pool.pools.get(key) is not found:
            found = pool.connection_from_host(url.host, port=url.port, scheme=url.scheme)
            keys = pool.pools.keys()  # it cannot be iterated over
            key = next((each for each in keys if pool.pools.get(each) is found), None)
            last = url, key, found
        return found

    def request(method: str, url: str, body: Any = None, headers: Any = None, **others: Any) -> Any:
        parsed = _parse(url)
        if others or headers is None or parsed.host is None:
            return original(method, url, body=body, headers=headers, **others)
        connections = connections_to(parsed)
        response: Any = None
        if type(body) is bytes:
            response = _on_kept_connection(connections, method, parsed.request_uri, body, headers)
        if response is None:
            response = connections.urlopen(
                method, parsed.request_uri, body=body, headers=headers, redirect=False, assert_same_host=False
            )
        if follows_redirects and response.status in _REDIRECTS and response.headers.get("Location"):
            # The pool knows which requests may be repeated elsewhere, and with which headers.
            response.close()
            return original(method, url, body=body, headers=headers)
        return response

    pool.request = request  # type: ignore[method-assign, assignment]


class _Response(HTTPResponse):
    """A response that has been read.

    Attributes:
        data: its body.
    """

    data = b""


def _on_kept_connection(
    connections: Any, method: str, target: str, body: bytes, headers: Mapping[str, str]
) -> _Response | None:
    """Make a request on a connection that is kept; return None if there is none.

    Raises:
        HTTPError: urllib3's, for the same reasons as its own requests.
    """
    take, give_back = getattr(connections, "_get_conn", None), getattr(connections, "_put_conn", None)
    if take is None or give_back is None:
        return None
    connection = take()
    is_kept = True
    try:
        host, port = connection.host, connection.port
        if port != connection.default_port:
            host = f"{host}:{port}"
        head = _head(method, target, host, tuple(headers.items()))
        if connection.sock is None or head is None:
            return None
        seconds = _seconds_to_answer(connections.timeout)
        is_kept = False
        message = b"%b%d%b%b" % (head[0], len(body), head[1], body)
        response = _exchange(connection, method, message, seconds)
        is_kept = not response.will_close
        return response
    except socket.timeout as error:
        raise ReadTimeoutError(connections, target, "Read timed out.") from error
    except (HTTPException, OSError) as error:
        raise ProtocolError("Connection aborted.", error) from error
    finally:
        if not is_kept:
            connection.close()
        give_back(connection)


@lru_cache(maxsize=64)
def _head(
    method: str, target: str, host: str, headers: tuple[tuple[str, str], ...]
) -> tuple[bytes, bytes] | None:
    """Return what urllib3 sends before and after the length of a body; None if that may be something else."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Accept-Encoding: identity", "Content-Length: "]
    lines += [f"{name}: {value}" for name, value in headers]
    is_usual = all(type(line) is str and line.isascii() and line.isprintable() for line in lines)
    if not is_usual or host.count(":") > 1 or not _FRAMING.isdisjoint(name.lower() for name, _ in headers):
        return None
    before, after = "\r\n".join(lines[:4]), "\r\n".join(["", *lines[4:], "", ""])
    return before.encode("ascii"), after.encode("ascii")


@lru_cache(maxsize=8)
def _seconds_to_answer(timeout: Any) -> float | None:
    """Return how long to wait for an answer, None if there is no limit."""
    begun = timeout.clone()
    begun.start_connect()
    # Older versions of urllib3 have an object of their own for the default, which is no limit.
    seconds = begun.read_timeout
    return seconds if type(seconds) in (int, float) else socket.getdefaulttimeout()


def _exchange(connection: Any, method: str, message: bytes, seconds: float | None) -> _Response:
    sock = connection.sock
    sock.settimeout(seconds)
    # A connection that is watched (``transports``) has a method of its own.
    getattr(connection, "send_watched", sock.sendall)(message)
    response = _Response(sock, method=method)
    try:
        response.begin()
        response.data = response.read()
    finally:
        # It has a reference to the socket, which otherwise stays open when the connection is closed.
        response.close()
    return response
