"""The command line, ``sentry-paste`` and ``python -m sentry_paste``."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from sentry_paste.cli import run
from sentry_paste.cli.arguments import (
    INTERRUPTED,
    CommandParser,
    add_command,
    add_ini,
    add_json,
    seconds,
    target,
    version,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status, which each command's help explains; it is 2 on an error.

    Args:
        arguments: arguments of the command line; None means those of the process.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return _run(words)
    except KeyboardInterrupt:
        # The terminal shows ^C, and the shell's prompt would follow it.
        print(file=sys.stderr)
        return INTERRUPTED


def _run(words: Sequence[str]) -> int:
    options = make_parser(only_run=words[:1] == ["run"]).parse_args(words)
    # Show the escape of a character that the terminal cannot encode: messages of crashes may have any.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status: int = options.run(options)
        if not sys.stdout.closed:  # version 1 of the package mcp closes it
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has gone. What is left in the buffer goes to /dev/null, or Python would
        # complain when it flushes at exit (https://docs.python.org/3/library/signal.html#note-on-sigpipe).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError) as error:
        from sentry_paste.config.errors import without_credentials

        print(f"sentry-paste: {without_credentials(str(error))}", file=sys.stderr)
        return 2
    return status


class _Version(argparse.Action):
    """Prints the versions when it is asked to: looking them up takes longer than all that run does."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(version_text())
        parser.exit()


def version_text() -> str:
    """Return the versions of the package, of the SDK and of Python, as a bug report needs them."""
    from importlib.metadata import version as version_of

    python = ".".join(map(str, sys.version_info[:3]))
    return (
        f"sentry-paste {version_of('sentry-paste')}, sentry-sdk {version_of('sentry-sdk')}, Python {python}"
    )


def make_parser(*, only_run: bool = False) -> CommandParser:
    """Return the parser of the command line, of which completions are made too.

    Args:
        only_run: whether only ``run`` is needed; the other commands import the SDK.
    """
    parser = CommandParser(
        prog="sentry-paste", description="Sentry for the WSGI applications of an ini file."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the versions and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    # The others import the SDK, which takes longer than all that run does.
    if not only_run:
        _add_others(commands)
    run.add_arguments(
        add_command(
            commands,
            "run",
            "start a command with Sentry around each app that PasteDeploy loads in it",
            "Exit status: that of the command, or 2 if the command or the ini file cannot be found.",
            [
                "sentry-paste run --config sentry.ini pserve app.ini",
                "sentry-paste run --config sentry.ini gunicorn --paste app.ini --workers 2",
            ],
        )
    )
    return parser


def _add_others(commands: Any) -> None:
    from sentry_paste.cli.spool.commands import add_spool

    _add_check(commands)
    _add_send_test(commands)
    sample_parser = add_command(
        commands,
        "sample",
        "print a section with every option, commented out",
        examples=["sentry-paste sample --minimal >> app.ini"],
    )
    sample_parser.add_argument("--minimal", action="store_true", help="only what most people need")
    sample_parser.set_defaults(run=_sample)
    schema_parser = add_command(
        commands,
        "schema",
        "print a JSON Schema of the options",
        examples=["sentry-paste schema > sentry-paste.schema.json"],
    )
    schema_parser.set_defaults(run=_schema)
    add_spool(
        add_command(
            commands,
            "spool",
            "list, show, send and remove the files of a spool directory",
            examples=["sentry-paste spool list var/sentry", "sentry-paste spool show var/sentry 3f2a"],
        )
    )
    _add_reload(commands)
    _add_inbox(commands)
    _add_mcp(commands)
    _add_completion(commands)


def _add_check(commands: Any) -> None:
    parser = add_command(
        commands,
        "check",
        "check the Sentry set-up of an ini file without starting its app",
        "Exit status: 0 if all is well; 1 if Sentry would get no reports, if the host of a DSN cannot be "
        "reached (--connect) or if there are warnings (--strict); 2 if the ini cannot be read, or has "
        "mistakes that keep the app from starting or from running as its ini says.",
        [
            "sentry-paste check production.ini",
            "sentry-paste check --explain production.ini",
            "sentry-paste check --connect --strict production.ini#admin zone=eu",
            "sentry-paste check --sdk 3 production.ini",
        ],
    )
    add_ini(parser)
    parser.add_argument("--connect", action="store_true", help="connect to the DSN's host; nothing is sent")
    parser.add_argument(
        "--sdk",
        type=version,
        metavar="VERSION",
        help="also report what would change with another version of sentry-sdk: 3, 2 or 2.40",
    )
    parser.add_argument(
        "--json", action="store_true", help="print structure, options, mistakes and warnings as JSON"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 if there are warnings")
    parser.add_argument(
        "--explain", action="store_true", help="show each piece of advice in full, with the lines to write"
    )
    parser.set_defaults(run=_check)


def _add_send_test(commands: Any) -> None:
    from sentry_paste.cli.send_test import ANSWER_SECONDS

    parser = add_command(
        commands,
        "send-test",
        "send one error and one transaction, and show what the server answers",
        "Exit status: 0 if both were accepted (by a server that takes no transactions: the error); 1 if not; "
        "2 if the ini has mistakes or no DSN and no spool_dir.",
        ["sentry-paste send-test production.ini", "sentry-paste send-test --timeout 60 production.ini"],
    )
    add_ini(parser)
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=ANSWER_SECONDS,
        metavar="SECONDS",
        help="how long to wait for each answer (default: %(default)g)",
    )
    add_json(parser)
    parser.set_defaults(run=_send_test)


def _add_reload(commands: Any) -> None:
    from sentry_paste.cli.reload import ANSWER_SECONDS

    parser = add_command(
        commands,
        "reload",
        "have a running app read its rates and rules again",
        "For filters with reload = true or reload = command. A process reads its ini before its next "
        "request, so one without requests does not answer. Exit status: 0 if all processes have read their "
        "inis; 1 if one has not answered in time; 2 if an ini has mistakes, which leave the old rules in "
        "force, or if there is no such process.",
        [
            "sentry-paste reload 4711",
            "sentry-paste reload --timeout 30 4711",
            "sentry-paste reload production.ini",
        ],
    )
    parser.add_argument(
        "target",
        metavar="PID|INI|DIR",
        help="the id of a process, or of the master that has started it; or an ini file or a spool "
        "directory, for all processes of this machine that use it",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=ANSWER_SECONDS,
        metavar="SECONDS",
        help="how long to wait for answers (default: %(default)g)",
    )
    add_json(parser)
    parser.set_defaults(run=_reload)


def _add_inbox(commands: Any) -> None:
    parser = add_command(
        commands,
        "inbox",
        "show a spool in the browser, without an ini",
        "It needs the extra inbox: pip install 'sentry-paste[inbox]'. It only answers browsers on this "
        "machine. Stop it with Ctrl-C. Exit status: 0, or 2 if DIR is a file or the port is taken.",
        [
            "sentry-paste inbox /srv/app/var/sentry --open",
            "sentry-paste inbox var/sentry --port 8000 --editor vscode",
        ],
    )
    parser.add_argument("directory", metavar="DIR", help="the spool directory; it need not exist yet")
    parser.add_argument("--open", action="store_true", help="open a browser")
    parser.add_argument(
        "--port", type=_port, metavar="PORT", help="the port (default: 6544, or any other if that is taken)"
    )
    parser.add_argument(
        "--editor",
        default="",
        metavar="EDITOR",
        help="the editor that source lines link to: vscode, pycharm and others, or an address with {path} "
        "and {line}",
    )
    parser.set_defaults(run=_inbox)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, not {text!r}")
    return int(text)


def _inbox(options: argparse.Namespace) -> int:
    from sentry_paste.cli.inbox import serve

    return serve(options.directory, options.port, options.editor, options.open)


def _add_mcp(commands: Any) -> None:
    parser = add_command(
        commands,
        "mcp",
        "let a coding assistant read a spool, as an MCP server on standard input and output",
        "It needs the extra mcp and Python 3.10 or newer: pip install 'sentry-paste[mcp]'. All its tools are "
        "read-only. Your assistant starts it with this command (MCP is the Model Context Protocol).",
        ["sentry-paste mcp /srv/app/var/sentry"],
    )
    parser.add_argument("directory", metavar="DIR", help="the spool directory; it need not exist yet")
    parser.set_defaults(run=_mcp)


def _add_completion(commands: Any) -> None:
    from sentry_paste.cli.completion import SHELLS

    parser = add_command(
        commands,
        "completion",
        "print the completion of commands and options for a shell",
        examples=[
            "sentry-paste completion bash > ~/.local/share/bash-completion/completions/sentry-paste",
            "sentry-paste completion zsh > ~/.zfunc/_sentry-paste",
            "sentry-paste completion fish > ~/.config/fish/completions/sentry-paste.fish",
        ],
    )
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=f"one of {', '.join(SHELLS)}")
    parser.set_defaults(run=_completion)


def _check(options: argparse.Namespace) -> int:
    from sentry_paste.cli.check.as_json import report_json, unreadable_json
    from sentry_paste.cli.check.report import check
    from sentry_paste.cli.check.structure import IniError
    from sentry_paste.cli.check.text import report_text
    from sentry_paste.cli.terminal import wants_colour

    try:
        report = check(*target(options), connect=options.connect, version=options.sdk)
    except IniError as error:
        if not options.json:
            raise
        print(unreadable_json(*target(options)[:2], error))
        return 2
    if options.json:
        print(report_json(report, strict=options.strict))
    else:
        print(report_text(report, colour=wants_colour(sys.stdout), explain=options.explain))
    return report.status(options.strict)


def _send_test(options: argparse.Namespace) -> int:
    from sentry_paste.cli.send_test import result_json, result_text, send_test

    result = send_test(*target(options), seconds=options.timeout)
    print(result_json(result) if options.json else result_text(result))
    return 0 if result.is_fine else 1


def _reload(options: argparse.Namespace) -> int:
    from sentry_paste.cli.reload import answers_json, answers_text, reload, status

    answers = reload(options.target, options.timeout)
    print(answers_json(answers) if options.json else answers_text(answers))
    return status(answers)


def _sample(options: argparse.Namespace) -> int:
    from sentry_paste.config.options import minimal_sample, sample

    print(minimal_sample() if options.minimal else sample(), end="")
    return 0


def _schema(_options: argparse.Namespace) -> int:
    import json

    from sentry_paste.config.schema import schema

    print(json.dumps(schema(), indent=2))
    return 0


def _mcp(options: argparse.Namespace) -> int:
    from sentry_paste.mcp import serve

    serve(options.directory)
    return 0


def _completion(options: argparse.Namespace) -> int:
    from sentry_paste.cli.completion import script

    print(script(options.shell, make_parser()), end="")
    return 0
