"""The canary matrix: secrets, the forms in which text contains them, channels, trace lifecycles, frameworks.

``python -m canaries`` prints the tables in ``docs/privacy.rst``; ``python -m canaries --all`` puts
every secret in every form through every channel, in both lifecycles and within every installed framework, and
reports what has leaked.

One run is one request: all secrets in one form through one channel. A cell is one secret of one run.
"""

import argparse
import itertools
import logging
import sys
import time
import warnings
from collections import Counter
from typing import NamedTuple

import sentry_sdk
from canary_channels import AFTERWARDS, HIDES_ALL, OF_REQUESTS, OPTIONS, log, start_threads
from canary_channels import CHANNELS as OF_TEXTS
from canary_frameworks import FRAMEWORKS, show
from canary_names import NAMES, SHAPES, VALUES, leaked_by_name
from canary_request import FORMS, INNOCENT, Planted, shows
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.client.registry import registry
from sentry_paste.testing import CapturedEnvelopes, MemoryTransport, capture_envelopes

from traced_apps import LIFECYCLES, wait_for_profiles
from wsgi_calls import call

OWN_OBJECTS = "the framework's own objects and pages"


def _own_objects(environ, texts, request=None):
    try:
        raise ValueError(f"cannot serve {request!r}")
    except ValueError as error:
        shown = show(request)
        sentry_sdk.capture_exception(error)
        log.exception("%s", "\n".join(shown))


#: All channels by name.
CHANNELS = {**OF_REQUESTS, OWN_OBJECTS: _own_objects, **OF_TEXTS, **AFTERWARDS}
_WITHOUT_FORMS = {*OF_REQUESTS, *AFTERWARDS, OWN_OBJECTS}


class Run(NamedTuple):
    """One request of the matrix."""

    channel: str
    form: str = "raw"
    lifecycle: str = LIFECYCLES[0]
    framework: str = "WSGI"


def runs(frameworks=tuple(FRAMEWORKS)):
    """Return all runs of the matrix.

    Args:
        frameworks: which ones.
    """
    found = [Run(*one) for one in itertools.product(CHANNELS, FORMS, LIFECYCLES, frameworks)]
    return [run for run in found if run.form == "raw" or run.channel not in _WITHOUT_FORMS]


def app_of(planted, what, start=True, form="raw", framework="WSGI"):
    """Return a WSGI app that puts all secrets it knows, and one innocent text, through a channel."""
    start_threads()

    def do(environ, request, start_response):
        planted.sign_in(environ)
        if start:
            cookie = f"fresh={planted.secrets['Set-Cookie']}; Path=/; HttpOnly"
            start_response("200 OK", [("Set-Cookie", cookie)])
        texts = [FORMS[form](text) for text in (*planted.texts, INNOCENT)]
        if what == OWN_OBJECTS:
            return _own_objects(environ, texts, request)
        if what in AFTERWARDS:
            return None
        return CHANNELS[what](environ, texts)

    return FRAMEWORKS[framework](do)


def _options(lifecycle, pii):
    options = {
        "traces_sample_rate": 1.0,
        "release": "1",
        "send_default_pii": pii,
        "max_value_length": 100_000,
    }
    if "stream" in LIFECYCLES:
        options |= {"enable_logs": True, "trace_lifecycle": lifecycle}
    return options


def sent_by_filter(app, environ, lifecycle=LIFECYCLES[0], pii=False, after=None, **options):
    """Return everything the filter sends for a request, as a receiver gets it."""
    with sentry_sdk.isolation_scope(), capture_envelopes() as captured, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of profiles, which streamed spans have otherwise
        call(SentryMiddleware(app, **{**_options(lifecycle, pii), **options}), environ)
        wait_for_profiles()
        for client in registry.clients():
            if after is not None:
                # What is logged outside of requests goes to the client that is active there.
                sentry_sdk.get_global_scope().set_client(client)
                with sentry_sdk.isolation_scope():
                    after()
            client.flush()
        if after is not None:
            sentry_sdk.get_global_scope().set_client(None)
    assert captured, "nothing was sent: there is nothing to look for secrets in"
    return b"\n".join(envelope.serialize() for envelope in captured)


def own_options(options):
    """Return options as who calls ``sentry_sdk.init`` writes them.

    With sentry-sdk 3 these are its defaults, and its integration for logging, which is off by default.
    """
    if sdk.MAJOR == 2:
        return options
    profiles = options.get("profiles_sample_rate")
    return {
        "traces_sample_rate": options["traces_sample_rate"],
        "release": options["release"],
        "max_value_length": options["max_value_length"],
        "integrations": [LoggingIntegration(event_level=logging.ERROR)],
        **({"profile_session_sample_rate": profiles, "profile_lifecycle": "trace"} if profiles else {}),
    }


def sent_by_sdk(app, environ, lifecycle=LIFECYCLES[0], after=None, **options):
    """Return everything the SDK's own middleware sends for a request."""
    captured = CapturedEnvelopes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of send_default_pii
        own = own_options({**_options(lifecycle, pii=False), **options})
        sentry_sdk.init(transport=MemoryTransport(captured), **own)
    with sentry_sdk.isolation_scope():
        call(SentryWsgiMiddleware(app), environ)
    if after is not None:
        after()
    sentry_sdk.get_client().flush()
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    return b"\n".join(envelope.serialize() for envelope in captured)


class Outcome(NamedTuple):
    """The outcome of a run.

    Attributes:
        leaked: names of secrets.
        planted: how many there were.
        is_open: whether the innocent text arrived.
    """

    leaked: set
    planted: int
    is_open: bool


def outcome(run, seed=0, send=sent_by_filter, **options):
    """Return the outcome of a run.

    Args:
        run: of the matrix.
        seed: of the secrets.
        send: who sends.
        options: of the client.
    """
    planted = Planted(seed)
    app = app_of(planted, run.channel, form=run.form, framework=run.framework)
    if run.channel in AFTERWARDS:
        planted.sign_in(planted.environ)
        options["after"] = lambda: AFTERWARDS[run.channel](planted.environ, [])
    sent = send(app, planted.environ, run.lifecycle, **{**OPTIONS.get(run.channel, {}), **options})
    # Too little is left of a text that was cut to be sure, if dozens of cut secrets surround it.
    is_open = run.channel in _WITHOUT_FORMS | HIDES_ALL or run.form.startswith("cut")
    is_open = is_open or shows(sent, FORMS[run.form](INNOCENT))
    # A tag marks events without any texts, so that there is nothing to look for.
    is_open &= b'"sentry_paste.redaction":' not in sent
    forms = FORMS if run.channel in _WITHOUT_FORMS else dict.fromkeys(("raw", run.form))
    return Outcome(planted.leaked(sent, tuple(forms)), len(planted.secrets), is_open)


def leaks(
    what, seed=0, lifecycle=LIFECYCLES[0], send=sent_by_filter, form="raw", framework="WSGI", **options
):
    """Return which secrets leave through a channel."""
    return outcome(Run(what, form, lifecycle, framework), seed, send, **options).leaked


def quiet():
    """Print nothing that the channels log."""
    log.setLevel(logging.INFO)
    log.addHandler(logging.NullHandler())
    log.propagate = False


def _table(head, rows):
    """Return a table of reStructuredText."""
    lines = [
        [head, "planted", *(f"{who}, {lifecycle}" for who in ("filter", "SDK") for lifecycle in LIFECYCLES)]
    ]
    lines += [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    rule = "  ".join("=" * width for width in widths)
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    return "\n".join([rule, shown[0], rule, *shown[1:], rule])


def _figures(of):
    return [of(send, lifecycle) for send in (sent_by_filter, sent_by_sdk) for lifecycle in LIFECYCLES]


def _row_of_channel(what):
    return (what, len(Planted(0).secrets), *_figures(lambda send, life: len(leaks(what, 0, life, send))))


def _row_of_form(form):
    figures = _figures(lambda send, life: len(leaks("messages", 0, life, send, form)))
    return (form, len(Planted(0).secrets), *figures)


def _row_of_shape(shape):
    figures = _figures(lambda send, life: len(leaked_by_name(shape, send, life)))
    return (shape, len(NAMES) * len(VALUES), *figures)


#: The tables of ``docs/privacy.rst``: their rows, and what makes one. They count the secrets that leak
#: through each channel, in each form through messages, and the values in texts that are secret only by name.
TABLES = {
    # How much of a profile is recorded depends on timing.
    "channel": ([what for what in CHANNELS if not OPTIONS.get(what)], _row_of_channel),
    # For sentry-sdk 3, the page has the first one only.
    **(
        {"form": (list(FORMS), _row_of_form), "text": (list(SHAPES), _row_of_shape)} if sdk.MAJOR == 2 else {}
    ),
}


def tables():
    """Return the tables of ``docs/privacy.rst``."""
    return [_table(head, map(make, of)) for head, (of, make) in TABLES.items()]


def _run_all(frameworks, is_sdk):
    """Run the whole matrix; print what has leaked, and how much was tried."""
    begun = time.monotonic()
    chosen = runs(frameworks)
    cells, leaked, shut = 0, Counter(), []
    send = sent_by_sdk if is_sdk else sent_by_filter
    for number, run in enumerate(chosen):
        found = outcome(run, number, send)
        cells += found.planted
        leaked.update((run.channel, run.form, name) for name in found.leaked)
        if not found.is_open:
            shut.append(run)
        if number % 200 == 0:
            print(f"{number} of {len(chosen)} runs", file=sys.stderr)
    for (channel, form, name), times in sorted(leaked.items()) if not is_sdk else ():
        print(f"{times:4} {channel} | {form} | {name}")
    for run in shut:
        print(f"what is no secret did not arrive: {run}")
    seconds = time.monotonic() - begun
    print(f"{sum(leaked.values())} of {cells} cells leaked in {len(chosen)} runs, {seconds:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="run all of the matrix")
    parser.add_argument("--sdk", action="store_true", help="with the SDK's own middleware")
    parser.add_argument("--framework", action="append", choices=FRAMEWORKS, help="run this one only")
    arguments = parser.parse_args()
    quiet()
    if arguments.all:
        _run_all(tuple(arguments.framework or FRAMEWORKS), arguments.sdk)
    else:
        print("\n\n".join(tables()))
