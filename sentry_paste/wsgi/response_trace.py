"""Headers of a response with the trace of its request."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from sentry_paste.wsgi.real_types import is_real

# A cache that several users share would give the trace of one request to all of them (RFC 9111 section 3).
_SHARED = re.compile(r"(?:^|[\s,])(?:public|s-maxage)\b", re.IGNORECASE)
# What a quoted text of a header holds without escapes (RFC 9110 section 5.6.4).
_QUOTABLE = re.compile(r"[ !#-\[\]-~]+")
_TRACE = re.compile("([0-9a-f]{32})-([0-9a-f]{16})(?:-([01]))?")


def is_for_shared_caches(headers: list[Any]) -> bool:
    """Return whether a cache that several users share may keep a response.

    Args:
        headers: of the response, pairs of texts.
    """
    return any(
        is_real(name, str)
        and is_real(value, str)
        and name.lower() == "cache-control"
        and _SHARED.search(value) is not None
        for name, value in headers
    )


def trace_of_response(trace: str, baggage: str, names: Collection[str]) -> list[tuple[str, str]]:
    """Return headers with a trace.

    ``Server-Timing`` is what Sentry's SDKs for browsers read, as its other SDKs for servers write it:
    https://develop.sentry.dev/sdk/telemetry/traces/. ``traceresponse`` is a draft of the W3C:
    https://w3c.github.io/trace-context/#traceresponse-header.

    Args:
        trace: of the header ``sentry-trace``.
        baggage: of the header ``baggage``; its values are percent-encoded, so they contain no quotes.
        names: of the headers, ``server-timing`` and ``traceresponse``.
    """
    found = _TRACE.fullmatch(trace)
    if found is None:
        return []
    headers = []
    if "server-timing" in names:
        entries = [f'sentry-trace;desc="{trace}"']
        if _QUOTABLE.fullmatch(baggage):
            entries.append(f'baggage;desc="{baggage}"')
        headers.append(("Server-Timing", ", ".join(entries)))
    if "traceresponse" in names:
        headers.append(("traceresponse", f"00-{found[1]}-{found[2]}-0{found[3] or 0}"))
    return headers
