"""A thread that outlives the request which has started it has no request, rather than a wrong one."""

import io
import itertools
import logging
import queue
import threading
from multiprocessing.pool import ThreadPool

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware

from wsgi_calls import call, environ_of

# Not as one literal, which would be in the source code that frames show.
SECRET = "-".join(["t0ken1n", "the", "first"])
NUMBERS = itertools.count()


class QueueThread:
    """A thread that works for all requests, and is started by the first one."""

    def __init__(self):
        self.work = queue.Queue()
        self.thread = None

    def run(self, function):
        if self.thread is None:
            self.thread = threading.Thread(target=self._loop, daemon=True)
            self.thread.start()
        self.work.put(function)
        self.work.join()

    def _loop(self):
        while True:
            function = self.work.get()
            if function is None:
                self.work.task_done()
                return
            function()
            self.work.task_done()

    def end(self):
        self.work.put(None)
        self.thread.join()


class Pool:
    """multiprocessing's pool of threads, which is started by the first request as well."""

    def __init__(self):
        self.pool = None

    def run(self, function):
        if self.pool is None:
            self.pool = ThreadPool(1)
        self.pool.apply(function)

    def end(self):
        self.pool.close()
        self.pool.join()


@pytest.fixture(params=[QueueThread, Pool])
def worker(request):
    found = request.param()
    yield found
    found.end()


def capture():
    logging.getLogger("app").warning("of the thread")
    sentry_sdk.set_tag("of_the_thread", next(NUMBERS))
    try:
        raise ValueError(f"in a thread with {SECRET}")
    except ValueError as error:
        sentry_sdk.capture_exception(error)


def app_of(worker):
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/first":
            sentry_sdk.set_tag("of_the_request", "first")
            sentry_sdk.set_context("basket", {"of": "first"})
            sentry_sdk.set_user({"id": "first"})
            logging.getLogger("app").warning("of the request")
        worker.run(capture)
        start_response("200 OK", [])
        return [b"done"]

    return SentryMiddleware(app, traces_sample_rate=1.0, tags="of_all = kept")


def request(app, path):
    call(app, environ_of(path, HTTP_AUTHORIZATION=f"Bearer {SECRET}"))


def test_its_errors_have_the_request_while_that_goes_on(captured, worker):
    request(app_of(worker), "/first")
    (event,) = captured.errors
    assert event["request"]["url"] == "http://localhost/first"
    assert event["tags"]["of_the_request"] == "first"


def test_its_errors_have_none_once_that_is_over(captured, worker):
    app = app_of(worker)
    request(app, "/first")
    request(app, "/second")
    event = captured.errors[1]
    assert "request" not in event
    assert "transaction" not in event
    assert "user" not in event
    assert "trace" not in event["contexts"]
    assert "basket" not in event["contexts"]
    assert "of_the_request" not in event["tags"]
    assert event["tags"].keys() == {"of_the_thread", "of_all"}
    assert [crumb["message"] for crumb in event["breadcrumbs"]["values"]] == ["of the thread"]


def test_secrets_of_the_request_stay_hidden(captured, worker):
    app = app_of(worker)
    for path in ("/first", "/second"):
        request(app, path)
    assert SECRET not in str(captured.payloads("event"))


def test_processors_of_integrations_end_with_the_request(captured, worker):
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)

    @app.route("/<name>", methods=["POST"])
    def view(name):
        worker.run(capture)
        return "done"

    middleware = SentryMiddleware(app)
    client_environ = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "9"}
    for path in ("/first", "/second"):
        environ = {**environ_of(path), **client_environ, "wsgi.input": io.BytesIO(b'{"a": 10}')}
        call(middleware, environ)
    assert "data" in captured.errors[0]["request"]
    assert "request" not in captured.errors[1]


def test_what_the_request_has_changed_since_is_not_there_either(captured, worker):
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/first":
            sentry_sdk.set_user({"id": "alice"})
            sentry_sdk.set_tag("order", "1")
            worker.run(capture)
            sentry_sdk.set_user({"id": "nobody"})
            sentry_sdk.set_tag("order", "2")
        worker.run(capture)
        start_response("200 OK", [])
        return [b"done"]

    middleware = SentryMiddleware(app)
    for path in ("/first", "/second"):
        request(middleware, path)
    event = captured.errors[-1]
    assert "user" not in event
    assert "order" not in event["tags"]


def test_processors_of_the_app_go_on_with_the_thread(captured, worker):
    from sentry_sdk.integrations.logging import ignore_logger  # a function of the SDK

    def scrub(event, hint):
        event["extra"]["scrubbed"] = True
        return event

    def of_the_sdk(event, hint):
        return event

    of_the_sdk.__module__ = ignore_logger.__module__
    sentry_sdk.get_isolation_scope().add_event_processor(of_the_sdk)

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/first":
            sentry_sdk.get_isolation_scope().add_event_processor(scrub)
        worker.run(capture)
        start_response("200 OK", [])
        return [b"done"]

    middleware = SentryMiddleware(app)
    for path in ("/first", "/second", "/third"):
        request(middleware, path)
    assert [event["extra"].get("scrubbed") for event in captured.errors] == [True] * 3


def test_user_who_signs_in_after_an_event_is_hidden_in_what_comes_after_the_request(captured):
    user, over, threads = "-".join(["alice", "liddell"]), threading.Event(), []

    def late():
        over.wait(10)
        sentry_sdk.capture_message(f"signed in: {user}")

    def app(environ, start_response):
        sentry_sdk.capture_message("before")  # what is in the environ is read for it
        environ["REMOTE_USER"] = user
        threads.append(threading.Thread(target=late))
        threads[0].start()
        start_response("200 OK", [])
        return []

    call(SentryMiddleware(app), environ_of("/x"))
    over.set()
    threads[0].join()
    assert [event["message"] for event in captured.errors] == ["before", "signed in: [Filtered]"]
