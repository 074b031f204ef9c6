"""OpenTelemetry's WSGI middleware, its batching processor and its OTLP exporter over HTTP, to the receiver.

Spans are recorded, encoded as protobuf and sent. No metrics and no logs; errors would be events of the span.
"""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.agents import SAMPLED, Started
from benchmarks.work import App


def start(kind: str, receiver: str, _options: dict[str, Any]) -> Started:
    """Start a provider.

    Args:
        kind: what is recorded.
        receiver: the address that it sends to.
        _options: ignored.
    """
    middleware = importlib.import_module("opentelemetry.instrumentation.wsgi").OpenTelemetryMiddleware
    trace = importlib.import_module("opentelemetry.sdk.trace")
    sampling = importlib.import_module("opentelemetry.sdk.trace.sampling")
    export = importlib.import_module("opentelemetry.sdk.trace.export")
    exporter = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    kinds = importlib.import_module("opentelemetry.trace").SpanKind
    rate = 1.0 if kind == SAMPLED else 0.0
    provider = trace.TracerProvider(sampler=sampling.ParentBasedTraceIdRatio(rate))
    sender = exporter.OTLPSpanExporter(endpoint=f"{receiver}/v1/traces")
    provider.add_span_processor(export.BatchSpanProcessor(sender, max_queue_size=10_000))
    tracer = provider.get_tracer("shop")

    def wrap(app: App) -> App:
        wrapped: App = middleware(app, tracer_provider=provider)
        return wrapped

    def query(text: str) -> None:
        attributes = {"db.system": "postgresql", "db.name": "shop", "db.statement": text}
        with tracer.start_as_current_span("SELECT", kind=kinds.CLIENT, attributes=attributes):
            pass

    return Started(wrap, query, provider.force_flush)
