"""What was worked out for a client's last request serves its next one, and changes nothing but the time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste import SentryMiddleware
from sentry_paste.redaction import needles, recent, values, walk
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import Names
from sentry_paste.redaction.payloads import clean_event
from sentry_paste.redaction.recent import Recent
from sentry_paste.testing import capture_envelopes

from wsgi_calls import call, environ_of

NAMES = Names()
ENVIRON = {
    "REMOTE_ADDR": "203.0.113.9",
    "REMOTE_USER": "alice@example.com",
    "HTTP_COOKIE": 'sid=f3f29fj2093fj203fj; theme=dark; cart="a b\\054 c9x8"',
    "HTTP_AUTHORIZATION": "Basic YWxpY2U6c2VjcmV0LXBhc3N3b3Jk",
    "HTTP_X_FORWARDED_FOR": "198.51.100.7, 10.0.0.3",
    "QUERY_STRING": "token=q8fh23fh28hf2",
}
KEYS = st.sampled_from(
    [
        *("HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_X_API_KEY", "HTTP_X_FORWARDED_FOR", "HTTP_X_USER_EMAIL"),
        *("HTTP_X_UNKNOWN", "REDIRECT_HTTP_COOKIE", "REMOTE_ADDR", "REMOTE_USER", "QUERY_STRING"),
    ]
)


@pytest.fixture
def worked_out(monkeypatch):
    """The keys whose values were worked out."""
    keys = []
    original = values._of_secret_entry

    def counting(key, *others):
        keys.append(key)
        return original(key, *others)

    monkeypatch.setattr(values, "_of_secret_entry", counting)
    return keys


def test_next_request_of_a_client_works_out_nothing(worked_out):
    known = Recent()
    first = values.of_request(ENVIRON, NAMES, known)
    assert len(worked_out) == len(set(worked_out)) == 5
    assert values.of_request(dict(ENVIRON), NAMES, known) == first == values.of_request(ENVIRON, NAMES)
    assert len(worked_out) == 10  # the last one without


def test_another_cookie_is_worked_out(worked_out):
    known = Recent()
    values.of_request(ENVIRON, NAMES, known)
    del worked_out[:]
    found = values.of_request({**ENVIRON, "HTTP_COOKIE": "sid=another-9f8e7d6c5b"}, NAMES, known)
    assert worked_out == ["HTTP_COOKIE"]
    assert "another-9f8e7d6c5b" in {secret.text for secret in found}


@given(st.lists(st.dictionaries(KEYS, st.text(max_size=60), max_size=4), max_size=6))
def test_secrets_are_those_of_each_request_by_itself(environs):
    known = Recent()
    for environ in (*environs, *environs):
        assert values.of_request(environ, NAMES, known) == values.of_request(environ, NAMES)


def test_known_values_are_charged_as_if_they_were_worked_out():
    known, secrets = Recent(), [needles.Secret(str(number), needles.WHOLE) for number in range(60)]

    def work_out(bounds):
        bounds.may_read(70)
        yield from bounds.first(secrets)

    by_steps, by_characters = Bounds(100, 1000), Bounds(1000, 100)
    for bounds in (by_steps, by_characters):
        for expected in (False, True):
            list(known.secrets("HTTP_COOKIE", "abc", bounds, lambda bounds=bounds: work_out(bounds)))
            assert bounds.are_exceeded is expected


def test_value_that_was_too_much_is_not_kept():
    known, calls = Recent(), []

    def work_out(bounds):
        calls.append(1)
        bounds.first("x" * 10)
        yield needles.Secret("x", needles.WHOLE)

    for _ in range(2):
        bounds = Bounds(5, 100)
        list(known.secrets("HTTP_COOKIE", "abc", bounds, lambda bounds=bounds: work_out(bounds)))
        assert bounds.are_exceeded
    assert len(calls) == 2


def test_long_values_are_not_kept(worked_out):
    known = Recent()
    for _ in range(2):
        values.of_request({"HTTP_COOKIE": "sid=" + "a1b2" * 2000}, NAMES, known)
    assert worked_out == ["HTTP_COOKIE"] * 2


def test_what_was_not_used_for_long_is_dropped(worked_out, monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now)
    known = Recent()
    cookie, user = {"HTTP_COOKIE": "sid=f3f29fj2093fj203fj"}, {"HTTP_X_API_KEY": "0d9f8a7s6d5f4a3s2d1f"}
    for environ in (cookie, user):
        values.of_request(environ, NAMES, known)
    for _ in range(3):
        now += 61
        values.of_request(cookie, NAMES, known)
    assert worked_out == ["HTTP_COOKIE", "HTTP_X_API_KEY"]
    held = [*known._results._new, *known._results._old]
    assert [kind for kind, _ in held if "HTTP_X_API_KEY" in kind] == []


def test_many_clients_take_a_bounded_amount_of_memory():
    known = Recent()
    for number in range(20_000):
        values.of_request({"HTTP_COOKIE": f"sid=f3f29fj2093{number:08}"}, NAMES, known)
    kept = known._results
    assert 100 < len(kept._new) + len(kept._old) < 5000


def test_markers_are_made_once_for_the_same_secrets(monkeypatch):
    calls = []
    monkeypatch.setattr(recent, "markers_of", lambda secrets: calls.append(1) or needles.markers_of(secrets))
    known = Recent()
    for _ in range(3):
        matcher = Matcher(values.of_request(ENVIRON, NAMES, known), known)
        assert matcher.clean("with f3f29fj2093fj203fj in it") == "with [Filtered] in it"
        assert matcher.clean("with none in it") == "with none in it"
    assert len(calls) == 1


def test_secrets_of_a_clients_second_request_are_not_sent():
    def app(environ, start_response):
        raise ValueError("of f3f29fj2093fj203fj and 203.0.113.9")

    with capture_envelopes() as captured:
        middleware = SentryMiddleware(app)
        for _ in range(2):
            call(middleware, environ_of(**ENVIRON))
    texts = [event["exception"]["values"][0]["value"] for event in captured.errors]
    assert texts == ["of [Filtered] and [Filtered]"] * 2


class TestTextsThatWereSearched:
    SECRETS = values.of_request(ENVIRON, NAMES)

    @pytest.fixture
    def searched(self, monkeypatch):
        """The texts that were searched."""
        texts = []
        original = recent.Searched.unknown

        def unknown(self, given):
            found = original(self, given)
            texts.extend(found)
            return found

        monkeypatch.setattr(recent.Searched, "unknown", unknown)
        return texts

    def test_third_request_of_a_client_searches_what_is_new(self, searched):
        known = Recent()
        for number in range(3):
            del searched[:]
            assert not Matcher(self.SECRETS, known).clean_all(["CPython", f"/basket/{number}"])
        assert searched == ["/basket/2"]

    def test_another_client_searches_all_of_it(self, searched):
        known = Recent()
        for _ in range(3):
            Matcher(self.SECRETS, known).clean_all(["f3f29fj2093fj203 fj"])
        another = values.of_request({"HTTP_COOKIE": "a=b; sid=f3f29fj2093fj203"}, NAMES)
        cleaned = Matcher(another, known).clean_all(["f3f29fj2093fj203 fj"])
        assert cleaned == {"f3f29fj2093fj203 fj": "[Filtered] fj"}

    def test_text_with_a_secret_is_cleaned_each_time(self):
        known = Recent()
        texts = ["CPython", "of f3f29fj2093fj203fj"]
        for _ in range(4):
            assert Matcher(self.SECRETS, known).clean_all(texts) == {texts[1]: "of [Filtered]"}
            assert not Matcher(self.SECRETS, known).clean_all(texts[:1])

    def test_texts_of_a_client_that_comes_once_are_not_kept(self):
        known = Recent()
        Matcher(self.SECRETS, known).clean_all(["CPython"])
        assert not known.searched(self.SECRETS)._texts

    def test_texts_that_are_kept_are_bounded(self):
        known = Recent()
        for number in range(2000):
            Matcher(self.SECRETS, known).clean_all([f"/basket/{number}", "x" * 5000])
        assert 10 < len(known.searched(self.SECRETS)._texts) < 100
        assert sum(map(len, known.searched(self.SECRETS)._texts)) < 9000

    def test_what_they_take_is_counted(self):
        known = Recent()
        for number in range(2000):
            secrets = values.of_request({"HTTP_COOKIE": f"sid=f3f29fj2093{number:08}"}, NAMES)
            for _ in range(3):
                Matcher(secrets, known).clean_all([f"{number}{'x' * 60}{each}" for each in range(60)])
        kept = known._by_secrets
        assert sum(len(found._texts) for found, _ in [*kept._new.values(), *kept._old.values()]) < 8000

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["sid=f3f29fj2093fj203fj", "sid=ab%2Fcd%2Fef12345; x=1", "a=\xfc\xe4\xf6\xfc12345"]
                ),
                st.lists(
                    st.sampled_from(
                        [
                            *(
                                "f3f29fj2093fj203fj",
                                "f3f29fj20...",
                                "f3f29fj20%80%A6",
                                "ZjNmMjlmajIwOTNm",
                                "f3f2",
                            ),
                            *(
                                "ab/cd/ef12345",
                                "ab\\/cd\\/ef12345",
                                "\xfc\xe4\xf6\xfc12345",
                                "CPython",
                                "\\u00fc",
                            ),
                            *("f3f29fj2093fj2&hellip;", "a\nb", "ZjNmMjlmajIw\nOTNmajIwM2Zq"),
                        ]
                    ),
                    max_size=4,
                ),
            ),
            max_size=8,
        )
    )
    def test_what_is_found_is_what_a_search_by_itself_finds(self, requests):
        known = Recent()
        for cookie, texts in requests * 2:
            secrets = values.of_request({"HTTP_COOKIE": cookie}, NAMES)
            assert Matcher(secrets, known).clean_all(texts) == Matcher(secrets).clean_all(texts)


def test_parameters_of_the_same_url_are_found_once(monkeypatch):
    calls = []
    original = values.secret_parameters
    monkeypatch.setattr(values, "secret_parameters", lambda *given: calls.append(1) or original(*given))
    known, environ = Recent(), {"HTTP_REFERER": "https://shop.example/login?token=q8fh23fh28hf2"}
    first = values.of_request(environ, NAMES, known)
    assert values.of_request(environ, NAMES, known) == first == values.of_request(environ, NAMES)
    assert "q8fh23fh28hf2" in {secret.text for secret in first}
    assert len(calls) == 2  # the last one without


def test_user_s_name_is_worked_out_once(monkeypatch):
    calls = []
    original = values.of_person
    monkeypatch.setattr(values, "of_person", lambda text: calls.append(1) or original(text))
    known = Recent()
    for _ in range(3):
        assert set(values.of_users(["alice@example.com"], known)) == set(original("alice@example.com"))
    assert len(calls) == 1


URLS = st.sampled_from(
    [
        *("/a?token=q8fh23fh28hf2&page=3", "https://u:p@shop.example/?x=1#access_token=abc123def", "page=3"),
        *("sid=f3f29fj2093fj203fj", "a=%41&password=hunter2-x", "x" * 5000 + "?token=q8fh23fh28hf2"),
    ]
)


@given(st.lists(st.tuples(URLS, URLS, URLS), max_size=4))
def test_requests_in_events_are_cleaned_as_if_each_was_the_first(requests):
    known, secrets = Recent(), values.of_request(ENVIRON, NAMES)
    for url, query, referer in requests * 3:
        events = [
            {
                "request": {
                    "url": url,
                    "query_string": query,
                    "headers": {"Referer": referer, "X-Url": referer},
                },
                "extra": {
                    "http.query": query,
                    "url": url,
                    "HTTP_REFERER": referer,
                    "x": {"url.query": query},
                },
            }
            for _ in range(2)
        ]
        clean_event(events[0], Matcher(secrets, known), NAMES)
        clean_event(events[1], Matcher(secrets), NAMES)
        assert events[0] == events[1]


def test_url_is_cleaned_once(monkeypatch):
    calls = []
    original = walk.clean_query
    monkeypatch.setattr(walk, "clean_query", lambda *given: calls.append(given[0]) or original(*given))
    known, secrets = Recent(), values.of_request(ENVIRON, NAMES)
    for _ in range(3):
        event = {"request": {"url": "https://shop.example/a?token=q8fh23fh28hf2"}}
        clean_event(event, Matcher(secrets, known), NAMES)
        assert event["request"]["url"] == "https://shop.example/a?token=[Filtered]"
    assert calls == ["https://shop.example/a?token=q8fh23fh28hf2"]
    # With other names the result may be another.
    clean_event(
        {"request": {"url": "https://shop.example/a?token=q8fh23fh28hf2"}}, Matcher(secrets, known), Names()
    )
    assert len(calls) == 2
