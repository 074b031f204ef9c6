"""The ways in which an ini is named: ``config:f.ini``, ``c2c://f.ini``, ``f.ini?key=value#name``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

# PasteDeploy's scheme, those of Swift and of plaster_pastedeploy, and c2cwsgiutils'.
_SCHEMES = ("config", "config_dir", "pastedeploy", "pastedeploy+ini", "file+ini", "file", "c2c")
_URI = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*):(?P<slashes>//)?(?P<rest>.*)", re.DOTALL)


@dataclass(frozen=True)
class IniUri:
    """What a URI names.

    Attributes:
        path: of the ini.
        name: of the app in it, empty if it is not given.
        variables: variables for ``[DEFAULT]``, of the URI or of its loader.
    """

    path: str
    name: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


def parse_uri(text: str) -> IniUri:
    """Return what a URI or a path names.

    Args:
        text: as pserve, gunicorn and others take it.
    """
    match = _URI.fullmatch(text)
    scheme = match["scheme"].lower() if match else ""
    if match is None or scheme not in _SCHEMES:  # C:\\x.ini has no scheme
        return _parsed(text, {})
    found = _parsed(match["rest"], _environment() if scheme == "c2c" else {})
    if scheme == "config":  # PasteDeploy quotes paths, plaster does not
        return IniUri(unquote(found.path), found.name, found.variables)
    return found


def _parsed(text: str, variables: Mapping[str, str]) -> IniUri:
    path, _, name = text.partition("#")
    if not os.path.exists(path):
        path, _, query = path.partition("?")
        # c2cwsgiutils' variables take precedence over those of the URI, as in its loader.
        variables = {**dict(parse_qsl(query, keep_blank_values=True)), **variables}
    return IniUri(path, name, variables)


def _environment() -> dict[str, str]:
    """Return the environment as c2cwsgiutils puts it into ``[DEFAULT]``: names that differ in case once."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in os.environ.items():
        if name.lower() not in seen:
            found[name] = value.replace("%", "%%")
        seen.add(name.lower())
    return found
