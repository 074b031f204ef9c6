"""Secret fields of query strings and forms whose names are more than a word: ``user["password"]=``.

A field's name is whatever is before its sign, as parsers have it: quotes, slashes and blanks too. Only what
separates fields at the outermost level ends it; names of nested fields are looked for in ``parameters``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.encoded import NO_NAME, PERCENT, decoded
from sentry_paste.redaction.names import Names

# What may be between the words of a name, encoded or not.
_GAP = rf"(?:[^a-z0-9%&=]|{PERCENT}[0-7][0-9a-f]){{0,3}}"
#: Every name for which is_parameter is true contains one of these, or is in the ini. The search leaps to the
#: letters that a word may begin with, so each word here begins with its rarest letter: token with its k.
HINT = (
    "p(?:ass|w|in|(?<=otp)|(?<=dpop)"
    f"|(?<=ip)(?:{_GAP}address|(?<=realip)|(?<=real[^a-z0-9]ip)|(?<=real%[2-7].ip)|(?<=real%25[2-7].ip)))"
    "|s(?:ecret|aml|ess|id|so|ig|rf(?<=[cx]srf)|sertion|ymfony|tate)"
    "|k(?:ey|en(?<=token)|ie(?<=cookie)|et(?<=ticket))"
    "|c(?:redential|reds?(?![a-z])|ode|v[vc]|(?<=oidc)|(?<=hmac)|e(?<=nonce))"
    f"|jwt|bearer|uth(?<=auth)|fa(?<=mfa)|forwarded{_GAP}for|mote(?<=remote){_GAP}addr"
)
# How much of a name is read.
_LONGEST = 400
_MOST_WORDS = 20
_RUN = r"[\w.~\[\]-]"
_WORD = re.compile(rf"{_RUN}+")
# By whether other text surrounds the field: what ends a name, what it begins after, what ends a value for
# everyone and for some.
_ENDS = {False: "&#=", True: r"&#=;?\s\"'<>"}
_BEFORE = {False: re.compile("[&#;=]"), True: re.compile(r"[&#=;?\s\"'<>]")}
_VALUE_ENDS = {False: re.compile("[&#]"), True: re.compile(r"[&#\s\"'<>]")}
_MAY_END_VALUE = {False: re.compile("[&#;]"), True: re.compile(r"[&#;?\s\"'<>]")}
# By the same, and whether each name is looked at: all that are more than a word. All that was read is
# consumed, even if no sign follows. Semicolons are in few names, but between many fields. No name begins
# within a word, so a long one is read once.
_MORE_THAN_A_WORD = {
    is_prose: rf"(?:(?<!{_RUN}){_RUN}*[^\w.~\[\];{ends}-]|(?<![^&#?'\"]){_RUN}*;)"
    for is_prose, ends in _ENDS.items()
}
_FIELD = {
    (is_prose, is_slow): re.compile(rf"{name}[^{ends}]*(?P<sign>=)?")
    for is_prose, ends in _ENDS.items()
    for is_slow, name in ((False, f"(?:{HINT})"), (True, _MORE_THAN_A_WORD[is_prose]))
}
# In a text, words before a sign need not be a name if nothing precedes them that separates fields.
_OF_FORM = re.compile(r"[\w.~\[\]%+:$|*!()-]+")


class Field(NamedTuple):
    """A field that is secret.

    Attributes:
        name: decoded; None if there are too many names, and the rest must be hidden.
        start: where the value begins.
        end: where it ends.
    """

    name: str | None
    start: int
    end: int


def secret_fields(
    text: str,
    lower: str,
    place: tuple[int, int],
    names: Names,
    bounds: Bounds,
    *,
    is_prose: bool,
    is_slow: bool,
) -> Iterator[Field]:
    """Yield the secret fields whose names are more than a word, from left to right.

    Args:
        text: any.
        lower: the same in lower case.
        place: of the fields in it.
        names: which are secret.
        bounds: how many names may be checked.
        is_prose: whether other text surrounds the fields.
        is_slow: whether a secret name may contain none of the usual words.
    """
    pattern, (position, limit) = _FIELD[is_prose, is_slow], place
    while (hit := pattern.search(lower, position, limit)) is not None:
        position = hit.end()
        if hit["sign"] is None:
            continue
        sign = hit.start("sign")
        begin = _begin_of_name(text, hit.start(), place[0], sign, is_prose)
        if begin is None:
            position = _end(_MAY_END_VALUE[is_prose], text, position, limit)
        elif NO_NAME.search(lower, begin, sign) is not None:
            if not bounds.step():
                yield Field(None, begin, limit)
                return
            name = _secret_name(text, begin, sign, names, is_slow)
            if name is not None:
                start, position = position, _end(_VALUE_ENDS[is_prose], text, position, limit)
                yield Field(name, start, position)


def _end(pattern: re.Pattern[str], text: str, start: int, limit: int) -> int:
    found = pattern.search(text, start, limit)
    return found.start() if found else limit


def _begin_of_name(text: str, at: int, start: int, sign: int, is_prose: bool) -> int | None:
    """Return where the name of a field begins, None if the place is in a value.

    Args:
        text: any.
        at: the place of a word.
        start: where fields begin.
        sign: where the sign after the word is.
        is_prose: whether other text surrounds the field.
    """
    window = text[max(at - _LONGEST, start) : at]
    found = _BEFORE[is_prose].search(window[::-1])
    begin = at - (found.start() if found else len(window))
    mark = text[begin - 1 : begin] if found else ""
    if mark == "=":
        # Some parsers split at semicolons.
        semicolon = text.rfind(";", at, sign)
        return None if is_prose or semicolon < 0 else semicolon + 1
    if is_prose:
        return begin if (mark and mark in "&?;#") or _OF_FORM.fullmatch(text, begin, sign) else None
    question = text.rfind("?", begin, sign)
    # A URL without a scheme, or the path in a fragment.
    is_url = (
        (begin == start or mark == "#") and 0 <= question < sign - 1 and text.find("/", begin, question) >= 0
    )
    return question + 1 if is_url else begin


def _secret_name(text: str, begin: int, end: int, names: Names, is_slow: bool) -> str | None:
    """Return the decoded name of a field, None if it is not secret."""
    if end - begin <= _LONGEST:
        name = decoded(text[begin:end])
    else:
        ends = text[begin : begin + _LONGEST], text[end - _LONGEST : end]
        name = " ".join(decoded(written).strip() for written in ends)
        if not is_slow:  # it contains one of the usual words
            return name
    if names.is_parameter(name):
        return name
    # A word of it may be a name on its own: Zope's code:utf8, or a parameter of the ini.
    words = _WORD.findall(name)
    return next((word for word in words[:_MOST_WORDS] if names.is_parameter(word)), None)
