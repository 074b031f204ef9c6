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
        # A proxy on this machine has forwarded it, from whomever.
        {**LOOPBACK, "HTTP_X_FORWARDED_FOR": "192.0.2.7"},
        {**LOOPBACK, "HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {**LOOPBACK, "HTTP_FORWARDED": "for=127.0.0.1"},
        {**LOOPBACK, "HTTP_VIA": "1.1 proxy"},
        {"REMOTE_ADDR": "198.51.100.7", "HTTP_X_FORWARDED_FOR": "198.51.100.8"},
        {**LOOPBACK, "SERVER_PROTOCOL": "HTTP/1.0", "HTTP_CONNECTION": "close"},
        {**LOOPBACK, "HTTP_HOST": "shop.example"},
        {**LOOPBACK, "HTTP_HOST": "localhost", "SERVER_PORT": "8080"},
        # waitress has removed what would show it.
        {**LOOPBACK, "SERVER_SOFTWARE": "waitress"},
        # A page of another site, also one whose name resolves to this machine, has a browser send it.
        {**LOOPBACK, "HTTP_HOST": "evil.example:80", "HTTP_SEC_FETCH_SITE": "same-origin"},
        {"REMOTE_ADDR": "198.51.100.7", "HTTP_HOST": "evil.example:80"},
        {**LOOPBACK, "HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_SEC_FETCH_MODE": "no-cors"},
        {**LOOPBACK, "HTTP_SEC_FETCH_SITE": "same-site"},
    ],
)
def test_others_than_this_machine_are_not_answered(make, spool, environ):
    spool.write(envelope())
    answer = make(environ, allow="198.51.100.0/24").get("/", status=403)
    assert answer.json.keys() == {"status", "reason"}


@pytest.mark.parametrize(
    "environ",
    [
        LOOPBACK,
        {"REMOTE_ADDR": "::1", "HTTP_HOST": "[::1]:80"},
        {**LOOPBACK, "HTTP_HOST": "127.0.0.1:8080", "SERVER_PORT": "8080"},
        # As a load balancer that asks by address, and as one that speaks HTTP/1.0.
        {"REMOTE_ADDR": "198.51.100.7", "HTTP_HOST": "198.51.100.1:8080", "SERVER_PORT": "80"},
        {"REMOTE_ADDR": "198.51.100.7", "SERVER_PROTOCOL": "HTTP/1.0", "HTTP_HOST": ""},
        {"REMOTE_ADDR": "198.51.100.7", "HTTP_HOST": "front-1.internal:80"},
    ],
)
def test_who_is_allowed_is_answered(make, environ):
    answer = make(environ, allow="198.51.100.0/24", allow_hosts="front-1.internal").get("/")
    assert answer.json == {"status": "ok"}


TOKEN = "0123456789abcdef"
BEHIND_PROXY = {**LOOPBACK, "HTTP_HOST": "shop.example", "HTTP_X_FORWARDED_FOR": "192.0.2.7"}


@pytest.mark.parametrize("environ", [LOOPBACK, BEHIND_PROXY])
def test_token_in_the_ini_is_all_that_a_request_needs(make, environ):
    app = make(environ, inbox_token=TOKEN)
    assert app.get(f"/?token={TOKEN}").json == {"status": "ok"}
    assert app.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).json == {"status": "ok"}


@pytest.mark.parametrize("environ", [LOOPBACK, BEHIND_PROXY])
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", f"Basic {TOKEN}", "Bearer \xe9"])
def test_token_in_the_ini_is_needed_by_everybody(make, environ, header):
    app = make(environ, inbox_token=TOKEN)
    for path in ("/", "/?token=", "/?token=x", "/?token=%C3%A9"):
        assert "counts" not in app.get(path, headers={"Authorization": header}, status=403).json


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
