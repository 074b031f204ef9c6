"""What was worked out for a client's last request serves its next one, and changes nothing but the time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste import SentryMiddleware
from sentry_paste.redaction import needles, recent, values
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import Names
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
    held = [*known._by_entry._new, *known._by_entry._old]
    assert [key for key, _ in held if key == "HTTP_X_API_KEY"] == []


def test_many_clients_take_a_bounded_amount_of_memory():
    known = Recent()
    for number in range(20_000):
        values.of_request({"HTTP_COOKIE": f"sid=f3f29fj2093{number:08}"}, NAMES, known)
    kept = known._by_entry
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
