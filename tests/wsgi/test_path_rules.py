"""Globs for paths: the first that matches holds, however many there are."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.wsgi.path_rules import PathRules

from steps import steps_of


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("/health", ["/health"], ["/health/", "/healthy", "/a/health"]),
        ("/health*", ["/health", "/healthz", "/health/deep"], ["/a/health"]),
        ("*.css", ["/a.css", "/static/a.css", ".css"], ["/a.css.map", "css"]),
        ("/users/*/edit", ["/users/7/edit", "/users/a/b/edit"], ["/users/7", "/users/edit"]),
        ("/v?/x", ["/v1/x", "/v2/x"], ["/v10/x", "/v/x"]),
        ("/[ab]*", ["/a", "/bc"], ["/c"]),
        ("*", ["/", "", "/anything\nat all"], []),
        ("/Case", ["/Case"], ["/case"]),
        ("/a.b", ["/a.b"], ["/aXb"]),
        ("/café/*", ["/café/x"], ["/cafe/x"]),
    ],
)
def test_glob(glob, matching, others):
    rules = PathRules([(glob, "found")])
    assert [path for path in matching if rules.find(path) != "found"] == []
    assert [path for path in others if rules.find(path) is not None] == []


def test_first_that_matches_holds():
    rules = PathRules([("/a/b", 1), ("/a/*", 2), ("*/b", 3), ("/?/b", 4), ("*", 5), ("/a/b", 6)])
    assert [rules.find(path) for path in ("/a/b", "/a/c", "/x/y/b", "/c/b", "/d")] == [1, 2, 3, 3, 5]


def test_value_may_be_zero():
    assert PathRules([("/a", 0.0), ("*", 1.0)]).find("/a") == 0.0


def test_no_rules_find_nothing():
    assert PathRules([]).find("/") is None
    assert not PathRules([])
    assert PathRules([("/", 1)])


PATHS = st.text("/ab.", max_size=6)
GLOBS = st.text("/ab.*?[]!", max_size=6)


@given(st.lists(GLOBS, max_size=6), PATHS)
def test_rules_find_what_trying_one_by_one_finds(globs, path):
    expected = next((index for index, glob in enumerate(globs) if fnmatch.fnmatchcase(path, glob)), None)
    rules = PathRules(list(zip(globs, range(len(globs)))))
    assert rules.find(path) == expected


@pytest.mark.parametrize("form", ["/section-{}", "/section-{}/*", "*/section-{}", "/section-{}/*/edit"])
def test_a_thousand_rules_are_not_tried_one_by_one(form):
    """Those of a kind differ in their lengths, of which there are three."""

    def steps(count):
        rules = PathRules([(form.format(number), number) for number in range(count)])
        return steps_of(lambda: rules.find("/section-999/and/more"))

    assert steps(1000) <= steps(1) + 20


def test_paths_of_a_client_do_not_fill_the_memory():
    rules = PathRules([("/a*", 1)])
    for number in range(5000):
        rules.find(f"/{number}")
    assert rules.index.cache_info().currsize <= 1024
