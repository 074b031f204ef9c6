"""The command line, ``sentry-paste`` and ``python -m sentry_paste``."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.text import report_text
from sentry_paste.cli.send_test import ANSWER_SECONDS, send_test, sent_text
from sentry_paste.cli.spool.commands import add_command, add_spool
from sentry_paste.cli.terminal import wants_colour
from sentry_paste.config.options import sample


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0, 1 where nothing was found, 2 where it cannot be done.

    Args:
        arguments: of the command line, those of the process where None.
    """
    options = _parser().parse_args(arguments)
    # A terminal that cannot show a character of a crash's message shows its escape.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
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
    checking = add_command(
        commands,
        "check",
        "tell what an ini says of Sentry, without starting its app",
        "Exit status: 0, 1 where nothing is reported (with --strict, with warnings too), 2 with mistakes.",
    )
    _add_ini(checking)
    checking.add_argument("--connect", action="store_true", help="connect to the DSN's host; nothing is sent")
    checking.add_argument("--strict", action="store_true", help="exit with 1 where there are warnings")
    checking.set_defaults(run=_check)
    sending = add_command(
        commands,
        "send-test",
        "send one error and one transaction, and tell what the server says",
        "Exit status: 0 if both were accepted, 1 if not, 2 with mistakes in the ini or without a DSN.",
    )
    _add_ini(sending)
    sending.add_argument(
        "--timeout",
        type=_seconds,
        default=ANSWER_SECONDS,
        metavar="SECONDS",
        help="how long to wait for each answer (%(default)g)",
    )
    sending.set_defaults(run=_send_test)
    printing = add_command(commands, "sample", "print a section with every option in a comment")
    printing.set_defaults(run=_sample)
    add_spool(add_command(commands, "spool", "look into a spool directory, and send what is in it"))
    return parser


def _add_ini(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ini", metavar="INI[#NAME]", help="the file, and the name of the app in it (main)")
    parser.add_argument(
        "variables", metavar="NAME=VALUE", nargs="*", type=_variable, help="as for pserve: adds to [DEFAULT]"
    )
    parser.add_argument(
        "-v", "--variable", metavar="NAME=VALUE", action="append", default=[], type=_variable, help="likewise"
    )


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, not {text!r}")
    return name.strip(), value.strip()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 86400:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, not {text!r}")
    return seconds


def _target(options: argparse.Namespace) -> tuple[str, str, dict[str, str]]:
    """Return path, name of the app and variables."""
    uri: str = options.ini
    path, _, name = (uri[len("config:") :] if uri.startswith("config:") else uri).partition("#")
    return path, name or "main", dict([*options.variables, *options.variable])


def _check(options: argparse.Namespace) -> int:
    report = check(*_target(options), connect=options.connect)
    print(report_text(report, colour=wants_colour(sys.stdout)))
    return report.status(options.strict)


def _send_test(options: argparse.Namespace) -> int:
    sent = send_test(*_target(options), seconds=options.timeout)
    print(sent_text(sent))
    return 0 if all(outcome.accepted for outcome in sent.outcomes) else 1


def _sample(_options: argparse.Namespace) -> int:
    print(sample(), end="")
    return 0
