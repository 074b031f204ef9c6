"""What shells complete; each is asked itself."""

import os
import shutil
import subprocess

import pytest

from sentry_paste.cli.completion import SHELLS, read_command, script
from sentry_paste.cli.main import main, make_parser
from sentry_paste.spool.names import KINDS

WORDS = {" ".join(command.path): command for command in read_command(make_parser()).walk()}

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
needs_fish = pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
needs_zsh = pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")

CASES = [
    ("", {command.path[0] for command in WORDS[""].commands}),
    ("sp", {"spool"}),
    ("spool s", {"status", "show", "send"}),
    ("spool list --st", {"--state"}),
    ("spool list --state ", {"waiting", "claimed", "aside"}),
    ("spool list directory --kind ", set(KINDS)),
    ("spool purge --kind er", {"error"}),
    ("completion ", set(SHELLS)),
    ("check --c", {"--connect"}),
    ("send-test --timeout 3 --js", {"--json"}),
]
FILES = [
    ("spool list ", {"directory"}),
    ("spool show di", {"directory"}),
    ("check a", {"app.ini"}),
    ("run --config a", {"app.ini"}),
]


def bash(line):
    words = ["sentry-paste", *line.split(" ")]
    quoted = " ".join(f"'{word}'" for word in words)
    asked = (
        'eval "$1"\n'
        f"COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}\n"
        '_sentry_paste && printf "%s\\n" "${COMPREPLY[@]}"'
    )
    command = ["bash", "--norc", "-c", asked, "bash", script("bash", make_parser())]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=180)
    assert ended.stderr == ""
    return {line.rstrip("/") for line in ended.stdout.splitlines() if line}


def fish(line):
    asked = f"source completion.fish; complete -C 'sentry-paste {line}'"
    with open("completion.fish", "w", encoding="utf-8") as file:
        file.write(script("fish", make_parser()))
    environment = {**os.environ, "HOME": os.getcwd()}
    ended = subprocess.run(
        ["fish", "--no-config", "-c", asked],
        capture_output=True,
        encoding="utf-8",
        timeout=180,
        env=environment,
    )
    assert ended.stderr == ""
    return {found.partition("\t")[0].rstrip("/") for found in ended.stdout.splitlines()}


@pytest.fixture(autouse=True)
def _files():
    os.mkdir("directory")
    with open("app.ini", "w", encoding="utf-8"):
        pass


@needs_bash
@pytest.mark.parametrize(("line", "expected"), [*CASES, *FILES])
def test_bash(line, expected):
    assert bash(line) == expected


@needs_bash
def test_bash_offers_options_where_an_argument_may_be_anything():
    assert "--strict" in bash("check app.ini ")
    assert "--all-frames" in bash("spool show directory ")


@needs_bash
def test_bash_takes_a_value_after_an_equals_sign():
    assert bash("spool list --state = wai") == {"waiting"}
    assert bash("spool list --state =") == {"waiting", "claimed", "aside"}
    assert bash("spool list --state = aside dir") == {"directory"}


@needs_bash
def test_bash_leaves_what_follows_the_program_of_run_to_it():
    assert "bash" in bash("run ba")
    assert bash("run pserve a") == {"app.ini"}


@needs_fish
@pytest.mark.parametrize(("line", "expected"), [*CASES, *FILES])
def test_fish(line, expected):
    assert fish(line) == expected


@needs_zsh
def test_zsh_can_read_it():
    command = ["zsh", "--no-rcs", "-n", "-c", script("zsh", make_parser())]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=180)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_in_it(shell, capsys):
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    for command in WORDS.values():
        assert all(word in text for word in command.path)
        for option in command.options:
            assert all(flag.lstrip("-") in text for flag in option.flags)


def test_unknown_shell_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["completion", "tcsh"])
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err
