"""What an eleventh reviewer found about cost: values with many forms, and events that a client decides on."""

import gc
import json

import pytest
import sentry_sdk
from webtest import TestApp

from sentry_paste import SentryMiddleware
from sentry_paste.redaction import time_limit
from sentry_paste.redaction.bounds import Allowances, TimedEvent
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.needles import ADDRESS, ANYWHERE, Secret
from sentry_paste.redaction.time_limit import TimeLimit, allow_time_for, is_time_up
from sentry_paste.redaction.values import MOST

from steps import steps_of

SECRET = "q8fh23fh28hf2"


class TestValuesWithManyForms:
    """1,900 addresses took 90 ms to prepare, 160 values with all signs 260 ms."""

    SIGNS = "'\"%41\\x41&amp;+ "
    KINDS = {
        "tokens": "{:06}abcdefgh",
        "percent signs": "{:06}%41bcdefgh",
        "all signs": "{:06}" + SIGNS + "abcdefgh",
        "all signs, long": "{:06}" + SIGNS * 40,
        "UTF-8 and all signs": "{:06}\xc3\xa9\xad%C3%A9" + SIGNS + "abcdefgh",
        "UTF-8 and all signs, long": "{:06}\xc3\xa9\xad%C3%A9" + SIGNS * 40,
        "many percent signs": "{:06}" + "%41" * 300,
        "many backslashes": "{:06}" + "\\x41" * 250,
        "unprintable": "{:06}" + "\x80a\xad" * 300,
        "mapped addresses": "::ffff:10.1.{1}.{2}",
        "IPv6 addresses": "2001:db8::{:x}:ffff:1.2.3.4",
        "IPv4 addresses": "10.1.{1}.{2}",
    }

    def matcher(self, kind, count):
        text, where = self.KINDS[kind], ADDRESS if "addresses" in kind else ANYWHERE
        return Matcher(
            Secret(text.format(number, number // 250, number % 250), where) for number in range(count)
        )

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_it_takes_to_prepare_them_is_bounded(self, kind):
        counts = [count for count in range(1, MOST + 1) if count % 100 == 0 or count < 200]
        count = next(count for count in reversed(counts) if not self.matcher(kind, count).is_exceeded)
        assert steps_of(self.matcher(kind, count)._make_ready) < 600_000

    @pytest.mark.parametrize(
        ("kind", "count"),
        [("tokens", 2000), ("percent signs", 600), ("all signs", 200), ("IPv6 addresses", 250)],
    )
    def test_as_many_as_anybody_sends_are_searched_for(self, kind, count):
        assert not self.matcher(kind, count).is_exceeded


class Clock:
    """CPU time that a test sets, or that goes on by a step each time that it is looked at."""

    def __init__(self):
        self.now = self.step = 0.0

    def __call__(self):
        self.now += self.step
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(time_limit, "_cpu_time", found)
    return found


class TestEventsOfARequest:
    """An app may report an error for each element of a body: 50 took 50 ms each."""

    def time_of(self, clock, allowances, most=1.0):
        """Return how much time an event has that would take any."""
        begun = clock.now
        with TimedEvent(allowances):
            while not is_time_up() and clock.now < begun + most:
                clock.now += 0.001
        return clock.now - begun

    def test_first_one_has_most_of_the_time(self, clock):
        allowances = Allowances()
        assert self.time_of(clock, allowances) == pytest.approx(0.04, abs=0.002)
        assert self.time_of(clock, allowances) == pytest.approx(0.005, abs=0.002)
        assert sum(self.time_of(clock, allowances) for _ in range(50)) == pytest.approx(0.25, abs=0.1)

    def test_ordinary_ones_take_nothing_from_each_other(self, clock):
        allowances = Allowances()
        for _ in range(100):
            assert self.time_of(clock, allowances, most=0.004) == pytest.approx(0.004)
        assert self.time_of(clock, allowances) == pytest.approx(0.04, abs=0.002)

    def test_larger_ones_share_the_rest(self, clock):
        allowances = Allowances()
        times = [self.time_of(clock, allowances, most=0.015) for _ in range(10)]
        assert times[:3] == pytest.approx([0.015] * 3)
        assert times[4:] == pytest.approx([0.005] * 6, abs=0.002)

    def test_characters_are_not_charged(self, clock):
        allowances = Allowances()
        for _ in range(10):
            with TimedEvent(allowances):
                allow_time_for(10**6)
                clock.now += 0.034
                assert not is_time_up()
        assert self.time_of(clock, allowances) == pytest.approx(0.04, abs=0.002)

    def test_characters_give_less_time_once_the_shared_one_is_over(self, clock):
        allowances = Allowances()
        self.time_of(clock, allowances)
        with TimedEvent(allowances):
            allow_time_for(10**6)
            clock.now += 0.012
            assert not is_time_up()
            clock.now += 0.002
            assert is_time_up()

    def test_what_is_done_between_two_parts_takes_no_time(self, clock):
        time = TimedEvent(Allowances())
        for _ in range(5):
            with time:
                clock.now += 0.003
                assert not is_time_up()
            clock.now += 10
        with time:
            clock.now += 0.03
            assert is_time_up()

    def test_garbage_collection_behind_the_last_look_takes_nothing_from_others(self, clock):
        allowances = Allowances()
        with TimedEvent(allowances):
            clock.now += 2
            gc.collect()
        assert self.time_of(clock, allowances) == pytest.approx(0.04, abs=0.002)

    def test_second_has_new_time(self, clock, monkeypatch):
        allowances = Allowances()
        self.time_of(clock, allowances)
        monkeypatch.setattr(allowances, "_until", 0.0)
        assert self.time_of(clock, allowances) == pytest.approx(0.04, abs=0.002)

    def test_other_requests_have_their_own(self, clock):
        self.time_of(clock, Allowances())
        assert self.time_of(clock, Allowances()) == pytest.approx(0.04, abs=0.002)

    def test_short_texts_have_less_time_later(self, clock):
        allowances = Allowances()
        first = allowances.events.for_next()
        self.time_of(clock, allowances)
        later = allowances.events.for_next()
        assert isinstance(first, TimeLimit)
        assert (first._reserve, later._reserve) == pytest.approx((0.01, 0.001))

    def test_further_events_hide_what_would_take_long(self, captured, monkeypatch):
        clock, text = Clock(), f"{SECRET} of a basket " * 500
        clock.step = 0.002
        monkeypatch.setattr(time_limit, "_cpu_time", clock)

        def app(environ, start_response):
            for number in range(30):
                sentry_sdk.capture_message(f"{number} of " + text)
            start_response("200 OK", [])
            return [b""]

        filtered = SentryMiddleware(app, max_value_length=100_000)
        TestApp(filtered).get("/", headers={"X-Api-Key": SECRET})
        shown = [event["message"] for event in captured.errors]
        assert len(shown) == 30
        assert shown[0].startswith(f"0 of {FILTERED} of a basket")
        assert shown[-1] == FILTERED
        assert SECRET not in json.dumps(captured.errors)

    def test_attachment_may_take_long_to_make(self, captured, clock):
        def content():
            clock.now += 10
            return f"{SECRET} of a basket".encode()

        def app(environ, start_response):
            with sentry_sdk.new_scope() as scope:
                for number in range(3):
                    scope.add_attachment(bytes=content, filename=f"{number}.txt")
                sentry_sdk.capture_message("no such basket")
            start_response("200 OK", [])
            return [b""]

        TestApp(SentryMiddleware(app)).get("/", headers={"X-Api-Key": SECRET})
        sent = [item for envelope in captured for item in envelope.items if item.type == "attachment"]
        assert [item.payload.get_bytes() for item in sent] == [f"{FILTERED} of a basket".encode()] * 3
