"""A real Zope under its own runwsgi: what its views answer is reported all the same.

Slow: Zope is installed into an environment of its own.
"""

import logging
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

import pytest
from canaries import Planted
from sentry_sdk.scope import global_event_processors
from webtest import TestApp

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.request.zope import drop_site_error_log, is_failure, on_event, published_name

import pages as docs
import servers
from receiver import serve

ROOT = Path(__file__).parent.parent.parent

SITE = """
<configure xmlns="http://namespaces.zope.org/zope" xmlns:browser="http://namespaces.zope.org/browser">
  <include package="Products.Five" />
  <include package="Products.SiteErrorLog" />
  <browser:page name="crash" for="*" class="shop.Crash" permission="zope2.Public" />
  <browser:page name="leak" for="*" class="shop.Leak" permission="zope2.Public" />
  <browser:page name="missing" for="*" class="shop.Missing" permission="zope2.Public" />
  <browser:page name="bad" for="*" class="shop.Bad" permission="zope2.Public" />
  <browser:page name="byhand" for="*" class="shop.ByHand" permission="zope2.Public" />
  <browser:page name="template" for="*" template="template.pt" permission="zope2.Public" />
  <browser:page name="both" for="*" class="shop.Hello" template="template.pt" permission="zope2.Public" />
  <browser:page name="conflict" for="*" class="shop.Conflict" permission="zope2.Public" />
  <browser:page name="hello" for="*" class="shop.Hello" permission="zope2.Public" />
  <browser:page name="index.html" for="ValueError" class="shop.ErrorPage" permission="zope2.Public" />
</configure>
"""

SHOP = """
import sys

from Products.Five.browser import BrowserView
from ZODB.POSException import ConflictError
from zExceptions import BadRequest, NotFound

attempts = []


class Hello(BrowserView):
    def __call__(self):
        return "hello"


class Crash(BrowserView):
    def __call__(self):
        if self.request.get("key"):
            raise KeyError("without a view")
        raise ValueError("with a view")


class Leak(BrowserView):
    def __call__(self):
        cookies, form, environ = self.request.cookies, self.request.form, self.request.environ
        raise LookupError(f"{self.request} {self.request.get('HTTP_AUTHORIZATION')}")


class Missing(BrowserView):
    def __call__(self):
        raise NotFound("not here")


class Bad(BrowserView):
    def __call__(self):
        raise BadRequest("not so")


class ByHand(BrowserView):
    def __call__(self):
        try:
            raise LookupError("by hand")
        except LookupError:
            self.context.error_log.raising(sys.exc_info())
        return "answered"


class Conflict(BrowserView):
    def __call__(self):
        attempts.append(1)
        if len(attempts) < 3:
            raise ConflictError("try again")
        return "done"


class ErrorPage(BrowserView):
    def __call__(self):
        self.request.response.setStatus(500)
        return "a page for the error"
"""


LEAK = Planted(9)


# The pages that are asked for, with what they answer.
STATUS = {
    "hello": 200,
    "crash": 500,
    "crash?key=1": 500,
    "missing": 404,
    "bad": 400,
    "conflict": 200,
    "byhand": 200,
    "template": 200,
    "both": 200,
}


def page(port, path):
    headers = LEAK.headers() if path.startswith("leak") else {}
    try:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=180) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def zope_python(tmp_path_factory):
    """The Python of an environment with Zope."""
    if sys.version_info < (3, 10):
        pytest.skip("Zope 5.11 and newer need Python 3.10")
    folder = tmp_path_factory.mktemp("zope")
    python = folder / "venv" / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", str(folder / "venv")],
        [str(python), "-m", "pip", "install", "-q", "Zope", "Paste", "Products.SiteErrorLog", str(ROOT)],
    ):
        ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=600)
        assert ended.returncode == 0, ended.stderr
    return python


@pytest.fixture(scope="module", params=["filter", "run"])
def zope(request, tmp_path_factory, zope_python):
    """Pages by path, and what they reported: with the filter in the ini, and without a line there."""
    folder = tmp_path_factory.mktemp("site")
    made = [str(zope_python.with_name("mkwsgiinstance")), "-d", str(folder / "site"), "-u", "admin:admin"]
    subprocess.run(made, capture_output=True, check=True, timeout=600)
    etc = folder / "site" / "etc"
    (etc / "site.zcml").write_text(SITE)
    (etc / "template.pt").write_text("<p>a template</p>")
    (folder / "shop.py").write_text(SHOP)
    port = servers.free_port()
    with serve() as receiver:
        site = docs.page("deployments/zope")
        ini = (
            site.files["etc/zope.ini"]
            .replace(docs.PORT, str(port))
            .replace("traces_sample_rate = 0.1", "traces_sample_rate = 1")
        )
        command = docs.words(site.command("runwsgi"), port, zope_python)
        if request.param == "run":
            section = re.search(r"\[filter:sentry\]\n(?:\w.*\n)+", ini)[0]
            ini = ini.replace(section, "").replace("    sentry\n", "")
            assert "sentry" not in ini
            (etc / "sentry.ini").write_text(section)
            script = str(zope_python.with_name("sentry-paste"))
            command = [script, "run", "--config", "etc/sentry.ini", *command]
        (etc / "zope.ini").write_text(ini)
        variables = {"PYTHONPATH": str(folder), "SENTRY_DSN": receiver.dsn}
        with servers.started(command, port, etc.parent, "zope", seconds=60, **variables):
            pages = {path: page(port, path) for path in STATUS}
            receiver.wait(errors=3, transactions=len(STATUS), seconds=120)
            reported = Reported(list(receiver.errors), list(receiver.transactions))
            page(port, f"leak?{LEAK.environ['QUERY_STRING']}")
            receiver.wait(errors=4, transactions=len(STATUS) + 1, seconds=120)
        yield pages, reported, b"".join(receiver.raw)


class Reported(NamedTuple):
    errors: list
    transactions: list


@pytest.mark.slow
class TestZope:
    def test_no_secret_leaves(self, zope):
        _, _, raw = zope
        assert b"LookupError" in raw
        assert LEAK.leaked(raw) == set()

    def test_pages_answer(self, zope):
        pages, _, _ = zope
        assert {path: status for path, (status, _) in pages.items()} == STATUS
        assert pages["crash"][1] == "a page for the error"

    def test_error_with_a_view_and_error_without_are_each_one_event(self, zope):
        _, receiver, _ = zope
        errors = [error["exception"]["values"][-1] for error in receiver.errors if "exception" in error]
        assert sorted((error["type"], error["value"]) for error in errors) == [
            ("KeyError", "'without a view'"),
            ("ValueError", "with a view"),
        ]

    def test_only_what_code_gives_to_the_error_log_by_hand_is_reported_from_there(self, zope):
        _, receiver, _ = zope
        logged = [error for error in receiver.errors if error.get("logger") == "Zope.SiteErrorLog"]
        assert ["by hand" in error["logentry"]["message"] for error in logged] == [True]

    def test_event_has_the_request_and_the_name(self, zope):
        _, receiver, _ = zope
        crashes = [error for error in receiver.errors if "exception" in error]
        assert {error["transaction"] for error in crashes} == {"shop.Crash.crash"}
        assert all("/crash" in error["request"]["url"] for error in crashes)

    def test_transactions_have_names_of_what_was_published(self, zope):
        _, receiver, _ = zope
        assert sorted(transaction["transaction"] for transaction in receiver.transactions) == [
            "shop.Bad.bad",
            "shop.ByHand.byhand",
            "shop.Conflict.conflict",
            "shop.Crash.crash",
            "shop.Crash.crash",
            "shop.Hello.both",
            "shop.Hello.hello",
            "shop.Missing.missing",
            "template.pt:template",
        ]


BUILDOUT = """
extra-paths = {folder}
zcml-additional =
    <configure xmlns="http://namespaces.zope.org/zope" xmlns:browser="http://namespaces.zope.org/browser">
      <include package="Products.Five" />
      <browser:page name="crash" for="*" class="shop.Crash" permission="zope2.Public" />
    </configure>
"""


@pytest.mark.slow
def test_buildout_names_the_filter_as_the_page_says(tmp_path):
    """The page's buildout, with what is installed already; its instance is asked for a page that crashes."""
    if sys.version_info < (3, 11):
        pytest.skip("plone.recipe.zope2instance 9 needs Python 3.11")
    # Of two places with one distribution buildout takes the one whose path sorts last: its own copy.
    clone, tmp_path = tmp_path / "a", tmp_path / "b"
    clone.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.rst", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    shutil.copytree(ROOT / "sentry_paste", clone / "sentry_paste")
    tmp_path.mkdir()
    python = tmp_path / "venv" / "bin" / "python"
    port = servers.free_port()
    (tmp_path / "shop.py").write_text(SHOP)
    with serve() as receiver:
        site = docs.page("deployments/zope")
        text = site.files["buildout.cfg"].replace(docs.PORT, str(port))
        text = text.replace("https://key@sentry.example/1", receiver.dsn)
        text = text.replace("[buildout]\n", "[buildout]\noffline = true\nnewest = false\n")
        text = text.replace("path/to/sentry_paste", str(clone))
        (tmp_path / "buildout.cfg").write_text(text + BUILDOUT.format(folder=tmp_path))
        for command in (
            [sys.executable, "-m", "venv", str(tmp_path / "venv")],
            [str(python), "-m", "pip", "install", "-q", "plone.recipe.zope2instance", "Paste", "sentry-sdk"],
            [str(python.with_name(site.command("^buildout")))],
        ):
            ended = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=600)
            assert ended.returncode == 0, ended.stderr
        command = [str(tmp_path / "bin" / "instance"), *site.command("bin/instance").split()[1:]]
        with servers.started(command, port, tmp_path, "instance", seconds=60) as server:
            assert page(port, "crash")[0] == 500
            receiver.wait(errors=1, seconds=120)
            server.end(signal.SIGINT)
        (event,) = receiver.errors
        assert event["exception"]["values"][-1]["value"] == "with a view"
        assert (event["environment"], event["release"]) == ("production", "1.0")
        assert event["request"]["url"].endswith("/crash")


class HTTPException(Exception):  # noqa: N818 - Zope's name
    status = 500


@pytest.mark.parametrize(("status", "failure"), [(500, True), (503, True), (404, False), (302, False)])
def test_http_exceptions_below_500_are_no_failures(status, failure):
    error = HTTPException()
    error.status = status
    assert is_failure(error) is failure
    assert is_failure(ValueError())


class PubEvent:
    def __init__(self, error=None, retry=False, **request):
        self.exc_info = (type(error), error, None)
        self.retry = retry
        self.request = request


class User:
    """Of Zope's."""

    def getUserName(self):
        return "wilhelmina"

    getId = getUserName  # noqa: N815 - Zope's name


class PubAfterTraversal(PubEvent):
    pass


class PubStart(PubEvent):
    pass


class PubBeforeAbort(PubEvent):
    pass


class PubFailure(PubEvent):
    pass


def publish(environ, start_response):
    """A publication that fails, with the site's log before or behind the filter's listener."""
    error = ValueError("with a view")
    site = logging.getLogger("Zope.SiteErrorLog")
    on_event(PubStart())
    on_event(PubBeforeAbort(error))
    for act in {
        "first": [lambda: site.error("%s", error), lambda: on_event(PubFailure(error))],
        "last": [lambda: on_event(PubFailure(error)), lambda: site.error("%s", error)],
        "restarted": [lambda: on_event(PubStart()), lambda: site.error("%s", "by hand")],
    }[environ["PATH_INFO"].strip("/")]:
        act()
    start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
    return [b"a page for the error"]


@pytest.mark.parametrize(
    ("site_log", "message"), [("first", "with a view"), ("last", "with a view"), ("restarted", "by hand")]
)
def test_failure_that_the_sites_log_has_too_is_one_event(captured, request, site_log, message):
    sdk.process_every_event(drop_site_error_log)
    request.addfinalizer(lambda: global_event_processors.remove(drop_site_error_log))
    app = TestApp(SentryMiddleware(publish, dsn="http://key@127.0.0.1:1/1"))
    app.get(f"/{site_log}", status=500)
    (event,) = captured.errors
    assert message in str(event.get("exception") or event["logentry"])


def publish_for_user(environ, start_response):
    """A publication for a signed-in user, who is not in the environ yet."""
    user = User()
    on_event(PubAfterTraversal(PUBLISHED=publish_for_user, AUTHENTICATED_USER=user))
    logging.getLogger("shop").error("%s has no basket", user.getUserName())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"answered"]


def test_name_of_who_is_signed_in_stays_here(receiver):
    app = TestApp(SentryMiddleware(publish_for_user, dsn=receiver.dsn))
    app.get("/")
    receiver.wait(errors=1)
    assert b"has no basket" in b"".join(receiver.raw)
    assert b"wilhelmina" not in b"".join(receiver.raw)


def test_name_of_who_is_signed_in_is_the_users_where_personal_data_is_asked_for(captured):
    app = TestApp(SentryMiddleware(publish_for_user, dsn="http://key@127.0.0.1:1/1", send_default_pii=True))
    app.get("/")
    (event,) = captured.errors
    assert event["user"]["username"] == "wilhelmina"


class Nobody:
    """Zope's user of those who are not signed in, which has a name and no id."""

    def getUserName(self):
        return "Anonymous User"

    def getId(self):
        return None


@pytest.mark.parametrize("user", [None, Nobody()], ids=["none", "nobody"])
def test_nobody_signed_in_is_no_user(captured, user):
    def publish(environ, start_response):
        on_event(PubAfterTraversal(PUBLISHED=publish, AUTHENTICATED_USER=user))
        logging.getLogger("shop").error("nobody's basket")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"answered"]

    options = {"dsn": "http://key@127.0.0.1:1/1", "send_default_pii": True}
    TestApp(SentryMiddleware(publish, **options)).get("/")
    (event,) = captured.errors
    assert "username" not in event.get("user", {})


def test_user_that_the_app_sets_wins_over_zope_s(captured):
    def publish(environ, start_response):
        on_event(PubAfterTraversal(PUBLISHED=publish, AUTHENTICATED_USER=User()))
        environ["REMOTE_USER"] = "wilhelmina@example.com"
        logging.getLogger("shop").error("no basket")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"answered"]

    options = {"dsn": "http://key@127.0.0.1:1/1", "send_default_pii": True}
    TestApp(SentryMiddleware(publish, **options)).get("/")
    (event,) = captured.errors
    assert event["user"]["username"] == "wilhelmina@example.com"


def test_name_of_what_is_published():
    class View:
        def render(self):
            raise NotImplementedError

    class Wrapper:
        """As Acquisition's, which answers with the class of what it wraps."""

        __class__ = View

    assert published_name(View().render).endswith("View.render")
    assert published_name(View()).endswith("View")
    assert published_name(Wrapper()) == published_name(View())


def test_view_that_zcml_makes_has_the_name_of_its_own_class():
    class View:
        pass

    in_zcml = {"__module__": "Products.Five.browser.metaconfigure", "__name__": "view.html"}
    mixin = type("ViewMixinForTemplates", (), in_zcml)
    template = "SimpleViewClass from /site/browser/view.pt"
    assert published_name(type("View", (View, mixin), in_zcml)()) == f"{published_name(View())}.view.html"
    assert published_name(type(template, (View, mixin), in_zcml)()) == f"{published_name(View())}.view.html"
    assert published_name(type(template, (mixin,), in_zcml)()) == "view.pt:view.html"


def test_view_that_is_made_around_a_form_has_the_name_of_the_form():
    class EditForm:
        pass

    wrapper = type("MyFormWrapper", (), {"__module__": "plone.z3cform.layout", "form": EditForm})
    in_zcml = {"__module__": "Products.Five.browser.metaconfigure", "__name__": "edit"}
    assert (
        published_name(type("MyFormWrapper", (wrapper,), in_zcml)()) == f"{published_name(EditForm())}.edit"
    )
