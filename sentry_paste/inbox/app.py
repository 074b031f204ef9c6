"""The WSGI app of the inbox: access, routing, templates and response headers."""

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
from sentry_paste.inbox.access import PARAMETER, Tokens, cookie, is_of_another_site, pop_token, token_reason
from sentry_paste.inbox.index import Index
from sentry_paste.inbox.pages import Page
from sentry_paste.inbox.present import FILTERS, printable
from sentry_paste.inbox.settings import InboxSettings
from sentry_paste.sdk.failures import announce, warn
from sentry_paste.spool import Spool

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_HERE = Path(__file__).parent

#: Static files by name, each with its content type and its bytes.
STATIC = {
    name: (type_, (_HERE / "static" / name).read_bytes())
    for name, type_ in (
        ("icon.svg", "image/svg+xml"),
        ("inbox.css", "text/css; charset=utf-8"),
        ("inbox.js", "text/javascript; charset=utf-8"),
    )
}


class Templates:
    """The templates of the pages. Everything they print is escaped."""

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
            root: SCRIPT_NAME, the path that the inbox is mounted at.
            spool: the spool directory, shown in the header.
            tag: entity tag, with which a script can ask whether the page has changed.
        """
        template = self._environment.get_template(page.template)
        # WSGI passes bytes as latin-1 text (PEP 3333).
        base = quote(root.encode("latin-1", "replace"))
        return template.render(page.values, base=base, spool=spool, tag=tag).encode("utf-8", "replace")


# Everything on the pages comes from whoever sent a request to the app. Should the escaping ever miss
# something, the browser still runs and loads only the inbox's own files.
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
The inbox needs its token for this request: {reason}.

Look in the server's log for an address that ends in ?token=... Append that ending to the address of the inbox
and open it once; the browser then keeps the token in a cookie. To choose the token yourself,
set inbox_token in the inbox's section of the ini; every request needs it then.
"""

# Characters that a query string may contain unquoted (RFC 3986, section 3.4), and the % of what is quoted
# already.
_QUERY_SAFE = "!$&'()*+,;=:@/?%"

_ENVELOPE = re.compile(r"/envelope/([0-9a-f]{32})")
_TRACE = re.compile(r"/trace/([0-9a-f]{32})")


class Inbox:
    """A WSGI app that shows a spool in the browser. It is read-only.

    Args:
        settings: which spool to show, and who may look.
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
        announce(f"the inbox with its token: {self._address(self.tokens.current())}")

    def _address(self, token: str) -> str:
        # A token from the ini is known to whoever set it; the log may be read by others.
        shown = "(inbox_token)" if self.settings.inbox_token else token
        return f"{self.settings.address or '/'}?{PARAMETER}={shown}"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333).

        Args:
            environ: environ of the request.
            start_response: callable of the server.
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
        token, query = pop_token(str(environ.get("QUERY_STRING", "")))
        is_valid = token is not None and self.tokens.is_valid(token)
        reason = token_reason(environ, self.settings)
        if reason and not is_valid and not self.tokens.has_cookie(str(environ.get("HTTP_COOKIE", ""))):
            return self._refused(reason, token is not None)
        if is_of_another_site(environ):
            return _text_answer(HTTPStatus.FORBIDDEN, "The inbox cannot be loaded by pages of other sites.")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _text_answer(HTTPStatus.METHOD_NOT_ALLOWED, "The inbox is read-only: use GET or HEAD.")
        if token is not None and is_valid:
            return _redirect_with_cookie(environ, token, query)
        path = str(environ.get("PATH_INFO", ""))
        static = STATIC.get(path[len("/static/") :]) if path.startswith("/static/") else None
        if static is not None:
            tag = _tag(static[1])
            if _has_current(environ, tag):
                return _Answer(HTTPStatus.NOT_MODIFIED, tag=tag, cache="no-cache")
            return _Answer(HTTPStatus.OK, *static, tag=tag, cache="no-cache")
        page = self._page(path, query)
        tag = _tag(page.version.encode("utf-8", "replace")) if page.version else ""
        if tag and _has_current(environ, tag):
            return _Answer(HTTPStatus.NOT_MODIFIED, tag=tag)
        root, spool = str(environ.get("SCRIPT_NAME", "")), str(self.settings.spool_dir)
        body = self._templates.render(page, root, spool, tag)
        return _Answer(HTTPStatus(page.status), "text/html; charset=utf-8", body, tag)

    def _refused(self, reason: str, has_token: bool) -> _Answer:
        if not self._has_warned:  # once, so that repeated requests cannot fill the log
            self._has_warned = True
            address = self._address(self.tokens.current(makes_directory=True))
            warn("the inbox refused a request without its token; its address with the token: %s", address)
        wrong = "The token in this address is wrong.\n\n" if has_token else ""
        return _text_answer(HTTPStatus.FORBIDDEN, f"{wrong}{_REFUSAL.format(reason=reason)}".rstrip())

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
    # Captured data must not stay in the browser's cache.
    cache: str = "no-store"
    headers: tuple[tuple[str, str], ...] = ()


def _redirect_with_cookie(environ: WSGIEnvironment, token: str, query: str) -> _Answer:
    """Set the cookie for a valid token, and redirect to the same address without the token."""
    root = quote(str(environ.get("SCRIPT_NAME", "")).encode("latin-1", "replace"))
    path = quote(str(environ.get("PATH_INFO", "")).encode("latin-1", "replace"))
    # Exactly one leading slash: with two, the browser would take the path for another host.
    address = f"/{f'{root}{path}'.lstrip('/')}"
    if query:
        address += f"?{quote(query.encode('latin-1', 'replace'), safe=_QUERY_SAFE)}"
    # A client that forges this header only gets a cookie that it cannot use over http.
    secure = "https" in (environ.get("wsgi.url_scheme"), environ.get("HTTP_X_FORWARDED_PROTO"))
    headers = (("Location", address), ("Set-Cookie", cookie(token, root, secure)))
    return replace(_text_answer(HTTPStatus.SEE_OTHER, "The token is now in a cookie."), headers=headers)


def _text_answer(status: HTTPStatus, text: str) -> _Answer:
    return _Answer(status, "text/plain; charset=utf-8", f"{text}\n".encode("utf-8", "replace"))


def _tag(data: bytes) -> str:
    return sha256(data).hexdigest()[:20]


def _has_current(environ: WSGIEnvironment, tag: str) -> bool:
    """Return whether the browser already has the current version (RFC 9110, section 13.1.2)."""
    return f'"{tag}"' in str(environ.get("HTTP_IF_NONE_MATCH", ""))
