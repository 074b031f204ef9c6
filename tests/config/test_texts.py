"""Text of an ini that is split, or whose type is not declared."""

import pytest

from sentry_paste.config import texts


@pytest.mark.parametrize("split", [texts.split_words, texts.split_names, texts.split_lines])
def test_blank_entries_are_dropped(split):
    assert split("\n  \n") == []
    assert split("a\n\n  b \n") == ["a", "b"]


def test_lists_are_split_by_line_and_comma_and_names_by_blanks_too():
    text = "a b, c\nd"
    assert texts.split_lines(text) == ["a b, c", "d"]
    assert texts.split_words(text) == ["a b", "c", "d"]
    assert texts.split_names(text) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("text", ["1.10", "007", "1e5", "True", "0x10"])
def test_version_or_commit_is_no_number(text):
    assert texts.plain_scalar(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("off", False),
        ("1", 1),
        ("0", 0),
        ("-3", -3),
        ("1.5", 1.5),
        ("nan", "nan"),
        ("a b", "a b"),
    ],
)
def test_scalar_is_what_it_looks_like(text, value):
    assert texts.scalar(text) == value
    assert type(texts.scalar(text)) is type(value)
