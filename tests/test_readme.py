"""What README says is what happens."""

import re
import sys
import types
from pathlib import Path

import pytest
import sentry_sdk
from paste.deploy import loadapp, loadfilter

import sentry_paste
from sentry_paste import ConfigError, SentryMiddleware

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.rst").read_text(encoding="utf-8")


def blocks(language):
    """The code blocks of a language, without their indentation."""
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", README, re.MULTILINE)
    return [
        "".join(line[3:] if line.startswith("   ") else line for line in block.splitlines(True))
        for block in found
    ]


@pytest.fixture
def _environment(monkeypatch):
    monkeypatch.setenv("SENTRY_DSN", "http://key@127.0.0.1:9/1")


@pytest.mark.usefixtures("_environment")
@pytest.mark.parametrize("block", blocks("ini"), ids=lambda block: re.findall(r"\[(.*?)\]", block)[-1])
def test_every_ini_loads_and_puts_sentry_around_the_app(tmp_path, block):
    ini = tmp_path / "readme.ini"
    text = block.replace("use = egg:myapp", "paste.app_factory = apps:make_app").replace(
        "dist:myapp", "dist:PasteDeploy"
    )
    if ":main]" not in text:
        text += "[pipeline:main]\npipeline = sentry app\n[app:app]\npaste.app_factory = apps:make_app"
    ini.write_text(text)
    app = loadapp(f"config:{ini}")
    assert isinstance(app, SentryMiddleware)
    assert app.client.dsn == "http://key@127.0.0.1:9/1"


def test_every_python_block_runs(monkeypatch, tmp_path):
    middleware, helper = blocks("python")
    names = {"application": lambda environ, start_response: []}
    exec(compile(middleware, "README.rst", "exec"), names)
    assert names["application"].settings.sdk["traces_sample_rate"] == 0.1
    sentry_paste.client.registry.registry.reset()

    def crash(environ, start_response):
        return 1 / 0

    ini = tmp_path / "test.ini"
    ini.write_text(
        "[filter-app:main]\nuse = egg:sentry_paste\nnext = app\n[app:app]\npaste.app_factory = crashing:make"
    )
    monkeypatch.setitem(sys.modules, "crashing", types.SimpleNamespace(make=lambda global_conf: crash))

    names = {}
    exec(compile(helper.replace("/srv/myapp/test.ini", str(ini)), "README.rst", "exec"), names)
    names["test_crash_is_reported"]()


def test_error_is_as_shown(tmp_path):
    (tmp_path / "app.ini").write_text(
        "[filter:sentry]\nuse = egg:sentry_paste\ndsn = https://key@sentry.example/1\n"
        "trace_sample_rate = 1\nsend_default_pii = maybe\n"
    )
    with pytest.raises(ConfigError) as caught:
        loadfilter(f"config:{tmp_path}/app.ini", name="sentry")
    shown = re.search(r"::\n\n((?:    .*\n)+)", README[README.index("all mistakes in one error") :])[1]
    message = str(caught.value).replace(str(tmp_path), "/srv/myapp")
    message = message.replace(f"sentry-sdk {sentry_sdk.VERSION}", "sentry-sdk 2.75.0")
    assert [line[4:] for line in shown.splitlines()] == message.splitlines()


def test_example_ini_is_what_the_first_command_serves():
    (install, example, tests) = map(str.rstrip, blocks("console"))
    assert install == "$ pip install path/to/sentry_paste"
    assert example.endswith("pserve example.ini")
    assert tests.endswith("bin/pytest")
    assert (ROOT / "example.ini").exists()


def rows(text):
    """The rows of tables that compare: the filter's and the SDK's entry, by what they are about."""
    return {what: figures for what, *figures in re.findall(r"   \* - (.+)\n     - (.+)\n     - (.+)\n", text)}


def test_figures_are_those_of_the_comparison():
    compared = rows((ROOT / "docs/comparison.rst").read_text(encoding="utf-8"))
    shown = rows(README)
    assert len(shown) == 7
    del shown["What"]
    assert {what: compared[what] for what in shown} == shown
    ours, theirs = compared["Added to a request, sampled, sending included"]
    assert f"{ours} against {theirs.removesuffix(' µs')}" in README


def test_links_lead_to_files():
    found = re.findall(r"`[^`<]+ <((?!http)[^>]+)>`__", README.replace("\n  ", " "))
    assert len(found) > 20
    assert [path for path in found if not (ROOT / path).exists()] == []
    assert [path for path in re.findall(r"image:: (.*)", README) if not (ROOT / path).exists()] == []
