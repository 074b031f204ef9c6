"""The app that answers whether a spool is delivered."""

import os

import pytest
from webtest import TestApp

from sentry_paste import ConfigError
from sentry_paste.inbox.health import main
from sentry_paste.spool import Spool

from spooled import envelope

LOOPBACK = {"REMOTE_ADDR": "127.0.0.1"}


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.fixture
def make(spool):
    def make(environ=LOOPBACK, **options):
        return TestApp(main({}, spool_dir=str(spool.directory), **options), environ)

    return make


def wait_for(spool, seconds):
    file = spool.write(envelope())
    status = file.path.stat()
    os.utime(file.path, (status.st_atime, status.st_mtime - seconds))
    return file


def test_spool_that_is_delivered_is_healthy(make, spool):
    file = spool.write(envelope())
    spool.remove(file)
    answer = make().get("/")
    assert answer.json["status"] == "ok"
    assert answer.json["counts"] == {"error": {"captured": 1, "delivered": 1}}
    assert answer.headers["Cache-Control"] == "no-store"


def test_spool_without_a_directory_is_healthy(make, spool):
    assert make().get("/").json == {"status": "ok"}
    assert not spool.directory.exists()


def test_file_that_waits_too_long_makes_it_unhealthy(make, spool):
    wait_for(spool, 3500)
    assert make().get("/").json["status"] == "ok"
    assert make(spool_stale_after="10 min").get("/", status=503).json["status"] == "stale"
    assert make(spool_stale_after="3600").get("/").json["oldest_waiting_seconds"] >= 3500
    wait_for(spool, 3700)
    assert make().get("/", status=503).json["counts"]["error"]["waiting"] == 2


def test_file_that_was_set_aside_does_not_wait(make, spool):
    spool.set_aside(wait_for(spool, 9999), "http 413")
    assert make().get("/").json["aside"] == {"http_413": 1}


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": ""},
        {},
        {**LOOPBACK, "HTTP_X_FORWARDED_FOR": "192.0.2.7"},
        {**LOOPBACK, "HTTP_VIA": "1.1 proxy"},
    ],
)
def test_others_than_this_machine_are_not_answered(make, environ):
    answer = make(environ, allow="198.51.100.0/24").get("/", status=403)
    assert "counts" not in answer.json


def test_allowed_networks_are_answered(make):
    assert make({"REMOTE_ADDR": "192.0.2.7"}, allow="192.0.2.0/24").get("/").json == {"status": "ok"}


def test_head_has_no_body_and_other_methods_are_refused(make):
    assert make().head("/").body == b""
    make().post("/", status=405)


@pytest.mark.parametrize(
    "options", [{"spool_stale_after": "soon"}, {"spool_stale": "5"}, {"allow": "everybody"}]
)
def test_mistakes_are_raised(make, options):
    with pytest.raises(ConfigError):
        make(**options)


def test_directory_is_needed():
    with pytest.raises(ConfigError, match="spool_dir"):
        main({})
