"""``sentry-paste run``, as its page says: the rules of ``test_deployments`` for inis that say nothing of Sentry."""

import signal

import pytest
from test_deployments import (
    ROUTES,
    TURBOGEARS,
    Deployment,
    followed,
    held,  # noqa: F401 - a fixture
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
