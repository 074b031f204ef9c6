"""What certain servers do that no other does, with the filter and without it.

Slow: each server is in a process of its own, and some have to be installed.
"""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from conftest import assert_valid_for_sentry

import installed
import receiver
import server_cases
import servers

pytestmark = pytest.mark.slow

APP = """
[app:app]
paste.app_factory = server_cases:make_app
notes = {notes}
"""

SENTRY = """
[filter:sentry]
use = egg:sentry_paste
dsn = {dsn}
traces_sample_rate = 1.0
release = 1
"""

PIPELINE = """
[pipeline:main]
pipeline = {pipeline}
"""

OUTER = """
[filter:outer]
paste.filter_factory = server_cases:make_outer
notes = {notes}
"""

RECURSIVE = """
[filter:recursive]
use = egg:Paste#recursive
"""


@dataclass
class Run:
    """A server that has ended, and what came of it.

    Attributes:
        answers: what ``ask`` has returned.
        notes: lines that the apps have written.
        received: the receiver, complete because the server has ended.
        log: what the server printed.
    """

    answers: Any
    notes: list = field(default_factory=list)
    received: Any = None
    log: str = ""

    @property
    def raised(self):
        return [
            f"{value['type']}: {value['value']}"
            for event in self.received.errors
            for value in (event.get("exception") or {"values": [{"type": "", "value": str(event)}]})["values"]
        ]

    def sessions(self, status):
        return sum(aggregate.get(status, 0) for aggregate in self.received.envelopes.sessions)


@contextmanager
def started(kind, folder, name, pipeline):
    notes = folder / f"{name}.notes"
    notes.touch()
    notes.chmod(0o666)
    with receiver.serve() as received:
        ini = APP.format(notes=notes) + PIPELINE.format(pipeline=pipeline)
        if "sentry" in pipeline:
            ini += SENTRY.format(dsn=received.dsn)
        if "recursive" in pipeline:
            ini += RECURSIVE
        if "outer" in pipeline:
            ini += OUTER.format(notes=notes)
        with servers.serving(kind, ini, folder, name) as server:
            yield server, notes, received


def come_to_rest(kind, server):
    """Wait until no request ends any more.

    A worker of uWSGI that is busy runs no exit hooks, and is busy until a moment after its line in the log.
    """
    seen = -1
    while kind.done and seen != (seen := server.output().count(kind.done)):
        time.sleep(1)


def run(kind, folder, ask, pipeline="sentry app", end=None):
    """Start a server, call ``ask`` with it and a function that waits for lines of the apps, and end it."""
    name = f"{kind.name}-{pipeline.replace(' ', '-')}-{time.monotonic_ns()}"
    with started(kind, folder, name, pipeline) as (server, notes, received):

        def lines():
            return notes.read_text(encoding="utf-8").splitlines()

        def wait_for(line, count=1, seconds=120):
            deadline = time.monotonic() + seconds
            while lines().count(line) < count:
                assert time.monotonic() < deadline, f"{line} did not come: {lines()}\n{server.output()}"
                time.sleep(0.02)

        answers = ask(server, wait_for)
        come_to_rest(kind, server)
        server.end(end or kind.end)
        found = Run(answers, lines(), received, server.output())
    print(found.log)
    assert_valid_for_sentry(found.received.envelopes)
    return found


GUNICORN_GEVENT = servers.Kind(
    "gunicorn-gevent", (*servers.GUNICORN, "-k", "gevent", "--graceful-timeout", "1"), python=installed.HERE
)


@pytest.fixture
def folder():
    with installed.readable_folder() as found:
        installed.copy_to(found, "server_cases.py")
        yield found


def without_date(answer):
    return b"\r\n".join(line for line in answer.split(b"\r\n") if not line.startswith(b"Date: "))


class TestGunicornWithGevent:
    @pytest.fixture(autouse=True)
    def _needs(self):
        pytest.importorskip("gevent")

    def test_socket_that_the_app_has_taken_is_left_alone(self, folder):
        def ask(server, wait_for):
            return server.ask(servers.request_bytes("/upgraded"))

        bare, filtered = (run(GUNICORN_GEVENT, folder, ask, pipeline) for pipeline in ("app", "sentry app"))
        assert filtered.answers == bare.answers == server_cases.SWITCH + server_cases.FRAME
        assert filtered.raised == []
        assert (filtered.sessions("exited"), filtered.sessions("crashed")) == (1, 0)
        assert len(filtered.received.transactions) == 1

    @pytest.mark.parametrize("path", ["slow", "slow_stream"])
    def test_requests_that_a_reload_ends_are_no_errors(self, folder, path):
        def ask(server, wait_for):
            with ThreadPoolExecutor(3) as pool:
                asked = [pool.submit(answer_of, server, f"/{path}") for _ in range(3)]
                wait_for(f"{path}: called", 3)
                server.process.send_signal(signal.SIGHUP)
                wait_for(f"{path}: GreenletExit", 3)
                [found.result(30) for found in asked]
            return server.ask(servers.request_bytes("/answer"))

        found = run(GUNICORN_GEVENT, folder, ask)
        assert b"hello" in found.answers
        assert found.raised == []
        assert found.sessions("crashed") == 0
        assert {event["contexts"]["trace"].get("status") for event in found.received.transactions} <= {
            "ok",
            None,
        }


def answer_of(server, path):
    """Return what comes of a request that the server may end."""
    try:
        return server.ask(servers.request_bytes(path), seconds=8)
    except OSError:
        return b""


class TestRequestThatTakesTooLong:
    """The server ends it: an error, whose frames show where the time has passed."""

    @staticmethod
    def ask(server, wait_for):
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(answer_of, server, "/slow")
            wait_for("slow: called")
            asked.result(30)
        return answer_of(server, "/answer")

    def test_of_gunicorn_is_an_error(self, folder):
        kind = servers.Kind("gunicorn-sync", (*servers.GUNICORN, "-k", "sync", "--timeout", "1"))
        found = run(kind, folder, self.ask)
        assert b"hello" in found.answers
        assert found.raised == ["SystemExit: 1"]
        (event,) = found.received.errors
        assert "slow" in [
            frame["function"] for frame in event["exception"]["values"][0]["stacktrace"]["frames"]
        ]
        assert event["request"]["url"].endswith("/slow")

    def test_of_mod_wsgi_is_an_error(self, folder):
        kind = installed.kind("mod_wsgi")
        options = ("--threads", "1", "--request-timeout", "1", "--interrupt-timeout", "10")
        kind = servers.Kind(kind.name, (*kind.command, *options), python=kind.python)
        found = run(kind, folder, self.ask)
        assert b"hello" in found.answers
        assert [text.partition(":")[0] for text in found.raised] == ["RequestTimeout"]
        assert found.sessions("crashed") == 1


class TestEventlet:
    def test_requests_that_its_server_ends_are_no_errors(self, folder):
        python = installed.python_with("eventlet")
        command = ("{python}", "-W", "ignore", "-m", "server_cases", "{ini}", "{port}")
        kind = servers.Kind("eventlet", command, python=python)

        def ask(server, wait_for):
            with ThreadPoolExecutor(1) as pool:
                asked = pool.submit(answer_of, server, "/slow")
                wait_for("slow: called")
                server.process.send_signal(signal.SIGTERM)
                wait_for("slow: GreenletExit")
                asked.result(30)

        found = run(kind, folder, ask)
        assert found.raised == []
        assert found.sessions("crashed") == 0


class TestUWSGI:
    @pytest.fixture
    def kind(self):
        return installed.kind("uwsgi")

    @pytest.mark.parametrize("path", ["none", "empty"])
    def test_websocket_that_the_app_ends_is_that_of_the_bare_app(self, kind, folder, path):
        def ask(server, wait_for):
            answers = server_cases.talk(server.port, f"/websocket/{path}", leave_after=False)
            deadline = time.monotonic() + 120
            while kind.done not in server.output():
                assert time.monotonic() < deadline, server.output()
                time.sleep(0.05)
            return answers

        bare, filtered = (run(kind, folder, ask, pipeline) for pipeline in ("app", "sentry app"))
        assert filtered.answers == bare.answers
        assert b"echo hi" in filtered.answers
        assert filtered.raised == []
        assert (filtered.sessions("exited"), filtered.sessions("crashed")) == (1, 0)
        assert ("TypeError" in filtered.log) is ("TypeError" in bare.log)

    def test_websocket_whose_client_leaves_is_no_error(self, kind, folder):
        def ask(server, wait_for):
            found = server_cases.talk(server.port, "/websocket/wait", leave_after=True)
            wait_for("websocket: OSError")
            assert b"hello" in server.ask(servers.request_bytes("/answer"))
            return found

        found = run(kind, folder, ask)
        assert b"echo hi" in found.answers
        assert found.raised == []
        assert (found.sessions("exited"), found.sessions("crashed")) == (2, 0)

    @pytest.mark.parametrize("how", ["harakiri", "reload"])
    def test_requests_that_it_ends_are_no_errors(self, kind, folder, how):
        """It kills the worker: nothing is raised, and nothing arrives of the request."""
        options = {"harakiri": ("--harakiri", "1"), "reload": ("--worker-reload-mercy", "1")}[how]
        kind = servers.Kind(kind.name, (*kind.command, *options), python=kind.python)

        def ask(server, wait_for):
            with ThreadPoolExecutor(2) as pool:
                asked = pool.submit(answer_of, server, "/slow")
                wait_for("slow: called")
                if how == "reload":
                    server.process.send_signal(signal.SIGHUP)
                asked.result(30)
            return server.ask(servers.request_bytes("/answer"))

        found = run(kind, folder, ask)
        assert b"hello" in found.answers
        assert found.raised == []
        assert found.sessions("crashed") == 0


class TestModWsgi:
    def test_requests_that_a_reload_ends_are_no_errors(self, folder):
        kind = installed.kind("mod_wsgi")
        kind = servers.Kind(kind.name, (*kind.command, "--shutdown-timeout", "1"), python=kind.python)

        def ask(server, wait_for):
            with ThreadPoolExecutor(2) as pool:
                asked = pool.submit(answer_of, server, "/slow")
                wait_for("slow: called")
                server.process.send_signal(signal.SIGHUP)
                asked.result(30)
            deadline = time.monotonic() + 120
            while True:
                found = answer_of(server, "/answer")
                if b"hello" in found or time.monotonic() > deadline:
                    time.sleep(2)  # Apache may miss a signal right after it has restarted
                    return found
                time.sleep(0.1)

        found = run(kind, folder, ask)
        assert b"hello" in found.answers
        assert found.raised == []
        assert found.sessions("crashed") == 0


class TestLazyObjects:
    """Nothing of the app's, and of who is outside, is evaluated."""

    @pytest.mark.parametrize("kind", ["waitress", "gunicorn-sync"])
    def test_are_not_loaded(self, folder, kind):
        pytest.importorskip("django")

        def ask(server, wait_for):
            answers = [server.ask(servers.request_bytes("/lazy")) for _ in range(3)]
            return [*answers, server.ask(servers.request_bytes("/lazy_crash"))]

        found = run(servers.SERVERS[kind], folder, ask, "outer sentry app")
        assert all(b"hello" in answer for answer in found.answers[:3])
        # The SDK shows local variables of a crash, as it would without the filter.
        loaded = [line for line in found.notes if "loaded" in line]
        assert [line for line in loaded if line != "lazy_crash: loaded"] == []
        names = [event["transaction"] for event in found.received.transactions]
        assert sorted(names) == ["GET /lazy", "GET /lazy", "GET /lazy", "GET /lazy_crash"]
        assert (found.sessions("exited"), found.sessions("crashed")) == (3, 1)
        (event,) = found.received.errors
        (value,) = event["exception"]["values"]
        assert (value["type"], value["value"]) == ("ValueError", "of the app")
        assert value["stacktrace"]["frames"][-1]["function"] == "lazy_crash"


class TestPasteRecursive:
    """egg:Paste#recursive outside of Sentry: the app asks for another request by an exception."""

    def test_forward_is_no_error(self, folder):
        pytest.importorskip("paste")

        def ask(server, wait_for):
            return server.ask(servers.request_bytes("/forwarding"))

        kind = servers.SERVERS["waitress"]
        bare, filtered = (
            run(kind, folder, ask, pipeline) for pipeline in ("recursive app", "recursive sentry app")
        )
        assert without_date(filtered.answers) == without_date(bare.answers)
        assert b"hello" in filtered.answers
        assert filtered.raised == []
        assert filtered.sessions("crashed") == 0
