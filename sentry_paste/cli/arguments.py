"""Commands, and arguments that several of them have."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from typing import Any

from sentry_paste.cli.uris import parse_uri

#: The exit status of a command that was interrupted, as shells have it: 128 and the signal's number.
INTERRUPTED = 130

#: What a completion offers for an argument, by its metavar, where that is not the names of files.
COMPLETE_DIRECTORIES = ("DIR",)
COMPLETE_FILES = ("INI", "INI[#NAME]", "PID|INI|DIR")
COMPLETE_COMMANDS = ("COMMAND",)


class HelpFormatter(argparse.HelpFormatter):
    """Wraps each paragraph of the help by itself, and leaves indented lines, which are examples."""

    def add_argument(self, action: argparse.Action) -> None:
        """Add an argument, and leave room for the names of commands, which are indented once more.

        Args:
            action: the argument.
        """
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length += self._indent_increment

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            textwrap.indent(part, indent)
            if "\n  " in part
            else super(HelpFormatter, self)._fill_text(part, width, indent)
            for part in text.split("\n\n")
        )


class CommandParser(argparse.ArgumentParser):
    """The parser of a command.

    Attributes:
        summary: what the command does, as the list of commands shows it.
        examples: command lines.
        status: what its exit status means, and other notes.
    """

    summary = ""
    examples: tuple[str, ...] = ()
    status = ""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", HelpFormatter)
        super().__init__(**options)


def add_command(
    subparsers: Any,
    name: str,
    summary: str,
    epilog: str = "",
    examples: Sequence[str] = (),
) -> CommandParser:
    """Add a command; its own help begins with the summary that the list of commands shows.

    Args:
        subparsers: subparsers to add it to.
        name: name of the command.
        summary: what it does, in lower case and without a full stop.
        epilog: end of its help.
        examples: command lines, which its help shows.
    """
    description = f"{summary[0].upper()}{summary[1:]}."
    shown = "\n".join(["examples:", *(f"  {example}" for example in examples)]) if examples else ""
    parser: CommandParser = subparsers.add_parser(
        name, help=summary, description=description, epilog="\n\n".join(filter(None, (shown, epilog))) or None
    )
    parser.summary, parser.examples, parser.status = summary, tuple(examples), epilog
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option that prints a report for machines.

    Args:
        parser: of a command.
    """
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def add_ini(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name an ini file, an app in it, and variables.

    Args:
        parser: of a command.
    """
    parser.add_argument(
        "ini",
        metavar="INI[#NAME]",
        help="the ini file, and the name of the app in it (default: main); also c2c://INI and INI?NAME=VALUE",
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
        help="another way to set a variable",
    )


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        from sentry_paste.config.errors import shown  # imports the SDK, which run does not need

        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, not {shown(text)!r}")
    return name.strip(), value.strip()


def version(text: str) -> tuple[int, int]:
    """Parse a version of the SDK.

    Args:
        text: ``3``, ``2`` or ``2.40``.

    Raises:
        ArgumentTypeError: it is no version.
    """
    major, _, minor = text.partition(".")
    if not major.isdecimal() or not (minor or "0").isdecimal() or int(major) < 2:
        raise argparse.ArgumentTypeError(f"expected a version of sentry-sdk: 3, 2 or 2.40, not {text!r}")
    # 2 alone is the newest one.
    return int(major), int(minor) if minor else (99 if major == "2" else 0)


def seconds(text: str) -> float:
    """Parse a number of seconds, up to a day.

    Args:
        text: the number.

    Raises:
        ArgumentTypeError: it is no such number.
    """
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < 86400:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, not {text!r}")
    return found


def target(options: argparse.Namespace) -> tuple[str, str, dict[str, str]]:
    """Return path, name of the app and variables.

    Args:
        options: with the arguments of ``add_ini``.
    """
    found = parse_uri(options.ini)
    return (
        found.path,
        found.name or "main",
        {**found.variables, **dict([*options.variables, *options.variable])},
    )
