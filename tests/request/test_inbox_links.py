"""Where the inbox of the same ini shows an error, and who is led there by the crash page."""

import pytest
from paste.deploy import loadapp
from webtest import TestApp

from sentry_paste.inbox import access

from spooled import LOOPBACK

INI = """
    [DEFAULT]
    spool = %(here)s/spool

    [composite:main]
    use = egg:Paste#urlmap
    / = site
    /deep = site
    /inbox/ = {name}

    [pipeline:site]
    pipeline = sentry app

    [filter:sentry]
    use = egg:sentry_paste
    spool_dir = spool
    error_page = true
    {lines}

    [app:app]
    paste.app_factory = apps:make_app

    [app:box]
    use = egg:sentry_paste#inbox
    spool_dir = {shown}
    {allow}
"""


@pytest.fixture
def page(write_ini):
    def page(
        path="/crash_in_call",
        lines="environment = development",
        name="box",
        shown="%(spool)s",
        allow="",
        **environ,
    ):
        ini = write_ini(INI.format(lines=lines, name=name, shown=shown, allow=allow))
        app = TestApp(loadapp(f"config:{ini}"), extra_environ={**LOOPBACK, **environ})
        return app.get(path, expect_errors=True)

    return page


def inbox_links(answer):
    return [link["href"] for link in answer.html.select("a.inbox")]


def test_developer_is_led_to_the_error(page):
    answer = page()
    (link,) = inbox_links(answer)
    assert link == f"/inbox/envelope/{answer.html.code.text}"
    assert answer.click("See it in the inbox").status_int == 200


@pytest.mark.parametrize(
    ("script", "path", "expected"),
    [
        ("", "/deep/crash_in_call", "/inbox/"),
        ("/proxied", "/crash_in_call", "/proxied/inbox/"),
        ("/proxied", "/deep/crash_in_call", "/proxied/inbox/"),
        ("/a b", "/crash_in_call", "/a%20b/inbox/"),
    ],
)
def test_link_is_beside_the_app_wherever_both_are_mounted(page, script, path, expected):
    (link,) = inbox_links(page(path, SCRIPT_NAME=script))
    assert link.startswith(f"{expected}envelope/")


@pytest.mark.parametrize("lines", ["", "environment = production", "environment = Prod-eu"])
def test_production_has_no_link(page, lines):
    assert inbox_links(page(lines=lines)) == []


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.7"},
        {"HTTP_HOST": "shop.example"},
        {"HTTP_CONNECTION": "close"},
    ],
)
def test_stranger_whom_the_inbox_asks_for_its_token_has_no_link(page, environ):
    answer = page(**environ)
    assert answer.status_int == 500
    assert inbox_links(answer) == []


def test_client_that_the_inbox_lets_in_has_a_link(page):
    assert inbox_links(page(allow="allow = 192.0.2.7", REMOTE_ADDR="192.0.2.7")) != []


def test_inbox_of_another_spool_does_not_have_the_error(page):
    assert inbox_links(page(shown="%(here)s/other")) == []


def test_error_that_is_sent_is_not_in_the_inbox(page):
    lines = "environment = development\n    dsn = http://key@127.0.0.1:9/1"
    assert inbox_links(page(lines=lines)) == []


def test_other_app_at_that_path_is_no_inbox(page):
    assert inbox_links(page(name="app")) == []


def test_error_that_a_hook_drops_has_no_link(page):
    lines = "environment = development\n    before_send = test_debugtoolbar:drop"
    assert inbox_links(page(lines=lines)) == []


def test_inbox_that_would_not_load_costs_the_link_alone(page, write_ini):
    ini = write_ini(INI.format(lines="environment = development", name="box", shown="%(spool)s", allow=""))
    app = TestApp(loadapp(f"config:{ini}"), extra_environ=LOOPBACK)
    ini.write_text(ini.read_text().replace("[app:box]", "[app:box]\nunknown = 1"))
    answer = app.get("/crash_in_call", expect_errors=True)
    assert answer.status_int == 500
    assert inbox_links(answer) == []


def test_headers_that_waitress_keeps_are_enough_for_a_link(page):
    class Connection:
        server = type("Server", (), {"adj": type("Adj", (), {"clear_untrusted_proxy_headers": False})})

        def check(self):
            return False

    assert inbox_links(page(SERVER_SOFTWARE="waitress")) == []
    served = {"SERVER_SOFTWARE": "waitress", "waitress.client_disconnected": Connection().check}
    assert inbox_links(page(**served)) != []


def test_failing_check_of_access_costs_the_link_alone(page, monkeypatch):
    monkeypatch.setattr(access, "token_reason", None)
    answer = page()
    assert answer.status_int == 500
    assert inbox_links(answer) == []
