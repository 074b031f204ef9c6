"""New Relic's agent in its developer mode, which harvests and encodes all, and then sends nothing.

Its protocol needs TLS and its vendor's collector, so compression and the network are left out: its figures
are lower than what it really takes. Transactions, spans, metrics and SQL are recorded. By default it would
sample ten traces a minute; here it samples all or none. Transactions that are not sampled are still recorded.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from benchmarks.agents import SAMPLED, Started
from benchmarks.work import App


def start(kind: str, _receiver: str, _options: dict[str, Any]) -> Started:
    """Start the agent, which instruments modules as they are imported.

    Args:
        kind: what is recorded.
        _receiver: ignored.
        _options: ignored.
    """
    sampler = "always_on" if kind == SAMPLED else "always_off"
    os.environ.update(
        NEW_RELIC_DEVELOPER_MODE="true",
        NEW_RELIC_LICENSE_KEY="0" * 40,
        NEW_RELIC_APP_NAME="shop",
        NEW_RELIC_LOG="stderr",
        NEW_RELIC_LOG_LEVEL="critical",
        NEW_RELIC_DISTRIBUTED_TRACING_SAMPLER_ROOT=sampler,
        # 2,000 otherwise, of which a turn has nearly as many.
        NEW_RELIC_SPAN_EVENTS_MAX_SAMPLES_STORED="10000",
    )
    agent = importlib.import_module("newrelic.agent")
    agent.initialize()
    registered = agent.register_application(timeout=10)
    core = importlib.import_module("newrelic.core.agent").agent_instance()

    def wrap(app: App) -> App:
        wrapped: App = agent.WSGIApplicationWrapper(app, application=registered)
        return wrapped

    def query(text: str) -> None:
        with agent.DatabaseTrace(text, dbapi2_module=None, database_name="shop"):
            pass

    def flush() -> None:
        application = core.application("shop")
        application.harvest(flexible=True)
        application.harvest(flexible=False)

    return Started(wrap, query, flush)
