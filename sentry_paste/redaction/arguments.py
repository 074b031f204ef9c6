"""Redact the arguments of the process, which the SDK's argv integration adds to each event.

``pserve app.ini sqlalchemy.url=postgresql://user:password@host/db`` has a password in them. It is nobody's
personal data, so it is removed whether those may be sent or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sentry_paste.redaction.commands import NO_SECRET
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.texts import clean_text

_OPTION = re.compile(r"--?[A-Za-z][\w.-]*")
# What may be the value of the option before it: not --reload, nor -v.
_VALUE = re.compile(r"(?!--|-.?$)", re.DOTALL)
# An option, a setting or a header, up to its value; and one as the value of an option: --set=name=value.
_ASSIGNED = re.compile(r"-{0,2}\w[\w.-]*\s*[=:]\s*(?=\S)")
_MOST_ASSIGNED = 2
# A value that no text around it could end.
_WORD = re.compile(r"[\w.~/:@%+=!$*^?-]*")
# The user info of a URL that is an argument: a password may contain any sign, as SQLAlchemy reads
# it up to the last @. After a port, an @ belongs to the path.
_USER_INFO = re.compile(r"(?<=://)[^\s/?#:@]*:(?!\d{1,5}[/?#]).+@", re.DOTALL)
# What a shell takes for one word although there are blanks or quotes in it: abc\ def, a"b c"d, 'ab'"'"'c'.
# A single string in quotes is none of these, nor is JSON.
_PART = r"\\.|'[^']*'|\"(?:[^\"\\]|\\.)*\""
_PLAIN = r"[^\s'\"\\=:,;<>|&(){}\[\]]"
_ONE_WORD = re.compile(
    rf"(?P<continued>\\\r?\n)|(?<![^\s=:])(?:{_PLAIN}|(?:{_PART})(?={_PLAIN}|['\"\\]))(?:{_PLAIN}|{_PART})*(?!\S)"
    r"|\\[ \t]",
    re.DOTALL,
)
# They are read with other characters in the place of these.
_SIGNS = "'\"\\ \t\r\n"
_IN_WORDS = {ord(sign): chr(0xF0000 + place) for place, sign in enumerate(_SIGNS)}
_BETWEEN_WORDS = {ord(sign): blank for sign, blank in zip("\\\r\n", "\x1c\x1d\x1e")}
_BACK = {ord(to): chr(sign) for table in (_IN_WORDS, _BETWEEN_WORDS) for sign, to in table.items()}
# A value that is secret behind any name that is.
_EXAMPLE = "q8fh23fh28hf2"


def clean_arguments(event: dict[str, Any], names: Names) -> None:
    """Remove passwords and other secrets from the arguments of the process.

    Args:
        event: as serialised by the SDK; it is changed.
        names: which names are secret.
    """
    extra = event.get("extra")
    arguments = extra.get("sys.argv") if isinstance(extra, dict) else None
    if type(arguments) is not list:
        return
    texts = tuple([text if type(text) is str else "" for text in arguments])
    known = names.arguments
    cleaned = known.get(texts)
    if cleaned is None:
        cleaned = list(_all_cleaned(texts, names))
        known.clear()  # an app may change them
        known[texts] = cleaned
    arguments[:] = [new if type(text) is str else text for text, new in zip(arguments, cleaned)]


def _all_cleaned(texts: Iterable[str], names: Names) -> Iterator[str]:
    option = ""
    for text in texts:
        # A value after its option is judged as one that is joined to it: --token VALUE as --token=VALUE.
        is_value = option and _VALUE.match(text) and not NO_SECRET.fullmatch(option)
        before = f"{option}=" if is_value else ""
        yield _cleaned(before + text, names)[len(before) :]
        option = text if _OPTION.fullmatch(text) else ""


def _cleaned(text: str, names: Names) -> str:
    """Return an argument without what is secret in it: where its name is, all of its value."""
    start = 0
    for _ in range(_MOST_ASSIGNED):
        assigned = _ASSIGNED.match(text, start)
        if assigned is None:
            break
        if not _WORD.fullmatch(text, assigned.end()):
            shown = assigned[0] + _EXAMPLE
            if clean_text(shown, names) != shown:
                return text[: assigned.end()] + FILTERED
        start = assigned.end()
    read = _ONE_WORD.sub(_word, text)
    cleaned = clean_text(read, names)
    return _USER_INFO.sub(f"{FILTERED}@", cleaned.translate(_BACK) if read != text else cleaned)


def _word(found: re.Match[str]) -> str:
    return found[0].translate(_BETWEEN_WORDS if found["continued"] else _IN_WORDS)
