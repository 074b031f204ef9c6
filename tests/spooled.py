"""Envelopes as an app's failures leave them in a spool."""

from sentry_sdk.envelope import Envelope, Item, PayloadRef

#: Of a browser on this machine, which WebTest is not: what the inbox answers without its token.
LOOPBACK = {
    "REMOTE_ADDR": "127.0.0.1",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_CONNECTION": "keep-alive",
    "HTTP_SEC_FETCH_SITE": "none",
}

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


def feedback_event(event_id=FEEDBACK_ID, **given):
    """A user's feedback, as https://develop.sentry.dev/sdk/telemetry/feedbacks/ has it."""
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


def keep(spool, event):
    envelope = Envelope(headers={"event_id": event["event_id"]})
    (envelope.add_transaction if event.get("type") == "transaction" else envelope.add_event)(event)
    return spool.write(envelope)


def give_feedback(spool, event):
    item = Item(PayloadRef(json=event), type="feedback")
    return spool.write(Envelope(headers={"event_id": event["event_id"]}, items=[item]))


def keep_item(spool, type_, payload):
    payload = PayloadRef(bytes=payload) if isinstance(payload, bytes) else PayloadRef(json=payload)
    return spool.write(Envelope(items=[Item(payload, type=type_)]))


#: Pages of an inbox whose spool is filled, one of each sort.
PAGES = (
    "/",
    "/?kind=all",
    "/?kind=session",
    f"/envelope/{ERROR_ID}",
    f"/envelope/{FEEDBACK_ID}",
    f"/trace/{TRACE}",
    f"/trace/{TRACE}?span={'2' * 16}",
)


def fill(spool, text="", long="x" * 300):
    """Keep an error, feedback of it, a transaction, sessions and a log line: with long or hostile texts."""
    frames = [frame("charge", True, context_line=f"    {long}", vars={f"v{text}": text or long})]
    values = [
        {"type": "KeyError", "value": text or "'cause'"},
        {"type": f"OrderError{text}", "value": text or long, "stacktrace": {"frames": frames}},
    ]
    at = {"trace": {"trace_id": TRACE, "span_id": "2" * 16}}
    more = {"tags": {f"t{text}": text or long}, "user": {"id": text or long}}
    crumbs = [{"type": "log", "category": text or long, "message": text or long, "level": text}]
    keep(
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
    keep(spool, event)
    started = "2026-11-22T07:13:00Z"
    keep_item(
        spool, "sessions", {"aggregates": [{"started": started, "exited": 8, "errored": 1, "crashed": 1}]}
    )
    given = dict.fromkeys(("name", "contact_email", "message", "source", "url"), text or long)
    give_feedback(spool, feedback_event(**given))
    line = {"timestamp": 1, "level": text or "info", "body": text or long, "trace_id": TRACE}
    keep_item(spool, "log", {"items": [line]})
