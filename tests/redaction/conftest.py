"""What the tests of redaction have in common."""

import pytest

from sentry_paste.redaction.bounds import Search


@pytest.fixture
def count_steps(monkeypatch):
    """Return what counts how often a module's searches find something."""

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
