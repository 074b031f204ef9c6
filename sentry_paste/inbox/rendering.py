"""Templates, and what every page's address begins with."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import jinja2

from sentry_paste.inbox.pages import Page
from sentry_paste.inbox.present import FILTERS, printable

_HERE = Path(__file__).parent

#: Files that are served as they are, by name: their type and their bytes.
STATIC = {
    name: (type_, (_HERE / "static" / name).read_bytes())
    for name, type_ in (
        ("icon.svg", "image/svg+xml"),
        ("inbox.css", "text/css; charset=utf-8"),
        ("inbox.js", "text/javascript; charset=utf-8"),
    )
}


class Templates:
    """The templates of the pages. All that they print is escaped."""

    def __init__(self) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=printable,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(FILTERS)

    def render(self, page: Page, root: str, spool: str, tag: str = "") -> bytes:
        """Return a page as HTML.

        Args:
            page: what it shows.
            root: SCRIPT_NAME, what the inbox is mounted at.
            spool: the directory, for the header.
            tag: what a script can ask with whether the page has changed.
        """
        template = self._environment.get_template(page.template)
        # WSGI hands bytes over as latin-1 (PEP 3333).
        base = quote(root.encode("latin-1", "replace"))
        return template.render(page.values, base=base, spool=spool, tag=tag).encode("utf-8", "replace")
