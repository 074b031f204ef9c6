"""Rates and rules that are read again while an app runs, through the front door: an ini that changes."""

import gc
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import weakref
from copy import copy
from dataclasses import replace

import pytest
import sentry_sdk
from paste.deploy import loadapp, loadwsgi
from webtest import TestApp

from sentry_paste import sdk
from sentry_paste.autoload import patch
from sentry_paste.client import reloading as module
from sentry_paste.client.registry import registry
from sentry_paste.client.reloading import reloading
from sentry_paste.config import read_ini, values, watched
from sentry_paste.config.reload_sources import find_source
from sentry_paste.middleware import ReloadingMiddleware, SentryMiddleware, reloading_around
from sentry_paste.request.filter_state import FilterState
from sentry_paste.testing import CapturedEnvelopes, capture_envelopes

INI = """
    [filter:sentry]
    use = egg:sentry_paste
    dsn = https://k@o0.ingest.sentry.io/1
    reload = true
    {options}

    [pipeline:main]
    pipeline = sentry app

    [app:app]
    paste.app_factory = test_reloading:make_app
"""


pytestmark = pytest.mark.usefixtures("files_of_reload")

# How often the ini changes in the test with threads; more for a long run.
FLIPS = int(os.environ.get("SENTRY_PASTE_FLIPS", "20"))


class QuotaError(Exception):
    pass


def make_app(global_conf, **local_conf):
    def app(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/crash":
            raise ValueError("no such id")
        if path == "/quota":
            raise QuotaError("used up")
        if path.startswith("/log"):
            logging.getLogger("noisy").error(f"something{path[4:]}")
        start_response("404 Not Found" if path == "/lost" else "200 OK", [("Content-Type", "text/plain")])
        return [b"answer"]

    return app


@pytest.fixture
def write(write_ini):
    def write(*options, ini=INI, **others):
        return write_ini(ini.format(options="\n    ".join(options), **others))

    return write


@pytest.fixture
def start(write, captured):
    """Load the app of an ini; what it captures is in ``captured``."""

    def start(*options, **others):
        path = write(*options, **others)
        return TestApp(loadapp(f"config:{path}"))

    return start


def later():
    """Let five seconds pass."""
    reloading.due = float("-inf")


def get(app, path="/"):
    try:
        return app.get(path, expect_errors=True)
    except (ValueError, QuotaError):
        return None


def get_later(app, path="/"):
    """Ask for a page five seconds later."""
    later()
    return get(app, path)


def messages(caplog, level=logging.WARNING):
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


def test_changed_rate_applies_to_the_next_request(start, write, captured):
    app = start("traces_sample_rate = 0.0")
    get(app)
    assert not captured.transactions
    write("traces_sample_rate = 1.0")
    get_later(app)
    assert len(captured.transactions) == 1


def test_tracing_can_be_turned_on_and_off(start, write, captured):
    app = start()
    write("traces_sample_rate = 1.0")
    get_later(app)
    write("")
    get_later(app)
    assert len(captured.transactions) == 1


def test_files_are_looked_at_every_five_seconds_at_most(start, write, captured, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("sentry_paste.middleware.monotonic", lambda: now)
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    looks = []
    app = start("traces_sample_rate = 0.0")
    look_at = module.look_at
    monkeypatch.setattr(module, "look_at", lambda paths: looks.append(now) or look_at(paths))
    write("traces_sample_rate = 1.0")
    for _ in range(100):
        get(app)
        now += 0.125
    # A change that was just made is read twice, with a look after it.
    assert sorted(set(looks)) == [1005.0, 1010.0]
    assert len(captured.transactions) == 100 - 40


def test_without_reload_there_is_nothing_on_the_way(start, write, captured):
    app = start("reload = false", ini=INI.replace("reload = true", ""))
    assert type(app.app) is SentryMiddleware
    assert reloading.due == float("inf")


@pytest.mark.parametrize(
    ("before", "after", "path", "changes"),
    [
        ("sample_rate = 1.0", "sample_rate = 0.0", "/crash", (1, 0)),
        ("", "ignore_exceptions = ValueError", "/crash", (1, 0)),
        ("ignore_exceptions = ValueError", "", "/crash", (0, 1)),
        ("", "ignore_errors = ValueError", "/crash", (1, 0)),
        ("", "ignore_messages = *such id", "/crash", (1, 0)),
        ("ignore_messages = *such id", "ignore_messages = *id such", "/crash", (0, 1)),
        ("", "error_sample_rates = ValueError 0", "/crash", (1, 0)),
        ("error_sample_rates = ValueError 0", "", "/crash", (0, 1)),
        ("", "ignore_loggers = noisy", "/log", (1, 0)),
        ("ignore_loggers = noisy", "", "/log", (0, 1)),
        ("", "failed_status_codes = 404", "/lost", (0, 1)),
        ("failed_status_codes = 404", "", "/lost", (1, 0)),
    ],
)
def test_rules_about_errors_apply_from_then_on(start, write, captured, before, after, path, changes):
    app = start(before)
    get(app, path)
    first = len(captured.payloads("event"))
    write(after)
    get_later(app, path)
    assert (first, len(captured.payloads("event")) - first) == changes


def sent_and_reported(captured):
    events = captured.payloads("event")
    counts = [event.get("contexts", {}).get("error_budget", {}).get("not_sent", 0) for event in events]
    return len([event for event in events if event.get("exception")]), sum(counts)


@pytest.mark.parametrize(
    ("steps", "sent"),
    [
        (("2 per hour", "3 per hour"), [2, 3]),
        (("3 per hour", "1 per hour"), [3, 3]),
        (("2 per hour", None), [2, 6]),
        ((None, "2 per hour"), [4, 6]),
        ((None, "2 per hour", None), [4, 6, 10]),
        ((None, "2 per hour", None, "2 per hour"), [4, 6, 10, 10]),
        (("1 per hour", "1 per day"), [1, 1]),
        (("5 per hour", "5 per hour in all"), [4, 5]),
    ],
)
def test_budget_keeps_its_counts_and_reports_all_of_them(start, write, captured, monkeypatch, steps, sent):
    monkeypatch.setattr("sentry_paste.spool.budget.now", lambda: 1_700_000_000.0 // 86400 * 86400 + 60)
    app, found = None, []
    for step, budget in enumerate(steps):
        lines = ["fingerprints = KeyError -> k"] * (step == 3) + [f"error_budget = {budget}"] * bool(budget)
        if app is None:
            app = start(*lines)
        else:
            write(*lines)
            later()
        for _ in range(4):
            get(app, "/crash")
        found.append(sent_and_reported(captured)[0])
    assert found == sent
    sentry_sdk.get_client().close()
    assert sum(sent_and_reported(captured)) == 4 * len(steps)


def test_kinds_of_a_budget_are_those_that_are_grouped_from_then_on(start, write, captured):
    app = start("error_budget = 1 per day")
    for number in range(2):
        get(app, f"/log/{number}")
    assert len(captured.payloads("event")) == 2
    write("error_budget = 1 per day", "fingerprint_without_ids = true")
    later()
    for number in range(3):
        get(app, f"/log/{number}")
    assert len(captured.payloads("event")) == 3


@pytest.mark.parametrize(
    ("option", "key", "value"),
    [
        ("levels = ValueError warning", "level", "warning"),
        ("fingerprints = ValueError -> mine", "fingerprint", ["mine"]),
        ("fingerprints = ValueError -> {{ message_without_ids }}", "fingerprint", ["no such id"]),
        ("tags.region = eu", "tags", {"region": "eu"}),
    ],
)
def test_what_events_have_changes(start, write, captured, option, key, value):
    app = start()
    get(app, "/crash")
    write(option)
    get_later(app, "/crash")
    write()
    get_later(app, "/crash")
    found = [event.get(key) for event in captured.payloads("event")]
    if isinstance(value, dict):
        found = [value if value.items() <= (each or {}).items() else None for each in found]
        assert found == [None, value, None]
    else:
        assert found[0] == found[2] != found[1] == value


@pytest.mark.parametrize(
    ("option", "path", "sent"),
    [
        ("traces_keep = status 404", "/lost", 1),
        ("traces_sample_rates = /lost 1.0", "/lost", 1),
        ("traces_keep = slower than 1 h", "/lost", 0),
    ],
)
def test_rules_about_traces_apply_from_then_on(start, write, captured, option, path, sent):
    app = start("traces_sample_rate = 0.0")
    get(app, path)
    assert not captured.transactions
    write("traces_sample_rate = 0.0", option)
    get_later(app, path)
    assert len(captured.transactions) == sent


@pytest.mark.parametrize(
    "option",
    ["ignore_paths = /lost", "http_methods_to_capture = POST", "trace_ignore_status_codes = 404"],
)
def test_rules_that_leave_out_traces_apply_from_then_on(start, write, captured, option):
    if option.startswith("trace_ignore") and "trace_ignore_status_codes" not in sdk.RELOADABLE:
        pytest.skip("not in this SDK")
    if option.startswith("trace_ignore") and sdk.VERSION.startswith("2.1"):
        pytest.skip("not in this SDK")
    app = start("traces_sample_rate = 1.0")
    get(app, "/lost")
    before = len(captured.transactions)
    write("traces_sample_rate = 1.0", option)
    get_later(app, "/lost")
    assert (before, len(captured.transactions)) == (1, 1)


def test_names_of_transactions_change(start, write, captured):
    app = start("traces_sample_rate = 1.0")
    get(app)
    write("traces_sample_rate = 1.0", "transaction_names = / start")
    get_later(app)
    assert [found.name for found in captured.transactions] == ["GET /", "start"]


def test_request_ends_under_the_rules_under_which_it_began(write, captured):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"1"
        sentry_sdk.capture_message(f"from {environ['PATH_INFO']}")
        yield b"2"

    loaded = loadapp(f"config:{write('traces_sample_rate = 1.0')}")
    middleware = ReloadingMiddleware(app, loaded.settings, loaded._watch)

    def begin(path):
        body = iter(middleware(TestApp(loaded).RequestClass.blank(path).environ, lambda *_: None))
        next(body)
        return body

    first = begin("/first")
    write("traces_sample_rate = 0.0", "ignore_messages = *")
    later()
    second = begin("/second")
    for body in (first, second):
        assert list(body) == [b"2"]
    assert [found.name for found in captured.transactions] == ["GET /first"]
    assert [event.get("message") for event in captured.payloads("event")] == ["from /first"]


def test_mistake_leaves_the_old_rules_in_force_and_is_logged_once(start, write, captured, caplog):
    app = start("traces_sample_rate = 1.0")
    path = write("traces_sample_rate = 7", "traces_kep = errors")
    for _ in range(5):
        get_later(app)
    assert len(captured.transactions) == 5
    (message,) = messages(caplog)
    assert f"{path} [filter:sentry]: 2 mistakes" in message
    assert "line 6: traces_sample_rate = 7: expected a number from 0 to 1" in message
    assert "line 7: traces_kep" in message
    assert "did you mean traces_keep?" in message
    assert "The rules that were read before still apply" in message


def test_mistake_is_not_logged_until_the_file_has_stayed_the_same(start, write, captured, caplog):
    app = start("traces_sample_rate = 1.0")
    write("traces_sample_rate = 7")
    get_later(app)
    write("traces_sample_rate = 77")
    get_later(app)
    assert not messages(caplog)
    write("traces_sample_rate = 0.0")
    get_later(app)
    assert len(captured.transactions) == 2
    assert not messages(caplog)


def test_corrected_mistake_applies(start, write, captured, caplog):
    app = start("traces_sample_rate = 1.0")
    write("traces_sample_rate = 7")
    for _ in range(2):
        get_later(app)
    write("traces_sample_rate = 0.0")
    get_later(app)
    assert len(captured.transactions) == 2


def test_what_cannot_change_is_said_once(start, write, captured, caplog):
    app = start("traces_sample_rate = 0.0")
    path = write(
        "traces_sample_rate = 1.0",
        "environment = other",
        "integrations = redis",
        "before_send = no.such:hook",
    )
    for _ in range(3):
        get_later(app, "/crash")
    assert len(captured.transactions) == 3
    assert [text for text in messages(caplog) if "reload" in text or "takes effect" in text] == [
        f"{path} [filter:sentry]: a change of before_send, environment, integrations "
        "takes effect at the next start"
    ]
    assert captured.payloads("event")[0]["environment"] == "production"


def test_other_dsn_waits_for_the_next_start(start, write, captured, caplog):
    app = start("traces_sample_rate = 1.0")
    write("traces_sample_rate = 1.0", ini=INI.replace("k@o0", "9f9f@o0"))
    get_later(app)
    assert "a change of dsn takes effect at the next start" in messages(caplog)[0]
    assert "9f9f" not in messages(caplog)[0]
    assert app.app.client.dsn.startswith("https://k@")


def test_changed_file_of_the_dsn_is_said(start, write, captured, caplog, tmp_path):
    secret = tmp_path / "dsn"
    secret.write_text("https://k@o0.ingest.sentry.io/1")
    app = start(ini=INI.replace("dsn = https://k@o0.ingest.sentry.io/1", f"dsn_file = {secret}"))
    secret.write_text("https://k2@o0.ingest.sentry.io/1")
    get_later(app)
    assert "a change of dsn_file takes effect at the next start" in messages(caplog)[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_request_does_not_wait_for_a_pipe_with_the_dsn(start, write, captured, caplog, tmp_path):
    secret = tmp_path / "dsn"
    secret.write_text("https://k@o0.ingest.sentry.io/1")
    ini = INI.replace("dsn = https://k@o0.ingest.sentry.io/1", f"dsn_file = {secret}")
    app = start("traces_sample_rate = 0.0", ini=ini)
    secret.unlink()
    os.mkfifo(secret)
    write("traces_sample_rate = 1.0", ini=ini)
    later()
    request = threading.Thread(target=get, args=(app,), daemon=True)
    request.start()
    request.join(30)
    assert not request.is_alive()
    assert len(captured.transactions) == 1
    assert not messages(caplog)


def test_inherited_options_are_read_again_too(write_ini, captured):
    base = """
        [filter:sentry]
        use = egg:sentry_paste
        dsn = https://k@o0.ingest.sentry.io/1
        reload = true
        traces_sample_rate = {rate}
    """
    write_ini(base.format(rate=0.0), "base.ini")
    path = write_ini(
        """
        [DEFAULT]
        sentry.environment = test
        [filter:sentry]
        use = config:base.ini
        ignore_paths = /health
        [pipeline:main]
        pipeline = sentry app
        [app:app]
        paste.app_factory = test_reloading:make_app
        """
    )
    path.write_text(path.read_text().replace("config:base.ini", "config:base.ini#sentry"))
    app = TestApp(loadapp(f"config:{path}"))
    assert isinstance(app.app, ReloadingMiddleware)
    write_ini(base.format(rate=1.0), "base.ini")
    get_later(app, "/crash")
    assert len(captured.transactions) == 1
    assert captured.payloads("event")[0]["environment"] == "test"


def test_file_that_a_mistake_is_about_is_looked_at(start, write, write_ini, captured, caplog):
    app = start("traces_sample_rate = 0.0")
    write("traces_sample_rate = 1.0", ini=INI.replace("egg:sentry_paste", "config:base.ini#sentry"))
    for _ in range(2):
        get_later(app)
    assert "base.ini: 1 mistake" in messages(caplog)[0]
    assert "cannot be read: No such file or directory" in messages(caplog)[0]
    write_ini("[filter:sentry]\nuse = egg:sentry_paste\n", "base.ini")
    get_later(app)
    assert len(captured.transactions) == 1


def test_section_of_an_included_file_is_read_again(write_ini, captured):
    base = """
        [filter:sentry]
        use = egg:sentry_paste
        dsn = https://k@o0.ingest.sentry.io/1
        reload = true
        traces_sample_rate = {rate}
        [pipeline:main]
        pipeline = sentry app
        [app:app]
        paste.app_factory = test_reloading:make_app
    """
    write_ini(base.format(rate=0.0), "base.ini")
    path = write_ini("[DEFAULT]\nsentry.environment = test\n[app:main]\nuse = config:base.ini\n")
    app = TestApp(loadapp(f"config:{path}"))
    assert isinstance(app.app, ReloadingMiddleware)
    write_ini(base.format(rate=1.0), "base.ini")
    get_later(app, "/crash")
    assert len(captured.transactions) == 1
    assert captured.payloads("event")[0]["environment"] == "test"


def test_options_of_default_and_of_the_command_line_keep_their_places(write_ini, captured):
    ini = """
        [DEFAULT]
        rate = 0.0
        sentry.traces_sample_rate = %(rate)s
        sentry.tags.zone = {zone}
        [pipeline:main]
        pipeline = egg:sentry_paste app
        [app:app]
        paste.app_factory = test_reloading:make_app
    """
    path = write_ini(ini.format(zone="a"))
    added = {
        "sentry.dsn": "https://k@o0.ingest.sentry.io/1",
        "sentry.reload": "true",
        "sentry.traces_sample_rate": "1.0",
    }
    app = TestApp(loadapp(f"config:{path}", global_conf=added))
    assert isinstance(app.app, ReloadingMiddleware)
    write_ini(ini.format(zone="b").replace("rate = 0.0", "rate = 0.5"))
    get_later(app, "/crash")
    assert len(captured.transactions) == 1
    assert captured.payloads("event")[0]["tags"]["zone"] == "b"


FORMS = {
    "filter-with": """
        [app:main]
        paste.app_factory = test_reloading:make_app
        filter-with = sentry
        [filter:sentry]
        use = egg:sentry_paste
        {options}
    """,
    "filter-app": """
        [filter-app:main]
        use = egg:sentry_paste
        next = app
        {options}
        [app:app]
        paste.app_factory = test_reloading:make_app
    """,
    "composite": """
        [composite:main]
        use = egg:sentry_paste
        app = app
        {options}
        [app:app]
        paste.app_factory = test_reloading:make_app
    """,
    "explicit": """
        [filter-app:main]
        paste.filter_factory = sentry_paste:filter_factory
        next = app
        {options}
        [app:app]
        paste.app_factory = test_reloading:make_app
    """,
    "variables": """
        [DEFAULT]
        rate = 0
        [pipeline:main]
        pipeline = sentry app
        [filter:sentry]
        use = egg:sentry_paste
        get release = rate
        {options}
        [app:app]
        paste.app_factory = test_reloading:make_app
    """,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_section_is_read_again(start, write, captured, form):
    given = ("dsn = https://k@o0.ingest.sentry.io/1", "reload = true")
    ini = FORMS[form].replace("        ", "    ")
    app = start(*given, "traces_sample_rate = 0.0", ini=ini)
    assert isinstance(app.app, ReloadingMiddleware)
    write(*given, "traces_sample_rate = 1.0", ini=ini)
    get_later(app)
    assert len(captured.transactions) == 1


def test_several_filters_of_one_ini_each_have_their_own_rules(write_ini, captured):
    ini = """
        [composite:main]
        use = egg:Paste#urlmap
        /a = a
        /b = b
        [filter:one]
        use = egg:sentry_paste
        dsn = https://k@o0.ingest.sentry.io/1
        reload = true
        traces_sample_rate = {one}
        [filter:two]
        use = egg:sentry_paste
        dsn = https://k@o0.ingest.sentry.io/1
        reload = true
        traces_sample_rate = 0.0
        tags.filter = two
        [pipeline:a]
        pipeline = one app
        [pipeline:b]
        pipeline = two app
        [app:app]
        paste.app_factory = test_reloading:make_app
    """
    pytest.importorskip("paste.urlmap")
    app = TestApp(loadapp(f"config:{write_ini(ini.format(one=0.0))}"))
    write_ini(ini.format(one=1.0))
    get_later(app, "/b/")
    get(app, "/a/")
    assert [found.name for found in captured.transactions] == ["GET /a/"]


@pytest.mark.parametrize("mode", ["true", "false"])
def test_loggers_that_another_filter_of_the_client_ignores_stay_ignored(write_ini, captured, mode):
    ini = """
        [filter:one]
        use = egg:sentry_paste
        dsn = https://k@o0.ingest.sentry.io/1
        reload = true
        ignore_loggers = {name}
        [filter:two]
        use = egg:sentry_paste
        dsn = https://k@o0.ingest.sentry.io/1
        reload = {mode}
        ignore_loggers = noisy
        ignore_paths = /two
        [pipeline:one]
        pipeline = one app
        [pipeline:two]
        pipeline = two app
        [app:app]
        paste.app_factory = test_reloading:make_app
    """
    path = write_ini(ini.format(name="noisy", mode=mode))
    one, two = (TestApp(loadapp(f"config:{path}", name)) for name in ("one", "two"))
    write_ini(ini.format(name="quiet", mode=mode))
    get_later(one)
    get(two, "/log")
    logging.getLogger("quiet").error("something")
    assert not captured
    del two
    gc.collect()
    write_ini(ini.format(name="other", mode=mode))
    get_later(one, "/log")
    assert len(captured) == 1


SHARED = """
    [filter:sentry]
    use = egg:sentry_paste
    dsn = https://k@o0.ingest.sentry.io/1
    reload = true
    {options}
    [app:a]
    paste.app_factory = test_reloading:make_app
    filter-with = sentry
    [app:b]
    paste.app_factory = test_reloading:make_app
    filter-with = sentry
"""


@pytest.fixture
def two_apps(write, captured):
    """Two apps with the same filter, whose ini has changed."""
    path = write("traces_sample_rate = 0.0", ini=SHARED)
    apps = [TestApp(loadapp(f"config:{path}#{name}")) for name in "ab"]
    write("traces_sample_rate = 1.0", "error_budget = 1 per hour", ini=SHARED)
    return apps


def test_apps_with_the_same_filter_share_one_look(two_apps, captured):
    a, b = two_apps
    assert len(reloading._watches) == 1
    get_later(a)
    get(b)
    assert len(captured.transactions) == 2
    assert a.app.client is b.app.client


def test_all_filters_change_or_none(two_apps, captured, monkeypatch, caplog):
    made, again, calls = two_apps[0].app.client, FilterState.again, []

    def fail_second(*args):
        calls.append(args)
        if len(calls) == 2:
            raise RuntimeError("no luck")
        return again(*args)

    monkeypatch.setattr(FilterState, "again", fail_second)
    later()
    for app in two_apps:
        get(app)
    assert len(calls) == 2
    assert not captured.transactions
    assert registry.clients() == [made] == [sentry_sdk.get_global_scope().client]
    (message,) = messages(caplog)
    assert "[filter:sentry] is not read again, and the rules that were read before still apply" in message
    later()
    for app in two_apps:
        get(app)
    assert len(captured.transactions) == 2


# How files are changed.


def rename(path, text):
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def truncate_and_write(path, text):
    path.write_text(text)


def keep_time(path, text):
    found = path.stat()
    path.write_text(text)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def rename_with_old_time(path, text):
    found = path.stat()
    new = path.with_suffix(".new")
    new.write_text(text)
    os.utime(new, ns=(found.st_atime_ns, found.st_mtime_ns))
    os.replace(new, path)


def backup_first(path, text):
    os.rename(path, path.with_suffix(".bak"))
    path.write_text(text)


@pytest.mark.parametrize(
    "change", [rename, truncate_and_write, keep_time, rename_with_old_time, backup_first]
)
def test_every_way_to_save_is_seen(start, write, captured, change):
    app = start("traces_sample_rate = 0.0")
    path = write("traces_sample_rate = 0.0")
    change(path, path.read_text().replace("0.0", "1.0"))
    get_later(app)
    assert len(captured.transactions) == 1


@pytest.fixture
def fresh(monkeypatch):
    """Files were written just now."""
    monkeypatch.setattr(watched, "FRESH", 3600.0)


def test_file_that_was_just_written_applies_when_it_is_read_the_same_again(start, write, captured, fresh):
    app = start("traces_sample_rate = 0.0")
    write("traces_sample_rate = 1.0")
    sent = []
    for _ in range(3):
        get_later(app)
        sent.append(len(captured.transactions))
    assert sent == [0, 1, 2]


def test_file_that_is_written_in_parts_applies_as_a_whole(start, write, captured, fresh, caplog):
    caplog.set_level(logging.INFO, "sentry_paste")
    app = start("traces_sample_rate = 0.0", "ignore_paths = /a")
    lines = write("traces_sample_rate = 1.0", "ignore_paths = /b", "").read_text().splitlines(keepends=True)
    path = write("traces_sample_rate = 0.0")
    caplog.clear()
    for count in range(1, len(lines) + 1):
        path.write_text("".join(lines[:count]))
        get_later(app)
    assert list(app.app.settings.ignore_paths) == ["/a"]
    get_later(app)
    (message,) = messages(caplog, logging.INFO)
    assert "ignore_paths = /b (was /a); traces_sample_rate = 1.0 (was 0.0)" in message


def test_file_that_is_written_again_and_again_with_the_same_text_applies(start, write, captured, fresh):
    app = start("traces_sample_rate = 0.0")
    for _ in range(3):
        write("traces_sample_rate = 1.0")
        get_later(app)
    assert len(captured.transactions) == 2


def test_change_within_the_resolution_of_times_is_seen(start, write, captured, monkeypatch, fresh):
    app = start("traces_sample_rate = 0.0")
    path = write("traces_sample_rate = 0.5")
    get_later(app)
    look = module.look_at([path])
    monkeypatch.setattr(module, "look_at", lambda paths: look)
    path.write_text(path.read_text().replace("0.5", "1.0"))
    for _ in range(2):
        get_later(app)
    assert len(captured.transactions) == 1


def test_volume_of_kubernetes_is_followed(write, captured, tmp_path):
    volume = tmp_path / "volume"
    for name, rate in (("1", "0.0"), ("2", "1.0")):
        (volume / name).mkdir(parents=True)
        shutil.copy(write(f"traces_sample_rate = {rate}"), volume / name / "app.ini")
    os.symlink("1", volume / "..data")
    os.symlink("..data/app.ini", volume / "app.ini")
    app = TestApp(loadapp(f"config:{volume / 'app.ini'}"))
    os.symlink("2", volume / "..data_tmp")
    os.rename(volume / "..data_tmp", volume / "..data")
    shutil.rmtree(volume / "1")
    get_later(app)
    assert len(captured.transactions) == 1


def test_secret_that_only_root_may_read_does_not_stop_rules(start, write, captured, monkeypatch, tmp_path):
    secret = tmp_path / "dsn"
    secret.write_text("https://k@o0.ingest.sentry.io/1")
    ini = INI.replace("dsn = https://k@o0.ingest.sentry.io/1", f"dsn_file = {secret}")
    app = start("traces_sample_rate = 0.0", ini=ini)

    def refuse(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(values, "open", refuse, raising=False)
    write("traces_sample_rate = 1.0", ini=ini)
    get_later(app)
    assert len(captured.transactions) == 1


def test_file_that_is_added_to_a_directory_applies(captured, tmp_path):
    directory = tmp_path / "proxy-server.conf.d"
    directory.mkdir()
    options = {"dsn": "https://k@o0.ingest.sentry.io/1", "reload": "true"}
    lines = "".join(f"{name} = {value}\n" for name, value in options.items())
    (directory / "10.conf").write_text(f"[filter:sentry]\nuse = egg:sentry_paste\n{lines}")
    given = {"__file__": str(directory), "here": str(directory)}, options
    app = TestApp(reloading_around(make_app({}), read_ini(*given), lambda: find_source(*given)))
    (directory / "20.conf").write_text("[filter:sentry]\ntraces_sample_rate = 1.0\n")
    get_later(app)
    assert len(captured.transactions) == 1


def test_file_that_is_missing_for_a_moment_changes_nothing(start, write, captured, caplog):
    app = start("traces_sample_rate = 1.0")
    path = write("traces_sample_rate = 1.0")
    text = path.read_text()
    path.unlink()
    get_later(app)
    path.write_text(text)
    for _ in range(3):
        get_later(app)
    assert len(captured.transactions) == 4
    assert not messages(caplog)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda path: path.unlink(), "cannot be read: No such file or directory"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "is not a file"),
        (lambda path: path.write_text("# a comment\n" * 100_000), "is larger than 1,000,000 bytes"),
        (lambda path: path.write_bytes(b"[filter:sentry]\nrelease = \xff\n"), "is not text in the encoding"),
        (lambda path: path.write_text(""), "is not there any more"),
        (lambda path: path.write_text("[filter:sentry\n"), "cannot be parsed"),
        (lambda path: path.write_text(path.read_text() + "\n[filter:sentry]\nx=1\n"), "cannot be parsed"),
        (lambda path: path.write_text(path.read_text().replace("1.0", "%(gone)s")), "percent sign"),
        (lambda path: path.write_text(path.read_text().replace("egg:sentry_paste", "sentry")), "recursion"),
    ],
    ids=["gone", "pipe", "huge", "bytes", "empty", "unparsable", "twice", "percent", "circle"],
)
def test_damaged_file_changes_nothing_and_is_logged_once(start, write, captured, caplog, damage, text):
    app = start("traces_sample_rate = 1.0")
    damage(write("traces_sample_rate = 1.0"))
    for _ in range(4):
        get_later(app)
    assert len(captured.transactions) == 4
    (message,) = messages(caplog)
    assert text in message


def test_half_of_a_file_is_not_applied(start, write, captured, caplog):
    app = start("traces_sample_rate = 1.0", "ignore_paths = /health")
    path = write("traces_sample_rate = 1.0", "ignore_paths = /health")
    text = path.read_text()
    path.write_text(text[: text.index("1.0")])
    get_later(app)
    assert app.app.settings.ignore_paths == ("/health",) or list(app.app.settings.ignore_paths) == ["/health"]
    path.write_text(text)
    get_later(app)
    assert len(captured.transactions) == 2
    assert not messages(caplog)


def test_file_without_a_last_newline_applies_when_it_has_stayed_the_same(start, write, captured):
    app = start("traces_sample_rate = 0.0")
    path = write("traces_sample_rate = 1.0")
    path.write_text(path.read_text().rstrip())
    for _ in range(2):
        get_later(app)
    assert len(captured.transactions) == 1


def test_failure_of_ours_does_not_reach_the_app_and_is_logged_once(
    start, write, captured, monkeypatch, caplog
):
    app = start("traces_sample_rate = 1.0")
    monkeypatch.setattr(module, "look_at", lambda paths: 1 / 0)
    for _ in range(3):
        assert get_later(app).status_int == 200
    assert len(messages(caplog)) == 1


def test_app_may_be_replaced_as_in_any_filter(start, write, captured):
    app = start("traces_sample_rate = 0.0")
    before = copy(app.app)

    def other(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"other"]

    app.app.app = other
    assert get(app).text == "other"
    write("traces_sample_rate = 1.0")
    assert get_later(app).text == "other"
    assert TestApp(before).get("/").text == "answer"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_child_that_was_forked_during_a_change_does_not_wait(start, write, captured):
    app = start("traces_sample_rate = 0.0")
    write("traces_sample_rate = 1.0")
    with registry._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(60)  # ends it if it waits
            get(app)
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_change_that_was_interrupted_applies_with_the_next_look(start, write, captured, monkeypatch):
    app = start("traces_sample_rate = 0.0")
    write("traces_sample_rate = 1.0")

    def interrupt(*_):  # as a timeout of gevent's, or a server that ends
        raise SystemExit

    later()
    with monkeypatch.context() as patch:
        patch.setattr(FilterState, "again", interrupt)
        with pytest.raises(SystemExit):
            get(app)
    get_later(app)
    assert len(captured.transactions) == 1


def test_warnings_of_an_ini_are_not_repeated(start, write, captured, caplog):
    app = start("traces_sample_rate = 0.0", 'tags.a = "b"')
    caplog.clear()
    write("traces_sample_rate = 1.0", 'tags.a = "b"')
    get_later(app)
    assert not messages(caplog)


def test_changes_are_logged_without_secrets(start, write, captured, caplog):
    caplog.set_level(logging.INFO, "sentry_paste")
    app = start("traces_sample_rate = 0.0")
    path = write("traces_sample_rate = 1.0", "tags.token = abc")
    get_later(app)
    assert messages(caplog, logging.INFO) == [
        f"{path} [filter:sentry] has been read again: tags.token = ***; traces_sample_rate = 1.0 (was 0.0)"
    ]


def test_control_characters_of_an_ini_do_not_reach_the_log(start, write, captured, caplog):
    caplog.set_level(logging.INFO, "sentry_paste")
    app = start("tags.a = old")
    write("tags.a = red \x1b[31m\u202e text", "tags.b\x07 = b", "environment\x1b[1m = x")
    for _ in range(2):
        get_later(app)
    write("tags.a = red \x1b[31m\u202e text")
    get_later(app)
    found = messages(caplog, logging.INFO)
    assert [text for text in found if not text.replace("\n", "").isprintable()] == []
    assert "environment\\x1b[1m: is not an option" in found[0]
    assert "tags.a = red \\x1b[31m\\u202e text (was old)" in found[1]


@pytest.fixture
def own_client(monkeypatch):
    """A client that the app has made itself; what it captures."""
    client = sentry_sdk.Client(dsn="https://k@o0.ingest.sentry.io/1", traces_sample_rate=1.0)
    sentry_sdk.get_global_scope().set_client(client)
    sent = CapturedEnvelopes()
    monkeypatch.setattr(client.transport, "capture_envelope", sent.append)
    return sent


def test_change_that_the_apps_own_client_does_not_follow_is_said(write, own_client, caplog):
    caplog.set_level(logging.INFO, "sentry_paste")
    ini = INI.replace("dsn = https://k@o0.ingest.sentry.io/1", "")
    path = write("ignore_messages = a", "tags.a = b", "ignore_paths = /health", ini=ini)
    app = TestApp(loadapp(f"config:{path}"))
    (message,) = messages(caplog)
    assert message.endswith("which was created without these options: ignore_messages, tags.a")
    caplog.clear()
    changed = ("ignore_messages = *", "tags.a = c", "contexts.b.c = d", "ignore_paths = /lost")
    write(*changed, "traces_sample_rate = 0.0", ini=ini)
    for _ in range(3):
        get_later(app, "/lost")
    assert messages(caplog, logging.INFO) == [
        f"{path} [filter:sentry] has been read again: ignore_paths = /lost (was /health)",
        f"{path} [filter:sentry]: a change of contexts.b.c, ignore_messages, tags.a, traces_sample_rate has "
        "no effect: the app's own client is used",
    ]
    assert not own_client.transactions
    get(app, "/crash")
    assert len(own_client.payloads("event")) == 1
    (found,) = report()["filters"]
    assert [change["option"] for change in found["changes"]] == ["ignore_paths"]
    assert found["without_effect"] == ["contexts.b.c", "ignore_messages", "tags.a", "traces_sample_rate"]


def test_change_beyond_what_is_shown_of_a_value_is_said(start, write, captured, caplog):
    caplog.set_level(logging.INFO, "sentry_paste")
    names = " ".join(f"library.module{number}" for number in range(20))
    app = start(f"ignore_loggers = {names}")
    write(f"ignore_loggers = {names} last")
    get_later(app)
    assert "ignore_loggers has changed: library.module0 " in messages(caplog, logging.INFO)[-1]


def test_app_that_a_log_handler_loads_does_not_wait_for_the_look(start, write, captured):
    app = start("traces_sample_rate = 0.0")
    path = write("traces_sample_rate = 1.0")
    loaded = []

    class Handler(logging.Handler):
        def emit(self, record):
            if not loaded:
                loaded.append(None)
                loaded[0] = loadapp(f"config:{path}")

    logger, handler = logging.getLogger("sentry_paste"), Handler(logging.INFO)
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    later()
    request = threading.Thread(target=get, args=(app,), daemon=True)
    try:
        request.start()
        request.join(30)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    assert not request.is_alive()
    assert isinstance(loaded[0], ReloadingMiddleware)
    assert not reloading._is_outdated


def test_threads_outside_of_requests_have_the_new_rules(start, write, captured):
    app = start()
    write("ignore_messages = nothing *")
    get_later(app)
    thread = threading.Thread(target=lambda: sentry_sdk.capture_message("nothing new"))
    thread.start()
    thread.join()
    assert not captured.payloads("event")


def test_client_is_closed_once_and_views_go_with_their_requests(start, write, captured):
    app = start("traces_sample_rate = 0.0")
    made = app.app.client
    views = []
    for number in range(1, 5):
        write(f"traces_sample_rate = 0.{number}")
        get_later(app)
        views.append(weakref.ref(app.app.client))
    assert {sdk.origin(view()) for view in views[-1:]} == {made}
    gc.collect()
    assert [view() is None for view in views] == [True, True, True, False]
    assert registry.clients() == [app.app.client]


def test_ini_may_change_while_a_test_of_the_app_captures(write):
    app = TestApp(loadapp(f"config:{write('traces_sample_rate = 0.0')}"))
    own = app.app.client.transport
    for rate in ("1.0", "0.5"):
        with capture_envelopes() as captured:
            write(f"traces_sample_rate = {rate}", "tags.a = b")
            get_later(app, "/crash")
            assert captured.payloads("event")[0]["tags"]["a"] == "b"
        assert app.app.client.transport is own


def test_flipping_back_brings_the_client_itself_back(start, write, captured):
    app = start("traces_sample_rate = 0.0")
    made = app.app.client
    for rate in ("1.0", "0.0"):
        write(f"traces_sample_rate = {rate}")
        get_later(app)
    assert app.app.client is made
    assert sentry_sdk.get_global_scope().client is made


def test_every_request_is_measured_by_one_of_two_inis(start, write, captured):
    """Both parts of a request say by which ini it was measured: its name, and the tag of its error."""
    versions = [("one", "traces_sample_rate = 1.0"), ("two", "traces_sample_rate = 1.0")]

    def save(number):
        name, rate = versions[number % 2]
        return write(rate, f"transaction_names = * {name}", f"tags.version = {name}")

    middleware = loadapp(f"config:{save(0)}")
    stop, counts = threading.Event(), []

    def serve():
        count = 0
        app = TestApp(middleware)
        while not stop.is_set():
            get_later(app, "/crash")
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=serve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(FLIPS):
        save(number)
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    transactions, events = captured.transactions, captured.payloads("event")
    assert len(transactions) == len(events) == sum(counts) > FLIPS
    of_events = {event["contexts"]["trace"]["trace_id"]: event["tags"]["version"] for event in events}
    assert [of_events[found.trace_id] for found in transactions] == [found.name for found in transactions]
    assert set(of_events.values()) == {"one", "two"}


def test_reload_without_a_file_says_that_it_has_no_effect(captured, caplog):
    app = loadapp_without_file()
    assert type(app) is SentryMiddleware
    assert "reload has no effect" in messages(caplog)[0]


def loadapp_without_file():
    from sentry_paste import filter_factory

    options = {"dsn": "https://k@o0.ingest.sentry.io/1", "reload": "true"}
    return filter_factory({}, **options)(make_app({}))


PYRAMID = """
    [app:main]
    paste.app_factory = test_reloading:make_pyramid_app
    pyramid.includes = sentry_paste
    sentry.dsn = https://k@o0.ingest.sentry.io/1
    sentry.reload = true
    sentry.traces_sample_rate = {options}
"""


def make_pyramid_app(global_conf, **settings):
    from pyramid.config import Configurator

    has_file = settings.pop("has_file", None) != "no"
    return Configurator(settings={**(global_conf if has_file else {}), **settings}).make_wsgi_app()


@pytest.mark.parametrize("added", [{}, {"sentry.environment": "other", "rate": "fast"}])
def test_settings_of_a_pyramid_app_are_read_again(write, captured, added):
    pytest.importorskip("pyramid")
    ini = PYRAMID + "    sentry.tags.here = %(here)s\n"
    app = TestApp(loadapp(f"config:{write('0.0', ini=ini)}", global_conf=added))
    get(app)
    write("1.0", ini=ini)
    get_later(app)
    (transaction,) = captured.transactions
    assert transaction["environment"] == added.get("sentry.environment", "production")


def test_pyramid_app_without_the_path_of_its_ini_says_so(start, captured, caplog):
    pytest.importorskip("pyramid")
    start("0.0", ini=PYRAMID + "    has_file = no\n")
    assert (
        "reload has no effect: the app's settings have no __file__; give its Configur" in messages(caplog)[0]
    )


@pytest.fixture
def run(monkeypatch, write_ini):
    """Load an app as ``sentry-paste run`` does."""
    monkeypatch.setattr(loadwsgi.LoaderContext, "create", loadwsgi.LoaderContext.create)
    monkeypatch.setattr(loadwsgi, "loadcontext", loadwsgi.loadcontext)
    monkeypatch.setenv("SENTRY_PASTE_DSN", "https://k@o0.ingest.sentry.io/1")
    monkeypatch.setenv("SENTRY_PASTE_RELOAD", "true")

    def run():
        patch(loadwsgi)
        path = write_ini("[app:main]\npaste.app_factory = test_reloading:make_app\n")
        return TestApp(loadwsgi.loadapp(f"config:{path}"))

    return run


def test_file_of_the_run_command_is_read_again(run, captured, tmp_path, monkeypatch):
    path = tmp_path / "sentry.ini"
    monkeypatch.setenv("SENTRY_PASTE_CONFIG", str(path))
    path.write_text("[sentry]\ntraces_sample_rate = 0.0\n")
    app = run()
    path.write_text("[sentry]\ntraces_sample_rate = 1.0\n")
    get_later(app)
    assert len(captured.transactions) == 1


def test_variables_alone_cannot_change(run, captured, caplog):
    app = run()
    assert type(app.app) is SentryMiddleware
    assert "reload has no effect: the options come from variables alone" in messages(caplog)[0]


def test_variables_are_those_of_the_process(start, write, captured, monkeypatch):
    monkeypatch.setenv("RATE", "1.0")
    app = start("traces_sample_rate = ${RATE}")
    write("traces_sample_rate = ${RATE}", "tags.a = ${RATE}")
    get_later(app, "/crash")
    assert len(captured.transactions) == 1
    assert captured.payloads("event")[0]["tags"]["a"] == "1.0"


@pytest.mark.parametrize("seconds", [-1e6, 1e6])
def test_clock_that_is_set_changes_nothing(start, write, captured, monkeypatch, seconds):
    monkeypatch.setattr(watched, "FRESH", 2.0)
    app = start("traces_sample_rate = 0.0")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + seconds)
    write("traces_sample_rate = 1.0")
    get_later(app)
    assert len(captured.transactions) == 1


def test_app_works_without_a_place_for_temporary_files(start, write, captured, monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    app = start("traces_sample_rate = 0.0")
    write("traces_sample_rate = 1.0")
    get_later(app)
    assert len(captured.transactions) == 1
    (message,) = messages(caplog)
    assert "sentry-paste reload will not find this process" in message


def test_with_command_only_the_command_has_the_ini_read(start, write, captured):
    app = start("traces_sample_rate = 0.0", ini=INI.replace("reload = true", "reload = command"))
    write("traces_sample_rate = 1.0", ini=INI.replace("reload = true", "reload = command"))
    for _ in range(2):
        get_later(app)
    assert not captured.transactions
    os.utime(reloading._file._path, (1, 1))
    get_later(app)
    assert len(captured.transactions) == 1


def report():
    with open(reloading._file._path) as file:
        return json.load(file)


def test_file_of_the_process_comes_back_if_somebody_removes_it(start, write, captured):
    app = start()
    os.unlink(reloading._file._path)
    get_later(app)
    assert report()["filters"][0]["result"] == "unchanged"


@pytest.mark.parametrize(
    ("arguments", "program"),
    [(["/usr/bin/gunicorn", "x"], "gunicorn"), (["/lib/gunicorn/__main__.py"], "gunicorn"), ([], "")],
)
def test_file_of_the_process_names_its_program(start, captured, monkeypatch, arguments, program):
    monkeypatch.setattr(sys, "argv", arguments)
    start()
    assert report()["program"] == program


def test_directory_of_somebody_else_is_not_used(start, write, captured, caplog, tmp_path):
    directory = tmp_path / "tmp" / f"sentry-paste-{os.geteuid()}"
    directory.mkdir()
    directory.chmod(0o777)
    app = start("traces_sample_rate = 0.0")
    assert "sentry-paste reload will not find this process" in messages(caplog)[0]
    write("traces_sample_rate = 1.0")
    get_later(app)
    assert len(captured.transactions) == 1
    assert len(messages(caplog)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_child_looks_before_its_first_request(start, write, captured):
    app = start("traces_sample_rate = 0.0", ini=INI.replace("reload = true", "reload = command"))
    own = reloading._file._path
    write("traces_sample_rate = 1.0", ini=INI.replace("reload = true", "reload = command"))
    reloading.due, reader, writer = time.monotonic() + 60, *os.pipe()
    os.utime(own, (1, 1))  # the command, before the child has had a request
    child = os.fork()
    if child == 0:
        try:
            get(app)
            os.write(
                writer,
                json.dumps(
                    [app.app.settings.sdk["traces_sample_rate"], own in reloading._file._path]
                ).encode(),
            )
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert json.loads(os.read(reader, 100)) == [1.0, False]
    os.close(reader)
    os.close(writer)
    assert os.path.exists(own)


def test_settings_of_the_start_are_those_that_are_read_again(start, captured):
    app = start("traces_sample_rate = 0.5", "ignore_paths = /a")
    later()
    before = app.app.settings
    get(app)
    assert app.app.settings is before
    assert replace(before) == before
