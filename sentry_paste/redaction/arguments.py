"""Redact the arguments of the process, which the SDK's argv integration adds to each event.

``pserve app.ini sqlalchemy.url=postgresql://user:password@host/db`` has a password in them. It is nobody's
personal data, so it is removed whether those may be sent or not.
"""

from __future__ import annotations

import re
from typing import Any

from sentry_paste.redaction.names import Names
from sentry_paste.redaction.texts import clean_text

_OPTION = re.compile(r"--?[A-Za-z][\w.-]*")


def clean_arguments(event: dict[str, Any], names: Names) -> None:
    """Remove passwords and other secrets from the arguments of the process.

    Args:
        event: as serialised by the SDK; it is changed.
        names: which names are secret.
    """
    extra = event.get("extra")
    arguments = extra.get("sys.argv") if isinstance(extra, dict) else None
    if type(arguments) is not list:
        return
    option = ""
    for index, text in enumerate(arguments):
        if type(text) is not str:
            continue
        # A value after its option is judged as one that is joined to it: --token VALUE as --token=VALUE.
        before = f"{option}=" if option and not text.startswith("-") else ""
        arguments[index] = clean_text(before + text, names)[len(before) :]
        option = text if _OPTION.fullmatch(text) else ""
