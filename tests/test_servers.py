"""Real servers say the same, byte for byte, with the filter and without it."""

import re
import signal
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import assert_valid_for_sentry

import apps
import receiver
import servers

BARE = """
[app:main]
paste.app_factory = apps:make_app
"""

FILTERED = """
[app:app]
paste.app_factory = apps:make_app

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
CRASHES = sorted(set(apps.APPS) - {"crash_never_started"} - {n for n in apps.APPS if n.startswith("answer_")})

HEAD = "head_of_answer_list"

REQUESTS = {
    **{name: servers.request_bytes(f"/{name}") for name in apps.APPS},
    "answer_echo": servers.request_bytes("/answer_echo", "POST", b"a body\r\nof two lines"),
    HEAD: servers.request_bytes("/answer_list", "HEAD"),
}

# What the app tells start_response, None where it does not come to that.
STATUS = {
    **dict.fromkeys(apps.APPS, 200),
    "answer_empty": 204,
    "answer_exc_info": 500,
    "answer_late": 201,
    "crash": None,
    "crash_never_started": None,
}

# pserve is ended by Ctrl-C; on SIGTERM it dies at once and nothing that is queued is sent.
END = {"waitress": signal.SIGINT, "wsgiref": signal.SIGINT}


@dataclass
class Conversation:
    """What was said to a pair of servers, and what came of it.

    Attributes:
        kind: one of ``servers.SERVERS``.
        bare: the answers of the server without the filter, by the names of ``REQUESTS``.
        filtered: the answers of the other one.
        last: name of the request after which that one was told at once to end.
        exit_code: with which it ended.
        received: the receiver of what it captured, complete because it has ended.
        logs: what they printed.
    """

    kind: str
    bare: dict[str, bytes]
    filtered: dict[str, bytes]
    last: str
    exit_code: int
    received: Any
    logs: str

    def errors(self, name):
        """Return the errors that tell the URL of a request."""
        url = f"http://localhost/{name}"
        return [event for event in self.received.errors if event.get("request", {}).get("url") == url]

    def transactions(self, name):
        return [event for event in self.received.transactions if event["transaction"].endswith(f" /{name}")]


@pytest.fixture(scope="module", params=servers.SERVERS)
def held(request, tmp_path_factory):
    """The conversation with each kind of server, which is held once."""
    kind = request.param
    folder = tmp_path_factory.mktemp(kind)
    # A crash comes last, so that an end that loses what is queued loses an error.
    names = [*(name for name in REQUESTS if name != "crash"), "crash"]
    with ExitStack() as stack:
        received = stack.enter_context(receiver.serve())
        bare = stack.enter_context(servers.serving(kind, BARE, folder, "bare"))
        filtered = stack.enter_context(
            servers.serving(kind, FILTERED.format(dsn=received.dsn), folder, "filtered")
        )
        # The filtered one is asked second, so that nothing lies between its last answer and its end.
        bare_answers = {name: bare.ask(REQUESTS[name]) for name in names}
        filtered_answers = {name: filtered.ask(REQUESTS[name]) for name in names}
        exit_code = filtered.end(END.get(kind, signal.SIGTERM))
        logs = f"--- bare:\n{bare.output()}\n--- filtered:\n{filtered.output()}"
    return Conversation(kind, bare_answers, filtered_answers, names[-1], exit_code, received, logs)


@pytest.fixture
def conversation(held):
    print(held.logs)  # pytest shows it where a test fails
    return held


def without_date(answer):
    """Return an answer without the value of its Date header: the two were not given in the same second."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    return re.sub(rb"(?m)^Date: [^\r\n]+", b"Date: -", head) + separator + body


@pytest.mark.parametrize("name", REQUESTS)
def test_bytes_are_those_of_the_bare_app(conversation, name):
    assert without_date(conversation.filtered[name]) == without_date(conversation.bare[name])


@pytest.mark.parametrize("name", [name for name in apps.APPS if name.startswith("answer_")])
def test_bare_app_answers(conversation, name):
    # Two servers that fail alike would say the same too.
    version, code, _ = conversation.bare[name].split(b" ", 2)
    assert (version[:7], int(code)) == (b"HTTP/1.", STATUS[name])


def test_file_comes_whole(conversation):
    assert conversation.filtered["answer_file"].endswith(b"\r\n\r\n" + b"x" * 100000)


def test_length_of_a_list_is_told(conversation):
    if conversation.kind.startswith("gunicorn"):
        pytest.skip("gunicorn tells a length only where the app does")
    assert b"\r\nContent-Length: 5\r\n" in conversation.filtered["answer_list"]


@pytest.mark.parametrize("name", CRASHES)
def test_crash_is_an_unhandled_error(conversation, name):
    (event,) = conversation.errors(name)
    (value,) = event["exception"]["values"]
    assert value["mechanism"] == {"type": "wsgi", "handled": False}


# waitress and gunicorn log the exception that reaches them, and the SDK captures what is logged as an error,
# in the server's context and not in the request's.
def test_crash_is_one_error_though_the_server_logs_it(conversation):
    raised = Counter(
        f"{value['type']}: {value['value']}"
        for event in conversation.received.errors
        for value in event["exception"]["values"]
    )
    assert [text for text, count in raised.items() if count != 1] == []


def test_only_a_crash_is_an_error(conversation):
    urls = {event.get("request", {}).get("url") for event in conversation.received.errors}
    # One is handed to start_response and answered with a page: reported as handled.
    assert urls - {None} == {f"http://localhost/{name}" for name in [*CRASHES, "answer_exc_info"]}


def test_error_outside_of_a_request_is_the_logged_one_of_the_server(conversation):
    outside = [event for event in conversation.received.errors if "request" not in event]
    assert {event["logger"] for event in outside} <= {"gunicorn.error", "waitress"}


@pytest.mark.parametrize("name", apps.APPS)
def test_request_is_one_transaction(conversation, name):
    (event,) = conversation.transactions(name)
    method = "POST" if name == "answer_echo" else "GET"
    assert event["transaction"] == f"{method} /{name}"


@pytest.mark.parametrize("name", apps.APPS)
def test_transaction_tells_the_status(conversation, name):
    (event,) = conversation.transactions(name)
    assert event["contexts"].get("response", {}).get("status_code") == STATUS[name]


@pytest.mark.parametrize("name", CRASHES)
def test_transaction_of_a_crash_failed(conversation, name):
    (event,) = conversation.transactions(name)
    assert event["contexts"]["trace"]["status"] == "internal_error"


def test_head_is_no_transaction(conversation):
    methods = {event["request"]["method"] for event in conversation.received.transactions}
    assert methods == {"GET", "POST"}


def test_end_is_clean(conversation):
    assert conversation.exit_code == 0


def test_end_sends_what_was_captured_last(conversation):
    found = len(conversation.errors(conversation.last)), len(conversation.transactions(conversation.last))
    assert found == (1, 1)


def test_all_that_is_sent_is_valid_for_sentry(conversation):
    assert conversation.received.envelopes
    assert_valid_for_sentry(conversation.received.envelopes)
