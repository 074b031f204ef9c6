"""Which errors of an app are reported, once each, and what their events contain."""

import logging
from collections import deque

import pytest
import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware

from sentry_paste.client.registry import registry

import apps
from traced_apps import answer, traced
from wsgi_calls import call, environ_of


class TestErrors:
    def test_crash_is_one_unhandled_event(self, captured):
        call(traced(apps.crash), environ_of("/shop", QUERY_STRING="page=2"))
        (error,) = captured.errors
        exception = error["exception"]["values"][-1]
        assert exception["type"] == "ValueError"
        assert exception["mechanism"].items() >= {"type": "wsgi", "handled": False}.items()
        assert error["transaction"] == "GET /shop"
        assert error["request"]["url"] == "http://localhost/shop"
        assert error["request"]["query_string"] == "page=2"

    def test_stack_trace_begins_with_the_app(self, captured):
        call(traced(apps.crash))
        call(traced(apps.crash_in_stream))
        call(traced(apps.crash_in_close))
        frames = [error["exception"]["values"][-1]["stacktrace"]["frames"] for error in captured.errors]
        assert [frame[0]["module"] for frame in frames] == ["apps", "apps", "apps"]

    @pytest.mark.parametrize("name", [name for name in apps.APPS if name.startswith("crash_in")])
    def test_error_after_the_call_has_name_trace_and_request(self, captured, name):
        call(traced(apps.APPS[name]), environ_of("/stream"))
        (error,), (transaction,) = captured.errors, captured.transactions
        assert error["transaction"] == transaction["transaction"] == "GET /stream"
        assert error["contexts"]["trace"]["trace_id"] == transaction["contexts"]["trace"]["trace_id"]
        assert error["request"]["url"] == "http://localhost/stream"

    @pytest.mark.parametrize("name", ["crash", "crash_after_start", "crash_in_stream", "crash_in_close"])
    def test_error_marks_transaction_and_session(self, captured, name):
        call(traced(apps.APPS[name]))
        registry.clients()[0].flush()
        (transaction,) = captured.transactions
        assert transaction["contexts"]["trace"]["status"] == "internal_error"
        assert [session.get("crashed") for session in captured.sessions] == [1]

    def test_error_raised_again_in_close_is_one_event(self, captured):
        error = ValueError("the same")

        class Body(apps.CloseRecorder):
            def __iter__(self):
                raise error

        call(traced(lambda environ, start_response: Body([], error)))
        assert len(captured.errors) == 1

    def test_error_is_sent_once_without_default_integrations_too(self, captured):
        error = ValueError("the same")

        class Body(apps.CloseRecorder):
            def __iter__(self):
                raise error

        call(traced(lambda environ, start_response: Body([], error), default_integrations=False))
        assert len(captured.errors) == 1

    @pytest.mark.parametrize(
        "error", [GeneratorExit(), StopIteration(), SystemExit(), SystemExit(0)], ids=repr
    )
    def test_exceptions_that_are_not_errors_are_not_reported(self, captured, error):
        def app(environ, start_response):
            raise error

        assert call(traced(app)).error is error
        assert captured.errors == []

    @pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
    def test_other_exits_are_reported(self, captured, error):
        def app(environ, start_response):
            raise error

        assert call(traced(app)).error is error
        assert len(captured.errors) == 1

    def test_client_that_disconnects_is_not_an_error(self, captured):
        assert call(traced(apps.answer_generator), read=1).error is None
        assert captured.errors == []
        assert len(captured.transactions) == 1

    def test_logged_error_is_reported_with_the_request(self, captured):
        def app(environ, start_response):
            logging.getLogger("shop").error("no stock")
            return answer(environ, start_response)

        call(traced(app), environ_of("/logged"))
        (error,) = captured.errors
        assert error["logger"] == "shop"
        assert error["request"]["url"] == "http://localhost/logged"


class TestOneEventOneTransaction:
    def test_filter_twice_in_a_pipeline(self, captured):
        call(traced(traced(apps.crash)))
        assert (len(captured.errors), len(captured.transactions)) == (1, 1)

    def test_filter_inside_the_sdks_own_middleware(self, captured):
        call(SentryWsgiMiddleware(traced(apps.crash)))
        assert (len(captured.errors), len(captured.transactions)) == (1, 1)

    def test_the_sdks_own_middleware_inside_the_filter(self, captured):
        call(traced(SentryWsgiMiddleware(apps.crash)))
        assert (len(captured.errors), len(captured.transactions)) == (1, 1)

    def test_error_that_the_app_logs_and_raises(self, captured):
        def app(environ, start_response):
            try:
                raise ValueError("logged and raised")
            except ValueError:
                logging.getLogger("shop").exception("failed")
                raise

        call(traced(app))
        assert len(captured.errors) == 1

    @pytest.mark.parametrize("name", ["crash", "crash_in_stream", "crash_in_close"])
    def test_error_that_the_server_logs(self, captured, name):
        seen = call(traced(apps.APPS[name]))
        logging.getLogger("waitress").error("Exception while serving", exc_info=seen.error)
        assert len(captured.errors) == 1

    def test_error_that_the_server_logs_as_text(self, captured, monkeypatch):
        """As granian does, from Rust; what it logs of another error is an event."""
        monkeypatch.setattr("sentry_paste.client.server_logs._reported", deque())  # of other tests
        seen = call(traced(apps.crash))
        reported = f"{type(seen.error).__name__}: {seen.error}"
        for last, count in ((reported, 1), (reported, 2), ("KeyError: 'outside'", 3)):
            logging.getLogger("_granian.utils").error("Application callable raised an exception\n..\n" + last)
            assert len(captured.errors) == count

    def test_error_that_the_server_logs_to_another_client(self, captured):
        traced(apps.answer_list)
        seen = call(traced(apps.crash, environment="another client"))
        logging.getLogger("waitress").error("Exception while serving", exc_info=seen.error)
        assert [error["environment"] for error in captured.errors] == ["another client"]

    def test_the_same_object_raised_in_two_requests_is_two_errors(self, captured):
        error = ValueError("one for all")

        def app(environ, start_response):
            raise error

        for _ in range(2):
            call(traced(app))
        assert len(captured.errors) == 2


class TestHostileExceptions:
    """Attributes of the app's exceptions may raise, whoever reads them."""

    class ByGetattributeError(Exception):
        def __getattribute__(self, name):
            if name in ("message", "detail", "errno", "__notes__"):
                raise RuntimeError(name)
            return super().__getattribute__(name)

    class ByErrnoError(Exception):
        @property
        def errno(self):
            raise RuntimeError("errno")

    class ByNotesError(Exception):
        @property
        def __notes__(self):
            raise RuntimeError("notes")

    class ByCode(SystemExit):
        @property
        def code(self):
            raise RuntimeError("code")

    @pytest.mark.parametrize("cls", [ByGetattributeError, ByErrnoError, ByNotesError, ByCode])
    def test_event_has_the_class_and_the_stack_and_the_session_is_crashed(self, captured, cls):
        error = cls("hostile")

        def app(environ, start_response):
            raise error

        middleware = traced(app)
        assert call(middleware, environ_of()).error is error
        middleware.client.flush()
        (event,) = captured.errors
        exception = event["exception"]["values"][-1]
        assert (exception["type"], exception["mechanism"]["handled"]) == (cls.__qualname__, False)
        assert exception["stacktrace"]["frames"][-1]["function"] == "app"
        assert sum(found.get("crashed", 0) for found in captured.sessions) == 1


def test_log_says_that_a_session_is_lost_and_the_rest_is_sent(captured, caplog, monkeypatch):
    def fail(*args):
        raise RuntimeError("of the test")

    app = traced(apps.crash)
    monkeypatch.setattr("sentry_paste.sdk.end_session", fail)
    call(app, environ_of())
    messages = [r.getMessage() for r in caplog.records if r.name == "sentry_paste"]
    assert messages == ["Sentry failed: a session is not reported"]
    assert len(captured.errors) == len(captured.transactions) == 1


def test_client_that_goes_away_is_no_error_whoever_captures_it_first(captured):
    def app(environ, start_response):
        error = type("DisconnectionError", (OSError,), {"__module__": "webob.request"})("gone")
        try:
            raise error
        except OSError:
            sentry_sdk.capture_exception()
            raise

    middleware = traced(app)
    call(middleware, environ_of())
    middleware.client.flush()
    assert captured.errors == []
    assert captured.sessions[0].get("crashed", 0) == 0


def test_code_that_was_generated_is_not_of_the_app(captured):
    scope = {}
    exec(compile("def generated():\n    raise ValueError('here')", "<sqlalchemy generated x>", "exec"), scope)

    def app(environ, start_response):
        scope["generated"]()

    call(traced(app), environ_of())
    frames = captured.errors[0]["exception"]["values"][-1]["stacktrace"]["frames"]
    assert [(frame["function"], frame.get("in_app")) for frame in frames][-1] == ("generated", False)
