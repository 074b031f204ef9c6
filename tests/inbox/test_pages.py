"""The pages of an error, a trace, sessions and log lines."""

import pytest

from sentry_paste import SentryMiddleware, sdk

from spooled import (
    ERROR_ID,
    LIFECYCLES,
    TRACE,
    TRANSACTION_ID,
    error_event,
    frame,
    segment_item,
    span_item,
    transaction_event,
    wait_for_files,
    write_event,
    write_item,
    write_spans,
)
from wsgi_calls import call, environ_of


@pytest.mark.parametrize(
    "path",
    [
        f"/envelope/{ERROR_ID}",
        f"/trace/{TRACE}",
        "/envelope/",
        "/envelope/../x",
        "/trace/x",
        "/envelope/%F0%9F%92%A5",
        "/nowhere",
        "/static/",
        "/static/../app.py",
        "/static/layout.jinja2",
    ],
)
def test_what_is_not_there_is_404(app, words, path):
    assert words(app.get(path, status=404).html.h1) == "Not found"


# An error


@pytest.fixture
def error_page(app, spool):
    write_event(spool, error_event())
    return app.get(f"/envelope/{ERROR_ID}").html


def test_its_head_says_what_it_is(error_page, words):
    assert words(error_page.h1) == "OrderError"
    summary = words(error_page.select_one(".summary"))
    assert summary.startswith(
        "error unhandled waiting OrderError table 7 POST http://shop.example /pay?table=7"
    )
    assert "crashed in checkout" in summary
    facts = words(error_page.select_one(".facts"))
    assert "Environment staging Release shop@2.1 Reported by wsgi" in facts


def test_the_chain_is_shown_outermost_first(error_page, words):
    order, key = error_page.select("section.error")
    assert words(order).startswith("Traceback charge")
    assert words(key).startswith("raised after KeyError 'cause' lookup")


def test_frames_of_the_app_are_open_and_others_folded(error_page, words):
    own, library = error_page.select_one("section.error").find_all("details", recursive=False)
    assert own.has_attr("open")
    assert words(own.summary) == "charge charge.py :12"
    assert not library.has_attr("open")
    assert words(library.summary) == "2 library frames"
    assert [words(frame.summary.code) for frame in library.select(".frame")] == ["tween", "router"]


def test_the_line_that_failed_is_marked(error_page):
    source = error_page.select_one(".source")
    assert source.get_text().splitlines() == ["11before", "12    charge_failed()", "13after"]
    assert [line.get_text() for line in source.select(".current")] == ["12    charge_failed()\n"]


def test_local_variables_are_open_in_the_frame_that_raised(error_page, words):
    variables = error_page.select_one(".variables")
    assert variables.has_attr("open")
    assert words(variables) == '2 local variables guests 0 total "2790"'


@pytest.mark.parametrize(
    "stack",
    [
        {"threads": {"values": [{"current": True, "stacktrace": {"frames": [frame("charge", True)]}}]}},
        {
            "threads": [
                {"name": "other", "stacktrace": {"frames": [frame("sleep", True)]}},
                {"crashed": True, "stacktrace": {"frames": [frame("charge", True)]}},
            ]
        },
        {"stacktrace": {"frames": [frame("charge", True)]}},
    ],
)
def test_the_stack_of_a_message_is_shown(app, spool, words, stack):
    """What attach_stacktrace adds to a message is that of its thread."""
    write_event(spool, error_event(exception=None, message="late", **stack))
    html = app.get(f"/envelope/{ERROR_ID}").html
    section = html.select_one("[aria-labelledby=stack]")
    assert words(section).startswith("Stack trace charge charge.py :12")
    assert not html.select("section.error"), "it is no traceback"
    assert not html.select_one("details.raw").has_attr("open")


def member(identity, parent, type_, source, **more):
    mechanism = {"type": "chained", "exception_id": identity, "parent_id": parent, "source": source}
    return {"type": type_, "value": "", "mechanism": {**mechanism, **more}}


def test_exceptions_in_a_group_are_marked(app, spool, words):
    """As the SDK has them: the group last, what is in it and what caused that by parent_id."""
    values = [
        member(4, 3, "OSError", "__cause__"),
        member(3, 0, "KeyError", "exceptions[1]"),
        member(2, 1, "TypeError", "exceptions[0]"),
        member(1, 0, "Inner", "exceptions[0]", is_exception_group=True),
        {"type": "Outer", "mechanism": {"type": "wsgi", "exception_id": 0, "is_exception_group": True}},
    ]
    write_event(spool, error_event(exception={"values": values}))
    html = app.get(f"/envelope/{ERROR_ID}").html
    assert [words(cause) for cause in html.select(".cause")] == [
        "one of the exceptions in Outer",
        "one of the exceptions in Inner",
        "one of the exceptions in Outer",
        "raised after",
    ]


@pytest.mark.parametrize("parent", [None, 7, -1, "0", [], {}, True, 10**30])
def test_group_that_is_not_there_is_not_named(app, spool, words, parent):
    values = [member(1, parent, "KeyError", "exceptions[1]"), {"type": "Outer", "value": ""}]
    write_event(spool, error_event(exception={"values": values}))
    (cause,) = app.get(f"/envelope/{ERROR_ID}").html.select(".cause")
    assert words(cause) == "one of the exceptions in a group"


def test_request_tags_and_breadcrumbs_are_shown(error_page, words):
    text = words(error_page.main)
    assert "POST http://shop.example/pay" in text
    assert "Query string table=7" in text
    assert "Headers User-Agent test-agent" in text
    assert "Environment SERVER_NAME front-1" in text
    assert "Tags kitchen north" in text
    assert "Breadcrumbs 07:13:00 warning oven 310 degrees" in text


def test_user_extra_and_contexts_are_shown(app, spool, words):
    contexts = {"trace": {"trace_id": TRACE}, "runtime": {"name": "CPython"}}
    write_event(spool, error_event(user={"id": "7"}, extra={"table": 7}, contexts=contexts))
    text = words(app.get(f"/envelope/{ERROR_ID}").html.select_one("[aria-labelledby=contexts]"))
    assert text == "Contexts user id 7 extra table 7 runtime name CPython"


def log_item(time, message, trace=TRACE):
    attributes = {"logger.name": {"value": "shop", "type": "string"}}
    return {"timestamp": time, "level": "info", "body": message, "trace_id": trace, "attributes": attributes}


def test_log_lines_before_it_are_of_its_breadcrumbs_and_its_trace(app, spool, words):
    crumbs = [
        {"type": "log", "timestamp": "2026-11-22T07:13:01Z", "category": "shop", "message": "second"},
        {"type": "http", "timestamp": "2026-11-22T07:13:01Z", "category": "httplib", "message": "GET /"},
        {"type": "log", "timestamp": "2026-11-22T07:13:02.010000Z", "category": "shop", "message": "third"},
    ]
    write_event(spool, error_event(timestamp="2026-11-22T07:13:03Z", breadcrumbs=crumbs))
    lines = [
        log_item("2026-11-22T07:13:00Z", "first"),
        log_item("2026-11-22T07:13:02Z", "third"),
        log_item("2026-11-22T07:13:02Z", "another's", trace="b" * 32),
        log_item("2026-11-22T07:13:04Z", "after it"),
    ]
    write_item(spool, "log", {"items": lines})
    html = app.get(f"/envelope/{ERROR_ID}").html
    log = html.select_one("[aria-labelledby=log]")
    assert [words(line) for line in log.select(".log-message")] == ["first", "second", "third"]
    crumbs = html.select_one("[aria-labelledby=breadcrumbs]")
    assert [words(line) for line in crumbs.select(".log-message")] == ["GET /"]


def test_it_links_to_its_trace_and_what_else_is_of_it(app, spool, words):
    write_event(spool, error_event())
    write_event(spool, transaction_event())
    write_event(spool, error_event(event_id="a" * 32, contexts={"trace": {"trace_id": "b" * 32}}))
    html = app.get(f"/envelope/{ERROR_ID}").html
    assert html.select_one(f'.facts a[href="/trace/{TRACE}"]')
    assert [link["href"] for link in html.select(".files a")] == [f"/envelope/{TRANSACTION_ID}"]


def test_an_error_without_a_trace_is_related_to_none(app, spool):
    for identity in ("a" * 32, "b" * 32):
        write_event(spool, error_event(event_id=identity, contexts={}))
    assert not app.get(f"/envelope/{'a' * 32}").html.select(".files, .facts a")


# A trace


@pytest.fixture
def trace_app(app, spool):
    at = {"trace": {"trace_id": TRACE, "span_id": "2" * 16}}
    write_event(spool, transaction_event())
    write_event(spool, error_event(timestamp="2026-11-22T07:13:01.000000Z", contexts=at))
    return app


def test_spans_and_errors_are_a_tree_in_time(trace_app, words):
    html = trace_app.get(f"/trace/{TRACE}").html
    assert words(html.h1) == "checkout"
    assert "Took 2.00 s Spans 3" in words(html.select_one(".facts"))
    bars = [(words(bar), bar.rect["x"], bar["data-depth"]) for bar in html.select("a.bar")]
    assert bars == [
        ("http.server checkout took 2.00 s at 0.0 ms on level 1", "0.0%", "0"),
        ("db SELECT price FROM menu took 1.00 s at 500 ms on level 2", "25.0%", "1"),
        ("error OrderError: table 7 at 1.00 s on level 3", "50.0%", "2"),
    ]


def test_a_span_opens_by_a_link(trace_app, words):
    page = trace_app.get(f"/trace/{TRACE}")
    assert words(page.html.select_one("#span")) == "Select a span to see its details."
    (_, link, _) = page.html.select("a.bar")
    assert link["href"] == f"?span={'2' * 16}#span"
    page = trace_app.get(f"/trace/{TRACE}{link['href']}")
    assert words(page.html.select_one("#span h3")) == "SELECT price FROM menu"
    assert [bar["id"] for bar in page.html.select("a.bar[aria-current]")] == ["bar-1"]


def test_an_error_in_a_trace_leads_to_its_page(trace_app, words):
    link = trace_app.get(f"/trace/{TRACE}").html.select("a.bar")[2]["href"]
    page = trace_app.get(f"/trace/{TRACE}{link}")
    (see,) = page.html.select("#span .button")
    assert see["href"] == f"/envelope/{ERROR_ID}"


def test_a_trace_goes_on_from_one_service_to_the_next(app, spool, words):
    write_event(spool, transaction_event())
    next_trace = {"trace_id": TRACE, "span_id": "3" * 16, "parent_span_id": "2" * 16, "op": "http.server"}
    write_event(
        spool,
        transaction_event(
            event_id="e" * 32,
            transaction="menu",
            contexts={"trace": next_trace},
            start_timestamp="2026-11-22T07:13:00.600000Z",
            timestamp="2026-11-22T07:13:01.200000Z",
            spans=[],
        ),
    )
    bars = app.get(f"/trace/{TRACE}").html.select("a.bar")
    assert [(words(bar).split(" took")[0], bar["data-depth"]) for bar in bars] == [
        ("http.server checkout", "0"),
        ("db SELECT price FROM menu", "1"),
        ("http.server menu", "2"),
    ]


def test_streamed_spans_are_a_trace_too(app, spool, titles, words):
    def item(span_id, parent, name, start, end, **more):
        attributes = {"sentry.op": {"value": "db"}, "rows": {"value": 3}}
        ids = {"trace_id": TRACE, "span_id": span_id * 16, "parent_span_id": parent and parent * 16}
        return {
            **ids,
            "name": name,
            "start_timestamp": start,
            "end_timestamp": end,
            "attributes": attributes,
            **more,
        }

    items = [item("5", "4", "query", 10.1, 10.2), item("4", None, "GET /", 10.0, 11.0, is_segment=True)]
    write_item(spool, "span", {"version": 2, "items": items})
    assert titles(app.get("/?kind=span")) == ["GET /, 2 spans"]
    html = app.get("/?kind=span").click("GET /").html
    assert [words(bar) for bar in html.select("a.bar")] == [
        "db GET / took 1.00 s at 0.0 ms on level 1",
        "db query took 100 ms at 100 ms on level 2",
    ]
    chosen = app.get(f"/trace/{TRACE}?span={'5' * 16}").html.select_one("#span .pairs")
    assert "rows3" in "".join(chosen.get_text().split())


def outline(app, words, path=f"/trace/{TRACE}"):
    bars = app.get(path).html.select("a.bar")
    return [(words(bar.select_one(".bar-text")), bar["data-depth"]) for bar in bars]


def test_spans_from_several_envelopes_are_one_tree(app, spool, words):
    write_spans(spool, span_item("2", "early"))
    at = {"trace": {"trace_id": TRACE, "span_id": "3" * 16}}
    write_event(spool, error_event(timestamp=1795000000.6, contexts=at))
    write_spans(
        spool,
        span_item("3", "child", start=0.5),
        segment_item(),
        span_item("4", "orphan", parent="7", start=0.8),
    )
    write_spans(spool, span_item("5", "late", parent="3", start=3.0, end=4.0))
    assert outline(app, words) == [
        ("http.server GET /", "0"),
        ("db early", "1"),
        ("db child", "1"),
        ("error OrderError: table 7", "2"),
        ("db late", "2"),
        ("db orphan", "1"),
    ]
    page = app.get(f"/trace/{TRACE}").html
    assert words(page.h1) == "GET /"
    assert "Took 4.00 s Spans 6" in words(page.select_one(".facts"))


def test_segment_that_is_not_there_is_shown_as_such(app, spool, words):
    write_spans(spool, span_item("2", "early"), span_item("3", "next", start=0.5, end=1.5))
    assert outline(app, words) == [("GET /", "0"), ("db early", "1"), ("db next", "1")]
    page = app.get(f"/trace/{TRACE}").html
    assert words(page.h1) == "GET /"
    assert "Took 1.50 s Spans 2" in words(page.select_one(".facts"))
    (missing,) = page.select("a.bar[data-tone=missing]")
    assert words(missing) == "GET / not ended at 0.0 ms on level 1"
    chosen = app.get(f"/trace/{TRACE}{missing['href']}").html.select_one("#span")
    assert "The span of this request itself is not in the spool" in words(chosen)
    assert "Took" not in words(chosen)


def test_status_of_a_segment_is_that_of_a_transaction(app, spool, words):
    write_spans(spool, segment_item(status="error", attributes={"http.response.status_code": 404}))
    chosen = app.get(f"/trace/{TRACE}?span={'1' * 16}").html.select_one("#span .labels")
    assert words(chosen) == "http.server not_found"


def test_segment_without_a_trace_has_its_attributes_on_its_own_page(app, spool, words):
    file = write_spans(spool, segment_item(trace_id=None), span_item("2", "query", trace_id=None))
    page = app.get("/?kind=all").click("GET /")
    assert page.request.path == f"/envelope/{file.id}"
    assert len(page.html.select("a.bar")) == 2
    assert "http.response.status_code 200" in words(page.html.select_one("[aria-labelledby=contexts]"))


@pytest.mark.parametrize("options", LIFECYCLES)
def test_requests_of_an_app_are_listed_with_their_spans(app, spool, rows, words, options):
    def shop(environ, start_response):
        start_response("404 Not Found", [])
        with sdk.start_child_span("db", "SELECT 1"):
            return []

    own = SentryMiddleware(shop, spool_dir=str(spool.directory), traces_sample_rate=1.0, **options)
    call(own, environ_of("/soup"))
    wait_for_files(spool, 1)
    listed = app.get("/?kind=transaction").click("GET /soup")
    (row,) = rows(listed)
    assert row.startswith("GET /soup 404 not found took ")
    page = listed.click(href="/trace/")
    assert outline(app, words, page.request.path) == [("http.server GET /soup", "0"), ("db SELECT 1", "1")]


def test_spans_in_a_ring_are_all_shown_once(app, spool):
    def ring(identity, parent):
        times = {"start_timestamp": "2026-11-22T07:13:00Z", "timestamp": "2026-11-22T07:13:01Z"}
        return {"span_id": identity * 16, "parent_span_id": parent * 16, **times}

    write_event(
        spool, transaction_event(spans=[ring("a", "b"), ring("b", "a"), ring("c", "c"), {}, {"span_id": 7}])
    )
    assert len(app.get(f"/trace/{TRACE}").html.select("a.bar")) == 4


def test_a_trace_of_very_many_spans_is_cut_and_says_so(app, spool, words):
    times = {"start_timestamp": "2026-11-22T07:13:00Z", "timestamp": "2026-11-22T07:13:01Z"}
    spans = [{"span_id": f"{n:016x}", "parent_span_id": "1" * 16, **times} for n in range(600)]
    write_event(spool, transaction_event(spans=spans))
    html = app.get(f"/trace/{TRACE}").html
    assert len(html.select("a.bar")) == 500
    assert "And 101 spans more." in words(html.main)


def test_a_transaction_without_a_trace_has_its_waterfall_on_its_own_page(app, spool):
    write_event(spool, transaction_event(contexts={"trace": {"span_id": "1" * 16}}))
    html = app.get("/?kind=all").click("checkout").html
    assert len(html.select("a.bar")) == 2


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("2026-11-22T07:12:00Z", "2026-11-22T07:12:01Z"),
        ("2026-11-22T07:13:01Z", "2026-11-22T07:13:00Z"),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
        (0, 1e11),
    ],
)
def test_bars_stay_within_the_waterfall_and_visible(app, spool, begin, end):
    span = {"span_id": "2" * 16, "parent_span_id": "1" * 16, "start_timestamp": begin, "timestamp": end}
    write_event(spool, transaction_event(spans=[span]))
    bars = app.get(f"/trace/{TRACE}").html.select("a.bar rect")
    assert bars
    for bar in bars:
        left, width = float(bar["x"][:-1]), float(bar["width"][:-1])
        assert left >= 0
        assert width >= 0.5
        assert left + width <= 100.001


# Sessions, log lines and all else


def test_sessions_are_a_plot_over_time(app, spool, words):
    aggregates = [
        {"started": "2026-11-22T07:13:00Z", "exited": 8, "errored": 1},
        {"started": "2026-11-22T07:15:00Z", "exited": 6, "crashed": 4, "abnormal": 1},
        {"started": "never", "exited": 9},
        {"started": "2026-11-22T07:15:00Z", "exited": -5, "crashed": "many"},
    ]
    write_item(spool, "sessions", {"aggregates": aggregates})
    html = app.get("/?kind=session").html
    assert words(html.select_one(".legend")) == "healthy 14 errored 1 crashed 5 75.0 % crash-free"
    assert [words(bar.title) for bar in html.select(".sessions g")] == [
        "2026-11-22 07:13:00.000 UTC: 8 healthy, 1 errored",
        "2026-11-22 07:15:00.000 UTC: 6 healthy, 5 crashed",
    ]
    assert [words(row) for row in html.select(".table tbody tr")] == [
        "2026-11-22 07:15 UTC 6 0 5",
        "2026-11-22 07:13 UTC 8 1 0",
    ]
    for part in html.select(".sessions rect"):
        assert 0 <= float(part["y"]) <= 100
        assert 0 <= float(part["x"]) <= 100 - float(part["width"])


def test_single_sessions_count_too(app, spool, words):
    for status, errors in (("ok", 0), ("exited", 2), ("crashed", 1)):
        write_item(spool, "session", {"started": "2026-11-22T07:13:00Z", "status": status, "errors": errors})
    legend = words(app.get("/?kind=session").html.select_one(".legend"))
    assert legend == "healthy 1 errored 1 crashed 1 66.6 % crash-free"


def test_a_clock_that_jumped_does_not_press_the_others_together(app, spool):
    aggregates = [
        {"started": time, "exited": 1} for time in (0, "2026-11-22T07:13:00Z", "2026-11-22T07:14:00Z")
    ]
    write_item(spool, "sessions", {"aggregates": aggregates})
    assert len(app.get("/?kind=session").html.select(".sessions g")) == 2


def test_log_lines_are_shown_as_lines(app, spool, words):
    lines = [log_item(2, "second"), log_item(1, "first")]
    file = write_item(spool, "log", {"items": lines})
    html = app.get(f"/envelope/{file.id}").html
    assert [words(line) for line in html.select(".log li")] == [
        "00:00:01 info shop first",
        "00:00:02 info shop second",
    ]


def test_of_very_many_log_lines_the_last_are_shown_and_all_counted(app, spool, words):
    file = write_item(spool, "log", {"items": [log_item(time, f"line {time}") for time in range(12_000)]})
    html = app.get("/?kind=log").html
    assert words(html.select_one("#kind-log")) == "Logs 12 000"
    assert len(html.select(".stream li")) == 100
    assert "11\u202f800 older lines not shown." in html.main.get_text()
    html = app.get(f"/envelope/{file.id}").html
    messages = html.select(".log-message")
    assert (len(messages), words(messages[-1])) == (500, "line 11999")
    assert "11\u202f500 earlier lines not shown." in html.main.get_text()


@pytest.mark.parametrize(
    ("type_", "payload", "kind", "title"),
    [
        ("check_in", {"monitor_slug": "nightly", "status": "ok"}, "checkin", "nightly ok"),
        ("trace_metric", {"items": [{"name": "soups"}, {"name": "soups"}]}, "metric", "soups"),
        (
            "client_report",
            {"discarded_events": [{"quantity": 3, "category": "error", "reason": "queue_overflow"}]},
            "report",
            "Not sent: 3 error (queue_overflow)",
        ),
        ("novelty", {"shape": 3}, "other", "novelty"),
    ],
)
def test_other_kinds_have_a_title_and_show_their_json(app, spool, titles, type_, payload, kind, title):
    file = write_item(spool, type_, payload)
    assert titles(app.get(f"/?kind={kind}")) == [title]
    panel = app.get(f"/envelope/{file.id}").html.select_one("details.raw")
    assert panel.has_attr("open")
    assert next(iter(payload)) in panel.pre.get_text()


def test_payload_that_is_not_json_is_marked(app, spool, words):
    file = write_item(spool, "attachment", b"\x89PNG")
    assert "attachment not JSON" in words(app.get(f"/envelope/{file.id}").html.main)


def test_every_page_has_landmarks_a_heading_and_a_title(app, spool):
    write_event(spool, error_event())
    write_event(spool, transaction_event())
    for path in ("/", "/?kind=session", f"/envelope/{ERROR_ID}", f"/trace/{TRACE}", "/nowhere"):
        html = app.get(path, expect_errors=True).html
        assert html.html["lang"] == "en"
        assert len(html.select("main#main")) == len(html.select("h1")) == len(html.select("header")) == 1
        assert html.title.get_text().endswith("· Inbox")
        assert html.select_one("body > a.skip")["href"] == "#main"
        assert all(field.find_parent("label") for field in html.select("input:not([type=hidden])"))
        assert all(
            svg.get("aria-label") or svg.get("aria-hidden") for svg in html.select("main svg:not(svg svg)")
        )
        identities = [tag["id"] for tag in html.select("[id]")]
        assert len(identities) == len(set(identities))
