"""Responses that have the trace of their request in a header."""

import re

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware
from sentry_paste.client.registry import registry
from sentry_paste.wsgi.response_trace import is_for_shared_caches, trace_of_response

from traced_apps import LIFECYCLES
from wsgi_calls import call, environ_of

OWN = ("Server-Timing", "db;dur=53")


def app_with(*headers, status="200 OK"):
    def app(environ, start_response):
        given = list(headers)
        start_response(status, given)
        assert given == list(headers)
        return [b"hello"]

    return app


@pytest.fixture(params=LIFECYCLES)
def answer(request, captured):
    """Return a function that makes a request and returns the headers of the response."""

    def answer(app, headers=None, **options):
        if hasattr(sentry_sdk, "traces"):
            options.setdefault("trace_lifecycle", request.param)
        middleware = SentryMiddleware(
            app, **{"traces_sample_rate": 1.0, "release": "1", "trace_response": "server-timing", **options}
        )
        seen = call(middleware, environ_of("/a", **(headers or {})))
        for client in registry.clients():
            client.flush()
        return seen.starts[0][1]

    return answer


def test_browser_gets_the_trace_of_the_request(answer, captured):
    headers = answer(app_with(OWN))
    assert headers[0] == OWN
    (found,) = [value for name, value in headers[1:] if name == "Server-Timing"]
    trace, span, sampled, baggage = re.fullmatch(
        r'sentry-trace;desc="([0-9a-f]{32})-([0-9a-f]{16})-([01])", baggage;desc="([^"]+)"', found
    ).groups()
    (transaction,) = captured.transactions
    context = transaction["contexts"]["trace"]
    assert (trace, span, sampled) == (context["trace_id"], context["span_id"], "1")
    assert f"sentry-trace_id={trace}" in baggage
    assert "sentry-release=1" in baggage


def test_w3cs_header_is_there_if_asked_for(answer):
    headers = dict(answer(app_with(), trace_response="traceresponse"))
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", headers["traceresponse"])
    assert "Server-Timing" not in headers


@pytest.mark.parametrize("name", ["server-timing", "traceresponse"])
def test_unsampled_trace_says_so(answer, captured, name):
    ((_, found),) = answer(app_with(), traces_sample_rate=0.0, trace_response=name)
    assert re.search('-00?(?:"|$)', found)
    assert captured.transactions == []


@pytest.mark.parametrize("control", ["public, max-age=60", "s-maxage=10", "max-age=1, PUBLIC"])
def test_response_for_shared_caches_has_none(answer, control):
    assert answer(app_with(("Cache-Control", control))) == [("Cache-Control", control)]


def test_by_default_there_is_none(answer):
    assert answer(app_with(OWN), trace_response="") == [OWN]


def test_error_responses_have_both_the_id_and_the_trace(answer, captured):
    headers = dict(answer(app_with(status="500 Oops"), event_id_header="X-Id", failed_status_codes="500"))
    assert sorted(headers) == ["Server-Timing", "X-Id"]
    assert captured.errors[0]["event_id"] == headers["X-Id"]
    assert captured.errors[0]["contexts"]["trace"]["trace_id"] in headers["Server-Timing"]


def test_wrong_arguments_are_left_to_the_server(captured):
    middleware = SentryMiddleware(
        lambda environ, start_response: start_response("200 OK"), trace_response="server-timing"
    )
    assert isinstance(call(middleware, environ_of()).error, TypeError)


@pytest.mark.parametrize(
    ("trace", "baggage"), [("", "a=b"), ("abc", ""), ("0" * 31 + "-" + "0" * 16, ""), (f"{'a' * 32}-1", "")]
)
def test_malformed_trace_gives_no_header(trace, baggage):
    assert trace_of_response(trace, baggage, {"server-timing", "traceresponse"}) == []


@pytest.mark.parametrize("baggage", ['a="b"', "a=\\", "a=\nb", "a=\xe9"])
def test_baggage_that_a_header_cannot_hold_is_left_out(baggage):
    trace = f"{'a' * 32}-{'b' * 16}"
    assert trace_of_response(trace, baggage, {"server-timing"}) == [
        ("Server-Timing", f'sentry-trace;desc="{trace}"')
    ]


@pytest.mark.parametrize("headers", [[], [("Cache-Control", "private")], [("Cache-Control", "max-age=1")]])
def test_private_responses_are_for_no_shared_cache(headers):
    assert not is_for_shared_caches(headers)
