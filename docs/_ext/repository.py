"""README and CHANGES as pages: what links to a file of the repository links to its page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LINK = re.compile(r"`([^`<]+?)\s+<docs/([\w/-]+)\.rst>`_{1,2}")
_NAME = re.compile(r"``docs/([\w/-]+)\.rst``")
_FOLDER = re.compile(r"``docs/(\w+)/``")
_PICTURE = re.compile(r"^\.\. image:: docs/(.+)-light\.png\n((?:   .*\n)*)", re.MULTILINE)
_OTHER = re.compile(r"`([^`<]+?)\s+<([A-Z]+)\.(?:rst|txt)>`_{1,2}")


def as_page(text: str) -> str:
    """Return the text of a file of the repository with its links as they are on the site.

    Args:
        text: of the file, in reStructuredText.
    """
    text = _LINK.sub(r":doc:`\1 </\2>`", text)
    text = _NAME.sub(r":doc:`/\1`", text)
    text = _FOLDER.sub(r":doc:`/\1/index`", text)
    text = _OTHER.sub(
        lambda found: f":doc:`{found[1]} </changes>`" if found[2] == "CHANGES" else found[1], text
    )
    return _PICTURE.sub(lambda found: "\n".join(_in_both_schemes(*found.groups())), text)


def _in_both_schemes(path: str, options: str) -> Iterator[str]:
    for scheme in ("light", "dark"):
        yield f".. image:: /{path}-{scheme}.png\n{options}   :class: only-{scheme}\n"


def _included(_app: Any, path: Path, _docname: str, content: list[str]) -> None:
    if path.name in ("README.rst", "CHANGES.rst"):
        content[0] = as_page(content[0])


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("include-read", _included)
    return {"parallel_read_safe": True}
