"""The command line, ``sentry-paste`` and ``python -m sentry_paste``."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.text import report_text
from sentry_paste.cli.send_test import ANSWER_SECONDS, result_text, send_test
from sentry_paste.cli.spool.commands import add_command, add_spool
from sentry_paste.cli.terminal import wants_colour
from sentry_paste.config.options import sample


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status, which each command's help explains; it is 2 on an error.

    Args:
        arguments: arguments of the command line; None means those of the process.
    """
    options = _parser().parse_args(arguments)
    # Show the escape of a character that the terminal cannot encode: messages of crashes may have any.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has gone. What is left in the buffer goes to /dev/null, or Python would
        # complain when it flushes at exit (https://docs.python.org/3/library/signal.html#note-on-sigpipe).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError) as error:
        print(f"sentry-paste: {error}", file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sentry-paste", description="Sentry for the WSGI applications of an ini file."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    check_parser = add_command(
        commands,
        "check",
        "check the Sentry set-up of an ini file without starting its app",
        "Exit status: 0 if all is well, 1 if nothing is reported (with --strict also if there are warnings), "
        "2 if there are mistakes.",
    )
    _add_ini(check_parser)
    check_parser.add_argument(
        "--connect", action="store_true", help="connect to the DSN's host; nothing is sent"
    )
    check_parser.add_argument(
        "--sdk",
        type=_version,
        metavar="VERSION",
        help="also report what would change with another version of sentry-sdk: 3, 2 or 2.40",
    )
    check_parser.add_argument("--strict", action="store_true", help="exit with 1 if there are warnings")
    check_parser.set_defaults(run=_check)
    test_parser = add_command(
        commands,
        "send-test",
        "send one error and one transaction, and show what the server answers",
        "Exit status: 0 if both were accepted, 1 if not, 2 if the ini has mistakes or nowhere to send to.",
    )
    _add_ini(test_parser)
    test_parser.add_argument(
        "--timeout",
        type=_seconds,
        default=ANSWER_SECONDS,
        metavar="SECONDS",
        help="how long to wait for each answer (default: %(default)g)",
    )
    test_parser.set_defaults(run=_send_test)
    sample_parser = add_command(commands, "sample", "print a section with every option, commented out")
    sample_parser.set_defaults(run=_sample)
    add_spool(add_command(commands, "spool", "list, show, send and remove the files of a spool directory"))
    return parser


def _add_ini(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "ini", metavar="INI[#NAME]", help="the ini file, and the name of the app in it (default: main)"
    )
    parser.add_argument(
        "variables",
        metavar="NAME=VALUE",
        nargs="*",
        type=_variable,
        help="a variable for [DEFAULT], as for pserve",
    )
    parser.add_argument(
        "-v",
        "--variable",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=_variable,
        help="the same as an option",
    )


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, not {text!r}")
    return name.strip(), value.strip()


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    if not major.isdecimal() or not (minor or "0").isdecimal() or int(major) < 2:
        raise argparse.ArgumentTypeError(f"expected a version of sentry-sdk: 3, 2 or 2.40, not {text!r}")
    # 2 alone is the newest one.
    return int(major), int(minor) if minor else (99 if major == "2" else 0)


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
    report = check(*_target(options), connect=options.connect, version=options.sdk)
    print(report_text(report, colour=wants_colour(sys.stdout)))
    return report.status(options.strict)


def _send_test(options: argparse.Namespace) -> int:
    result = send_test(*_target(options), seconds=options.timeout)
    print(result_text(result))
    return 0 if all(outcome.accepted for outcome in result.outcomes) else 1


def _sample(_options: argparse.Namespace) -> int:
    print(sample(), end="")
    return 0
