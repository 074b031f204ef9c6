"""Parameters behind an ampersand that was escaped, in texts of events."""

import pytest

from sentry_paste.redaction import Names
from sentry_paste.redaction.texts import clean_text, clean_texts

SECRET = "q8fh23fh28hf2k7"
AMPERSANDS = [
    "&amp;", "&#38;", "&#038;", "&#x26;", "&#X26;", "&amp;amp;", "&amp;#38;", "&AMP;", "\\u0026", "\\x26",
    "\\\\u0026", "\\u0026amp;", "\\u0026#38;",
]  # fmt: skip
PLACES = [
    "see http://h/p?a=1{}{}={} there", "a=1{}{}={}", '<a href="/p?a=1{}{}={}">', "'/p?a=1{}{}={}'",
    "page=3{}{}={} then",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("ampersand", AMPERSANDS)
@pytest.mark.parametrize("name", ["sig", "code", "key", "sid", "hmac", "pass", "token", "api_key"])
class TestNames:
    def test_value_is_hidden(self, name, ampersand, place):
        text = place.format(ampersand, name, SECRET)
        for cleaned in (clean_text(text, Names()), clean_texts([text, "x"], Names()).get(text, text)):
            assert cleaned == place.format(ampersand, name, "[Filtered]")


@pytest.mark.parametrize("ampersand", [mark for mark in AMPERSANDS if mark.startswith("&")])
def test_next_parameter_stays(ampersand):
    text = f"see /p?a=1{ampersand}sig={SECRET}{ampersand}page=3 there"
    assert clean_texts([text], Names()) == {text: text.replace(SECRET, "[Filtered]")}


@pytest.mark.parametrize("level", range(5))
@pytest.mark.parametrize("name", ["sig", "code", "key", "token"])
def test_nested_ones_at_each_level(name, level):
    percent = "%" + "25" * level
    text = f"see /p?next=%2Fq{percent}3Fa{percent}3D1{percent}26{name}{percent}3D{SECRET}{percent}26b there"
    assert SECRET not in clean_texts([text], Names()).get(text, text)


@pytest.mark.parametrize(
    "text",
    [
        "AT&amp;T;code=5", "if (a &amp;&amp; key = 1)", "x &amp; pass = 3", "&#38;code;", "&lt;code&gt;a=b",
        "for (;;code=1)", "a;sid=3", "\\u0026 code=12", "&amp;code", "R&amp;D;key: 3",
    ],
)  # fmt: skip
def test_other_texts_stay(text):
    assert clean_texts([text], Names()) == {}
