"""In a real browser: the first screen of an error, copying, keys, local times, and the clear button."""

import time

import pytest

from sentry_paste.inbox import main

from browser import CHROMIUM, Served
from spooled import ERROR_ID, SCRIPT, TRACE, error_event, frame, transaction_event, write_event

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


@pytest.fixture
def address(spool):
    with Served(main({}, spool_dir=str(spool.directory), editor="vscode")) as found:
        yield found


@pytest.mark.parametrize("message", ["no soup", "no soup\n" * 500, "x" * 5000])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_code_is_on_the_first_screen(browser, address, spool, width, height, message):
    lines = {"pre_context": [f"line {n}" for n in range(5)], "post_context": [f"line {n}" for n in range(5)]}
    stack = {"frames": [frame("router", False), frame("charge", True, abs_path="/srv/charge.py", **lines)]}
    for identity in (ERROR_ID, "a" * 32):
        values = [{"type": "OrderError", "value": message, "stacktrace": stack}]
        write_event(spool, error_event(event_id=identity, exception=values, user={"id": "7"}))
    browser.look(width=width, height=height)
    browser.open(f"{address}/envelope/{ERROR_ID}")
    box = "document.querySelector('.source .current').getBoundingClientRect()"
    assert 0 < browser.run(f"{box}.bottom") < height
    assert browser.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", ["text", "markdown", "curl"])
@pytest.mark.parametrize("path", [f"/envelope/{ERROR_ID}", f"/trace/{TRACE}"])
def test_click_copies(browser, address, spool, name, path):
    write_event(spool, error_event())
    write_event(spool, transaction_event(request={"method": "GET", "url": "http://shop.example/"}))
    browser.look()
    browser.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.open(address + path)
    browser.click(f"#copy-{name}")
    browser.until(f"document.getElementById('copy-{name}').textContent === 'Copied'")
    copied = browser.run("navigator.clipboard.readText()")
    assert copied == browser.run(f"fetch('{path}/{name}').then((answer) => answer.text())")
    assert browser.run("document.getElementById('news').textContent").startswith("Copied as")
    assert browser.complaints() == []


def test_click_leads_to_the_text_without_scripts(browser, address, spool):
    write_event(spool, error_event())
    browser.look(scripts=False)
    try:
        browser.open(f"{address}/envelope/{ERROR_ID}")
        browser.click("#copy-markdown")
        browser.until("location.pathname.endsWith('/markdown') && document.body.textContent.includes('##')")
    finally:
        browser.look()


def test_text_to_copy_is_not_read_as_a_page(browser, address, spool):
    write_event(
        spool, error_event(exception=[{"type": "E", "value": f"<img src=x onerror=alert(1)>{SCRIPT}"}])
    )
    browser.look()
    for name in ("text", "markdown"):
        browser.open(f"{address}/envelope/{ERROR_ID}/{name}")
        assert browser.run("document.querySelectorAll('script, img').length") == 0
        assert browser.run("document.body.textContent").count("<script>") >= 1
        # A text has no icon, for which Chromium asks at the root.
        assert [text for text in browser.complaints() if "404" not in text] == []


def test_keys_walk_through_the_list_and_open(browser, address, spool):
    for number in range(3):
        write_event(spool, error_event(event_id=f"{number}" * 32, exception=[{"type": f"E{number}"}]))
    browser.look()
    browser.open(address + "/")
    place = "[...document.querySelectorAll('a.row')].indexOf(document.activeElement)"
    for key, code, expected in (("j", 74, 0), ("j", 74, 1), ("j", 74, 2), ("j", 74, 2), ("k", 75, 1)):
        browser.press(key, code, key)
        assert browser.run(place) == expected
    browser.press("o", 79, "o")
    browser.until("document.querySelector('h1')?.textContent === 'E1'")
    browser.press("u", 85, "u")
    browser.until("document.querySelectorAll('a.row').length === 3")


def test_keys_lead_to_older_and_newer_errors_of_a_kind(browser, address, spool):
    for number in range(3):
        write_event(spool, error_event(event_id=f"{number}" * 32))
    browser.look()
    browser.open(f"{address}/envelope/{'1' * 32}")
    browser.press("j", 74, "j")
    browser.until(f"location.pathname === '/envelope/{'0' * 32}' && document.readyState === 'complete'")
    browser.press("k", 75, "k")
    browser.until(f"location.pathname === '/envelope/{'1' * 32}' && document.readyState === 'complete'")


def test_keys_in_a_field_are_text(browser, address, spool):
    write_event(spool, error_event())
    browser.look()
    browser.open(address + "/")
    browser.press("/", 191, "/")
    for key, code in (("j", 74), ("?", 191), ("u", 85)):
        browser.press(key, code, key)
    assert browser.run("document.activeElement.value") == "j?u"


@pytest.mark.parametrize("how", ["key", "button"])
def test_help_opens_and_closes(browser, address, spool, how):
    write_event(spool, error_event())
    browser.look()
    browser.open(address + "/")
    browser.press("?", 191, "?") if how == "key" else browser.click("#keys")
    browser.until("document.getElementById('help').open")
    browser.press("j", 74, "j")
    assert not browser.run("document.activeElement.matches('a.row')")
    browser.press("Escape", 27)
    browser.until("!document.getElementById('help').open")
    assert browser.complaints() == []


def test_times_are_local_with_utc_on_hover(browser, address, spool):
    file = write_event(spool, error_event())
    browser.look()
    browser.send("Emulation.setTimezoneOverride", timezoneId="Asia/Kolkata")
    try:
        browser.open(f"{address}/envelope/{ERROR_ID}")
        found = "document.querySelector('.facts time')"
        shown, title = browser.run(f"[{found}.textContent, {found}.title]")
        assert title == f"{file.time:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"
        minutes = [int(text[14:16]) for text in (shown, title)]
        assert (minutes[0] - minutes[1]) % 60 == 30
        crumb = browser.run("document.querySelector('[aria-labelledby=breadcrumbs] time').textContent")
        assert crumb == "12:43:00"
    finally:
        browser.send("Emulation.setTimezoneOverride", timezoneId="")


def test_title_of_the_tab_counts_the_errors(browser, address, spool):
    write_event(spool, error_event())
    browser.look()
    browser.open(address + "/")
    assert browser.run("document.title").startswith("(1) Errors")
    write_event(spool, error_event(event_id="b" * 32))
    browser.until("document.title.startsWith('(2) Errors')")


def click_when_painted(browser, selector):
    """Click on a page that has just been loaded: before it is painted, Chromium drops the click."""
    browser.until(f"document.readyState === 'complete' && !!document.querySelector({selector!r})")
    time.sleep(0.5)
    browser.click(selector)


@pytest.mark.parametrize("scripts", [True, False])
def test_list_is_cleared_and_back_after_an_undo(browser, address, spool, scripts):
    write_event(spool, error_event())
    browser.look(scripts=scripts)
    try:
        browser.open(address + "/")
        click_when_painted(browser, ".clear button")
        browser.until("document.querySelector('.cleared') && !document.querySelector('a.row')")
        click_when_painted(browser, ".cleared form[action$=undo] button")
        browser.until("!document.querySelector('.cleared') && !!document.querySelector('a.row')")
        click_when_painted(browser, ".clear button")
        browser.until("!!document.querySelector('.cleared')")
        click_when_painted(browser, ".cleared form[action$=purge] button")
        browser.until("document.readyState === 'complete' && !document.querySelector('.cleared')")
        assert spool.files() == []
    finally:
        browser.look()


def test_hostile_source_and_values_stay_text(browser, address, spool):
    hostile = f"\"'><img src=x onerror=alert(1)>{SCRIPT}"
    own = frame(
        hostile, True, context_line=hostile, abs_path=f"/srv/{hostile}", vars={hostile: {hostile: hostile}}
    )
    values = [{"type": hostile, "value": hostile, "stacktrace": {"frames": [{**own, "filename": "a.py"}]}}]
    request = {"method": hostile, "url": f"http://{hostile}", "query_string": hostile}
    write_event(spool, error_event(exception=values, request=request, transaction=hostile))
    browser.look()
    browser.open(f"{address}/envelope/{ERROR_ID}")
    assert browser.run("document.querySelectorAll('script').length") == 1
    assert browser.run("document.querySelectorAll('main img').length") == 0
    assert browser.run("document.querySelector('[data-editor]').protocol") == "vscode:"
    assert browser.complaints() == []
