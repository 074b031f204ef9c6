"""Measure the cost of redacting an event: ``python -m benchmarks.redact``.

The event has the variables of many frames, as serialised by the SDK, and comes from a request with a cookie,
credentials and a query; some frames have a secret in a variable. After that, requests grow.
"""

from __future__ import annotations

import copy
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from sentry_paste.redaction import Matcher, Names, values
from sentry_paste.redaction.payloads import clean_event

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/shop/basket",
    "QUERY_STRING": "page=3&token=q8fh23fh28hf2&colour=green",
    "REMOTE_ADDR": "203.0.113.9",
    "REMOTE_USER": "user-48151",
    "SERVER_NAME": "shop.example",
    "SERVER_PORT": "443",
    "HTTP_HOST": "shop.example",
    "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "HTTP_ACCEPT_LANGUAGE": "de-CH,en;q=0.7",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate, br",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "HTTP_REFERER": "https://shop.example/login?next=/shop/basket",
    "HTTP_AUTHORIZATION": "Bearer 8f7d6s5a4f3d2s1a0f9d8s7a6f5d4s3a",
    "HTTP_COOKIE": "sid=f3f29fj2093fj203fj; theme=dark; _ga=GA1.2.1234567890.1234567890; lang=en",
    "HTTP_X_CSRF_TOKEN": "0d9f8a7s6d5f4a3s2d1f",
    "HTTP_X_FORWARDED_FOR": "198.51.100.7, 10.0.0.3",
    "HTTP_X_REQUEST_ID": "6f1c3a52-8d1f-4b1e-9e4e-0a8a3f1b7c2d",
}


def variables(number: int) -> dict[str, Any]:
    """Return what one frame holds: ten variables, the environ in every fourth frame."""
    found: dict[str, Any] = {
        "self": f"<shop.views.Basket object at 0x7f{number:010x}>",
        "name": f"'item {number}'",
        "count": str(number),
        "options": {"colour": "'green'", "size": "'XL'", "sorted": "True"},
        "rows": ["'first'", "'second'", str(number)],
        "path": "'/shop/basket'",
        "result": "None",
        "kwargs": {},
        "args": [],
    }
    if number % 4 == 0:
        found["environ"] = {
            key: repr(value) for key, value in list(ENVIRON.items())[number % 8 : number % 8 + 10]
        }
    if number % 20 == 0:
        found["message"] = f"'no such basket: {ENVIRON['HTTP_AUTHORIZATION'][7:]}'"
    return found


def event(frames: int) -> dict[str, Any]:
    """Return an event of so many frames."""
    stack = [
        {"function": f"f{number}", "module": "shop", "lineno": number, "vars": variables(number)}
        for number in range(frames)
    ]
    value = {"type": "KeyError", "value": "'basket'", "stacktrace": {"frames": stack}}
    return {"event_id": "0" * 32, "exception": {"values": [value]}, "transaction": "GET /shop/basket"}


def median_ms(make: Callable[[], Any], work: Callable[[Any], Any], rounds: int) -> float:
    """Return the median time of a piece of work in milliseconds, without preparing its input."""
    times = []
    for _ in range(rounds):
        made = make()
        begun = time.perf_counter()
        work(made)
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


def main() -> None:
    """Print the table."""
    rounds = 20 if "--quick" in sys.argv else 200
    names = Names()
    secrets = values.of_request(ENVIRON, names)
    matcher = Matcher(secrets)
    print(f"{len(secrets)} secret texts of one request; median of {rounds}\n")
    prepared = median_ms(lambda: ENVIRON, lambda environ: Matcher(values.of_request(environ, names)), rounds)
    print(f"secrets of the request, once a request with an event   {prepared:8.3f} ms")
    for frames in (1, 10, 50, 100, 200, 400, 800):
        made = event(frames)
        took = median_ms(partial(copy.deepcopy, made), partial(_clean_with, matcher, names), rounds)
        print(f"variables of {frames:4} frames                              {took:8.3f} ms")
    for size in (1_000, 10_000, 100_000):
        environ = {**ENVIRON, "HTTP_COOKIE": "long=" + "x7" * (size // 2)}
        took = median_ms(partial(_crash, environ), partial(_clean, names), max(rounds // 10, 3))
        print(f"secrets and 200 frames, a cookie of {size:7,} bytes     {took:8.3f} ms")
    for count in (10, 100, 1_000, 10_000):
        query = "&".join(f"token{number}=value{number:08}" for number in range(count))
        environ = {**ENVIRON, "QUERY_STRING": query}
        took = median_ms(partial(_crash, environ), partial(_clean, names), max(rounds // 10, 3))
        print(f"secrets and 200 frames, {count:6,} secret parameters    {took:8.3f} ms")


def _crash(environ: dict[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return a request, and an event that has all of it in a frame."""
    made = event(200)
    held = {key: repr(value) for key, value in environ.items()}
    made["exception"]["values"][0]["stacktrace"]["frames"][0]["vars"]["environ"] = held
    return environ, made


def _clean(names: Names, crash: tuple[dict[str, str], dict[str, Any]]) -> None:
    environ, made = crash
    clean_event(made, Matcher(values.of_request(environ, names)), names)


def _clean_with(matcher: Matcher, names: Names, made: dict[str, Any]) -> None:
    clean_event(made, matcher, names)


if __name__ == "__main__":
    main()
