"""What is looked for: the parameters of the list's address."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import translate
from urllib.parse import parse_qsl, urlencode

from sentry_paste.inbox.index import Entry
from sentry_paste.spool.names import KINDS

#: For ``kind``: files of every kind.
ALL = "all"

#: What the list shows where nothing is said.
DEFAULT_KIND = "error"

_MOST_CHARACTERS = 200
_MOST_FIELDS = 20

_ID = re.compile("[0-9a-f-]{6,36}")


@dataclass(frozen=True)
class Query:
    """What is looked for.

    Attributes:
        kind: of files, or ``all``.
        text: words that must all be found, in any order and case, or what an id begins with.
        transaction: a part of its name, or a pattern with ``*``.
        group: of errors; then each of them is listed.
        page: from 1.
    """

    kind: str = DEFAULT_KIND
    text: str = ""
    transaction: str = ""
    group: str = ""
    page: int = 1

    @classmethod
    def read(cls, text: str) -> Query:
        """Read the query string of an address; what it says that means nothing is left out.

        Args:
            text: of the address.
        """
        given = parameters(text)
        kind = given.get("kind", "")
        page = given.get("page", "")
        return cls(
            kind=kind if kind in (*KINDS, ALL) else DEFAULT_KIND,
            text=given.get("q", "").strip(),
            transaction=given.get("transaction", "").strip(),
            group=given.get("group", "").strip(),
            page=max(1, int(page)) if re.fullmatch(r"[0-9]{1,6}", page) else 1,
        )

    def address(self, **changes: object) -> str:
        """Return the query string that says this, with some of it changed; what is usual is left out.

        Args:
            changes: by attribute.
        """
        other = replace(self, **changes)  # type: ignore[arg-type]  # as replace's own are
        usual = Query()
        named = (
            ("kind", other.kind, usual.kind),
            ("q", other.text, usual.text),
            ("transaction", other.transaction, usual.transaction),
            ("group", other.group, usual.group),
            ("page", other.page, usual.page),
        )
        return urlencode(
            [(name, value) for name, value, default in named if value != default], errors="replace"
        )

    @property
    def is_search(self) -> bool:
        """Whether it asks for more than a kind."""
        return bool(self.text or self.transaction or self.group)

    def matcher(self) -> Callable[[Entry], bool]:
        """Return a function that tells whether a file is looked for, whatever its kind."""
        words = self.text.lower().split()
        transaction = self.transaction.lower()
        pattern = re.compile(translate(transaction)).match if "*" in transaction else None

        def matches(entry: Entry) -> bool:
            told = entry.told
            if self.group and told.group != self.group:
                return False
            if pattern is not None and pattern(told.transaction.lower()) is None:
                return False
            if pattern is None and transaction not in told.transaction.lower():
                return False
            return all(word in told.words or _is_id(word, entry) for word in words)

        return matches


def _is_id(word: str, entry: Entry) -> bool:
    """Tell whether a word is how an id begins; a few digits are in every other id, and tell nothing."""
    if _ID.fullmatch(word) is None:
        return False
    digits = word.replace("-", "")
    return any(
        identity.startswith(digits) for identity in (entry.file.id, *entry.told.trace_ids, *entry.told.about)
    )


def parameters(text: str) -> dict[str, str]:
    """Return the parameters of a query string, the first of each name, not too long.

    Args:
        text: of the address.
    """
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(text, errors="replace", max_num_fields=_MOST_FIELDS)
    except ValueError:  # too many
        return found
    for name, value in pairs:
        found.setdefault(name, value[:_MOST_CHARACTERS])
    return found
