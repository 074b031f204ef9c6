"""What one request opens, captures and finishes."""

import _thread
import contextlib
import contextvars
import copy
import gc
import logging
import os
import queue
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from collections import deque
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from sentry_sdk.transport import Transport

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.client.registry import registry
from sentry_paste.testing import CapturedEnvelopes, MemoryTransport, capture_envelopes

import apps
from wsgi_calls import call, environ_of

TRACE_ID = "771a43a4192642f0b136d5159a501700"
SPAN_ID = "1234567890abcdef"


def traced(app, **options):
    return SentryMiddleware(app, **{"traces_sample_rate": 1.0, "release": "1", **options})


def answer(environ, start_response):
    start_response("200 OK", [])
    return []


class TestErrors:
    def test_crash_is_one_unhandled_event(self, captured):
        call(traced(apps.crash), environ_of("/shop", QUERY_STRING="page=2"))
        (error,) = captured.errors
        exception = error["exception"]["values"][-1]
        assert exception["type"] == "ValueError"
        assert exception["mechanism"] == {"type": "wsgi", "handled": False}
        assert error["transaction"] == "GET /shop"
        assert error["request"]["url"] == "http://localhost/shop"
        assert error["request"]["query_string"] == "page=2"

    def test_stack_trace_begins_with_the_app(self, captured):
        call(traced(apps.crash))
        call(traced(apps.crash_in_stream))
        call(traced(apps.crash_in_close))
        frames = [error["exception"]["values"][-1]["stacktrace"]["frames"] for error in captured.errors]
        assert [frame[0]["module"] for frame in frames] == ["apps", "apps", "apps"]

    @pytest.mark.parametrize("name", [name for name in apps.APPS if name.startswith("crash_in")])
    def test_error_after_the_call_has_name_trace_and_request(self, captured, name):
        call(traced(apps.APPS[name]), environ_of("/stream"))
        (error,), (transaction,) = captured.errors, captured.transactions
        assert error["transaction"] == transaction["transaction"] == "GET /stream"
        assert error["contexts"]["trace"]["trace_id"] == transaction["contexts"]["trace"]["trace_id"]
        assert error["request"]["url"] == "http://localhost/stream"

    @pytest.mark.parametrize("name", ["crash", "crash_after_start", "crash_in_stream", "crash_in_close"])
    def test_error_marks_transaction_and_session(self, captured, name):
        call(traced(apps.APPS[name]))
        registry.clients()[0].flush()
        (transaction,) = captured.transactions
        assert transaction["contexts"]["trace"]["status"] == "internal_error"
        assert [session.get("crashed") for session in captured.sessions] == [1]

    def test_error_raised_again_in_close_is_one_event(self, captured):
        error = ValueError("the same")

        class Body(apps.CloseRecorder):
            def __iter__(self):
                raise error

        call(traced(lambda environ, start_response: Body([], error)))
        assert len(captured.errors) == 1

    def test_no_error_of_the_sdk_without_default_integrations_is_sent_twice(self, captured):
        error = ValueError("the same")

        class Body(apps.CloseRecorder):
            def __iter__(self):
                raise error

        call(traced(lambda environ, start_response: Body([], error), default_integrations=False))
        assert len(captured.errors) == 1

    @pytest.mark.parametrize(
        "error", [GeneratorExit(), StopIteration(), SystemExit(), SystemExit(0)], ids=repr
    )
    def test_what_is_no_error_is_not_reported(self, captured, error):
        def app(environ, start_response):
            raise error

        assert call(traced(app)).error is error
        assert captured.errors == []

    @pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
    def test_other_exits_are_reported(self, captured, error):
        def app(environ, start_response):
            raise error

        assert call(traced(app)).error is error
        assert len(captured.errors) == 1

    def test_client_that_goes_away_is_no_error(self, captured):
        assert call(traced(apps.answer_generator), read=1).error is None
        assert captured.errors == []
        assert len(captured.transactions) == 1

    def test_logged_error_is_reported_with_the_request(self, captured):
        def app(environ, start_response):
            logging.getLogger("shop").error("no stock")
            return answer(environ, start_response)

        call(traced(app), environ_of("/logged"))
        (error,) = captured.errors
        assert error["logger"] == "shop"
        assert error["request"]["url"] == "http://localhost/logged"


class TestTransactions:
    def test_transaction_has_name_operation_origin_and_status(self, captured):
        call(traced(apps.answer_list), environ_of("/hello", SCRIPT_NAME="/shop"))
        (transaction,) = captured.transactions
        assert transaction["transaction"] == "GET /shop/hello"
        assert transaction["transaction_info"]["source"] == "url"
        trace = transaction["contexts"]["trace"]
        assert (trace["op"], trace["origin"], trace["status"]) == ("http.server", "auto.http.wsgi", "ok")
        assert trace["data"]["http.response.status_code"] == 200

    def test_name_has_the_path_before_the_app_moved_it(self, captured):
        def urlmap(environ, start_response):
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/shop", "/"
            raise ValueError

        call(traced(urlmap), environ_of("/shop/"))
        assert captured.errors[0]["request"]["url"] == "http://localhost/shop/"
        assert captured.transactions[0]["transaction"] == "GET /shop/"

    @pytest.mark.parametrize("name", ["answer_generator", "answer_iterable", "answer_late"])
    def test_transaction_lasts_until_the_body_is_sent(self, captured, name):
        body = traced(apps.APPS[name])(environ_of(), lambda *args: None)
        iterator = iter(body)
        next(iterator)
        assert captured.transactions == []
        list(iterator)
        body.close()
        assert len(captured.transactions) == 1

    def test_list_body_ends_the_transaction_when_it_is_closed(self, captured):
        body = traced(apps.answer_list)(environ_of(), lambda *args: None)
        assert list(body) == [b"hello"]
        assert captured.transactions == []
        body.close()
        assert len(captured.transactions) == 1

    def test_generator_ends_the_transaction_at_its_end_though_nobody_closes_it(self, captured):
        body = traced(apps.answer_generator)(environ_of(), lambda *args: None)
        assert list(body) == [b"one ", b"two"]
        assert len(captured.transactions) == 1

    @pytest.mark.parametrize("name", ["answer_list", "answer_generator", "answer_sized"])
    def test_body_that_is_dropped_ends_the_transaction(self, captured, name):
        body = traced(apps.APPS[name])(environ_of(), lambda *args: None)
        assert captured.transactions == []
        del body
        gc.collect()
        assert len(captured.transactions) == 1

    def test_status_told_late_is_recorded(self, captured):
        call(traced(apps.answer_late))
        assert captured.transactions[0]["contexts"]["response"]["status_code"] == 201

    def test_spans_of_call_body_and_close_are_in_it(self, captured):
        class Body(apps.CloseRecorder):
            def close(self):
                with sentry_sdk.start_span(op="close", name="in close"):
                    pass

        def app(environ, start_response):
            start_response("200 OK", [])
            with sentry_sdk.start_span(op="call", name="in the call"):
                pass

            def stream():
                with sentry_sdk.start_span(op="stream", name="in the stream"):
                    yield b"a"
                    yield b"b"

            return Body(stream())

        call(traced(app))
        (transaction,) = captured.transactions
        assert [span["op"] for span in transaction["spans"]] == ["call", "stream", "close"]

    @pytest.mark.parametrize(("method", "count"), [("HEAD", 0), ("OPTIONS", 0), ("get", 1), ("PROPFIND", 0)])
    def test_methods_that_are_not_captured_make_no_transaction(self, captured, method, count):
        call(traced(answer), environ_of(method=method))
        assert len(captured.transactions) == count

    def test_methods_to_capture_are_an_option(self, captured):
        app = traced(answer, http_methods_to_capture="PROPFIND, head")
        for method in ("PROPFIND", "HEAD", "GET"):
            call(app, environ_of(method=method))
        assert [transaction["transaction"] for transaction in captured.transactions] == [
            "PROPFIND /",
            "HEAD /",
        ]

    def test_errors_of_methods_that_are_not_captured_are_reported_by_name(self, captured):
        call(traced(apps.crash), environ_of("/x", method="OPTIONS"))
        assert captured.errors[0]["transaction"] == "OPTIONS /x"

    def test_errors_have_a_name_where_nothing_is_traced(self, captured):
        call(SentryMiddleware(apps.crash), environ_of("/x"))
        assert captured.errors[0]["transaction"] == "GET /x"
        assert captured.transactions == []

    def test_name_set_by_the_app_wins(self, captured):
        def app(environ, start_response):
            sentry_sdk.get_current_scope().set_transaction_name("route", source="route")
            raise ValueError

        call(traced(app))
        call(SentryMiddleware(app, environment="not traced"))
        assert [error["transaction"] for error in captured.errors] == ["route", "route"]
        assert captured.transactions[0]["transaction_info"]["source"] == "route"

    def test_sampled_request_is_profiled_on_request(self, captured):
        def app(environ, start_response):
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                sum(range(1000))
            return answer(environ, start_response)

        call(traced(app, profiles_sample_rate=1.0))
        assert [item.type for item in captured[0].items] == ["profile", "transaction"]


class TestTraces:
    @pytest.mark.parametrize("options", [{"traces_sample_rate": 1.0}, {"traces_sample_rate": None}])
    def test_trace_is_continued(self, captured, options):
        environ = environ_of(
            HTTP_SENTRY_TRACE=f"{TRACE_ID}-{SPAN_ID}-1", HTTP_BAGGAGE=f"sentry-trace_id={TRACE_ID}"
        )
        call(SentryMiddleware(apps.crash, **options), environ)
        trace = captured.errors[0]["contexts"]["trace"]
        assert (trace["trace_id"], trace["parent_span_id"]) == (TRACE_ID, SPAN_ID)

    def test_decision_of_the_caller_is_kept(self, captured):
        call(traced(answer), environ_of(HTTP_SENTRY_TRACE=f"{TRACE_ID}-{SPAN_ID}-0"))
        assert captured.transactions == []

    @pytest.mark.parametrize("rate", [0.0, 1.0, None])
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"HTTP_SENTRY_TRACE": "broken"},
            {"HTTP_BAGGAGE": ";=,=sentry-\x00%"},
            {"HTTP_SENTRY_TRACE": "a-b-c"},
        ],
        ids=["none", "broken sentry-trace", "broken baggage", "nonsense"],
    )
    def test_every_other_request_has_a_trace_of_its_own(self, captured, rate, headers):
        app = SentryMiddleware(apps.crash, traces_sample_rate=rate)
        for _ in range(3):
            call(app, environ_of(**headers))
        assert len({error["contexts"]["trace"]["trace_id"] for error in captured.errors}) == 3

    def test_outgoing_headers_continue_the_trace(self, captured):
        found = {}

        def app(environ, start_response):
            found.update(sentry_sdk.get_current_scope().iter_trace_propagation_headers())
            return answer(environ, start_response)

        call(SentryMiddleware(app), environ_of(HTTP_SENTRY_TRACE=f"{TRACE_ID}-{SPAN_ID}-1"))
        assert found["sentry-trace"].startswith(TRACE_ID)

    def test_sampler_gets_the_environ_and_the_name(self, captured):
        contexts = []

        def sampler(context):
            contexts.append(context)
            return 0.0

        environ = environ_of("/x")
        call(SentryMiddleware(answer, traces_sampler=sampler), environ)
        assert contexts[0]["wsgi_environ"] is environ
        assert contexts[0]["transaction_context"]["name"] == "GET /x"


class TestSessions:
    def test_healthy_request_is_a_session(self, captured):
        call(SentryMiddleware(answer, release="1"))
        registry.clients()[0].flush()
        assert [session["exited"] for session in captured.sessions] == [1]

    def test_none_is_lost_where_many_threads_count(self, captured):
        app = SentryMiddleware(answer, release="1")
        threads = [
            threading.Thread(target=lambda: [call(app, environ_of()) for _ in range(200)]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        registry.clients()[0].flush()
        assert sum(session["exited"] for session in captured.sessions) == 1600

    def test_none_is_lost_where_filters_share_a_client(self, captured):
        filters = [SentryMiddleware(answer, release="1", ignore_paths=[f"/none{n}"]) for n in range(4)]
        (client,) = registry.clients()
        for filtered in filters:
            call(filtered, environ_of())
        with client.session_flusher._aggregate_lock:
            for filtered in filters:
                call(filtered, environ_of())
        client.flush()
        assert sum(session["exited"] for session in captured.sessions) == 8

    def test_body_that_is_collected_while_a_session_is_counted_waits(self, captured, monkeypatch):
        def app(environ, start_response):
            if environ["PATH_INFO"] == "/dropped":
                sentry_sdk.set_tag("opens", "the request")
            start_response("200 OK", [])
            yield b"x"

        filtered = SentryMiddleware(app, release="1")
        call(filtered, environ_of())
        (client,) = registry.clients()
        body = filtered(environ_of("/dropped"), lambda *args: None)
        next(iter(body))
        dropped, body = [body], None
        take_left = sdk.HealthySession.take_left

        def collect(session):
            dropped.clear()
            return take_left(session)

        with monkeypatch.context() as patched:
            patched.setattr(sdk.HealthySession, "take_left", collect)
            # In a thread, as it would wait for ever for a lock that it has; not one of threading's, which
            # ThreadingIntegration has its frames in.
            ended = threading.Event()
            _thread.start_new_thread(lambda: (call(filtered, environ_of()), ended.set()), ())
            assert ended.wait(30)
        call(filtered, environ_of())
        client.flush()
        assert sum(session["exited"] for session in captured.sessions) == 4

    def test_request_does_not_wait_for_whoever_counts(self, captured):
        app = SentryMiddleware(answer, release="1")
        call(app, environ_of())
        client = registry.clients()[0]
        with client.session_flusher._aggregate_lock:
            call(app, environ_of())
            call(app, environ_of())
        client.flush()
        assert sum(session["exited"] for session in captured.sessions) == 3

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
    def test_process_that_is_forked_counts_its_own(self, captured):
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
        client.flush()
        assert sum(session["exited"] for session in captured.sessions) == 2

    def test_error_that_is_handled_makes_an_errored_session(self, captured):
        def app(environ, start_response):
            try:
                raise ValueError
            except ValueError:
                sentry_sdk.capture_exception()
            return answer(environ, start_response)

        call(SentryMiddleware(app, release="1"))
        registry.clients()[0].flush()
        assert [session["errored"] for session in captured.sessions] == [1]

    def test_crash_in_mid_stream_is_a_crashed_session(self, captured):
        call(SentryMiddleware(apps.crash_in_stream, release="1"))
        registry.clients()[0].flush()
        assert [session["crashed"] for session in captured.sessions] == [1]

    def test_sessions_can_be_turned_off(self, captured):
        call(SentryMiddleware(answer, release="1", auto_session_tracking=False))
        registry.clients()[0].flush()
        assert captured.sessions == []


class TestScopes:
    def test_tag_of_one_request_is_not_on_the_next(self, captured):
        def app(environ, start_response):
            if environ["PATH_INFO"] == "/first":
                sentry_sdk.set_tag("who", "first")
            raise ValueError

        call(traced(app), environ_of("/first"))
        call(traced(app), environ_of("/second"))
        assert [error.get("tags", {}).get("who") for error in captured.errors] == ["first", None]

    def test_breadcrumbs_from_before_the_request_are_not_its_own(self, captured):
        app = traced(apps.crash)
        sentry_sdk.add_breadcrumb(message="at start-up")
        call(app)
        assert captured.errors[0]["breadcrumbs"]["values"] == []

    def test_bodies_interleaved_in_one_thread_keep_their_scopes(self, captured):
        bodies = [iter(traced(self.tagging)(environ_of(path), lambda *args: None)) for path in ("/a", "/b")]
        for body in bodies * 2:
            next(body)
        for body in bodies:
            with pytest.raises(ValueError, match="/"):
                next(body)
        tags = [
            (error["exception"]["values"][-1]["value"], error["tags"]["path"]) for error in captured.errors
        ]
        assert tags == [("/a", "/a"), ("/b", "/b")]

    @staticmethod
    def tagging(environ, start_response):
        path = environ["PATH_INFO"]
        start_response("200 OK", [])
        yield b"one"
        sentry_sdk.set_tag("path", path)
        yield b"two"
        raise ValueError(path)

    def test_body_iterated_in_another_thread_keeps_its_scope(self, captured):
        body = traced(self.tagging)(environ_of("/a"), lambda *args: None)

        def read():
            with pytest.raises(ValueError, match="/a"):
                list(body)

        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        (error,) = captured.errors
        assert error["tags"]["path"] == "/a"
        assert error["request"]["url"] == "http://localhost/a"

    def test_close_in_another_thread_while_a_chunk_is_made(self, captured):
        making, closed = threading.Event(), threading.Event()

        class Slow:
            def __iter__(self):
                making.set()
                assert closed.wait(30)
                yield b"late"

            def close(self):
                sentry_sdk.capture_message("closing")
                closed.set()

        body = traced(lambda environ, start_response: Slow())(environ_of("/slow"), lambda *args: None)
        chunks = []
        thread = threading.Thread(target=lambda: chunks.extend(body))
        thread.start()
        assert making.wait(30)
        body.close()
        thread.join()
        assert chunks == [b"late"]
        assert captured.errors[0]["request"]["url"] == "http://localhost/slow"
        assert len(captured.transactions) == 1

    def test_runtime_error_of_close_is_raised_and_close_not_called_again(self, captured):
        calls = []
        body = apps.CloseRecorder([b"a"], RuntimeError("cannot enter context: fake"), calls)
        assert type(call(traced(lambda environ, start_response: body)).error) is RuntimeError
        assert calls == ["close"]

    def test_scopes_of_the_server_are_as_before(self, captured):
        before = sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()
        call(traced(self.tagging))
        assert (sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()) == before
        assert "path" not in before[0]._tags

    def test_request_is_not_kept_alive(self, captured):
        class Input:
            deaths = []

            def __del__(self):
                self.deaths.append("collected")

        gc.disable()
        try:
            call(traced(answer), environ_of(**{"wsgi.input": Input()}))
            assert Input.deaths == ["collected"]
        finally:
            gc.enable()


class TestOneEventOneTransaction:
    def test_filter_twice_in_a_pipeline(self, captured):
        call(traced(traced(apps.crash)))
        assert (len(captured.errors), len(captured.transactions)) == (1, 1)

    def test_filter_inside_the_sdks_own_middleware(self, captured):
        call(SentryWsgiMiddleware(traced(apps.crash)))
        assert (len(captured.errors), len(captured.transactions)) == (1, 1)

    def test_the_sdks_own_middleware_inside_the_filter(self, captured):
        call(traced(SentryWsgiMiddleware(apps.crash)))
        assert (len(captured.errors), len(captured.transactions)) == (1, 1)

    def test_error_that_the_app_logs_and_raises(self, captured):
        def app(environ, start_response):
            try:
                raise ValueError("logged and raised")
            except ValueError:
                logging.getLogger("shop").exception("failed")
                raise

        call(traced(app))
        assert len(captured.errors) == 1

    @pytest.mark.parametrize("name", ["crash", "crash_in_stream", "crash_in_close"])
    def test_error_that_the_server_logs(self, captured, name):
        seen = call(traced(apps.APPS[name]))
        logging.getLogger("waitress").error("Exception while serving", exc_info=seen.error)
        assert len(captured.errors) == 1

    def test_error_that_the_server_logs_as_text(self, captured, monkeypatch):
        """As granian does, from Rust; what it logs of another error is an event."""
        monkeypatch.setattr("sentry_paste.client.server_logs._reported", deque())  # of other tests
        seen = call(traced(apps.crash))
        reported = f"{type(seen.error).__name__}: {seen.error}"
        for last, count in ((reported, 1), (reported, 2), ("KeyError: 'outside'", 3)):
            logging.getLogger("_granian.utils").error("Application callable raised an exception\n..\n" + last)
            assert len(captured.errors) == count

    def test_error_that_the_server_logs_to_another_client(self, captured):
        traced(apps.answer_list)
        seen = call(traced(apps.crash, environment="another client"))
        logging.getLogger("waitress").error("Exception while serving", exc_info=seen.error)
        assert [error["environment"] for error in captured.errors] == ["another client"]

    def test_the_same_object_raised_in_two_requests_is_two_errors(self, captured):
        error = ValueError("one for all")

        def app(environ, start_response):
            raise error

        for _ in range(2):
            call(traced(app))
        assert len(captured.errors) == 2


def broken(*args):
    raise RuntimeError("this hook is broken")


class BrokenTransport(Transport):
    def capture_envelope(self, envelope):
        raise RuntimeError("this transport is broken")


class TestBadHooks:
    """A hook of the user's that fails costs what it had to decide about, never the response."""

    @pytest.mark.parametrize(
        "hook",
        ["before_send", "before_send_transaction", "before_breadcrumb", "traces_sampler", "error_sampler"],
    )
    @pytest.mark.parametrize(
        "hook_value", [broken, lambda *args: "nonsense", lambda *args: 7], ids=["raises", "text", "7"]
    )
    def test_app_answers_as_if_nothing_were_there(self, captured_unchecked, hook, hook_value):
        def app(environ, start_response):
            logging.getLogger("shop").warning("a breadcrumb")
            sentry_sdk.add_breadcrumb(message="another")
            sentry_sdk.capture_message("hello")
            if environ["PATH_INFO"] == "/crash":
                raise ValueError("the app's own")
            return apps.answer_list(environ, start_response)

        filtered = SentryMiddleware(app, **{"traces_sample_rate": 1.0, "release": "1", hook: hook_value})
        assert call(filtered).chunks == [b"hello"]
        assert str(call(filtered, environ_of("/crash")).error) == "the app's own"

    @pytest.mark.parametrize("hook", ["before_breadcrumb", "traces_sampler", "error_sampler"])
    def test_no_error_is_lost_by_a_hook_that_raises(self, captured, hook):
        call(SentryMiddleware(apps.crash, **{"traces_sample_rate": 1.0, hook: broken}), environ_of("/x"))
        (error,) = captured.errors
        assert error["transaction"] == "GET /x"
        assert error["request"]["url"] == "http://localhost/x"

    def test_transport_that_raises_does_not_raise_into_the_app(self):
        def app(environ, start_response):
            assert sentry_sdk.capture_message("hello") is None
            return apps.answer_list(environ, start_response)

        filtered = SentryMiddleware(app, transport=BrokenTransport(), traces_sample_rate=1.0, release="1")
        assert call(filtered).chunks == [b"hello"]
        assert str(call(SentryMiddleware(apps.crash, transport=BrokenTransport())).error) == "in the call"

    def test_filter_that_fails_to_open_calls_the_app_alone(self, captured, monkeypatch, caplog):
        monkeypatch.setattr("sentry_paste.request.lifecycle.RequestScopes", broken)
        assert call(traced(apps.answer_list)).chunks == [b"hello"]
        assert "a request goes unreported" in caplog.text


@pytest.mark.skipif(not hasattr(sentry_sdk, "traces"), reason="this sentry-sdk has no streamed spans")
class TestStreamedSpans:
    def streamed(self, app, **options):
        return traced(app, trace_lifecycle="stream", **options)

    def spans(self, captured):
        registry.clients()[0].flush()
        return [span for payload in captured.payloads("span") for span in payload["items"]]

    def test_request_is_a_segment(self, captured):
        call(self.streamed(apps.answer_generator), environ_of("/x"))
        (span,) = self.spans(captured)
        assert (span["name"], span["is_segment"], span["status"]) == ("GET /x", True, "ok")
        assert span["attributes"]["http.response.status_code"]["value"] == 200
        assert span["attributes"]["sentry.op"]["value"] == "http.server"
        assert captured.transactions == []

    @pytest.mark.parametrize(("status", "told"), [(200, "ok"), (399, "ok"), (400, "error"), (500, "error")])
    def test_status_of_the_span(self, captured, status, told):
        def app(environ, start_response):
            start_response(f"{status} So", [])
            return []

        call(traced(app, trace_lifecycle="stream"))
        for client in registry.clients():
            client.flush()
        ((span,),) = [payload["items"] for payload in captured.payloads("span")]
        assert span["status"] == told
        assert span["attributes"]["http.response.status_code"]["value"] == status

    def test_span_of_the_stream_is_a_child(self, captured):
        def app(environ, start_response):
            start_response("200 OK", [])
            with sentry_sdk.traces.start_span(name="in the stream"):
                yield b"a"

        call(self.streamed(app))
        child, segment = self.spans(captured)
        assert child["parent_span_id"] == segment["span_id"]

    def test_crash_in_mid_stream_marks_the_span_and_has_its_trace(self, captured):
        call(self.streamed(apps.crash_in_stream), environ_of("/x"))
        (span,), (error,) = self.spans(captured), captured.errors
        assert span["status"] == "error"
        assert error["contexts"]["trace"]["trace_id"] == span["trace_id"]
        assert error["transaction"] == "GET /x"

    def test_trace_is_continued(self, captured):
        call(self.streamed(answer), environ_of(HTTP_SENTRY_TRACE=f"{TRACE_ID}-{SPAN_ID}-1"))
        (span,) = self.spans(captured)
        assert (span["trace_id"], span["parent_span_id"]) == (TRACE_ID, SPAN_ID)

    def test_errors_have_a_name_where_nothing_is_traced(self, captured):
        call(SentryMiddleware(apps.crash, trace_lifecycle="stream"), environ_of("/x"))
        assert captured.errors[0]["transaction"] == "GET /x"


class TestCapturingThatFails:
    """What we tell of a failure must not be captured, which would fail again."""

    @pytest.mark.parametrize("logs", [{}, {"enable_logs": True}], ids=["", "logs"])
    def test_warnings_of_ours_are_no_events(self, captured_unchecked, logs):
        if logs and not hasattr(sentry_sdk, "traces"):
            pytest.skip("this sentry-sdk has no log items")
        options = {"integration.logging.event_level": "WARNING", "before_send": lambda *args: True, **logs}
        assert str(call(SentryMiddleware(apps.crash, **options)).error) == "in the call"
        assert captured_unchecked.errors == []

    def test_warnings_of_the_spool_are_no_events(self, tmp_path, caplog):
        (tmp_path / "spool").write_text("not a directory")
        options = {"integration.logging.event_level": "WARNING", "spool_dir": str(tmp_path / "spool")}
        call(SentryMiddleware(apps.crash, **options))
        assert len([record for record in caplog.records if record.name == "sentry_paste"]) == 1

    @pytest.mark.skipif(not hasattr(sentry_sdk, "traces"), reason="this sentry-sdk has no log items")
    def test_log_hook_that_returns_nonsense_costs_nothing_else(self, captured):
        def app(environ, start_response):
            logging.getLogger("shop").error("hello")
            sentry_sdk.logger.info("a log item")
            return answer(environ, start_response)

        call(traced(app, enable_logs=True, before_send_log=lambda *args: 7))
        registry.clients()[0].flush()
        assert [item["body"] for payload in captured.payloads("log") for item in payload["items"]]
        assert len(captured.sessions) == 1

    def test_session_that_cannot_be_captured_costs_nothing_else(self, captured, monkeypatch, caplog):
        app = traced(apps.answer_list)
        monkeypatch.setattr(app.client.session_flusher, "add_session", broken)
        assert call(app).chunks == [b"hello"]
        assert "a session is lost" in caplog.text
        assert len(captured.transactions) == 1


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

    @pytest.mark.skipif(not hasattr(sentry_sdk, "traces"), reason="this sentry-sdk has no streamed spans")
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


class TestStatus:
    def test_error_after_start_response_has_the_status(self, captured):
        def app(environ, start_response):
            start_response("404 Not Found", [])
            sentry_sdk.capture_message("not there")
            return []

        call(traced(app))
        assert captured.errors[0]["contexts"]["trace"]["status"] == "not_found"
        assert captured.errors[0]["contexts"]["trace"]["data"]["http.response.status_code"] == 404

    def test_status_that_the_app_sets_afterwards_stays(self, captured):
        def app(environ, start_response):
            start_response("200 OK", [])
            sentry_sdk.get_current_scope().transaction.set_status("aborted")
            return []

        call(traced(app))
        assert captured.transactions[0]["contexts"]["trace"]["status"] == "aborted"

    def test_status_that_the_server_refuses_is_not_noted(self, captured):
        call(traced(apps.crash_started_twice))
        assert captured.transactions[0]["contexts"]["response"] == {"status_code": 200}

        def refuse(*args):
            raise ValueError("refused")

        with pytest.raises(ValueError, match="refused"):
            traced(answer)(environ_of(), refuse)
        assert "response" not in captured.transactions[1]["contexts"]


def test_session_tracking_that_is_stopped_is_off(captured):
    sentry_sdk.get_isolation_scope().stop_auto_session_tracking()
    call(SentryMiddleware(answer, release="1"))
    registry.clients()[0].flush()
    assert captured.sessions == []


def test_iter_of_the_body_runs_in_the_requests_scope(captured):
    class Body:
        def __iter__(self):
            sentry_sdk.capture_message("in iter")
            return iter([b"a"])

    call(traced(lambda environ, start_response: Body()), environ_of("/x"))
    assert captured.errors[0]["request"]["url"] == "http://localhost/x"


@pytest.mark.skipif(not hasattr(sentry_sdk, "traces"), reason="this sentry-sdk has no streamed spans")
class TestAttributes:
    """What log items and streamed spans say of the request."""

    ENVIRON = {"HTTP_USER_AGENT": "agent", "HTTP_X_FORWARDED_FOR": "203.0.113.9", "REMOTE_ADDR": "192.0.2.7"}

    def span(self, captured, environ, **options):
        call(traced(answer, trace_lifecycle="stream", **options), environ)
        registry.clients()[0].flush()
        (span,) = [span for payload in captured.payloads("span") for span in payload["items"]]
        return {name: attribute["value"] for name, attribute in span["attributes"].items()}

    def test_of_a_span(self, captured):
        found = self.span(captured, environ_of(**self.ENVIRON))
        assert found["user_agent.original"] == "agent"
        assert found["sentry.is_localhost"] is True
        assert found["http.request.method"] == "GET"
        assert not {"client.address", "user.ip_address"} & set(found)

    def test_address_is_not_what_the_client_says(self, captured):
        found = self.span(captured, environ_of(**self.ENVIRON), send_default_pii=True)
        assert (found["client.address"], found["user.ip_address"]) == ("192.0.2.7", "192.0.2.7")

    def test_no_environ_loses_the_span(self, captured):
        found = self.span(captured, environ_of("/\u2603"), send_default_pii=True)
        assert found["sentry.op"] == "http.server"

    def test_of_a_log_item(self, captured):
        def app(environ, start_response):
            sentry_sdk.logger.info("hello")
            return answer(environ, start_response)

        call(SentryMiddleware(app, enable_logs=True), environ_of(**self.ENVIRON))
        registry.clients()[0].flush()
        (item,) = [item for payload in captured.payloads("log") for item in payload["items"]]
        assert item["attributes"]["user_agent.original"]["value"] == "agent"

    def test_sampler_gets_the_environ(self, captured):
        contexts = []
        environ = environ_of("/x")
        call(
            traced(
                answer, trace_lifecycle="stream", traces_sampler=lambda found: contexts.append(found) or 0
            ),
            environ,
        )
        assert contexts[0]["wsgi_environ"] is environ

    def test_route_of_the_framework_is_on_the_span(self, captured):
        from test_frameworks import make_pyramid

        app = traced(make_pyramid({}), trace_lifecycle="stream")
        call(app, environ_of("/hello/ann"))
        registry.clients()[0].flush()
        spans = [span for payload in captured.payloads("span") for span in payload["items"]]
        assert spans[-1]["attributes"]["http.route"]["value"] == "/hello/{name}"


@pytest.mark.skipif(not hasattr(sentry_sdk, "traces"), reason="this sentry-sdk has no streamed spans")
@pytest.mark.parametrize("lifecycle", ["static", "stream"])
def test_request_is_in_a_continuous_profile_on_request(tmp_path, lifecycle):
    """In a process of its own: there is one continuous profiler in a process, and it stays."""
    script = f"""
import time
from sentry_paste import SentryMiddleware
from sentry_paste.testing import CapturedEnvelopes, MemoryTransport, capture_envelopes
from wsgi_calls import call

def app(environ, start_response):
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        sum(range(1000))
    start_response("200 OK", [])
    return []

options = dict(profile_lifecycle="trace", profile_session_sample_rate=1.0, traces_sample_rate=1.0)
with capture_envelopes() as captured:
    middleware = SentryMiddleware(app, trace_lifecycle={lifecycle!r}, **options)
    call(middleware)
    deadline = time.monotonic() + 10
    while not captured.payloads("profile_chunk") and time.monotonic() < deadline:
        time.sleep(0.05)
        middleware.client.flush()
(chunk,) = captured.payloads("profile_chunk")
print(chunk["profiler_id"])
traces = [found["contexts"]["profile"]["profiler_id"] for found in captured.transactions]
for payload in captured.payloads("span"):
    traces += [span["attributes"]["sentry.profiler_id"]["value"] for span in payload["items"]]
assert traces == [chunk["profiler_id"]], traces
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-W", "ignore", "-c", script]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.strip()) == 32


def test_body_can_be_copied_as_the_bare_one_can(captured):
    class Chunks:
        def __iter__(self):
            return iter([b"a"])

    body = SentryMiddleware(lambda environ, start_response: Chunks())(environ_of(), lambda *args: None)
    assert type(copy.copy(body)) is type(body)
    body.close()


def test_error_of_a_second_thread_in_mid_chunk_is_reported(captured):
    """Two threads in one body are somebody's fault; the app's errors are told all the same."""
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
def test_hundred_megabytes_are_held_as_the_app_holds_them(captured, chunks):
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


class TestUnusedScopes:
    """Scopes wait until somebody asks for something of them, and nothing that is reported tells."""

    def reported(self, app, **options):
        with capture_envelopes() as found:
            middleware = traced(app, **{"traces_sample_rate": 1.0, **options})
            for path in ("/a", "/b"):
                call(middleware, environ_of(path, QUERY_STRING="page=1", HTTP_USER_AGENT="x/1"))
            for client in registry.clients():
                client.flush()
        plain = []
        for payload in [*found.errors, *found.transactions]:
            trace = payload["contexts"]["trace"]
            plain.append(
                {
                    "trace": sorted(trace),
                    "status": trace.get("status"),
                    "op": trace.get("op"),
                    "spans": [span["description"] for span in payload.get("spans", [])],
                    "crumbs": [
                        crumb["message"] for crumb in payload.get("breadcrumbs", {}).get("values", [])
                    ],
                    **{
                        key: payload.get(key)
                        for key in ("transaction", "transaction_info", "request", "tags", "level", "message")
                    },
                }
            )
        sessions = [{key: value for key, value in one.items() if key != "started"} for one in found.sessions]
        totals = {}
        for one in sessions:
            for key, value in one.items():
                totals[key] = totals.get(key, 0) + value
        return plain, totals

    @pytest.mark.parametrize("name", sorted(apps.APPS))
    def test_what_is_reported_is_that_of_scopes_made_at_once(self, name, monkeypatch):
        late = self.reported(apps.APPS[name])
        monkeypatch.setattr(sdk.scopes, "has_unused_scopes", lambda: False)
        assert late == self.reported(apps.APPS[name])

    def test_what_an_app_does_with_its_scopes_is_reported_alike(self, monkeypatch):
        def app(environ, start_response):
            sentry_sdk.set_tag("a", environ["PATH_INFO"])
            logging.getLogger("shop").warning("crumb of %s", environ["PATH_INFO"])
            with sentry_sdk.start_span(op="x", name="inner"):
                pass
            start_response("500 Oops", [])
            yield b"x"
            sentry_sdk.capture_message("in the body")

        late = self.reported(app)
        monkeypatch.setattr(sdk.scopes, "has_unused_scopes", lambda: False)
        assert late == self.reported(app)
        assert {event["tags"].get("a") for event in late[0]} == {"/a", "/b"}

    @pytest.mark.parametrize("path", ["/a", "/crash"])
    @pytest.mark.parametrize("rate", [None, 0.0, 1.0])
    def test_what_integrations_say_of_each_request_is_reported_alike(self, path, rate, monkeypatch):
        def app(environ, start_response):
            isolation = sentry_sdk.get_isolation_scope()
            sentry_sdk.get_current_scope().set_transaction_name("of the current scope", source="route")
            isolation.add_event_processor(lambda event, hint: {**event, "level": "fatal"})
            isolation.set_transaction_name("of the isolation scope")
            start_response("200 OK", [])
            if environ["PATH_INFO"] == "/crash":
                raise ZeroDivisionError("here")
            return []

        def reported():
            registry.reset()
            with capture_envelopes() as found:
                call(SentryMiddleware(app, traces_sample_rate=rate), environ_of(path))
            return [
                {key: event.get(key) for key in ("type", "transaction", "transaction_info", "level")}
                for event in found.payloads("event", "transaction")
            ]

        late = reported()
        monkeypatch.setattr(sdk.scopes, "has_unused_scopes", lambda: False)
        assert late == reported()
        assert len(late) == (rate == 1.0) + (path == "/crash")

    def test_name_and_processor_alone_do_not_open_a_request(self, captured):
        held = []

        def app(environ, start_response):
            held.append(sdk.scopes._isolation_scope.get())
            assert sentry_sdk.get_current_scope()._server_segment_span is None
            sentry_sdk.get_current_scope().set_transaction_name("named")
            sentry_sdk.get_isolation_scope().add_event_processor(lambda event, hint: event)
            return []

        call(SentryMiddleware(app, release="1"), environ_of())
        assert type(held[0]) is sdk.UnusedScope

    def test_what_is_said_of_a_scope_is_there_after_the_request_too(self, captured):
        contexts = []

        def app(environ, start_response):
            sentry_sdk.get_isolation_scope().add_event_processor(
                lambda event, hint: {**event, "extra": {"seen": "yes"}}
            )
            contexts.append(contextvars.copy_context())
            start_response("200 OK", [])
            return []

        call(SentryMiddleware(app, release="1"), environ_of())
        contexts[0].run(sentry_sdk.capture_message, "late")
        assert captured.errors[0]["extra"] == {"seen": "yes"}

    def test_what_the_server_says_of_the_next_request_is_not_in_this_one_s_events(self, captured):
        def app(environ, start_response):
            start_response("200 OK", [])
            yield b"begun"
            sentry_sdk.capture_message("of " + environ["PATH_INFO"])
            yield b"ended"

        filtered = SentryMiddleware(app)
        bodies = []
        for who in ("alice", "bob"):
            # An outer middleware, in the server's own context.
            sentry_sdk.get_isolation_scope().set_user({"id": who})
            sentry_sdk.get_current_scope().set_tag("who", who)
            body = iter(filtered(environ_of(f"/{who}"), lambda *args: None))
            next(body)
            bodies.append(body)
        for body in bodies:
            list(body)
        told = {event["message"]: (event["user"]["id"], event["tags"]["who"]) for event in captured.errors}
        assert told == {"of /alice": ("alice", "alice"), "of /bob": ("bob", "bob")}

    def test_tag_of_the_server_s_scope_is_in_events_of_requests(self, captured):
        sentry_sdk.get_isolation_scope().set_tag("of", "the server")
        call(traced(apps.crash), environ_of())
        assert captured.errors[0]["tags"]["of"] == "the server"

    def test_tag_of_a_request_is_not_in_the_server_s_scope(self, captured):
        def app(environ, start_response):
            sentry_sdk.get_isolation_scope().set_tag("of", "a request")
            sentry_sdk.get_current_scope().set_level("fatal")
            return []

        call(traced(app), environ_of())
        sentry_sdk.capture_message("outside")
        assert "of" not in captured.errors[-1].get("tags", {})

    def test_first_thing_said_of_a_scope_stays(self, captured):
        def app(environ, start_response):
            sentry_sdk.get_isolation_scope().set_level("fatal")
            sentry_sdk.capture_message("said")
            return []

        call(traced(app), environ_of())
        assert captured.errors[0]["level"] == "fatal"

    def test_request_in_which_nobody_asks_has_no_scopes(self, captured):
        held = []

        def app(environ, start_response):
            held.append(sdk.scopes._isolation_scope.get())
            assert sentry_sdk.get_client().is_active()
            start_response("200 OK", [])
            return []

        call(SentryMiddleware(app, release="1"), environ_of())
        assert type(held[0]) is sdk.UnusedScope

    def test_transaction_that_is_made_late_begins_when_its_request_began(self, captured):
        def app(environ, start_response):
            time.sleep(0.05)
            start_response("200 OK", [])
            return []

        call(traced(app), environ_of())
        (transaction,) = captured.transactions
        began, ended = (datetime.fromisoformat(transaction[key].replace("Z", "+00:00"))
                        for key in ("start_timestamp", "timestamp"))  # fmt: skip
        assert timedelta(seconds=0.05) <= ended - began < timedelta(seconds=5)

    def test_about_as_many_are_sampled_as_the_rate_says(self, captured):
        app = traced(apps.answer_list, traces_sample_rate=0.5)
        for _ in range(400):
            call(app, environ_of())
        assert 130 < len(captured.transactions) < 270

    def test_what_is_not_sampled_is_counted_as_lost(self, captured):
        app = traced(apps.answer_list, traces_sample_rate=0.0)
        lost = []
        app.client.transport.record_lost_event = lambda reason, data_category=None, **_: lost.append(
            (reason, data_category)
        )
        call(app, environ_of())
        assert lost == [("sample_rate", "transaction"), ("sample_rate", "span")]

    def test_stream_that_is_not_sampled_and_used_late_is_counted_once(self, captured):
        def app(environ, start_response):
            start_response("200 OK", [])
            yield b"one"
            yield b"two"
            sentry_sdk.set_tag("late", "x")
            yield b"three"

        app = traced(app, traces_sample_rate=0.0)
        lost = []
        app.client.transport.record_lost_event = lambda reason, data_category=None, **_: lost.append(
            data_category
        )
        call(app, environ_of())
        assert lost == ["transaction", "span"]
        assert captured.transactions == []

    @pytest.mark.parametrize(("flag", "count"), [("0", 0), ("1", 1)])
    def test_caller_s_decision_holds(self, captured, flag, count):
        trace = f"771a43a4192642f0b136d5159a501700-1234567890abcdef-{flag}"
        call(traced(apps.answer_list, traces_sample_rate=0.5), environ_of(HTTP_SENTRY_TRACE=trace))
        assert len(captured.transactions) == count

    def test_scope_that_is_first_used_after_its_request_knows_it(self, captured):
        held = []

        def app(environ, start_response):
            held.append(contextvars.copy_context())
            start_response("200 OK", [])
            return []

        call(traced(app), environ_of("/late"))
        held[0].run(sentry_sdk.capture_message, "late")
        assert captured.errors[0]["request"]["url"] == "http://localhost/late"

    def test_request_that_is_over_leaves_no_span(self, captured):
        held = []

        def app(environ, start_response):
            sentry_sdk.set_tag("a", "b")
            held.append(contextvars.copy_context())
            start_response("200 OK", [])
            return []

        call(traced(app), environ_of())
        assert held[0].run(lambda: sentry_sdk.get_current_scope().span) is None

    def test_thread_that_the_app_starts_first_of_all_hangs_nothing(self, captured):
        def app(environ, start_response):
            thread = threading.Thread(target=lambda: sentry_sdk.capture_message("in a thread"))
            thread.start()
            thread.join(5)
            assert not thread.is_alive()
            start_response("200 OK", [])
            return []

        seen = call(traced(app), environ_of("/thread"))
        assert seen.error is None
        assert captured.errors[0]["transaction"] == "GET /thread"

    def test_scope_that_threads_use_first_at_once_is_made_once(self, captured):
        def app(environ, start_response):
            contexts = [contextvars.copy_context() for _ in range(8)]
            ready = threading.Barrier(8)

            def work(number):
                ready.wait()
                sentry_sdk.get_isolation_scope().set_tag(f"t{number}", "x")

            # Threads of the interpreter itself: those that the SDK has patched fork the scope.
            done = [threading.Event() for _ in contexts]
            for number, context in enumerate(contexts):
                _thread.start_new_thread(lambda n=number, c=context: (c.run(work, n), done[n].set()), ())
            assert all(event.wait(30) for event in done)
            sentry_sdk.capture_message("done")
            return []

        call(SentryMiddleware(app), environ_of("/a"))
        (event,) = captured.errors
        assert len(event["tags"]) == 8
        assert event["request"]["url"] == "http://localhost/a"

    def test_scope_that_a_worker_of_the_process_uses_first_is_the_request_s(self, captured):
        jobs, done = queue.Queue(), queue.Queue()

        def work():
            while True:
                job = jobs.get()
                if job is None:
                    return
                job()
                done.put(1)

        # Before any request: it has scopes of its own.
        _thread.start_new_thread(work, ())

        def app(environ, start_response):
            scope = sentry_sdk.get_isolation_scope()
            jobs.put(lambda: scope.set_tag("who", environ["PATH_INFO"]))
            done.get()
            with sentry_sdk.start_span(op="x", name="child"):
                sentry_sdk.capture_message("in " + environ["PATH_INFO"])
            start_response("200 OK", [])
            return []

        middleware = traced(app)
        for path in ("/a", "/b"):
            call(middleware, environ_of(path))
        jobs.put(lambda: sentry_sdk.capture_message("job"))
        done.get()
        jobs.put(None)
        assert [(event["message"], event.get("transaction")) for event in captured.errors] == [
            ("in /a", "GET /a"),
            ("in /b", "GET /b"),
            ("job", None),
        ]
        assert "request" not in captured.errors[2]
        assert [len(found["spans"]) for found in captured.transactions] == [1, 1]
        middleware.client.flush()
        assert sum(one["exited"] for one in captured.sessions) == 2

    def test_threads_that_use_a_request_first_at_once_open_it_once(self, captured):
        def app(environ, start_response):
            ready = threading.Barrier(4)

            def work():
                ready.wait()
                sentry_sdk.capture_message(environ["PATH_INFO"])

            done = [threading.Event() for _ in range(4)]
            for event in done:
                context = contextvars.copy_context()
                _thread.start_new_thread(lambda e=event, c=context: (c.run(work), e.set()), ())
            assert all(event.wait(30) for event in done)
            start_response("200 OK", [])
            return []

        middleware = traced(app)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for number in range(40):
                call(middleware, environ_of(f"/{number}"))
        finally:
            sys.setswitchinterval(interval)
        middleware.client.flush()
        traces = {
            found["transaction"]: found["contexts"]["trace"]["trace_id"] for found in captured.transactions
        }
        assert len(traces) == 40
        assert len(captured.errors) == 160
        for event in captured.errors:
            assert event["request"]["url"].endswith(event["message"])
            assert event["contexts"]["trace"]["trace_id"] == traces[event["transaction"]]
        assert sum(one.get("exited", 0) for one in captured.sessions) == 40

    def test_scope_that_is_current_for_a_while_does_not_get_the_trace(self, captured):
        from sentry_sdk.scope import ScopeType, use_scope

        own = sentry_sdk.Scope(ty=ScopeType.CURRENT)

        def app(environ, start_response):
            with use_scope(own):
                sentry_sdk.capture_message("within")
            with sentry_sdk.start_span(op="x", name="child"):
                pass
            sentry_sdk.capture_message("after")
            start_response("200 OK", [])
            return []

        call(traced(app), environ_of("/a"))
        assert captured.errors[1]["transaction"] == "GET /a"
        assert [span["description"] for span in captured.transactions[0]["spans"]] == ["child"]

    def test_views_of_a_client_of_the_app_s_are_not_kept(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sentry_sdk.init(transport=MemoryTransport(CapturedEnvelopes()), traces_sample_rate=1.0)
        middleware = SentryMiddleware(apps.answer_list, traces_sample_rates="/a* 0.5")
        for number in range(20):
            call(middleware, environ_of(f"/a{number}"))
        assert len(middleware.filter_state._at_rate) == 1
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)
