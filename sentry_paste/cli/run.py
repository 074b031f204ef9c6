"""``sentry-paste run``: start a command with Sentry around every app that PasteDeploy loads in it.

The command is started in place of this process, with a folder first on its ``PYTHONPATH`` whose
``sitecustomize`` does the rest (``autoload``). Nothing here imports the SDK: that takes longer than all else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import MutableMapping

_SITE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "autoload", "site")
_CONFIG = "SENTRY_PASTE_CONFIG"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command.

    Args:
        parser: of the command.
    """
    parser.add_argument(
        "--config",
        metavar="INI",
        help="an ini file with the options in [filter:sentry] or [sentry]; SENTRY_PASTE_<OPTION> variables "
        "take precedence",
    )
    parser.add_argument("program", metavar="COMMAND", help="the command: pserve, gunicorn, uwsgi ...")
    parser.add_argument(
        "arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="arguments of the command"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Become the command; where processes cannot be replaced, wait for it and return its exit status.

    Args:
        options: options of the command line.

    Raises:
        OSError: the file or the command is not there, or may not be used.
    """
    environment = dict(os.environ)
    prepare(environment, options.config)
    program = find_program(options.program)
    flag = ignoring_flag(program)
    if flag:
        print(f"sentry-paste: {flag} in the first line of {program} has Python ignore run", file=sys.stderr)
    command = [options.program, *options.arguments]
    if os.name != "nt":
        sys.stdout.flush()
        os.execve(program, command, environment)  # noqa: S606
    # There exec starts another process, and the shell goes on before that ends.
    import subprocess

    return subprocess.run(command, executable=program, env=environment, check=False).returncode  # noqa: S603


def prepare(environment: MutableMapping[str, str], config: str | None) -> None:
    """Set the variables that put Sentry around the apps of a process and of those that it starts.

    Args:
        environment: the variables; changed.
        config: path of the file with the options.

    Raises:
        OSError: the file cannot be read.
    """
    if config is not None:
        with open(config, encoding="utf-8"):
            environment[_CONFIG] = os.path.abspath(config)
    before = environment.get("PYTHONPATH")
    # An empty entry stays: it is the current directory.
    others = [entry for entry in before.split(os.pathsep) if entry != _SITE] if before else []
    environment["PYTHONPATH"] = os.pathsep.join([_SITE, *others])


def find_program(name: str) -> str:
    """Return the path of a program: on PATH, or else next to this Python (an environment that is not active).

    Args:
        name: of the program, or its path.

    Raises:
        FileNotFoundError: there is no such program.
    """
    found = shutil.which(name) or shutil.which(name, path=os.path.dirname(sys.executable))
    if found is None:
        raise FileNotFoundError(
            f"there is no program {name!r} on PATH or in {os.path.dirname(sys.executable)}"
        )
    return found


def ignoring_flag(program: str) -> str:
    """Return the flag of a script's first line with which Python ignores PYTHONPATH, empty if there is none.

    Args:
        program: its path.
    """
    try:
        with open(program, "rb") as file:
            first = file.readline(256).decode("latin-1")
    except OSError:
        return ""
    words = first[2:].split() if first.startswith("#!") else []
    if not words or "python" not in " ".join(words[:2]):
        return ""
    flags = [word for word in words[1:] if word.startswith("-") and not word.startswith("--")]
    return next((flag for flag in flags if "E" in flag or "I" in flag), "")
