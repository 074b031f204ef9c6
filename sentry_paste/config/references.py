"""Kinds of value that are given as the dotted name of something to import.

Parsing only checks the spelling and returns a ``Reference``. The reader resolves it
once all syntax has been checked, so that no user code runs for an ini that is wrong
anyway.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sentry_paste import sdk
from sentry_paste.config.errors import NotInstalledError
from sentry_paste.config.kinds import Kind
from sentry_paste.config.texts import split_names

_DOTTED_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?")
_EXPECTED = "a dotted name, package.module:attribute or package.module.attribute"


@dataclass(frozen=True)
class Reference:
    """Something to import, by the name that the ini gives.

    Attributes:
        names: dotted names, ``package.module:attribute`` or ``package.module.attribute``.
        build: turns the imported objects into the option's value; raises ValueError for wrong ones.
    """

    names: tuple[str, ...]
    build: Callable[[list[Any]], Any]

    def resolve(self) -> Any:
        """Import the names and return the option's value.

        Raises:
            ValueError: names cannot be imported, or an object is of the wrong kind; it has all of the names.
        """
        objects, errors = [], []
        for name in self.names:
            try:
                objects.append(import_name(name))
            except ValueError as error:
                errors.append(error)
        if errors:
            raise _joined(errors)
        return self.build(objects)


def _joined(errors: Sequence[ValueError]) -> ValueError:
    """Return one error for several: something is not installed if that is all."""
    message = "; ".join(dict.fromkeys(map(str, errors)))
    missing = [error for error in errors if isinstance(error, NotInstalledError)]
    return NotInstalledError(message, missing[0].name) if len(missing) == len(errors) else ValueError(message)


def import_name(name: str) -> Any:
    """Import an object by its dotted name.

    Args:
        name: ``package.module:attribute`` or ``package.module.attribute``.

    Raises:
        NotInstalledError: there is no such package.
        ValueError: the name is malformed, or importing it fails; the message says which part.
    """
    if not _DOTTED_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a dotted name such as package.module:attribute")
    module_name, _, path = name.partition(":")
    if not path:
        module_name, _, path = name.rpartition(".")
    if not module_name:
        raise ValueError(f"{name!r} does not name a module: write package.module:attribute")
    try:
        found = import_module(sdk.current_module(module_name))
        for part in path.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:
            raise ValueError(f"{module_name} has no {path}") from error
        raise ValueError(f"cannot import {module_name}: {type(error).__name__}: {error}") from error
    except (Exception, SystemExit) as error:  # a user's module can raise anything
        message = f"cannot import {module_name}: {type(error).__name__}: {error}"
        package = module_name.partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            raise NotInstalledError(message, package) from error
        raise ValueError(message) from error
    return found


def is_dotted(name: str) -> bool:
    """Return whether a name refers to an attribute of a module.

    Args:
        name: as it is written in the ini.
    """
    return bool(_DOTTED_NAME.fullmatch(name)) and bool({".", ":"} & set(name))


def one_object(objects: list[Any]) -> Any:
    """Return the object, or an instance of it if it is a class.

    Args:
        objects: one object.

    Raises:
        ValueError: the class cannot be called without arguments.
    """
    (found,) = objects
    if not isinstance(found, type):
        return found
    try:
        return found()
    except Exception as error:  # a user's class can raise anything
        raise ValueError(f"{found.__name__}() failed: {error}") from error


def _one_callable(objects: list[Any]) -> Any:
    (found,) = objects
    if not callable(found):
        raise ValueError(f"{type(found).__name__} object is not callable")
    return found


def _one_transport(objects: list[Any]) -> Any:
    (found,) = objects
    if not sdk.is_transport(found):
        raise ValueError("expected a sentry_sdk.transport.Transport, a subclass of it, or a function")
    return found


def _reference(build: Callable[[list[Any]], Any]) -> Callable[[str], Reference]:
    def parse(text: str) -> Reference:
        if not is_dotted(text):
            raise ValueError
        return Reference((text,), build)

    return parse


def exception_classes(names: Sequence[str], build: Callable[[list[Any]], Any] = list) -> Reference:
    """Return exceptions by dotted or built-in name; other names stay text, which stands for any module's.

    Args:
        names: as they are written in the ini.
        build: turns them, in this order, into the option's value.

    Raises:
        ValueError: a name is none.
    """
    dotted = tuple(name for name in names if is_dotted(name))
    wrong = [name for name in names if not _DOTTED_NAME.fullmatch(name) or _is_other_built_in(name)]
    if wrong:
        hint = "; there are no patterns here, but subclasses count too" if "*" in "".join(wrong) else ""
        raise ValueError(f"expected names of exception classes, not {' and '.join(map(repr, wrong))}{hint}")

    def build_all(objects: list[Any]) -> Any:
        for found in objects:
            if not _is_exception_class(found):
                raise ValueError(f"{getattr(found, '__name__', found)!r} is not an exception class")
        imported = iter(objects)
        return build([next(imported) if name in dotted else getattr(builtins, name, name) for name in names])

    return Reference(dotted, build_all)


def _is_other_built_in(name: str) -> bool:
    return hasattr(builtins, name) and not _is_exception_class(getattr(builtins, name))


def _is_exception_class(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, BaseException)


def _exceptions(text: str) -> Reference:
    return exception_classes(split_names(text))


def _one_dict(objects: list[Any]) -> Any:
    (found,) = objects
    if not isinstance(found, dict):
        raise ValueError(f"{type(found).__name__} object is not a dict")
    return found


def _one_scrubber(objects: list[Any]) -> Any:
    found = one_object(objects)
    if not callable(getattr(found, "scrub_event", None)):
        raise ValueError("is not a scrubber: it has no scrub_event()")
    return found


HOOK = Kind("hook", _EXPECTED + ", of a callable", _reference(_one_callable))
OBJECT = Kind("object", _EXPECTED, _reference(one_object))
TRANSPORT = Kind("transport", _EXPECTED + ", of a transport", _reference(_one_transport))
EXCEPTIONS = Kind(
    "exceptions", "names of exception classes, separated by newlines, commas or spaces", _exceptions
)
DICT = Kind("dict", _EXPECTED + ", of a dict", _reference(_one_dict))
SCRUBBER = Kind("scrubber", _EXPECTED + ", of a scrubber", _reference(_one_scrubber))
