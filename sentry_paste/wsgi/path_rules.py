"""Rules by path: globs, compiled once; the first match applies.

``*`` matches any text, including slashes, ``?`` one character, ``[abc]`` one of
several, as in ``fnmatch``, but case matters on every system. Most globs are a path,
a prefix or a suffix. Those are looked up instead of tried one by one, so that a
thousand take about as long as one. Globs that begin with ``*`` and have another
wildcard are tried, unless the path was seen recently.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Generic, TypeVar

Value = TypeVar("Value")

# How many paths are cached with their result: a service has few paths that are requested often.
_REMEMBERED = 1024
_LONGEST = 256

_WILD = re.compile(r"[*?\[]")


class PathRules(Generic[Value]):
    """Values by glob.

    Args:
        rules: pairs of glob and value; the first match applies.
    """

    def __init__(self, rules: Sequence[tuple[str, Value]]) -> None:
        self._values = [value for _, value in rules]
        self._exact: dict[str, int] = {}
        self._prefixes: dict[int, dict[str, int]] = {}
        self._suffixes: dict[int, dict[str, int]] = {}
        self._patterns: dict[int, dict[str, list[tuple[int, re.Pattern[str]]]]] = {}
        for index, (glob, _) in enumerate(rules):
            self._add(index, glob)
        self.index = lru_cache(maxsize=_REMEMBERED)(self._index)

    def __bool__(self) -> bool:
        return bool(self._values)

    def _add(self, index: int, glob: str) -> None:
        wild = _WILD.search(glob)
        if wild is None:
            self._exact.setdefault(glob, index)
        elif glob.endswith("*") and wild.start() == len(glob) - 1:
            self._prefixes.setdefault(len(glob) - 1, {}).setdefault(glob[:-1], index)
        elif glob.startswith("*") and not _WILD.search(glob, 1):
            self._suffixes.setdefault(len(glob) - 1, {}).setdefault(glob[1:], index)
        else:
            # Only tried for paths with the glob's literal prefix.
            begin = glob[: wild.start()]
            pattern = re.compile(fnmatch.translate(glob))
            self._patterns.setdefault(len(begin), {}).setdefault(begin, []).append((index, pattern))

    def find(self, path: str) -> Value | None:
        """Return the value of the first glob that matches, None if there is none.

        Args:
            path: of a request, decoded, including the script name.
        """
        # Long paths, of which a client can send any number, stay out of the cache.
        index = self.index(path) if len(path) <= _LONGEST else self._index(path)
        return None if index < 0 else self._values[index]

    def _index(self, path: str) -> int:
        found = [self._exact[path]] if path in self._exact else []
        for length, prefixes in self._prefixes.items():
            found += [prefixes[path[:length]]] if path[:length] in prefixes else []
        for length, suffixes in self._suffixes.items():
            end = path[len(path) - length :] if length <= len(path) else None
            found += [suffixes[end]] if end is not None and end in suffixes else []
        for length, patterns in self._patterns.items():
            for index, pattern in patterns.get(path[:length], ()):
                if pattern.match(path):
                    found.append(index)
                    break
        return min(found, default=-1)
