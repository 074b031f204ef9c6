"""``${VARIABLE}`` in values."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.config.values import expand

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
        ("${SET:?has to be set}", "value"),
    ],
)
def test_expansion(text, value):
    assert expand("dsn", text, ENVIRONMENT) == value


def test_variable_that_is_not_set_is_empty_and_logged(caplog):
    assert expand("dsn", "${UNSET}", {}) == ""
    assert caplog.record_tuples == [
        ("sentry_paste", logging.WARNING, "dsn: the environment variable UNSET is not set")
    ]


@pytest.mark.parametrize("text", ["${", "${}", "${SET", "${SET:+x}", "${1}", "${a-b}", "${A:-${B:-x}}"])
def test_broken_reference_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        expand("dsn", text, ENVIRONMENT)


@pytest.mark.parametrize("name", ["UNSET", "EMPTY"])
def test_required_variable_fails_with_its_message(name):
    with pytest.raises(ValueError) as caught:
        expand("dsn", f"${{{name}:?ask the operators}}", ENVIRONMENT)
    assert str(caught.value) == f"expected the environment variable {name} to be set: ask the operators"


@given(st.text())
def test_any_text_comes_back_with_its_dollars_doubled(text):
    assert expand("dsn", text.replace("$", "$$"), {}) == text
