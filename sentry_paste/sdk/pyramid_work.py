"""What ``PyramidIntegration`` does around views and apps, taken out of its functions so that it can wait.

Before each view, the integration's function writes to the scopes: the name of the request, its route, and an
event processor for its body, its cookies and its user. Here the same function is made to call no view.

Checked with sentry-sdk 2.18.0, 2.75.0 and 3.0.0b2. Missing, or if a function does anything that is not known
here: the integration's own functions are called in each request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from types import CellType, CodeType, FunctionType
from typing import Any

from sentry_paste.sdk.failures import log_failure

#: Everything that the integration's function uses before it calls a view: the request is read, scopes are
#: written to. What uses anything else, such as a span around the view, may not be able to wait.
_BEFORE_VIEWS = frozenset(
    {
        *("sentry_sdk", "PyramidIntegration", "SPANDATA", "HTTP_ROUTE", "SegmentNameSource", "ROUTE"),
        *("get_client", "get_integration", "get_current_scope", "get_isolation_scope", "options"),
        *("has_span_streaming_enabled", "has_data_collection_enabled", "should_send_default_pii"),
        *("matched_route", "pattern", "name", "transaction_style", "authenticated_userid"),
        *(
            "_set_transaction_name_and_source",
            "set_transaction_name",
            "_server_segment_span",
            "set_attribute",
        ),
        *("set_user", "add_event_processor", "_make_event_processor", "weakref", "ref", "Exception"),
        # Of our own for sentry-sdk 3.
        *("getattr", "suppress"),
    }
)

#: Everything that the integration's function uses around an app.
_AROUND_APPS = frozenset(
    {
        *("SentryWsgiMiddleware", "PyramidIntegration", "origin"),
        *("Exception", "sys", "exc_info", "_capture_exception", "reraise"),
    }
)


def place_of(function: Any) -> str:
    """Return the name of the module that a function was written in.

    Args:
        function: of any kind; ``functools.wraps`` has changed its ``__module__``.
    """
    return str(getattr(function, "__globals__", {}).get("__name__"))


class _Request:
    """Stands in for a request of Pyramid that does not exist any more.

    Args:
        route: that was matched, None if there is none.
    """

    def __init__(self, route: Any) -> None:
        self.matched_route = route


def without_view(around: list[Any]) -> Callable[[Any, Any], None] | None:
    """Return a function that does what others do before they call a view, in the request's scopes.

    It takes the route and a weak reference to Pyramid's request.

    Args:
        around: functions around ``_call_view``, from the outermost; each has the next one as ``__wrapped__``.

    Returns:
        None if they do anything that is not known.
    """
    if not around or any(not _uses_only(function, _BEFORE_VIEWS) for function in around):
        return None
    inner: Any = _no_view
    for function in reversed(around):
        inner = _calling(function, inner)
        if inner is None:
            return None

    def work(route: Any, request: Callable[[], Any]) -> None:
        try:
            inner(None, request() or _Request(route))
        except Exception:
            log_failure("a request of Pyramid has no route")

    return work


def _no_view(_registry: Any, _request: Any) -> None:
    """Stand in for ``_call_view``."""


def _calling(function: Any, other: Any) -> Any:
    """Return a copy of a function that calls another one than it wraps, None if it wraps none."""
    wrapped = function.__wrapped__
    cells = [CellType(other) if _holds(cell, wrapped) else cell for cell in function.__closure__ or ()]
    if cells == list(function.__closure__ or ()):
        return None
    return FunctionType(function.__code__, function.__globals__, function.__name__, None, tuple(cells))


def _holds(cell: CellType, value: Any) -> bool:
    with suppress(ValueError):  # it is empty
        return cell.cell_contents is value
    return False


def error_reporter(call_app: Any) -> Callable[[Any], None] | None:
    """Return the function with which the integration reports an error that an app has raised.

    It takes what ``sys.exc_info`` returns.

    Args:
        call_app: the integration's function, which ``ensure_integration_enabled`` has wrapped.

    Returns:
        None if the integration does anything else around an app.
    """
    for cell in call_app.__closure__ or ():
        function = cell.cell_contents
        if place_of(function) == "sentry_sdk.integrations.pyramid" and _uses_only(function, _AROUND_APPS):
            found: Any = function.__globals__.get("_capture_exception")
            return found if callable(found) else None
    return None


def _uses_only(function: Any, names: frozenset[str]) -> bool:
    code = getattr(function, "__code__", None)
    return isinstance(code, CodeType) and all(names.issuperset(each.co_names) for each in _codes(code))


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of a function and of those that are defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
