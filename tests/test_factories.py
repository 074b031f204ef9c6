"""PasteDeploy's doors, each by the way that an ini names it."""

import logging

import pytest
import sentry_sdk
from paste.deploy import loadapp
from webtest import TestApp

from sentry_paste import ConfigError, SentryMiddleware, filter_factory
from sentry_paste.client.registry import registry

import apps

APP = """
    [app:app]
    paste.app_factory = apps:make_app
"""

DOORS = {
    "filter in a pipeline": """
        [filter:sentry]
        use = egg:sentry_paste
        dsn = {dsn}
        [pipeline:main]
        pipeline = sentry app
    """,
    "filter under its second name": """
        [filter:sentry]
        use = egg:sentry_paste#sentry
        dsn = {dsn}
        [pipeline:main]
        pipeline = sentry app
    """,
    "filter-with": """
        [filter:sentry]
        use = egg:sentry-paste
        dsn = {dsn}
        [app:main]
        paste.app_factory = apps:make_app
        filter-with = sentry
    """,
    "filter-app": """
        [filter-app:main]
        use = egg:sentry_paste
        dsn = {dsn}
        next = app
    """,
    "filter-app by its own factory": """
        [filter-app:main]
        use = egg:sentry_paste#app
        dsn = {dsn}
        next = app
    """,
    "filter by filter_app_factory": """
        [filter:sentry]
        paste.filter_app_factory = sentry_paste:filter_app_factory
        dsn = {dsn}
        [pipeline:main]
        pipeline = sentry app
    """,
    "bare egg in a pipeline": """
        [DEFAULT]
        sentry.dsn = {dsn}
        [pipeline:main]
        pipeline = egg:sentry_paste app
    """,
    "use = call": """
        [filter:sentry]
        use = call:sentry_paste:filter_factory
        dsn = {dsn}
        [pipeline:main]
        pipeline = sentry app
    """,
    "paste.filter_factory": """
        [filter:sentry]
        paste.filter_factory = sentry_paste:filter_factory
        dsn = {dsn}
        [pipeline:main]
        pipeline = sentry app
    """,
    "composite": """
        [composite:main]
        use = egg:sentry_paste
        app = app
        dsn = {dsn}
    """,
    "composite by paste.composite_factory": """
        [composite:main]
        paste.composite_factory = sentry_paste:composite_factory
        app = app
        dsn = {dsn}
    """,
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_reports_a_crash(load, receiver, door):
    app = load(DOORS[door].format(dsn=receiver.dsn) + APP)
    assert isinstance(app, SentryMiddleware)
    with pytest.raises(ValueError, match="in the call"):
        TestApp(app).get("/crash")
    sentry_sdk.get_client().flush()
    receiver.wait(errors=1)
    (error,) = receiver.errors
    assert error["exception"]["values"][-1]["value"] == "in the call"


def test_filter_of_another_ini(load, write_ini, receiver):
    write_ini(f"[filter:sentry]\nuse = egg:sentry_paste\ndsn = {receiver.dsn}\nenvironment = x", "other.ini")
    app = load(
        """
        [filter:sentry]
        use = config:other.ini#sentry
        release = 7
        [pipeline:main]
        pipeline = sentry app
        """
        + APP
    )
    assert dict(app.settings.sdk) == {"dsn": receiver.dsn, "environment": "x", "release": "7"}


def test_no_dsn_and_no_client_is_the_app_itself(load):
    app = load(
        "[filter:sentry]\nuse = egg:sentry_paste\nenvironment = x\n[pipeline:main]\npipeline = sentry app\n"
        "[app:app]\npaste.app_factory = apps:make_app"
    )
    assert app is apps.by_path


@pytest.mark.parametrize("dsn", ["", "${SENTRY_DSN:-}", "  "])
def test_empty_dsn_is_no_dsn(dsn):
    assert filter_factory({}, dsn=dsn)(apps.by_path) is apps.by_path


def test_no_dsn_uses_the_client_that_is_active(receiver):
    sentry_sdk.init(dsn=receiver.dsn)
    app = filter_factory({})(apps.by_path)
    with pytest.raises(ValueError, match="in the call"):
        TestApp(app).get("/crash")
    sentry_sdk.flush()
    assert [error["request"]["url"] for error in receiver.errors] == ["http://localhost/crash"]


def test_keys_that_loaders_add_are_ignored():
    local_conf = {"__name__": "sentry", "__file__": "/etc/swift.conf"}
    assert filter_factory({"here": "/", "__file__": "/x.ini"}, **local_conf)(apps.by_path) is apps.by_path


def test_options_may_be_called_like_our_parameters():
    with pytest.raises(ConfigError, match="global_conf: is not an option"):
        filter_factory({}, global_conf="x")


def test_middleware_takes_attributes():
    app = SentryMiddleware(apps.by_path)
    app._pipeline = ["sentry", "app"]
    assert app._pipeline == ["sentry", "app"]


def test_middleware_works_without_an_ini(receiver):
    app = SentryMiddleware(apps.by_path, dsn=receiver.dsn, traces_sample_rate=1.0)
    TestApp(app).get("/answer_list")
    app.client.flush()
    receiver.wait(transactions=1)
    assert receiver.transactions[0]["transaction"] == "GET /answer_list"


def test_middleware_takes_settings_or_options(receiver):
    settings = SentryMiddleware(apps.by_path, dsn=receiver.dsn).settings
    with pytest.raises(TypeError, match="not both"):
        SentryMiddleware(apps.by_path, settings, environment="x")


class TestStartUp:
    def test_composite_reports_a_crash_of_the_factory_and_raises_it(self, load, receiver):
        with pytest.raises(LookupError, match="the app's factory crashed"):
            load(
                f"""
                [composite:main]
                use = egg:sentry_paste
                app = app
                dsn = {receiver.dsn}
                [app:app]
                paste.app_factory = apps:make_crashing_factory
                """
            )
        (error,) = receiver.errors  # without a wait: it is flushed before it is raised
        exception = error["exception"]["values"][-1]
        assert exception["value"] == "the app's factory crashed"
        assert exception["mechanism"].items() >= {"type": "paste.deploy", "handled": False}.items()

    def test_composite_without_sentry_raises_all_the_same(self, load):
        with pytest.raises(LookupError, match="the app's factory crashed"):
            load(
                """
                [composite:main]
                use = egg:sentry_paste
                app = app
                [app:app]
                paste.app_factory = apps:make_crashing_factory
                """
            )

    def test_composite_wants_the_name_of_an_app(self, load):
        with pytest.raises(ConfigError, match="app: expected the name of the app's section"):
            load("[composite:main]\nuse = egg:sentry_paste")

    def test_composite_loads_the_app_with_its_own_global_conf(self, load, captured):
        app = load(
            """
            [DEFAULT]
            debug = true
            [composite:main]
            use = egg:sentry_paste
            app = app
            [app:app]
            paste.app_factory = test_factories:remember_global_conf
            """
        )
        assert app.app.global_conf["debug"] == "true"

    @pytest.mark.parametrize(
        ("filters", "running"),
        [
            ("[pipeline:main]\npipeline = sentry app", False),
            ("[app:main]\nuse = app\nfilter-with = sentry", True),
        ],
        ids=["pipeline", "filter-with"],
    )
    def test_filter_with_starts_sentry_before_the_app(self, load, receiver, filters, running):
        app = load(
            f"[filter:sentry]\nuse = egg:sentry_paste\ndsn = {receiver.dsn}\n{filters}\n"
            "[app:app]\npaste.app_factory = test_factories:remember_global_conf"
        )
        assert app.app.sentry_was_running is running


def remember_global_conf(global_conf, **local_conf):
    def app(environ, start_response):
        raise NotImplementedError

    app.global_conf = global_conf
    app.sentry_was_running = sentry_sdk.get_client().is_active()
    return app


def test_wrong_ini_stops_the_start(write_ini):
    path = write_ini(
        "[filter:sentry]\nuse = egg:sentry_paste\ntraces_sample_rate = 10%%\n"
        "[pipeline:main]\npipeline = sentry app\n[app:app]\npaste.app_factory = apps:make_app"
    )
    with pytest.raises(ConfigError) as caught:
        loadapp(f"config:{path}")
    assert str(caught.value) == (
        f"{path} [filter:sentry]: 1 mistake in the options of sentry_paste\n"
        "  line 3: traces_sample_rate = 10%: expected a number from 0 to 1"
    )


def test_nothing_is_logged_for_a_right_ini(load, captured, caplog):
    caplog.set_level(logging.DEBUG, "sentry_paste")
    TestApp(load(DOORS["filter in a pipeline"].format(dsn="") + APP)).get("/answer_list")
    assert caplog.records == []
    assert len(registry.clients()) == 1
