"""Real servers say and do the same with the filter and without it.

The rules hold for any server; the fixture ``kind`` says for which. ``test_more_servers`` has more of them.
"""

import re
import socket
import struct
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import assert_valid_for_sentry

import apps
import receiver
import servers

BARE = """
[app:main]
paste.app_factory = servers:make_app
notes = {notes}
"""

FILTERED = """
[app:app]
paste.app_factory = servers:make_app
notes = {notes}

[filter:sentry]
use = egg:sentry_paste
dsn = {dsn}
traces_sample_rate = 1.0
release = 1

[pipeline:main]
pipeline = sentry app
"""

# Where the app, and not only the server, raises. One that never calls start_response has nothing raised
# in it: it is the server that cannot go on.
# What a server gets that is not iterable is its own affair.
OTHERS = {"crash_never_started", "crash_returns_none"}
CRASHES = sorted(set(apps.APPS) - OTHERS - {n for n in apps.APPS if n.startswith("answer_")})

HEAD = "head_of_answer_list"
FILE = "watched_file"

REQUESTS = {
    **{name: servers.request_bytes(f"/{name}") for name in apps.APPS},
    "answer_echo": servers.request_bytes("/answer_echo", "POST", b"a body\r\nof two lines"),
    HEAD: servers.request_bytes("/answer_list", "HEAD"),
    FILE: servers.request_bytes(f"/{FILE}"),
}

# What the app passes to start_response, None where it does not come to that.
STATUS = {
    **dict.fromkeys(apps.APPS, 200),
    "answer_empty": 204,
    "answer_exc_info": 500,
    "answer_late": 201,
    "crash": None,
    "crash_never_started": None,
}


@dataclass
class Pair:
    """A bare and a filtered server, which have ended, and what came of what was said to them.

    Attributes:
        kind: what they are.
        exit_code: with which the filtered one ended.
        received: the receiver of what it captured, complete because it has ended.
        logs: what both printed.
        bare_notes: what the apps of the bare one recorded.
        filtered_notes: what those of the other one did.
    """

    kind: servers.Kind
    exit_code: int
    received: Any
    logs: str
    bare_notes: list[str]
    filtered_notes: list[str]

    def expect_usual(self, name):
        """Skip what is expected of an app where this kind of server has its own way with it."""
        if name in self.kind.unlike:
            pytest.skip(self.kind.unlike[name])

    def errors(self, name):
        """Return the errors that have the URL of a request."""
        url = f"http://localhost/{name}"
        return [event for event in self.received.errors if event.get("request", {}).get("url") == url]

    def transactions(self, name):
        return [event for event in self.received.transactions if event["transaction"].endswith(f" /{name}")]


@dataclass
class Conversation:
    """What was said to a pair of servers.

    Attributes:
        pair: the servers.
        bare: the answers of the server without the filter, by the names of ``REQUESTS``.
        filtered: the answers of the other one.
        last: name of the request right after which that one was stopped.
    """

    pair: Pair
    bare: dict[str, bytes]
    filtered: dict[str, bytes]
    last: str


@contextmanager
def serving_both(kind, folder, name):
    """Start a server without the filter and one with it; give both, their notes, and how to end them."""
    bare_notes, filtered_notes = (folder / f"{name}-{which}.notes" for which in ("bare", "filtered"))
    for notes in (bare_notes, filtered_notes):
        notes.touch()
        notes.chmod(0o666)  # a server that is started by root may run as another user
    with ExitStack() as stack:
        received = stack.enter_context(receiver.serve())
        bare_ini = BARE.format(notes=bare_notes)
        filtered_ini = FILTERED.format(notes=filtered_notes, dsn=received.dsn)
        bare = stack.enter_context(servers.serving(kind, bare_ini, folder, f"{name}-bare"))
        filtered = stack.enter_context(servers.serving(kind, filtered_ini, folder, f"{name}-filtered"))

        def end():
            exit_code = filtered.end(kind.end)
            logs = f"--- bare:\n{bare.output()}\n--- filtered:\n{filtered.output()}"
            return Pair(kind, exit_code, received, logs, lines(bare_notes), lines(filtered_notes))

        yield (bare, bare_notes), (filtered, filtered_notes), end


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module", params=servers.SERVERS)
def kind(request):
    return servers.SERVERS[request.param]


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    return tmp_path_factory.mktemp(kind.name)


@pytest.fixture(scope="module")
def held(kind, folder):
    """The conversation with each kind of server, which is held once."""
    # A crash comes last, so that an end that loses what is queued loses an error.
    names = [*(name for name in REQUESTS if name != "crash"), "crash"]
    with serving_both(kind, folder, "conversation") as ((bare, _), (filtered, _), end):
        # The filtered one is asked second, so that nothing lies between its last answer and its end.
        bare_answers = {name: bare.ask(REQUESTS[name]) for name in names}
        filtered_answers = {name: filtered.ask(REQUESTS[name]) for name in names}
        if kind.done:
            assert until(lambda: filtered.output().count(kind.done) == len(names), seconds=120)
            time.sleep(1)  # a worker of uWSGI is busy until a moment after its line in the log
        pair = end()
    return Conversation(pair, bare_answers, filtered_answers, names[-1])


@pytest.fixture
def conversation(held):
    print(held.pair.logs)  # pytest shows it where a test fails
    return held


@pytest.fixture
def pair(conversation):
    return conversation.pair


def without_date(answer):
    """Return an answer without the value of its Date header: the two were not given in the same second."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    return re.sub(rb"(?m)^Date: [^\r\n]+", b"Date: -", head) + separator + body


def joined(answer):
    """Return an answer with the chunks of its body put together."""
    head, separator, rest = answer.partition(b"\r\n\r\n")
    if b"\r\nTransfer-Encoding: chunked" not in head:
        return answer
    body, size = b"", -1
    while size:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        body, rest = body + rest[:size], rest[size + 2 :]
    return head + separator + body + rest


@pytest.mark.parametrize("name", REQUESTS)
def test_bytes_are_those_of_the_bare_app(conversation, name):
    found, expected = (without_date(answers[name]) for answers in (conversation.filtered, conversation.bare))
    if conversation.pair.kind.cuts_anew:
        found, expected = joined(found), joined(expected)
    assert found == expected


@pytest.mark.parametrize("name", [name for name in apps.APPS if name.startswith("answer_")])
def test_bare_app_answers(conversation, name):
    # Two servers that fail alike would say the same too.
    version, code, _ = conversation.bare[name].split(b" ", 2)
    assert (version[:7], int(code)) == (b"HTTP/1.", STATUS[name])


def test_file_comes_whole(conversation):
    assert conversation.filtered["answer_file"].endswith(b"\r\n\r\n" + b"x" * 100000)


def test_length_of_a_list_is_announced(conversation):
    kind = conversation.pair.kind.name
    if kind not in ("waitress", "wsgiref"):
        pytest.skip(f"{kind} sends a length only if the app does")
    assert b"\r\nContent-Length: 5\r\n" in conversation.filtered["answer_list"]


def test_file_is_read_by_what_reads_it_for_the_bare_app(pair):
    # How often depends on how fast the client takes it.
    assert set(pair.filtered_notes) == set(pair.bare_notes)


def test_file_is_sent_without_a_read_where_the_server_can(pair):
    if not pair.kind.sends_files:
        pytest.skip(f"{pair.kind.name} reads files")
    assert pair.filtered_notes == [f"{FILE}/: called"]


@pytest.mark.parametrize("name", CRASHES)
def test_crash_is_an_unhandled_error(pair, name):
    pair.expect_usual(name)
    (event,) = pair.errors(name)
    (value,) = event["exception"]["values"]
    assert value["mechanism"].items() >= {"type": "wsgi", "handled": False}.items()


# waitress and gunicorn log the exception that reaches them, and the SDK captures what is logged as an error,
# in the server's context and not in the request's.
def test_crash_is_one_error_though_the_server_logs_it(pair):
    raised = Counter(
        f"{value['type']}: {value['value']}"
        for event in pair.received.errors
        for value in event["exception"]["values"]
    )
    assert [text for text, count in raised.items() if count != 1] == []


def test_only_a_crash_is_an_error(pair):
    urls = {event.get("request", {}).get("url") for event in pair.received.errors}
    # One is handed to start_response and answered with a page: reported as handled.
    expected = {f"http://localhost/{name}" for name in [*CRASHES, "answer_exc_info"]}
    assert urls - {None} ^ expected <= {f"http://localhost/{name}" for name in pair.kind.unlike}


def test_error_outside_of_a_request_is_the_logged_one_of_the_server(pair):
    outside = [event for event in pair.received.errors if "request" not in event]
    # uWSGI prints what it cannot iterate by sys.excepthook.
    printed = [event for event in outside if event.get("logger") is None]
    assert {event["logger"] for event in outside if event not in printed} <= {"gunicorn.error", "waitress"}
    assert [event["exception"]["values"][-1]["type"] for event in printed] in ([], ["TypeError"])


@pytest.mark.parametrize("name", apps.APPS)
def test_request_is_one_transaction(pair, name):
    (event,) = pair.transactions(name)
    method = "POST" if name == "answer_echo" else "GET"
    assert event["transaction"] == f"{method} /{name}"


@pytest.mark.parametrize("name", apps.APPS)
def test_transaction_has_the_status(pair, name):
    pair.expect_usual(name)
    (event,) = pair.transactions(name)
    assert event["contexts"].get("response", {}).get("status_code") == STATUS[name]


@pytest.mark.parametrize("name", CRASHES)
def test_transaction_of_a_crash_failed(pair, name):
    pair.expect_usual(name)
    (event,) = pair.transactions(name)
    assert event["contexts"]["trace"]["status"] == "internal_error"


def test_head_is_no_transaction(pair):
    methods = {event["request"]["method"] for event in pair.received.transactions}
    assert methods == {"GET", "POST"}


def test_end_is_clean(pair):
    assert pair.exit_code == 0


def test_end_sends_what_was_captured_last(conversation):
    pair, last = conversation.pair, conversation.last
    found = len(pair.errors(last)), len(pair.transactions(last))
    assert found == (1, 1)


def test_all_that_is_sent_is_valid_for_sentry(pair):
    assert pair.received.envelopes
    assert_valid_for_sentry(pair.received.envelopes)


def reads_some(server, path):
    """Begin to read an answer, and close the socket in the middle of it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=180) as connection:
        connection.sendall(servers.request_bytes(path))
        assert connection.recv(1000)


def sends_some(server, path, called, reset=False):
    """Send the beginning of a body, and close the socket; with a reset, as from a client that died."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {servers.UPLOAD}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=180) as connection:
        connection.sendall(head.encode() + b"x" * 1000)
        # waitress and Apache do not call the app before they have the whole body, or some more of it.
        until(called, seconds=1)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def until(true, seconds):
    """Wait until a function is true, and return whether it has become so."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


ABORTS = {
    "long_stream/abort": lambda server, path, called: reads_some(server, path),
    "long_writing/abort": lambda server, path, called: reads_some(server, path),
    "upload/close": sends_some,
    "upload/reset": lambda server, path, called: sends_some(server, path, called, reset=True),
}


@pytest.fixture(scope="module")
def aborted(kind, folder):
    """A pair of servers whose clients have gone away."""
    with serving_both(kind, folder, "aborts") as (*both, end):
        for server, notes in both:
            for name, abort in ABORTS.items():
                abort(server, f"/{name}", lambda notes=notes, name=name: f"{name}: called" in lines(notes))
                if f"{name}: called" in lines(notes):
                    ends = {f"{name}: closed", f"{name}: raised"}
                    found = until(lambda notes=notes, ends=ends: ends & set(lines(notes)), seconds=120)
                    assert found, f"the app was called and never ended: {lines(notes)}\n{server.output()}"
            # One more, for what is reported late.
            assert b"hello" in server.ask(REQUESTS["answer_list"])
        return end()


@pytest.fixture
def left(aborted):
    print(aborted.logs)
    return aborted


@pytest.mark.parametrize("name", ABORTS)
def test_app_whose_client_went_away_is_treated_as_the_bare_app(left, name):
    found, expected = (
        [line for line in notes if line.startswith(f"{name}: ")]
        for notes in (left.filtered_notes, left.bare_notes)
    )
    assert found == expected


def test_stream_whose_client_went_away_is_closed_once(left):
    assert [line for line in left.filtered_notes if line.startswith("long_stream")] == [
        "long_stream/abort: called",
        "long_stream/abort: closed",
    ]


# Where this fails, sentry_paste.wsgi.errors does not know how the server says it. wsgiref raises its error in
# a frame of ``socket``, gevent in one of ``gevent._socket3``. uWSGI prints what the app raises, and a
# "write error" of its own, by sys.excepthook, from which the SDK reports it. mod_wsgi 5 begins with
# "mod_wsgi request", no longer with "Apache/mod_wsgi". The transactions of such uploads are marked as failed.
def test_client_that_goes_away_is_no_error(left):
    raised = [
        f"{value['type']}: {value['value']} ({value['mechanism']['type']})"
        for event in left.received.errors
        for value in event["exception"]["values"]
    ]
    assert raised == [], raised


@pytest.mark.parametrize("name", ABORTS)
def test_request_whose_client_went_away_is_one_transaction(left, name):
    # None where the server has not called the app.
    assert len(left.transactions(name)) == left.bare_notes.count(f"{name}: called")


@pytest.mark.parametrize("name", ABORTS)
def test_transaction_whose_client_went_away_has_not_failed(left, name):
    statuses = {event["contexts"]["trace"].get("status") for event in left.transactions(name)}
    assert statuses <= {"ok", None}


STREAMS = [str(number) for number in range(8)]


@pytest.fixture(scope="module")
def side_by_side(kind, folder):
    """A pair of servers, the filtered one of which was asked for several streams at once."""
    with serving_both(kind, folder, "streams") as (_, (filtered, _), end):
        with ThreadPoolExecutor(len(STREAMS)) as pool:
            asked = [
                pool.submit(filtered.ask, servers.request_bytes(f"/tagged_stream/{name}")) for name in STREAMS
            ]
            for answer in asked:
                assert b"200 OK" in answer.result(timeout=180)
        if kind.done:
            assert until(lambda: filtered.output().count(kind.done) == len(STREAMS), seconds=120)
            time.sleep(1)
        return end()


@pytest.mark.parametrize("name", STREAMS)
def test_streams_side_by_side_keep_their_scopes(side_by_side, name):
    """In threads, under gevent in greenlets of one thread, elsewhere one after another."""
    (event,) = [found for found in side_by_side.received.errors if found["message"] == f"end of {name}"]
    assert event["tags"]["variant"] == name
    assert event["transaction"] == f"GET /tagged_stream/{name}"
    (transaction,) = side_by_side.transactions(f"tagged_stream/{name}")
    # Streamed spans have attributes.
    tags = transaction.get("tags") or transaction["contexts"]["trace"]["data"]
    assert tags["variant"] == name
    assert transaction["contexts"]["trace"]["trace_id"] == event["contexts"]["trace"]["trace_id"]
