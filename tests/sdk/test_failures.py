"""The app's logging raises where this package logs: no request fails of it, no start, no thread."""

import ast
import contextlib
import logging
import threading
import time
from pathlib import Path

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope

import sentry_paste
from sentry_paste import ConfigError
from sentry_paste.sdk.failures import inform, log, log_failure, report, warn
from sentry_paste.spool import Spool
from sentry_paste.spool.transport import LogThrottle

from wsgi_calls import call, environ_of

PACKAGE = Path(sentry_paste.__file__).parent

#: Modules that log by themselves, or look at a logger, and why.
EXEMPT = {
    "sdk/failures.py": "it is the one that logs",
    "cli/check/report.py": "it turns off Spotlight's logger, in the command line, and logs nothing",
    "cli/network.py": "it sets the level of urllib3's logger, in the command line, and logs nothing",
    "example/views.py": "it is an app, and logs as apps do",
    "testing/__init__.py": "it warns the author of a test, as warnings do",
}

METHODS = {"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log", "getLogger"}


class BrokenError(RuntimeError):
    """Of the app's logging."""


class BrokenFilter(logging.Filter):
    """Fails for records of this package, like a filter that needs a request's id outside of requests."""

    def __init__(self, error=BrokenError):
        super().__init__()
        self.error = error
        self.asked = []

    def filter(self, record):
        if record.name == "sentry_paste":
            self.asked.append(record.getMessage())
            raise self.error("no request")
        return True


class BrokenHandler(logging.Handler):
    def __init__(self, error=BrokenError):
        super().__init__()
        self.error = error
        self.asked = []

    def emit(self, record):
        if record.name == "sentry_paste":
            self.asked.append(record.getMessage())
            raise self.error("no disk")


@contextlib.contextmanager
def logging_broken(where, error=BrokenError):
    """Have the app's logging raise; it knows what it was asked to log."""
    if where == "the logger's filter":
        owner, found = log, BrokenFilter(error)
    elif where == "a filter of the root's handler":
        owner, found = logging.StreamHandler(), BrokenFilter(error)
        logging.root.addHandler(owner)
    else:
        owner, found = logging.root, BrokenHandler(error)
    (owner.addHandler if where == "a handler" else owner.addFilter)(found)
    try:
        yield found
    finally:
        (owner.removeHandler if where == "a handler" else owner.removeFilter)(found)
        if owner not in (log, logging.root):
            logging.root.removeHandler(owner)


@pytest.fixture(params=["the logger's filter", "a filter of the root's handler", "a handler"])
def broken(request):
    with logging_broken(request.param) as found:
        yield found


# One mechanism.


def own_calls(path):
    """Yield the line and the text of each call by which a module logs or warns by itself."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = ast.unparse(node.func.value)
        is_logger = owner in ("log", "logger", "LOG", "logging") or "getLogger" in owner
        if (is_logger and node.func.attr in METHODS) or (owner, node.func.attr) == ("warnings", "warn"):
            yield node.lineno, ast.unparse(node.func)


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_module_logs_by_itself(path):
    if str(path.relative_to(PACKAGE)) not in EXEMPT:
        assert list(own_calls(path)) == []


@pytest.mark.parametrize("name", EXEMPT)
def test_exempt_modules_are_there_and_need_it(name):
    assert list(own_calls(PACKAGE / name))


# What it does.


def say_everything():
    inform("a %s", "b")
    warn("a %s", "b")
    try:
        raise ValueError("of ours")
    except ValueError as error:
        log_failure("this is lost")
        report("%s crashed", "x", error=error)


def test_nothing_that_is_logged_raises(broken, caplog):
    caplog.set_level(logging.INFO, "sentry_paste")
    say_everything()
    assert broken.asked == ["a b", "a b", "Sentry failed: this is lost", "x crashed"]


def test_log_record_has_the_line_that_logged_it(caplog):
    caplog.set_level(logging.INFO, "sentry_paste")
    say_everything()
    assert [(record.levelname, record.getMessage(), record.funcName) for record in caplog.records] == [
        ("INFO", "a b", "say_everything"),
        ("WARNING", "a b", "say_everything"),
        ("WARNING", "Sentry failed: this is lost", "say_everything"),
        ("ERROR", "x crashed", "say_everything"),
    ]
    assert [record.exc_info and record.exc_info[0] for record in caplog.records[2:]] == [
        ValueError,
        ValueError,
    ]


class Timeout(BaseException):
    """As gevent's: it is for whoever has set it."""


@pytest.mark.parametrize("error", [Timeout, KeyboardInterrupt, SystemExit])
def test_what_is_no_error_of_the_logging_is_raised_on(error):
    with logging_broken("a handler", error), pytest.raises(error):
        log_failure("this is lost")
    with logging_broken("a handler") as found:
        log_failure("and this")  # an interrupted warning does not silence the next
    assert found.asked == ["Sentry failed: and this"]


class UnprintableError(Exception):
    def __str__(self):
        raise BrokenError("no text")

    __repr__ = __str__


def test_what_cannot_be_printed_does_not_raise(monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with logging_broken("the logger's filter"):
        warn("%s", UnprintableError())
        LogThrottle(Path("spool")).failed(UnprintableError())
    with logging_broken("a handler"):
        try:
            raise UnprintableError
        except UnprintableError as error:
            log_failure("this is lost")
            report("%s crashed", error, error=error)


def test_handler_that_fails_at_the_same_is_asked_once():
    asked = []

    class Capturing(logging.Handler):
        def emit(self, record):
            asked.append(record.getMessage())
            log_failure("what the handler has captured")

    handler = Capturing()
    log.addHandler(handler)
    try:
        log_failure("one")
        log_failure("two")
    finally:
        log.removeHandler(handler)
    assert asked == ["Sentry failed: one", "Sentry failed: two"]


def test_spool_logs_again_after_logging_has_failed(broken):
    throttle = LogThrottle(Path("spool"))
    throttle.count("error dropped, too old")
    assert broken.asked == ["spool_dir: spool: 1 error dropped, too old"]
    throttle.failed(OSError("full"))
    assert broken.asked[1:] == ["spool_dir: full: nothing is stored until this is fixed"]


# By the front door.


def nonsense(*args):
    return 7


def failing(*args):
    raise ValueError("of the ini's hook")


def log_and_answer(environ, start_response):
    sentry_sdk.add_breadcrumb(message="a crumb")
    sentry_sdk.capture_message("a message")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


def make_answering(global_conf):
    return log_and_answer


INI = """
    [filter:sentry]
    use = egg:sentry_paste
    {options}

    [app:app]
    paste.app_factory = {factory}

    [pipeline:main]
    pipeline = sentry app
    """

HOOKS = (
    "before_send = test_failures:{0}\n    before_send_transaction = test_failures:{0}\n"
    "    before_breadcrumb = test_failures:{0}\n    traces_sampler = test_failures:{0}"
)


@pytest.mark.parametrize("hook", ["nonsense", "failing"])
@pytest.mark.parametrize(
    ("factory", "path"), [("test_failures:make_answering", "/"), ("apps:make_app", "/crash")]
)
def test_hooks_that_fail_and_logging_that_fails_change_no_answer(
    load, captured_unchecked, broken, hook, factory, path
):
    plain = call(load(INI.format(options="sample_rate = 0", factory=factory)), environ_of(path)).facts()
    app = load(INI.format(options=HOOKS.format(hook), factory=factory), name="main")
    assert call(app, environ_of(path)).facts() == plain
    assert any("failed" in message for message in broken.asked)


def test_ini_that_is_warned_of_starts_where_the_logging_fails(load, captured, broken):
    options = 'release = "1.0"\n    environment = ${NOT_SET}\n    list_max_length = 5\n    site = shop'
    ini = INI.format(options=options, factory="apps:make_app")
    assert call(load(ini), environ_of("/answer_list")).starts[0][0] == "200 OK"
    assert len(broken.asked) == 4


def test_mistakes_in_the_ini_are_raised_although_logging_fails(load, broken):
    with pytest.raises(ConfigError, match="sample_rate = many"):
        load(INI.format(options="sample_rate = many\n    list_max_length = 5", factory="apps:make_app"))


def test_client_that_cannot_be_made_starts_the_app_where_the_logging_fails(load, broken, monkeypatch):
    monkeypatch.setattr("sentry_paste.sdk.for_client", lambda options: 1 / 0)
    app = load(INI.format(options="dsn = http://key@127.0.0.1:9/1", factory="apps:make_app"))
    assert call(app, environ_of("/answer_list")).starts[0][0] == "200 OK"
    assert broken.asked == ["Sentry failed to start: nothing is reported"]


def spool_threads():
    return [thread for thread in threading.enumerate() if thread.name == "sentry-paste.spool"]


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_thread_of_the_spool_lives_on_where_the_logging_fails(load, receiver, broken, tmp_path):
    """The directory is open to others, which is logged; waiting files are sent once that is fixed."""
    directory = tmp_path / "spool"
    waiting = Envelope(headers={"event_id": "ab" * 16})
    waiting.add_event({"event_id": "ab" * 16, "message": "kept before"})
    Spool(directory).write(waiting)
    directory.chmod(0o755)
    before = set(spool_threads())
    app = load(
        INI.format(options=f"dsn = {receiver.dsn}\n    spool_dir = {directory}", factory="apps:make_app")
    )
    call(app, environ_of("/crash"))
    until(lambda: broken.asked)
    assert "nothing is stored until this is fixed" in broken.asked[0]
    (thread,) = set(spool_threads()) - before
    until(lambda: any(event.get("exception") for event in events(receiver)))
    directory.chmod(0o700)
    backlog = app.client.transport._backlog
    until(lambda: backlog.wake() or any(event.get("message") for event in events(receiver)))
    assert set(spool_threads()) - before == {thread}
    assert thread.is_alive()


def events(receiver):
    return [
        item.payload.json
        for envelope in list(receiver.envelopes)
        for item in envelope.items
        if item.type == "event"
    ]


def test_process_that_is_forked_begins_where_the_logging_fails(broken):
    from sentry_paste.sdk import forks

    class Failing:
        reset_after_fork = failing

    found = Failing()
    forks.reset_when_forked(found)
    forks._after_fork()
    assert broken.asked == ["Sentry failed in a forked process: what it captures may be lost"]
