"""The names that options have in raven, in plone.recipe.zope2instance and in old versions of the SDK.

Their inis work once the ``use`` line is changed. Each old name is logged once, with
the option to use instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Alias:
    """An older name.

    Attributes:
        option: the option to use instead.
        convert: turns the old option's value into the new one's.
        project: the project that has the name.
    """

    option: str
    convert: Callable[[str], str] = str
    project: str = "raven"


ALIASES: Mapping[str, Alias] = {
    "auto_log_stacks": Alias("attach_stacktrace"),
    "capture_locals": Alias("include_local_variables"),
    "exclude_paths": Alias("in_app_exclude"),
    "include_paths": Alias("in_app_include"),
    "name": Alias("server_name"),
    "sanitize_keys": Alias("event_scrubber.denylist"),
    "site": Alias("tags.site"),
    "string_max_length": Alias("max_value_length"),
    "event_level": Alias("integration.logging.event_level", project="zope2instance"),
    "ignorelist": Alias("ignore_loggers", project="zope2instance"),
    "level": Alias("integration.logging.level", project="zope2instance"),
    "request_bodies": Alias("max_request_body_size", project="sentry-sdk 1"),
    "with_locals": Alias("include_local_variables", project="sentry-sdk 1"),
}

# zope2instance writes all of its options. Where these are missing, level is one that raven ignored.
ZOPE2INSTANCE_ONLY = frozenset({"event_level", "ignorelist"})

# What raven had before there were DSNs.
BEFORE_DSNS = frozenset({"key", "project", "public_key", "secret_key", "servers"})

# Options of raven's Client that have no effect here: their purpose is gone, or is always met.
OBSOLETE = frozenset(
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

_RAVEN_DSN = re.compile(r"(?:[a-z_]+\+)*(?P<dsn>https?://[^?\s]+)(?P<query>\?[^@\s]*)?")


def plain_dsn(text: str) -> str:
    """Return a DSN without raven's transport and options: ``requests+https://key@host/1?verify_ssl=0``.

    Args:
        text: the DSN, with variables replaced.
    """
    match = _RAVEN_DSN.fullmatch(text)
    return text if match is None else match["dsn"]
