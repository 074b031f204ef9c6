"""Integrations by name, and their arguments typed by their own signatures."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sentry_paste import sdk
from sentry_paste.config import kinds
from sentry_paste.config.errors import NotInstalledError
from sentry_paste.config.kinds import Kind
from sentry_paste.config.options import derive_kind
from sentry_paste.config.references import Reference, import_name, is_dotted

#: Arguments of one integration by name: text, or what Python code gives.
Arguments = Mapping[str, Any]


def find(name: str) -> type[Any]:
    """Return an integration's class.

    Args:
        name: ``sqlalchemy``, as the SDK's module and the integration are called, or a dotted name.

    Raises:
        NotInstalledError: its library, or the package that a dotted name begins with, is not installed.
        ValueError: there is none of that name, or it cannot be imported.
    """
    if is_dotted(name):
        return sdk.integration_class(_imported(name))
    known = sdk.integration_modules()
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1)
        raise ValueError(
            f"{name!r} is no integration of sentry-sdk" + (f"; did you mean {nearest[0]}?" if nearest else "")
        )
    try:
        module = import_module(f"sentry_sdk.integrations.{name}")
        return sdk.integration_of_module(module, name)
    except Exception as error:  # DidNotEnable where the library is missing, and what its import raises
        told = f"{name} cannot be turned on: {error}"
        missing = _missing(error)
        if missing:
            raise NotInstalledError(told, missing) from error
        raise ValueError(told) from error


def _imported(name: str) -> Any:
    try:
        return import_name(name)
    except ValueError as error:
        missing = _missing(error)
        # A module of the app's own may miss what it should not.
        if missing and name.startswith("sentry_sdk.integrations."):
            raise NotInstalledError(str(error), missing) from error
        raise


def _missing(error: BaseException | None) -> str:
    """Return the module whose absence an error comes of, an empty text where it has another cause."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            return error.name
        error = error.__context__
    return ""


def _argument(cls: type[Any], name: str, argument: str, text: Any) -> Any:
    parameters = dict(list(inspect.signature(cls.__init__).parameters.items())[1:])
    parameter = parameters.get(argument)
    if parameter is None or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        names = [found.name for found in parameters.values() if found.kind is found.POSITIONAL_OR_KEYWORD or
                 found.kind is found.KEYWORD_ONLY]  # fmt: skip
        nearest = difflib.get_close_matches(argument, names, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else f"; it has {', '.join(names) or 'none'}"
        raise ValueError(f"is no argument of {name}{hint}")
    if not isinstance(text, str):  # given by Python code
        return text
    kind = kind_of(parameter)
    try:
        value = kind.parse(text)
    except ValueError as error:
        raise ValueError(f"expected {kind.expected}") from error
    if isinstance(value, Reference):
        value = value.resolve()
    return tuple(value) if isinstance(value, list) and isinstance(parameter.default, tuple) else value


def kind_of(parameter: inspect.Parameter) -> Kind:
    """Return the kind of an integration's argument.

    Args:
        parameter: of the integration's ``__init__``.
    """
    annotation = parameter.annotation
    source = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    source = "" if annotation is parameter.empty else source
    default = None if parameter.default is parameter.empty else parameter.default
    if parameter.name.endswith("level") and not isinstance(default, (str, bool)):
        return kinds.LEVEL_OR_NONE if "Optional" in source or not source else kinds.LEVEL
    if isinstance(default, (set, frozenset)) or "status_codes" in parameter.name:
        return kinds.STATUS_CODES
    if isinstance(default, (list, tuple)):
        return kinds.WORDS
    return derive_kind(parameter.name, source, default)


@dataclass(frozen=True)
class Wrong:
    """What is wrong with an integration, or with one of its arguments.

    Attributes:
        option: whose mistake it is; of all that begin with it where it is no whole one.
        error: what is wrong.
        entry: which name of that option, where it lists names.
    """

    option: str
    error: ValueError
    entry: str = ""


def build_all(
    names: Sequence[str], arguments: Mapping[str, Arguments], sends_user_info: bool = True
) -> tuple[list[Any], list[Wrong]]:
    """Return all integrations that an ini names, and all that is wrong with them.

    Args:
        names: of the option ``integrations``.
        arguments: of ``integration.NAME.ARGUMENT``, by name; a name there turns its integration on too.
        sends_user_info: whether personal data may be sent. If not, no integration may send what redaction
            does not see.
    """
    made: list[Any] = []
    wrong: list[Wrong] = []
    left = dict(arguments)
    for name in names:
        try:
            if not sends_user_info:
                _refuse_to_bypass_redaction(name, arguments)
            cls = find(name)
        except ValueError as error:
            wrong.append(Wrong("integrations", error, name))
            left.pop(_OTLP if _is_otlp(name) else name, None)
            continue
        key = cls.identifier if is_dotted(name) else name
        made += _build(cls, name, left.pop(key, {}), f"integration.{key}", wrong)
    for key, own in left.items():
        try:
            if not sends_user_info:
                _refuse_to_bypass_redaction(key, arguments)
            cls = find(key)
        except ValueError as error:
            wrong.append(Wrong(f"integration.{key}", error))
            continue
        made += _build(cls, key, own, f"integration.{key}", wrong)
    return made, wrong


def may_send_user_info(values: Mapping[str, Any]) -> bool:
    """Return whether options let personal data be sent, as the SDK reads them once a client is made.

    Args:
        values: of the SDK's options, as far as they are given.
    """
    collection = values.get("data_collection")
    if isinstance(collection, Mapping):
        return bool(collection.get("user_info", True))
    return bool(values.get("send_default_pii"))


_OTLP, _EXPORTER = "otlp", "setup_otlp_traces_exporter"


def _is_otlp(name: str) -> bool:
    return name == _OTLP or (is_dotted(name) and name.replace(":", ".").endswith(".OTLPIntegration"))


def _refuse_to_bypass_redaction(name: str, arguments: Mapping[str, Arguments]) -> None:
    """Refuse the integration whose exporter sends OpenTelemetry's spans, past every hook of the SDK.

    Without its exporter it only links errors to OpenTelemetry's traces.

    Raises:
        ValueError: the integration is that one, and its exporter is on.
    """
    if not _is_otlp(name):
        return
    exporter = arguments.get(_OTLP, {}).get(_EXPORTER, "true")
    with suppress(ValueError):  # told by itself
        if exporter is False or (isinstance(exporter, str) and not kinds.BOOLEAN.parse(exporter)):
            return
    raise ValueError(
        "sends spans past redaction, and without send_default_pii nothing personal may be sent; "
        f"expected send_default_pii = true, or integration.{_OTLP}.{_EXPORTER} = false"
    )


def _build(cls: type[Any], name: str, arguments: Arguments, option: str, wrong: list[Wrong]) -> list[Any]:
    """Return an integration, none where something is wrong with it."""
    values: dict[str, Any] = {}
    for argument, text in arguments.items():
        try:
            values[argument] = _argument(cls, name, argument, text)
        except ValueError as error:
            wrong.append(Wrong(f"{option}.{argument}", error))
    try:
        made = cls(**values)
    except Exception as error:  # ValueError of a wrong style, TypeError, DidNotEnable
        is_whole = len(values) == len(arguments)
        # Without an argument that is told above it may only say that it has none.
        if is_whole or isinstance(error, ValueError):
            told = ValueError(str(error) or type(error).__name__)
            one = f"{option}.{next(iter(values))}" if len(values) == 1 else option
            wrong.append(Wrong(one, told) if arguments else Wrong("integrations", told, name))
        return []
    return [made] if len(values) == len(arguments) else []


def disabled(names: Sequence[str]) -> tuple[list[type[Any]], list[Wrong]]:
    """Return the classes of integrations that are to stay off, and what is wrong with their names.

    Args:
        names: of the option. One whose library is not installed is off anyway.
    """
    classes: list[type[Any]] = []
    wrong: list[Wrong] = []
    for name in names:
        try:
            classes.append(find(name))
        except ValueError as error:
            if name not in sdk.integration_modules():
                wrong.append(Wrong("disabled_integrations", error, name))
    return classes, wrong
