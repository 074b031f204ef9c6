"""Envelopes as an app's failures leave them in a spool."""

from sentry_sdk.envelope import Envelope, Item, PayloadRef

SCRIPT = "<script>alert(1)</script>"
TRACE = "0af7651916cd43dd8448eb211c80319c"
ERROR_ID = "4c79f60c11214eb38604f4ae0781bfb2"
TRANSACTION_ID = "9aba7c7cedd444b8b677b2ddef9aee5d"


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


def keep(spool, event):
    envelope = Envelope(headers={"event_id": event["event_id"]})
    (envelope.add_transaction if event.get("type") == "transaction" else envelope.add_event)(event)
    return spool.write(envelope)


def keep_item(spool, type_, payload):
    payload = PayloadRef(bytes=payload) if isinstance(payload, bytes) else PayloadRef(json=payload)
    return spool.write(Envelope(items=[Item(payload, type=type_)]))
