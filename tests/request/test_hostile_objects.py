"""Hostile objects in every place at once: the server sees what it would without the filter, errors arrive.

``test_foreign_objects`` has single cases. Here Hypothesis combines them.
"""

import importlib
import sys

import pytest
import sentry_sdk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.testing import capture_envelopes

from wsgi_calls import call, environ_of

SPECIAL = (
    *(
        "__eq__",
        "__ne__",
        "__lt__",
        "__bool__",
        "__len__",
        "__hash__",
        "__iter__",
        "__next__",
        "__contains__",
    ),
    *("__getitem__", "__str__", "__repr__", "__format__", "__int__", "__index__", "__call__", "__fspath__"),
    *("__getattr__", "__getattribute__", "__class__", "__reduce_ex__", "__sentry_repr__", "__enter__"),
    *("__instancecheck__", "__subclasscheck__", "__dir__", "__bytes__", "__length_hint__", "keys", "items"),
)


class OfTheAppError(Exception):
    """What objects of the app raise."""


class LoudError(BaseException):
    """What they raise to get past ``except Exception``."""


def hostile_class(asked, error, *bases, without=()):
    """Return a class whose instances record what they are asked, and raise."""

    def refuse(name):
        def ask(self, *args):
            asked.append(name)
            raise error(name)

        return property(ask) if name in ("__class__", "keys", "items") else ask

    return type(
        "Hostile", bases or (object,), {name: refuse(name) for name in SPECIAL if name not in without}
    )


def lying_class(asked, *bases):
    """Return a class whose instances record that they are asked, and answer with nonsense."""

    def answer(name, value):
        def ask(self, *args):
            asked.append(name)
            return value

        return property(ask) if name in ("__class__", "keys") else ask

    values = {
        "__class__": str, "__str__": "lie", "__repr__": "lie", "__bool__": True, "__len__": 3, "__hash__": 1,
        "__eq__": True, "__getattr__": 7, "__contains__": True, "keys": [],
    }  # fmt: skip
    return type("Lying", bases or (object,), {name: answer(name, value) for name, value in values.items()})


def lazy(module, name):
    """Return a maker of lazy objects of a library, whose loading is recorded and fails."""

    def make(asked):
        def load():
            asked.append("loaded")
            raise OfTheAppError("the database is gone")

        return getattr(importlib.import_module(module), name)(load)

    return make


def proxied(asked):
    """An ``ObjectProxy`` of wrapt around an object that refuses everything."""
    return importlib.import_module("wrapt").ObjectProxy(hostile_class(asked, OfTheAppError)())


def has(module):
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


LIBRARIES = {
    "django": ("django.utils.functional", lazy("django.utils.functional", "SimpleLazyObject")),
    "werkzeug": ("werkzeug.local", lazy("werkzeug.local", "LocalProxy")),
    "lazy_object_proxy": ("lazy_object_proxy", lazy("lazy_object_proxy", "Proxy")),
    "wrapt": ("wrapt", proxied),
}
OBJECTS = {
    "raises": lambda asked: hostile_class(asked, OfTheAppError)(),
    "loud": lambda asked: hostile_class(asked, LoudError)(),
    "lies": lambda asked: lying_class(asked)(),
    "text": lambda asked: hostile_class(asked, OfTheAppError, str, without=("__hash__",))("text"),
    "bytes": lambda asked: hostile_class(asked, OfTheAppError, bytes)(b"bytes"),
    "dict": lambda asked: hostile_class(asked, OfTheAppError, dict)(a=1),
    "list": lambda asked: hostile_class(asked, OfTheAppError, list)([1]),
    "int": lambda asked: hostile_class(asked, OfTheAppError, int)(1),
    **{name: make for name, (module, make) in LIBRARIES.items() if has(module)},
}

# Where an outer middleware or a server, and where the app, can put one.
ENVIRON = (
    *("REMOTE_USER", "HTTP_X_LAZY", "HTTP_COOKIE", "HTTP_HOST", "QUERY_STRING", "REMOTE_ADDR", "app.user"),
    *("HTTP_AUTHORIZATION", "CONTENT_TYPE", "wsgi.url_scheme", "SERVER_PORT", "repoze.who.identity"),
    *(
        "beaker.session",
        "wsgi.input",
        "wsgi.errors",
        "webob.adhoc_attrs",
        "HTTP_SENTRY_TRACE",
        "HTTP_BAGGAGE",
    ),
    *("wsgiorg.routing_args", "SCRIPT_NAME", "SERVER_NAME", "wsgi.file_wrapper", "retry.attempts"),
)
PLACES = (
    *(f"server {name}" for name in ENVIRON),
    *(f"app {name}" for name in ENVIRON),
    *("local variable", "tag", "context", "extra", "breadcrumb", "argument"),
)
# What the SDK itself is given is serialised by the SDK, in requests that send something.
OF_THE_SDK = ("tag", "context", "extra", "breadcrumb")
# Frameworks leave the name of the route there, in a sequence.
NOT_COUNTED = (*OF_THE_SDK, "server wsgiorg.routing_args", "app wsgiorg.routing_args")

OPTIONS = (
    {"traces_sample_rate": 1.0},
    {"traces_sample_rate": 0.0},
    {"traces_sample_rate": None},
    {"traces_sample_rate": 1.0, "send_default_pii": True, "trusted_proxy_count": 1},
    {"traces_sample_rate": 1.0, "event_id_header": "X-Event", "failed_status_codes": "400-599"},
    {"traces_sample_rate": 1.0, "transaction_names": "/x* name", "ignore_paths": "/b*"},
)


def hostile_error(names):
    """Return an exception whose attributes of these names raise."""

    def refuse(name):
        def ask(self, *args):
            raise OfTheAppError(name)

        return (
            ask
            if name in ("__str__", "__repr__", "__eq__", "__bool__", "__len__", "__getattr__")
            else property(ask)
        )

    return type("HostileError", (OSError,), {name: refuse(name) for name in names})("of the app")


ERROR_NAMES = (
    *(
        "__traceback__",
        "__cause__",
        "__context__",
        "__suppress_context__",
        "__class__",
        "__notes__",
        "__dict__",
    ),
    *("args", "errno", "strerror", "filename", "code", "name", "exceptions", "__str__", "__repr__", "__eq__"),
    *("__bool__", "__len__", "__getattr__", "__sentry_repr__", "__module__"),
)


def place(where, thing, environ):
    """Put an object where the app can put it."""
    kind, _, name = where.partition(" ")
    if kind == "app" and name:
        environ[name] = thing
    elif where == "tag":
        sentry_sdk.set_tag("hostile", thing)
    elif where == "context":
        sentry_sdk.set_context("hostile", {"value": thing})
    elif where == "extra":
        sentry_sdk.get_isolation_scope().set_extra("hostile", thing)
    elif where == "breadcrumb":
        sentry_sdk.add_breadcrumb(message="hostile", data={"value": thing})


def crash(thing, error):
    kept = thing  # noqa: F841
    raise error


def app_of(placed, error=None):
    """Return an app that puts objects into places, and answers or crashes."""

    def app(environ, start_response):
        for where, thing in placed:
            place(where, thing, environ)
        if error is not None:
            locals_of = [thing for where, thing in placed if where in ("local variable", "argument")]
            crash(locals_of[0] if locals_of else None, error)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    return app


def requested(app, placed):
    """Call an app with what a server or an outer middleware has put into the environ."""
    environ = environ_of("/x")
    environ.update({where[7:]: thing for where, thing in placed if where.startswith("server ")})
    return call(app, environ)


examples = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The SDK's serialiser catches an Exception, and a BaseException goes on to where it was captured.
placements = st.lists(
    st.tuples(st.sampled_from(PLACES), st.sampled_from(sorted(OBJECTS))).filter(
        lambda drawn: drawn[0] not in OF_THE_SDK or drawn[1] != "loud"
    ),
    min_size=1,
    max_size=5,
)


def put(drawn):
    """Return what was drawn as places with objects, and the lists of what each is asked."""
    lists = [[] for _ in drawn]
    return [(where, OBJECTS[kind](asked)) for (where, kind), asked in zip(drawn, lists)], lists


def session(captured, status):
    return sum(aggregate.get(status, 0) for aggregate in captured.sessions)


@examples
@given(drawn=placements, options=st.sampled_from(OPTIONS))
def test_healthy_request_is_that_of_the_bare_app_and_asks_nothing(drawn, options):
    placed, lists = put(drawn)
    bare = requested(app_of([]), placed)
    for asked in lists:
        asked.clear()
    with capture_envelopes() as captured:
        middleware = SentryMiddleware(app_of(placed), release="1", **options)
        found = requested(middleware, placed)
        middleware.client.flush()
        assert found.facts() == bare.facts()
        asked = {where: names for (where, _), names in zip(drawn, lists) if where not in NOT_COUNTED}
        assert {where: names for where, names in asked.items() if names} == {}
        assert (session(captured, "exited"), session(captured, "crashed")) == (1, 0)
        assert captured.errors == []
        assert len(captured.transactions) == (options["traces_sample_rate"] == 1.0)


@examples
@given(
    drawn=placements,
    options=st.sampled_from(OPTIONS),
    # Python cannot print the traceback of such an error. sentry-sdk 3.0.0b2 logs it with what it cannot
    # serialise, and loses the event.
    names=st.lists(st.sampled_from(ERROR_NAMES), max_size=3 if sdk.MAJOR == 2 else 0, unique=True),
)
def test_error_arrives_with_type_and_stack(drawn, options, names):
    placed, _ = put(drawn)
    # A BaseException while an error is captured may be gevent's Timeout, or Ctrl-C: it goes on.
    error = hostile_error(names)
    with capture_envelopes() as captured:
        middleware = SentryMiddleware(app_of(placed, error), release="1", **options)
        found = requested(middleware, placed)
        middleware.client.flush()
        assert found.error is error
        (event,) = captured.errors
        value = event["exception"]["values"][-1]
        assert value["type"] == "HostileError"
        assert [frame["function"] for frame in value["stacktrace"]["frames"]] == ["app", "crash"]
        assert value["mechanism"]["handled"] is False
        assert (session(captured, "exited"), session(captured, "crashed")) == (0, 1)
        assert len(captured.transactions) == (options["traces_sample_rate"] == 1.0)


class HostileBody:
    """A body that can be iterated and closed, and refuses everything else."""

    def __init__(self, asked, error, chunks):
        cls = hostile_class(
            asked, error, without=("__iter__", "__next__", "__getattr__", "__getattribute__", "__len__")
        )
        self.made = type("Body", (cls,), {"__iter__": lambda _: iter(chunks), "close": lambda _: None})


@examples
@given(
    error=st.sampled_from([OfTheAppError, LoudError]),
    hostile_chunks=st.booleans(),
    options=st.sampled_from([*OPTIONS, {"traces_sample_rate": 1.0, "error_page": True}]),
)
def test_body_is_iterated_and_asked_nothing_else(error, hostile_chunks, options):
    asked = []
    chunk = hostile_class(asked, error, bytes)(b"hello") if hostile_chunks else b"hello"
    body = HostileBody(asked, error, [chunk, chunk]).made()

    def app(environ, start_response):
        start_response("200 OK", [])
        return body

    with capture_envelopes() as captured:
        middleware = SentryMiddleware(app, release="1", **options)
        answered = middleware(environ_of("/x"), lambda *args: None)
        found = list(answered)
        answered.close()
        middleware.client.flush()
        assert [each is chunk for each in found] == [True, True]
        assert asked == []
        assert session(captured, "exited") == 1
        assert captured.errors == []


@examples
@given(
    status=st.sampled_from(sorted(OBJECTS)),
    headers=st.sampled_from(sorted(OBJECTS)),
    options=st.sampled_from([*OPTIONS, {"traces_sample_rate": 1.0, "error_page": True}]),
    fails=st.booleans(),
)
def test_start_response_gets_the_very_objects(status, headers, options, fails):
    given_objects = OBJECTS[status]([]), OBJECTS[headers]([])
    got = []

    def app(environ, start_response):
        start_response(*given_objects)
        if fails:
            raise ValueError("of the app")
        return [b"hello"]

    def start_response(*args):
        got.append(args)

    with capture_envelopes() as captured:
        middleware = SentryMiddleware(app, release="1", **options)
        try:
            body = middleware(environ_of("/x"), start_response)
        except ValueError:
            assert fails
        else:
            list(body)
            body.close()
        middleware.client.flush()
        assert [found is thing for found, thing in zip(got[0], given_objects)] == [True, True]
        assert session(captured, "crashed" if fails else "exited") == 1
        assert len(captured.errors) == fails
        assert len(captured.transactions) == (options["traces_sample_rate"] == 1.0)


class HashedKey:
    """A key of an environ that can be hashed, and no more."""

    def __new__(cls, asked, error):
        made = hostile_class(asked, error, without=("__hash__", "__eq__"))
        return type("Key", (made,), {"__hash__": object.__hash__, "__eq__": object.__eq__})()


@pytest.mark.parametrize("error", [OfTheAppError, LoudError])
@pytest.mark.parametrize("crashes", [False, True])
@pytest.mark.parametrize("by", ["server", "app"])
def test_keys_of_the_environ_are_asked_nothing(captured, error, crashes, by):
    asked = []
    key = HashedKey(asked, error)

    def app(environ, start_response):
        if by == "app":
            environ[key] = "value"
        if crashes:
            raise ValueError("of the app")
        start_response("200 OK", [])
        return []

    environ = environ_of("/x")
    if by == "server":
        environ[key] = "value"
    middleware = SentryMiddleware(app, release="1", traces_sample_rate=1.0)
    call(middleware, environ)
    middleware.client.flush()
    # The frames of a crash show the environ.
    assert crashes or asked == []
    assert len(captured.errors) == crashes
    assert session(captured, "crashed" if crashes else "exited") == 1


@pytest.mark.parametrize("set_it", [sentry_sdk.set_tag, sentry_sdk.set_extra])
def test_proxy_of_a_text_does_not_cost_the_event(captured, set_it):
    """It says that it is a ``str``, which the SDK's serialiser believes and JSON does not."""
    proxy = pytest.importorskip("werkzeug.local").LocalProxy(lambda: "the text")

    def app(environ, start_response):
        set_it("name", proxy)
        raise ValueError("of the app")

    call(SentryMiddleware(app, release="1"), environ_of("/x"))
    (event,) = captured.errors
    assert {**event.get("tags", {}), **event.get("extra", {})}["name"] == "the text"


def test_libraries_of_lazy_objects_are_tried():
    """Django and werkzeug are there wherever the tests run; the others where somebody has installed them."""
    assert {"django", "werkzeug"} <= OBJECTS.keys()
    assert "sentry_sdk" in sys.modules
