"""Drop what servers log or print about errors that the filter has reported, or that are not errors.

Most servers pass the exception itself to ``logging``, where the SDK recognises it
(``sdk.remember_error``). The servers here do not.
"""

from __future__ import annotations

import traceback
from collections import deque
from typing import Any

from sentry_paste.wsgi.errors import client_went_away

# Loggers without exc_info: granian logs from Rust, with the traceback as text in the message.
_TEXT_LOGGERS = ("_granian",)

# The last lines of the tracebacks of reported errors: a few, as a server has several threads.
_reported: deque[str] = deque(maxlen=32)


def record_reported(error: BaseException) -> None:
    """Record that an error that the app raised into the server was reported.

    Args:
        error: as it was caught.
    """
    _reported.append(traceback.format_exception_only(type(error), error)[-1].strip())


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
    return None if is_printed and exc_info and client_went_away(exc_info[1]) else event


def _was_reported(event: Any) -> bool:
    text = str((event.get("logentry") or {}).get("message")).rstrip()
    for line in list(_reported):
        if text.endswith(line):
            _reported.remove(line)  # the next identical message is about another error
            return True
    return False
