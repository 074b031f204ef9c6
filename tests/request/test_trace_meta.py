"""The trace of a request, for the pages that it makes."""

import html

import jinja2
import mako.template
import pytest
import sentry_sdk
from chameleon import PageTemplate

from sentry_paste import SentryMiddleware

from wsgi_calls import call, environ_of


def shown(render, **options):
    def app(environ, start_response):
        start_response("200 OK", [])
        page = render(environ["sentry.trace_meta"])
        pages.append((page, sentry_sdk.get_traceparent(), sentry_sdk.get_baggage()))
        return [page.encode()]

    pages = []
    call(SentryMiddleware(app, **options), environ_of())
    return pages[0]


TEMPLATES = {
    "str": str,
    "Jinja2": lambda meta: jinja2.Environment(autoescape=True).from_string("{{ meta }}").render(meta=meta),
    "Mako": lambda meta: mako.template.Template("${meta}", default_filters=["h"]).render(meta=meta),
    "Chameleon": lambda meta: PageTemplate("<head>${meta}</head>")(meta=meta)[
        len("<head>") : -len("</head>")
    ],
}


@pytest.mark.parametrize("rate", [None, 0.0, 1.0])
@pytest.mark.parametrize("template", TEMPLATES)
def test_page_has_the_tags_of_the_current_trace(template, rate, captured):
    page, trace, baggage = shown(TEMPLATES[template], traces_sample_rate=rate)
    assert page == (
        f'<meta name="sentry-trace" content="{trace}"><meta name="baggage" content="{html.escape(baggage)}">'
    )


def test_environ_that_nobody_reads_opens_nothing(captured):
    assert shown(lambda meta: repr(meta))[0] == "<the trace's meta tags>"


def test_sdk_that_fails_costs_the_tags_alone(captured, monkeypatch):
    monkeypatch.setattr(sentry_sdk.Scope, "trace_propagation_meta", lambda self: 1 / 0)
    assert shown(str)[0] == ""
