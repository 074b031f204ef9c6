"""The lists, and the page that says what is missing: template and values of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sentry_paste.inbox import lists
from sentry_paste.inbox.index import Index
from sentry_paste.inbox.lists import time_range as time_range


@dataclass(frozen=True)
class Page:
    """A page to render.

    Attributes:
        template: name of the template.
        values: values for the template.
        status: HTTP status code.
        version: changes whenever the page changes; empty if the page has no version.
    """

    template: str
    values: Mapping[str, Any]
    status: int = 200
    version: str = ""


def list_page(index: Index, query_string: str, template: str = "list.jinja2") -> Page:
    """Return the list.

    Args:
        index: index of the spool.
        query_string: query string of the URL.
        template: template of the whole page, or of the part that the script loads again.
    """
    values, version = lists.shown(index.look(), query_string)
    return Page(template, values, version=version)


def missing(detail: str = "There is no page at this address.") -> Page:
    """Return the 404 page.

    Args:
        detail: what was not found.
    """
    return Page("missing.jinja2", {"detail": detail}, status=404)
