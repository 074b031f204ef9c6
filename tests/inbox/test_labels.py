"""How times, durations and sizes are formatted."""

from datetime import datetime, timedelta, timezone

import pytest

from sentry_paste.inbox import present


@pytest.mark.parametrize(
    ("seconds", "label"),
    [
        (-5, "just now"),
        (1, "just now"),
        (12, "12 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (7300, "2 h ago"),
        (86400, "2026-11-21"),
    ],
)
def test_ago_says_how_long_ago_in_whole_units(seconds, label):
    now = datetime(2026, 11, 22, 7, 13, tzinfo=timezone.utc)
    assert present.ago(now - timedelta(seconds=seconds), now) == label


@pytest.mark.parametrize(
    ("seconds", "label"),
    [
        (0, "0.0 ms"),
        (0.0004, "0.4 ms"),
        (0.183, "183 ms"),
        (0.9999, "1.00 s"),
        (1.5, "1.50 s"),
        (150, "2.5 min"),
    ],
)
def test_duration_has_the_unit_that_suits_it(seconds, label):
    assert present.duration(seconds) == label


@pytest.mark.parametrize(
    ("count", "label"), [(812, "812 B"), (3400, "3.4 kB"), (999_960, "1.0 MB"), (1_200_000, "1.2 MB")]
)
def test_size_has_the_unit_that_suits_it(count, label):
    assert present.size(count) == label


def test_moment_and_clock_are_utc():
    time = datetime(2026, 11, 22, 9, 13, 5, 123999, tzinfo=timezone(timedelta(hours=2)))
    assert present.moment(time) == "2026-11-22 07:13:05.123 UTC"
    assert present.clock(time) == "07:13:05"
