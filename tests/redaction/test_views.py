"""Text with its escapes undone, and the corresponding places in the original text."""

import html
import json
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sentry_paste.redaction.bounds import Allowance, TooMuchError
from sentry_paste.redaction.views import decoded

MANY = 10_000


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a%20b", "a b"),
        ("%C3%BC%FC", "Ã¼ü"),
        ("%C3%BC", "ü"),
        (r"a\x41\n", "aA\n"),
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\U0001f600", "\U0001f600"),
        (r"\101\/", "A/"),
        ("&#39;&#x27;&amp;&quot;", "''&\""),
    ],
)
def test_one_level_is_undone(text, meaning):
    assert decoded(text, Allowance(MANY)).text == meaning


@pytest.mark.parametrize("text", ["", "plain", "100 % of it", "a & b", "&unknown;"])
def test_text_without_escapes_has_no_other_view(text):
    view = decoded(text, Allowance(MANY))
    assert view is None or view.text == text


@given(st.text(), st.text(min_size=1), st.text(), st.sampled_from([quote, json.dumps, html.escape, ascii]))
def test_place_is_mapped_back(before, middle, after, form):
    assume(not set("\\%&") & set(before + middle + after))
    shown = form(before + "<" + middle + ">" + after)
    view = decoded(shown, Allowance(MANY))
    assume(view is not None)
    start = view.text.find("<" + middle + ">")
    assume(start >= 0)
    found = shown[view.start(start) : view.end(start + len(middle) + 2)]
    again = decoded(found, Allowance(MANY))
    assert middle in (again.text if again else found)


def test_each_escape_is_paid_for():
    allowance = Allowance(1000)
    decoded("%41a" * 600, allowance)
    assert allowance.left == 900


def test_more_escapes_than_are_allowed():
    with pytest.raises(TooMuchError):
        decoded("%41a" * 600, Allowance(99))
