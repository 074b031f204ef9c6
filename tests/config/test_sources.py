"""Which of several sources takes precedence, and what the reader warns of."""

import logging
import os
import subprocess
import sys

import pytest

from sentry_paste import ConfigError
from sentry_paste.config import read_ini

APP = """
    [pipeline:main]
    pipeline = sentry app
    [app:app]
    paste.app_factory = apps:make_app
"""

SECTION = """
    [filter:sentry]
    use = egg:sentry_paste
    dsn = http://key@127.0.0.1:9/1
    environment = section
"""


@pytest.fixture
def environment(load):
    """The environment that an ini gives, and where it comes from."""

    def environment(text, **global_conf):
        settings = load(text, global_conf=global_conf).settings
        origin = settings.origins.get("environment")
        return settings.sdk.get("environment"), origin and (origin.place, origin.line)

    return environment


DSN = "    [filter:sentry]\n    use = egg:sentry_paste\n    dsn = http://key@127.0.0.1:9/1\n"


def test_section(environment):
    assert environment(SECTION + APP) == ("section", ("[filter:sentry]", 5))


def test_default_is_below_the_section(environment):
    assert environment(
        "\n    [DEFAULT]\n    sentry.environment = default" + DSN.replace("    [", "\n    [", 1) + APP
    ) == (
        "default",
        ("[DEFAULT]", 3),
    )
    assert environment("\n    [DEFAULT]\n    sentry.environment = default" + SECTION + APP)[0] == "section"


def test_variable_of_the_environment_is_below_default(environment, monkeypatch):
    monkeypatch.setenv("SENTRY_ENVIRONMENT", "variable")
    assert environment("\n" + DSN + APP) == ("variable", ("environment", None))
    assert environment("\n    [DEFAULT]\n    sentry.environment = default\n" + DSN + APP)[0] == "default"


def test_set_is_above_the_section(environment):
    text = SECTION + "    set environment = by set\n" + APP
    assert environment(text) == ("by set", ("set in [filter:sentry]", 6))


def test_set_is_above_default_of_the_same_name(environment):
    text = "\n    [DEFAULT]\n    environment = of the app" + SECTION + "    set environment = by set\n" + APP
    assert environment(text)[0] == "by set"


def test_command_line_is_above_the_section(environment):
    assert environment(SECTION + APP, environment="typed") == ("typed", ("command line", None))


def test_prefixed_name_on_the_command_line(environment):
    assert environment("\n" + DSN + APP, **{"sentry.environment": "typed"}) == (
        "typed",
        ("command line", None),
    )
    assert environment(SECTION + APP, **{"sentry.environment": "typed"})[0] == "typed"


def test_command_line_of_the_app_is_not_ours(environment):
    assert environment("\n" + DSN + APP, environment="the app's") == (None, None)


def test_default_of_the_app_is_not_ours(environment, caplog):
    assert environment("\n    [DEFAULT]\n    environment = the app's\n" + DSN + APP) == (None, None)
    assert caplog.records == []


def test_option_that_default_hides_is_logged_with_name_and_line(environment, caplog, tmp_path):
    assert environment("\n    [DEFAULT]\n    environment = the app's" + SECTION + APP) == (None, None)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        f"{tmp_path}/test.ini [filter:sentry] line 7: environment is hidden by environment in [DEFAULT] "
        "of test.ini; write sentry.environment instead"
    )


def test_default_of_a_file_hides_options_of_the_file_that_it_uses(load, write_ini, caplog, tmp_path):
    write_ini(SECTION + APP, "base.ini")
    load("[DEFAULT]\nenvironment = the app's\n[app:main]\nuse = config:base.ini\n")
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{tmp_path}/base.ini [filter:sentry] line 5: environment is hidden by environment in [DEFAULT] "
        "of test.ini; write sentry.environment instead"
    )


def test_empty_value_falls_through_to_the_environment(environment, monkeypatch):
    monkeypatch.setenv("SENTRY_ENVIRONMENT", "variable")
    assert environment("\n" + DSN + "    environment = ${UNSET:-}\n" + APP)[0] == "variable"


def test_other_filter_of_the_same_file_does_not_speak_for_this_one(environment):
    other = "\n    [filter:other]\n    use = egg:sentry_paste\n    set environment = other\n    release = 2\n"
    assert environment(SECTION + other + APP)[0] == "section"


class TestMistakes:
    """A mistake names file, section and line, and what the parser did to the value."""

    def mistakes(self, write_ini, text):
        from paste.deploy import loadapp

        path = write_ini(text)
        with pytest.raises(ConfigError) as caught:
            loadapp(f"config:{path}")
        return str(caught.value).replace(str(path), "test.ini").splitlines()

    def test_file_section_and_line(self, write_ini):
        assert self.mistakes(write_ini, SECTION + "    sample_rate = 2\n    relaese = 1\n" + APP)[:2] == [
            "test.ini [filter:sentry]: 2 mistakes in the options of sentry_paste",
            "  line 6: sample_rate = 2: expected a number from 0 to 1",
        ]

    def test_file_that_another_one_uses(self, write_ini, tmp_path):
        write_ini(SECTION + "    sample_rate = 2\n" + APP, "base.ini")
        write_ini("[filter:sentry]\nuse = egg:sentry_paste\nsample_rate = 1\n", "other.ini")
        text = "[app:main]\nuse = config:%(here)s/base.ini\n[app:other]\nuse = config:other.ini#x\n"
        assert self.mistakes(write_ini, text) == [
            f"{tmp_path}/base.ini [filter:sentry]: 1 mistake in the options of sentry_paste",
            "  line 6: sample_rate = 2: expected a number from 0 to 1",
        ]

    def test_files_that_use_each_other(self, write_ini, tmp_path):
        write_ini("[app:a]\nuse = config:test.ini#main\n", "a.ini")
        base = SECTION + "    sample_rate = 2\n    [app:b]\n    use = config:a.ini\n" + APP
        write_ini(base, "b b.ini")
        text = "[app:a]\nuse = config:a.ini\n[app:main]\nuse = config:b%%20b.ini\n"
        (message, _) = self.mistakes(write_ini, text)
        assert message.startswith(f"{tmp_path}/b b.ini [filter:sentry]: 1 mistake")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name here")
    def test_pipe_that_a_value_names_is_not_waited_for(self, write_ini, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        base = write_ini(SECTION, "base.ini")
        outer = write_ini("[app:main]\nuse = config:base.ini\nlog = config:pipe\n")
        start = (
            "from paste.deploy import loadfilter\n"
            f"loadfilter('config:{base}', 'sentry', global_conf={{'__file__': {str(outer)!r}}})\n"
        )
        subprocess.run([sys.executable, "-c", start], check=True, timeout=180)

    def test_comment_that_is_left_in_a_value(self, write_ini):
        text = SECTION.replace("/1\n", "/1   ; of the shop\n") + "    sample_rate = 0.5 # half\n" + APP
        dsn, rate = self.mistakes(write_ini, text)[1:]
        assert dsn.startswith("  line 4: dsn = http://***@127.0.0.1:9/1 ; of the shop: expected a DSN")
        for message, comment in ((dsn, "; of the shop"), (rate, "# half")):
            assert message.endswith(f"; '{comment}' looks like a comment; put it on a separate line")

    def test_credentials_in_a_comment_are_not_shown(self, write_ini):
        text = SECTION + "    sample_rate = 0.5 # half of http://ada:hunter2@shop.example\n" + APP
        (message,) = self.mistakes(write_ini, text)[1:]
        assert "'# half of http://***@shop.example' looks like a comment" in message
        assert "hunter2" not in message

    def test_colon_that_ends_a_name(self, write_ini):
        text = SECTION + "    integration.logging:level = INFO\n" + APP
        assert self.mistakes(write_ini, text)[1:] == [
            "  line 6: integration.logging: is not an option: the colon ends its name in "
            "'integration.logging:level = INFO'; use dots instead"
        ]

    def test_secret_after_a_colon_is_not_shown(self, write_ini):
        text = SECTION + "    contexts.db:password = hunter2\n" + APP
        assert self.mistakes(write_ini, text)[1:] == [
            "  line 6: contexts.db: is not an option: the colon ends its name in "
            "'contexts.db:password = ***'; use dots instead"
        ]
        (message,) = self.mistakes(
            write_ini, SECTION.replace("dsn = ", "dsn: ").replace("/1", "/x?y=z") + APP
        )[1:]
        assert "//***@" in message
        assert "//k" not in message

    def test_mistake_in_default(self, write_ini):
        text = "\n    [DEFAULT]\n    sentry.sample_rate = x\n" + DSN + APP
        assert self.mistakes(write_ini, text)[1:] == [
            "  line 3: sentry.sample_rate = x: expected a number from 0 to 1"
        ]

    def test_mistake_in_a_variable(self, write_ini, monkeypatch):
        monkeypatch.setenv("SENTRY_DSN", "https://key:secret@sentry.example/shop")
        text = "\n    [filter:sentry]\n    use = egg:sentry_paste\n" + APP
        (line,) = self.mistakes(write_ini, text)[1:]
        assert line.startswith("  SENTRY_DSN = https://***@sentry.example/shop: expected a DSN")

    def test_ambiguous_section(self, write_ini):
        same = "    use = egg:sentry_paste\n    sample_rate = 2\n"
        text = "\n    [filter:sentry]\n" + same + "    [filter:second]\n" + same + APP
        assert self.mistakes(write_ini, text) == [
            "test.ini: 1 mistake in the options of sentry_paste",
            "  sample_rate = 2: expected a number from 0 to 1",
        ]

    def test_inherited_section(self, write_ini):
        text = (
            SECTION
            + "    [filter:second]\n    use = sentry\n    sample_rate = 2\n"
            + APP.replace("= sentry", "= second")
        )
        assert self.mistakes(write_ini, text) == [
            "test.ini [filter:second]: 1 mistake in the options of sentry_paste",
            "  line 8: sample_rate = 2: expected a number from 0 to 1",
        ]

    def test_section_of_another_file(self, write_ini):
        write_ini("[filter:sentry]\nuse = egg:sentry_paste\nenvironment = x", "other.ini")
        text = "\n    [filter:sentry]\n    use = config:other.ini#sentry\n    sample_rate = 2\n" + APP
        assert self.mistakes(write_ini, text) == [
            "test.ini [filter:sentry]: 1 mistake in the options of sentry_paste",
            "  line 4: sample_rate = 2: expected a number from 0 to 1",
        ]


class TestWarnings:
    """What is allowed but was probably not meant is logged once."""

    def messages(self, load, caplog, text):
        load(text)
        return [record.getMessage().partition(": ")[2] for record in caplog.records]

    def test_comment_in_a_text(self, load, caplog):
        text = SECTION.replace("= section", "= section ; note") + APP
        assert self.messages(load, caplog, text) == [
            "environment = section ; note: put comments on separate lines"
        ]

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ('environment = "production"', 'environment = "production"'),
            ("server_name = 'a b'", "server_name = 'a b'"),
            ('tags.kitchen = "north"', 'tags.kitchen = "north"'),
            ('server_name = ${NOT_SET:-"a"}', 'server_name = "a"'),
        ],
    )
    def test_quotes_around_a_value(self, load, caplog, line, message):
        load(DSN + f"    {line}\n" + APP)
        (record,) = [one for one in caplog.records if "quotes" in one.getMessage()]
        assert record.getMessage().endswith(f"{message}: the quotes are part of the value")

    @pytest.mark.parametrize("value", ['"', '""', '"a" or "b"', "it's", "'a"])
    def test_other_quotes_are_nobodys_mistake(self, load, caplog, value):
        load(DSN + f"    tags.a = {value}\n" + APP)
        assert caplog.records == []

    def test_doubled_percent_sign(self, load, caplog):
        text = SECTION + "    server_name = 50%%%% off\n" + APP
        assert self.messages(load, caplog, text) == [
            "server_name contains %%: PasteDeploy has already replaced each %% in the file by one %"
        ]


def test_factory_without_a_file_reads_what_it_is_given():
    settings = read_ini({}, {"environment": "x"})
    assert settings.sdk == {"environment": "x"}
    assert settings.origins["environment"].place == "section"


def test_secrets_are_not_in_the_origins():
    settings = read_ini({}, {"dsn": "https://key:secret@sentry.example/1"})
    assert settings.origins["dsn"].text == "https://***@sentry.example/1"


def test_headers_for_a_proxy_are_not_in_the_origins():
    settings = read_ini(
        {}, {"proxy_headers.Proxy-Authorization": "Basic c2VjcmV0", "proxy_headers": "X: secret"}
    )
    assert {origin.text for origin in settings.origins.values()} == {"***"}


def test_empty_value_of_the_section_lets_default_hold(environment):
    text = "\n    [DEFAULT]\n    sentry.environment = default" + SECTION.replace("= section", "=") + APP
    assert environment(text)[0] == "default"


def test_command_line_is_above_the_files_default(environment):
    text = "\n    [DEFAULT]\n    sentry.environment = default\n" + DSN + APP
    assert environment(text, **{"sentry.environment": "given"}) == ("given", ("command line", None))


def test_value_in_a_warning_has_no_secret(load, caplog):
    load(DSN + "    tags.api_token = hunter2 ; old\n" + APP)
    (record,) = caplog.records
    assert "hunter2" not in record.getMessage()


def test_settings_of_python_code_next_to_a_file(write_ini):
    """As Pyramid's settings are, where the file has a filter section too."""
    path = str(write_ini(SECTION + APP))
    settings = read_ini({"__file__": path, "sentry.traces_sample_rate": 0.5, "sentry.dsn": None}, {})
    assert settings.sdk == {"traces_sample_rate": 0.5}


class TestVariableThatIsNotSet:
    """The warning names what is used instead, if nothing is left of the option's text."""

    def load(self, load, caplog, option, before=""):
        caplog.clear()
        section = f"    [filter:sentry]\n    use = egg:sentry_paste\n    {option}\n"
        app = load(f"{before}\n{section}{APP}")
        (text,) = [text for text in caplog.messages if "is not set" in text]
        return getattr(app, "settings", None), text.partition(" is not set")[2]

    def test_dsn_of_the_environment_takes_its_place(self, load, caplog, monkeypatch):
        monkeypatch.setenv("SENTRY_DSN", "http://key@127.0.0.1:9/1")
        settings, message = self.load(load, caplog, "dsn = ${ADMIN_SENTRY_DSN}")
        assert message == "; SENTRY_DSN is used instead"
        assert settings.sdk["dsn"] == "http://key@127.0.0.1:9/1"

    def test_option_of_default_takes_its_place(self, load, caplog, monkeypatch):
        monkeypatch.setenv("SENTRY_ENVIRONMENT", "environment")
        option = "dsn = http://key@127.0.0.1:9/1\n    environment = ${STAGE}"
        before = "    [DEFAULT]\n    sentry.environment = default"
        settings, message = self.load(load, caplog, option, before)
        assert message == "; sentry.environment in [DEFAULT] is used instead"
        assert settings.sdk["environment"] == "default"

    def test_nothing_takes_the_place_of_a_part(self, load, caplog, monkeypatch):
        monkeypatch.setenv("SENTRY_RELEASE", "environment")
        option = "dsn = http://key@127.0.0.1:9/1\n    release = shop@${VERSION}"
        settings, message = self.load(load, caplog, option)
        assert (message, settings.sdk["release"]) == ("", "shop@")

    def test_nothing_takes_its_place_where_nothing_is_given(self, load, caplog):
        _, message = self.load(load, caplog, "dsn = ${ADMIN_SENTRY_DSN}\n    release = 1")
        assert message == ""

    def test_file_of_the_dsn_is_before_the_environment(self, load, caplog, monkeypatch, tmp_path):
        monkeypatch.setenv("SENTRY_DSN", "http://other@127.0.0.1:9/1")
        (tmp_path / "dsn").write_text("http://key@127.0.0.1:9/1\n")
        settings, message = self.load(load, caplog, "dsn = ${ADMIN_SENTRY_DSN}\n    dsn_file = dsn")
        assert (message, settings.sdk["dsn"]) == ("", "http://key@127.0.0.1:9/1")
