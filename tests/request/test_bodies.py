"""Bodies that are dropped, copied, shared by threads or large: nothing is kept alive or held in memory."""

import contextlib
import copy
import gc
import threading
import tracemalloc

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware

import apps
from traced_apps import needs_streamed_spans, traced
from wsgi_calls import call, environ_of


class TestNothingStays:
    @staticmethod
    def left(app, **environ):
        """How many objects of ours are left after a hundred requests that no garbage collector cleared up."""
        kinds = {"Lifecycle", "Body", "ListBody", "RequestData", "TransactionTrace", "SpanTrace"}

        def count():
            return sum(type(found).__name__ in kinds for found in gc.get_objects())

        def request():
            # No more than a server has to do: `call` keeps what it sees, errors and their frames among it.
            with contextlib.suppress(Exception):
                body = app(environ_of(**environ), lambda *args: None)
                try:
                    for _ in body:
                        pass
                finally:
                    body.close()

        request()
        gc.collect()
        before = count()
        gc.disable()
        try:
            for _ in range(100):
                request()
            return count() - before
        finally:
            gc.enable()

    @pytest.mark.parametrize("name", ["answer_list", "answer_generator", "crash", "crash_in_stream"])
    def test_of_transactions(self, captured, name):
        # What the server may yet log is remembered until its thread's next request.
        assert self.left(traced(apps.APPS[name])) <= 5

    @needs_streamed_spans
    @pytest.mark.parametrize("name", ["answer_list", "crash"])
    def test_of_streamed_spans(self, captured, name):
        assert self.left(traced(apps.APPS[name], trace_lifecycle="stream")) <= 5


class TestDroppedBodies:
    def test_body_that_is_dropped_inside_the_sdk_is_finished_by_the_next_request(self, captured):
        """There the thread may hold a lock of the SDK's, which finishing would take again."""
        held = []

        def drop(event, hint):
            held.clear()
            return event

        app = traced(apps.by_path, before_send=drop)
        held.append(app(environ_of("/answer_generator"), lambda *args: None))
        sentry_sdk.capture_message("drops it")
        assert held == []
        assert captured.transactions == []
        call(app, environ_of("/answer_list"))
        names = [transaction["transaction"] for transaction in captured.transactions]
        assert names == ["GET /answer_generator", "GET /answer_list"]

    def test_flush_finishes_it_too(self, captured):
        held = []
        app = traced(apps.by_path, before_send=lambda event, hint: held.clear() or event)
        held.append(app(environ_of("/answer_generator"), lambda *args: None))
        sentry_sdk.capture_message("drops it")
        app.client.flush()
        assert len(captured.transactions) == 1


def test_body_can_be_copied(captured):
    class Chunks:
        def __iter__(self):
            return iter([b"a"])

    body = SentryMiddleware(lambda environ, start_response: Chunks())(environ_of(), lambda *args: None)
    assert type(copy.copy(body)) is type(body)
    body.close()


def test_error_of_a_second_thread_in_mid_chunk_is_reported(captured):
    """Two threads in one body are a mistake; the app's errors are reported nevertheless."""
    inside, go_on, scopes = threading.Event(), threading.Event(), []

    class Chunks:
        calls = 0

        def __iter__(self):
            return self

        def __next__(self):
            self.calls += 1
            scopes.append(sentry_sdk.get_isolation_scope())
            if self.calls == 2:
                raise ValueError("second")
            inside.set()
            go_on.wait(30)
            return b"a"

    body = SentryMiddleware(lambda environ, start_response: Chunks())(environ_of(), lambda *args: None)
    iter(body)
    thread = threading.Thread(target=lambda: next(body))
    thread.start()
    inside.wait(30)
    with pytest.raises(ValueError, match="second"):
        next(body)
    go_on.set()
    thread.join()
    body.close()
    assert scopes[0] is scopes[1]
    assert len(captured.errors) == 1


@pytest.mark.parametrize("chunks", [iter, list], ids=["generator", "list"])
def test_large_body_takes_no_more_memory_than_the_app_s(captured, chunks):
    megabyte = 1024 * 1024

    def app(environ, start_response):
        start_response("200 OK", [])
        made = (bytes(megabyte) for _ in range(100))
        return made if chunks is iter else [b"x" * megabyte] * 100

    middleware = traced(app)  # a client imports what takes as much
    tracemalloc.start()
    try:
        body = middleware(environ_of(), lambda *args: None)
        assert sum(len(chunk) for chunk in body) == 100 * megabyte
        body.close()
        # Threads of other tests may be at work.
        assert tracemalloc.get_traced_memory()[1] < 20 * megabyte
    finally:
        tracemalloc.stop()
