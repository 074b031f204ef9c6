"""Traces go on from a caller's headers: Sentry's, or the W3C's where those are missing."""

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.client.registry import registry

from traced_apps import LIFECYCLES, SPAN_ID, TRACE_ID, answer
from wsgi_calls import call, environ_of

W3C = {"HTTP_TRACEPARENT": f"00-{'ab' * 16}-{'cd' * 8}-00", "HTTP_TRACESTATE": "acme=1"}
SENTRY = {"HTTP_SENTRY_TRACE": f"{TRACE_ID}-{SPAN_ID}-1"}


@pytest.fixture(params=LIFECYCLES)
def send(request, captured):
    """Return a function that makes a request, and returns its trace and parent, and headers of envelopes."""

    def send(headers, app=answer, **options):
        if hasattr(sentry_sdk, "traces"):
            options.setdefault("trace_lifecycle", request.param)
        middleware = SentryMiddleware(app, **{"traces_sample_rate": 1.0, "release": "1", **options})
        call(middleware, environ_of("/", **headers))
        for client in registry.clients():
            client.flush()
        found = [payload["contexts"]["trace"] for payload in [*captured.errors, *captured.transactions]]
        sent = [
            envelope.headers.get("trace")
            for envelope in captured
            if envelope.items[0].type in ("event", "transaction", "span")
        ]
        captured.clear()
        return [(each["trace_id"], each.get("parent_span_id")) for each in found], sent

    return send


def test_trace_of_the_w3c_goes_on(send):
    ((trace, parent),), (header,) = send(W3C)
    assert (trace, parent) == ("ab" * 16, "cd" * 8)
    # This service is the first that reports to Sentry, so it decides for the trace.
    assert header["trace_id"] == "ab" * 16
    assert float(header["sample_rate"]) == 1.0
    assert header["release"] == "1"


def test_callers_flag_does_not_decide(send):
    for flags in ("00", "01"):
        headers = {"HTTP_TRACEPARENT": f"00-{'ab' * 16}-{'cd' * 8}-{flags}"}
        assert len(send(headers)[0]) == 1
        assert send(headers, traces_sample_rate=0.0)[0] == []


def test_request_that_is_not_sampled_is_not_opened_for_its_header(captured):
    strings = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", **W3C}
    middleware = SentryMiddleware(answer, traces_sample_rate=0.0)
    found = middleware.filter_state.sampling(middleware.client, strings)
    assert (found.may_be_sent, found.is_discarded) == (False, True)
    assert middleware.filter_state.sampling(middleware.client, {**strings, **SENTRY}).may_be_sent


def test_services_of_a_trace_decide_alike(send):
    for number in range(1, 20):
        headers = {"HTTP_TRACEPARENT": f"00-{number:032x}-{'cd' * 8}-00"}
        decisions = {len(send(headers, traces_sample_rate=0.5)[0]) for _ in range(3)}
        assert len(decisions) == 1 or not sdk.can_begin_late({"traces_sample_rate": 0.5})


def test_headers_of_sentry_come_first(send):
    ((trace, parent),), _ = send({**W3C, **SENTRY})
    assert (trace, parent) == (TRACE_ID, SPAN_ID)


@pytest.mark.parametrize("text", ["", "00-abc", f"ff-{'ab' * 16}-{'cd' * 8}-01", "é" * 50])
def test_malformed_header_is_ignored(send, text):
    ((trace, parent),), _ = send({"HTTP_TRACEPARENT": text})
    assert len(trace) == 32
    assert trace != "ab" * 16
    assert not parent


def test_errors_have_the_trace_without_tracing(send):
    def crash(environ, start_response):
        raise ValueError

    ((trace, parent),), _ = send(W3C, crash, traces_sample_rate=None)
    assert (trace, parent) == ("ab" * 16, "cd" * 8)


@pytest.mark.parametrize(
    ("continued", "headers", "goes_on"),
    [
        ("sentry", W3C, False),
        ("sentry", SENTRY, True),
        ("w3c", SENTRY, False),
        ("w3c", W3C, True),
        ("none", SENTRY, False),
        ("none", W3C, False),
    ],
)
def test_ini_says_which_headers_are_believed(send, continued, headers, goes_on):
    ((trace, _),), _ = send(headers, trace_continuation=continued)
    assert (trace in (TRACE_ID, "ab" * 16)) is goes_on


def test_kept_trace_of_the_w3c_goes_on(send):
    ((trace, parent),), (header,) = send(W3C, traces_sample_rate=0.0, traces_keep="status 200")
    assert (trace, parent) == ("ab" * 16, "cd" * 8)
    assert float(header["sample_rate"]) == 1.0


BAGGAGE = f"other=1,sentry-trace_id={'ab' * 16},sentry-release=page%407,sentry-sample_rate=0.25"


@pytest.mark.parametrize(("decision", "rate"), [("true", 0.0), ("", 1.0)])
def test_baggage_without_sentrys_other_header_counts_for_its_trace(send, decision, rate):
    """A service in between has passed on what the W3C has defined."""
    headers = {**W3C, "HTTP_BAGGAGE": BAGGAGE + (f",sentry-sampled={decision}" if decision else "")}
    ((trace, parent),), (header,) = send(headers, traces_sample_rate=rate)
    assert (trace, parent) == ("ab" * 16, "cd" * 8)
    assert header["release"] == "page@7"


def test_baggage_that_says_no_is_believed(send):
    headers = {**W3C, "HTTP_BAGGAGE": f"{BAGGAGE},sentry-sampled=false"}
    assert send(headers)[0] == []
    assert len(send(headers, trace_continuation="w3c")[0]) == 1


def test_baggage_of_another_trace_is_ignored(send):
    ((trace, _),), (header,) = send({**W3C, "HTTP_BAGGAGE": BAGGAGE.replace("ab", "ba")})
    assert trace == "ab" * 16
    assert header["release"] == "1"


@pytest.mark.parametrize("name", ["HTTP_TRACEPARENT", "HTTP_BAGGAGE", "HTTP_SENTRY_TRACE"])
def test_header_that_is_no_text_is_ignored(send, name):
    assert len(send({**W3C, name: None})[0]) == 1


@pytest.mark.parametrize("rate", [1.0, None])
@pytest.mark.parametrize("number", ["inf", "%69nf", "nan"])
def test_trace_goes_on_without_a_sample_rate_that_is_no_number(send, caplog, rate, number):
    def app(environ, start_response):
        sentry_sdk.capture_exception(ValueError())
        return answer(environ, start_response)

    baggage = f"sentry-trace_id={TRACE_ID},sentry-sample_rate={number}"
    found, _ = send({**SENTRY, "HTTP_BAGGAGE": baggage}, app, traces_sample_rate=rate)
    assert found[0] == (TRACE_ID, SPAN_ID) or rate
    assert {trace for trace, _ in found} == {TRACE_ID}
    assert len(found) == (1 if rate is None else 2)
    assert caplog.records == []
