"""The options of a filter as they hold, each with where it comes from, for showing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sentry_paste.config.errors import shown
from sentry_paste.config.settings import Settings
from sentry_paste.config.sources import VARIABLES

# Options that are told also where nobody gives them: what they are then is good to know.
_TOLD_DEFAULTS = ("dsn", "environment", "release", "sample_rate", "traces_sample_rate", "send_default_pii")


@dataclass(frozen=True)
class Value:
    """An option as it holds.

    Attributes:
        name: of the option.
        text: its value, without credentials.
        origin: where it comes from, in words.
    """

    name: str
    text: str
    origin: str


def effective(
    settings: Settings, options: Mapping[str, Any], section: str, empty: Collection[str] = ()
) -> tuple[Value, ...]:
    """Return the options that are given, and a few defaults; those that are asked for most come first.

    Args:
        settings: of a filter.
        options: of its client.
        section: how its section is called where the settings do not say.
        empty: options that stand in the section without a value.
    """
    return tuple(
        sorted([*_given(settings, section), *_defaults(settings, options, section, empty)], key=_order)
    )


def _given(settings: Settings, section: str) -> Iterator[Value]:
    for name, origin in settings.origins.items():
        place = section if origin.place == "section" else origin.place
        if place == "environment":
            place = f"environment {VARIABLES.get(name, '')}".strip()
        line = f" line {origin.line}" if origin.line else ""
        # What the proxy is told of who one is, is no URL that ``shown`` would know.
        text = "***" if name.startswith("proxy_headers") else origin.text
        made = settings.sdk.get(name)
        if name == "release" and made not in (None, origin.text):
            text = f"{made} ({origin.text})"
        absent = dict.fromkeys(settings.absent.get(name, ()))
        are = "is" if len(absent) == 1 else "are"
        told = f"; {', '.join(absent)} {are} not installed here" if absent else ""
        yield Value(name, text, f"{place}{line}{told}")


def _defaults(
    settings: Settings, options: Mapping[str, Any], section: str, empty: Collection[str]
) -> Iterator[Value]:
    for name in _TOLD_DEFAULTS:
        if name in settings.origins:
            continue
        value = bool(options.get(name)) if name == "send_default_pii" else options.get(name)
        origin = f"default, no value in {section}" if name in empty else "default"
        if name == "dsn" and "dsn_file" in settings.origins:
            origin = "from dsn_file"
        elif name == "release" and value:
            origin = "found by sentry-sdk in this directory"
        yield Value(name, _text(value), origin)


def _text(value: Any) -> str:
    if value is None or value == "":
        return "not set"
    return shown(str(value).lower() if isinstance(value, bool) else str(value))


def _order(value: Value) -> tuple[int, str]:
    first = _TOLD_DEFAULTS.index(value.name) if value.name in _TOLD_DEFAULTS else len(_TOLD_DEFAULTS)
    return first, value.name
