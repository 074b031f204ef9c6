"""Figures in the columns of a table are below each other."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes

_FIGURE = re.compile(r"^[-+±]?[\d.,/ ]*\d[\d.,/ ]*(?: ?(?:%|s|ms|µs|kB|MB|MiB|KiB|/s|times))?$")
_NONE = ("", "-", "—")


def is_figure(text: str) -> bool:
    """Return whether the text of a cell is a figure, with its unit.

    Args:
        text: of the cell.
    """
    return bool(_FIGURE.match(text))


def _align(_app: Any, doctree: nodes.document) -> None:
    for table in doctree.findall(nodes.table):
        for body in table.findall(nodes.tbody):
            rows = [list(row.children) for row in body.children]
            head = [list(row.children) for row in next(iter(table.findall(nodes.thead)), [])]
            for number in range(max(map(len, rows))):
                column = [row[number] for row in rows if number < len(row)]
                texts = [entry.astext().strip() for entry in column]
                if any(map(is_figure, texts)) and all(is_figure(text) or text in _NONE for text in texts):
                    for entry in column + [row[number] for row in head if number < len(row)]:
                        entry["classes"].append("figure")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-read", _align)
    return {"parallel_read_safe": True}
