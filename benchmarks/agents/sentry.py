"""The SDK's own ``SentryWsgiMiddleware`` with its default integrations and its HTTP transport.

Nothing is left out: each envelope is sent to the receiver. The queue is long enough for a turn, so that
nothing is dropped before it is encoded. Project 2.
"""

from __future__ import annotations

import warnings
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware

from benchmarks import work
from benchmarks.agents import SAMPLED, STREAM, UNSAMPLED, Started
from sentry_paste import sdk


def dsn(receiver: str, project: int) -> str:
    """Return a DSN.

    Args:
        receiver: the address that it leads to.
        project: by which the receiver counts.
    """
    return f"http://key@{receiver.removeprefix('http://')}/{project}"


def settings(kind: str) -> dict[str, Any]:
    """Return the client's options, which are the same for the SDK's middleware and for the filter.

    Args:
        kind: what is recorded.
    """
    rates = {UNSAMPLED: work.NEVER, SAMPLED: 1.0, STREAM: 1.0}
    found: dict[str, Any] = {"release": "1", "transport_queue_size": 5000}
    if kind in rates:
        found["traces_sample_rate"] = rates[kind]
    if kind == STREAM and not sdk.streams_spans({}):
        found["trace_lifecycle"] = "stream"
    return found


def query(text: str) -> None:
    """Run a query in a transaction's span.

    Args:
        text: of the query.
    """
    with sentry_sdk.start_span(op="db", name=text) as span:
        span.set_data("db.system", "postgresql")
        span.set_data("db.name", "shop")


def streamed_query(text: str) -> None:
    """Run a query in a streamed span.

    Args:
        text: of the query.
    """
    attributes: dict[str, Any] = {"sentry.op": "db", "db.system": "postgresql", "db.name": "shop"}
    with sentry_sdk.traces.start_span(name=text, attributes=attributes):
        pass


def query_of(kind: str) -> Any:
    """Return the function that runs a query.

    Args:
        kind: what is recorded.
    """
    return streamed_query if kind == STREAM or sdk.streams_spans({}) else query


def start(kind: str, receiver: str, options: dict[str, Any]) -> Started:
    """Start the SDK.

    Args:
        kind: what is recorded.
        receiver: the address that it sends to.
        options: not for it: the filter's own.
    """
    del options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sentry_sdk.init(dsn(receiver, 2), **settings(kind))
    return Started(SentryWsgiMiddleware, query_of(kind), lambda: sentry_sdk.flush(60))
