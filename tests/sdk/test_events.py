"""Lines of access logs are no breadcrumbs outside of requests."""

import logging

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware

from traced_apps import answer
from wsgi_calls import call, environ_of


def crumbs(captured):
    """Return the breadcrumbs of the last error."""
    return [crumb["message"] for crumb in captured.errors[-1].get("breadcrumbs", {}).get("values", [])]


@pytest.fixture
def log(caplog):
    """A function that logs a message."""

    def log(name, message, level=logging.INFO):
        logger = logging.getLogger(name)
        caplog.set_level(logging.INFO, name)
        logger.log(level, message)

    return log


@pytest.mark.parametrize("name", ["gunicorn.access", "nova.osapi_compute.wsgi.server", "wsgi"])
def test_line_that_a_server_logs_after_a_request_is_no_breadcrumb(captured, log, name):
    SentryMiddleware(answer)
    with sentry_sdk.isolation_scope():
        log(name, '127.0.0.1 "GET /x HTTP/1.1" 200')
        log("gunicorn.error", "Booting worker")
        sentry_sdk.capture_message("of the server")
    assert crumbs(captured) == ["Booting worker"]


def test_warning_of_an_access_log_is_one(captured, log):
    SentryMiddleware(answer)
    with sentry_sdk.isolation_scope():
        log("gunicorn.access", "no space left", logging.WARNING)
        sentry_sdk.capture_message("of the server")
    assert crumbs(captured) == ["no space left"]


def test_what_an_app_logs_in_a_request_is_one(captured, log):
    def app(environ, start_response):
        log("shop.access", "the basket is locked")
        sentry_sdk.capture_message("of the app")
        return answer(environ, start_response)

    call(SentryMiddleware(app), environ_of("/x"))
    assert crumbs(captured) == ["the basket is locked"]


def test_request_is_no_dearer_for_a_server_that_logs_it(captured, log, monkeypatch):
    made = []
    monkeypatch.setattr(sentry_sdk.Scope, "add_breadcrumb", lambda *args, **kwargs: made.append(args))
    app = SentryMiddleware(answer)
    call(app, environ_of("/x"))
    log("gunicorn.access", '127.0.0.1 "GET /x HTTP/1.1" 200')
    assert made == []
