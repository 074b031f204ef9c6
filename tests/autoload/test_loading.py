"""What PasteDeploy loads once it is patched: Sentry around the outermost app, once, unless the ini has it."""

import contextlib
import logging

import pytest
from paste.deploy import appconfig, loadapp, loadfilter, loadserver, loadwsgi

from sentry_paste import ConfigError, SentryMiddleware
from sentry_paste.autoload import loading, patch
from sentry_paste.autoload.loading import announce_own
from sentry_paste.client.registry import registry

import pages
from wsgi_calls import call, environ_of

APP = "[app:main]\npaste.app_factory = apps:make_app\n"
OPENSTACK = """
def pipeline_factory(loader, global_conf, **pipelines):
    *filters, name = pipelines["noauth"].split()
    made = [loader.get_filter(found) for found in filters]
    app = loader.get_app(name)
    for found in reversed(made):
        app = found(app)
    return app
"""
INNER = "[app:app]\npaste.app_factory = apps:make_app\n"
# A sub-app in each place where PasteDeploy has one.
STRUCTURES = {
    "app": APP,
    "use": f"[app:main]\nuse = app\n{INNER}",
    "pipeline": f"[pipeline:main]\npipeline = egg:PasteDeploy#prefix app\n{INNER}",
    "filter-with": f"{APP}filter-with = prefix\n[filter:prefix]\nuse = egg:PasteDeploy#prefix\n",
    "filter-app": f"[filter-app:main]\nuse = egg:PasteDeploy#prefix\nnext = app\n{INNER}",
    "urlmap": f"[composite:main]\nuse = egg:Paste#urlmap\n/ = app\n/again = app\n{INNER}",
    "mounted": "[composite:main]\nuse = egg:Paste#urlmap\n/ = config:inner.ini\n",
    "inherited": "[app:main]\nuse = config:inner.ini\nextra = 1\n",
}
OURS = "[filter:sentry]\nuse = egg:sentry_paste\nenvironment = of-the-ini\n"
WITH_OURS = {
    "pipeline": f"{OURS}[pipeline:main]\npipeline = sentry app\n{INNER}",
    "filter-with": f"{OURS}{APP}filter-with = sentry\n",
    "filter-app": f"[filter-app:main]\nuse = egg:sentry_paste#app\nnext = app\n{INNER}",
    "bare": f"[pipeline:main]\npipeline = egg:sentry_paste app\n{INNER}",
    "composite": f"[composite:main]\nuse = egg:sentry_paste\napp = app\n{INNER}",
    "mounted": f"{OURS}[composite:main]\nuse = egg:Paste#urlmap\n/ = app\n{INNER}filter-with = sentry\n",
    "mounted file": "[composite:main]\nuse = egg:Paste#urlmap\n/ = config:sentry.ini\n",
}


@pytest.fixture(autouse=True)
def patched(monkeypatch, write_ini):
    monkeypatch.setattr(loadwsgi.LoaderContext, "create", loadwsgi.LoaderContext.create)
    monkeypatch.setattr(loadwsgi, "loadcontext", loadwsgi.loadcontext)
    monkeypatch.setenv("SENTRY_PASTE_DSN", "https://key@sentry.example/1")
    announce_own.cache_clear()
    write_ini(APP, "inner.ini")
    write_ini(f"{OURS}{APP}filter-with = sentry\n", "sentry.ini")
    patch(loadwsgi)


def layers(app):
    """The middlewares of ours around an app, in the order in which a request passes them."""
    found, seen = [], set()
    while app is not None and id(app) not in seen:
        seen.add(id(app))
        if isinstance(app, SentryMiddleware):
            found.append(app)
        inner = vars(app).get("app") if hasattr(app, "__dict__") else None
        applications = vars(app).get("applications") if hasattr(app, "__dict__") else None
        app = inner or (applications[-1][1] if applications else None)
    return found


@pytest.mark.parametrize("name", STRUCTURES)
def test_sentry_is_around_the_outermost_app_once(load, captured, name):
    app = load(STRUCTURES[name])
    assert layers(app) == [app]


@pytest.mark.parametrize("name", STRUCTURES)
def test_crash_is_reported_once(load, captured, name):
    with contextlib.suppress(Exception):
        call(load(STRUCTURES[name]), environ_of("/crash"))
    assert len(captured.errors) == 1


@pytest.mark.parametrize("name", WITH_OURS)
def test_filter_in_the_ini_is_the_only_one(load, captured, caplog, monkeypatch, name):
    monkeypatch.setenv("SENTRY_DSN", "https://key@sentry.example/2")
    caplog.set_level(logging.INFO, "sentry_paste")
    (found,) = layers(load(WITH_OURS[name]))
    assert found.settings.source != "environment"
    assert "sentry-paste run adds no filter to" in caplog.text
    # The ini's client serves the threads of the process.
    assert registry.clients() == [found.client]


@pytest.mark.parametrize("with_ours", [True, False])
def test_composite_of_openstack_that_loads_filters_itself(load, captured, monkeypatch, tmp_path, with_ours):
    pages.write_distribution(tmp_path, "openstackapp", OPENSTACK)
    monkeypatch.syspath_prepend(tmp_path)
    app = load(
        "[composite:main]\npaste.composite_factory = openstackapp:pipeline_factory\n"
        f"noauth = {'sentry ' if with_ours else ''}prefix app\n"
        f"{OURS}[filter:prefix]\nuse = egg:PasteDeploy#prefix\n{INNER}"
    )
    assert layers(app) == [app]
    assert (app.settings.sdk.get("environment") == "of-the-ini") is with_ours


def test_includes_of_pyramid_is_the_only_one(load, captured, caplog, monkeypatch, tmp_path):
    caplog.set_level(logging.INFO, "sentry_paste")
    pages.write_distribution(tmp_path, "includingapp", pages.PYRAMID)
    monkeypatch.syspath_prepend(tmp_path)
    app = load("[app:main]\nuse = egg:includingapp\npyramid.includes =\n  sentry_paste\n")
    assert not isinstance(app, SentryMiddleware)
    assert "adds no filter" in caplog.text


RECORDING = """
class App:
    def __init__(self, settings):
        self.received = settings

    def __call__(self, environ, start_response):
        start_response("200 OK", [])
        return []


def main(global_conf, **settings):
    return App(settings)
"""


def test_inherited_options_are_those_without_sentry(load, write_ini, captured, monkeypatch, tmp_path):
    """With ``filter-with = sentry`` in the base, the filter would receive what is meant for the app."""
    pages.write_distribution(tmp_path, "recordingapp", RECORDING)
    monkeypatch.syspath_prepend(tmp_path)
    write_ini("[app:main]\nuse = egg:recordingapp\ndb = production\n", "base.ini")
    app = load("[app:main]\nuse = config:base.ini\ndb = test\n")
    assert isinstance(app, SentryMiddleware)
    assert app.received == {"db": "test"}


def test_our_inbox_is_no_filter(load, captured, monkeypatch, tmp_path):
    monkeypatch.setenv("INBOX_TOKEN", "of-the-environment-1234")
    app = load(
        f"[composite:main]\nuse = egg:Paste#urlmap\n/ = app\n/inbox = inbox\n{INNER}"
        "[app:inbox]\nuse = egg:sentry_paste#inbox\nspool_dir = var\ninbox_token = ${INBOX_TOKEN}\n"
    )
    assert layers(app) == [app]


def test_unused_section_of_ours_is_no_filter(load, captured):
    app = load(OURS + APP)
    assert isinstance(app, SentryMiddleware)
    assert app.settings.sdk["dsn"] == "https://key@sentry.example/1"


def test_other_objects_are_as_before(write_ini, captured):
    path = write_ini(
        APP + "[filter:prefix]\nuse = egg:PasteDeploy#prefix\n[server:main]\nuse = egg:waitress#main\n"
    )
    assert not isinstance(loadfilter(f"config:{path}", "prefix")(None), SentryMiddleware)
    assert callable(loadserver(f"config:{path}"))
    assert appconfig(f"config:{path}").context.object_type is loadwsgi.APP
    assert registry.clients() == []


def test_app_that_a_request_loads_is_not_wrapped_again(load, write_ini, captured):
    path = write_ini(APP, "late.ini")
    loaded = []

    def app(environ, start_response):
        loaded.append(loadapp(f"config:{path}"))
        return loaded[0](environ, start_response)

    call(SentryMiddleware(app, dsn="https://key@sentry.example/1"), environ_of("/"))
    assert layers(loaded[0]) == []


def test_two_inis_of_a_process_share_a_client(write_ini, captured):
    apps = [loadapp(f"config:{write_ini(APP, name)}") for name in ("one.ini", "two.ini")]
    assert apps[0].client is apps[1].client


def test_wrong_option_stops_the_start(load, monkeypatch):
    monkeypatch.setenv("SENTRY_PASTE_SAMPLE_RATE", "2")
    with pytest.raises(ConfigError, match="SENTRY_PASTE_SAMPLE_RATE = 2: expected a number from 0 to 1"):
        load(APP)


def test_without_anything_to_report_to_the_app_is_itself_and_the_log_says_so(load, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "sentry_paste")
    monkeypatch.delenv("SENTRY_PASTE_DSN")
    assert not isinstance(load(APP), SentryMiddleware)
    assert "test.ini: set dsn or spool_dir" in caplog.text


def test_what_cannot_be_called_is_no_app(load, captured):
    assert load("[app:main]\npaste.app_factory = builtins:dict\nx = 1\n")["x"] == "1"


def test_crash_at_start_up_is_reported_and_raised(load, captured):
    with pytest.raises(LookupError):
        load("[composite:main]\nuse = egg:Paste#urlmap\n/ = missing\n")
    (event,) = captured.errors
    mechanism = event["exception"]["values"][-1]["mechanism"]
    assert (mechanism["type"], mechanism["handled"]) == ("paste.deploy", False)


def test_app_that_is_loaded_after_a_failure_is_wrapped(load, captured):
    with pytest.raises(LookupError):
        load("[composite:main]\nuse = egg:Paste#urlmap\n/ = missing\n")
    assert isinstance(load(APP), SentryMiddleware)


@pytest.mark.parametrize("name", ["pipeline", "filter-with", "mounted"])
@pytest.mark.parametrize("option", ["", "spool_dir = %(here)s/spool\n"])
def test_filter_in_the_ini_that_reports_nothing_is_warned_of(load, caplog, monkeypatch, name, option):
    monkeypatch.delenv("SENTRY_DSN", raising=False)
    app = load(WITH_OURS[name].replace("environment = of-the-ini\n", option))
    assert bool(layers(app)) is bool(option)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any(warning.endswith("nothing is reported") for warning in warnings) is not bool(option)


def test_comment_does_not_mention_a_filter(load, captured, monkeypatch):
    loads = []

    def load_with_client(settings, create):
        loads.append(settings)
        return create()

    monkeypatch.setattr(loading, "load_with_client", load_with_client)
    load(f"# filter-with = egg:sentry_paste\n; egg:sentry_paste\n{APP}")
    assert len(loads) == 1
