"""Drop what servers log or print about errors that the filter has reported, or that are not errors.

Most servers pass the exception itself to ``logging``, where the SDK recognises it
(``sdk.remember_error``). The servers here do not.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from contextlib import suppress
from typing import Any

from sentry_paste.wsgi.errors import client_went_away

# Loggers without exc_info: granian logs from Rust, with the traceback as text in the message.
_TEXT_LOGGERS = ("_granian",)

# Of each thread: whether its server is about to complain that it cannot iterate what the app has returned.
_thread = threading.local()

# The last lines of the tracebacks of reported errors: a few, as a server has several threads.
_reported: deque[str] = deque(maxlen=32)


def record_reported(error: BaseException) -> None:
    """Record that an error that the app raised into the server was reported.

    Args:
        error: as it was caught.
    """
    with suppress(Exception):  # attributes of the app's, which the server cannot print either
        _reported.append(traceback.format_exception_only(type(error), error)[-1].strip())


def record_marker(is_started: bool) -> None:
    """Record that the app has returned something that is no body.

    uWSGI prints a TypeError then. If the app has not started a response, it has answered in its own way, as
    with a websocket, and all is well.

    Args:
        is_started: whether ``start_response`` was called.
    """
    _thread.has_answered_itself = not is_started


def drop_duplicates(event: Any, hint: Any) -> Any:
    """Drop, as an event processor, what a server logs of an error that was reported or is the client's.

    Args:
        event: of the SDK.
        hint: of the SDK.
    """
    if str(event.get("logger")).startswith(_TEXT_LOGGERS) and _was_reported(event):
        return None
    # uWSGI prints an error in sending by sys.excepthook, which the SDK takes for a crash of the process.
    exc_info = (hint or {}).get("exc_info")
    values = (event.get("exception") or {}).get("values") or [{}]
    is_printed = (values[-1].get("mechanism") or {}).get("type") == "excepthook"
    if not is_printed or not exc_info:
        return event
    return None if client_went_away(exc_info[1]) or _is_about_a_marker(exc_info) else event


def _is_about_a_marker(exc_info: Any) -> bool:
    """Return whether uWSGI says that it cannot iterate what an app returned that has answered itself."""
    if exc_info[0] is not TypeError or exc_info[2] is not None:
        return False
    has_answered_itself, _thread.has_answered_itself = getattr(_thread, "has_answered_itself", False), False
    return has_answered_itself


def _was_reported(event: Any) -> bool:
    text = str((event.get("logentry") or {}).get("message")).rstrip()
    for line in list(_reported):
        if text.endswith(line):
            _reported.remove(line)  # the next identical message is about another error
            return True
    return False
