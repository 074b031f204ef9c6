"""What a client's Accept headers choose, whatever it has written into them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.wsgi.negotiation import best_language, preferences, prefers_json

OFFERED = ("en", "de", "fr", "es", "pt", "ja")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("de", [("de", 1.0)]),
        ("de, en;q=0.5", [("de", 1.0), ("en", 0.5)]),
        ("DE ;\tQ=0.5 ,, *", [("de", 0.5), ("*", 1.0)]),
        ("a;level=1;q=.2", [("a", 0.2)]),
        ("a;q=1.0, b;q=0, c;q=7", [("a", 1.0), ("b", 0.0), ("c", 1.0)]),
        ("a;q=, b;q=., c;q=-1, d;q=nan, e;q=1e9, f;q=inf, g;q=0.5x, h;q=²", []),
    ],
)
def test_preferences_are_names_with_weights(header, expected):
    assert list(preferences(header)) == expected


class TestLanguage:
    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            ("", "en"),
            ("de", "de"),
            ("DE", "de"),
            ("de-AT", "de"),
            ("de-Latn-AT-1901", "de"),
            ("en-US,en;q=0.9,de;q=0.8", "en"),
            ("ko,fr;q=0.5,de;q=0.8", "de"),
            ("fr;q=0.5,de;q=0.5", "fr"),
            ("ko", "en"),
            ("den", "en"),
        ],
    )
    def test_first_of_the_heaviest_is_chosen_and_its_regions_are_the_same(self, header, expected):
        assert best_language(header, OFFERED) == expected

    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            ("*", "en"),
            ("ko, *;q=0.5", "en"),
            ("de, *;q=0.5", "de"),
            ("fr;q=0.5, *", "en"),
            ("en;q=0.5, *", "de"),
            ("en;q=0, *", "de"),
            ("*;q=0, fr", "fr"),
        ],
    )
    def test_wildcard_stands_for_what_is_not_named(self, header, expected):
        assert best_language(header, OFFERED) == expected

    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            ("en;q=0", "de"),
            ("en;q=0, de;q=0", "fr"),
            ("de-AT, de;q=0", "en"),
            ("de-AT;q=0, de", "de"),
            ("*;q=0", "en"),
            (",".join(f"{tag};q=0" for tag in OFFERED), "en"),
        ],
    )
    def test_weight_of_nothing_refuses_unless_nothing_would_be_left(self, header, expected):
        assert best_language(header, OFFERED) == expected

    def test_short_range_finds_the_region_that_is_offered(self):
        assert best_language("zh", ("en", "zh-Hant")) == "zh-Hant"
        assert best_language("zh-Hans-CN", ("en", "zh-Hant")) == "en"
        assert best_language("zh-Hant-TW", ("en", "zh-Hant")) == "zh-Hant"

    @pytest.mark.parametrize("garbage", ["x", ";", "q=1", "*-*", "de de", "d\u00e9", "\udc80", "-", "--"])
    def test_garbage_is_ignored(self, garbage):
        assert best_language(f"{garbage},fr", OFFERED) == "fr"

    @given(header=st.text() | st.text(alphabet="ende-*;q=01., fr"), offered=st.permutations(OFFERED))
    def test_any_header_finds_a_language_that_is_offered(self, header, offered):
        assert best_language(header, offered) in offered

    @given(
        weights=st.dictionaries(
            st.sampled_from([*OFFERED, "ko", "zh-Hant"]), st.integers(min_value=0, max_value=1000), min_size=1
        )
    )
    def test_no_offered_language_is_heavier_than_the_one_that_is_found(self, weights):
        header = ", ".join(f"{tag};q={weight / 1000:.3f}" for tag, weight in weights.items())
        found = best_language(header, OFFERED)
        heaviest = max((weights.get(tag, 0) for tag in OFFERED), default=0)
        assert weights.get(found, 0) == heaviest

    def test_long_header_takes_no_time(self):
        assert best_language("-".join("a" * 30_000) + "," + "de;q=0.1," * 30_000, OFFERED) == "de"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/json", True),
        ("application/problem+json;q=0.1", True),
        ("text/html,application/json;q=0.9", False),
        ("application/json;q=0", False),
        ("application/json;q=nan", False),
    ],
)
def test_json_is_for_clients_that_prefer_it(accept, expected):
    assert prefers_json(accept) is expected
