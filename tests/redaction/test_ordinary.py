"""What is ordinary takes a shorter way, with the same result."""

import re
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentry_paste import SentryMiddleware
from sentry_paste.redaction import candidates, parameters, texts, values
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.names import Names
from sentry_paste.testing import capture_envelopes

from wsgi_calls import call, environ_of

NEVER = re.compile("(?!)")
NAMES = Names()
WORDS = "token page code api_key Password sid csrf-token remote addr jwt pin 1 q8fh [a] ü"
SIGNS = "= == & & ? # / ; + : ' \" . - // %3D =[Filtered] [filtered] =%5BFiltered%5D =%5Bfiltered]"
PIECES = st.sampled_from([*WORDS.split(), *SIGNS.split(), "https://h.example/p", "/a/token", "", "x" * 70])
QUERIES = st.lists(st.tuples(PIECES, st.sampled_from(["=", "&", "", "_"])), max_size=9).map(
    lambda parts: "".join(piece + sign for piece, sign in parts)
)
# A hidden field, and what may be beside it.
HIDDEN = "token=[Filtered] user[password]=[Filtered] -u=[Filtered] input_value=[Filtered] =[Filtered]"
BESIDE = r"""p&#97;ssword=PW \x70assword=PW' u=http&#58;//bob:PW@h p%61ssword=PW amp;password=PW #pin=PW
    &quot;password&quot;:&quot;PW b' {'query':' ' " \u0026 http:\/\/bob:PW@h http://bob:PW@h http://bob:PW
    a=Basic Authorization:Basic <cookie name=PW> curl-ubob:PW 1 & && ? # ; + , %22 %3Ctoken%3EPW"""
TEXTS = st.lists(
    st.tuples(
        st.sampled_from([*HIDDEN.split(), *BESIDE.split()]), st.sampled_from(["&", "", " ", "\n", "?"])
    ),
    max_size=7,
).map(lambda parts: "".join(piece + sign for piece, sign in parts))
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


@pytest.mark.parametrize("clean", [parameters.clean_query, parameters.secret_parameters])
@pytest.mark.parametrize("field", ["", "a=b", "a"])
def test_query_of_many_fields_takes_little_memory(clean, field):
    text = f"{field}&" * 100_000 + "key=1"
    clean(text, NAMES)
    tracemalloc.start()
    clean(text, NAMES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * len(text)


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


@given(TEXTS)
@example("token=[Filtered]&p&#97;ssword=PW")
@example("-u=[Filtered]&key=a b:c")
@example("token=[Filtered]&#x;a")
@example("token=[Filtered]&amp;a")
def test_text_with_hidden_fields_has_the_same_secrets(text):
    shorter = texts.clean_texts([text], Names())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "_AFTER_HIDDEN", ())
        assert shorter == texts.clean_texts([text], Names())


@pytest.mark.parametrize(
    "beside",
    ["p&#97;ssword=hunter2pw", r"x=b'\x70assword=hunter2pw'", "u=http&#58;//bob:hunter2pw@h"],
    ids=["reference", "escape", "user"],
)
def test_escaped_secret_beside_a_hidden_field_is_hidden(beside):
    def app(environ, start_response):
        raise ValueError(f"bad query ?{environ['QUERY_STRING']}")

    with capture_envelopes() as captured:
        environ = environ_of(QUERY_STRING=f"token=Zq81xY77&{beside}")
        call(SentryMiddleware(app, dsn="http://key@127.0.0.1:9/1"), environ)
    (event,) = [item.payload.json for envelope in captured for item in envelope.items if item.type == "event"]
    for text in (event["exception"]["values"][0]["value"], event["request"]["query_string"]):
        assert "token=[Filtered]&" in text
        assert "hunter2" not in text


@pytest.mark.parametrize(
    "text",
    ["password\U0001d7cf=hunter2", "password\U0001d7cf: hunter2", '"password\U0001d7cf": "hunter2"'],
)
def test_emoji_in_a_long_text_hides_no_name(text):
    names = Names()
    alone = texts.clean_texts([text], Names())
    assert "hunter2" not in alone[text]
    assert texts.clean_texts([text, "x" * 120_000 + "\U0001f600"], names) == alone
    assert texts.clean_texts([text], names) == alone


def test_text_that_was_not_searched_as_it_is_is_not_remembered():
    names = Names()
    texts.clean_texts(["plain", "x" * 120_000 + "\U0001f600"], names)
    assert not names.plain_texts
