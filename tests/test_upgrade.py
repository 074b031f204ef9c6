"""A Pyramid app under pserve is moved from sentry-sdk 2 to 3, and back, by pip alone.

Slow: it makes an environment of its own and installs into it.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import servers
from receiver import serve

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent

APP = """
import logging
import time

from pyramid.config import Configurator
from pyramid.response import Response

log = logging.getLogger("shop")


def hello(request):
    log.info("greeting somebody")
    return Response("hello")


def crash(request):
    password = request.params.get("password")
    raise ZeroDivisionError("crashed")


def logged(request):
    log.error("logged %s", request.matchdict["name"])
    return Response("logged")


def missing(request):
    return Response("no", status=404)


def stream(request):
    def chunks():
        yield b"one"
        time.sleep(0.2)
        raise ValueError("in the stream")
    return Response(app_iter=chunks())


def main(global_config, **settings):
    with Configurator(settings=settings) as config:
        for view in (hello, crash, logged, missing, stream):
            name = view.__name__
            config.add_route(f"{name}_route", f"/{name}/{{name}}")
            config.add_view(view, route_name=f"{name}_route")
        return config.make_wsgi_app()
"""

INI = """
[filter:sentry]
use = egg:sentry_paste
dsn = {dsn}
release = 1.0
environment = staging
traces_sample_rate = 1.0
send_default_pii = false
enable_logs = false
include_local_variables = true
event_scrubber.denylist = garden
tags.region = eu

[app:shop]
paste.app_factory = shop:main

[pipeline:main]
pipeline = sentry shop

[server:main]
use = egg:waitress
listen = 127.0.0.1:{port}
"""

PATHS = ("hello", "crash", "logged", "missing", "stream")
SECRETS = (b"hunter22zz9q", b"203.0.113.77", b"ann.blyth")


def request(path):
    query = "?password=hunter22zz9q" if path == "crash" else ""
    lines = (
        f"GET /{path}/ann{query} HTTP/1.1",
        "Host: localhost",
        "Cookie: session=hunter22zz9q",
        "X-Forwarded-For: 203.0.113.77",
        "Authorization: Basic YW5uLmJseXRoOmh1bnRlcjIyeno5cQ==",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def reported(folder, python):
    """Serve the app, ask it, and return what arrived."""
    with serve() as receiver:
        port = servers.free_port()
        ini = folder / "shop.ini"
        ini.write_text(INI.format(dsn=receiver.dsn, port=port), encoding="utf-8")
        command = [str(python.with_name("pserve")), str(ini)]
        with servers.started(command, port, folder, PYTHONPATH=str(folder)) as server:
            for path in PATHS:
                server.ask(request(path))
            server.end(signal.SIGINT)
        errors = [
            {
                "type": event["exception"]["values"][-1]["type"] if "exception" in event else None,
                "message": (event.get("logentry") or {}).get("message"),
                "transaction": event.get("transaction"),
                "handled": event["exception"]["values"][-1]["mechanism"]["handled"]
                if "exception" in event
                else None,
                "level": event.get("level"),
                "release": event.get("release"),
                "environment": event.get("environment"),
                "region": event["tags"]["region"],
                "url": event["request"]["url"],
                "method": event["request"]["method"],
                "crumbs": [crumb["message"] for crumb in event.get("breadcrumbs", {}).get("values", [])],
                "threads": "threads" in event,
            }
            for event in receiver.errors
        ]
        traces = sorted(
            (
                found["transaction"],
                found["transaction_info"]["source"],
                found["contexts"]["trace"]["status"],
                (found["contexts"].get("response") or {}).get("status_code", 0),
                found["contexts"]["trace"]["op"],
            )
            for found in receiver.transactions
        )
        sessions = {}
        for one in receiver.envelopes.sessions:
            for key in ("exited", "errored", "crashed"):
                sessions[key] = sessions.get(key, 0) + one.get(key, 0)
        personal = [secret for secret in SECRETS if any(secret in raw for raw in receiver.raw)]
        return {"errors": errors, "traces": traces, "sessions": sessions, "personal": personal}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Return the Python of an environment with the filter, Pyramid and waitress."""
    folder = tmp_path_factory.mktemp("upgrade")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv/bin/python"
    install(python, str(ROOT), "pyramid", "waitress", "sentry-sdk<3")
    (folder / "shop.py").write_text(APP, encoding="utf-8")
    return folder, python


def install(python, *packages):
    command = [str(python), "-m", "pip", "install", "-q", *packages]
    subprocess.run(command, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})


def version(python):
    command = [str(python), "-c", "import sentry_sdk; print(sentry_sdk.VERSION)"]
    return subprocess.run(command, check=True, capture_output=True, encoding="ascii").stdout.strip()


def test_the_same_is_reported_after_pip_install_upgrade(environment):
    folder, python = environment
    before = reported(folder, python)
    assert version(python).startswith("2.")
    install(python, "-U", "--pre", "sentry-sdk>=3.0.0b1,<4")
    assert version(python).startswith("3.")
    after = reported(folder, python)
    assert after == before
    assert before["personal"] == []
    assert [error["type"] for error in before["errors"]] == ["ZeroDivisionError", None, "ValueError"]
    assert len(before["traces"]) == len(PATHS)
    assert before["sessions"] == {"exited": 3, "errored": 0, "crashed": 2}
