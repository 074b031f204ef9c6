"""Shared by the tests of redaction."""

import pytest

from sentry_paste.redaction.bounds import Search


@pytest.fixture
def count_steps(monkeypatch):
    """Return a function that counts how often a module's searches find something."""

    def count(module):
        counted = []

        class Counted(Search):
            def __iter__(self):
                for hit in super().__iter__():
                    counted.append(hit)
                    yield hit

        monkeypatch.setattr(f"sentry_paste.redaction.{module}.Search", Counted)
        return counted

    return count
