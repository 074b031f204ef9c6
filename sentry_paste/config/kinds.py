"""The kinds of value that an option can have, and how the text of an ini becomes one.

A kind knows what it expects in words that end up in an error message, and turns
text into a value or raises ``ValueError``. It never imports the user's code:
the kinds that name something to import give a ``Reference``, which the reader
resolves when all syntax has been checked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from paste.deploy.converters import asbool

from sentry_paste import sdk

_DOTTED_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?")


@dataclass(frozen=True)
class Kind:
    """A kind of value.

    Attributes:
        name: one word for the reference.
        expected: what is expected, to follow the word "expected".
        parse: text to value; raises ValueError, with a message where it knows more than ``expected``.
        is_path: whether relative values are relative to the ini's directory.
    """

    name: str
    expected: str
    parse: Callable[[str], Any]
    is_path: bool = False


@dataclass(frozen=True)
class Reference:
    """Something to import, by the name that the ini gives.

    Attributes:
        names: dotted names, ``package.module:attribute`` or ``package.module.attribute``.
        build: makes the option's value of the imported objects; raises ValueError for wrong ones.
    """

    names: tuple[str, ...]
    build: Callable[[list[Any]], Any]

    def resolve(self) -> Any:
        """Import the names and return the option's value.

        Raises:
            ValueError: a name does not import, or names something of the wrong kind.
        """
        return self.build([import_name(name) for name in self.names])


def import_name(name: str) -> Any:
    """Import an object by its dotted name.

    Args:
        name: ``package.module:attribute`` or ``package.module.attribute``.

    Raises:
        ValueError: the name is misspelt, or importing it fails; says which part.
    """
    if not _DOTTED_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no dotted name such as package.module:attribute")
    module_name, _, path = name.partition(":")
    if not path:
        module_name, _, path = name.rpartition(".")
    if not module_name:
        raise ValueError(f"{name!r} names no module: write package.module:attribute")
    try:
        found = import_module(module_name)
    except Exception as error:  # a module of the user's can raise anything
        raise ValueError(f"cannot import {module_name}: {type(error).__name__}: {error}") from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{module_name} has no {path}")
        found = getattr(found, part)
    return found


def split_words(text: str) -> list[str]:
    """Split a list that is written by line or by comma; blank entries are dropped.

    Args:
        text: ``a, b`` or an entry on each line.
    """
    return [word for line in text.splitlines() for word in map(str.strip, line.split(",")) if word]


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _rate(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise ValueError
    return value


def _seconds(text: str) -> float:
    value = _number(text)
    if value < 0:
        raise ValueError
    return value


def _count(text: str, least: int = 0) -> int:
    value = int(text)
    if value < least:
        raise ValueError
    return value


def _status_codes(text: str) -> frozenset[int]:
    codes: set[int] = set()
    for word in split_words(text):
        match = re.fullmatch(r"([1-5]\d\d)(?:\s*-\s*([1-5]\d\d))?", word)
        if match is None:
            raise ValueError
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError
        codes.update(range(first, last + 1))
    return frozenset(codes)


def _mapping(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        match = re.fullmatch(r"([^:=]*[^:=\s])\s*[:=]\s*(.*)", line)
        if match is None:
            raise ValueError
        pairs[match[1]] = match[2]
    return pairs


def _dsn(text: str) -> str:
    fault = sdk.dsn_fault(text)
    if fault:
        raise ValueError(f"expected a DSN, https://KEY@HOST/PROJECT ({fault})")
    return text


def _bool_or_url(text: str) -> bool | str:
    if re.match(r"https?://", text):
        return text
    return bool(asbool(text))


def _one_callable(objects: list[Any]) -> Any:
    (found,) = objects
    if not callable(found):
        raise ValueError(f"{type(found).__name__} object is not callable")
    return found


def _one_object(objects: list[Any]) -> Any:
    """Return the object; where the name is a class's, an instance of it."""
    (found,) = objects
    if not isinstance(found, type):
        return found
    try:
        return found()
    except Exception as error:  # a class of the user's can raise anything
        raise ValueError(f"{found.__name__}() failed: {error}") from error


def _one_transport(objects: list[Any]) -> Any:
    (found,) = objects
    if not sdk.is_transport(found):
        raise ValueError("is neither a sentry_sdk.transport.Transport nor a subclass of it")
    return found


def _integration_instances(objects: list[Any]) -> list[Any]:
    return [sdk.integration_instance(found) for found in objects]


def _integration_classes(objects: list[Any]) -> list[Any]:
    return [sdk.integration_class(found) for found in objects]


def _reference(build: Callable[[list[Any]], Any]) -> Callable[[str], Reference]:
    def parse(text: str) -> Reference:
        return Reference((_checked_name(text),), build)

    return parse


def _references(build: Callable[[list[Any]], Any]) -> Callable[[str], Reference]:
    def parse(text: str) -> Reference:
        words = [word for entry in split_words(text) for word in entry.split()]
        return Reference(tuple(map(_checked_name, words)), build)

    return parse


def _checked_name(text: str) -> str:
    if not _DOTTED_NAME.fullmatch(text) or not ({".", ":"} & set(text)):
        raise ValueError
    return text


def choice(values: Iterable[str]) -> Kind:
    """Return the kind of an option that takes one of a few words.

    Args:
        values: the words; case and surrounding blanks do not matter in the ini.
    """
    words = {value.lower(): value for value in values}

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError
        return words[text.lower()]

    return Kind("choice", "one of " + ", ".join(words.values()), parse)


BOOLEAN = Kind("boolean", "true or false", lambda text: bool(asbool(text)))
RATE = Kind("rate", "a number from 0 to 1", _rate)
COUNT = Kind("count", "a whole number, 0 or more", _count)
POSITIVE = Kind("positive", "a whole number, 1 or more", lambda text: _count(text, least=1))
NUMBER = Kind("number", "a number", _number)
SECONDS = Kind("seconds", "a number of seconds, 0 or more", _seconds)
TEXT = Kind("text", "some text", lambda text: text)
WORDS = Kind("list", "a list, by line or by comma", split_words)
UPPER_WORDS = Kind(
    "list", "a list, by line or by comma", lambda text: frozenset(map(str.upper, split_words(text)))
)
MAPPING = Kind("mapping", "lines of name: value", _mapping)
STATUS_CODES = Kind("codes", "HTTP status codes and ranges of them, 404, 500-599", _status_codes)
PATH = Kind("path", "a path", lambda text: text, is_path=True)
DSN = Kind("DSN", "a DSN, https://KEY@HOST/PROJECT", _dsn)
BOOLEAN_OR_URL = Kind("boolean or URL", "true, false or a URL", _bool_or_url)
FUNCTIONS = Kind(
    "list",
    "dotted names of functions, by line or by comma",
    lambda text: [{"qualified_name": name} for name in split_words(text)],
)
_NAME_EXPECTED = "a dotted name, package.module:attribute or package.module.attribute"
HOOK = Kind("hook", _NAME_EXPECTED + ", of a callable", _reference(_one_callable))
OBJECT = Kind("object", _NAME_EXPECTED, _reference(_one_object))
TRANSPORT = Kind("transport", _NAME_EXPECTED + ", of a transport", _reference(_one_transport))
INTEGRATIONS = Kind(
    "integrations", "dotted names of integrations, by line or by comma", _references(_integration_instances)
)
INTEGRATION_CLASSES = Kind(
    "integrations", "dotted names of integrations, by line or by comma", _references(_integration_classes)
)
