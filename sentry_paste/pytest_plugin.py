"""The plugin for pytest: the fixture ``sentry_captured``, and nothing else.

It is loaded in every run of pytest where this package is installed, so it imports nothing until a test asks
for the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sentry_paste.testing import CapturedEnvelopes


@pytest.fixture
def sentry_captured() -> Iterator[CapturedEnvelopes]:
    """Capture what Sentry would get while a test runs: exceptions, transactions, logs, spans.

    Load the app in the test, or in a fixture that asks for this one; nothing leaves the process.
    """
    from sentry_paste.testing import capture_envelopes

    with capture_envelopes() as captured:
        yield captured
