"""The life of one request: it is opened, its errors are captured, and it is finished.

Each request has its own context (``contextvars``), in which the app, its body and
its ``close()`` run. That keeps the scopes of requests apart, in whatever thread and
order their bodies are iterated, and needs no cleaning up. Nothing here raises into
the app.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import lru_cache, partial
from typing import Any

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.client.abandoned import finish_abandoned, finish_or_defer
from sentry_paste.client.server_logs import record_reported
from sentry_paste.request.error_page import STATUS
from sentry_paste.request.filter_state import FilterState
from sentry_paste.request.scopes import RequestScopes
from sentry_paste.sdk.failures import log_failure, report
from sentry_paste.wsgi.environ import path_of
from sentry_paste.wsgi.errors import is_error
from sentry_paste.wsgi.real_types import is_real, text_of, traceback_of
from sentry_paste.wsgi.response_trace import is_for_shared_caches, trace_of_response


def run_anyway(context: Context, function: Callable[[], Any]) -> Any:
    """Call a function in a context, or in a copy of the context while it is in use.

    A server may call ``close()`` from another thread or greenlet while a chunk is being produced, and a
    context can only be entered once at a time.

    Args:
        context: of the request.
        function: takes nothing.

    Raises:
        BaseException: what the function raises.
    """
    entered = False

    def call() -> Any:
        nonlocal entered
        entered = True
        return function()

    try:
        return context.run(call)
    except RuntimeError:
        if entered:
            raise
    return context.copy().run(call)


def is_context_in_use(error: BaseException) -> bool:
    """Return whether ``Context.run`` itself has failed: a second thread asks for a chunk at the same time.

    Args:
        error: as it was caught in the frame that called ``run``.
    """
    return (
        type(error) is RuntimeError
        and str(error).startswith("cannot enter context")
        and (traceback := traceback_of(error)) is not None
        and traceback.tb_next is None
    )


# Modules whose frames are left out of stack traces: they are no help, and their variables hold the environ.
_OUR_MODULES = frozenset(
    {__name__, "sentry_paste.request.body", "sentry_paste.request.lifecycle", "sentry_paste.middleware"}
)

#: A time by ``time.monotonic`` that never comes.
NEVER = float("inf")
_SOON = 0.0


class Lifecycle:
    """One request, from the first line of app code to the end of its body.

    Args:
        filter_state: shared by all requests of the filter.

    Attributes:
        run: calls a function with arguments in the request's context.
        due: when there is something to do between two chunks, by ``time.monotonic``.
    """

    __slots__ = (
        "_context",
        "_cut_at",
        "_disconnect",
        "_error",
        "_filter_state",
        "_finished",
        "_scopes",
        "_start_response",
        "_wrote",
        "due",
        "run",
    )

    def __init__(self, filter_state: FilterState) -> None:
        self._filter_state = filter_state
        self._error: BaseException | None = None
        self._disconnect: BaseException | None = None
        self._finished = False
        self._wrote = False
        self.due = NEVER

    def open(self, environ: dict[str, Any], client: Any) -> bool:
        """Enter the request's own context; return whether that has succeeded.

        Args:
            environ: as the server made it.
            client: that captures.
        """
        finish_abandoned()
        filter_state = self._filter_state
        try:
            facts = filter_state.last_facts
            if facts.client is not client:
                facts = filter_state.facts(client)
            if facts.last_seen is not None and facts.last_seen.get(None) is not None:
                sdk.forget_error(client)
            self._context: Context = copy_context()
            # The context's own method, so that there is no additional frame between server and app.
            self.run: Callable[..., Any] = self._context.run
            if facts.traces:
                sdk.start_monitor(client)
                self.due = _SOON
                self._cut_at = time.monotonic() + filter_state.settings.max_transaction_duration
            self._scopes = self.run(RequestScopes, filter_state, facts, environ)
        except Exception:
            log_failure("a request is not reported")
            return False
        return True

    @property
    def has_error_page(self) -> bool:
        """Whether a crash is answered with the error page."""
        return self._filter_state.error_page is not None

    @property
    def is_started(self) -> bool:
        """Whether the app has passed a status to ``start_response``."""
        return self._scopes.status is not None

    def run_anyway(self, function: Callable[[], Any]) -> Any:
        """Call a function in the request's context, or in a copy while the context is in use.

        Args:
            function: takes nothing.

        Raises:
            BaseException: what the function raises.
        """
        return run_anyway(self._context, function)

    def watch(self, start_response: Callable[..., Any]) -> Callable[..., Any]:
        """Return a ``start_response`` that records the status.

        Args:
            start_response: the server's.
        """
        self._start_response: Any = start_response
        settings = self._filter_state.settings
        # Its own method: a partial would cost each request 1,500 instructions.
        if settings.trace_response:
            return self._start_with_trace
        return self._record_start if settings.event_id_header is None else self._start_with_id

    def _start_with_trace(self, *args: Any, **kwargs: Any) -> Any:
        """Start a response, which gets headers with the trace of the request."""
        try:
            args, kwargs = self._with_trace(*args, **kwargs)
        except Exception:  # wrong arguments, which the server rejects itself
            log_failure("a response has no trace")
        has_header = self._filter_state.settings.event_id_header is not None
        return (self._start_with_id if has_header else self._record_start)(*args, **kwargs)

    def _with_trace(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        headers = args[1] if len(args) > 1 else kwargs["response_headers"]
        if not is_real(headers, list) or is_for_shared_caches(headers):
            return args, kwargs
        names = self._filter_state.settings.trace_response
        # A new list, as the app's own belongs to the app.
        trace, baggage = self.run_anyway(self._scopes.trace_of_response)
        headers = [*headers, *trace_of_response(trace, baggage, names)]
        if len(args) > 1:
            return (args[0], headers, *args[2:]), kwargs
        return args, {**kwargs, "response_headers": headers}

    def _start_with_id(self, *args: Any, **kwargs: Any) -> Any:
        """Start a response; an error response gets the id of the event that explains it."""
        try:
            args, kwargs = self._with_id(*args, **kwargs)
        except Exception:  # wrong arguments, which the server rejects itself
            log_failure("an error response has no event id")
        return self._record_start(*args, **kwargs)

    def _with_id(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        names = ("status", "response_headers", "exc_info")
        given = {**dict(zip(names, args)), **kwargs}
        status, header = _status_code(given["status"]), self._filter_state.settings.event_id_header
        if status is None or status < 400:
            return args, kwargs
        exc_info = given.get("exc_info")
        if exc_info and status >= 500 and self._captures_handled(exc_info[1]):
            # It is captured after the server has accepted the response, when headers and status are known.
            identity: str | None = self._scopes.ids().reserve_new()
        else:
            identity = self._scopes.event_id(status)
        if identity is None or not is_real(given["response_headers"], list):
            return args, kwargs
        # A new list, as the app's own belongs to the app.
        headers = [*given["response_headers"], (header, identity)]
        if len(args) > 1:
            return (args[0], headers, *args[2:]), kwargs
        return args, {**kwargs, "response_headers": headers}

    def _record_start(self, *args: Any, **kwargs: Any) -> Any:
        # The server's is called with the app's arguments, unchanged: only the server knows what it accepts.
        write = self._start_response(*args, **kwargs)
        try:
            line = args[0] if args else kwargs.get("status")
            status = _code_of(line) if type(line) is str else _status_code(line)
            headers = args[1] if len(args) > 1 else kwargs.get("response_headers")
            exc_info: Any = args[2] if len(args) > 2 else kwargs.get("exc_info")
            self._scopes.record_start(status, headers, exc_info is not None)
            if status is not None and status >= 500 and is_real(exc_info, tuple) and len(exc_info) == 3:
                self._capture_handled(exc_info[1])
        except Exception:
            log_failure("the status of a response is not recorded")
        return partial(self._write, write)

    def _write(self, write: Callable[[bytes], Any], data: bytes) -> Any:
        """Write with the server's function; if the connection fails, the client has disconnected."""
        self._wrote = True
        try:
            return write(data)
        except BaseException as error:
            if is_real(error, OSError) or type(error).__name__ == "ClientDisconnected":
                self._disconnect = error
            raise

    def _capture_handled(self, error: BaseException) -> None:
        """Report an error that the app passes to ``start_response``, as for an error page (PEP 3333)."""
        if self._captures_handled(error):
            self._error = error
            self.run_anyway(lambda: self._capture(error, handled=True))

    def _captures_handled(self, error: BaseException) -> bool:
        return bool(self._filter_state.settings.capture_start_response_errors) and self._is_reportable(error)

    def capture(self, error: BaseException) -> None:
        """Report an exception of the app, once, and record that the request has failed.

        Args:
            error: as it was caught; its traceback begins with the frame that caught it.
        """
        try:
            if self._is_reportable(error):
                self._error = error
                self.run_anyway(lambda: self._capture(error, handled=False))
                record_reported(error)
            if error is self._error:
                self._scopes.raised(error)
            # The server may log it in its own context, as waitress and gunicorn do.
            sdk.remember_error(sentry_sdk.get_client(), error)
        except Exception:
            log_failure("an error is not reported")

    def _is_reportable(self, error: BaseException) -> bool:
        if error is self._disconnect or error is self._error:
            return False
        return is_error(error, self._scopes.strings.get("SERVER_PORT", ""))

    def _capture(self, error: BaseException, handled: bool) -> None:
        traceback = traceback_of(error)
        while traceback is not None and traceback.tb_frame.f_globals.get("__name__") in _OUR_MODULES:
            traceback = traceback.tb_next
        mechanism = {"type": "wsgi", "handled": handled}
        event, hint = sdk.exception_event(error, traceback, sentry_sdk.get_client(), mechanism)
        identity = self._scopes.ids().take()
        if identity is not None:
            event["event_id"] = identity
        sentry_sdk.capture_event(event, hint=hint)

    def page_for(self, error: BaseException) -> list[bytes] | None:
        """Answer a crash with the error page; return None if there is none, or if a response has begun.

        The error has been captured. As the server never sees it, it is logged here.

        Args:
            error: what the app raised, as it was caught.
        """
        page = self._filter_state.error_page
        if page is None or self._wrote or not is_real(error, Exception) or error is self._disconnect:
            return None
        try:
            environ = self._scopes.environ()
            identity = self.run_anyway(lambda: self._scopes.event_id(500))
            headers, body = page.answer(environ, identity)
            header = self._filter_state.settings.event_id_header
            if header is not None and identity is not None:
                headers.append((header, identity))
            self._start_response(STATUS, headers, (type(error), error, traceback_of(error)))
            self._scopes.record_start(500, headers)
        except Exception:  # headers are sent, or the server takes no exc_info: it answers the crash itself
            return None
        report("%s %r crashed", environ.get("REQUEST_METHOD"), path_of(environ), error=error)
        return body

    def run_due(self) -> float:
        """Begin the trace of a response that goes on after its first chunk, or end one that takes too long.

        If they only began at the end, the traces of many streams that end together would be created at the
        same time, and fill the queue of the SDK's transport.

        Returns:
            When something is due again.
        """
        is_first, self.due = self.due is _SOON, NEVER
        try:
            if is_first:
                self._scopes.begin_sampled()
            if is_first and time.monotonic() <= self._cut_at:
                self.due = self._cut_at
            else:
                # The response goes on without being measured.
                self.run_anyway(self._scopes.cut)
        except Exception:
            log_failure("a transaction is not reported")
        return self.due

    def abandon(self) -> None:
        """Finish a request whose body was dropped, from ``__del__``: now, or as soon as that is safe."""
        if not self._finished:
            finish_or_defer(self)

    def finish(self, is_closed: bool = False) -> None:
        """End the trace and the session, once.

        Args:
            is_closed: whether the server has closed the body. Until then the app may start another response,
                as when an iterable is iterated twice.
        """
        if is_closed:
            # The server's function may hold the body, and through it this object.
            self._start_response = None
        if self._finished:
            return
        self._finished = True
        scopes = self._scopes
        try:
            if scopes.data is not None or not scopes.settle_unopened():
                self.run_anyway(partial(scopes.settle, self._error))
        except Exception:
            log_failure("a session is not counted")
        # The error holds the app's frames, and with them all objects of the request.
        self._error = None


def _status_code(status: Any) -> int | None:
    """Return the code of a status line such as ``404 Not Found``, None if it is not one."""
    if type(status) is not str:
        # It may be anything; the server says what it thinks of that.
        status = status if type(status) is bytes else text_of(status)
    return _code_of(status)


@lru_cache(maxsize=256)  # apps answer with the same few lines
def _code_of(line: str | bytes | None) -> int | None:
    try:
        return int(line[:3])  # type: ignore[index]
    except (TypeError, ValueError):
        return None
