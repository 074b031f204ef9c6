"""Bodies that are dropped, copied, shared by threads or large: nothing is kept alive or held in memory."""

import contextlib
import contextvars
import copy
import gc
import itertools
import sys
import threading
import tracemalloc

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware
from sentry_paste.client.registry import registry

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
            # Streamed spans know their request until they are sent.
            app.client.flush()
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


class Counted:
    """An iterable that is not an iterator, as Django's responses are."""

    def __iter__(self):
        yield from (b"one ", b"two")


def peeked(body):
    iterator = iter(body)
    first = next(iterator)
    return list(itertools.chain([first], iterator))


def begun_anew_in_between(body):
    first = iter(body)
    return [next(first), *iter(body), *first]


def twice(body):
    return [*body, *body]


class TestBodiesThatAreBegunTwice:
    """What an outer middleware does with the body has the same effect as without the filter."""

    @pytest.mark.parametrize("body", [Counted, lambda: iter([b"one ", b"two"]), lambda: [b"one ", b"two"]])
    @pytest.mark.parametrize("habit", [peeked, begun_anew_in_between, twice])
    @pytest.mark.parametrize("options", [{}, {"error_page": True}])
    def test_chunks_are_those_of_the_app(self, captured, body, habit, options):
        def app(environ, start_response):
            start_response("200 OK", [])
            return body()

        bare = app(environ_of(), lambda *args: None)
        ours = SentryMiddleware(app, **options)(environ_of(), lambda *args: None)
        assert habit(ours) == habit(bare)

    def test_iterator_of_a_body_that_is_closed_is_closed(self, captured):
        closed = []

        class Body:
            def __iter__(self):
                try:
                    yield b"one"
                    yield b"two"
                finally:
                    closed.append(sentry_sdk.get_traceparent())

        def app(environ, start_response):
            start_response("200 OK", [])
            sentry_sdk.set_tag("a", "b")
            environ["trace"].append(sentry_sdk.get_traceparent())
            return Body()

        trace = []
        iterator = iter(SentryMiddleware(app)({**environ_of(), "trace": trace}, lambda *args: None))
        next(iterator)
        iterator.close()
        assert [found[:32] for found in closed] == [found[:32] for found in trace]


class TestMarkers:
    """gunicorn's ALREADY_HANDLED, None of uWSGI's websockets: compared by identity."""

    @pytest.mark.parametrize("marker", [object(), None, 7, object])
    def test_what_is_not_iterable_is_given_back(self, captured, marker):
        body = SentryMiddleware(lambda environ, start_response: marker, release="1")(
            environ_of(), lambda *args: None
        )
        assert body is marker
        registry.clients()[0].flush()
        assert captured.errors == []
        assert captured.sessions[0]["exited"] == 1

    @pytest.mark.parametrize("kind", [bytes, list])
    def test_proxy_is_not_asked_what_it_is(self, captured, kind):
        asked = []

        class Proxy:
            @property
            def __class__(self):
                asked.append("class")
                return kind

            def __iter__(self):
                return iter([b"x"])

        body = SentryMiddleware(lambda environ, start_response: Proxy())(environ_of(), lambda *args: None)
        assert list(body) == [b"x"]
        assert asked == []


def test_generator_that_is_dropped_is_closed_in_its_context(captured):
    variable = contextvars.ContextVar("variable")
    ended = []

    def app(environ, start_response):
        def body():
            token = variable.set("of the request")
            try:
                yield b"one"
                yield b"two"
            finally:
                variable.reset(token)
                ended.append(True)

        start_response("200 OK", [])
        return body()

    body = SentryMiddleware(app)(environ_of(), lambda *args: None)
    assert next(iter(body)) == b"one"
    del body
    gc.collect()
    assert ended == [True]


def test_generator_that_the_app_keeps_is_not_closed(captured):
    kept = []

    def app(environ, start_response):
        start_response("200 OK", [])
        kept.append(chunk for chunk in (b"one", b"two"))
        return kept[0]

    body = SentryMiddleware(app)(environ_of(), lambda *args: None)
    assert next(iter(body)) == b"one"
    del body
    gc.collect()
    assert next(kept[0]) == b"two"


@pytest.mark.parametrize("wrapped", [False, True])
def test_generator_that_fails_when_it_is_dropped_is_reported_as_without_the_filter(captured, wrapped):
    unraisable = []

    def app(environ, start_response):
        start_response("200 OK", [])
        try:
            yield b"one"
        finally:
            raise RuntimeError("of the app")

    body = (SentryMiddleware(app) if wrapped else app)(environ_of(), lambda *args: None)
    assert next(iter(body)) == b"one"
    before, sys.unraisablehook = sys.unraisablehook, lambda found: unraisable.append(str(found.exc_value))
    try:
        del body
        gc.collect()
    finally:
        sys.unraisablehook = before
    assert unraisable == ["of the app"]


class TestWhatUWSGIPrints:
    """uWSGI prints a TypeError by ``sys.excepthook`` where an app has returned something that is no body."""

    @staticmethod
    def printed(captured, app):
        SentryMiddleware(app)(environ_of(), lambda *args: None)
        sys.excepthook(TypeError, TypeError("'NoneType' object is not iterable"), None)
        return [event["exception"]["values"][0]["type"] for event in captured.errors]

    def test_is_no_error_where_the_app_has_answered_itself(self, captured):
        assert self.printed(captured, lambda environ, start_response: None) == []

    def test_is_an_error_where_the_app_has_started_a_response(self, captured):
        def app(environ, start_response):
            start_response("200 OK", [])

        assert self.printed(captured, app) == ["TypeError"]

    def test_is_an_error_the_next_time(self, captured):
        self.printed(captured, lambda environ, start_response: None)
        sys.excepthook(TypeError, TypeError("'int' object is not iterable"), None)
        assert len(captured.errors) == 1
