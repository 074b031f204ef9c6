"""The documentation's site in a browser: found, read and used by everybody, on a phone too."""

import pytest
from test_accessible import violations
from test_docs import built  # noqa: F401 - a fixture

from sentry_paste.config.options import options

from browser import CHROMIUM, Browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

PAGES = ("index", "tutorial", "options", "commands", "performance", "deployments/pyramid", "search")


@pytest.fixture(scope="module")
def browser():
    with Browser() as found:
        yield found


@pytest.fixture(scope="module")
def axe():
    files = pytest.importorskip("importlib.resources").files
    pytest.importorskip("axe_core_python")
    return files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(built):  # noqa: F811
    return built.as_uri()


def test_search_finds_the_entry_of_an_option_first(browser, site):
    browser.look()
    for name in options():
        browser.open(f"{site}/search.html?q={name}")
        first = browser.until("(document.querySelector('#search-results ul.search a') || {}).href")
        assert first == f"{site}/options.html#confval-{name}"


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (768, True), (1280, False)])
def test_site_violates_no_rule_and_scrolls_in_one_direction(browser, axe, site, width, dark):
    browser.look(width=width, dark=dark)
    for page in PAGES:
        browser.open(f"{site}/{page}.html")
        assert_for_everybody(browser, axe, page)


def test_no_page_violates_a_rule(browser, axe, built):  # noqa: F811
    browser.look(width=1280, dark=True)
    for path in sorted(built.rglob("*.html")):
        if "_static" not in path.parts:
            browser.open(path.as_uri())
            assert_for_everybody(browser, axe, path.stem)


def assert_for_everybody(browser, axe, page):
    assert violations(browser, axe) == [], page
    assert browser.run("document.documentElement.scrollWidth <= innerWidth"), page
    assert browser.complaints() == [], page


def test_menu_opens_on_a_phone_and_leads_on(browser, site):
    browser.look(width=390)
    browser.open(f"{site}/index.html")
    shown = "document.querySelector('.sidebar-drawer').getBoundingClientRect().left >= 0"
    assert not browser.run(shown)
    browser.click(".mobile-header label[for=__navigation]")
    browser.until(shown)
    browser.click(".sidebar-drawer a[href='options.html']")
    browser.until("document.title.startsWith('Options')")


def test_whole_file_unfolds(browser, site):
    browser.look(width=390)
    browser.open(f"{site}/deployments/pyramid.html")
    assert not browser.run("document.querySelector('details.folded').open")
    browser.click("details.folded > summary")
    browser.until("document.querySelector('details.folded').open")


def test_prompts_are_not_copied(browser, site):
    browser.look()
    browser.open(f"{site}/tutorial.html")
    browser.run("document.addEventListener('copy', () => { window.copied = document.activeElement.value })")
    browser.click(".highlight-console button.copybtn")
    assert browser.until("window.copied") == "pip install 'path/to/sentry_paste[inbox]'"
