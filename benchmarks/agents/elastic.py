"""Elastic's client and HTTP transport, to the receiver in place of an APM server.

Its own WSGI middleware reports errors only, and is used where only errors count. For transactions, its client
is called as its integration for Flask calls it, with the request's and the response's context. Off are
metrics of the process, central configuration, the look-up of a cloud's metadata, and what leaves out short
spans.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from benchmarks.agents import ERRORS, SAMPLED, Started
from benchmarks.work import App


def start(kind: str, receiver: str, _options: dict[str, Any]) -> Started:
    """Start a client.

    Args:
        kind: what is recorded.
        receiver: the address that it sends to.
        _options: ignored.
    """
    elasticapm = importlib.import_module("elasticapm")
    client = elasticapm.Client(
        service_name="shop",
        server_url=receiver,
        transaction_sample_rate=0.0 if kind != SAMPLED else 1.0,
        metrics_interval="0s",
        central_config=False,
        cloud_provider="none",
        # Queries that are alike and short are joined otherwise, and the shortest left out.
        span_compression_enabled=False,
        exit_span_min_duration="0ms",
    )

    def wrap(app: App) -> App:
        if kind == ERRORS:
            wrapped: App = importlib.import_module("elasticapm.middleware").ElasticAPM(app, client)
            return wrapped
        return _traced(app, client)

    def query(text: str) -> None:
        extra = {"db": {"type": "sql", "statement": text, "instance": "shop"}}
        with elasticapm.capture_span(
            "SELECT", span_type="db", span_subtype="postgresql", span_action="query", extra=extra, leaf=True
        ):
            pass

    return Started(wrap, query, client._transport.flush)


def _traced(app: App, client: Any) -> App:
    """Return an app whose requests are transactions, as those of Elastic's integrations are."""
    elasticapm = importlib.import_module("elasticapm")
    parents = importlib.import_module("elasticapm.utils.disttracing").TraceParent
    wsgi = importlib.import_module("elasticapm.utils.wsgi")
    url_of = importlib.import_module("elasticapm.utils").get_url_dict

    def described(environ: dict[str, Any]) -> dict[str, Any]:
        return {
            "method": environ["REQUEST_METHOD"],
            "url": url_of(wsgi.get_current_url(environ)),
            "headers": dict(wsgi.get_headers(environ)),
            "env": dict(wsgi.get_environ(environ)),
            "socket": {"remote_address": environ.get("REMOTE_ADDR")},
        }

    def traced(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        parent = parents.from_headers(dict(wsgi.get_headers(environ)))
        client.begin_transaction("request", trace_parent=parent)
        elasticapm.set_context(lambda: described(environ), "request")
        elasticapm.set_transaction_name(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}", override=False)
        answer: dict[str, Any] = {}

        def started(status: str, headers: list[tuple[str, str]], *args: Any) -> Any:
            answer.update(status_code=int(status[:3]), headers=dict(headers))
            return start_response(status, headers, *args)

        body = app(environ, started)
        try:
            yield from body
        finally:
            if hasattr(body, "close"):
                body.close()
            elasticapm.set_context(lambda: answer, "response")
            elasticapm.set_transaction_outcome(http_status_code=answer["status_code"], override=False)
            elasticapm.set_transaction_result(f"HTTP {answer['status_code'] // 100}xx", override=False)
            client.end_transaction()

    return traced
