"""Redact commands: arguments that are secret by their names, in a list, and those of well-known programs.

``mysql -p...`` and ``sshpass -p ...`` say in no name that a password follows. Where a command is text, other
arguments are found like any name in text (``named_values``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.enclosed import closed_value
from sentry_paste.redaction.named_values import BEYOND_ASCII, SECRET_RULES, Span
from sentry_paste.redaction.names import FILTERED, Names

#: A text without any of these has no argument that is known to be a password.
SIGNS_OF_ARGUMENTS = ("-p", "-P", "-a", "-w")
#: Programs with an argument that is joined to its sign, and others.
PROGRAMS = ("mysql", "maria", "7z", "sshpass", "mongo", "login", "sqlcmd", "bcp", "zip")
#: Such an argument: the search leaps to its sign, and looks for a program before it.
ARGUMENT = re.compile(r"-[pPaw](?<![\w-]-.)")
_LOGIN = "docker|podman|nerdctl|helm|oc|az"
# In a list each argument has quotes of its own.
_NEXT = r"(?:\\{0,64}['\"],)?\s(?:\\{0,64}['\"])?"
_PROGRAM = re.compile(
    rf"\b(?:(?P<attached>mysql|maria|7z)|(?P<p>sshpass|mongo|(?:{_LOGIN}){_NEXT}login)"
    r"|(?P<P>sqlcmd|bcp|zip|unzip)|(?P<a>redis-cli)|(?P<w>ldap[a-z]{2,10}))\w{0,20}\b"
)
_JOINED = r"(?=[^\s'\",=-])"
_WITH_PASSWORD = {
    "attached": re.compile(rf"-p{_JOINED}"),
    "p": re.compile(rf"-p(?:{_NEXT}|{_JOINED})(?!-)"),
    "P": re.compile(rf"-P(?:{_NEXT}|{_JOINED})(?!-)"),
    "a": re.compile(rf"-a{_NEXT}(?!-)"),
    "w": re.compile(rf"-w{_NEXT}(?!-)"),
}
_BETWEEN_COMMANDS = re.compile(r"\r?\n|\\{1,64}[nr]|[;|]|&&")
_LONGEST_COMMAND = 1000
_WORD = re.compile(rf"(?:[^\s'\"\\\])]|{BEYOND_ASCII})+")
_QUOTE_BEFORE = re.compile(r"\\{0,64}['\"]\Z")

#: An option, as it is written.
OPTION = re.compile(r"--?[A-Za-z][\w.-]{0,80}")
#: Options that say where a secret is, what it is called or how long it lasts, or that switch it off.
NO_SECRET = re.compile(
    r"--?no-.*|.*[-_.](?:file|path|dir|directory|name|backend|type|age|ttl|timeout|stdin)", re.IGNORECASE
)
# How many arguments of a list are looked at: no command has more.
_MOST = 200
# Longer ones are values.
_LONGEST = 300
# An argument in a list, as the SDK shows it in variables.
_QUOTED = re.compile(r"b?(['\"])(.*)\1", re.DOTALL)


def password_of_program(
    text: str,
    hit: re.Match[str],
    names: Names,  # noqa: ARG001
) -> Iterator[tuple[int, int]]:
    """Yield where the password is that an argument of a program may be, if it is one.

    Args:
        text: any.
        hit: of ``ARGUMENT``.
        names: not used: these have none.
    """
    before = _BETWEEN_COMMANDS.split(text[max(hit.start() - _LONGEST_COMMAND, 0) : hit.start()])[-1]
    programs = list(_PROGRAM.finditer(before))
    argument = _WITH_PASSWORD[str(programs[-1].lastgroup)].match(text, hit.start()) if programs else None
    span = _value_at(text, argument.start(), argument.end()) if argument else None
    if span:
        yield span


def _value_at(text: str, option: int, start: int) -> Span:
    quote = _QUOTE_BEFORE.search(text, max(option - 65, 0), start)
    if quote is not None and quote.end() == start:  # -p 'a b'
        return closed_value(text, quote.start())
    quote = _QUOTE_BEFORE.search(text, max(option - 65, 0), option)
    if quote is not None:  # '-pa b'
        found = closed_value(text, quote.start())
        return (start, found[1]) if found and found[1] > start else None
    word = _WORD.match(text, start)
    return word.span() if word else None


def has_options(items: list[Any]) -> bool:
    """Return whether a list may be a command with options.

    Args:
        items: of the list.
    """
    if len(items) > _MOST:
        items = items[:_MOST]
    try:
        if "-" not in "".join(items):
            return False
    except TypeError:
        pass  # not all of them are texts
    # A list is created faster than a generator.
    return True in [type(item) is str and "-" in item[:3] for item in items]


def secret_arguments(items: list[Any], names: Names, bounds: Bounds) -> Iterator[tuple[int, str]]:
    """Yield the arguments of a command that are secret, by their places, and what is shown of them.

    Args:
        items: of a list that may be a command.
        names: which names are secret.
        bounds: what new names may cost together.
    """
    option = program = before = ""
    for place, item in enumerate(items[:_MOST]):
        if type(item) is not str:
            option = ""
            continue
        quoted = _QUOTED.fullmatch(item) if len(item) <= _LONGEST else None
        plain = quoted[2] if quoted else item
        if plain[:1] != "-" and option:
            user = plain.partition(":")[0] if program == "u" and option == "-u" else ""
            yield place, f"{user}:{FILTERED}" if user and ":" in plain else FILTERED
            option = ""
        elif plain[:1] != "-":
            program, before = _kind(plain, before) or program, plain
        else:
            option = plain if _is_secret(plain, program, names, bounds) else ""
            if not option and program in ("attached", "p", "P") and _is_joined(plain, program):
                yield place, f"{plain[:2]}{FILTERED}"


def _kind(word: str, before: str) -> str:
    """Return of which kind a program is, an empty string if a word is none that is known."""
    name = word.rpartition("/")[2]
    if name == "curl":
        return "u"
    if name == "login" and before.rpartition("/")[2] in _LOGIN.split("|"):
        return "p"
    found = _PROGRAM.fullmatch(name)
    return str(found.lastgroup) if found else ""


def _is_secret(option: str, program: str, names: Names, bounds: Bounds) -> bool:
    """Return whether what follows an option is secret."""
    if program and program != "attached" and option == f"-{program}":
        return True
    if not OPTION.fullmatch(option) or NO_SECRET.fullmatch(option):
        return False
    name = option.lstrip("-")
    return names.may_examine(name, bounds) and names.key_rule(name) in SECRET_RULES


def _is_joined(argument: str, program: str) -> bool:
    sign = "-P" if program == "P" else "-p"
    return argument.startswith(sign) and len(argument) > len(sign) and argument[len(sign)] not in "=-"
