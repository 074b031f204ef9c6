"""What is to be sent of a spool."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sentry_paste.spool.commands.survey import Held, Survey
from sentry_paste.spool.names import ASIDE


@dataclass(frozen=True)
class Plan:
    """What is to be sent of a spool, and what is not.

    Attributes:
        held: to be sent, the oldest first.
        elsewhere: how many were captured for another destination.
        aside: how many were set aside.
        in_use: how many are another process's at the moment.
    """

    held: Sequence[Held]
    elsewhere: int = 0
    aside: int = 0
    in_use: int = 0


def plan(found: Survey, destinations: Collection[str] | None, with_aside: bool) -> Plan:
    """Return what is to be sent.

    Args:
        found: in the spool.
        destinations: whose files are sent, those of all where None.
        with_aside: whether what was set aside is sent too.
    """
    chosen: list[Held] = []
    elsewhere = aside = in_use = 0
    for held in reversed(found.held):
        if destinations is not None and held.file.destination not in destinations:
            elsewhere += 1
        elif held.is_in_use:
            in_use += 1
        elif held.file.state == ASIDE and not with_aside:
            aside += 1
        else:
            chosen.append(held)
    return Plan(chosen, elsewhere, aside, in_use)
