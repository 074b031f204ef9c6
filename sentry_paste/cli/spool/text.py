"""What the commands find in a spool and do with it, as text for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone

from sentry_paste.cli.spool.contents import age_text, size_text
from sentry_paste.cli.spool.planning import Plan
from sentry_paste.cli.spool.sending import Progress
from sentry_paste.cli.spool.survey import Held, Survey
from sentry_paste.cli.terminal import clean
from sentry_paste.spool.names import ANY_DESTINATION, ASIDE, CLAIMED, WAITING

_STATES = {WAITING: "waiting", CLAIMED: "claimed", ASIDE: "set aside"}


def number(count: int, noun: str = "file") -> str:
    """Return a number of things.

    Args:
        count: how many.
        noun: of one.
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def them(count: int) -> str:
    """Return the pronoun for so many things.

    Args:
        count: how many.
    """
    return "it" if count == 1 else "them"


def unnamed_text(found: Survey, names: Mapping[str, str]) -> str:
    """Return what destinations are that are told by their hash, empty where there are none.

    Args:
        found: what is listed.
        names: of the destinations that have one.
    """
    hashes = sorted({held.file.destination for held in found.held} - {ANY_DESTINATION, *names})
    if not hashes:
        return ""
    whose = "a DSN whose name" if len(hashes) == 1 else "DSNs whose names"
    what = "a hash" if len(hashes) == 1 else "hashes"
    return f"{', '.join(hashes)}: {what} of the host and the project of {whose} this spool does not have"


def summary_text(found: Survey, listed: int | None = None) -> str:
    """Return how many files there are and of how many bytes, all in all and by state, in a line.

    Args:
        found: in the directory.
        listed: how many of them were listed, where those are not all.
    """
    parts = [
        f"{count:,} {_STATES[state]} ({size_text(size)})"
        for state, (count, size) in sorted(
            found.totals().items(), key=lambda total: [*_STATES].index(total[0])
        )
    ]
    if found.partial:
        parts.append(f"{found.partial:,} half written")
    if found.foreign:
        parts.append(f"{found.foreign:,} of another kind, left alone")
    count = number(len(found.held))
    if listed is not None and listed < len(found.held):
        count = f"the newest {listed:,} of {count}"
    return f"{count}: {', '.join(parts)}" if parts else count


def kinds_text(held: Iterable[Held]) -> str:
    """Return how many files there are of each kind, of how many bytes, and how old the oldest is.

    Args:
        held: at least one.
    """
    held = list(held)
    kinds = Counter(found.file.kind for found in held)
    oldest = min(found.file.time for found in held)
    age = age_text((datetime.now(timezone.utc) - oldest).total_seconds())
    size = size_text(sum(found.size for found in held))
    return f"{number(len(held))} ({_counts(kinds)}; {size}; the oldest {age} old)"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {clean(what)}" for what, count in sorted(counts.items()))


def plan_text(plan: Plan, destination: str, rate: float, dry_run: bool, names: Mapping[str, str]) -> str:
    """Return what is going to be sent, and what is not.

    Args:
        plan: of the command.
        destination: the host and the project, for reading.
        rate: files a second, at most.
        dry_run: whether nothing is sent at all.
        names: of the destinations that have one.
    """
    return "\n".join(_plan(plan, destination, rate, dry_run, names))


def _plan(
    plan: Plan, destination: str, rate: float, dry_run: bool, names: Mapping[str, str]
) -> Iterator[str]:
    if not plan.held:
        yield f"Nothing waits for {clean(destination)}"
    else:
        begun = "Would send" if dry_run else "Sending"
        yield f"{begun} {kinds_text(plan.held)}"
        yield f"  to {clean(destination)}, at most {rate:g} a second"
    if plan.elsewhere:
        others = sorted(names.get(other, other) for other in plan.elsewhere)
        where = "another destination" if len(others) == 1 else "other destinations"
        count = sum(plan.elsewhere.values())
        yield (
            f"Not sent: {number(count)} captured for {where} ({clean(', '.join(others))}); "
            f"--all-destinations sends {them(count)} here"
        )
    if plan.aside:
        yield f"Not sent: {number(plan.aside)} set aside; --aside tries {them(plan.aside)} again"
    if plan.in_use:
        yield f"Not sent: {number(plan.in_use)} that another process has claimed"


def sent_text(progress: Progress, seconds: float) -> str:
    """Return what became of what was to be sent.

    Args:
        progress: at the end.
        seconds: that it took.
    """
    return "\n".join(_sent(progress, seconds))


def _sent(progress: Progress, seconds: float) -> Iterator[str]:
    rate = f", {progress.sent / seconds:.1f} a second" if progress.sent and seconds else ""
    yield f"Sent {number(progress.sent)} ({size_text(progress.sent_bytes)}) in {seconds:.1f} s{rate}"
    if progress.taken:
        yield f"Another process has taken {number(progress.taken)} meanwhile"
    if progress.aside:
        yield f"Set aside {number(sum(progress.aside.values()))}: {_counts(progress.aside)}"
    if progress.unread:
        yield f"Cannot read {number(sum(progress.unread.values()))}: {_counts(progress.unread)}"
    if progress.left:
        why = "; ".join(filter(None, [progress.ended, progress.trouble]))
        yield f"Left {number(progress.left)} as found{': ' + clean(why) if why else ''}"
    elif progress.aside and progress.trouble:
        yield f"The last answer: {clean(progress.trouble)}"
