"""Locate the value of a secret name in text: behind a sign, in a header, as an argument."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from sentry_paste.redaction.appearance import looks_random
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.enclosed import (
    after_space,
    closed_call,
    closed_value,
    end_of_item,
    indented_value,
    listed_value,
)
from sentry_paste.redaction.encoded import end_of_value, json_value
from sentry_paste.redaction.names import Names, Rule

#: How far ahead an end is searched for, and how much of a value is read to judge whether it is secret.
NEAR = 16_384
SEEN = 256
# Under these names plain words and short numbers are secret too; under other names they could be anything.
_STRONG = re.compile("passw|passphrase|passcode|secret|pwd|(?:^|_)(?:pin|otp|cvv|cvc|pass)(?:$|_)|^x-")
_COUNTS = re.compile(r"(?:tokens|count|size|limit|length|timeout|age|ttl|total|s)\Z", re.IGNORECASE)
_SCALAR = re.compile(rf"[^\s,;)\]}}&'\"<>\\]{{1,{SEEN}}}")
_REST_OF_SCALAR = re.compile(r"[^\s,;)\]}&'\"<>\\]*")
TOKEN = re.compile(rf"[^\s'\"<>]{{1,{SEEN}}}")
#: A character beyond ASCII, as JSON and Python escape it.
BEYOND_ASCII = r"\\{1,64}(?:u(?!00[0-7])[0-9A-Fa-f]{4}|x[89A-Fa-f][0-9A-Fa-f]|U[0-9A-Fa-f]{8})"
UP_TO_A_SPACE = re.compile(rf"(?:[^\s<>\\]|{BEYOND_ASCII})+")
END_OF_LINE = {
    "": re.compile(r"[\r\n<>]|\\[rn]"),
    # A quote that is escaped is of the value.
    "'": re.compile(r"[\r\n<>]|(?<!\\)'|\\[rn]"),
    '"': re.compile(r'[\r\n<>]|(?<!\\)"|\\[rn]'),
}
_NOT_PLAIN = re.compile(
    r"(?:ur[li]|path|file|field|label|policy|required|enabled|expir\w{1,5}|changed|_at|hint|name|type)\Z",
    re.IGNORECASE,
)
NUMBER = re.compile(r"-?[0-9][0-9_.]{0,40}")
_NO_VALUE = frozenset(
    {"null", "none", "true", "false", "undefined", "nil", "", "..."}
    | {"expired", "invalid", "missing", "required", "wrong", "incorrect", "empty", "unset"}
)
# Words that follow an argument in a sentence about it.
_PROSE_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a after again also an and are argument arguments as at because been before both but by can cannot
        could did do does first flag flags for from given had has have here if in instead into is it may
        must no not of on only option options or parameter parameters requires set should so switch than
        that the then there this to too twice unless until value via was were when where which while will
        with without would wrongly
        """,
    )
)
# Stands for an argument in the usage text of a command.
_USAGE = re.compile(r"[\[({|].*|\$[A-Za-z_]\w{0,60}|\.{3}|\u2026")
_METAVARS = frozenset(
    {"VALUE", "STRING", "STR", "TEXT", "FILE", "PATH", "NAME", "PASS", "PW", "PWD", "X", "XXX"}
)
# Before the name of a parameter.
_SEPARATORS = ("?", "&", "#")
_ESCAPED_AMPERSANDS, _LONGEST_ESCAPE = ("amp;", "#38;", "#038;", "#x26;"), 5
# The beginning of a block in YAML (its specification's section 8.1), and of a value in an ini
# that is on the next line.
_BLOCK = re.compile(
    r"[ \t]{0,20}(?:[|>]|&(?:amp;){0,5}gt;)[-+0-9]{0,2}[ \t]{0,20}(\r?\n|(?:\\{1,64}r)?\\{1,64}n)"
)
_CONTINUED = re.compile(r"[ \t]{0,20}(\r?\n|(?:\\{1,64}r)?\\{1,64}n)(?=[ \t])")
# An anchor or a tag before a value in YAML (its specification's section 6.9).
_PROPERTIES = re.compile(
    r"[ \t]{1,20}(?:(?:!|&(?:amp;)?)[\w!.:/<>-]{0,80}[ \t]{1,20}){1,2}(?=[^\s\\]|\\{1,64}[ux])"
)
# The lines behind a name in YAML: items of a list, members of a mapping, or a text of one word.
_NEW_LINE = r"(?:\r?\n|(?:\\{1,64}r)?\\{1,64}n)"
_NESTED = re.compile(
    rf"[ \t]{{0,20}}({_NEW_LINE})(?=[ \t]{{0,80}}(?P<item>-)[ \t]+[^\s\\]"
    rf"|[ \t]{{1,80}}(?:(?P<key>[\w.-]{{1,80}}:(?:[ \t]|{_NEW_LINE}))"
    rf"|(?:(?!\\{{1,64}}[rn])[^\s:]){{1,{SEEN}}}(?:{_NEW_LINE}|[\\'\"]*\Z)))"
)
# The next field, or an escape of HTML; and how many such signs a value may have.
_NEXT_FIELD = re.compile(r"&(?:[\w.~%\[\]+:-]{0,80}=|[#\w]{1,10};|$)|#(?:$|[\s'\"])")
_MOST_SIGNS = 8
# The type of a parameter with a default, as signatures and source code have it.
_ANNOTATION = re.compile(
    r"[ \t]{0,9}[A-Za-z_][\w.]{0,80}(?:\[[\w., |\[\]]{0,100}\])?(?: \| [\w.,\[\]]{1,60}){0,4}[ \t]{0,9}="
    r"[ \t]{0,9}(?=[bBuUrRfF]{0,2}\\{0,64}[\"'])"
)
# A class, or an object with its address, has no text.
_OBJECT = re.compile(r"<(?!class )[A-Za-z_][\w.]{0,80}[: ](?!at 0x)((?:(?! at 0x)[^<>\r\n]){1,1000})>")
# A placeholder in a template, a query or a shell script.
_PLACEHOLDER = re.compile(r"%s|%\(\w{1,60}\)s|\{\w{0,60}\}?|\$\{\w{1,60}\}?|\$\d{1,2}|\?")
_CODE = re.compile(r"[A-Za-z_][A-Za-z_.]{0,60}[\[(]")
_SCHEME = re.compile(
    "(?:basic|bearer|digest|negotiate|ntlm|token|apikey|api-key|aws4-[a-z0-9-]{1,40}|hawk|hoba|mutual|oauth|gnap|dpop"
    "|privatetoken|scram-[a-z0-9-]{1,20}|sharedkey|sharedkeylite|sharedaccesssignature|vapid|signature|hmac[a-z0-9-]{0,20}"
    r"|googlelogin|mac|jwt|key|session)[\s=]",
    re.IGNORECASE,
)
# Between a name in quotes and its value, in text that is shown.
_ESCAPED_SPACE = re.compile(r"(?:\s|\\{1,64}[nrt]){0,200}")
# A tab behind the colon of a header, in text that is shown.
_TABS = re.compile(r"(?:\\{1,64}t)+")
_BEGINS_LINE = re.compile(
    r"(?:(?:\A|[\r\n]|\\[rn]|\Ab)[ \t{'\"\\-]*|-H\s?\\{0,64}['\"]|-header[\s=]\\{0,64}['\"])\Z"
)
_OPENING_QUOTE = re.compile(r"\\{0,64}['\"]")
# A quote that is itself escaped: it is found in the text without escapes.
_ESCAPED_QUOTE = re.compile(
    r"(?:[bBuUrRfF]{1,2}(?=[\\&]))?\\{0,64}(?:&(?:amp;){0,5}(?:quot|apos|#(?:[xX]2[27]|3[49]));"
    r"|(?<=\\)(?:u0026(?:quot|apos|#(?:x2[27]|3[49]));|(?:u00|x)2[27]))"
)
_P = "%(?:25){0,5}"
_QUOTE_IN_URL = re.compile(rf"(?:{_P}5[cC]){{0,16}}{_P}2[27]")
_PREFIX_IN_URL = re.compile(rf"(?:[ +]|{_P}20){{0,9}}[bBuUrRfF]{{1,2}}(?={_P}2[27])")
SECRET_RULES = (Rule.LIKELY, Rule.SECRET, Rule.IF_SCALAR)


class Place(NamedTuple):
    """A name in text, and what follows it.

    Attributes:
        name: as written.
        begin: where the name begins.
        quote: what follows the name: a quote with the backslashes before it, or nothing.
        sign: what assigns the value to the name.
        end: where the sign ends.
    """

    name: str
    begin: int
    quote: str
    sign: str
    end: int


Span = Optional[tuple[int, int]]


def value_of_field(text: str, place: Place, names: Names, bounds: Bounds) -> Span:
    """Locate the value of name=value: in a URL, a form, a configuration, a call, an attribute."""
    start, name = place.end, place.name
    if place.sign != "=":
        return _encoded_field(text, place, names, bounds) if names.is_parameter(name) else None
    is_key = names.key_rule(name.lstrip("-")) in SECRET_RULES
    if text[start : start + 1] == "=" or not (is_key or names.is_parameter(name)):
        return None
    if not place.quote:
        if is_key and _ESCAPED_QUOTE.match(text, start):
            return None  # it is found where the text is read without escapes
        limit = min(start + SEEN, len(text))
        end = end_of_value(text, start, 0, limit, is_prose=True)
        is_parameter = _is_parameter_at(text, place.begin)
        for _ in range(0 if is_parameter else _MOST_SIGNS):
            # Of a value that is not encoded: another field would follow, or there would be one before.
            if end == start or end >= limit or text[end] not in "&#" or _NEXT_FIELD.match(text, end):
                break
            end = end_of_value(text, end + 1, 0, limit, is_prose=True)
        if end > start and (is_parameter or text[end : end + 1] == "&"):
            return (start, end_of_value(text, start, 0, len(text), is_prose=True))
    if not is_key:
        return None
    whole = None if place.quote or not name.startswith("--") else end_of_item(text, place.begin, start)
    closed = (start, whole) if whole is not None and whole > end else closed_value(text, start)
    if closed is not None:
        return closed
    if place.quote or text[start : start + 1].isspace() or text[start - 2].isspace():
        return _plain(text, place)
    token = text[start:end].rstrip(",;)]}\\")
    is_argument = name.startswith("-") and not _is_usage(name, token)
    if _is_placeholder(token) or not (_is_strong(name) or is_no_word(token) or is_argument):
        return None
    return start, start + len(token) if len(token) < SEEN - 8 else end_of_value(
        text, start, 0, len(text), True
    )


def _is_parameter_at(text: str, begin: int) -> bool:
    """Return whether a name is right behind what separates parameters."""
    mark = text[begin - 1 : begin]
    return mark in _SEPARATORS or (
        mark == ";" and text[max(begin - _LONGEST_ESCAPE, 0) : begin].lower().endswith(_ESCAPED_AMPERSANDS)
    )


def _encoded_field(text: str, place: Place, names: Names, bounds: Bounds) -> Span:
    """Locate a value whose equals sign or colon is percent-encoded: in a nested URL, or in JSON in one."""
    level = len(place.sign) // 2
    is_key = names.key_rule(place.name.lstrip("-")) in SECRET_RULES
    if place.sign[-1] == "a":
        if not place.quote or (is_key and _PREFIX_IN_URL.match(text, place.end)):
            return None
        return json_value(text, place.end, level, len(text), bounds)
    if is_key and _QUOTE_IN_URL.match(text, place.end):
        return None  # as with other escaped quotes
    return place.end, end_of_value(text, place.end, level, len(text), is_prose=True)


def value_of_member(text: str, place: Place) -> Span:
    """Locate the value of name: value, in a mapping, a header or a line of a configuration."""
    start = place.end
    if "uthoriz" in place.name.lower():
        return _credential(text, place)
    cookies = _cookies(text, place) if "ookie" in place.name.lower() else None
    if cookies is not None:
        return cookies
    annotation = None if place.quote else _ANNOTATION.match(text, start)
    if annotation is not None:
        return closed_value(text, annotation.end())
    properties = None if place.quote else _PROPERTIES.match(text, start)
    if properties is not None:
        start = properties.end()
        place = place._replace(end=start)
    begin = after_space(text, start)
    if place.quote and text[begin : begin + 1] == "\\":
        begin = max(begin, _ESCAPED_SPACE.match(text, begin).end())  # type: ignore[union-attr]
    closed = closed_value(text, begin if place.quote else start)
    if closed is None and place.quote:
        closed = closed_call(text, begin) or _shown_object(text, begin)
    if closed is None and not place.quote:
        closed = indented_value(text, place.begin, start, _BLOCK) or _nested_block(text, place)
    if closed is not None:
        return closed
    return scalar_of_member(text, begin, place) if place.quote else _plain(text, place)


def _nested_block(text: str, place: Place) -> Span:
    """Locate a list, a mapping or a text in the lines behind a name, as YAML has them."""
    found = _NESTED.match(text, place.end)
    if found is None:
        return None
    if found["item"]:
        block = listed_value(text, place.begin, place.end, _NESTED)
    else:
        block = indented_value(text, place.begin, place.end, _NESTED)
    if block is None or found["key"] or _is_strong(place.name):
        return block
    words = text[block[0] : min(block[1], block[0] + SEEN)].replace("\\n", " ").split()
    return block if any(is_no_word(word.strip("'\",\\")) for word in words) else None


def _shown_object(text: str, begin: int) -> Span:
    """Locate what Python shows of an object in angle brackets, if it has a text: <Token: q8fh23fh28hf2>."""
    found = _OBJECT.match(text, begin)
    if found is None:
        return None
    words = found[1].split()
    is_text = "'" in found[1] or '"' in found[1] or any(is_no_word(word.strip("():,")) for word in words)
    return found.span() if is_text else None


def scalar_of_member(text: str, begin: int, place: Place) -> Span:
    """Locate a number or a word in a mapping; only its beginning is read to judge whether it is secret."""
    found = _SCALAR.match(text, begin)
    if found is None or _is_placeholder(found[0]) or not _is_secret_scalar(place.name, found[0]):
        return None
    rest = _REST_OF_SCALAR.match(text, found.end())
    return begin, rest.end() if rest else found.end()


def _is_secret_scalar(name: str, value: str) -> bool:
    """Return whether a number, or a plain word in a mapping, is secret under a name."""
    if _is_strong(name):
        return True
    if NUMBER.fullmatch(value):
        return len(value) > 5 and not _COUNTS.search(name)
    return is_no_word(value)


def _plain(text: str, place: Place) -> Span:
    """Locate a value without delimiters: it must fill its line, or look like nothing but a secret."""
    if place.sign == "=":
        continued = indented_value(text, place.begin, place.end, _CONTINUED)
        if continued is not None:
            return continued
    begin = after_space(text, place.end)
    found = TOKEN.match(text, begin)
    if found is None or "\n" in text[place.end : begin] or _ESCAPED_QUOTE.match(text, begin):
        return None
    token = found[0].split("\\n", 1)[0].split("\\r", 1)[0].rstrip("\\").rstrip(",;)]}")
    if not token or _is_placeholder(token.rstrip(".")) or _NOT_PLAIN.search(place.name):
        return None
    end = begin + len(token)
    if is_no_word(token):
        is_secret = _is_strong(place.name) or not _COUNTS.search(place.name)
    else:
        # A plain word counts if it is the only one, in a line that begins with the name.
        before = text[max(place.begin - 80, 0) : place.begin]
        is_secret = _is_strong(place.name) and _ends_line(text, end) and bool(_BEGINS_LINE.search(before))
    if not is_secret:
        return None
    if text[end : end + 1] in ("'", '"') and text[end + 1 : end + 2].isalnum():
        rest = UP_TO_A_SPACE.match(text, end)  # the quote is of the value
        return begin, rest.end() if rest else end
    return begin, end if end - begin < SEEN - 8 else end_of_value(text, begin, 0, len(text), is_prose=True)


def _ends_line(text: str, end: int) -> bool:
    rest = text[end : end + 8].lstrip(" \t,;")
    if rest[:1] == "\\":
        rest = rest.lstrip("\\")  # of a line's end, or a quote, in a text that is shown
        return rest[:1] in ("", "n", "r", "'", '"')
    return not rest or rest.startswith(("\r", "\n", "'", '"'))


def _credential(text: str, place: Place) -> Span:
    """Locate the credentials of an Authorization header, quoted or up to the end of the line."""
    closed = closed_value(text, place.end)
    if closed is not None:
        return closed
    tabs = _TABS.match(text, place.end)
    begin = after_space(text, tabs.end() if tabs else place.end)
    token = TOKEN.match(text, begin)
    if token and (_SCHEME.match(text, begin) or (_ends_line(text, token.end()) and is_no_word(token[0]))):
        return begin, _end_of_line(text, place, begin, len(text))
    return None


def _cookies(text: str, place: Place) -> Span:
    """Locate the value of Cookie or Set-Cookie, without the attributes."""
    limit = end_of_cookie(text, place)
    closed = closed_value(text, place.end, limit)
    if closed is not None:
        return closed
    begin = after_space(text, place.end)
    if "=" not in text[begin : begin + SEEN]:
        return None
    return begin, _end_of_line(text, place, begin, len(text) if limit is None else limit)


def end_of_cookie(text: str, place: Place) -> int | None:
    """Return where the attributes of Set-Cookie begin, if there are any.

    Text after a found value is left to the next place, so that it is not scanned twice.
    """
    if not _is_set_cookie(place):
        return None
    begin = after_space(text, place.end)
    semicolon = text.find(";", begin, begin + NEAR)
    return semicolon if semicolon >= 0 else None


def _is_set_cookie(place: Place) -> bool:
    return "set" in place.name[:4].lower()


def _end_of_line(text: str, place: Place, begin: int, limit: int) -> int:
    """Return where a header ends: at the end of its line, or at the quote that encloses name and value."""
    before = text[place.begin - 1 : place.begin]
    found = END_OF_LINE[before if before in ("'", '"') else ""].search(text, begin, limit)
    return found.start() if found else limit


def value_of_argument(text: str, place: Place) -> Span:
    """Locate the value of a command-line argument: --password ..."""
    begin = after_space(text, place.end)
    closed = closed_value(text, begin) if _OPENING_QUOTE.match(text, begin) else None
    if closed is not None:
        return closed
    found = TOKEN.match(text, begin)
    if found is None or found[0].startswith("-"):
        return None
    token = found[0].rstrip(",;)]}")
    end = begin + len(token)
    if _is_placeholder(token) or not (is_no_word(token) or not _is_usage(place.name, token)):
        return None
    return begin, end if len(token) < SEEN - 8 else end_of_value(text, begin, 0, len(text), is_prose=True)


def _is_usage(name: str, word: str) -> bool:
    """Return whether the word after an argument is prose or a metavariable: --password PASSWORD."""
    if _USAGE.fullmatch(word) or word.rstrip(".:!?'").lower() in _PROSE_WORDS:
        return True
    if not word.isupper() or not word.replace("_", "").replace("-", "").isalpha():
        return False
    plain = word.replace("_", "-").lower()
    return word in _METAVARS or plain in name.lower() or name.lower().lstrip("-") in plain


def _is_strong(name: str) -> bool:
    return bool(_STRONG.search(name.lower()))


def _is_placeholder(value: str) -> bool:
    if value[:1] == "{" and looks_random(value):
        return False  # ODBC has a password in such brackets
    return bool(_PLACEHOLDER.fullmatch(value)) or value.rstrip(",;)]}").lower() in _NO_VALUE


def is_no_word(value: str) -> bool:
    """Return whether a value is neither a word of a sentence nor a short number."""
    if len(value) < 6 or value.startswith(("(", "[", "{", "<", "%s", "%(", "$")) or _CODE.match(value):
        return False
    has_digits = any(map(str.isdigit, value[:200]))
    if has_digits and any(map(str.isalpha, value[:200])):
        return True
    return value[:200].isdigit() or looks_random(value)
