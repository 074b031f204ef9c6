"""The example app: its pages answer as they say, and what they do is in its inbox."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import sentry_sdk
from bs4 import BeautifulSoup
from paste.deploy import loadapp
from webtest import TestApp

from sentry_paste import sdk
from sentry_paste.example import main, shop
from sentry_paste.spool import Spool, read_contents
from sentry_paste.spool.transport import SpoolSettings, SpoolTransport

from spooled import LOOPBACK


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.fixture
def app():
    return TestApp(main({}, inbox="/inbox"))


@pytest.fixture
def client(spool):
    """The SDK, spooling for this test only and without integrations, which could not be undone."""
    with sentry_sdk.isolation_scope() as scope:
        client = sentry_sdk.Client(
            dsn="http://key@localhost/1",
            transport=SpoolTransport(SpoolSettings(str(spool.directory))),
            default_integrations=False,
            traces_sample_rate=1.0,
        )
        scope.set_client(client)
        yield client
        client.close()


def words(element):
    return " ".join(element.get_text(" ").split())


def test_index_offers_every_thing_to_try(app):
    links = [card["href"] for card in app.get("/").html.select("a.card")]
    assert links == ["/hello", "/greet/Ada", "/slow", "/crash", "/stream-crash", "/handled", "/logged"]


def test_links_stay_below_the_prefix_the_app_is_mounted_at(app):
    html = app.get("/", extra_environ={"SCRIPT_NAME": "/demo"}).html
    links = [tag.get("href") for tag in html.select("#main a, link[rel=stylesheet]")]
    assert len(links) == 9
    assert all(link.startswith("/demo/") for link in links)


def test_no_page_loads_anything_from_elsewhere(app):
    for path in ("/", "/hello"):
        html = app.get(path).html
        assert [link["href"] for link in html.select("link[rel=stylesheet]")] == ["/static/style.css"]
        assert not html.select("script, img, iframe, [style]")


def test_every_page_forbids_scripts(app):
    for path, status in (("/", 200), ("/hello", 200), ("/nowhere", 404)):
        policy = app.get(path, status=status).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self';")


def test_style_sheet_is_served_and_knows_the_dark(app):
    response = app.get("/static/style.css")
    assert response.content_type == "text/css"
    assert "prefers-color-scheme: dark" in response.text


def test_hello_greets_and_links_to_the_inbox_and_back(app):
    response = app.get("/hello")
    assert words(response.html.h1) == "Hello!"
    assert [link["href"] for link in response.html.select("#main .button")] == ["/inbox/?kind=all", "/"]


def test_greet_greets_whom_the_path_names(app):
    assert words(app.get("/greet/Grace").html.h1) == "Hello, Grace!"


def test_greet_escapes_the_name(app):
    response = app.get("/greet/%3Cscript%3E")
    assert words(response.html.h1) == "Hello, <script>!"
    assert "<script" not in response.text


def test_crash_raises_through_frames_of_the_app(app):
    with pytest.raises(shop.BillError, match="cannot share 2790 cents between 0 guests") as caught:
        app.get("/crash")
    package = Path(shop.__file__).parent
    functions = [entry.name for entry in caught.traceback if Path(str(entry.path)).parent == package]
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
    see = next(link for link in response.html.select("#main a") if words(link) == "See the error")
    assert see["href"] == f"/inbox/envelope/{file.id}"


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
    assert "Sentry receives two errors" in words(response.html.main)


def test_slow_spends_its_time_in_six_nested_spans(app, spool, client):
    if sdk.MAJOR == 2:
        trace = sentry_sdk.start_transaction(name="slow", op="http.server")
    else:
        trace = sentry_sdk.start_span(name="slow", attributes={"sentry.op": "http.server"})
    with trace:
        response = app.get("/slow")
    assert "six spans" in words(response.html.main)
    sdk.flush_spans(sentry_sdk.get_client())
    (file,) = spool.files("transaction" if sdk.MAJOR == 2 else "span")
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


# Where it is shown


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/hello", 200), ("/handled", 200), ("/nowhere", 404)]
)
def test_header_of_every_page_leads_to_the_inbox(app, path, status):
    links = app.get(path, status=status).html.select("header a")
    assert [(words(link), link["href"]) for link in links] == [
        ("sentry_paste example", "/"),
        ("Inbox", "/inbox/"),
    ]


def test_index_links_to_the_inbox(app):
    (link,) = app.get("/").html.select(".hero a")
    assert (words(link), link["href"]) == ("Open the inbox", "/inbox/")


def test_index_without_an_inbox_says_how_to_mount_one():
    html = TestApp(main({})).get("/").html
    assert "inbox = /inbox" in words(html.main)
    assert not html.select(".hero a, header a:nth-of-type(2)")


def test_index_names_the_server_that_everything_is_sent_to(app):
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(sentry_sdk.Client(dsn="http://key@sentry.example/1", default_integrations=False))
        assert "Events are sent to sentry.example." in words(app.get("/").html.main)


@pytest.mark.parametrize("path", ["/nowhere", "/static/no", "/captured/ffff"])
def test_an_unknown_page_is_404(app, path):
    assert words(app.get(path, status=404).html.h1) == "Not found"


EXAMPLE = (Path(__file__).parent.parent / "example.ini").read_text(encoding="utf-8")
TOOLBAR = ("pyramid.includes = pyramid_debugtoolbar", "debugtoolbar.includes = sentry_paste.debugtoolbar")


@pytest.fixture
def serve(tmp_path):
    """Load example.ini as it is, or with other lines."""

    def serve(text=EXAMPLE):
        ini = tmp_path / "example.ini"
        ini.write_text(text, encoding="utf-8")
        return TestApp(loadapp(f"config:{ini}"), extra_environ=LOOPBACK)

    return serve


def test_example_ini_shows_in_its_inbox_what_its_pages_did(serve):
    app = serve()
    assert "Nothing yet: the spool directory does not exist." in words(app.get("/inbox/").html.main)
    app.get("/handled")
    app.get("/crash", status=500)
    titles = [words(title) for title in app.get("/inbox/").html.select(".row-title")]
    assert titles == ["BillError", "SoldOutError"]
    page = app.get("/inbox/").click("BillError")
    assert words(page.html.select_one(".summary .value")) == "cannot share 2790 cents between 0 guests"
    assert "the guests of table 7 left before the bill came" in words(page.html.select_one(".log"))


def test_crash_ends_on_a_page_that_leads_to_its_error(serve):
    app = serve()
    answer = app.get("/crash", status=500)
    assert words(answer.html.h1) == "This page crashed"
    assert answer.html.select_one("link[rel=stylesheet]")["href"] == "/static/style.css"
    assert "$" not in answer.text
    assert [words(link) for link in answer.html.select("#main a")] == [
        "See the error",
        "Try again",
        "More to try",
    ]
    assert [link["href"] for link in answer.html.select("header a")] == ["/", "/inbox/"]
    error = answer.click("See the error")
    assert "BillError" in words(error.html.h1)
    assert answer.html.code.text in error.request.path


def test_crash_page_has_no_link_to_an_inbox_that_would_not_open(serve):
    app = serve()
    answer = app.get("/crash", extra_environ={"REMOTE_ADDR": "192.0.2.1"}, status=500)
    assert [words(link) for link in answer.html.select("#main a")] == ["Try again", "More to try"]
    assert answer.html.select("header a")[1]["href"] == ""  # the style sheet hides it


def test_crash_page_looks_like_the_other_pages(app):
    template = Path(shop.__file__).parent / "templates" / "crash.html"
    crash, other = BeautifulSoup(template.read_text(encoding="utf-8"), "html.parser"), app.get("/hello").html
    names = [
        [(tag.name, tag.get("class"), tag.get("id")) for tag in page.select("body > *, header *")]
        for page in (crash, other)
    ]
    assert names[0] == names[1]


def test_uncommenting_two_lines_adds_the_debug_toolbar(serve, captured):
    text = EXAMPLE
    for line in TOOLBAR:
        assert f"\n#{line}\n" in text
        text = text.replace(f"#{line}", line)
    app = serve(text)
    page = app.get("/hello")
    (button,) = page.html.select("#pShowToolBarButton")
    assert page.headers["Content-Security-Policy"]
    toolbar = app.get(button["href"])
    assert "Content-Security-Policy" not in toolbar.headers  # it has scripts and styles
    assert toolbar.html.select("#pDebugPanel-sentry-content")
    crash = app.get("/crash", status=500)
    assert "Content-Security-Policy" not in crash.headers
    assert "BillError" in crash.html.title.text
