"""Parse the rules about errors: what is none, what is expected, and how it is sent."""

from __future__ import annotations

from sentry_paste.config import kinds, references
from sentry_paste.config.texts import split_lines

#: What an expression begins with; what does not is a glob.
EXPRESSION = "re:"


def _messages(text: str) -> tuple[str, ...]:
    return tuple(map(_message, split_lines(text)))


def _message(line: str) -> str:
    if not line.startswith(EXPRESSION):
        return line
    expression = line[len(EXPRESSION) :].strip()
    if not expression:
        raise ValueError(f"expected a regular expression after {EXPRESSION}, not {line!r}")
    kinds.expression(expression)
    return EXPRESSION + expression


def _rates(text: str) -> references.Reference:
    names, rates = [], []
    for line in split_lines(text):
        name, *rest = line.split(maxsplit=1)
        try:
            rates.append(kinds.RATE.parse(*rest))
        except (TypeError, ValueError):
            raise ValueError(f"expected {_CLASS_RATE} on each line, not {line!r}") from None
        names.append(name)
    return references.exception_classes(names, lambda classes: tuple(zip(classes, rates)))


_CLASS_RATE = "a class of exceptions and a rate from 0 to 1"
CLASS_RATES = kinds.Kind("classes with rates", f"{_CLASS_RATE} on each line", _rates)
MESSAGES = kinds.Kind(
    "messages", "globs for messages, or re: and a regular expression, one on each line", _messages
)
