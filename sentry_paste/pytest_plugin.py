"""The plugin for pytest: the fixture ``sentry_captured``, and nothing else.

It is loaded in every run of pytest where this package is installed, so it imports nothing until a test asks
for the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sentry_paste.testing import CapturedEnvelopes


def pytest_addoption(pluginmanager: Any) -> None:
    """Have this package imported as any other; pytest calls this before it imports a ``conftest``.

    pytest rewrites the assertions of all packages that come with a plugin, with an import hook of its own.
    For packages that it has imported, ``pkg_resources`` finds no files, and by that Pyramid serves the static
    files and templates of a package, such as the panel for the debug toolbar.

    Args:
        pluginmanager: pytest's. Its ``_must_rewrite`` is not documented (checked with pytest 8 and 9).
            Without it, the package is imported by the hook.
    """
    hook = getattr(pluginmanager, "rewrite_hook", None)
    marked = getattr(hook, "_must_rewrite", None)
    if isinstance(marked, set):
        marked.discard("sentry_paste")
        getattr(hook, "_marked_for_rewrite_cache", {}).clear()


@pytest.fixture
def sentry_captured() -> Iterator[CapturedEnvelopes]:
    """Capture what Sentry would get while a test runs: exceptions, transactions, logs, spans.

    Load the app in the test, or in a fixture that asks for this one; nothing leaves the process.
    """
    from sentry_paste.testing import capture_envelopes

    with capture_envelopes() as captured:
        yield captured
