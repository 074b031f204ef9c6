"""Apps behind the filter with tracing on, and what tests of requests share."""

import threading

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware, sdk

TRACE_ID = "771a43a4192642f0b136d5159a501700"
SPAN_ID = "1234567890abcdef"

needs_streamed_spans = pytest.mark.skipif(
    not hasattr(sentry_sdk, "traces"), reason="this sentry-sdk has no streamed spans"
)


#: How traces can be sent: with sentry-sdk 3 as streamed spans only.
LIFECYCLES = [
    *(["static"] if sdk.MAJOR == 2 else []),
    *(["stream"] if hasattr(sentry_sdk, "traces") else []),
]

only_transactions = pytest.mark.skipif(sdk.MAJOR > 2, reason="this sentry-sdk has no transactions")


def levels(integration):
    """Return the levels of LoggingIntegration for events and for breadcrumbs, on every sentry-sdk."""
    events = integration._handler if sdk.MAJOR == 2 else integration._event_handler
    return events.level, integration._breadcrumb_handler.level


def traced(app, **options):
    """Wrap an app in the middleware; every request is a transaction and a session."""
    return SentryMiddleware(app, **{"traces_sample_rate": 1.0, "release": "1", **options})


def answer(environ, start_response):
    """Answer 200 with an empty body."""
    start_response("200 OK", [])
    return []


def set_span_data(span, **data):
    """Run a span that has some data, of either kind."""
    with span:
        record = span.set_attribute if sdk.streams_spans(sentry_sdk.get_client().options) else span.set_data
        for key, value in data.items():
            record(key, value)


def wait_for_profiles():
    """Wait until a profiler of traces has sent what it has, which it does soon after the last span."""
    for thread in threading.enumerate():
        if "ContinuousScheduler" in thread.name:
            thread.join(10)


def broken(*args):
    """Raise, whatever hook this is given as."""
    raise RuntimeError("this hook is broken")
