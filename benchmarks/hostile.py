"""Compare the cost of the worst requests with the SDK's middleware: ``python -m benchmarks.hostile``.

Each request crashes an app that has what it was sent in its variables; all are within the limits of
gunicorn (100 headers of 8,190 bytes) or waitress (256 KB of headers), except for bodies. The SDK's middleware
and the filter take turns; CPU time is that of the whole process with all threads, memory is the peak of
Python's (tracemalloc), both minus those of an ordinary request. ``--quick`` takes a minute.
"""

from __future__ import annotations

import base64
import gc
import io
import json
import logging
import random
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote

import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from sentry_sdk.transport import Transport

from benchmarks import work
from sentry_paste import SentryMiddleware

# Its records become breadcrumbs and nothing else.
log = logging.getLogger("benchmarks.hostile")
log.propagate = False
log.addHandler(logging.NullHandler())
sent_log = logging.getLogger("benchmarks.hostile.sent")
sent_log.setLevel(logging.INFO)
# Its records become events.
error_log = logging.getLogger("benchmarks.hostile.errors")

#: Goals: CPU in milliseconds and memory in megabytes over the SDK's middleware, and CPU for each MB that the
#: SDK's events have, and for each event after the first.
MOST_MS, MOST_MB, MOST_MS_PER_MB, MOST_MS_PER_EVENT = 60, 10, 40, 5


class Case(NamedTuple):
    """A request.

    Attributes:
        name: in words.
        headers: of the environ.
        body: of the request.
        app: the app that crashes.
        has_logs: whether its log lines are sent as well.
        events: how many events it has after the first.
    """

    name: str
    headers: dict[str, str]
    body: bytes
    app: work.App
    has_logs: bool = False
    events: int = 0

    def size(self) -> int:
        """Return its size in bytes."""
        return len(self.body) + sum(map(len, self.headers.values()))


class Serialised(Transport):
    """A transport that serialises envelopes and drops them; the largest one counts, or all with logs.

    Attributes:
        sent: how many bytes that are.
        counts_all: whether all envelopes count.
    """

    sent = 0
    counts_all = False

    def capture_envelope(self, envelope: Any) -> None:
        """Serialise an envelope.

        Args:
            envelope: of the SDK.
        """
        size = len(envelope.serialize())
        counts = Serialised.counts_all or any(item.type == "log" for item in envelope.items)
        Serialised.sent = Serialised.sent + size if counts else max(Serialised.sent, size)


def crashing(environ: dict[str, Any], _start_response: Callable[..., Any]) -> list[bytes]:
    """Crash while a body is parsed, as most apps would."""
    body = environ["wsgi.input"].read()
    text = body.decode("latin-1")
    json.loads(text[:0])
    return [text.encode()]


def parsing(environ: dict[str, Any], _start_response: Callable[..., Any]) -> list[bytes]:
    """Crash in a parser whose every frame has the rest of the text."""
    text = environ["wsgi.input"].read().decode("latin-1")

    def parse(rest: str, depth: int) -> None:
        if depth > 90:
            raise ValueError(depth)
        parse(rest[1000:], depth + 1)

    parse(text, 0)
    return []


def showing(environ: dict[str, Any], _start_response: Callable[..., Any]) -> list[bytes]:
    """Crash with the headers in variables, in many forms."""
    headers = {key: value for key, value in environ.items() if key.startswith("HTTP_")}
    quoted = {key: quote(value, errors="replace") for key, value in headers.items()}
    shown = [repr(value) for value in headers.values()]
    encoded = base64.b64encode(repr(headers).encode())
    as_json = json.dumps(headers)
    raise LookupError(len(quoted), len(shown), len(encoded), len(as_json))


def reading(environ: dict[str, Any], _start_response: Callable[..., Any]) -> list[bytes]:
    """Crash with a parsed body in a variable."""
    data = json.loads(environ["wsgi.input"].read())
    raise ValueError(len(data))


def saying(environ: dict[str, Any], _start_response: Callable[..., Any]) -> list[bytes]:
    """Crash with a message that has the text of a body, which is in no variable."""
    raise ValueError(environ["wsgi.input"].read().decode())


def stepping(environ: dict[str, Any], _start_response: Callable[..., Any]) -> list[bytes]:
    """Crash in a loop over parsed rows whose every frame has the rest of them."""

    def step(rows: list[Any], depth: int) -> None:
        if depth > 90:
            raise ValueError(depth)
        step(rows[10:], depth + 1)

    step(json.loads(environ["wsgi.input"].read()), 0)
    return []


def holding(environ: dict[str, Any], _start_response: Callable[..., Any]) -> list[bytes]:
    """Crash with the text of a body in a variable."""
    text = environ["wsgi.input"].read().decode()
    raise ValueError(len(text))


def logging_all(environ: dict[str, Any], _start_response: Callable[..., Any]) -> list[bytes]:
    """Log what is in a body, and crash."""
    for line in json.loads(environ["wsgi.input"].read()):
        log.warning("unknown field ignored: %s", line)
    raise ValueError("no such field")


def logging_items(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Log what is in a body, with lines that are sent, and answer."""
    for line in json.loads(environ["wsgi.input"].read()):
        sent_log.info("no such basket: %s", line)
    return healthy(environ, start_response)


def reporting(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Report an error for each element of a body, and answer."""
    for line in json.loads(environ["wsgi.input"].read()):
        error_log.error("no such basket: %s", line)
    return healthy(environ, start_response)


def healthy(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"fine"]


def cases() -> Iterator[Case]:
    """Yield the requests; the same ones each time."""
    dice = random.Random(14)

    def thrown(characters: str, count: int) -> str:
        return "".join(dice.choices(characters, k=count))

    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    latin = {f"HTTP_X_KEY_{i}": f"{i}in{chr(0xFC) * 8000}q9" for i in range(95)}
    many = "; ".join(f"c{i}={thrown(letters, 16)}" for i in range(1000))
    short = "; ".join(f"c{i}=a{i:04}b" for i in range(1000))
    rest = thrown("abcdefgh=;% ", 100_000)
    key = "a" * 64 + "1" + "b" * 8000
    yield Case("95 headers of 8,000 latin-1 characters, POST", latin, b"", crashing)
    yield Case("the same, shown in many forms", latin, b"", showing)
    yield Case("the same, healthy and sampled", latin, b"", healthy)
    yield Case(
        "a long cookie, a million of its first character",
        {"HTTP_COOKIE": f"sid={key}"},
        b"a" * 10**6,
        crashing,
    )
    yield Case(
        "a cookie of 240 kB, a body of the same",
        {"HTTP_COOKIE": "sid=" + "k7" * 120_000},
        b"k7" * 500_000,
        crashing,
    )
    yield Case(
        "90 frames with the rest of 100 kB", {"HTTP_COOKIE": f"sid={rest[:8000]}"}, rest.encode(), parsing
    )
    yield Case(
        "70 cookies, a body of words", {"HTTP_COOKIE": many[:1500]}, b"no such basket " * 70_000, crashing
    )
    yield Case("1,000 cookies, a body of them", {"HTTP_COOKIE": many}, many.encode() * 40, crashing)
    yield Case("1,000 cookies, 90 frames of them", {"HTTP_COOKIE": many}, many.encode() * 5, parsing)
    yield Case(
        "1,000 short cookies, a body of their beginnings",
        {"HTTP_COOKIE": short},
        b"a000 " * 200_000,
        crashing,
    )
    yield Case("1,000 short cookies, 90 frames of them", {"HTTP_COOKIE": short}, short.encode() * 10, parsing)
    alike = "&".join(f"token={'k7' * 30}{i}" for i in range(900))
    yield Case("900 tokens that begin alike", {"QUERY_STRING": alike}, b"k7" * 50_000, parsing)
    escaped = {"HTTP_COOKIE": "sid=ab$cdefg$1"}
    for what, unit in (("percent", b"cdefg%41"), ("backslashes", b"cdefg\\a"), ("entities", b"cdefg&amp;")):
        yield Case(f"90 frames of escapes: {what}", escaped, unit * 12_000, parsing)
    yield Case("90 frames of ellipses", {"HTTP_COOKIE": "sid=abcdefg2hijkl"}, b"abcdefg2..." * 9000, parsing)
    yield Case("90 frames of a user's name", {"REMOTE_USER": "alice"}, b"alice " * 16_000, parsing)
    yield Case("90 frames of forms", escaped, b"password=a&" * 9000, parsing)
    yield Case("90 frames of mappings", escaped, b"{'password': ['" * 7000, parsing)
    yield Case("90 frames of nested URLs", escaped, b"?next=%2Freset%3Ftoken%3D" * 4000, parsing)
    addresses = ", ".join(f"10.{i % 250}.{i // 250}.7" for i in range(1000))
    yield Case("1,000 addresses", {"HTTP_X_FORWARDED_FOR": addresses}, addresses.encode() * 8, parsing)
    nested = "a=" + "%25" * 2000 + "3Ftoken%3D"
    yield Case("a query nested 2,000 times", {"QUERY_STRING": nested}, nested.encode() * 15, parsing)
    long = {"HTTP_REFERER": "http://h/?x=%41&" + "a" * 60_000}
    yield Case("a long word after an encoded letter", long, b"", crashing)
    for what, unit in (
        ("names that go on", "password$"),
        ("names that go on, escaped", "&#39;Secret(a='Secret(a='"),
    ):
        parts = [unit * 90 + str(at) for at in range(800)]
        rows = [[parts[at : at + 10] for at in range(begin, begin + 100, 10)] for begin in range(0, 800, 100)]
        yield Case(f"{what}, in JSON", {}, json.dumps(rows).encode(), reading)
    yield from _of_reviews()


def _of_reviews() -> Iterator[Case]:
    """Yield requests that reviewers made up."""
    names = {f"HTTP_X{i}_" + "a_" * 4000: "q1" for i in range(95)}
    yield Case("95 headers with names of 8,000 characters", names, b"", healthy)
    yield Case("the same, crashing", names, b"", crashing)
    cookies = b"set-cookie:a=b;" * 2000 + b"x" * 850_000
    yield Case("a body that sets cookies", {}, cookies, crashing)
    path = "/" + "q8f3h2k9" * 3 + "." + "w7e5r4t6" * 5 + "abcdef"
    text = ("x" + path * 13_600)[:870_000].encode()
    yield Case(
        "a path of 250 kB as a cookie", {"HTTP_COOKIE": f"sid={(path * 4000)[:250_000]}"}, text, crashing
    )
    yield Case("one run of base64", {"HTTP_COOKIE": "sid=" + "U" * 40}, b"a" * 880_000 + b"V" * 80, crashing)
    lines = [f" [10 {i}" + "1.1.1:1:--," * 740 for i in range(100)]
    yield Case("100 log lines like those of access logs", {}, json.dumps(lines).encode(), logging_all)
    baggage = json.dumps({"baggage": "k=1.1.1:1:-----," * 52_000})
    yield Case("baggage in JSON", {}, baggage.encode(), reading)
    marks = [f"%{'25' * n}2{x}" for n in range(6) for x in "27"]
    value = "".join("token%22%3A" + "%5c" * b + mark + "&" for b in range(17) for mark in marks)
    value += "".join("%5c" * 13 + "x" + "%5c" * 13 + mark for mark in marks for _ in range(9))
    urls = [[{"url": f"{value}{i}-{j}"} for i in range(9)] for j in range(5)]
    yield Case("quotes in URLs in JSON", {}, json.dumps(urls).encode(), reading)
    cut = (b"abcdefg2..." + b"x" * 79) * 9500
    yield Case("ellipses with much behind them", {"HTTP_COOKIE": "sid=abcdefg2hijkl"}, cut, holding)
    short = "; ".join(f"c{i}=a{i:04}b" for i in range(1000))
    alike = "; ".join(f"c{i}=abcdefg2h{i:04}kl" for i in range(800))
    for what, cookie, line in (
        ("ellipses", "sid=abcdefg2hijkl", "abcdefg2..." * 90),
        ("ellipses, 800 cookies", alike, "abcdefg2..." * 90),
        ("words, 1,000 short cookies", short, "good dog " * 110),
        ("short cookies", short, "a0001b good dog "),
    ):
        body = json.dumps([f"{line}{i:06}" for i in range(2000)]).encode()
        yield Case(f"2,000 log lines: {what}", {"HTTP_COOKIE": cookie}, body, logging_items, has_logs=True)
    names = iter(range(10**6))
    rows = [
        [
            {f"X-{n}": "?" + "&".join(f"pass{next(names)}=" for _ in range(100)) for n in range(10)}
            for _ in "abcdefghi"
        ]
        for _ in range(9)
    ]
    yield Case("queries in headers in JSON", {}, json.dumps(rows).encode(), reading)
    units = [
        [
            'password="hunter22"\n' + "".join(f"name='passw{next(names)}' a='b' " for _ in range(200))
            for _ in range(9)
        ]
        for _ in range(9)
    ]
    yield Case("names of fields in JSON", {}, json.dumps(units).encode(), reading)
    many = {f"HTTP_A{number}": "1" for number in range(12_000)}
    yield Case("12,000 headers", many, b"[]", crashing)
    levels = b"cdefg%24" + b"%25252541xxxxxx" * 56_000
    yield Case("escapes of escapes", {"HTTP_COOKIE": "sid=ab$cdefg$1"}, levels, holding)
    shown = "%22" * 8 + "cookie(version=0, name='...\xe9"
    yield Case("quotes and cookies in a URL of 200 kB", {"HTTP_ORIGIN": shown * 4000}, b"[]", holding)
    yield Case("calls in a query of 200 kB", {"QUERY_STRING": "Secret(a='" * 20_000}, b"[]", holding)
    unit = "=" * 20 + "???" + "\\" * 7 + "alice@example.com" * 8 + "." * 78 + "#" * 33 + '"password": "' * 142
    host, accept = (unit * 4)[:8190], (f"{chr(0xFC) * 235}{'%' * 84}{'sid=' * 25}b'" * 20)[:8190]
    both = {"HTTP_HOST": host, "HTTP_ACCEPT": accept}
    yield Case("a value with several forms", both, repr(host + accept).encode("latin-1"), showing)
    yield Case("a body of percent signs", {}, b"%" * 10**6, holding)
    yield Case("a body of ampersands", {}, b"&" * 10**6, holding)
    slashes = "password='x' :\\/\\/"
    yield Case("escaped slashes and percent signs", {}, (slashes + "%" * 900_000).encode(), holding)
    parts = ["#pass", "%2525 #password$;" * 4, "alice@example.com\\u0041" * 2]
    mixed = ":\\/\\/u:p%3Ca " + "".join((part * 300_000)[:288_000] for part in parts)
    cookies = "sid=ab$cdefg$1; a=abcdefg2hijkl; b=a0001b; c=x-y~zabcdef1"
    yield Case("a message of names and escapes", {"HTTP_COOKIE": cookies}, mixed.encode(), saying)
    words = ("a" * 4080 + "[parameters: (") * 200
    yield Case("statements of long words", {}, f"password='x' {words}".encode(), holding)
    secret = [[{f"password{n}": f"r{next(names)}" for n in range(10)} for _ in range(10)] for _ in range(900)]
    yield Case("90 frames of rows with secret names", {}, json.dumps(secret).encode(), stepping)
    addresses = {
        f"HTTP_X_FORWARDED_FOR_{n}": ", ".join(f"::ffff:10.{n}.{i // 250}.{i % 250}" for i in range(390))
        for n in range(4)
    }
    words = b"no such basket " * 20_000
    yield Case("1,560 mapped addresses", addresses, words, holding)
    signs = "\xc3\xa9\xad%C3%A9" + "'\"%41\\x41&amp+" * 40
    forms = {f"HTTP_X_KEY_{n}": f"a{n:04}{signs}" for n in range(40)}
    yield Case("40 headers with all signs", forms, words, holding)
    lines = [("".join((part * 3000)[:3000] for part in parts)) + str(n) for n in range(50)]
    body = json.dumps(lines).encode()
    yield Case("50 errors: names and escapes", {"HTTP_COOKIE": cookies}, body, reporting, events=49)
    yield Case("a body with one emoji", {}, ("x" * 860_000 + chr(0x1F600)).encode(), holding)


def environ_of(case: Case) -> dict[str, Any]:
    """Return the environ of a case."""
    environ = work.environ_of_request()
    environ.update(case.headers, REQUEST_METHOD="POST", CONTENT_LENGTH=str(len(case.body)))
    environ["wsgi.input"] = io.BytesIO(case.body)
    return environ


def options(has_logs: bool) -> dict[str, Any]:
    """Return the options of both."""
    return {"release": "1", "traces_sample_rate": 1.0, **({"enable_logs": True} if has_logs else {})}


def by_the_filter(app: work.App, has_logs: bool = False) -> work.App:
    """Return an app in the filter."""
    work.forget_clients()
    return SentryMiddleware(app, transport=Serialised(), **options(has_logs))


def by_the_sdk(app: work.App, has_logs: bool = False) -> work.App:
    """Return an app in the SDK's middleware."""
    work.forget_clients()
    sentry_sdk.init(transport=Serialised(), **options(has_logs))
    return SentryWsgiMiddleware(app)


MIDDLEWARES = {"SDK": by_the_sdk, "filter": by_the_filter}


def request(app: work.App, environ: dict[str, Any]) -> None:
    """Make one request, whatever its outcome."""
    with suppress(Exception):
        body = app(environ, work.start_response)
        list(body)
        getattr(body, "close", lambda: None)()
    sentry_sdk.flush()


def cpu_ms(middleware: Callable[[work.App, bool], work.App], case: Case, ordinary: Case) -> float:
    """Return the CPU that a request takes beyond an ordinary one, in milliseconds."""
    app = middleware(case.app, case.has_logs)
    request(app, environ_of(ordinary))
    taken = []
    for one in (ordinary, case):
        environ = environ_of(one)
        gc.collect()
        begun = time.process_time()
        request(app, environ)
        taken.append(time.process_time() - begun)
    return (taken[1] - taken[0]) * 1000


def peak_mb(middleware: Callable[[work.App, bool], work.App], case: Case) -> float:
    """Return the peak memory of a request, in megabytes."""
    app = middleware(case.app, case.has_logs)
    request(app, environ_of(case._replace(headers={}, body=b"")))
    environ = environ_of(case)
    gc.collect()
    tracemalloc.start()
    request(app, environ)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


class Cost(NamedTuple):
    """What a request costs the SDK's middleware and the filter, and how much is sent.

    Attributes:
        ms: CPU, of each.
        mb: memory, of each.
        sent: how much each sends, in megabytes.
        events: how many events there are after the first.
    """

    ms: list[float]
    mb: list[float]
    sent: list[float]
    events: int

    @property
    def more_ms(self) -> float:
        """Return how much more CPU the filter takes."""
        return self.ms[1] - self.ms[0]

    @property
    def more_mb(self) -> float:
        """Return how much more memory the filter takes."""
        return self.mb[1] - self.mb[0]

    @property
    def bound_ms(self) -> float:
        """Return how much more CPU the filter may take."""
        return MOST_MS + MOST_MS_PER_MB * self.sent[0] + MOST_MS_PER_EVENT * self.events


def cost(case: Case, rounds: int) -> Cost:
    """Measure what a request costs."""
    ordinary = case._replace(headers={}, body=b"[]")
    times: dict[str, list[float]] = {name: [] for name in MIDDLEWARES}
    for _ in range(rounds):
        for name, middleware in MIDDLEWARES.items():
            times[name].append(cpu_ms(middleware, case, ordinary))
    peaks, sent = [], []
    Serialised.counts_all = case.events > 0
    for middleware in MIDDLEWARES.values():
        Serialised.sent = 0
        peaks.append(peak_mb(middleware, case))
        sent.append(Serialised.sent / 1e6)
    return Cost([statistics.median(times[name]) for name in MIDDLEWARES], peaks, sent, case.events)


def main() -> None:
    """Print the table."""
    rounds = 3 if "--quick" in sys.argv else 9
    print(f"median of {rounds}; CPU in ms, memory and what is sent in MB\n")
    columns = ("SDK", "filter", "more", "bound", "memory", "filter", "sent", "filter")
    print(f"{'':50}" + "".join(f"{column:>8}" for column in columns))
    missed = 0
    for case in cases():
        found = cost(case, rounds)
        is_missed = found.more_ms > found.bound_ms or found.more_mb > MOST_MB
        missed += is_missed
        figures = [*found.ms, found.more_ms, found.bound_ms, *found.mb, *found.sent]
        shown = "".join(f"{figure:8.1f}" for figure in figures)
        print(f"{case.name:50}{shown}{'  missed' if is_missed else ''}", flush=True)
    goal = f"{MOST_MS} ms and {MOST_MS_PER_MB} ms for each MB of the SDK's event, or {MOST_MB} MB"
    print(f"\n{missed} beyond {goal}")


if __name__ == "__main__":
    main()
