import sys

import pytest


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Let standard output be a terminal of some width."""

    def make(width):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("NO_COLOR", "1")

    return make
