"""Streamed spans (``trace_lifecycle = stream``), and the attributes of spans and log items."""

import logging

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware, sdk

import apps
from traced_apps import SPAN_ID, TRACE_ID, answer, needs_streamed_spans, traced
from wsgi_calls import call, environ_of


@needs_streamed_spans
class TestStreamedSpans:
    def streamed(self, app, **options):
        return traced(app, trace_lifecycle="stream", **options)

    def test_request_is_a_segment(self, captured, streamed_spans):
        call(self.streamed(apps.answer_generator), environ_of("/x"))
        (span,) = streamed_spans()
        assert (span["name"], span["is_segment"], span["status"]) == ("GET /x", True, "ok")
        assert span["attributes"]["http.response.status_code"]["value"] == 200
        assert span["attributes"]["sentry.op"]["value"] == "http.server"
        assert captured.payloads("transaction") == []

    @pytest.mark.parametrize(
        ("status", "expected"), [(200, "ok"), (399, "ok"), (400, "error"), (500, "error")]
    )
    def test_status_of_the_span(self, streamed_spans, status, expected):
        def app(environ, start_response):
            start_response(f"{status} So", [])
            return []

        call(traced(app, trace_lifecycle="stream"))
        (span,) = streamed_spans()
        assert span["status"] == expected
        assert span["attributes"]["http.response.status_code"]["value"] == status

    def test_span_of_the_stream_is_a_child(self, streamed_spans):
        def app(environ, start_response):
            start_response("200 OK", [])
            with sentry_sdk.traces.start_span(name="in the stream"):
                yield b"a"

        call(self.streamed(app))
        child, segment = streamed_spans()
        assert child["parent_span_id"] == segment["span_id"]

    def test_crash_in_mid_stream_marks_the_span_and_has_its_trace(self, captured, streamed_spans):
        call(self.streamed(apps.crash_in_stream), environ_of("/x"))
        (span,), (error,) = streamed_spans(), captured.errors
        assert span["status"] == "error"
        assert error["contexts"]["trace"]["trace_id"] == span["trace_id"]
        assert error["transaction"] == "GET /x"

    def test_trace_is_continued(self, streamed_spans):
        call(self.streamed(answer), environ_of(HTTP_SENTRY_TRACE=f"{TRACE_ID}-{SPAN_ID}-1"))
        (span,) = streamed_spans()
        assert (span["trace_id"], span["parent_span_id"]) == (TRACE_ID, SPAN_ID)

    def test_errors_have_a_name_without_tracing(self, captured):
        call(SentryMiddleware(apps.crash, trace_lifecycle="stream"), environ_of("/x"))
        assert captured.errors[0]["transaction"] == "GET /x"


@needs_streamed_spans
class TestAttributes:
    """What log items and streamed spans say of the request."""

    ENVIRON = {"HTTP_USER_AGENT": "agent", "HTTP_X_FORWARDED_FOR": "203.0.113.9", "REMOTE_ADDR": "192.0.2.7"}

    def span(self, streamed_spans, environ, **options):
        call(traced(answer, trace_lifecycle="stream", **options), environ)
        (span,) = streamed_spans()
        return {name: attribute["value"] for name, attribute in span["attributes"].items()}

    def test_of_a_span(self, streamed_spans):
        found = self.span(streamed_spans, environ_of(**self.ENVIRON))
        assert found["user_agent.original"] == "agent"
        assert found["sentry.is_localhost"] is True
        assert found["http.request.method"] == "GET"
        assert not {"client.address", "user.ip_address"} & set(found)

    def test_address_is_not_the_one_that_the_client_claims(self, streamed_spans):
        found = self.span(streamed_spans, environ_of(**self.ENVIRON), send_default_pii=True)
        assert (found["client.address"], found["user.ip_address"]) == ("192.0.2.7", "192.0.2.7")

    def test_no_environ_loses_the_span(self, streamed_spans):
        found = self.span(streamed_spans, environ_of("/\u2603"), send_default_pii=True)
        assert found["sentry.op"] == "http.server"

    def test_of_a_log_item(self, flushed):
        def app(environ, start_response):
            sentry_sdk.logger.info("hello")
            return answer(environ, start_response)

        call(SentryMiddleware(app, enable_logs=True), environ_of(**self.ENVIRON))
        (item,) = [item for payload in flushed().payloads("log") for item in payload["items"]]
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

    def test_route_of_the_framework_is_on_the_span(self, streamed_spans):
        from test_frameworks import make_pyramid

        app = traced(make_pyramid({}), trace_lifecycle="stream")
        call(app, environ_of("/hello/ann"))
        assert streamed_spans()[-1]["attributes"]["http.route"]["value"] == "/hello/{name}"


@needs_streamed_spans
def test_spans_and_log_items_have_the_release_of_their_own_filter(captured, flushed):
    def app(environ, start_response):
        logging.getLogger("shop").warning("in the request")
        with sdk.start_child_span("x", "child"):
            return answer(environ, start_response)

    for release, environment in (("1.0", "staging"), ("2.0", "production")):
        options = {"release": release, "environment": environment, "enable_logs": True}
        call(traced(app, trace_lifecycle="stream", **options))
    for kind in ("span", "log"):
        found = [
            tuple(item["attributes"][f"sentry.{name}"]["value"] for name in ("release", "environment"))
            for payload in flushed().payloads(kind)
            for item in payload["items"]
        ]
        assert set(found) == {("1.0", "staging"), ("2.0", "production")}
        assert len(found) == (4 if kind == "span" else 2)


@needs_streamed_spans
@pytest.mark.parametrize("options", [{"ignore_paths": "/quiet"}, {"http_methods_to_capture": "POST"}])
def test_span_of_the_app_is_no_trace_where_its_request_is_not_measured(captured, options):
    def app(environ, start_response):
        with sdk.start_child_span("x", "child"):
            sentry_sdk.capture_message("in the span")
        return answer(environ, start_response)

    environ = environ_of("/quiet", HTTP_SENTRY_TRACE=f"{TRACE_ID}-{SPAN_ID}")
    call(traced(app, trace_lifecycle="stream", **options), environ)
    assert captured.transactions == captured.payloads("span") == []
    (error,) = captured.errors
    assert error["contexts"]["trace"]["trace_id"] == TRACE_ID
    assert error["transaction"] == "GET /quiet"


@needs_streamed_spans
def test_what_the_app_sets_on_its_scope_is_on_the_span_of_its_request(captured, streamed_spans):
    def app(environ, start_response):
        scope = sentry_sdk.get_current_scope()
        scope.set_attribute("of.the.app", "x")
        scope.set_user({"id": "7"})
        return answer(environ, start_response)

    call(traced(app, trace_lifecycle="stream", send_default_pii=True))
    (span,) = streamed_spans()
    assert span["attributes"]["of.the.app"]["value"] == "x"
    assert span["attributes"]["user.id"]["value"] == "7"
