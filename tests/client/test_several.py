"""Several filters with several DSNs in one process."""

import logging
import threading

import pytest
import sentry_sdk
from webtest import TestApp

from sentry_paste.client.registry import registry

import receiver as receiver_module

INI = """
    [composite:main]
    paste.composite_factory = test_several:mounts
    /a = a
    /b = b

    [pipeline:a]
    pipeline = sentry-a app

    [pipeline:b]
    pipeline = sentry-b app

    [filter:sentry-a]
    use = egg:sentry_paste
    dsn = {a}
    release = a
    traces_sample_rate = 1
    {logs}

    [filter:sentry-b]
    use = egg:sentry_paste
    dsn = {b}
    release = b
    traces_sample_rate = 1
    {logs}

    [app:app]
    paste.app_factory = test_several:make_app
"""


def mounts(loader, global_conf, **paths):
    """A urlmap: it moves the path, as Paste's does."""
    apps = {prefix: loader.get_app(name, global_conf=global_conf) for prefix, name in paths.items()}

    def app(environ, start_response):
        prefix = environ["PATH_INFO"][:2]
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = prefix, environ["PATH_INFO"][2:]
        return apps[prefix](environ, start_response)

    return app


def make_app(global_conf):
    def app(environ, start_response):
        where, log = environ["SCRIPT_NAME"], logging.getLogger("shop")
        thread = threading.Thread(target=log.error, args=("logged in a thread of %s", where))
        thread.start()
        thread.join()
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"hello"
        log.error("logged in the stream of %s", where)

    return app


@pytest.fixture
def two():
    with receiver_module.serve() as a, receiver_module.serve() as b:
        yield a, b
        registry.reset()


@pytest.fixture
def asked(load, two):
    a, b = two
    logs = "enable_logs = true" if hasattr(sentry_sdk, "traces") else ""
    app = TestApp(load(INI.format(a=a.dsn, b=b.dsn, logs=logs)))
    for path in ("/a/x", "/b/x", "/b/y"):
        app.get(path)
    for client in registry.clients():
        client.flush()
    for one, count in ((a, 1), (b, 2)):
        one.wait(errors=2 * count, transactions=count)
    return two


def test_each_gets_its_own_events_those_of_threads_among_them(asked):
    messages = [sorted(error["logentry"]["params"][0] for error in one.errors) for one in asked]
    assert messages == [["/a"] * 2, ["/b"] * 4]
    assert {error["release"] for error in asked[1].errors} == {"b"}


def test_each_gets_its_own_transactions(asked):
    names = [sorted(found["transaction"] for found in one.transactions) for one in asked]
    assert names == [["GET /a/x"], ["GET /b/x", "GET /b/y"]]


def test_each_gets_its_own_sessions(asked):
    sessions = [sum(found["exited"] for found in one.envelopes.sessions) for one in asked]
    releases = [{found["attrs"]["release"] for found in one.envelopes.payloads("sessions")} for one in asked]
    assert (sessions, releases) == ([1, 2], [{"a"}, {"b"}])


@pytest.mark.skipif(not hasattr(sentry_sdk, "traces"), reason="this sentry-sdk has no log items")
def test_each_gets_its_own_log_items(asked):
    bodies = [
        {item["body"][-2:] for payload in one.envelopes.payloads("log") for item in payload["items"]}
        for one in asked
    ]
    assert bodies == [{"/a"}, {"/b"}]
