"""Shared by the benchmarks: showing progress, describing the machine, saving figures, formatting tables."""

from __future__ import annotations

import json
import platform
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import sentry_sdk


def progress(text: str) -> None:
    """Write to standard error, away from the tables.

    Args:
        text: without a newline.
    """
    print(text, end="", file=sys.stderr, flush=True)


def machine() -> str:
    """Describe what the benchmark ran on."""
    return (
        f"{platform.python_implementation()} {platform.python_version()}, sentry-sdk {sentry_sdk.VERSION}, "
        f"{platform.system()} {platform.machine()}"
    )


def keep(file: str | None, figures: Any) -> None:
    """Write figures to a file as JSON, with the machine.

    Args:
        file: None to save nothing.
        figures: anything that JSON can hold.
    """
    if file:
        text = json.dumps({"machine": machine(), "figures": figures}, indent=1)
        Path(file).write_text(text + "\n", encoding="utf-8")


def median(numbers: Iterable[float]) -> float:
    """Return the median.

    Args:
        numbers: at least one.
    """
    return float(statistics.median(numbers))


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a table: the first column is aligned left, the others right.

    Args:
        rows: of texts, the headings first.
    """
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *others = (
            text.rjust(width) if number else text.ljust(width)
            for number, (text, width) in enumerate(zip(row, widths))
        )
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)
