"""The pages of docs/moving: what was before does what is after."""

import importlib
import logging
import re

import pytest
import sentry_sdk
from paste.deploy import loadapp
from webtest import TestApp

from sentry_paste import SentryMiddleware
from sentry_paste.cli.main import main
from sentry_paste.config.aliases import ALIASES

import pages
from traced_apps import levels

AFTER = [
    (page, name)
    for page in pages.all_pages("moving")
    for name in page.inis
    if name.endswith("after.ini") and page.name != "moving/zope2instance"
]

# What is not installed here, and is not what the tests are about.
STAND_INS = """
def main(global_conf=None, **local_conf):
    return lambda app: app


def app(global_conf=None, **local_conf):
    import myapp

    return myapp.app
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Write a page's files where they can be loaded; return the folder."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name):
        page = pages.page(f"moving/{name}")
        page.write(tmp_path)
        pages.write_distribution(tmp_path, "myapp", pages.MYAPP)
        pages.write_distribution(
            tmp_path,
            "c2cwsgiutils",
            STAND_INS,
            paste_filter_factory="client_info = c2cwsgiutils:main\nsentry = c2cwsgiutils:main",
        )
        pages.write_distribution(
            tmp_path,
            "Zope",
            STAND_INS,
            paste_filter_factory="httpexceptions = Zope:main",
            paste_app_factory="main = Zope:app",
        )
        return tmp_path

    yield write
    for name in ("myapp", "c2cwsgiutils", "Zope", "before"):
        importlib.sys.modules.pop(name, None)


def settings_of(ini):
    app = loadapp(f"config:{ini}")
    assert isinstance(app, SentryMiddleware)
    return app.settings


def effect_of(ini):
    """What the options of an ini come to, however they are written."""
    settings = settings_of(ini)
    sdk = {**settings.sdk, "dsn": settings.sdk["dsn"].replace(":secret@", "@")}
    handlers = [(found.identifier, *levels(found)) for found in sdk.pop("integrations", [])]
    return sdk, handlers, settings.tags, list(settings.ignore_loggers)


def crash(ini):
    with pytest.raises(ZeroDivisionError):
        TestApp(loadapp(f"config:{ini}")).get("/crash")


@pytest.mark.parametrize(("page", "name"), AFTER, ids=lambda value: getattr(value, "name", value))
def test_what_is_after_reports_a_crash(place, captured, page, name):
    folder = place(page.name.partition("/")[2])
    crash(folder / name)
    (event,) = captured.errors
    assert event["exception"]["values"][-1]["value"] == "crash of myapp"


@pytest.mark.parametrize(("page", "name"), AFTER, ids=lambda value: getattr(value, "name", value))
def test_check_has_nothing_against_what_is_after(place, capsys, page, name):
    folder = place(page.name.partition("/")[2])
    assert main(["check", str(folder / name)]) == 0
    said = capsys.readouterr().out
    warned = re.findall(r"^  (?:high|medium) .*", said, re.MULTILINE)
    assert warned == []


def test_section_of_ravens_is_what_is_after_when_one_line_is_changed(place, caplog):
    folder = place("raven")
    before = (folder / "before.ini").read_text()
    (folder / "least.ini").write_text(before.replace("egg:raven#raven", "egg:sentry_paste"))
    assert effect_of(folder / "least.ini") == effect_of(folder / "after.ini")
    logged = " ".join(record.getMessage() for record in caplog.records if record.name == "sentry_paste")
    for name in ("include_paths", "exclude_paths", "name", "site", "string_max_length", "auto_log_stacks"):
        assert f"{name} is raven's name for {ALIASES[name].option}" in logged
    for name in ("list_max_length", "processors"):
        assert f"{name} is a raven option that has no counterpart" in logged


def test_check_says_what_to_do_with_ravens_handler(place, capsys):
    folder = place("raven")
    before = (folder / "logging-before.ini").read_text()
    ini = folder / "logging.ini"
    ini.write_text((folder / "after.ini").read_text() + before)
    main(["check", str(ini)])
    said = " ".join(capsys.readouterr().out.split())
    assert "[handler_sentry] stops the start, as raven is not installed; remove sentry from keys" in said
    assert "and from handlers in [logger_root]" in said
    assert "those of WARNING with integration.logging.event_level = WARNING" in said


def test_loader_of_c2cwsgiutils_is_checked_as_the_page_says(place, capsys, monkeypatch):
    folder = place("c2cwsgiutils")
    monkeypatch.setenv("GIT_HASH", "0123abc")
    monkeypatch.chdir(folder)
    ini = folder / "after.ini"
    text = ini.read_text().replace("release = 0123abc", "release = %(GIT_HASH)s")
    ini.write_text(text.replace("use = egg:myapp", "use = egg:myapp\nsqlalchemy.url = %(SQLALCHEMY_URL)s"))
    main(["check", "c2c://after.ini"])
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "mistake" not in captured.out
    assert "0123abc" in captured.out


def test_filter_takes_the_level_of_ravens_handler(place, captured):
    folder = place("raven")
    loadapp(f"config:{folder / 'logging-after.ini'}")
    logging.getLogger("myapp").warning("a warning")
    (event,) = captured.errors
    assert event["level"] == "warning"


def test_section_of_zope2instances_is_what_is_after_when_one_line_is_changed(place):
    folder = place("zope2instance")
    before = (folder / "before.ini").read_text()
    before = before.replace("egg:plone.recipe.zope2instance#sentry", "egg:sentry_paste")
    # First in the pipeline, as the page says.
    before = before.replace("       sentry\n", "").replace("pipeline =\n", "pipeline =\n       sentry\n")
    (folder / "least.ini").write_text(before)
    assert effect_of(folder / "least.ini") == effect_of(folder / "after.ini")
    assert main(["check", str(folder / "after.ini")]) == 0


def test_what_the_recipe_has_in_the_buildout_is_in_its_ini():
    files = pages.page("moving/zope2instance").files
    names = {"sentry_dsn": "dsn", "sentry_level": "level", "sentry_event_level": "event_level"}
    names |= {"sentry_ignore": "ignorelist", "sentry_max_value_length": "max_value_length"}
    for buildout, ini in names.items():
        value = re.search(rf"^{buildout} = (.*)$", files["before.cfg"], re.MULTILINE)[1]
        assert f"\n{ini} = {value}\n" in files["before.ini"]


def test_options_of_c2cwsgiutils_have_the_values_that_they_had(place):
    folder = place("c2cwsgiutils")
    settings = settings_of(folder / "after.ini")
    before = (folder / "before.ini").read_text() + (folder / "before.env").read_text().lower()
    for name in ("dsn", "environment", "release"):
        assert str(settings.sdk[name]) in before
    assert settings.sdk["traces_sample_rate"] == 0.1
    assert settings.tags == {"region": "eu"}
    assert list(settings.ignore_loggers) == ["sentry_sdk", "urllib3"]


def test_event_of_the_code_is_the_event_of_the_ini(place, captured, monkeypatch):
    folder = place("sdk")
    made = []
    monkeypatch.setattr(sentry_sdk, "init", lambda **options: made.append(options))
    loadapp(f"config:{folder / 'before.ini'}")
    (before,) = made
    after = dict(settings_of(folder / "after.ini").sdk)
    assert [type(found).__name__ for found in before.pop("integrations")] == ["LoggingIntegration"]
    assert [type(found).__name__ for found in after.pop("integrations")] == ["LoggingIntegration"]
    assert after == {**before, "in_app_include": after["in_app_include"]}
    assert list(after["in_app_include"]) == before["in_app_include"]


def test_filter_around_the_sdks_middleware_has_the_request(place, monkeypatch, receiver):
    folder = place("sdk")
    init = sentry_sdk.init

    def init_here(send_default_pii, **options):  # the SDK warns of send_default_pii in code
        init(**{**options, "dsn": receiver.dsn, "traces_sample_rate": 1.0})

    monkeypatch.setattr(sentry_sdk, "init", init_here)
    app = TestApp(loadapp(f"config:{folder / 'middleware.ini'}"))
    app.get("/users/1")
    with pytest.raises(ZeroDivisionError):
        app.get("/crash")
    sentry_sdk.flush()
    names = sorted(event["transaction"] for event in receiver.transactions)
    assert names == ["/users/{id}", "GET /crash"]
    assert len(receiver.errors) == 1
