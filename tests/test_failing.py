"""The table of failures in the documentation is that of a run.

Slow: each server is in a process of its own, and some have to be installed.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from sentry_paste import sdk

import failing
import installed

PAGE = Path(__file__).parent.parent / "docs" / "correctness.rst"


def test_page_has_the_table():
    assert failing.table_text() in PAGE.read_text(encoding="utf-8")


# All of them take four minutes: .ci/matrix has them.
SERVERS = (
    failing.KINDS if os.environ.get("SENTRY_PASTE_ALL_SERVERS") else ("waitress", "gunicorn-gthread", "uwsgi")
)


def provided(name):
    """Return a kind of server, installed where it is not; or why there is none."""
    try:
        if name in failing.available():
            return failing.KINDS[name][0]
        if name in installed.INSTALLED:
            return installed.kind(name)
        return replace(failing.KINDS[name][0], python=installed.python_with(name))
    except pytest.skip.Exception as reason:
        return str(reason)


def run(kind):
    """Return way, framework and outcome of each request that reached the app."""
    if isinstance(kind, str):
        return kind
    with installed.readable_folder() as folder:
        return list(failing.results(kind, folder))


@pytest.fixture(scope="module")
def runs():
    """The runs of all servers, two at a time, as much of the time passes with waiting."""
    if sdk.MAJOR > 2:
        pytest.skip("the page is about sentry-sdk 2: streamed spans have other statuses")
    kinds = [provided(name) for name in SERVERS]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(SERVERS, pool.map(run, kinds)))


@pytest.fixture
def ran(runs, server):
    if isinstance(runs[server], str):
        pytest.skip(runs[server])
    return runs[server]


@pytest.mark.slow
@pytest.mark.parametrize("server", SERVERS)
class TestEveryServer:
    def test_arrives_what_the_page_says(self, ran, server):
        others = [
            f"{framework}, {way.text}: {outcome}"
            for way, framework, outcome in ran
            if not failing.is_as_said(way, framework, server, outcome)
        ]
        assert others == []

    def test_every_way_is_tried(self, ran, server):
        tried = {way.path for way, _, _ in ran}
        # waitress calls no app before it has the whole body.
        expected = {way.path for way in failing.WAYS if server in (way.servers or (server,))}
        assert {path.partition("#")[0] for path in expected - tried} <= {"upload"}

    def test_every_framework_that_is_there_is_tried(self, ran, server):
        assert {"plain", "pyramid", "flask", "django-page"} <= {framework for _, framework, _ in ran}


@pytest.mark.slow
@pytest.mark.parametrize("known", failing.DEVIATIONS, ids=[known.text[:30] for known in failing.DEVIATIONS])
def test_deviation_is_still_there(runs, known):
    """One that is gone should not be in the documentation."""
    found = [
        outcome == known.outcome
        for server, ran in runs.items()
        if not isinstance(ran, str)
        for way, framework, outcome in ran
        if failing.deviation(way, framework, server) is known
    ]
    if not found:
        pytest.skip("none of its servers is there")
    assert all(found)
