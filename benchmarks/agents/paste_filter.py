"""This package's filter, with the same options as the SDK's middleware, and the SDK's transport.

Nothing is left out: integrations, redaction and sessions are on, as they are by default. Project 1.
"""

from __future__ import annotations

from typing import Any

from benchmarks.agents import Started
from benchmarks.agents.sentry import dsn, query_of, settings
from benchmarks.work import App
from sentry_paste import SentryMiddleware


def start(kind: str, receiver: str, options: dict[str, Any]) -> Started:
    """Prepare the filter; it starts its client with its app.

    Args:
        kind: what is recorded.
        receiver: the address that it sends to.
        options: further ones of the filter.
    """
    made: list[SentryMiddleware] = []

    def wrap(app: App) -> App:
        made.append(SentryMiddleware(app, dsn=dsn(receiver, 1), **settings(kind), **options))
        return made[-1]

    def flush() -> None:
        for middleware in made:
            if middleware.client is not None:
                middleware.client.flush(60)

    return Started(wrap, query_of(kind), flush)
