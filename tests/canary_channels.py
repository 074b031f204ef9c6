"""Channels: what an app can do with texts that makes the SDK send them."""

# ruff: noqa: E501 - what is planted reads better whole

import io
import logging
import multiprocessing.pool
import queue
import threading
import time
from functools import lru_cache
from urllib.parse import parse_qsl, quote

import sentry_sdk
from sentry_sdk.scope import Scope

from sentry_paste import sdk

try:
    import gevent
except ImportError:
    gevent = None
try:
    from sentry_sdk import logger as items
except ImportError:  # an old sentry-sdk
    items = None
try:
    from sentry_sdk import metrics
except ImportError:
    metrics = None

HAS_LOGS = items is not None
log = logging.getLogger("canaries")

#: Channels for texts of the app; and those for the request itself, in no form but its own.
CHANNELS, OF_REQUESTS = {}, {}
#: Channels used after the request.
AFTERWARDS = {}
#: Options that a channel needs.
OPTIONS = {}


def _channel(what, where=CHANNELS, **options):
    def register(function):
        where[what] = function
        OPTIONS[what] = options
        return function

    return register


class Holder:
    """Something whose repr shows what it holds."""

    def __init__(self, *held):
        self.held = held

    def __repr__(self):
        return f"<Holder {self.held}>"


def _tens(texts):
    """The serialiser takes ten members of a list, a mapping or a frame."""
    return [texts[begin : begin + 10] for begin in range(0, len(texts), 10)]


def is_streamed():
    """Return whether spans are streamed, by the client of the current request."""
    return sdk.streams_spans(sentry_sdk.get_client().options)


@_channel("environ as a local variable", OF_REQUESTS)
def _(environ, texts):
    items = [(key, value) for key, value in environ.items() if key.startswith(("HTTP_", "REMOTE", "QUERY"))]  # noqa: F841
    deep = {"a": {"b": {"c": {"d": {"e": dict(environ)}}}}}  # noqa: F841
    for begin in range(0, len(environ), 8):  # the serialiser takes ten members of a mapping
        # With a key that marks it as an environ.
        part = {"REQUEST_METHOD": "POST", **dict(list(environ.items())[begin : begin + 8])}
        try:
            raise LookupError
        except LookupError:  # its traceback has this frame alone
            log.exception("a part", extra={"part": part, "number": begin})
    raise ValueError("environ")


@_channel("headers as a local variable", OF_REQUESTS)
def _(environ, texts):
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            name = key[5:].replace("_", "-").title()
            pairs, mapping, line = [(name, value)], {name: value}, f"{name}: {value}"
            encoded = [(name.encode(), value.encode())]
            try:
                raise LookupError
            except LookupError:  # its traceback has this frame alone
                log.exception("header")
            del pairs, mapping, line, encoded


@_channel("body", OF_REQUESTS)
def _(environ, texts):
    raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    environ["wsgi.input"] = io.BytesIO(raw)
    form = dict(parse_qsl(raw.decode()))
    pairs = list(form.items())
    held = {"form": form}
    del raw
    raise ValueError("body", len(pairs), len(held))


@_channel("local variables by value")
def _(environ, texts):
    for ten in _tens(texts):
        plain, listed, mapped = list(ten), [(text,) for text in ten], dict(enumerate(ten))
        encoded, held = [text.encode() for text in ten], Holder(*ten)
        inside, pairs = f"before {' after, before '.join(ten)} after", [("value", text) for text in ten]
        try:
            raise LookupError
        except LookupError:  # its traceback has this frame alone
            log.exception("locals")
        del plain, listed, mapped, encoded, held, inside, pairs


@_channel("local variables of other types")
def _(environ, texts):
    class Thing:
        def __init__(self, text):
            self.text = text

        def __str__(self):
            return self.text

        __repr__ = __str__

    for ten in _tens(texts):
        things, frozen, array = (
            [Thing(text) for text in ten],
            frozenset(ten),
            bytearray("\n".join(ten).encode()),
        )
        held, lines, chunks = [Holder(Thing(text)) for text in ten], "\n".join(ten), iter(ten)
        try:
            raise LookupError
        except LookupError:  # its traceback has this frame alone
            log.exception("locals")
        del things, frozen, array, held, lines, chunks


@_channel("keys of mappings")
def _(environ, texts):
    for ten in _tens(texts):
        keyed, nested = dict.fromkeys(ten, 1), {"a": {"b": dict.fromkeys(ten, "x")}}
        try:
            raise LookupError
        except LookupError:  # its traceback has this frame alone
            log.exception("keys", extra={"keyed": dict.fromkeys(ten, 1)})
        del keyed, nested


@_channel("exception messages, chained")
def _(environ, texts):
    try:
        raise KeyError(*texts)
    except KeyError as error:
        try:
            raise LookupError(f"cannot find {texts!r}") from error
        except LookupError:
            raise ValueError("bad tokens: " + " ".join(texts), texts) from None


@_channel("messages")
def _(environ, texts):
    for ten in _tens(texts):
        sentry_sdk.capture_message(f"no such things: {' and '.join(ten)}")
        log.error("no such things: %s", ten, extra={"thing": ten[0], "things": {"a": list(ten)}})


@_channel("breadcrumbs of logging, HTTP and SQL")
def _(environ, texts):
    for ten in _tens(texts):
        for text in ten:
            log.warning("seen %s", text, extra={"thing": text})
            url = f"http://x/{quote(text)}"
            sentry_sdk.add_breadcrumb(type="http", category="httplib", data={"url": url, "x": text})
            sentry_sdk.add_breadcrumb(category="query", message=f"SELECT 1 WHERE name = '{text}'")
        sentry_sdk.capture_message("breadcrumbs")  # before there are more than a hundred


@_channel("breadcrumbs' categories")
def _(environ, texts):
    for ten in _tens(texts):
        for text in ten:
            sentry_sdk.add_breadcrumb(category=f"auth.{text}", message="x")
        sentry_sdk.capture_message("breadcrumbs")


@_channel("names of loggers")
def _(environ, texts):
    for text in texts:
        logger = logging.Logger(f"shop.{text}", logging.INFO)  # not registered with the manager
        logger.addHandler(logging.NullHandler())
        logger.info("seen")
    logger.error("failed")
    for text in texts:
        logger = logging.Logger(text)
        logger.addHandler(logging.NullHandler())
        logger.error("failed")


@_channel("span names and data")
def _(environ, texts):
    for text in texts:
        if is_streamed():
            with sdk.start_child_span("db", f"SELECT '{text}'") as span:
                span.set_attribute("db.params", [text])
                span.set_attribute("thing", text)
        else:
            with sentry_sdk.start_span(op="db", name=f"SELECT '{text}'") as span:
                span.set_data("db.params", [text])
                span.set_data("thing", {"a": text})
                span.set_tag("thing", text[:100])


@_channel("paths of URLs")
def _(environ, texts):
    for text in texts:
        url = f"http://localhost/x/{quote(text)}/y"
        if is_streamed():
            with sentry_sdk.traces.start_span(name="x", attributes={"url.full": url}):
                pass
        else:
            with sentry_sdk.start_span(op="http.client", name="x") as span:
                span.set_data("url", url)

        def processor(event, hint, url=url):
            event.setdefault("request", {})["url"] = url
            return event

        with sentry_sdk.new_scope() as scope:
            scope.add_event_processor(processor)
            sentry_sdk.capture_message("processed")


@_channel("spans' operations")
def _(environ, texts):
    for text in texts:
        with sdk.start_child_span(f"task.{text}", "x"):
            pass


@_channel("names of transactions, fingerprints")
def _(environ, texts):
    for text in texts:
        if text[:1] not in "0123456789":
            sentry_sdk.get_current_scope().set_transaction_name(f"/reset/{quote(text)}")
        sentry_sdk.capture_event({"message": "fingerprint", "fingerprint": ["x", text]})


@_channel("tags, contexts and extras of integrations")
def _(environ, texts):
    for ten in _tens(texts):

        def processor(event, hint, ten=ten):
            event.setdefault("tags", {}).update((f"thing{n}", text[:100]) for n, text in enumerate(ten))
            event.setdefault("contexts", {})["thing"] = {"a": {"b": ten}, "headers": dict(environ)}
            event.setdefault("extra", {})["thing"] = Holder(*ten)
            event.setdefault("user", {})["thing"] = ten
            event.setdefault("request", {})["data"] = {"thing": ten, "password": ten[0]}
            return event

        with sentry_sdk.new_scope() as scope:
            scope.add_event_processor(processor)
            scope.set_extra("other", list(ten))
            sentry_sdk.capture_message("processed")


@_channel("attachments, and their names")
def _(environ, texts):
    with sentry_sdk.new_scope() as scope:
        scope.add_attachment(bytes="\n".join(texts).encode(), filename="texts.txt")
        for text in texts:
            scope.add_attachment(bytes=b"x", filename=text[:200])
        sentry_sdk.capture_message("attached")


@_channel("threads of the app's, and their names")
def _(environ, texts):
    scope = sentry_sdk.get_isolation_scope().fork()

    def work():
        Scope.set_isolation_scope(scope)
        log.error("in a thread", stack_info=True)
        try:
            raise ValueError(f"in a thread: {texts}")
        except ValueError as error:
            sentry_sdk.capture_exception(error)

    def name():
        log.error("in a thread", stack_info=True)

    _run(work, "worker")
    for text in texts:
        _run(name, f"worker of {text}")


def _run(work, name):
    thread = threading.Thread(target=work, name=name)
    thread.start()
    thread.join()


class Request:
    """What a thread that was started earlier gets of a request."""

    def __init__(self, environ, texts):
        self.environ = environ
        self.texts = texts


def _work(request):
    # Breadcrumbs from other requests.
    sentry_sdk.get_isolation_scope().clear_breadcrumbs()
    log.error("no such things: %s", request.texts)
    for ten in _tens(request.texts):
        try:
            raise ValueError(f"no such things: {ten}")
        except ValueError as error:
            sentry_sdk.capture_exception(error)


@lru_cache
def _pool():
    return multiprocessing.pool.ThreadPool(1)


@lru_cache
def _jobs():
    jobs = queue.Queue()

    def serve():
        while True:
            jobs.get()()
            jobs.task_done()

    threading.Thread(target=serve, daemon=True).start()
    return jobs


def start_threads():
    """Start the threads that exist before any request."""
    _pool()
    _jobs()


@_channel("threads that were there before: a pool")
def _(environ, texts):
    _pool().apply(_work, (Request(environ, texts),))


@_channel("threads that were there before: a queue")
def _(environ, texts):
    request = Request(environ, texts)
    _jobs().put(lambda: _work(request))
    _jobs().join()


if gevent is not None:

    @_channel("greenlets")
    def _(environ, texts):
        def work():
            log.error("in a greenlet: %s", texts)
            sentry_sdk.capture_message(f"in a greenlet: {texts}")

        gevent.spawn(work).join()


@_channel("while the body is sent, and after")
def _(environ, texts):
    def body():
        yield b"one"
        try:
            raise ValueError(f"in the stream: {texts}")
        except ValueError:
            log.exception("stream")

    return body()


if HAS_LOGS:

    @_channel("log items")
    def _(environ, texts):
        for text in texts:
            items.info("seen {text}", text=text, attributes={"thing": text, "list": [text]})
            log.info("seen %s", text, extra={"thing": Holder(text)})


if hasattr(metrics, "count"):

    @_channel("metrics")
    def _(environ, texts):
        for text in texts:
            metrics.count("things", 1, attributes={"thing": text})


@_channel("names of threads in profiles", profiles_sample_rate=1.0)
def _(environ, texts):
    done = threading.Event()
    threads = [threading.Thread(target=done.wait, args=(10,), name=f"of {text}") for text in texts]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 0.06
    while time.monotonic() < until:
        sum(range(1000))
    done.set()
    for thread in threads:
        thread.join()


#: Where words are not secret, because they are everywhere: keys, names, URLs.
HOLDS_NO_WORDS = {
    "keys of mappings",
    "paths of URLs",
    "names of transactions, fingerprints",
    "spans' operations",
}

#: Where texts cannot be distinguished, so that innocent ones do not stay.
HIDES_ALL = {"names of threads in profiles"}


if HAS_LOGS:

    @_channel("access logs, outside of the request", AFTERWARDS)
    def _(environ, texts):
        """Log what gunicorn and waitress (with ``paste.translogger``) do."""
        url = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        agent, referer = environ["HTTP_USER_AGENT"], environ["HTTP_REFERER"]
        address, user = environ["REMOTE_ADDR"], environ["REMOTE_USER"]
        request_line = f"POST {url} HTTP/1.1"
        when = "[22/Nov/2026:10:15:30 +0100]"
        line = f'{address} - {user} {when} "{request_line}" 200 5 "{referer}" "{agent}"'
        _log_as("wsgi", "%s", line)
        atoms = {"h": address, "l": "-", "u": user, "t": when, "r": request_line, "s": "200", "b": "5", "f": referer,
                 "a": agent, "q": environ["QUERY_STRING"], "U": environ["PATH_INFO"]}  # fmt: skip
        for key, text in environ.items():
            if isinstance(text, str):
                name = key[5:].replace("_", "-") if key.startswith("HTTP_") else key
                atoms[f"{{{name.lower()}}}{'i' if key.startswith('HTTP_') else 'e'}"] = text
        shown = " ".join(f'"%({name})s"' for name in atoms)
        _log_as("gunicorn.access", f"%(h)s %(l)s %(u)s %(t)s {shown}", atoms)


def _log_as(name, text, arguments):
    logger = logging.getLogger(name)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.NullHandler()
    logger.addHandler(handler)
    try:
        logger.info(text, arguments)
    finally:
        logger.setLevel(level)
        logger.propagate = propagate
        logger.removeHandler(handler)
