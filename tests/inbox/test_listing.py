"""The list: newest first, errors by kind, what is looked for, and how it keeps up."""

import os

import pytest

from spooled import (
    ERROR_ID,
    TRACE,
    TRANSACTION_ID,
    error_event,
    frame,
    segment_item,
    span_item,
    transaction_event,
    write_event,
    write_item,
    write_spans,
)


def error(number, type_="OrderError", value="table 7", function="charge", **more):
    stack = {"stacktrace": {"frames": [frame(function, True), frame("library", False)]}}
    values = [{"type": type_, "value": value, **stack}]
    return error_event(event_id=f"{number:032x}", exception={"values": values}, **more)


def test_empty_spool_explains_what_to_expect(app, words, spool):
    spool.prepare()
    text = words(app.get("/").html.main)
    assert f"Nothing yet. The spool directory exists, but is empty: {spool.directory}" in text


def test_missing_directory_is_distinguished_from_an_empty_one(app, words, spool):
    text = words(app.get("/").html.main)
    assert f"Nothing yet: the spool directory does not exist. {spool.directory}" in text
    assert "Set spool_dir to the same directory for the filter and for the inbox" in text


def test_a_directory_that_comes_into_being_is_news(app, words, spool):
    missing = app.get("/list")
    spool.prepare()
    found = app.get("/list", headers={"If-None-Match": missing.headers["ETag"]}, status=200)
    assert "Nothing yet." in words(found.html)


def test_common_kinds_are_offered_first(app, spool, words):
    write_item(spool, "feedback", {})
    kinds = [words(link) for link in app.get("/").html.select(".kinds a")]
    assert kinds == ["Errors 0", "Transactions 0", "Sessions 0", "Logs 0", "Feedback 1", "All 1"]


def test_sessions_show_how_they_ended(app, spool, rows):
    started = "2026-11-22T07:13:00Z"
    write_item(spool, "sessions", {"aggregates": [{"started": started, "exited": 8, "crashed": 1}]})
    page = app.get("/?kind=session")
    assert rows(page)[0].startswith("9 request sessions 8 healthy 1 crashed")
    assert page.html.select_one(".rows .dot")["data-ended"] == "crashed"


def test_transactions_are_drawn_relative_to_the_slowest_on_the_page(app, spool):
    write_event(spool, transaction_event())
    write_event(spool, transaction_event(event_id="e" * 32, timestamp="2026-11-22T07:13:00.500000Z"))
    bars = app.get("/?kind=transaction").click("checkout").html.select(".share rect:not(.base)")
    assert [bar["width"] for bar in bars] == ["25.0%", "100.0%"]
    # Among errors and sessions, how often one came says more.
    assert app.get("/?kind=all").html.select(".share") == []


def test_errors_of_one_kind_are_one_row(app, spool, rows):
    for number in range(3):
        write_event(spool, error(number, value=f"table {number}"))
    write_event(spool, error(9, type_="KitchenError"))
    kitchen, order = rows(app.get("/"))
    assert kitchen.startswith("KitchenError table 7")
    assert order.startswith("OrderError table 2")
    assert "seen 3 \N{MULTIPLICATION SIGN}" in order
    assert "first just now" in order


def test_the_group_that_was_seen_last_is_first(app, spool, titles):
    write_event(spool, error(1, type_="A"))
    write_event(spool, error(2, type_="B"))
    assert titles(app.get("/")) == ["B", "A"]
    write_event(spool, error(3, type_="A"))
    assert titles(app.get("/")) == ["A", "B"]


def test_errors_of_one_type_from_two_places_are_two_rows(app, spool, rows):
    write_event(spool, error(1, function="charge"))
    write_event(spool, error(2, function="refund"))
    refund, charge = rows(app.get("/"))
    assert "refund in refund.py" in refund
    assert "charge in charge.py" in charge


def test_errors_without_a_place_are_one_row_by_transaction(app, spool, titles):
    for number, transaction in enumerate(["a", "a", "b"]):
        values = [{"type": "OrderError", "value": "x"}]
        write_event(
            spool,
            error_event(event_id=f"{number:032x}", exception={"values": values}, transaction=transaction),
        )
    assert len(titles(app.get("/"))) == 2


def test_errors_with_a_fingerprint_of_the_apps_own_are_one_row(app, spool, titles):
    write_event(spool, error(1, type_="A", fingerprint=["till"]))
    write_event(spool, error(2, type_="B", fingerprint=["till"]))
    write_event(spool, error(3, type_="C", fingerprint=["{{ default }}", "till"]))
    assert titles(app.get("/")) == ["C", "B"]


def test_messages_are_one_row_by_their_words_before_the_arguments(app, spool, rows):
    for number in range(2):
        logentry = {"message": "table %d waits", "formatted": f"table {number} waits"}
        write_event(
            spool, {"event_id": f"{number:032x}", "level": "error", "logger": "shop", "logentry": logentry}
        )
    (row,) = rows(app.get("/"))
    assert row.startswith("table 1 waits")
    assert "seen 2 \N{MULTIPLICATION SIGN}" in row


def test_a_group_leads_to_its_newest_and_from_there_to_all(app, spool, rows, words):
    for number in range(3):
        write_event(spool, error(number))
    page = app.get("/").click("OrderError")
    assert page.request.path == f"/envelope/{2:032x}"
    assert [words(link) for link in page.html.select(".siblings a")] == ["3 of this kind", "Older →"]
    assert page.click("Older").request.path == f"/envelope/{1:032x}"
    assert len(rows(page.click("3 of this kind"))) == 3


def test_every_kind_can_be_reached_and_is_counted(app, spool, words, titles, names):
    write_event(spool, error_event())
    write_event(spool, transaction_event())
    write_item(spool, "sessions", {"aggregates": [{"started": "2026-11-22T07:13:00Z", "exited": 3}]})
    write_item(spool, "log", {"items": [{"body": "one"}, {"body": "two"}]})
    write_item(spool, "novelty", {})
    kinds = app.get("/").html.select(".kinds a")
    assert [words(kind) for kind in kinds] == [
        "Errors 1",
        "Transactions 1",
        "Sessions 3",
        "Logs 2",
        "Other 1",
        "All 3",
    ]
    assert names(app.get("/").click("Transactions")) == ["checkout"]
    assert len(titles(app.get("/").click("All"))) == 2


def test_transactions_lead_to_their_trace(app, spool, rows, words):
    write_event(spool, transaction_event())
    listed = app.get("/?kind=transaction").click("checkout")
    assert rows(listed)[0].startswith("checkout took 2.00 s just now")
    assert listed.click("checkout", index=0, href="/trace/").request.path == f"/trace/{TRACE}"


def test_streamed_requests_are_listed_as_transactions(app, spool, rows, words, names):
    write_event(spool, transaction_event())
    crash = segment_item("3", "GET /crash", status="error", attributes={"http.response.status_code": 503})
    write_spans(spool, span_item("2", "query"), segment_item(), crash)
    listed = app.get("/?kind=all")
    crash, get, checkout = rows(listed)
    assert crash.startswith("GET /crash failed: 503 unavailable took 2.00 s just now")
    assert get.startswith("GET / 200 took 2.00 s just now")
    assert checkout.startswith("checkout took 2.00 s just now")
    assert words(listed.html.select_one("#kind-transaction")) == "Transactions 3"
    assert words(listed.html.select_one("#kind-all")) == "All 3"
    assert listed.click("GET /crash").request.path == f"/trace/{TRACE}"
    assert len({row["id"] for row in listed.html.select(".row")}) == 3
    groups = app.get("/?kind=transaction")
    assert names(groups) == ["GET /crash", "GET /", "checkout"]
    assert "3 requests under 3 names." in words(groups.html.select_one(".foot"))


def test_early_and_late_spans_are_no_requests_of_their_own(app, spool, rows):
    write_spans(spool, span_item("2", "early"))
    write_spans(spool, segment_item())
    write_spans(spool, span_item("3", "late"))
    (row,) = rows(app.get("/?kind=all"))
    assert row.startswith("GET / 200 took 2.00 s")
    assert len(rows(app.get("/?kind=span"))) == 3


def test_request_that_has_not_ended_is_listed_once(app, spool, rows):
    write_spans(spool, span_item("2", "first"))
    write_spans(spool, span_item("3", "second"))
    (row,) = rows(app.get("/?kind=all"))
    assert row.startswith("GET / not ended")
    write_spans(spool, segment_item())
    (row,) = rows(app.get("/?kind=all"))
    assert row.startswith("GET / 200 took 2.00 s")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("transaction=crash", ["GET /crash"]),
        ("transaction=*crash", ["GET /crash"]),
        ("transaction=nothing", []),
        ("q=unavailable", ["GET /crash"]),
        ("q=crash&transaction=GET", ["GET /crash"]),
        ("q=get&transaction=GET", ["GET /crash", "GET /"]),
    ],
)
def test_search_for_streamed_requests_by_name(app, spool, names, query, found):
    crash = segment_item("3", "GET /crash", status="error", attributes={"http.response.status_code": 503})
    write_spans(spool, segment_item(), crash)
    page = app.get(f"/?kind=transaction&{query}")
    assert names(page) == found
    assert {option["value"] for option in page.html.select("datalist option")} == {"GET /", "GET /crash"}


@pytest.mark.parametrize("segment", [None, "", [], {"a": 1}, 7, "\ud800"])
def test_spans_of_a_hostile_segment_are_listed(app, spool, names, segment):
    hostile = {"sentry.segment.id": segment, "sentry.segment.name": segment, "sentry.op": segment}
    items = [span_item("2", segment, attributes=hostile, trace_id=segment), {"is_segment": True}, {}]
    file = write_spans(spool, *items)
    for path in ("/?kind=transaction", "/?kind=span", "/?kind=all", f"/envelope/{file.id}"):
        app.get(path, status=200)
    assert names(app.get("/?kind=transaction"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=refund", ["B"]),
        ("q=TABLE+8", ["B"]),
        ("q=8+table", ["B"]),
        ("q=kitchen:north", ["B", "A"]),
        ("q=staging", ["B", "A"]),
        (f"q={1:032x}", ["A"]),
        (f"q={TRACE[:8]}", ["B", "A"]),
        (f"q={TRACE[:4]}", []),
        ("q=charge", ["A"]),
        ("q=nothing", []),
        ("transaction=check", ["A"]),
        ("transaction=*ck*out", ["A"]),
        ("transaction=check*k", []),
        ("transaction=pay&q=8", ["B"]),
        ("kind=transaction", []),
        ("kind=all&q=8", ["B"]),
        ("kind=nonsense", ["B", "A"]),
        ("q=%00%ff&transaction=[", []),
        ("page=0", ["B", "A"]),
        ("page=99", ["B", "A"]),
        ("page=%C2%B2", ["B", "A"]),
        ("&".join(f"a{n}=1" for n in range(50)) + "&q=8", ["B", "A"]),
    ],
)
def test_search_by_text_kind_and_transaction(app, spool, titles, query, found):
    write_event(spool, error(1, type_="A", transaction="checkout"))
    write_event(spool, error(2, type_="B", function="refund", value="table 8", transaction="pay"))
    assert titles(app.get(f"/?{query}")) == found


def test_a_search_keeps_what_was_looked_for_in_its_fields_and_links(app, spool):
    write_event(spool, error_event())
    html = app.get("/?q=a+b&transaction=%3Cc&kind=all").html
    assert html.select_one("[name=q]")["value"] == "a b"
    assert html.select_one("[name=transaction]")["value"] == "<c"
    assert html.select_one("[name=kind]")["value"] == "all"
    assert html.select_one("#kind-session")["href"] == "/?kind=session&q=a+b&transaction=%3Cc"


def test_search_without_results_points_to_other_kinds(app, spool, words):
    write_event(spool, transaction_event())
    html = app.get("/?q=checkout").html
    assert "1 found among everything" in words(html.select_one(".empty"))


def test_a_page_has_fifty_rows(app, spool, titles, words):
    for number in range(53):
        write_event(spool, error(number, type_=f"E{number}"))
    first = app.get("/")
    assert titles(first) == [f"E{number}" for number in range(52, 2, -1)]
    assert "Page 1 of 2" in words(first.html.select_one(".pager"))
    last = first.click("Older")
    assert titles(last) == ["E2", "E1", "E0"]
    assert len(titles(last.click("Newer"))) == 50


def test_state_of_a_file_is_shown(app, spool, rows, words):
    from sentry_paste.spool.owner import current

    waiting, aside, claimed = (write_event(spool, error(n, type_=f"E{n}")) for n in range(3))
    spool.set_aside(aside, "http 413")
    spool.claim(claimed, current())
    sent, refused, kept = rows(app.get("/"))
    assert "being sent" in sent
    assert "aside: http_413" in refused
    assert "waiting" not in kept
    assert "waiting" in words(app.get(f"/envelope/{waiting.id}").html.select_one(".summary"))
    assert "Set aside http_413" in words(app.get(f"/envelope/{aside.id}").html.select_one(".facts"))


def test_links_stay_below_the_prefix_it_is_mounted_at(app, spool):
    write_event(spool, error_event())
    write_event(spool, transaction_event())
    for path in (
        "/",
        "/?kind=all",
        f"/envelope/{ERROR_ID}",
        f"/trace/{TRACE}",
        f"/envelope/{TRANSACTION_ID}",
    ):
        html = app.get(path, extra_environ={"SCRIPT_NAME": "/dev/inbox"}).html
        for tag in html.select("[href]:not(.app-link), [src], [action], [data-src]"):
            for name in ("href", "src", "action", "data-src"):
                assert tag.get(name, "#").startswith(("/dev/inbox/", "#", "?"))


# It keeps up


def test_what_is_new_is_there_at_the_next_look(app, spool, titles):
    assert titles(app.get("/")) == []
    file = write_event(spool, error_event())
    assert titles(app.get("/")) == ["OrderError"]
    spool.remove(file)
    assert titles(app.get("/")) == []


def test_a_script_asks_for_the_list_only_and_only_when_it_has_changed(app, spool, titles):
    write_event(spool, error(1, type_="A"))
    page = app.get("/?q=table")
    live = page.html.select_one("#live")
    app.get(live["data-src"], headers={"If-None-Match": f'"{live["data-tag"]}"'}, status=304)
    part = app.get(live["data-src"])
    assert part.request.path_qs == "/list?q=table"
    assert not part.html.head
    assert titles(part) == ["A"]
    same = app.get("/list?q=table", headers={"If-None-Match": part.headers["ETag"]}, status=304)
    assert same.body == b""
    assert app.get("/list", headers={"If-None-Match": part.headers["ETag"]}).status_int == 200
    write_event(spool, error(2, type_="B"))
    part = app.get("/list?q=table", headers={"If-None-Match": part.headers["ETag"]}, status=200)
    assert titles(part) == ["B", "A"]


def test_without_scripts_the_page_reloads_by_itself_and_by_a_link(app, spool):
    html = app.get("/").html
    assert html.select_one("noscript meta")["http-equiv"] == "refresh"
    assert html.select_one("[data-reload]")["href"] == "/?"


def test_a_file_is_read_once(app, spool, titles, monkeypatch):
    from sentry_paste.inbox import index

    read = []
    summarise = index.summarise
    monkeypatch.setattr(index, "summarise", lambda file, size: read.append(file.id) or summarise(file, size))
    file = write_event(spool, error(1, type_="A"))
    for _ in range(3):
        app.get("/")
    spool.set_aside(file, "http 400")
    app.get("/")
    assert read == [file.id]


def test_a_file_that_changes_is_read_again(app, spool, titles):
    file = write_event(spool, error(1, type_="A"))
    assert titles(app.get("/")) == ["A"]
    file.path.write_bytes(write_event(spool, error(1, type_="Changed")).path.read_bytes())
    os.utime(file.path, ns=(1, 1))
    assert "Changed" in titles(app.get(f"/?q={1:032x}"))


def test_a_spool_that_was_never_read_is_read_bit_by_bit(app, spool, titles, words):
    app.app.index._reading = 0.0
    for number in range(3):
        write_event(spool, error(number, type_=f"E{number}"))
    first = app.get("/")
    assert titles(first) == ["E2"]
    assert "Reading files: 2 older files to go" in words(first.html.main)
    app.get("/")
    assert titles(app.get("/")) == ["E2", "E1", "E0"]
    assert "Reading" not in words(app.get("/").html.main)


def test_only_the_newest_files_are_kept_in_mind(app, spool, titles, words, monkeypatch):
    from sentry_paste.inbox import index

    monkeypatch.setattr(index, "MAX_FILES", 2)
    for number in range(3):
        write_event(spool, error(number, type_=f"E{number}"))
    page = app.get("/")
    assert titles(page) == ["E2", "E1"]
    assert "1 older file not shown." in words(page.html.select_one(".foot"))


def test_a_file_that_is_too_large_is_not_opened(app, spool, titles, monkeypatch):
    from sentry_paste.inbox import summary

    monkeypatch.setattr(summary, "MAX_BYTES", 10)
    write_event(spool, error_event())
    assert titles(app.get("/")) == ["Unreadable error"]
