"""Which exceptions are errors of the app: by who raised them, not by their words."""

import pytest

from sentry_paste.wsgi.errors import client_went_away, is_error

MESSAGES = ("write error: the disk is full", "error during read", "unable to receive websocket message")


def raised(function):
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("message", MESSAGES)
def test_error_that_the_app_raises_itself_is_an_error(message):
    def write():
        raise OSError(message)

    assert is_error(raised(write))


@pytest.mark.parametrize("message", MESSAGES)
def test_error_that_the_app_raises_again_is_an_error(message):
    def write():
        try:
            raise OSError(message)
        except OSError:
            raise

    assert is_error(raised(write))


@pytest.mark.parametrize("message", MESSAGES)
def test_error_from_a_function_in_c_is_the_client_s(message):
    def read():
        generator = (None for _ in [0])
        next(generator)
        generator.throw(OSError(message))

    error = raised(read)
    # throw() is written in C; it adds the generator's frame, and a server in C has none.
    error.__traceback__ = error.__traceback__.tb_next
    error.__traceback__.tb_next = None
    assert client_went_away(error)


def test_greenlet_that_is_ended_is_no_error():
    greenlet = pytest.importorskip("greenlet")
    assert not is_error(greenlet.GreenletExit())
    assert not is_error(type("Ours", (greenlet.GreenletExit,), {})())


def test_error_of_the_same_name_is_an_error():
    assert is_error(type("GreenletExit", (Exception,), {})())


class TestSystemExit:
    @pytest.mark.parametrize("code", [0, None, False])
    def test_without_a_failure_is_no_error(self, code):
        assert not is_error(SystemExit(code))

    @pytest.mark.parametrize("code", [1, "failed", object()])
    def test_with_one_is(self, code):
        assert is_error(SystemExit(code))

    def test_code_is_not_compared(self):
        class Hostile:
            def __eq__(self, other):
                raise RuntimeError("compared")

            __hash__ = None

        assert is_error(SystemExit(Hostile()))

    def test_code_that_raises_is_a_failure(self):
        class Hostile(SystemExit):
            @property
            def code(self):
                raise RuntimeError("read")

        assert is_error(Hostile())


@pytest.mark.parametrize(
    ("module", "name", "base", "expected"),
    [
        ("paste.recursive", "ForwardRequestException", Exception, False),
        ("of.the.app", "ForwardRequestException", Exception, True),
        ("webob.request", "DisconnectionError", OSError, False),
        ("of.the.app", "DisconnectionError", OSError, True),
    ],
)
def test_what_frameworks_raise_is_known_by_its_class(module, name, base, expected):
    assert is_error(type(name, (base,), {"__module__": module})("x")) is expected


def of_module(name, function="raise error", **names):
    """Return a function that a module of this name has, which raises."""
    namespace = {"__name__": name, **names}
    exec(f"def read():\n    {function}", namespace)
    return namespace["read"]


class TestWhatServersRaiseThemselves:
    @pytest.mark.parametrize("server", ["gevent.pywsgi", "gunicorn.http.body", "waitress.parser"])
    def test_is_the_client_s(self, server):
        error = raised(of_module(server, error=OSError("unexpected end of file while reading request")))
        assert client_went_away(error)

    def test_is_an_error_where_a_function_in_c_raises_it(self):
        """Such as that of a disk on which the server keeps a large body."""
        error = raised(of_module("waitress.buffers", "open('/nowhere/at/all')"))
        assert is_error(error)

    @pytest.mark.parametrize("kind", [type("UnreadablePostError", (OSError,), {}), SystemError])
    def test_is_the_client_s_where_another_is_raised_from_it(self, kind):
        def read():
            try:
                of_module("gunicorn.http.unreader", error=ConnectionResetError())()
            except OSError as error:
                raise kind(*error.args) from error

        assert client_went_away(raised(read))

    def test_is_an_error_where_the_app_makes_another_kind_of_it(self):
        def read():
            try:
                of_module("gunicorn.http.unreader", error=ConnectionResetError())()
            except OSError as error:
                raise ValueError("no body") from error

        assert is_error(raised(read))

    def test_causes_that_go_in_a_circle_have_an_end(self):
        first, second = OSError("first"), OSError("second")
        first.__cause__, second.__cause__ = second, first
        assert is_error(first)


class TestAttributesOfTheApp:
    """A class of the app's may have properties of the names that every exception has."""

    @pytest.mark.parametrize("name", ["__traceback__", "__cause__", "__class__", "__context__"])
    def test_are_not_asked(self, name):
        def ask(self):
            raise RuntimeError(f"asked for {name}")

        assert is_error(type("HostileError", (OSError,), {name: property(ask)})("x"))
