"""``sentry-paste run``, as its page says: the rules of ``test_deployments`` for inis that say nothing of Sentry."""

import signal

import pytest
from conftest import assert_valid_for_sentry
from test_deployments import (
    ROUTES,
    TURBOGEARS,
    WEB_USER,
    Deployment,
    ask,
    held,  # noqa: F401 - a fixture
    is_root,
    left_in,
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
        assert b"hello from /" in ask(server, "hello")
        ask(server, "crash")
        assert server.end(signal.SIGTERM) == 0
        print(server.output())
    (event,) = received.errors
    assert (event["exception"]["values"][-1]["value"], event["release"]) == ("crash of myapp", "myapp@1.0")
    assert sorted(found["transaction"] for found in received.transactions) == ["GET /crash", "GET /hello"]
    assert sum(counts.get("crashed", 0) for counts in received.envelopes.sessions) == 1
    assert left_in(folder) == []
    assert_valid_for_sentry(received.envelopes)
