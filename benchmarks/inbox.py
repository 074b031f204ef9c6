"""Measure the pages of the inbox: ``python -m benchmarks.inbox``.

The spool has so many envelopes as captured by the example, equally many of each kind, with their own ids
and times. Measured are the requests to an inbox on it, without a server: the first visit, reading until all
files are indexed, and each page and each search after that, none of which has been asked for before; then the
first page when a file has just been added, and when nothing has changed. Processor time is measured, because
all of it is work of one thread: what else the machine does has no part in it.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import logging
import os
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from wsgiref.util import setup_testing_defaults

import sentry_sdk
from paste.deploy import loadapp

from benchmarks.million import resident
from benchmarks.progress import columns, keep, machine, median, progress
from sentry_paste.inbox import main as inbox
from sentry_paste.inbox.groups import name_id
from sentry_paste.spool import Spool

_INI = """
[pipeline:main]
pipeline = sentry example

[filter:sentry]
use = egg:sentry_paste
spool_dir = %(here)s/example
environment = development
release = sentry-paste-example@1.0
in_app_include = sentry_paste.example
traces_sample_rate = 1.0
enable_logs = true

[app:example]
use = egg:sentry_paste#example
"""
_PATHS = ("/hello", "/greet/Ada", "/slow", "/crash", "/stream-crash", "/handled", "/logged")
_IDS = re.compile(rb'"(?:event_id|trace_id)": ?"([0-9a-f]{32})"')
_TIME = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?Z")

# Seconds from one request of the spool to the next.
_APART = 3


def asked(app: Callable[..., Any], path: str, tag: str = "") -> tuple[dict[str, str], bytes]:
    """Request a page, and return its headers and its bytes; exceptions are expected from the example.

    Args:
        app: of WSGI.
        path: with the query string.
        tag: the browser's ETag, with quotes.
    """
    # A browser on the same machine, which needs no token.
    environ: dict[str, Any] = {
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_CONNECTION": "keep-alive",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_SEC_FETCH_SITE": "none",
    }
    environ["PATH_INFO"], _, environ["QUERY_STRING"] = path.partition("?")
    if tag:
        environ["HTTP_IF_NONE_MATCH"] = tag
    setup_testing_defaults(environ)
    started: dict[str, str] = {}

    def start_response(_status: str, headers: list[tuple[str, str]], *_exc_info: Any) -> None:
        started.update(headers)

    chunks: list[bytes] = []
    with contextlib.suppress(Exception):
        body = app(environ, start_response)
        try:
            chunks.extend(body)
        finally:
            getattr(body, "close", int)()
    return started, b"".join(chunks)


def captured(folder: Path) -> list[list[tuple[str, bytes]]]:
    """Return the envelopes of each request of the example: their kinds and their bytes.

    Args:
        folder: to keep them in.
    """
    log = logging.getLogger("sentry_paste.example")
    log.propagate, log.handlers = False, [logging.NullHandler()]  # what it logs would be on stderr
    ini = folder / "example.ini"
    ini.write_text(_INI, encoding="utf-8")
    app = loadapp(f"config:{ini}")
    spool, found, seen = Spool(folder / "example"), [], set()
    for path in _PATHS:
        asked(app, path)
        sentry_sdk.flush(5)
        files = [file for file in spool.files() if file.path not in seen]
        seen |= {file.path for file in files}
        found.append([(file.kind, file.path.read_bytes()) for file in files])
    return found


def copies(request: list[tuple[str, bytes]], ago: timedelta) -> Iterator[tuple[str, bytes]]:
    """Yield the envelopes of a request as if it had been made at another time: their names and their bytes.

    Args:
        request: kinds and bytes.
        ago: how long before now.
    """
    ids: dict[bytes, bytes] = {}
    newest = max(_newest(data) for _, data in request)
    for place, (kind, data) in enumerate(request):
        by = datetime.now(timezone.utc) - ago - newest
        data = _TIME.sub(partial(_moved, by=by), data)
        for old in _IDS.findall(data):
            data = data.replace(old, ids.setdefault(old, uuid.uuid4().hex.encode()))
        new = _IDS.search(data)
        identity = new[1].decode() if new and b"event_id" in new[0] else uuid.uuid4().hex
        moment = newest + by - timedelta(microseconds=place)
        yield f"{moment:%Y%m%dT%H%M%S.%fZ}-{kind}-{identity}-any.envelope", data


def _newest(data: bytes) -> datetime:
    found = (_parsed(match) for match in _TIME.finditer(data))
    return max(found, default=datetime.now(timezone.utc))


def _parsed(match: re.Match[bytes]) -> datetime:
    text = match[0].decode()
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ" if "." in text else "%Y-%m-%dT%H:%M:%SZ").replace(
        tzinfo=timezone.utc
    )


def _moved(match: re.Match[bytes], by: timedelta) -> bytes:
    """Return a time with the same length: envelopes contain the lengths of their items."""
    moved = _parsed(match) + by
    return (
        f"{moved:%Y-%m-%dT%H:%M:%S.%fZ}".encode()
        if b"." in match[0]
        else f"{moved:%Y-%m-%dT%H:%M:%SZ}".encode()
    )


def fill(directory: Path, requests: list[list[tuple[str, bytes]]], count: int) -> list[int]:
    """Write copies of envelopes as a spool, ending at the present time; return their sizes.

    Args:
        directory: the spool's; it is made.
        requests: the envelopes of each.
        count: of files.
    """
    directory.mkdir(mode=0o700)
    sizes: list[int] = []
    for number, request in enumerate(itertools.cycle(requests)):
        for name, data in copies(request, timedelta(seconds=_APART * number)):
            (directory / name).write_bytes(data)
            sizes.append(len(data))
            if len(sizes) == count:
                return sizes
    return sizes


def milliseconds(work: Callable[[], Any]) -> float:
    """Return how long work takes.

    Args:
        work: done once.
    """
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * 1000


def until_read(app: Callable[..., Any]) -> Iterator[float]:
    """Poll the list as its script does while files are left; yield the time of each request.

    Args:
        app: an inbox that has had no request yet.
    """
    while True:
        begun = time.process_time()
        _, body = asked(app, "/list")
        yield (time.process_time() - begun) * 1000
        if b"data-unread" not in body:
            return


# Searches: a name, the kind of the list, and the text.
_SEARCHES = (
    ("a word", "error", "tiramis"),
    ("handled:no", "error", "handled:no"),
    ("status:failed", "transaction", "status:failed"),
    ("url:", "all", "url:/greet"),
    ("environment: and release:", "all", "environment:development release:1.0"),
    ("a tag", "all", "tag:table=7"),
    ("level: of logs", "log", "level:>=error"),
    ("all fields", "all", "level:error environment:dev* status:200 handled:yes url:*handled* table:7 soup"),
)


def _forgotten(app: Callable[..., Any], path: str) -> float:
    """Return how long a page takes that has not been asked for since the last file came."""
    app.index.look().derived.pop("listings", None)  # type: ignore[attr-defined]
    return milliseconds(partial(asked, app, path))


def _with_new_file(app: Callable[..., Any], path: str, directory: Path, data: bytes) -> float:
    """Return how long a page takes when a file has just been added."""
    now = datetime.now(timezone.utc)
    directory.joinpath(f"{now:%Y%m%dT%H%M%S.%fZ}-error-{uuid.uuid4().hex}-any.envelope").write_bytes(data)
    return milliseconds(partial(asked, app, path))


def figures(directory: Path, rounds: int) -> dict[str, float]:
    """Return milliseconds by page, and MiB.

    Args:
        directory: of the spool.
        rounds: for each page; the median is reported.
    """
    gc.collect()
    before = resident()
    app = inbox({}, spool_dir=str(directory))
    looks = list(until_read(app))
    found = {"the first look": looks[0], "until all are read": sum(looks)}
    gc.collect()
    grown = resident() - before
    snapshot = app.index.look()  # type: ignore[attr-defined]
    error = next(entry for entry in snapshot.entries if entry.file.kind == "error")
    headers, _ = asked(app, "/list")
    pages = {
        "the errors": "/",
        "the transactions": "/?kind=transaction",
        "the requests of one": f"/?kind=transaction&group={name_id('slow')}",
        "the sessions": "/?kind=session",
        "the logs": "/?kind=log",
        "all kinds": "/?kind=all",
        "an error": f"/envelope/{error.file.id}",
        "a trace": f"/trace/{error.summary.trace_ids[0]}",
    }
    searches = {name: f"/?{urlencode({'kind': kind, 'q': text})}" for name, kind, text in _SEARCHES}
    for name, path in {**pages, **searches, "the last hour": "/?kind=all&within=1h"}.items():
        found[name] = median(_forgotten(app, path) for _ in range(rounds))
        progress(".")
    for name, path in {"the errors": "/", "all kinds": "/?kind=all", "a search": "/?q=tiramis"}.items():
        found[f"{name}, with a new file"] = median(
            _with_new_file(app, path, directory, error.file.path.read_bytes()) for _ in range(rounds)
        )
    time.sleep(3)  # a directory that has just changed is listed again
    headers, _ = asked(app, "/list")
    found["a look that finds nothing new"] = median(
        milliseconds(partial(asked, app, "/list", headers["ETag"])) for _ in range(rounds)
    )
    found["memory, MiB"] = grown
    return found


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inbox", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="in the spool (default: 10000)")
    parser.add_argument("--rounds", type=int, default=21, help="of each page (default: 21)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sizes = fill(Path(folder, "spool"), captured(Path(folder)), options.files)
        found = figures(Path(folder, "spool"), options.rounds)
    print(f"\n{machine()}, {os.cpu_count()} cores")
    print(f"{len(sizes):,} envelopes of {min(sizes) / 1e3:.1f} to {max(sizes) / 1e3:.1f} kB\n")
    print(columns([("page", "ms"), *((name, f"{value:,.1f}") for name, value in found.items())]))
    keep(options.json, {"files": len(sizes), "largest": max(sizes), "smallest": min(sizes), **found})


if __name__ == "__main__":
    main()
