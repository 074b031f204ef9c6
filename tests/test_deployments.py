"""Each page of docs/deployments, followed literally: its ini, its command, real requests, and what arrives.

Slow where a server has to be installed first, into an environment of its own.
"""

import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import assert_valid_for_sentry
from paste.deploy import loadapp
from test_servers import until
from webtest import TestApp

from sentry_paste import sdk
from sentry_paste.cli.main import main
from sentry_paste.spool import Spool

import installed
import pages
import receiver
import servers
from installed import WEB_USER, is_root

# A trace that the caller has sampled: the inis of the pages sample a part of them.
SAMPLED = {"sentry-trace": "0123456789abcdef0123456789abcdef-0123456789abcdef-1"}
UNSAMPLED = {"sentry-trace": "0123456789abcdef0123456789abcdef-0123456789abcdef-0"}


@dataclass(frozen=True)
class Deployment:
    """A command of a page.

    Attributes:
        page: under ``docs/deployments``.
        words: a regular expression that finds the command on it.
        app: the source of ``myapp``.
        end: the signal on which the server ends in good order.
        names: of the transactions of ``/hello`` and ``/crash``.
        packages: what is installed first, where the tests' own environment has not got it.
        ready: what the server logs when all its workers are ready, where it accepts connections before that.
        done: what the server logs after each request, where it ends in no good order before that.
        files: that the page takes for granted.
        release: that is reported.
    """

    page: str
    words: str
    app: str = pages.MYAPP
    end: signal.Signals = signal.SIGTERM
    names: tuple[str, str] = ("GET /hello", "GET /crash")
    packages: tuple[str, ...] = ()
    ready: str = ""
    done: str = ""
    files: dict[str, str] = field(default_factory=dict)
    release: str = "myapp@1.0"

    def __str__(self):
        return f"{self.page}: {self.words}"


_CRASHES = """
import flask


def make_app(name):
    made = flask.Flask(name)
    made.add_url_rule("/hello", "hello", lambda: "hello from /")

    def crash():
        raise ZeroDivisionError("crash of myapp")

    made.add_url_rule("/crash", "crash", crash)
    return made
"""


def metadata(name, version):
    """The files of a distribution that is installed."""
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    return {f"{name.replace('-', '_')}-{version}.dist-info/METADATA": text}


# What CKAN's wsgi.py imports, with an app of Flask's, as CKAN's are.
CKAN = {
    "ckan/__init__.py": "",
    "ckan/config/__init__.py": "",
    "ckan/cli.py": """
import configparser
import os


class CKANConfigLoader:
    def __init__(self, path):
        self.path = path

    def get_config(self):
        parser = configparser.ConfigParser(defaults={"here": os.path.dirname(self.path)})
        parser.read(self.path)
        return dict(parser["app:main"])
""",
    "ckan/config/middleware.py": """
import crashes


def make_app(config):
    return crashes.make_app("ckan")
""",
    "crashes.py": _CRASHES,
    **metadata("ckan", "2.12.0"),
}

# As Keystone's, it takes the command line for its own.
KEYSTONE = {
    "keystone/__init__.py": "",
    "keystone/wsgi/__init__.py": "",
    "keystone/wsgi/api.py": """
import argparse

import crashes

argparse.ArgumentParser().parse_args()
application = crashes.make_app("public")
""",
    "crashes.py": _CRASHES,
    **metadata("keystone", "30.0.0"),
}

PLACEMENT = {
    "placement/__init__.py": "",
    "placement/wsgi/__init__.py": "",
    "placement/wsgi/api.py": "from myapp import app as application\n",
    **metadata("openstack-placement", "16.0.0"),
}

# A TurboGears app with the full stack, which answers crashes with its error page.
TURBOGEARS = """
import os

from tg import FullStackApplicationConfigurator, TGController, expose


class ErrorController(TGController):
    @expose()
    def document(self, *args, **kwargs):
        return "sorry"


class RootController(TGController):
    error = ErrorController()

    @expose()
    def hello(self):
        return "hello from /"

    @expose()
    def crash(self):
        raise ZeroDivisionError("crash of myapp")


def main(global_conf, **settings):
    if os.environ.get("MYAPP") == "crashes":
        raise LookupError("myapp does not start")
    config = FullStackApplicationConfigurator()
    config.update_blueprint({"root_controller": RootController(), "renderers": ["json"]})
    return config.make_wsgi_app(global_conf, settings)
"""

# The composite factories of an OpenStack service, without what is its own.
OPENSTACK = (
    pages.MYAPP
    + """

def root_app_factory(loader, global_conf, **paths):
    from paste.urlmap import urlmap_factory

    return urlmap_factory(loader, global_conf, **paths)


def pipeline_factory(loader, global_conf, **pipelines):
    *filters, name = pipelines["noauth"].split()
    made = [loader.get_filter(found) for found in filters]
    app = loader.get_app(name)
    for found in reversed(made):
        app = found(app)
    return app
"""
)

ROUTES = ("hello", "crash")
# With sentry-sdk 3 requests of Flask are named after the pattern of their route.
FLASK_ROUTES = ROUTES if sdk.MAJOR == 2 else ("/hello", "/crash")
DEPLOYMENTS = [
    Deployment("pyramid", "pserve production.ini", pages.PYRAMID, signal.SIGINT, ROUTES),
    Deployment("pyramid", "pserve pipeline.ini", pages.PYRAMID, signal.SIGINT, ROUTES),
    Deployment("pyramid", "pserve includes.ini", pages.PYRAMID, signal.SIGINT, ROUTES),
    Deployment("pyramid", "pserve kinto.ini", pages.PYRAMID, signal.SIGINT, ROUTES),
    Deployment("gunicorn", "--workers 2$"),
    Deployment("gunicorn", "--worker-class gthread --threads 4"),
    Deployment("gunicorn", "--preload"),
    Deployment("gunicorn", "--worker-class gevent", packages=("gunicorn", "gevent", "packaging")),
    Deployment("uwsgi", "production.ini", packages=("uwsgi",), ready="(WSGI app 0.*){2}", done="] GET /"),
    Deployment("uwsgi", "composite.ini", packages=("uwsgi",), ready="(WSGI app 0.*){2}", done="] GET /"),
    Deployment("uwsgi", "forked.ini", packages=("uwsgi",), done="] GET /"),
    Deployment(
        "turbogears",
        "gearbox",
        TURBOGEARS,
        signal.SIGINT,
        ("myapp.RootController.hello", "myapp.RootController.crash"),
        ("gearbox", "TurboGears2"),
    ),
    Deployment("wsgi", "wsgi:application --bind 127.0.0.1:6543 --workers 2", release="1.0"),
    Deployment("wsgi", "early:application", release="1.0"),
    Deployment("wsgi", "from_ini:application"),
    Deployment("wsgi", "ckan_wsgi:application", names=FLASK_ROUTES, files=CKAN, release="ckan@2.12.0"),
    Deployment("openstack", "gunicorn$", names=FLASK_ROUTES, files=KEYSTONE, release="keystone@30.0.0"),
    Deployment("openstack", "placement_wsgi", files=PLACEMENT, release="openstack-placement@16.0.0"),
    Deployment("several", "pserve one.ini", end=signal.SIGINT),
    Deployment(
        "openstack",
        "gunicorn wsgi",
        OPENSTACK,
        packages=("gunicorn", "oslo.middleware", "Paste", "setuptools<80"),
    ),
]


@dataclass
class Run:
    """A server that has ended, and what came of it.

    Attributes:
        answers: by path.
        exit_code: of the server.
        received: all that was reported.
        log: what it printed.
        spooled: files that were left in the spool.
    """

    answers: dict[str, bytes]
    exit_code: int
    received: Any
    log: str
    spooled: list[Any]


def started(deployment, folder, python, dsn, port, **variables):
    """Start the server of a deployment in a folder, as its page says."""
    page = pages.page(f"deployments/{deployment.page}")
    page.write(folder, port)
    pages.write_distribution(folder, "myapp", deployment.app)
    pages.write_files(folder, deployment.files)
    (folder / "sentry.dsn").write_text(dsn)
    command = pages.words(page.command(deployment.words), port, python)
    return servers.started(command, port, folder, SENTRY_DSN=dsn, PYTHONPATH=str(folder), **variables)


def ask(server, path):
    lines = [f"GET /{path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in SAMPLED.items()]
    return server.ask("\r\n".join([*lines, "", ""]).encode())


def followed(deployment, folder, python=sys.executable):
    """Start the server as the page says, ask it, and end it."""
    port = servers.free_port()
    with receiver.serve() as received, started(deployment, folder, python, received.dsn, port) as server:
        assert until(lambda: re.search(deployment.ready, server.output(), re.DOTALL), seconds=120)
        answers = {path: ask(server, path) for path in ("hello", "crash")}
        assert until(lambda: server.output().count(deployment.done) >= len(answers), seconds=120)
        if deployment.done:
            # A worker of uWSGI is busy until a moment after its line in the log, and may miss a signal then.
            time.sleep(1)
        exit_code = server.end(deployment.end)
        log = server.output()
    return Run(answers, exit_code, received, log, left_in(folder))


def left_in(folder):
    """The files that are left in the spool of a folder."""
    spool = folder / "var/sentry"
    return Spool(spool).files() if spool.exists() else []


@pytest.fixture(
    scope="module",
    params=[pytest.param(found, marks=pytest.mark.slow if found.packages else ()) for found in DEPLOYMENTS],
    ids=str,
)
def deployment(request):
    return request.param


@pytest.fixture(scope="module")
def python_with():
    """Return a function that returns the Python of an environment in which packages are installed."""
    return lambda packages: installed.python_with(*packages) if packages else sys.executable


@pytest.fixture(scope="module")
def held(deployment, tmp_path_factory, python_with):
    return followed(deployment, tmp_path_factory.mktemp("deployment"), python_with(deployment.packages))


@pytest.fixture
def run(held):
    print(held.log)
    return held


def test_app_answers(run):
    assert run.answers["hello"].startswith(b"HTTP/1.")
    assert b" 200 OK\r\n" in run.answers["hello"]
    assert b"hello from /" in run.answers["hello"]


def test_crash_is_one_error_with_its_request(run, deployment):
    (event,) = run.received.errors
    assert event["exception"]["values"][-1]["value"] == "crash of myapp"
    assert event["request"]["url"] == "http://localhost/crash"
    assert (event["environment"], event["release"]) == ("production", deployment.release)


def test_each_request_is_one_transaction(run, deployment):
    found = sorted(event["transaction"] for event in run.received.transactions)
    assert found == sorted(deployment.names)


def test_each_request_is_one_session(run):
    sessions = run.received.envelopes.sessions
    assert sum(counts.get("exited", 0) for counts in sessions) == 1
    assert sum(counts.get("crashed", 0) for counts in sessions) == 1


def test_server_ends_in_good_order_and_nothing_is_left_behind(run):
    assert (run.exit_code, run.spooled) == (0, [])


def test_all_that_is_sent_is_valid_for_sentry(run):
    assert_valid_for_sentry(run.received.envelopes)


@pytest.mark.parametrize(
    ("page", "name"),
    # Those of one page need no section of ours.
    [
        (page, name)
        for page in pages.all_pages("deployments")
        for name in page.inis
        if "/run" not in page.name
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_check_has_nothing_against_an_ini(tmp_path, monkeypatch, capsys, page, name):
    page.write(tmp_path)
    for name_of_app in ("myapp", "Zope", "ckan", "pypiserver"):
        pages.write_distribution(tmp_path, name_of_app, pages.MYAPP)
    (tmp_path / "sentry.dsn").write_text("https://key@sentry.example/1")
    monkeypatch.syspath_prepend(tmp_path)
    for variable in ("SENTRY_DSN", "ADMIN_SENTRY_DSN"):
        monkeypatch.setenv(variable, "https://key@sentry.example/1")
    assert main(["check", "--strict", str(tmp_path / name)]) == 0, capsys.readouterr().out


@pytest.fixture
def importable(tmp_path, monkeypatch):
    """A folder whose modules can be imported, and are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SENTRY_DSN", "https://key@sentry.example/1")
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


# Barbican's ini, and those of other services, are not on the page.
ADDITIONS = [
    pytest.param(page, name, id=f"{page.name} {name}")
    for page in pages.all_pages("deployments")
    for name in page.additions
    if name in page.files
]
APP = re.compile(r"^\[(app:\w+)\]\nuse = egg:myapp$", re.MULTILINE)

# An app that says which settings it was made with.
SETTINGS = (
    pages.MYAPP
    + """

def main(global_conf, **settings):
    app.settings = settings
    return app
"""
)


@pytest.mark.parametrize(("page", "name"), ADDITIONS)
def test_lines_to_add_are_all_that_a_whole_ini_has_for_sentry(page, name):
    lines = page.additions[name]
    whole = page.files[name]
    own = pages.without(whole, lines)
    assert "sentry" not in own.lower()
    assert pages.options(pages.with_lines(own, lines)) == pages.options(whole)


@pytest.mark.parametrize(
    ("page", "name"), [found for found in ADDITIONS if APP.search(found.values[0].files[found.values[1]])]
)
def test_lines_to_add_leave_the_apps_own_settings(importable, captured, page, name):
    whole = page.files[name]
    section = APP.search(whole)[1]
    own = pages.options(pages.without(whole, page.additions[name]))
    own[section] = {**own[section], "colour": "dark red", "sqlalchemy.url": "postgresql://db/production"}
    pages.write_distribution(importable, "myapp", SETTINGS)
    found = []
    for text in (pages.ini(own), pages.with_lines(pages.ini(own), page.additions[name])):
        (importable / name).write_text(text)
        sys.modules.pop("myapp", None)
        loadapp(f"config:{importable / name}", name=section.partition(":")[2])
        found.append(sys.modules["myapp"].app.settings)
    assert found[0] == found[1]
    assert found[0]["colour"] == "dark red"


def test_service_that_holds_secrets_sends_no_local_variables(importable, captured):
    lines = pages.page("deployments/openstack").additions["barbican-api-paste.ini"]
    ini = importable / "barbican-api-paste.ini"
    ini.write_text(lines.replace("[composite:main]", "[app:main]\nuse = egg:myapp"))
    pages.write_distribution(importable, "myapp", pages.MYAPP)
    pages.write_files(importable, metadata("barbican", "23.0.0"))
    app = TestApp(loadapp(f"config:{ini}"))
    app.get("/v1/secrets/0a1b2c3d-0000-1111-2222-333344445555", headers=SAMPLED)
    with pytest.raises(ZeroDivisionError):
        app.get("/crash", headers=UNSAMPLED)
    (event,) = captured.errors
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    assert [frame for frame in frames if "vars" in frame] == []
    (transaction,) = captured.transactions
    assert transaction["transaction"] == "/v1/secrets/{id}"


PYPISERVER = """
def paste_app_factory(global_conf, **settings):
    return app


def app(environ, start_response):
    environ["bottle.route"] = None
    start_response("500 Internal Server Error", [("Content-Type", "text/html")])
    return [b"<h1>Internal Server Error</h1>"]
"""


def test_crash_that_a_framework_answers_is_reported_by_its_status(importable, captured):
    pages.page("deployments/wsgi").write(importable)
    pages.write_distribution(importable, "pypiserver", PYPISERVER)
    TestApp(loadapp(f"config:{importable / 'pypiserver.ini'}")).get("/simple/", expect_errors=True)
    (event,) = captured.errors
    assert event["message"] == "HTTP status 500"
    assert (event["transaction"], event["release"]) == ("GET /simple/", "pypiserver@1.0")


DEVPI = """
from pyramid.config import Configurator
from pyramid.response import Response

import sentry_for_devpi


def crash(request):
    raise ZeroDivisionError("crash of myapp")


def make_app():
    with Configurator() as config:
        sentry_for_devpi.devpiserver_pyramid_configure(config=None, pyramid_config=config)
        config.add_route("/{user}/{index}", "/{user}/{index}")
        config.add_view(crash, route_name="/{user}/{index}")
        return config.make_wsgi_app()
"""


def test_plugin_of_an_app_with_its_own_launcher_includes_the_filter(importable, captured):
    pages.page("deployments/pyramid").write(importable)
    plugin = importable / "sentry_for_devpi.py"
    plugin.write_text(plugin.read_text().replace("/var/lib/devpi/sentry", str(importable / "spool")))
    pages.write_distribution(importable, "devpi", DEVPI)
    pages.write_files(importable, metadata("devpi-server", "6.20.3"))
    import devpi

    with pytest.raises(ZeroDivisionError):
        TestApp(devpi.make_app()).get("/root/pypi")
    (event,) = captured.errors
    assert (event["transaction"], event["release"]) == ("/{user}/{index}", "devpi-server@6.20.3")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The receivers of the shop's DSN and of the admin's, after requests to both apps."""
    port, folder = servers.free_port(), tmp_path_factory.mktemp("two")
    deployment = Deployment("several", "pserve two.ini")
    with receiver.serve() as shop, receiver.serve() as admin:
        with started(
            deployment, folder, sys.executable, shop.dsn, port, ADMIN_SENTRY_DSN=admin.dsn
        ) as server:
            for path in ("crash", "logged", "admin/crash"):
                ask(server, path)
            assert server.end(signal.SIGINT) == 0
        yield shop, admin


def test_each_dsn_gets_the_errors_of_its_app(two):
    urls = [sorted(event["request"]["url"] for event in found.errors) for found in two]
    assert urls == [["http://localhost/crash", "http://localhost/logged"], ["http://localhost/admin/crash"]]


def test_each_dsn_gets_the_transactions_of_its_app(two):
    names = [sorted(event["transaction"] for event in found.transactions) for found in two]
    assert names == [["GET /crash", "GET /logged"], ["GET /admin/crash"]]


def test_options_in_default_hold_for_both_dsns(two):
    found = {(event["environment"], event["release"]) for one in two for event in one.errors}
    assert found == {("production", "myapp@1.0")}


WAYS = {
    "pipeline": "[pipeline:main]\npipeline = sentry myapp\n[app:myapp]\nuse = egg:myapp\n",
    "filter-app": "[filter-app:main]\nuse = egg:sentry_paste\nnext = myapp\n[app:myapp]\nuse = egg:myapp\n",
    "filter-with": "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n",
    "composite": "[composite:main]\nuse = egg:sentry_paste\napp = myapp\n[app:myapp]\nuse = egg:myapp\n",
}
SENTRY_FIRST = ("filter-with", "composite")
_INI = """
[DEFAULT]
sentry.dsn = ${SENTRY_DSN}
sentry.spool_dir = %(here)s/var/sentry

[filter:sentry]
use = egg:sentry_paste

[server:main]
use = egg:waitress#main
listen = 127.0.0.1:6543
"""
UWSGI = "uwsgi --http-socket 127.0.0.1:6543 --ini-paste start.ini --master --enable-threads --need-app"
STARTS = {
    "pserve": ("pserve start.ini", ()),
    "gunicorn": ("gunicorn --paste start.ini --bind 127.0.0.1:6543", ()),
    "gunicorn --preload": ("gunicorn --paste start.ini --bind 127.0.0.1:6543 --preload", ()),
    "uwsgi": (f"{UWSGI} --py-call-uwsgi-fork-hooks", ("uwsgi",)),
    "uwsgi --lazy-apps": (f"{UWSGI} --lazy-apps", ("uwsgi",)),
    "gearbox": ("gearbox serve -c start.ini", ("gearbox", "TurboGears2", "waitress")),
}


def crash_at_start(command, way, folder, python=sys.executable):
    """Start a server whose app does not start; return the exceptions reported, and how many files wait."""
    port = servers.free_port()
    (folder / "start.ini").write_text((_INI + WAYS[way]).replace(pages.PORT, str(port)))
    pages.write_distribution(folder, "myapp", pages.MYAPP)
    with receiver.serve() as received:
        variables = servers.environment(SENTRY_DSN=received.dsn, PYTHONPATH=str(folder), MYAPP="crashes")
        ended = subprocess.run(
            pages.words(command, port, python), cwd=folder, env=variables, capture_output=True, timeout=180
        )
        print((ended.stdout + ended.stderr).decode())
        assert ended.returncode != 0
    assert_valid_for_sentry(received.envelopes)
    values = [event["exception"]["values"][-1]["value"] for event in received.errors if "exception" in event]
    return values, len(left_in(folder))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if STARTS[name][1] else ()) for name in STARTS]
)
def test_crash_at_start_up_is_reported_where_sentry_is_made_first(tmp_path, python_with, name, way):
    command, packages = STARTS[name]
    found = crash_at_start(command, way, tmp_path, python_with(packages))
    if name.startswith("uwsgi") and way == "filter-with":
        # It ends at once, without exit hooks: the error is sent by then, or waits on the disk, or both.
        assert found in ((["myapp does not start"], 0), (["myapp does not start"], 1), ([], 1))
    else:
        assert found == (["myapp does not start"] if way in SENTRY_FIRST else [], 0)


# Swift's loader: it gives filters their section's name, and writes attributes on what they return.
SWIFT = """
import sys, sentry_sdk, webtest
from swift.common.wsgi import loadapp

app = loadapp(sys.argv[1])
found = webtest.TestApp(app)
assert found.get("/hello").text == "hello from /"
assert found.get("/crash", expect_errors=True).status_int == 500
sampled = {"sentry-trace": "0123456789abcdef0123456789abcdef-0123456789abcdef-1"}
found.get("/v1/AUTH_ann/photos/cat.jpg", headers=sampled)
assert len(app._pipeline) == 6, app._pipeline
sentry_sdk.flush()
"""


@pytest.mark.slow
def test_swifts_loader_takes_the_filter(tmp_path, python_with):
    python = python_with(("swift", "webtest"))
    pages.page("deployments/openstack").write(tmp_path)
    conf = tmp_path / "proxy-server.conf"
    text = conf.read_text().replace("egg:swift#proxy", "egg:myapp").replace("dist:swift", "dist:myapp")
    conf.write_text(text.replace("/var/lib/swift/sentry", str(tmp_path / "var/sentry")))
    pages.write_distribution(tmp_path, "myapp", pages.MYAPP)
    with receiver.serve() as received:
        variables = servers.environment(SENTRY_DSN=received.dsn, PYTHONPATH=str(tmp_path))
        ended = subprocess.run(
            [python, "-c", SWIFT, str(conf)],
            env=variables,
            capture_output=True,
            encoding="utf-8",
            timeout=180,
        )
        assert ended.returncode == 0, ended.stderr
    (event,) = received.errors
    (value,) = event["exception"]["values"]
    assert (value["value"], value["mechanism"]["handled"]) == ("crash of myapp", False)
    assert event["request"]["url"] == "http://localhost/crash"
    assert "/v1/{account}/{container}/{object}" in {found["transaction"] for found in received.transactions}


def test_error_that_sigterm_kept_from_being_sent_is_sent_by_the_next_start(tmp_path):
    """pserve dies of SIGTERM at once; spool_dir has the error by then."""
    deployment = Deployment("pyramid", "pserve production.ini", pages.PYRAMID)
    with receiver.serve() as received:
        received.seconds = 60
        port = servers.free_port()
        with started(deployment, tmp_path, sys.executable, received.dsn, port) as server:
            ask(server, "crash")
            assert server.end(signal.SIGTERM) == -signal.SIGTERM
        assert received.errors == []
        received.seconds = 0
        with started(deployment, tmp_path, sys.executable, received.dsn, port) as server:
            ask(server, "hello")
            received.wait(errors=1)
            server.end(signal.SIGINT)
        assert [event["exception"]["values"][-1]["value"] for event in received.errors] == ["crash of myapp"]


MOD_WSGI = Deployment("mod_wsgi", "mod_wsgi-express")


@pytest.fixture(scope="module")
def mod_wsgi():
    """A folder that Apache's user can use, and a Python; its environment is ``venv`` in the folder."""
    server = installed.INSTALLED["mod_wsgi"]
    for program, package in server.needs:
        installed.provide(program, package)
    python = installed.python_with(*server.packages)
    with tempfile.TemporaryDirectory(prefix="sentry-paste-") as made:
        folder = Path(made)
        folder.chmod(0o777)
        (folder / "venv").symlink_to(Path(python).parents[1])
        yield folder, python


def start_mod_wsgi(mod_wsgi, dsn, port, **variables):
    """Start it as its page says, and as another user where root does it."""
    folder, python = mod_wsgi
    page = pages.page("deployments/mod_wsgi")
    page.write(folder, port)
    pages.write_distribution(folder, "myapp", pages.MYAPP)
    command = pages.words(page.command(MOD_WSGI.words), port, python)
    # What the tests need besides: a folder of the server's own, and the path of myapp, in no environment.
    command += ["--server-root", str(folder / "root"), "--python-path", str(folder)]
    command += ["--user", WEB_USER, "--group", WEB_USER] if is_root() else []
    return servers.started(command, port, folder, SENTRY_DSN=dsn, **variables)


def ask_and_end(server):
    """Ask myapp for an answer and a crash, and end its server."""
    assert b"hello from /" in ask(server, "hello")
    ask(server, "crash")
    assert server.end(signal.SIGTERM) == 0
    print(server.output())


def assert_all_is_reported(received, folder):
    (event,) = received.errors
    assert (event["exception"]["values"][-1]["value"], event["release"]) == ("crash of myapp", "myapp@1.0")
    assert sorted(found["transaction"] for found in received.transactions) == ["GET /crash", "GET /hello"]
    assert sum(counts.get("crashed", 0) for counts in received.envelopes.sessions) == 1
    assert left_in(folder) == []
    assert_valid_for_sentry(received.envelopes)


@pytest.mark.slow
def test_mod_wsgi_reports_as_its_page_says(mod_wsgi):
    folder, port = mod_wsgi[0], servers.free_port()
    with receiver.serve() as received, start_mod_wsgi(mod_wsgi, received.dsn, port) as server:
        ask_and_end(server)
    assert_all_is_reported(received, folder)


@pytest.mark.slow
def test_mod_wsgi_reports_a_crash_at_start_up(mod_wsgi):
    port = servers.free_port()
    with receiver.serve() as received:
        with start_mod_wsgi(mod_wsgi, received.dsn, port, MYAPP="crashes") as server:
            answer = ask(server, "hello")
            print(server.output(), answer)
            server.end(signal.SIGTERM)
        values = [event["exception"]["values"][-1]["value"] for event in received.errors]
    assert set(values) == {"myapp does not start"}


# What any Apache needs; the lines for the app are the page's.
HTTPD = """
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/httpd.pid
ErrorLog /dev/stderr
DefaultRuntimeDir {folder}
User {user}
Group {user}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule wsgi_module {module}
WSGISocketPrefix {folder}/wsgi
Include {folder}/myapp.conf
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not is_root(), reason="Apache runs the app as another user, which only root can have it do"
)
def test_apaches_own_mod_wsgi_reports_as_its_page_says(mod_wsgi):
    folder, python = mod_wsgi
    port = servers.free_port()
    page = pages.page("deployments/mod_wsgi")
    page.write(folder)
    # The page's app is installed in its environment.
    pages.write_distribution(folder, "myapp", pages.MYAPP)
    (site_packages,) = (folder / "venv/lib").glob("python3.*/site-packages")
    (site_packages / "myapp.pth").write_text(f"{folder}\n")
    conf = folder / "myapp.conf"
    conf.write_text(conf.read_text().replace("/srv/myapp", str(folder)))
    asked = [str(Path(python).with_name("mod_wsgi-express")), "module-location"]
    module = subprocess.run(asked, capture_output=True, encoding="utf-8", check=True).stdout.strip()
    httpd = folder / "httpd.conf"
    httpd.write_text(HTTPD.format(folder=folder, port=port, user=WEB_USER, module=module))
    command = ["/usr/sbin/apache2", "-DFOREGROUND", "-f", str(httpd)]
    with (
        receiver.serve() as received,
        servers.started(command, port, folder, SENTRY_DSN=received.dsn) as server,
    ):
        ask_and_end(server)
    assert_all_is_reported(received, folder)
