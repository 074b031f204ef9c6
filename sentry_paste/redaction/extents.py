"""How far a secret goes that begins at a place of a text, and whether it stands there as it is sought."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from operator import attrgetter

from sentry_paste.redaction.bounds import Allowance
from sentry_paste.redaction.needles import ADDRESS, ANYWHERE, HEAD, WORD, Needle
from sentry_paste.redaction.views import View, decoded, has_escapes

# A text that was cut within a value shows its beginning; so much of it tells.
_TOLD = 6
# Where to look for that in a text of so many characters.
_SHORT = 1024
_PIECES = [slice(start, start + _TOLD) for start in range(_SHORT)]
# Of so many characters together, each beginning is looked for by itself.
_MUCH = 2048
_CLOSERS = "'\").…>]"
_ELLIPSIS = re.compile(
    r"\.{3,}|…|\\{1,8}u2026|\\{1,8}xe2\\{1,8}x80\\{1,8}xa6|%(?:25)?[eE]2%(?:25)?80%(?:25)?[aA]6|&hellip;|&#8230;"
)
# What may be left of a value behind a cut in its middle; where there is more, all of the text goes.
_MOST_LEFT = 512
_LEFT = re.compile(rf"[\w.~%+/=-]{{0,{_MOST_LEFT}}}")
# A text that was cut was seldom escaped by more than this.
_WINDOW = 3 * HEAD

# So many characters are compared as fast as a place is looked at.
_COMPARED = 4096
_where = attrgetter("where")

# Greater than any text that begins alike.
_LAST = "\U0010ffff"

_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
_BASE64_RUN = re.compile("[A-Za-z0-9+/_=-]*")
# Lines of base64 are 76 characters long (RFC 2045 section 6.8), of PEM 64 (RFC 7468 section 2).
_LINE = 64
_NEXT_LINE = re.compile(r"(?:\\r)?\\n(?=[A-Za-z0-9+/_=-])")

# What a letter or digit before a word belongs to, if that was escaped.
_ESCAPE_BEFORE = re.compile(
    r"(?:\\(?:[nrtabfv0]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[0-3][0-7]{2})|%[0-9A-Fa-f]{2})\Z"
)


#: Where something that goes begins and ends in a text; it goes up to the end of the text if that is -1. It is
#: a plain tuple: a hostile text has many, and the garbage collector lets plain ones be.
Span = tuple[int, int]

# The same, and from where on something else may begin: near the end of a value, for that may go on behind it.
_Extent = tuple[int, int, int]


class Heads:
    """Needles by their first characters, by which they are recognised.

    Args:
        needles: of all the secrets of a request.

    Attributes:
        texts: of the heads, in order.
    """

    def __init__(self, needles: Iterable[Needle]) -> None:
        # Needles that are no longer than a head, those that stand anywhere first; longer ones, in order.
        self._short: dict[str, list[Needle]] = {}
        self._long: dict[str, list[Needle]] = {}
        for needle in needles:
            text = needle.text
            if text:
                (self._short if len(text) <= HEAD else self._long).setdefault(text[:HEAD], []).append(needle)
        for short in self._short.values():
            if len(short) > 1:
                short.sort(key=_where)
        for long in self._long.values():
            long.sort()
        self.texts = sorted(self._short.keys() | self._long.keys())
        # Made with the first text that was cut.
        self._together: str | None = None
        self._beginnings: set[str] = set()
        # The longest other head that a head begins with, where there is one.
        self._parents: dict[str, str] = {}
        parent = ""
        for text in self.texts:
            while parent and not text.startswith(parent):
                parent = self._parents.get(parent, "")
            if parent:
                self._parents[text] = parent
            parent = text

    def spans(self, text: str, places: list[int], is_url: bool, allowance: Allowance) -> Iterator[Span]:
        """Yield where secrets are in a text.

        Args:
            text: any.
            places: where one may begin, in order.
            is_url: whether words are no secrets there.
            allowance: what may be spent.

        Raises:
            TooMuchError: there is more to be looked at.
        """
        done = 0
        for place in places:
            if place < done:
                continue  # it is in what goes anyway
            allowance.spend(1)
            found = self._at(text, place, is_url, allowance)
            if found is not None:
                start, end, then = found
                yield start, end
                done = max(done, then)

    def _at(self, text: str, start: int, is_url: bool, allowance: Allowance) -> _Extent | None:
        beginning = text[start : start + HEAD]
        place = bisect_right(self.texts, beginning) - 1
        shown = self.texts[place] if place >= 0 else ""
        steps = 0
        while shown:
            if beginning.startswith(shown):
                found = self._extent(shown, text, start, is_url, allowance)
                if found is not None:
                    return found
            shown = self._parents.get(shown, "")
            steps += 1
        allowance.spend(steps // 4)
        return None

    def _extent(self, head: str, text: str, start: int, is_url: bool, allowance: Allowance) -> _Extent | None:
        long = self._long.get(head)
        if long and _is_within_word(text, start):
            # Before anything is compared that would be refused then.
            long = [needle for needle in long if needle.where is ANYWHERE]
        if long:
            near = _longest(long, text, start)
            if near is not None:
                needle, size = near
                allowance.spend(size // _COMPARED)
                if not (needle.where is WORD and is_url) and _stands(needle, text, start, start + size, True):
                    is_open = needle.is_cut and size == len(needle.text)
                    return start + needle.kept, -1 if is_open else start + size, start + size - HEAD
        end = start + len(head)
        for needle in self._short.get(head, ()):
            if needle.is_run:
                first, last = _run_around(text, start)
                return first, last, last
            if not (needle.where is WORD and is_url) and _stands(needle, text, start, end, False):
                return start + needle.kept, -1 if needle.is_cut else end, end - HEAD
        return None

    def cut_spans(self, text: str, allowance: Allowance) -> Iterator[Span]:
        """Yield where in a text there are beginnings of secrets that were cut, with an ellipsis for the rest.

        Args:
            text: any.
            allowance: what may be spent.

        Raises:
            TooMuchError: there is more to be looked at.
        """
        if self._together is None:
            self._beginnings = {head[:_TOLD] for head in self.texts if len(head) >= _TOLD}
            self._together = "\n".join(self.texts)
        is_short = len(text) <= _SHORT and len(self._together) > _MUCH and not has_escapes(text)
        if is_short and self._beginnings.isdisjoint(_pieces(text)):
            return
        done = 0
        for found in _ELLIPSIS.finditer(text):
            if found.start() < done:
                continue
            allowance.spend(1)
            first = max(found.start() - _WINDOW, 0)
            window = text[first : found.start()].rstrip(_CLOSERS)
            start = self._cut_start(window, allowance)
            if start is not None:
                rest = text[found.end() : found.end() + len(_CLOSERS)]
                is_end = found.end() + len(rest) == len(text) and not rest.strip(_CLOSERS)
                left = _LEFT.match(text, found.end())
                done = len(text)
                if not is_end and left is not None and left.end() - left.start() < _MOST_LEFT:
                    done = left.end()
                yield first + start, done

    def _cut_start(self, window: str, allowance: Allowance) -> int | None:
        """Return where at the end of a text the beginning of a secret begins, None where none does."""
        size = self._told(window, allowance)
        if size:
            return len(window) - size
        views: list[View] = []
        text = window
        while len(views) < 2:
            allowance.spend(4)  # a view of so little costs more than its escapes
            view = decoded(text, allowance)
            if view is None:
                return None
            views.insert(0, view)
            text = view.text
            size = self._told(text, allowance)
            if size:
                place = len(text) - size
                for view in views:
                    place = view.start(place)
                return place
        return None

    def _told(self, text: str, allowance: Allowance) -> int:
        """Return how many characters at the end of a text are the beginning of a secret."""
        together = self._together or ""
        # To look through little is faster than to take the end of a text apart.
        if len(text) < _TOLD or (len(together) <= _MUCH and text[-_TOLD:] not in together):
            return 0
        end = text[1 - HEAD :]
        for start, piece in enumerate(_pieces(end)):
            if piece in self._beginnings:
                allowance.spend(1)
                tail = end[start:]
                place = bisect_left(self.texts, tail)
                if place < len(self.texts) and self.texts[place].startswith(tail):
                    return len(tail)
        return 0


def _pieces(text: str) -> Iterator[str]:
    """Return what stands at each place of a text, of the length by which a beginning is recognised."""
    return map(text.__getitem__, _PIECES[: max(len(text) - _TOLD + 1, 0)])


def _longest(needles: list[Needle], text: str, start: int) -> tuple[Needle, int] | None:
    """Return which of several needles has most in common with a text from a place on, and how much.

    Of a long value so much goes as is there: a head of it is enough to be recognised.

    Args:
        needles: in order; all begin as the text does there.
        text: any.
        start: the place.
    """
    reach = 2 * HEAD
    first, last = 0, len(needles)
    while first < last:
        # Only as far as what is there is the same: a long value is not copied for each place.
        beginning = text[start : start + reach]
        first = bisect_left(needles, (beginning,), first, last)
        last = bisect_right(needles, (beginning + _LAST,), first, last)
        if len(beginning) < reach:
            break
        reach *= 4
    near = needles[max(first - 1, 0) : first + 1]
    shared = [(_shared(needle.text, text, start, reach), needle) for needle in near]
    size, needle = max(shared, key=lambda one: one[0])
    return (needle, size) if size >= HEAD else None


def _shared(needle: str, text: str, start: int, most: int) -> int:
    """Return how many characters a text has in common with a needle, from a place on."""
    low, high = 0, min(len(needle), len(text) - start, most)
    while low < high:
        middle = (low + high + 1) // 2
        if needle[low:middle] == text[start + low : start + middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _run_around(text: str, place: int) -> Span:
    """Return all the base64, or hex, around a place."""
    start = place
    reach = 64
    while True:
        before = text[max(start - reach, 0) : start]
        inner = before.rstrip(_BASE64)
        start -= len(before) - len(inner)
        if inner or not before:
            break
        reach *= 2
    end = _run_end(text, place)
    line = start
    while end - line >= _LINE:
        found = _NEXT_LINE.match(text, end)
        if found is None:
            break
        line = found.end()
        end = _run_end(text, line)
    return start, end


def _run_end(text: str, place: int) -> int:
    found = _BASE64_RUN.match(text, place)
    return found.end() if found else place


def _stands(needle: Needle, text: str, start: int, end: int, is_part: bool) -> bool:
    """Return whether what was found stands where it is to be sought."""
    where = needle.where
    if where is ANYWHERE:
        return True
    if _is_within_word(text, start):
        return False
    after = text[end : end + 2]
    if after[:1].isalnum() and not is_part and not needle.is_cut:
        return False
    if where is ADDRESS:
        before = text[max(start - 2, 0) : start]
        return not (after[:1] == "." and after[1:].isdigit()) and not (
            before[1:] == "." and before[:1].isdigit()
        )
    return True


def _is_within_word(text: str, start: int) -> bool:
    if start == 0 or not text[start - 1].isalnum():
        return False
    # What is shown as a text has a letter of an escape there, what is percent-encoded a digit of one.
    return _ESCAPE_BEFORE.search(text[max(start - 6, 0) : start]) is None
