"""Time is the last bound: what has not been examined when it is up is hidden."""

import gc
import itertools
import json
import logging

import canaries
import pytest
from canaries import LIFECYCLES, leaks
from webtest import TestApp

from sentry_paste import SentryMiddleware
from sentry_paste.redaction import time_limit
from sentry_paste.redaction.bounds import Allowance, Allowances, Bounds, Sharing, TooMuchError
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.needles import ANYWHERE, Secret
from sentry_paste.redaction.payloads import clean_event, clean_item
from sentry_paste.redaction.texts import clean_text
from sentry_paste.redaction.time_limit import (
    Timed,
    TimeLimit,
    allow_time_for,
    allow_time_for_short_texts,
    is_time_up,
    slowness,
)

NAMES = Names()
SECRET = "q8fh23fh28hf2"
MATCHER = Matcher([Secret(SECRET, ANYWHERE)])


class Clock:
    """CPU time that a test sets; ``looks`` is how often redaction has looked at it."""

    def __init__(self):
        self.now = 0.0
        self.looks = 0
        #: After how many looks it jumps forward by an hour.
        self.jumps_after = None

    def __call__(self):
        self.looks += 1
        return self.now if self.jumps_after is None or self.looks <= self.jumps_after else self.now + 3600


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(time_limit, "_cpu_time", found)
    return found


def test_there_is_no_limit_outside_of_redaction(clock):
    clock.jumps_after = 0
    assert not is_time_up()
    assert not clock.looks


def test_time_counts_from_the_first_look(clock):
    with Timed(TimeLimit(0.05)):
        clock.now = 10
        assert not is_time_up()
        clock.now = 10.04
        assert not is_time_up()
        clock.now = 10.06
        assert is_time_up()


def test_time_that_is_up_stays_so(clock):
    limit = TimeLimit(0.05)
    with Timed(limit, starts=True):
        clock.now = 0.1
        assert is_time_up()
    with Timed(limit):
        assert is_time_up()


def test_longer_texts_have_more_time(clock):
    with Timed(TimeLimit(0.05), starts=True):
        allow_time_for(10**6)
        clock.now = 0.07
        assert not is_time_up()
        clock.now = 0.09
        assert is_time_up()


def test_time_within_a_limit_is_that_of_the_outer_one_as_well(clock):
    with Timed(TimeLimit(0.05), starts=True):
        with Timed(TimeLimit(1.0), starts=True):
            clock.now = 0.1
            assert not is_time_up()
        assert is_time_up()


def test_garbage_collection_takes_no_time_from_redaction(clock):
    with Timed(TimeLimit(0.05), starts=True):
        clock.now = 2.0
        gc.collect()
        assert not is_time_up()
        clock.now = 2.06
        assert is_time_up()


def test_collection_that_takes_no_time_gives_none(clock):
    with Timed(TimeLimit(0.05), starts=True):
        gc.collect()
        for clock.now in (0.01, 0.02, 0.03, 0.04, 0.049):
            assert not is_time_up()
        clock.now = 0.051
        assert is_time_up()


@pytest.fixture
def machine(monkeypatch):
    """Return a function that makes the machine so many times as slow as a fast one."""

    def machine(times):
        now = [0.0]

        def work():
            now[0] += time_limit._SECONDS_OF_SAMPLE * times

        monkeypatch.setattr(time_limit, "_search_sample", work)
        monkeypatch.setattr(time_limit, "_thread_time", lambda: now[0])
        slowness.cache_clear()

    yield machine
    slowness.cache_clear()


@pytest.mark.parametrize(("times", "expected"), [(0.3, 1), (1, 1), (4, 4), (1000, 10)])
def test_seconds_of_a_slow_machine_take_longer(machine, times, expected):
    machine(times)
    assert slowness() == pytest.approx(expected)
    assert time_limit._thread_time() / time_limit._cpu_time() == pytest.approx(expected)


def test_machine_is_as_slow_as_in_its_best_try(machine, monkeypatch):
    machine(3)
    work, tries = time_limit._search_sample, iter([9, 5, 1, 7, 2])
    monkeypatch.setattr(time_limit, "_search_sample", lambda: [work() for _ in range(next(tries))])
    assert slowness() == pytest.approx(3)


def test_machine_without_the_time_of_threads_has_no_limit(machine, monkeypatch):
    machine(1)
    monkeypatch.setattr(time_limit, "_thread_time", lambda: 0.0)
    assert (slowness(), time_limit._cpu_time()) == (1.0, 0.0)


@pytest.mark.parametrize(
    "goes_on",
    [
        lambda bounds: bounds.step(),
        lambda bounds: bounds.may_take(3),
        lambda bounds: bounds.may_read(1000),
        lambda bounds: bounds.may_read(100_000),
    ],
    ids=["steps", "several steps", "characters", "many characters"],
)
def test_bounds_are_exceeded_when_the_time_is_up(clock, goes_on):
    bounds = Bounds(10**6, 10**9)
    with Timed(TimeLimit(0.05), starts=True):
        assert all(goes_on(bounds) for _ in range(100))
        clock.now = 0.06
        count = sum(1 for _ in itertools.takewhile(lambda _: goes_on(bounds), range(100)))
    assert count < 17
    assert bounds.are_exceeded


def test_allowance_is_spent_when_the_time_is_up(clock):
    allowance = Allowance(10**6)
    with Timed(TimeLimit(0.05), starts=True):
        allowance.spend(100)
        clock.now = 0.06
        with pytest.raises(TooMuchError):
            list(map(allowance.spend, [1] * 100))


def test_text_is_hidden_when_the_time_is_up(clock):
    with Timed(TimeLimit(0.05), starts=True):
        assert clean_text("password=hunter22 of a form", NAMES) == f"password={FILTERED} of a form"
        clock.now = 0.06
        assert clean_text("password=hunter22 of a form", NAMES) == FILTERED


def test_items_of_a_request_share_the_time(clock):
    shared, text = Allowances(), "q8fh23fh28hf2 " * 400
    shown = []
    for _ in range(10):
        item = {"body": text, "attributes": {}}
        with Sharing(shared):
            clean_item(item, MATCHER, NAMES)
            clock.now += 0.006
        shown.append(item["body"])
    assert shown[0] == f"{FILTERED} " * 400
    assert shown[-1] == FILTERED
    assert not any("q8fh23" in text for text in shown)


def test_ordinary_items_do_not_look_at_the_clock(clock):
    shared = Allowances()
    for number in range(20):
        with Sharing(shared):
            clean_item({"body": f"basket {number} of q8fh23fh28hf2", "attributes": {}}, MATCHER, NAMES)
    assert not clock.looks


def test_secrets_are_prepared_however_long_it_takes(clock):
    matcher = Matcher([Secret(f"{n:02}\\x41" * 40, ANYWHERE) for n in range(60)])
    event = {"extra": {"text": f"of {'07A' * 40} and words " + "of a basket " * 2000}}
    clock.jumps_after = 2
    with Timed(TimeLimit(), starts=True):
        clean_event(event, matcher, NAMES)
    assert "07A" not in event["extra"]["text"]


def test_short_texts_and_names_stay_when_the_time_is_up(clock):
    long = "no such basket " * 1000
    clean_event({"extra": {"long": "", "short": "", "secret": ""}}, MATCHER, NAMES)  # so the names are known
    event = {"extra": {"long": long, "short": "no such basket", "secret": "of q8fh23fh28hf2"}}
    clock.jumps_after = 1
    with Timed(TimeLimit(), starts=True):
        clean_event(event, MATCHER, NAMES)
    assert event["extra"] == {"long": FILTERED, "short": "no such basket", "secret": FILTERED}


def test_short_texts_have_their_time_only_once(clock):
    limit = TimeLimit(0.05)
    with Timed(limit, starts=True):
        clock.now = 1.0
        allow_time_for_short_texts()
        assert not is_time_up()
        clock.now = 1.02
        allow_time_for_short_texts()
        assert is_time_up()


def test_short_texts_take_no_more_than_what_is_left(clock):
    with Timed(TimeLimit(0.05), starts=True):
        allow_time_for_short_texts()
        clock.now = 0.051
        assert is_time_up()


@pytest.fixture
def _quiet(monkeypatch):
    monkeypatch.setattr(canaries.log, "level", logging.INFO)
    monkeypatch.setattr(canaries.log, "propagate", False)
    canaries.log.addHandler(logging.NullHandler())


@pytest.mark.parametrize("looks", [1, 2, 3, 4, 6, 8, 12, 16, 24, 32])
@pytest.mark.parametrize(
    "channel",
    [
        "messages",
        "local variables by value",
        "span names and data",
        "log items",
        "attachments, and their names",
    ],
)
@pytest.mark.parametrize("lifecycle", LIFECYCLES)
@pytest.mark.usefixtures("_quiet")
def test_nothing_secret_leaves_whenever_the_time_is_up(clock, channel, lifecycle, looks):
    clock.jumps_after = looks
    assert leaks(channel, seed=looks, lifecycle=lifecycle) == set()


@pytest.mark.parametrize("looks", range(1, 16))
def test_event_stays_valid_whenever_the_time_is_up(captured, clock, looks):
    def app(environ, start_response):
        logging.getLogger("app").error("%s of %s", 1, "a basket " * 800)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"fine"]

    clock.jumps_after = looks
    TestApp(SentryMiddleware(app, traces_sample_rate=1.0)).get("/basket", headers={"X-Api-Key": SECRET})
    assert len(captured.errors) == len(captured.transactions) == 1
    assert type(captured.errors[0]["logentry"]["params"]) is list
    assert captured.transactions[0]["contexts"]["response"]["status_code"] == 200


def test_nothing_but_long_texts_is_lost_when_the_time_is_up(captured, clock):
    def crash(environ, start_response):
        basket = "no such basket " * 1000
        raise ValueError(f"of {environ['HTTP_X_API_KEY']} in {basket}")

    with pytest.raises(ValueError, match="no such"):
        TestApp(SentryMiddleware(crash)).get("/basket", headers={"X-Api-Key": SECRET})
    clock.jumps_after = clock.looks + 1
    with pytest.raises(ValueError, match="no such"):
        TestApp(SentryMiddleware(crash)).get("/basket", headers={"X-Api-Key": SECRET})
    whole, cut = captured.errors
    assert SECRET not in json.dumps([whole, cut])
    assert value_of(whole)["value"].startswith(f"of {FILTERED} in no such")
    assert value_of(cut)["value"] == FILTERED
    for part in ("transaction", "request", "level", "tags", "fingerprint"):
        assert cut.get(part) == whole.get(part)
    frames = value_of(cut)["stacktrace"]["frames"]
    assert [frame["function"] for frame in frames] == [
        frame["function"] for frame in value_of(whole)["stacktrace"]["frames"]
    ]
    assert frames[-1]["vars"].keys() == {"environ", "start_response", "basket"}


def value_of(event):
    return event["exception"]["values"][0]
