"""The option table, printed: a commented section for an ini, and the reference."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from sentry_paste import sdk
from sentry_paste.config.kinds import Option
from sentry_paste.config.options import options

_WIDTH = 100

# Lines for options whose name is the user's own to fill in, and for defaults that are no text of an ini.
_EXAMPLES = {
    "contexts.NAME.KEY": ("contexts.deployment.rack", "12"),
    "integration.NAME.ARGUMENT": ("integration.logging.event_level", "ERROR"),
    "tags.NAME": ("tags.region", "eu"),
}

_GROUPS = (
    ("Options of the filter", False),
    ("Options of the SDK", True),
)


def sample() -> str:
    """Return a complete ``[filter:sentry]`` section with every option in a comment.

    It loads as it is, and with any of its options uncommented.
    """
    return "\n".join(_sample()) + "\n"


def _sample() -> Iterator[str]:
    yield f"# Every option of sentry_paste, with sentry-sdk {sdk.VERSION}. Uncomment what you need: a line"
    yield "# that begins with # and a blank is a comment, with # alone an option with its default."
    yield ""
    yield "[filter:sentry]"
    yield "use = egg:sentry_paste"
    for title, is_sdk in _GROUPS:
        yield ""
        yield f"# {title} {'-' * (_WIDTH - len(title) - 3)}"
        for option in options().values():
            if option.is_sdk is is_sdk:
                yield ""
                yield from textwrap.wrap(_told(option), _WIDTH, initial_indent="# ", subsequent_indent="# ")
                name, value = _EXAMPLES.get(option.name, (option.name, default_text(option)))
                yield f"#{name} = {value}".rstrip()


def _told(option: Option) -> str:
    return f"{option.help} Expects {option.kind.expected}."


def default_text(option: Option) -> str:
    """Return an option's default as the ini would have it, empty where nothing is the default.

    Args:
        option: of the table.
    """
    if option.default_text:
        return "" if option.default_text == "none" else option.default_text
    return _text(option.default)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    if isinstance(value, (set, frozenset)):
        return ", ".join(sorted(map(_text, value)))
    if isinstance(value, dict):
        return ""
    return str(value)


def reference() -> str:
    """Return the reference of all options, in reStructuredText."""
    return "\n".join(_reference()) + "\n"


def _reference() -> Iterator[str]:
    for title, is_sdk in _GROUPS:
        yield title
        yield "=" * len(title)
        yield ""
        if is_sdk:
            yield f"As of sentry-sdk {sdk.VERSION}; those of the SDK that is installed are taken."
            yield ""
        for option in options().values():
            if option.is_sdk is is_sdk:
                # The names of variables end in an underscore nowhere but in front: that would be a link.
                yield f".. _option-{option.name.lower().replace('.', '-').replace('_', '-').strip('-')}:"
                yield ""
                yield f"``{option.name}``"
                yield from _described(option)
                yield ""


def _described(option: Option) -> Iterator[str]:
    default = default_text(option)
    escaped = option.help.replace("*", r"\*").replace("_", r"\_")
    yield f"    {escaped}"
    yield ""
    yield f"    Expects {option.kind.expected}. {f'Default: ``{default}``.' if default else 'No default.'}"
