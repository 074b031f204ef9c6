"""From ini to settings: precedence, all mistakes at once, what PasteDeploy hides."""

import sys

import pytest
import sentry_sdk
from hypothesis import given
from hypothesis import strategies as st
from paste.deploy import loadfilter
from sentry_sdk.integrations.logging import LoggingIntegration

from sentry_paste import ConfigError, sdk
from sentry_paste.config import Settings, read_ini, read_keywords
from sentry_paste.config.options import options


def hook(event, hint):
    return event


not_callable = 5


def read(local_conf, **global_conf):
    return read_ini({"here": "/srv", "__file__": "/srv/app.ini", **global_conf}, local_conf)


def mistakes(local_conf, **global_conf):
    with pytest.raises(ConfigError) as caught:
        read(local_conf, **global_conf)
    return str(caught.value).splitlines()


def test_values_arrive_with_their_types():
    found = read(
        {
            "dsn": "https://key@sentry.example/1",
            "traces_sample_rate": "0.5",
            "send_default_pii": "false",
            "max_breadcrumbs": "10",
            "in_app_include": "a, b",
            "before_send": "config_hooks:hook",
            "integrations": "sentry_sdk.integrations.logging:LoggingIntegration",
            "spool_dir": "var/sentry",
            "ca_certs": "/etc/ca.pem",
        }
    )
    import config_hooks

    assert found.sdk["traces_sample_rate"] == 0.5
    assert found.sdk["send_default_pii"] is False
    assert found.sdk["max_breadcrumbs"] == 10
    assert found.sdk["in_app_include"] == ["a", "b"]
    assert found.sdk["before_send"] is config_hooks.hook
    assert isinstance(found.sdk["integrations"][0], LoggingIntegration)
    assert found.sdk["ca_certs"] == "/etc/ca.pem"
    assert found.spool_dir == "/srv/var/sentry"


def test_settings_are_frozen():
    found = read({"environment": "x"})
    with pytest.raises(AttributeError):
        found.spool_dir = "y"
    with pytest.raises(TypeError):
        found.sdk["environment"] = "y"


def test_all_mistakes_are_reported_at_once():
    assert mistakes(
        {
            "dsn": "https://key:secret@sentry.example/x",
            "trace_sample_rate": "1",
            "sample_rate": "10%",
            "before_send": "nowhere:hook",
            "debug": "maybe",
            "transport": "config_hooks:not_callable",
            "traces_sampler": "config_hooks:not_callable",
            "environment": "${",
            "xyzzy": "1",
        }
    ) == [
        "/srv/app.ini: 9 mistakes in the options of sentry_paste",
        "  before_send = nowhere:hook: cannot import nowhere: ModuleNotFoundError: No module named 'nowhere'",
        "  debug = maybe: expected true or false",
        "  dsn = https://***@sentry.example/x: expected a DSN, https://KEY@HOST/PROJECT (Invalid project)",
        "  environment = ${: expected ${NAME} or ${NAME:-default}; write $$ for a dollar sign",
        "  sample_rate = 10%: expected a number from 0 to 1",
        f"  trace_sample_rate: is not an option of sentry_paste or of sentry-sdk {sentry_sdk.VERSION}; "
        "did you mean traces_sample_rate?",
        "  traces_sampler = config_hooks:not_callable: int object is not callable",
        "  transport = config_hooks:not_callable: expected a sentry_sdk.transport.Transport, a "
        "subclass of it, or a function",
        f"  xyzzy: is not an option of sentry_paste or of sentry-sdk {sentry_sdk.VERSION}",
    ]


def test_name_in_capitals_is_known_by_its_letters():
    assert mistakes({"DSN": "x"}) == [
        "/srv/app.ini: 1 mistake in the options of sentry_paste",
        f"  DSN: is not an option of sentry_paste or of sentry-sdk {sentry_sdk.VERSION}; did you mean dsn?",
    ]


@pytest.mark.parametrize("text", ["", "   ", "\n  \n", "${UNSET:-}"])
def test_option_without_a_value_is_not_given(text):
    assert dict(read({"traces_sample_rate": text}).sdk) == {}


def test_dashes_are_underscores():
    assert read({"sample-rate": "0.5"}).sdk == {"sample_rate": 0.5}


def test_environment_variable_in_a_value(monkeypatch):
    monkeypatch.setenv("RATE", "0.25")
    assert read({"traces_sample_rate": "${RATE}"}).sdk == {"traces_sample_rate": 0.25}


class TestPrefix:
    def test_prefixed_name_in_the_section(self):
        assert read({"sentry.environment": "x"}).sdk == {"environment": "x"}

    def test_prefixed_name_in_default(self):
        found = read({}, **{"sentry.environment": "x"})
        assert found.sdk == {"environment": "x"}
        assert found.origins["environment"].place == "[DEFAULT]"

    def test_section_wins_over_default(self):
        found = read({"environment": "section"}, **{"sentry.environment": "default"})
        assert found.sdk == {"environment": "section"}
        assert found.origins["environment"].place == "section"

    def test_name_given_twice_in_a_section_is_a_mistake(self):
        assert mistakes({"environment": "a", "sentry.environment": "b"})[1:] == [
            "  sentry.environment: is set twice, also as environment"
        ]

    def test_other_keys_of_default_are_not_ours(self):
        assert dict(read({}, debug="true", environment="x").sdk) == {}


class TestKeywords:
    def test_values_that_are_no_text_are_taken_as_they_are(self):
        found = read_keywords({"traces_sample_rate": 0.5, "before_send": hook, "send_default_pii": "yes"})
        assert dict(found.sdk) == {"traces_sample_rate": 0.5, "before_send": hook, "send_default_pii": True}

    def test_unknown_keyword_is_reported(self):
        with pytest.raises(ConfigError, match="did you mean traces_sample_rate"):
            read_keywords({"trace_sample_rate": 1.0})


class TestClientKey:
    def test_same_options_are_the_same_key(self):
        conf = {
            "dsn": "https://key@sentry.example/1",
            "before_send": "config_hooks:hook",
            "sample_rate": "0.5",
        }
        assert read(conf).client_key == read(dict(reversed(conf.items()))).client_key

    def test_other_options_are_another_key(self):
        assert read({"sample_rate": "0.5"}).client_key != read({"sample_rate": "0.6"}).client_key

    def test_options_of_the_request_are_not_in_it(self):
        assert read({"http_methods_to_capture": "GET"}).client_key == read({}).client_key

    def test_integrations_of_the_same_name_are_the_same_key(self):
        conf = {"integrations": "sentry_sdk.integrations.logging:LoggingIntegration"}
        assert read(conf).client_key == read(conf).client_key

    def test_other_objects_are_another_key(self):
        one, other = (
            read_keywords({"before_send": hook}),
            read_keywords({"before_send": lambda event, hint: None}),
        )
        assert one.client_key != other.client_key
        hash(one.client_key)


NAMES = st.one_of(st.sampled_from(sorted(options())), st.text(max_size=20))


@given(st.dictionaries(NAMES, st.text(max_size=30), max_size=8))
def test_any_mapping_gives_settings_or_config_error(local_conf):
    try:
        found = read_ini({}, local_conf)
    except ConfigError as error:
        found = error
    assert isinstance(found, (Settings, ConfigError))


def test_no_user_code_is_imported_where_syntax_is_wrong_before_that_is_known(monkeypatch):
    order = []
    monkeypatch.setattr(
        "sentry_paste.config.references.import_module", lambda name: order.append(name) or sys
    )
    monkeypatch.setattr(
        "sentry_paste.config.reader.expand", lambda name, text, *_: order.append("syntax") or text
    )
    mistakes({"before_send": "some.hook", "sample_rate": "x", "zzz": "y"})
    assert order == ["syntax", "syntax", "syntax", "some"]


class TestSecondReview:
    """Found by a reader of the code who tried to break it."""

    def test_class_that_cannot_be_imported_is_a_mistake_and_no_crash(self):
        _, message = mistakes({"ignore_exceptions": "nosuch_module:Error"})
        assert "cannot import nosuch_module" in message

    def test_module_that_exits_is_a_mistake(self, tmp_path, monkeypatch):
        (tmp_path / "exits_at_import.py").write_text("raise SystemExit(3)")
        monkeypatch.syspath_prepend(tmp_path)
        _, message = mistakes({"before_send": "exits_at_import:hook"})
        assert "SystemExit" in message

    @pytest.mark.parametrize("name", ["dsn", "http_proxy"])
    def test_password_is_not_in_the_mistake(self, name):
        _, message = mistakes({name: "nonsense://user:hunter2@host:x/"})
        assert "hunter2" not in message
        assert "***@host" in message

    def test_old_dsn_with_its_secret_in_a_variable(self, monkeypatch):
        monkeypatch.setenv("OLD_DSN", "https://key:secret@sentry.example/1")
        assert read_ini({}, {"dsn": "${OLD_DSN}"}).sdk["dsn"] == "https://key:secret@sentry.example/1"

    def test_whole_and_parts_of_a_scrubber_are_a_mistake(self):
        options = {"event_scrubber": "sentry_sdk.scrubber:EventScrubber", "event_scrubber.denylist": "card"}
        assert len(mistakes(options)) == 2

    def test_number_beyond_all_sizes_is_a_mistake(self):
        _, message = mistakes({"spool_max_size": "9" * 400 + " GB"})
        assert "expected" in message

    def test_long_value_is_shortened(self):
        assert all(len(message) < 600 for message in mistakes({"sample_rate": "9" * 10000, "x" * 10000: "1"}))


class TestOldAndNewNames:
    """An ini that has both names of the same thing gets one line, and the new one takes precedence."""

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ({"send_default_pii": "true"}, {"data_collection.user_info": "false"}),
            ({"include_local_variables": "true"}, {"data_collection.stack_frame_variables": "false"}),
            ({"include_source_context": "true"}, {"data_collection.frame_context_lines": "0"}),
        ],
    )
    def test_both_are_one_line(self, caplog, old, new):
        if "data_collection" not in {name for name, _, _ in sdk.client_options()}:
            pytest.skip("this sentry-sdk has no data_collection yet")
        read_ini({}, {**old, **new})
        (message,) = [record.getMessage() for record in caplog.records]
        (name,), (newer,) = old, new
        assert f"{name} has no effect: {newer} is set as well, and takes precedence" in message

    def test_one_alone_is_none(self, caplog):
        read_ini({}, {"send_default_pii": "true"})
        assert caplog.records == []


def test_enable_logs_on_the_sdk_that_ignores_it_is_warned_of(caplog, monkeypatch):
    monkeypatch.setattr(sdk.options, "VERSION", "2.68.0")
    if "enable_logs" not in {name for name, _, _ in sdk.client_options()}:
        pytest.skip("this sentry-sdk does not have the option yet")
    read_ini({}, {"enable_logs": "true"})
    assert "install 2.68.1 or newer" in caplog.text
    caplog.clear()
    read_ini({}, {"enable_logs": "false"})
    assert caplog.text == ""


def test_each_wrong_line_of_a_value_is_a_mistake_with_its_line(tmp_path):
    path = tmp_path / "app.ini"
    path.write_text(
        """\
[filter:sentry]
use = egg:sentry_paste
traces_keep = errrors

    # of the api
    /api/* status 5xx at 50%%
    slower then 2 s
    errors
fingerprints =
    KeyError -> {{ default }}, a
    mesage Task * -> a
    message -> a
    KeyError => a
error_sample_rates = KeyError 1
    ValueError 2
trace_propagation_targets =
    (
ignore_messages =
    re:(
    re:[a-
"""
    )
    with pytest.raises(ConfigError) as caught:
        loadfilter(f"config:{path}", name="sentry")
    found = [(problem.line, problem.option, problem.value) for problem in caught.value.problems]
    assert found == [
        (3, "traces_keep", "errrors"),
        (6, "traces_keep", "/api/* status 5xx at 50%"),
        (7, "traces_keep", "slower then 2 s"),
        (11, "fingerprints", "mesage Task * -> a"),
        (12, "fingerprints", "message -> a"),
        (13, "fingerprints", "KeyError => a"),
        (15, "error_sample_rates", "ValueError 2"),
        (17, "trace_propagation_targets", "("),
        (19, "ignore_messages", "re:("),
        (20, "ignore_messages", "re:[a-"),
    ]
    asked = [str(problem).partition("; ")[2] for problem in caught.value.problems]
    assert list(filter(None, asked)) == [
        "did you mean 'errors'?",
        "did you mean 'slower than 2 s'?",
        "did you mean 'message Task * -> a'?",
        "did you mean 'KeyError -> a'?",
    ]


def test_line_whose_number_is_not_known_has_that_of_its_option(tmp_path, monkeypatch):
    monkeypatch.setenv("WHAT", "nothing")
    path = tmp_path / "app.ini"
    path.write_text("[filter:sentry]\nuse = egg:sentry_paste\ntraces_keep =\n  errors\n  ${WHAT}\n")
    with pytest.raises(ConfigError, match=r"line 3: traces_keep = nothing: expected a rule"):
        loadfilter(f"config:{path}", name="sentry")


def test_nearly_built_in_exceptions_are_asked_for(caplog):
    read({"expected_exceptions": "FileNotFound"})
    assert "did you mean FileNotFoundError?" in caplog.text


@pytest.mark.parametrize("name", ["trace_response", "trace_continuation", "redact_patterns"])
def test_none_turns_off_what_would_be_inherited(name):
    found = read({name: "none"}, **{f"sentry.{name}": "server-timing"})
    assert not getattr(found, name)


def test_nearest_word_is_asked_for():
    (line,) = mistakes({"trace_continuation": "sentri, w3c"})[1:]
    assert line.endswith("not 'sentri'; did you mean sentry?")
    (line,) = mistakes({"trace_response": "none, server-timing"})[1:]
    assert "expected none, or any of server-timing, traceresponse" in line


def test_lines_of_a_value_are_told_apart_in_reports():
    found = read({"traces_keep": "\n  errors\n\n  status   500\n"})
    assert found.origins["traces_keep"].text == "errors | status 500"


def test_all_wrong_names_of_an_option_are_one_mistake():
    (line,) = mistakes({"expected_exceptions": "int, KeyError, Not*, print"})[1:]
    assert "expected names of exception classes, not 'int' and 'Not*' and 'print'; there are no" in line
    (line,) = mistakes({"expected_exceptions": "nosuch:A, zipfile:BadZip, KeyError"})[1:]
    assert line.endswith(
        "cannot import nosuch: ModuleNotFoundError: No module named 'nosuch'; zipfile has no BadZip"
    )
