"""One client for each distinct settings."""

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
import sentry_sdk

from sentry_paste import ConfigError, SentryMiddleware, filter_factory, sdk
from sentry_paste.client.registry import registry
from sentry_paste.spool import Spool
from sentry_paste.spool.transport import SpoolTransport

import apps
import servers
from wsgi_calls import call, environ_of

DSN = "http://key@127.0.0.1:9/1"

INI = """
    [filter:sentry]
    use = egg:sentry_paste
    dsn = {dsn}

    [filter:other]
    use = egg:sentry_paste
    dsn = {other_dsn}

    [app:app]
    paste.app_factory = apps:make_app

    [pipeline:one]
    pipeline = sentry app

    [pipeline:two]
    pipeline = sentry app

    [pipeline:three]
    pipeline = other app
"""


def test_section_in_two_pipelines_makes_one_client(load):
    ini = INI.format(dsn=DSN, other_dsn=DSN + "1")
    one, two = load(ini, "one"), load(ini, "two")
    assert one.client is two.client is sentry_sdk.get_client()


def test_ini_that_is_loaded_twice_makes_one_client(load):
    for _ in range(2):
        load(INI.format(dsn=DSN, other_dsn=DSN + "1"), "one")
    assert len(registry.clients()) == 1


def test_many_threads_make_one_client():
    barrier = threading.Barrier(8)

    def load():
        barrier.wait()
        filter_factory({}, dsn=DSN)

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry.clients()) == 1


def test_two_dsns_get_their_own_events(load, receiver):
    ini = INI.format(dsn=receiver.dsn, other_dsn=receiver.dsn.replace("public", "other"))
    for name in ("one", "three"):
        call(load(ini, name), environ_of(f"/crash/{name}"))
    calls = [client.dsn for client in registry.clients()]
    assert len(calls) == 2
    for client in registry.clients():
        client.flush()
    receiver.wait(errors=2)
    keys = {
        raw.split(b'"public_key":"')[1].split(b'"')[0] for raw in receiver.raw if b'"public_key":"' in raw
    }
    assert keys == {b"public", b"other"}


def test_first_client_is_global_and_the_others_are_bound_to_their_requests(load):
    ini = INI.format(dsn=DSN, other_dsn=DSN + "1")
    seen = []

    def app(environ, start_response):
        seen.append(sentry_sdk.get_client().dsn)
        return []

    load(ini, "one")
    other = load(ini, "three")
    call(SentryMiddleware(app, other.settings))
    assert seen == [DSN + "1"]
    assert sentry_sdk.get_client().dsn == DSN


def test_client_of_the_app_stays_global():
    sentry_sdk.init(dsn=DSN)
    app = SentryMiddleware(apps.by_path, dsn=DSN + "1")
    assert sentry_sdk.get_client().dsn == DSN
    assert app.client.dsn == DSN + "1"


def test_dsn_of_the_environment_is_used(monkeypatch):
    monkeypatch.setenv("SENTRY_DSN", DSN)
    app = filter_factory({})(apps.by_path)
    assert app.client.dsn == DSN


def test_no_client_without_a_place_to_send_to():
    assert SentryMiddleware(apps.by_path, environment="x", traces_sample_rate="1").client is None
    assert registry.clients() == []


def test_transport_class_without_a_dsn_is_no_place_to_send_to():
    assert SentryMiddleware(apps.by_path, transport="sentry_sdk.transport:HttpTransport").client is None


def test_middleware_without_a_client_calls_the_app_alone():
    app = SentryMiddleware(apps.by_path)
    assert type(app(environ_of("/answer_list"), lambda *args: None)) is list


@pytest.mark.skipif(
    not hasattr(sentry_sdk, "traces"),
    reason="the spotlight of an old sentry-sdk needs Django's settings if Django is installed",
)
@pytest.mark.parametrize(
    ("name", "value"), [("spotlight", "http://127.0.0.1:9/stream"), ("SENTRY_SPOTLIGHT", "1")]
)
def test_spotlight_is_a_place_to_send_to(monkeypatch, name, value):
    if name.isupper():
        monkeypatch.setenv(name, value)
    app = filter_factory({}, **({} if name.isupper() else {name: value}))(apps.by_path)
    assert app.client.spotlight is not None


def test_deprecations_of_the_sdk_are_not_shown_to_users_of_an_ini():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filter_factory({}, dsn=DSN, send_default_pii="true")


def test_what_the_sdk_refuses_is_a_config_error(monkeypatch):
    def refuse(*args, **kwargs):
        raise ValueError("not with me")

    monkeypatch.setattr("sentry_paste.client.registry.GuardedClient", refuse)
    with pytest.raises(ConfigError, match="sentry-sdk: rejects the options: not with me"):
        filter_factory({"__file__": "x.ini"}, dsn=DSN)


def test_sdk_that_fails_to_start_leaves_the_app_itself(monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise RuntimeError("an integration is broken")

    monkeypatch.setattr("sentry_paste.client.registry.GuardedClient", fail)
    assert filter_factory({}, dsn=DSN)(apps.by_path) is apps.by_path
    assert [record.getMessage() for record in caplog.records] == [
        "Sentry failed to start: nothing is reported"
    ]


def test_no_thread_is_started_in_the_factory():
    before = set(threading.enumerate())
    filter_factory({}, dsn=DSN, release="1", traces_sample_rate="1")
    assert set(threading.enumerate()) <= before


def test_spool_dir_without_a_dsn_keeps_envelopes_as_files(tmp_path):
    app = filter_factory({"here": str(tmp_path)}, spool_dir="var/spool", release="1")(apps.by_path)
    assert isinstance(app.client.transport, SpoolTransport)
    call(app, environ_of("/crash"))
    assert [file.kind for file in app.client.transport.spool.files()] == ["error"]


def test_spool_dir_with_a_dsn_is_empty_once_all_is_delivered(tmp_path, receiver):
    app = filter_factory({"here": str(tmp_path)}, spool_dir="spool", dsn=receiver.dsn)(apps.by_path)
    call(app, environ_of("/crash"))
    receiver.wait(errors=1)
    assert Spool(tmp_path / "spool").files() == []


def test_reset_forgets_the_clients():
    filter_factory({}, dsn=DSN)
    registry.reset()
    assert registry.clients() == []
    assert not sentry_sdk.get_client().is_active()


def test_second_client_of_the_app_is_logged(caplog):
    sentry_sdk.init(dsn=DSN)
    filter_factory({}, dsn=DSN + "1")
    assert "the app has its own Sentry client" in caplog.text


def test_options_without_effect_on_the_app_s_client_are_logged(caplog):
    sentry_sdk.init(dsn=DSN)
    filter_factory({}, max_breadcrumbs="7")(apps.by_path)
    assert "options: max_breadcrumbs" in caplog.text


def test_every_client_sends_what_it_has_at_exit(receiver, tmp_path):
    script = f"""
import apps
from sentry_paste import SentryMiddleware
from wsgi_calls import call
for dsn in ({receiver.dsn!r}, {receiver.dsn.replace("public", "other")!r}):
    for _ in range(5):
        call(SentryMiddleware(apps.crash, dsn=dsn, release="1", shutdown_timeout=60))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    subprocess.run(
        [sys.executable, "-c", script], check=True, timeout=180, env=environment, stderr=subprocess.DEVNULL
    )
    receiver.wait(errors=10)
    assert len(receiver.envelopes.sessions) == 2


@pytest.mark.parametrize("in_request", ["pass", "import sentry_sdk; sentry_sdk.set_tag('a', 'b')"])
def test_sessions_of_a_process_that_has_sent_nothing_arrive_at_its_end(receiver, in_request):
    """Python 3.12 starts no thread then, and the one that sends was not needed before."""
    program = (
        "import wsgi_calls as wsgi\n"
        "from sentry_paste import SentryMiddleware\n"
        "def app(environ, start_response):\n"
        f"    {in_request}\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [b'hello']\n"
        f"app = SentryMiddleware(app, dsn={receiver.dsn!r}, release='1', shutdown_timeout=60)\n"
        "wsgi.call(app, wsgi.environ_of('/'))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env=servers.environment(), capture_output=True, timeout=180
    )
    assert ended.returncode == 0, ended.stderr
    assert sum(counts.get("exited", 0) for counts in receiver.envelopes.sessions) == 1


def test_request_without_a_session_starts_no_thread():
    program = (
        "import sentry_sdk, threading, wsgi_calls as wsgi\n"
        "from sentry_paste import SentryMiddleware\n"
        "def app(environ, start_response):\n"
        "    sentry_sdk.set_tag('a', 'b')\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [b'hello']\n"
        f"app = SentryMiddleware(app, dsn={DSN!r}, auto_session_tracking=False)\n"
        "wsgi.call(app, wsgi.environ_of('/'))\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env=servers.environment(), capture_output=True, timeout=180
    )
    assert ended.returncode == 0, ended.stderr


class TestVersions:
    LINES = "dsn = https://k@sentry.example/1\nprofiles_sample_rate = 0.5\ntraces_sample_rate = 0.1"
    INI = (
        "[filter:sentry]\nuse = egg:sentry_paste\n{lines}\n"
        "[app:main]\npaste.app_factory = apps:make_app\nfilter-with = sentry\n"
    )

    @pytest.mark.skipif(
        not hasattr(sentry_sdk, "traces") or sdk.MAJOR > 2, reason="this sentry-sdk deprecates nothing of it"
    )
    def test_what_the_sdk_deprecates_is_logged_by_line(self, load, captured, caplog):
        load(self.INI.format(lines=self.LINES))
        messages = [record.getMessage() for record in caplog.records if record.name == "sentry_paste"]
        (message,) = [message for message in messages if "deprecated" in message]
        assert "line 4: profiles_sample_rate is deprecated by sentry-sdk" in message

    def test_other_warnings_of_the_sdk_are_still_warnings(self, captured, monkeypatch):
        for_client = sdk.for_client

        def warns(options):
            warnings.warn("of another kind", UserWarning, stacklevel=1)
            return for_client(options)

        monkeypatch.setattr("sentry_paste.sdk.for_client", warns)
        with pytest.warns(UserWarning, match="of another kind"):
            SentryMiddleware(apps.answer_list, environment="of this test")

    @pytest.mark.parametrize(
        ("installed", "is_new"), [((3, 0), False), ((3, 1), True), ((2, 76), True), ((4, 0), True)]
    )
    def test_sdk_that_is_newer_than_tested_is_logged_once(
        self, captured, caplog, monkeypatch, installed, is_new
    ):
        caplog.set_level("INFO")
        monkeypatch.setattr(sdk.options, "_INSTALLED", installed)
        for environment in ("one", "two"):
            SentryMiddleware(apps.answer_list, environment=environment)
        found = [record for record in caplog.records if "newest that was tested" in record.getMessage()]
        assert len(found) == is_new
