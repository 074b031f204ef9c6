"""The effective options of a filter, each with its origin, for display."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sentry_paste.config.errors import shown
from sentry_paste.config.settings import Settings
from sentry_paste.config.sources import VARIABLES
from sentry_paste.redaction import Names
from sentry_paste.redaction.texts import clean_text

_NAMES = Names()
# The value of an Authorization header, whatever the option is called that holds it.
_AUTHORIZATION = re.compile(r"(?i)^(\s*(?:basic|bearer|digest|negotiate|token)\s+)\S.*", re.DOTALL)

# Options that are shown even if nobody sets them: their defaults are good to know.
_ALWAYS_SHOWN = ("dsn", "environment", "release", "sample_rate", "traces_sample_rate", "send_default_pii")


@dataclass(frozen=True)
class OptionValue:
    """The effective value of an option.

    Attributes:
        name: name of the option.
        text: its value, without credentials.
        origin: where it comes from, in words.
    """

    name: str
    text: str
    origin: str


def without_secrets(text: str) -> str:
    """Return a value, or what user code says, without what events would not have either.

    Args:
        text: such as the message of an exception.
    """
    return _AUTHORIZATION.sub(r"\1***", clean_text(text, _NAMES).replace("[Filtered]", "***"))


def effective_options(
    settings: Settings, options: Mapping[str, Any], section: str, empty: Collection[str] = ()
) -> tuple[OptionValue, ...]:
    """Return the options that are set, and a few defaults; the most important come first.

    Args:
        settings: settings of a filter.
        options: options of its client.
        section: title of its section.
        empty: names of options that the section has without a value.
    """
    return tuple(
        sorted([*_given(settings, section), *_defaults(settings, options, section, empty)], key=_order)
    )


def _given(settings: Settings, section: str) -> Iterator[OptionValue]:
    for name, origin in settings.origins.items():
        place = section if origin.place == "section" else origin.place
        if place == "environment":
            place = f"environment {VARIABLES.get(name, '')}".strip()
        line = f" line {origin.line}" if origin.line else ""
        # Proxy-Authorization and its like are credentials, and not in a URL, where ``shown`` would find them.
        text = "***" if name.startswith("proxy_headers") else without_secrets(origin.text)
        resolved = settings.sdk.get(name)
        if name == "release" and resolved not in (None, origin.text):
            text = f"{resolved} ({origin.text})"
        absent = dict.fromkeys(settings.absent.get(name, ()))
        are = "is" if len(absent) == 1 else "are"
        note = f"; {', '.join(absent)} {are} not installed here" if absent else ""
        yield OptionValue(name, text, f"{place}{line}{note}")


def _defaults(
    settings: Settings, options: Mapping[str, Any], section: str, empty: Collection[str]
) -> Iterator[OptionValue]:
    for name in _ALWAYS_SHOWN:
        if name in settings.origins:
            continue
        value = bool(options.get(name)) if name == "send_default_pii" else options.get(name)
        origin = f"default, no value in {section}" if name in empty else "default"
        if name == "dsn" and "dsn_file" in settings.origins:
            origin = "from dsn_file"
        elif name == "release" and value:
            origin = "found by sentry-sdk in this directory"
        yield OptionValue(name, _text(value), origin)


def _text(value: Any) -> str:
    if value is None or value == "":
        return "not set"
    return shown(str(value).lower() if isinstance(value, bool) else str(value))


def _order(value: OptionValue) -> tuple[int, str]:
    first = _ALWAYS_SHOWN.index(value.name) if value.name in _ALWAYS_SHOWN else len(_ALWAYS_SHOWN)
    return first, value.name
