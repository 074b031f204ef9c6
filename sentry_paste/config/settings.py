"""What the options say, typed, checked and frozen."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Settings:
    """The options of one filter.

    Attributes:
        sdk: options for ``sentry_sdk.Client``, those that were given; without a DSN from the environment.
        spool_dir: directory for envelope files, absolute; None for no spool.
        http_methods_to_capture: methods, in upper case, whose requests are transactions.
        origins: where each given option comes from, in words.
        source: the file, or what else gave the options.
        client_key: equal for settings that can share a client, and for no others.
    """

    sdk: Mapping[str, Any]
    spool_dir: str | None
    http_methods_to_capture: frozenset[str]
    origins: Mapping[str, str]
    source: str
    client_key: Hashable
