"""The commands of ``sentry-paste spool``, and their arguments."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from sentry_paste.cli import network
from sentry_paste.cli.arguments import INTERRUPTED, CommandParser, add_command, add_json
from sentry_paste.cli.spool import requeue_purge
from sentry_paste.cli.spool.as_json import dumped, files_json, list_json, send_json, show_json
from sentry_paste.cli.spool.inventory import Entry, SendPlan, plan_sending, take_inventory
from sentry_paste.cli.spool.lookup import AmbiguousError, look_up, short_ids
from sentry_paste.cli.spool.sending import EnvelopeSender, SpoolSender
from sentry_paste.cli.spool.table import terminal_table
from sentry_paste.cli.spool.text import (
    contents_text,
    kinds_text,
    number,
    plan_text,
    sent_text,
    status_text,
    summary_text,
    table_text,
    them,
    unnamed_text,
)
from sentry_paste.cli.terminal import ProgressMeter, terminal_width
from sentry_paste.config.errors import printable
from sentry_paste.spool import Spool, read_contents
from sentry_paste.spool.contents import Contents, with_other_spans
from sentry_paste.spool.names import ANY_DESTINATION, ASIDE, CLAIMED, KINDS, WAITING
from sentry_paste.spool.status import as_json, as_prometheus, read_status
from sentry_paste.spool.transport import SpoolSettings
from sentry_paste.spool.writer import destination_names

# How many of the ids that begin with the same digits are listed.
_MAX_CANDIDATES = 20


def _spool(options: argparse.Namespace) -> Spool:
    directory: str = options.directory
    if not os.path.isdir(directory):
        raise ValueError(f"{directory} is not a directory")
    return Spool(directory)


def list_files(options: argparse.Namespace) -> int:
    """Print the files of a spool, newest first; return the exit status.

    Args:
        options: options of the command line.

    Raises:
        ValueError: the path is not a directory.
    """
    directory = _spool(options).directory
    inventory = take_inventory(directory).of(options.kind, options.state)
    names = destination_names(directory)
    if options.json:
        print(dumped(list_json(inventory, inventory.entries[: options.limit], names)))
        return 0 if inventory.entries else 1
    if not inventory.entries and (options.kind or options.state):
        print(f"{printable(str(directory))} holds no envelopes of that kind or state")
        return 1
    if not inventory.entries:
        rest = f" ({summary_text(inventory)})" if inventory.partial or inventory.foreign else ""
        print(f"{printable(str(directory))} holds no envelopes{rest}")
        return 1
    listed = inventory.entries[: options.limit]
    width = terminal_width()
    files = [entry.file for entry in listed]
    if width is None:
        print(table_text(files, names))
    else:
        short = short_ids(entry.file.id for entry in inventory.entries)
        print(terminal_table(files, names, short, width))
    unnamed = unnamed_text(listed, names)
    if unnamed:
        print(unnamed)
    print(summary_text(inventory, len(listed)))
    return 0


def show_file(options: argparse.Namespace) -> int:
    """Print the contents of one file, or of all files of a trace; return the exit status.

    Args:
        options: options of the command line.

    Raises:
        ValueError: the path is not a directory, or the file not an envelope.
    """
    spool = _spool(options)
    try:
        found = look_up(spool.files(), options.id)
    except AmbiguousError as error:
        print(f"sentry-paste: {printable(str(error))}:", file=sys.stderr)
        for identity, file in list(error.ids.items())[:_MAX_CANDIDATES]:
            print(f"  {identity}  {file.kind}  {file.time:%Y-%m-%d %H:%M:%S}", file=sys.stderr)
        return 1
    if not found:
        print(
            f"sentry-paste: no envelope and no trace in {options.directory} has the id "
            f"{printable(options.id)}",
            file=sys.stderr,
        )
        return 1
    names = destination_names(spool.directory)
    shown = [_with_spans(spool, read_contents(file)) for file in found]
    if options.json:
        print(dumped(show_json(shown, names)))
        return 0
    width = terminal_width()
    texts = [contents_text(contents, names, all_frames=options.all_frames, width=width) for contents in shown]
    print(f"\n\n{'=' * (width or 79)}\n\n".join(texts))
    return 0


def _with_spans(spool: Spool, contents: Contents) -> Contents:
    return with_other_spans(contents, spool.files("span")) if contents.file.kind == "span" else contents


def send(options: argparse.Namespace) -> int:
    """Send the waiting files, oldest first; return the exit status.

    Args:
        options: options of the command line.

    Raises:
        ValueError: the path is not a directory, or there is no DSN to send to.
    """
    spool = _spool(options)
    dsn = options.dsn or os.environ.get("SENTRY_DSN")
    if not dsn:
        raise ValueError("no DSN: give one with --dsn, or in the environment variable SENTRY_DSN")
    # Refuse a directory that is open to other users, as the filter does: anybody may have put files there.
    spool.prepare()
    sender = EnvelopeSender(dsn, str(spool.directory))
    with _interruptible() as signals:
        meter = ProgressMeter(sys.stderr)
        spool_sender = SpoolSender(spool, sender, options.rate, meter, lambda: bool(signals))
        if not options.dry_run:
            spool_sender.take_back()
        plan = _plan(spool.directory, sender, options)
        where = f"{sender.host} ({sender.scheme}), project {sender.project}"
        if not options.json:
            names = destination_names(spool.directory)
            print(plan_text(plan, where, options.rate, options.dry_run, names), flush=True)
        if options.dry_run or not plan.entries:
            if options.json:
                print(dumped(send_json(plan, where, options.dry_run, None, 0.0)))
            return 1 if options.dry_run and not plan.entries else 0
        seconds = _send(spool_sender, plan, meter)
    progress = spool_sender.progress
    if options.json:
        print(dumped(send_json(plan, where, options.dry_run, progress, seconds)))
    else:
        print(sent_text(progress, seconds))
    if signal.SIGINT in signals and progress.left:
        return INTERRUPTED
    return 1 if progress.left or progress.aside else 0


def _plan(directory: Path, sender: EnvelopeSender, options: argparse.Namespace) -> SendPlan:
    destinations = None if options.all_destinations else (sender.destination, ANY_DESTINATION)
    return plan_sending(take_inventory(directory), destinations, options.aside)


def _send(spool_sender: SpoolSender, plan: SendPlan, meter: ProgressMeter) -> float:
    """Send the files, and return how many seconds it took."""
    try:
        with network.quiet():
            spool_sender.send(plan.entries)
    except KeyboardInterrupt:
        spool_sender.progress.stop_reason = "interrupted"
    finally:
        seconds = meter.end()
    return seconds


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Record the first interruption and raise the second, so that the file being sent can be finished.

    Yields:
        The numbers of the signals that have come.
    """
    signals: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        signals.append(number)
        if len(signals) > 1:
            raise KeyboardInterrupt
        # Not through sys.stderr: this thread may be in the middle of writing to it, and it is not reentrant.
        os.write(2, b"\nInterrupted: the current file is finished first; interrupt again to stop at once\n")

    # Only the main thread may install signal handlers.
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def requeue(options: argparse.Namespace) -> int:
    """Let files that were set aside wait again; return the exit status.

    Args:
        options: options of the command line.

    Raises:
        ValueError: the path is not a directory.
    """
    spool = _spool(options)
    files, missing = requeue_purge.choose_aside(spool.files(), options.ids, options.reason)
    count = requeue_purge.requeue(spool, files)
    for identity in missing:
        print(f"sentry-paste: no file that was set aside has the id {printable(identity)}", file=sys.stderr)
    if options.json:
        print(dumped({"requeued": count, "missing": missing}))
    else:
        print(f"Requeued {number(count)}")
    return 1 if missing or not count else 0


def purge(options: argparse.Namespace) -> int:
    """Remove files that were not sent; return the exit status.

    Args:
        options: options of the command line.

    Raises:
        ValueError: the path is not a directory, or there is no terminal to ask for confirmation.
    """
    spool = _spool(options)
    inventory = take_inventory(spool.directory).of(options.kind)
    chosen = requeue_purge.choose_removable(inventory.entries, options.older_than, options.aside)
    in_use = sum(entry.is_in_use for entry in inventory.entries)
    if options.json:
        return _purge_json(spool, chosen, in_use, options.yes)
    if in_use:
        print(f"Left: {number(in_use)} claimed by another process")
    if not chosen:
        print("Nothing to remove")
        return 1
    if not options.yes and not _is_confirmed(chosen, sys.stdout):
        print("Nothing was removed")
        return 1
    removed, left = requeue_purge.remove(spool, chosen)
    for reason, count in left.items():
        print(f"Left: {number(count)} that cannot be removed ({reason})")
    print(f"Removed {kinds_text(removed)}" if removed else "Nothing was removed")
    return 0 if removed else 1


def _purge_json(spool: Spool, chosen: list[Entry], in_use: int, is_confirmed: bool) -> int:
    is_confirmed = bool(chosen) and (is_confirmed or _is_confirmed(chosen, sys.stderr))
    removed, left = requeue_purge.remove(spool, chosen if is_confirmed else [])
    print(dumped({"removed": files_json(removed), "in_use": in_use, "failed": dict(left)}))
    return 0 if removed else 1


def _is_confirmed(chosen: list[Entry], stream: TextIO) -> bool:
    if not sys.stdin.isatty():
        raise ValueError(f"{number(len(chosen))} would be removed; without a terminal to ask on, use --yes")
    question = f"Remove {kinds_text(chosen)}? Sentry does not have {them(len(chosen))}. [y/N] "
    print(question, end="", flush=True, file=stream)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def show_status(options: argparse.Namespace) -> int:
    """Print what a spool has done and holds; return the exit status.

    Args:
        options: options of the command line.

    Raises:
        ValueError: the path is not a directory.
    """
    spool = _spool(options)
    found = read_status(spool.directory)
    if options.json:
        print(json.dumps(as_json(found), indent=2))
    elif options.prometheus:
        print(as_prometheus(found, str(spool.directory.resolve())), end="")
    else:
        print(status_text(found))
    return 0


# Arguments.

# A hundred years. Much more, such as 1e99, would overflow the subtraction from now.
_MAX_DAYS = 36500.0


def add_spool(parser: argparse.ArgumentParser) -> None:
    """Add the commands to the parser of ``spool``.

    Args:
        parser: parser of ``spool``.
    """
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_list(
        _command(
            subparsers,
            "list",
            list_files,
            "list the files of a spool, newest first",
            "A terminal gets short ids, which show accepts, and as many columns as fit; files and pipes get "
            "everything. Exit status: 1 if there are none.",
            [
                "sentry-paste spool list var/sentry",
                "sentry-paste spool list var/sentry --kind error --limit 20",
            ],
        )
    )
    _add_status(subparsers)
    _add_show(subparsers)
    _add_send(
        _command(
            subparsers,
            "send",
            send,
            "send the waiting files, oldest first",
            "It can run next to processes that use the spool, and can be interrupted and restarted at any "
            "time. Exit status: 0 if nothing is left to send to the DSN, 1 if something is left or was set "
            "aside, 2 on an error, 130 after Ctrl-C. With --dry-run: 0 if something would be "
            "sent, 1 if not.",
            [
                "sentry-paste spool send var/sentry --dsn https://key@sentry.example/1 --dry-run",
                "sentry-paste spool send var/sentry --rate 5",
            ],
        )
    )
    _add_requeue(subparsers)
    _add_purge(
        _command(
            subparsers,
            "purge",
            purge,
            "remove files that were not sent",
            "Files that a running process has claimed are left. Exit status: 1 if nothing was removed.",
            [
                "sentry-paste spool purge var/sentry --older-than 30",
                "sentry-paste spool purge var/sentry --kind session --yes",
            ],
        )
    )


def _command(
    subparsers: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    epilog: str,
    examples: Sequence[str],
) -> CommandParser:
    parser = add_command(subparsers, name, summary, epilog, examples)
    parser.add_argument("directory", metavar="DIR", help="the spool directory")
    parser.set_defaults(run=run)
    return parser


def _add_status(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "status",
        show_status,
        "show how much was captured, delivered and dropped, and how much is left",
        "What was captured is the sum of what was delivered, is waiting, was set aside and was dropped, by "
        "all processes that have used the spool. With --prometheus, write the output to a file for the "
        "textfile collector of the node exporter.",
        ["sentry-paste spool status var/sentry", "sentry-paste spool status var/sentry --json"],
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the report as JSON")
    form.add_argument("--prometheus", action="store_true", help="in Prometheus' text format")


def _add_show(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "show",
        show_file,
        "show the contents of one file, or of all files of a trace",
        "Exit status: 1 if nothing has this id, or if several ids begin with these digits.",
        [
            "sentry-paste spool show var/sentry 3f2a9c01",
            "sentry-paste spool show var/sentry 3f2a --all-frames",
        ],
    )
    parser.add_argument(
        "id", metavar="ID", type=_identity, help="id of an event or of a trace, or its first digits"
    )
    parser.add_argument(
        "--all-frames", action="store_true", help="show source lines for frames of libraries too"
    )
    add_json(parser)


def _add_requeue(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "requeue",
        requeue,
        "queue files that were set aside, to be sent again",
        "Without an ID: all files that were set aside. Exit status: 0 if files were requeued, 1 if none were "
        "or an ID is not found.",
        ["sentry-paste spool requeue var/sentry --reason http_413"],
    )
    parser.add_argument("ids", metavar="ID", nargs="*", type=_identity, help="event id, or its first digits")
    parser.add_argument(
        "--reason", help="only files set aside for this reason, as list shows it: http_413, for example"
    )
    add_json(parser)


def _add_list(parser: argparse.ArgumentParser) -> None:
    _add_kind(parser)
    states = (WAITING, CLAIMED, ASIDE)
    parser.add_argument(
        "--state", metavar="STATE", choices=states, help=f"only files in this state: {', '.join(states)}"
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="only the newest N files")
    add_json(parser)


def _add_kind(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kind",
        action="append",
        default=[],
        metavar="K",
        choices=KINDS,
        help=f"only files of this kind: {', '.join(KINDS)}",
    )


def _add_send(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dsn", help="where to send to (default: SENTRY_DSN in the environment)")
    parser.add_argument(
        "--rate",
        type=_above_zero,
        default=SpoolSettings("").rate,
        metavar="N",
        help="files per second, at most (default: %(default)g)",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be sent, and change nothing")
    parser.add_argument("--all-destinations", action="store_true", help="also send files for other DSNs")
    parser.add_argument("--aside", action="store_true", help="also send files that were set aside")
    add_json(parser)


def _add_purge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than",
        type=_days,
        default=0.0,
        metavar="DAYS",
        help="only files that are at least this old",
    )
    _add_kind(parser)
    parser.add_argument("--aside", action="store_true", help="only files that were set aside")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_json(parser)


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
    if not 0 < value <= _MAX_DAYS:
        raise argparse.ArgumentTypeError(f"expected a number of days, not {text!r}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
