"""The helper that counts steps, on which tests of costs rely."""

import gc
import sys

import pytest

from steps import steps_of


def loop(count):
    return [number for number in range(count) if number]


def test_steps_are_the_same_each_time():
    assert len({steps_of(lambda: loop(100)) for _ in range(10)}) == 1


@pytest.mark.parametrize("work", [loop, lambda count: sum(number for number in range(count))])
def test_each_turn_of_a_loop_in_one_line_is_a_step_or_more(work):
    assert 900 <= steps_of(lambda: work(1000)) - steps_of(lambda: work(100)) <= 2700


def test_tracer_and_garbage_collector_are_as_before():
    def trace(frame, event, arg):
        return None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        steps_of(gc.isenabled)
        with pytest.raises(ZeroDivisionError):
            steps_of(lambda: 1 / 0)
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)
    assert gc.isenabled()
