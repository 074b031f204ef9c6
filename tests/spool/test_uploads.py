"""How many uploads are in flight, and in which threads."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.spool.uploads import Uploads, Width


def test_width_grows_with_each_answer_in_time():
    width = Width(8)
    widths = []
    for number in range(10):
        widths.append(width.current)
        width.answered(float(number), 0.15)
    assert widths == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8]


def test_server_that_becomes_slow_has_half_as_many_uploads():
    width = Width(8)
    for number in range(8):
        width.answered(float(number), 0.15)
    # All of those in flight are late.
    for number in range(8):
        width.answered(10.0 + number / 100, 1.0)
    assert width.current == 4


def test_server_that_stays_slow_has_one_upload():
    width = Width(8)
    for number in range(8):
        width.answered(float(number), 0.15)
    for number in range(5):
        width.answered(10.0 + 2 * number, 1.0)
    assert width.current == 1


def test_route_that_has_become_longer_is_known_after_a_while():
    width = Width(8)
    width.answered(0.0, 0.01)
    for number in range(150):
        width.answered(1.0 + number, 0.3)
    assert width.current == 1  # a server that is slow for the moment
    for number in range(300):
        width.answered(200.0 + number, 0.3)
    assert width.current == 8


def test_failure_leaves_one_upload():
    width = Width(8)
    for number in range(8):
        width.answered(float(number), 0.15)
    width.failed()
    assert width.current == 1


@given(st.integers(1, 20), st.lists(st.none() | st.floats(0, 100), max_size=50))
def test_width_is_from_one_to_its_most(most, answers):
    width = Width(most)
    for number, took in enumerate(answers):
        if took is None:
            width.failed()
        else:
            width.answered(float(number), took)
        assert 1 <= width.current <= most


def test_threads_start_when_all_others_are_busy_and_end():
    uploads, go = Uploads("test-upload-threads"), threading.Event()

    def threads() -> int:  # by name: threads of other tests may end meanwhile
        return sum(thread.name.startswith("test-upload-threads") for thread in threading.enumerate())

    for number in range(3):
        uploads.start(lambda number=number: go.wait(10) and number)
    assert uploads.in_flight == 3
    assert threads() == 3
    go.set()
    assert sorted(uploads.wait(30) for _ in range(3)) == [0, 1, 2]
    uploads.start(lambda: 4)
    assert uploads.wait(30) == 4
    assert threads() == 3
    uploads.end()
    until = time.monotonic() + 30
    while threads():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_wait_ends_when_it_is_woken():
    uploads = Uploads("test-upload")
    uploads.wake()
    assert uploads.wait(30) is None
    assert uploads.wait(0.01) is None


@pytest.mark.parametrize("busy", [0, 1])
def test_without_another_thread_what_there_is_does_it(monkeypatch, busy):
    """Python 3.12 starts none at the end, and systems have limits."""
    uploads, go = Uploads("test-upload"), threading.Event()
    for _ in range(busy):
        uploads.start(lambda: go.wait(10))

    def fail(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    uploads.start(lambda: "done")
    go.set()
    assert {uploads.wait(30) for _ in range(busy + 1)} == {"done", *([True] * busy)}
    uploads.end()
