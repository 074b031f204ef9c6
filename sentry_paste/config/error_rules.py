"""Parse the rules about errors: what is none, what is expected, and how it is sent."""

from __future__ import annotations

from sentry_paste.config import kinds
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


MESSAGES = kinds.Kind(
    "messages", "globs for messages, or re: and a regular expression, one on each line", _messages
)
