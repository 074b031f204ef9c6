"""Apps and environs of any shape, each called with and without the filter: a server must see the same.

The tests draw some with Hypothesis; ``python -m transparency --cases 1000000`` draws as many as there is time
for, in this folder, and prints the seed of a case that differs.
"""

import argparse
import itertools
import random as random_module
import sys
import threading
import time

from sentry_paste import SentryMiddleware
from sentry_paste.testing import capture_envelopes

import apps
from wsgi_calls import call, environ_of

STATUSES = ["200 OK", "204 No Content", "404 Not Found", "500 Oops", "nonsense", "", "99", "302 Found"]
SHAPES = [
    *("list", "tuple", "generator", "iterable", "sized", "iterator", "file", "bytes", "subclass", "none"),
    *("restartable", "empty_first"),
]
NAMES = [
    *(
        "PATH_INFO",
        "SCRIPT_NAME",
        "QUERY_STRING",
        "HTTP_HOST",
        "HTTP_SENTRY_TRACE",
        "HTTP_BAGGAGE",
        "REMOTE_ADDR",
    ),
    *(
        "SERVER_NAME",
        "SERVER_PORT",
        "REQUEST_METHOD",
        "HTTP_COOKIE",
        "CONTENT_LENGTH",
        "wsgi.url_scheme",
        "X",
    ),
    *("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "routes.route", "wsgiorg.routing_args", "REMOTE_USER"),
]
OPTIONS = [
    {"traces_sample_rate": 0.0},
    {"traces_sample_rate": 1.0},
    {"traces_sample_rate": None},
    {"traces_sample_rate": 1.0, "send_default_pii": True, "trusted_proxy_count": 1},
    {"traces_sample_rates": "/a* 1\n* 0", "ignore_paths": "/b*", "transaction_names": "/* name"},
    {"failed_status_codes": "400-599", "capture_start_response_errors": True},
    {"max_transaction_duration": "0 s", "traces_sample_rate": 1.0},
]


class Chunks(list):
    """A list that is not of type list."""


class Restartable:
    """An iterable whose ``__iter__`` is a generator function, as Django's responses."""

    def __init__(self, generate):
        self.generate = generate

    def __iter__(self):
        yield from self.generate()


class File:
    """What a server's file wrapper makes."""

    def __init__(self, file, size=8192):
        self.chunks = file

    def __iter__(self):
        return iter(self.chunks)


def some_text(random):
    letters = "/ab.:-;=,%\"' \x00\xe9\xff\u2603\U0001f4a5"
    return "".join(random.choice(letters) for _ in range(random.randrange(12)))


def some_environ(random):
    environ = environ_of(**{"wsgi.file_wrapper": File} if random.random() < 0.5 else {})
    for _ in range(random.randrange(6)):
        name = random.choice(NAMES)
        if random.random() < 0.2:
            environ.pop(name, None)
        else:
            environ[name] = random.choice([some_text(random), some_text(random), None, 7, b"x", ((), {})])
    return environ


def some_error(random):
    return random.choice(
        [
            None,
            None,
            ValueError("x"),
            AttributeError("x"),
            StopIteration(),
            GeneratorExit(),
            SystemExit(0),
            SystemExit(3),
            KeyboardInterrupt(),
            ConnectionResetError("x"),
            RuntimeError("cannot enter context: fake"),
        ]
    )


def some_app(random):
    """An app of any shape, which raises in the call, after its last chunk, in ``close()``, or not at all."""
    shape = random.choice(SHAPES)
    chunks = [some_text(random).encode("utf-8", "replace") for _ in range(random.randrange(4))]
    status, starts, late = random.choice(STATUSES), random.choice([0, 1, 1, 1, 1, 2]), random.random() < 0.2
    in_call, in_body, in_close = (some_error(random) if random.random() < 0.3 else None for _ in range(3))
    writes, restarts = random.random() < 0.2, random.random() < 0.2

    def start(start_response):
        for number in range(starts):
            write = start_response(status, [("Number", str(number))])
            if writes:
                write(b"written")
        if restarts and starts:
            try:
                raise KeyError("late")
            except KeyError:
                start_response("500 Oops", [], sys.exc_info())

    def app(environ, start_response):
        if not late:
            start(start_response)
        if in_call is not None:
            raise in_call

        def generate():
            if late:
                start(start_response)
            yield from chunks
            if in_body is not None and not isinstance(in_body, StopIteration):
                raise in_body

        makers = {
            "list": lambda: list(chunks),
            "tuple": lambda: tuple(chunks),
            "generator": generate,
            "iterable": lambda: apps.CloseRecorder(chunks, in_close),
            "sized": lambda: apps.Sized(chunks, in_close),
            "iterator": lambda: iter(chunks),
            "file": lambda: environ.get("wsgi.file_wrapper", File)(chunks),
            "bytes": lambda: b"".join(chunks),
            "subclass": lambda: Chunks(chunks),
            "none": lambda: None,
            "restartable": lambda: Restartable(generate),
            "empty_first": lambda: itertools.chain([b""], generate()),
        }
        return makers[shape]()

    return app


class Closing:
    """What an outer middleware returns: its own iterator, and the body's ``close()`` any number of times."""

    def __init__(self, chunks, body, closes=1):
        self.chunks, self.body, self.closes = iter(chunks), body, closes

    def __iter__(self):
        return self.chunks

    def close(self):
        for _ in range(self.closes):
            getattr(self.body, "close", int)()


def peeking(body):
    """Look at the first chunk and put it back, as Swift's ``reiterate`` does."""
    iterator = iter(body)
    for first in iterator:
        return Closing(itertools.chain([first], iterator), body)
    return Closing((), body)


def twice(body):
    """Iterate from the start twice: an iterable begins again, an iterator goes on."""
    return Closing([*body, *body], body)


def in_a_thread(body):
    """Have another thread iterate."""
    found = []

    def read():
        try:
            found.extend(body)
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    if found and isinstance(found[-1], BaseException):
        raise found[-1]
    return Closing(found, body)


def dropped(body):
    """Wrap in a generator that is dropped after its first chunk, without a close()."""

    def wrap():
        yield from body

    return list(itertools.islice(wrap(), 1))


#: What outer middlewares do with the body of an app.
HABITS = {
    "none": lambda body: body,
    "peek": peeking,
    "peek twice": lambda body: peeking(peeking(body)),
    "buffer": lambda body: [b"".join(body)],
    "slice": lambda body: Closing(itertools.islice(body, 2), body),
    "twice": twice,
    "generator": lambda body: Closing((chunk for chunk in body), body),
    "close early": lambda body: (getattr(body, "close", int)(), Closing((), body))[1],
    "close never": lambda body: Closing(body, None),
    "close twice": lambda body: Closing(body, body, closes=2),
    "thread": in_a_thread,
    "drop": dropped,
}


def with_habit(app, habit):
    """Put an outer middleware with a habit around an app."""
    if habit == "none":
        return app
    return lambda environ, start_response: HABITS[habit](app(environ, start_response))


def compare(random):
    """Call one app bare and filtered, and fail if a server could see a difference."""
    app, options = some_app(random), random.choice(OPTIONS)
    environ, read = some_environ(random), random.choice([None, None, None, 1, 2])
    habit = random.choice(["none", *HABITS])
    bare = call(with_habit(app, habit), dict(environ), read=read)
    middleware = SentryMiddleware(app, release="1", **options)
    filtered = call(with_habit(middleware, habit), dict(environ), read=read)
    assert filtered.facts() == bare.facts(), (options, environ, habit)
    assert isinstance(filtered.body, list) or not isinstance(bare.body, list)
    if isinstance(bare.body, (bytes, str)) or (
        isinstance(bare.body, File) and "wsgi.file_wrapper" in environ
    ):
        assert type(filtered.body) is type(bare.body)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begin = time.monotonic()
    with capture_envelopes() as captured:
        for case in range(options.seed, options.seed + options.cases):
            try:
                compare(random_module.Random(case))
            except BaseException:
                print(f"case {case} differs: python -m transparency --cases 1 --seed {case}")
                raise
            captured.clear()
    seconds = time.monotonic() - begin
    print(f"{options.cases} generated apps: the same with and without the filter ({seconds:.0f} s)")


if __name__ == "__main__":
    main()
