"""Finding secret values in text, in time that grows with the text and not with what the client sent."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from itertools import accumulate

from sentry_paste.redaction.bounds import Allowance, TooMuchError, current_allowances
from sentry_paste.redaction.extents import Heads, Span, has_ellipsis
from sentry_paste.redaction.finder import Finder
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.needles import (
    ADDRESS,
    ANYWHERE,
    PAIR,
    WHOLE,
    Needle,
    Secret,
    are_too_many,
    encoded_of,
    has_escaped_signs,
    is_found_escaped,
    needles_of,
    seed_of,
)
from sentry_paste.redaction.recent import Recent, Searched
from sentry_paste.redaction.time_limit import Timed, allow_time_for_short_texts
from sentry_paste.redaction.unchanged import Unchanged
from sentry_paste.redaction.values import MOST
from sentry_paste.redaction.views import SEPARATOR, View, decoded, has_escapes, may_have_lines, unfolded

# How many places in a text are examined: this many, and one more for each so many characters. Ordinary text
# has far fewer; text made of the beginnings of secrets is hidden as a whole.
_PLACES, _CHARACTERS = 1000, 96
# If the texts of a payload have more, those longer than this are hidden.
_LONG = 1000

# How many levels of escapes are undone.
_LEVELS = 3
# A value whose forms share less than this is searched for in every text with escapes. Even shorter pieces
# occur everywhere, the more so the more of them there are.
_SHORT_SEED, _SHORT_SEED_OF_MANY, _MANY = 4, 7, 64

# Up to how many values it is checked which contains which, and from what length on.
_FEW, _SHORTEST_PART = 40, 8

_ENCODED = frozenset({ANYWHERE, ADDRESS})
# Most short texts contain no secret, so for them it is not worth building the index; the less so, the fewer
# short texts there are. Searching a text costs as much as this many characters, however short it is.
_SHORT, _SHORT_IN_ALL, _CALL = 8192, 12_288, 512

# A text that consists of nothing but a quoted secret.
_QUOTED = frozenset(f"{mark}{quote}{FILTERED}{quote}" for quote in "'\"" for mark in ("", "b"))


class Matcher:
    """The secret values of a request, prepared for searching.

    Most payloads contain none of them. So the search first looks for what all forms of a value have in
    common, and decodes text only where it finds that.

    Args:
        secrets: the values, as the request has them.
        recent: what was worked out for other requests.

    Attributes:
        is_exceeded: whether there are too many values, or too many forms of them, to search for.
        recent: what was worked out for other requests, None if that is not known.
    """

    def __init__(self, secrets: Iterable[Secret], recent: Recent | None = None) -> None:
        self._secrets = list(secrets)
        self.is_exceeded = are_too_many(self._secrets, MOST)
        self._is_ready = False
        self._looked_through = 0
        self._searched: Searched | None = None
        self._unchanged: Unchanged | None = None
        self.recent = recent

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def unchanged(self, names: Names) -> Unchanged:
        """Return what is known to have none of the secrets.

        Args:
            names: which names are secret.
        """
        found = self._unchanged
        if found is None or found.rules is not names.rules:
            found = self._unchanged = Unchanged(names)
        return found

    def _searches(self) -> Searched:
        """Return what is known of searches for the secrets."""
        if self._searched is None:
            known = self.recent
            self._searched = Searched(self._secrets) if known is None else known.searched(self._secrets)
        return self._searched

    def _make_ready(self) -> None:
        # Values that are secret only as a whole text.
        whole: set[str] = set()
        needles: list[Needle] = []
        texts = _parts(self._secrets)
        for secret in self._secrets:
            if secret.where is WHOLE:
                text = secret.text
                whole |= {text, f"'{text}'", f'"{text}"', f"b'{text}'"}
            else:
                needles += needles_of(secret, not _has_another(secret.text, texts))
        # Not a method of this matcher: in a cycle of references, all of it would stay in memory for a while.
        self._heads = Heads(needles, partial(_unsearched, self._secrets))
        self._finder = Finder(self._heads.texts)
        escapable = {found.text for found in needles if not is_found_escaped(found)}
        seeds = set(map(seed_of, escapable))
        shortest = _SHORT_SEED if len(self._heads.texts) <= _MANY else _SHORT_SEED_OF_MANY
        # Whether the forms of some value have no piece in common.
        self._is_weak = any(len(seed) < shortest for seed in seeds)
        # In that case short ones are few; in text that was encoded twice they are not whole words.
        self._seeds = Finder(() if self._is_weak else seeds, is_anywhere=shortest == _SHORT_SEED)
        self._whole = whole
        # Last: another thread of the request may read it.
        self._is_ready = True

    def clean(self, text: str, is_url: bool = False) -> str:
        """Return a text without the secrets that are in it.

        Args:
            text: any.
            is_url: whether it is a path or a URL, in which words are not secret.
        """
        return self.clean_all((text,), is_url).get(text, text)

    def clean_all(self, texts: Collection[str], is_url: bool = False) -> dict[str, str]:
        """Return the cleaned texts, by their originals; only those that change.

        Args:
            texts: any.
            is_url: whether they are paths or URLs, in which words are not secret.
        """
        if not (self._secrets and texts):
            return {}
        if self.is_exceeded:
            return dict.fromkeys(texts, FILTERED)
        searched = self._searches()
        unknown = searched.unknown(texts)
        if not unknown or not self._may_be_in(unknown, searched):
            searched.add(unknown)
            return {}
        changed = {} if is_url else dict.fromkeys(self._whole.intersection(unknown), FILTERED)
        for text, spans in self._found(unknown, is_url):
            if spans is not None:
                cleaned = _without(text, spans)
                changed.setdefault(text, FILTERED if cleaned in _QUOTED else cleaned)
            else:
                changed[text] = FILTERED
        if not is_url:
            searched.add([text for text in unknown if text not in changed])
        return changed

    def _may_be_in(self, texts: list[str], searched: Searched) -> bool:
        """Return whether texts may have a secret; if they may, or are many, the index is built."""
        if not self._is_ready:
            together = SEPARATOR.join(texts)
            self._looked_through += len(together) + _CALL
            is_short = len(together) < _SHORT and self._looked_through < _SHORT_IN_ALL
            if is_short and not _has_markers(together, searched) and not may_have_lines(together):
                return False
            with Timed(None):  # how much there is to prepare is bounded by what a request may have
                self._make_ready()
        return True

    def _found(self, texts: list[str], is_url: bool) -> list[tuple[str, list[Span] | None]]:
        """Return the texts with secrets, and where these are; None for texts that would take too long."""
        try:
            return self._search(texts, is_url)
        except TooMuchError:
            shorter = [text for text in texts if len(text) <= _LONG]
        if len(shorter) == len(texts):
            return [(text, None) for text in texts]
        allow_time_for_short_texts()
        found: list[tuple[str, list[Span] | None]] = [(text, None) for text in texts if len(text) > _LONG]
        return found + (self._found(shorter, is_url) if shorter else [])

    def _search(self, texts: list[str], is_url: bool) -> list[tuple[str, list[Span] | None]]:
        joined = _Joined(texts)
        if joined.is_wide():
            # One character beyond Latin-1 makes Python store every character in four bytes.
            del joined
            narrow = [text for text in texts if text.isascii()]
            return self._search(narrow, is_url) + self._search(
                [text for text in texts if not text.isascii()], is_url
            )
        allowance = _allowance(joined.text)
        places = self._finder.starts(joined.text, allowance)
        if places:
            joined.add(self._heads.spans(joined.text, places, is_url, allowance))
        if has_ellipsis(joined.text):
            for index, text in enumerate(texts):
                if has_ellipsis(text):
                    joined.add_to(index, self._heads.cut_spans(text, allowance))
        if may_have_lines(joined.text):
            self._add_unfolded(joined, is_url, allowance)
        found: list[tuple[str, list[Span] | None]] = []
        if has_escapes(joined.text):
            found += self._search_decoded(joined, is_url)
        found += joined.found()
        return found

    def _add_unfolded(self, joined: _Joined, is_url: bool, allowance: Allowance) -> None:
        """Add what is found in base64 once its lines are joined."""
        for index, text in enumerate(joined.texts):
            view = unfolded(text, allowance)
            if view is not None:
                places = self._finder.starts(view.text, allowance)
                spans = self._heads.spans(view.text, places, is_url, allowance)
                joined.add_to(index, [_of_view(view, span) for span in spans])

    def _search_decoded(self, joined: _Joined, is_url: bool) -> list[tuple[str, None]]:
        """Add what is found once escapes are undone; return the texts that have too many escapes."""
        indexes = self._indexes_of_escaped(joined)
        candidates = [index for index in indexes if has_escapes(joined.texts[index])]
        if not candidates:
            return []
        return [(joined.texts[index], None) for index in self._beyond(joined, candidates, is_url)]

    def _indexes_of_escaped(self, joined: _Joined) -> Collection[int]:
        """Return the indexes of the texts that may have an escaped value."""
        if self._is_weak:
            return range(len(joined.texts))
        indexes: dict[int, None] = {}
        if self._seeds:
            indexes |= dict.fromkeys(
                joined.indexes_of(self._seeds.starts(joined.text, _allowance(joined.text)))
            )
        if self._searches().has_signs and has_escaped_signs(joined.text):
            indexes |= dict.fromkeys(
                index for index, text in enumerate(joined.texts) if has_escaped_signs(text)
            )
        return indexes

    def _beyond(self, joined: _Joined, candidates: list[int], is_url: bool) -> list[int]:
        """Add what is found in texts once escapes are undone; return the indexes of those with too many."""
        try:
            self._add_decoded(joined, candidates, is_url)
        except TooMuchError:
            shorter = [index for index in candidates if len(joined.texts[index]) <= _LONG]
        else:
            return []
        if not shorter or len(shorter) == len(candidates):
            return candidates
        longer = [index for index in candidates if len(joined.texts[index]) > _LONG]
        return longer + self._beyond(joined, shorter, is_url)

    def _add_decoded(self, joined: _Joined, candidates: list[int], is_url: bool) -> None:
        inner = _Joined([joined.texts[index] for index in candidates])
        allowance = _allowance(inner.text)
        views: list[View] = []
        text = inner.text
        for _ in range(_LEVELS):
            view = decoded(text, allowance)
            if view is None:
                break
            text = view.text
            views.insert(0, view._replace(text=""))  # only its offsets are needed from here on
            places = self._finder.starts(text, allowance)
            inner.add(
                (_start(views, start), _end(views, end))
                for start, end in self._heads.spans(text, places, is_url, allowance)
            )
        for index, spans in inner.spans.items():
            joined.add_to(candidates[index], spans)


def _has_markers(text: str, searched: Searched) -> bool:
    """Return whether a short text may have a secret, without building the index."""
    if any(map(text.__contains__, searched.markers)) or has_ellipsis(text):
        return True
    return searched.has_signs and has_escaped_signs(text)


def _parts(secrets: Collection[Secret]) -> list[str]:
    """Return the values that are searched for encoded and may be contained in others."""
    if len(secrets) > _FEW:
        return []
    return [text for text, where, _ in secrets if where in _ENCODED and len(text) >= _SHORTEST_PART]


def _unsearched(secrets: Collection[Secret]) -> list[str]:
    """Return the base64 and hex of values that contain others, which are searched for instead."""
    parts = _parts(secrets)
    return [
        piece
        for text, where, _ in secrets
        if where is not WHOLE and where is not PAIR and _has_another(text, parts)
        for piece in encoded_of(text)
    ]


def _allowance(text: str) -> Allowance:
    """Return how many places in a text may be examined, of those that all items of its request may have."""
    shared = current_allowances()
    own = _PLACES + len(text) // _CHARACTERS
    return Allowance(own, None if shared is None else shared.values)


def _has_another(text: str, parts: list[str]) -> bool:
    """Return whether a value contains another one, which is then found wherever this one is encoded."""
    return text.isascii() and any(part in text and part != text for part in parts)


#: Finds nothing.
NO_SECRETS = Matcher(())


class _Joined:
    """Several texts joined into one, and what is found in each of them."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.text = SEPARATOR.join(texts)
        # Built when the first place is found: most texts have none.
        self._made_ends: list[int] = []
        self.spans: dict[int, list[Span]] = {}

    def is_wide(self) -> bool:
        """Return whether the joined text takes much more memory than the texts do separately."""
        size = len(self.text)
        return size > _SHORT and sys.getsizeof(self.text) > 3 * size and any(map(str.isascii, self.texts))

    @property
    def _ends(self) -> list[int]:
        if not self._made_ends:
            self._made_ends = list(accumulate([len(text) + 1 for text in self.texts]))
        return self._made_ends

    def indexes_of(self, places: Iterable[int]) -> list[int]:
        """Return the indexes of the texts that these places are in."""
        ends = self._ends
        return list(dict.fromkeys(bisect_right(ends, place) for place in places))

    def add(self, spans: Iterable[Span]) -> None:
        """Add spans of the joined text; a span without an end goes on to the end of its text."""
        ends = self._ends
        for start, end in spans:
            index = bisect_right(ends, start)
            size = len(self.texts[index])
            before = ends[index] - size - 1
            last = size if end < 0 else min(end - before, size)
            self.spans.setdefault(index, []).append((start - before, last))

    def add_to(self, index: int, spans: Iterable[Span]) -> None:
        """Add spans of one text."""
        found = list(spans)
        if found:
            self.spans.setdefault(index, []).extend(found)

    def found(self) -> Iterator[tuple[str, list[Span]]]:
        """Yield the texts in which something was found, and where."""
        for index, spans in self.spans.items():
            yield self.texts[index], spans


def _of_view(view: View, span: Span) -> Span:
    start, end = span
    return view.start(start), view.end(end) if end >= 0 else view.origins[-1]


def _start(views: list[View], place: int) -> int:
    for view in views:
        place = view.start(place)
    return place


def _end(views: list[View], place: int) -> int:
    if place < 0:
        return place
    for view in views:
        place = view.end(place)
    return place


def _without(text: str, spans: list[Span]) -> str:
    """Return a text with each of its spans replaced; adjacent spans become one."""
    parts = []
    done = 0
    start = end = -1
    for first, last in sorted(spans):
        if first > end:
            if end > start:
                parts += [text[done:start], FILTERED]
                done = end
            start = first
        end = max(end, last)
    if end > start:
        parts += [text[done:start], FILTERED]
        done = end
    return "".join([*parts, text[done:]])
