"""Lists of what belongs together: requests by name, errors by kind, errors below their request."""

import time

import pytest

from sentry_paste import SentryMiddleware
from sentry_paste.inbox.activity import activity
from sentry_paste.inbox.groups import percentile

from spooled import (
    LIFECYCLES,
    TRACE,
    error_event,
    frame,
    segment_item,
    transaction_event,
    wait_for_files,
    write_event,
    write_spans,
)
from steps import steps_of
from wsgi_calls import call, environ_of


def request(number, name="soup", took=1.0, status=200, word="ok", **more):
    begin = 1_795_000_000.0
    trace = {"trace_id": f"{number:032x}", "span_id": f"{number:016x}", "status": word}
    contexts = {"trace": trace, **({"response": {"status_code": status}} if status else {})}
    return transaction_event(
        event_id=f"{1000 + number:032x}",
        transaction=name,
        contexts=contexts,
        start_timestamp=begin,
        timestamp=begin + took,
        spans=[],
        request={"method": "GET", "url": f"http://shop.example/{name}", "query_string": "table=7"},
        **more,
    )


def error_of(number, type_="OrderError", value="table 7", line="    pay()", **more):
    stack = {"stacktrace": {"frames": [frame("charge", True, context_line=line)]}}
    at = {"trace": {"trace_id": f"{number:032x}", "span_id": f"{number:016x}"}}
    values = [{"type": type_, "value": value, **stack}]
    identity = {"event_id": f"{2000 + number:032x}", "contexts": at}
    return error_event(exception={"values": values}, **{**identity, **more})


@pytest.fixture
def table(words):
    """The cells of the list of transactions, without the times."""
    return lambda page: [
        [words(cell) for cell in row.select("th, td")[:-1]] for row in page.html.select(".requests tbody tr")
    ]


def test_requests_are_counted_by_name(app, spool, table):
    for number in range(20):
        write_event(spool, request(number, took=0.1 * (number + 1)))
    write_event(spool, request(20, "bread", took=0.002, status=503, word="unavailable"))
    write_event(spool, request(21, "bread", took=0.004, status=404, word="not_found"))
    assert table(app.get("/?kind=transaction")) == [
        ["GET bread", "2", "1", "2.0 ms", "4.0 ms"],
        ["GET soup", "20", "0", "1.00 s", "1.90 s"],
    ]


@pytest.mark.parametrize(
    ("sort", "first"),
    [("last", "c"), ("name", "a"), ("count", "b"), ("failed", "a"), ("p50", "c"), ("p95", "a"), ("x", "c")],
)
def test_transactions_are_sorted_by_a_column(app, spool, names, sort, first):
    write_event(spool, request(1, "a", took=9.0, status=500))
    for number in (2, 3):
        write_event(spool, request(number, "a", took=0.2))
    for number in range(4, 10):
        write_event(spool, request(number, "b", took=0.5))
    write_event(spool, request(10, "c", took=2.0))
    page = app.get(f"/?kind=transaction&sort={sort}")
    assert names(page)[0] == f"GET {first}"
    (column,) = page.html.select("[aria-sort]")
    assert column["aria-sort"] == ("ascending" if sort == "name" else "descending")


def test_columns_sort_by_links_that_keep_the_search(app, spool):
    write_event(spool, request(1))
    html = app.get("/?kind=transaction&q=soup").html
    assert html.select_one("#sort-p95")["href"] == "/?kind=transaction&q=soup&sort=p95"
    assert html.select_one("#sort-last")["href"] == "/?kind=transaction&q=soup"


def test_requests_of_a_name_have_a_distribution_and_are_listed(app, spool, rows, words):
    for number in range(9):
        write_event(spool, request(number, took=0.01))
    write_event(spool, request(9, took=1.0, status=500, word="internal_error"))
    write_event(spool, request(10, "other"))
    page = app.get("/?kind=transaction").click("soup")
    assert (
        words(page.html.select_one(".legend")) == "requests 10 failed 1 p50 10 ms p95 1.00 s slowest 1.00 s"
    )
    bars = page.html.select(".durations g title")
    assert [words(bar).partition(": ")[2] for bar in bars] == ["9 requests", "1 request, 1 failed"]
    assert len(page.html.select(".durations line")) == 2
    assert words(page.html.select_one("#durations")) == "How long they took"
    found = rows(page)
    assert len(found) == 10
    assert found[0].startswith("GET /soup?table=7 failed: 500 internal error soup took 1.00 s")
    assert page.click("All transactions").request.path_qs == "/?kind=transaction"


def test_requests_of_a_name_are_sorted_by_how_long_they_took(app, spool, rows):
    for number, took in enumerate((0.5, 2.0, 1.0)):
        write_event(spool, request(number, took=took))
    page = app.get("/?kind=transaction").click("soup")
    assert ["took 1.00 s" in row for row in rows(page)] == [True, False, False]
    slowest = rows(page.click("slowest"))
    assert [took in row for took, row in zip(("2.00 s", "1.00 s", "500 ms"), slowest)] == [True] * 3


def test_one_request_has_no_distribution(app, spool):
    write_event(spool, request(1))
    assert app.get("/?kind=transaction").click("soup").html.select(".durations") == []


@pytest.mark.parametrize(("values", "expected"), [([], None), ([1], 1), (range(1, 101), 95), ([1, 2], 2)])
def test_percentile_is_the_nearest_rank(values, expected):
    assert percentile(list(values), 95) == expected


def test_failed_request_looks_failed(app, spool):
    write_event(spool, request(1, status=500, word="internal_error"))
    write_event(spool, request(2, status=404, word="not_found"))
    write_event(spool, request(3))
    write_event(spool, request(4, status=0, word="internal_error"))
    write_event(spool, request(5, status=200, word="internal_error"))
    html = app.get("/?kind=all").html
    assert [row["data-ended"] for row in html.select(".row")] == [
        "failed",
        "failed",
        "fine",
        "refused",
        "failed",
    ]
    assert [status["data-tone"] for status in html.select(".status")] == [
        *("failed", "failed", "fine", "refused", "failed")
    ]


def test_error_is_below_its_request_and_nowhere_else(app, spool, rows, words):
    write_event(spool, error_of(1))
    write_event(spool, request(1, status=500, word="internal_error"))
    write_event(spool, error_of(2, type_="Lost"))
    page = app.get("/?kind=all")
    lost, soup = rows(page)
    assert lost.startswith("Lost table 7")
    assert soup.startswith("GET /soup")
    (below,) = page.html.select(".folded li")
    assert words(below) == "OrderError table 7"
    assert below.a["href"] == f"/envelope/{2001:032x}"


def test_error_within_a_span_is_below_its_request(app, spool):
    at = {"trace": {"trace_id": f"{1:032x}", "span_id": "f" * 16}}
    write_event(spool, error_of(1, contexts=at, transaction="soup"))
    write_event(spool, request(1))
    assert len(app.get("/?kind=all").html.select(".folded li")) == 1


def test_error_of_a_trace_is_below_the_request_that_it_happened_in(app, spool, words):
    for number, name in ((1, "front"), (2, "back")):
        trace = {"trace_id": TRACE, "span_id": f"{number}" * 16, "status": "ok"}
        write_event(spool, {**request(number, name), "contexts": {"trace": trace}})
    write_event(spool, error_of(3, contexts={"trace": {"trace_id": TRACE, "span_id": "2" * 16}}))
    (item,) = [item for item in app.get("/?kind=all").html.select(".rows > li") if item.select(".folded")]
    assert "/back" in words(item)


def test_many_errors_of_one_request_are_counted(app, spool, words):
    for number in range(8):
        at = {"trace": {"trace_id": f"{1:032x}", "span_id": f"{1:016x}"}}
        write_event(spool, error_of(number, contexts=at, type_=f"E{number}"))
    write_event(spool, request(1))
    page = app.get("/?kind=all")
    below = [words(item) for item in page.html.select(".folded li")]
    assert below == [*(f"E{number} table 7" for number in (7, 6, 5, 4, 3)), "and 3 errors more"]
    assert len(page.click("and 3 errors more").html.select(".rows > li")) == 8


def test_steps_for_requests_and_errors_of_one_trace_grow_with_their_number(app, spool):
    def steps(begin, end):
        for number in range(begin, end):
            at = {"trace": {"trace_id": TRACE, "span_id": f"{number:016x}"}}
            write_event(spool, error_of(number, contexts=at, transaction="none"))
            write_event(spool, {**request(number), "contexts": at})
        snapshot = app.app.index.read_all()
        found = steps_of(lambda: activity(snapshot))
        assert len(activity(snapshot).errors_of) == end
        return found

    few = steps(0, 100)
    # It would be 100 times with the square of the number.
    assert steps(100, 1000) < 15 * few


def test_error_knows_how_its_request_was_answered(app, spool, rows, titles):
    write_event(spool, error_of(1))
    write_event(spool, request(1, status=503, word="unavailable"))
    write_event(spool, error_of(2, type_="Other"))
    _, first = rows(app.get("/"))
    assert "POST /pay?table=7 failed: 503 unavailable" in first
    assert titles(app.get("/?q=status:503")) == ["OrderError"]
    assert titles(app.get("/?q=status:failed+transaction:checkout")) == ["OrderError"]


def test_search_finds_a_request_by_its_error(app, spool, rows):
    write_event(spool, error_of(1, type_="Rare"))
    write_event(spool, request(1))
    write_event(spool, request(2))
    (found,) = rows(app.get("/?kind=all&q=rare"))
    assert found.startswith("GET /soup")


def test_errors_from_two_lines_of_one_function_are_two_kinds(app, spool, titles, words):
    write_event(spool, error_of(1, line="    pay()"))
    write_event(spool, error_of(2, line="    refund()"))
    write_event(spool, error_of(3, line="  pay()"))
    page = app.get("/")
    assert len(titles(page)) == 2
    assert "3 errors of 2 kinds." in words(page.html.select_one(".foot"))


def test_messages_from_two_places_are_two_kinds(app, spool, titles):
    for number, function in enumerate(("charge", "refund")):
        stack = {"values": [{"current": True, "stacktrace": {"frames": [frame(function, True)]}}]}
        event = {"event_id": f"{number:032x}", "level": "error", "message": "waits", "threads": stack}
        write_event(spool, event)
    assert titles(app.get("/")) == ["waits", "waits"]


def test_errors_are_sorted_by_when_they_were_first_seen_and_by_count(app, spool, titles):
    for number, type_ in enumerate("ABBCA"):
        write_event(spool, error_of(number, type_))
    assert titles(app.get("/")) == ["A", "C", "B"]
    assert titles(app.get("/").click("first seen")) == ["C", "B", "A"]
    assert titles(app.get("/").click("^count$"))[-1] == "C"


def test_group_of_errors_keeps_its_name_above(app, spool, words):
    write_event(spool, error_of(1))
    page = app.get("/")
    group = app.app.index.look().entries[0].summary.group
    page = app.get(f"/?group={group}")
    assert words(page.html.select_one(".group-name")) == "OrderError: table 7"
    assert page.click("All errors").request.path_qs == "/"


def test_title_counts_what_is_listed(app, spool, words):
    for number in range(3):
        write_event(spool, error_of(number))
    assert words(app.get("/").html.title) == "(3) Errors · Inbox"
    assert app.get("/").html.select_one("#live")["data-count"] == "3"
    assert words(app.get("/?kind=transaction").html.title) == "Transactions · Inbox"


@pytest.mark.parametrize("options", LIFECYCLES)
def test_requests_of_an_app_have_method_path_status_and_errors(app, spool, rows, words, options):
    def shop(environ, start_response):
        if environ["PATH_INFO"] == "/crash":
            raise ValueError("burnt")
        start_response("404 Not Found", [])
        return []

    own = SentryMiddleware(
        shop, spool_dir=str(spool.directory), traces_sample_rate=1.0, release="shop@2.1", **options
    )
    call(own, environ_of("/soup"))
    assert isinstance(call(own, environ_of("/crash")).error, ValueError)
    wait_for_files(spool, 3)
    deadline = time.monotonic() + 120
    while "Transactions 2" not in words(app.get("/").html.select_one(".kinds")):
        assert time.monotonic() < deadline
    page = app.get("/?kind=all")
    crash, soup = sorted(rows(page))
    assert crash.startswith("GET /crash internal error")
    assert soup.startswith("GET /soup 404 not found")
    assert [words(error).partition(" unh")[0] for error in page.html.select(".folded li")] == [
        "ValueError burnt"
    ]
    assert [
        len(rows(app.get(f"/?kind=all&q={q}"))) for q in ("status:404", "status:failed", "url:/crash")
    ] == [*(1, 1, 1)]
    assert len(rows(app.get("/?q=release:2.1+method:get+handled:no"))) == 1


def test_streamed_requests_are_told_apart_by_their_own_facts(app, spool, names):
    post = {
        "http.request.method": "POST",
        "sentry.environment": "live",
        "user.id": "ada",
        "http.route": "/pay",
    }
    paid = segment_item(
        "3", "POST /pay", status="error", attributes={**post, "http.response.status_code": 503}
    )
    write_spans(spool, segment_item(), paid)
    for text in ("status:503", "method:post", "environment:live", "user:ada", "url:/pay", "status:5xx"):
        assert names(app.get(f"/?kind=transaction&q={text}")) == ["POST /pay"], text
    assert names(app.get("/?kind=transaction&q=!status:5xx")) == ["GET /"]
