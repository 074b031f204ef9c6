"""The search: words and fields, and whatever a stranger puts into the address."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.inbox import search
from sentry_paste.inbox.query import Query
from sentry_paste.inbox.search import Facts

NOW = 1_795_000_000.0

ERROR = Facts(
    words="ordererror table 7 is waiting",
    level="error",
    environment="staging",
    release="shop@2.1",
    handled=False,
    method="post",
    url="http://shop.example/pay?table=7",
    code=500,
    status="internal_error",
    transaction="post /pay",
    user="7 ada@shop.example",
    logger="shop.kitchen",
    tags=(("kitchen", "north"), ("browser.name", "firefox")),
    ids=("4c79f60c11214eb38604f4ae0781bfb2", "0af7651916cd43dd8448eb211c80319c"),
    time=NOW - 600,
    duration=0.25,
)


def matches(text, facts=ERROR):
    check, _ = search.checks(search.terms(text), NOW)
    return check is None or check(facts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "order TABLE",
        "waiting 7",
        "order*waiting",
        '"table 7"',
        "level:error",
        "level:>=warning",
        "level:<fatal",
        "level:info level:error",
        "environment:staging",
        "env:stag*",
        "release:shop@2.1",
        "release:2.1",
        "release:*2*",
        "handled:no",
        "handled:FALSE",
        "method:post",
        "url:/pay",
        "url:http*table=7",
        "status:500",
        "status:5xx",
        "status:>=400 status:<=500",
        "status:internal_error",
        "status:failed",
        "transaction:pay",
        'transaction:"POST /pay"',
        "user:ada",
        "user:7",
        "logger:shop",
        "logger:shop.kitchen",
        "kitchen:north",
        "browser.name:fire*",
        "tag:kitchen",
        "tag:kitchen=north",
        "tag:browser*",
        "tag:kitchen:n*h",
        "4c79f60c",
        "0af76519-16cd",
        "trace:0af76519",
        "id:4c79f6",
        "duration:>200ms",
        "took:<1s",
        "after:1h",
        "before:1m",
        "after:2026-11-18 before:2026-11-19T12:00Z",
        "!level:info",
        "!refund",
        "!status:404 level:error",
        "level:",
        "level:error user:",
        "handled:maybe",
        "before:nonsense after:99999999999",
    ],
)
def test_term_finds(text):
    assert matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "refund",
        "order refund",
        "waiting*order",
        '"7 table"',
        "level:warning",
        "level:>error",
        "environment:stag",
        "release:2",
        "handled:yes",
        "method:pos",
        "url:/refund",
        "url:/pay*8",
        "status:404",
        "status:4xx",
        "status:>500",
        "status:ok",
        "transaction:refund",
        "user:grace",
        "logger:sho",
        "kitchen:nor",
        "tag:kit",
        "tag:kitchen=south",
        "4c79f",
        "trace:9999",
        "duration:>1s",
        "after:5m",
        "before:1h",
        "!level:error",
        "!table",
        "level:info level:debug",
    ],
)
def test_term_does_not_find(text):
    assert not matches(text)


def test_what_is_not_understood_is_left_out_and_reported():
    found = search.checks(
        search.terms("handled:maybe after:never duration:fast level:>loud status:>x order"), NOW
    )
    assert [problem.text for problem in found[1]] == [
        "handled:maybe",
        "after:never",
        "duration:fast",
        "level:>loud",
        "status:>x",
    ]
    assert found[0](ERROR)


@pytest.mark.parametrize(
    ("code", "status", "failed"),
    [
        (200, "ok", False),
        (200, "internal_error", True),
        (404, "not_found", False),
        (404, "internal_error", False),
        (500, "", True),
        (0, "internal_error", True),
        (0, "", False),
        (0, "cancelled", False),
    ],
)
def test_request_that_crashed_after_its_status_has_failed(code, status, failed):
    assert search.is_failed(code, status) is failed


def test_chip_adds_a_term_and_takes_it_away():
    query = Query(text="soup", page=3)
    added = Query.read(query.toggled("status", "5xx"))
    assert added == Query(text="soup status:5xx")
    assert added.has("status", "5xx")
    assert Query.read(added.toggled("status", "5xx")) == Query(text="soup")


def test_chip_with_a_space_is_quoted():
    query = Query.read(Query().toggled("release", 'the "second" one'))
    assert query.text == 'release:"the *second* one"'
    assert Query.read(query.toggled("release", 'the "second" one')) == Query()


facts = st.builds(
    Facts,
    words=st.text(),
    level=st.sampled_from(["", "error", "warning"]),
    handled=st.sampled_from([None, True, False]),
    code=st.integers(0, 999),
    url=st.text(),
    tags=st.lists(st.tuples(st.text(), st.text()), max_size=3).map(tuple),
    time=st.floats(0, 2e9),
    duration=st.none() | st.floats(0, 100),
)
fields = st.sampled_from(["", *search._MAKERS, "after", "before", "kitchen", "x.y"])
values = st.text(alphabet='abc*:"!<>=0123456789 .-T\u00b2\u0663\ud800é[]', max_size=30)
written = st.lists(st.tuples(st.sampled_from(["", "!"]), fields, values), max_size=6).map(
    lambda parts: " ".join(f"{sign}{field}{':' if field else ''}{value}" for sign, field, value in parts)
)


@given(st.text() | written, facts)
def test_any_text_is_a_search(text, found):
    terms = search.terms(text)
    assert len(terms) <= search.MAX_TERMS
    check, problems = search.checks(terms, NOW)
    assert check is None or check(found) in (True, False)
    assert len(problems) <= len(terms)
    for term in terms:
        left = search.terms(search.without(text, term))
        assert term[1:] not in [other[1:] for other in left]


@given(fields.filter(bool), st.text())
def test_chip_of_any_value_can_be_taken_away(field, value):
    query = Query()
    added = Query.read(query.toggled(field, value))
    if added.terms() and len(added.text) < 200:
        assert Query.read(added.toggled(field, value)) == query


@given(st.text(), st.text())
def test_any_query_string_is_read_and_written(text, more):
    query = Query.read(f"q={text}&{more}")
    assert Query.read(query.address()) == query


@given(st.text(alphabet="ab*", max_size=12), st.text(alphabet="ab", max_size=12), st.booleans())
def test_star_stands_for_any_text(pattern, text, is_part):
    if "*" in pattern:
        expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
    else:
        expected = pattern in text if is_part else pattern == text
    assert search.text_check(pattern, is_part)(text) is expected


def test_long_pattern_is_checked_in_no_time():
    check = search.text_check("*".join("a" * 100) + "*b", is_part=False)
    assert not check("a" * 10_000)
