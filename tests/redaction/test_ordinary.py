"""What is ordinary takes a shorter way, with the same result."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction import candidates, parameters, texts, values
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.names import Names

NEVER = re.compile("(?!)")
NAMES = Names()
WORDS = "token page code api_key Password sid csrf-token remote addr jwt pin 1 q8fh [a] ü"
SIGNS = "= == & & ? # / ; + : ' \" . - // %3D =[Filtered] [filtered] =%5BFiltered%5D =%5Bfiltered]"
PIECES = st.sampled_from([*WORDS.split(), *SIGNS.split(), "https://h.example/p", "/a/token", "", "x" * 70])
QUERIES = st.lists(st.tuples(PIECES, st.sampled_from(["=", "&", "", "_"])), max_size=9).map(
    lambda parts: "".join(piece + sign for piece, sign in parts)
)
TOKENS = st.text(st.sampled_from("abgtzEFGTZ0123459_-"), min_size=6, max_size=42)


@given(QUERIES)
def test_ordinary_query_has_the_same_secrets(text):
    def found():
        return (
            parameters.clean_query(text, NAMES),
            parameters.secret_parameters(text, NAMES),
            parameters.secret_parameters(text, NAMES, Bounds(1, 1000)),
        )

    shorter = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parameters, "_ORDINARY", NEVER)
        patch.setattr(parameters, "_HAS_QUOTE", re.compile(""))
        assert shorter == found()


@given(TOKENS)
def test_token_is_searched_for_as_any_other_value(text):
    def found():
        return [
            set(candidates.of_parts(text, Bounds(100, 1000))),
            *(
                set(values.of_request({key: text, "HTTP_X": f"{text}; a"}, NAMES))
                for key in ("HTTP_X_CSRF_TOKEN", "HTTP_AUTHORIZATION", "HTTP_COOKIE")
            ),
            set(values.of_request({"HTTP_AUTHORIZATION": f"Bearer {text}"}, NAMES)),
        ]

    shorter = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "_TOKEN", NEVER)
        assert shorter == found()


def test_text_that_names_nothing_is_searched_once(monkeypatch):
    names, searched = Names(), []
    search = texts._with_names
    monkeypatch.setattr(texts, "_with_names", lambda listed: searched.append(listed) or search(listed))
    for _ in range(2):
        assert texts.clean_texts(["SELECT 1", "token=abc123&x=1"], names) == {
            "token=abc123&x=1": "token=[Filtered]&x=1"
        }
    assert searched == [["SELECT 1", "token=abc123&x=1"], ["token=abc123&x=1"]]


def test_text_is_searched_again_once_other_names_are_secret():
    names = Names()
    assert texts.clean_texts(["colour=green"], names) == {}
    names.deny(["colour"])
    assert not names.plain_texts


def test_number_of_texts_that_are_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(texts, "_MOST_KNOWN", 10)
    names = Names()
    for number in range(100):
        texts.clean_texts([f"text {number}"], names)
    assert len(names.plain_texts) <= 11
    texts.clean_texts(["x" * 1000], names)
    assert hash("x" * 1000) not in names.plain_texts
