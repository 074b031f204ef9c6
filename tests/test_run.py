"""``sentry-paste run``, as its page says: the rules of ``test_deployments``, for inis without Sentry."""

import getpass
import signal
import subprocess
from pathlib import Path

import pytest
from test_deployments import (
    ROUTES,
    TURBOGEARS,
    WEB_USER,
    Deployment,
    ask,
    ask_and_end,
    assert_all_is_reported,
    held,  # noqa: F401 - a fixture
    is_root,
    mod_wsgi,  # noqa: F401
    python_with,  # noqa: F401
    run,  # noqa: F401
    test_all_that_is_sent_is_valid_for_sentry,  # noqa: F401
    test_app_answers,  # noqa: F401
    test_crash_is_one_error_with_its_request,  # noqa: F401
    test_each_request_is_one_session,  # noqa: F401
    test_each_request_is_one_transaction,  # noqa: F401
    test_server_ends_in_good_order_and_nothing_is_left_behind,  # noqa: F401
)

import pages
import receiver
import servers

DEPLOYMENTS = [
    Deployment("run", "run .* pserve app", pages.PYRAMID, signal.SIGINT, ROUTES),
    Deployment("run", "run .* gunicorn"),
    Deployment("run", "run .* uwsgi", packages=("uwsgi",), ready="(WSGI app 0.*){2}", done="] GET /"),
    Deployment(
        "run",
        "run .* gearbox",
        TURBOGEARS,
        signal.SIGINT,
        ("myapp.RootController.hello", "myapp.RootController.crash"),
        ("gearbox", "TurboGears2", "waitress"),
    ),
]


@pytest.fixture(
    scope="module",
    params=[pytest.param(found, marks=pytest.mark.slow if found.packages else ()) for found in DEPLOYMENTS],
    ids=str,
)
def deployment(request):
    return request.param


@pytest.mark.slow
def test_mod_wsgi_reports_as_its_page_says(mod_wsgi):  # noqa: F811
    folder, python = mod_wsgi
    port = servers.free_port()
    page = pages.page("deployments/run")
    page.write(folder, port)
    pages.write_distribution(folder, "myapp", pages.MYAPP)
    command = pages.words(page.command("mod_wsgi-express"), port, python)
    command += ["--server-root", str(folder / "root"), "--python-path", str(folder)]
    command += ["--user", WEB_USER, "--group", WEB_USER] if is_root() else []
    with (
        receiver.serve() as received,
        servers.started(command, port, folder, SENTRY_DSN=received.dsn) as server,
    ):
        ask_and_end(server)
    assert_all_is_reported(received, folder)


CRASHING = """
def crashing(global_conf, **local_conf):
    def make(app):
        def filtered(environ, start_response):
            if environ["PATH_INFO"] == "/crash":
                raise ZeroDivisionError("crash of myapp")
            return app(environ, start_response)

        return filtered

    return make
"""
PROXY_SERVER = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {folder}
workers = 2
log_address = /dev/null

[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck crashing proxy-logging proxy-server

[app:proxy-server]
use = egg:swift#proxy

[filter:crashing]
paste.filter_factory = myapp:crashing

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper

[filter:healthcheck]
use = egg:swift#healthcheck

[filter:proxy-logging]
use = egg:swift#proxy_logging
"""


@pytest.mark.slow
def test_swifts_proxy_server_has_sentry_inside_catch_errors(tmp_path, python_with):  # noqa: F811
    python = Path(python_with(("swift", "webtest")))
    (tmp_path / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = a\nswift_hash_path_prefix = b\n"
    )
    for ring in ("account", "container", "object"):
        for words in (("create", "4", "1", "1"), ("add", "r1z1-127.0.0.1:1/sdb1", "1"), ("rebalance",)):
            builder = [str(python.with_name("swift-ring-builder")), f"{ring}.builder", *words]
            subprocess.run(builder, cwd=tmp_path, check=True, capture_output=True, timeout=180)
    port = servers.free_port()
    text = PROXY_SERVER.format(port=port, user=getpass.getuser(), folder=tmp_path)
    (tmp_path / "proxy-server.conf").write_text(text)
    pages.write_distribution(tmp_path, "myapp", CRASHING)
    pages.page("deployments/run").write(tmp_path)
    command = [python.with_name("sentry-paste"), "run", "--config", "sentry.ini", "swift-proxy-server"]
    with (
        receiver.serve() as received,
        servers.started(
            [*command, "proxy-server.conf", "-v"],
            port,
            tmp_path,
            SENTRY_DSN=received.dsn,
            PYTHONPATH=str(tmp_path),
        ) as server,
    ):
        assert b" 200 OK" in ask(server, "healthcheck")
        assert b" 500 Internal Error" in ask(server, "crash")
        received.wait(errors=1, transactions=2)
        assert 'New pipeline is "catch_errors sentry gatekeeper healthcheck crashing' in server.output()
    (event,) = received.errors
    (value,) = event["exception"]["values"]
    assert (value["value"], value["mechanism"]["handled"]) == ("crash of myapp", False)
    assert event["request"]["url"] == "http://localhost/crash"
    names = sorted(found["transaction"] for found in received.transactions)
    assert names == ["GET /crash", "GET /healthcheck"]
