"""Inis for the tests of sentry-paste check, and a network that they cannot reach by mistake."""

import socket
import textwrap

import pytest

from check_reports import INIS, SENTRY


@pytest.fixture
def network():
    """Let the test connect, where it says ``usefixtures("network")``."""


@pytest.fixture(autouse=True)
def _no_network(request, monkeypatch):
    """Fail on any connection, unless the test asks for ``network``."""

    def connect(*args, **kwargs):
        raise AssertionError(f"a connection to {args}")

    if "network" not in request.fixturenames:
        monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def starter(write_ini):
    """The Pyramid starter's production.ini, with lines added to its app and to the file."""

    def write(in_app="", added=""):
        text = (INIS / "pyramid-starter-production.ini").read_text(encoding="utf-8")
        text = text.replace("use = egg:pyramid_scaffold\n", f"use = egg:pyramid_scaffold\n{in_app}\n")
        return write_ini(textwrap.dedent(added) + text)

    return write


@pytest.fixture
def zope(write_ini):
    """Zope's zope.ini, with entries added to its pipeline and lines to the file."""

    def write(first="", last="", added=SENTRY):
        text = (INIS / "zope.ini").read_text(encoding="utf-8")
        text = text.replace("pipeline =\n", f"pipeline =\n    {first}\n" if first else "pipeline =\n")
        text = text.replace("\n    zope\n", f"\n    {last}\n    zope\n" if last else "\n    zope\n")
        return write_ini(added + text)

    return write


@pytest.fixture
def write_filter(write_ini):
    """An ini with our filter, with options added to it, around an app that is not installed."""

    def write(options="", sections="[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"):
        return write_ini(SENTRY + textwrap.dedent(options) + sections)

    return write
