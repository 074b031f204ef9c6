"""Any of many keys is found in a text, with the same results as for few."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_paste.redaction.bounds import Allowance, TooMuchError
from sentry_paste.redaction.finder import KEY, Finder

PADDING = "." * 40_000
OTHERS = [f"other-{number:04}" for number in range(200)]


@pytest.mark.parametrize("others", [[], OTHERS], ids=["few", "many"])
@pytest.mark.parametrize("shift", range(5))
class TestPlaces:
    @pytest.mark.parametrize("key", ["abcdefg", "abcdefgh", "a" * KEY, "äöüßabc", "k7-\u4e2d\u6587-k7"])
    def test_key_is_found_at_the_beginning_within_and_at_the_end(self, key, shift, others):
        finder = Finder([key, *others])
        for text in (key + PADDING, PADDING + "." * shift + key + PADDING, PADDING + "." * shift + key):
            assert finder.starts(text, Allowance(100)) == [text.index(key)]

    def test_longer_one_of_two_keys_has_a_place_of_its_own(self, shift, others):
        text = PADDING + "." * shift + "abcdefgh-and-more abcdefgh"
        assert len(Finder(["abcdefgh", "abcdefgh-and-more", *others]).starts(text, Allowance(100))) == 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("ab1", min_size=7, max_size=12), min_size=1, max_size=30), st.integers(0, 2**32))
def test_many_are_found_where_each_is(keys, seed):
    text = PADDING + "".join(random.Random(seed).choices("ab1", k=200))
    finder = Finder([*keys, *OTHERS])
    expected = {start for key in keys for start in range(len(text)) if text.startswith(key[:KEY], start)}
    assert finder.starts(text, Allowance(10_000)) == sorted(expected)


@pytest.mark.parametrize("count", [1, 100])
def test_short_ones_of_many_are_found_as_words(count):
    text = f"{PADDING} a000b \\na000b %3Da000b {PADDING}"
    places = Finder([*(f"a{number:03}b" for number in range(count)), *OTHERS]).starts(text, Allowance(100))
    assert places == [start for start in range(len(text)) if text.startswith("a000b", start)]


@pytest.mark.parametrize("others", [[], OTHERS], ids=["few", "many"])
def test_more_places_than_there_may_be(others):
    with pytest.raises(TooMuchError):
        Finder(["abcdefgh", *others]).starts("abcdefgh " * 10_000, Allowance(500))
