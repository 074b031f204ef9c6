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
from sentry_paste.cli.spool import requeue_purge
from sentry_paste.cli.spool.inventory import Held, Plan, Survey, plan, survey
from sentry_paste.cli.spool.sending import Courier, Sending
from sentry_paste.cli.spool.text import (
    contents_text,
    kinds_text,
    number,
    plan_text,
    sent_text,
    summary_text,
    table_text,
    them,
    unnamed_text,
)
from sentry_paste.cli.terminal import Meter, clean
from sentry_paste.spool import Spool, read_contents
from sentry_paste.spool.names import ANY_DESTINATION, ASIDE, CLAIMED, KINDS, WAITING
from sentry_paste.spool.transport import Terms
from sentry_paste.spool.writer import destination_names


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


def show_file(options: argparse.Namespace) -> int:
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
    files, missing = requeue_purge.chosen(spool.files(), options.ids, options.reason)
    count = requeue_purge.requeue(spool, files)
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
    going = requeue_purge.expired(found.held, options.older_than, options.aside)
    in_use = sum(held.is_in_use for held in found.held)
    if in_use:
        print(f"Left: {number(in_use)} that another process has claimed")
    if not going:
        print("Nothing to remove")
        return 1
    if not options.yes and not _agreed(going):
        print("Nothing was removed")
        return 1
    removed = requeue_purge.remove(going)
    print(f"Removed {kinds_text(removed)}" if removed else "Nothing was removed")
    return 0 if removed else 1


def _agreed(going: list[Held]) -> bool:
    if not sys.stdin.isatty():
        raise ValueError(
            f"{number(len(going))} would be removed; without a terminal to ask on, --yes is needed"
        )
    print(f"Remove {kinds_text(going)}? Sentry does not have {them(len(going))}. [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


_MOST_DAYS = 36500.0


def add_spool(parser: argparse.ArgumentParser) -> None:
    """Add the commands.

    Args:
        parser: of ``spool``.
    """
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_list(_command(subparsers, "list", list_files, "list what a spool holds, newest first"))
    show_parser = _command(subparsers, "show", show_file, "show what one file of a spool holds")
    show_parser.add_argument("id", metavar="ID", type=_identity, help="event id, or its first digits")
    show_parser.add_argument(
        "--all-frames", action="store_true", help="source lines of libraries' frames too"
    )
    _add_send(
        _command(
            subparsers,
            "send",
            send,
            "send what waits, oldest first",
            "It may run beside processes that use the spool, and may be interrupted and started again at any "
            "time. Exit status: 0 if nothing is left that waited for the DSN, 1 if something is left or was "
            "set aside, 2 if it cannot be done. With --dry-run: 0 if something would be sent, 1 if not.",
        )
    )
    requeue_parser = _command(
        subparsers,
        "requeue",
        requeue,
        "have what was set aside sent again: it waits as it did before",
        "Without an ID, all that was set aside. Exit status: 0 if something waits again, 1 if nothing does "
        "or an ID is not found.",
    )
    requeue_parser.add_argument(
        "ids", metavar="ID", nargs="*", type=_identity, help="event id, or its first digits"
    )
    requeue_parser.add_argument(
        "--reason", help="only what was set aside for this reason, as list tells it: http_413, for example"
    )
    _add_purge(
        _command(
            subparsers,
            "purge",
            purge,
            "remove files that were not sent",
            "What a running process has claimed is left. Exit status: 1 if nothing was removed.",
        )
    )


def add_command(subparsers: Any, name: str, told: str, epilog: str | None = None) -> argparse.ArgumentParser:
    """Add a command, which tells the same of itself as the list of commands does.

    Args:
        subparsers: to add it to.
        name: of it.
        told: what it does, without a capital and a full stop.
        epilog: the end of its help.
    """
    description = f"{told[0].upper()}{told[1:]}."
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=told, description=description, epilog=epilog
    )
    return parser


def _command(
    subparsers: Any, name: str, run: Callable[[argparse.Namespace], int], told: str, epilog: str | None = None
) -> argparse.ArgumentParser:
    parser = add_command(subparsers, name, told, epilog)
    parser.add_argument("directory", metavar="DIR", help="the spool directory")
    parser.set_defaults(run=run)
    return parser


def _add_list(parser: argparse.ArgumentParser) -> None:
    _add_kind(parser)
    parser.add_argument("--state", choices=(WAITING, CLAIMED, ASIDE), help="only what is in this state")
    parser.add_argument("--limit", type=_positive, metavar="N", help="only the newest N")


def _add_kind(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kind",
        action="append",
        default=[],
        metavar="K",
        choices=KINDS,
        help=f"only of this kind: {', '.join(KINDS)}",
    )


def _add_send(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dsn", help="where to (the environment's SENTRY_DSN)")
    parser.add_argument(
        "--rate",
        type=_above_zero,
        default=Terms("").rate,
        metavar="N",
        help="a second, at most (%(default)g)",
    )
    parser.add_argument("--dry-run", action="store_true", help="tell what would be sent, and touch nothing")
    parser.add_argument(
        "--all-destinations", action="store_true", help="also what was captured for other DSNs"
    )
    parser.add_argument("--aside", action="store_true", help="also what was set aside")


def _add_purge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than",
        type=_days,
        default=0.0,
        metavar="DAYS",
        help="only what was captured at least so long ago",
    )
    _add_kind(parser)
    parser.add_argument("--aside", action="store_true", help="only what was set aside")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _identity(text: str) -> str:
    if not text.replace("-", "").strip():
        raise argparse.ArgumentTypeError(f"expected an event id or its first digits, not {text!r}")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more, not {text!r}")
    return int(text)


def _above_zero(text: str) -> float:
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, not {text!r}")
    return value


def _days(text: str) -> float:
    value = _number(text)
    if not 0 < value <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"expected a number of days, not {text!r}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
