"""Transactions: their name, status, length and trace, and their profiles."""

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware, sdk

import apps
from traced_apps import SPAN_ID, TRACE_ID, answer, needs_streamed_spans, only_transactions, traced
from wsgi_calls import call, environ_of


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

    def test_late_status_is_recorded(self, captured):
        call(traced(apps.answer_late))
        assert captured.transactions[0]["contexts"]["response"]["status_code"] == 201

    def test_spans_of_call_body_and_close_are_in_it(self, captured):
        class Body(apps.CloseRecorder):
            def close(self):
                with sdk.start_child_span("close", "in close"):
                    pass

        def app(environ, start_response):
            start_response("200 OK", [])
            with sdk.start_child_span("call", "in the call"):
                pass

            def stream():
                with sdk.start_child_span("stream", "in the stream"):
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

    def test_errors_have_a_name_without_tracing(self, captured):
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

    @only_transactions
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


class TestStatus:
    @only_transactions  # a streamed span has attributes instead, which errors do not have
    def test_error_after_start_response_has_the_status(self, captured):
        def app(environ, start_response):
            start_response("404 Not Found", [])
            sentry_sdk.capture_message("not there")
            return []

        call(traced(app))
        trace = captured.errors[0]["contexts"]["trace"]
        assert trace["status"] == "not_found"
        assert trace["data"]["http.response.status_code"] == 404

    @only_transactions  # a streamed span is ok or an error
    def test_status_that_the_app_sets_afterwards_stays(self, captured):
        def app(environ, start_response):
            start_response("200 OK", [])
            sentry_sdk.get_current_scope().transaction.set_status("aborted")
            return []

        call(traced(app))
        assert captured.transactions[0]["contexts"]["trace"]["status"] == "aborted"

    def test_status_that_the_server_refuses_is_not_recorded(self, captured):
        call(traced(apps.crash_started_twice))
        assert captured.transactions[0]["contexts"]["response"] == {"status_code": 200}

        def refuse(*args):
            raise ValueError("refused")

        with pytest.raises(ValueError, match="refused"):
            traced(answer)(environ_of(), refuse)
        assert "response" not in captured.transactions[1]["contexts"]


@needs_streamed_spans
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
    deadline = time.monotonic() + 120
    while not captured.payloads("profile_chunk") and time.monotonic() < deadline:
        time.sleep(0.05)
        middleware.client.flush()
(chunk,) = captured.payloads("profile_chunk")
print(chunk["profiler_id"])
traces = [found["contexts"]["profile"]["profiler_id"] for found in captured.payloads("transaction")]
for payload in captured.payloads("span"):
    traces += [span["attributes"]["sentry.profiler_id"]["value"] for span in payload["items"]]
assert traces == [chunk["profiler_id"]], traces
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-W", "ignore", "-c", script]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=180, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.strip()) == 32
