"""The canary matrix: secrets by form, channel, lifecycle and framework, from a request to what is sent."""

import json
import logging
import multiprocessing.pool
import random
import warnings
from pathlib import Path

import canaries
import pytest
import sentry_sdk
from canaries import (
    CHANNELS,
    LIFECYCLES,
    OWN_OBJECTS,
    Run,
    app_of,
    leaks,
    outcome,
    own_options,
    runs,
    sent_by_sdk,
)
from canary_channels import AFTERWARDS, HOLDS_NO_WORDS, OPTIONS
from canary_frameworks import FRAMEWORKS
from canary_names import NAMES, SHAPES, VALUES, leaked_by_name
from canary_request import FORMS, WORDS, Planted
from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.testing import CapturedEnvelopes, MemoryTransport

from wsgi_calls import call, environ_of

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "privacy.rst").read_text(encoding="utf-8")
IS_THE_PAGES_SDK = f"sentry-sdk {sentry_sdk.VERSION}" in " ".join(PAGE.split())

# The seed is fixed, so that failures are reproducible; another sample is one number away.
SAMPLE = random.Random(14).sample(runs(), 40)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(canaries.log, "level", logging.INFO)
    monkeypatch.setattr(canaries.log, "propagate", False)
    canaries.log.addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        # Warnings of frameworks, and of profiles that a lifecycle does not support.
        warnings.simplefilter("ignore")
        yield


# Addresses in headers of proxies that are not known as such: see TestGaps.
GAPS = {"X-Acme-Peer", "X-Proxied-For"}


def limits(run):
    """Return what may leak, according to the page's section on limits."""
    found = set()
    if run.channel in HOLDS_NO_WORDS:
        found |= WORDS | GAPS
    # The cookies of a response are known once it starts; a thread outside requests sees only the environ.
    if run.framework != "WSGI" or run.channel.startswith("threads that were there before"):
        found |= {"Set-Cookie"}
    if run.channel == "names of transactions, fingerprints" and run.lifecycle == "stream":
        found |= {"cookie"}  # the first of them: see TestGaps
    if run.framework == "Django" and run.channel == OWN_OBJECTS:
        found |= {"body"}  # in a table of the page's
    return found


@pytest.mark.parametrize("lifecycle", LIFECYCLES)
@pytest.mark.parametrize("what", [what for what in CHANNELS if what != OWN_OBJECTS])
class TestEveryChannel:
    def test_no_secret_leaks_and_innocent_text_arrives(self, what, lifecycle):
        run = Run(what, lifecycle=lifecycle)
        found = outcome(run, seed=1)
        assert found.leaked - limits(run) == set()
        assert found.is_open

    def test_detector_sees_what_is_asked_for(self, what, lifecycle):
        if OPTIONS[what] and lifecycle == "stream" and sdk.MAJOR == 2:
            pytest.skip("streamed spans have other profiles")
        few = {"body": 2}.get(what, 20)
        assert len(leaks(what, seed=1, lifecycle=lifecycle, pii=True)) >= few

    def test_no_secret_leaves_by_a_client_of_the_app_s(self, what, lifecycle):
        if what.startswith("threads of") and not hasattr(sentry_sdk.get_isolation_scope().fork(), "client"):
            pytest.skip("in this sentry-sdk a scope's fork has no client, so the thread's is the global one")
        if what in AFTERWARDS or what.startswith("threads that were there before"):
            pytest.skip("redaction is on in requests only then")
        captured = CapturedEnvelopes()
        options = own_options({**canaries._options(lifecycle, pii=False), **OPTIONS[what]})
        sentry_sdk.init(transport=MemoryTransport(captured), **options)
        planted = Planted(2)
        call(SentryMiddleware(app_of(planted, what)), planted.environ)
        sentry_sdk.get_client().flush()
        assert captured
        leaked = planted.leaked(b"\n".join(envelope.serialize() for envelope in captured))
        assert leaked - limits(Run(what)) == set()


@pytest.mark.parametrize("lifecycle", LIFECYCLES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
class TestEveryFramework:
    def test_no_secret_leaves_of_its_own_objects_and_pages(self, framework, lifecycle):
        run = Run(OWN_OBJECTS, lifecycle=lifecycle, framework=framework)
        found = outcome(run, seed=6)
        assert found.leaked - limits(run) == set()
        assert found.is_open

    def test_detector_sees_them_with_the_sdk(self, framework, lifecycle):
        seen = leaks(OWN_OBJECTS, 6, lifecycle, sent_by_sdk, framework=framework)
        assert len(seen) >= 20


class TestEveryForm:
    """Through a channel that has room for all of them; the sample covers the others."""

    @pytest.mark.parametrize("form", FORMS)
    def test_no_secret_leaks_and_innocent_text_arrives(self, form):
        found = outcome(Run("messages", form), seed=3)
        assert found.leaked == set()
        assert found.is_open

    @pytest.mark.parametrize("form", ["raw", "base64 of ab=value", "hex"])
    def test_detector_sees_it_with_the_sdk(self, form):
        # Half an address is not an address, and is not searched for.
        assert len(leaks("messages", 3, send=sent_by_sdk, form=form)) >= len(Planted(3).secrets) - 10


@pytest.mark.parametrize("run", SAMPLE, ids=lambda run: ", ".join(run))
def test_no_secret_leaves_in_a_sample_of_the_matrix(run):
    found = outcome(run, seed=SAMPLE.index(run))
    assert found.leaked - limits(run) == set()
    assert found.is_open


@settings(max_examples=8)
@given(st.integers(min_value=10), st.sampled_from(list(CHANNELS)))
def test_no_secret_leaves_whatever_it_is(seed, what):
    assert leaks(what, seed) - limits(Run(what)) == set()


class TestDetector:
    """Ids are random, and a run of all tests sees thousands of them."""

    @pytest.mark.parametrize("name", ["XFCC, hash", "UUID", "Digest, response"])
    def test_id_that_has_eight_digits_of_a_secret_by_chance_is_no_leak(self, name):
        planted = Planted(1)
        shared = planted.secrets[name][16:24]
        sent = json.dumps({"trace_id": f"{'x' * 12}{shared}{'x' * 12}"}).encode()
        assert planted.leaked(sent) == set()

    @pytest.mark.parametrize("name", ["XFCC, hash", "UUID", "Digest, response"])
    def test_twelve_digits_of_a_secret_are_a_leak(self, name):
        planted = Planted(1)
        sent = json.dumps({"message": f"no {planted.secrets[name][8:20]}!"}).encode()
        assert planted.leaked(sent) >= {name}


class TestNamesInText:
    """Values that are secret only by name, in text made by libraries."""

    @pytest.mark.parametrize("shape", SHAPES)
    def test_no_value_leaves(self, shape):
        leaked = leaked_by_name(shape, canaries.sent_by_filter, seed=1)
        # On a line without quotes, a value ends where a sentence may go on.
        lines = (", of two words", ", with quotes") if shape in LINES else ()
        assert {name for name in leaked if not name.endswith(lines) and name not in OF_COOKIES} == set()

    def test_detector_sees_them_with_the_sdk(self):
        assert all(len(leaked_by_name(shape, sent_by_sdk)) == len(NAMES) * len(VALUES) for shape in SHAPES)


LINES = ("a header", "an ini")
OF_COOKIES = {"cookie, random", "cookie, digits"}


class TestGaps:
    """What once leaked, and what still does."""

    @pytest.mark.xfail(
        strict=True, reason="breadcrumbs of a thread outside of requests are cleaned by the next one's"
    )
    def test_thread_that_works_for_one_request_after_another_keeps_them_apart(self, captured):
        def work(environ):
            logging.getLogger("shop").warning("seen %s", environ["HTTP_X_API_KEY"])
            sentry_sdk.capture_message("worked")

        with multiprocessing.pool.ThreadPool(1) as pool:

            def app(environ, start_response):
                pool.apply(work, (environ,))
                start_response("200 OK", [])
                return []

            wrapped = SentryMiddleware(app)
            for key in ("q8fh23fh28hf2", "z9k2m4n6b8v1c3"):
                call(wrapped, environ_of(HTTP_X_API_KEY=key))
        assert len(captured.errors) == 2
        is_there = "q8fh23fh28hf2" in json.dumps(captured.errors)
        assert not is_there

    @pytest.mark.skipif("Flask" not in FRAMEWORKS, reason="it is not installed")
    @pytest.mark.skipif("stream" not in LIFECYCLES, reason="this sentry-sdk streams no spans")
    def test_name_of_a_transaction_in_the_header_of_an_envelope(self):
        run = Run("names of transactions, fingerprints", lifecycle="stream", framework="Flask")
        assert "cookie" not in outcome(run, 28).leaked

    @pytest.mark.skipif("greenlets" not in CHANNELS, reason="gevent is not installed")
    def test_greenlets(self):
        assert outcome(Run("greenlets"), 1).leaked == set()

    def left(self, wanted, text=None, **environ):
        """Return whether a text is in what is sent when a text that has it is logged."""

        def app(environ, start_response):
            shown = text or wanted
            logging.getLogger("shop").error("%s", shown, extra={"mapping": {shown: 1}})
            start_response("200 OK", [])
            return []

        return wanted.encode() in canaries.sent_by_filter(app, environ_of(**environ))

    @pytest.mark.parametrize("header", ["HTTP_X_ACME_PEER", "HTTP_X_PROXIED_FOR"])
    def test_address_is_one_whatever_header_it_is_in(self, header):
        assert not self.left("203.0.113.177", **{header: "203.0.113.177"})

    def test_random_part_of_a_url(self):
        environ = {"persistent-id": "https://idp.example.edu!f8fh23fh28hf2x9"}
        assert not self.left("f8fh23fh28hf2x9", **environ)

    def test_signature_with_two_dashes(self):
        token = (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiAiYUloMHRHNEV1YUlQIn0.h4u5UM--iBD87j4ox-COaf5d7Ewo474IuRWZfLLaCAw"
        )
        assert not self.left("h4u5UM--", token.rpartition(".")[2], HTTP_COOKIE=f"jwt={token}")

    @pytest.mark.parametrize(
        "text", [repr("q8fh23fh28\u2026".encode()), "q8fh23fh28%E2%80%A6", ascii("q8fh23fh28\u2026")]
    )
    def test_ellipsis_that_was_escaped(self, text):
        assert not self.left("q8fh23fh28", text, HTTP_X_API_KEY="q8fh23fh28hf2aa")

    @pytest.mark.parametrize(
        "text", ["password = ab1'tyPEnLxa7q\ncolour = green", 'X-Password: ab1"tyPEnLxa7q\r\nA: b']
    )
    def test_value_of_a_line_that_has_quotes(self, text):
        assert not self.left("tyPEnLxa7q", text)

    @pytest.mark.parametrize("text", ["X-Cookie: WDBc08m9LGf7q", "{'cookie': 884892596030}"])
    def test_cookie_that_has_no_name(self, text):
        assert not self.left(text[-10:-1], text)


@pytest.mark.skipif(not IS_THE_PAGES_SDK, reason="the tables are of another sentry-sdk")
class TestDocumentation:
    @pytest.mark.parametrize("table", canaries.TABLES)
    def test_rows_of_its_tables_are_those_of_a_run(self, table):
        of, make = canaries.TABLES[table]
        lines = [line.split() for line in PAGE.splitlines()]
        rows = [" ".join(map(str, make(what))) for what in of]
        assert [row for row in rows if row.split() not in lines] == []

    @pytest.mark.parametrize("table", canaries.TABLES)
    def test_all_rows_are_there(self, table):
        of, _ = canaries.TABLES[table]
        assert [what for what in of if f"\n{what}  " not in PAGE] == []

    def test_size_of_the_matrix(self):
        planted = {name for seed in range(3) for name in Planted(seed).secrets}
        channels = {*CHANNELS, "greenlets"}  # also where gevent is not installed
        counted = f"{len(planted)} secrets, {len(FORMS)} forms, {len(channels)} channels"
        assert counted in " ".join(PAGE.split())
