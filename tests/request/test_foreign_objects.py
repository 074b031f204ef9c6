"""Objects of the app's, of an outer middleware or of a server are asked nothing, wherever they are."""

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware

from traced_apps import answer, traced
from wsgi_calls import call, environ_of

KEYS = (
    "REMOTE_USER", "HTTP_X_LAZY", "HTTP_COOKIE", "app.user", "repoze.who.identity", "beaker.session",
    "wsgiorg.routing_args", "routes.route", "bottle.route", "paste.registry", "sentry_paste.user",
)  # fmt: skip


class Watched:
    """Says that it is text, and records whatever it is asked."""

    def __init__(self, asked):
        object.__setattr__(self, "asked", asked)

    def __getattribute__(self, name):
        asked = object.__getattribute__(self, "asked")
        if name != "asked":
            asked.append(name)
            raise RuntimeError(f"asked for {name}")
        return asked

    def _refuse(self, *args):
        object.__getattribute__(self, "asked").append("operator")
        raise RuntimeError("asked")

    __eq__ = __bool__ = __len__ = __iter__ = __str__ = __contains__ = _refuse
    __hash__ = _refuse


# Names that frameworks leave in the environ are read from objects of their own.
READ = ("routes.route", "bottle.route")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("pii", [False, True])
@pytest.mark.parametrize("by", ["server", "app"])
def test_healthy_request_asks_nothing(captured, key, pii, by):
    asked = []
    lazy = Watched(asked)

    def app(environ, start_response):
        if by == "app":
            environ[key] = lazy
        return answer(environ, start_response)

    middleware = traced(app, send_default_pii=pii)
    environ = environ_of("/x")
    if by == "server":
        environ[key] = lazy
    call(middleware, environ)
    middleware.client.flush()
    (transaction,) = captured.transactions
    assert transaction["transaction"] == "GET /x"
    assert captured.sessions[0]["exited"] == 1
    assert asked == [] or key in READ


@pytest.mark.parametrize("key", KEYS)
def test_error_is_reported_whatever_is_in_the_environ(captured, key):
    def app(environ, start_response):
        environ[key] = Watched([])
        raise ValueError("of the app")

    middleware = traced(app)
    call(middleware, environ_of("/x"))
    middleware.client.flush()
    (error,) = captured.errors
    assert error["exception"]["values"][-1]["value"] == "of the app"
    assert error["transaction"] == "GET /x"
    assert captured.sessions[0]["crashed"] == 1


def test_lazy_objects_of_django_are_not_loaded(captured):
    functional = pytest.importorskip("django.utils.functional")
    loaded = []

    def load():
        loaded.append(True)
        raise RuntimeError("the database is gone")

    def app(environ, start_response):
        environ["app.user"] = environ["REMOTE_USER"] = functional.SimpleLazyObject(load)
        sentry_sdk.set_tag("a", "b")
        return answer(environ, start_response)

    middleware = traced(app)
    call(middleware, environ_of("/x"))
    middleware.client.flush()
    assert loaded == []
    assert len(captured.transactions) == 1
    assert captured.sessions[0]["exited"] == 1


def test_error_outside_of_requests_keeps_its_frames_next_to_a_lazy_object(captured):
    functional = pytest.importorskip("django.utils.functional")

    def load():
        raise RuntimeError("the database is gone")

    SentryMiddleware(answer)

    def fail():
        user = functional.SimpleLazyObject(load)  # noqa: F841
        raise ValueError("of a job")

    try:
        fail()
    except ValueError:
        sentry_sdk.capture_exception()
    (error,) = captured.errors
    assert error["exception"]["values"][-1]["value"] == "of a job"
    assert len(error["exception"]["values"][-1]["stacktrace"]["frames"]) == 2
    assert "sentry_paste.redaction" not in (error.get("tags") or {})
