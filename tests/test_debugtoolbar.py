"""The panel of Pyramid's debug toolbar: from the ini to the toolbar's page of a request."""

import contextvars
import logging
import re
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import sentry_sdk
import test_debugtoolbar as served  # the module as the inis name it
from bs4 import BeautifulSoup
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request
from pyramid.response import Response
from webtest import TestApp

from sentry_paste import sdk
from sentry_paste.client.registry import registry
from sentry_paste.debugtoolbar import recorder

from spooled import LOOPBACK
from traced_apps import needs_streamed_spans, only_transactions

HOSTILE = "</td><script>alert(1)</script> ${1/0}"

INI = """
    [filter:sentry]
    use = egg:sentry_paste
    {filter}

    [app:app]
    paste.app_factory = test_debugtoolbar:make
    pyramid.includes = pyramid_debugtoolbar
    {toolbar}

    [pipeline:main]
    pipeline = {pipeline}
"""

#: A line of the ini for either form of a trace.
LIFECYCLES = [
    pytest.param("", id="transactions", marks=only_transactions),
    pytest.param("trace_lifecycle = stream", id="stream", marks=needs_streamed_spans),
]

log = logging.getLogger("test_debugtoolbar")
meeting = threading.Barrier(2)
ending = threading.Event()
started = []
whole = []


def hello(request):
    return Response("<html><body>hello</body></html>")


def crash(request):
    raise ValueError(request.params.get("text", "crashed"))


def handled(request):
    try:
        raise KeyError("handled")
    except KeyError:
        sentry_sdk.capture_exception()
    return hello(request)


def message(request):
    sentry_sdk.capture_message(request.params.get("text", "a message"), level="warning")
    return hello(request)


def half(request):
    sentry_sdk.capture_message("cut \ud800 here")
    return hello(request)


def logged(request):
    log.error("logged %s", request.params["text"])
    return hello(request)


def spans(request):
    outer = sdk.start_child_span("db", request.params.get("text", "SELECT 1"))
    with outer, sdk.start_child_span("cache", "inner"):
        pass
    with sdk.start_child_span("http", "last"):
        pass
    return hello(request)


def streamed(request):
    def body():
        yield b"<html>"
        with sdk.start_child_span("template", "in the body"):
            yield b"</html>"

    return Response(app_iter=body())


def repeats(request):
    for number in range(3):
        with sdk.start_child_span("db", "SELECT dish FROM menu WHERE id = %s"):
            pass
        with sdk.start_child_span("db.query", f"SELECT {number}"):
            pass
        with sdk.start_child_span("template", "render"):
            pass
    for _ in range(2):
        with sdk.start_child_span("db", "SELECT 1"):
            pass
    return hello(request)


def many(request):
    for number in range(recorder.MAX_RECORDED + 5):
        sentry_sdk.capture_message(f"number {number}")
        with sdk.start_child_span("many", f"span {number}"):
            pass
    return hello(request)


def thread(request):
    work = partial(contextvars.copy_context().run, sentry_sdk.capture_message, "of a thread")
    started = threading.Thread(target=work)
    started.start()
    started.join()
    return hello(request)


def late(request):
    with sdk.start_child_span("db", "before"):
        pass

    def work():
        with sdk.start_child_span("queue", "late"):
            served.ending.wait(timeout=180)

    served.ending.clear()
    served.started.append(threading.Thread(target=contextvars.copy_context().run, args=[work]))
    served.started[-1].start()
    return hello(request)


def meets(request):
    """Capture in turns with another request."""
    for word in ("begins", "goes on", "ends"):
        sentry_sdk.capture_message(f"{request.params['text']} {word}")
        served.meeting.wait(timeout=180)
    return hello(request)


def within(request):
    """Ask the app itself, within the request."""
    request.invoke_subrequest(Request.blank("/message"))
    served.whole[0].get("/message?text=inner")
    return hello(request)


def redirects(request):
    return Response(status=302, location="/hello")


VIEWS = (
    redirects,
    hello,
    late,
    crash,
    handled,
    message,
    half,
    logged,
    repeats,
    spans,
    streamed,
    many,
    thread,
    meets,
    within,
)


def make(global_conf, **settings):
    with Configurator(settings=settings) as config:
        for view in VIEWS:
            config.add_route(view.__name__, f"/{view.__name__}")
            config.add_view(view, route_name=view.__name__)
        return config.make_wsgi_app()


def drop(event, hint):
    return None


def nonsense(event, hint):
    event["exception"] = event["logentry"] = event["contexts"] = event["spans"] = 7
    return event


class Site:
    """An app with the toolbar, and the panel of its last request."""

    def __init__(self, app):
        self.app = TestApp(app, extra_environ={"REMOTE_ADDR": "127.0.0.1"})

    def get(self, path, **params):
        return self.app.get(path, params, status="*")

    def panel_of(self, response):
        found = re.search(r"/_debug_toolbar/([0-9a-f]+)\"", response.text)
        return self.panel(found[1] if found else "")

    def panel(self, identity=""):
        page = self.app.get(f"/_debug_toolbar/{identity}")
        page.mustcontain('id="pDebugPanel-sentry"')
        return Panel(page.text)

    def shown(self, path, **params):
        return self.panel_of(self.get(path, **params))


class Panel:
    """What is on the page: tables and texts by their heading."""

    def __init__(self, page):
        soup = BeautifulSoup(page, "html.parser")
        self.content = soup.select_one("#pDebugPanel-sentry-content .pDebugPanelContent")
        self.badge = soup.select_one("#pDebugPanel-sentry .badge")
        self.scripts = [script.text for script in soup.select("#pDebugPanel-sentry-content script")]

    @property
    def text(self):
        return " ".join(self.content.get_text(" ").split())

    def part(self, heading):
        found = next(h4 for h4 in self.content.select("h4") if h4.text == heading)
        parts = []
        for sibling in found.next_siblings:
            if sibling.name == "h4":
                break
            parts.append(str(sibling))
        return BeautifulSoup("".join(parts), "html.parser")

    def rows(self, heading):
        return [
            [" ".join(cell.get_text(" ").split()) for cell in row.select("td")]
            for row in self.part(heading).select("tbody tr")
        ]

    def text_under(self, heading):
        return " ".join(self.part(heading).get_text(" ").split())


@pytest.fixture
def site(load, captured):
    """Load an app with the toolbar; give more lines for the filter, and other lines for the toolbar."""

    def site(*lines, toolbar=WAYS["includes"], pipeline="sentry app"):
        ini = INI.format(filter="\n    ".join(lines), toolbar=toolbar, pipeline=pipeline)
        return Site(load(ini))

    return site


WAYS = {
    "includes": "debugtoolbar.includes = sentry_paste.debugtoolbar",
    "panels, by module": "debugtoolbar.panels = sentry_paste.debugtoolbar",
    "extra_panels, by module": "debugtoolbar.extra_panels = sentry_paste.debugtoolbar",
    "extra_panels, by class": "debugtoolbar.extra_panels = sentry_paste.debugtoolbar.SentryPanel",
    "panels, by name": "debugtoolbar.includes = sentry_paste.debugtoolbar\n    debugtoolbar.panels = sentry",
}


@pytest.mark.parametrize("way", WAYS)
def test_every_line_of_the_ini_that_the_toolbar_has_for_panels_works(site, way):
    panel = site(toolbar=WAYS[way]).shown("/message")
    assert panel.rows("Messages")[0][1].startswith("a message")


class TestEvents:
    def test_crash_is_an_error_with_its_id_though_the_toolbar_answers_it(self, site, captured):
        panel = site().shown("/crash")
        ((level, what, identity),) = panel.rows("Errors")
        assert level == "error"
        assert what.startswith("ValueError : crashed")
        assert "test_debugtoolbar.py" in what
        assert [identity] == [event["event_id"] for event in captured.errors]
        assert (panel.badge.text, "progress-bar-danger" in panel.badge["class"]) == ("1", True)

    def test_crash_that_the_toolbar_lets_through_is_there_once(self, site, captured):
        found = site(
            toolbar="debugtoolbar.includes = sentry_paste.debugtoolbar\n"
            "    debugtoolbar.panels = sentry\n"
            "    debugtoolbar.intercept_exc = false",
        )
        with pytest.raises(ValueError, match="crashed"):
            found.get("/crash")
        rows = found.panel().rows("Errors")
        assert [row[2] for row in rows] == [event["event_id"] for event in captured.errors]
        assert len(rows) == 1

    def test_handled_error_says_that_it_was(self, site):
        ((_, what, _),) = site().shown("/handled").rows("Errors")
        assert what.startswith("KeyError : 'handled'")
        assert "handled, captured by generic" in what

    def test_message_has_its_level_and_id(self, site, captured):
        panel = site().shown("/message")
        assert panel.rows("Messages") == [["warning", "a message sent", captured.errors[0]["event_id"]]]
        assert panel.text_under("Errors") == "None."
        assert "progress-bar-info" in panel.badge["class"]

    def test_logged_error_has_its_logger(self, site):
        ((level, what, _),) = site().shown("/logged", text="here").rows("Messages")
        assert (level, what) == ("error", "logged here sent by test_debugtoolbar")

    def test_status_that_is_an_event_is_there_though_it_comes_after_the_response(self, site):
        assert (
            site("failed_status_codes = 200").shown("/hello").rows("Messages")[0][1] == "HTTP status 200 sent"
        )

    def test_what_a_thread_captures_is_there(self, site):
        assert site().shown("/thread").rows("Messages")[0][1].startswith("of a thread")

    def test_request_without_any_says_so_and_has_no_badge(self, site):
        panel = site().shown("/hello")
        assert (panel.text_under("Errors"), panel.text_under("Messages"), panel.badge) == (
            "None.",
            "None.",
            None,
        )

    def test_what_a_hook_drops_is_there_without_its_text(self, site, captured):
        ((_, what, _),) = (
            site("before_send = test_debugtoolbar:drop").shown("/crash", text="secret").rows("Errors")
        )
        assert what == "ValueError dropped by before_send"  # and not sent
        assert captured.errors == []

    def test_what_is_sampled_out_is_not_sent(self, site, captured):
        ((_, what, _),) = site("sample_rate = 0").shown("/handled").rows("Errors")
        assert "not sent" in what
        assert captured.errors == []

    def test_hook_that_returns_nonsense_costs_no_page(self, load, captured_unchecked):
        hooks = ("before_send", "before_send_transaction")
        lines = [f"{hook} = test_debugtoolbar:nonsense" for hook in hooks]
        ini = INI.format(
            filter="\n    ".join([*lines, "traces_sample_rate = 1"]),
            toolbar=WAYS["includes"],
            pipeline="sentry app",
        )
        panel = Site(load(ini)).shown("/handled")
        assert panel.rows("Messages")[0][0] == "error"

    def test_there_is_an_end_to_what_is_shown(self, site):
        panel = site("traces_sample_rate = 1").shown("/many")
        assert len(panel.rows("Messages")) == recorder.MAX_RECORDED
        assert "5 more not shown" in panel.text
        assert "5 more spans not shown" in panel.text


@pytest.mark.parametrize("lifecycle", LIFECYCLES)
class TestTrace:
    def test_trace_is_shown_as_it_was_sent_with_the_spans_in_it(self, site, captured, lifecycle):
        style = "integration.pyramid.transaction_style = route_pattern"
        panel = site("traces_sample_rate = 1", style, lifecycle).shown("/spans")
        transaction = captured.transactions[0]
        text = panel.text_under("Trace")
        assert transaction["contexts"]["trace"]["trace_id"] in text
        assert "/spans route sampled" in text
        assert "ms, ok" in text
        assert [row[:2] for row in panel.rows("Trace")] == [
            ["db", "SELECT 1"],
            ["cache", "inner"],
            ["http", "last"],
        ]
        assert len(panel.part("Trace").select("svg rect:not(.failed)")) == 3

    def test_crash_that_the_toolbar_answers_is_named_by_the_route_of_the_app(self, site, captured, lifecycle):
        text = site("traces_sample_rate = 1", lifecycle).shown("/crash").text_under("Trace")
        assert "crash component sampled" in text
        assert "ms, internal_error" in text
        assert "debugtoolbar.exception" not in text
        assert captured.transactions[0]["transaction"] == "crash"
        assert [event["transaction"] for event in captured.errors] == ["crash"]

    @pytest.mark.parametrize("line", ["traces_sample_rate = 1", "failed_status_codes = 200"])
    def test_redirect_that_the_toolbar_holds_is_named_by_the_route_too(self, site, captured, line, lifecycle):
        toolbar = f"{WAYS['includes']}\n    debugtoolbar.intercept_redirects = true"
        site(line, lifecycle, toolbar=toolbar).get("/redirects")
        events = [*captured.transactions, *captured.errors]
        assert [event["transaction"] for event in events] == ["redirects"]

    def test_spans_of_the_body_are_there_though_it_comes_after_the_response(self, site, lifecycle):
        found = site("traces_sample_rate = 1", lifecycle)
        found.get("/streamed")
        assert ["template", "in the body"] in [row[:2] for row in found.panel().rows("Trace")]

    def test_trace_that_goes_on_is_shown_as_far_as_it_is_known(self, site, lifecycle):
        found = site("traces_sample_rate = 1", lifecycle)
        body = found.app.app(environ("/streamed"), lambda *_: None)
        chunks = iter(body)
        next(chunks)
        text = found.panel().text_under("Trace")
        assert "not sent yet when this page was opened; this is its state at the response" in text
        list(chunks)
        body.close()
        assert "not sent yet" not in found.panel().text_under("Trace")

    def test_span_that_ends_after_its_request_is_there(self, site, lifecycle):
        found = site("traces_sample_rate = 1", lifecycle)
        page = found.get("/late")
        is_streamed = bool(lifecycle)  # a transaction has only what has ended before it
        served.ending.set()
        served.started[-1].join()
        rows = found.panel_of(page).rows("Trace")
        assert [row[:2] for row in rows] == [["db", "before"], *([["queue", "late"]] if is_streamed else [])]

    def test_trace_that_is_not_sampled_says_so(self, site, captured, lifecycle):
        panel = site("traces_sample_rate = 0", lifecycle).shown("/spans")
        assert "not sampled not sent" in panel.text_under("Trace")
        assert "spans component" in panel.text_under("Trace")
        assert panel.rows("Trace") == []
        assert captured.transactions == []

    @pytest.mark.parametrize("line", ["", "traces_sample_rate = 1\n    ignore_paths = /hello"])
    def test_request_that_is_not_measured_has_a_trace_and_no_transaction(
        self, site, line, captured, lifecycle
    ):
        text = site(line, lifecycle).shown("/hello").text_under("Trace")
        assert re.search(r"Trace id [0-9a-f]{32} No transaction", text)

    def test_equal_queries_are_marked_and_counted(self, site, lifecycle):
        panel = site("traces_sample_rate = 1", lifecycle).shown("/repeats")
        rows = [row[1] for row in panel.rows("Trace") if row[0].startswith("db")]
        menu = "SELECT dish FROM menu WHERE id = %s repeated 3 times"
        once = [text for number in range(3) for text in (menu, f"SELECT {number}")]
        assert rows == [
            *(text.replace("SELECT 1", "SELECT 1 repeated 3 times") for text in once),
            *["SELECT 1 repeated 3 times"] * 2,
        ]
        listed = [item.get_text() for item in panel.part("Trace").select("li")]
        assert [text.partition(",")[0] for text in listed] == ["3 times", "3 times"]
        assert all(" ms in total: SELECT" in text for text in listed)

    def test_error_has_the_trace_of_the_panel(self, site, captured, lifecycle):
        text = site(lifecycle).shown("/handled").text_under("Trace")
        assert captured.errors[0]["contexts"]["trace"]["trace_id"] in text

    def test_rule_of_the_ini_names_what_is_not_sampled(self, site, lifecycle):
        found = site("traces_sample_rate = 0", "transaction_names = /sp* a name", lifecycle)
        assert "a name custom" in found.shown("/spans").text_under("Trace")


SPOOLED = """
    [composite:main]
    use = egg:Paste#urlmap
    / = site
    /inbox = inbox

    [pipeline:site]
    pipeline = sentry app

    [filter:sentry]
    use = egg:sentry_paste
    spool_dir = %(here)s/spool
    traces_sample_rate = 1
    ignore_paths = /_debug_toolbar/*
    {filter}

    [app:app]
    paste.app_factory = test_debugtoolbar:make
    pyramid.includes = pyramid_debugtoolbar
    debugtoolbar.includes = sentry_paste.debugtoolbar

    [app:inbox]
    use = egg:sentry_paste#inbox
    spool_dir = %(here)s/{shown}
"""


class TestWhereabouts:
    """Where it is now: in the spool, which the inbox shows, or with Sentry."""

    @pytest.fixture
    def spooling(self, load):
        def spooling(*lines, shown="spool"):
            return Site(load(SPOOLED.format(filter="\n    ".join(lines), shown=shown)))

        return spooling

    def flushed(self, found):
        """Make a request of which all is in the spool: sentry-sdk 3 sends spans a little later."""
        page = found.get("/handled")
        for client in registry.clients():
            client.flush()
        return page

    def links(self, panel):
        return [link["href"] for link in panel.content.select("a[href]")]

    @pytest.mark.parametrize("lifecycle", LIFECYCLES)
    def test_what_is_spooled_leads_to_the_inbox(self, spooling, lifecycle):
        found = spooling(lifecycle)
        page = found.get("/handled")
        sdk.flush_spans(registry.clients()[0])
        panel = found.panel_of(page)
        ((_, what, identity),) = panel.rows("Errors")
        assert what.startswith("KeyError : 'handled' spooled")
        assert "sampled spooled" in panel.text_under("Trace")
        trace = panel.part("Trace").code.text
        assert self.links(panel) == [f"/inbox/envelope/{identity}", f"/inbox/trace/{trace}"]
        for link in self.links(panel):
            found.app.get(link, extra_environ=LOOPBACK, status=200)

    def test_links_stay_below_the_prefix_of_the_app(self, spooling):
        found = spooling()
        found.app.extra_environ["SCRIPT_NAME"] = "/demo"
        panel = found.panel_of(found.get("/handled"))
        assert all(link.startswith("/demo/inbox/") for link in self.links(panel))

    def test_nothing_leads_to_an_inbox_of_another_spool(self, spooling):
        panel = spooling(shown="other").shown("/handled")
        assert "spooled" in panel.rows("Errors")[0][1]
        assert self.links(panel) == []

    def test_what_was_removed_is_not_in_the_spool(self, spooling, tmp_path):
        found = spooling()
        page = self.flushed(found)
        for file in (tmp_path / "spool").glob("*.envelope"):
            file.unlink()
        panel = found.panel_of(page)
        assert "not in the spool" in panel.rows("Errors")[0][1]
        assert self.links(panel) == []

    def test_what_sentry_has_is_sent(self, spooling, receiver):
        found = spooling(f"dsn = {receiver.dsn}")
        page = found.get("/handled")
        registry.clients()[0].flush(10)
        panel = found.panel_of(page)
        assert panel.rows("Errors")[0][1].startswith("KeyError : 'handled' sent")
        assert "sampled sent" in panel.text_under("Trace")
        assert self.links(panel) == []

    def test_what_waits_for_sentry_is_to_be_sent(self, spooling):
        panel = spooling("dsn = http://key@127.0.0.1:9/1").shown("/handled")
        ((_, what, identity),) = panel.rows("Errors")
        assert what.startswith("KeyError : 'handled' spooled, to be sent")
        assert f"/inbox/envelope/{identity}" in self.links(panel)

    def test_what_sentry_refused_is_set_aside(self, spooling, tmp_path):
        found = spooling()
        page = self.flushed(found)
        for file in (tmp_path / "spool").glob("*-error-*.envelope"):
            file.rename(f"{file}.aside-http_400")
        assert "set aside: http_400" in found.panel_of(page).rows("Errors")[0][1]

    def test_spool_that_cannot_be_read_costs_no_page(self, spooling, tmp_path):
        found = spooling()
        page = self.flushed(found)
        # Not removed: the spool's own thread may be writing to it meanwhile.
        (tmp_path / "spool").rename(tmp_path / "gone")
        assert "not in the spool" in found.panel_of(page).rows("Errors")[0][1]


@only_transactions
def test_transaction_that_a_hook_drops_says_so(site):
    hook = "before_send_transaction = test_debugtoolbar:drop"
    panel = site("traces_sample_rate = 1", hook).shown("/spans")
    assert "dropped by before_send_transaction" in panel.text_under("Trace")
    assert panel.rows("Trace") == []


@needs_streamed_spans
def test_streamed_spans_have_an_end_too(site, monkeypatch):
    monkeypatch.setattr(recorder, "_MAX_SPANS", recorder.MAX_RECORDED + 2)
    panel = site("traces_sample_rate = 1", "trace_lifecycle = stream").shown("/many")
    assert len(panel.rows("Trace")) == recorder.MAX_RECORDED
    assert "5 more spans not shown" in panel.text


@pytest.mark.skipif(
    "enable_logs" not in str(sentry_sdk.consts.DEFAULT_OPTIONS), reason="this SDK has no log items"
)
def test_log_items_are_listed(site):
    ((level, text, logger),) = site("enable_logs = true").shown("/logged", text="here").rows("Log items")
    assert (level, text, logger) == ("error", "logged here", "test_debugtoolbar")


class TestOptions:
    def test_every_option_has_the_place_where_it_comes_from(self, site, monkeypatch):
        monkeypatch.setenv("SENTRY_ENVIRONMENT", "staging")
        rows = site("traces_sample_rate = 0.5").shown("/hello").rows("Options")
        assert ["traces_sample_rate", "0.5", "[filter:sentry] line 4"] in rows
        assert ["environment", "staging", "environment SENTRY_ENVIRONMENT"] in rows
        assert ["send_default_pii", "false", "default"] in rows

    def test_secrets_are_masked(self, load, captured):
        ini = INI.format(
            filter="dsn = https://publickey:secretkey@sentry.example/1\n    http_proxy = http://me:pa55phrase@proxy.example",
            toolbar=WAYS["includes"],
            pipeline="sentry app",
        )
        panel = Site(load(ini)).shown("/hello")
        rows = {row[0]: row[1] for row in panel.rows("Options")}
        assert rows["dsn"] == "https://***@sentry.example/1"
        for secret in ("publickey", "secretkey", "pa55phrase"):
            assert secret not in str(panel.content)

    def test_secrets_of_the_request_are_not_in_what_is_shown(self, site):
        found = site("traces_sample_rate = 1")
        found.app.authorization = ("Basic", ("ann", "hunter-two-secret"))
        for path in ("/message", "/spans", "/crash"):
            panel = found.shown(path, text="hunter-two-secret")
            assert "hunter-two-secret" not in str(panel.content)

    def test_secrets_of_a_trace_that_goes_on_are_not_either(self, site):
        found = site("traces_sample_rate = 1")
        given = environ("/spans", "text=hunter-two-secret", HTTP_COOKIE="session=hunter-two-secret")
        body = found.app.app(given, lambda *_: None)
        panel = found.panel()
        assert "[Filtered]" in panel.rows("Trace")[0][1]
        assert "hunter-two-secret" not in str(panel.content)
        body.close()


@pytest.mark.parametrize("path", ["/crash", "/message", "/logged", "/spans"])
def test_markup_stays_text(site, path):
    found = site("traces_sample_rate = 1", "tags.a = <script>alert(1)</script>")
    panel = found.panel_of(
        found.app.get(path, params={"text": HOSTILE.encode("utf-8", "replace")}, status="*")
    )
    assert "<script>alert(1)</script>" in panel.text
    assert panel.scripts == []


def test_text_that_cannot_be_encoded_is_shown(site):
    assert "cut \\ud800 here" in site().shown("/half").text


def test_requests_at_one_time_are_not_mixed_up(site):
    found = site("traces_sample_rate = 1")
    names = ("first", "second")
    with ThreadPoolExecutor(2) as pool:
        pages = dict(zip(names, pool.map(lambda name: Site(found.app.app).get("/meets", text=name), names)))
    for name, page in pages.items():
        rows = found.panel_of(page).rows("Messages")
        assert [row[1] for row in rows] == [f"{name} {word} sent" for word in ("begins", "goes on", "ends")]


def test_request_within_a_request_is_part_of_it(site):
    found = site()
    served.whole[:] = [found.app]
    rows = found.shown("/within").rows("Messages")
    assert [row[1] for row in rows] == ["a message sent", "inner sent"]


def test_ini_of_the_page_of_the_docs_shows_the_panel(load, captured):
    page = (Path(__file__).parent.parent / "docs" / "debugtoolbar.rst").read_text(encoding="utf-8")
    first = re.search(r"^\.\. code-block:: ini\n\n((?:   .*\n|\n)+)", page, re.MULTILINE)[1]
    ini = textwrap.dedent(first).replace("use = egg:myapp", "paste.app_factory = test_debugtoolbar:make")
    found = Site(load(ini + "\n[pipeline:main]\npipeline = sentry myapp\n"))
    panel = found.shown("/spans")
    assert panel.rows("Trace")[0][:2] == ["db", "SELECT 1"]
    assert [transaction["transaction"] for transaction in captured.transactions] == ["spans"]


class TestMisplaced:
    def test_panel_says_that_there_is_no_filter(self, site):
        text = site(pipeline="app").shown("/hello").text
        assert "This request did not go through the Sentry filter." in text
        assert "[filter:sentry]" in text

    def test_panel_explains_that_the_filter_does_not_wrap_the_app(self, site, captured):
        sentry_sdk.init("http://key@127.0.0.1:9/1", auto_enabling_integrations=False)
        assert "the filter does not wrap this app" in site(pipeline="app").shown("/hello").text

    def test_module_in_the_includes_of_the_app_stops_the_start(self, load):
        ini = INI.format(filter="", toolbar="", pipeline="app").replace(
            "pyramid.includes = pyramid_debugtoolbar", "pyramid.includes = sentry_paste.debugtoolbar"
        )
        with pytest.raises(ConfigurationError, match=r"belongs in debugtoolbar\.includes"):
            load(ini)

    def test_module_without_the_toolbar_names_what_to_install(self):
        script = "import sys; sys.modules['pyramid_debugtoolbar'] = None; import sentry_paste.debugtoolbar"
        ended = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=180, check=False
        )
        assert "ImportError: sentry_paste.debugtoolbar is a panel of pyramid_debugtoolbar" in ended.stderr
        assert "pip install pyramid_debugtoolbar" in ended.stderr


def environ(path, query="", **more):
    from webtest import TestRequest

    return {**TestRequest.blank(f"{path}?{query}").environ, "REMOTE_ADDR": "127.0.0.1", **more}
