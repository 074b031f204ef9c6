"""The adapter for the installed major version of the SDK, chosen once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_sdk.consts import VERSION

#: The major version that is installed; a newer one than any that was tested is used like the newest of these.
MAJOR = 2 if VERSION.startswith("2.") else 3

if TYPE_CHECKING or MAJOR == 2:
    from sentry_paste.sdk import major2 as adapter
else:
    from sentry_paste.sdk import major3 as adapter

__all__ = ["MAJOR", "adapter"]
