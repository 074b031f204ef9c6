"""What begins again in a process that was forked: it has its parent's memory, and none of its threads."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from sentry_paste.sdk.failures import warn


class Renewable(Protocol):
    """What can begin again."""

    def begin_again(self) -> None:
        """Forget what is the parent's: its queues, its connections, the locks that its threads may hold."""


_renewed: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_when_forked(found: Renewable) -> None:
    """Have something begin again in each child of this process, as long as it is there.

    Args:
        found: that can be referred to weakly.
    """
    _renewed.add(found)


def _after_fork() -> None:
    for found in list(_renewed):
        try:
            found.begin_again()
        except Exception:  # the fork is the app's, which goes on without this if need be
            warn("Sentry failed in a forked process: what it captures may be lost", exc_info=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
