"""When a spool tries again, how fast it goes, and that a herd of them loses nothing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.spool.backoff import FIRST, LONGEST, LONGEST_ASKED, LONGEST_LIVE, Backoff, Pace

CHANCES = st.floats(0, 1, exclude_max=True)
RATES = st.floats(0.01, 1000)


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


def waits_of(backoff, failures):
    waits = []
    for _ in range(failures):
        backoff.failed()
        waits.append(backoff.remaining())
    return waits


def test_nothing_is_waited_for_before_a_failure():
    assert Backoff(clock=Clock()).remaining() == 0.0


def test_waits_are_chosen_below_twice_as_much_after_each_failure():
    waits = waits_of(Backoff(clock=Clock(), chance=lambda: 1.0), 6)
    assert waits == [FIRST * factor for factor in (1, 2, 4, 8, 16, 32)]


@pytest.mark.parametrize("longest", [LONGEST, LONGEST_LIVE])
def test_waits_are_chosen_below_the_longest_at_last_and_for_ever(longest):
    waits = waits_of(Backoff(longest, Clock(), lambda: 1.0), 2000)
    assert max(waits) == waits[-1] == longest


@given(st.lists(CHANCES, min_size=1, max_size=40))
def test_chance_chooses_the_whole_of_a_wait(chances):
    chosen = iter(chances)
    waits = waits_of(Backoff(LONGEST, Clock(), lambda: next(chosen)), len(chances))
    for failures, (wait, chance) in enumerate(zip(waits, chances)):
        assert wait == pytest.approx(chance * min(LONGEST, FIRST * 2**failures), abs=1e-9)


@given(CHANCES, st.floats(0, 1e6), st.integers(1, 50))
def test_retry_after_is_waited_for_up_to_ten_minutes(chance, retry_after, failures):
    backoff = Backoff(clock=Clock(), chance=lambda: chance)
    for _ in range(failures):
        backoff.failed(retry_after)
    asked = min(retry_after, LONGEST_ASKED)
    assert asked - 1e-6 <= backoff.remaining() <= asked + LONGEST


def test_jitter_comes_on_top_of_retry_after():
    clock = Clock()
    first, other = (Backoff(clock=clock, chance=lambda chance=chance: chance) for chance in (0.25, 0.75))
    first.failed(60.0)
    other.failed(60.0)
    assert [first.remaining(), other.remaining()] == [60.25, 60.75]


def test_wait_passes_with_the_clock():
    clock = Clock()
    backoff = Backoff(clock=clock, chance=lambda: 1.0)
    backoff.failed(9.0)
    left = []
    for _ in range(4):
        left.append(backoff.remaining())
        clock.now += 4.0
    assert left == [10.0, 6.0, 2.0, 0.0]


def test_wait_that_is_over_does_not_make_the_next_one_shorter():
    clock = Clock()
    backoff = Backoff(clock=clock, chance=lambda: 1.0)
    for ceiling in (1.0, 2.0, 4.0):
        backoff.failed()
        assert backoff.remaining() == ceiling
        clock.now += ceiling


def test_success_ends_the_wait_and_forgets_the_failures():
    backoff = Backoff(clock=Clock(), chance=lambda: 1.0)
    waits_of(backoff, 20)
    backoff.succeeded()
    assert backoff.remaining() == 0.0
    assert waits_of(backoff, 2) == [FIRST, FIRST * 2]


@given(RATES)
def test_pace_is_the_rate_before_a_failure(rate):
    pace = Pace(rate)
    pace.succeeded()
    assert pace.interval() == pytest.approx(1 / rate)


def test_pace_after_failures_is_slower_with_each_down_to_an_envelope_in_four_seconds():
    pace = Pace(100)
    intervals = []
    for _ in range(5):
        pace.failed()
        intervals.append(pace.interval())
    assert intervals == [1.0, 2.0, 4.0, 4.0, 4.0]


def test_pace_grows_by_a_quarter_with_each_envelope_up_to_the_rate():
    pace = Pace(100)
    pace.failed()
    rates = []
    for _ in range(30):
        pace.succeeded()
        rates.append(1 / pace.interval())
    assert rates[:3] == pytest.approx([1.25, 1.5625, 1.953125])
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(100)


@given(RATES, st.lists(st.booleans(), max_size=100))
def test_pace_is_never_above_the_rate_and_never_stops(rate, outcomes):
    pace = Pace(rate)
    for succeeded in outcomes:
        if succeeded:
            pace.succeeded()
        else:
            pace.failed()
        assert 1 / rate <= pace.interval() * (1 + 1e-9)
        assert pace.interval() <= max(1 / rate, 4.0) * (1 + 1e-9)


@given(RATES, st.integers(0, 50))
def test_failure_never_makes_the_pace_faster(rate, successes):
    pace = Pace(rate)
    pace.failed()
    for _ in range(successes):
        pace.succeeded()
    before = pace.interval()
    pace.failed()
    assert pace.interval() >= before


@pytest.mark.parametrize("fresh", [0.0, 300.0])
@pytest.mark.parametrize("policy", ["with back-off", "without jitter", "without back-off"])
def test_herd_loses_nothing_and_sends_nothing_twice(monkeypatch, policy, fresh):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    from benchmarks.herd import POLICIES, Herd

    (chosen,) = (found for found in POLICIES if found.title == policy)
    herd = Herd(chosen, hosts=2, workers=3, fresh=fresh).run()
    assert herd.gone is not None
    assert herd.captured == herd.sent == sum(herd.server.taken.values()) > 600
    assert sum(herd.server.offered.values()) > herd.captured
    assert not any(sender.backlog for sender in herd._senders)
