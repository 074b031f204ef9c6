"""What a page names leads to where it is described: the first mention in each section."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from docutils import nodes
from sphinx import addnodes


def link_first_mentions(
    env: Any, doctree: nodes.document, target: Callable[[str], str], **attributes: Any
) -> None:
    """Turn code into links.

    Args:
        env: of Sphinx.
        doctree: of a page.
        target: returns what a text in code leads to, empty if to nothing.
        attributes: of the reference: ``refdomain`` and ``reftype``.
    """
    for section in doctree.findall(nodes.section):
        linked = {""}
        for literal in list(section.findall(nodes.literal)):
            found = target(literal.astext())
            if found in linked or _section_of(literal) is not section or _is_linked(literal):
                continue
            linked.add(found)
            link = addnodes.pending_xref("", reftarget=found, refdoc=env.docname, **attributes)
            literal.replace_self(link)
            link += literal


def _section_of(node: nodes.Node) -> nodes.Node:
    while not isinstance(node, nodes.section):
        node = node.parent
    return node


def _is_linked(node: nodes.Node) -> bool:
    while not isinstance(node, nodes.section):
        if isinstance(node, (nodes.reference, nodes.title, addnodes.pending_xref)):
            return True
        node = node.parent
    return False
