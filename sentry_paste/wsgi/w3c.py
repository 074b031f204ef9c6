"""W3C Trace Context: the headers ``traceparent`` and ``tracestate``, https://www.w3.org/TR/trace-context/."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sentry_paste.wsgi.environ import native
from sentry_paste.wsgi.real_types import text_of

_TRACEPARENT = re.compile(
    "(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    "(?P<more>-.*)?"
)
# Vendors' parts of later versions may follow; no caller needs as much.
_LONGEST = 512
_SAMPLED = 1

_SENTRY_TRACE = re.compile("(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})(?:-(?P<sampled>[01]))?")
# A member of tracestate, of either form of its key: https://www.w3.org/TR/trace-context/#list
_MEMBER = re.compile(
    r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MOST_MEMBERS = 32
# What has to be passed on, and which members are left out first if there is more.
_LONGEST_STATE, _LONG_MEMBER = 512, 128
_LONGEST_HEADER = 8192
_DECISION = re.compile(r"(?:^|,)[ \t]*sentry-(trace_id|sampled)=([0-9A-Za-z]{1,32})[ \t]*(?=[,;]|$)")


class _Caller(NamedTuple):
    trace: str
    parent: str
    is_sampled: bool


def trace_and_parent(text: str) -> tuple[str, str] | None:
    """Return the id of a trace and that of the calling span, None if a header is malformed.

    Whether the caller has sampled its trace, which the header has too, is left out: that is about another
    system than Sentry.

    Args:
        text: value of ``traceparent``.
    """
    caller = _caller(text)
    return None if caller is None else (caller.trace, caller.parent)


def _caller(text: str) -> _Caller | None:
    found = _TRACEPARENT.fullmatch(text.strip(" \t")) if len(text) <= _LONGEST else None
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    trace, parent = found["trace"], found["parent"]
    if not (trace.strip("0") and parent.strip("0")):
        return None
    return _Caller(trace, parent, bool(int(found["flags"], 16) & _SAMPLED))


def decision_in_baggage(baggage: str, trace: str) -> str | None:
    """Return what Sentry's members of ``baggage`` say of a trace, None if they belong to none or another.

    Services between two of Sentry's may pass on ``traceparent`` and ``baggage``, which are the W3C's, but not
    ``sentry-trace``.

    Args:
        baggage: value of the header.
        trace: id of the trace.

    Returns:
        The end of ``sentry-trace``: ``-1`` if the trace is sampled, ``-0`` if it is not, or nothing if that
        is still to be decided.
    """
    found = dict(_DECISION.findall(baggage)) if len(baggage) <= _LONGEST_HEADER else {}
    if found.get("trace_id") != trace:
        return None
    return {"true": "-1", "false": "-0"}.get(found.get("sampled", "").lower(), "")


def outgoing(sentry_trace: str, strings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the W3C's headers for a call that has ``sentry-trace``, and the same span.

    Where the caller's trace goes on, its ``tracestate`` is passed on; if nobody has decided on sampling here,
    its flag is, too.

    Args:
        sentry_trace: value of the header.
        strings: the texts of the environ of the current request; empty outside of requests.
    """
    found = _SENTRY_TRACE.fullmatch(sentry_trace)
    if found is None or not (found["trace"].strip("0") and found["span"].strip("0")):
        return
    caller = _caller(native(text_of(strings.get("HTTP_TRACEPARENT")) or ""))
    if caller is not None and caller.trace != found["trace"]:
        caller = None
    sampled = found["sampled"] or str(int(caller is not None and caller.is_sampled))
    yield "traceparent", f"00-{found['trace']}-{found['span']}-0{sampled}"
    state = "" if caller is None else _state(native(text_of(strings.get("HTTP_TRACESTATE")) or ""))
    if state:
        yield "tracestate", state


def _state(text: str) -> str:
    """Return a ``tracestate`` to pass on, empty if it is malformed."""
    if len(text) > _LONGEST_HEADER:
        return ""
    members = [member for member in (part.strip(" \t") for part in text.split(",")) if member]
    if len(members) > _MOST_MEMBERS or not all(map(_MEMBER.fullmatch, members)):
        return ""
    if len(",".join(members)) > _LONGEST_STATE:
        members = [member for member in members if len(member) <= _LONG_MEMBER]
    while len(",".join(members)) > _LONGEST_STATE:
        members.pop()
    return ",".join(members)
