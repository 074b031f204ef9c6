"""Locate the value of a secret name in a pair, a mapping, an element, a row of SQL, a part of a form."""

from __future__ import annotations

import re

from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.enclosed import after_space, closed_value, values_of_row
from sentry_paste.redaction.named_values import (
    BEYOND_ASCII,
    END_OF_LINE,
    NEAR,
    NUMBER,
    SECRET_RULES,
    SEEN,
    TOKEN,
    UP_TO_A_SPACE,
    Place,
    Span,
    end_of_cookie,
    is_no_word,
    scalar_of_member,
)
from sentry_paste.redaction.names import Names

# How far a bracket or a quote that belongs to a name may be from it.
_FAR = 4096
_BOUNDARY = re.compile(r"(?:\n|(?<=\\)n)--")
_NEW_LINE = r"(?:\r?\n|\\{1,64}r\\{1,64}n|\\{1,64}n)"
_HEAD_OF_PART = re.compile(rf"(?:[^\r\n\\]{{0,1000}}{_NEW_LINE}){{1,5}}?{_NEW_LINE}")
# The most that the pattern reads, and what follows the name: a parameter of the header, or the line's end.
_LONGEST_HEAD, _AFTER_NAME_OF_PART = 5000, ";\r\n\\"
# Before a name that is not in quotes, or encoded (RFC 7578 section 5.1 and RFC 5987).
_BEFORE_PART = re.compile(
    r"form-data;[^\r\n\\]{0,80}\bname(?:=|\*=[\w-]{0,20}'[\w-]{0,10}')\Z", re.IGNORECASE
)
_LONGEST_DISPOSITION = 120
_TAG = re.compile(r"[^<>]{0,500}?(/?)>")
_ELLIPSIS = re.compile("(?:\\.\\.\\.|\u2026)\\\\?['\")\\]}>]{0,8}\\Z")
_LONGEST_ELLIPSIS = 16
# The SDK (``max_value_length``) has not cut a text that is shorter and has no ellipsis.
SHORTEST_CUT = 1000
# The columns and the values of an SQL statement, and the values that are literals, not placeholders or names.
_INTO = re.compile(r"\binto\s", re.IGNORECASE)
_INSERT = re.compile(r"\binsert\s{0,9}\Z", re.IGNORECASE)
_LONGEST_TABLE = 200
_NO_TABLE = re.compile(r"[()=;]")
_VALUES = re.compile(
    r"(?:\s|\\{1,8}[nrt]){0,50}(?:(?:overriding|output)\s[\w.,\s]{1,100}?)?(?:values(?:\s|\\{1,8}[nrt]){0,50}\(|(select)\s)",
    re.IGNORECASE,
)
_AROUND_COLUMNS = " \t\r\n`\"'[]\\"
_MAY_BE_LITERAL = re.compile("[\"']|(?<![\\w$@:?])[0-9]")
_LITERAL_SELECTED = re.compile(r"\w{0,40}\(?\\{0,63}'|[0-9]")
_NEXT_ROW = re.compile(r"\)\s{0,50},\s{0,50}\(")
# What makes a pair of two members, arguments or attributes: {"name": "password", "value": "..."}.
_NAMING = re.compile(
    r"(?:name|key|field|param|parameter|header|id|label|column|attribute|variable|property|option)(?:\\{0,63}[\"']\s{0,4}:\s{0,4}|=)b?\\{0,63}[\"']\Z",
    re.IGNORECASE,
)
_VALUE = re.compile(r"[^{}]{0,1000}?[\"']value\\*[\"']\s{0,4}:", re.IGNORECASE)
_VALUE_ARGUMENT = re.compile(r"(?:\s{0,4}\w{1,40}=[^(){}]{0,200}?,)??\s{0,4}value=", re.IGNORECASE)
_VALUE_ATTRIBUTE = re.compile(r"[^<>]{0,1000}?\s(?:value|content)=", re.IGNORECASE)
_VALUE_OF_NAME = re.compile(
    r"(?:\b(?:value|content)=|[\"']value\\*[\"']\s{0,4}:\s{0,4}(?=\\*[\"']))", re.IGNORECASE
)
# HTML needs no quotes around a value (https://html.spec.whatwg.org/#unquoted).
_UNQUOTED = re.compile(rf"(?:[^\s\"'<>=`\\&]|{BEYOND_ASCII})+")
# Other attributes than a name that name a field, and elements with a value where they do.
_NAMING_ATTRIBUTES = ("name=", "id=", "key=", "property=", "itemprop=", "type=")
_LONGEST_NAMING, _LONGEST_TAG = 9, 400
_WITH_VALUE = re.compile(
    r"<(input|meta|add|button|param|option|field|property|setting|entry|item|data|variable)\s", re.IGNORECASE
)
# A field of a form as cgi shows it: FieldStorage('password', None, '...').
_FIELD_OF_FORM = "FieldStorage"
_FILE_NAME = re.compile(r"\s?(?:None|(\\{0,64}['\"])[^'\"\\]{0,300}\1),\s?(?=b?\\{0,64}['\"])")
# What follows the second argument of a call that is no list of names.
_KEYWORD = re.compile(r",\s?[a-zA-Z_]\w{0,40}=(?!=)")
# An item that is assigned: config['password'] = '...'.
_ASSIGNED = re.compile(
    r"\]\s{0,3}=>?(?:\s|\\{1,64}n){0,40}(?:string\(\d{1,9}\)\s)?(?=[bBuUrRfF]{0,2}\\{0,64}['\"])"
)
# https://docs.python.org/3/library/http.cookiejar.html#cookie-objects
_COOKIE = re.compile(r"<cookie [^\s=<>]{1,1000}=", re.IGNORECASE)
_COOKIE_OF = re.compile(r" for [^\s<>/]{0,300}/[^\s<>]{0,2000}>")
_COOKIE_IN_REPR = re.compile(r"version=[\w'\"\\]{1,20}, name=", re.IGNORECASE)
_VALUE_IN_REPR = re.compile(r"\\{0,64}['\"], value=")
_INPUT = re.compile(r"['\"]input\\{0,64}['\"]:\s?")
# How many members called value, and brackets in values, are looked at before a name.
_MOST_VALUES = 5
_BRACKET = re.compile("[<>{}]")
_OTHER_QUOTE = {"'": '"', '"': "'"}
_QUOTED = re.compile("\"[^\"]*\"|'[^']*'")
# How much more it takes to split columns, to search what is before a name, or to find the end of quoted text,
# than to read a text once.
_COLUMN_WEIGHT, _WINDOW_WEIGHT, _QUOTES_WEIGHT = 16, 8, 16
# How far a name and its value may be apart.
_AHEAD = 1000
# How much is read behind the second item of a pair.
_FAR_BEHIND = 60
# An element within it: <value>, <saml:AttributeValue>.
_INNER_ELEMENT = re.compile(
    r"(?:\s|\\{1,64}[nrt]){0,40}<(?:\w{1,20}:)?(?:value|attributevalue|string|data)(?:\s[^<>]{0,200})?>",
    re.IGNORECASE,
)
# A name and its value in two lines of YAML, as Kubernetes has the variables of a process.
_NAMES_LINE = re.compile(r"(?:name|key):[ \t]\Z")
_NEXT_VALUE = re.compile(rf"{_NEW_LINE}[ \t]{{0,80}}value:[ \t]")
# How far before the name of an element its bracket is searched for.
_LONGEST_PREFIX = 60
# The element with the value, in property lists, in XML-RPC, in configurations of Java's.
_NEXT_ELEMENT = re.compile(
    r"(?:\s|\\{1,64}[nrt]){0,40}(?:<value>(?:\s|\\{1,64}[nrt]){0,40})?"
    r"<(?:string|value|data|integer|real|date|int|i[48]|base64|double|dateTime\.iso8601)>",
    re.IGNORECASE,
)
_LONGEST_OPENING = len("<name>")
# Elements with a name and a value: of configurations in XML, of HTML.
_NAMED_ELEMENT = re.compile(
    r"<(?:\w{1,20}:)?(?:param|parameter|entry|property|item|textarea|field|attribute|setting|string|arg|var|data|value"
    r"|header|element|variable)\s(?:[\w:.-]{1,20}=\\{0,8}[\"'][^<>\"']{0,30}[\"']\s)?(?:name|key|id)=",
    re.IGNORECASE,
)


def was_cut(text: str) -> bool:
    """Return whether a text ends with an ellipsis, not counting closing quotes and brackets."""
    return bool(_ELLIPSIS.search(text[-_LONGEST_ELLIPSIS:]))


def value_of_shown_cookie(text: str, begin: int, bounds: Bounds) -> Span:
    """Locate the value of a cookie as ``str`` of http.cookiejar shows it: <Cookie sid=... for h.example/>."""
    found = _COOKIE.match(text, begin)
    if found is None:
        return None
    start = found.end()
    closing = _COOKIE_OF.search(text, start, start + NEAR)
    if not bounds.may_read((closing.start() if closing else min(start + NEAR, len(text))) - start):
        return start, len(text)
    if closing is not None:
        return start, closing.start()
    # Without a closing bracket it was cut; with one it is an XML element.
    return (start, len(text)) if text.find(">", start) < 0 else None


def value_of_cookie_repr(text: str, begin: int, bounds: Bounds) -> Span:
    """Locate the value of a cookie as ``repr`` shows it: Cookie(version=0, name='sid', value='...', ...)."""
    found = _COOKIE_IN_REPR.match(text, begin)
    name = closed_value(text, found.end(), found.end() + _FAR) if found else None
    if name is None:
        return None
    if not bounds.may_read(_QUOTES_WEIGHT * (name[1] - name[0])):
        return name[0], len(text)
    value = _VALUE_IN_REPR.match(text, name[1])
    return closed_value(text, value.end()) if value else None


def value_in_pair(text: str, place: Place, bounds: Bounds) -> Span:
    """Locate the second of two items, as headers and multidicts are shown: ('password', '...')."""
    opening = place.begin - len(place.quote) - 1
    before = text[max(opening - 1, 0) : opening + 1]
    if place.sign == "," and place.quote and place.name.startswith("--"):
        return closed_value(text, place.end)  # ['--password', '...']
    if place.sign != "," or not place.quote or not before.rstrip("b").endswith(("(", "[")):
        return None
    name_of_file = _FILE_NAME.match(text, place.end) if text.endswith(_FIELD_OF_FORM, 0, opening) else None
    start = name_of_file.end() if name_of_file else after_space(text, place.end)
    found = NUMBER.match(text, start)
    span = found.span() if found else closed_value(text, start, end_of_cookie(text, place))
    if span is None or text[span[0] : span[0] + 1] in ("[", "(", "{"):
        return span
    if "ookie" in place.name:
        return span
    # Three or more items are a list of names. A very long item is a value.
    behind = text[span[1] : span[1] + _FAR_BEHIND].lstrip("\\'\"")
    is_value = span[1] - span[0] > SEEN or behind[:1] in (")", "]", "") or behind.startswith((",)", ", )"))
    is_value = is_value or (text[opening - 1 : opening].isalnum() and bool(_KEYWORD.match(behind)))
    # It may consist of quotes, each of which was examined.
    if not is_value and not bounds.may_read(_QUOTES_WEIGHT * (span[1] - span[0])):
        return span[0], len(text)
    return span if is_value else None


def values_of_columns(text: str, place: Place, names: Names, bounds: Bounds) -> Span:
    """Locate the values of secret columns in SQL: INSERT INTO users (name, password) VALUES (...)."""
    low = max(place.begin - _FAR, 0)
    opening = text.rfind("(", low, place.begin)
    if opening < 0 or not _is_after_into(text, opening):
        return None
    closing = text.find(")", place.begin, place.begin + _FAR)
    values = _VALUES.match(text, closing + 1) if closing >= 0 else None
    if values is None:
        return None
    # Each secret column leads here, and all of them are split each time.
    if not bounds.may_read(_COLUMN_WEIGHT * (closing - opening)):
        return values.end(), len(text)
    columns = [column.strip(_AROUND_COLUMNS) for column in text[opening + 1 : closing].split(",")]
    secret = [at for at, column in enumerate(columns) if names.key_rule(column) in SECRET_RULES]
    begin = values.end()
    if not secret:
        return None
    if not bounds.may_read(_WINDOW_WEIGHT * min(len(text) - begin, NEAR)):
        return begin, len(text)
    if not (len(text) > begin + NEAR or _MAY_BE_LITERAL.search(text, begin)):
        return None
    found = values_of_row(text, begin, secret[-1] + 1)
    if found is None or not bounds.may_read(_COLUMN_WEIGHT * (found[-1][1] - opening)):
        return begin, len(text)
    literal = _LITERAL_SELECTED.match if values[1] else _MAY_BE_LITERAL.search
    shown = [found[at] for at in secret if literal(text, *found[at])]
    if not shown:
        return None
    is_last = values[1] or not _NEXT_ROW.search(text, found[-1][1], found[-1][1] + _FAR)
    return shown[0][0], shown[-1][1] if is_last else len(text)


def _is_after_into(text: str, end: int) -> bool:
    """Return whether the name of a table may end at a place: INSERT INTO users."""
    before = text[max(end - len("into ") - _LONGEST_TABLE, 0) : end]
    if "into" not in before.lower():
        return bool(_INSERT.search(before))  # MERGE ... THEN INSERT (...)
    return bool(_INSERT.search(before)) or bool(_INTO.search(_NO_TABLE.split(before)[-1][:-1]))


def input_of_location(text: str, place: Place) -> Span:
    """Locate the input of a field in Pydantic's errors(): 'loc': ('password',), 'input': '...'."""
    if "loc" not in text[max(place.begin - 80, 0) : place.begin] or not place.quote:
        return None
    found = _INPUT.search(text, place.end, place.end + 600)
    return closed_value(text, found.end()) if found else None


def value_in_mapping(text: str, place: Place, bounds: Bounds) -> Span:
    """Locate the value in a mapping with a name and a value: {"name": "password", "value": "..."}."""
    if not place.quote or not _NAMING.search(text[max(place.begin - 60, 0) : place.begin]):
        return None
    if not bounds.may_read(_WINDOW_WEIGHT * min(len(text) - place.end, _AHEAD)):
        return place.end, len(text)
    is_call = text[place.begin - len(place.quote) - 1 : place.begin].lstrip("b")[:1] == "="
    pattern = _VALUE_ARGUMENT if is_call else _VALUE
    found = pattern.match(text, place.end) if place.sign == "," else None
    if found is None:
        return _value_before(text, place, "(" if is_call else "{", bounds)
    begin = after_space(text, found.end())
    return closed_value(text, begin) or scalar_of_member(text, begin, place)


def content_of_named_element(text: str, place: Place, bounds: Bounds) -> Span:
    """Locate the content of an element with the name as an attribute: <param name="password">...</param>."""
    low = max(place.begin - _LONGEST_PREFIX, 0)
    opening = text.rfind("<", low, place.begin) if place.quote else -1
    if opening < 0 or not _NAMED_ELEMENT.fullmatch(text, opening, place.begin - len(place.quote)):
        return None
    tag = _TAG.match(text, place.end - 1)
    if tag is None or tag[1]:
        return None
    start = tag.end()
    inner = _INNER_ELEMENT.match(text, start)
    if inner is not None:
        start = inner.end()
    end = text.find("<", start, start + NEAR)
    if not bounds.may_read((end if end >= 0 else min(start + NEAR, len(text))) - start):
        return start, len(text)
    if end < 0:
        return (start, len(text)) if was_cut(text) else None
    return (start, end) if text[start:end].strip() else None


def value_of_next_line(text: str, place: Place) -> Span:
    """Locate the value in the line of YAML behind one with its name: - name: DB_PASSWORD."""
    before = text[max(place.begin - len(place.quote) - _LONGEST_NAMING, 0) : place.begin - len(place.quote)]
    found = _NEXT_VALUE.match(text, place.end - len(place.sign)) if _NAMES_LINE.search(before) else None
    if found is None:
        return None
    closed = closed_value(text, found.end())
    plain = UP_TO_A_SPACE.match(text, after_space(text, found.end())) if closed is None else None
    return plain.span() if plain else closed


def content_of_next_element(text: str, place: Place, bounds: Bounds) -> Span:
    """Locate the content behind an element that has the name: <key>password</key><string>...</string>."""
    before = text[max(place.begin - _LONGEST_OPENING, 0) : place.begin].lower()
    found = _NEXT_ELEMENT.match(text, place.end) if before.endswith(("<name>", "<key>")) else None
    if found is None:
        return None
    start = found.end()
    end = text.find("<", start, start + NEAR)
    if not bounds.may_read((end if end >= 0 else min(start + NEAR, len(text))) - start):
        return start, len(text)
    return (start, end if end >= 0 else len(text)) if end != start else None


def value_of_item(text: str, place: Place) -> Span:
    """Locate what is assigned to an item: config['password'] = '...'."""
    found = _ASSIGNED.match(text, place.end - 1) if place.sign == "]" and place.quote else None
    return closed_value(text, found.end()) if found else None


def value_of_attribute(text: str, place: Place, bounds: Bounds) -> Span:
    """Locate the value of an HTML field: <input name="password" value="...">."""
    if not _names_field(text, place):
        return None
    if not bounds.may_read(_WINDOW_WEIGHT * min(len(text) - place.end, _AHEAD)):
        return place.end, len(text)
    found = _VALUE_ATTRIBUTE.match(text, place.end - 1) if place.sign.isspace() else None
    value = _attribute_at(text, found.end()) if found else None
    return value or _value_before(text, place, "<", bounds)


def _names_field(text: str, place: Place) -> bool:
    """Return whether a name is an attribute that names a field of a form, or of a configuration in XML."""
    begin = place.begin - len(place.quote)
    before = text[max(begin - _LONGEST_NAMING, 0) : begin].lower()
    if place.quote and before.endswith("name="):
        return True
    if not before.endswith(_NAMING_ATTRIBUTES):
        return False
    opening = text.rfind("<", max(begin - _LONGEST_TAG, 0), begin)
    tag = _WITH_VALUE.match(text, opening, begin) if opening >= 0 else None
    if tag is None or text.find(">", opening, begin) >= 0:
        return False
    return not before.endswith("type=") or (place.name.lower() == "password" and tag[1].lower() == "input")


def _attribute_at(text: str, start: int) -> Span:
    closed = closed_value(text, start)
    plain = _UNQUOTED.match(text, start) if closed is None else None
    return plain.span() if plain else closed


def _value_before(text: str, place: Place, opening: str, bounds: Bounds) -> Span:
    """Locate the value of such a pair where it comes before the name, after the opening bracket."""
    for size in (SEEN, _FAR):
        if not bounds.may_read(_WINDOW_WEIGHT * min(size, place.begin)):
            return max(place.begin - size, 0), len(text)
        start = max(place.begin - size, 0)
        window = text[start : place.begin]
        found = _value_in_pair_before(window)
        if found is not None:
            return start + found[0], start + found[1]
        if not start or _has_opening(window, opening, place.quote):
            return None
    # The opening bracket is too far away: it is a mapping with a long value, or not a tag.
    return (place.begin - _FAR, place.begin) if opening == "{" else None


def _value_in_pair_before(window: str) -> Span:
    """Locate a member or an attribute called value at the end of a text, before a name with its quote."""
    lower = window.lower()
    values = list(_VALUE_OF_NAME.finditer(window)) if "value" in lower or "content=" in lower else []
    for found in values[-_MOST_VALUES:]:
        span = _attribute_at(window, found.end())
        if span is not None and span[1] < len(window):
            between = window[span[1] :].lstrip("\\")[1:]
            # A bracket in quotes is of another member's value.
            if not _BRACKET.search(_QUOTED.sub("", between)):
                return span
    return None


def _has_opening(window: str, opening: str, quote: str) -> bool:
    """Return whether one of the last opening brackets before a name is outside quotes.

    Args:
        window: what is before the name, with its quote.
        opening: the bracket.
        quote: of the name, with the backslashes before it.
    """
    end, at = len(window) - len(quote), len(window)
    # Attributes may be in either quotes; an apostrophe in a mapping is not one.
    quotes = [quote, *_OTHER_QUOTE.get(quote, "")] if opening == "<" else [quote]
    for _ in range(_MOST_VALUES):
        at = window.rfind(opening, 0, at)
        if at < 0:
            return False
        if not any(_count_quotes(window, one, at, end) % 2 for one in quotes):
            return True
    return False


def _count_quotes(text: str, quote: str, start: int, end: int) -> int:
    """Return the number of quotes in a part of a text that are not within others."""
    return text.count(quote, start, end) - text.count("\\" * len(quote) + quote, start, end)


def value_of_input(text: str, begin: int, start: int, names: Names) -> Span:
    """Locate the input of a field in a message of Pydantic's; the line before has the field's name."""
    # A line's end may be escaped, also several times.
    lines = text[max(begin - 600, 0) : begin].replace("\\n", "\n").rsplit("\n", 2)
    if len(lines) < 2:
        return None
    name = lines[-2].rstrip("\\").strip().rpartition(".")[2]
    if not name or names.key_rule(name[:100]) not in SECRET_RULES:
        return None
    end = text.find(", input_type=", start, start + 4000)
    if end < 0:
        line = END_OF_LINE[""].search(text, start)
        end = max(line.start() if line else len(text), (closed_value(text, start) or (0, 0))[1])
    return start, end


def content_of_element(text: str, place: Place, bounds: Bounds) -> Span:
    """Locate the content of an XML element; a placeholder such as <password> has none."""
    start = place.end
    if place.sign != ">":
        tag = _TAG.match(text, start)
        if tag is None or tag[1]:
            return None
        start = tag.end()
    low = max(place.begin - _LONGEST_PREFIX, 0)
    qualified = text[max(text.rfind("<", low, place.begin) + 1, low) : place.begin + len(place.name)]
    if qualified[0] == "/":
        return None  # a closing tag
    end = text.find(f"</{qualified}", start, start + NEAR)
    if not bounds.may_read((end if end >= 0 else min(start + NEAR, len(text))) - start):
        return start, len(text)
    if end >= 0:
        return start, end
    if text.startswith("<![CDATA[", start):
        end = text.find("]]>", start, start + NEAR)
        return start, end if end >= 0 else len(text)
    following = text.find("<", start, start + NEAR)
    if following >= 0 and text.startswith("</", following):
        return start, following  # cut within its closing tag, or followed by another's
    left = len(text) - following
    is_near = left <= (_LONGEST_ELLIPSIS if len(text) < SHORTEST_CUT else NEAR)
    if (following < 0 or is_near) and was_cut(text):
        return start, len(text)
    found = TOKEN.match(text, start)
    if found is None or not is_no_word(found[0]):
        return None
    rest = UP_TO_A_SPACE.match(text, start)
    return start, rest.end() if rest else found.end()


def _names_part(text: str, place: Place) -> bool:
    begin = place.begin - len(place.quote)
    if place.quote:
        return text[max(begin - 5, 0) : begin].lower() == "name="
    return bool(_BEFORE_PART.search(text[max(begin - _LONGEST_DISPOSITION, 0) : begin]))


def value_of_part(text: str, place: Place, bounds: Bounds) -> Span:
    """Locate the value of a field in multipart/form-data (RFC 7578)."""
    if place.sign[0] not in _AFTER_NAME_OF_PART or not _names_part(text, place):
        return None
    start = place.end - (len(place.sign) if place.sign != ";" else 0)
    head = _HEAD_OF_PART.match(text, start)
    begin = head.end() if head else min(start + _LONGEST_HEAD, len(text))
    if not bounds.may_read(begin - start):
        return place.end, len(text)
    if head is None:
        return None
    found = _BOUNDARY.search(text, begin, begin + NEAR)
    if found is None or not bounds.may_read(found.end() - begin):
        return begin, len(text)
    # Drop the line end before the boundary, raw or escaped as Python and JSON show it.
    value = text[begin : found.start()]
    if found[0][0] == "\n":
        value = value[:-1] if value.endswith("\r") else value
    else:
        value = value.rstrip("\\")
        value = value[:-1].rstrip("\\") if value.endswith("\\r") else value
    return (begin, begin + len(value)) if value else None
