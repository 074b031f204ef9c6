"""The agents that ``python -m benchmarks`` compares, one module each.

Each records what it would in production, encodes it and sends it to a receiver on loopback, or as near to
that as it can get without its vendor's servers; the docstring of its module says what it does and what it
leaves out.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.work import App

#: What is recorded. ERRORS: nothing of a healthy request; UNSAMPLED: spans, but of no request; SAMPLED: those
#: of all requests; STREAM: the same, each span for itself.
ERRORS, UNSAMPLED, SAMPLED, STREAM = "errors", "unsampled", "sampled", "stream"


class Started(NamedTuple):
    """An agent that runs in this process.

    Attributes:
        wrap: puts its middleware around an app.
        query: runs a database query, which does nothing, in a span, given its text.
        flush: returns when all that was recorded is sent.
    """

    wrap: Callable[[App], App]
    query: Callable[[str], None]
    flush: Callable[[], None]


class Agent(NamedTuple):
    """An agent.

    Attributes:
        module: in this package, with a function ``start``.
        needs: the modules that have to be installed.
        kinds: what it can record.
        sends_to: the receiver's names for what it sends to.
    """

    module: str
    needs: tuple[str, ...]
    kinds: tuple[str, ...]
    sends_to: tuple[str, ...] = ()

    def is_installed(self) -> bool:
        """Return whether all that it needs is installed."""
        try:
            return all(importlib.util.find_spec(name) is not None for name in self.needs)
        except ModuleNotFoundError:
            return False

    def start(self, kind: str, receiver: str, options: dict[str, Any]) -> Started:
        """Start it in this process, once.

        Args:
            kind: what it records.
            receiver: the address that it sends to.
            options: further ones, which only the filter and the SDK know.
        """
        started: Started = importlib.import_module(f"benchmarks.agents.{self.module}").start(
            kind, receiver, options
        )
        return started


_ALL = (ERRORS, UNSAMPLED, SAMPLED, STREAM)
_TRACERS = (UNSAMPLED, SAMPLED)
_OPEN_TELEMETRY = (
    "opentelemetry.instrumentation.wsgi",
    "opentelemetry.sdk.trace",
    "opentelemetry.exporter.otlp.proto.http",
)

#: By the name in the tables; "bare" is the app itself.
AGENTS = {
    "bare": Agent("bare", (), _ALL),
    "filter": Agent("paste_filter", (), _ALL, ("1",)),
    "SDK": Agent("sentry", (), _ALL, ("2",)),
    "OpenTelemetry": Agent("open_telemetry", _OPEN_TELEMETRY, _TRACERS, ("/v1/traces",)),
    "ddtrace": Agent("datadog", ("ddtrace",), _TRACERS, ("/v0.4/traces", "/v0.5/traces", "/v1.0/traces")),
    "Elastic": Agent("elastic", ("elasticapm",), (ERRORS, *_TRACERS), ("/intake/v2/events",)),
    "New Relic": Agent("new_relic", ("newrelic",), _TRACERS),
    "raven": Agent("old_raven", ("raven",), (ERRORS,)),
}
