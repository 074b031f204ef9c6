"""WSGI apps of every shape that PEP 3333 allows, and some that it does not."""

import io
import logging
import sys
import tempfile


class CloseRecorder:
    """An iterable whose ``close()`` is counted, and raises if asked to."""

    def __init__(self, chunks, error=None, calls=None):
        self.chunks = chunks
        self.error = error
        self.calls = calls if calls is not None else []

    def __iter__(self):
        return iter(self.chunks)

    def close(self):
        self.calls.append("close")
        if self.error is not None:
            raise self.error


class Sized(CloseRecorder):
    def __len__(self):
        return len(self.chunks)


def answer_list(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def answer_long_list(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"one ", b"two ", b"three"]


def answer_tuple(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (b"hello",)


def answer_empty(environ, start_response):
    start_response("204 No Content", [])
    return []


def answer_generator(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one "
    yield b"two"


def answer_iterable(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return CloseRecorder([b"one ", b"two"])


def answer_sized(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Sized([b"hello"])


def answer_file(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "100000")])
    if "wsgi.file_wrapper" not in environ:
        return iter([b"x" * 100000])
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the server closes it
    file.write(b"x" * 100000)
    file.seek(0)
    return environ["wsgi.file_wrapper"](file)


def answer_memory_file(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    file = io.BytesIO(b"y" * 1000)
    return environ["wsgi.file_wrapper"](file) if "wsgi.file_wrapper" in environ else iter([file.read()])


def answer_write(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written ")
    return [b"returned"]


def answer_exc_info(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        raise KeyError("told by exc_info")
    except KeyError:
        start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"an error page"]


def answer_late(environ, start_response):
    def body():
        start_response("201 Created", [("Content-Type", "text/plain")])
        yield b"late"

    return body()


def answer_echo(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


def crash(environ, start_response):
    raise ValueError("in the call")


def crash_after_start(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    raise ValueError("after start_response")


def crash_in_stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one "
    raise ValueError("in the stream")


def crash_in_close(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return CloseRecorder([b"one"], ValueError("in close"))


def attribute_error_in_close(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return CloseRecorder([b"one"], AttributeError("in close"))


def crash_never_started(environ, start_response):
    return [b"never started"]


def crash_started_twice(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"twice"]


def crash_returns_none(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])


APPS = {
    name: value
    for name, value in list(globals().items())
    if name.startswith(("answer_", "crash", "attribute_error"))
}


def by_path(environ, start_response):
    """The app that the path names."""
    return APPS[environ["PATH_INFO"].strip("/")](environ, start_response)


def make_app(global_conf, app="by_path", **local_conf):
    """A ``paste.app_factory`` for all of them."""
    return by_path if app == "by_path" else APPS[app]


def make_crashing_factory(global_conf, **local_conf):
    """A ``paste.app_factory`` that crashes."""
    raise LookupError("the app's factory crashed")


def set_up_django():
    """Set Django up, which a process does once, with the settings that ``test_frameworks`` has."""
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            ROOT_URLCONF="test_frameworks",
            ALLOWED_HOSTS=["*"],
            SECRET_KEY="test",
            DEBUG_PROPAGATE_EXCEPTIONS=True,
            LOGGING_CONFIG=None,
        )
        django.setup()


def logging_tween(handler, registry):
    """Log what a view raises, and raise it again, as pyramid_debugtoolbar's tween does."""

    def tween(request):
        try:
            return handler(request)
        except Exception:
            logging.getLogger("app").exception("Uncaught exception")
            raise

    return tween
