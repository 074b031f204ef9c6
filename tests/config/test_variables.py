"""``${VARIABLE}`` in values."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.config.variables import expand

ENVIRONMENT = {"SET": "value", "EMPTY": "", "NESTED": "${SET}"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${SET}", "value"),
        ("a${SET}b${SET}", "avaluebvalue"),
        ("${SET:-default}", "value"),
        ("${UNSET:-default}", "default"),
        ("${UNSET:-}", ""),
        ("${EMPTY:-default}", "default"),
        ("$$", "$"),
        ("$${SET}", "${SET}"),
        ("cost: $5", "cost: $5"),
        ("${NESTED}", "${SET}"),
    ],
)
def test_expansion(text, value):
    assert expand("dsn", text, ENVIRONMENT) == value


def test_variable_that_is_not_set_is_empty_and_told(caplog):
    assert expand("dsn", "${UNSET}", {}) == ""
    assert caplog.record_tuples == [
        ("sentry_paste", logging.WARNING, "dsn: the environment variable UNSET is not set")
    ]


@pytest.mark.parametrize("text", ["${", "${}", "${SET", "${SET:?}", "${1}", "${a-b}"])
def test_broken_reference_is_refused(text):
    with pytest.raises(ValueError, match=r"expected \${NAME}"):
        expand("dsn", text, ENVIRONMENT)


@given(st.text())
def test_any_text_comes_back_with_its_dollars_doubled(text):
    assert expand("dsn", text.replace("$", "$$"), {}) == text
