"""The page of the command line, made from the parsers of the commands themselves."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from links import link_first_mentions

from sentry_paste.cli import main

_UNDERLINES = "=-^"
_PERCENT = re.compile(r"%\((\w+)\)[a-z]")


def parser() -> argparse.ArgumentParser:
    """Return the parser of ``sentry-paste``, with all its commands."""
    return main.make_parser()


def reference() -> str:
    """Return the page's sections, in reStructuredText."""
    return "\n".join(_commands(parser(), 0)) + "\n"


def _commands(found: argparse.ArgumentParser, depth: int) -> Iterator[str]:
    groups = [action for action in found._actions if isinstance(action, argparse._SubParsersAction)]
    for group in groups:
        for name, command in group.choices.items():
            if f"{found.prog} {name}" != command.prog:
                continue  # another name of the same one
            yield from _command(command, depth)
            yield from _commands(command, depth + 1)


def _command(command: argparse.ArgumentParser, depth: int) -> Iterator[str]:
    title = command.prog
    label = title.replace(" ", "-")
    yield from (f".. _{label}:", "", title, _UNDERLINES[depth] * len(title), "")
    yield from (f".. program:: {title}", "")
    if command.description:
        yield from (_escaped(command.description), "")
    yield from (".. code-block:: none", "")
    yield from (f"   {line}" for line in _usage(command).splitlines())
    yield ""
    for action in command._actions:
        if isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)):
            continue
        if action.help == argparse.SUPPRESS:
            continue
        yield from _argument(command, action)
    yield from _epilog(command)


def _usage(command: argparse.ArgumentParser) -> str:
    formatter = argparse.HelpFormatter(command.prog, width=96)
    formatter.add_usage(command.usage, command._actions, command._mutually_exclusive_groups, prefix="")
    return formatter.format_help().strip("\n")


def _argument(command: argparse.ArgumentParser, action: argparse.Action) -> Iterator[str]:
    metavar = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    if isinstance(metavar, tuple):
        metavar = " ".join(metavar)
    if not action.option_strings:
        yield f".. option:: {metavar}"
    else:
        value = "" if action.nargs == 0 else f" {metavar}"
        yield f".. option:: {', '.join(f'{name}{value}' for name in action.option_strings)}"
    yield from ("", f"   {_help(command, action)}", "")


def _help(command: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = argparse.HelpFormatter(command.prog)._expand_help(action) if action.help else ""
    text = " ".join(text.split())
    return _escaped(f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', ')')) else '.'}")


def _epilog(command: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the end of a command's help: paragraphs, and examples, which are indented there."""
    for part in (command.epilog or "").split("\n\n"):
        lines = part.splitlines()
        if any(line.startswith("  ") for line in lines):
            yield from (".. code-block:: console", "")
            yield from (f"   $ {line.strip()}" for line in lines if line.startswith("  "))
            yield ""
        elif part.strip():
            yield from (_escaped(" ".join(part.split())), "")


def _escaped(text: str) -> str:
    """Return text as reStructuredText, with options and files of the command line as code."""
    text = text.replace("\\", r"\\").replace("*", r"\*").replace("_", r"\_").replace("`", r"\`")
    text = text.replace("|", r"\|")
    return re.sub(r"(?<![\w`-])(--[a-z][\w-]*)", r"``\1``", text)


def _put_in(_app: Any, docname: str, source: list[str]) -> None:
    if docname == "commands":
        source[0] = source[0].replace(".. the commands are put in here\n", reference())


def _labels(found: argparse.ArgumentParser) -> Iterator[str]:
    for group in found._actions:
        if isinstance(group, argparse._SubParsersAction):
            for command in group.choices.values():
                yield command.prog.replace(" ", "-")
                yield from _labels(command)


def _link(app: Any, doctree: nodes.document) -> None:
    labels = set(_labels(parser()))

    def label(text: str) -> str:
        words = text.split()
        names = ("-".join(words[:count]) for count in (3, 2))
        return next((name for name in names if name in labels), "") if words[:1] == ["sentry-paste"] else ""

    if app.env.docname != "commands":
        link_first_mentions(app.env, doctree, label, refdomain="std", reftype="ref", refexplicit=True)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _put_in)
    app.connect("doctree-read", _link)
    app.connect("env-get-outdated", lambda *_: ["commands"])
    return {"parallel_read_safe": True}
