"""Logging of this package: failures of Sentry, and options that are not used as written.

All log records of the package go through here. The logging filters and handlers belong to the app, and what
they raise would reach the code that logs: in the app's request, its start, or one of our threads. So all that
a failure in logging can lose is the record.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: The name of the logger.
LOGGER = "sentry_paste"

log = logging.getLogger(LOGGER)

_here = threading.local()

# How many texts are remembered of inis that are read again and again.
_MOST_SEEN = 1000


def log_failure(loss: str) -> None:
    """Log that something in Sentry has failed, with the exception that is being handled.

    Args:
        loss: what is lost, as a clause.
    """
    # A warning, not an error: an error would be an event, and capturing events may be what has failed.
    _log(logging.WARNING, "Sentry failed: %s", (loss,), exc_info=True)


def inform(message: str, *args: object) -> None:
    """Log information that is not a problem.

    Args:
        message: in the form of the ``%`` operator.
        args: for it.
    """
    _log(logging.INFO, message, args)


def announce(message: str) -> None:
    """Log what has to be seen at start-up; print it to standard error if that level is not logged.

    Args:
        message: the complete text.
    """
    with suppress(Exception):
        if log.isEnabledFor(logging.INFO) and log.hasHandlers():
            inform("%s", message)
        else:
            print(f"{LOGGER}: {message}", file=sys.stderr)


def warn(message: str, *args: object, exc_info: bool = False, code: str = "") -> None:
    """Log a warning.

    Args:
        message: in the form of the ``%`` operator.
        args: for it.
        exc_info: whether to log the exception that is being handled with it.
        code: names the mistake in an ini that is warned of; the record has it as an attribute.
    """
    _log(logging.WARNING, message, args, exc_info, code)


@contextmanager
def logged_once(seen: set[str], *, is_silent: bool = False) -> Iterator[None]:
    """Leave out what has been logged before, for an ini that is read again.

    Args:
        seen: the texts that were logged; those of the block are added.
        is_silent: whether nothing is logged at all.
    """
    before = getattr(_here, "seen", None)
    _here.seen = (seen, is_silent)
    try:
        yield
    finally:
        _here.seen = before


def _is_left_out(message: str, args: tuple[object, ...]) -> bool:
    found = getattr(_here, "seen", None)
    if found is None:
        return False
    seen, is_silent = found
    text = message % args if args else message
    is_known = text in seen
    if len(seen) < _MOST_SEEN:
        seen.add(text)
    return is_silent or is_known


def report(message: str, *args: object, error: BaseException) -> None:
    """Log an error of the app.

    Args:
        message: in the form of the ``%`` operator.
        args: for it.
        error: of the app.
    """
    _log(logging.ERROR, message, args, error)


def _log(
    level: int,
    message: str,
    args: tuple[object, ...],
    exc_info: bool | BaseException | None = None,
    code: str = "",
) -> None:
    # A handler may capture the record and fail at that, which would be logged again, without an end.
    if getattr(_here, "is_logging", False):
        return
    _here.is_logging = True
    try:
        # Not BaseException: a gevent timeout that expires meanwhile is for the surrounding code.
        with suppress(Exception):
            if _is_left_out(message, args):
                return
            extra = {"code": code} if code else None
            log.log(level, message, *args, exc_info=exc_info, stacklevel=3, extra=extra)
    finally:
        _here.is_logging = False
