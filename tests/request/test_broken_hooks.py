"""Hooks, transports and captures that fail: the app answers as if nothing had happened."""

import logging

import pytest
import sentry_sdk
from sentry_sdk.transport import Transport

from sentry_paste import SentryMiddleware
from sentry_paste.client.registry import registry

import apps
from traced_apps import answer, broken, traced
from wsgi_calls import call, environ_of


class BrokenTransport(Transport):
    def capture_envelope(self, envelope):
        raise RuntimeError("this transport is broken")


class TestBadHooks:
    """A hook of the user's that fails costs what it had to decide about, never the response."""

    @pytest.mark.parametrize(
        "hook",
        ["before_send", "before_send_transaction", "before_breadcrumb", "traces_sampler", "error_sampler"],
    )
    @pytest.mark.parametrize(
        "hook_value", [broken, lambda *args: "nonsense", lambda *args: 7], ids=["raises", "text", "7"]
    )
    def test_app_answers_as_if_nothing_were_there(self, captured_unchecked, hook, hook_value):
        def app(environ, start_response):
            logging.getLogger("shop").warning("a breadcrumb")
            sentry_sdk.add_breadcrumb(message="another")
            sentry_sdk.capture_message("hello")
            if environ["PATH_INFO"] == "/crash":
                raise ValueError("the app's own")
            return apps.answer_list(environ, start_response)

        filtered = SentryMiddleware(app, **{"traces_sample_rate": 1.0, "release": "1", hook: hook_value})
        assert call(filtered).chunks == [b"hello"]
        assert str(call(filtered, environ_of("/crash")).error) == "the app's own"

    @pytest.mark.parametrize("hook", ["before_breadcrumb", "traces_sampler", "error_sampler"])
    def test_no_error_is_lost_by_a_hook_that_raises(self, captured, hook):
        call(SentryMiddleware(apps.crash, **{"traces_sample_rate": 1.0, hook: broken}), environ_of("/x"))
        (error,) = captured.errors
        assert error["transaction"] == "GET /x"
        assert error["request"]["url"] == "http://localhost/x"

    @pytest.mark.parametrize("hook", ["before_send", "before_breadcrumb", "traces_sampler", "error_sampler"])
    def test_hook_that_raises_is_logged(self, captured, caplog, hook):
        def app(environ, start_response):
            sentry_sdk.add_breadcrumb(message="one")
            raise ValueError

        call(SentryMiddleware(app, **{"traces_sample_rate": 1.0, hook: broken}), environ_of("/x"))
        assert f"{hook} failed" in caplog.text

    def test_transport_that_raises_does_not_raise_into_the_app(self):
        def app(environ, start_response):
            assert sentry_sdk.capture_message("hello") is None
            return apps.answer_list(environ, start_response)

        filtered = SentryMiddleware(app, transport=BrokenTransport(), traces_sample_rate=1.0, release="1")
        assert call(filtered).chunks == [b"hello"]
        assert str(call(SentryMiddleware(apps.crash, transport=BrokenTransport())).error) == "in the call"

    def test_filter_that_fails_to_open_calls_the_app_alone(self, captured, monkeypatch, caplog):
        monkeypatch.setattr("sentry_paste.request.lifecycle.RequestScopes", broken)
        assert call(traced(apps.answer_list)).chunks == [b"hello"]
        assert "a request is not reported" in caplog.text


class TestCapturingThatFails:
    """A warning about a failure must not be captured, as that would fail again."""

    @pytest.mark.parametrize("logs", [{}, {"enable_logs": True}], ids=["", "logs"])
    def test_warnings_of_ours_are_no_events(self, captured_unchecked, logs):
        if logs and not hasattr(sentry_sdk, "traces"):
            pytest.skip("this sentry-sdk has no log items")
        options = {"integration.logging.event_level": "WARNING", "before_send": lambda *args: True, **logs}
        assert str(call(SentryMiddleware(apps.crash, **options)).error) == "in the call"
        assert captured_unchecked.errors == []

    def test_warnings_of_the_spool_are_no_events(self, tmp_path, caplog):
        (tmp_path / "spool").write_text("not a directory")
        options = {"integration.logging.event_level": "WARNING", "spool_dir": str(tmp_path / "spool")}
        call(SentryMiddleware(apps.crash, **options))
        assert len([record for record in caplog.records if record.name == "sentry_paste"]) == 1

    @pytest.mark.skipif(not hasattr(sentry_sdk, "traces"), reason="this sentry-sdk has no log items")
    def test_log_hook_that_returns_nonsense_loses_nothing_else(self, captured):
        def app(environ, start_response):
            logging.getLogger("shop").error("hello")
            sentry_sdk.logger.info("a log item")
            return answer(environ, start_response)

        call(traced(app, enable_logs=True, before_send_log=lambda *args: 7))
        registry.clients()[0].flush()
        assert [item["body"] for payload in captured.payloads("log") for item in payload["items"]]
        assert len(captured.sessions) == 1

    def test_session_that_cannot_be_captured_loses_nothing_else(self, captured, monkeypatch, caplog):
        app = traced(apps.answer_list)
        monkeypatch.setattr(app.client.session_flusher, "add_session", broken)
        assert call(app).chunks == [b"hello"]
        assert "a session is lost" in caplog.text
        assert len(captured.transactions) == 1
