"""In a real browser: clicks, layout, colours, and that nothing of a stranger's runs."""

import pytest

from browser import CHROMIUM
from spooled import PAGES, SCRIPT, TRACE, error_event, fill_spool, write_event

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

HOSTILE = f"\"'><img src=x onerror=alert(1)>{SCRIPT}"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_fits_and_logs_nothing_to_the_console(browser, address, spool, width, dark):
    fill_spool(spool)
    browser.look(width=width, dark=dark)
    for path in PAGES:
        browser.open(address + path)
        assert browser.run("document.documentElement.scrollWidth") <= width, path
        assert browser.complaints() == []
        assert browser.run("getComputedStyle(document.body).fontSize") == "16px"


# The contrast of two colours, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
CONTRASTS = """
(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(linear)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const found = rgb(getComputedStyle(one).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("svg, noscript, .skip")) continue;
    const colours = [rgb(getComputedStyle(element).color), behind(element)];
    const [a, b] = colours.map(light).sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(`${element.className}: ${element.textContent.slice(0, 40)}`);
  }
  return low;
})()
"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_the_contrast_of_aa(browser, address, spool, dark):
    fill_spool(spool)
    browser.look(dark=dark)
    for path in PAGES:
        browser.open(address + path)
        assert browser.run(CONTRASTS) == [], path


def test_dark_is_dark_and_light_is_light(browser, address):
    grounds = []
    for dark in (False, True):
        browser.look(dark=dark)
        browser.open(address + "/")
        grounds.append(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(247, 247, 249)", "rgb(18, 17, 24)"]


@pytest.mark.parametrize("path", PAGES)
def test_a_script_in_every_field_stays_text(browser, address, spool, path):
    fill_spool(spool, HOSTILE)
    browser.look()
    browser.open(address + path)
    assert browser.complaints() == []
    assert browser.run("document.querySelectorAll('script').length") == 1
    assert browser.run("document.querySelectorAll('img').length") == 1
    if path != "/?kind=session":
        assert HOSTILE in browser.run("document.body.textContent")


def test_the_policy_forbids_what_would_get_in(browser, address):
    browser.look()
    browser.open(address + "/")
    browser.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.owned = 1\">')")
    browser.run(
        "{ const s = document.createElement('script'); s.textContent = 'owned = 2'; document.body.append(s) }"
    )
    browser.until("document.querySelector('img[src=x]').complete")
    assert browser.run("window.owned") is None
    assert any("Content Security Policy" in line for line in browser.complaints())


def test_the_list_updates_by_itself_and_keeps_the_focus(browser, address, spool):
    write_event(spool, error_event())
    browser.look()
    browser.open(address + "/")
    browser.run("document.querySelector('.row').focus()")
    write_event(spool, error_event(event_id="b" * 32, exception=[{"type": "NewError", "value": "just in"}]))
    browser.until("document.querySelectorAll('.row').length === 2")
    assert browser.run("document.querySelector('.row .row-title').textContent.trim()") == "NewError"
    assert (
        browser.run("document.activeElement.querySelector('.row-title').textContent.trim()") == "OrderError"
    )
    assert browser.run("document.getElementById('news').textContent") == "1 new: NewError"
    assert browser.complaints() == []


def test_a_list_that_has_not_changed_is_left_alone(browser, address, spool):
    write_event(spool, error_event())
    browser.look()
    browser.open(address + "/")
    browser.until(
        "performance.getEntriesByType('resource').filter(e => e.name.includes('/list')).length >= 1"
    )
    browser.run("document.querySelector('.row').dataset.mark = 'same'")
    browser.until(
        "performance.getEntriesByType('resource').filter(e => e.name.includes('/list')).length >= 2"
    )
    assert browser.run("document.querySelector('.row').dataset.mark") == "same"


def test_a_click_opens_an_error_and_its_variables(browser, address, spool):
    write_event(spool, error_event())
    browser.look()
    browser.open(address + "/")
    browser.click(".row")
    browser.until("document.querySelector('h1')?.textContent === 'OrderError'")
    assert browser.run("document.querySelector('.variables').open") is True
    browser.click(".variables > summary")
    browser.until("!document.querySelector('.variables').open")


# The span of the database in the trace.
SPAN = f"a.bar[href*='{'2' * 16}']"


@pytest.mark.parametrize("scripts", [True, False])
def test_a_click_opens_a_span(browser, address, spool, scripts):
    fill_spool(spool)
    browser.look(scripts=scripts)
    try:
        browser.open(f"{address}/trace/{TRACE}")
        browser.run("window.stayed = true")
        browser.click(SPAN)
        browser.until("document.querySelector('#span h3')?.textContent.startsWith('SELECT')")
        assert browser.run("window.stayed") is (True if scripts else None)
        assert browser.run(f"document.querySelector('a.bar[aria-current]').matches({SPAN!r})")
        assert browser.run("location.search") == "?span=2222222222222222"
    finally:
        browser.look()


def test_a_span_opens_by_keyboard_and_goes_with_back(browser, address, spool):
    fill_spool(spool)
    browser.look()
    browser.open(f"{address}/trace/{TRACE}")
    browser.run(f"document.querySelector({SPAN!r}).focus({{focusVisible: true}})")
    browser.press("Enter", 13, "\r")
    browser.until("document.querySelector('#span h3')?.textContent.startsWith('SELECT')")
    browser.until("document.activeElement.id === 'span'")
    browser.press("Escape", 27)
    browser.until("!document.querySelector('#span h3')")
    browser.until(f"document.activeElement.matches({SPAN!r})")
    browser.run("history.back()")
    browser.until("!!document.querySelector('#span h3')")


def test_a_slash_leads_to_the_search(browser, address, spool):
    write_event(spool, error_event())
    write_event(spool, error_event(event_id="b" * 32, exception=[{"type": "NewError", "value": "just in"}]))
    browser.look()
    browser.open(address + "/")
    browser.press("/", 191, "/")
    assert browser.run("document.activeElement.name") == "q"
    browser.send("Input.insertText", text="just in")
    browser.press("Enter", 13, "\r")
    browser.until("location.search.includes('q=just+in') && document.querySelectorAll('.row').length === 1")


def test_what_has_the_focus_shows_it(browser, address, spool):
    fill_spool(spool)
    browser.look()
    for path in PAGES:
        browser.open(address + path)
        for _ in range(12):
            browser.press("Tab", 9)
            assert browser.run(
                "(() => { const e = document.activeElement; if (e.matches('body')) return true;"
                " return parseFloat(getComputedStyle(e).outlineWidth) >= 2 })()"
            ), browser.run("document.activeElement.outerHTML.slice(0, 200)")


def test_without_scripts_all_is_there(browser, address, spool):
    fill_spool(spool)
    browser.look(scripts=False)
    try:
        browser.open(address + "/")
        assert browser.run("document.querySelectorAll('.row').length") == 1
        browser.click(".kinds li:last-child a")
        browser.until("document.querySelectorAll('.row').length === 5")
    finally:
        browser.look()
