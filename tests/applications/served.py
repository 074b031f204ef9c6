"""An application served from its own ini, with the filter and without, and what differs."""

import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import servers
from receiver import serve

_HERE = Path(__file__).parent

#: What every request carries and nothing that is sent may hold.
COOKIE, TOKEN = "planted-7d1c9e5a04b2", "planted-e83b6f10c4d7"

_FILTER = """
[filter:sentry]
use = egg:sentry_paste
dsn = {dsn}
release = 1
traces_sample_rate = 1.0
{options}
"""


@dataclass(frozen=True)
class Exchange:
    """A request, and what should be seen of it.

    Attributes:
        path: with the query.
        status: of the answer.
        name: of the transaction.
        error: type and value, empty for none.
        session: ``exited``, ``errored`` or ``crashed``.
        form: the body of a POST; a GET without it.
        shows_stack: whether the answer shows the stack, with the filter in it: its body is not compared.
    """

    path: str
    status: int
    name: str
    error: str = ""
    session: str = "exited"
    form: str = ""
    shows_stack: bool = False


@dataclass(frozen=True)
class Application:
    """An application that somebody could have.

    Attributes:
        title: in the table.
        packages: to install.
        make: makes its project, with a workshop, in a folder, with an environment; returns the ini's path.
        place: puts the filter into the text of that ini.
        command: serves it; ``{bin}``, ``{python}``, ``{ini}`` and ``{port}`` are filled in.
        port: a pattern for the port in the ini.
        end: the signal for an orderly end.
        exchanges: that it is asked for, in order; cookies are kept.
        options: of the filter, lines of the ini.
        volatile: patterns of what differs from one run of the bare application to the next.
    """

    title: str
    packages: tuple[str, ...]
    make: Callable
    place: Callable
    command: tuple[str, ...]
    exchanges: tuple[Exchange, ...]
    options: str = ""
    port: str = ""
    end: signal.Signals = signal.SIGINT
    volatile: tuple[str, ...] = ()


def filter_with(text):
    """Put the filter around ``[app:main]``."""
    return text.replace("[app:main]\n", "[app:main]\nfilter-with = sentry\n", 1) + _FILTER


def first_in_pipeline(text):
    """Put the filter first into the ini's pipeline."""
    return text.replace("pipeline =\n", "pipeline =\n    sentry\n", 1) + _FILTER


@dataclass
class Run:
    """What a server answered.

    Attributes:
        answers: the bytes of each answer.
        code: with which the process ended.
        seconds: that its end took.
        log: all that it printed.
    """

    answers: list[bytes]
    code: int
    seconds: float
    log: str


@dataclass
class Result:
    """What became of an application.

    Attributes:
        application: that was served.
        by_column: what is wrong, by the column of the table, a line each.
        seconds: that it took.
    """

    application: Application
    by_column: dict[str, list[str]]
    seconds: float

    known = ()

    @property
    def faults(self):
        """What is wrong, a line each."""
        for column, lines in self.by_column.items():
            yield from (f"{column}: {line}" for line in lines)

    def row(self):
        """The line of the table."""
        cells = (f"{len(lines)} wrong" if lines else "ok" for lines in self.by_column.values())
        return (self.application.title, str(len(self.application.exchanges)), *cells, f"{self.seconds:.0f} s")


_SESSIONS = ("exited", "errored", "crashed", "abnormal")
COLUMNS = ("bytes", "errors", "names", "sessions", "secrets", "ends")
HEADINGS = ("application", "requests", *COLUMNS, "took")


def check(application, workshop):
    """Install an application, serve it twice, and compare."""
    name = application.title.replace(" ", "-").replace(",", "")
    environment = workshop.environment(name, application.packages)
    folder = workshop.folder / "applications" / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "made").mkdir(parents=True)
    ini = application.make(workshop, folder / "made", environment)
    begin = time.monotonic()
    bare = _serve(application, environment, folder, "bare", ini, lambda text: text)
    with serve() as receiver:
        filtered = _serve(
            application,
            environment,
            folder,
            "filtered",
            ini,
            lambda text: (
                application.place(text)
                .replace("{dsn}", receiver.dsn)
                .replace("{options}", application.options)
            ),
        )
        # What was sent has arrived: the process has ended.
        by_column = _compare(application, bare, filtered, receiver)
    return Result(application, by_column, time.monotonic() - begin)


def _serve(application, environment, folder, name, ini, place):
    # A copy of the project for each, as applications write into it.
    made, mine = folder / "made", folder / name
    shutil.copytree(made, mine, symlinks=True)
    for path in (path for suffix in ("ini", "conf") for path in mine.rglob(f"*.{suffix}")):
        path.write_text(path.read_text(encoding="utf-8").replace(str(made), str(mine)), encoding="utf-8")
    ini = mine / ini.relative_to(made)
    port = servers.free_port()
    text = place(ini.read_text(encoding="utf-8"))
    if application.port:
        text = re.sub(application.port, lambda found: f"{found[1]}{port}", text)
    ini.write_text(text, encoding="utf-8")
    blanks = {"bin": environment, "python": environment / "python", "ini": ini, "port": port}
    command = [word.format(**blanks) for word in application.command]
    variables = {"PYTHONPATH": str(_HERE / "sites"), "PYTHONDEVMODE": "", "PYTHONHASHSEED": "0"}
    with servers.started(command, port, ini.parent, seconds=120, **variables) as server:
        answers = _ask(server, application.exchanges)
        begin = time.monotonic()
        code = server.end(application.end, seconds=60)
        return Run(answers, code, time.monotonic() - begin, server.output())


def _ask(server, exchanges):
    cookies, answers = {"session_id": COOKIE}, []
    for exchange in exchanges:
        answers.append(server.ask(_request(exchange, cookies)))
        head = answers[-1].partition(b"\r\n\r\n")[0].decode("latin-1")
        for name, value in re.findall(r"(?im)^set-cookie: *([^=;\r]+)=([^;\r]*)", head):
            cookies[name] = value
    return answers


def _request(exchange, cookies):
    body = exchange.form.encode()
    lines = [
        f"{'POST' if body else 'GET'} {exchange.path} HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        f"Authorization: Bearer {TOKEN}",
        "Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies.items()),
    ]
    if body:
        lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _compare(application, bare, filtered, receiver):
    exchanges = application.exchanges
    transactions = receiver.transactions
    wanted_sessions = Counter(exchange.session for exchange in exchanges)
    sessions = Counter()
    for aggregate in receiver.envelopes.sessions:
        sessions.update({name: aggregate.get(name, 0) for name in _SESSIONS})
    return {
        "bytes": list(_different_answers(application, bare, filtered)),
        "errors": list(
            _different(
                [(exchange.name, exchange.error) for exchange in exchanges if exchange.error],
                [(event.get("transaction"), _text(event)) for event in receiver.errors],
            )
        ),
        "names": list(
            _different(
                [exchange.name for exchange in exchanges],
                [transaction["transaction"] for transaction in transactions],
            )
        ),
        "sessions": list(_different([dict(wanted_sessions)], [dict(+sessions)])),
        "secrets": [
            f"{secret} is in what was sent"
            for secret in (COOKIE, TOKEN)
            if secret.encode() in b"".join(receiver.raw)
        ],
        "ends": list(_different_ends(bare, filtered)),
    }


def _different_answers(application, bare, filtered):
    for exchange, *pair in zip(application.exchanges, bare.answers, filtered.answers):
        status = int(pair[0].split(b" ", 2)[1]) if pair[0] else 0
        if status != exchange.status:
            yield f"{exchange.path}: the bare application answers {status}, not {exchange.status}"
        patterns = (*application.volatile, *(_BODY if exchange.shows_stack else ()))
        one, other = (_without_volatile(answer, patterns) for answer in pair)
        if one != other:
            at = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
            yield f"{exchange.path}: {one[at - 40 : at + 80]!r} bare, {other[at - 40 : at + 80]!r} filtered"


_BODY = (r"(?im)^Content-Length: [^\r]*", r"(?s)\r\n\r\n.*")


def _without_volatile(answer, patterns):
    for pattern in (r"(?im)^(?:Date|Expires): [^\r]*", *patterns):
        answer = re.sub(pattern.encode(), b"...", answer)
    return answer


def _different(wanted, found):
    for number, (one, other) in enumerate(zip(wanted, found), 1):
        if one != other:
            yield f"number {number} is {other}, should be {one}"
    if len(wanted) > len(found):
        yield f"missing: {wanted[len(found) :]}"
    if len(found) > len(wanted):
        yield f"too many: {found[len(wanted) :]}"


def _text(event):
    if "exception" in event:
        found = event["exception"]["values"][-1]
        handled = (found.get("mechanism") or {}).get("handled")
        return f"{found['type']}: {found['value']}" + ("" if handled is False else " (handled)")
    return str(event.get("logentry") or event.get("message"))


def _different_ends(bare, filtered):
    if bare.code != filtered.code:
        yield f"exit code {bare.code} bare, {filtered.code} filtered"
    # 2 seconds are the SDK's shutdown_timeout.
    if filtered.seconds > bare.seconds + 2:
        yield f"{bare.seconds:.1f} s bare, {filtered.seconds:.1f} s filtered"
    for pattern in (r"Traceback", r"Warning", r"(?m)^\S.*sentry"):
        # Frames of a traceback, which are indented, are those of the filter and the SDK as well.
        counts = [len(re.findall(pattern, run.log)) for run in (bare, filtered)]
        if counts[0] != counts[1]:
            yield f"the log has {pattern} {counts[0]} times bare, {counts[1]} times filtered"
