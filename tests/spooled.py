"""Write envelopes to a spool, as an app would, and look at what is in it."""

import contextlib
import os
import time

import pytest
from sentry_sdk.envelope import Envelope, Item, PayloadRef

from sentry_paste import sdk
from sentry_paste.client.registry import registry
from sentry_paste.spool import SpoolFile
from sentry_paste.spool.backlog import Result

from traced_apps import needs_streamed_spans, only_transactions

#: What WebTest lacks to look like a browser on this machine, which the inbox needs no token from.
LOOPBACK = {
    "REMOTE_ADDR": "127.0.0.1",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_CONNECTION": "keep-alive",
    "HTTP_SEC_FETCH_SITE": "none",
}

#: The kind of a request's trace in the lifecycle that an SDK has by default, which is its category too.
TRACE_KIND = "transaction" if sdk.MAJOR == 2 else "span"

#: Options for either form of a trace: as a transaction, and as streamed spans.
LIFECYCLES = [
    pytest.param({}, id="transactions", marks=only_transactions),
    pytest.param({"trace_lifecycle": "stream"}, id="stream", marks=needs_streamed_spans),
]

SCRIPT = "<script>alert(1)</script>"
TRACE = "0af7651916cd43dd8448eb211c80319c"
ERROR_ID = "4c79f60c11214eb38604f4ae0781bfb2"
TRANSACTION_ID = "9aba7c7cedd444b8b677b2ddef9aee5d"
FEEDBACK_ID = "7d3b1f0a5c2e4a4b9c8d6e5f4a3b2c1d"


def frame(function, in_app, **more):
    return {
        "function": function,
        "filename": f"{function}.py",
        "lineno": 12,
        "in_app": in_app,
        "pre_context": ["before"],
        "context_line": f"    {function}_failed()",
        "post_context": ["after"],
        **more,
    }


def error_event(**more):
    return {
        "event_id": ERROR_ID,
        "level": "error",
        "transaction": "checkout",
        "environment": "staging",
        "release": "shop@2.1",
        "contexts": {"trace": {"trace_id": TRACE, "span_id": "1" * 16}},
        "exception": {
            "values": [
                {"type": "KeyError", "value": "'cause'", "stacktrace": {"frames": [frame("lookup", True)]}},
                {
                    "type": "OrderError",
                    "value": "table 7",
                    "mechanism": {"type": "wsgi", "handled": False},
                    "stacktrace": {
                        "frames": [
                            frame("router", False),
                            frame("tween", False),
                            frame("charge", True, vars={"guests": "0", "total": "'2790'"}),
                        ]
                    },
                },
            ]
        },
        "request": {
            "method": "POST",
            "url": "http://shop.example/pay",
            "query_string": "table=7",
            "headers": {"User-Agent": "test-agent"},
            "env": {"SERVER_NAME": "front-1"},
        },
        "tags": {"kitchen": "north"},
        "breadcrumbs": {
            "values": [
                {
                    "timestamp": "2026-11-22T07:13:00Z",
                    "category": "oven",
                    "level": "warning",
                    "message": "310 degrees",
                }
            ]
        },
        **more,
    }


def transaction_event(**more):
    return {
        "type": "transaction",
        "event_id": TRANSACTION_ID,
        "transaction": "checkout",
        "contexts": {"trace": {"trace_id": TRACE, "span_id": "1" * 16, "op": "http.server"}},
        "start_timestamp": "2026-11-22T07:13:00.000000Z",
        "timestamp": "2026-11-22T07:13:02.000000Z",
        "spans": [
            {
                "span_id": "2" * 16,
                "parent_span_id": "1" * 16,
                "op": "db",
                "description": "SELECT price FROM menu",
                "start_timestamp": "2026-11-22T07:13:00.500000Z",
                "timestamp": "2026-11-22T07:13:01.500000Z",
            }
        ],
        **more,
    }


def span_item(identity, name, parent="1", segment="1", start=0.0, end=1.0, **more):
    """A streamed span below a segment; ids are one digit, times seconds after the request's start."""
    attributes = {"sentry.op": "db", "sentry.segment.id": segment * 16, "sentry.segment.name": "GET /"}
    attributes.update(more.pop("attributes", {}))
    begun = 1795000000.0
    return {
        "trace_id": TRACE,
        "span_id": identity * 16,
        "parent_span_id": parent and parent * 16,
        "name": name,
        "status": "ok",
        "is_segment": False,
        "start_timestamp": begun + start,
        "end_timestamp": begun + end,
        "attributes": {key: {"value": value} for key, value in attributes.items()},
        **more,
    }


def segment_item(identity="1", name="GET /", end=2.0, status="ok", attributes=None, **more):
    """The streamed span of a request itself."""
    own = {"sentry.op": "http.server", "sentry.segment.name": name, "http.response.status_code": 200}
    given = {"end": end, "status": status, "attributes": {**own, **(attributes or {})}, **more}
    return span_item(identity, name, **{"parent": None, "segment": identity, "is_segment": True, **given})


def write_spans(spool, *items):
    """Write an envelope of streamed spans."""
    return write_item(spool, "span", {"version": 2, "items": items})


def feedback_event(event_id=FEEDBACK_ID, **given):
    """A user's feedback, as https://develop.sentry.dev/sdk/telemetry/feedbacks/ describes it."""
    return {
        "event_id": event_id,
        "timestamp": "2026-11-22T07:15:00Z",
        "environment": "staging",
        "tags": {"kitchen": "north"},
        "contexts": {
            "trace": {"trace_id": TRACE, "span_id": "1" * 16},
            "feedback": {
                "name": "Ada Lovelace",
                "contact_email": "ada@shop.example",
                "message": "The soup was cold.\nTwice.",
                "source": "widget",
                "url": "http://shop.example/pay?table=7",
                "associated_event_id": ERROR_ID,
                **given,
            },
        },
    }


def write_event(spool, event):
    # Not by add_transaction, which sentry-sdk 3 does not have.
    item = Item(PayloadRef(json=event), type=event.get("type", "event"))
    return spool.write(Envelope(headers={"event_id": event["event_id"]}, items=[item]))


def write_feedback(spool, event):
    item = Item(PayloadRef(json=event), type="feedback")
    return spool.write(Envelope(headers={"event_id": event["event_id"]}, items=[item]))


def write_item(spool, type_, payload):
    payload = PayloadRef(bytes=payload) if isinstance(payload, bytes) else PayloadRef(json=payload)
    return spool.write(Envelope(items=[Item(payload, type=type_)]))


#: One page of each kind in an inbox whose spool is filled.
PAGES = (
    "/",
    "/?kind=all",
    "/?kind=transaction",
    "/?kind=session",
    f"/envelope/{ERROR_ID}",
    f"/envelope/{FEEDBACK_ID}",
    f"/trace/{TRACE}",
    f"/trace/{TRACE}?span={'2' * 16}",
)


def fill_spool(spool, text="", long="x" * 300):
    """Write an error, feedback on it, requests, sessions and a log line, with long or hostile texts."""
    own = {"context_line": f"    {long}", "vars": {f"v{text}": text or long}, "abs_path": "/srv/charge.py"}
    frames = [frame("charge", True, **own)]
    values = [
        {"type": "KeyError", "value": text or "'cause'"},
        {"type": f"OrderError{text}", "value": text or long, "stacktrace": {"frames": frames}},
    ]
    at = {"trace": {"trace_id": TRACE, "span_id": "2" * 16}}
    more = {"tags": {f"t{text}": text or long}, "user": {"id": text or long}}
    crumbs = [{"type": "log", "category": text or long, "message": text or long, "level": text}]
    write_event(
        spool,
        error_event(
            exception={"values": values},
            contexts=at,
            breadcrumbs=crumbs,
            release=text or long,
            timestamp="2026-11-22T07:13:01Z",
            **more,
        ),
    )
    event = transaction_event(transaction=text or long)
    event["spans"][0].update(
        description=text or f"SELECT {long}", op=text or "db", data={"sql": text or long}
    )
    write_event(spool, event)
    started = "2026-11-22T07:13:00Z"
    write_item(
        spool, "sessions", {"aggregates": [{"started": started, "exited": 8, "errored": 1, "crashed": 1}]}
    )
    given = dict.fromkeys(("name", "contact_email", "message", "source", "url"), text or long)
    write_feedback(spool, feedback_event(**given))
    named = {"sentry.segment.name": text or long, "sentry.op": text or "db"}
    write_spans(spool, segment_item("3", text or long), span_item("4", text or long, "3", "3"))
    write_spans(spool, span_item("5", text or long, segment="6", attributes=named, status=text))
    line = {"timestamp": 1, "level": text or "info", "body": text or long, "trace_id": TRACE}
    write_item(spool, "log", {"items": [line]})


def envelope(kind="error", size=1000):
    """Return an envelope of a kind, with a payload of a size in bytes."""
    if kind == "error":
        made = Envelope(headers={"event_id": os.urandom(16).hex()})
        made.add_event({"event_id": made.headers["event_id"], "message": "x" * size})
        return made
    return Envelope(items=[Item(payload=b"x" * size, type=kind)])


def as_in_1_0(file):
    """Give a file the name that version 1.0 would have given it, without a checksum; return it."""
    old = SpoolFile.from_path(file.path.with_name(f"{file.name[:-35]}.envelope"))
    assert old.checksum == ""
    file.path.rename(old.path)
    return old


def close_clients():
    """Close all clients, as at the end of a process."""
    registry.reset()


def states(spool):
    """Return the kinds and states of the files in a spool, sorted."""
    return sorted((file.kind, file.state) for file in spool.files())


def trace_files(spool, state=None):
    """Return the files with traces: transactions, or streamed spans."""
    return spool.files("transaction", "span", state=state)


def wait_for_files(spool, count):
    """Return the files of a spool, newest first, once there are so many: a thread of the SDK sends spans."""
    deadline = time.monotonic() + 120
    while len(spool.files()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return spool.files()


class Sender:
    """What a backlog gives envelopes to, which takes all.

    Attributes:
        result: what became of each.
        sent: the envelopes.
    """

    def __init__(self, result=Result.DELIVERED):
        self.result = result
        self.sent = []

    def send_again(self, envelope, kind):
        self.sent.append(envelope)
        return self.result, "", 0.0

    def is_busy(self):
        return False

    def record_damaged(self, file):
        pass

    def free_connections(self):
        return 8

    def abort_overdue(self, seconds):
        pass


def open_below(directory):
    """Return the files of a directory that this process has open, each with its descriptor.

    Not a count of all descriptors: threads of other tests may have some for a moment.
    """
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            path = os.readlink(f"/proc/self/fd/{name}")
            if path.startswith(f"{directory}/") or path == str(directory):
                found.append((path, int(name)))
    return found


def warnings_of(caplog):
    """Return the messages that this package has logged."""
    return [record.getMessage() for record in caplog.records if record.name == "sentry_paste"]
