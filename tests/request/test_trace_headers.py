"""Whatever trace headers a caller sends, a request has one trace, and passes it on well-formed."""

import importlib
import os
import random
import re
from contextlib import suppress

import pytest
import sentry_sdk
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sentry_paste import SentryMiddleware
from sentry_paste.client.registry import registry
from sentry_paste.testing import CapturedEnvelopes
from sentry_paste.wsgi.w3c import trace_and_parent

from traced_apps import LIFECYCLES
from wsgi_calls import call, environ_of

TRACES, SPANS = ("771a43a4192642f0b136d5159a501700", "ab" * 16), ("1234567890abcdef", "cd" * 8)
W3C = f"00-{TRACES[0]}-{SPANS[0]}-01"
JUNK = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="0123456789abcdefABCF-", max_size=70),
    st.sampled_from(["", " ", ",", "00-", "\u00e9" * 50, "\ud800", "\u0660" * 32, "0" * 32]),
    st.sampled_from(["x", "a=1,", "-"]).map(lambda text: text * 5000),
)


def mostly(right, *others):
    """Return a strategy that is right nine times of ten, as headers have several parts."""
    return st.integers(0, 9).flatmap(lambda drawn: right if drawn else st.one_of(*others))


def number(right, other):
    """Return a strategy for an id, which may be damaged."""
    damaged = st.sampled_from([right[:-1], right.upper(), "0" * len(right), ""])
    return mostly(st.just(right), st.just(other), damaged)


trace, span = map(number, *zip(TRACES, SPANS))
sentry_trace = st.tuples(trace, span, mostly(st.sampled_from(["1", "0"]), st.sampled_from(["2", ""]))).map(
    "-".join
)
traceparent = st.tuples(
    mostly(st.just("00"), st.sampled_from(["01", "ff", "0g"])),
    trace,
    span,
    mostly(st.sampled_from(["00", "01"]), st.sampled_from(["zz", "01-more", ""])),
).map("-".join)
member = mostly(
    st.sampled_from(["a=1", "tenant@vendor=x y", "long=" + "x" * 200]),
    st.tuples(st.sampled_from(["a", "A", "\u00e9"]), st.text(max_size=20)).map("=".join),
)
value = st.one_of(st.floats(0, 1).map(str), st.floats().map(str), JUNK)
fact = st.one_of(
    trace.map("sentry-trace_id={}".format),
    st.sampled_from(["true", "false", "maybe", ""]).map("sentry-sampled={}".format),
    value.map("sentry-sample_rate={}".format),
    value.map("sentry-sample_rand={}".format),
    st.text(max_size=10).map("sentry-release={}".format),
    JUNK,
)


def header(texts):
    """Return a strategy for a header that is right, damaged, or there twice, as servers join those."""
    cut = st.tuples(texts, st.integers(0, 40)).map(lambda given: given[0][given[1] :])
    return mostly(texts, cut, JUNK, st.lists(st.one_of(texts, JUNK), max_size=3).map(",".join))


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "HTTP_SENTRY_TRACE": header(sentry_trace),
        "HTTP_TRACEPARENT": header(traceparent),
        "HTTP_TRACESTATE": header(st.lists(member, max_size=40).map(",".join)),
        "HTTP_BAGGAGE": header(st.lists(fact, max_size=6).map(",".join)),
    },
)
SENTRY_TRACE = re.compile("([0-9a-f]{32})-([0-9a-f]{16})(-[01])?")
STATE = re.compile(r"[a-z0-9][a-z0-9_\-*/@]*=[\x20-\x7e]*[\x21-\x7e]")


@pytest.fixture
def _own_random_numbers(monkeypatch):
    """Leave Hypothesis's random numbers to the test: threads that send spans would take some."""
    for name in ("_batcher", "_span_batcher"):
        with suppress(ImportError):
            module = importlib.import_module(f"sentry_sdk.{name}")
            monkeypatch.setattr(module, "random", random.Random(), raising=False)


@pytest.fixture(params=LIFECYCLES)
def passed_on(request, captured, _own_random_numbers):
    """Return a function that makes a request, and returns its trace and the headers of a call in it."""

    def app(environ, start_response):
        sentry_sdk.capture_message("called")
        environ["test.headers"].update(sentry_sdk.get_current_scope().iter_trace_propagation_headers())
        start_response("200 OK", [])
        return []

    options = {"trace_lifecycle": request.param} if hasattr(sentry_sdk, "traces") else {}
    middleware = SentryMiddleware(app, traces_sample_rate=0.5, propagate_traceparent=True, **options)

    def passed_on(headers):
        captured.clear()
        found = {}
        seen = call(middleware, environ_of("/", **headers, **{"test.headers": found}))
        assert seen.error is None
        (message,) = CapturedEnvelopes(captured).payloads("event")
        return message["contexts"]["trace"]["trace_id"], found

    yield passed_on
    for client in registry.clients():
        client.flush()


@settings(
    max_examples=int(os.environ.get("SENTRY_PASTE_TRACE_HEADERS", "25")),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example({"HTTP_TRACEPARENT": f"00-{TRACES[0]}-{SPANS[0]}-01", "HTTP_TRACESTATE": "a=1"})
@example(
    {"HTTP_TRACEPARENT": f"00-{TRACES[0]}-{SPANS[0]}-01", "HTTP_BAGGAGE": f"sentry-trace_id={TRACES[0]}"}
)
@example({"HTTP_SENTRY_TRACE": f"{TRACES[0]}-{SPANS[0]}-1", "HTTP_BAGGAGE": "sentry-sample_rate=inf"})
@given(HEADERS)
def test_request_has_one_trace_and_passes_it_on(passed_on, caplog, headers):
    caplog.clear()
    trace, found = passed_on(headers)
    assert [record for record in caplog.records if record.name.startswith("sentry_paste")] == []
    assert re.fullmatch("[0-9a-f]{32}", trace)

    caller = trace_and_parent(headers.get("HTTP_TRACEPARENT", ""))
    if "HTTP_SENTRY_TRACE" not in headers:
        assert (trace == caller[0]) if caller else trace not in TRACES
    elif trace in TRACES:
        assert trace in headers["HTTP_SENTRY_TRACE"]

    sentry = SENTRY_TRACE.fullmatch(found["sentry-trace"])
    assert sentry[1] == trace
    if int(trace, 16):
        version, *same, flags = found["traceparent"].split("-")
        assert (version, same) == ("00", [sentry[1], sentry[2]])
        assert flags == {"-1": "01", "-0": "00"}.get(sentry[3], flags)
    if "tracestate" in found:
        assert caller[0] == trace
        members = found["tracestate"].split(",")
        assert all(STATE.fullmatch(member) and member in headers["HTTP_TRACESTATE"] for member in members)
        assert len(found["tracestate"]) <= 512
