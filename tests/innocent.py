"""Innocent data that must stay: texts, and apps that fail with a lot of ordinary data in their variables.

``python -m innocent`` counts the texts of events that redaction changes although they contain none of a request's
secrets, and prints the table in ``docs/privacy.rst``. With ``--show`` it prints the texts as well.
"""

# ruff: noqa: E501 - texts read better whole

import argparse
import ast
import importlib
import importlib.util
import inspect
import json
import logging
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import sentry_sdk
from webtest import TestApp

from sentry_paste import SentryMiddleware
from sentry_paste.redaction.hooks import Redaction
from sentry_paste.testing import capture_envelopes

log = logging.getLogger("innocent")

SECRETS = ("q8fh23fh28hf2", "1437362891.1795948200", "203.0.113.77", "Zk2pXw9rTq4m", "swordfish")
#: The headers that a browser sends to any site.
ENVIRON = {
    "REMOTE_ADDR": "203.0.113.77",
    "REMOTE_PORT": "51234",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "HTTP_ACCEPT_LANGUAGE": "de-CH,de;q=0.9,en;q=0.8",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate, br, zstd",
    "HTTP_SEC_FETCH_MODE": "navigate",
    "HTTP_SEC_CH_UA": '"Chromium";v="142", "Not_A Brand";v="99"',
    "HTTP_IF_NONE_MATCH": 'W/"5f3c-1a2b"',
    "HTTP_X_REQUEST_ID": "771a43a4-1926-42f0-b136-d5159a501700",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_REFERER": "https://shop.example/list?page=2&sort=price&colour=green",
    "HTTP_COOKIE": "theme=dark; lang=en; _ga=GA1.2.1437362891.1795948200; sid=q8fh23fh28hf2; csrftoken=Zk2pXw9rTq4m",
}

TEXTS = r"""
password: the field is required
Your password must be at least 8 characters long.
This password is too common.
The two password fields didn't match.
Password change successful
Invalid password or user name
password reset requested for an unknown account
Forgot your password? Ask for a new one.
token: expected ')'
unexpected token: expected ':' but found '}'
SyntaxError: invalid token at line 3
Unexpected token < in JSON at position 0
Token has expired
token is required, see the manual
CSRF verification failed. Request aborted.
CSRF token missing or incorrect
missing cookie: did you accept cookies?
Set the cookie policy first
Session expired, please log in again
the session was closed
KeyError: 'user'
key error: 17
key = lambda row: row.name
sort key: name
primary key: id
foreign key constraint fails
duplicate key value violates unique constraint "orders_pkey"
DETAIL: Key (id)=(17) already exists.
SELECT id, name FROM orders WHERE state = 'open' AND total > 100 ORDER BY id LIMIT 10
INSERT INTO basket (item, count) VALUES ('lamp', 3)
UPDATE orders SET state = 'paid' WHERE id = 17
CREATE TABLE users (id INTEGER PRIMARY KEY, password VARCHAR(128) NOT NULL)
SELECT password, token FROM users WHERE id = %s
<html><head><title>500 Internal Server Error</title></head><body><h1>Oops</h1></body></html>
<input type="password" name="password" id="id_password" required>
<label for="password">Password</label>
<form action="/login" method="post"><input name="colour" value="green"></form>
{"max_tokens": 4096, "prompt_tokens": 17, "completion_tokens": 230}
{"tokens": 12, "token_count": 17, "total_tokens": 4113}
{"page": 3, "per_page": 50, "total": 1234, "items": ["lamp", "chair"]}
{'colour': 'green', 'size': 'XL', 'price': 17.5, 'tags': ['new', 'sale']}
{"status": "ok", "code": 200, "version": "1.2.3", "build": "2026.11.22"}
{"code": "not_found", "message": "no such order", "state": "open"}
{"password_required": true, "password_changed_at": "2026-11-22T10:15:30Z"}
{"password": null, "token": ""}
{"session_timeout": 3600, "cookie_secure": true, "token_lifetime": 300}
code=200 status=OK duration=0.017s
exit code: 1
error code: 404
state=open, page=3, colour=green
GET /shop/basket?page=3&sort=price HTTP/1.1
GET https://api.example.com/v2/orders/17?expand=items&limit=50 -> 503
https://shop.example/list?page=2&sort=price&colour=green#top
connection to postgres://db.example:5432/shop failed
redis://localhost:6379/0 timed out
git clone git@github.com:example/shop.git
/usr/lib/python3.11/site-packages/shop/views.py
C:\Program Files\Shop\shop.exe
File "/srv/shop/views.py", line 17, in basket
lib/python3.11/site-packages/shop/static/js/app.min.js:1:23456
Python 3.11.4, Django 5.2.19, PostgreSQL 15.4
shop-1.2.3-py3-none-any.whl
2026-11-22T10:15:30.123456+01:00
2026-11-22 10:15:30,123 INFO shop.views basket 17 of 3 items
Sun, 22 Nov 2026 10:15:30 GMT
order 771a43a4-1926-42f0-b136-d5159a501700 was not found
commit 3f786850e387550fdab836ed7e6dc881de23001b
sha256 of the file differs
<object at 0x7f3c1a2b4d50>
<bound method Basket.add of <shop.Basket object at 0x7f3c1a2b4d50>>
Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0
text/html; charset=utf-8
Content-Type: application/json
Content-Length: 1234
Cache-Control: no-cache, max-age=0
Accept: text/html,*/*
Host: shop.example
X-Request-Id: 771a43a4-1926-42f0-b136-d5159a501700
user: the name is required
username: this field must be unique
author: Ada Lovelace
email: enter a valid e-mail address
address: street is required
pin: the field is required
Pass: 17, Fail: 3
pass
passed: 17, failed: 3
passenger: 3
passing arguments: a, b
bypass=true
secretary: the office is closed
the secret of good coffee: fresh beans
monkey=banana
keyboard=de-CH
signature of the function: add(item, count=1)
TypeError: add() got an unexpected keyword argument 'key'
def login(user, password=None, token=None):
    if not check_password(password):
parser.add_argument("--password", help="the password: asked for if missing")
self.password = get_password()
os.environ["DATABASE_URL"]
raise ValueError("token: expected a name")
for key, value in tokens.items():
token = tokens[0]
key=lambda found: found[1]
password=%s
password=%(password)s
password: {password}
--password PASSWORD
credentials: none
authorization: required
Authorization header is missing
auth: basic is not supported
WWW-Authenticate: Basic realm="shop"
api_key: required
access_token: missing
cookie: none
sid: not given
otp: expired
cvv: must be three digits
Lamp "Aurora", EUR 17.50, in stock: 3
1234567890
12.34
true
None
[1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144]
['lamp', 'chair', 'table']
('no such basket: 17', 'green', [1, 2, 3])
OrderedDict({'a': 1, 'b': 2})
MultiDict([('page', '3'), ('colour', 'green')])
<QueryDict: {'page': ['3'], 'sort': ['price']}>
page=3&sort=price&colour=green
--boundary\r\nContent-Disposition: form-data; name="colour"\r\n\r\ngreen\r\n--boundary--
<order><id>17</id><colour>green</colour></order>
1 validation error for Order\ncolour\n  Field required [type=missing, input_value={'size': 'XL'}, input_type=dict]
[main]\nuse = egg:shop\ncolour = green\ndebug = true
lang: en\ncolour: green\nsizes: [S, M, L]
curl: (7) Failed to connect to localhost port 8080
SSL: CERTIFICATE_VERIFY_FAILED certificate verify failed: unable to get local issuer certificate
[Errno 111] Connection refused
Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore.
""".strip().splitlines()
TEXTS = [text.replace("\\r", "\r").replace("\\n", "\n") for text in TEXTS]


class Pair(NamedTuple):
    """An event or an item before redaction and after it."""

    before: object
    after: object


class Recorder:
    """What was recorded; its repr hides it in the variables of frames."""

    def __init__(self):
        self.pairs = []


@contextmanager
def recorded():
    """Record the input and the output of redaction."""
    found = Recorder()

    def recording(original):
        def clean(self, payload, hint):
            before = json.dumps(payload, default=repr)
            after = original(self, payload, hint)
            found.pairs.append(Pair(json.loads(before), json.loads(json.dumps(after, default=repr))))
            return after

        return clean

    with (
        mock.patch.object(Redaction, "clean_event", recording(Redaction.clean_event)),
        mock.patch.object(Redaction, "clean_item", recording(Redaction.clean_item)),
    ):
        yield found


def reported(app, *paths, environ=None, method="GET", **options):
    """Return what is reported for some requests, before redaction and after it.

    Args:
        app: a WSGI app.
        paths: to request.
        environ: in addition to the usual one.
        method: of the requests.
        options: of the filter.
    """
    with recorded() as found, capture_envelopes():
        wrapped = TestApp(SentryMiddleware(app, traces_sample_rate=1.0, release="1", **options))
        for path in paths:
            with suppress(Exception):
                wrapped.request(
                    path, method=method, environ={**ENVIRON, **(environ or {})}, expect_errors=True
                )
    assert found.pairs
    return found.pairs


def texts_of(node):
    """Yield all texts of an event, keys too."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from texts_of(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from texts_of(value)
    elif isinstance(node, str):
        yield node


def changes(before, after, path=""):
    """Yield the paths at which an event differs, with the values before and after."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before:
            if path == "" and key == "_meta":
                continue  # remarks about what the SDK's scrubber and redaction have removed
            if key in after:
                yield from changes(before[key], after[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}", key, None
        for key in after.keys() - before.keys():
            if (path, key) != ("", "_meta"):
                yield f"{path}.{key}", None, key
    elif isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after)):
            yield from changes(one, other, f"{path}.{index}")
    elif before != after:
        yield path, before, after


def is_secret(text, secrets=SECRETS):
    """Return whether one of the secrets is in a text."""
    return any(secret in str(text) for secret in secrets)


class Count(NamedTuple):
    """How many distinct texts there were, how many had a secret, and how many innocent ones were changed."""

    texts: int
    secret: int
    changed: dict


def count(pairs):
    """Count the distinct texts of what was reported.

    Args:
        pairs: before redaction and after it.
    """
    texts = {text for pair in pairs for text in texts_of(pair.before)}
    changed = {
        json.dumps(before): (path, after)
        for pair in pairs
        for path, before, after in changes(pair.before, pair.after)
        if not any(map(is_secret, texts_of(before)))
    }
    return Count(len(texts), sum(map(is_secret, texts)), changed)


# The apps.


def _example():
    from sentry_paste.example import main

    paths = (
        "/",
        "/hello",
        "/greet/Ada",
        "/slow",
        "/crash",
        "/stream-crash",
        "/handled",
        "/logged",
        "/nowhere",
    )
    return reported(main({}, inbox="/inbox"), *paths)


def _fail_with(*held, **more):
    """Fail with a lot of data in the variables."""
    settings = {
        "debug": False, "session_timeout": 3600, "cookie_secure": True, "cookie_max_age": 86400, "token_lifetime": 300,
        "password_hashers": ["argon2", "bcrypt"], "auth_backends": ("ldap", "local"), "key_size": 2048,
        "login_url": "/login", "csrf_trusted_origins": ["https://shop.example"], "max_tokens": 4096,
    }  # fmt: skip
    rows = [
        {"id": number, "state": "open", "code": f"A-{number}", "total": number * 1.5} for number in range(5)
    ]
    counters = {"tokens": 17, "sessions": 3, "keys": 5, "passed": 12}
    messages = TEXTS[:10]
    log.warning("basket %s of %s has %d items", 17, "Ada", 3, extra={"settings": settings, "rows": rows})
    log.error("cannot pay order %s: state is %s", 17, "open", extra=more)
    raise LookupError(
        f"no such order: 17, of {len(rows)}", counters, len(messages), len(held), settings["debug"]
    )


def _pyramid():
    from pyramid.config import Configurator
    from pyramid.response import Response

    def view(request):
        response = Response("x")
        response.set_cookie("theme", "light")
        held = (request.registry, request.matched_route, request.params, request.accept, response.headerlist)
        registry, headers = request.registry.settings, dict(request.headers)
        text = str(request)
        _fail_with(*held, registry, headers, text)

    with Configurator(
        settings={"pyramid.default_locale_name": "de", "pyramid.debug_notfound": "true"}
    ) as config:
        config.add_route("order", "/order/{number}")
        config.add_view(view, route_name="order")
        app = config.make_wsgi_app()
    return reported(app, "/order/17?page=3&sort=price", "/order/17?colour=green")


def _flask():
    import flask

    app = flask.Flask("shop")
    app.testing = True

    @app.route("/order/<number>")
    def view(number):
        request, settings = flask.request, dict(flask.current_app.config)
        try:
            _fail_with(request.args, request.headers, request.url_rule, settings)
        except LookupError as error:
            from werkzeug.debug.tbtools import DebugTraceback

            page = DebugTraceback(error)
            log.error("%s", page.render_traceback_text())
            log.error("%s", page.render_debugger_html(True, "x", True))
            raise

    return reported(app, "/order/17?page=3&sort=price")


def _django():
    import django
    from django.core.handlers.wsgi import WSGIHandler
    from django.test.utils import override_settings

    from apps import set_up_django

    set_up_django()
    assert django
    with override_settings(ROOT_URLCONF="innocent"):
        return reported(WSGIHandler(), "/order/17/?page=3&sort=price")


def django_view(request, number):
    """Fail with the data of Django's debug page, and the page, in the variables."""
    from django.views.debug import ExceptionReporter

    try:
        _fail_with(request.GET, request.headers, request.META)
    except LookupError:
        reporter = ExceptionReporter(request, *sys.exc_info())
        data = reporter.get_traceback_data()
        names = sorted(data["settings"])
        for begin in range(0, len(names), 10):  # the serialiser takes ten members of a mapping
            some = {name: data["settings"][name] for name in names[begin : begin + 10]}
            log.exception("settings", extra={"some": some})
        for frame in data["frames"][-2:]:
            log.error("frame", extra={"frame": frame})
        log.error("%s", reporter.get_traceback_text())
        log.error("%s", reporter.get_traceback_html())
        raise


def _zope():
    from ZPublisher.HTTPRequest import HTTPRequest
    from ZPublisher.HTTPResponse import HTTPResponse

    def app(environ, start_response):
        request = HTTPRequest(environ["wsgi.input"], environ, HTTPResponse())
        request.processInputs()
        other, text = request.other, repr(request)
        log.error("%s", request, extra={"form": request.form})
        _fail_with(other, text, request.response.headers)

    return reported(app, "/order/17?page=3&sort=price")


_MODULES = ("argparse", "ast", "configparser", "email.message", "ftplib", "getpass", "gettext", "http.client",
            "http.cookies", "imaplib", "json.decoder", "logging.handlers", "netrc", "smtplib", "ssl", "sqlite3.dump",
            "shlex", "tokenize", "urllib.request", "uuid", "wsgiref.headers", "xml.sax.saxutils", "zipfile")  # fmt: skip
_MODULES_OF_OTHERS = ("webob.request", "webob.cookies", "pyramid.authentication", "pyramid.csrf", "pyramid.session",
                      "django.contrib.auth.forms", "django.contrib.auth.password_validation", "django.conf.global_settings",
                      "django.middleware.csrf", "werkzeug.http", "flask.sessions", "jinja2.parser", "mako.lexer",
                      "chameleon.tokenize", "falcon.errors", "requests.auth", "itsdangerous.signer")  # fmt: skip


def strings_of(module):
    """Return the texts in a module's source: messages, queries, names, paragraphs of docstrings."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.has_location:
        return []
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    found = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    parts = [part.strip() for text in found for part in inspect.cleandoc(text).split("\n\n")]
    return list(dict.fromkeys(part for part in parts if len(part) > 3))


def _written(modules):
    texts = [text for module in modules if _is_there(module) for text in strings_of(module)]
    return _logged(texts)


def _is_there(module):
    with suppress(ImportError):
        return importlib.util.find_spec(module) is not None
    return False


def _logged(texts):
    """Report texts as messages and as variables."""

    def app(environ, start_response):
        for begin in range(0, len(texts), 10):
            ten = texts[begin : begin + 10]
            try:
                raise LookupError(len(ten))
            except LookupError:
                log.exception("texts")
            for text in ten:
                sentry_sdk.add_breadcrumb(category="text", message=text)
            del ten
        start_response("200 OK", [])
        return []

    return reported(app, "/texts")


#: The corpus: what is reported for apps and texts, by title; and a module that each needs.
CORPUS = {
    "the example's pages": (_example, "pyramid_jinja2"),
    "Pyramid, its request and registry": (_pyramid, "pyramid"),
    "Flask, and Werkzeug's page for developers": (_flask, "flask"),
    "Django, its settings and page for developers": (_django, "django"),
    "Zope's request": (_zope, "ZPublisher"),
    "messages, SQL, HTML, JSON": (lambda: _logged(TEXTS), "sentry_sdk"),
    "texts in the standard library's modules": (lambda: _written(_MODULES), "sentry_sdk"),
    "texts in frameworks' modules": (lambda: _written(_MODULES_OF_OTHERS), "sentry_sdk"),
}


def counts():
    """Return the counts for the parts of the corpus that can run here."""
    return {what: count(make()) for what, (make, module) in CORPUS.items() if _is_there(module)}


def table(found):
    """Return the table of ``docs/privacy.rst``."""
    rows = [("reported", "texts", "changed")]
    rows += [(what, f"{one.texts:,}", f"{len(one.changed):,}") for what, one in found.items()]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def quiet():
    """Print nothing that the apps log."""
    log.setLevel(logging.INFO)
    log.addHandler(logging.NullHandler())
    log.propagate = False


def __getattr__(name):
    """The urlconf, which Django asks this module for."""
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.urls import path

    return [path("order/<int:number>/", django_view)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="print what was changed as well")
    arguments = parser.parse_args()
    quiet()
    found = counts()
    if arguments.show:
        for what, one in found.items():
            for before, (path, after) in one.changed.items():
                print(f"{what} | {path} | {before[:400]} -> {json.dumps(after)[:400]}")
    print(table(found))
