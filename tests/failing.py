"""What arrives of requests that fail, in every way, in every framework, under every server.

``python -m failing`` runs them under the servers that are installed next to this Python and prints the table
that ``docs/correctness.rst`` has.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import signal
import socket
import struct
import sys
import textwrap
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from sentry_paste.testing import CapturedEnvelopes

import receiver
import servers
from installed import INSTALLED, copy_to, readable_folder

INI = """
[pipeline:main]
pipeline = control sentry app

[app:app]
paste.app_factory = failing_apps:make_app
{options}

[filter:sentry]
use = egg:sentry_paste
dsn = {dsn}
traces_sample_rate = 1.0
release = 1

[filter:control]
paste.filter_factory = failing_apps:make_control
"""


def _of_the_ini(name, use):
    section = f"[server:main]\n{use}\nhost = 127.0.0.1\nport = {{port}}\n"
    return servers.Kind(name, servers.SERVERS["waitress"].command, section, signal.SIGINT)


#: The servers, each with the module or program that has to be installed for it.
KINDS = {
    kind.name: (kind, needed)
    for kind, needed in (
        (servers.SERVERS["wsgiref"], "wsgiref"),
        (servers.SERVERS["waitress"], "waitress"),
        (servers.SERVERS["gunicorn-sync"], "gunicorn"),
        (servers.SERVERS["gunicorn-gthread"], "gunicorn"),
        (INSTALLED["gunicorn-gevent"].kind, "gevent"),
        (servers.Kind("gevent", ("{python}", "-m", "failing_apps", "{ini}", "{port}")), "gevent"),
        (_of_the_ini("Paste", "use = egg:Paste#http"), "paste"),
        (_of_the_ini("cheroot", "paste.server_runner = failing_apps:serve_cheroot"), "cheroot"),
        (INSTALLED["uwsgi"].kind, "{bin}/uwsgi"),
        (INSTALLED["mod_wsgi"].kind, "{bin}/mod_wsgi-express"),
    )
}


def available():
    """Return the names of the servers that are there, with their kinds."""
    folder = Path(sys.executable).parent

    def is_there(needed):
        if needed.startswith("{bin}"):
            return Path(needed.format(bin=folder)).exists()
        return importlib.util.find_spec(needed) is not None

    return {name: kind for name, (kind, needed) in KINDS.items() if is_there(needed)}


@dataclass(frozen=True)
class Outcome:
    """What arrived of one request.

    Attributes:
        errors: whether each error was handled, in order.
        session: its status, ``-`` if none was counted.
        transaction: its status, ``-`` if it has none, and if there is no transaction.
    """

    errors: tuple[bool, ...] = ()
    session: str = "exited"
    transaction: str = "-"

    def __str__(self):
        words = {True: "handled", False: "unhandled"}
        errors = " + ".join(words[handled] for handled in self.errors) or "no error"
        return f"{errors}, {self.session}, {self.transaction}"


CRASHED = (Outcome((False,), "crashed", "internal_error"),)
NO_ERROR = (Outcome(), Outcome(transaction="ok"))
# A framework may answer although nobody is there.
HUNG_UP = (*NO_ERROR, Outcome(transaction="invalid_argument"), Outcome(transaction="internal_error"))
UNFOUND = Outcome(transaction="internal_error")

LEAVES = ("plain", "webob", "pyramid", "flask", "bottle", "turbogears", "zope")
PAGES = ("flask-page", "bottle-page", "django-page", "falcon-page", "turbogears-page")
HANDLERS = ("pyramid", "flask", "bottle", "django-page", "falcon-page", "zope")
ALL = (*LEAVES, *PAGES)
STREAMS = tuple(name for name in ALL if name != "zope")
EXITS = ("plain", "pyramid", "flask", "django-page")  # no framework catches it, and some servers take seconds
_BY_GEVENT = ("gunicorn-gevent", "gevent")


@dataclass(frozen=True)
class Way:
    """A way of failing.

    Attributes:
        path: of the request.
        text: what happens.
        words: what is right: the error, the session, the status of the transaction.
        right: what may arrive.
        frameworks: in which it is tried.
        servers: under which; under all if there are none.
    """

    path: str
    text: str
    words: tuple[str, str, str]
    right: tuple[Outcome, ...]
    frameworks: tuple[str, ...]
    servers: tuple[str, ...] = ()


_CRASH = ("unhandled", "crashed", "internal_error")
_NONE = ("none", "exited", "ok")
#: In this order: the last ones can end a server.
WAYS = (
    Way("crash", "An exception leaves the app before its response", _CRASH, CRASHED, LEAVES),
    Way("crash", "A framework answers an exception with its own error page", _CRASH, CRASHED, PAGES),
    Way("stream", "An exception in mid-stream", _CRASH, CRASHED, STREAMS),
    Way("own", "An ``OSError`` of the app's, in the words of a server", _CRASH, CRASHED, LEAVES),
    Way(
        "exc_info",
        "``exc_info`` given to ``start_response`` with a 500",
        ("handled", "errored", "internal_error"),
        (Outcome((True,), "errored", "internal_error"),),
        ("plain",),
    ),
    Way("page", "An error handler of the app's answers 500", _CRASH, CRASHED, HANDLERS),
    Way(
        "handled",
        "An error handler of the app's answers 410",
        ("none, or handled", "exited, errored", "invalid_argument"),
        (
            Outcome((), "exited", "invalid_argument"),
            Outcome((True,), "errored", "invalid_argument"),
        ),
        HANDLERS,
    ),
    Way(
        "missing",
        "``abort(404)``, ``HTTPNotFound``",
        ("none", "exited", "not_found"),
        (Outcome((), "exited", "not_found"),),
        tuple(name for name in ALL if name != "plain"),
    ),
    Way("retried", "pyramid_retry: the third attempt succeeds", _NONE, NO_ERROR, ("pyramid",)),
    Way("given_up", "pyramid_retry: all attempts fail", _CRASH, CRASHED, ("pyramid",)),
    Way(
        "upload#close",
        "The client closes its connection in an upload",
        ("none", "exited", "as answered"),
        HUNG_UP,
        ALL,
    ),
    Way(
        "upload#reset",
        "The client's connection is reset in an upload",
        ("none", "exited", "as answered"),
        HUNG_UP,
        ALL,
    ),
    Way("download", "The client hangs up in mid-stream", _NONE, NO_ERROR, STREAMS),
    Way("ended", "The server ends the request (``GreenletExit``)", _NONE, NO_ERROR, ALL, _BY_GEVENT),
    Way("exit0", "``SystemExit(0)``", _NONE, NO_ERROR, EXITS),
    Way("exit1", "``SystemExit(1)``", _CRASH, CRASHED, EXITS),
)


@dataclass(frozen=True)
class Deviation:
    """What arrives in place of what is right, and why.

    Attributes:
        way: path of the way.
        frameworks: in which.
        servers: under which; under all if there are none.
        outcome: what arrives.
        text: what the documentation says of it.
    """

    way: str
    frameworks: tuple[str, ...]
    servers: tuple[str, ...]
    outcome: Outcome
    text: str


DEVIATIONS = (
    Deviation(
        "page",
        ("flask", "django-page"),
        (),
        UNFOUND,
        "A handler of the app's for one exception (Flask's ``errorhandler``, Django's ``process_exception``) "
        "that answers 500 keeps the exception to itself. ``failed_status_codes = 500-599`` reports the "
        "status.",
    ),
    Deviation(
        "page",
        ("bottle",),
        (),
        Outcome((True,), "errored", "internal_error"),
        "``HTTPError(500)`` that an app raises in Bottle is handled.",
    ),
    Deviation(
        "upload#close",
        ("zope",),
        ("Paste",),
        CRASHED[0],
        "Zope cannot read a body from Paste's server at all: it crashes.",
    ),
    Deviation(
        "exc_info",
        ("plain",),
        ("uwsgi",),
        Outcome((False,), "crashed", "internal_error"),
        "uWSGI's ``start_response`` raises ``SystemError`` if it is given ``exc_info``, with the filter and "
        "without: the app crashes.",
    ),
    Deviation(
        "crash",
        ("bottle-page",),
        ("uwsgi",),
        Outcome((False, False), "crashed", "internal_error"),
        "Bottle gives it ``exc_info`` with its own error page: the crash and the ``SystemError`` are two "
        "errors.",
    ),
)


def deviation(way, framework, server):
    """Return the deviation that is known of a case, None if there is none."""
    for found in DEVIATIONS:
        if found.way == way.path and framework in found.frameworks and server in (found.servers or (server,)):
            return found
    return None


def is_as_said(way, framework, server, outcome):
    """Return whether an outcome is what the documentation says."""
    known = deviation(way, framework, server)
    return outcome == known.outcome if known is not None else outcome in way.right


def table_text():
    """Return the table and the deviations as the documentation has them."""
    rows = [("What happens", "Error", "Session", "Transaction"), *((way.text, *way.words) for way in WAYS)]
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 52 16 16 16", ""]
    for row in rows:
        lines += [f"   {'* -' if cell is row[0] else '  -'} {cell}" for cell in row]
    lines.append("")
    for found in DEVIATIONS:
        lines += textwrap.wrap(found.text, 125, initial_indent="- ", subsequent_indent="  ")
    return "\n".join(lines)


class Tried:
    """One kind of server, which is started again where a request has ended it.

    Args:
        kind: of the server.
        folder: for what it writes.
        received: the receiver of what it captures.
        options: of the app, lines of an ini.
    """

    def __init__(self, kind, folder, received, options=""):
        self._kind, self._folder, self._received, self._options = kind, folder, received, options
        self._stack = contextlib.ExitStack()
        self._number = 0
        self._server = None
        self.frameworks = ()

    def __enter__(self):
        self._start()
        return self

    def __exit__(self, *error):
        self._stack.close()

    def output(self):
        return self._server.output()

    def _start(self):
        self._stack.close()
        self._number += 1
        ini = INI.format(dsn=self._received.dsn, options=self._options)
        name = f"{self._kind.name}-{self._number}"
        self._server = self._stack.enter_context(servers.serving(self._kind, ini, self._folder, name))
        self.frameworks = tuple(self._control(30)["frameworks"])

    def _control(self, seconds):
        """Have the server send what is queued; return what it says, None if it does not answer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                answer = self._server.ask(servers.request_bytes("/control"), seconds=10)
                return json.loads(answer.partition(b"\r\n\r\n")[2])
            time.sleep(0.05)
        return None

    def outcome(self, framework, way):
        """Let a request fail and return the outcome, None where the server has not called the app."""
        before = self._control(2)
        if before is None:
            self._start()
            before = self._control(2)
        begun, mark = time.monotonic(), len(self._received.envelopes)
        path, _, how = way.path.partition("#")
        self._ask(f"/{framework}/{path}", how)
        is_called = False
        while time.monotonic() < begun + 4:
            now = self._control(1)
            is_called = is_called or _has_called(before, now)
            if self._sessions(mark):
                break
            if not is_called and time.monotonic() > begun + 1:
                return None
            time.sleep(0.05)
        time.sleep(0.05)
        self._control(1)  # and what the server has logged since
        found = CapturedEnvelopes(self._received.envelopes[mark:])
        handled = [
            all((value.get("mechanism") or {}).get("handled") is not False for value in _values(event))
            for event in found.errors
        ]
        statuses = [event["contexts"]["trace"].get("status") or "-" for event in found.transactions]
        return Outcome(
            tuple(handled), " + ".join(self._sessions(mark)) or "-", " + ".join(statuses) or "none"
        )

    def _sessions(self, mark):
        counts = defaultdict(int)
        for aggregate in CapturedEnvelopes(self._received.envelopes[mark:]).sessions:
            for status in ("exited", "errored", "crashed", "abnormal"):
                counts[status] += aggregate.get(status, 0)
        return [status for status, count in counts.items() for _ in range(count)]

    def _ask(self, path, how):
        if how:
            hang_up_in_upload(self._server.port, path, is_reset=how == "reset")
        elif path.endswith("/download"):
            with socket.create_connection(("127.0.0.1", self._server.port), timeout=180) as connection:
                connection.sendall(servers.request_bytes(path))
                connection.recv(1000)
        else:
            with contextlib.suppress(OSError):
                self._server.ask(servers.request_bytes(path), seconds=1 if "exit" in path else 15)


def _has_called(before, now):
    """Return whether a server has called the app; also if it has ended since, or started another process."""
    return now is None or now["pid"] != before["pid"] or now["calls"] > before["calls"]


def _values(event):
    return (event.get("exception") or {}).get("values") or [{"mechanism": {"handled": True}}]


def hang_up_in_upload(port, path, is_reset):
    """Send the beginning of a body, and close the connection; with a reset, as of a client that died."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {servers.UPLOAD}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=180) as connection:
        connection.sendall(head.encode() + b"x" * 1000)
        time.sleep(0.15)  # in which the app is called and waits for more
        if is_reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def results(kind, folder, frameworks=(), ways=WAYS):
    """Yield way, framework and outcome for a kind of server, without requests that do not reach the app."""
    copy_to(folder, "failing_apps.py", "failing_zope.py")  # for a user who cannot read the repository
    options = f"frameworks = {' '.join(frameworks)}" if frameworks else ""
    with receiver.serve() as received, Tried(kind, folder, received, options) as tried:
        for way in ways:
            if way.servers and kind.name not in way.servers:
                continue
            for framework in tried.frameworks:
                if framework not in way.frameworks:
                    continue
                outcome = tried.outcome(framework, way)
                if outcome is None:
                    break  # the server has not called the app, and will not call another
                yield way, framework, outcome


def as_web_user(kind):
    """Return a kind that runs as another user where root starts it and it needs that."""
    if kind.name != "mod_wsgi" or os.geteuid() != 0:
        return kind
    return replace(kind, command=(*kind.command, "--user", "www-data", "--group", "www-data"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", action="append", help="only this one")
    parser.add_argument("--framework", action="append", default=[], help="only this one")
    parser.add_argument("--way", action="append", default=[], help="only this one, by its path")
    arguments = parser.parse_args()
    ways = [way for way in WAYS if not arguments.way or way.path in arguments.way]
    kinds = {name: kind for name, kind in available().items() if name in (arguments.server or KINDS)}
    for name, kind in kinds.items():
        begun, right, known, others = time.monotonic(), 0, 0, []
        with readable_folder() as folder:
            for way, framework, outcome in results(as_web_user(kind), folder, arguments.framework, ways):
                right += outcome in way.right
                known += outcome not in way.right and is_as_said(way, framework, name, outcome)
                if not is_as_said(way, framework, name, outcome):
                    others.append(f"  {framework}, {way.path}: {outcome}")
        seconds = time.monotonic() - begun
        print(f"{name}: {right} right, {known} known deviations, {len(others)} others ({seconds:.0f} s)")
        print("\n".join(others), flush=True, end="\n" if others else "")
    print(table_text())


if __name__ == "__main__":
    main()
