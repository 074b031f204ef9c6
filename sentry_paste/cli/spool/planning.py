"""What is to be sent of a spool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sentry_paste.cli.spool.survey import Held, Survey
from sentry_paste.spool.names import ASIDE


@dataclass(frozen=True)
class Plan:
    """What is to be sent of a spool, and what is not.

    Attributes:
        held: to be sent, the oldest first.
        elsewhere: how many were captured for other destinations, by these.
        aside: how many were set aside.
        in_use: how many are another process's at the moment.
    """

    held: Sequence[Held]
    elsewhere: Counter[str] = field(default_factory=Counter)
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
    elsewhere: Counter[str] = Counter()
    aside = in_use = 0
    for held in reversed(found.held):
        if destinations is not None and held.file.destination not in destinations:
            elsewhere[held.file.destination] += 1
        elif held.is_in_use:
            in_use += 1
        elif held.file.state == ASIDE and not with_aside:
            aside += 1
        else:
            chosen.append(held)
    return Plan(chosen, elsewhere, aside, in_use)
