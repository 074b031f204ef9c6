"""Green threads of eventlet and gevent: those that a request starts, and those that the SDK starts.

Swift patches threads and not ``time.sleep``, which sleeps for all of the process then. The SDK's own threads
must not be among the sleepers.
"""

import contextvars
import functools
import subprocess
import sys
import types

import pytest
import sentry_sdk
import webtest
from paste.deploy import loadapp

from sentry_paste import SentryMiddleware
from sentry_paste.client.registry import registry

import installed
import receiver
import servers
from wsgi_calls import call, environ_of

INI = """
[app:main]
use = call:greenapp:make
filter-with = sentry

[filter:sentry]
use = egg:sentry_paste
dsn = ${SENTRY_DSN}
release = greenapp@1.0
traces_sample_rate = 1.0
"""
APP = """
import logging


def make(global_conf):
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/logged":
            logging.getLogger("greenapp").error("went wrong")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    return app
"""
# Several requests with a moment in between, in which other green threads have their turn.
ASKING = """
import sys
import time
from wsgiref.util import setup_testing_defaults

from paste.deploy import loadapp

really_sleep = time.sleep


def sleep(seconds):
    if seconds > 1 and sys._getframe(1).f_globals["__name__"].startswith("sentry_sdk"):
        print(f"the SDK sleeps for {seconds} s", flush=True)
    really_sleep(seconds)


time.sleep = sleep
app = loadapp("config:" + sys.argv[1])


def ask(path):
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    body = app(environ, lambda *given: None)
    assert b"".join(body) == b"hello"
    body.close()
    turn()


for number in range(5):
    ask("/hello")
ask("/logged")

import sentry_sdk

sentry_sdk.flush(30)
print("done")
"""
PATCHED = {
    # As swift.common.concurrency does it.
    "eventlet": """
import eventlet, eventlet.patcher
eventlet.patcher.monkey_patch(all=False, socket=True, select=True, thread=True)
turn = lambda: eventlet.sleep(0.05)
""",
    "gevent": """
import gevent, gevent.monkey
gevent.monkey.patch_all(time=False)
turn = lambda: gevent.sleep(0.05)
""",
}


def write(folder):
    (folder / "greenapp.py").write_text(APP)
    ini = folder / "green.ini"
    ini.write_text(INI)
    return ini


def install(library, folder):
    """Make an environment of its own with the project and a library; return its Python, or skip."""
    python = str(folder / "venv" / "bin" / "python")
    said = installed.complaint(sys.executable, "-m", "venv", str(folder / "venv"))
    if said is not None:
        pytest.skip(f"{sys.executable} makes no environment: {said}")
    # That the project cannot be installed is no reason to skip.
    said = installed.complaint(python, "-m", "pip", "install", "-q", str(installed.ROOT))
    assert said is None, said
    said = installed.complaint(python, "-m", "pip", "install", "-q", library)
    if said is not None:
        pytest.skip(f"{library} cannot be installed: {said}")
    return python


@pytest.fixture(scope="module")
def python_with(tmp_path_factory):
    """Return a function that makes an environment with a library, once, and returns its Python."""
    return functools.cache(lambda library: install(library, tmp_path_factory.mktemp(library)))


def run(python, script, ini, dsn):
    return subprocess.run(
        [python, "-W", "ignore", script, ini],
        env=servers.environment(SENTRY_DSN=dsn, PYTHONPATH=str(ini.parent)),
        capture_output=True,
        encoding="utf-8",
        timeout=180,
    )


@pytest.mark.slow
@pytest.mark.parametrize("spool", ["", "spool_dir = %(here)s/spool\n"], ids=["", "spool"])
@pytest.mark.parametrize("library", PATCHED)
def test_no_request_waits_where_sleep_is_not_green(tmp_path, python_with, library, spool):
    python = python_with(library)
    ini = write(tmp_path)
    ini.write_text(INI + spool)
    script = tmp_path / "asking.py"
    script.write_text(PATCHED[library] + ASKING)
    with receiver.serve() as received:
        ended = run(python, script, ini, received.dsn)
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr
    assert [event["logentry"]["message"] for event in received.errors] == ["went wrong"]
    assert len(received.transactions) == 6


STARTING = """
import sys
from contextvars import ContextVar
from wsgiref.util import setup_testing_defaults

import sentry_sdk
from paste.deploy import loadapp

app = loadapp("config:" + sys.argv[1])
language = ContextVar("language", default="none")
environ = {"HTTP_X_API_KEY": "q8fh23fh28hf2", "PATH_INFO": "/start"}
setup_testing_defaults(environ)
body = app(environ, lambda *given: None)
b"".join(body)
body.close()
sentry_sdk.flush(30)
"""
STARTING_APP = """
import logging
from contextvars import ContextVar

language = ContextVar("language", default="none")


def work(how, key):
    logging.getLogger("greenapp").error("%s: %s, %s", how, key, language.get())


def make(global_conf):
    import starting

    def app(environ, start_response):
        language.set("of the request")
        starting.start(work, environ["HTTP_X_API_KEY"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    return app
"""
STARTED = {
    "gevent": """
import gevent, gevent.pool, gevent.threadpool

def start(work, key):
    gevent.spawn(work, "spawn", key).join()
    gevent.spawn_later(0.01, work, "spawn_later", key).join()
    gevent.spawn(lambda: gevent.spawn(work, "within another", key).join()).join()
    gevent.pool.Pool(1).spawn(work, "Pool", key).join()
    gevent.get_hub().threadpool.spawn(work, "threadpool", key).get()
    gevent.threadpool.ThreadPoolExecutor(1).submit(work, "ThreadPoolExecutor", key).result()
""",
    "eventlet": """
import eventlet, eventlet.tpool

def start(work, key):
    eventlet.spawn(work, "spawn", key).wait()
    eventlet.tpool.execute(work, "tpool", key)
    eventlet.spawn_after(0.01, work, "spawn_after", key).wait()
    eventlet.spawn(lambda: eventlet.spawn(work, "within another", key).wait()).wait()
    eventlet.spawn_n(work, "spawn_n", key)
    eventlet.sleep(0.01)
    pool = eventlet.GreenPool(1)
    pool.spawn(work, "GreenPool", key).wait()
    pool.spawn_n(work, "GreenPool.spawn_n", key)
    pool.waitall()
""",
}


PATCH_ALL = {
    "gevent": "import gevent.monkey; gevent.monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}


@pytest.mark.slow
@pytest.mark.parametrize("is_patched", [False, True], ids=["", "patched"])
@pytest.mark.parametrize("library", STARTED)
def test_what_a_request_starts_goes_on_in_its_scopes(tmp_path, python_with, library, is_patched):
    python = python_with(library)
    ini = write(tmp_path)
    (tmp_path / "greenapp.py").write_text(STARTING_APP)
    (tmp_path / "starting.py").write_text(STARTED[library])
    script = tmp_path / "asking.py"
    script.write_text((PATCH_ALL[library] if is_patched else "") + STARTING)
    with receiver.serve() as received:
        # A patched lock of eventlet's wakes nobody in another thread: the SDK's has to be busy with the
        # first error, and not to wait at its queue, when a thread of tpool puts the second one there.
        received.seconds = 0.5 if library == "eventlet" and is_patched else 0.0
        ended = run(python, script, ini, received.dsn)
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    (transaction,) = received.transactions
    started = STARTED[library].count('work, "')
    assert len(received.errors) == started
    for event in received.errors:
        assert event["request"]["url"] == "http://127.0.0.1/start"
        assert event["contexts"]["trace"]["trace_id"] == transaction["contexts"]["trace"]["trace_id"]
        # The scopes go along, and nothing of the app's own: its context variables are empty there, as ever.
        assert event["logentry"]["formatted"].endswith(": [Filtered], none")


def test_library_that_cannot_be_changed_does_not_stop_the_start(monkeypatch, caplog, captured):
    class Fixed(type):
        def __setattr__(cls, name, value):
            raise TypeError("cannot set attributes of an extension type")

    class ThreadPool(metaclass=Fixed):
        def spawn(self, function):
            return function

    monkeypatch.setitem(sys.modules, "gevent.threadpool", types.SimpleNamespace(ThreadPool=ThreadPool))
    SentryMiddleware(lambda environ, start_response: [], dsn="http://key@localhost/1")
    assert "Sentry failed: what a request starts in green threads" in caplog.text


class TestArgumentsOfTheApps:
    """An argument reaches the app's function whatever its name is, in a request and outside of one."""

    NAMES = ("pool", "function", "spawn", "execute", "args", "scopes")

    @staticmethod
    def returned_by(start):
        """Return what a function returns before the filter is made, after, and in a request."""
        before, within = start(), []

        def app(environ, start_response):
            within.append(start())
            start_response("200 OK", [])
            return [b""]

        app = SentryMiddleware(app, dsn="http://key@localhost/1")
        after = start()
        call(app, environ_of("/start"))
        return before, after, *within

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("by", ["spawn", "submit", "apply", "apply_async"])
    def test_in_thread_pools_of_gevent(self, captured, name, by):
        threadpool = pytest.importorskip("gevent.threadpool")

        def work(*args, **kwargs):
            return args, kwargs

        def start():
            if by == "submit":
                return threadpool.ThreadPoolExecutor(1).submit(work, 1, **{name: "given"}).result()
            pool = threadpool.ThreadPool(1)
            if by == "spawn":
                return pool.spawn(work, 1, **{name: "given"}).get()
            found = getattr(pool, by)(work, (1,), {name: "given"})
            return found.get() if by == "apply_async" else found

        before, after, within = self.returned_by(start)
        assert before == after == within

    @pytest.mark.parametrize("name", NAMES)
    def test_in_the_thread_pool_of_eventlet(self, monkeypatch, captured, name):
        def execute(meth, *args, **kwargs):
            return meth(*args, **kwargs)

        tpool = types.SimpleNamespace(execute=execute)
        monkeypatch.setitem(sys.modules, "eventlet.tpool", tpool)
        found = self.returned_by(lambda: tpool.execute(lambda *args, **kw: (args, kw), 1, **{name: "given"}))
        assert set(map(str, found)) == {str(((1,), {name: "given"}))}
        assert tpool.execute is not execute

    def test_function_may_be_passed_by_name(self, monkeypatch, captured):
        def execute(meth, *args, **kwargs):
            return meth(*args, **kwargs)

        tpool = types.SimpleNamespace(execute=execute)
        monkeypatch.setitem(sys.modules, "eventlet.tpool", tpool)
        assert self.returned_by(lambda: tpool.execute(meth=lambda: "done")) == ("done",) * 3

    def test_call_without_a_function_fails_as_ever(self, captured):
        pool = pytest.importorskip("gevent.threadpool").ThreadPool(1)
        SentryMiddleware(lambda environ, start_response: [], dsn="http://key@localhost/1")
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'func'"):
            pool.spawn()


class TestGreenletsOfGevent:
    @pytest.fixture
    def gevent(self):
        return pytest.importorskip("gevent")

    def test_one_that_is_started_outside_of_requests_keeps_its_empty_context(self, gevent, captured):
        SentryMiddleware(lambda environ, start_response: [], dsn="http://key@localhost/1")
        green = gevent.spawn(lambda: None)
        assert green.gr_context is None
        green.join()

    def test_context_that_the_app_has_given_is_kept(self, gevent, captured):
        variable = contextvars.ContextVar("variable", default="none")
        given = contextvars.Context()
        given.run(variable.set, "given")
        seen = []

        def work():
            seen.append(variable.get())
            sentry_sdk.capture_message("worked")

        def app(environ, start_response):
            green = gevent.Greenlet(work)
            green.gr_context = given
            green.start()
            green.join()
            start_response("200 OK", [])
            return [b""]

        call(SentryMiddleware(app, dsn="http://key@localhost/1"), environ_of("/start"))
        assert seen == ["given"]
        assert captured.errors[0]["request"]["url"].endswith("/start")


@pytest.fixture
def load(captured, tmp_path, monkeypatch):
    """Load the app where some modules are said to be green; return the options of its client."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SENTRY_DSN", "http://key@localhost/1")

    def load(green, more="", asked=("eventlet.patcher", "is_monkey_patched")):
        module, name = asked
        monkeypatch.setitem(
            sys.modules, module, types.SimpleNamespace(**{name: lambda patched: patched in green})
        )
        ini = write(tmp_path)
        ini.write_text(INI + more)
        app = loadapp(f"config:{ini}")
        assert webtest.TestApp(app).get("/hello").text == "hello"
        (client,) = registry.clients()
        return client.options

    return load


@pytest.mark.parametrize(
    ("green", "is_on"),
    [((), True), (("thread",), False), (("thread", "time"), True), (("time",), True)],
    ids=["nothing", "threads", "all", "sleep"],
)
def test_monitor_of_the_sdk_is_off_where_its_sleep_would_be_that_of_all(load, green, is_on):
    assert load(green)["enable_backpressure_handling"] is is_on


@pytest.mark.parametrize(
    ("green", "is_on"), [((), True), (("threading",), False), (("threading", "time"), True)]
)
def test_monitor_of_the_sdk_is_off_where_gevent_has_left_sleep_alone(load, green, is_on):
    options = load(green, asked=("gevent.monkey", "is_module_patched"))
    assert options["enable_backpressure_handling"] is is_on


def test_what_the_ini_says_of_the_monitor_holds(load):
    assert load(("thread",), "enable_backpressure_handling = true\n")["enable_backpressure_handling"] is True


@pytest.mark.parametrize("line", ["enable_backpressure_handling = true", "profiles_sample_rate = 1.0"])
def test_option_that_will_hang_is_logged(load, caplog, line):
    load(("thread",), line + "\n")
    messages = [record.getMessage() for record in caplog.records if record.name == "sentry_paste"]
    (message,) = [message for message in messages if "requests will hang" in message]
    assert line.partition(" ")[0] in message


def test_nothing_is_logged_where_nothing_hangs(load, caplog):
    load(("thread",))
    assert [record for record in caplog.records if record.name == "sentry_paste"] == []
