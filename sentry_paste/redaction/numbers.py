"""Find the numbers of cards, bank accounts and phones in text, by their shape.

Numbers must be valid (length, prefix, check digits), so that ids, times and amounts stay. What is true of all
searches is in ``shapes``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sentry_paste.redaction.shapes import ESCAPES, SHAPE, Candidate, Searched, begins, refuse_too_many


def _is_part_of_number(data: bytes, start: int, end: int) -> bool:
    """Return whether digits belong to a decimal number, or to an id or a range with dashes."""
    before, after = data[max(0, start - 2) : start], data[end : end + 2]
    return (before[1:] in (b".", b"-") and before[:1].isdigit()) or (
        after[:1] in (b".", b"-") and after[1:].isdigit()
    )


# --- Card numbers: prefixes and lengths as published by the brands, the check digit of ISO/IEC 7812-1.

_BRANDS = (
    ("Visa", "4", (13, 16, 19)),
    ("Mastercard", "5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),
    ("American Express", "3[47]", (15,)),
    ("Diners Club", "30[0-5]|3[689]", (14, 16, 17, 18, 19)),
    ("Discover", "6011|64[4-9]|65", (16, 17, 18, 19)),
    ("JCB", "352[89]|35[3-8]", (16, 17, 18, 19)),
    ("UnionPay", "62", (16, 17, 18, 19)),
    ("Maestro", "50|5[6-8]|6", (16, 17, 18, 19)),
)
_PREFIXES = {
    length: re.compile("|".join(prefix for _, prefix, lengths in _BRANDS if length in lengths).encode())
    for length in range(13, 20)
}
# The digit sum of twice a digit (Luhn).
_TWICE = bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[code - 48] if 48 <= code < 58 else 0 for code in range(256))

# A shape with ``2`` for digits that a card may begin with, ``0`` for others, ``a`` for letters, ``-`` for the
# rest.
_CARD_SHAPE = bytes(
    ord("2" if chr(code) in "23456" else "0" if chr(code).isdigit() else "a" if chr(code).isalpha() else "-")
    if code < 128
    else ord("-")
    for code in range(256)
)
_CARD = re.compile(rb"-2[02]{12,18}(?![02a])")
# After an escape; URLs in URLs have a pattern of their own, which is quicker than an optional part.
_ESCAPED_CARDS = {
    mark: re.compile(escape + rb"([2-6][0-9]{12,18})(?![0-9A-Za-z])")
    for mark, escape in {**ESCAPES, b"%": rb"%[0-9A-Fa-f]{2}", b"%25": rb"%25[0-9A-Fa-f]{2}"}.items()
}

# Numbers in groups, in terms of a shape, with ``_`` for the separator: all but the last digit of the first
# group, a literal that the search leaps to, and what follows.
_LAYOUTS = (
    (rb"000", rb"0_0000_0000_0", rb"0{0,3}(?!0)(?:_0000(?!0)){0,6}(?:_0{1,3}(?!0))?"),
    (rb"000", rb"0_000000_0000", rb"0?"),
    (rb"000", rb"0_000_000_000", rb""),
    (rb"00000", rb"0_0000000000000", rb""),
)


def _grouped(separator: bytes) -> Iterator[tuple[bytes, int, re.Pattern[bytes]]]:
    """Yield the literal that a search for groups leaps to, the number of digits before it, and the search."""
    for before, literal, after in _LAYOUTS:
        parts = (part.replace(b"_", separator) for part in (literal, before + literal, after))
        pattern = rb"%s(?<=%s)%s(?![0Aa])" % tuple(parts)
        yield literal.replace(b"_", separator), len(before), re.compile(pattern)


_GROUPED_CARDS = {separator: tuple(_grouped(separator)) for separator in (b"-", b"%00")}


def cards(searched: Searched) -> Iterator[Candidate]:
    """Yield what may be numbers of cards.

    Args:
        searched: the text.
    """
    data, shape = searched.data, searched.shape
    if b"0000000000000" in shape:
        for found in _CARD.finditer(data.translate(_CARD_SHAPE)):
            yield found.start() + 1, found.end(), _is_whole_card(data, found.start() + 1, found.end())
        for mark, pattern in _ESCAPED_CARDS.items():
            for found in pattern.finditer(data) if mark in data else ():
                yield found.start(1), found.end(), _is_whole_card(data, *found.span(1))
    separators = [b"-", *([b"%00"] if b"%20" in data else [])] if b"0000" in shape else []
    for separator in separators:
        for literal, before, pattern in _GROUPED_CARDS[separator]:
            if literal in shape:
                yield from _grouped_cards(data, shape, pattern, before)


def _is_whole_card(data: bytes, start: int, end: int) -> bool:
    return _is_card(data[start:end]) and not _is_part_of_number(data, start, end)


def _grouped_cards(data: bytes, shape: bytes, pattern: re.Pattern[bytes], before: int) -> Iterator[Candidate]:
    found = pattern.search(shape)
    while found:
        start = found.start() - before
        groups, separator = _groups(data[start : found.end()])
        end = start + len(separator.join(groups))
        if begins(data, start) and not _is_part_of_number(data, start, end):
            first, last = _card_among(groups)
            begin = start + len(separator.join([*groups[:first], b""]))
            yield begin, start + len(separator.join(groups[:last])), last > 0
        else:
            yield start, end, False
        found = pattern.search(shape, end)


_SEPARATOR = re.compile(rb"%20|[^0-9A-Za-z]")
_WORD = re.compile(rb"[0-9A-Za-z]*")


def _groups(text: bytes) -> tuple[list[bytes], bytes]:
    """Return the groups at the beginning of a text, which share one separator, and the separator."""
    odd = _SEPARATOR.search(text)
    separator = odd[0] if odd else b" "
    groups = text.split(separator)
    for index, group in enumerate(() if b"".join(groups).isalnum() else groups):
        if not group.isalnum():
            word = _WORD.match(group)
            return [*groups[:index], word[0] if word else b""], separator
    return groups, separator


def _card_among(groups: list[bytes]) -> tuple[int, int]:
    """Return the index of a card's first group, and of the first group after it; (0, 0) if there is none."""
    if len(groups) > 5 and len(groups[5]) == 4:
        # A list of four-digit numbers, unless all of it consists of cards.
        cards = (b"".join(groups[at : at + 4]) for at in range(0, len(groups) - 3, 4))
        return (0, len(groups)) if len(groups) % 4 < 2 and all(map(_is_card, cards)) else (0, 0)
    # There may be one more group: the code or expiry date after it, or a year before it.
    for first, last in ((0, 5), (0, 4), (0, 3), (0, 2), (1, 5)):
        if last <= len(groups) and _is_card(b"".join(groups[first:last])):
            return first, last
    return 0, 0


def _is_card(digits: bytes) -> bool:
    prefixes = _PREFIXES.get(len(digits))
    if prefixes is None or not prefixes.match(digits):
        return False
    once, twice = digits[-1::-2], digits[-2::-2]
    if (sum(once) - 48 * len(once) + sum(twice.translate(_TWICE))) % 10:
        return False
    # Cards with 13 digits are nearly extinct; article numbers (EAN), whose check digit weighs other digits by
    # three, are not.
    return len(digits) > 13 or (sum(once) + 3 * sum(twice) - 48 * 25) % 10 != 0


# --- Bank accounts, ISO 13616: lengths by country according to the registry (release 101).

_IBAN_LENGTHS = {
    country.encode(): length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
_FOLDED = SHAPE.replace(b"a", b"A")
_IBAN = rb"(AA00(?:[A0]{11,30}|(?:(?:-|%00)[A0]{4}){2,7}(?:(?:-|%00)[A0]{1,3})?)(?![0A]))"
# At the beginning of a word, and after each of ``ESCAPES``, in terms of a shape without lower case.
_IBANS = {
    b"": re.compile(_IBAN.replace(b"AA00", rb"AA00(?<![0A].{4})")),
    b"%": re.compile(rb"%[0A]{2,4}?" + _IBAN),
    b"\\": re.compile(rb"\\A[0A]{0,4}?" + _IBAN),
    b"[": re.compile(rb"\[[0;]{1,8}A" + _IBAN),
}
_NUMBERS = {code: b"%d" % int(chr(code), 36) for code in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def ibans(searched: Searched) -> Iterator[Candidate]:
    """Yield what may be numbers of bank accounts.

    Args:
        searched: the text.
    """
    data = searched.data
    view = data.translate(_FOLDED)
    if b"A" in view and b"AA00" in view:
        for mark, pattern in _IBANS.items():
            if mark in data:
                yield from _ibans_in(data, view, pattern)


def _ibans_in(data: bytes, view: bytes, pattern: re.Pattern[bytes]) -> Iterator[Candidate]:
    found = pattern.search(view)
    while found:
        start, end = found.span(1)
        length = _iban_length(data[start:end])
        # The next number may look like part of this one.
        yield start, start + length, bool(length)
        found = pattern.search(view, start + (length or 4))


def _iban_length(text: bytes) -> int:
    """Return the length of the IBAN at the beginning of a text, including separators; 0 if there is none."""
    length = _IBAN_LENGTHS.get(text[:2].upper(), 0)
    if not length:
        return 0
    groups, separator = _groups(text)
    if len(groups) > 1:
        # IBANs in lower case have no spaces; groups of lower-case letters are a hex dump.
        groups = groups[: -(-length // 4)] if text[:1].isupper() else []
    number = b"".join(groups)
    if len(number) != length or not (number.isupper() or number.islower()):
        return 0
    number = number.upper()
    # ISO 7064, MOD 97-10.
    account, check = number[4:], number[:4]
    if not account.isdigit():
        account = _with_numbers(account)
    if int(account + _with_numbers(check)) % 97 != 1:
        return 0
    return len(separator.join(groups))


def _with_numbers(text: bytes) -> bytes:
    """Return digits and letters with letters replaced by numbers: A becomes 10."""
    return b"".join([_NUMBERS[code] for code in text])


# --- Phone numbers: E.164 with its plus sign, North American numbers as written there, RFC 3966.

_WITHOUT_DIGITS = bytes(ord("0") if bytes([code]).isdigit() else code for code in range(256))
_COUNTRIES = re.compile(
    rb"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    rb"|21[1-368]|22\d|23\d|24\d|25[0-8]|26\d|29[017-9]"
    rb"|35\d|37[0-8]|38[0-35-79]|42[013]|50\d|59\d|67[02-9]|68[0-35-9]|69[0-2]"
    rb"|80[08]|85[02356]|87[08]|88[0-368]|96[0-8]|97[0-79]|99[2-68]"
)
_SPACE = rb"[ ./\xa0-]"
_MANY_DIGITS = rb"(?=(?:[ ./()\xa0-]{0,2}[0-9]){8})"
_AFTER_PLUS = (
    rb"(?=[1-9])" + _MANY_DIGITS + rb"([0-9]{1,15}(?:(?:_?\(|\)_?|_)[0-9]{1,12}){0,7})".replace(b"_", _SPACE)
)
_INTERNATIONAL = re.compile(rb"\+" + _AFTER_PLUS)
# The plus sign as escaped by .NET's JSON and in JavaScript.
_ESCAPED_INTERNATIONAL = re.compile(rb"\\(?:u002|x2)[Bb]" + _AFTER_PLUS)
_ENCODED_SPACE = rb"(?:%20|%2[Ff]|[+./-])"
_ENCODED_INTERNATIONAL = re.compile(
    rb"%2[Bb](?=(?:%2[089Ff]|[0-9+./()-]){8})([1-9][0-9]{0,14}(?:(?:_?(?:%28|\()|(?:%29|\))_?|_)[0-9]{1,12}){0,7})".replace(
        b"_", _ENCODED_SPACE
    )
)
_GROUPS = re.compile(rb"((?:%2[089Ff]|[^0-9])*)([0-9]+)")
# The least and the most digits of a number.
_FEWEST, _MOST = 8, 15
# How many of its groups may have one digit: +33 1 23 45 67 89.
_MOST_SINGLES = 2
# Countries whose numbers have six digits, elsewhere a signed amount: the Faroe Islands, Andorra.
_IN_THREES = (b"298", b"376")
_AMERICAN_AREA = re.compile(rb"1[^0-9]*[2-9]")
# In a shape with ``0`` for digits, after the end of an area code.
_AMERICAN = re.compile(rb"000-0000(?:(?<=[-) +].{8})|(?<=%00.{8}))(?![0-9A-Za-z])")
_AREA = re.compile(
    rb"(?:1[ .-])?(?:\([2-9][0-9]{2}\)[ +-]?|[2-9][0-9]{2}-)\Z|%28[2-9][0-9]{2}%29(?:%20|[+-])?\Z"
)
_TEL = re.compile(rb"tel(?::|%3a)(?:\+|%2b)?\(?[0-9](?:[().-]{0,2}[0-9]){3,18}")


def phones(searched: Searched) -> Iterator[Candidate]:
    """Yield what may be phone numbers.

    Args:
        searched: the text.

    Raises:
        TooMuchError: there are too many signs of numbers.
    """
    data = searched.data
    digits = data.translate(_WITHOUT_DIGITS)
    if b"+" in data and b"+0" in digits:
        refuse_too_many(digits, b"+0")
        for found in _INTERNATIONAL.finditer(data):
            yield _international(data, found.start(), found.end(), found[1])
    if b"\\u002" in data or b"\\x2" in data:
        for found in _ESCAPED_INTERNATIONAL.finditer(data):
            yield _international(data, found.start(), found.end(), found[1])
    if b"%2B" in data or b"%2b" in data:
        for found in _ENCODED_INTERNATIONAL.finditer(data):
            yield _international(data, found.start(), found.end(), found[1])
    if b"-" in data and b"000-0000" in digits:
        for found in _AMERICAN.finditer(digits):
            yield _american(data, found.start(), found.end())
    if b"tel" in data or b"Tel" in data or b"TEL" in data:
        lower = data.lower()
        refuse_too_many(lower, b"tel:")
        for found in _TEL.finditer(lower):
            yield found.start(), found.end(), begins(data, found.start())


def _international(data: bytes, start: int, end: int, text: bytes) -> Candidate:
    if not begins(data, start) or data[start - 1 : start] == b"+":
        return start, end, False
    ends_in_word = data[end : end + 1].isalnum() and data[end : end + 1] != b"x"
    length = _length_of_number(text, ends_in_word)
    return start, end - len(text) + length, bool(length)


def _length_of_number(text: bytes, ends_in_word: bool) -> int:
    """Return how much of a text of grouped digits is a phone number with country code, 0 if nothing is."""
    groups = _GROUPS.findall(text)[: -1 if ends_in_word else None]
    country = _COUNTRIES.match(groups[0][1]) if groups else None
    if country is None:
        return 0
    # Numbers of these countries have a fixed length, so anything beyond it is not part of them.
    exactly = 11 if country[0] in (b"1", b"7") else 0
    count = length = used = best = 0
    singles = dots = 0
    for index, (separator, digits) in enumerate(groups):
        singles += len(digits) == 1 and index > 0 and b"(" not in separator
        dots += b"." in separator
        if singles > _MOST_SINGLES or count + len(digits) > (exactly or _MOST):
            break
        count, length = count + len(digits), length + len(separator) + len(digits)
        # With exactly one dot it is a decimal number.
        if count >= (exactly or _FEWEST) and dots != 1:
            best, used = length, index
    if country[0] == b"1" and not _AMERICAN_AREA.match(text):
        return 0
    is_amount = used == 2 and all(
        len(digits) == 3 and separator in (b" ", b".", b"\xa0") for separator, digits in groups[1:3]
    )
    return 0 if is_amount and country[0] not in _IN_THREES else best


def _american(data: bytes, start: int, end: int) -> Candidate:
    area = _AREA.search(data, max(0, start - 14), start)
    begin = area.start() if area else start
    return begin, end, area is not None and begins(data, begin) and not _is_part_of_number(data, begin, end)
