"""Every behaviour of the list, and the table in the documentation."""

from pathlib import Path

import pytest
import sentry_sdk

from behaviours import BEHAVIOURS, Ours, holds, table_text

PAGE = Path(__file__).parent.parent / "docs" / "correctness.rst"


@pytest.mark.parametrize(("text", "check"), BEHAVIOURS, ids=[text for text, _ in BEHAVIOURS])
def test_filter(text, check):
    assert holds(Ours, check)


def test_table_of_the_documentation_is_that_of_a_run():
    page = PAGE.read_text(encoding="utf-8")
    if f"sentry-sdk {sentry_sdk.VERSION}" not in " ".join(page.split()):
        pytest.skip("the table is of another sentry-sdk")
    assert table_text() in page
