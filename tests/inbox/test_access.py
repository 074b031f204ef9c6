"""Who may look without the token: browsers on this machine, and those that the ini names."""

import pytest

from spooled import ERROR_ID, LOOPBACK, error_event, write_event

BROWSER = {name: value for name, value in LOOPBACK.items() if name != "REMOTE_ADDR"}


@pytest.fixture
def ask(inbox):
    """The status that a request gets, from an address and with a Host header, of a server at port 6543."""

    def ask(remote="127.0.0.1", host="localhost:6543", options="", path="/", **environ):
        app = inbox(f"spool_dir = spool\n{options}", environ={})
        environ = {"SERVER_PORT": "6543", **BROWSER, **environ}
        environ = {name: value for name, value in environ.items() if value is not None}
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
        "localhost:6543",
        "LOCALHOST:6543",
        "localhost.:6543",
        "127.0.0.1:6543",
        "127.1.2.3:6543",
        "[::1]:6543",
        "dev.localhost:6543",
    ],
)
def test_hosts_of_loopback_are_answered(ask, host):
    assert ask(host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
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
    assert ask(host=f"{host}:6543") == 403
    assert ask(host=host, SERVER_PORT="80") == 403


@pytest.mark.parametrize(
    "host",
    [
        "localhost",  # nginx's $host has no port
        "localhost:80",
        "localhost:443",
        "localhost:65430",
        "localhost:06543",
        "localhost:",
        "localhost:6543:",
        "127.0.0.1",
        "[::1]",
        "[::6543]",
    ],
)
def test_a_port_that_is_not_the_server_s_is_refused(ask, host):
    assert ask(host=host) == 403


@pytest.mark.parametrize(
    ("scheme", "host", "port", "status"),
    [
        ("http", "localhost", "80", 200),
        ("http", "localhost:80", "80", 200),
        ("http", "[::1]", "80", 200),
        ("https", "localhost", "443", 200),
        ("https", "localhost", "80", 403),
        ("http", "localhost", "443", 403),
        ("http", "localhost", "", 403),
        ("http", "localhost:6543", None, 403),
    ],
)
def test_a_host_without_a_port_is_at_the_usual_one(inbox, scheme, host, port, status):
    app = inbox("spool_dir = spool").app
    environ = {**LOOPBACK, "REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": scheme}
    environ.update({"HTTP_HOST": host} if port is None else {"HTTP_HOST": host, "SERVER_PORT": port})
    started = []
    list(app(environ, lambda status, headers: started.append(status)))
    assert started[0][:3] == str(status)


def test_a_host_that_allow_hosts_names_is_answered(ask):
    assert ask(host="devbox:6543", options="allow_hosts = devbox") == 200
    assert ask(host="devbox", options="allow_hosts = devbox") == 403
    assert ask(host="other:6543", options="allow_hosts = devbox") == 403


# What says that a request was passed on: by proxies, load balancers and content delivery networks, as their
# documentations have it.
SIGNS = """
Forwarded X-Forwarded X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port X-Forwarded-Server
X-Forwarded-Prefix X-Forwarded-By X-Forwarded-Client-Cert X-Forwarded-Ssl X-Forwarded-Anything-New
Forwarded-For Via X-Real-IP X-Real-Ip X-Real-Host X-Client-IP True-Client-IP Client-IP X-Cluster-Client-IP
Fastly-Client-IP CF-Connecting-IP CF-Ray CF-Visitor CDN-Loop Akamai-Origin-Hop X-Original-URL
X-Original-Host X-Original-For X-Original-Forwarded-For X-Envoy-External-Address
X-Envoy-Expected-Rq-Timeout-Ms X-Request-Id X-Request-Start X-Amzn-Trace-Id X-Amz-Cf-Id X-ARR-LOG-ID
X-ARR-SSL X-Azure-ClientIP X-Appengine-Remote-Addr X-Cloud-Trace-Context X-Varnish X-ProxyUser-Ip
X-Remote-Addr X-Remote-User X-Scheme X-Host X-Url-Scheme X-Script-Name X-Forward-For X-Proxy-Something
Proxy-Connection Proxy-Client-IP WL-Proxy-Client-IP Max-Forwards Surrogate-Capability Fly-Client-IP
Fly-Forwarded-Port Ali-CDN-Real-IP Cdn-Src-Ip Incap-Client-IP Front-End-Https SSL-Client-Verify Remote-User
Remote-Addr
"""


def key_of(header):
    return f"HTTP_{header.upper().replace('-', '_')}"


@pytest.mark.parametrize("header", SIGNS.split())
@pytest.mark.parametrize("value", ["127.0.0.1", ""])
def test_forwarded_request_is_refused_whatever_the_header_contains(ask, header, value):
    assert ask(**{key_of(header): value}) == 403


@pytest.mark.parametrize("header", SIGNS.split())
def test_neither_allow_nor_allow_hosts_is_for_what_was_passed_on(ask, header):
    options = "allow = 192.0.2.0/24\nallow_hosts = devbox"
    assert ask("192.0.2.9", host="devbox:6543", options=options) == 200
    assert ask("192.0.2.9", host="devbox:6543", options=options, **{key_of(header): "192.0.2.9"}) == 403


# Of Chromium, Firefox and Safari, of their extensions, and of scripts.
OF_BROWSERS = """
Accept Accept-Encoding Accept-Language Accept-Charset User-Agent Cookie Referer Origin Cache-Control Pragma
DNT If-None-Match If-Modified-Since Range Upgrade-Insecure-Requests Sec-Fetch-Site Sec-Fetch-Mode
Sec-Fetch-Dest Sec-Fetch-User Sec-CH-UA Sec-CH-UA-Mobile Sec-CH-UA-Platform Sec-GPC Sec-Purpose Purpose
Priority TE Save-Data Downlink RTT ECT DPR Device-Memory Viewport-Width Available-Dictionary Authorization
X-Requested-With X-Moz X-Purpose Traceparent Baggage Sentry-Trace Idempotency-Key Alt-Used Service-Worker
From
"""


def test_what_browsers_send_does_not_look_passed_on(ask):
    assert ask(**{key_of(header): "none" for header in OF_BROWSERS.split()}) == 200


@pytest.mark.parametrize(
    ("protocol", "connection"),
    [
        ("HTTP/1.0", "close"),  # nginx before 1.29.7
        ("HTTP/1.0", None),
        ("HTTP/1.0", "keep-alive"),
        ("HTTP/1.1", None),  # nginx from 1.29.7 on, HAProxy, Caddy, Traefik
        ("HTTP/1.1", ""),
        ("HTTP/1.1", "close"),
        ("HTTP/1.1", "upgrade"),
        ("HTTP/1.1", "keep-alive-not"),
        ("HTTP/0.9", "keep-alive"),
        ("INCLUDED", "keep-alive"),
        ("", "keep-alive"),
    ],
)
def test_connection_that_no_browser_makes_is_refused(ask, protocol, connection):
    assert ask(SERVER_PROTOCOL=protocol, HTTP_CONNECTION=connection) == 403


@pytest.mark.parametrize(
    ("protocol", "connection"),
    [
        ("HTTP/1.1", "keep-alive"),
        ("HTTP/1.1", "Keep-Alive"),
        ("HTTP/1.1", "Upgrade , keep-alive"),
        ("HTTP/2", None),
        ("HTTP/2.0", None),
        ("HTTP/3", None),
    ],
)
def test_connection_of_a_browser_is_answered(ask, protocol, connection):
    assert ask(SERVER_PROTOCOL=protocol, HTTP_CONNECTION=connection) == 200


@pytest.mark.parametrize("site", [None, "", "same-origin, none", "None", "cross-site", "same-site"])
@pytest.mark.parametrize("host", ["localhost:6543", "127.0.0.1:6543", "[::1]:6543", "dev.localhost:6543"])
def test_what_nobody_at_a_browser_has_opened_is_refused(ask, host, site):
    assert ask(host=host, HTTP_SEC_FETCH_SITE=site) == 403


def test_browsers_do_not_say_how_a_plain_http_address_was_opened(ask):
    options = "allow_hosts = devbox"
    assert ask(host="devbox:6543", options=options, HTTP_SEC_FETCH_SITE=None) == 200
    assert ask(host="devbox:6543", options=options, HTTP_SEC_FETCH_SITE="cross-site") == 403
    https = {"wsgi.url_scheme": "https", "SERVER_PORT": "443"}
    assert ask(host="devbox", options=options, **https) == 200
    assert ask(host="devbox", options=options, HTTP_SEC_FETCH_SITE=None, **https) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_neither_leads_here_nor_loads_from_here(ask, site):
    for mode in ("navigate", "no-cors", "cors", "websocket"):
        assert ask(HTTP_SEC_FETCH_SITE=site, HTTP_SEC_FETCH_MODE=mode, path="/?q=secret") == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_inbox_may_load_from_itself(ask, site):
    assert ask(HTTP_SEC_FETCH_SITE=site, HTTP_SEC_FETCH_MODE="no-cors", path="/static/inbox.css") == 200


@pytest.mark.parametrize("path", ["/", "/list", f"/envelope/{ERROR_ID}", "/static/inbox.css", "/nowhere"])
def test_every_address_is_refused_alike_and_reveals_nothing(inbox, spool, path):
    write_event(spool, error_event())
    app = inbox("spool_dir = spool", environ={"REMOTE_ADDR": "192.0.2.7"})
    response = app.get(path, status=403)
    assert "OrderError" not in response.text
    assert "see the option allow" in response.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_get_and_head_are_answered(app, method):
    response = app.request("/", method=method, status=405, environ=LOOPBACK)
    assert response.headers["Allow"] == "GET, HEAD"


def test_head_has_the_headers_of_get_and_no_body(app):
    head = app.head("/static/inbox.css")
    assert head.body == b""
    assert head.headers["Content-Type"] == "text/css; charset=utf-8"


PATHS = ["/", "/list", f"/envelope/{ERROR_ID}", "/nowhere", "/static/inbox.js", "/static/inbox.css"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_a_strict_policy(app, spool, path):
    write_event(spool, error_event())
    headers = app.get(path, expect_errors=True).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy.pop("default-src") == policy.pop("base-uri") == policy.pop("frame-ancestors") == "'none'"
    assert set(policy.values()) == {"'self'"}
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in headers


def test_what_was_captured_is_not_kept_by_the_browser(app, spool):
    write_event(spool, error_event())
    for path in ("/", "/list", f"/envelope/{ERROR_ID}"):
        assert app.get(path).headers["Cache-Control"] == "no-store"
