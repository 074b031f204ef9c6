"""What a tenth review found: memory that clients could fill, and work that was done twice."""

import gc
import re
import time
import tracemalloc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction import encoded, payloads, texts, user_infos, values
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.matcher import NO_SECRETS, Matcher
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.nearby import Nearby
from sentry_paste.redaction.recent import Recent

NAMES = Names()


@pytest.mark.parametrize(
    ("environ_of", "count"),
    [
        (lambda number: {f"HTTP_X{number}_{'a_' * 4000}": "q"}, 500),
        (lambda number: {"HTTP_COOKIE": f"sid={number}{'k7' * 100_000}"}, 50),
    ],
    ids=["long names", "long cookies"],
)
def test_memory_of_what_was_worked_out_is_bounded(environ_of, count):
    known = Recent()
    tracemalloc.start()
    for number in range(count):
        secrets = values.of_request(environ_of(number), NAMES, known)
        Matcher(secrets, known).clean("a short text")
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 3_000_000


def test_entries_without_secrets_count_as_well():
    known = Recent()
    for number in range(6000):
        values.of_request({f"HTTP_X_TOKEN_{number}": "q"}, NAMES, known)
    assert 1000 < len(known._results._new) + len(known._results._old) < 4000


def test_long_texts_of_requests_nearby_are_not_kept_for_others():
    nearby = Nearby(NAMES)
    for number in range(10):
        nearby._of_items.since = float("-inf")  # another second
        environ = {"HTTP_COOKIE": f"sid={number}{'k7' * 100_000}", "HTTP_X_TOKEN": f"q8f3h2{number}"}
        assert nearby.matcher([environ]).clean(f"of q8f3h2{number}") == "of [Filtered]"
    assert len(nearby._kept) == 1


def test_requests_nearby_are_kept_with_ordinary_texts():
    nearby = Nearby(NAMES)
    for number in range(20):
        nearby.matcher([{"HTTP_COOKIE": f"sid=q8f3h2k9{number}", "HTTP_USER_AGENT": "Mozilla/5.0 " * 9}])
    assert len(nearby._kept) == 20


def test_event_has_a_bounded_number_of_remarks():
    rows = [{"password": "hunter22", "pin": 4711} for _ in range(5000)]
    event = {"extra": {"rows": rows}}
    payloads.clean_event(event, NO_SECRETS, NAMES)
    assert all(row == {"password": FILTERED, "pin": FILTERED} for row in rows)
    remarks = [each for row in event["_meta"]["extra"]["rows"].values() for each in row.values()]
    assert len(remarks) == 1000
    assert remarks[0] == {"": {"rem": [["!config", "s"]]}}


def test_words_of_statements_are_read_once():
    text = f"password='hunter22' {('a' * 4080 + '[parameters: (') * 60}"
    began = time.process_time()
    assert "hunter22" not in texts.clean_text(text, NAMES)
    assert time.process_time() - began < 0.4


@pytest.mark.parametrize("column", ["token", "`token`", '\\"token\\"', "u.token", "t" * 120 + "_token"])
def test_secret_column_of_a_statement_is_found(column):
    shown = f"[SQL: UPDATE users SET seen = ?, {column} = ? WHERE id = ?] [parameters: ('1', 'q8fh23', 3)]"
    assert "q8fh23" not in texts.clean_text(shown, NAMES)


@pytest.mark.parametrize("sign", ["@", "%40", "%252540", "&#64;", "&amp;#x40;", "\\\\u0040", "\\x40"])
@pytest.mark.parametrize("slash", ["\\/", "%2F", "&#47;"])
def test_user_and_password_end_at_an_at_in_any_form(slash, sign):
    text = f"at https:{slash}{slash}alice:hunter22{sign}h.example{slash}a"
    assert texts.clean_text(text, NAMES) == text.replace("alice:hunter22", FILTERED)


def test_what_is_read_for_the_end_of_a_user_and_a_password_is_bounded():
    text = f":\\/\\/{'%' * 1000} "
    assert user_infos.escaped_user_infos(text, Bounds(10, 3000)) == []
    assert user_infos.escaped_user_infos(text, Bounds(10, 1500)) == [(5, len(text))]


def test_matcher_is_released_at_once():
    gc.disable()
    try:
        matcher = Matcher(values.of_request({"HTTP_COOKIE": "sid=q8f3h2k9"}, NAMES))
        assert matcher.clean("of q8f3h2k9...") == "of [Filtered]"
        known = weakref.ref(matcher._heads)
        del matcher
        assert known() is None
    finally:
        gc.enable()


PIECES = st.sampled_from(
    [
        *("password", "token", "=", ":", "&", "'", '"', "\n", "\r\n", " ", "[Filtered]"),
        *("password=[Filtered]&", "hunter22", "&amp;", "%26", "-u ", "\U0001f600", "x" * 90),
        *("$", "otp", "<cookie "),
    ]
)


@given(st.lists(st.lists(PIECES, max_size=9).map("".join), max_size=5))
def test_text_is_cleaned_in_the_same_way_by_itself_and_with_others(listed):
    cleaned = texts.clean_texts(dict.fromkeys(listed), Names())
    for text in listed:
        if not texts._ONLY_A_NAME.fullmatch(text):
            assert cleaned.get(text, text) == texts.clean_text(text, NAMES)


def test_first_place_of_a_text_is_searched_for_once(monkeypatch):
    begins = []
    original = texts._spans

    def spans(text, names, bounds, begin=0):
        begins.append(begin)
        return original(text, names, bounds, begin)

    monkeypatch.setattr(texts, "_spans", spans)
    text = f"{'good dog ' * 100}password='hunter22'"
    assert texts.clean_texts(["other", text], Names()) == {text: text.replace("hunter22", FILTERED)}
    assert begins == [900]


@given(st.lists(st.sampled_from(["%", "25", "3f", "26", "2", "5"]), max_size=12).map("".join))
def test_encoded_signs_are_found_at_every_level(text):
    plain = re.compile("%(?:25){0,5}(?:3f|26)")
    found = re.compile(encoded.encoded("3f|26"))
    assert [hit.span() for hit in found.finditer(text)] == [hit.span() for hit in plain.finditer(text)]
