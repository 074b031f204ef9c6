from copy import copy

import pytest
from paste.deploy import loadapp
from webtest import TestApp

from sentry_paste.inbox import main
from sentry_paste.spool import Spool

from browser import Browser, Served
from spooled import LOOPBACK


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.fixture(scope="module")
def browser():
    """A browser for the tests of a module, which are skipped where there is none."""
    with Browser() as found:
        yield found


@pytest.fixture
def address(spool):
    """Where a browser finds an inbox of the spool."""
    with Served(main({}, spool_dir=str(spool.directory))) as found:
        yield found


@pytest.fixture
def inbox(write_ini):
    """Load an inbox of an ini with these options, asked from loopback."""

    def inbox(options="", environ=LOOPBACK, default=""):
        lines = "\n".join(f"        {line.strip()}" for line in options.splitlines())
        text = f"[DEFAULT]\n{default}\n[app:main]\nuse = egg:sentry_paste#inbox\n{lines}\n"
        return TestApp(loadapp(f"config:{write_ini(text.replace('        ', ''))}"), extra_environ=environ)

    return inbox


@pytest.fixture
def app(inbox):
    return inbox("spool_dir = spool")


def words_of(element):
    element = copy(element)
    for place in element.select("wbr"):  # where a name may break, and no space
        place.decompose()
    element.smooth()
    return " ".join(element.get_text(" ").split())


@pytest.fixture
def words():
    """The text of an element, with single spaces."""
    return words_of


@pytest.fixture
def rows():
    """The text of each row of a list."""
    return lambda response: [words_of(row) for row in response.html.select(".rows .row")]


@pytest.fixture
def titles():
    """The titles of a list's rows."""
    return lambda response: [words_of(row) for row in response.html.select(".rows .row-title")]


@pytest.fixture
def names():
    """The names in a list of transactions."""
    return lambda response: [words_of(name) for name in response.html.select(".requests .row-title")]
