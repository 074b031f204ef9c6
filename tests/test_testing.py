"""The helper for users' tests."""

import pytest
import sentry_sdk
from webtest import TestApp

from sentry_paste import SentryMiddleware, filter_factory
from sentry_paste.client.registry import registry
from sentry_paste.testing import capture_envelopes

import apps
from wsgi_calls import call, environ_of


def test_app_without_a_dsn_is_captured():
    with capture_envelopes() as captured:
        app = TestApp(filter_factory({}, traces_sample_rate="1", release="1")(apps.by_path))
        app.get("/answer_list")
        with pytest.raises(ValueError, match="in the call"):
            app.get("/crash")
    assert len(captured.errors) == 1
    assert [transaction["transaction"] for transaction in captured.transactions] == [
        "GET /answer_list",
        "GET /crash",
    ]
    assert captured.sessions[0]["crashed"] == 1


def test_nothing_is_left_behind():
    with capture_envelopes():
        filter_factory({}, release="1")
    assert registry.clients() == []
    assert not sentry_sdk.get_client().is_active()
    assert filter_factory({})(apps.by_path) is apps.by_path


def test_app_that_was_loaded_before_is_captured_and_nothing_of_it_is_sent(receiver):
    app = SentryMiddleware(apps.by_path, dsn=receiver.dsn)
    with capture_envelopes() as captured:
        call(app, environ_of("/crash"))
    assert len(captured.errors) == 1
    app.client.flush()
    assert receiver.envelopes == []
    call(app, environ_of("/crash"))
    app.client.flush()
    receiver.wait(errors=1)


def test_client_of_the_app_is_captured(receiver):
    sentry_sdk.init(dsn=receiver.dsn)
    with capture_envelopes() as captured:
        sentry_sdk.capture_message("hello")
    sentry_sdk.flush()
    assert [error["message"] for error in captured.errors] == ["hello"]
    assert receiver.envelopes == []


def test_other_payloads_by_their_type():
    with capture_envelopes() as captured:
        SentryMiddleware(apps.by_path)
        sentry_sdk.capture_message("hello")
    assert captured.payloads("event", "transaction") == captured.errors
    assert captured.payloads("log") == []
