"""Log lines, sessions and empty lists."""

import pytest

from spooled import TRACE, error_event, transaction_event, write_event, write_item


def line(time, body, level="info", logger="shop", trace=TRACE):
    attributes = {"logger.name": logger, "sentry.environment": "staging", "sentry.release": "shop@2.1"}
    return {
        "timestamp": time,
        "level": level,
        "body": body,
        "trace_id": trace,
        "attributes": {name: {"value": value} for name, value in attributes.items()},
    }


@pytest.fixture
def stream(words):
    return lambda page: [words(found) for found in page.html.select(".stream li")]


def test_lines_of_all_files_are_one_stream(app, spool, stream, words):
    first = write_item(spool, "log", {"items": [line(10, "one"), line(30, "three", "error")]})
    write_item(spool, "log", {"items": [line(20, "two", "warn", "shop.till", trace="")]})
    page = app.get("/?kind=log")
    assert stream(page) == [
        "00:00:30 error shop three Trace 0af76519",
        "00:00:20 warn shop.till two",
        "00:00:10 info shop one Trace 0af76519",
    ]
    assert words(page.html.select_one("#kind-log")) == "Logs 3"
    assert "3 log lines." in words(page.html.select_one(".foot"))
    item = page.html.select(".stream li")[0]
    assert [link["href"] for link in item.select("a")] == [f"/envelope/{first.id}", f"/trace/{TRACE}"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("level:warning", ["two"]),
        ("level:>=warning", ["three", "two"]),
        ("logger:shop", ["three", "two", "one"]),
        ("logger:shop.till", ["two"]),
        (f"trace:{TRACE}", ["three", "one"]),
        ("tw", ["two"]),
        ("environment:staging release:2.1 !three", ["two", "one"]),
        ("before:1970-01-01T00:00:25", ["two", "one"]),
        ("status:500", []),
    ],
)
def test_lines_are_filtered(app, spool, words, query, found):
    lines = [line(10, "one"), line(20, "two", "warn", "shop.till", trace=""), line(30, "three", "error")]
    write_item(spool, "log", {"items": lines})
    page = app.get("/", {"kind": "log", "q": query})
    assert [words(message) for message in page.html.select(".log-message")] == found
    assert words(page.html.select_one("#kind-log")) == f"Logs {len(found)}"


def test_levels_and_loggers_are_chips(app, spool, words):
    lines = [line(10, "one"), line(20, "two", "warn", "shop.till"), line(30, "three", "warning")]
    write_item(spool, "log", {"items": lines})
    page = app.get("/?kind=log")
    chips = {words(chip): chip for chip in page.html.select(".chips a")}
    assert list(chips) == ["level: warning 2", "level: info 1", "logger: shop 2", "logger: shop.till 1"]
    page = app.get(chips["level: warning 2"]["href"])
    assert len(page.html.select(".stream li")) == 2
    (pressed,) = page.html.select(".chips [aria-current]")
    assert pressed["href"] == "/?kind=log"


def test_chips_are_offered_where_they_tell_apart(app, spool, words):
    write_event(spool, error_event())
    assert app.get("/").html.select(".chips a") == []
    write_event(spool, error_event(event_id="a" * 32, level="warning", environment="live", exception=None))
    chips = [words(chip) for chip in app.get("/").html.select(".chips a")]
    assert chips == [
        "handled: no 1",
        "level: warning 1",
        "level: error 1",
        "environment: live 1",
        "environment: staging 1",
    ]


def test_chips_that_are_on_come_first(app, spool, words):
    for number, level in enumerate(("error", "warning", "warning")):
        write_event(spool, error_event(event_id=f"{number:032x}", level=level))
    chips = [words(chip) for chip in app.get("/?q=level:error").html.select(".chips a")]
    assert chips == ["level: error 1", "level: warning 2"]


def test_chip_for_5xx_is_offered_where_it_is_not_the_same_as_failed(app, spool, words):
    def answered(number, code, status):
        trace = {"trace_id": f"{number:032x}", "span_id": "1" * 16, "status": status}
        contexts = {"trace": trace, "response": {"status_code": code}}
        write_event(spool, transaction_event(event_id=f"{number:032x}", contexts=contexts))
        return [words(chip) for chip in app.get("/?kind=transaction").html.select(".chips a")]

    assert answered(1, 200, "ok") == []
    assert answered(2, 503, "unavailable") == ["status: failed 1"]
    assert answered(3, 404, "not_found") == ["status: failed 1", "status: 4xx 1"]
    assert answered(4, 200, "internal_error") == ["status: failed 2", "status: 4xx 1", "status: 5xx 1"]


def test_time_range_is_chosen_in_the_form(app, spool, titles):
    write_event(spool, error_event())
    page = app.get("/?within=1h")
    assert titles(page) == ["OrderError"]
    assert page.html.select_one("[name=within] [selected]")["value"] == "1h"
    assert page.html.select_one("#kind-all")["href"] == "/?kind=all&within=1h"
    assert app.get("/?within=99y").html.select("[name=within] [selected]") == []


def test_term_that_is_not_understood_is_named(app, spool, words, titles):
    write_event(spool, error_event())
    page = app.get("/?q=order+before:lunch")
    assert titles(page) == ["OrderError"]
    assert words(page.html.select_one(".problem")) == (
        "Left out of the search: before:lunch , expected a time such as 2026-11-22T07:13 (UTC) or 1h."
    )


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        ("transaction", "traces_sample_rate = 1.0"),
        ("log", "enable_logs = true"),
        ("session", "release"),
        ("metric", "enable_metrics = true"),
        ("profile", "profiles_sample_rate"),
        ("feedback", "user_feedback = true"),
    ],
)
def test_empty_list_names_the_option_to_set(app, spool, words, kind, option):
    write_event(spool, error_event())
    empty = app.get(f"/?kind={kind}").html.select_one(".empty")
    assert option in [words(code) for code in empty.select("code")]
    assert "Show everything that was captured" in words(empty)


def test_empty_spool_names_the_option_too(app, spool, words):
    spool.prepare()
    empty = app.get("/?kind=transaction").html.select_one(".empty")
    assert "Nothing yet." in words(empty)
    assert "traces_sample_rate = 1.0" in [words(code) for code in empty.select("code")]


def test_all_counts_what_is_in_it(app, spool, words):
    write_event(spool, transaction_event())
    write_event(spool, error_event())
    assert "1 error, 1 request." in words(app.get("/?kind=all").html.select_one(".foot"))


def test_sessions_are_summed_up_by_release_and_hour(app, spool, words):
    def sessions(release, *counts):
        aggregates = [
            {"started": f"2026-11-22T{time}:00Z", "exited": well, "errored": errors, "crashed": crashes}
            for time, well, errors, crashes in counts
        ]
        write_item(spool, "sessions", {"attrs": {"release": release}, "aggregates": aggregates})

    sessions("shop@1", ("07:13", 8, 1, 1), ("07:59", 10, 0, 0))
    sessions("shop@2", ("08:00", 3, 0, 1))
    page = app.get("/?kind=session")
    rows = [[words(cell) for cell in row.select("th, td")] for row in page.html.select(".grid tbody tr")]
    assert rows == [
        ["shop@1", "20", "18", "1", "1", "95.0 %"],
        ["shop@2", "4", "3", "0", "1", "75.0 %"],
        ["2026-11-22 08:00 UTC", "4", "3", "0", "1", "75.0 %"],
        ["2026-11-22 07:00 UTC", "20", "18", "1", "1", "95.0 %"],
    ]
    assert words(page.html.select_one("#kind-session")) == "Sessions 24"
    assert "24 requests." in words(page.html.select_one(".foot"))
    hour = page.html.select("#hours ~ .scrolls tbody a")[0]
    assert app.get(hour["href"]).html.select_one("[name=q]")["value"] == (
        "after:2026-11-22T08:00 before:2026-11-22T09:00"
    )
    assert (
        app.get(page.html.select_one("#releases ~ .scrolls a")["href"]).html.select_one("[name=q]")["value"]
        == "release:shop@1"
    )
    filtered = app.get("/?kind=session&q=release:2")
    assert words(filtered.html.select_one("#kind-session")) == "Sessions 4"


@pytest.mark.parametrize(
    "started", ["9999-12-31T23:59:00Z", "0001-01-01T00:00:00Z", -62135596800, 253402300799]
)
def test_sessions_of_a_clock_at_the_end_of_time_are_shown(app, spool, words, started):
    write_item(spool, "sessions", {"aggregates": [{"started": started, "exited": 8}]})
    page = app.get("/?kind=session")
    assert "24" not in words(page.html.select_one("#kind-session"))
    hour = page.html.select_one("#hours ~ .scrolls tbody a")
    if hour:
        assert app.get(hour["href"]).html.select(".problem") == []


def test_lines_of_the_same_moment_are_newest_first(app, spool, words):
    write_item(spool, "log", {"items": [line(10, "one"), line(10, "two")]})
    write_item(spool, "log", {"items": [line(10, "three")]})
    messages = app.get("/?kind=log").html.select(".log-message")
    assert [words(message) for message in messages] == ["three", "two", "one"]


def test_line_without_a_time_is_as_old_as_its_file(app, spool, stream):
    write_item(spool, "log", {"items": [{"body": "no time"}]})
    write_item(spool, "log", {"items": [line(10, "long ago")]})
    assert ["no time" in found for found in stream(app.get("/?kind=log"))] == [True, False]
    assert len(stream(app.get("/?kind=log&within=1h"))) == 1


def test_payload_of_sessions_is_folded(app, spool):
    write_item(spool, "sessions", {"aggregates": [{"started": "2026-11-22T07:13:00Z", "exited": 8}]})
    html = app.get("/?kind=session").html
    assert html.select(".rows .row")
    assert not html.select(".rows .row:not(details:not([open]) .row)")


def test_counts_are_of_what_was_captured(app, spool, words):
    write_event(spool, transaction_event())
    write_item(spool, "trace_metric", {"items": [{"name": "soups"}, {"name": "soups"}, {"name": "bread"}]})
    page = app.get("/?kind=metric")
    assert words(page.html.select_one("#kind-metric")) == "Metrics 3"
    for kind in ("error", "transaction", "session", "log", "metric", "all"):
        assert "file" not in words(app.get(f"/?kind={kind}").html.select_one(".foot"))


def test_script_is_told_that_time_goes_on(app, spool, monkeypatch):
    write_event(spool, error_event())
    from sentry_paste.inbox import lists

    first = app.get("/list?within=15m")
    again = app.get("/list?within=15m", headers={"If-None-Match": first.headers["ETag"]}, status="*")
    assert again.status_int in (200, 304)  # a minute may have begun
    monkeypatch.setattr(lists.time, "time", lambda: 4_000_000_000.0)
    later = app.get("/list?within=15m", headers={"If-None-Match": first.headers["ETag"]}, status=200)
    assert later.html.select(".rows") == []
