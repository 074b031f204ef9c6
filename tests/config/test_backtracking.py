"""Regular expressions for which a search can take very long."""

import pytest

from sentry_paste.config.backtracking import slowness


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (r"(a+)+$", "a repeat within a repeat"),
        (r"(?:a*)*b", "a repeat within a repeat"),
        (r"x(\w+\s?)*$", "a repeat within a repeat"),
        (r"((\d+))+z", "a repeat within a repeat"),
        (r"(x|y+)+z", "a repeat within a repeat"),
        (r"(?:[^,]*,?){3,}z", "a repeat within a repeat"),
        (r".*a.*b.*c", "more than 2 of .*"),
        (r"a.*b[^x]+c(.*?)d", "more than 2 of .*"),
    ],
)
def test_slow_ones_are_found(expression, reason):
    assert slowness(expression) == reason


@pytest.mark.parametrize(
    "expression",
    [
        r"^Task \d+ timed out$",
        r"(?:a+,)+",
        r"(\w+\s)*end",
        r"(a|b)*c",
        r"user .* failed .* again",
        r"\d+\.\d+\.\d+\.\d+",
        r"(?:.*a|.*b|.*c)",
        r"(a+){2}",
        r"(?i)reset (by|of) peer",
        r"(?<=x)a+(?!b)",
        r"(",
        "",
    ],
)
def test_others_are_not(expression):
    assert slowness(expression) == ""
