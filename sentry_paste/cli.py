"""The command line, ``sentry-paste`` and ``python -m sentry_paste``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from sentry_paste.console import contents_text, table_text
from sentry_paste.spool import Spool, read_contents


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0, 1 where nothing was found, 2 where it cannot be done.

    Args:
        arguments: of the command line, those of the process where None.
    """
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has gone: what is left to write goes nowhere, without a complaint at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError) as error:
        print(f"sentry-paste: {error}", file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sentry-paste", description="Sentry around the WSGI applications of an ini file."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    spool = commands.add_parser("spool", help="look into a spool directory").add_subparsers(
        title="commands", required=True, metavar="COMMAND"
    )
    listing = spool.add_parser("list", help="list what a spool holds, newest first")
    listing.add_argument("directory", metavar="DIR", help="the spool directory")
    listing.add_argument("--kind", action="append", default=[], help="only error, transaction, session ...")
    listing.add_argument("--limit", type=int, metavar="N", help="only the newest N")
    listing.set_defaults(run=_list)
    show = spool.add_parser("show", help="show what one file of a spool holds")
    show.add_argument("directory", metavar="DIR", help="the spool directory")
    show.add_argument("id", metavar="ID", help="event id, or its first digits")
    show.add_argument("--all-frames", action="store_true", help="source lines of libraries' frames too")
    show.set_defaults(run=_show)
    return parser


def _list(options: argparse.Namespace) -> int:
    spool = _spool(options.directory)
    files = spool.files(*options.kind)[: options.limit]
    if not files:
        print(f"{options.directory} holds no envelopes")
        return 1
    print(table_text(files))
    return 0


def _show(options: argparse.Namespace) -> int:
    found = _spool(options.directory).find(options.id)
    if found is None:
        print(f"sentry-paste: no envelope in {options.directory} has the id {options.id}", file=sys.stderr)
        return 1
    print(contents_text(read_contents(found), all_frames=options.all_frames))
    return 0


def _spool(directory: str) -> Spool:
    if not os.path.isdir(directory):
        raise ValueError(f"{directory} is not a directory")
    return Spool(directory)
