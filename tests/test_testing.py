"""The helper for users' tests."""

import textwrap

import pytest
import sentry_sdk
from webtest import TestApp

from sentry_paste import SentryMiddleware, filter_factory, testing
from sentry_paste.client.registry import registry
from sentry_paste.testing import capture_envelopes

import apps
from wsgi_calls import call, environ_of


def divide(environ, start_response):
    return [1 / 0]


def test_example_of_the_docstring_runs(tmp_path):
    """It is the first that somebody copies; only the path of the ini is another one."""
    (tmp_path / "test.ini").write_text(
        "[app:main]\npaste.app_factory = test_testing:make_divide\nfilter-with = sentry\n"
        "[filter:sentry]\nuse = egg:sentry_paste\n"
    )
    example = textwrap.dedent(testing.__doc__.partition("::\n")[2])
    assert "/srv/app/test.ini" in example
    names = {}
    exec(example.replace("/srv/app/test.ini", str(tmp_path / "test.ini")), names)
    names["test_crash_is_reported"]()


def make_divide(global_conf):
    return divide


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
