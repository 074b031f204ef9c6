"""Sessions: one for each request, none lost, whoever counts."""

import _thread
import os
import threading

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.client.registry import registry

import apps
from traced_apps import answer
from wsgi_calls import call, environ_of


class TestSessions:
    def test_healthy_request_is_a_session(self, flushed):
        call(SentryMiddleware(answer, release="1"))
        assert [session["exited"] for session in flushed().sessions] == [1]

    def test_none_is_lost_when_many_threads_count(self, flushed):
        app = SentryMiddleware(answer, release="1")
        threads = [
            threading.Thread(target=lambda: [call(app, environ_of()) for _ in range(200)]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(session["exited"] for session in flushed().sessions) == 1600

    def test_none_is_lost_when_filters_share_a_client(self, flushed):
        filters = [SentryMiddleware(answer, release="1", ignore_paths=[f"/none{n}"]) for n in range(4)]
        (client,) = registry.clients()
        for filtered in filters:
            call(filtered, environ_of())
        with client.session_flusher._aggregate_lock:
            for filtered in filters:
                call(filtered, environ_of())
        assert sum(session["exited"] for session in flushed().sessions) == 8

    def test_body_that_is_collected_while_a_session_is_counted_waits(self, flushed, monkeypatch):
        def app(environ, start_response):
            if environ["PATH_INFO"] == "/dropped":
                sentry_sdk.set_tag("opens", "the request")
            start_response("200 OK", [])
            yield b"x"

        filtered = SentryMiddleware(app, release="1")
        call(filtered, environ_of())
        body = filtered(environ_of("/dropped"), lambda *args: None)
        next(iter(body))
        dropped, body = [body], None
        take_pending = sdk.HealthySession.take_pending

        def collect(session):
            dropped.clear()
            return take_pending(session)

        with monkeypatch.context() as patched:
            patched.setattr(sdk.HealthySession, "take_pending", collect)
            # In a thread, as it would wait for ever for a lock that it has; not one of threading's, which
            # ThreadingIntegration has its frames in.
            ended = threading.Event()
            _thread.start_new_thread(lambda: (call(filtered, environ_of()), ended.set()), ())
            assert ended.wait(30)
        call(filtered, environ_of())
        assert sum(session["exited"] for session in flushed().sessions) == 4

    def test_request_does_not_wait_for_the_lock_of_the_counter(self, flushed):
        app = SentryMiddleware(answer, release="1")
        call(app, environ_of())
        client = registry.clients()[0]
        with client.session_flusher._aggregate_lock:
            call(app, environ_of())
            call(app, environ_of())
        assert sum(session["exited"] for session in flushed().sessions) == 3

    def test_what_was_not_counted_is_counted_by_the_next_request(self, captured):
        app = SentryMiddleware(answer, release="1")
        call(app, environ_of())
        client = registry.clients()[0]
        with client.session_flusher._aggregate_lock:
            call(app, environ_of())
        call(app, environ_of())
        ((_, counters),) = client.session_flusher.pending_aggregates.items()
        assert [counter["exited"] for counter in counters.values()] == [3]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="a fork is of Unix")
    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_process_that_is_forked_counts_its_own(self, captured, flushed):
        app = SentryMiddleware(answer, release="1")
        call(app, environ_of())
        client = registry.clients()[0]
        with client.session_flusher._aggregate_lock:
            call(app, environ_of())
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover - its coverage would be lost
            try:
                client.session_flusher.pending_aggregates = {}
                call(app, environ_of())
                call(app, environ_of())
                client.session_flusher.flush()
                os.write(writing, str(sum(one["exited"] for one in captured.sessions)).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reading, 100) == b"2"
        os.close(reading)
        os.close(writing)
        assert sum(session["exited"] for session in flushed().sessions) == 2

    def test_error_that_is_handled_makes_an_errored_session(self, flushed):
        def app(environ, start_response):
            try:
                raise ValueError
            except ValueError:
                sentry_sdk.capture_exception()
            return answer(environ, start_response)

        call(SentryMiddleware(app, release="1"))
        assert [session["errored"] for session in flushed().sessions] == [1]

    def test_crash_in_mid_stream_is_a_crashed_session(self, flushed):
        call(SentryMiddleware(apps.crash_in_stream, release="1"))
        assert [session["crashed"] for session in flushed().sessions] == [1]

    def test_sessions_can_be_turned_off(self, flushed):
        call(SentryMiddleware(answer, release="1", auto_session_tracking=False))
        assert flushed().sessions == []


def test_session_tracking_that_is_stopped_is_off(flushed):
    sentry_sdk.get_isolation_scope().stop_auto_session_tracking()
    call(SentryMiddleware(answer, release="1"))
    assert flushed().sessions == []
