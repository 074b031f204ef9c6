"""Finding secret values in text, in time that grows with the text and not with what the client sent."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable
from itertools import accumulate

from sentry_paste.redaction.forms import (
    ADDRESS,
    ANYWHERE,
    PAIR,
    WHOLE,
    WORD,
    Secret,
    Where,
    base64_seed,
    expanded,
    seed,
)
from sentry_paste.redaction.names import FILTERED

# What is shorter is in too much that has nothing to do with it.
_SHORT_SEED = 2
# A longer value is sought by its beginning, and compared from there.
_KEY = 64
# Up to so many values are sought one by one, each by the interpreter's own search; more, all at once.
_FEW = 64
# A text that was cut within a value shows its beginning; so much of it tells.
_TOLD = 6
_ELLIPSES = ("...", "…")
_CLOSERS = "'\").…>]"
# Of a long value so much is recognised, whatever stands behind.
_RECOGNISED = 128

# Letters and digits; an escape's letter may stand before a word, and ends at a backslash or a percent sign.
_RUN = re.compile(r"[^\W_]*")

_ESCAPES = frozenset("nrtabfv0")
_HEX = frozenset("0123456789abcdefABCDEF")


class Matcher:
    """The secret values of a request, made ready to be sought.

    Most payloads have none of them. So what all forms of a value have in common is sought first; the forms
    are made when it is found.

    Args:
        secrets: the values, as the request has them.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._secrets = list(secrets)
        self._is_ready = not self._secrets
        self._seeds: list[str] | None = None
        self._whole: set[str] = set()
        self._keys: list[str] = []
        self._anchors: dict[int, dict[str, list[int]]] = {}

    def may_have(self, text: str) -> bool:
        """Tell whether a secret may be in a text, and be ready to seek it if so.

        Args:
            text: any.
        """
        if self._is_ready:
            return True
        seeds = self._seeds
        if seeds is None:
            seeds = self._seeds = _seeds_of(self._secrets)
        for told in seeds:
            if told in text:
                break
        else:
            if seeds:
                return False
        self._make_ready()
        return True

    def _make_ready(self) -> None:
        self._is_ready = True
        self._by_key: dict[str, list[Secret]] = {}
        for secret in expanded(self._secrets):
            if not secret.text:
                continue
            if secret.where is not PAIR:
                self._whole |= {secret.text, f"'{secret.text}'", f'"{secret.text}"', f"b'{secret.text}'"}
            if secret.where is not WHOLE:
                self._by_key.setdefault(secret.text[:_KEY], []).append(secret)
        for group in self._by_key.values():
            group.sort()
        self._keys = sorted(self._by_key, key=lambda key: (-len(key), key))
        self._in_order = sorted(self._keys)
        # The first characters of the keys, by how many: what text is looked at for where they are many.
        if len(self._keys) > _FEW:
            for key in self._keys:
                length = min(len(key), 8)
                lengths = self._anchors.setdefault(length, {}).setdefault(key[:length], [])
                if not lengths or lengths[-1] != len(key):  # the keys come by length
                    lengths.append(len(key))

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def clean(self, text: str, is_url: bool = False) -> str:
        """Return a text without the secrets that are in it.

        Args:
            text: any.
            is_url: whether it is a path or a URL, where words are no secrets.
        """
        if is_url:
            return self._replace_all(text, is_url=True) if self.may_have(text) else text
        return self.clean_all((text,)).get(text, text)

    def clean_all(self, texts: Collection[str]) -> dict[str, str]:
        """Return what becomes of those texts that have secrets in them.

        Args:
            texts: any.
        """
        if not self:
            return {}
        listed = list(texts)
        together = "\n".join(listed)
        if not self.may_have(together):
            return {}
        changed = dict.fromkeys(self._whole.intersection(listed), FILTERED)
        for text in self._with_secrets(listed, together):
            cleaned = self._replace_all(text)
            if cleaned != text and text not in changed:
                changed[text] = cleaned
        if any(ellipsis in together for ellipsis in _ELLIPSES):
            for text in listed:
                if text.rstrip("'\"").endswith(_ELLIPSES):
                    before = changed.get(text, text)
                    cleaned = self._without_cut(before)
                    if cleaned != before:
                        changed[text] = cleaned
        return changed

    def _with_secrets(self, texts: list[str], together: str) -> Iterable[str]:
        """Return the texts that may have secrets in them."""
        if self._anchors:
            return texts
        present = [key for key in self._keys if key in together]
        if not present:
            return ()
        ends = list(accumulate(len(text) + 1 for text in texts))
        found = set()
        for key in present:
            start = together.find(key)
            while start >= 0:
                index = bisect_right(ends, start)
                found.add(index)
                start = together.find(key, ends[index])
        return [texts[index] for index in found]

    def _replace_all(self, text: str, is_url: bool = False) -> str:
        if self._anchors:
            return self._scan(text, is_url)
        for key in self._keys:
            if key in text:
                text = self._replace(text, key, is_url)
        return text

    def _replace(self, text: str, key: str, is_url: bool) -> str:
        parts, done, start = [], 0, text.find(key)
        while start >= 0:
            found = self._extent(text, start, key, is_url)
            if found is None:
                start = text.find(key, self._next(text, start, key))
                continue
            end, kept = found
            parts += [text[done : start + kept], FILTERED]
            done = end
            start = text.find(key, end)
        return "".join([*parts, text[done:]])

    def _next(self, text: str, start: int, key: str) -> int:
        """Return where to look again: what is sought as a word is not in the middle of one."""
        if self._by_key[key][0].where is not WORD or not text[start].isalnum():
            return start + 1
        run = _RUN.match(text, start)
        return max(run.end(), start + 1) if run else start + 1

    def _scan(self, text: str, is_url: bool) -> str:
        """Replace while going through the text once, for any number of keys."""
        parts, done, start = [], 0, 0
        while start < len(text):
            found = self._longest_at(text, start, is_url)
            if found is None:
                start += 1
                continue
            end, kept = found
            parts += [text[done : start + kept], FILTERED]
            done = start = end
        return "".join([*parts, text[done:]]) if parts else text

    def _longest_at(self, text: str, start: int, is_url: bool) -> tuple[int, int] | None:
        for length, anchors in self._anchors.items():
            lengths = anchors.get(text[start : start + length])
            for key_length in lengths or ():
                key = text[start : start + key_length]
                found = self._extent(text, start, key, is_url) if key in self._by_key else None
                if found is not None:
                    return found
        return None

    def _extent(self, text: str, start: int, key: str, is_url: bool) -> tuple[int, int] | None:
        """Return where the secret ends that begins here with a key, and how much of it stays."""
        group = self._by_key[key]
        if len(key) < _KEY:
            # All of one text: the loosest of its rules holds.
            for secret in group:
                end = start + len(key)
                if _stands(secret.where, text, start, end, is_url):
                    return end, secret.kept
            return None
        if len(group) == 1 and text.startswith(group[0].text, start):
            end, where, kept = start + len(group[0].text), group[0].where, group[0].kept
            return (end, kept) if _stands(where, text, start, end, is_url) else None
        # The nearest in their order share the longest beginning.
        place = bisect_right(group, (text[start : start + len(group[-1].text)],))
        near = group[max(place - 1, 0) : place + 1]
        shared = max(_shared(text, start, secret.text) for secret in near)
        rest_is_cut = not text[start + shared :].strip(_CLOSERS) if len(text) - start - shared < 8 else False
        if len(group) > 1 or shared >= _RECOGNISED or rest_is_cut:
            return (start + shared, near[0].kept) if near[0].where is not WORD or not is_url else None
        return None

    def _without_cut(self, text: str) -> str:
        """Return a text that was cut without the beginning of a secret at its end."""
        stem = text.rstrip(_CLOSERS)
        tail = stem[-_KEY:]
        at = len(stem)
        if self._anchors:
            keys = self._in_order
            for index in range(len(tail) - _TOLD + 1):
                rest = tail[index:]
                place = bisect_right(keys, rest)
                if place < len(keys) and keys[place].startswith(rest):
                    at = len(stem) - len(rest)
                    break
        else:
            for key in self._keys:
                index = tail.find(key[:_TOLD]) if len(key) > _TOLD else -1
                while index >= 0:
                    if key.startswith(tail[index:]):
                        at = min(at, len(stem) - len(tail) + index)
                        break
                    index = tail.find(key[:_TOLD], index + 1)
        return text if at == len(stem) else text[:at] + FILTERED


#: Of a request that has none.
NO_SECRETS = Matcher(())


def _seeds_of(secrets: list[Secret]) -> list[str]:
    """Return texts of which every text with a secret has one; none where that cannot be told."""
    if len(secrets) > _FEW:
        return []
    found = []
    for secret in secrets:
        found.append(seed(secret))
        if secret.where is not PAIR:
            found.append(base64_seed(secret))
    return [*_ELLIPSES, *found] if min(map(len, found)) >= _SHORT_SEED else []


def _shared(text: str, start: int, secret: str) -> int:
    """Return how many characters a text has in common with a secret, from a place on."""
    low, high = 0, min(len(secret), len(text) - start)
    if not text.startswith(secret[:_RECOGNISED], start):
        high = min(high, _RECOGNISED)  # seldom more, and so a text of one letter costs no square
    while low < high:
        middle = (low + high + 1) // 2
        if text.startswith(secret[:middle], start):
            low = middle
        else:
            high = middle - 1
    return low


def _stands(where: Where, text: str, start: int, end: int, is_url: bool) -> bool:
    """Tell whether what was found stands where it is to be sought."""
    if where is ANYWHERE:
        return True
    if is_url and where is WORD:
        return False
    after = text[end : end + 2]
    if after[:1].isalnum() or _before_is_word(text, start):
        return False
    if where is ADDRESS:
        before = text[max(start - 2, 0) : start]
        return not (after[:1] == "." and after[1:].isdigit()) and not (
            before[1:] == "." and before[:1].isdigit()
        )
    return True


def _before_is_word(text: str, start: int) -> bool:
    if start == 0 or not text[start - 1].isalnum():
        return False
    # What is shown as a text has a letter of an escape there, what is percent-encoded a digit of one.
    before = text[max(start - 4, 0) : start]
    if before[-2:-1] == "\\" and before[-1] in _ESCAPES:
        return False
    is_hex = before[-1] in _HEX and before[-2:-1] in _HEX
    return not (is_hex and (before[-3:-2] == "%" or before[-4:-2] == "\\x"))
