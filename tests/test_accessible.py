"""What is shown, for everybody: by the rules of axe-core, by keyboard, by finger, to a screen reader.

https://github.com/dequelabs/axe-core has the rules; the browser runs them in the page.
"""

from importlib.resources import files
from pathlib import Path

import pytest
from paste.deploy import loadapp

from sentry_paste.inbox import main
from sentry_paste.inbox.groups import name_id
from sentry_paste.request.error_texts import TEXTS
from sentry_paste.spool import Spool

from browser import CHROMIUM, Browser, Served
from spooled import (
    ERROR_ID,
    LOOPBACK,
    PAGES,
    TRACE,
    error_event,
    fill_spool,
    transaction_event,
    write_event,
    write_item,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

EXAMPLE = Path(__file__).parent.parent / "example.ini"
LOOKS = [(360, False), (360, True), (1280, False), (1280, True)]

OTHERS = (
    "/?q=nothing",
    "/?kind=log",
    f"/?kind=transaction&group={name_id('x' * 200)}",
    "/?kind=all&within=1h&q=level:error+level:info+before:lunch",
    "/nowhere",
    f"/envelope/{'9' * 32}",
)


@pytest.fixture(scope="module")
def browser():
    with Browser() as found:
        yield found
        found.look()


@pytest.fixture(scope="module")
def axe():
    pytest.importorskip("axe_core_python")
    return files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.fixture
def address(spool):
    with Served(main({}, spool_dir=str(spool.directory), editor="vscode", app_url="/")) as found:
        yield found


def violations(browser, axe, part="document"):
    """Run axe-core in the page, which no policy of the page's keeps out, and return what it found."""
    browser.run(f"{axe};1")
    return browser.run(
        f"axe.run({part})"
        ".then((found) => found.violations.map((rule) => "
        "`${rule.id}: ${rule.nodes.map((node) => node.html.slice(0, 120)).slice(0, 3).join(' | ')}`))"
    )


def tree(browser):
    """The accessibility tree: role, name and properties of all that is not left out of it."""
    browser.send("Accessibility.enable")
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    return [
        (
            node["role"]["value"],
            " ".join(str(node.get("name", {}).get("value", "")).split()),
            {found["name"]: found["value"].get("value") for found in node.get("properties", ())},
        )
        for node in nodes
        if not node["ignored"]
    ]


def named(nodes, role):
    return [name for found, name, _ in nodes if found == role]


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_inbox_violates_no_rule(browser, axe, address, spool, tmp_path, width, dark):
    fill_spool(spool)
    browser.look(width=width, dark=dark)
    for path in (*PAGES, *OTHERS):
        browser.open(address + path)
        assert violations(browser, axe) == [], path
    (tmp_path / "empty").mkdir(mode=0o700)
    for directory in ("empty", "absent"):
        with Served(main({}, spool_dir=str(tmp_path / directory))) as other:
            browser.open(other + "/")
            assert violations(browser, axe) == [], directory


def beside(app):
    """Make requests look as those of a browser beside the server do: this server speaks HTTP/1.0."""
    return lambda environ, start_response: app({**environ, **LOOPBACK}, start_response)


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_help_and_cleared_list_violate_no_rule(browser, axe, address, spool, width, dark):
    write_event(spool, error_event())
    browser.look(width=width, dark=dark)
    browser.open(address + "/")
    browser.run("document.getElementById('keys').click()")
    assert violations(browser, axe) == []
    browser.run("document.querySelector('#help button').click()")
    browser.run("document.querySelector('.clear button').click()")
    browser.until("!!document.querySelector('.cleared')")
    assert violations(browser, axe) == []


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_page_of_sessions_violates_no_rule(browser, axe, address, spool, width, dark):
    aggregates = [
        {"started": f"2026-11-22T07:{minute}:00Z", "exited": 8, "crashed": 1} for minute in (13, 14)
    ]
    file = write_item(spool, "sessions", {"aggregates": aggregates})
    browser.look(width=width, dark=dark)
    browser.open(f"{address}/envelope/{file.id}")
    assert violations(browser, axe) == []
    assert browser.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_example_violates_no_rule(browser, axe, monkeypatch, tmp_path, width, dark):
    ini = tmp_path / "example.ini"
    ini.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    browser.look(width=width, dark=dark)
    with Served(beside(loadapp(f"config:{ini}"))) as site:
        for path in ("/", "/hello", "/handled", "/crash", "/nowhere"):
            browser.open(site + path)
            assert violations(browser, axe) == [], path
            assert browser.run("document.documentElement.scrollWidth") <= width, path


@pytest.mark.parametrize(("width", "dark"), LOOKS)
@pytest.mark.parametrize("more", ["", "user_feedback = true"])
def test_crash_page_violates_no_rule(browser, axe, write_ini, width, dark, more):
    ini = write_ini(
        f"""
        [filter:sentry]
        use = egg:sentry_paste
        dsn = http://key@127.0.0.1:9/1
        error_page = true
        {more}

        [app:app]
        paste.app_factory = apps:make_app

        [pipeline:main]
        pipeline = sentry app
        """
    )
    browser.look(width=width, dark=dark)
    with Served(loadapp(f"config:{ini}")) as site:
        browser.open(site + "/crash_in_call")
        assert browser.run("document.querySelector('h1').textContent") == "Something went wrong"
        assert violations(browser, axe) == []
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run("document.querySelector('code').clientHeight") < 45  # the number is on one line


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_crash_page_violates_no_rule_in_any_language(browser, axe, write_ini, width, dark):
    ini = write_ini(
        """
        [composite:main]
        use = egg:Paste#urlmap
        / = site
        /inbox = inbox

        [pipeline:site]
        pipeline = sentry app

        [filter:sentry]
        use = egg:sentry_paste
        spool_dir = %(here)s/spool
        environment = development
        error_page = true

        [app:app]
        paste.app_factory = apps:make_app

        [app:inbox]
        use = egg:sentry_paste#inbox
        spool_dir = %(here)s/spool
        """
    )
    browser.look(width=width, dark=dark)
    try:
        with Served(beside(loadapp(f"config:{ini}"))) as site:
            for language, texts in TEXTS.items():
                browser.send("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
                browser.open(site + "/crash_in_call")
                links = browser.run("[...document.querySelectorAll('nav a')].map((link) => link.textContent)")
                assert links == [texts["retry"], texts["home"], texts["inbox"]]
                assert violations(browser, axe) == [], language
                assert browser.run("document.documentElement.scrollWidth") <= width, language
                assert browser.run(SMALL.replace("LEAST", "24")) == [], language
    finally:
        browser.send("Network.setExtraHTTPHeaders", headers={})


def test_crash_page_leads_to_another_try_and_home(browser, write_ini):
    ini = write_ini(
        """
        [filter:sentry]
        use = egg:sentry_paste
        spool_dir = %(here)s/spool
        error_page = true

        [app:app]
        paste.app_factory = apps:make_app

        [pipeline:main]
        pipeline = sentry app
        """
    )
    browser.look()
    with Served(loadapp(f"config:{ini}")) as site:
        browser.open(site + "/crash_in_call?a=b#c")
        number = browser.run("document.querySelector('code').textContent")
        browser.click("a.retry")
        browser.until(f"document.querySelector('code').textContent !== '{number}'")
        assert browser.run("location.href") == site + "/crash_in_call?a=b"
        browser.click("a.home")
        browser.until("location.pathname === '/'")


@pytest.mark.parametrize("width", [360, 1280])  # the toolbar has no dark scheme
def test_panel_of_the_toolbar_violates_no_rule(browser, axe, write_ini, width):
    ini = write_ini(
        """
        [filter:sentry]
        use = egg:sentry_paste
        dsn = http://key@127.0.0.1:9/1
        traces_sample_rate = 1
        ignore_paths = /_debug_toolbar/*

        [app:app]
        paste.app_factory = test_debugtoolbar:make
        pyramid.includes = pyramid_debugtoolbar
        debugtoolbar.includes = sentry_paste.debugtoolbar

        [pipeline:main]
        pipeline = sentry app
        """
    )
    browser.look(width=width)
    with Served(loadapp(f"config:{ini}")) as site:
        for path in ("/crash", "/message", "/spans", "/repeats"):
            browser.open(f"{site}{path}?text={'x' * 300}")
            browser.open(browser.run("document.getElementById('pShowToolBarButton').href"))
            browser.click("#pDebugPanel-sentry a")
            browser.until("document.getElementById('sentry-panel').getBoundingClientRect().height")
            assert violations(browser, axe, "'#sentry-panel'") == [], path
            assert browser.run("document.documentElement.scrollWidth") <= width, path


# https://www.w3.org/TR/WCAG22/#target-size-minimum: 24 px; links in a sentence may be smaller.
SMALL = """
[...document.querySelectorAll("a, button, input, summary")].filter((one) => {
  const box = one.getBoundingClientRect();
  const isAlone = one.parentElement.textContent.trim() === one.textContent.trim();
  if (!box.width || one.closest(".skip")) return false;
  if (getComputedStyle(one).display === "inline" && !isAlone) return false;
  return box.height < LEAST || box.width < LEAST;
}).map((one) => `${one.outerHTML.slice(0, 100)} ${one.getBoundingClientRect().height}`)
"""


def test_targets_are_large_enough(browser, address, spool):
    fill_spool(spool)
    browser.look(width=360)
    for path in PAGES:
        browser.open(address + path)
        assert browser.run(SMALL.replace("LEAST", "24")) == [], path


def test_targets_are_larger_for_fingers(browser, address, spool):
    fill_spool(spool)
    browser.look(width=360)
    browser.send("Emulation.setTouchEmulationEnabled", enabled=True)
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "pointer", "value": "coarse"}])
    try:
        for path in PAGES:
            browser.open(address + path)
            assert browser.run("matchMedia('(pointer: coarse)').matches")
            assert browser.run(SMALL.replace("LEAST", "36")) == [], path
    finally:
        browser.send("Emulation.setTouchEmulationEnabled", enabled=False)
        browser.look()


class TestReader:
    """What a screen reader announces."""

    def test_list_has_its_landmarks_and_a_row_is_a_link_by_its_words(self, browser, address, spool):
        write_event(spool, error_event())
        browser.look()
        browser.open(address + "/")
        nodes = tree(browser)
        assert {"banner", "main", "search", "navigation"} <= {role for role, _, _ in nodes}
        assert named(nodes, "heading") == ["What was captured"]
        assert named(nodes, "navigation") == ["Kinds", "Sort by"]
        assert "Errors" in named(nodes, "list")
        assert any(name.startswith("OrderError table 7 unhandled") for name in named(nodes, "link"))
        assert {"Search", "Transaction"} <= {*named(nodes, "searchbox"), *named(nodes, "combobox")}

    def test_news_of_the_list_is_announced_and_the_list_is_not(self, browser, address, spool):
        write_event(spool, error_event())
        browser.look()
        browser.open(address + "/")
        live = [(role, found["live"]) for role, _, found in tree(browser) if found.get("live")]
        assert live == [("status", "polite")]

    def test_error_has_headings_in_order(self, browser, address, spool):
        write_event(spool, error_event())
        browser.look()
        browser.open(f"{address}/envelope/{ERROR_ID}")
        headings = [(name, found["level"]) for role, name, found in tree(browser) if role == "heading"]
        assert headings[:3] == [("OrderError", 1), ("Traceback", 2), ("KeyError", 2)]
        assert {level for _, level in headings} == {1, 2}

    def test_spans_are_a_list_of_links_with_times_and_levels(self, browser, address, spool):
        write_event(spool, transaction_event(transaction="long"))
        at = {"trace": {"trace_id": TRACE, "span_id": "2" * 16}}
        write_event(spool, error_event(contexts=at, timestamp="2026-11-22T07:13:01Z"))
        browser.look()
        browser.open(f"{address}/trace/{TRACE}?span={'2' * 16}")
        nodes = tree(browser)
        spans = [name for name in named(nodes, "link") if "level" in name]
        assert spans == [
            "http.server long took 2.00 s at 0.0 ms on level 1",
            "db SELECT price FROM menu took 1.00 s at 500 ms on level 2",
            "error OrderError: table 7 at 1.00 s on level 3",
        ]
        assert "3 spans in 2.00 s, as a tree" in named(nodes, "list")
        assert "Selected span" in named(nodes, "region")
        assert "Close" in named(nodes, "link")


class TestKeyboard:
    def walk(self, browser, most=200):
        """Press Tab until the page begins again; return what had the focus."""
        found = []
        browser.run("document.activeElement.blur()")
        for _ in range(most):
            browser.press("Tab", 9)
            place = browser.run(
                "(() => { const e = document.activeElement;"
                " return e.tagName + ' ' + (e.id || e.name || e.className || e.textContent.trim()) })()"
            )
            if place.startswith("BODY") or place in found:
                return found
            found.append(place)
        raise AssertionError("there is no way out")

    def test_tab_leads_through_the_list_from_the_skip_link_to_its_end(self, browser, address, spool):
        write_event(spool, error_event())
        browser.look()
        browser.open(address + "/")
        found = self.walk(browser)
        assert found[0] == "A skip"
        assert found.index("INPUT q") < found.index("A kind-error") < found.index(f"A row-{ERROR_ID}")
        assert found[-1] == "A reload"

    def test_tab_leads_to_every_span(self, browser, address, spool):
        fill_spool(spool)
        browser.look()
        browser.open(f"{address}/trace/{TRACE}")
        assert {"A bar-0", "A bar-1", "A bar-2"} <= set(self.walk(browser))

    def test_skip_link_leads_to_the_content(self, browser, address, spool):
        write_event(spool, error_event())
        browser.look()
        browser.open(address + "/")
        browser.press("Tab", 9)
        browser.press("Enter", 13, "\r")
        browser.until("document.activeElement.id === 'main'")

    def test_enter_folds_and_unfolds_variables(self, browser, address, spool):
        write_event(spool, error_event())
        browser.look()
        browser.open(f"{address}/envelope/{ERROR_ID}")
        browser.run("document.querySelector('.variables > summary').focus()")
        browser.press("Enter", 13, "\r")
        browser.until("!document.querySelector('.variables').open")
        browser.press("Enter", 13, "\r")
        browser.until("document.querySelector('.variables').open")


STILL = {"name": "prefers-reduced-motion", "value": "reduce"}


def test_motion_is_only_for_those_who_want_it(browser, address, spool):
    write_event(spool, error_event())
    browser.look()
    browser.send("Emulation.setEmulatedMedia", features=[STILL])
    browser.open(address + "/")
    browser.run("document.querySelector('.row').classList.add('fresh')")
    style = "getComputedStyle(document.querySelector('.row'))"
    assert browser.run(f"{style}.animationName + {style}.transitionDuration") == "none0s"
