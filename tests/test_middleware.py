"""Neither the app nor the server can detect the filter."""

import copy
import io
import tempfile
import threading
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webtest import TestApp

from sentry_paste import SentryMiddleware

import apps
from transparency import compare, some_environ
from wsgi_calls import call, environ_of


@pytest.fixture
def around(captured):
    return lambda app, **options: SentryMiddleware(app, traces_sample_rate=1.0, release="1", **options)


@pytest.mark.parametrize("name", apps.APPS)
def test_server_sees_the_same(around, name):
    bare = call(apps.APPS[name])
    assert call(around(apps.APPS[name])).facts() == bare.facts()


@pytest.mark.parametrize("name", [name for name in apps.APPS if name.startswith("answer_")])
def test_both_sides_keep_to_pep_3333(around, name, capsys):
    if name == "answer_late":
        pytest.skip("wsgiref.validate requires start_response before the first chunk is read")
    # The inner validator checks what the filter does to the app, the outer what it does to the server.
    app = TestApp(validator(around(validator(apps.APPS[name]))), lint=True)
    status = {"answer_exc_info": 500}.get(name)
    app.get("/", status=status)
    assert "Error" not in capsys.readouterr().err


def test_list_body_keeps_its_length(around):
    assert len(call(around(apps.answer_list)).body) == 1


def test_list_body_stays_a_list(around):
    assert isinstance(call(around(apps.answer_long_list)).body, list)


def test_tuple_body_keeps_its_length(around):
    assert len(call(around(apps.answer_tuple)).body) == 1


def test_generator_body_has_no_length(around):
    with pytest.raises(TypeError):
        len(call(around(apps.answer_generator)).body)


def test_file_wrapper_stays_the_same_object(around):
    wrapper = FileWrapper(io.BytesIO(b"x"))
    app = around(lambda environ, start_response: wrapper)
    assert app(environ_of(**{"wsgi.file_wrapper": FileWrapper}), lambda *args: None) is wrapper


def test_file_of_a_server_whose_wrapper_is_a_function_stays_the_same_object(around):
    with tempfile.TemporaryFile() as file:
        app = around(lambda environ, start_response: environ["wsgi.file_wrapper"](file))
        environ = environ_of(**{"wsgi.file_wrapper": lambda file: file})
        assert app(environ, lambda *args: None) is file


@pytest.mark.parametrize("body", [b"bytes", "text"])
def test_body_of_bytes_or_text_stays_the_same_object(around, body):
    assert call(around(lambda environ, start_response: body)).body is body


def test_close_is_called_once(around):
    calls = []
    app = around(lambda environ, start_response: apps.CloseRecorder([b"a"], calls=calls))
    assert call(app).chunks == [b"a"]
    assert calls == ["close"]


def test_close_is_not_called_where_the_server_does_not(around):
    calls = []
    app = around(lambda environ, start_response: apps.CloseRecorder([b"a"], calls=calls))
    call(app, close=False)
    assert calls == []


def test_the_very_exception_is_raised(around):
    error = ValueError("the very one")

    def app(environ, start_response):
        raise error

    assert call(around(app)).error is error


def test_attribute_error_in_close_is_raised(around):
    assert str(call(around(apps.attribute_error_in_close)).error) == "in close"


def test_input_is_untouched(around):
    class Input(io.BytesIO):
        def read(self, *args):
            raise AssertionError("read")

        readline = readlines = __iter__ = read

    stream = Input(b"body")
    seen = call(
        around(apps.answer_list), environ_of("/", "POST", **{"wsgi.input": stream, "CONTENT_LENGTH": "4"})
    )
    assert seen.error is None
    assert stream.tell() == 0


def test_environ_is_the_servers_own_with_the_trace_s_tags_added(around):
    environ = environ_of()
    before = dict(environ)

    def app(given, start_response):
        assert given is environ
        assert {**given, **before} == given
        assert given.keys() - before.keys() <= {"sentry.trace_meta"}
        return []

    assert call(around(app), environ).error is None


def test_start_response_may_be_called_by_keywords(around):
    def app(environ, start_response):
        start_response(status="200 OK", headers=[("A", "b")])
        return []

    assert call(around(app)).starts == [("200 OK", [("A", "b")], None)]


def test_next_works_as_on_the_apps_own_generator(around):
    body = around(apps.answer_generator)(environ_of(), lambda *args: None)
    assert next(body) == b"one "
    body.close()


def test_body_that_is_no_iterable_raises_as_it_would(around):
    assert type(call(around(apps.crash_returns_none)).error) is TypeError


@given(st.randoms(use_true_random=False))
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_app_is_the_same_with_and_without(captured_unchecked, random):
    """.ci/run also runs twenty thousand of them, as ``python -m transparency``."""
    compare(random)


@given(st.randoms(use_true_random=False))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_environ_loses_an_error(captured, around, random):
    before = len(captured.errors)
    call(around(apps.crash), some_environ(random))
    assert len(captured.errors) == before + 1


class TestBodiesThatOthersLookAt:
    def test_iterable_that_begins_again_does_so(self, around):
        body = around(lambda environ, start_response: apps.CloseRecorder([b"a", b"b"]))(environ_of(), None)
        assert [list(body), list(body)] == [[b"a", b"b"], [b"a", b"b"]]

    def test_list_of_a_subclass_stays_a_list(self, around):
        class Chunks(list):
            pass

        body = around(lambda environ, start_response: Chunks([b"a"]))(environ_of(), None)
        assert isinstance(body, list)
        assert body[0] == b"a"

    def test_list_that_can_be_closed_is_closed(self, around):
        class Closing(list):
            closed = 0

            def close(self):
                Closing.closed += 1

        assert call(around(lambda environ, start_response: Closing([b"a"]))).chunks == [b"a"]
        assert Closing.closed == 1

    def test_attributes_of_the_body_can_be_found(self, around):
        class Body(apps.CloseRecorder):
            filename = "a.txt"

        body = around(lambda environ, start_response: Body([b"a"]))(environ_of(), None)
        assert body.filename == "a.txt"
        assert not hasattr(body, "nothing")

    def test_iterator_that_two_threads_may_read_can_be_read_by_two(self, around):
        first, second = threading.Event(), threading.Event()

        class Shared:
            calls = 0

            def __iter__(self):
                return self

            def __next__(self):
                Shared.calls += 1
                if Shared.calls == 1:
                    first.set()
                    assert second.wait(30)
                    return b"slow"
                return b"quick"

        body = iter(around(lambda environ, start_response: Shared())(environ_of(), None))
        found = []
        thread = threading.Thread(target=lambda: found.append(next(body)))
        thread.start()
        assert first.wait(30)
        found.append(next(body))
        second.set()
        thread.join()
        assert found == [b"quick", b"slow"]

    def test_file_of_mod_wsgi_stays_the_same_object(self, around):
        class Stream:
            filelike = None

        stream = Stream()
        environ = environ_of(**{"wsgi.file_wrapper": lambda file: stream})
        assert around(lambda environ, start_response: stream)(environ, lambda *args: None) is stream


def test_attributes_of_the_app_can_be_read_through_the_middleware():
    class App:
        registry = "of Pyramid"

        def __deepcopy__(self, memo):
            return self

        def __call__(self, environ, start_response):
            start_response("200 OK", [])
            return []

    middleware = SentryMiddleware(App())
    assert middleware.registry == "of Pyramid"
    with pytest.raises(AttributeError, match="no_such"):
        middleware.no_such  # noqa: B018
    assert copy.copy(middleware).registry == "of Pyramid"
    assert not hasattr(middleware, "__deepcopy__")
