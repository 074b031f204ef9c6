"""Links that open a source line in an editor: the option ``editor``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from sentry_paste.spool.contents import Frame

# Addresses that editors, or their plug-ins, register on a desktop. {rooted} is the path with one slash at its
# beginning, also on Windows.
_ADDRESSES = {
    "cursor": ("Cursor", "cursor://file{rooted}:{line}"),
    "emacs": ("Emacs", "emacs://open?url=file://{rooted}&line={line}"),
    "idea": ("IDEA", "idea://open?file={path}&line={line}"),
    "macvim": ("MacVim", "mvim://open?url=file://{rooted}&line={line}"),
    "pycharm": ("PyCharm", "pycharm://open?file={path}&line={line}"),
    "sublime": ("Sublime Text", "subl://open?url=file://{rooted}&line={line}"),
    "textmate": ("TextMate", "txmt://open?url=file://{rooted}&line={line}"),
    "vscode": ("VS Code", "vscode://file{rooted}:{line}"),
    "vscode-insiders": ("VS Code", "vscode-insiders://file{rooted}:{line}"),
    "vscodium": ("VSCodium", "vscodium://file{rooted}:{line}"),
    "windsurf": ("Windsurf", "windsurf://file{rooted}:{line}"),
    "zed": ("Zed", "zed://file{rooted}:{line}"),
}

#: Names that the option takes.
NAMES: Iterable[str] = tuple(_ADDRESSES)

_PATTERN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]{0,30}):[!-z|~]{1,300}", re.ASCII)
_PLACEHOLDER = re.compile(r"\{(path|line|rooted)\}")
# Addresses that would run something in the page, or show something else in its place.
_FORBIDDEN = ("about", "blob", "data", "file", "javascript", "vbscript")

# A path on this machine. Two slashes at the beginning would be another machine on Windows.
_ABSOLUTE = re.compile(r"(/(?!/)|[A-Za-z]:/)[^\x00-\x1f\x7f]{1,1000}")

#: What the option takes, for messages.
EXPECTED = (
    f"expected one of {', '.join(NAMES)}, or an address with {{path}} and {{line}}, "
    "such as myeditor://open?file={path}&line={line}"
)


class Editor:
    """Makes links into an editor.

    Args:
        text: value of the option: a name, an address with placeholders, or empty for no links.

    Raises:
        ValueError: it is none of these.
    """

    def __init__(self, text: str) -> None:
        self.title, self._address = _ADDRESSES.get(text.lower(), ("editor", text))
        if text and text.lower() not in _ADDRESSES and not _is_pattern(text):
            raise ValueError(EXPECTED)

    def link(self, frame: Frame) -> str:
        """Return the address that opens a frame's line, empty if there is none.

        Args:
            frame: the frame.
        """
        path = frame.path.replace("\\", "/")
        if not self._address or frame.line is None or not _ABSOLUTE.fullmatch(path):
            return ""
        quoted = quote(path.encode("utf-8", "replace"), safe="/:")
        values = {"path": quoted, "rooted": f"/{quoted.lstrip('/')}", "line": str(frame.line)}
        return _PLACEHOLDER.sub(lambda match: values[match[1]], self._address)


def _is_pattern(text: str) -> bool:
    found = _PATTERN.fullmatch(re.sub(r"\{(path|line)\}", "-", text))
    return found is not None and found["scheme"] not in _FORBIDDEN and "{path}" in text
