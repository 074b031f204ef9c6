"""Find values that are personal by their shape: here tokens and addresses, numbers in ``numbers``.

Nothing here knows the request: a value of such a shape is replaced wherever it appears, if the ini asks for
it with ``redact_patterns``.

Every search takes time linear in its text. Regular expressions find candidates: no repetition overlaps with
what follows it, and most begin with a literal, which the search leaps to. Candidates are validated in Python,
up to a limit; beyond that, texts that may contain one are hidden as a whole.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import AnyStr

from sentry_paste.redaction.bounds import TooMuchError

#: How many candidates in a payload are validated, in addition to one for each few hundred characters.
CANDIDATES = 1000
# One @, or other beginning, is allowed for each so many characters: each is quick to check, but not free.
_CHARACTERS_OF_MARK = 50

#: Escapes that may precede a value and end with a letter or a digit, by their first character: in URLs, in
#: strings of Python and JSON, and of colours on a terminal.
ESCAPES = {
    b"%": rb"%(?:25)?[0-9A-Fa-f]{2}",
    b"\\": rb"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[abfnrtv])",
    b"[": rb"\[[0-9;]{1,8}m",
}
_ENDS_ESCAPE = re.compile(rb"(?:%s)\Z" % b"|".join(ESCAPES.values()))
_LONGEST_ESCAPE = 10

_SEPARATORS = b" +-\xa0"
# Non-breaking spaces, hyphens, and the dash that some use instead.
_ODD_SEPARATORS = {
    "\u2007": "\xa0",
    "\u202f": "\xa0",
    "\u2010": "-",
    "\u2011": "-",
    "\u2012": "-",
    "\u2013": "-",
}


def _shape_of(code: int) -> int:
    character = bytes([code])
    if character.isdigit():
        return ord("0")
    if character.isalpha():
        return ord("A" if character.isupper() else "a")
    return ord("-") if character in _SEPARATORS else code


#: Translates bytes into their shape.
SHAPE = bytes(map(_shape_of, range(256)))


class Searched:
    """Text in the forms that searches need; places are the same in all of them.

    Args:
        text: it begins with a newline.

    Attributes:
        text: the text.
        data: one byte for each character; characters beyond Latin-1 are question marks.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if not text.isascii():
            for odd, plain in _ODD_SEPARATORS.items():
                text = text.replace(odd, plain)
        self.data = text.encode("latin-1", "replace")
        self._shape = b""

    @property
    def shape(self) -> bytes:
        """The data with ``0`` for digits, ``A`` and ``a`` for letters, ``-`` for separators of groups."""
        if not self._shape:
            self._shape = self.data.translate(SHAPE)
        return self._shape


#: Where a candidate begins and ends, and whether it is valid.
Candidate = tuple[int, int, bool]


def begins(data: bytes, start: int) -> bool:
    """Return whether a value can begin at a place: after a letter or digit only if that ends an escape.

    Args:
        data: of a searched text.
        start: the place.
    """
    if not start or not data[start - 1 : start].isalnum():
        return True
    return _ENDS_ESCAPE.search(data, max(0, start - _LONGEST_ESCAPE), start) is not None


def refuse_too_many(text: AnyStr, mark: AnyStr) -> None:
    """Refuse text in which candidates may begin every few characters.

    Args:
        text: any.
        mark: what candidates begin with.

    Raises:
        TooMuchError: there are too many.
    """
    if text.count(mark) > CANDIDATES + len(text) // _CHARACTERS_OF_MARK:
        raise TooMuchError


# --- Tokens: JWS and JWE in their compact form, RFC 7515 section 7.1 and RFC 7516 section 7.1.

_PART = rb"[0-9A-Za-z_-]*"
# The beginning of JSON in base64: a brace, then a quote, a space, a line end (LF, CR LF) or a tab.
_BRACES = (b"eyJ", b"eyA", b"ewo", b"ew0", b"ewk")
# A header with that beginning; after it and the claims, the rest may be cut off. One search for each can
# leap.
_JWTS = {
    brace: re.compile(
        brace
        + rb"[0-9A-Za-z_-]{10,}(\.(?:(?:%s)P(?:\.P(?:\.P\.P)?)?|P\.P(?:\.P\.P)?))?".replace(b"P", _PART)
        % b"|".join(_BRACES)
    )
    for brace in _BRACES
}
# Longer headers are not decoded, and count as valid.
_LONGEST_HEADER = 16_384


def jwts(searched: Searched) -> Iterator[Candidate]:
    """Yield what may be tokens.

    Args:
        searched: the text.
    """
    data = searched.data
    for brace, pattern in _JWTS.items():
        for found in pattern.finditer(data) if brace in data else ():
            header = data[found.start() : found.start(1)]
            yield found.start(), found.end(), found.start(1) > 0 and _is_header(header)


def _is_header(text: bytes) -> bool:
    if len(text) > _LONGEST_HEADER:
        return True
    try:
        header = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return False
    return b'"alg"' in header


# --- E-mail addresses: RFC 5321 section 4.1.2 as used in practice, without quoted names and address literals.

# Letters of other scripts (RFC 6531, RFC 5890), without punctuation.
_BEYOND_ASCII = (
    "\u00c0-\u1fff\u2c00-\u2dff\u3040-\ud7ff\uf900-\ufdff\ufe70-\ufefe\uff66-\uffdc\U00010000-\U000effff"
)
_LETTER = f"0-9A-Za-z{_BEYOND_ASCII}"
_TOP = rf"xn--[0-9A-Za-z-]{{2,59}}|[A-Za-z]{{2,24}}|[{_BEYOND_ASCII}]{{2,24}}"
# A version: package@1.2.3.
_NO_DOMAIN = r"(?!v?[0-9]{1,9}\.[0-9])"
_AT = re.compile(rf"@{_NO_DOMAIN}((?:[{_LETTER}][{_LETTER}_-]{{0,62}}\.){{1,8}})({_TOP})(?![0-9A-Za-z])")
_ENCODED = "(?:%(?:25)?[89A-Fa-f][0-9A-Fa-f])"  # of a letter beyond ASCII
_ENCODED_DOMAIN = (
    rf"{_NO_DOMAIN}((?:(?=[{_LETTER}%])[{_LETTER}_-]{{0,63}}(?:{_ENCODED}[{_LETTER}_-]{{0,63}}){{0,20}}\.){{1,8}})"
    rf"({_TOP}|{_ENCODED}{{2,72}})(?![0-9A-Za-z])"
)
# The middle of an address: raw, in a URL, in a URL in a URL.
_MIDDLES = {
    "@": _AT,
    "%40": re.compile("%40" + _ENCODED_DOMAIN),
    "%2540": re.compile("%2540" + _ENCODED_DOMAIN),
}
_NAME_BACKWARDS = re.compile(rf"[{_LETTER}._%+-]*")
# Most names are shorter.
_USUAL_NAME = 128
# A longer one is hidden without looking at its escapes.
_LONGEST_NAME = 4096
# Up to the last escape of a character that cannot be in a name: the name begins after it.
_ENDS_BEFORE_NAME = re.compile(r".*%(?:25)*(?!2[5BbDdEe]|5[Ff]|[89A-Fa-f])[0-9A-Fa-f]{2}", re.DOTALL)
_ENDS_BACKSLASH_ESCAPE = re.compile(r"u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[abfnrtv]")
_ENDS_COLOUR = re.compile(r"[0-9]{1,3}m")
_BEGINS_NAME = re.compile(r"[^.+%-]|%(?=[89A-Fa-f][0-9A-Fa-f])")
_PLACEHOLDER = re.compile(r"%[a-z]")
# File extensions (image@2x.png) and suffixes of systemd units, which are not top-level domains.
_NO_TOP = frozenset(
    {"apng", "eps", "heic", "heif", "icns", "jfif", "psd", "svgz", "tif", "webm"}
    | {
        "localdomain",
        "avif",
        "bmp",
        "cfg",
        "class",
        "cjs",
        "conf",
        "css",
        "csv",
        "dll",
        "doc",
        "docx",
        "ejs",
        "exe",
        "gif",
    }
    | {"gz", "htm", "html", "ico", "ini", "jar", "jpeg", "jpg", "js", "json", "jsx", "less", "lock", "log"}
    | {"map", "mjs", "pdf", "php", "png", "rb", "rst", "scss", "sql", "svg", "tar", "tgz", "tiff", "tmp"}
    | {"toml", "ts", "tsx", "ttf", "txt", "vue", "wasm", "webp", "whl", "woff", "xls", "xlsx", "xml", "yaml"}
    | {"yml", "device", "mount", "path", "scope", "service", "slice", "socket", "swap", "target", "timer"}
)
# Top-level names of private networks: RFC 6762 section 3 and appendix G, and those reserved by ICANN. Active
# Directory has users there (alice@corp.local); a numeric name is a process.
_LOCAL = frozenset({"home", "internal", "lan", "local"})
# A domain before a file extension: alice@example.com.csv.
_BEFORE_END_OF_FILE = re.compile(
    rf"(?:[{_LETTER}_-]{{1,63}}\.){{1,8}}?"
    r"(?:com|org|net|edu|gov|info|io|eu|at|au|be|br|ca|ch|cn|cz|de|dk|es|fi|fr|in|it|jp|nl|no|nz|pl|pt|ru|se|uk|us)"
    r"(?![0-9A-Za-z])"
)
# Not mailboxes: git@github.com:name/repository, and the nodes of Celery.
# https://docs.celeryq.dev/en/stable/userguide/workers.html#starting-the-worker
_NOBODY = frozenset({"git", "hg", "celery"})


def emails(searched: Searched) -> Iterator[Candidate]:
    """Yield what may be e-mail addresses.

    Args:
        searched: the text.

    Raises:
        TooMuchError: there are too many signs of addresses.
    """
    text = searched.text
    for mark, pattern in _MIDDLES.items():
        if mark not in text:
            continue
        refuse_too_many(text, mark)
        done = 0
        for found in pattern.finditer(text):
            end = _end_of_domain(text, found)
            start = _start_of_name(text, done, found.start()) if end else found.start()
            if text[start : found.start()].isdigit() and found[2].lower() in _LOCAL:
                start = found.start()
            yield start, end, start < found.start()
            done = found.end()


def _end_of_domain(text: str, found: re.Match[str]) -> int:
    """Return where a domain ends, 0 if it is not one."""
    if found[2].lower() not in _NO_TOP:
        return found.end()
    shorter = _BEFORE_END_OF_FILE.match(text, found.start(1), found.end(1))
    return shorter.end() if shorter else 0


def _start_of_name(text: str, lowest: int, end: int) -> int:
    """Return where the name before an @ begins; the place of the @ if there is none."""
    low = max(lowest, end - _USUAL_NAME)
    name = _name_before(text, low, end)
    if len(name) == end - low:
        name = _name_before(text, lowest, end)
    start = end - len(name)
    before = text[start - 1 : start]
    if _PLACEHOLDER.fullmatch(name) or (before == ")" and len(name) == 1) or name in _NOBODY:
        return end
    if "%" in name and len(name) < _LONGEST_NAME:
        escape = _ENDS_BEFORE_NAME.match(name)
        start += escape.end() if escape else 0
    elif before == "\\":
        escape = _ENDS_BACKSLASH_ESCAPE.match(name)
        start += escape.end() if escape else 0
    elif before in "[;" and (escape := _ENDS_COLOUR.match(name)):
        start += escape.end()
    found = _BEGINS_NAME.search(text, start, end)
    return found.start() if found else end


def _name_before(text: str, low: int, end: int) -> str:
    found = _NAME_BACKWARDS.match(text[low:end][::-1])
    return text[end - found.end() : end] if found else ""
