"""The W3C's headers ``traceparent`` and ``tracestate``."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentry_paste.wsgi.w3c import decision_in_baggage, outgoing, trace_and_parent

TRACE, PARENT = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"
OTHER = "b7ad6b7169203331"
HEX = st.text(alphabet="0123456789abcdefABCF", min_size=1, max_size=33)


@pytest.mark.parametrize(
    "text",
    [
        f"00-{TRACE}-{PARENT}-00",
        f"00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-ff",
        f" 00-{TRACE}-{PARENT}-01\t",
        f"cc-{TRACE}-{PARENT}-01",
        f"01-{TRACE}-{PARENT}-01-what-the-future-will-be-like",
    ],
)
def test_header_has_trace_and_parent(text):
    assert trace_and_parent(text) == (TRACE, PARENT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-0",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01",
        f"01-{TRACE}-{PARENT}-01-{'x' * 1000}",
        f"01-{TRACE}-{PARENT}-01\n",
        f"\u06600-{TRACE}-{PARENT}-01",
    ],
)
def test_malformed_header_has_none(text):
    assert trace_and_parent(text) is None


@settings(max_examples=2000)
@example(f"00-{TRACE}-{PARENT}-01")
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(HEX, min_size=3, max_size=6).map("-".join),
        st.tuples(
            st.sampled_from(["00", "01", "ff", "0g"]),
            st.sampled_from([TRACE, "0" * 32, TRACE[:-1]]),
            st.sampled_from([PARENT, "0" * 16, PARENT + "0"]),
            st.sampled_from(["00", "01", "zz", ""]),
            st.text(max_size=5),
        ).map("-".join),
    )
)
def test_what_is_found_is_what_the_recommendation_allows(text):
    found = trace_and_parent(text)
    if found is not None:
        trace, parent = found
        assert re.fullmatch("[0-9a-f]{32}", trace)
        assert re.fullmatch("[0-9a-f]{16}", parent)
        assert int(trace, 16)
        assert int(parent, 16)
        assert text.strip(" \t")[3:].startswith(f"{trace}-{parent}-")


def sent(sentry_trace=f"{TRACE}-{OTHER}-1", traceparent=f"00-{TRACE}-{PARENT}-01", tracestate=None):
    given = {"HTTP_TRACEPARENT": traceparent, "HTTP_TRACESTATE": tracestate}
    return dict(outgoing(sentry_trace, {name: value for name, value in given.items() if value is not None}))


@pytest.mark.parametrize(
    ("decision", "flags", "sent_on"),
    [
        ("-1", "00", "01"),
        ("-0", "01", "00"),
        ("", "01", "01"),
        ("", "00", "00"),
        ("", "03", "01"),
        ("", "02", "00"),
    ],
)
def test_decision_here_comes_before_the_callers(decision, flags, sent_on):
    found = sent(f"{TRACE}-{OTHER}{decision}", f"00-{TRACE}-{PARENT}-{flags}")
    assert found == {"traceparent": f"00-{TRACE}-{OTHER}-{sent_on}"}


@pytest.mark.parametrize("traceparent", [None, "", "malformed", f"00-{'a' * 32}-{PARENT}-01"])
def test_flag_and_state_of_another_trace_are_left_out(traceparent):
    assert sent(f"{TRACE}-{OTHER}", traceparent, "a=1") == {"traceparent": f"00-{TRACE}-{OTHER}-00"}


@pytest.mark.parametrize(
    "trace", ["", TRACE, f"{TRACE}-{OTHER}-2", f"{'0' * 32}-{OTHER}-1", f"{TRACE}-{'0' * 16}-1"]
)
def test_nothing_is_made_of_another_kind_of_trace(trace):
    assert sent(trace) == {}


LONG = "long=" + "x" * 140


def members(count, value):
    return ",".join(f"k{number:02}={value}" for number in range(count))


@pytest.mark.parametrize(
    ("given", "sent_on"),
    [
        ("a=1", "a=1"),
        (" a=1 ,\tb=2,, ", "a=1,b=2"),
        ("tenant@vendor=x y", "tenant@vendor=x y"),
        ("", None),
        (" , ", None),
        ("a", None),
        ("a=1,B=2", None),
        ("a=b=c", None),
        ("a=\u00e9", None),
        ("a=1\r\nx: y", None),
        ("a=" + "x" * 256, "a=" + "x" * 256),
        ("a=" + "x" * 257, None),
        (members(32, "1"), members(32, "1")),
        (members(33, "1"), None),
        (f"a=1,{LONG},{LONG},{LONG},{LONG},b=2", "a=1,b=2"),
        (members(20, "x" * 27), members(16, "x" * 27)),
        ("a=1," + " " * 9000, None),
    ],
)
def test_state_is_passed_on_as_the_recommendation_says(given, sent_on):
    assert sent(tracestate=given).get("tracestate") == sent_on


@pytest.mark.parametrize(
    ("baggage", "decision"),
    [
        (f"sentry-trace_id={TRACE},sentry-sampled=true", "-1"),
        (f"other=1, sentry-sampled=false;p=1 ,sentry-trace_id={TRACE}", "-0"),
        (f"sentry-trace_id={TRACE},sentry-release=1", ""),
        (f"sentry-trace_id={TRACE},sentry-sampled=perhaps", ""),
        (f"sentry-trace_id={TRACE[:-1]}1,sentry-sampled=true", None),
        (f"xsentry-trace_id={TRACE},sentry-sampled=true", None),
        ("sentry-sampled=true", None),
        ("", None),
        (f"sentry-trace_id={TRACE},sentry-sampled=true," + "x" * 8192, None),
    ],
)
def test_sentrys_members_of_baggage_decide_for_their_own_trace(baggage, decision):
    assert decision_in_baggage(baggage, TRACE) == decision
