"""The example app: its pages answer as they say, and show whatever lies in a spool."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope, Item, PayloadRef
from webtest import TestApp

from sentry_paste.example import labels, main, present, shop
from sentry_paste.spool import Spool, read_contents
from sentry_paste.spool.model import Span
from sentry_paste.spool.transport import SpoolTransport, Terms

SCRIPT = "<script>alert(1)</script>"
TRACE = "0af7651916cd43dd8448eb211c80319c"
ERROR_ID = "4c79f60c11214eb38604f4ae0781bfb2"
TRANSACTION_ID = "9aba7c7cedd444b8b677b2ddef9aee5d"


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.fixture
def app(spool):
    return TestApp(main({}, spool_dir=str(spool.directory)))


@pytest.fixture
def client(spool):
    """The SDK, spooling for this test only and without integrations, which could not be undone."""
    with sentry_sdk.isolation_scope() as scope:
        client = sentry_sdk.Client(
            dsn="http://key@localhost/1",
            transport=SpoolTransport(Terms(str(spool.directory))),
            default_integrations=False,
            traces_sample_rate=1.0,
        )
        scope.set_client(client)
        yield client
        client.close()


def frame(function, in_app, **more):
    return {
        "function": function,
        "filename": f"{function}.py",
        "lineno": 12,
        "in_app": in_app,
        "pre_context": ["before"],
        "context_line": f"    {function}_failed()",
        "post_context": ["after"],
        **more,
    }


def error_event(**more):
    return {
        "event_id": ERROR_ID,
        "level": "error",
        "transaction": "checkout",
        "environment": "staging",
        "release": "shop@2.1",
        "contexts": {"trace": {"trace_id": TRACE, "span_id": "1" * 16}},
        "exception": {
            "values": [
                {"type": "KeyError", "value": "'cause'", "stacktrace": {"frames": [frame("lookup", True)]}},
                {
                    "type": "OrderError",
                    "value": "table 7",
                    "mechanism": {"type": "wsgi", "handled": False},
                    "stacktrace": {
                        "frames": [
                            frame("router", False),
                            frame("tween", False),
                            frame("charge", True, vars={"guests": "0", "total": "'2790'"}),
                        ]
                    },
                },
            ]
        },
        "request": {
            "method": "POST",
            "url": "http://shop.example/pay",
            "query_string": "table=7",
            "headers": {"User-Agent": "test-agent"},
            "env": {"SERVER_NAME": "front-1"},
        },
        "tags": {"kitchen": "north"},
        "breadcrumbs": {
            "values": [
                {
                    "timestamp": "2026-11-22T07:13:00Z",
                    "category": "oven",
                    "level": "warning",
                    "message": "310 degrees",
                }
            ]
        },
        **more,
    }


def transaction_event(**more):
    return {
        "type": "transaction",
        "event_id": TRANSACTION_ID,
        "transaction": "checkout",
        "contexts": {"trace": {"trace_id": TRACE, "span_id": "1" * 16, "op": "http.server"}},
        "start_timestamp": "2026-11-22T07:13:00.000000Z",
        "timestamp": "2026-11-22T07:13:02.000000Z",
        "spans": [
            {
                "span_id": "2" * 16,
                "parent_span_id": "1" * 16,
                "op": "db",
                "description": "SELECT price FROM menu",
                "start_timestamp": "2026-11-22T07:13:00.500000Z",
                "timestamp": "2026-11-22T07:13:01.500000Z",
            }
        ],
        **more,
    }


def keep(spool, event):
    envelope = Envelope(headers={"event_id": event["event_id"]})
    (envelope.add_transaction if event.get("type") == "transaction" else envelope.add_event)(event)
    return spool.write(envelope)


def keep_item(spool, type_, payload):
    envelope = Envelope(items=[Item(payload, type=type_)])
    return spool.write(envelope)


def words(element):
    return " ".join(element.get_text(" ").split())


def rows(response):
    return [words(row) for row in response.html.select("#main .row")]


# What to try


def test_index_offers_every_thing_to_try(app):
    links = [card["href"] for card in app.get("/").html.select("a.card")]
    assert links == ["/hello", "/greet/Ada", "/slow", "/crash", "/stream-crash", "/handled", "/logged"]


def test_links_stay_below_the_prefix_the_app_is_mounted_at(app, spool):
    keep(spool, error_event())
    html = app.get("/", extra_environ={"SCRIPT_NAME": "/demo"}).html
    links = [tag.get("href") for tag in html.select("#main a, link[rel=stylesheet]")]
    assert len(links) == 10
    assert all(link.startswith("/demo/") for link in links)


def test_no_page_loads_anything_from_elsewhere(app, spool):
    keep(spool, error_event())
    for path in ("/", "/hello", f"/captured/{ERROR_ID}"):
        html = app.get(path).html
        assert [link["href"] for link in html.select("link[rel=stylesheet]")] == ["/static/style.css"]
        assert not html.select("script, img, iframe, [style]")


def test_every_answer_forbids_scripts(app):
    for path, status in (("/", 200), ("/hello", 200), ("/nowhere", 404), ("/static/style.css", 200)):
        policy = app.get(path, status=status).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self';")


def test_style_sheet_is_served_and_knows_the_dark(app):
    response = app.get("/static/style.css")
    assert response.content_type == "text/css"
    assert "prefers-color-scheme: dark" in response.text


def test_hello_greets_and_links_back(app):
    response = app.get("/hello")
    assert words(response.html.h1) == "Hello!"
    assert response.html.select_one("#main .button")["href"] == "/#captured"


def test_greet_greets_whom_the_path_names(app):
    assert words(app.get("/greet/Grace").html.h1) == "Hello, Grace!"


def test_greet_escapes_the_name(app):
    response = app.get("/greet/%3Cscript%3E")
    assert words(response.html.h1) == "Hello, <script>!"
    assert "<script" not in response.text


def test_crash_raises_through_frames_of_the_app(app):
    with pytest.raises(shop.BillError, match="cannot share 2790 cents between 0 guests") as caught:
        app.get("/crash")
    functions = [entry.name for entry in caught.traceback if "sentry_paste" in str(entry.path)]
    assert functions == ["crash", "bill"]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.traceback[-1].frame.f_locals["guests"] == 0


def test_stream_crash_yields_then_raises(app):
    started = []
    body = iter(app.app(app.RequestClass.blank("/stream-crash").environ, lambda *args: started.append(args)))
    lines = [next(body) for _ in range(3)]
    assert started[0][0] == "200 OK"
    assert lines == [b"Course 1: soup\n", b"Course 2: salad\n", b"Course 3: risotto\n"]
    with pytest.raises(shop.KitchenError, match="the soufflé collapsed"):
        next(body)


def test_handled_reports_the_error_and_links_to_it(app, spool, client):
    response = app.get("/handled")
    (file,) = spool.files("error")
    contents = read_contents(file)
    assert [error.type for error in contents.errors] == ["KeyError", "SoldOutError"]
    assert ("table", "7") in contents.tags
    see = response.click("See the error")
    assert words(see.html.h1) == "SoldOutError: no tiramisù left tonight"


def test_handled_answers_where_no_sdk_is_set_up(app):
    response = app.get("/handled")
    assert words(response.html.h1) == "Sorry, no tiramisù tonight"
    assert "See the error" not in response.text


def test_logged_logs_a_warning_an_error_and_an_exception(app, caplog):
    response = app.get("/logged")
    records = [
        (record.levelno, record.exc_info is not None)
        for record in caplog.records
        if record.name == "sentry_paste.example"
    ]
    assert records == [(logging.WARNING, False), (logging.ERROR, False), (logging.ERROR, True)]
    assert "two errors in Sentry" in words(response.html.main)


def test_slow_spends_its_time_in_six_nested_spans(app, spool, client):
    with sentry_sdk.start_transaction(name="slow", op="http.server"):
        response = app.get("/slow")
    assert "six spans" in words(response.html.main)
    (file,) = spool.files("transaction")
    spans = read_contents(file).spans[1:]
    assert [(span.depth, span.op) for span in spans] == [
        (1, "function"),
        (2, "db"),
        (2, "http.client"),
        (3, "serialize"),
        (2, "db"),
        (1, "template.render"),
    ]
    assert all(span.duration >= 0.02 for span in spans)


# What was captured


def test_index_without_a_spool_dir_tells_how_to_set_it():
    for settings in ({}, {"spool_dir": ""}):
        text = words(TestApp(main({}, **settings)).get("/").html.main)
        assert "Nothing is kept." in text
        assert "spool_dir = %(here)s/var/sentry" in text


def test_index_of_an_empty_spool_tells_what_to_do(app, spool):
    text = words(app.get("/").html.main)
    assert "Nothing yet." in text
    assert str(spool.directory) in text


def test_index_lists_captured_newest_first(app, spool):
    keep(spool, error_event())
    keep(spool, transaction_event())
    transaction, error = rows(app.get("/"))
    assert transaction.startswith("transaction checkout took 2.00 s ")
    assert error.startswith("error OrderError: table 7 level error in checkout ")


def test_index_rows_link_to_their_pages(app, spool):
    keep(spool, error_event())
    page = app.get("/").click(href="/captured/")
    assert page.request.path == f"/captured/{ERROR_ID}"
    assert words(page.html.h1) == "OrderError: table 7"


def test_refresh_always_leads_to_another_address_than_the_page_has(app, spool):
    page = app.get("/")
    for _ in range(3):
        refreshed = page.click("Refresh")
        assert refreshed.request.path == "/"
        assert refreshed.request.url != page.request.url
        page = refreshed


def test_index_lists_fifty_and_counts_the_older(app, spool):
    for number in range(53):
        keep(spool, error_event(event_id=f"{number:032x}"))
    response = app.get("/")
    assert len(rows(response)) == 50
    assert "And 3 older." in words(response.html.main)
    assert response.html.select_one(".row")["href"] == f"/captured/{52:032x}"


def test_an_unreadable_envelope_file_does_not_break_the_list(app, spool):
    keep(spool, error_event())
    broken = keep(spool, transaction_event())
    broken.path.write_bytes(b"\xff garbage")
    unreadable, error = rows(app.get("/"))
    assert unreadable.startswith("transaction Unreadable")
    assert error.startswith("error OrderError")
    assert words(app.get(f"/captured/{TRANSACTION_ID}").html.h1) == "This file cannot be read"


def test_a_file_that_is_a_directory_does_not_break_the_list(app, spool):
    gone = keep(spool, error_event())
    gone.path.unlink()
    gone.path.mkdir()
    assert rows(app.get("/"))[0].startswith("error Unreadable")


def test_an_unreadable_spool_directory_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    app = TestApp(main({}, spool_dir=str(tmp_path / "file")))
    assert "cannot be read" in words(app.get("/").html.main)
    assert "cannot be read" in words(app.get("/captured/abc", status=404).html.main)


def test_captured_pages_are_never_kept_by_the_browser(app, spool):
    keep(spool, error_event())
    for path in ("/", f"/captured/{ERROR_ID}"):
        assert "max-age=0" in app.get(path).headers["Cache-Control"]


# An envelope


@pytest.mark.parametrize(
    "path", ["/captured/ffff", "/captured/-", "/captured/%F0%9F%92%A5", "/nowhere", "/static/no"]
)
def test_an_unknown_id_or_page_is_404(app, spool, path):
    keep(spool, error_event())
    response = app.get(path, status=404)
    assert words(response.html.h1) == "Not found"


def test_an_id_is_404_where_nothing_is_kept():
    TestApp(main({})).get(f"/captured/{ERROR_ID}", status=404)


def test_error_page_shows_the_chain_outermost_first(app, spool):
    keep(spool, error_event())
    html = app.get(f"/captured/{ERROR_ID}").html
    order, key = html.select("section.error")
    assert words(order).startswith("OrderError table 7 unhandled reported by wsgi")
    assert words(key).startswith("raised after KeyError 'cause'")


def test_error_page_opens_frames_of_the_app_and_folds_the_others(app, spool):
    keep(spool, error_event())
    html = app.get(f"/captured/{ERROR_ID}").html
    own, library = html.select_one("section.error").find_all("details", recursive=False)
    assert own.has_attr("open")
    assert words(own.summary) == "charge charge.py:12"
    assert not library.has_attr("open")
    assert words(library.summary) == "2 frames of libraries"
    assert [words(frame.summary) for frame in library.select(".frame")] == [
        "tween tween.py:12",
        "router router.py:12",
    ]


def test_error_page_marks_the_line_that_failed(app, spool):
    keep(spool, error_event())
    source = app.get(f"/captured/{ERROR_ID}").html.select_one(".source")
    assert source.get_text().splitlines() == ["11before", "12    charge_failed()", "13after"]
    assert [line.get_text() for line in source.select(".current")] == ["12    charge_failed()\n"]


def test_error_page_folds_the_local_variables(app, spool):
    keep(spool, error_event())
    variables = app.get(f"/captured/{ERROR_ID}").html.select_one(".variables")
    assert not variables.has_attr("open")
    assert words(variables) == "2 local variables guests 0 total '2790'"


def test_error_page_shows_request_tags_and_breadcrumbs(app, spool):
    keep(spool, error_event())
    text = words(app.get(f"/captured/{ERROR_ID}").html.main)
    assert "POST http://shop.example/pay" in text
    assert "Query string table=7" in text
    assert "Headers User-Agent test-agent" in text
    assert "Environment SERVER_NAME front-1" in text
    assert "Tags kitchen north" in text
    assert "Breadcrumbs 07:13:00 warning oven 310 degrees" in text
    assert "Environment staging Release shop@2.1" in text


def test_transaction_page_places_its_spans_in_a_waterfall(app, spool):
    keep(spool, transaction_event())
    html = app.get(f"/captured/{TRANSACTION_ID}").html
    assert "Duration 2.00 s" in words(html.select_one(".facts"))
    assert TRACE in words(html.select_one(".facts"))
    spans = [words(span) for span in html.select(".waterfall li")]
    assert spans == [
        "http.server checkout 2.00 s at 0.0 ms",
        "db SELECT price FROM menu 1.00 s at 500 ms",
    ]
    bars = [(bar["x"], bar["width"], bar["data-tone"]) for bar in html.select("rect")]
    assert bars == [("0.0%", "100.0%", "root"), ("25.0%", "50.0%", "db")]


def test_pages_link_to_the_other_envelopes_of_their_trace(app, spool):
    keep(spool, error_event())
    keep(spool, transaction_event())
    keep(spool, error_event(event_id="a" * 32, contexts={"trace": {"trace_id": "b" * 32}}))
    related = app.get(f"/captured/{ERROR_ID}").html.select(".row")
    assert [row["href"] for row in related] == [f"/captured/{TRANSACTION_ID}"]
    related = app.get(f"/captured/{TRANSACTION_ID}").html.select(".row")
    assert [row["href"] for row in related] == [f"/captured/{ERROR_ID}"]


def test_envelopes_without_a_trace_are_related_to_none(app, spool):
    for identity in ("a" * 32, "b" * 32):
        keep(spool, error_event(event_id=identity, contexts={}))
    assert not app.get(f"/captured/{'a' * 32}").html.select(".row")


def test_message_event_shows_its_message(app, spool):
    event = {"event_id": ERROR_ID, "level": "warning", "logentry": {"message": "the oven is hot"}}
    keep(spool, event)
    assert words(app.get(f"/captured/{ERROR_ID}").html.h1) == "the oven is hot"


def test_unknown_kinds_are_shown_as_json(app, spool):
    file = keep_item(spool, "novelty", PayloadRef(json={"shape": {"corners": 3}}))
    html = app.get(f"/captured/{file.id}").html
    panel = html.select_one("details.panel")
    assert panel.has_attr("open")
    assert '"corners": 3' in panel.pre.get_text()


def test_payloads_that_are_not_json_are_told_so(app, spool):
    file = keep_item(spool, "attachment", PayloadRef(bytes=b"\x89PNG"))
    assert "attachment not JSON" in words(app.get(f"/captured/{file.id}").html.main)


# Data from elsewhere


def hostile(value):
    """Return an event's copy in which every text that a page may show is a script."""
    if isinstance(value, dict):
        return {name: item if name in KEPT else hostile(item) for name, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return SCRIPT if isinstance(value, str) else value


KEPT = {"event_id", "timestamp", "start_timestamp", "span_id", "parent_span_id"}


@pytest.mark.parametrize("make", [error_event, transaction_event])
def test_scripts_in_an_event_are_escaped_everywhere(app, spool, make):
    event = {**hostile(make()), "type": make().get("type")}
    event["tags"] = {SCRIPT: SCRIPT}
    event["request"] = dict.fromkeys(("method", "url", "query_string", "data"), SCRIPT)
    event["request"]["headers"] = {SCRIPT: SCRIPT}
    event["request"]["env"] = [[SCRIPT, SCRIPT]]
    keep(spool, event)
    for path in ("/", f"/captured/{event['event_id']}"):
        text = app.get(path).text
        assert "<script" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.parametrize(
    ("where", "selector"),
    [
        ({"exception": {"values": [{"type": "E", "value": SCRIPT}]}}, ".value"),
        (
            {"exception": [{"type": "E", "stacktrace": {"frames": [frame("f", True, vars={"v": SCRIPT})]}}]},
            ".variables dd",
        ),
        ({"logentry": {"message": SCRIPT}, "exception": None}, "h1"),
        ({"tags": {"t": SCRIPT}}, "[aria-labelledby=tags] dd"),
        ({"breadcrumbs": [{"message": SCRIPT}]}, ".crumb-message"),
        ({"request": {"url": SCRIPT}}, ".url bdi"),
        ({"request": {"query_string": SCRIPT}}, "[aria-labelledby=request] dd"),
        ({"request": {"headers": [["X-Name", SCRIPT]]}}, "[aria-labelledby=request] dd"),
    ],
)
def test_a_script_in_a_field_is_shown_as_text(app, spool, where, selector):
    keep(spool, error_event(**where))
    response = app.get(f"/captured/{ERROR_ID}")
    assert words(response.html.select_one(selector)) == SCRIPT
    assert "<script" not in response.text


def test_a_script_in_json_is_escaped(app, spool):
    file = keep_item(spool, "novelty", PayloadRef(json={SCRIPT: [SCRIPT]}))
    response = app.get(f"/captured/{file.id}")
    assert SCRIPT in response.html.select_one(".panel pre").get_text()
    assert "<script" not in response.text


def test_halves_of_surrogate_pairs_do_not_break_a_page(app, spool):
    keep(spool, error_event(exception=[{"type": "Error", "value": "half \ud83d"}], tags={"half": "\udca5"}))
    assert rows(app.get("/"))[0].startswith("error Error: half ?")
    assert "half ?" in words(app.get(f"/captured/{ERROR_ID}").html.h1)


@pytest.mark.parametrize("edge", ["0001-01-01T00:30:00+01:00", "9999-12-31T23:30:00-01:00"])
def test_times_at_the_edge_of_the_calendar_do_not_break_a_page(app, spool, edge):
    keep(spool, error_event(breadcrumbs=[{"timestamp": edge, "message": "long ago"}]))
    assert "long ago" in words(app.get(f"/captured/{ERROR_ID}").html.select_one(".crumbs"))


@pytest.mark.parametrize("junk", [None, 7, "text", [], {}, [[]], [None], {"values": 3}, True])
def test_fields_of_the_wrong_type_do_not_break_a_page(app, spool, junk):
    fields = ("exception", "request", "tags", "breadcrumbs", "contexts", "level", "transaction", "release")
    keep(spool, error_event(**dict.fromkeys(fields, junk)))
    keep(
        spool, transaction_event(spans=junk, request=dict.fromkeys(("method", "url", "headers", "env"), junk))
    )
    assert len(rows(app.get("/"))) == 2
    assert app.get(f"/captured/{ERROR_ID}").html.h1
    assert app.get(f"/captured/{TRANSACTION_ID}").html.h1


# Labels and bars


@pytest.mark.parametrize(
    ("seconds", "label"),
    [
        (-5, "just now"),
        (1, "just now"),
        (12, "12 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (7300, "2 h ago"),
        (86400, "2026-11-21"),
    ],
)
def test_ago_says_how_long_ago_in_whole_units(seconds, label):
    now = datetime(2026, 11, 22, 7, 13, tzinfo=timezone.utc)
    assert labels.ago(now - timedelta(seconds=seconds), now) == label


@pytest.mark.parametrize(
    ("seconds", "label"),
    [
        (0, "0.0 ms"),
        (0.0004, "0.4 ms"),
        (0.183, "183 ms"),
        (0.9999, "1.00 s"),
        (1.5, "1.50 s"),
        (150, "2.5 min"),
    ],
)
def test_duration_has_the_unit_that_suits_it(seconds, label):
    assert labels.duration(seconds) == label


@pytest.mark.parametrize(
    ("count", "label"), [(812, "812 B"), (3400, "3.4 kB"), (999_960, "1.0 MB"), (1_200_000, "1.2 MB")]
)
def test_size_has_the_unit_that_suits_it(count, label):
    assert labels.size(count) == label


def test_moment_and_clock_are_utc():
    time = datetime(2026, 11, 22, 9, 13, 5, 123999, tzinfo=timezone(timedelta(hours=2)))
    assert labels.moment(time) == "2026-11-22 07:13:05.123 UTC"
    assert labels.clock(time) == "07:13:05"


@pytest.mark.parametrize(
    ("offset", "duration"),
    [(-5.0, 1.0), (0.0, 99.0), (3.0, 1.0), (0.5, -1.0), (1.999999, 1e-9), (1e308, 1e308)],
)
def test_a_bar_stays_within_the_waterfall_and_visible(offset, duration):
    root = Span("1", "http.server", "page", "ok", 0, 0.0, 2.0)
    bar = present.waterfall([root, Span("2", "db", "SELECT", "ok", 1, offset, duration)])[1]
    assert bar.left >= 0
    assert bar.width >= 0.4
    assert bar.left + bar.width <= 100.001


def test_bars_of_a_transaction_that_took_no_time_are_whole():
    root = Span("1", "http.server", "page", "ok", 0, 0.0, 0.0)
    assert [(bar.left, bar.width) for bar in present.waterfall([root])] == [(0.0, 100.0)]


def test_index_tells_the_server_that_everything_is_sent_to(app):
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(sentry_sdk.Client(dsn="http://key@sentry.example/1", default_integrations=False))
        assert "It is sent to sentry.example." in words(app.get("/").html.main)
