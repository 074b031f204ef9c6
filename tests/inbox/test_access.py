"""Who may look: this machine, and whom the ini names."""

import pytest

from spooled import ERROR_ID, error_event, keep


@pytest.fixture
def ask(inbox):
    """The status that a request gets, from an address and with a Host header."""

    def ask(remote="127.0.0.1", host="localhost", options="", path="/", **environ):
        app = inbox(f"spool_dir = spool\n{options}", environ={})
        if remote is not None:
            environ["REMOTE_ADDR"] = remote
        return app.get(path, headers={"Host": host}, extra_environ=environ, expect_errors=True).status_int

    return ask


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_answered(ask, remote):
    assert ask(remote) == 200


@pytest.mark.parametrize(
    "remote",
    ["192.0.2.7", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.7", "0.0.0.0", "", "localhost", "x", None],
)
def test_others_are_not(ask, remote):
    assert ask(remote) == 403


def test_an_address_that_allow_names_is_answered(ask):
    assert ask("192.0.2.7", options="allow = 192.0.2.7") == 200
    assert ask("192.0.2.8", options="allow = 192.0.2.7") == 403


def test_a_network_that_allow_names_is_answered(ask):
    options = "allow = 192.0.2.0/24, 2001:db8::/32"
    assert [ask(remote, options=options) for remote in ("192.0.2.9", "2001:db8::7", "198.51.100.1")] == [
        200,
        200,
        403,
    ]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:6543",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1:80",
        "127.1.2.3",
        "[::1]:8080",
        "dev.localhost",
    ],
)
def test_hosts_of_loopback_are_answered(ask, host):
    assert ask(host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:6543",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1%evil.example",
        "[::1].evil.example",
        "[::1%25].evil.example",
        "192.0.2.7",
        "",
    ],
)
def test_a_name_that_was_made_to_lead_here_is_refused(ask, host):
    assert ask(host=host) == 403


def test_a_host_that_allow_hosts_names_is_answered(ask):
    assert ask(host="devbox:6543", options="allow_hosts = devbox") == 200
    assert ask(host="other", options="allow_hosts = devbox") == 403


@pytest.mark.parametrize(
    "header",
    [
        {"HTTP_X_FORWARDED_FOR": "192.0.2.7"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1, 192.0.2.7"},
        {"HTTP_X_REAL_IP": "192.0.2.7"},
        {"HTTP_FORWARDED": 'for="[2001:db8::1]:4711";proto=http'},
        {"HTTP_FORWARDED": "for=unknown"},
        {"HTTP_FORWARDED": "secret"},
    ],
)
def test_whom_a_proxy_on_this_machine_speaks_for_is_refused(ask, header):
    assert ask(**header) == 403


def test_a_proxy_that_speaks_for_this_machine_is_answered(ask):
    assert ask(HTTP_X_FORWARDED_FOR="127.0.0.1", HTTP_FORWARDED='for="[::1]:80"') == 200


@pytest.mark.parametrize("path", ["/", "/list", f"/envelope/{ERROR_ID}", "/static/inbox.css", "/nowhere"])
def test_every_address_is_refused_alike_and_tells_nothing(inbox, spool, path):
    keep(spool, error_event())
    app = inbox("spool_dir = spool", environ={"REMOTE_ADDR": "192.0.2.7"})
    response = app.get(path, status=403)
    assert "OrderError" not in response.text
    assert "see allow in its section of the ini" in response.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_get_and_head_are_answered(app, method):
    response = app.request("/", method=method, status=405)
    assert response.headers["Allow"] == "GET, HEAD"


def test_head_has_the_headers_of_get_and_no_body(app):
    head = app.head("/static/inbox.css")
    assert head.body == b""
    assert head.headers["Content-Type"] == "text/css; charset=utf-8"


PATHS = ["/", "/list", f"/envelope/{ERROR_ID}", "/nowhere", "/static/inbox.js", "/static/inbox.css"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_a_strict_policy(app, spool, path):
    keep(spool, error_event())
    headers = app.get(path, expect_errors=True).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy.pop("default-src") == policy.pop("base-uri") == policy.pop("frame-ancestors") == "'none'"
    assert set(policy.values()) == {"'self'"}
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in headers


def test_what_was_captured_is_not_kept_by_the_browser(app, spool):
    keep(spool, error_event())
    for path in ("/", "/list", f"/envelope/{ERROR_ID}"):
        assert app.get(path).headers["Cache-Control"] == "no-store"
