"""Search for the most expensive request: ``python -m benchmarks.fuzz --seconds 60``.

Requests are made of pieces that parsers and searches have trouble with, and mutated: those that cost most for
each byte are mutated further. Each is sent to an app that crashes with all of it in its variables, in several
encodings. The worst ones are measured again, compared with the SDK's middleware, and reported with the
difference. ``--bound FACTOR`` fails if that is more than so many times the goal. Every request at which
something in the filter itself failed is reported too, and the search fails then.
"""

from __future__ import annotations

import argparse
import base64
import html
import json
import logging
import random
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from benchmarks import hostile
from benchmarks.hostile import Case, Cost
from sentry_paste.sdk.failures import LOGGER

# The pieces: beginnings, separators, escapes, keys, brackets, runs.
# fmt: off
PIECES = (
    "a", "k7", "aaaaaaaa", "a1", "A", "0", "1", "\xe9", "\xfc", "\xfc", "\xff", "\x80", "_", "-", ".",
    "..", "...", "=", "==", ";", "; ", "&", "&&", "?", "#", ",", ", ", ":", "::", "/", "//", "\\",
    "\\\\", "%", "%%", "%25", "%2525", "%41", "%C3%BC", "%FF", "%u0041", "\\u0041", "\\x41", "\\n",
    "&amp;", "&#39;", "&#x27;", "+", " ", "\t", "'", "\"", "\\'", "\\\"", "b'", "{'", "{", "}", "[",
    "]", "(", ")", "<", ">", "</", "password", "password=", "'password': '", "\"password\": \"",
    "token=", "token", "secret", "sid=", "key=", "<password>", "name=\"password\"", "input_value='",
    "Authorization: ", "Set-Cookie: ", "Bearer ", "Basic ", "for=", "by=", "10.0.0.1", "2001:db8::7",
    "[::1]", "_gazonk", "unknown", "alice", "alice@example.com", "eyJhbGciOiJIUzI1NiJ9", "eyJ",
    "MIIB", "-----BEGIN", "CN=", "/CN=", "https://u:p@h/", "next=", "?next=", "\n", "\r\n",
    "sentry-trace_id=", "00-", "-01", "*", "[a-z]", "GET ", "None", "True", "{}", "$", "~", "|",
)
# Environ keys that a client can set; some are parsed in a special way.
KEYS = (
    "HTTP_COOKIE", "QUERY_STRING", "HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION",
    "HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_REFERER", "HTTP_BAGGAGE", "HTTP_SENTRY_TRACE",
    "HTTP_TRACEPARENT", "HTTP_X_API_KEY", "HTTP_X_UNKNOWN", "HTTP_USER_AGENT", "HTTP_HOST",
    "HTTP_ACCEPT", "PATH_INFO", "HTTP_X_FORWARDED_CLIENT_CERT", "HTTP_X_REAL_IP",
    "HTTP_X_USER_EMAIL", "CONTENT_TYPE", "REMOTE_USER", "SSL_CLIENT_S_DN", "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO", "HTTP_ORIGIN", "REQUEST_METHOD",
)
# fmt: on
# gunicorn's limit_request_field_size and limit_request_fields.
LONGEST, MOST = 8190, 100
# Of all headers together: less than waitress's max_request_header_size.
LONGEST_TOGETHER = 240_000

ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "quoted": lambda text: quote(text, safe="", errors="replace"),
    "repr": repr,
    "json": json.dumps,
    "html": html.escape,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "halves": lambda text: text[len(text) // 2 :] + text[: len(text) // 2],
}


class Gene(NamedTuple):
    """One header, or the body: pieces, each repeated, and all of that repeated.

    Attributes:
        key: of the environ, an empty text for the body.
        units: the pieces and how often each is repeated.
        times: how often all of it is repeated.
        copies: how many numbered headers contain it.
    """

    key: str
    units: tuple[tuple[str, int], ...]
    times: int
    copies: int

    def text(self, longest: int) -> str:
        """Return the value of the header, or the body."""
        unit = "".join(piece * count for piece, count in self.units)
        return (unit * min(self.times, longest // max(len(unit), 1) + 1))[:longest]


class Request(NamedTuple):
    """A request to try.

    Attributes:
        genes: of headers and body.
        encoding: in which the app holds the body.
        app: which one crashes.
        is_long: whether headers are as long as waitress allows, and not as gunicorn does.
    """

    genes: tuple[Gene, ...]
    encoding: str
    app: str
    is_long: bool = False

    def case(self) -> Case:
        """Return it as it is sent."""
        headers: dict[str, str] = {}
        body = ""
        longest = LONGEST_TOGETHER // sum(gene.copies for gene in self.genes) if self.is_long else LONGEST
        for gene in self.genes:
            if not gene.key:
                body += gene.text(100_000)
                continue
            text = gene.text(longest)
            for copy in range(min(gene.copies, MOST - len(headers))):
                name = gene.key if gene.copies == 1 else f"{gene.key}_{copy}"
                headers[name] = text if gene.copies == 1 else f"{copy}{text}"[:longest]
        # The app has what the client sent in a variable as well.
        held = ENCODINGS[self.encoding]("".join(headers.values())[:50_000] + body)
        raw = held.encode("latin-1", "replace")[:200_000]
        return Case(repr(self), headers, raw, APPS[self.app])


APPS = {"crashing": hostile.crashing, "parsing": hostile.parsing, "showing": hostile.showing}


class Failures(logging.Handler):
    """What the filter logs of its own failures: a request never shows them otherwise."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, with its traceback."""
        self.texts.append(self.format(record))


class Hunt:
    """The search, with the requests that were found so far, the most expensive for each byte first.

    Args:
        seed: of the dice.
    """

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.found: list[tuple[float, float, Request]] = []
        self.tried = 0
        self.failed: list[tuple[Request, str]] = []

    def gene(self) -> Gene:
        """Make up a header, or a body."""
        dice = self.dice
        units = tuple(
            (dice.choice(PIECES), int(2 ** dice.uniform(0, 10)))
            for _ in range(dice.choice((1, 2, 2, 3, 4, 6)))
        )
        key = dice.choice(("", *KEYS, "HTTP_COOKIE"))
        copies = dice.choice((1, 1, 1, 1, 95)) if key.startswith("HTTP_X") else 1
        return Gene(key, units, int(2 ** dice.uniform(0, 17)), copies)

    def request(self) -> Request:
        """Make up a request, or mutate an expensive one."""
        dice = self.dice
        if not self.found or dice.random() < 0.3:
            genes = tuple(self.gene() for _ in range(dice.randint(1, 4)))
            encoding, app = dice.choice(list(ENCODINGS)), dice.choice(list(APPS))
            return Request(genes, encoding, app, dice.random() < 0.3)
        chosen = dice.choice(self.found[:20])[2]
        genes = list(chosen.genes)
        place = dice.randrange(len(genes))
        change = dice.random()
        if change < 0.25:
            genes[place] = self.gene()
        elif change < 0.4 and len(genes) < 6:
            genes.append(self.gene())
        elif change < 0.8:
            genes[place] = self.changed(genes[place])
        elif len(genes) > 1 and change < 0.9:
            del genes[place]
        else:
            return chosen._replace(encoding=dice.choice(list(ENCODINGS)), app=dice.choice(list(APPS)))
        return chosen._replace(genes=tuple(genes))

    def changed(self, gene: Gene) -> Gene:
        """Mutate a header, or a body, a little."""
        dice = self.dice
        units = list(gene.units)
        place = dice.randrange(len(units))
        piece, count = units[place]
        change = dice.random()
        if change < 0.3:
            units[place] = (dice.choice(PIECES), count)
        elif change < 0.6:
            units[place] = (piece, max(1, int(count * 2 ** dice.uniform(-3, 3))))
        elif change < 0.8 and len(units) < 8:
            units.insert(place, (dice.choice(PIECES), int(2 ** dice.uniform(0, 7))))
        elif len(units) > 1:
            del units[place]
        return gene._replace(units=tuple(units), times=max(1, int(gene.times * 2 ** dice.uniform(-1, 1))))

    def run(self, seconds: float) -> None:
        """Try requests for a number of seconds."""
        until = time.monotonic() + seconds
        failures = Failures()
        logging.getLogger(LOGGER).addHandler(failures)
        apps = {}
        for name, app in APPS.items():
            apps[name] = hostile.by_the_filter(app)
        while time.monotonic() < until:
            request = self.request()
            case = request.case()
            if case.size() < 200:
                continue
            begun = time.process_time()
            hostile.request(apps[request.app], hostile.environ_of(case))
            taken = (time.process_time() - begun) * 1000
            self.tried += 1
            self.failed += [(request, text) for text in failures.texts]
            failures.texts.clear()
            size = case.size() * (20 if request.app == "parsing" else 1)
            # By byte, without favouring small requests for the cost that each one has.
            self.found.append((taken / (size + 20_000), taken, request))
            self.found.sort(key=lambda one: -one[0])
            del self.found[60:]


def worst_of(hunt: Hunt, count: int) -> list[tuple[float, Cost, Request]]:
    """Compare the most expensive requests with the SDK's middleware, the worst first."""
    by_byte = [request for _, _, request in hunt.found[: count // 2]]
    by_time = [request for _, _, request in sorted(hunt.found, key=lambda one: -one[1])[: count // 2]]
    measured = []
    for request in dict.fromkeys([*by_byte, *by_time]):
        found = hostile.cost(request.case(), 3)
        measured.append((found.more_ms / found.bound_ms, found, request))
    return sorted(measured, key=lambda one: -one[0])


def main() -> int:
    """Search, and report what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the dice (default: the time)")
    parser.add_argument("--bound", type=float, help="fail where one costs more than so many times the goal")
    options = parser.parse_args()
    hunt = Hunt(options.seed)
    hunt.run(options.seconds)
    worst = worst_of(hunt, 16)
    print(f"seed {options.seed}: {hunt.tried} requests tried; the worst of them:")
    for share, found, request in worst[:5]:
        case: Any = request.case()
        print(
            f"{found.more_ms:7.1f} ms of {found.bound_ms:.0f} ({share:.2f}), {found.more_mb:5.1f} MB more "
            f"than the SDK's {found.ms[0]:.1f} ms; {case.size()} bytes: {request}"
        )
    for request, text in hunt.failed[:5]:
        print(f"the filter failed: {request}\n{text}")
    if hunt.failed:
        return 1
    if options.bound is not None and worst and worst[0][0] > options.bound:
        print(f"beyond {options.bound} times the goal")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
