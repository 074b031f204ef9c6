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

from sentry_paste.inbox import details, pages
from sentry_paste.inbox.access import PARAMETER, Tokens, cookie, is_of_another_site, pop_token, token_reason
from sentry_paste.inbox.highlight import Sources
from sentry_paste.inbox.index import Index
from sentry_paste.inbox.pages import Page
from sentry_paste.inbox.present import FILTERS, printable, raising_frame
from sentry_paste.inbox.query import parameters
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

    def __init__(self, settings: InboxSettings) -> None:
        self._settings = settings
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
        self._environment.globals.update(
            editor=settings.editor,
            raising_frame=raising_frame,
            allow_clear=settings.allow_clear,
        )

    def render(self, page: Page, root: str, tag: str = "", check: str = "") -> bytes:
        """Return a page as HTML.

        Args:
            page: what it shows.
            root: SCRIPT_NAME, the path that the inbox is mounted at.
            tag: entity tag, with which a script can ask whether the page has changed.
            check: proof that a form is the inbox's own.
        """
        template = self._environment.get_template(page.template)
        # WSGI passes bytes as latin-1 text (PEP 3333). Two slashes at the beginning would name another host.
        path = quote(root.strip("/").encode("latin-1", "replace"))
        base = f"/{path}" if path else ""
        text = template.render(
            page.values,
            source=Sources(),
            base=base,
            spool=str(self._settings.spool_dir),
            tag=tag,
            check=check,
            app_url=self._settings.app_url or _above(base),
        )
        return text.encode("utf-8", "replace")


def _above(base: str) -> str:
    """Return the folder that the inbox is mounted in, which may be the app's; empty if it is the root."""
    return f"{base.rpartition('/')[0]}/" if base else ""


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
_PART = re.compile(rf"/(envelope|trace)/([0-9a-f]{{32}})/({'|'.join(details.EXPORTS)}|download)")
_CLEAR = re.compile(r"/(clear|undo|purge)")
_TRACE = re.compile(r"/trace/([0-9a-f]{32})")


class Inbox:
    """A WSGI app that shows a spool in the browser. It changes nothing but what somebody clears.

    Args:
        settings: which spool to show, and who may look.
    """

    def __init__(self, settings: InboxSettings) -> None:
        self.settings = settings
        spool = Spool(settings.spool_dir)
        self.index = Index(spool)
        self.tokens = Tokens(settings.inbox_token, spool)
        self._templates = Templates(settings)
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
            headers.append(("Allow", answer.allow))
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
        path = str(environ.get("PATH_INFO", ""))
        action = _CLEAR.fullmatch(path) if self.settings.allow_clear else None
        if action:
            return self._act(environ, action[1])
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _text_answer(HTTPStatus.METHOD_NOT_ALLOWED, "This page is read-only: use GET or HEAD.")
        if token is not None and is_valid:
            return _redirect_with_cookie(environ, token, query)
        static = STATIC.get(path[len("/static/") :]) if path.startswith("/static/") else None
        if static is not None:
            tag = _tag(static[1])
            if _has_current(environ, tag):
                return _Answer(HTTPStatus.NOT_MODIFIED, tag=tag, cache="no-cache")
            return _Answer(HTTPStatus.OK, *static, tag=tag, cache="no-cache")
        part = _PART.fullmatch(path)
        answer = self._part(*part.groups()) if part else None
        if answer is not None:
            return answer
        page = self._page(path, query)
        tag = _tag(page.version.encode("utf-8", "replace")) if page.version else ""
        if tag and _has_current(environ, tag):
            return _Answer(HTTPStatus.NOT_MODIFIED, tag=tag)
        body = self._templates.render(page, str(environ.get("SCRIPT_NAME", "")), tag, self.tokens.check())
        return _Answer(HTTPStatus(page.status), "text/html; charset=utf-8", body, tag)

    def _act(self, environ: WSGIEnvironment, action: str) -> _Answer:
        """Clear the list, undo that, or remove what was cleared; then show the list."""
        if environ["REQUEST_METHOD"] != "POST":
            return _text_answer(HTTPStatus.METHOD_NOT_ALLOWED, "Use the buttons of the inbox.", allow="POST")
        # A form of another site cannot have the proof, and browsers say where a form is from.
        form = _form(environ)
        is_own = environ.get("HTTP_SEC_FETCH_SITE", "same-origin") == "same-origin"
        if not is_own or not self.tokens.is_check(form.get("check", "")):
            return _text_answer(HTTPStatus.FORBIDDEN, "This form is out of date: go back and reload.")
        try:
            newest = next((entry.file.time for entry in self.index.look().entries), None)
            self.index.cleared.act(action, newest)
        except OSError as error:
            return _text_answer(HTTPStatus.CONFLICT, f"This is not possible: {error.strerror or error}.")
        root = quote(str(environ.get("SCRIPT_NAME", "")).encode("latin-1", "replace"))
        answer = _text_answer(HTTPStatus.SEE_OTHER, "Done.")
        return replace(answer, headers=(("Location", f"/{root.lstrip('/')}/".replace("//", "/")),))

    def _refused(self, reason: str, has_token: bool) -> _Answer:
        if not self._has_warned:  # once, so that repeated requests cannot fill the log
            self._has_warned = True
            address = self._address(self.tokens.current(makes_directory=True))
            warn("the inbox refused a request without its token; its address with the token: %s", address)
        wrong = "The token in this address is wrong.\n\n" if has_token else ""
        return _text_answer(HTTPStatus.FORBIDDEN, f"{wrong}{_REFUSAL.format(reason=reason)}".rstrip())

    def _part(self, what: str, identity: str, name: str) -> _Answer | None:
        """Return a file, or text to copy; None if there is none."""
        if name == "download":
            get = details.download if what == "envelope" else details.download_trace
            file = get(self.index, identity)
            if file is None:
                return None
            named = (("Content-Disposition", f'attachment; filename="{file.name}"'),)
            return _Answer(HTTPStatus.OK, "application/x-sentry-envelope", file.data, headers=named)
        export = details.export if what == "envelope" else details.export_trace
        text = export(self.index, identity, name).encode("utf-8", "replace")
        return _Answer(HTTPStatus.OK, "text/plain; charset=utf-8", text) if text else None

    def _page(self, path: str, query: str) -> pages.Page:
        if path in ("", "/"):
            return pages.list_page(self.index, query)
        if path == "/list":
            return pages.list_page(self.index, query, "live.jinja2")
        found = _ENVELOPE.fullmatch(path)
        if found:
            return details.envelope_page(self.index, found[1])
        found = _TRACE.fullmatch(path)
        if found:
            return details.trace_page(self.index, found[1], query)
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
    allow: str = "GET, HEAD"


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


def _text_answer(status: HTTPStatus, text: str, allow: str = "GET, HEAD") -> _Answer:
    return _Answer(status, "text/plain; charset=utf-8", f"{text}\n".encode("utf-8", "replace"), allow=allow)


# Characters of a form's body; the inbox's own are much shorter.
_MAX_FORM = 2000


def _form(environ: WSGIEnvironment) -> dict[str, str]:
    """Return the fields of a form, none if it is too long to be the inbox's own."""
    length = str(environ.get("CONTENT_LENGTH") or "")
    if not re.fullmatch(r"[0-9]{1,4}", length, re.ASCII) or int(length) > _MAX_FORM:
        return {}
    return parameters(environ["wsgi.input"].read(int(length)).decode("latin-1"))


def _tag(data: bytes) -> str:
    return sha256(data).hexdigest()[:20]


def _has_current(environ: WSGIEnvironment, tag: str) -> bool:
    """Return whether the browser already has the current version (RFC 9110, section 13.1.2)."""
    return f'"{tag}"' in str(environ.get("HTTP_IF_NONE_MATCH", ""))
