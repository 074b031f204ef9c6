"""Find integrations by name, and parse their arguments by the types in their signatures."""

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

#: Arguments of one integration by name: text, or values from Python code.
Arguments = Mapping[str, Any]


def find(name: str) -> type[Any]:
    """Return an integration's class.

    Args:
        name: of the SDK's module and integration, such as ``sqlalchemy``, or a dotted name.

    Raises:
        NotInstalledError: its library, or the package in a dotted name, is not installed.
        ValueError: there is no integration with that name, or it cannot be imported.
    """
    if is_dotted(name):
        return sdk.integration_class(_imported(name))
    known = sdk.integration_modules()
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        raise ValueError(
            f"{name!r} is not an integration of sentry-sdk"
            + (f"; did you mean {nearest[0]}?" if nearest else "")
        )
    try:
        module = import_module(f"sentry_sdk.integrations.{name}")
        return sdk.integration_of_module(module, name)
    except Exception as error:  # DidNotEnable where the library is missing, and what its import raises
        message = f"{name} cannot be turned on: {error}"
        missing = _missing_module(error)
        if missing:
            raise NotInstalledError(message, missing) from error
        raise ValueError(message) from error


def _imported(name: str) -> Any:
    try:
        return import_name(name)
    except ValueError as error:
        missing = _missing_module(error)
        # In the app's own module a missing import is a mistake.
        if missing and name.startswith("sentry_sdk.integrations."):
            raise NotInstalledError(str(error), missing) from error
        raise


def _missing_module(error: BaseException | None) -> str:
    """Return the missing module that caused an error, an empty string if the cause is another."""
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
        raise ValueError(f"is not an argument of {name}{hint}")
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
    """Return the kind of value that an integration's argument takes.

    Args:
        parameter: of the integration's ``__init__``.
    """
    annotation = parameter.annotation
    source = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    source = "" if annotation is parameter.empty else source
    default = None if parameter.default is parameter.empty else parameter.default
    if parameter.name.endswith("level") and not isinstance(default, (str, bool)):
        return kinds.LEVEL_OR_NONE if "Optional" in source or "None" in source or not source else kinds.LEVEL
    if isinstance(default, (set, frozenset)) or "status_codes" in parameter.name:
        return kinds.STATUS_CODES
    if isinstance(default, (list, tuple)):
        return kinds.WORDS
    return derive_kind(parameter.name, source, default)


@dataclass(frozen=True)
class IntegrationProblem:
    """A mistake in an integration, or in one of its arguments.

    Attributes:
        option: the option with the mistake, or the common prefix of several options.
        error: what is wrong.
        entry: the name in that option, if it lists names.
    """

    option: str
    error: ValueError
    entry: str = ""


def build_all(
    names: Sequence[str], arguments: Mapping[str, Arguments], sends_user_info: bool = True
) -> tuple[list[Any], list[IntegrationProblem]]:
    """Build all integrations that an ini names, and return them with all mistakes.

    Args:
        names: from the option ``integrations``.
        arguments: from ``integration.NAME.ARGUMENT``, by integration; these turn their integration on, too.
        sends_user_info: whether personal data may be sent. If not, no integration may bypass redaction.
    """
    built: list[Any] = []
    problems: list[IntegrationProblem] = []
    left = dict(arguments)
    for name in names:
        try:
            if not sends_user_info:
                _refuse_to_bypass_redaction(name, arguments)
            cls = find(name)
        except ValueError as error:
            problems.append(IntegrationProblem("integrations", error, name))
            left.pop(_OTLP if _is_otlp(name) else name, None)
            continue
        key = cls.identifier if is_dotted(name) else name
        built += _build(cls, name, left.pop(key, {}), f"integration.{key}", problems)
    for key, own in left.items():
        try:
            if not sends_user_info:
                _refuse_to_bypass_redaction(key, arguments)
            cls = find(key)
        except ValueError as error:
            problems.append(IntegrationProblem(f"integration.{key}", error))
            continue
        built += _build(cls, key, own, f"integration.{key}", problems)
    return built, problems


def may_send_user_info(values: Mapping[str, Any]) -> bool:
    """Return whether options allow personal data to be sent, as the SDK will read them.

    Args:
        values: the SDK's options that are set.
    """
    collection = values.get("data_collection")
    if isinstance(collection, Mapping):
        return bool(collection.get("user_info", True))
    return bool(values.get("send_default_pii"))


_OTLP, _EXPORTER = "otlp", "setup_otlp_traces_exporter"


def _is_otlp(name: str) -> bool:
    return name == _OTLP or (is_dotted(name) and name.replace(":", ".").endswith(".OTLPIntegration"))


def _refuse_to_bypass_redaction(name: str, arguments: Mapping[str, Arguments]) -> None:
    """Refuse the integration whose exporter sends OpenTelemetry spans and so bypasses all of the SDK's hooks.

    Without its exporter it only links errors to OpenTelemetry traces.

    Raises:
        ValueError: it is that integration, and its exporter is on.
    """
    if not _is_otlp(name):
        return
    exporter = arguments.get(_OTLP, {}).get(_EXPORTER, "true")
    with suppress(ValueError):  # reported as a mistake of the argument
        if exporter is False or (isinstance(exporter, str) and not kinds.BOOLEAN.parse(exporter)):
            return
    raise ValueError(
        "sends spans that bypass redaction, which needs send_default_pii; "
        f"set send_default_pii = true, or integration.{_OTLP}.{_EXPORTER} = false"
    )


def _build(
    cls: type[Any], name: str, arguments: Arguments, option: str, problems: list[IntegrationProblem]
) -> list[Any]:
    """Return a list of the integration, an empty one if there is a mistake."""
    values: dict[str, Any] = {}
    # The reader warns of those that the installed SDK has dropped.
    arguments = {key: text for key, text in arguments.items() if not sdk.note_on_argument(name, key)}
    for argument, text in arguments.items():
        try:
            values[argument] = _argument(cls, name, argument, text)
        except ValueError as error:
            problems.append(IntegrationProblem(f"{option}.{argument}", error))
    try:
        integration = cls(**values)
    except Exception as error:  # a ValueError for a wrong style, TypeError, DidNotEnable
        is_complete = len(values) == len(arguments)
        # An argument that was rejected above is missing here; a TypeError may only complain about that.
        if is_complete or isinstance(error, ValueError):
            found = ValueError(str(error) or type(error).__name__)
            one = f"{option}.{next(iter(values))}" if len(values) == 1 else option
            problems.append(
                IntegrationProblem(one, found)
                if arguments
                else IntegrationProblem("integrations", found, name)
            )
        return []
    return [integration] if len(values) == len(arguments) else []


def disabled(names: Sequence[str]) -> tuple[list[type[Any]], list[IntegrationProblem]]:
    """Return the classes of integrations that stay off, and all mistakes in their names.

    Args:
        names: from the option. An integration whose library is not installed is off anyway.
    """
    classes: list[type[Any]] = []
    problems: list[IntegrationProblem] = []
    for name in names:
        try:
            classes.append(find(name))
        except ValueError as error:
            if name not in sdk.integration_modules():
                problems.append(IntegrationProblem("disabled_integrations", error, name))
    return classes, problems
