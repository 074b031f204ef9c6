"""Spotlight in a development ini: it gets everything, and the app does not notice."""

import http.client
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest
import sentry_sdk
from webtest import TestApp

from sentry_paste import SentryMiddleware
from sentry_paste.client.registry import registry

import servers
from receiver import serve
from traced_apps import only_transactions

# The spotlight of an old SDK wants Django's settings wherever Django is installed.
pytestmark = pytest.mark.skipif(
    not hasattr(sentry_sdk, "traces"), reason="an old SDK's Spotlight needs Django"
)

INI = """
    [app:main]
    paste.app_factory = test_spotlight:make_app
    filter-with = sentry

    [filter:sentry]
    use = egg:sentry_paste
    spotlight = {spotlight}
    traces_sample_rate = 1
    release = 1
    {options}
"""


def make_app(global_conf, **local_conf):
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/logged":
            logging.getLogger("shop").error("logged")
        if environ["PATH_INFO"] == "/fetched":
            fetch(environ["HTTP_X_FETCH"])
        if environ["PATH_INFO"] == "/crash":
            raise ValueError("crash")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    return app


def fetch(url):
    found = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(found.netloc)
    connection.request("POST", "/fetched", b"{}\n")
    connection.getresponse().read()
    connection.close()


@pytest.fixture(
    params=[
        pytest.param("", id="transactions", marks=only_transactions),
        pytest.param("trace_lifecycle = stream", id="stream"),
    ]
)
def app(load, receiver, request):
    return TestApp(load(INI.format(spotlight=receiver.spotlight, options=request.param)))


def flush():
    (client,) = registry.clients()
    client.flush()


def spans(receiver):
    """The ops of all spans but the requests' own, in either lifecycle."""
    return [span["op"] for event in receiver.transactions for span in event["spans"]]


def requests(receiver):
    return [event["transaction"] for event in receiver.transactions]


def test_all_of_a_request_is_shown(app, receiver):
    app.get("/logged")
    with pytest.raises(ValueError, match="crash"):
        app.get("/crash")
    flush()
    assert len(receiver.errors) == 2
    assert sorted(requests(receiver)) == ["GET /crash", "GET /logged"]
    assert sum(counts.get("crashed", 0) for counts in receiver.envelopes.sessions) == 1


def test_upload_is_in_no_trace_of_the_apps(app, receiver):
    for _ in range(3):  # the first starts the thread
        app.get("/logged")
    flush()
    assert len(requests(receiver)) == 3
    assert spans(receiver) == []


def test_upload_is_no_breadcrumb(app, receiver):
    for _ in range(3):
        app.get("/logged")
    flush()
    found = [crumb["category"] for event in receiver.errors for crumb in event["breadcrumbs"]["values"]]
    assert found == []


def test_upload_does_not_carry_the_apps_trace_on(app, receiver):
    app.get("/logged")
    flush()
    assert receiver.headers
    assert not [name for headers in receiver.headers for name in headers if name.lower() == "sentry-trace"]


def test_request_of_the_apps_is_a_span_as_ever(load, receiver):
    app = TestApp(load(INI.format(spotlight=receiver.spotlight, options="")))
    with serve() as other:
        app.get("/fetched", headers={"X-Fetch": other.dsn.replace("public@", "")})
        flush()
    assert spans(receiver) == ["http.client"]


def test_request_does_not_wait_for_the_upload(app, receiver):
    receiver.goes_on.clear()
    for _ in range(3):
        app.get("/logged")
    assert receiver.errors == []
    receiver.goes_on.set()
    flush()
    assert len(receiver.errors) == 3


def test_no_request_looks_for_a_spotlight_that_is_not_there(load, monkeypatch):
    threads = []
    connect = socket.socket.connect

    def connected(self, address):
        threads.append(threading.current_thread())
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connected)
    app = TestApp(load(INI.format(spotlight=f"http://127.0.0.1:{servers.free_port()}/stream", options="")))
    for _ in range(20):
        assert app.get("/logged").text == "hello"
    flush()
    assert threads
    assert threading.current_thread() not in threads


def test_spotlight_gets_what_sentry_gets(load, receiver):
    with serve() as sentry:
        app = TestApp(load(INI.format(spotlight=receiver.spotlight, options=f"dsn = {sentry.dsn}")))
        app.get("/logged")
        flush()
        sentry.wait(errors=1, transactions=1)
    assert (len(receiver.errors), requests(receiver)) == (1, ["GET /logged"])
    assert spans(receiver) == []


def test_end_of_the_process_uploads_what_is_left(receiver, tmp_path):
    receiver.seconds = 0.2
    program = (
        "from sentry_paste import SentryMiddleware; import test_spotlight, wsgi_calls\n"
        f"options = dict(spotlight={receiver.spotlight!r}, release='1', traces_sample_rate=1.0)\n"
        "app = SentryMiddleware(test_spotlight.make_app({}), **options)\n"
        "wsgi_calls.call(app, wsgi_calls.environ_of('/logged'))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env=servers.environment(), capture_output=True, timeout=180
    )
    assert ended.returncode == 0, ended.stderr
    assert (len(receiver.errors), requests(receiver)) == (1, ["GET /logged"])
    assert len(receiver.envelopes.sessions) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_process_uploads_its_own(app, receiver):
    app.get("/logged")
    flush()
    child = os.fork()
    if not child:
        app.get("/logged")
        flush()
        os._exit(0)
    os.waitpid(child, 0)
    assert len(receiver.errors) == 2


def threads_of_clients():
    """The threads of the SDK, but for the profiler, which is the process' own."""
    return [
        thread
        for thread in threading.enumerate()
        if "sentry" in thread.name and "profiler" not in thread.name
    ]


def test_closed_client_leaves_no_thread(receiver):
    app = TestApp(SentryMiddleware(make_app({}), spotlight=receiver.spotlight, release="1"))
    before = {*threads_of_clients()}
    app.get("/logged")
    registry.reset()
    deadline = time.monotonic() + 120
    while {*threads_of_clients()} - before:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert len(receiver.errors) == 1
