"""Find how far a secret extends that begins at a place in a text, and whether it counts as one there."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from operator import attrgetter

from sentry_paste.redaction.bounds import Allowance, Search
from sentry_paste.redaction.needles import ADDRESS, ANYWHERE, HEAD, WORD, Needle
from sentry_paste.redaction.views import View, decoded, has_escapes

# The shortest beginning of a value that is recognised at the end of a text that was cut.
_SHORTEST_BEGINNING = 6
# How much of the end of a text is searched for it.
_SHORT = 1024
_PIECES = [slice(start, start + _SHORTEST_BEGINNING) for start in range(_SHORT)]
# Up to this many characters in total, each beginning is searched for separately.
_MUCH = 2048
_CLOSERS = "'\").…>]"
_ELLIPSIS = re.compile(
    # Each alternative begins with a character of its own, so that the search leaps to it.
    r"\.\.\.+|…|\\\\{0,7}u2026|\\\\{0,7}xe2\\{1,8}x80\\{1,8}xa6"
    r"|%(?:[eE]2|25[eE]2)%(?:25)?80%(?:25)?[aA]6|&(?:hellip;|#8230;|amp;(?:hellip|#8230);)"
)
# Raw, and the end of each escaped form, by a part that several have.
_PLAIN_ELLIPSES = ("...", "…")
_PLAIN_ELLIPSIS = re.compile(r"\.\.\.+|…")
_ESCAPED_ELLIPSES = {
    "\\": ("u2026", "xa6"),
    "80%": ("80%A6", "80%a6", "80%25A6", "80%25a6"),
    "&": ("hellip;", "#8230;"),
}
# The most that may follow a cut in the middle of a value; if there is more, the whole text is hidden.
_MOST_LEFT = 512
_LEFT = re.compile(rf"[\w.~%+/=-]{{0,{_MOST_LEFT}}}")
# The shortest end of a value that is recognised behind a cut, and of how many values that begin alike.
_SHORTEST_TAIL, _FEW_TAILS, _COST_OF_TAIL = 3, 8, 4
# A text that was cut seldom had longer escapes than this. Those of an emoji are the longest, three levels
# deep.
_WINDOW, _LONGEST_WINDOW = 3 * HEAD, 28 * HEAD
# How many levels of them are undone.
_LEVELS = 3
# What is left of an escape that was cut, with the bytes of its character. A run of backslashes is read once.
_CUT_ESCAPE = re.compile(
    r"[%\\&](?:(?<=%)(?:"
    r"(?:[Ff][0-7](?:%[89ABab][0-9A-Fa-f]){0,2}|[Ee][0-9A-Fa-f](?:%[89ABab][0-9A-Fa-f])?|[CDcd][0-9A-Fa-f])"
    r"(?:%[0-9A-Fa-f]?)?|[0-9A-Fa-f]?)"
    r"|(?<=\\)(?<!\\\\)\\*(?:u[dD][89ABab][0-9A-Fa-f]{2}\\*)?"
    r"(?:(?<=\\)(?:x[0-9A-Fa-f]?|u[0-9A-Fa-f]{0,3}|U[0-9A-Fa-f]{0,7}|[0-3][0-7]?))?"
    r"|(?<=&)(?:#[xX]?[0-9A-Fa-f]{0,6}|[A-Za-z]{0,8}))\Z"
)
_LONGEST_CUT_ESCAPE = 80
# A shorter run of base64 is too likely to be a word.
_SHORTEST_RUN = 7

# Comparing this many characters takes as long as examining one place, and so does choosing one of several
# values that begin alike.
_COMPARED = 4096
_where = attrgetter("where")

# Sorts after every text that begins the same.
_LAST = "\U0010ffff"

_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
_BASE64_RUN = re.compile("[A-Za-z0-9+/_=-]*")
# Lines of base64 are 76 characters long (RFC 2045 section 6.8), of PEM 64 (RFC 7468 section 2).
_LINE = 64
_NEXT_LINE = re.compile(
    r"(?:\r?\n|\\{1,8}(?:r\\{1,8})?n|%(?:25){0,5}(?:0[dD]%(?:25){0,5})?0[aA]|&#(?:13;&#)?10;)(?=[A-Za-z0-9+/_=-])"
)
# Signs of base64, escaped.
_SIGN = re.compile(
    r"%(?:25){0,5}(?:2[bBdDfF]|3[dD])"
    r"|(?:\\|%(?:25){0,5}5[cC]){1,8}(?:[-/+=]|%(?:25){0,5}2[fF]|(?:u00|x)(?:2[bBdDfF]|3[dD]))"
    r"|&(?:amp;){0,5}#(?:4[357]|61|x2[bBdDfF]|x3[dD]);"
)
_LONGEST_SIGN = 40
# To pass over as many of them takes as long as to examine a place.
_SIGNS = 4

# An escape that a letter or digit right before a word may belong to, also one that colours a terminal, and
# one that is itself escaped: %2520, %5Cn.
_P = "%(?:25){0,5}"
_BACKSLASH = rf"(?:\\|{_P}5[cC])(?:(?:u00|x)5[cC]){{0,2}}"
_ESCAPE_BEFORE = re.compile(
    rf"(?:{_BACKSLASH}(?:[nrtabfv0]|x[0-9A-Fa-f]{{2}}|u[0-9A-Fa-f]{{4}}|[0-3][0-7]{{2}})|{_P}[0-9A-Fa-f]{{2}}"
    rf"|(?:\x1b|{_BACKSLASH}(?:x1[bB]|u001[bB])|{_P}1[bB])(?:\[|{_P}5[bB])[0-9;]{{0,20}}m)\Z"
)
_LONGEST_ESCAPE = 64


#: Start and end of what is hidden in a text; an end of -1 means the end of the text. It is a plain tuple: a
#: hostile text has many, and the garbage collector stops tracking plain ones.
Span = tuple[int, int]

# The same, and from where on the next secret may begin: near the end of this one, which it may extend.
_Extent = tuple[int, int, int]


def has_ellipsis(text: str) -> bool:
    """Return whether a text may have been cut somewhere.

    Args:
        text: any.
    """
    return any(map(text.__contains__, _PLAIN_ELLIPSES)) or _has_escaped_ellipsis(text)


def _has_escaped_ellipsis(text: str) -> bool:
    has = text.__contains__
    return has_escapes(text) and any(
        has(part) and any(map(has, ends)) for part, ends in _ESCAPED_ELLIPSES.items()
    )


class Heads:
    """Needles by their heads: the first characters, by which they are recognised.

    Args:
        needles: of all the secrets of a request.
        encoded: returns the base64 and hex of values that are found without it, unless they were cut.

    Attributes:
        texts: of the heads, in order.
    """

    def __init__(self, needles: Iterable[Needle], encoded: Callable[[], Collection[str]] = tuple) -> None:
        # Needles no longer than a head, those found anywhere first; and longer ones, in order.
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
        # Built for the first text that was cut.
        self._make_encoded = encoded
        self._together: str | None = None
        self._encoded: Collection[str] = ()
        self._cut_texts = self.texts
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
        """Yield the spans of secrets in a text.

        Args:
            text: any.
            places: where one may begin, in order.
            is_url: whether words are not secret in it.
            allowance: what may be spent.

        Raises:
            TooMuchError: there is more to be looked at.
        """
        done = 0
        for place in places:
            if place < done:
                continue  # it is within a span that is hidden already
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
            # Sort out first what would be refused after the comparison.
            long = [needle for needle in long if needle.where is ANYWHERE]
        if long:
            near = _longest(long, text, start)
            if near is not None:
                needle, size = near
                allowance.spend(size // _COMPARED + (len(long) > 1))
                # Of a pair with a long name, only the name may be there, or a part of it.
                is_shown = size > needle.kept and not (needle.where is WORD and is_url)
                if is_shown and _fits(needle, text, start, start + size, True):
                    is_whole = size == len(needle.text)
                    # If only a beginning is there, it may be that of another form: '' for ', then the value.
                    then = start + size - HEAD if is_whole else start + 1
                    return start + needle.kept, -1 if is_whole and needle.is_cut else start + size, then
        end = start + len(head)
        for needle in self._short.get(head, ()):
            if needle.is_run:
                first, last = _run_around(text, start, allowance)
                return first, last, last
            if not (needle.where is WORD and is_url) and _fits(needle, text, start, end, False):
                return start + needle.kept, -1 if needle.is_cut else end, end - HEAD
        return None

    def cut_spans(self, text: str, allowance: Allowance) -> Iterator[Span]:
        """Yield the spans of secrets of which only the beginning is left, followed by an ellipsis.

        Args:
            text: any.
            allowance: what may be spent.

        Raises:
            TooMuchError: there is more to be looked at.
        """
        if self._together is None:
            self._prepare_for_cut()
        is_short = len(text) <= _SHORT and len(self._together or "") > _MUCH and not has_escapes(text)
        if is_short and self._beginnings.isdisjoint(_pieces(text)):
            return
        search = Search(_ELLIPSIS if _has_escaped_ellipsis(text) else _PLAIN_ELLIPSIS, text)
        for found in search:
            allowance.spend(1)
            end, start = self._start_before_cut(text, found.start(), allowance)
            if self._encoded:
                run = self._start_of_encoded(text, end, allowance)
                if run is not None:
                    start = run if start is None else min(start, run)
            if start is not None:
                rest = text[found.end() : found.end() + len(_CLOSERS)]
                is_end = found.end() + len(rest) == len(text) and not rest.strip(_CLOSERS)
                left = _LEFT.match(text, found.end())
                done = len(text)
                if not is_end and left is not None and left.end() - left.start() < _MOST_LEFT:
                    done = max(left.end(), self._end_after_cut(text, (start, end), found.end(), allowance))
                yield start, done
                search.position = done

    def _end_after_cut(self, text: str, beginning: Span, start: int, allowance: Allowance) -> int:
        """Return where the end of a value ends that was cut in its middle.

        Args:
            text: any.
            beginning: where the beginning of the value is.
            start: where the ellipsis ends.
            allowance: what may be spent.
        """
        shown = text[slice(*beginning)]
        size = self._length_of_beginning(shown, allowance)
        for _ in range(0 if size else _LEVELS):
            view = decoded(shown, allowance)
            if view is None:
                break
            shown = view.text
            size = self._length_of_beginning(shown, allowance)
            if size:
                break
        tails = self._tails(shown[len(shown) - size :]) if size else []
        views: list[View] = []
        rest, done = text[start : start + 3 * HEAD], start
        while tails:
            allowance.spend(_COST_OF_TAIL * len(tails))
            length = max(_shared_end(tail, rest) for tail in tails)
            place = length
            for view in views:
                place = view.end(place)
            done = max(done, start + place) if length else done
            view = decoded(rest, allowance) if len(views) < _LEVELS else None
            if view is None:
                break
            views.insert(0, view)
            rest = view.text
        return done

    def _tails(self, beginning: str) -> list[str]:
        """Return the ends of the values that begin like this, of a few."""
        found: list[str] = []
        first = bisect_left(self._cut_texts, beginning)
        for head in self._cut_texts[first : first + _FEW_TAILS]:
            if not head.startswith(beginning):
                break
            needles = [*self._short.get(head, ())[:1], *self._long.get(head, ())[:_FEW_TAILS]]
            found += [needle.text[-HEAD:] for needle in needles if not needle.is_run]
        return found[:_FEW_TAILS]

    def _start_before_cut(self, text: str, end: int, allowance: Allowance) -> tuple[int, int | None]:
        """Return where a text ends that was cut, and where the beginning of a secret begins there.

        Args:
            text: any.
            end: where the ellipsis begins.
            allowance: what may be spent.
        """
        for size in (_WINDOW, _LONGEST_WINDOW):
            first = max(end - size, 0)
            window = text[first:end].rstrip(_CLOSERS)
            start, length = self._cut_start(window, allowance)
            if length >= HEAD or not first:
                break
        return first + len(window), None if start is None else first + start

    def _cut_start(self, window: str, allowance: Allowance) -> tuple[int | None, int]:
        """Return where the beginning of a secret begins at the end of a text, None if there is none.

        Returns:
            That, and how long the text is when its escapes are undone.
        """
        size = self._length_of_beginning(window, allowance)
        # The end of an escaped value may be the beginning of one of its parts as well.
        first = len(window) - size if size else None
        if size and not has_escapes(window):
            return first, len(window)
        views: list[View] = []
        text = window
        while True:
            cut = _CUT_ESCAPE.search(text, max(len(text) - _LONGEST_CUT_ESCAPE, 0))
            if cut is not None:
                allowance.spend(1)
                text = text[: cut.start()]
                first = self._earlier(first, text, views, allowance)
            if len(views) == _LEVELS:
                return first, len(text)
            allowance.spend(4)  # creating a view of a short text costs more than its escapes
            view = decoded(text, allowance)
            if view is None:
                return first, len(text)
            views.insert(0, view)
            text = view.text
            first = self._earlier(first, text, views, allowance)

    def _earlier(self, first: int | None, text: str, views: list[View], allowance: Allowance) -> int | None:
        """Return where the beginning of a secret begins at the end of a view, if that is before another."""
        size = self._length_of_beginning(text, allowance)
        if not size:
            return first
        place = len(text) - size
        for view in views:
            place = view.start(place)
        return place if first is None else min(first, place)

    def _start_of_encoded(self, text: str, end: int, allowance: Allowance) -> int | None:
        """Return where base64 or hex begins that was cut, None if it is not that of a secret."""
        if end < _SHORTEST_RUN:
            return None
        start, _ = _run_around(text, end - 1, allowance)
        if end - start < _SHORTEST_RUN:
            return None
        allowance.spend(1 + (end - start) // _SHORT)
        run = text[start:end]
        return start if any(piece in run for piece in self._encoded) else None

    def _prepare_for_cut(self) -> None:
        self._encoded = self._make_encoded()
        self._cut_texts = sorted({*self.texts, *self._encoded}) if self._encoded else self.texts
        self._beginnings = {
            head[:_SHORTEST_BEGINNING] for head in self._cut_texts if len(head) >= _SHORTEST_BEGINNING
        }
        # Last: another thread of the request may read it.
        self._together = "\n".join(self._cut_texts)

    def _length_of_beginning(self, text: str, allowance: Allowance) -> int:
        """Return how many characters at the end of a text are the beginning of a secret."""
        together = self._together or ""
        # With little to search, that is faster than cutting the end of the text into pieces.
        if len(text) < _SHORTEST_BEGINNING or (
            len(together) <= _MUCH and text[-_SHORTEST_BEGINNING:] not in together
        ):
            return 0
        end = text[1 - HEAD :]
        for start, piece in enumerate(_pieces(end)):
            if piece in self._beginnings:
                allowance.spend(1)
                tail = end[start:]
                place = bisect_left(self._cut_texts, tail)
                if place < len(self._cut_texts) and self._cut_texts[place].startswith(tail):
                    return len(tail)
        return 0


def _shared_end(tail: str, text: str) -> int:
    """Return how many characters at the beginning of a text are the end of a value."""
    first = text[:_SHORTEST_TAIL]
    place = tail.find(first) if len(first) == _SHORTEST_TAIL else -1
    while place >= 0:
        if text.startswith(tail[place:]):
            return len(tail) - place
        place = tail.find(first, place + 1)
    return 0


def _pieces(text: str) -> Iterator[str]:
    """Return the piece at each place of a text, with the length by which a beginning is recognised."""
    return map(text.__getitem__, _PIECES[: max(len(text) - _SHORTEST_BEGINNING + 1, 0)])


def _longest(needles: list[Needle], text: str, start: int) -> tuple[Needle, int] | None:
    """Return which of several needles shares most with a text from a place on, and how much.

    As much of a long value is hidden as is there: its head is enough to recognise it.

    Args:
        needles: in order; all begin as the text does there.
        text: any.
        start: the place.
    """
    reach = 2 * HEAD
    first, last = 0, len(needles)
    while first < last:
        # Compare step by step, so that a long value is not copied for each place.
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
    """Return how many characters a text shares with a needle, from a place on."""
    low, high = 0, min(len(needle), len(text) - start, most)
    while low < high:
        middle = (low + high + 1) // 2
        if needle[low:middle] == text[start + low : start + middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _run_around(text: str, place: int, allowance: Allowance) -> Span:
    """Return the whole run of base64 or hex around a place."""
    start, signs = _run_start(text, place), 0
    while (sign := _sign_before(text, start, place)) is not None:
        # The piece that was found may be far within the value.
        start, signs = _run_start(text, sign), signs + 1
        if signs % _SIGNS == 0:
            allowance.spend(1)
    end = _run_end(text, place, allowance)
    line = start
    while end - line >= _LINE:
        found = _NEXT_LINE.match(text, end)
        if found is None:
            break
        line = found.end()
        end = _run_end(text, line, allowance)
    return start, end


def _run_start(text: str, place: int) -> int:
    start = place
    reach = 64
    while True:
        before = text[max(start - reach, 0) : start]
        inner = before.rstrip(_BASE64)
        start -= len(before) - len(inner)
        if inner or not before:
            return start
        reach *= 2


def _sign_before(text: str, start: int, place: int) -> int | None:
    """Return where an escaped sign of base64 begins right before a run, None if there is none.

    Args:
        text: any.
        start: of the run, which may begin with the end of the sign.
        place: in the run.
    """
    begin = start - 1
    if text[begin:start] == ";":
        begin = text.rfind("&", max(start - _LONGEST_SIGN, 0), start)
    while begin > 0 and text[begin] == text[begin - 1] == "\\" and start - begin < _LONGEST_SIGN:
        begin -= 1
    found = _SIGN.match(text, begin) if begin >= 0 else None
    return begin if found is not None and start <= found.end() <= place else None


def _run_end(text: str, place: int, allowance: Allowance) -> int:
    end, signs = place, 0
    while True:
        found = _BASE64_RUN.match(text, end)
        end = found.end() if found else end
        sign = _SIGN.match(text, end)
        if sign is None:
            return end
        end, signs = sign.end(), signs + 1
        if signs % _SIGNS == 0:
            allowance.spend(1)


def _fits(needle: Needle, text: str, start: int, end: int, is_part: bool) -> bool:
    """Return whether a needle was found in a place where it counts."""
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
    # A letter or digit before the word may belong to an escape: \n before it, or %20.
    return _ESCAPE_BEFORE.search(text[max(start - _LONGEST_ESCAPE, 0) : start]) is None
