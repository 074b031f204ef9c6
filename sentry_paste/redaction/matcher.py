"""Finding secret values in text, in time that grows with the text and not with what the client sent."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from itertools import accumulate, chain

from sentry_paste.redaction.bounds import Allowance, TooMuchError
from sentry_paste.redaction.extents import Heads, Span
from sentry_paste.redaction.finder import Finder
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.needles import (
    ADDRESS,
    ANYWHERE,
    MOST_WEIGHT,
    WHOLE,
    Needle,
    Secret,
    is_unreserved,
    needles_of,
    seed_of,
    signs_of,
    weight_of,
)
from sentry_paste.redaction.values import MOST
from sentry_paste.redaction.views import View, decoded, has_escapes

# How many places of a text are looked at: so many, and one more for so many characters. Ordinary text has
# far fewer; one that is made of the beginnings of secrets goes whole.
_PLACES, _CHARACTERS = 1000, 96
# Where the texts of a payload have more, those that are longer go.
_LONG = 1000

# What was escaped, and that again, and that once more.
_LEVELS = 3
# With less in common with all its forms, a value is sought in whatever has escapes; pieces that are shorter
# still are everywhere, and the more there are of them, the more so.
_SHORT_SEED, _SHORT_SEED_OF_MANY, _MANY = 4, 7, 64

# Of so many values it is looked at which is a part of which, from so many characters on.
_FEW, _SHORTEST_PART = 40, 8

_ENCODED = frozenset({ANYWHERE, ADDRESS})
# So short a text has none of them most of the time, and it is a waste to make them ready; the more so, the
# fewer short texts there are. To look through one takes as long as so many characters, however short it is.
_SHORT, _SHORT_IN_ALL, _CALL = 8192, 12_288, 512

# As they are, and the ends of what they are escaped as, by what begins the escape.
_PLAIN_ELLIPSES = ("...", "…")
_ESCAPED_ELLIPSES = {"\\": ("u2026", "xa6"), "%": ("80%A6", "80%a6"), "&": ("hellip;", "#8230;")}
_ELLIPSES = (*_PLAIN_ELLIPSES, *chain.from_iterable(_ESCAPED_ELLIPSES.values()))
# A text that is nothing but a secret that was shown.
_QUOTED = frozenset(f"{mark}{quote}{FILTERED}{quote}" for quote in "'\"" for mark in ("", "b"))


class Matcher:
    """The secret values of a request, made ready to be sought.

    Most payloads have none of them. So what a value has in common with all its forms is sought first, and
    text is decoded only where that is found.

    Args:
        secrets: the values, as the request has them.

    Attributes:
        is_beyond: whether they are too many to be sought, or have too many forms.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._secrets = list(secrets)
        self.is_beyond = len(self._secrets) * MOST_WEIGHT > MOST < sum(map(weight_of, self._secrets))
        self._is_ready = False
        self._looked_through = 0
        self._signs: list[str] | None = None

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def _may_be_in(self, text: str) -> bool:
        """Return whether a short text may have a secret, without making anything ready."""
        signs = self._signs
        if signs is None:
            signs = [*_ELLIPSES]
            for secret in self._secrets:
                signs += {secret.text} if secret.where is WHOLE else signs_of(secret) or {""}
            # Other threads of the request's may be here too.
            self._signs = signs
        return any(map(text.__contains__, signs))

    def _parts(self) -> list[str]:
        """Return the values that are sought encoded, and that others may have in them."""
        if len(self._secrets) > _FEW:
            return []
        return [text for text, where, _ in self._secrets if where in _ENCODED and len(text) >= _SHORTEST_PART]

    def _make_ready(self) -> None:
        # Where it is all of a text.
        whole: set[str] = set()
        needles: list[Needle] = []
        texts = self._parts()
        for secret in self._secrets:
            if secret.where is WHOLE:
                text = secret.text
                whole |= {text, f"'{text}'", f'"{text}"', f"b'{text}'"}
            else:
                needles += needles_of(secret, not _has_another(secret.text, texts))
        self._heads = Heads(needles)
        self._finder = Finder(self._heads.texts)
        escapable = {found.text for found in needles if not (found.is_run or is_unreserved(found.text))}
        seeds = set(map(seed_of, escapable))
        shortest = _SHORT_SEED if len(self._heads.texts) <= _MANY else _SHORT_SEED_OF_MANY
        # Whether there is one of which no piece is in all its forms.
        self._is_weak = any(len(seed) < shortest for seed in seeds)
        # Short ones are few then; within what is encoded twice they do not stand as words.
        self._seeds = Finder(() if self._is_weak else seeds, is_anywhere=shortest == _SHORT_SEED)
        self._whole = whole
        # At last: another thread of the request's may ask.
        self._is_ready = True

    def clean(self, text: str, is_url: bool = False) -> str:
        """Return a text without the secrets that are in it.

        Args:
            text: any.
            is_url: whether it is a path or a URL, where words are no secrets.
        """
        return self.clean_all((text,), is_url).get(text, text)

    def clean_all(self, texts: Collection[str], is_url: bool = False) -> dict[str, str]:
        """Return what becomes of those texts that have secrets in them.

        Args:
            texts: any.
            is_url: whether they are paths or URLs, where words are no secrets.
        """
        if not (self._secrets and texts):
            return {}
        if self.is_beyond:
            return dict.fromkeys(texts, FILTERED)
        listed = list(texts)
        if not self._is_ready:
            together = "\n".join(listed)
            self._looked_through += len(together) + _CALL
            is_short = len(together) < _SHORT and self._looked_through < _SHORT_IN_ALL
            if is_short and not self._may_be_in(together):
                return {}
            self._make_ready()
        changed = {} if is_url else dict.fromkeys(self._whole.intersection(listed), FILTERED)
        for text, spans in self._found(listed, is_url):
            if spans is not None:
                cleaned = _without(text, spans)
                changed.setdefault(text, FILTERED if cleaned in _QUOTED else cleaned)
            else:
                changed[text] = FILTERED
        return changed

    def _found(self, texts: list[str], is_url: bool) -> Iterator[tuple[str, list[Span] | None]]:
        """Yield the texts that have secrets, and where; those that are not worth the time without it."""
        try:
            yield from self._look(texts, is_url)
        except TooMuchError:
            yield from ((text, None) for text in texts if len(text) > _LONG)
            shorter = [text for text in texts if len(text) <= _LONG]
            try:
                yield from self._look(shorter, is_url)
            except TooMuchError:
                yield from ((text, None) for text in shorter)

    def _look(self, texts: list[str], is_url: bool) -> list[tuple[str, list[Span] | None]]:
        joined = _Joined(texts)
        if joined.is_wide():
            # One character beyond those of Latin-1 makes four bytes of each.
            del joined
            narrow = [text for text in texts if text.isascii()]
            return self._look(narrow, is_url) + self._look(
                [text for text in texts if not text.isascii()], is_url
            )
        allowance = Allowance(_PLACES + len(joined.text) // _CHARACTERS)
        places = self._finder.starts(joined.text, allowance.left)
        if places:
            joined.add(self._heads.spans(joined.text, places, is_url, allowance))
        if _has_ellipsis(joined.text):
            for index, text in enumerate(texts):
                if any(ellipsis in text for ellipsis in _ELLIPSES):
                    joined.add_to(index, self._heads.cut_spans(text, allowance))
        found: list[tuple[str, list[Span] | None]] = []
        if has_escapes(joined.text):
            found += self._look_decoded(joined, is_url)
        found += joined.found()
        return found

    def _look_decoded(self, joined: _Joined, is_url: bool) -> list[tuple[str, None]]:
        """Add what is found once escapes are undone; return the texts that have too many for that."""
        indexes = list(range(len(joined.texts)))
        if not self._is_weak:
            if not self._seeds:
                return []
            allowance = Allowance(_PLACES + len(joined.text) // _CHARACTERS)
            indexes = joined.indexes_of(self._seeds.starts(joined.text, allowance.left))
        candidates = [index for index in indexes if has_escapes(joined.texts[index])]
        if not candidates:
            return []
        try:
            self._add_decoded(joined, candidates, is_url)
            return []
        except TooMuchError:
            beyond = [index for index in candidates if len(joined.texts[index]) > _LONG]
            candidates = [index for index in candidates if len(joined.texts[index]) <= _LONG]
        try:
            self._add_decoded(joined, candidates, is_url)
        except TooMuchError:
            beyond += candidates
        return [(joined.texts[index], None) for index in beyond]

    def _add_decoded(self, joined: _Joined, candidates: list[int], is_url: bool) -> None:
        inner = _Joined([joined.texts[index] for index in candidates])
        allowance = Allowance(_PLACES + len(inner.text) // _CHARACTERS)
        views: list[View] = []
        text = inner.text
        for _ in range(_LEVELS):
            view = decoded(text, allowance)
            if view is None:
                break
            text = view.text
            views.insert(0, view._replace(text=""))  # only its places are needed from here on
            places = self._finder.starts(text, allowance.left)
            inner.add(
                (_start(views, start), _end(views, end))
                for start, end in self._heads.spans(text, places, is_url, allowance)
            )
        for index, spans in inner.spans.items():
            joined.add_to(candidates[index], spans)


def _has_ellipsis(text: str) -> bool:
    """Return whether something in a text may have been cut."""
    if any(map(text.__contains__, _PLAIN_ELLIPSES)):
        return True
    return any(
        begin in text and any(map(text.__contains__, ends)) for begin, ends in _ESCAPED_ELLIPSES.items()
    )


def _has_another(text: str, parts: list[str]) -> bool:
    """Return whether one of a few values is a part of another: then it is found wherever that is encoded."""
    return text.isascii() and any(part in text and part != text for part in parts)


#: Of a request that has none.
NO_SECRETS = Matcher(())


class _Joined:
    """Texts as one, and what is found in each of them."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.text = "\n".join(texts)
        # Made with the first place: most texts have none.
        self._made_ends: list[int] = []
        self.spans: dict[int, list[Span]] = {}

    def is_wide(self) -> bool:
        """Return whether the whole takes much more memory than its texts do for themselves."""
        size = len(self.text)
        return size > _SHORT and sys.getsizeof(self.text) > 3 * size and any(map(str.isascii, self.texts))

    @property
    def _ends(self) -> list[int]:
        if not self._made_ends:
            self._made_ends = list(accumulate(len(text) + 1 for text in self.texts))
        return self._made_ends

    def indexes_of(self, places: Iterable[int]) -> list[int]:
        """Return which texts have something at one of these places."""
        ends = self._ends
        return list(dict.fromkeys(bisect_right(ends, place) for place in places))

    def add(self, spans: Iterable[Span]) -> None:
        """Add spans of the whole; one that has no end goes on to the end of its text."""
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
    """Return a text with each of its spans replaced; what touches is one."""
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
