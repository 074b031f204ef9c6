"""The shared scope and transaction wrapper: what one request opens, captures and finishes.

Each request has a context of its own (``contextvars``), in which the app, its
body and its ``close()`` run. That keeps the scopes of requests apart wherever and
in whatever order their bodies are iterated, and needs no clearing up. Nothing
here raises into the app.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from types import GeneratorType
from typing import Any

import sentry_sdk
from sentry_sdk.scope import Scope

from sentry_paste import sdk
from sentry_paste.abandoned import finish_abandoned, finish_or_leave
from sentry_paste.contexts import run_anyway
from sentry_paste.errors import is_error
from sentry_paste.naming import CUSTOM, URL, default_name
from sentry_paste.plan import Plan
from sentry_paste.redaction import set_current
from sentry_paste.reporting import FAILED_STATUS, RequestData
from sentry_paste.request import add_attributes, address_of, path_of, snapshot
from sentry_paste.serverlogs import note_reported
from sentry_paste.tracing import Begin, SpanTrace, Trace, TransactionTrace, continue_without_transaction

log = logging.getLogger("sentry_paste")

# Their frames are left out of stack traces: they tell nothing, and their variables hold the environ.
_OUR_MODULES = frozenset({__name__, "sentry_paste.body", "sentry_paste.contexts", "sentry_paste.middleware"})

_NEVER = float("inf")


class Lifecycle:
    """One request, from its first line of app code to the end of its body.

    Args:
        plan: of the filter.

    Attributes:
        run: calls a function of the app's, with arguments, in the request's context.
        deadline: when the trace is cut, by ``time.monotonic``.
    """

    __slots__ = (
        "_context",
        "_data",
        "_error",
        "_finished",
        "_of_the_client",
        "_plan",
        "_start_response",
        "_status",
        "_trace",
        "deadline",
        "run",
    )

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._trace: Trace | None = None
        self._error: BaseException | None = None
        self._of_the_client: BaseException | None = None
        self._finished = False
        self._start_response: Any = None
        self._status: Any = None
        self.deadline = _NEVER

    def open(self, environ: dict[str, Any]) -> bool:
        """Fork the scopes, begin session and trace; tell whether that went well.

        Args:
            environ: as the server made it.
        """
        finish_abandoned()
        try:
            # In the server's own context, where the SDK makes a thread's scope once, and not in each
            # request's, where it would be made again for every request.
            isolation, current = sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()
            sdk.forget_error(sentry_sdk.get_client())
            self._context: Context = copy_context()
            # The method of the context itself: no frame of ours between the server's and the app's.
            self.run: Callable[..., Any] = self._context.run
            self._context.run(self._open, environ, isolation.fork(), current.fork())
        except Exception:
            _tell("a request goes unreported")
            return False
        return True

    def _open(self, environ: dict[str, Any], isolation: Scope, current: Scope) -> None:
        plan = self._plan
        sdk.wsgi_middleware_applied.set(True)
        Scope.set_isolation_scope(isolation)
        Scope.set_current_scope(current)
        client = plan.client or plan.redacting(sentry_sdk.get_client())
        sdk.bind_client(isolation, client)
        isolation.clear_breadcrumbs()
        strings = snapshot(environ)
        path = path_of(strings)
        rule = plan.names.find(path) if plan.names else None
        self._data = RequestData(strings, environ, rule, plan.settings.trusted_proxy_count, plan.secret_names)
        isolation.add_event_processor(self._data.process)
        set_current(self._data)
        ignored = bool(plan.ignored) and plan.ignored.find(path) is not None
        if not ignored and sdk.tracks_sessions(isolation, client.options):
            isolation.start_session(session_mode="request")
        if sdk.has_attributes(client.options):
            add_attributes(isolation, strings, client.options, self._data.forwarded())
        begin = Begin(
            strings,
            environ,
            rule or default_name(strings, path),
            URL if rule is None else CUSTOM,
            plan.client_for(client, path),
        )
        self._trace = self._open_trace(begin, client, ignored)
        if self._trace is not None:
            self.deadline = time.monotonic() + plan.settings.max_transaction_duration

    def _open_trace(self, begin: Begin, client: Any, ignored: bool) -> Trace | None:
        method = begin.strings.get("REQUEST_METHOD", "").upper()
        try:
            if (
                not ignored
                and sdk.traces(client.options)
                and method in self._plan.settings.http_methods_to_capture
            ):
                if sdk.streams_spans(client.options):
                    return SpanTrace(begin, address_of(begin.strings, self._data.forwarded()))
                return TransactionTrace(begin)
            continue_without_transaction(begin)
        except Exception:  # a traces_sampler that raises; a header that the SDK cannot read
            _tell("a request has no transaction")
            sentry_sdk.get_isolation_scope().set_transaction_name(begin.name, source=begin.source)
        return None

    def run_anyway(self, function: Callable[[], Any]) -> Any:
        """Call a function in the request's context, or in a copy while the context is in use.

        Args:
            function: takes nothing.

        Raises:
            BaseException: what the function raises.
        """
        return run_anyway(self._context, function)

    def watch(self, start_response: Callable[..., Any]) -> Callable[..., Any]:
        """Return a ``start_response`` that notes the status.

        Args:
            start_response: the server's.
        """
        self._start_response = start_response
        return self._note_start

    def _note_start(self, *args: Any, **kwargs: Any) -> Any:
        # Whatever way the app calls it, the server's is called the same way: what it accepts is its affair.
        write = self._start_response(*args, **kwargs)
        try:
            self._status = _status_code(args[0] if args else kwargs.get("status"))
            self._data.started(args[1] if len(args) > 1 else kwargs.get("response_headers"))
            if self._status is not None and self._trace is not None:
                self._trace.note_status(self._status)
            exc_info = args[2] if len(args) > 2 else kwargs.get("exc_info")
            if exc_info and self._status is not None and self._status >= 500:
                self._capture_handled(exc_info[1])
        except Exception:
            _tell("a response goes unnoted")
        return partial(self._write, write)

    def _write(self, write: Callable[[bytes], Any], data: bytes) -> Any:
        """Write as the server does; where the connection fails there, it is the client's, who went away."""
        try:
            return write(data)
        except BaseException as error:
            if isinstance(error, OSError) or type(error).__name__ == "ClientDisconnected":
                self._of_the_client = error
            raise

    def _capture_handled(self, error: BaseException) -> None:
        """Report what the app hands to ``start_response``: the hook of PEP 3333 for error pages."""
        if self._plan.settings.capture_start_response_errors and self._is_news(error):
            self._error = error
            self.run_anyway(lambda: self._capture(error, handled=True))

    def called(self, body: Any = None) -> None:
        """Note that the app was called: what it has left in the environ is kept, the environ is not.

        Args:
            body: what it returned. An app that is a generator has run no line yet.
        """
        try:
            if type(body) is not GeneratorType:
                self._data.settle()
        except Exception:
            _tell("a request has no user")

    def capture(self, error: BaseException) -> None:
        """Report what the app raised, once, and note that the request failed.

        Args:
            error: as it was caught; its traceback begins with the frame that caught it.
        """
        try:
            if self._is_news(error):
                self._error = error
                self.run_anyway(lambda: self._capture(error, handled=False))
                note_reported(error)
            # What is raised into the server it may log, in its own context (waitress and gunicorn do).
            sdk.remember_error(sentry_sdk.get_client(), error)
        except Exception:
            _tell("an error goes unreported")

    def _is_news(self, error: BaseException) -> bool:
        if error is self._of_the_client or error is self._error:
            return False
        return is_error(error, self._data.strings.get("SERVER_PORT", ""))

    def _capture(self, error: BaseException, handled: bool) -> None:
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_frame.f_globals.get("__name__") in _OUR_MODULES:
            traceback = traceback.tb_next
        mechanism = {"type": "wsgi", "handled": handled}
        event, hint = sdk.exception_event(error, traceback, sentry_sdk.get_client(), mechanism)
        sentry_sdk.capture_event(event, hint=hint)

    def cut(self) -> None:
        """End the trace of a response that takes longer than is measured; it goes on unmeasured."""
        self.deadline = _NEVER
        trace, self._trace = self._trace, None
        try:
            if trace is not None:
                self.run_anyway(partial(self._cut, trace))
        except Exception:
            _tell("a transaction goes unreported")

    def _cut(self, trace: Trace) -> None:
        self._rename(trace)
        trace.cut()

    def _rename(self, trace: Trace) -> None:
        name = self._data.better_name()
        if name is not None:
            trace.rename(*name)

    def abandon(self) -> None:
        """Finish a request whose body was dropped, from ``__del__``, now or as soon as that can be done."""
        if not self._finished:
            finish_or_leave(self)

    def finish(self) -> None:
        """End trace and session; every call but the first does nothing."""
        if self._finished:
            return
        self._finished = True
        try:
            self.run_anyway(self._finish)
        except Exception:
            _tell("a transaction goes unreported")
        # The error holds the frames of the app, and with them whatever the request held.
        self._error = self._trace = None
        if self._status is not None:
            # The server's, which may hold the body, and with it all of this.
            self._start_response = None

    def _finish(self) -> None:
        try:
            if self._status in self._plan.settings.failed_status_codes and not self._data.reported:
                self._capture_status(self._status)
            if self._trace is not None:
                self._rename(self._trace)
                self._trace.finish(self._error)
        finally:
            self._data.close()
            sentry_sdk.get_isolation_scope().end_session()
            sdk.forget_error(sentry_sdk.get_client())

    def _capture_status(self, status: int) -> None:
        """Report a status that is an error by itself; the transaction's name completes the fingerprint."""
        sentry_sdk.capture_event(
            {
                "message": f"HTTP status {status}",
                "level": "error" if status >= 500 else "warning",
                "fingerprint": [FAILED_STATUS, str(status)],
            }
        )


def _status_code(status: Any) -> int | None:
    """Return the code of a status line such as ``404 Not Found``, None where there is no such line."""
    try:
        return int(status[:3])
    except (TypeError, ValueError):
        return None


def _tell(loss: str) -> None:
    # A warning, not an error: an error would be an event, and what failed may be the capturing of events.
    log.warning("Sentry failed: %s", loss, exc_info=True)
