"""Send an envelope over HTTP with fewer steps than the SDK and urllib3 take for it.

The request is the same: the same bytes, headers, connections, retries and timeouts. Each envelope is one
request of its own, whose CPU is a large part of what a sampled request costs. Checked with sentry-sdk 2.18.0,
2.75.0 and 3.0.0b2, urllib3 1.26 and 2.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from urllib3 import PoolManager
from urllib3.util import parse_url

# Adds the header and trailer of gzip (RFC 1952) to what zlib compresses.
_GZIP = zlib.MAX_WBITS | 16
# A transport has one URL; there are as many as projects.
_parse = lru_cache(maxsize=64)(parse_url)


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
    """Let a pool of urllib3 request a URL without parsing it, and merging headers, each time.

    Args:
        pool: of a transport. Those of proxies, and of other libraries, are not changed.
        follows_redirects: whether to follow redirects, as the pool does by default.
    """
    if type(pool) is not PoolManager:
        return
    original: Callable[..., Any] = pool.request

    def request(method: str, url: str, body: Any = None, headers: Any = None, **others: Any) -> Any:
        parsed = _parse(url)
        if others or headers is None or parsed.host is None:
            return original(method, url, body=body, headers=headers, **others)
        connections = pool.connection_from_host(parsed.host, port=parsed.port, scheme=parsed.scheme)
        response = connections.urlopen(
            method, parsed.request_uri, body=body, headers=headers, redirect=False, assert_same_host=False
        )
        if follows_redirects and response.get_redirect_location():
            # The pool knows which requests may be repeated elsewhere, and with which headers.
            response.drain_conn()
            return original(method, url, body=body, headers=headers)
        return response

    pool.request = request  # type: ignore[method-assign, assignment]
