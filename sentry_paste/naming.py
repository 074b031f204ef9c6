"""The name of a request's transaction, as long as no framework has named it."""

from __future__ import annotations

from sentry_paste.request import native, path_of


def default_name(environ: dict[str, str]) -> str:
    """Return ``METHOD /script/path``.

    Its source is ``url`` in Sentry's terms: one name for each path, which an integration replaces by the
    route's (https://develop.sentry.dev/sdk/data-model/event-payloads/transaction/).

    Args:
        environ: the strings of a WSGI environ as it came in, before the app had it.
    """
    return f"{native(environ.get('REQUEST_METHOD', '')).upper()} {path_of(environ)}".lstrip()
