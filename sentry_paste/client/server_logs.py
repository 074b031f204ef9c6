"""What servers log or print of errors that the filter has reported, or that are none.

Most hand the exception itself to ``logging``, where the SDK knows it again
(``sdk.remember_error``). These do not.
"""

from __future__ import annotations

import traceback
from collections import deque
from typing import Any

from sentry_paste.wsgi.errors import client_went_away

# granian logs from Rust: the traceback is text in the message.
_TEXTUAL = ("_granian",)

# The last lines of the tracebacks of what was reported; a few, for a server's threads.
_reported: deque[str] = deque(maxlen=32)


def note_reported(error: BaseException) -> None:
    """Note that an error was reported which the app raised into the server.

    Args:
        error: as it was caught.
    """
    _reported.append(traceback.format_exception_only(type(error), error)[-1].strip())


def drop_told_twice(event: Any, hint: Any) -> Any:
    """Drop, as an event processor, what a server tells of an error that was reported or is a client's.

    Args:
        event: of the SDK.
        hint: of the SDK.
    """
    if str(event.get("logger")).startswith(_TEXTUAL) and _was_reported(event):
        return None
    # uWSGI prints what it cannot send by sys.excepthook, where the SDK takes it for the process's end.
    exc_info = (hint or {}).get("exc_info")
    values = (event.get("exception") or {}).get("values") or [{}]
    is_printed = (values[-1].get("mechanism") or {}).get("type") == "excepthook"
    return None if is_printed and exc_info and client_went_away(exc_info[1]) else event


def _was_reported(event: Any) -> bool:
    text = str((event.get("logentry") or {}).get("message")).rstrip()
    for line in list(_reported):
        if text.endswith(line):
            _reported.remove(line)  # the next that reads the same is another
            return True
    return False
