"""The trace of a request, for the pages that it makes."""

from __future__ import annotations

import sentry_sdk

#: The key of the environ.
KEY = "sentry.trace_meta"


class TraceMeta:
    """The ``<meta>`` tags by which a browser's SDK continues the trace of the request that made its page.

    Made when a template shows it, and of whatever is the current trace then:
    https://docs.sentry.io/platforms/python/tracing/distributed-tracing/custom-trace-propagation/. Templates
    that escape what they show ask for ``__html__``, as Mako's, Jinja2's and Chameleon's do.
    """

    __slots__ = ()

    def __str__(self) -> str:
        try:
            return sentry_sdk.get_current_scope().trace_propagation_meta()
        except Exception:  # a page is worth more than its trace
            return ""

    __html__ = __str__

    def __repr__(self) -> str:
        # For the variables of frames, which are looked at when an error is captured.
        return "<the trace's meta tags>"


#: The same for all requests: what it shows is that of the context in which it is shown.
TRACE_META = TraceMeta()
