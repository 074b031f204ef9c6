"""Secrets that a text itself names.

These are fields of an unparsed form, members of mappings shown as text, headers, lines of a configuration,
XML elements and cookies that a response will set. Unlike the values of the request they are not known in
advance; only their names are.

One pattern finds the words that secret names contain, where something follows that assigns a value. What
follows decides how far the value extends (``named_values``, ``structures``). A text with more such places
than anybody writes is hidden from there on.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from itertools import accumulate

from sentry_paste.redaction.bounds import Bounds, Search, TooMuchError, check_time, current_allowances
from sentry_paste.redaction.commands import PROGRAMS
from sentry_paste.redaction.encoded import (
    QUOTE,
    encoded,
    end_of_run,
    is_cut,
    lower_case,
    name_at,
)
from sentry_paste.redaction.escaped import READERS, Reading, has_escapes, may_have_escapes, read_colours
from sentry_paste.redaction.headers import without_passwords
from sentry_paste.redaction.long_names import (
    GOES_ON,
    begin_in_quotes,
    end_in_quotes,
    is_label,
    sign_of_long_field,
    value_of_long_field,
)
from sentry_paste.redaction.messages import ECHO, secrets_in_messages
from sentry_paste.redaction.named_values import (
    SECRET_RULES,
    SEEN,
    Place,
    Span,
    value_of_argument,
    value_of_field,
    value_of_member,
)
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.statements import (
    COMPARISON,
    COMPARISONS,
    OF_USER,
    is_cast,
    parameters_of_statements,
    password_of_user,
    value_behind_columns,
    value_compared,
    value_of_expression,
    values_of_key,
)
from sentry_paste.redaction.structures import (
    content_of_element,
    content_of_named_element,
    content_of_next_element,
    input_of_location,
    value_in_mapping,
    value_in_pair,
    value_of_attribute,
    value_of_cookie_repr,
    value_of_input,
    value_of_item,
    value_of_next_line,
    value_of_part,
    value_of_shown_cookie,
    values_of_columns,
)
from sentry_paste.redaction.user_infos import (
    cut_user_info,
    escaped_user_infos,
    has_escaped_url,
    may_have_cut_user_info,
    may_have_escaped_slashes,
    user_infos,
)

# How many places are examined in one text, in all texts together, and in all texts without their escapes.
_MOST, _MOST_TOGETHER, _MOST_READ = 500, 1500, 500
# To pass over a long name that nothing follows takes as long as to read so many characters.
_PASSED_WEIGHT = 100
# To look for the end of a name that goes on takes as long as to read so many.
_GOES_ON_WEIGHT = 250
# How many characters are searched for the ends of elements, in all texts together.
_MOST_SEARCHED = 1_000_000

# Words that make a name secret in any text, and those that do so in a URL or a form. The search leaps to the
# letters that a word may begin with, so each word here begins with its rarest letter: token with its k,
# authorization with its z. Some are no names, but what precedes something that is read in another way.
_P = "%(?:25){0,5}"
_WORDS = (
    "p(?:ass(?:w|phrase|code|(?<=[_-]pass)(?![a-z]))|wd|in(?![a-z])|(?<=otp)(?![a-z])"
    r"|arameters(?<=\[parameters)|(?<=ldap)(?=search|modify|add))"
    r"|s(?:e(?:cret|ss(?:ion)?[_-]?id)|rf(?<=[cx]srf)|ignature|aml"
    r"|(?<=; args))"
    "|k(?:en(?<=token)|ie(?<=cookie)|ey(?:(?<=[_-]key)|(?<=apikey)|(?<=accesskey)|(?<=privatekey)|(?<=authkey)"
    "|(?<=accountkey)|(?<=sessionkey)|(?<=consumerkey)|(?<=subscriptionkey)|(?<=private key)(?=-----)))"
    "|c(?:redential|v[vc](?![a-z])|li(?<=redis-cli))|jwt|z(?<=authoriz)"
)
_OF_URLS = "(?:key|sid|sig|auth|oauth|session|sso|hmac|pass|pw|code|ticket|assertion|dpop|nonce)"
_ESCAPED_AMPERSAND = ";(?<=[p86];)(?:(?<=amp;)|(?<=#38;)|(?<=#038;)|(?<=#x26;))"
_IN_URL = "|".join(
    rf"{mark}(?=[acdhknopst]){_OF_URLS}" for mark in (r"\?", "&", "#", encoded("3f|26"), _ESCAPED_AMPERSAND)
)
# What is before the name in it, by its length.
_MARKS = {"?": 1, "&": 1, "#": 1, "%": 3, ";": 1}
# The same in strings of JSON and JavaScript, which are read without escapes.
_IN_URL_OF_STRING = re.compile(rf"(?:u0026|x26){_OF_URLS}")
# In Pydantic's messages, objects of http.cookies and http.cookiejar, and curl's arguments.
_OTHERS = (
    r"v(?:alue(?<=input_value)|ersion(?<=cookie\(version))"
    r"|<(?:cookie(?= [^\s=<>]{1,1000}=)|simplecookie|basecookie|morsel)"
    rf"|-(?:u(?<=\W-u)|-(?:user|proxy-user))(?=[ =,'\"]|{encoded('20')})"
)
# The search leaps to these words, and to what can follow a name, so it is fast where there is nothing.
# A group matched in a lookahead is not given back piece by piece (it acts as an atomic group); a long name
# that nothing follows is skipped.
_FLAGS = r"(?:(?:required|autofocus|disabled|readonly|hidden|checked|multiple)\s){0,4}"
_NAME_OF_ATTRIBUTE = rf"(?={_FLAGS}[\w:.-]{{1,40}}=(?:[^\s\"'<>=`\\]|\\{{0,63}}(?:[\"']|(?<=\\)[ux])))"
_ATTRIBUTE = rf"\s{_NAME_OF_ATTRIBUTE}"
# Command-line arguments whose value is the next one, with the space between; also cookies as http.cookiejar
# shows them. Arguments of equal length share one lookbehind, which mostly fails at its first character.
_ARGUMENTS = (
    r"(?:(?<=[_-](?:pwd|key|pin|otp|jwt)\s)|(?<=[\w-]-pass\s)|(?<=[_-]token\s)|(?<=[_-](?:secret|passwd|cookie)\s)"
    r"|(?<=<cookie\s)|(?<=[_-](?:password|passcode)\s)|(?<=-signature\s)|(?<=-(?:passphrase|session-id)\s)|(?<=-credentials\s))"
)
_ARGUMENT = rf"\s{_ARGUMENTS}"
_PROGRAMS = r"(?<=redis-cli\s)|(?<=ldapsearch\s)|(?<=ldapmodify\s)|(?<=ldapadd\s)"
_OF_USER = rf"(?<=password\s){OF_USER}"
# The end of an element that has only a name.
_END_OF_NAME = "</(?:name|key)>"
_FOLLOWS = (
    r"(?=[=:,>;)\]\r\n\\\"'`&+\x1b]"
    rf"|\s(?:\s*[=:%&\\]|{_NAME_OF_ATTRIBUTE}|{_ARGUMENTS}|(?<=-u\s)|(?<=-user\s)|{_OF_USER}|{_PROGRAMS})|{COMPARISON}|{_END_OF_NAME}"
    rf"|{_P}(?:3[abde]|5[bcdf]|2[0124789a-e]|40|7[b-d]|0[ad]|[89a-f]))"
    "(?P<may>)"
    f"|{GOES_ON}"
)
_RUN = r"[\w.~\[\]-]"
_WORD = re.compile(f"{_RUN}*")
_NAMED = re.compile(
    rf"(?:{_WORDS}|{_IN_URL}|{_OTHERS})(?=({_RUN}{{0,80}}))\1(?:{_FOLLOWS}|(?<={_RUN}{{12}}))"
)
# Converters behind names in quotes, as Zope has them: 'password:utf8:ustring'. Other words are values.
# An escaped quote is found where the text is read without escapes.
# https://zope.readthedocs.io/en/latest/zdgbook/ObjectPublishing.html
_CONVERTERS = (
    r"(?::(?:u?(?:string|text|lines|tokens)|bytes|int|long|float|boolean|date(?:_international)?|json|required|list"
    r"|tuple|records?|default|ignore_empty|utf-?8|latin-?1|input)){1,4}"
    rf"(?=\\*(?:[\"']|(?:&(?:amp;){{0,5}}|u0026)(?:quot|apos|#(?:x2[27]|3[49]));|(?:u00|x)2[27])|{_P}2[27])"
)
_SIGN = re.compile(
    rf"(?:{_CONVERTERS}|(?!{_CONVERTERS}))(?:{QUOTE}|`)?(?:\s+(?=[=:%]))?"
    rf"(?P<sign>{COMPARISON}|=>|[=:,>;)\]}}]|\s?/>|{_P}3[da]|\r?\n|\\{{1,64}}[rn]|{_ATTRIBUTE}"
    rf"|(?<=-u)[\s'\"]|(?<=-user)[\s'\"]|{_ARGUMENT}"
    rf"|\s{_OF_USER}|{_END_OF_NAME})"
)


_CURL = re.compile(r"--?[\w-]{1,20}['\"]?[,=\s]\s?['\"]?(?:[^\s:'\"]{1,200}:)?([^\s'\"]+)")
# With one emoji, Python stores every character of the text in four bytes. One of ASCII takes its place, which
# is part of names if it is, and ends nothing.
_ASTRAL = ((re.compile(r"[^\W\x00-\uffff]"), "_"), (re.compile("[\U00010000-\U0010ffff]"), "!"))
_MUCH = 100_000
# What is hidden already in a query or a form, and what may follow it: the next field, or the next text.
_HIDDEN, _AFTER_HIDDEN = f"={FILTERED.lower()}", ("&", "\n", "")
# What an escaped ampersand or another character may begin with, which need not end the field.
_ESCAPED = ("&#", "&amp;")
# Hits that are no names of fields: curl's arguments, cookies shown as objects, Pydantic's messages.
_NO_FIELDS = ("-", "<", "v")
# How many texts are known to name nothing, and how long these are.
_MOST_KNOWN, _LONGEST_KNOWN = 8192, 200
# A text that consists of a name, such as most keys, names no value.
_ONLY_A_NAME = re.compile(r"[\w.~-]{0,60}")


def clean_text(text: str, names: Names, bounds: Bounds | None = None) -> str:
    """Return a text without the values that it names as secret.

    Args:
        text: any, up to a whole attachment.
        names: which names are secret.
        bounds: how many places may be examined, if several texts share it.
    """
    return _clean(text, names, bounds or _bounds(_MOST), _bounds(_MOST))


def _clean(text: str, names: Names, bounds: Bounds, reading_bounds: Bounds, begin: int = 0) -> str:
    try:
        check_time()
        return _cleaned(text, names, bounds, reading_bounds, begin)
    except TooMuchError:
        return FILTERED


def _cleaned(text: str, names: Names, bounds: Bounds, reading_bounds: Bounds, begin: int) -> str:
    coloured = read_colours(text, reading_bounds)
    if coloured is None:
        cleaned = _without(text, _spans(text, names, bounds, begin))
    else:
        cleaned = _without_named(text, coloured, names, bounds)
    check_time()
    cleaned = without_passwords(_without(cleaned, secrets_in_messages(cleaned, names, bounds)))
    cleaned = _without(cleaned, parameters_of_statements(cleaned, names, bounds))
    check_time()
    if reading_bounds.are_exceeded and may_have_escapes(cleaned):
        return FILTERED
    if may_have_escaped_slashes(cleaned):
        cleaned = _without(cleaned, escaped_user_infos(cleaned, reading_bounds))
    for read in READERS:
        check_time()
        reading = read(cleaned, reading_bounds)
        if reading is not None:
            cleaned = _without_named(cleaned, reading, names, reading_bounds)
    cut = cut_user_info(cleaned)
    return _without(cleaned, [cut]) if cut else cleaned


def _without_named(text: str, reading: Reading, names: Names, bounds: Bounds) -> str:
    """Return a text without what its reading names as secret."""
    return _without(text, _spans_of_reading(reading, names, bounds))


def _spans_of_reading(reading: Reading, names: Names, bounds: Bounds) -> list[tuple[int, int]]:
    """Return where the secrets are that a reading names, in the text."""
    text = reading.text
    found = [*user_infos(text, bounds), *secrets_in_messages(text, names, bounds)]
    coloured = read_colours(text, bounds)  # HTML of a terminal's text
    found += _spans(text, names, bounds) if coloured is None else _spans_of_reading(coloured, names, bounds)
    places, ends = reading.place_in_text, reading.end_in_text
    return sorted((places(start), ends(end)) for start, end in found)


def _spans(text: str, names: Names, bounds: Bounds, begin: int = 0) -> list[tuple[int, int]]:
    """Return where the secret values in a text are, from left to right.

    Args:
        text: any.
        names: which names are secret.
        bounds: how many places may be examined.
        begin: the first place, if it is known.
    """
    spans: list[tuple[int, int]] = []
    done = 0
    lower = lower_case(text)
    search = Search(_NAMED, lower, begin)
    for hit in search:
        goes_on = hit["goes_on"] is not None
        if hit["may"] is None and not goes_on and not is_cut(hit):
            if not bounds.may_read(_PASSED_WEIGHT):
                return [*spans, (hit.start(), len(text))]
            continue
        if not (bounds.may_read(_GOES_ON_WEIGHT) if goes_on else bounds.step()):
            return [*spans, (hit.start(), len(text))]
        # Each name is scanned once, however long it is.
        search.position = end_of_name = max(end_of_run(lower, hit.end()), hit.end())
        start = hit.start() + _MARKS.get(lower[hit.start()], 0)
        span = _span_of(text, lower, (start, end_of_name), names, bounds)
        if span is not None and span[0] < done < span[1]:
            span = done, span[1]  # what comes before is hidden already
        if span is not None and done <= span[0] < span[1]:
            # So is each value, even if it is clean.
            search.position = max(search.position, span[1])
            if text[slice(*span)] != FILTERED:
                spans.append(span)
                done = span[1]
    return spans


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Return a text without some spans of it, which are in order but may overlap."""
    parts: list[str] = []
    done = 0
    for start, end in spans:
        if end > done and text[start:end] != FILTERED:
            if start >= done:
                parts += [text[done:start], FILTERED]
            done = end
    return "".join([*parts, text[done:]]) if parts else text


def clean_texts(texts: Iterable[str], names: Names) -> dict[str, str]:
    """Return the cleaned texts, by their originals, for those that name something secret.

    Most do not, which one search through all of them shows.

    Args:
        texts: of one payload; they share one limit of places.
        names: which names are secret.
    """
    known = names.plain_texts
    # Keys, and what frameworks and the SDK write, are the same in every event.
    listed = [text for text in texts if hash(text) not in known]
    if not listed:
        return {}
    found, is_exact = _with_names(listed)
    if len(known) > _MOST_KNOWN:  # clients can make up texts without end
        known.clear()
    if is_exact:
        known.update([hash(text) for text in listed if len(text) <= _LONGEST_KNOWN and text not in found])
    if not found:
        return {}
    shared = current_allowances()
    if shared is not None:
        bounds, reading_bounds = shared.places, shared.readings
    else:
        bounds, reading_bounds = _bounds(_MOST_TOGETHER), _bounds(_MOST_READ)
    cleaned = {
        text: _clean(text, names, bounds, reading_bounds, found[text] if is_exact else 0)
        for text in listed
        if text in found
    }
    return {text: changed for text, changed in cleaned.items() if changed != text}


def _with_names(listed: list[str]) -> tuple[dict[str, int], bool]:
    """Return those of several texts that may name something secret, and whether all were read unchanged.

    Returns:
        With each of these texts the first place in it that is to be examined, 0 if that is not known.
    """
    together, is_exact = _joined(listed)
    lower = lower_case(together)
    search = Search(_NAMED, lower)
    ends: list[int] = []
    found: dict[str, int] = {}
    # Up to there, texts with hidden fields have no escapes.
    plain_to = 0
    for hit in search:
        is_hidden = lower.startswith(_HIDDEN, hit.end()) and _is_field(lower, hit)
        if is_hidden and hit.start() < plain_to:
            search.position = hit.end() + len(_HIDDEN)
            continue
        ends = ends or list(accumulate(len(text) + 1 for text in listed))
        index = bisect_right(ends, hit.start())
        if is_hidden and not has_escapes(listed[index]):
            plain_to, search.position = ends[index], hit.end() + len(_HIDDEN)
            continue
        text = listed[index]
        place = 0 if hit.start() < plain_to else hit.start() - ends[index] + len(text) + 1
        found.setdefault(text, place)
        search.position = max(ends[index], hit.end())
        if hit.end() > ends[index]:  # it extends into the next one
            found |= dict.fromkeys(listed[index + 1 : index + 2], 0)
    found |= dict.fromkeys(_with_other_signs(together, lower, listed, found), 0)
    return {text: place for text, place in found.items() if not _ONLY_A_NAME.fullmatch(text)}, is_exact


def _with_other_signs(together: str, lower: str, listed: list[str], found: Collection[str]) -> Iterator[str]:
    """Yield those of several texts that may have a secret without a name, except those that are found."""
    rest = [text for text in listed if text not in found]
    if "\\" in together and ("u0026" in together or "x26" in together):
        yield from (text for text in rest if "\\" in text and _IN_URL_OF_STRING.search(lower_case(text)))
    if "@" in together and "://" in together:
        yield from (text for text in rest if "@" in text and "://" in text)
    if may_have_escaped_slashes(together):
        yield from (text for text in rest if may_have_escaped_slashes(text) and has_escaped_url(text))
    # What needs no name, and nothing that a search leaps to. Each takes a tenth of the search for names.
    if "identified " in lower:  # CREATE USER bob IDENTIFIED BY '...'
        yield from (text for text in rest if "dentified" in text or "DENTIFIED" in text)
    if "[" in together and "] " in together:
        yield from filter(ECHO.search, rest)
    if "-" in lower and "-p" in lower:
        yield from (text for text in rest if any(map(text.__contains__, PROGRAMS)))
    if "://" in together and may_have_cut_user_info(together):
        yield from (text for text in rest if "://" in text and cut_user_info(text))


def _is_field(lower: str, hit: re.Match[str]) -> bool:
    """Return whether what is hidden already behind a hit is a field of a query or a form."""
    end = hit.end() + len(_HIDDEN)
    return (
        lower[end : end + 1] in _AFTER_HIDDEN
        and not lower.startswith(_ESCAPED, end)
        and not lower.startswith(_NO_FIELDS, hit.start())
    )


def _joined(texts: list[str]) -> tuple[str, bool]:
    """Join texts without what makes Python use four bytes for each character; say whether there was none."""
    together = "\n".join(texts)
    size = len(together)
    if size < _MUCH or sys.getsizeof(together) < 3 * size:
        return together, True
    del together
    return "\n".join([text if text.isascii() else _in_plane(text) for text in texts]), False


def _in_plane(text: str) -> str:
    """Return a text of the same length whose characters need at most two bytes each."""
    for astral, short in _ASTRAL:
        text = astral.sub(short, text)
    return text


def _bounds(places: int) -> Bounds:
    return Bounds(places, _MOST_SEARCHED)


def _span_of(text: str, lower: str, word: tuple[int, int], names: Names, bounds: Bounds) -> Span:
    """Locate the value of a name that a word is in, None if there is none or it is not secret."""
    sign, sign_of_field = _SIGN.match(lower, word[1]), sign_of_long_field(lower, word[1])
    if sign_of_field is not None and (sign is None or sign["sign"] != "="):
        field = value_of_long_field(text, word, sign_of_field, names, bounds, is_certain=True)
        if field is not None:
            return field
    span = _span_of_word(text, *word, sign, names, bounds) if sign else None
    if span is None and sign_of_field is not None:
        span = value_of_long_field(text, word, sign_of_field, names, bounds, is_certain=False)
    return span or _span_of_quoted(text, lower, word, names, bounds)


def _span_of_quoted(text: str, lower: str, word: tuple[int, int], names: Names, bounds: Bounds) -> Span:
    """Locate the value of a name in quotes that is longer than a word."""
    end = end_in_quotes(lower, word[1])
    sign = _SIGN.match(lower, end)
    begin = begin_in_quotes(text, word[0], end, sign["quote"]) if sign and sign["quote"] else None
    if sign is None or begin is None or (end == word[1] and _WORD.fullmatch(text, begin, word[0])):
        return None
    place = Place(text[begin:end], begin, sign["quote"], sign["sign"], sign.end())
    if place.sign == "," and is_label(place.name):
        return None
    return _span_at(text, place, names, bounds)


def _span_of_word(
    text: str, word_at: int, end_of_name: int, hit: re.Match[str], names: Names, bounds: Bounds
) -> Span:
    """Locate the value of a name of one word."""
    sign = hit["sign"]
    first = text[word_at]
    if first == "-":
        is_curl = "curl" in text[max(word_at - SEEN, 0) : word_at]
        found = _CURL.match(text, word_at) if is_curl else None
        return found.span(1) if found else None
    if first == "<" and not sign[:1].isspace():
        end = text.find(">", hit.end())
        return hit.end() + 1, end if end >= 0 else len(text)
    if first == "<":
        cookie = value_of_shown_cookie(text, word_at, bounds)
        if cookie is not None:
            return cookie
        word_at += 1  # an element with that name
    if first in "vV" and sign == "=":
        is_cookie = text[word_at + 1] in "eE"
        return (
            value_of_cookie_repr(text, word_at, bounds)
            if is_cookie
            else value_of_input(text, word_at, hit.end(), names)
        )
    quote = hit["quote"] or ""
    name = name_at(text, word_at, end_of_name)
    begin = end_of_name - len(name)
    if text[begin - 1 : begin] == "\\" and name[:1] in "nrt" and names.key_rule(name[1:]) in SECRET_RULES:
        name, begin = name[1:], begin + 1  # the letter belongs to the escape before it
    return _span_at(text, Place(name, begin, quote, sign, hit.end()), names, bounds)


def _span_at(text: str, place: Place, names: Names, bounds: Bounds) -> Span:
    """Locate the value behind a name, as the sign has it."""
    name, begin, quote, sign, _ = place
    if sign[0] == "%":
        return value_of_field(text, place, names, bounds)
    is_secret = names.key_rule(name.lstrip("-")) in SECRET_RULES
    if sign == "=":
        field = value_of_field(text, place, names, bounds)
        return field or (value_of_expression(text, place.end) if is_secret else None)
    if not is_secret:
        return None
    if sign in (":", "=>"):
        if text[place.end : place.end + 1] == ":" and is_cast(text, place):
            return value_behind_columns(text, place, bounds)
        return value_of_member(text, place)
    if sign[0] == "<" and sign[-1] == ">" and sign != "<>":
        return content_of_next_element(text, place, bounds)
    if sign.split()[-1:] and sign.split()[-1] in COMPARISONS:
        return value_compared(text, place, bounds)
    if sign[0] in ",)]}":
        return (
            values_of_key(text, place)
            or value_of_item(text, place)
            or value_behind_columns(text, place, bounds)
            or values_of_columns(text, place, names, bounds)
            or value_in_pair(text, place, bounds)
            or input_of_location(text, place)
            or value_in_mapping(text, place, bounds)
        )
    if text[begin - 1 : begin] in ("<", ":") and not quote:
        return content_of_element(text, place, bounds)
    if sign.isspace() and name.startswith("-") and not quote:
        return value_of_argument(text, place)
    if sign[0].isspace() and not quote and name.lower() == "password":
        password = password_of_user(text, place, bounds)
        if password is not None:
            return password
    return (
        value_of_part(text, place, bounds)
        or value_of_next_line(text, place)
        or value_of_attribute(text, place, bounds)
        or content_of_named_element(text, place, bounds)
        or values_of_columns(text, place, names, bounds)
    )
