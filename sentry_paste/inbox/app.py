"""The WSGI app: who may look, which page, and the headers of every answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import jinja2

from sentry_paste.inbox import pages
from sentry_paste.inbox.access import PARAMETER, Tokens, cookie, doubt, is_of_another_site, take_token
from sentry_paste.inbox.index import Index
from sentry_paste.inbox.pages import Page
from sentry_paste.inbox.present import FILTERS, printable
from sentry_paste.inbox.settings import InboxSettings
from sentry_paste.sdk.failures import announce, warn
from sentry_paste.spool import Spool

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


if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# All that is shown comes from whoever made a request. Should the escaping ever miss some of it, the browser
# still runs nothing and loads nothing but what is the inbox's own.
SECURITY_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)

_REFUSAL = """\
The inbox does not answer this request without its token: {reason}.

The server's log has an address that ends in ?token=... Put that end onto the address of the inbox and open it
once: the browser keeps it in a cookie. A token of your own is inbox_token in its section of the ini; then
every request needs it.
"""

# What may stand in a query string as it is (RFC 3986, section 3.4), and what is quoted already.
_OF_QUERIES = "!$&'()*+,;=:@/?%"

_ENVELOPE = re.compile(r"/envelope/([0-9a-f]{32})")
_TRACE = re.compile(r"/trace/([0-9a-f]{32})")


class Inbox:
    """An app that shows a spool in the browser. It changes nothing.

    Args:
        settings: which spool, and who may look.
    """

    def __init__(self, settings: InboxSettings) -> None:
        self.settings = settings
        spool = Spool(settings.spool_dir)
        self.index = Index(spool)
        self.tokens = Tokens(settings.inbox_token, spool)
        self._templates = Templates()
        self._has_warned = False

    def announce(self) -> None:
        """Log the address with the token."""
        announce(f"the inbox, with its token: {self._address(self.tokens.current())}")

    def _address(self, token: str) -> str:
        # Who has set one knows it; a log is read by others.
        shown = "(inbox_token)" if self.settings.inbox_token else token
        return f"{self.settings.address or '/'}?{PARAMETER}={shown}"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333).

        Args:
            environ: of the request.
            start_response: of the server.
        """
        answer = self._answer(environ)
        headers = [*SECURITY_HEADERS, ("Cache-Control", answer.cache)]
        if answer.tag:
            headers.append(("ETag", f'"{answer.tag}"'))
        headers += answer.headers
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "GET, HEAD"))
        if answer.status != HTTPStatus.NOT_MODIFIED:
            headers += [("Content-Type", answer.type), ("Content-Length", str(len(answer.body)))]
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [answer.body]

    def _answer(self, environ: WSGIEnvironment) -> _Answer:
        token, query = take_token(str(environ.get("QUERY_STRING", "")))
        is_right = token is not None and self.tokens.is_right(token)
        reason = doubt(environ, self.settings)
        if reason and not is_right and not self.tokens.has_cookie(str(environ.get("HTTP_COOKIE", ""))):
            return self._refused(reason, token is not None)
        if is_of_another_site(environ):
            return _told(HTTPStatus.FORBIDDEN, "The inbox is no part of other pages.")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _told(HTTPStatus.METHOD_NOT_ALLOWED, "The inbox only shows: GET and HEAD.")
        if token is not None and is_right:
            return _admitted(environ, token, query)
        path = str(environ.get("PATH_INFO", ""))
        static = STATIC.get(path[len("/static/") :]) if path.startswith("/static/") else None
        if static is not None:
            tag = _tag(static[1])
            if _knows(environ, tag):
                return _Answer(HTTPStatus.NOT_MODIFIED, tag=tag, cache="no-cache")
            return _Answer(HTTPStatus.OK, *static, tag=tag, cache="no-cache")
        page = self._page(path, query)
        tag = _tag(page.version.encode("utf-8", "replace")) if page.version else ""
        if tag and _knows(environ, tag):
            return _Answer(HTTPStatus.NOT_MODIFIED, tag=tag)
        root, spool = str(environ.get("SCRIPT_NAME", "")), str(self.settings.spool_dir)
        body = self._templates.render(page, root, spool, tag)
        return _Answer(HTTPStatus(page.status), "text/html; charset=utf-8", body, tag)

    def _refused(self, reason: str, has_token: bool) -> _Answer:
        if not self._has_warned:  # once: whoever asks again and again is not to fill the log
            self._has_warned = True
            address = self._address(self.tokens.current(makes_directory=True))
            warn("the inbox has refused a request that came without its token: %s", address)
        wrong = "The token of this address is not the inbox's.\n\n" if has_token else ""
        return _told(HTTPStatus.FORBIDDEN, f"{wrong}{_REFUSAL.format(reason=reason)}".rstrip())

    def _page(self, path: str, query: str) -> pages.Page:
        if path in ("", "/"):
            return pages.list_page(self.index, query)
        if path == "/list":
            return pages.list_page(self.index, query, "live.jinja2")
        found = _ENVELOPE.fullmatch(path)
        if found:
            return pages.envelope_page(self.index, found[1])
        found = _TRACE.fullmatch(path)
        if found:
            return pages.trace_page(self.index, found[1], query)
        return pages.missing()


@dataclass(frozen=True)
class _Answer:
    status: HTTPStatus
    type: str = ""
    body: bytes = b""
    tag: str = ""
    # What was captured is not to lie about in the browser's cache.
    cache: str = "no-store"
    headers: tuple[tuple[str, str], ...] = ()


def _admitted(environ: WSGIEnvironment, token: str, query: str) -> _Answer:
    """Answer an address with the right token: with a cookie, and the same address without the token."""
    root = quote(str(environ.get("SCRIPT_NAME", "")).encode("latin-1", "replace"))
    path = quote(str(environ.get("PATH_INFO", "")).encode("latin-1", "replace"))
    # One slash at its beginning: with two it would be the address of another host.
    address = f"/{f'{root}{path}'.lstrip('/')}"
    if query:
        address += f"?{quote(query.encode('latin-1', 'replace'), safe=_OF_QUERIES)}"
    # Whoever makes up this header has a cookie of less use.
    secure = "https" in (environ.get("wsgi.url_scheme"), environ.get("HTTP_X_FORWARDED_PROTO"))
    headers = (("Location", address), ("Set-Cookie", cookie(token, root, secure)))
    return replace(_told(HTTPStatus.SEE_OTHER, "The token is in a cookie now."), headers=headers)


def _told(status: HTTPStatus, text: str) -> _Answer:
    return _Answer(status, "text/plain; charset=utf-8", f"{text}\n".encode("utf-8", "replace"))


def _tag(data: bytes) -> str:
    return sha256(data).hexdigest()[:20]


def _knows(environ: WSGIEnvironment, tag: str) -> bool:
    """Return whether the browser has what it asks for (RFC 9110, section 13.1.2)."""
    return f'"{tag}"' in str(environ.get("HTTP_IF_NONE_MATCH", ""))
