"""Secrets planted in a request, and channels through which each could leave the process.

``python -m canaries`` plants every secret in every channel, under the filter and under the SDK's own
middleware, in both trace lifecycles, and prints the table that ``docs/privacy.rst`` has.
"""

import base64
import html
import io
import json
import logging
import random
import re
import string
import threading
import warnings
from urllib.parse import parse_qsl, quote, quote_plus

import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from sentry_sdk.scope import Scope

from sentry_paste import SentryMiddleware
from sentry_paste.client import registry
from sentry_paste.testing import CapturedEnvelopes, MemoryTransport, capture_envelopes

from wsgi import call, environ_of

STREAMS = hasattr(sentry_sdk, "traces")
LIFECYCLES = ["static", *(["stream"] if STREAMS else [])]
log = logging.getLogger("canaries")


class Planted:
    """One request with a secret in every place that has one; each secret is a new one, of random characters.

    Attributes:
        secrets: text by what it is.
        environ: of the request.
    """

    def __init__(self, seed=0, **more):
        chance = random.Random(seed)

        def word(length=12, alphabet=string.ascii_letters + string.digits):
            return "".join(chance.choice(alphabet) for _ in range(length)) + "7q"

        def number():
            return chance.randrange(2, 250)

        odd = f"{word(6)}/+ =&\u00fc'{word(4)}"
        self.secrets = secrets = {
            "cookie": word(),
            "cookie, quoted": odd,
            "cookie, long": word(3000),
            "Authorization": word(20),
            "Proxy-Authorization, user": word(9),
            "Proxy-Authorization, password": word(9) + ":x",
            "X-Api-Key": word(16),
            "X-CSRF-Token": word(16),
            "X-Session-Signature": word(30),
            "X-Amzn-Oidc-Data": f"{word(12)}.{word(20)}.{word(9)}",
            "X-Forwarded-For": f"203.0.113.{number()}",
            "Forwarded": f"198.51.100.{number()}",
            "X-Real-IP": f"2001:db8:{word(4, '0123456789abcdef')[:4]}::{number()}",
            "CF-Connecting-IP": f"192.0.2.{number()}",
            "REMOTE_ADDR": f"10.{number()}.{number()}.{number()}",
            "REMOTE_USER": f"user-{word(5)}",
            "X-Forwarded-User": f"{word(5)}@example.com",
            "query, token": word(),
            "query, password": odd[::-1],
            "referer, token": word(14),
            "Set-Cookie": word(18),
            "body": word(11),
        }
        basic = base64.b64encode(
            f"{secrets['Proxy-Authorization, user']}:{secrets['Proxy-Authorization, password']}".encode()
        )
        body = f"new_password={secrets['body']}&colour=green".encode()
        self.environ = environ_of(
            "/shop/basket",
            "POST",
            HTTP_COOKIE=f"sid={secrets['cookie']}; theme=dark; odd={quote(odd, safe='')}; lang=en; "
            f"page=production; long={secrets['cookie, long']}",
            HTTP_AUTHORIZATION=f"Bearer {secrets['Authorization']}",
            HTTP_PROXY_AUTHORIZATION=f"Basic {basic.decode()}",
            HTTP_FORWARDED=f'for={secrets["Forwarded"]};proto=https, for="[2001:db8::1]:4711"',
            HTTP_REFERER=f"https://example.com/login?token={secrets['referer, token']}&page=3",
            HTTP_USER_AGENT="canaries/1.0",
            HTTP_ACCEPT_LANGUAGE="de-CH,en",
            REMOTE_ADDR=secrets["REMOTE_ADDR"],
            QUERY_STRING=f"page=3&token={secrets['query, token']}&colour=green"
            f"&password={quote_plus(secrets['query, password'])}",
            CONTENT_TYPE="application/x-www-form-urlencoded",
            CONTENT_LENGTH=str(len(body)),
            **{
                "HTTP_" + name.upper().replace("-", "_"): text
                for name, text in secrets.items()
                if name.startswith(("X-", "CF-"))
            },
            **{"wsgi.input": io.BytesIO(body), **more},
        )
        self.environ["HTTP_X_FORWARDED_FOR"] += ", 10.0.0.9"

    def headers(self):
        """Return the request's headers, for a client that sends them."""
        return {
            key[5:].replace("_", "-").title(): text
            for key, text in self.environ.items()
            if key.startswith("HTTP_") and key != "HTTP_HOST"
        }

    def sign_in(self, environ):
        """Do what a framework does that knows the user."""
        environ["REMOTE_USER"] = self.secrets["REMOTE_USER"]
        environ["repoze.who.identity"] = {"repoze.who.userid": self.secrets["REMOTE_USER"], "tokens": ()}

    def leaked(self, data):
        """Return which secrets are in some bytes, also encoded."""
        return {name for name, text in self.secrets.items() if any(form in data for form in _forms(text))}


def _forms(text):
    encoded = text.encode()
    forms = {encoded, json.dumps(text)[1:-1].encode(), repr(text)[1:-1].replace("\\", "\\\\").encode()}
    forms |= {quote(text, safe="").encode(), quote(text).encode(), quote_plus(text).encode()}
    if len(encoded) > 1000:  # as much of a long one as could be told from chance
        forms |= {encoded[:40], encoded[-40:]}
    for offset in range(3):
        # All alignments; the ends are shared with what stands beside.
        shifted = base64.b64encode(b"\0" * offset + encoded)[4 if offset else 0 :].rstrip(b"=")[:-2]
        forms |= {shifted, shifted.replace(b"+", b"-").replace(b"/", b"_")}
    return forms


CHANNELS = {}


def channel(what):
    """Register a way out."""

    def register(function):
        CHANNELS[what] = function
        return function

    return register


class Holder:
    """Something whose repr shows what it holds."""

    def __init__(self, *held):
        self.held = held

    def __repr__(self):
        return f"<Holder {self.held}>"


@channel("environ as a local variable")
def _(environ, texts):
    items = [(key, value) for key, value in environ.items() if key.startswith(("HTTP_", "REMOTE", "QUERY"))]  # noqa: F841
    deep = {"a": {"b": {"c": {"d": {"e": dict(environ)}}}}}  # noqa: F841
    for begin in range(0, len(environ), 8):  # the serialiser takes ten members of a mapping
        part = dict(list(environ.items())[begin : begin + 8])
        log.error("a part", stack_info=True, extra={"part": part, "number": begin})
    raise ValueError("environ")


@channel("local variables by value")
def _(environ, texts):
    for text in texts:
        _raise_with(
            environ, plain=text, listed=[text, (text,)], mapped={"colour": text}, encoded=text.encode()
        )
        _raise_with(environ, keyed={text: 1}, held=Holder(text), inside=f"before {text} after", n=len(text))


@channel("local variables by value, in other forms")
def _(environ, texts):
    for text in texts:
        _raise_with(
            environ, quoted=quote(text, safe=""), plus=quote_plus(text), lower=_lower(quote(text, safe=""))
        )
        _raise_with(
            environ, based=base64.b64encode(text.encode()), said=repr({"x": text}), j=json.dumps([text])
        )
        _raise_with(
            environ,
            pair=f"value={text}",
            html=html.escape(text),
            line=f"a\n{text}\tb",
            url=f"/x?a={quote(text)}",
        )


def _lower(text):
    return re.sub("%..", lambda found: found[0].lower(), text)


def _raise_with(environ, **held):
    try:
        raise ValueError("locals")
    except ValueError:
        log.exception("one")


@channel("headers as a local variable")
def _(environ, texts):
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            name = key[5:].replace("_", "-").title()
            pairs, mapping, line = [(name, value)], {name: value}, f"{name}: {value}"
            encoded = [(name.encode(), value.encode())]
            log.error("header", stack_info=True)
            del pairs, mapping, line, encoded


@channel("exception messages, chained")
def _(environ, texts):
    try:
        raise KeyError(*texts)
    except KeyError as error:
        try:
            raise LookupError(f"cannot find {texts!r}") from error
        except LookupError:
            raise ValueError("bad tokens: " + " ".join(texts), texts) from None


@channel("messages")
def _(environ, texts):
    for text in texts:
        sentry_sdk.capture_message(f"no such thing: {text}")
        log.error("no such thing: %s", text, extra={"thing": text, "things": {"a": [text]}})


@channel("breadcrumbs of logging, HTTP and SQL")
def _(environ, texts):
    for text in texts:
        log.warning("seen %s", text, extra={"thing": text})
        sentry_sdk.add_breadcrumb(
            type="http", category="httplib", data={"url": f"http://x/{quote(text)}", "x": text}
        )
        sentry_sdk.add_breadcrumb(category="query", message=f"SELECT 1 WHERE name = '{text}'")
    raise ValueError("breadcrumbs")


@channel("span names and data")
def _(environ, texts):
    for text in texts:
        if STREAMS and sentry_sdk.get_client().options.get("trace_lifecycle") == "stream":
            with sentry_sdk.traces.start_span(name=f"SELECT '{text}'") as span:
                span.set_attribute("db.params", [text])
                span.set_attribute("thing", text)
        else:
            with sentry_sdk.start_span(op="db", name=f"SELECT '{text}'") as span:
                span.set_data("db.params", [text])
                span.set_data("thing", {"a": text})
                span.set_tag("thing", text[:100])


@channel("names of transactions, fingerprints")
def _(environ, texts):
    for text in texts:
        if text[:1] not in "0123456789":
            sentry_sdk.get_current_scope().set_transaction_name(f"/reset/{quote(text)}")
            sentry_sdk.capture_event({"message": "fingerprint", "fingerprint": ["x", text]})


@channel("tags, contexts and extras of integrations")
def _(environ, texts):
    for text in texts:

        def processor(event, hint, text=text):
            event.setdefault("tags", {})["thing"] = text[:100]
            event.setdefault("contexts", {})["thing"] = {"a": {"b": text}, "headers": dict(environ)}
            event.setdefault("extra", {})["thing"] = Holder(text)
            event.setdefault("user", {})["thing"] = text
            event.setdefault("request", {})["data"] = {"thing": text, "password": text}
            return event

        with sentry_sdk.new_scope() as scope:
            scope.add_event_processor(processor)
            scope.set_extra("other", [text])
            sentry_sdk.capture_message("processed")


@channel("log items")
def _(environ, texts):
    if not hasattr(sentry_sdk, "logger"):
        return
    for text in texts:
        sentry_sdk.logger.info("seen {text}", text=text, attributes={"thing": text, "list": [text]})
        log.info("seen %s", text, extra={"thing": Holder(text)})


@channel("metrics")
def _(environ, texts):
    count = getattr(getattr(sentry_sdk, "metrics", None), "count", None)
    for text in texts if count is not None else ():
        count("things", 1, attributes={"thing": text})


@channel("attachments")
def _(environ, texts):
    with sentry_sdk.new_scope() as scope:
        scope.add_attachment(bytes="\n".join(texts).encode(), filename="texts.txt")
        scope.add_attachment(bytes=lambda: repr(environ).encode(), filename="environ.txt")
        sentry_sdk.capture_message("attached")


@channel("threads of the app's")
def _(environ, texts):
    scope = sentry_sdk.get_isolation_scope().fork()

    def work():
        Scope.set_isolation_scope(scope)
        try:
            raise ValueError(f"in a thread: {texts}")
        except ValueError as error:
            sentry_sdk.capture_exception(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@channel("body")
def _(environ, texts):
    raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    environ["wsgi.input"] = io.BytesIO(raw)
    form = dict(parse_qsl(raw.decode()))
    pairs = list(form.items())
    held = {"form": form}
    del raw
    raise ValueError("body", len(pairs), len(held))


@channel("while the body is sent, and after")
def _(environ, texts):
    def body():
        yield b"one"
        try:
            raise ValueError(f"in the stream: {texts}")
        except ValueError:
            log.exception("stream")

    return body()


def app_of(planted, what, start=True):
    """A WSGI app that puts all secrets that it knows through a channel."""

    def app(environ, start_response):
        planted.sign_in(environ)
        if start:
            start_response(
                "200 OK", [("Set-Cookie", f"fresh={planted.secrets['Set-Cookie']}; Path=/; HttpOnly")]
            )
        texts = [text for name, text in planted.secrets.items() if name != "body"]
        return CHANNELS[what](environ, texts) or []

    return app


def _options(lifecycle, pii):
    options = {"traces_sample_rate": 1.0, "release": "1", "send_default_pii": pii}
    if STREAMS:
        options |= {"enable_logs": True, "trace_lifecycle": lifecycle}
    return options


def sent_by_filter(app, environ, lifecycle="static", pii=False, **options):
    """Return all that the filter sends of a request, as a receiver gets it."""
    with sentry_sdk.isolation_scope(), capture_envelopes() as captured:
        call(SentryMiddleware(app, **{**_options(lifecycle, pii), **options}), environ)
        for client in registry.clients():
            client.flush()
    assert captured, "nothing was sent: there is nothing to look for secrets in"
    return b"\n".join(envelope.serialize() for envelope in captured)


def sent_by_sdk(app, environ, lifecycle="static"):
    """Return all that the SDK's own middleware sends of a request."""
    captured = CapturedEnvelopes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of send_default_pii
        sentry_sdk.init(transport=MemoryTransport(captured), **_options(lifecycle, pii=False))
    with sentry_sdk.isolation_scope():
        call(SentryWsgiMiddleware(app), environ)
        sentry_sdk.get_client().flush()
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    return b"\n".join(envelope.serialize() for envelope in captured)


def leaks(what, seed=0, lifecycle="static", send=sent_by_filter, **options):
    """Return which secrets leave through a channel."""
    planted = Planted(seed)
    return planted.leaked(send(app_of(planted, what), planted.environ, lifecycle, **options))


def table_text():
    """Return the table of ``docs/privacy.rst``: secrets that leave, of those that are planted."""
    log.setLevel(logging.INFO)
    log.addHandler(logging.NullHandler())
    log.propagate = False
    rows = []
    for what in CHANNELS:
        figures = []
        for send in (sent_by_filter, sent_by_sdk):
            figures += [f"{len(leaks(what, lifecycle=lifecycle, send=send))}" for lifecycle in LIFECYCLES]
        rows.append((what, *figures))
    width = max(len(row[0]) for row in rows)
    line = "=" * width + "  ==============  ==============  ===========  ==========="
    heads = f"{'channel':{width}}  filter, static  filter, stream  SDK, static  SDK, stream"
    lines = [f"{what:{width}}  {a:14}  {b:14}  {c:11}  {d}" for what, a, b, c, d in rows]
    return "\n".join([line, heads, line, *lines, line])


if __name__ == "__main__":
    print(table_text())
