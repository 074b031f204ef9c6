"""The shared scope and transaction wrapper: what one request opens, captures and finishes.

Each request has a context of its own (``contextvars``), in which the app, its
body and its ``close()`` run. That keeps the scopes of requests apart wherever and
in whatever order their bodies are iterated, and needs no clearing up. Nothing
here raises into the app.
"""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

import sentry_sdk
from sentry_sdk.scope import Scope

from sentry_paste import sdk
from sentry_paste.config import Settings
from sentry_paste.naming import default_name
from sentry_paste.request import RequestData, add_attributes, snapshot
from sentry_paste.tracing import SpanTrace, Trace, TransactionTrace, continue_without_transaction

log = logging.getLogger("sentry_paste")

# PEP 3333: an app is told by GeneratorExit that nobody wants the rest of its body; StopIteration is how
# iteration ends. SystemExit without a status is a wish, not an error.
_NO_ERRORS = (GeneratorExit, StopIteration)

# Their frames are left out of stack traces: they tell nothing, and their variables hold the environ.
_OUR_MODULES = frozenset({__name__, "sentry_paste.body", "sentry_paste.middleware"})

_MECHANISM = {"type": "wsgi", "handled": False}


class Lifecycle:
    """One request, from its first line of app code to the end of its body.

    Args:
        settings: of the filter.
        client: what captures, None for the client that is active.

    Attributes:
        run: calls a function of the app's, with arguments, in the request's context.
    """

    __slots__ = (
        "_client",
        "_context",
        "_error",
        "_finished",
        "_settings",
        "_start_response",
        "_started",
        "_trace",
        "run",
    )

    def __init__(self, settings: Settings, client: Any) -> None:
        self._settings = settings
        self._client = client
        self._trace: Trace | None = None
        self._error: BaseException | None = None
        self._finished = False
        self._start_response: Any = None
        self._started = False

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
        sdk.wsgi_middleware_applied.set(True)
        Scope.set_isolation_scope(isolation)
        Scope.set_current_scope(current)
        if self._client is not None:
            sdk.bind_client(isolation, self._client)
        isolation.clear_breadcrumbs()
        strings = snapshot(environ)
        isolation.add_event_processor(RequestData(strings).process)
        options = sentry_sdk.get_client().options
        if sdk.tracks_sessions(isolation, options):
            isolation.start_session(session_mode="request")
        if sdk.has_attributes(options):
            add_attributes(isolation, strings, options)
        self._trace = self._open_trace(strings, environ, options)

    def _open_trace(
        self, strings: dict[str, str], environ: dict[str, Any], options: dict[str, Any]
    ) -> Trace | None:
        name = default_name(strings)
        method = strings.get("REQUEST_METHOD", "").upper()
        try:
            if sdk.traces(options) and method in self._settings.http_methods_to_capture:
                kind = SpanTrace if sdk.streams_spans(options) else TransactionTrace
                return kind(strings, name, environ)
            continue_without_transaction(strings, name)
        except Exception:  # a traces_sampler that raises; a header that the SDK cannot read
            _tell("a request has no transaction")
            sentry_sdk.get_isolation_scope().set_transaction_name(name, source="url")
        return None

    def run_anyway(self, function: Callable[[], Any]) -> Any:
        """Call a function in the request's context, or in a copy while the context is in use.

        A server may call ``close()`` from another thread or greenlet while a chunk is being made, and a
        context can be entered once at a time.

        Args:
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
            return self._context.run(call)
        except RuntimeError:
            if entered:
                raise
        return self._context.copy().run(call)

    def watch(self, start_response: Callable[..., Any]) -> Callable[..., Any]:
        """Return a ``start_response`` that notes the status.

        Args:
            start_response: the server's.
        """
        self._start_response = start_response
        return self._note_status

    def _note_status(self, *args: Any, **kwargs: Any) -> Any:
        # Whatever way the app calls it, the server's is called the same way: what it accepts is its affair.
        write = self._start_response(*args, **kwargs)
        self._started = True
        status = _status_code(args[0] if args else kwargs.get("status"))
        if status is not None and self._trace is not None:
            try:
                self._trace.note_status(status)
            except Exception:
                _tell("a transaction has no status")
        return write

    def capture(self, error: BaseException) -> None:
        """Report what the app raised, once, and note that the request failed.

        Args:
            error: as it was caught; its traceback begins with the frame that caught it.
        """
        if not is_error(error) or self._error is error:
            return
        self._error = error
        try:
            self.run_anyway(lambda: self._capture(error))
            # What is raised into the server it may log, in its own context (waitress and gunicorn do).
            sdk.remember_error(sentry_sdk.get_client(), error)
        except Exception:
            _tell("an error goes unreported")

    def _capture(self, error: BaseException) -> None:
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_frame.f_globals.get("__name__") in _OUR_MODULES:
            traceback = traceback.tb_next
        event, hint = sdk.exception_event(error, traceback, sentry_sdk.get_client(), dict(_MECHANISM))
        sentry_sdk.capture_event(event, hint=hint)

    def abandon(self) -> None:
        """Finish a request whose body was dropped, from ``__del__``.

        The garbage collector may have come by while this very thread holds a lock of the SDK's, which cannot
        be taken again: then it is left for the next request.
        """
        if self._finished:
            return
        frame = sys._getframe()
        while frame is not None:
            if frame.f_globals.get("__name__", "").startswith("sentry_sdk"):
                _abandoned.append(self)
                return
            frame = frame.f_back  # type: ignore[assignment]
        self.finish()

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
        if self._started:
            # The server's, which may hold the body, and with it all of this.
            self._start_response = None

    def _finish(self) -> None:
        try:
            if self._trace is not None:
                self._trace.finish(self._error)
        finally:
            sentry_sdk.get_isolation_scope().end_session()
            sdk.forget_error(sentry_sdk.get_client())


# Requests that could not be finished when their body was dropped. Appending and popping need no lock.
_abandoned: deque[Lifecycle] = deque()


def finish_abandoned() -> None:
    """Finish the requests whose body was dropped at a moment when that could not be done."""
    while _abandoned:
        try:
            lifecycle = _abandoned.popleft()
        except IndexError:  # another thread was faster
            return
        lifecycle.finish()


def is_error(error: BaseException) -> bool:
    """Tell whether what an app raised is worth a report.

    Args:
        error: as it was caught.
    """
    if isinstance(error, SystemExit):
        return error.code not in (0, None)
    return not isinstance(error, _NO_ERRORS)


def _status_code(status: Any) -> int | None:
    """Return the code of a status line such as ``404 Not Found``, None where there is no such line."""
    try:
        return int(status[:3])
    except (TypeError, ValueError):
        return None


def _tell(loss: str) -> None:
    # A warning, not an error: an error would be an event, and what failed may be the capturing of events.
    log.warning("Sentry failed: %s", loss, exc_info=True)
