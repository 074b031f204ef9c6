"""Scopes: each request has its own, in whatever thread and order its body is iterated."""

import gc
import threading

import pytest
import sentry_sdk

import apps
from traced_apps import answer, traced
from wsgi_calls import call, environ_of


class TestScopes:
    def test_tag_of_one_request_is_not_on_the_next(self, captured):
        def app(environ, start_response):
            if environ["PATH_INFO"] == "/first":
                sentry_sdk.set_tag("who", "first")
            raise ValueError

        call(traced(app), environ_of("/first"))
        call(traced(app), environ_of("/second"))
        assert [error.get("tags", {}).get("who") for error in captured.errors] == ["first", None]

    def test_breadcrumbs_from_before_the_request_are_not_its_own(self, captured):
        app = traced(apps.crash)
        sentry_sdk.add_breadcrumb(message="at start-up")
        call(app)
        assert captured.errors[0]["breadcrumbs"]["values"] == []

    def test_bodies_interleaved_in_one_thread_keep_their_scopes(self, captured):
        bodies = [iter(traced(self.tagging)(environ_of(path), lambda *args: None)) for path in ("/a", "/b")]
        for body in bodies * 2:
            next(body)
        for body in bodies:
            with pytest.raises(ValueError, match="/"):
                next(body)
        tags = [
            (error["exception"]["values"][-1]["value"], error["tags"]["path"]) for error in captured.errors
        ]
        assert tags == [("/a", "/a"), ("/b", "/b")]

    @staticmethod
    def tagging(environ, start_response):
        path = environ["PATH_INFO"]
        start_response("200 OK", [])
        yield b"one"
        sentry_sdk.set_tag("path", path)
        yield b"two"
        raise ValueError(path)

    def test_body_iterated_in_another_thread_keeps_its_scope(self, captured):
        body = traced(self.tagging)(environ_of("/a"), lambda *args: None)

        def read():
            with pytest.raises(ValueError, match="/a"):
                list(body)

        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        (error,) = captured.errors
        assert error["tags"]["path"] == "/a"
        assert error["request"]["url"] == "http://localhost/a"

    def test_close_in_another_thread_while_a_chunk_is_made(self, captured):
        making, closed = threading.Event(), threading.Event()

        class Slow:
            def __iter__(self):
                making.set()
                assert closed.wait(30)
                yield b"late"

            def close(self):
                sentry_sdk.capture_message("closing")
                closed.set()

        body = traced(lambda environ, start_response: Slow())(environ_of("/slow"), lambda *args: None)
        chunks = []
        thread = threading.Thread(target=lambda: chunks.extend(body))
        thread.start()
        assert making.wait(30)
        body.close()
        thread.join()
        assert chunks == [b"late"]
        assert captured.errors[0]["request"]["url"] == "http://localhost/slow"
        assert len(captured.transactions) == 1

    def test_runtime_error_of_close_is_raised_and_close_not_called_again(self, captured):
        calls = []
        body = apps.CloseRecorder([b"a"], RuntimeError("cannot enter context: fake"), calls)
        assert type(call(traced(lambda environ, start_response: body)).error) is RuntimeError
        assert calls == ["close"]

    def test_scopes_of_the_server_are_as_before(self, captured):
        before = sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()
        call(traced(self.tagging))
        assert (sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()) == before
        assert "path" not in before[0]._tags

    def test_request_is_not_kept_alive(self, captured):
        class Input:
            deaths = []

            def __del__(self):
                self.deaths.append("collected")

        gc.disable()
        try:
            call(traced(answer), environ_of(**{"wsgi.input": Input()}))
            assert Input.deaths == ["collected"]
        finally:
            gc.enable()


def test_iter_of_the_body_runs_in_the_requests_scope(captured):
    class Body:
        def __iter__(self):
            sentry_sdk.capture_message("in iter")
            return iter([b"a"])

    call(traced(lambda environ, start_response: Body()), environ_of("/x"))
    assert captured.errors[0]["request"]["url"] == "http://localhost/x"
