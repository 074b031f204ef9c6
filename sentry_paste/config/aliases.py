"""Options of raven and of plone.recipe.zope2instance, under their names there.

Files of theirs work after the ``use`` line alone is changed; each alias is told
once, with the option to write in its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Alias:
    """An older name.

    Attributes:
        option: the option to write in its place.
        convert: what its value becomes.
        writer: who wrote it so.
    """

    option: str
    convert: Callable[[str], str] = str
    writer: str = "raven"


ALIASES: Mapping[str, Alias] = {
    "auto_log_stacks": Alias("attach_stacktrace"),
    "capture_locals": Alias("include_local_variables"),
    "exclude_paths": Alias("in_app_exclude"),
    "include_paths": Alias("in_app_include"),
    "name": Alias("server_name"),
    "sanitize_keys": Alias("event_scrubber.denylist"),
    "site": Alias("tags.site"),
    "string_max_length": Alias("max_value_length"),
    "event_level": Alias("integration.logging.event_level", writer="zope2instance"),
    "ignorelist": Alias("ignore_loggers", writer="zope2instance"),
    "level": Alias("integration.logging.level", writer="zope2instance"),
}

# Options of raven's Client that have nothing to do here: what they were for is gone, or goes without saying.
NO_LONGER = frozenset(
    {
        "context",
        "enable_breadcrumbs",
        "hook_libraries",
        "include_versions",
        "install_logging_hook",
        "install_sys_hook",
        "list_max_length",
        "processors",
        "raise_send_errors",
        "repos",
        "sanitize_string_length",
    }
)

_RAVEN_DSN = re.compile(r"(?:[a-z_]+\+)*(?P<dsn>https?://[^?\s]+)(?P<query>\?\S*)?")


def plain_dsn(text: str) -> str:
    """Return a DSN without raven's transport and options: ``requests+https://key@host/1?verify_ssl=0``.

    Args:
        text: the DSN, its variables replaced.
    """
    match = _RAVEN_DSN.fullmatch(text)
    return text if match is None else match["dsn"]
