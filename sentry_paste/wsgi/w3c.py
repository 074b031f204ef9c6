"""W3C Trace Context: the header ``traceparent``, https://www.w3.org/TR/trace-context/#traceparent-header."""

from __future__ import annotations

import re

_TRACEPARENT = re.compile(
    "(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}(?P<more>-.*)?"
)
# Vendors' parts of later versions may follow; no caller needs as much.
_LONGEST = 512


def trace_and_parent(text: str) -> tuple[str, str] | None:
    """Return the id of a trace and that of the calling span, None if a header is malformed.

    Whether the caller has sampled its trace, which the header has too, is left out: that is about another
    system than Sentry.

    Args:
        text: value of ``traceparent``.
    """
    found = _TRACEPARENT.fullmatch(text.strip(" \t")) if len(text) <= _LONGEST else None
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    trace, parent = found["trace"], found["parent"]
    return (trace, parent) if trace.strip("0") and parent.strip("0") else None
