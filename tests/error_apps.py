"""An app whose path says which error it makes."""

import logging
import threading

import pytest
import sentry_sdk

from sentry_paste import sdk

asked = []


class HostileError(Exception):
    """Records what it is asked."""

    def __str__(self):
        asked.append("str")
        return "hostile"


def make_app(global_conf, **settings):
    return app


class QuotaError(Exception):
    """An error of the app that is expected."""


class UserQuotaError(QuotaError):
    """One of its subclasses."""


class LiarMeta(type):
    """A metaclass that answers no question."""

    def __getattribute__(cls, name):
        if name in ("__name__", "__mro__", "__hash__", "__class__"):
            asked.append(name)
        return super().__getattribute__(name)

    def __eq__(cls, other):
        asked.append("eq")
        return NotImplemented

    def __hash__(cls):
        asked.append("hash")
        return super().__hash__()


class LiarError(QuotaError, metaclass=LiarMeta):
    """One whose class runs code when it is asked."""


class AnswerError(Exception):
    """A response of a framework."""


AnswerError.__name__, AnswerError.__module__ = "HTTPException", "webob.exc"
dropped = []

CLASSES = {
    "answer": AnswerError,
    "quota": QuotaError,
    "user": UserQuotaError,
    "liar": LiarError,
    "value": ValueError,
    "key": KeyError,
}


def give_up(error):
    """Capture an error as an integration does when its framework has no answer to it."""
    mechanism = {"type": "framework", "handled": False}
    event, hint = sdk.exception_event(error, error.__traceback__, sentry_sdk.get_client(), mechanism)
    sentry_sdk.capture_event(event, hint=hint)


def raised(name):
    """Return an error that was raised."""
    try:
        raise CLASSES[name](name)
    except Exception as error:
        return error


def act(action, name):
    """Do one thing with an error."""
    if action == "giveup":
        give_up(raised(name))
    if action == "logexc":
        logging.getLogger("app.errors").error("failed", exc_info=raised(name))
    if action == "handle":
        sentry_sdk.capture_exception(raised(name))
    if action == "thread":
        thread = threading.Thread(target=lambda: (_ for _ in ()).throw(CLASSES[name](name)))
        thread.start()
        thread.join()
    if action == "end":
        raise CLASSES[name](name)


def app(environ, start_response):
    kind, _, rest = environ["PATH_INFO"][1:].partition("/")
    if kind == "raise":
        raise ValueError(rest)
    if kind == "hostile":
        raise HostileError
    if kind == "capture":
        try:
            raise ValueError(rest)
        except ValueError as error:
            sentry_sdk.capture_exception(error)
    if kind == "log":
        logging.getLogger("app").error("Task %s failed", rest)
    if kind == "message":
        sentry_sdk.capture_message(rest, level="error")
    for step in environ["QUERY_STRING"].split("&"):
        act(*(step.split("=") if "=" in step else ("", "")))
    if kind == "status":
        start_response(f"{rest} Whatever", [("Content-Type", "text/plain")])
        return [b"hello"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def drop(event, hint):
    """Drop every event."""


def drop_b(event, hint):
    """Drop the events of an exception with the text ``b``."""
    return None if str(hint["exc_info"][1]) == "b" else event


def drop_summaries_once(event, hint):
    """Drop the first event of an error budget's own."""
    if event.get("fingerprint") == ["error_budget"] and not dropped:
        dropped.append(1)
        return None
    return event


def failing_sampler(event, hint):
    """Fail."""
    raise ValueError("a sampler has failed")


def no_errors(event, hint):
    """Sample no error."""
    return 0.0


def tag_fingerprint(event, hint):
    """Show in a tag what a hook sees."""
    event.setdefault("tags", {})["seen"] = ",".join(event["fingerprint"])
    return event


def flask(error):
    """Return an app of Flask that raises an error."""
    app = pytest.importorskip("flask").Flask("app")

    @app.route("/")
    def index():
        raise error("of Flask")

    return app


def pyramid(error, *views):
    """Return an app of Pyramid that raises an error."""
    config = pytest.importorskip("pyramid.config").Configurator()

    def view(request):
        raise error("of Pyramid")

    config.add_route("index", "/")
    config.add_view(view, route_name="index")
    for each in views:
        config.add_exception_view(each)
    return config.make_wsgi_app()


def with_view(error):
    """Return an app of Pyramid with a view that answers errors with a 500."""
    response = pytest.importorskip("pyramid.response").Response
    return pyramid(error, lambda exc, request: response("sorry", status=500))


broken = []


def break_tags_once(event, hint):
    """Return an event; the fourth one with tags that are none."""
    broken.append(event)
    if len(broken) == 4:
        event["tags"] = 1
    return event
