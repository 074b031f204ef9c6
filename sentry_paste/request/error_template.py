"""A template of the crash page: its texts in several languages, and what is filled in."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from configparser import Error, RawConfigParser
from string import Template

from sentry_paste.request.error_texts import TEXTS

#: What the filter fills in for each crash.
FILLED = ("lang", "dir", "event_id", "feedback", "report", "home_url", "inbox_url")
#: Elements that the filter fills in, by the texts that they need.
ELEMENTS = {
    "report": ("reported", "recorded"),
    "retry_link": ("retry",),
    "home_link": ("home",),
    "inbox_link": ("inbox",),
}
_RESERVED = frozenset({*FILLED, *ELEMENTS})

# An HTML comment in a template adds languages and texts to the table, in the syntax of an ini.
_TABLE = re.compile(r"<!--[ \t]*error_page[ \t]*\n(?P<ini>.*?)-->[ \t]*\n?", re.DOTALL)
_TAG = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_NAME = re.compile(r"[a-z][a-z0-9_]*")

# Languages that are written from right to left (https://www.w3.org/International/questions/qa-scripts).
_RIGHT_TO_LEFT = frozenset({"ar", "arc", "ckb", "dv", "fa", "he", "ps", "sd", "syr", "ug", "ur", "yi"})


class ErrorTemplate:
    """The text of a page, with texts in several languages.

    Args:
        text: the template.

    Raises:
        ValueError: its own table of texts has a mistake; the message is a clause.

    Attributes:
        texts: for each language that has all texts of the template, the texts; they are escaped. The first
            language is the default. There is none if the template has no texts of the table.
    """

    def __init__(self, text: str) -> None:
        found = _TABLE.search(text)
        own = _read_table(found["ini"]) if found else {}
        if found:
            text = text[: found.start()] + text[found.end() :]
        self._template = Template(text)
        names = _names(text)
        table = {tag: {**TEXTS.get(tag, {}), **own.get(tag, {})} for tag in {**own, **TEXTS}}
        known = {name for texts in table.values() for name in texts}
        needed = {text for name in names for text in ELEMENTS.get(name, (name,))} & known
        for tag in own:
            missing = sorted(needed - set(table[tag]))
            if missing:
                raise ValueError(f"its texts in [{tag}] lack {', '.join(missing)}")
        self.texts: Mapping[str, Mapping[str, str]] = {
            tag: {name: html.escape(text) for name, text in texts.items()}
            for tag, texts in table.items()
            if needed and needed <= set(texts)
        }

    def fill(self, values: Mapping[str, str], language: str | None) -> str:
        """Return the page.

        Args:
            values: by name, as markup.
            language: one of ``texts``, None if there is none.
        """
        texts = self.texts[language] if language else {}
        return self._template.safe_substitute(
            texts, lang=language or "", dir=_direction(language or ""), **values
        )


def _direction(language: str) -> str:
    return "rtl" if language.lower().partition("-")[0] in _RIGHT_TO_LEFT else "ltr"


def _names(text: str) -> set[str]:
    """Return the names of a template."""
    matches = Template.pattern.finditer(text)
    return {match["named"] or match["braced"] or "" for match in matches}


def _read_table(ini: str) -> dict[str, dict[str, str]]:
    parser = RawConfigParser(default_section="\0")
    try:
        parser.read_string(ini)
    except Error as error:
        raise ValueError(f"its texts cannot be read: {str(error).splitlines()[0]}") from None
    for tag in parser.sections():
        if not _TAG.fullmatch(tag):
            raise ValueError(f"its texts in [{tag}] are in no language: expected a tag, such as nl or pt-BR")
        for name in parser.options(tag):
            if name in _RESERVED or not _NAME.fullmatch(name):
                raise ValueError(f"{name} in [{tag}] cannot be the name of a text")
    return {tag: dict(parser.items(tag)) for tag in parser.sections()}
