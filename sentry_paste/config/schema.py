"""A JSON Schema of the options, for editors and for tools that write inis.

An instance is a section: the text of each option by its name, as it is written in the ini. Whether a dotted
name can be imported, and whether a regular expression is one, only Python can check.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sentry_paste import sdk
from sentry_paste.config import kinds, own_options, references
from sentry_paste.config.aliases import ALIASES, OBSOLETE
from sentry_paste.config.error_budget import ERROR_BUDGET, PERIODS
from sentry_paste.config.error_rules import CLASS_LEVELS, CLASS_RATES, FINGERPRINTS, LEVELS, MESSAGES
from sentry_paste.config.families import DATA_COLLECTION, EVENT_SCRUBBER
from sentry_paste.config.keep_rules import KEEP_RULES
from sentry_paste.config.kinds import Kind, Option
from sentry_paste.config.options import default_text, options, options_by_topic

_ANY = r"[\s\S]*"
_LINE = r"[^\n]*"
# Between the entries of lists: newlines and commas, and spaces if entries have none.
_COMMAS = r"\s*[\n,][\s,]*"
_SPACES = r"[\s,]+"
_LINES = r"[ \t]*\n\s*"

_WHOLE = r"[0-9][0-9_]*"
_NUMBER = r"(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?"
_AMOUNT = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_RATE = r"(?:\+?(?:0*1(?:\.0*)?|0+(?:\.[0-9]*)?|0*\.[0-9]+|[0-9]*\.?[0-9]+[eE]-[0-9]+)|-0+(?:\.0*)?)"
_UNITS = (
    *("ms", "millisecond", "milliseconds", "s", "sec", "second", "seconds", "m", "min", "minute", "minutes"),
    *("h", "hour", "hours", "d", "day", "days", "week", "weeks"),
)
_GLOB = r"[/*?\[](?:[^\s]*[^\s:])?"
_NAME = r"[^\W0-9]\w*"
_PATH = rf"{_NAME}(?:\.{_NAME})*"
_DOTTED = rf"{_NAME}(?:(?:\.{_NAME})+(?::{_PATH})?|:{_PATH})"
_BOOLEANS = ("true", "yes", "on", "y", "t", "1", "false", "no", "off", "n", "f", "0")


def _word(text: str) -> str:
    """Return a pattern for a word in any case; JSON Schema has no flag for that."""
    return "".join(
        f"[{char.upper()}{char.lower()}]" if char.isalpha() else re.escape(char) for char in text
    ).replace(r"\-", "-")


def _words(texts: Iterable[str]) -> str:
    return f"(?:{'|'.join(map(_word, texts))})"


def _list(entry: str, separator: str) -> str:
    return rf"[\s,]*{entry}(?:{separator}{entry})*[\s,]*"


_BOOLEAN = _words(_BOOLEANS)
_STATUS = r"[1-5][0-9]{2}(?:\s*-\s*[1-5][0-9]{2})?"
_KEEP = (
    rf"(?:{_GLOB}[ \t]+)?(?:{_word('slower')}[ \t]+{_word('than')}[ \t]+{_AMOUNT}\s*{_words(_UNITS)}?"
    rf"|{_word('status')}[ \t]+{_STATUS}(?:[\s,]+{_STATUS})*|{_word('errors')})"
    rf"(?:[ \t]+{_word('at')}[ \t]+{_RATE})?"
)
_CLASS = rf"{_PATH}(?::{_PATH})?"
_BUDGET = (
    rf"[0-9]{{1,9}}[ \t]+{_word('per')}[ \t]+{_words(PERIODS)}(?:[ \t]+{_word('in')}[ \t]+{_word('all')})?"
)
_LEVELS = rf"(?:{_word('logger')}[ \t]+[^\s]+|{_CLASS})[ \t]+{_words(LEVELS)}"
_SUBJECT = rf"(?:{_words(('message', 'transaction', 'module'))}[ \t]+[^\s]{_LINE}|{_CLASS})"
_FINGERPRINT = rf"{_SUBJECT}[ \t]*->[ \t,]*[^\s,]{_LINE}"
_MESSAGE = r"(?:(?!re:)[^\s][^\n]*|re:[ \t]*[^\s][^\n]*)"
_HTTP = r"https?://[^/\s]\S*"
_PATTERNS: Mapping[Kind, str] = {
    kinds.BOOLEAN: _BOOLEAN,
    kinds.RATE: _RATE,
    kinds.COUNT: rf"\+?{_WHOLE}",
    kinds.POSITIVE: r"\+?0*[1-9][0-9_]*",
    kinds.NUMBER: rf"[+-]?{_NUMBER}",
    own_options.CONNECTIONS: r"\+?0*(?:[1-9][0-9]?|100)",
    own_options.RELOAD: rf"(?:{_BOOLEAN}|{_word(own_options.ON_COMMAND)})",
    own_options.FSYNC: rf"(?:{_BOOLEAN}|{_AMOUNT}\s*{_words(_UNITS)}?)",
    own_options.POSITIVE_NUMBER: rf"\+?{_NUMBER}",
    kinds.SIZE: rf"{_AMOUNT}\s*(?:[kKmMgG]?[bB]|[kKmMgG][iI][bB])?",
    kinds.TEXT: _LINE,
    kinds.METHODS: _list("[A-Za-z_-]+", _SPACES),
    kinds.GLOBS: _list(r"[/*?\[](?:[^\s,]*[^\s,:])?", _COMMAS),
    kinds.GLOB_RATES: rf"{_GLOB}[ \t]+{_RATE}(?:{_LINES}{_GLOB}[ \t]+{_RATE})*",
    kinds.GLOB_NAMES: rf"{_GLOB}[ \t]+[^\s=:]{_LINE}(?:\n\s*{_GLOB}[ \t]+[^\s=:]{_LINE})*",
    kinds.MAPPING: rf"[^:=\n]*[^:=\s]\s*[:=]{_LINE}(?:\n\s*[^:=\n]*[^:=\s]\s*[:=]{_LINE})*",
    kinds.TAGS: rf"[\w.-]{{1,200}}\s*[:=]{_LINE}(?:\n\s*[\w.-]{{1,200}}\s*[:=]{_LINE})*",
    CLASS_RATES: rf"{_CLASS}[ \t]+{_RATE}(?:{_LINES}{_CLASS}[ \t]+{_RATE})*",
    CLASS_LEVELS: rf"{_LEVELS}(?:{_LINES}{_LEVELS})*",
    ERROR_BUDGET: rf"{_BUDGET}(?:{_LINES}{_BUDGET})?",
    FINGERPRINTS: rf"{_FINGERPRINT}(?:\n\s*{_FINGERPRINT})*",
    MESSAGES: rf"{_MESSAGE}(?:{_LINES}{_MESSAGE})*",
    KEEP_RULES: rf"{_KEEP}(?:{_LINES}{_KEEP})*",
    kinds.STATUS_CODES: _list(_STATUS, _COMMAS),
    kinds.DSN: rf"(?:[a-z_]+\+)*{_word('http')}[sS]?://[^@/\s]+@[^/\s?]+(?:/[^\s?]*)?/[0-9]+(?:\?[^@\s]*)?",
    kinds.BOOLEAN_OR_URL: rf"(?:{_BOOLEAN}|{_HTTP})",
    kinds.PROXY: r"(?:https?|socks[45][ah]?)://[^/\s]\S*",
    kinds.HEADER_NAME: r"[A-Za-z0-9!#$%&'*+.^_`|~-]+",
    kinds.SOCKET_OPTIONS: r"(?:\w+[ \t,]+){2}-?[0-9]+(?:[ \t]*\n\s*(?:\w+[ \t,]+){2}-?[0-9]+)*",
    kinds.FUNCTIONS: _list(r"\.*[^\s,.][^\s,]*\.[^\s,]*[^\s,.]\.*", _SPACES),
    references.EXCEPTIONS: _list(_CLASS, _SPACES),
    **dict.fromkeys((references.HOOK, references.OBJECT, references.TRANSPORT), _DOTTED),
    **dict.fromkeys((references.DICT, references.SCRUBBER), _DOTTED),
}


def _pattern(kind: Kind) -> str:
    """Return the pattern of a kind's text; that of any text if there is none."""
    if kind in _PATTERNS:
        return _PATTERNS[kind]
    if kind.name == "duration":
        return rf"{_AMOUNT}\s*{_words(_UNITS)}?"
    # The words of a choice are in the text of what it expects.
    if kind.name == "choice":
        return _words(kind.expected.partition("one of ")[2].split(", "))
    if kind is own_options.SPOOL_ITEMS:
        return _list(_words(["all", "none", *kind.expected.rpartition(": ")[2].split(", ")]), _SPACES)
    if kind.expected.startswith("none, or any of "):
        known = kind.expected.partition("any of ")[2].partition(", separated")[0]
        return _list(_words(["none", *known.split(", ")]), _SPACES)
    return _ANY


def of_kind(kind: Kind) -> dict[str, Any]:
    """Return the schema of a kind's text: also an empty one, and one with a variable.

    Args:
        kind: of an option.
    """
    return _text(_pattern(kind))


def _text(pattern: str) -> dict[str, Any]:
    if pattern == _ANY:
        return {"type": "string"}
    return {"type": "string", "pattern": rf"^\s*(?:{pattern})?\s*$|\$\{{|%\("}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a section, for the installed SDK."""
    properties: dict[str, dict[str, Any]] = {
        name: {"description": text, "type": "string"} for name, text in _OF_PASTE_DEPLOY.items()
    }
    properties.update(_properties())
    spellings = {_spellings(name): {"$ref": f"#/properties/{name}"} for name in properties}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Options of sentry_paste with sentry-sdk {sdk.VERSION}",
        "description": "A section of an ini: the text of each option by its name.",
        "type": "object",
        "properties": properties,
        "patternProperties": {**_FREE, **spellings},
        # Not additionalProperties: validators would list all patterns in its message.
        "unevaluatedProperties": False,
    }


_OF_PASTE_DEPLOY = {
    "use": "What PasteDeploy loads: egg:sentry_paste, or another section.",
    "paste.filter_factory": "The same without an entry point: sentry_paste:filter_factory.",
    "paste.filter_app_factory": "The same for a filter-app.",
    "paste.composite_factory": "The same for a composite: sentry_paste:composite_factory.",
    "app": "The app of a composite.",
    "next": "The app of a filter-app.",
    "filter-with": "A filter around this one.",
    "require": "Distributions that must be installed.",
}

# The parts that the user names.
_FREE: Mapping[str, dict[str, Any]] = {
    rf"^(?:set )?(?:sentry\.)?{pattern}$": entry
    for pattern, entry in {
        r"tags\.[A-Za-z0-9_.:-]{1,200}": {"description": "A tag for all events.", **_text(_LINE)},
        r"contexts\.(?!trace\.)[^.]+\.[^\n]+": {
            "description": "A value in a context of all events.",
            "type": "string",
        },
        r"integration\.[^\s]+\.\w+": {"description": "An argument for an integration.", "type": "string"},
        r"proxy[_-]headers\.[^\n]+": {"description": "A header for the proxy.", "type": "string"},
        r"_experiments\.[^\n]+": {"description": "A switch of the SDK.", "type": "string"},
    }.items()
}


def _spellings(name: str) -> str:
    """Return a pattern for an option's name in all its spellings: with a prefix, with hyphens."""
    head, dot, rest = name.partition(".")
    return rf"^(?:[sg]et )?(?:sentry\.)?{re.escape(head).replace('_', '[_-]')}{re.escape(dot + rest)}$"


def _properties() -> Iterator[tuple[str, dict[str, Any]]]:
    for title, found in options_by_topic():
        for option in found:
            if option.name.isidentifier():
                yield option.name, _property(option, title)
    for family, members in (("data_collection", DATA_COLLECTION), ("event_scrubber", EVENT_SCRUBBER)):
        for key, kind in members.items():
            yield f"{family}.{key}", {"description": f"Expects {kind.expected}.", **of_kind(kind)}
    for name, alias in ALIASES.items():
        description = f"{alias.project}'s name for {alias.option}."
        same = options().get(alias.option)
        entry = of_kind(same.kind) if same else {"type": "string"}
        yield name, {"description": description, **entry, "deprecated": True}
    for name in sorted(OBSOLETE):
        yield name, {"description": "Without effect.", "type": "string", "deprecated": True}


def _property(option: Option, title: str) -> dict[str, Any]:
    entry = {
        "description": f"{option.help} Expects {option.kind.expected}.",
        "$comment": title,
        **(_integrations() if option.name in _OF_INTEGRATIONS else of_kind(option.kind)),
    }
    default = default_text(option)
    return {**entry, "default": default} if default else entry


_OF_INTEGRATIONS = ("integrations", "disabled_integrations")


def _integrations() -> dict[str, Any]:
    names = "|".join(sorted(map(re.escape, sdk.integration_modules())))
    return _text(_list(f"(?:{names}|{_DOTTED})", _SPACES))
