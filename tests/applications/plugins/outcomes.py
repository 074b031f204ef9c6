"""A pytest plugin that writes what became of each test to the file that ``OUTCOMES`` names."""

import json
import os
from pathlib import Path

_outcomes = {}


def pytest_runtest_logreport(report):
    # Of set-up, call and tear-down, the first that is not a plain pass.
    if _outcomes.get(report.nodeid, "passed") == "passed":
        expected = report.skipped and hasattr(report, "wasxfail")
        _outcomes[report.nodeid] = "xfailed" if expected else report.outcome


def pytest_sessionfinish():
    Path(os.environ["OUTCOMES"]).write_text(json.dumps(_outcomes), encoding="utf-8")
