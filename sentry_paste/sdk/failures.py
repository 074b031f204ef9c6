"""What this package logs: that something of Sentry's has failed, and what it does not take of an ini.

All of it goes through here. The filters and handlers that it meets are the app's, and what they raise is
raised to whoever logs: into the app's request, its start, or a thread of ours. So a record that cannot be
logged is lost, and nothing else.
"""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import suppress

#: The name of the logger.
LOGGER = "sentry_paste"

log = logging.getLogger(LOGGER)

_here = threading.local()


def log_failure(loss: str) -> None:
    """Warn that something of Sentry's has failed, with the exception that is being handled.

    Args:
        loss: what that costs.
    """
    # A warning, not an error: an error would be an event, and what failed may be the capturing of events.
    _log(logging.WARNING, "Sentry failed: %s", (loss,), exc_info=True)


def inform(message: str, *args: object) -> None:
    """Log what is worth knowing, and no fault.

    Args:
        message: in the form of the ``%`` operator.
        args: for it.
    """
    _log(logging.INFO, message, args)


def announce(message: str) -> None:
    """Log what has to be seen at a start; print it to standard error where that level is not logged.

    Args:
        message: in full.
    """
    with suppress(Exception):
        if log.isEnabledFor(logging.INFO) and log.hasHandlers():
            inform("%s", message)
        else:
            print(f"{LOGGER}: {message}", file=sys.stderr)


def warn(message: str, *args: object, exc_info: bool = False) -> None:
    """Log a warning.

    Args:
        message: in the form of the ``%`` operator.
        args: for it.
        exc_info: whether the exception that is being handled belongs to it.
    """
    _log(logging.WARNING, message, args, exc_info)


def report(message: str, *args: object, error: BaseException) -> None:
    """Log an error of the app's.

    Args:
        message: in the form of the ``%`` operator.
        args: for it.
        error: of the app's.
    """
    _log(logging.ERROR, message, args, error)


def _log(
    level: int, message: str, args: tuple[object, ...], exc_info: bool | BaseException | None = None
) -> None:
    # A handler may capture what it gets, and fail at that again, which is told: once is enough.
    if getattr(_here, "is_logging", False):
        return
    _here.is_logging = True
    try:
        # Not BaseException: a time-out of gevent's that goes off meanwhile is for the code around.
        with suppress(Exception):
            log.log(level, message, *args, exc_info=exc_info, stacklevel=3)
    finally:
        _here.is_logging = False
