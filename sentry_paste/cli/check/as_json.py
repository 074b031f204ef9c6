"""The report of ``check`` as JSON, for machines.

Names, codes and their meanings stay the same from release to release; new ones may be added.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sentry_paste.cli.check.effective import OptionValue, without_secrets
from sentry_paste.cli.check.report import Filter, Report
from sentry_paste.cli.check.source import LoadProblem
from sentry_paste.cli.check.structure import IniError, Layer
from sentry_paste.config.errors import without_credentials


def report_json(report: Report, *, strict: bool = False) -> str:
    """Return a report as JSON.

    Args:
        report: report on an ini.
        strict: whether warnings count for the exit status.
    """
    with _deep(sum(1 for _ in report.structure.root.walk())):
        return json.dumps(_masked(_report(report, strict)), indent=2)


@contextmanager
def _deep(layers: int) -> Iterator[None]:
    """Allow for as much recursion as layers need, each of which is inside the one before in a pipeline."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + 10 * layers)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def unreadable_json(path: str, name: str, error: IniError) -> str:
    """Return what is wrong with an ini of which nothing can be read.

    Args:
        path: of the ini.
        name: of the app.
        error: the reason.
    """
    found = {"path": os.path.abspath(path), "name": name, "status": 2}
    mistakes = [_place(os.path.abspath(path), None, "unreadable", line) for line in str(error).splitlines()]
    nothing: dict[str, Any] = {"structure": None, "filters": [], "unused": [], "warnings": [], "write": []}
    return json.dumps(_masked({**found, **nothing, "mistakes": mistakes}), indent=2)


def _masked(value: Any) -> Any:
    """Return a value without credentials, whoever has written its texts."""
    if isinstance(value, dict):
        return {name: _masked(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_masked(member) for member in value]
    return without_credentials(value) if isinstance(value, str) else value


def _report(report: Report, strict: bool) -> dict[str, Any]:
    path = report.structure.path
    return {
        "path": path,
        "name": report.name,
        "status": report.status(strict),
        "structure": _layer("", report.structure.root, False),
        "filters": [_filter(found) for found in report.filters],
        "unused": list(report.unused),
        "mistakes": [
            *map(_load_problem, report.problems),
            *(mistake for found in report.filters for mistake in _mistakes(found)),
        ],
        "warnings": [
            {
                "severity": warning.severity,
                **_place(warning.path or path, warning.line, warning.code, warning.text),
                "write": list(warning.lines),
            }
            for warning in report.warnings
        ],
        "write": list(report.remedy.lines) if report.remedy else [],
    }


def _place(path: str, line: int | None, code: str, text: str) -> dict[str, Any]:
    return {"code": code, "path": path, "line": line, "text": text}


def _load_problem(problem: LoadProblem) -> dict[str, Any]:
    place = _place(problem.path, problem.line, problem.code, problem.text)
    return {**place, "option": problem.option} if problem.option else place


def _mistakes(found: Filter) -> list[dict[str, Any]]:
    if found.mistake is None:
        return []
    path = found.mistake.source.partition(" [")[0]
    return [
        {
            **_place(
                problem.source.partition(" [")[0] or path,
                problem.line,
                "option",
                without_secrets(problem.reason),
            ),
            "option": problem.option,
        }
        for problem in found.mistake.problems
    ]


def _layer(key: str, layer: Layer, covered: bool) -> dict[str, Any]:
    return {
        "key": key,
        "name": layer.name,
        "kind": layer.kind,
        "section": layer.section,
        "factory": layer.spec,
        "path": layer.path,
        "covered": covered,
        "missing": layer.missing or None,
        "inner": [_layer(name, inner, covered or layer.is_sentry) for name, inner in layer.inner],
    }


def _filter(found: Filter) -> dict[str, Any]:
    return {
        "title": found.title,
        "section": found.layer.section,
        "path": found.layer.path,
        "placed": found.layer.placed,
        "reports": found.reports,
        "reached": found.reached,
        "options": [_option(value) for value in found.values],
        "integrations": None if found.integrations is None else list(found.integrations),
        "write": list(found.first_start),
    }


def _option(value: OptionValue) -> dict[str, Any]:
    line = re.search(r" line (\d+)", value.origin)
    return {
        "name": value.name,
        "value": value.text,
        "origin": value.origin,
        "line": int(line[1]) if line else None,
    }
