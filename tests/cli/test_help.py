"""The help of every command, and what else the parsers say."""

import re
import shlex
from importlib.metadata import version

import pytest

from sentry_paste.cli.completion import read_command
from sentry_paste.cli.main import main, make_parser

COMMANDS = {" ".join(command.path): command for command in read_command(make_parser()).walk()}


def parser_of(path):
    parser = make_parser()
    for word in path.split():
        (groups,) = (action for action in parser._actions if hasattr(action, "_name_parser_map"))
        parser = groups.choices[word]
    return parser


def shown_help(path, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*path.split(), "--help"])
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_version_names_all_that_a_bug_report_needs(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert re.fullmatch(
        rf"sentry-paste {re.escape(version('sentry-paste'))}, "
        rf"sentry-sdk {re.escape(version('sentry-sdk'))}, Python 3\.\d+\.\d+\n",
        capsys.readouterr().out,
    )


@pytest.mark.parametrize("path", [path for path in COMMANDS if path])
def test_command_has_examples_that_are_shown_and_are_right(path, capsys):
    examples = parser_of(path).examples
    assert examples
    shown = shown_help(path, capsys).splitlines()
    for example in examples:
        assert f"  {example}" in shown
        words = shlex.split(example.partition(">")[0])
        assert words[: len(path.split()) + 1] == ["sentry-paste", *path.split()]
        make_parser().parse_args(words[1:])


@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize("path", COMMANDS)
def test_help_fits_the_terminal_but_for_examples(path, width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = shown_help(path, capsys).splitlines()
    assert [line for line in lines if len(line) > width and not line.startswith("  sentry-paste ")] == []


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in ("", "spool", "run")])
def test_command_that_reports_has_json(path):
    flags = {flag for option in COMMANDS[path].options for flag in option.flags}
    assert ("--json" in flags) is (path not in ("sample", "schema", "completion", "mcp", "inbox"))
