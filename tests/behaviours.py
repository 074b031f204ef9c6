"""What a WSGI middleware of Sentry's should do, each as a check that any such middleware can be put to.

``python -m behaviours`` runs them over the filter and over the SDK's own middleware and prints the table that
``docs/correctness.rst`` has.
"""

import contextlib
import gc
import logging
import sys
import threading
import warnings
from wsgiref.util import FileWrapper

import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.client.registry import registry
from sentry_paste.config.options import options as table
from sentry_paste.testing import CapturedEnvelopes, MemoryTransport, capture_envelopes

import apps
from wsgi_calls import call, environ_of

BEHAVIOURS = []


def behaviour(text):
    """Register a check under the sentence that it checks."""

    def register(check):
        BEHAVIOURS.append((text, check))
        return check

    return register


class UnsupportedError(Exception):
    """A middleware has no option for what a check asks for."""


class Ours:
    """The filter."""

    name = "sentry_paste"

    def __init__(self, captured):
        self.captured = captured

    def around(self, app, **options):
        return SentryMiddleware(app, **{"traces_sample_rate": 1.0, "release": "1", **options})


class Theirs:
    """The SDK's middleware."""

    name = "SDK"

    def __init__(self, captured):
        self.captured = captured

    def around(self, app, **options):
        options = {"traces_sample_rate": 1.0, "release": "1", **options}
        if not all(name in table() and table()[name].is_sdk for name in options):
            raise UnsupportedError
        sentry_sdk.init(transport=MemoryTransport(self.captured), **options)
        return SentryWsgiMiddleware(app)


@contextlib.contextmanager
def fresh(kind):
    """A middleware's kind with nothing captured yet."""
    with warnings.catch_warnings(), sentry_sdk.isolation_scope(), capture_envelopes() as captured:
        warnings.simplefilter("ignore")
        try:
            yield kind(captured if kind is Ours else CapturedEnvelopes())
        finally:
            sentry_sdk.get_client().flush()
            if kind is Theirs:
                sentry_sdk.get_client().close()
                sentry_sdk.get_global_scope().set_client(None)


def holds(kind, check):
    """Return whether a middleware does what a check checks."""
    logging.disable(logging.NOTSET)
    with fresh(kind) as found:
        try:
            return bool(check(found))
        except UnsupportedError:
            return False
        except Exception:
            return False


def answer(environ, start_response):
    start_response("200 OK", [])
    return []


def crash(environ, start_response):
    raise ValueError("crash")


def flushed(m):
    sentry_sdk.get_client().flush()
    for client in registry.clients():
        client.flush()
    return m.captured


def only(found):
    (one,) = found
    return one


# What the server and the app see.


@behaviour("A list keeps its length, so that servers tell Content-Length")
def _(m):
    return len(call(m.around(apps.answer_list)).body) == 1


@behaviour("A file wrapper of a class stays the server's own (gunicorn, waitress, wsgiref)")
def _(m):
    wrapper = FileWrapper(None)
    app = m.around(lambda environ, start_response: wrapper)
    return app(environ_of(**{"wsgi.file_wrapper": FileWrapper}), lambda *args: None) is wrapper


@behaviour("A file of a wrapper that is a function stays the same object (uWSGI)")
def _(m):
    with open(__file__, "rb") as file:
        app = m.around(lambda environ, start_response: file)
        return app(environ_of(**{"wsgi.file_wrapper": lambda file: file}), lambda *args: None) is file


@behaviour("An AttributeError that close() raises is raised")
def _(m):
    return type(call(m.around(apps.attribute_error_in_close)).error) is AttributeError


@behaviour("close() is called once")
def _(m):
    calls = []
    call(m.around(lambda environ, start_response: apps.CloseRecorder([b"a"], calls=calls)))
    return calls == ["close"]


@behaviour("The very exception of the app is raised")
def _(m):
    error = ValueError()

    def app(environ, start_response):
        raise error

    return call(m.around(app)).error is error


@behaviour("The input is not read and nothing in the environ is changed")
def _(m):
    class Input:
        def read(self, *args):
            raise AssertionError

    environ = environ_of(method="POST", **{"wsgi.input": Input()})
    before = dict(environ)
    return call(m.around(answer), environ).error is None and {**environ, **before} == environ


@behaviour("Bytes, text and None are what the server gets where the app returns them")
def _(m):
    return all(
        call(m.around(lambda environ, start_response, body=body: body)).facts()
        == call(lambda environ, start_response, body=body: body).facts()
        for body in (b"bytes", None)
    )


@behaviour("An iterable that begins again does so")
def _(m):
    body = m.around(lambda environ, start_response: apps.CloseRecorder([b"a"]))(environ_of(), None)
    return [list(body), list(body)] == [[b"a"], [b"a"]]


@behaviour("A before_send that returns nonsense does not raise into the app")
def _(m):
    def app(environ, start_response):
        sentry_sdk.capture_message("hello")
        return answer(environ, start_response)

    return call(m.around(app, before_send=lambda event, hint: 7)).error is None


@behaviour("A transport that raises does not raise into the app")
def _(m):
    def app(environ, start_response):
        sentry_sdk.capture_message("hello")
        return answer(environ, start_response)

    middleware = m.around(app)

    def fail(envelope):
        raise RuntimeError

    sentry_sdk.get_client().transport.capture_envelope = fail
    try:
        return call(middleware).error is None
    finally:
        del sentry_sdk.get_client().transport.capture_envelope


# Streams.


@behaviour("The transaction lasts until the body is sent")
def _(m):
    body = iter(m.around(apps.answer_generator)(environ_of(), lambda *args: None))
    next(body)
    return flushed(m).transactions == []


@behaviour("Spans of a streamed body are in the transaction")
def _(m):
    def app(environ, start_response):
        start_response("200 OK", [])
        with sdk.start_child_span("stream", "x"):
            yield b"a"

    call(m.around(app))
    return [span["op"] for span in only(flushed(m).transactions)["spans"]] == ["stream"]


@behaviour("A status that is told late is recorded")
def _(m):
    call(m.around(apps.answer_late))
    return only(flushed(m).transactions)["contexts"]["response"]["status_code"] == 201


@behaviour("A crash in mid-stream has the transaction's name and trace")
def _(m):
    call(m.around(apps.crash_in_stream), environ_of("/x"))
    error, transaction = only(flushed(m).errors), only(m.captured.transactions)
    same = error["contexts"]["trace"]["trace_id"] == transaction["contexts"]["trace"]["trace_id"]
    return same and error.get("transaction") == transaction["transaction"]


@behaviour("A crash in mid-stream marks the transaction")
def _(m):
    call(m.around(apps.crash_in_stream))
    return only(flushed(m).transactions)["contexts"]["trace"]["status"] == "internal_error"


@behaviour("A crash in mid-stream is a crashed session")
def _(m):
    call(m.around(apps.crash_in_stream))
    return only(flushed(m).sessions).get("crashed") == 1


@behaviour("A crash in mid-stream has the request")
def _(m):
    call(m.around(apps.crash_in_stream), environ_of("/x"))
    return only(flushed(m).errors)["request"]["url"] == "http://localhost/x"


@behaviour("Bodies that are interleaved in one thread keep their scopes")
def _(m):
    def app(environ, start_response):
        start_response("200 OK", [])
        sentry_sdk.set_tag("path", environ["PATH_INFO"])
        yield b"a"
        raise ValueError(environ["PATH_INFO"])

    middleware = m.around(app)
    bodies = [iter(middleware(environ_of(path), lambda *args: None)) for path in ("/a", "/b")]
    for body in [*bodies, *bodies]:
        with contextlib.suppress(ValueError):
            next(body)
    return [(e["exception"]["values"][-1]["value"], e["tags"]["path"]) for e in flushed(m).errors] == [
        ("/a", "/a"),
        ("/b", "/b"),
    ]


@behaviour("A body that is iterated in another thread keeps its scope")
def _(m):
    def app(environ, start_response):
        sentry_sdk.set_tag("who", "me")
        start_response("200 OK", [])

        def body():
            yield b"a"
            sentry_sdk.capture_message("in the stream")

        return body()

    body = m.around(app)(environ_of("/x"), lambda *args: None)
    thread = threading.Thread(target=list, args=(body,))
    thread.start()
    thread.join()
    event = only(flushed(m).errors)
    return event["tags"] == {"who": "me"} and event["request"]["url"] == "http://localhost/x"


@behaviour("A body that is never closed ends the transaction when it is collected")
def _(m):
    body = m.around(apps.answer_generator)(environ_of(), lambda *args: None)
    before = len(m.captured.transactions)
    del body
    gc.collect()
    return (before, len(flushed(m).transactions)) == (0, 1)


@behaviour("A stream that outlives the longest measure is cut, and goes on")
def _(m):
    seen = call(m.around(apps.answer_generator, max_transaction_duration="0 s"))
    trace = only(flushed(m).transactions)["contexts"]["trace"]
    return seen.chunks == [b"one ", b"two"] and trace["data"].get("sentry_paste.cut")


@behaviour("No thread and no timer is started for a request")
def _(m):
    middleware = m.around(apps.answer_generator)
    call(middleware)
    before = set(threading.enumerate())
    bodies = [middleware(environ_of(), lambda *args: None) for _ in range(5)]
    for body in bodies:
        next(iter(body))
    return set(threading.enumerate()) <= before


# Errors.


@behaviour("An error is one unhandled event with the request")
def _(m):
    call(m.around(crash), environ_of("/x"))
    error = only(flushed(m).errors)
    mechanism = error["exception"]["values"][-1]["mechanism"]
    return mechanism["handled"] is False and error["request"]["url"] == "http://localhost/x"


@behaviour("exc_info that is handed to start_response is reported, as handled")
def _(m):
    call(m.around(apps.answer_exc_info))
    return only(flushed(m).errors)["exception"]["values"][-1]["mechanism"]["handled"] is True


@behaviour("A status of 5xx without an exception can be reported")
def _(m):
    def app(environ, start_response):
        start_response("503 Service Unavailable", [])
        return []

    call(m.around(app, failed_status_codes="500-599"))
    return len(flushed(m).errors) == 1


def not_reported(error):
    def check(m):
        def app(environ, start_response):
            raise error

        call(m.around(app))
        return flushed(m).errors == []

    return check


behaviour("GeneratorExit is no error")(not_reported(GeneratorExit()))
behaviour("StopIteration is no error")(not_reported(StopIteration()))
behaviour("SystemExit(0) is no error")(not_reported(SystemExit(0)))


@behaviour("A client that hangs up while it is written to is no error")
def _(m):
    def app(environ, start_response):
        start_response("200 OK", [])(b"x")
        return []

    def start_response(*args):
        def write(data):
            raise ConnectionResetError

        return write

    with contextlib.suppress(ConnectionResetError):
        m.around(app)(environ_of(), start_response)
    return flushed(m).errors == []


@behaviour("An error that the app logs and raises is one event")
def _(m):
    def app(environ, start_response):
        try:
            raise ValueError
        except ValueError:
            logging.getLogger("app").exception("logged")
            raise

    call(m.around(app))
    return len(flushed(m).errors) == 1


@behaviour("An error that the server logs again is one event")
def _(m):
    seen = call(m.around(crash))
    logging.getLogger("server").error("logged", exc_info=seen.error)
    return len(flushed(m).errors) == 1


@behaviour("The same exception object raised by two requests is two errors")
def _(m):
    error = ValueError("one for all")

    def app(environ, start_response):
        raise error

    middleware = m.around(app)
    for _ in range(2):
        call(middleware)
    return len(flushed(m).errors) == 2


@behaviour("Frames of the middleware are not in the stack trace")
def _(m):
    call(m.around(apps.crash))
    return only(flushed(m).errors)["exception"]["values"][-1]["stacktrace"]["frames"][0]["module"] == "apps"


@behaviour("Exceptions can be left out by name, from an ini")
def _(m):
    call(m.around(crash, ignore_exceptions="ValueError"))
    return flushed(m).errors == []


# Names, rules, who.


@behaviour("The name is METHOD /path, and says that it is a URL")
def _(m):
    call(m.around(answer), environ_of("/x"))
    transaction = only(flushed(m).transactions)
    return (transaction["transaction"], transaction["transaction_info"]["source"]) == ("GET /x", "url")


@behaviour("The name is known when it is sampled")
def _(m):
    names = []
    sampler = lambda context: names.append(context["transaction_context"]["name"]) or 1.0  # noqa: E731
    call(m.around(answer, traces_sampler=sampler), environ_of("/x"))
    return names == ["GET /x"]


@behaviour("The path is the one from before the app moved it")
def _(m):
    def urlmap(environ, start_response):
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/shop", "/"
        raise ValueError

    call(m.around(urlmap), environ_of("/shop/"))
    return only(flushed(m).errors)["request"]["url"] == "http://localhost/shop/"


@behaviour("A name that a framework has left in the environ is taken")
def _(m):
    def app(environ, start_response):
        environ["wsgiorg.routing_args"] = ((), {"controller": "users", "action": "edit"})
        return answer(environ, start_response)

    call(m.around(app), environ_of("/x"))
    return only(flushed(m).transactions)["transaction"] == "users.edit"


@behaviour("Names can be given by path, from an ini")
def _(m):
    call(m.around(answer, transaction_names="/users/* A user"), environ_of("/users/7"))
    return only(flushed(m).transactions)["transaction"] == "A user"


@behaviour("Paths can be left unmeasured, from an ini; their errors are reported")
def _(m):
    call(m.around(crash, ignore_paths="/health*"), environ_of("/health"))
    return flushed(m).transactions == [] and m.captured.sessions == [] and len(m.captured.errors) == 1


@behaviour("Rates can be given by path, from an ini")
def _(m):
    middleware = m.around(answer, traces_sample_rates="/a 1\n* 0")
    for path in ("/a", "/b"):
        call(middleware, environ_of(path))
    return [found["transaction"] for found in flushed(m).transactions] == ["GET /a"]


@behaviour("The address of the client is not what the client says it is")
def _(m):
    call(
        m.around(crash, send_default_pii=True),
        environ_of(HTTP_X_FORWARDED_FOR="6.6.6.6", REMOTE_ADDR="192.0.2.1"),
    )
    return only(flushed(m).errors)["user"]["ip_address"] == "192.0.2.1"


@behaviour("Proxies of one's own can be trusted, by their number")
def _(m):
    forwarded = {"HTTP_X_FORWARDED_FOR": "6.6.6.6, 203.0.113.7", "REMOTE_ADDR": "10.0.0.1"}
    call(m.around(crash, send_default_pii=True, trusted_proxy_count="1"), environ_of(**forwarded))
    return only(flushed(m).errors)["user"]["ip_address"] == "203.0.113.7"


@behaviour("With leave, the user is the one who was signed in inside")
def _(m):
    def app(environ, start_response):
        environ["REMOTE_USER"] = "ann"
        raise ValueError

    call(m.around(app, send_default_pii=True))
    return only(flushed(m).errors)["user"].get("username") == "ann"


@behaviour("A trace that calls the app is continued, a broken one is not, and no two requests share one")
def _(m):
    trace_id = "771a43a4192642f0b136d5159a501700"
    middleware = m.around(answer)
    for header in (f"{trace_id}-1234567890abcdef-1", "broken", ""):
        call(middleware, environ_of(HTTP_SENTRY_TRACE=header))
    ids = [found["contexts"]["trace"]["trace_id"] for found in flushed(m).transactions]
    return ids[0] == trace_id and len(set(ids)) == 3


@behaviour("A streamed span is kept where the environ cannot be decoded")
def _(m):
    options = {"trace_lifecycle": "stream"} if hasattr(sentry_sdk, "traces") else {}
    call(m.around(answer, send_default_pii=True, **options), environ_of("/\u2603"))
    captured = flushed(m)
    return len(captured.transactions) == 1


def rows():
    """Yield each behaviour with what the filter and the SDK's middleware do."""
    for text, check in BEHAVIOURS:
        yield text, holds(Ours, check), holds(Theirs, check)


def table_text():
    """Return the table for the documentation."""
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 80 10 10", ""]
    found = list(rows())
    words = [(text, *("yes" if holds_ else "no" for holds_ in held)) for text, *held in found]
    for cells in [("Behaviour", "filter", "SDK"), *words]:
        lines += [f"   {'*' if index == 0 else ' '} - {cell}" for index, cell in enumerate(cells)]
    ours, theirs = (sum(row[column] for row in found) for column in (1, 2))
    lines += [
        "",
        f"In all: the filter {ours} of {len(found)}, the SDK's middleware {theirs} of {len(found)}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table_text())
