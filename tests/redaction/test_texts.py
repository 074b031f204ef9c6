"""What text itself says is secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.texts import clean_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("new_password=abc&colour=green", "new_password={}&colour=green"),
        ("b'a=1&password=abc'", "b'a=1&password={}'"),
        ("...\\r\\n\\r\\nnew_password=abc&colour=green'", "...\\r\\n\\r\\nnew_password={}&colour=green'"),
        ("GET /?a=1&access_token=abc HTTP/1.1", "GET /?a=1&access_token={} HTTP/1.1"),
        ("Set-Cookie: sid=abc; Path=/", "Set-Cookie: {}; Path=/"),
        ("[('Set-Cookie', 'sid=abc; Path=/')]", "[('Set-Cookie', '{}; Path=/')]"),
        ("{b'set-cookie': b'sid=abc'}", "{{b'set-cookie': b'{}'}}"),
        ("<SimpleCookie: sid='abc'>", "<SimpleCookie: {}>"),
        ("<Morsel: sid=abc; Path=/>", "<Morsel: {}>"),
        ("NEW_PASSWORD=abc&colour=green", "NEW_PASSWORD={}&colour=green"),
        ("ACCESS_TOKEN='abc'", "ACCESS_TOKEN='{}'"),
        # Of this letter the lower case is two characters, one of which is in no name.
        ("GET /?a=1&access\u0130_token=abc HTTP/1.1", "GET /?a=1&access\u0130_token={} HTTP/1.1"),
    ],
)
def test_value_goes(text, expected):
    assert clean_text(text, Names()) == expected.format(FILTERED)


@pytest.mark.parametrize(
    "text",
    [
        "token=NAME",
        "a=1&b=2",
        "x == y",
        "unexpected token = 5",
        "cookies=3",
        "http://x/?page=3",
        "<Holder a=1>",
    ],
)
def test_other_text_stays(text):
    assert clean_text(text, Names()) == text


@given(st.text(alphabet="abp=&?/%:;'\" \\", max_size=60))
def test_text_without_a_secret_name_stays(text):
    assert clean_text(text, Names()) == text
