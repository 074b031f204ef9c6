"""``sentry-paste completion``: what a shell completes, made from the parsers."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from sentry_paste.cli.arguments import (
    COMPLETE_COMMANDS,
    COMPLETE_DIRECTORIES,
    COMPLETE_FILES,
    CommandParser,
)

#: The shells, in the order of the help.
SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True)
class Argument:
    """An option or a positional argument.

    Attributes:
        flags: ``-v`` and ``--variable``; empty for a positional argument.
        name: what stands for its value in the help; empty if it takes none.
        help: what it is for.
        choices: the possible values, if they are known.
        is_many: whether it may be given more than once.
        has_rest: whether all that follows belongs to it.
    """

    flags: tuple[str, ...]
    name: str
    help: str
    choices: tuple[str, ...]
    is_many: bool
    has_rest: bool

    @property
    def kind(self) -> str:
        """What its value is: ``directory``, ``file``, ``command``, or anything else (empty)."""
        for kind, names in (
            ("directory", COMPLETE_DIRECTORIES),
            ("file", COMPLETE_FILES),
            ("command", COMPLETE_COMMANDS),
        ):
            if self.name in names:
                return kind
        return ""


@dataclass(frozen=True)
class Command:
    """A command with its arguments.

    Attributes:
        path: the words that name it; empty for ``sentry-paste`` itself.
        summary: what it does.
        options: its options.
        positionals: its positional arguments.
        commands: the commands below it.
    """

    path: tuple[str, ...]
    summary: str
    options: tuple[Argument, ...]
    positionals: tuple[Argument, ...]
    commands: tuple[Command, ...]

    def walk(self) -> Iterator[Command]:
        """Yield it and all commands below it."""
        yield self
        for command in self.commands:
            yield from command.walk()


def read_command(parser: CommandParser, path: tuple[str, ...] = ()) -> Command:
    """Return a command as its parser describes it.

    Args:
        parser: of the command.
        path: the words that name it.
    """
    options: list[Argument] = []
    positionals: list[Argument] = []
    commands: list[Command] = []
    for action in parser._actions:  # argparse has no public list of them
        if isinstance(action, argparse._SubParsersAction):
            commands += [read_command(inner, (*path, name)) for name, inner in action.choices.items()]
        else:
            (options if action.option_strings else positionals).append(_argument(action))
    return Command(path, parser.summary, tuple(options), tuple(positionals), tuple(commands))


def _argument(action: argparse.Action) -> Argument:
    names = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return Argument(
        flags=tuple(action.option_strings),
        name="" if action.nargs == 0 else names,
        help=(action.help or "") % {**vars(action), "prog": "sentry-paste"},
        choices=tuple(map(str, action.choices or ())),
        is_many=action.nargs in ("*", "+") or isinstance(action, argparse._AppendAction),
        has_rest=action.nargs == argparse.REMAINDER,
    )


def script(shell: str, parser: CommandParser) -> str:
    """Return the script that a shell reads.

    Args:
        shell: one of ``SHELLS``.
        parser: of the whole command line.
    """
    lines = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](read_command(parser))
    return "\n".join(lines) + "\n"


# bash

_BASH_START = """\
# Completion of sentry-paste for bash, printed by: sentry-paste completion bash
_sentry_paste() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local command='' position=0 index word offered='' kind=''
    # bash takes --option=value for three words.
    if [[ $current == '=' ]]; then
        current=''
    elif [[ $previous == '=' ]]; then
        previous=${COMP_WORDS[COMP_CWORD-2]}
    fi
    COMPREPLY=()
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        case "$command $word" in"""
_BASH_END = """\
    esac
    if [[ $current == -* ]]; then
        kind=''
    else
        case "$command $position" in
%(positionals)s
            *) [[ -n $command ]] || offered='%(commands)s' ;;
        esac
    fi
    _sentry_paste_offer
}

_sentry_paste_offer() {
    local IFS=$'\\n'
    case $kind in
        file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")) ;;
        directory) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$current")) ;;
        command) COMPREPLY=($(compgen -c -- "$current")) ;;
        *) IFS=$' \\n'; COMPREPLY=($(compgen -W "$offered" -- "$current")) ;;
    esac
}

complete -F _sentry_paste sentry-paste"""
_NOTHING = "''"


def _bash(root: Command) -> Iterator[str]:
    every = list(root.walk())
    yield _BASH_START
    for command in every:
        for inner in command.commands:
            yield f"            '{' '.join(command.path)} {inner.path[-1]}')"
            yield f"                command='{' '.join(inner.path)}' position=0 ;;"
    for command in every:
        flags = [flag for option in command.options if option.name for flag in option.flags]
        if flags:
            patterns = "|".join(f"'{' '.join([*command.path, flag])}'" for flag in flags)
            yield f"            {patterns})"
            yield "                [[ ${COMP_WORDS[index+1]} == '=' ]] && ((index++)); ((index++)) ;;"
    yield from ("            *' -'*) ;;", "            *) ((position++)) ;;", "        esac")
    for command in every:
        if any(argument.has_rest for argument in command.positionals):
            # What follows the program is that program's.
            yield f"        [[ $command == '{' '.join(command.path)}' ]] && ((position > 0)) && break"
    yield from ("    done", '    case "$command" in')
    for command in every:
        flags = [flag for option in command.options for flag in option.flags]
        yield f"        '{' '.join(command.path)}') offered='{' '.join(flags)}' ;;"
    yield from ("    esac", '    case "$command $previous" in')
    for command in every:
        for option in command.options:
            if option.name:
                patterns = "|".join(f"'{' '.join([*command.path, flag])}'" for flag in option.flags)
                what = f"offered='{' '.join(option.choices)}' kind={option.kind or _NOTHING}"
                yield f"        {patterns}) {what}; _sentry_paste_offer; return ;;"
    positionals = "\n".join(_bash_positionals(every))
    yield _BASH_END % {
        "positionals": positionals,
        "commands": " ".join(command.path[0] for command in root.commands),
    }


def _bash_positionals(every: list[Command]) -> Iterator[str]:
    for command in every:
        name = " ".join(command.path)
        if command.path and command.commands:
            names = " ".join(inner.path[-1] for inner in command.commands)
            yield f"            '{name} '[0-9]*) offered='{names}' ;;"
        for position, argument in enumerate(command.positionals):
            kind = "file" if argument.has_rest else argument.kind
            # Where nothing is known of an argument, the options stay.
            if kind or argument.choices:
                is_last = argument.is_many or argument.has_rest
                place = f"'{name} '[0-9]*" if is_last else f"'{name} {position}'"
                what = f"offered='{' '.join(argument.choices)}' kind={kind or _NOTHING}"
                yield f"            {place}) {what} ;;"


# zsh

_ZSH_ACTIONS = {"directory": "_directories", "file": "_files", "command": "_command_names -e"}


def _zsh(root: Command) -> Iterator[str]:
    yield "#compdef sentry-paste"
    yield "# Completion of sentry-paste for zsh, printed by: sentry-paste completion zsh"
    for command in root.walk():
        yield ""
        yield f"{_zsh_function(command)}() {{"
        if command.commands:
            yield from _zsh_group(command)
        else:
            yield from _zsh_arguments([*_zsh_options(command), *_zsh_positionals(command)], "_arguments -s")
        yield "}"
    yield ""
    # Both where it is loaded by its name from $fpath, and where it is evaluated.
    yield 'if [[ "${funcstack[1]}" == "_sentry-paste" ]]; then'
    yield '    _sentry_paste "$@"'
    yield "else"
    yield "    compdef _sentry_paste sentry-paste"
    yield "fi"


def _zsh_function(command: Command) -> str:
    return "_sentry_paste" + "".join(f"__{word.replace('-', '_')}" for word in command.path)


def _zsh_group(command: Command) -> Iterator[str]:
    yield "    local state line"
    words = [*_zsh_options(command), "'1: :->command'", "'*:: :->arguments'"]
    yield from _zsh_arguments(words, "_arguments -C")
    yield "    case $state in"
    yield "        command)"
    yield "            local -a commands=("
    for inner in command.commands:
        yield f"                {shlex.quote(f'{inner.path[-1]}:{inner.summary}')}"
    yield "            )"
    yield "            _describe command commands ;;"
    yield "        arguments)"
    yield "            case $words[1] in"
    for inner in command.commands:
        yield f"                {inner.path[-1]}) {_zsh_function(inner)} ;;"
    yield from ("            esac ;;", "    esac")


def _zsh_arguments(words: list[str], start: str) -> Iterator[str]:
    yield " \\\n        ".join([f"    {start}", *words])


def _zsh_options(command: Command) -> Iterator[str]:
    for option in command.options:
        value = f":{_zsh_text(option.name)}:{_zsh_action(option)}" if option.name else ""
        others = "*" if option.is_many else f"({' '.join(option.flags)})" if len(option.flags) > 1 else ""
        for flag in option.flags:
            yield shlex.quote(f"{others}{flag}[{_zsh_text(option.help)}]{value}")


def _zsh_positionals(command: Command) -> Iterator[str]:
    for number, argument in enumerate(command.positionals, start=1):
        if argument.has_rest:
            yield shlex.quote(f"*::{_zsh_text(argument.name)}:_normal")
        else:
            place = "*" if argument.is_many else f"{number}"
            yield shlex.quote(f"{place}:{_zsh_text(argument.name)}:{_zsh_action(argument)}")


def _zsh_action(argument: Argument) -> str:
    if argument.choices:
        return f"({' '.join(argument.choices)})"
    return _ZSH_ACTIONS.get(argument.kind, " ")


def _zsh_text(text: str) -> str:
    """Return text without what has a meaning in a specification."""
    return "".join(f"\\{char}" if char in "[]:\\" else char for char in text)


# fish

_FISH_START = """\
# Completion of sentry-paste for fish, printed by: sentry-paste completion fish
function __sentry_paste_is
    # Whether the words that are no options are exactly those given.
    set -l words
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; or set -a words $word
    end
    test "$words" = "$argv"
end

function __sentry_paste_in
    # Whether they begin with those given.
    set -l words
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; or set -a words $word
    end
    set -l last (count $argv)
    test (count $words) -ge $last; and test "$words[1..$last]" = "$argv"
end

complete -c sentry-paste -f"""
_FISH_ARGUMENTS = {
    "directory": "(__fish_complete_directories)",
    "file": "(__fish_complete_path)",
    "command": "(__fish_complete_command)",
}


def _fish(root: Command) -> Iterator[str]:
    yield _FISH_START
    for command in root.walk():
        name = " ".join(command.path)
        is_here = (
            f"__sentry_paste_in {name}" if name and not command.commands else f"__sentry_paste_is {name}"
        )
        start = f"complete -c sentry-paste -n {shlex.quote(is_here.rstrip())}"
        for inner in command.commands:
            yield f"{start} -a {inner.path[-1]} -d {_fish_text(inner.summary)}"
        for option in command.options:
            flags = " ".join(
                f"-l {flag[2:]}" if flag[1] == "-" else f"-s {flag[1:]}" for flag in option.flags
            )
            yield f"{start} {flags}{_fish_value(option)} -d {_fish_text(option.help)}"
        for argument in command.positionals:
            offered = " ".join(argument.choices) or _FISH_ARGUMENTS.get(argument.kind, "")
            if argument.has_rest:
                offered = "(__fish_complete_subcommand --fcs-skip=2)"
            if offered:
                yield f"{start} -a {_fish_text(offered)} -d {_fish_text(argument.name)}"


def _fish_value(option: Argument) -> str:
    if not option.name:
        return ""
    if option.choices:
        return f" -x -a {_fish_text(' '.join(option.choices))}"
    return " -r -F" if option.kind == "file" else " -x"


def _fish_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
