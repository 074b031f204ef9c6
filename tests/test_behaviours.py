"""Every behaviour of the list, and the table in the documentation."""

from pathlib import Path

import pytest
import sentry_sdk

from sentry_paste import sdk

from behaviours import BEHAVIOURS, Ours, holds, table_text

PAGE = Path(__file__).parent.parent / "docs" / "correctness.rst"


@pytest.mark.parametrize(("text", "check"), BEHAVIOURS, ids=[text for text, _ in BEHAVIOURS])
def test_filter(text, check):
    assert holds(Ours, check)


def test_table_of_the_documentation_is_that_of_a_run():
    page = PAGE.read_text(encoding="utf-8")
    words = " ".join(page.split())
    if sentry_sdk.VERSION not in words:
        pytest.skip("the table is of another sentry-sdk")
    if sdk.MAJOR == 2:
        assert table_text() in page
    # The page has one table. For the other major it has the sum.
    assert table_text().rpartition("In all: ")[2].strip() in words
