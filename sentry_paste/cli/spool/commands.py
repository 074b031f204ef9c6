"""What the commands ``sentry-paste spool ...`` do."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sentry_paste.cli import network
from sentry_paste.cli.progress import Meter
from sentry_paste.cli.spool import tending
from sentry_paste.cli.spool.contents import contents_text, table_text
from sentry_paste.cli.spool.courier import Courier
from sentry_paste.cli.spool.planning import Plan, plan
from sentry_paste.cli.spool.sending import Sending
from sentry_paste.cli.spool.survey import Held, Survey, survey
from sentry_paste.cli.spool.text import (
    kinds_text,
    number,
    plan_text,
    sent_text,
    summary_text,
    them,
    unnamed_text,
)
from sentry_paste.cli.terminal import clean
from sentry_paste.spool import Spool, read_contents
from sentry_paste.spool.destinations import destination_names
from sentry_paste.spool.names import ANY_DESTINATION


def _spool(options: argparse.Namespace) -> Spool:
    directory: str = options.directory
    if not os.path.isdir(directory):
        raise ValueError(f"{directory} is not a directory")
    return Spool(directory)


def list_files(options: argparse.Namespace) -> int:
    """Print what a spool holds, newest first; return the exit status.

    Args:
        options: of the command line.

    Raises:
        ValueError: it is no directory.
    """
    directory = _spool(options).directory
    found = survey(directory).of(options.kind, options.state)
    if not found.held and (options.kind or options.state):
        print(f"{clean(str(directory))} holds no envelopes of that kind or state")
        return 1
    if not found.held:
        rest = f" ({summary_text(found)})" if found.partial or found.foreign else ""
        print(f"{clean(str(directory))} holds no envelopes{rest}")
        return 1
    listed = found.held[: options.limit]
    names = destination_names(directory)
    print(table_text([held.file for held in listed], names))
    unnamed = unnamed_text(Survey(listed), names)
    if unnamed:
        print(unnamed)
    print(summary_text(found, len(listed)))
    return 0


def show(options: argparse.Namespace) -> int:
    """Print what one file holds; return the exit status.

    Args:
        options: of the command line.

    Raises:
        ValueError: it is no directory, or the file is no envelope.
    """
    spool = _spool(options)
    found = spool.find(options.id)
    if found is None:
        print(
            f"sentry-paste: no envelope in {options.directory} has the id {clean(options.id)}",
            file=sys.stderr,
        )
        return 1
    names = destination_names(spool.directory)
    print(contents_text(read_contents(found), names, all_frames=options.all_frames))
    return 0


def send(options: argparse.Namespace) -> int:
    """Send what waits, oldest first; return the exit status.

    Args:
        options: of the command line.

    Raises:
        ValueError: it is no directory, or there is no DSN to send to.
    """
    spool = _spool(options)
    dsn = options.dsn or os.environ.get("SENTRY_DSN")
    if not dsn:
        raise ValueError("no DSN: name one with --dsn, or in the environment's SENTRY_DSN")
    # What lies in a directory that is open to others may be anybody's: as the filter, it is not sent.
    spool.prepare()
    courier = Courier(dsn, str(spool.directory))
    with _interruptible() as is_stopped:
        meter = Meter(sys.stderr)
        sending = Sending(spool, courier, options.rate, meter, is_stopped)
        if not options.dry_run:
            sending.take_back()
        planned = _planned(spool.directory, courier, options)
        where = f"{courier.host} ({courier.scheme}), project {courier.project}"
        names = destination_names(spool.directory)
        print(plan_text(planned, where, options.rate, options.dry_run, names), flush=True)
        if options.dry_run:
            return 0 if planned.held else 1
        if not planned.held:
            return 0
        return _sent(sending, planned, meter)


def _planned(directory: Path, courier: Courier, options: argparse.Namespace) -> Plan:
    destinations = None if options.all_destinations else (courier.destination, ANY_DESTINATION)
    return plan(survey(directory), destinations, options.aside)


def _sent(sending: Sending, planned: Plan, meter: Meter) -> int:
    try:
        with network.quiet():
            sending.send(planned.held)
    except KeyboardInterrupt:
        sending.progress.ended = "interrupted"
    finally:
        seconds = meter.end()
    print(sent_text(sending.progress, seconds))
    return 1 if sending.progress.left or sending.progress.aside else 0


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Have the first interruption noted and the second one raised, so that what is being sent may end."""
    signals: list[int] = []

    def note(number: int, _frame: Any) -> None:
        signals.append(number)
        if len(signals) > 1:
            raise KeyboardInterrupt
        # Not by the stream, which may be in the middle of a line of the same thread's.
        os.write(2, b"\nInterrupted: what is being sent is waited for; once more ends it at once\n")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(signals)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def requeue(options: argparse.Namespace) -> int:
    """Have what was set aside wait again; return the exit status.

    Args:
        options: of the command line.

    Raises:
        ValueError: it is no directory.
    """
    spool = _spool(options)
    files, missing = tending.chosen(spool.files(), options.ids, options.reason)
    count = tending.requeue(spool, files)
    for identity in missing:
        print(f"sentry-paste: nothing that was set aside has the id {clean(identity)}", file=sys.stderr)
    print(f"{number(count)} {'waits' if count == 1 else 'wait'} again")
    return 1 if missing or not count else 0


def purge(options: argparse.Namespace) -> int:
    """Remove files that were not sent; return the exit status.

    Args:
        options: of the command line.

    Raises:
        ValueError: it is no directory, or there is nobody to ask.
    """
    found = survey(_spool(options).directory).of(options.kind)
    going = tending.expired(found.held, options.older_than, options.aside)
    in_use = sum(held.is_in_use for held in found.held)
    if in_use:
        print(f"Left: {number(in_use)} that another process has claimed")
    if not going:
        print("Nothing to remove")
        return 1
    if not options.yes and not _agreed(going):
        print("Nothing was removed")
        return 1
    removed = tending.remove(going)
    print(f"Removed {kinds_text(removed)}" if removed else "Nothing was removed")
    return 0 if removed else 1


def _agreed(going: list[Held]) -> bool:
    if not sys.stdin.isatty():
        raise ValueError(
            f"{number(len(going))} would be removed; without a terminal to ask on, --yes is needed"
        )
    print(f"Remove {kinds_text(going)}? Sentry does not have {them(len(going))}. [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
