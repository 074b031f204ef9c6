"""What the filter says of its own failures, in the app's log."""

from __future__ import annotations

import logging
from contextlib import suppress

log = logging.getLogger("sentry_paste")


def tell(loss: str) -> None:
    """Warn that something of Sentry's has failed, with the exception that is being handled.

    Args:
        loss: what that costs.
    """
    # A warning, not an error: an error would be an event, and what failed may be the capturing of events.
    with suppress(Exception):  # a filter or handler of the app's logging
        log.warning("Sentry failed: %s", loss, exc_info=True)
