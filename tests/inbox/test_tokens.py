"""The token: what is answered only with it, where it comes from, and how a browser gets and keeps it."""

import logging
import os
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste import ConfigError
from sentry_paste.inbox.access import Tokens, cookie_name, pop_token

import servers
from spooled import ERROR_ID, LOOPBACK, error_event, write_event

TOKEN = "a-token-of-the-ini-0123"

#: As through nginx with ``proxy_set_header X-Forwarded-For``, asked for by its public name.
PROXIED = {**LOOPBACK, "HTTP_X_FORWARDED_FOR": "198.51.100.7", "HTTP_HOST": "errors.example"}

LOGGED = re.compile(r"\?token=([A-Za-z0-9_-]{43})(?!\S)")


@pytest.fixture
def proxied(inbox):
    """The inbox with a token of the ini, with requests through a proxy."""
    return inbox(f"spool_dir = spool\ninbox_token = {TOKEN}", environ=PROXIED)


@pytest.fixture
def logged(caplog):
    """The tokens that were logged, in order."""
    caplog.set_level(logging.INFO, "sentry_paste")
    return lambda: [token for message in caplog.messages for token in LOGGED.findall(message)]


# What needs it.

DOUBTFUL = {
    "a header of a proxy": {"HTTP_VIA": "1.1 proxy"},
    "HTTP/1.0, as nginx speaks": {"SERVER_PROTOCOL": "HTTP/1.0", "HTTP_CONNECTION": "close"},
    "a connection of a newer nginx": {"HTTP_CONNECTION": ""},
    "the host": {"HTTP_HOST": "errors.example"},
    "the address": {"REMOTE_ADDR": "198.51.100.7"},
    "the port": {"HTTP_HOST": "localhost:8080"},
    "a program": {"HTTP_SEC_FETCH_SITE": ""},
    "a link of another site": {"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_SEC_FETCH_MODE": "navigate"},
}


@pytest.mark.parametrize("more", DOUBTFUL.values(), ids=DOUBTFUL)
def test_token_is_enough_whatever_speaks_against_the_request(inbox, spool, logged, more, titles):
    write_event(spool, error_event())
    app = inbox("spool_dir = spool", environ={**LOOPBACK, **more})
    assert "OrderError" not in app.get("/", status=403).text
    response = app.get(f"/?token={logged()[0]}", status=303)
    assert titles(response.follow()) == ["OrderError"]
    assert titles(app.get("/")) == ["OrderError"]
    app.reset()
    app.get("/", status=403)


def test_a_browser_on_this_machine_needs_none(inbox):
    app = inbox("spool_dir = spool")
    assert "Set-Cookie" not in app.get("/", status=200).headers
    assert "Set-Cookie" not in app.get("/?token=wrong", status=200).headers


@pytest.mark.parametrize("path", ["/", "/list", "/static/inbox.css", "/nowhere"])
def test_every_request_needs_the_one_of_the_ini(inbox, path):
    app = inbox(f"spool_dir = spool\ninbox_token = {TOKEN}")
    assert "inbox_token is set" in app.get(path, status=403).text
    app.get(f"{path}?token=wrong-but-long-enough", status=403)
    app.get(f"{path}?token={TOKEN}", status=303)
    app.get(path, status=404 if path == "/nowhere" else 200)


@pytest.mark.parametrize("more", [{"REMOTE_ADDR": "192.0.2.7"}, {"HTTP_HOST": "devbox"}])
def test_neither_allow_nor_allow_hosts_is_stronger_than_the_one_of_the_ini(inbox, more):
    options = "spool_dir = spool\nallow = 192.0.2.0/24\nallow_hosts = devbox"
    environ = {**LOOPBACK, **more}
    inbox(options, environ=environ).get("/", status=200)
    inbox(f"{options}\ninbox_token = {TOKEN}", environ=environ).get("/", status=403)


@pytest.mark.parametrize("path", ["/", "/list", f"/envelope/{ERROR_ID}", "/static/inbox.css", "/nowhere"])
def test_every_address_needs_it(proxied, path):
    proxied.get(path, status=403)
    proxied.get(f"{path}?token={TOKEN}", status=303)
    proxied.get(path, status=404 if path in ("/nowhere", f"/envelope/{ERROR_ID}") else 200)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_token_changes_nothing_of_what_may_be_asked(proxied, method):
    for _ in range(2):
        proxied.request(f"/?token={TOKEN}", method=method, status=405, environ=dict(PROXIED))
    assert proxied.cookies == {}


@pytest.mark.parametrize(
    "token",
    ["", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), TOKEN * 9, "%00", "%ff", "+", "\u00e9", "x" * 9999],
)
def test_wrong_token_is_refused_and_the_right_one_is_not_revealed(proxied, token):
    response = proxied.get("/", {"token": token}, status=403)
    assert "The token in this address is wrong." in response.text
    assert "inbox_token in the inbox's section of the ini" in response.text
    assert TOKEN not in str(response)
    assert "Set-Cookie" not in response.headers


def test_refusal_explains_what_to_do_as_plain_text(proxied):
    response = proxied.get("/", status=403)
    assert response.content_type == "text/plain"
    assert "?token=..." in response.text
    assert "server's log" in response.text
    assert "is wrong" not in response.text
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"


def test_the_first_of_two_tokens_counts(proxied):
    proxied.get(f"/?token=wrong&token={TOKEN}", status=403)
    proxied.get(f"/?token={TOKEN}&token=wrong", status=303)


# The address and the cookie.


@pytest.mark.parametrize(
    ("script", "path", "query", "location"),
    [
        ("", "/", "token={}", "/"),
        ("/inbox", "/", "token={}", "/inbox/"),
        ("/inbox", "", "token={}", "/inbox"),
        ("/inbox", "/envelope/ab", "kind=all&token={}&q=x%20y", "/inbox/envelope/ab?kind=all&q=x%20y"),
        ("", "/", "token={}&token={}&page=2", "/?page=2"),
        ("", "//evil.example/", "token={}", "/evil.example/"),
        ("", "///evil.example", "token={}", "/evil.example"),
        ("", "/\\evil.example", "token={}", "/%5Cevil.example"),
        (
            "/\u00c3\u00a9",
            "/\r\nSet-Cookie: a=b",
            "token={}&q=\r\nx",
            "/%C3%A9/%0D%0ASet-Cookie%3A%20a%3Db?q=%0D%0Ax",
        ),
    ],
)
def test_the_address_is_left_without_the_token(inbox, script, path, query, location):
    app = inbox(f"spool_dir = spool\ninbox_token = {TOKEN}").app
    found = []
    environ = {
        **PROXIED,
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": script,
        "PATH_INFO": path,
        "QUERY_STRING": query.replace("{}", TOKEN),
    }
    list(app(environ, lambda status, headers: found.extend([status, dict(headers)])))
    status, headers = found
    assert status == "303 See Other"
    assert headers["Location"] == location
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert TOKEN not in str(headers)


@pytest.mark.parametrize(
    ("script", "more", "path", "secure"),
    [
        ("", {}, "/", False),
        ("/inbox", {}, "/inbox", False),
        ("/a;b", {}, "/a%3Bb", False),
        ("/inbox", {"wsgi.url_scheme": "https"}, "/inbox", True),
        ("/inbox", {"HTTP_X_FORWARDED_PROTO": "https"}, "/inbox", True),
        ("/inbox", {"HTTP_X_FORWARDED_PROTO": "http"}, "/inbox", False),
    ],
)
def test_the_cookie_is_for_this_inbox_and_not_for_scripts(proxied, script, more, path, secure):
    response = proxied.get(
        f"{script}/?token={TOKEN}", extra_environ={**PROXIED, "SCRIPT_NAME": script, **more}, status=303
    )
    (header,) = response.headers.getall("Set-Cookie")
    ((name, morsel),) = SimpleCookie(header).items()
    assert re.fullmatch("sentry_paste_inbox_[0-9a-f]{8}", name)
    assert re.fullmatch("[0-9a-f]{64}", morsel.value)
    assert (morsel["path"], morsel["httponly"], morsel["samesite"]) == (path, True, "Lax")
    assert bool(morsel["secure"]) is secure
    assert (morsel["domain"], morsel["max-age"], morsel["expires"]) == ("", "", "")


def cookie_of(app, token):
    return app.get(f"/?token={token}", status=303).headers["Set-Cookie"].partition(";")[0]


def test_cookies_of_two_inboxes_on_one_host_do_not_collide(inbox):
    other = "another-token-of-an-ini"
    apps = [inbox(f"spool_dir = spool\ninbox_token = {token}", environ=PROXIED) for token in (TOKEN, other)]
    one, two = (cookie_of(app, token) for app, token in zip(apps, (TOKEN, other)))
    assert one.partition("=")[0] != two.partition("=")[0]
    for app, good, bad in zip(apps, (one, two), (two, one)):
        app.reset()
        app.get("/", headers={"Cookie": f"{one}; {two}"}, status=200)
        app.get("/", headers={"Cookie": good}, status=200)
        app.get("/", headers={"Cookie": bad}, status=403)


def test_a_cookie_that_was_made_up_is_refused(proxied):
    name, _, value = cookie_of(proxied, TOKEN).partition("=")
    proxied.reset()
    for made_up in (
        f"{name}={value[:-1]}",
        f"{name}=",
        f"{name}",
        f"{name}={TOKEN}",
        f"{name[:-1]}0={value[:-1]}0",
        f"x{name}={value}",
        f"{name}=" + "\u00e9" * 64,
        ";" * 5000,
        "=" * 5000,
    ):
        proxied.get("/", headers={"Cookie": made_up}, status=403)
    for fine in (f"a=b; {name}={value}", f"{name}={value};x", f"{name}=old; {name}={value}"):
        proxied.get("/", headers={"Cookie": fine}, status=200)


def test_a_header_full_of_cookies_takes_no_square_of_time(inbox):
    app = inbox("spool_dir = spool", environ=PROXIED).app
    header = f"{cookie_name('x' * 16)}={'0' * 64}; " * 2500  # 240 kB, more than servers take
    begun = time.thread_time()
    environ = {**PROXIED, "REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "&token=" * 30_000}
    list(app({**environ, "HTTP_COOKIE": header}, lambda status, headers: None))
    assert time.thread_time() - begun < 5  # what takes time with the square of it takes minutes


@given(st.text(alphabet="token=&%+;x0 ", max_size=40))
def test_what_is_left_of_a_query_string_has_no_token(query):
    token, rest = pop_token(query)
    assert (token is None) == (rest == query)
    assert not any(part.startswith("token=") for part in rest.split("&"))


# Where it comes from.


def file_of(spool):
    return spool.directory / ".inbox-token"


def test_a_token_is_made_and_kept_where_the_directory_is(inbox, spool, logged):
    write_event(spool, error_event())
    inbox("spool_dir = spool")
    (token,) = logged()
    assert file_of(spool).read_text() == f"{token}\n"
    assert stat.S_IMODE(file_of(spool).stat().st_mode) == 0o600
    assert [file.id for file in spool.files()] == [ERROR_ID]
    assert [path.name for path in spool.directory.iterdir() if "token" in path.name] == [".inbox-token"]


def test_all_workers_and_the_next_start_have_the_same(inbox, spool, logged):
    write_event(spool, error_event())
    first, second = (inbox("spool_dir = spool", environ=PROXIED) for _ in range(2))
    one, two = logged()
    assert one == two
    first.get(f"/?token={one}", status=303)
    second.get("/", headers={"Cookie": "; ".join(f"{n}={v}" for n, v in first.cookies.items())}, status=200)


def test_the_directory_is_not_made_at_start_and_the_token_works_without(inbox, spool, logged):
    app = inbox("spool_dir = spool", environ=PROXIED)
    (token,) = logged()
    assert not spool.directory.exists()
    app.get(f"/?token={token}", status=303)
    assert "does not exist" in app.get("/").text


def test_workers_that_start_before_the_directory_is_there_agree_on_one(inbox, spool, logged):
    apps = [inbox("spool_dir = spool", environ=PROXIED) for _ in range(3)]
    at_start = logged()
    assert len(set(at_start)) == 3
    for app in apps:  # somebody asks without the token, and it is logged
        app.get("/", status=403)
    (shared,) = set(logged()[3:])
    assert shared == at_start[0]
    for app, own in zip(apps, at_start):
        app.get(f"/?token={shared}", status=303)
        app.get("/", status=200)
        app.get(f"/?token={own}", status=303)


def test_a_refusal_is_logged_once_with_the_address(inbox, spool, caplog, logged):
    app = inbox("spool_dir = spool", environ=PROXIED)
    caplog.clear()
    for _ in range(3):
        app.get("/", headers={"Host": "evil.example"}, status=403)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().endswith(f"/?token={file_of(spool).read_text().strip()}")
    assert "evil" not in record.getMessage()


def test_a_directory_that_is_made_again_gets_a_token_again(inbox, spool, logged):
    write_event(spool, error_event())
    app = inbox("spool_dir = spool", environ=PROXIED)
    file_of(spool).unlink()
    app.get(f"/?token={logged()[0]}", status=303)
    app.reset()
    app.get("/", status=403)
    assert file_of(spool).exists()


def spoil_mode(path):
    path.chmod(0o644)


def spoil_link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def spoil_text(path):
    path.write_text("short\n")


def spoil_size(path):
    path.write_text("a" * 1000)


def spoil_kind(path):
    path.unlink()
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize("spoil", [spoil_mode, spoil_link, spoil_text, spoil_size, spoil_kind])
def test_a_file_that_others_may_have_made_is_not_believed(inbox, spool, logged, spoil):
    write_event(spool, error_event())
    inbox("spool_dir = spool")
    spoil(file_of(spool))
    app = inbox("spool_dir = spool", environ=PROXIED)
    old, own = logged()
    assert own != old
    app.get(f"/?token={old}", status=403)
    app.get(f"/?token={own}", status=303)


def test_a_directory_that_is_open_to_others_keeps_none(inbox, spool, logged):
    write_event(spool, error_event())
    spool.directory.chmod(0o755)
    app = inbox("spool_dir = spool", environ=PROXIED)
    assert not file_of(spool).exists()
    app.get(f"/?token={logged()[0]}", status=303)


def test_many_that_make_it_at_once_have_the_same(spool):
    spool.prepare()
    found, barrier = [], threading.Barrier(8)

    def make():
        tokens = Tokens("", spool)
        barrier.wait()
        found.append(tokens.current())

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in spool.directory.iterdir()] == [".inbox-token"]


def test_the_ini_s_token_is_the_only_one(inbox, spool, logged):
    write_event(spool, error_event())
    inbox("spool_dir = spool")
    app = inbox(f"spool_dir = spool\ninbox_token = {TOKEN}", environ=PROXIED)
    app.get(f"/?token={file_of(spool).read_text().strip()}", status=403)
    app.get(f"/?token={TOKEN}", status=303)


def test_the_token_may_come_from_the_environment(inbox, monkeypatch):
    monkeypatch.setenv("INBOX_TOKEN", TOKEN)
    app = inbox("spool_dir = spool\ninbox_token = ${INBOX_TOKEN}", environ=PROXIED)
    app.get(f"/?token={TOKEN}", status=303)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "short",
        "fifteen-letters",
        "two words of a token",
        "a/token/with/slashes",
        "a" * 201,
        "t\u00f6ken" * 9,
        "${NO_TOKEN}",
    ],
)
def test_a_token_that_is_none_is_a_mistake_that_does_not_show_it(inbox, value):
    with pytest.raises(ConfigError) as caught:
        inbox(f"spool_dir = spool\ninbox_token = {value}")
    text = str(caught.value)
    assert "line 6: inbox_token: expected 16 to 200 letters, digits" in text
    assert not value or value not in text


def test_invalid_token_is_reported_without_its_value(inbox):
    with pytest.raises(ConfigError, match=r"inbox_token: expected \$\{NAME\}") as caught:
        inbox(f"spool_dir = spool\ninbox_token = {TOKEN}${{")
    assert TOKEN not in str(caught.value)


def test_a_token_under_a_wrong_name_is_not_shown(inbox):
    with pytest.raises(ConfigError, match="did you mean inbox_token") as caught:
        inbox(f"spool_dir = spool\ninbox_tokens = {TOKEN}")
    assert TOKEN not in str(caught.value)


def test_settings_do_not_show_it(inbox):
    app = inbox(f"spool_dir = spool\ninbox_token = {TOKEN}").app
    assert TOKEN not in repr(app.settings)


def test_a_log_that_fails_does_not_stop_the_start_nor_an_answer(inbox):
    class Failing(logging.Filter):
        def filter(self, record):
            raise RuntimeError("no request")

    found, log = Failing(), logging.getLogger("sentry_paste")
    level = log.level
    log.addFilter(found)
    log.setLevel(logging.INFO)
    try:
        inbox("spool_dir = spool", environ=PROXIED).get("/", status=403)
    finally:
        log.removeFilter(found)
        log.setLevel(level)


def test_what_is_logged_is_not_for_sentry(tmp_path):
    """In a process whose client of Sentry's is the app's own, and made before."""
    code = (
        "import logging, sentry_sdk\n"
        "from sentry_sdk.transport import Transport\n"
        "class Keeping(Transport):\n"
        "    def capture_envelope(self, envelope): print(envelope.serialize())\n"
        "sentry_sdk.init(dsn='http://key@127.0.0.1:9/1', transport=Keeping)\n"
        "logging.basicConfig(level=logging.INFO)\n"
        "from sentry_paste.inbox import main\n"
        "main({}, spool_dir='spool')\n"
        "sentry_sdk.capture_message('what came before')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert "?token=" in ended.stderr
    assert "what came before" in ended.stdout
    assert "token=" not in ended.stdout


# The address that is logged.

MOUNTED = """
    [composite:main]
    use = egg:Paste#urlmap
    / = other
    {path} = inbox
    [app:other]
    paste.app_factory = apps:make_app
    [app:inbox]
    use = egg:sentry_paste#inbox
    spool_dir = spool
    {server}
    """


@pytest.mark.parametrize(
    ("path", "server", "address"),
    [
        ("/inbox", "[server:main]\n    listen = 127.0.0.1:6543", "http://127.0.0.1:6543/inbox/"),
        ("/a/b/", "[server:main]\n    listen = *:80 [::]:80", "http://127.0.0.1:80/a/b/"),
        ("/inbox", "[server:main]\n    host = 0.0.0.0\n    port = 8080", "http://127.0.0.1:8080/inbox/"),
        ("/inbox", "[server:main]\n    listen = [::1]:80", "http://[::1]:80/inbox/"),
        ("/inbox", "[server:main]\n    port = ${PORT}", "/inbox/"),
        ("/inbox", "[server:main]\n    listen = unix:/run/a.sock", "/inbox/"),
        ("/inbox", "", "/inbox/"),
    ],
)
def test_address_is_logged_as_far_as_the_ini_shows_it(load, caplog, path, server, address):
    caplog.set_level(logging.INFO, "sentry_paste")
    load(MOUNTED.format(path=path, server=server))
    (message,) = caplog.messages
    assert f" {address}?token=" in message


# Behind real ones.


SERVED = """
[app:main]
use = egg:sentry_paste#inbox
spool_dir = spool
[server:main]
use = egg:{server}
host = 127.0.0.1
port = {port}
"""
KEEPS_HEADERS = "waitress#main\nclear_untrusted_proxy_headers = false"


@pytest.fixture(params=[KEEPS_HEADERS, "gunicorn#main"], ids=["waitress", "gunicorn"])
def served(request, tmp_path):
    """The port of an inbox under a real server."""
    port = servers.free_port()
    ini = tmp_path / "served.ini"
    ini.write_text(SERVED.format(server=request.param, port=port))
    command = [sys.executable, "-c", "import sys; from pyramid.scripts.pserve import main; sys.exit(main())"]
    process = subprocess.Popen(
        [*command, str(ini)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        env=servers.environment(XDG_RUNTIME_DIR=str(tmp_path)),
    )
    try:
        for _ in range(1200):
            with socket.socket() as found:
                if found.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def raw(port, request):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as found:
        found.sendall(request.replace("\n", "\r\n").encode())
        found.settimeout(10)
        return found.recv(100).split(b" ")[1]


#: What Chromium sends where an address is typed.
OPENED = "Connection: keep-alive\nSec-Fetch-Site: none\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document\n"
#: What waitress removes before any app sees it, by default.
REMOVED = (
    "X-Forwarded-For: 198.51.100.7\nX-Forwarded-Proto: https\nX-Forwarded-Host: errors.example\n"
    "X-Forwarded-Port: 443\nX-Forwarded-By: 127.0.0.1\nForwarded: for=198.51.100.7\n"
)
OF_REQUESTS = "User-Agent: python-requests/2.32.3\nAccept: */*\nConnection: keep-alive\n"
BY_ADDRESS = "Host: 127.0.0.1:{port}"

PASSED_ON = {
    "nginx before 1.29.7": f"GET / HTTP/1.0\n{BY_ADDRESS}\nConnection: close\nSec-Fetch-Site: none\n",
    "nginx from 1.29.7 on": f"GET / HTTP/1.1\n{BY_ADDRESS}\nSec-Fetch-Site: none\n",
    "Apache": f"GET / HTTP/1.1\n{BY_ADDRESS}\n{OPENED}X-Forwarded-Server: errors.example\n",
    # proxy_http_version 1.1; proxy_set_header Connection keep-alive; and without a Host, or with $host.
    "nginx that keeps alive and adds headers, by address": f"GET / HTTP/1.1\n{BY_ADDRESS}\n{OPENED}{REMOVED}",
    "nginx that keeps alive": f"GET / HTTP/1.1\nHost: localhost\n{OPENED}",
    "nginx that keeps alive and adds headers": f"GET / HTTP/1.1\nHost: localhost\n{OPENED}{REMOVED}",
    "nginx that keeps alive, with $http_host": f"GET / HTTP/1.1\nHost: localhost:80\n{OPENED}{REMOVED}",
    "nginx that keeps alive, for curl": "GET / HTTP/1.1\nHost: localhost\nConnection: keep-alive\n",
    "requests by name": f"GET / HTTP/1.1\nHost: localhost:{{port}}\n{OF_REQUESTS}",
    "requests by address": f"GET / HTTP/1.1\n{BY_ADDRESS}\n{OF_REQUESTS}",
    "a browser that follows a redirect": (
        "GET / HTTP/1.1\nHost: localhost:{port}\nConnection: keep-alive\n"
        "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\n"
    ),
}


def opened_at(host, site="none"):
    return f"GET / HTTP/1.1\nHost: {host}\n{OPENED}\n".replace("Site: none", f"Site: {site}")


def test_real_servers_say_what_the_inbox_has_to_know(served, tmp_path):
    for host in ("127.0.0.1", "localhost"):
        for site in ("none", "same-origin"):
            assert raw(served, opened_at(f"{host}:{served}", site)) == b"200"
    refused_and_opened_by_token(served, tmp_path)


@pytest.mark.parametrize(
    "served",
    [
        "waitress#main",
        "waitress#main\nident = another",
        "waitress#main\ntrusted_proxy = 127.0.0.1\ntrusted_proxy_headers = x-forwarded-for",
    ],
    ids=["by default", "under another name", "with a trusted proxy"],
    indirect=True,
)
def test_a_server_that_removes_what_proxies_add_needs_the_token(served, tmp_path):
    assert raw(served, opened_at(f"localhost:{served}")) == b"403"
    refused_and_opened_by_token(served, tmp_path)


def test_an_older_waitress_may_have_removed_what_proxies_add(inbox):
    inbox("spool_dir = spool", environ={**LOOPBACK, "SERVER_SOFTWARE": "waitress"}).get("/", status=403)
    inbox("spool_dir = spool", environ={**LOOPBACK, "SERVER_SOFTWARE": "another"}).get("/", status=200)


def refused_and_opened_by_token(port, folder):
    found = {name: raw(port, request.format(port=port) + "\n") for name, request in PASSED_ON.items()}
    assert found == dict.fromkeys(PASSED_ON, b"403")
    token = (folder / "spool" / ".inbox-token").read_text().strip()
    for request in PASSED_ON.values():
        asked = request.replace("GET / ", f"GET /?token={token} ").format(port=port)
        assert raw(port, asked + "\n") == b"303"
