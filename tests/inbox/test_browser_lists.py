"""Lists in a real browser: they fit, keep up, and work by keys and without scripts."""

import pytest

from sentry_paste.inbox.groups import name_id

from browser import CHROMIUM
from spooled import error_event, fill_spool, transaction_event, write_event, write_item

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

LISTS = (
    "/?q=level:error+before:lunch",
    "/?kind=all&within=24h",
    "/?kind=transaction",
    f"/?kind=transaction&group={name_id('x' * 200)}",
    "/?kind=log",
    "/?kind=session",
    "/?kind=metric",
)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_every_list_fits(browser, address, spool, width, dark):
    fill_spool(spool)
    for number in range(3):
        write_event(spool, transaction_event(event_id=f"{number:032x}", transaction="x" * 300))
    browser.look(width=width, dark=dark)
    for path in LISTS:
        browser.open(address + path)
        browser.run("document.querySelectorAll('details').forEach((one) => one.open = true)")
        assert browser.run("document.documentElement.scrollWidth") <= width, path
        assert browser.complaints() == []


def test_new_lines_and_counts_come_by_themselves(browser, address, spool):
    write_item(spool, "log", {"items": [{"body": "one", "timestamp": 1}]})
    browser.look()
    browser.open(f"{address}/?kind=log")
    assert browser.run("document.title") == "(1) Logs · Inbox"
    write_item(spool, "log", {"items": [{"body": "two", "timestamp": 2}]})
    browser.until("document.querySelectorAll('.stream li').length === 2")
    assert browser.run("document.querySelector('.stream .fresh .log-message').textContent") == "two"
    assert browser.run("document.getElementById('news').textContent") == "1 new: two"
    assert browser.run("document.title") == "(2) Logs · Inbox"


def test_focus_stays_in_a_table_that_is_sorted_anew(browser, address, spool):
    write_event(spool, transaction_event(event_id="a" * 32, transaction="first"))
    browser.look()
    browser.open(f"{address}/?kind=transaction")
    browser.press("j")
    assert browser.run("document.activeElement.textContent.trim()") == "first"
    write_event(spool, transaction_event(event_id="b" * 32, transaction="second"))
    browser.until("document.querySelectorAll('.requests tbody tr').length === 2")
    assert browser.run("document.activeElement.textContent.trim()") == "first"
    browser.press("j")
    browser.press("k")
    browser.press("o")
    browser.until("location.search.includes('group=')")


def test_filters_and_sorting_need_no_scripts(browser, address, spool):
    for number, level in enumerate(("error", "warning", "warning")):
        write_event(spool, error_event(event_id=f"{number:032x}", level=level))
    browser.look(scripts=False)
    browser.open(address)
    browser.click(".chips a[href*='warning']")
    browser.until("document.querySelector('[name=q]')?.value === 'level:warning'")
    browser.click("#sort-count")
    browser.until("location.search === '?q=level%3Awarning&sort=count'")
    browser.click(".chips [aria-current]")
    browser.until("location.search === '?sort=count'")
    browser.look()
