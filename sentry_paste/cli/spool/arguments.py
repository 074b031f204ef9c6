"""The commands ``sentry-paste spool ...``: what they are called, and what they take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from sentry_paste.cli.spool import commands
from sentry_paste.spool.names import ASIDE, CLAIMED, KINDS, WAITING
from sentry_paste.spool.transport import Terms

_MOST_DAYS = 36500.0


def add_spool(parser: argparse.ArgumentParser) -> None:
    """Add the commands.

    Args:
        parser: of ``spool``.
    """
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_list(_command(subparsers, "list", commands.list_files, "list what a spool holds, newest first"))
    show = _command(subparsers, "show", commands.show, "show what one file of a spool holds")
    show.add_argument("id", metavar="ID", type=_identity, help="event id, or its first digits")
    show.add_argument("--all-frames", action="store_true", help="source lines of libraries' frames too")
    _add_send(
        _command(
            subparsers,
            "send",
            commands.send,
            "send what waits, oldest first",
            "It may run beside processes that use the spool, and may be interrupted and started again at any "
            "time. Exit status: 0 if nothing is left that waited for the DSN, 1 if something is left or was "
            "set aside, 2 if it cannot be done. With --dry-run: 0 if something would be sent, 1 if not.",
        )
    )
    requeue = _command(
        subparsers,
        "requeue",
        commands.requeue,
        "have what was set aside sent again: it waits as it did before",
        "Without an ID, all that was set aside. Exit status: 0 if something waits again, 1 if nothing does "
        "or an ID is not found.",
    )
    requeue.add_argument("ids", metavar="ID", nargs="*", type=_identity, help="event id, or its first digits")
    requeue.add_argument(
        "--reason", help="only what was set aside for this reason, as list tells it: http_413, for example"
    )
    _add_purge(
        _command(
            subparsers,
            "purge",
            commands.purge,
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
