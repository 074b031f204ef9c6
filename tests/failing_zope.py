"""A Zope that fails in every way, for ``failing_apps``."""

import subprocess
import sys
import tempfile
from pathlib import Path

from Products.Five.browser import BrowserView
from zExceptions import NotFound
from ZPublisher.httpexceptions import HTTPExceptionHandler

import failing_apps

_PAGE = '<browser:page name="{}" for="{}" class="failing_zope.{}" permission="zope2.Public" />'
_SITE = """
<configure xmlns="http://namespaces.zope.org/zope" xmlns:browser="http://namespaces.zope.org/browser">
  <include package="Products.Five" />
  {}
</configure>
"""


class Way(BrowserView):
    """What the name of the view says."""

    def __call__(self):
        acts = {
            **failing_apps.ACTS,
            "handled": failing_apps.handled,
            "page": failing_apps.page,
            "missing": self.missing,
        }
        if self.__name__ in acts:
            acts[self.__name__]()
        return "hello"

    def missing(self):
        raise NotFound("not here")


class Gone(BrowserView):
    def __call__(self):
        self.request.response.setStatus(410)
        return "a page"


class Failed(BrowserView):
    def __call__(self):
        self.request.response.setStatus(500)
        return "a page"


def make():
    """Return Zope, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="sentry-paste-zope-"))
    made = Path(sys.prefix) / "bin" / "mkwsgiinstance"
    subprocess.run([str(made), "-d", str(folder), "-u", "admin:admin"], check=True, capture_output=True)
    pages = [
        _PAGE.format(name, "*", "Way")
        for name in (*failing_apps.ACTS, "handled", "page", "missing", "upload")
    ]
    pages += [
        _PAGE.format("index.html", "failing_apps.HandledError", "Gone"),
        _PAGE.format("index.html", "failing_apps.PageError", "Failed"),
    ]
    (folder / "etc" / "site.zcml").write_text(_SITE.format("\n  ".join(pages)))
    from Zope2.Startup.run import make_wsgi_app

    return HTTPExceptionHandler(make_wsgi_app({}, zope_conf=str(folder / "etc" / "zope.conf")))
