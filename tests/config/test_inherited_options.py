"""Options that a section inherits by ``use``: their file, their line and what ``set`` does to them."""

import re

import pytest
from paste.deploy import loadapp

from sentry_paste.config import ConfigError, read_ini

APP = "[app:main]\npaste.app_factory = apps:make_app\nfilter-with = sentry\n"


@pytest.fixture
def read(write_ini, monkeypatch):
    """Write base.ini and test.ini, load the app of test.ini and return the settings of its filter."""

    def load(base, child, **variables):
        found = []

        def read_and_keep(global_conf, local_conf):
            found.append(read_ini(global_conf, local_conf))
            return found[-1]

        monkeypatch.setattr("sentry_paste.factories.read_ini", read_and_keep)
        write_ini(base, "base.ini")
        loadapp(f"config:{write_ini(child)}", global_conf=variables)
        return found[0]

    return load


BASE = "[filter:sentry]\nuse = egg:sentry_paste\nserver_name = a\n"
CHILD = f"{APP}[filter:sentry]\nuse = config:base.ini#sentry\n"


@pytest.mark.parametrize("base", ["base.ini", "%(here)s/base.ini", "%(folder)s/base.ini", "base%%2eini"])
def test_mistake_is_at_its_line_of_its_file(read, tmp_path, base):
    child = f"[DEFAULT]\nfolder = {tmp_path}\n" + CHILD.replace("base.ini", base)
    with pytest.raises(ConfigError) as caught:
        read(BASE + "\nsample_rate = x\n", child + "traces_sample_rate = y\n")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{tmp_path}/test.ini [filter:sentry]: 2 mistakes")
    assert lines[1].startswith("  line 8: traces_sample_rate = y: ")
    assert lines[2].startswith(f"  {tmp_path}/base.ini [filter:sentry] line 5: sample_rate = x: ")


def test_mistake_of_another_section_of_the_file_is_there(read, tmp_path):
    child = f"{APP}[filter:sentry]\nuse = base\n[filter:base]\nuse = egg:sentry_paste\nsample_rate = x\n"
    with pytest.raises(ConfigError, match=r"test\.ini \[filter:base\] line 8: sample_rate = x"):
        read("", child + "[app:base]\nuse = egg:other\n")


def test_origin_names_the_file(read):
    settings = read(BASE, CHILD + "tags.zone = b\n")
    origins = {name: (origin.place, origin.line) for name, origin in settings.origins.items()}
    assert origins == {
        "server_name": ("[filter:sentry] of base.ini", 3),
        "tags.zone": ("[filter:sentry]", 6),
    }


def test_hidden_option_is_warned_of_at_its_line_of_its_file(read, caplog, tmp_path):
    settings = read(BASE + "debug = true\n", "[DEFAULT]\ndebug = false\n" + CHILD)
    assert settings.hidden == ("debug",)
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"{tmp_path}/base.ini [filter:sentry] line 4: debug is hidden by debug")


@pytest.mark.parametrize("name", ["debug", "sentry.debug"])
def test_default_of_the_file_that_is_inherited_from_is_not_the_command_line(read, caplog, name):
    settings = read(f"[DEFAULT]\n{name} = false\n{BASE}{name} = true\n", CHILD)
    assert settings.hidden == (name,)
    places = [origin.place for origin in settings.origins.values()]
    assert "command line" not in places
    (message,) = [record.getMessage() for record in caplog.records]
    assert f"line 6: {name} is hidden by {name} in [DEFAULT] of base.ini" in message


@pytest.mark.parametrize(
    ("base", "child", "expected", "line"),
    [
        ("", "set server_name = b\n", "b", 6),
        ("set server_name = c\n", "", "c", 4),
        ("set server_name = c\n", "set server_name = b\n", "b", 6),
        ("set server_name = c\n", "tags.x = 1\n", "c", 4),
    ],
)
def test_set_of_any_section_of_the_chain_counts_the_outermost_first(read, base, child, expected, line):
    settings = read(BASE + base, CHILD + child)
    assert settings.sdk["server_name"] == expected
    assert settings.origins["server_name"].place == "set in [filter:sentry]"
    assert settings.origins["server_name"].line == line


def test_set_of_a_section_that_inherits_in_the_same_file_counts(read):
    settings = read("", f"{APP}[filter:sentry]\nuse = base\nset server_name = b\n[filter:base]{BASE[15:]}")
    assert settings.sdk["server_name"] == "b"
    assert settings.source.endswith("[filter:sentry]")


def test_section_that_is_inherited_is_not_taken_for_one_that_sets(read):
    other = "[filter:other]\nuse = sentry\nset server_name = b\n"
    settings = read("", f"{APP}{BASE}{other}")
    assert settings.sdk["server_name"] == "a"
    assert settings.source.endswith("[filter:sentry]")


@pytest.mark.parametrize("file", ["base.ini", "test.ini"])
def test_other_name_that_is_advised_for_a_hidden_option_works(read, caplog, file):
    texts = {"base.ini": BASE, "test.ini": "[DEFAULT]\ndebug = false\n" + CHILD}
    texts[file] += "debug = true\n"
    read(*texts.values())
    advice = re.search("write (.*) instead", caplog.text)[1]
    caplog.clear()
    texts[file] = texts[file].replace("debug = true", f"{advice} = true")
    assert read(*texts.values()).sdk["debug"] is True
    assert caplog.records == []
