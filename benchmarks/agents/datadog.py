"""ddtrace's WSGI middleware and its writer, which sends to the receiver in place of an agent on the host.

Four spans for each request and those of the app are recorded, encoded as msgpack and sent. Off are remote
configuration and telemetry about ddtrace itself. An agent would aggregate and forward the traces, at a cost
outside this process. Requests that are not sampled are sent too: ddtrace leaves it to the agent to drop them.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from benchmarks.agents import SAMPLED, Started
from benchmarks.work import App


def start(kind: str, receiver: str, _options: dict[str, Any]) -> Started:
    """Import it, which starts it.

    Args:
        kind: what is recorded.
        receiver: the address that it sends to.
        _options: ignored.
    """
    os.environ.update(
        DD_TRACE_AGENT_URL=receiver,
        DD_SERVICE="shop",
        DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
        DD_REMOTE_CONFIGURATION_ENABLED="false",
        # Without a rule the agent decides, and ddtrace samples no more than 100 traces a second by its rules.
        DD_TRACE_SAMPLING_RULES=f'[{{"sample_rate": {1.0 if kind == SAMPLED else 0.0}}}]',
        DD_TRACE_RATE_LIMIT="-1",
    )
    tracer = importlib.import_module("ddtrace.trace").tracer
    middleware = importlib.import_module("ddtrace.contrib.wsgi").DDWSGIMiddleware

    def wrap(app: App) -> App:
        wrapped: App = middleware(app)
        return wrapped

    def query(text: str) -> None:
        with tracer.trace("postgres.query", resource=text, span_type="sql") as span:
            span.set_tag("db.system", "postgresql")
            span.set_tag("db.name", "shop")

    return Started(wrap, query, tracer.flush)
