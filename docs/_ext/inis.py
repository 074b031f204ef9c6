"""Inis on a page: the lines to add to one that is there are highlighted, and the whole file is folded.

A block whose caption is ``Lines to add to NAME`` has such lines; the block with the caption ``NAME`` on
the same page is the file with them. What is new is found by comparing both, so no page counts lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes

LINES_FOR = "Lines to add to "
_SECTION = re.compile(r"\[(.+)\]$")


class Folded(nodes.General, nodes.Element):
    """A file that the reader unfolds."""


def _lines(text: str) -> Iterator[tuple[int, str, str, str]]:
    """Yield each line of an ini that is not blank: number, section, option (empty in a heading), text."""
    section = option = ""
    for number, line in enumerate(text.splitlines(), 1):
        heading = _SECTION.match(line)
        if heading:
            section, option = heading[1], ""
        elif line.strip() and not line[0].isspace():
            option = re.split(r"\s*[=:]", line)[0]
        if line.strip():
            yield number, section, option, line


def added(text: str, lines: str, whole: str) -> list[int]:
    """Return the numbers of those lines of an ini that an addition has brought.

    Args:
        text: of the ini: the addition itself, or the whole.
        lines: the addition.
        whole: the file with it.
    """
    values: dict[tuple[str, str], list[str]] = {}
    for _, section, option, line in _lines(lines):
        if option:
            values.setdefault((section, option), []).append(line)
    # Of a list that is there and gets an entry, such as a pipeline, only the entry is new.
    longer = {
        key for key, found in values.items() if 0 < sum("sentry" in line for line in found) < len(found)
    }
    kept = {
        section
        for _, section, option, _ in _lines(whole)
        if option and ((section, option) not in values or (section, option) in longer)
    }
    sections = {section for section, _ in values} - kept - {"DEFAULT"}
    found = []
    for number, section, option, line in _lines(text):
        is_new = (section, option) in values if option else section in sections
        if is_new and ((section, option) not in longer or "sentry" in line):
            found.append(number)
    return found


def _mark(_app: Any, doctree: nodes.document) -> None:
    blocks = {
        block[0].astext(): block
        for block in doctree.findall(nodes.container)
        if block.get("literal_block") and isinstance(block[0], nodes.caption)
    }
    for caption, block in blocks.items():
        name = caption[len(LINES_FOR) :]
        if not caption.startswith(LINES_FOR):
            continue
        whole = blocks.get(name)
        texts = block[1].astext(), (whole or block)[1].astext()
        for found in filter(None, (block, whole)):
            numbers = added(found[1].astext(), *texts)
            found[1].setdefault("highlight_args", {})["hl_lines"] = numbers
        if whole is not None:
            whole.replace_self(Folded("", whole.deepcopy(), caption=name))


def _open(translator: Any, node: Folded) -> None:
    caption = translator.attval(node["caption"])
    translator.body.append(
        f'<details class="folded"><summary>The whole file, <code>{caption}</code></summary>'
    )


def _close(translator: Any, _node: Folded) -> None:
    translator.body.append("</details>\n")


def _nothing(_translator: Any, _node: Folded) -> None:
    pass


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    others = dict.fromkeys(("latex", "text", "man", "texinfo"), (_nothing, _nothing))
    app.add_node(Folded, html=(_open, _close), **others)
    app.connect("doctree-read", _mark)
    return {"parallel_read_safe": True}
