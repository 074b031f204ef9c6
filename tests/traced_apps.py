"""Apps behind the filter with tracing on, and what tests of requests share."""

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware, sdk

TRACE_ID = "771a43a4192642f0b136d5159a501700"
SPAN_ID = "1234567890abcdef"

needs_streamed_spans = pytest.mark.skipif(
    not hasattr(sentry_sdk, "traces"), reason="this sentry-sdk has no streamed spans"
)


only_transactions = pytest.mark.skipif(sdk.MAJOR > 2, reason="this sentry-sdk has no transactions")


def traced(app, **options):
    """Wrap an app in the middleware; every request is a transaction and a session."""
    return SentryMiddleware(app, **{"traces_sample_rate": 1.0, "release": "1", **options})


def answer(environ, start_response):
    """Answer 200 with an empty body."""
    start_response("200 OK", [])
    return []


def broken(*args):
    """Raise, whatever hook this is given as."""
    raise RuntimeError("this hook is broken")
