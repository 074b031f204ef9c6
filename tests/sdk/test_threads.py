"""Threads of the SDK and of the filter belong to no request, and their uploads are not traced."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.client.registry import registry

from traced_apps import answer, needs_streamed_spans, traced
from wsgi_calls import call, environ_of

LIFECYCLES = [
    pytest.param({}, id="static"),
    pytest.param({"trace_lifecycle": "stream"}, id="stream", marks=needs_streamed_spans),
]


@pytest.mark.parametrize("options", LIFECYCLES)
def test_upload_is_no_span_of_the_app(receiver, options):
    def app(environ, start_response):
        sentry_sdk.capture_message("uploaded while the request goes on")
        receiver.wait(errors=1)
        return answer(environ, start_response)

    call(traced(app, dsn=receiver.dsn, **options), environ_of("/x"))
    registry.clients()[0].flush()
    receiver.wait(transactions=1)
    (transaction,) = receiver.transactions
    assert [span["description"] for span in transaction["spans"]] == []
    # Nor is it a trace of its own, which would be uploaded, and so on.
    registry.clients()[0].flush()
    time.sleep(0.2)
    registry.clients()[0].flush()
    assert [found["transaction"] for found in receiver.transactions] == ["GET /x"]


@pytest.mark.parametrize("part", ["worker", "sessions"])
def test_thread_of_the_sdk_that_a_request_starts_belongs_to_no_request(receiver, part):
    found, done = [], threading.Event()

    def look():
        found.append((sdk.request_data(), sentry_sdk.get_traceparent()))
        done.set()

    def app(environ, start_response):
        client, trace = sentry_sdk.get_client(), sentry_sdk.get_traceparent()
        found.append(trace)
        if part == "worker":
            client.transport._worker.submit(look)
        else:
            client.session_flusher.flush_interval = 0.01
            client.session_flusher.flush = look
        raise ValueError("starts the threads")

    call(traced(app, dsn=receiver.dsn), environ_of("/first"))
    assert done.wait(10)
    trace, (request, trace_of_thread) = found
    assert request is None
    assert trace_of_thread[:32] != trace[:32]
    receiver.wait(errors=1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_child_that_is_forked_in_a_request_has_its_trace(captured):
    traces = []

    def app(environ, start_response):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writing, sentry_sdk.get_traceparent().encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writing)
        with os.fdopen(reading, "rb") as found:
            traces.append(found.read().decode()[:32])
        traces.append(sentry_sdk.get_traceparent()[:32])
        return answer(environ, start_response)

    call(SentryMiddleware(app), environ_of())
    assert traces[0] == traces[1] != ""


CLIENT_OF_THE_APP = """
import sentry_sdk
from sentry_paste import SentryMiddleware, sdk
from wsgi_calls import call
import apps

middleware = SentryMiddleware(apps.crash, dsn={dsn!r}, release="1")
sentry_sdk.init(dsn={other!r})
for _ in range(3):
    call(middleware)
"""


def test_app_that_starts_a_client_after_the_filter_loses_nothing(receiver):
    script = CLIENT_OF_THE_APP.format(dsn=receiver.dsn, other=receiver.dsn.replace("public", "other"))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-W", "ignore", "-c", script]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=180, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert "the app has started a Sentry client of its own" in ended.stderr
    receiver.wait(errors=3)
    assert sum(found["crashed"] for found in receiver.envelopes.sessions) == 3
