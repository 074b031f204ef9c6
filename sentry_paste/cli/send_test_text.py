"""What became of the test of ``send-test``, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from sentry_paste.cli.send_test import NAME, Sent, SentryPasteTest
from sentry_paste.cli.terminal import clean, wrapped


def sent_text(sent: Sent) -> str:
    """Return what became of a test for reading.

    Args:
        sent: the test.
    """
    return "\n".join(_sent(sent))


def _sent(sent: Sent) -> Iterator[str]:
    yield f"To {clean(sent.destination)}"
    for outcome in sent.outcomes:
        yield ""
        yield f"  {outcome.what} {outcome.id}".rstrip()
        yield from wrapped(clean(outcome.text), "    ")
    if all(outcome.accepted for outcome in sent.outcomes):
        yield ""
        yield f"The error is called {SentryPasteTest.__name__}, the {sent.outcomes[-1].what} {NAME}."
