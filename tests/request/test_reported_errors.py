"""What a request turns out to be settles what its errors are, whoever captured them first."""

import contextvars
import gc
import importlib
import json
import logging
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import sentry_sdk
from pyramid.config import Configurator
from pyramid.response import Response
from webtest import TestApp

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.sdk.scopes import enter_forks
from sentry_paste.spool.files import Spool
from sentry_paste.testing import CapturedEnvelopes, MemoryTransport

from traced_apps import answer
from wsgi_calls import call, environ_of

LOGGER = logging.getLogger("app")


def made(app, **options):
    return SentryMiddleware(app, release="1", **options)


def handled(captured):
    """Return, for each error, its class and whether it is marked as handled."""
    values = [event["exception"]["values"][-1] for event in captured.errors]
    return [(value["type"].rpartition(".")[2], value["mechanism"]["handled"]) for value in values]


@pytest.fixture
def sessions(captured):
    """Return the counts of all sessions so far."""

    def counts():
        sentry_sdk.flush()
        found = {}
        for aggregate in captured.sessions:
            for kind in ("exited", "errored", "crashed"):
                found[kind] = found.get(kind, 0) + aggregate.get(kind, 0)
        return {kind: count for kind, count in found.items() if count}

    return counts


def logs_and_raises(environ, start_response):
    try:
        raise ValueError("logged first")
    except ValueError:
        LOGGER.exception("something is wrong")
        raise


def test_error_that_is_logged_and_raised_is_unhandled_once(captured, sessions):
    assert isinstance(call(made(logs_and_raises)).error, ValueError)
    assert handled(captured) == [("ValueError", False)]
    assert sessions() == {"crashed": 1}


def test_error_that_is_logged_in_a_stream_and_raised_is_unhandled(captured, sessions):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        yield from logs_and_raises(environ, start_response)

    assert isinstance(call(made(app)).error, ValueError)
    assert handled(captured) == [("ValueError", False)]
    assert sessions() == {"crashed": 1}


def test_error_that_is_captured_by_hand_and_raised_is_unhandled(captured, sessions):
    def app(environ, start_response):
        try:
            raise KeyError("captured first")
        except KeyError as error:
            sentry_sdk.capture_exception(error)
            raise

    call(made(app))
    assert handled(captured) == [("KeyError", False)]
    assert sessions() == {"crashed": 1}


def test_error_that_is_logged_and_answered_stays_handled(captured, sessions):
    def app(environ, start_response):
        try:
            raise ValueError("no mail")
        except ValueError:
            LOGGER.exception("something is wrong")
        start_response("200 OK", [])
        return [b"done"]

    call(made(app))
    assert handled(captured) == [("ValueError", True)]
    assert sessions() == {"errored": 1}


@pytest.mark.parametrize(
    ("status", "is_handled"), [(200, True), (401, True), (499, True), (500, False), (503, False)]
)
def test_status_decides_on_an_error_that_a_framework_gave_up(captured, sessions, status, is_handled):
    """flask-restful signals an exception before its error handler answers it with a 401."""
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)

    class UnauthorizedError(Exception):
        code = 401

    @app.route("/")
    def view():
        raise UnauthorizedError

    @app.errorhandler(UnauthorizedError)
    def answer(error):
        flask.got_request_exception.send(app, exception=error)
        return "answered", status

    assert call(made(app)).starts[0][0].startswith(str(status))
    assert handled(captured) == [("UnauthorizedError", is_handled)]
    assert sessions() == ({"errored": 1} if is_handled else {"crashed": 1})


@pytest.mark.parametrize(("status", "is_one"), [(404, False), (400, False), (500, True), (503, True)])
def test_answer_that_is_raised_is_an_error_from_500_on(captured, sessions, status, is_one):
    """flask-restful signals what abort() raises like any exception."""
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)

    @app.route("/")
    def view():
        flask.abort(status)

    @app.errorhandler(status)
    def answer(error):
        flask.got_request_exception.send(app, exception=error)
        return "answered", status

    assert call(made(app)).starts[0][0].startswith(str(status))
    assert len(captured.errors) == is_one
    assert sessions() == ({"crashed": 1} if is_one else {"exited": 1})


def test_answer_that_is_raised_and_captured_by_hand_stays(captured, sessions):
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)

    @app.errorhandler(404)
    def answer(error):
        sentry_sdk.capture_exception(error)
        return "answered", 404

    call(made(app))
    assert handled(captured) == [("NotFound", True)]
    assert sessions() == {"errored": 1}


def test_sampling_of_errors_does_not_change_the_session(captured, sessions):
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)

    @app.route("/")
    def view():
        try:
            raise ValueError
        except ValueError as error:
            flask.got_request_exception.send(app, exception=error)
        return "answered", 404

    call(made(app, sample_rate=0.0))
    assert captured.errors == []
    assert sessions() == {"errored": 1}


def pyramid_app(view, tweens=(), **settings):
    with Configurator(settings={"retry.attempts": 3, **settings}) as config:
        config.include("pyramid_tm")
        config.include("pyramid_retry")
        config.add_route("view", "/")
        config.add_view(view, route_name="view")

        def page(error, request):
            return Response("a page for the error", status=500)

        config.add_exception_view(page, context=Exception)
    return config.make_wsgi_app()


class Manager:
    """A data manager that says that its errors may go away, as ZODB's and SQLAlchemy's do."""

    def __getattr__(self, name):
        return lambda *args: None

    def sortKey(self):
        return "manager"

    def should_retry(self, error):
        return isinstance(error, ConflictError)


class ConflictError(Exception):
    pass


def conflicting(failures):
    """Return a view whose first attempts fail by a conflict."""
    attempts = []

    def view(request):
        request.tm.get().join(Manager())
        attempts.append(1)
        if len(attempts) <= failures:
            raise ConflictError
        return Response("done")

    return view


@pytest.mark.parametrize("same_object", [False, True])
@pytest.mark.parametrize("is_logged", [False, True])
@pytest.mark.parametrize("failures", [1, 2, 3])
def test_attempts_that_are_tried_again_are_no_errors(captured, sessions, failures, is_logged, same_object):
    """pyramid_tm marks the error in its tween, over the exception views."""
    attempts = []
    error = ConflictError()

    def view(request):
        request.tm.get().join(Manager())
        attempts.append(request.environ["retry.attempt"])
        if len(attempts) <= failures:
            try:
                raise error if same_object else ConflictError
            except ConflictError:
                if is_logged:
                    LOGGER.exception("something is wrong")
                raise
        return Response("done")

    response = TestApp(made(pyramid_app(view))).get("/", expect_errors=True)
    assert response.status_int == (200 if failures < 3 else 500)
    assert len(attempts) == min(failures + 1, 3)
    assert handled(captured) == ([] if failures < 3 else [("ConflictError", False)])
    assert sessions() == ({"exited": 1} if failures < 3 else {"crashed": 1})


def test_error_that_is_not_retried_is_one(captured, sessions):
    def view(request):
        raise ValueError

    TestApp(made(pyramid_app(view))).get("/", status=500)
    assert handled(captured) == [("ValueError", False)]
    assert sessions() == {"crashed": 1}


def test_panel_that_logs_a_crash_first_leaves_it_unhandled(captured, sessions):
    """pyramid_debugtoolbar logs an exception with exc_info and raises it again."""

    def view(request):
        raise ValueError

    with Configurator() as config:
        config.add_route("view", "/")
        config.add_view(view, route_name="view")
        config.add_tween("apps.logging_tween")
    app = config.make_wsgi_app()
    with pytest.raises(ValueError):
        TestApp(made(app)).get("/")
    assert handled(captured) == [("ValueError", False)]
    assert sessions() == {"crashed": 1}


def test_crash_that_the_debugtoolbar_shows_is_unhandled_once(captured, sessions):
    """Its tween logs an exception and answers with its debugger: Pyramid and the filter see no error."""

    def view(request):
        raise ValueError("shown by the toolbar")

    with Configurator(
        settings={"debugtoolbar.hosts": "0.0.0.0/0", "debugtoolbar.intercept_exc": "true"}
    ) as config:
        config.include("pyramid_debugtoolbar")
        config.add_route("view", "/")
        config.add_view(view, route_name="view")
    response = TestApp(made(config.make_wsgi_app())).get(
        "/", status=500, extra_environ={"REMOTE_ADDR": "127.0.0.1"}
    )
    assert "shown by the toolbar" in response.text
    assert handled(captured) == [("ValueError", False)]
    assert sessions() == {"crashed": 1}


def logs_and_answers(*logged, status="500 Internal Server Error", then=None):
    def app(environ, start_response):
        for error in logged:
            try:
                raise error
            except Exception:
                LOGGER.exception("something is wrong")
        if then is not None:
            raise then
        start_response(status, [])
        return [b""]

    return app


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (logs_and_answers(ValueError()), [("ValueError", False)]),
        (logs_and_answers(KeyError(), ValueError()), [("KeyError", True), ("ValueError", False)]),
        (logs_and_answers(ValueError(), status="503 Busy"), [("ValueError", True)]),
        (logs_and_answers(KeyError(), then=ValueError()), [("KeyError", True), ("ValueError", False)]),
    ],
    ids=["logged", "two", "busy", "raised"],
)
def test_crash_that_only_the_log_knows_of_is_what_was_logged_last(captured, app, expected):
    call(made(app))
    assert sorted(handled(captured)) == expected


def test_thread_that_crashes_is_unhandled_whatever_is_answered(captured, sessions):
    import threading

    def work():
        try:
            raise ValueError("in a thread")
        except ValueError as error:
            event, hint = sentry_sdk.utils.event_from_exception(
                error, mechanism={"type": "threading", "handled": False}
            )
            sentry_sdk.capture_event(event, hint)

    def app(environ, start_response):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        start_response("200 OK", [])
        return [b"done"]

    call(made(app))
    assert handled(captured) == [("ValueError", False)]


class TestWaiting:
    def test_error_is_sent_when_the_response_begins(self, captured):
        seen = []

        def app(environ, start_response):
            sentry_sdk.capture_exception(ValueError())
            seen.append(len(captured.errors))
            start_response("200 OK", [])
            seen.append(len(captured.errors))
            return [b""]

        call(made(app))
        assert seen == [0, 1]

    def test_flush_sends_what_waits(self, captured):
        def app(environ, start_response):
            sentry_sdk.capture_exception(ValueError())
            sentry_sdk.flush()
            assert len(captured.errors) == 1
            start_response("200 OK", [])
            return [b""]

        call(made(app))
        assert len(captured.errors) == 1

    def test_request_that_goes_on_does_not_keep_its_errors(self, captured, monkeypatch):
        monkeypatch.setattr("sentry_paste.client.held.LONGEST", 0.05)

        def app(environ, start_response):
            sentry_sdk.capture_exception(ValueError())
            until = time.monotonic() + 20
            while not captured.errors and time.monotonic() < until:
                time.sleep(0.01)
            assert len(captured.errors) == 1
            start_response("200 OK", [])
            return [b""]

        call(made(app))
        assert len(captured.errors) == 1

    def test_event_id_is_known_at_once(self, captured):
        seen = []

        def app(environ, start_response):
            seen.append(sentry_sdk.capture_exception(ValueError()))
            seen.append(sentry_sdk.last_event_id())
            start_response("200 OK", [])
            return [b""]

        call(made(app))
        assert seen == [captured.errors[0]["event_id"]] * 2

    def test_messages_do_not_wait(self, captured):
        def app(environ, start_response):
            sentry_sdk.capture_message("a message")
            assert len(captured.errors) == 1
            start_response("200 OK", [])
            return [b""]

        call(made(app))

    def test_many_errors_of_a_request_are_all_sent(self, captured):
        def app(environ, start_response):
            for number in range(100):
                sentry_sdk.capture_exception(ValueError(number))
            start_response("200 OK", [])
            return [b""]

        call(made(app))
        assert [event["exception"]["values"][0]["value"] for event in captured.errors] == [
            str(number) for number in range(100)
        ]

    def test_dropped_attempt_is_counted_as_dropped(self, captured, monkeypatch):
        lost = []
        monkeypatch.setattr(
            "sentry_paste.testing.MemoryTransport.record_lost_event",
            lambda self, reason, data_category=None, item=None, quantity=1: lost.append(
                (reason, data_category)
            ),
        )
        TestApp(made(pyramid_app(conflicting(1)))).get("/")
        assert lost == [("event_processor", "error")]


def test_answer_decides_for_the_apps_own_client_too():
    found = CapturedEnvelopes()
    sentry_sdk.init(transport=MemoryTransport(found), release="1")
    call(SentryMiddleware(logs_and_raises))
    sentry_sdk.flush()
    assert handled(found) == [("ValueError", False)]
    assert [aggregate.get("crashed") for aggregate in found.sessions] == [1]


class TestWithASpool:
    """An error that waits is on the disk: a process that is killed meanwhile loses nothing."""

    def test_it_is_written_at_once(self, tmp_path):
        seen = []

        def app(environ, start_response):
            sentry_sdk.capture_exception(ValueError())
            seen.extend(Spool(tmp_path / "spool").files("error"))
            start_response("200 OK", [])
            return [b""]

        call(made(app, spool_dir=str(tmp_path / "spool")))
        assert [file.state for file in seen] == ["claimed"]
        assert [file.state for file in Spool(tmp_path / "spool").files("error")] == ["waiting"]

    def test_its_file_says_what_the_answer_has_made_of_it(self, tmp_path):
        call(made(logs_and_raises, spool_dir=str(tmp_path / "spool")))
        (file,) = Spool(tmp_path / "spool").files("error")
        event = json.loads(file.path.read_bytes().splitlines()[2])
        assert event["exception"]["values"][-1]["mechanism"]["handled"] is False

    def test_attempt_that_is_tried_again_leaves_no_file(self, tmp_path):
        TestApp(made(pyramid_app(conflicting(2)), spool_dir=str(tmp_path / "spool"))).get("/")
        assert Spool(tmp_path / "spool").files("error") == []

    def test_process_that_is_killed_in_the_request_loses_nothing(self, tmp_path, receiver):
        script = f"""
import os, signal, sentry_sdk
from sentry_paste import SentryMiddleware

def app(environ, start_response):
    sentry_sdk.capture_exception(ValueError("before the kill"))
    os.kill(os.getpid(), signal.SIGKILL)

SentryMiddleware(app, dsn={receiver.dsn!r}, spool_dir={str(tmp_path / "spool")!r})({{}}, None)
"""
        killed = subprocess.run([sys.executable, "-c", script], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert receiver.envelopes == []
        call(made(answer, dsn=receiver.dsn, spool_dir=str(tmp_path / "spool")))
        receiver.wait(errors=1)
        values = [event["exception"]["values"][-1]["value"] for event in receiver.errors]
        assert values == ["before the kill"]


class TestReviewed:
    """What a review has found."""

    def test_crash_is_sent_although_a_hook_drops_the_record_that_was_logged_first(self, captured, sessions):
        def drop_records(event, hint):
            return None if "log_record" in hint else event

        call(made(logs_and_raises, before_send=drop_records))
        assert handled(captured) == [("ValueError", False)]
        assert sessions() == {"crashed": 1}

    def test_file_that_cannot_be_written_again_is_kept(self, tmp_path, monkeypatch):
        def app(environ, start_response):
            try:
                raise ValueError
            except ValueError:
                LOGGER.exception("something is wrong")
                monkeypatch.setattr("sentry_paste.spool.files.Spool.write", full)
                raise

        def full(*args, **kwargs):
            raise OSError(28, "No space left on device")

        call(made(app, spool_dir=str(tmp_path / "spool")))
        monkeypatch.undo()
        assert [file.state for file in Spool(tmp_path / "spool").files("error")] == ["waiting"]

    @pytest.mark.parametrize("name", ["http.client.IncompleteRead", "werkzeug.exceptions.BadGateway"])
    def test_only_a_frameworks_answers_below_500_are_none(self, captured, sessions, name):
        flask = pytest.importorskip("flask")
        module, _, cls = name.rpartition(".")
        error = getattr(importlib.import_module(module), cls)
        app = flask.Flask(__name__)

        @app.route("/")
        def view():
            try:
                raise error(b"")
            except error as found:
                flask.got_request_exception.send(app, exception=found)
            return "answered", 404

        call(made(app))
        assert [is_handled for _, is_handled in handled(captured)] == [True]
        assert sessions() == {"errored": 1}

    def test_flush_of_the_apps_own_client_sends_what_waits(self):
        found, seen = CapturedEnvelopes(), []
        sentry_sdk.init(transport=MemoryTransport(found))

        def app(environ, start_response):
            sentry_sdk.capture_exception(ValueError())
            sentry_sdk.flush()
            seen.append(len(found.errors))
            start_response("200 OK", [])
            return [b""]

        call(SentryMiddleware(app))
        assert seen == [1]
        assert len(found.errors) == 1

    def test_error_that_a_thread_logs_and_the_request_raises_is_unhandled(self, captured, sessions):
        def app(environ, start_response):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(logs_and_raises, environ, start_response).result()

        call(made(app))
        assert handled(captured) == [("ValueError", False)]
        assert sessions() == {"crashed": 1}

    def test_error_that_is_raised_after_its_answer_is_a_crash(self, captured, sessions):
        def app(environ, start_response):
            error = ValueError()
            LOGGER.error("something is wrong", exc_info=error)
            start_response("200 OK", [])
            raise error

        call(made(app))
        assert len(captured.errors) == 1
        assert sessions() == {"crashed": 1}

    def test_many_errors_that_a_framework_gave_up_and_answered_are_no_crash(self, captured, sessions):
        def app(environ, start_response):
            for number in range(12):
                mechanism = {"type": "graphql", "handled": False}
                error = ValueError(number)
                sentry_sdk.capture_event(*sentry_sdk.utils.event_from_exception(error, mechanism=mechanism))
            start_response("200 OK", [])
            return [b""]

        call(made(app))
        assert len(captured.errors) == 12
        assert sessions() == {"errored": 1}

    def test_error_that_the_app_passes_on_explains_its_status(self, captured):
        def app(environ, start_response):
            try:
                raise ValueError
            except ValueError:
                LOGGER.exception("something is wrong")
                start_response("500 Oops", [], sys.exc_info())
            return [b""]

        call(made(app))
        assert handled(captured) == [("ValueError", True)]

    def test_header_names_no_event_that_is_dropped(self, captured):
        flask = pytest.importorskip("flask")
        exceptions = pytest.importorskip("werkzeug.exceptions")
        app = flask.Flask(__name__)

        @app.route("/")
        def view():
            error = exceptions.NotFound()
            flask.got_request_exception.send(app, exception=error)
            return "answered", 404

        (start,) = call(made(app, event_id_header="X-Sentry-Id")).starts
        assert captured.errors == []
        assert "X-Sentry-Id" not in dict(start[1])

    def test_transport_that_fails_costs_its_own_errors_only(self, captured, monkeypatch):
        def fail_once(self, envelope):
            monkeypatch.undo()
            raise OSError("of a transport")

        def app(environ, start_response):
            for number in range(3):
                sentry_sdk.capture_exception(ValueError(number))
            monkeypatch.setattr(MemoryTransport, "capture_envelope", fail_once)
            start_response("200 OK", [])
            return [b""]

        call(made(app))
        assert [event["exception"]["values"][0]["value"] for event in captured.errors] == ["1", "2"]

    def test_end_of_the_process_sends_what_waits_with_the_apps_own_client(self, receiver):
        script = f"""
import sys, threading, sentry_sdk
from sentry_paste import SentryMiddleware

sentry_sdk.init({receiver.dsn!r})
captured = threading.Event()

def app(environ, start_response):
    sentry_sdk.capture_exception(ValueError("before the end"))
    captured.set()
    threading.Event().wait()

threading.Thread(target=SentryMiddleware(app), args=({{}}, None), daemon=True).start()
captured.wait()
"""
        ended = subprocess.run([sys.executable, "-c", script], check=False, timeout=180)
        assert ended.returncode == 0
        receiver.wait(errors=1)
        assert [event["exception"]["values"][-1]["value"] for event in receiver.errors] == ["before the end"]

    def test_exc_info_that_has_no_truth_costs_no_status(self, captured):
        class Odd:
            def __bool__(self):
                raise ValueError("no truth")

        def app(environ, start_response):
            start_response("404 Not Found", [], Odd())
            return [b""]

        body = made(app, traces_sample_rate=1.0)(environ_of(), lambda *args: None)
        body.close()
        (transaction,) = captured.transactions
        assert transaction["contexts"]["trace"]["status"] == "not_found"

    def test_request_that_is_served_in_a_greenlet_of_another_is_no_thread_of_it(self, captured, sessions):
        def app(environ, start_response):
            mechanism = {"type": "framework", "handled": False}
            event, hint = sentry_sdk.utils.event_from_exception(ValueError(), mechanism=mechanism)
            sentry_sdk.capture_event(event, hint)
            start_response("404 Not Found", [])
            return [b""]

        def serve():
            isolation, current = sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()
            enter_forks(isolation.fork(), current.fork())
            call(made(app))

        contextvars.copy_context().run(serve)
        assert handled(captured) == [("ValueError", True)]
        assert sessions() == {"errored": 1}


def another_client(found):
    return sentry_sdk.Client(transport=MemoryTransport(found))


def in_a_scope(client, error):
    with sentry_sdk.new_scope() as scope:
        scope.set_client(client)
        scope.capture_exception(error)


def in_an_isolation_scope(client, error):
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(client)
        sentry_sdk.capture_exception(error)


def with_the_scope_of_the_request(client, error):
    event, hint = sentry_sdk.utils.event_from_exception(error)
    client.capture_event(event, hint, scope=sentry_sdk.get_isolation_scope())


class TestAnotherClient:
    """What the app captures for another project is nothing that this project has."""

    @pytest.fixture(params=[True, False], ids=["of the ini", "of the app"])
    def project(self, request):
        """Return the events of a project, whose client the ini or the app has made, and the middleware."""
        if request.param:
            return request.getfixturevalue("captured"), made
        if sdk.MAJOR == 3:
            pytest.skip("sentry-sdk 3 marks an exception that any client has captured, and drops it then")
        found = CapturedEnvelopes()
        sentry_sdk.init(transport=MemoryTransport(found), release="1")
        return found, SentryMiddleware

    @pytest.mark.parametrize(
        "capture",
        [in_a_scope, in_an_isolation_scope, with_the_scope_of_the_request],
        ids=lambda f: f.__name__,
    )
    def test_error_that_is_captured_for_another_project_and_raised_is_in_both(self, project, capture):
        here, middleware = project
        there = CapturedEnvelopes()
        client = another_client(there)

        def app(environ, start_response):
            try:
                raise ValueError
            except ValueError as error:
                capture(client, error)
                raise

        call(middleware(app))
        assert handled(here) == [("ValueError", False)]
        assert handled(there) == [("ValueError", True)]

    def test_another_project_learns_nothing_of_an_error_that_is_captured_here_first(self, project):
        here, middleware = project
        there = CapturedEnvelopes()
        client = another_client(there)

        def app(environ, start_response):
            error = ValueError()
            sentry_sdk.capture_exception(error)
            in_a_scope(client, error)
            start_response("200 OK", [])
            return [b""]

        call(middleware(app))
        assert handled(here) == [("ValueError", True)]
        assert handled(there) == [("ValueError", True)]

    def test_error_that_is_captured_for_another_section_of_the_ini_and_raised_is_in_both(self, captured):
        client = made(None, environment="another").filter_state.client

        def app(environ, start_response):
            error = ValueError()
            in_a_scope(client, error)
            raise error

        call(made(app, environment="here"))
        assert handled(captured) == [("ValueError", True), ("ValueError", False)]
        assert [event["environment"] for event in captured.errors] == ["another", "here"]

    def test_another_projects_error_does_not_stand_for_a_failed_status(self, captured):
        client = another_client(CapturedEnvelopes())

        def app(environ, start_response):
            in_a_scope(client, ValueError())
            start_response("503 Busy", [])
            return [b""]

        call(made(app, failed_status_codes={503}))
        assert [event["message"] for event in captured.errors] == ["HTTP status 503"]


class AppError(Exception):
    """One of the app's."""


class TestWhatIsRemembered:
    def test_error_of_very_many_that_is_raised_is_sent_once(self, captured, sessions):
        errors = [AppError(number) for number in range(30)]

        def app(environ, start_response):
            for error in errors:
                LOGGER.error("something is wrong", exc_info=error)
            raise errors[0]

        call(made(app))
        sent = [event["exception"]["values"][-1]["value"] for event in captured.errors]
        assert sorted(sent, key=int) == [str(number) for number in range(30)]
        assert sessions() == {"crashed": 1}

    def test_stream_keeps_no_error_that_it_has_caught(self, captured):
        alive = []

        def app(environ, start_response):
            start_response("200 OK", [])
            for number in range(3):
                try:
                    raise AppError(number)
                except AppError as error:
                    alive.append(weakref.ref(error))
                    sentry_sdk.capture_exception(error)
                yield b"x"
            gc.collect()
            # The SDK may remember the last one.
            assert [ref() for ref in alive[:-1]] == [None, None]
            yield b"y"

        call(made(app))
        assert handled(captured) == [("AppError", True)] * 3

    def test_stream_keeps_no_objects_of_built_in_errors_for_longer_than_they_wait(
        self, captured, monkeypatch
    ):
        monkeypatch.setattr("sentry_paste.client.held.LONGEST", 0.05)
        opened = []

        class Connection:
            pass

        def connect():
            connection = Connection()
            opened.append(weakref.ref(connection))
            raise ConnectionError

        def app(environ, start_response):
            start_response("200 OK", [])
            for _ in range(4):
                try:
                    connect()
                except ConnectionError as error:
                    sentry_sdk.capture_exception(error)
            until = time.monotonic() + 20
            # The SDK remembers the last one, too.
            while any(reference() for reference in opened[:-1]) and time.monotonic() < until:
                time.sleep(0.01)
            assert [reference() for reference in opened[:-1]] == [None] * 3
            yield b"x"

        call(made(app))
        assert handled(captured) == [("ConnectionError", True)] * 4

    def test_last_built_in_error_is_known_for_as_long_as_the_request_lasts(
        self, captured, sessions, monkeypatch
    ):
        monkeypatch.setattr("sentry_paste.client.held.LONGEST", 0.05)

        def app(environ, start_response):
            error = ValueError()
            sentry_sdk.capture_exception(error)
            until = time.monotonic() + 20
            while not captured.errors and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.1)
            raise error

        call(made(app))
        assert len(captured.errors) == 1
        assert sessions() == {"crashed": 1}

    def test_stream_keeps_no_envelope_that_was_sent(self, captured, monkeypatch):
        sent, kept = [], []
        monkeypatch.setattr(
            MemoryTransport, "capture_envelope", lambda self, envelope: sent.append(weakref.ref(envelope))
        )

        def app(environ, start_response):
            start_response("200 OK", [])
            sentry_sdk.capture_exception(ValueError())
            sentry_sdk.flush()
            gc.collect()
            kept.extend(reference() for reference in sent)
            yield b"x"

        call(made(app))
        assert kept == [None]


class TestEventId:
    """A hook that changes the id of an event changes nothing else."""

    @staticmethod
    def before_send(event, hint):
        event["event_id"] = "a" * 32
        return event

    def check(self, captured):
        assert handled(captured) == [("ValueError", False)]
        assert [event["event_id"] for event in captured.errors] == ["a" * 32]

    def test_with_the_inis_client(self, captured):
        call(made(logs_and_raises, before_send=self.before_send))
        self.check(captured)

    def test_with_the_apps_client(self):
        found = CapturedEnvelopes()
        sentry_sdk.init(transport=MemoryTransport(found), before_send=self.before_send)
        call(SentryMiddleware(logs_and_raises))
        self.check(found)


class TestSampledErrors:
    """Sampling decides what is sent; the session is the same."""

    def test_crash_that_is_logged_first_is_one(self, captured, sessions):
        call(made(logs_and_raises, sample_rate=0.0))
        assert captured.errors == []
        assert sessions() == {"crashed": 1}

    def test_answer_that_is_no_error_is_none(self, captured, sessions):
        flask = pytest.importorskip("flask")
        exceptions = pytest.importorskip("werkzeug.exceptions")
        app = flask.Flask(__name__)

        @app.route("/")
        def view():
            flask.got_request_exception.send(app, exception=exceptions.NotFound())
            return "answered", 404

        call(made(app, sample_rate=0.0))
        assert sessions() == {"exited": 1}

    def test_attempts_that_are_tried_again_are_none(self, captured, sessions):
        TestApp(made(pyramid_app(conflicting(2)), sample_rate=0.0)).get("/")
        assert sessions() == {"exited": 1}


def test_hook_that_drops_an_error_leaves_those_of_other_threads(captured):
    in_hook, in_other_hook = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: sentry_sdk.capture_exception(ValueError("dropped")))

    def before_send(event, hint):
        if str(hint["exc_info"][1]) == "dropped":
            in_hook.set()
            in_other_hook.wait(20)
            return None
        in_other_hook.set()
        thread.join(20)
        return event

    def app(environ, start_response):
        error = ValueError("raised")
        thread.start()
        in_hook.wait(20)
        sentry_sdk.capture_exception(error)
        raise error

    call(made(app, before_send=before_send))
    assert handled(captured) == [("ValueError", False)]


class TestServedWithinARequest:
    """A thread or greenlet of a request serves another, which is a session of its own."""

    @staticmethod
    def outer(serve, **options):
        def app(environ, start_response):
            sentry_sdk.set_tag("is", "outer")
            serve()
            start_response("200 OK", [])
            return [b""]

        return made(app, **options)

    @pytest.mark.parametrize("is_used", [True, False], ids=["scopes used", "scopes unused"])
    def test_by_a_thread(self, captured, sessions, is_used):
        def inner(environ, start_response):
            if is_used:
                sentry_sdk.set_tag("is", "inner")
            start_response("200 OK", [])
            return [b""]

        def serve():
            thread = threading.Thread(target=call, args=(made(inner),))
            thread.start()
            thread.join()
            sentry_sdk.capture_exception(ValueError())

        call(self.outer(serve))
        assert sessions() == {"exited": 1, "errored": 1}

    @staticmethod
    def serve_in_a_greenlet(app, environ):
        def serve():
            isolation, current = sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()
            enter_forks(isolation.fork(), current.fork())
            call(app, environ)

        contextvars.copy_context().run(serve)

    def test_by_a_greenlet(self, captured, sessions):
        call(self.outer(lambda: self.serve_in_a_greenlet(made(logs_and_raises), environ_of())))
        assert handled(captured) == [("ValueError", False)]
        assert sessions() == {"exited": 1, "crashed": 1}

    def test_path_that_is_not_measured(self, captured, sessions):
        inner = made(logs_and_raises, ignore_paths="/ignored")
        call(self.outer(lambda: self.serve_in_a_greenlet(inner, environ_of("/ignored"))))
        assert handled(captured) == [("ValueError", False)]
        assert sessions() == {"exited": 1}
