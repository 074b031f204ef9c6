"""The kinds of value that an option can have, and how each is parsed from the text of an ini.

A kind describes what it expects, in words for error messages, and turns text into
a value or raises ``ValueError``.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from paste.deploy.converters import asbool

from sentry_paste import sdk
from sentry_paste.config.errors import NotInstalledError
from sentry_paste.config.lines import each_line
from sentry_paste.config.texts import duration as parse_duration
from sentry_paste.config.texts import number, size, split_lines, split_names, split_words


@dataclass(frozen=True)
class Kind:
    """A kind of value.

    Attributes:
        name: one or two words for the reference.
        expected: the expected value, to follow the word "expected".
        parse: turns text into a value; raises ValueError, with a message if it says more than ``expected``.
        is_path: whether the value is a path, which is relative to the ini's directory.
    """

    name: str
    expected: str
    parse: Callable[[str], Any]
    is_path: bool = False


@dataclass(frozen=True)
class Option:
    """An option of the filter.

    Attributes:
        name: as it is written in the ini; the user chooses parts in capitals, as in ``tags.NAME``.
        kind: of its value.
        default: the value if the ini does not set it.
        help: what it does, in a sentence or two.
        default_text: the default in words, if its value is not clear by itself.
        is_sdk: whether it is an option of ``sentry_sdk.init``.
        topic: what it is about: the name of one of ``options.TOPICS``.
        since: the version of this package that has brought it, for an option of the filter's own.
        reloadable: whether a running process takes over a change of it; otherwise the next start does.
    """

    name: str
    kind: Kind
    default: Any = None
    help: str = ""
    default_text: str = ""
    is_sdk: bool = False
    topic: str = ""
    since: str = "1.0"
    reloadable: bool = False


# Names of tags that Sentry's ingestion accepts: https://develop.sentry.dev/sdk/data-model/event-payloads/
TAG_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


def _text(text: str) -> str:
    if "\n" in text:
        raise ValueError  # an indented next line is part of this value
    return text


def _rate(text: str) -> float:
    value = number(text)
    if not 0 <= value <= 1:
        raise ValueError
    return value


def _count(text: str, least: int = 0) -> int:
    value = int(text)
    if value < least:
        raise ValueError
    return value


def _level(text: str) -> int:
    # A table of our own: logging.getLevelName returns a text for any text.
    names = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "WARN": 30, "ERROR": 40, "CRITICAL": 50, "FATAL": 50}
    custom = logging.getLevelName(text.upper())
    if text.upper() in names:
        return names[text.upper()]
    return custom if isinstance(custom, int) else _count(text)


def status_codes(text: str) -> frozenset[int]:
    """Parse HTTP status codes and ranges.

    Args:
        text: ``404, 500-599``.

    Raises:
        ValueError: it is something else.
    """
    codes: set[int] = set()
    for word in split_words(text):
        match = re.fullmatch(r"([1-5]\d\d)(?:\s*-\s*([1-5]\d\d))?", word, re.ASCII)
        if match is None:
            raise ValueError
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError
        codes.update(range(first, last + 1))
    return frozenset(codes)


def _mapping(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in split_lines(text):
        match = re.fullmatch(r"([^:=]*[^:=\s])\s*[:=]\s*(.*)", line)
        if match is None:
            raise ValueError
        pairs[match[1]] = match[2]
    return pairs


def _tags(text: str) -> dict[str, str]:
    pairs = _mapping(text)
    for name in pairs:
        if not TAG_NAME.fullmatch(name):
            raise ValueError(f"expected letters, digits and _.:- in the name of a tag, not {name!r}")
    return pairs


def _dsn(text: str) -> str:
    fault = sdk.dsn_fault(text)
    if fault:
        raise ValueError(f"expected a DSN, https://KEY@HOST/PROJECT ({fault})")
    return text


def _bool_or(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return bool(asbool(text))
    except ValueError:
        return parse(text)


# One letter before a colon is a drive of Windows', and a slash behind it a URL's.
_IN_PACKAGE = re.compile(r"(?P<package>[A-Za-z_]\w+(?:\.[A-Za-z_]\w*)*):(?P<path>[^\\/].*)", re.DOTALL)


def _file(text: str) -> str:
    """Return the path of a file, which may be in a package, as in Pyramid: ``PACKAGE:PATH``.

    The package is not imported: what it needs may not be configured yet.
    """
    match = _IN_PACKAGE.fullmatch(text)
    if match is None:
        return text
    top, *parts = match["package"].split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise NotInstalledError(f"the package {top} is not installed", top)
    places = [os.path.join(place, *parts, match["path"]) for place in spec.submodule_search_locations]
    return next(filter(os.path.exists, places), places[0])


def _url(text: str) -> str:
    if not re.match(r"https?://[^/\s]", text):
        raise ValueError
    return text


def _proxy(text: str) -> str:
    if not re.match(r"(https?|socks[45][ah]?)://[^/\s]", text):
        raise ValueError
    return text


def _methods(text: str) -> frozenset[str]:
    names = split_names(text)
    if not all(re.fullmatch(r"[A-Za-z_-]+", name) for name in names):
        raise ValueError
    return frozenset(map(str.upper, names))


def _patterns(text: str) -> list[str]:
    # By line only: an expression may have a comma in it.
    return [found.pattern for found in each_line(text, expression)]


def expression(text: str) -> re.Pattern[str]:
    """Compile a regular expression.

    Args:
        text: of the expression.

    Raises:
        ValueError: it is none, and says why.
    """
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"expected a regular expression, but {text!r} is invalid: {error}") from error


def _span_names(text: str) -> list[str | re.Pattern[str]]:
    return each_line(text, _span_name)


def _span_name(line: str) -> str | re.Pattern[str]:
    return expression(line[1:-1]) if len(line) > 2 and line[0] == line[-1] == "/" else line


def glob(text: str) -> str:
    """Check a glob for paths, and return it.

    Args:
        text: of the glob.

    Raises:
        ValueError: it can match no path, and says why.
    """
    # A glob is matched against the whole path: one with another beginning would never match.
    if not text.startswith(("/", "*", "?", "[")):
        raise ValueError(f"expected a glob for a path, beginning with / or *, not {text!r}")
    if re.search(r"\s|:$", text):
        raise ValueError(f"expected a glob without spaces and without a colon at its end, not {text!r}")
    return text


def _globs(text: str) -> tuple[str, ...]:
    return tuple(map(glob, split_words(text)))


def _glob_table(value: Callable[[str], Any], text: str) -> tuple[tuple[str, Any], ...]:
    def row(line: str) -> tuple[str, Any]:
        pattern, *rest = line.split(maxsplit=1)
        if not rest or rest[0].startswith(("=", ":")):
            raise ValueError
        return glob(pattern), value(rest[0])

    return tuple(each_line(text, row))


def _header_name(text: str) -> str:
    # A field name, RFC 9110 section 5.1.
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", text):
        raise ValueError
    return text


def _socket_options(text: str) -> list[tuple[int, int, int]]:
    rows = []
    for line in split_lines(text):
        words = line.replace(",", " ").split()
        if len(words) != 3:
            raise ValueError
        level, option = (
            getattr(socket, word, None) if not word.isdecimal() else int(word) for word in words[:2]
        )
        if not isinstance(level, int) or not isinstance(option, int):
            raise ValueError(
                f"expected names of the socket module, such as SOL_SOCKET SO_KEEPALIVE 1, not {line!r}"
            )
        rows.append((int(level), int(option), int(words[2])))
    return rows


def _functions(text: str) -> list[dict[str, str]]:
    names = split_names(text)
    if not all("." in name.strip(".") for name in names):
        raise ValueError
    return [{"qualified_name": name} for name in names]


def choice(values: Iterable[str]) -> Kind:
    """Return the kind of an option that takes one of a few words.

    Args:
        values: the words; case and surrounding whitespace do not matter in the ini.
    """
    words = {value.lower(): value for value in values}

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError
        return words[text.lower()]

    return Kind("choice", "one of " + ", ".join(words.values()), parse)


def choices(values: Iterable[str]) -> Kind:
    """Return the kind of an option that takes none or any of a few words, in any order.

    Args:
        values: the words, in lower case; case does not matter in the ini.
    """
    known = tuple(values)
    expected = f"none, or any of {', '.join(known)}, separated by newlines, commas or spaces"

    def parse(text: str) -> frozenset[str]:
        names = [name.lower() for name in split_names(text)]
        for name in names if names != ["none"] else ():
            if name not in known:
                nearest = get_close_matches(name, known, n=1, cutoff=0.4)
                hint = f"; did you mean {nearest[0]}?" if nearest else ""
                raise ValueError(f"expected {expected}, not {name!r}{hint}")
        return frozenset(names) - {"none"}

    return Kind("names", expected, parse)


def duration(bare: str, result: str = "seconds", *, whole: bool = False) -> Kind:
    """Return the kind of an option that takes a time: ``30 s``, ``7 days``, or a bare number.

    Args:
        bare: the unit of a bare number.
        result: the unit of the value.
        whole: whether the value is a whole number.
    """

    def parse(text: str) -> float:
        value = parse_duration(text, bare, result)
        return int(value) if whole else value

    return Kind("duration", f"a time such as 30 s, 5 min or 7 days (a bare number is in {bare})", parse)


BOOLEAN = Kind("boolean", "true or false", lambda text: bool(asbool(text)))
RATE = Kind("rate", "a number from 0 to 1", _rate)
COUNT = Kind("count", "a whole number, 0 or more", _count)
POSITIVE = Kind("positive count", "a whole number, 1 or more", lambda text: _count(text, least=1))
NUMBER = Kind("number", "a number", number)
SIZE = Kind("size", "a size such as 10 MB (a bare number is in bytes)", size)
LEVEL = Kind("level", "a log level, by name or number", _level)
LEVEL_OR_NONE = Kind(
    "level",
    "a log level, by name or number, or none",
    lambda text: None if text.lower() in ("none", "off") else _level(text),
)
TEXT = Kind("text", "some text, on one line", _text)
WORDS = Kind("list", "a list, separated by newlines or commas", split_words)
NAMES = Kind("names", "a list of names, separated by newlines, commas or spaces", split_names)
METHODS = Kind("names", "HTTP methods, separated by newlines, commas or spaces", _methods)
PATTERNS = Kind("patterns", "regular expressions, one on each line", _patterns)
SPAN_NAMES = Kind("span names", "names, or /regular expressions/, one on each line", _span_names)
GLOBS = Kind("globs", "globs for paths, separated by newlines or commas", _globs)
GLOB_RATES = Kind(
    "globs with rates", "a glob and a rate from 0 to 1 on each line", lambda text: _glob_table(_rate, text)
)
GLOB_NAMES = Kind("globs with names", "a glob and a name on each line", lambda text: _glob_table(str, text))
MAPPING = Kind("mapping", "one name: value on each line", _mapping)
TAGS = Kind("mapping", "one name: value on each line", _tags)
STATUS_CODES = Kind("status codes", "HTTP status codes or ranges, such as 404, 500-599", status_codes)
PATH = Kind("path", "a path", lambda text: text, is_path=True)
BOOLEAN_OR_PATH = Kind(
    "boolean or path",
    "true, false, a path, or PACKAGE:PATH",
    lambda text: _bool_or(_file, text),
    is_path=True,
)
DSN = Kind("DSN", "a DSN, https://KEY@HOST/PROJECT", _dsn)
BOOLEAN_OR_URL = Kind("boolean or URL", "true, false or a URL", lambda text: _bool_or(_url, text))
PROXY = Kind("proxy", "the URL of a proxy, http://HOST:PORT or socks5://HOST:PORT", _proxy)
HEADER_NAME = Kind("header name", "the name of an HTTP header", _header_name)
SOCKET_OPTIONS = Kind("socket options", "a level, an option and a value on each line", _socket_options)
FUNCTIONS = Kind(
    "functions", "dotted names of functions, separated by newlines, commas or spaces", _functions
)
