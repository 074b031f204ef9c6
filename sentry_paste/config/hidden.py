"""Options that PasteDeploy hides from a filter.

A key of ``[DEFAULT]``, of the command line or of ``global_conf`` removes the key of
the same name from every section (``ConfigLoader.get_context``: "It's a global
option (?), so skip it"). ``debug`` and ``environment`` are common there, and the
filter's own line is lost without a word.
"""

from __future__ import annotations

import configparser
from collections.abc import Container, Iterable


def hidden_options(
    path: str, global_names: Iterable[str], local_names: Container[str]
) -> list[tuple[str, str]]:
    """Return the section and the name of the options that a section of this filter has, and lost.

    Args:
        path: the ini file.
        global_names: keys of ``global_conf``.
        local_names: keys that reached the factory.
    """
    lost = {name for name in global_names if name not in local_names}
    if not lost:
        return []
    parser = configparser.RawConfigParser(default_section="\0", strict=False)
    parser.optionxform = str  # type: ignore[method-assign,assignment]  # as paste.deploy: keys keep their case
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, ValueError, configparser.Error):
        return []  # a loader that needs no file, or a file that only the loader can read
    return [
        (section, name)
        for section in parser.sections()
        if _is_ours(parser, section)
        for name in parser.options(section)
        if name in lost
    ]


def _is_ours(parser: configparser.RawConfigParser, section: str) -> bool:
    return section != "DEFAULT" and any(
        "sentry_paste" in value.replace("-", "_")
        for name, value in parser.items(section)
        if name == "use" or name.startswith("paste.")
    )
