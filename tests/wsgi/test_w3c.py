"""The W3C's header ``traceparent``."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentry_paste.wsgi.w3c import trace_and_parent

TRACE, PARENT = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"
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
