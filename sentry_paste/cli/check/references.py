"""References of sections to each other, also between files, whether or not they are loaded."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import unquote

from sentry_paste.cli.check.files import UNREADABLE, Files, Place

# Options whose words are names of sections; in a composite, those of any option may be.
_REFERRING = ("use", "filter-with", "pipeline", "next")
_COMPOSITES = ("composite", "composit")
_KINDS = ("app", "application", "filter", "filter-app", "pipeline", *_COMPOSITES)


def is_any_used(files: Files, gone: Collection[Place], paths: Iterable[str]) -> bool:
    """Return whether a section refers to filters that are there no more.

    Args:
        files: after a change.
        gone: sections of filters that it has given another title.
        paths: files that may refer to them.
    """
    names = {(place.path, place.name) for place in gone}
    return bool(names) and any(target in names for path in paths for target in _targets(files, path))


def reached_by(files: Files, targets: Iterable[str], paths: Iterable[str]) -> list[str]:
    """Return files, and those that refer to them, directly or by way of others.

    Args:
        files: the files.
        targets: paths of the files.
        paths: files that may refer to them.
    """
    found = sorted(set(targets))
    referred = {path: {other for other, _ in _targets(files, path)} - {path} for path in paths}
    for target in found:  # which grows
        found += [path for path, others in referred.items() if target in others and path not in found]
    return found


def _targets(files: Files, path: str) -> Iterator[tuple[str, str]]:
    """Yield path and name of whatever the sections of a file refer to."""
    try:
        parser = files.parser(path)
        for section in parser.sections():
            kind = Place(path, section).kind
            for key, raw in parser.items(section, raw=True):
                is_referring = kind in _KINDS and (key in _REFERRING or kind in _COMPOSITES)
                if is_referring or "config:" in raw:
                    value = parser.get(section, key) if "%" in raw else raw
                    # A path may have spaces in it where the value is one reference.
                    for word in {*value.split(), value.strip()}:
                        yield from _target(path, word, is_referring)
    except UNREADABLE:
        return


def _target(path: str, word: str, is_referring: bool) -> Iterator[tuple[str, str]]:
    scheme, _, rest = word.partition(":")
    if scheme.lower() == "config":
        file, _, name = rest.partition("#")
        file = unquote(os.path.join(os.path.dirname(path), file.replace("\\", "/")))
        yield os.path.abspath(file), name or "main"
    elif is_referring:
        yield path, word
