"""raven's middleware, the SDK's predecessor, which waits for errors and records nothing else."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from benchmarks.agents import Started
from benchmarks.work import App


def start(_kind: str, _receiver: str, _options: dict[str, Any]) -> Started:
    """Start a client.

    Args:
        _kind: errors.
        _receiver: ignored: there is nothing to send.
        _options: ignored.
    """
    client = importlib.import_module("raven").Client("http://a:b@127.0.0.1:9/1")
    logging.getLogger("raven").setLevel(logging.ERROR)
    middleware = importlib.import_module("raven.middleware").Sentry

    def wrap(app: App) -> App:
        wrapped: App = middleware(app, client)
        return wrapped

    return Started(wrap, lambda _text: None, lambda: None)
