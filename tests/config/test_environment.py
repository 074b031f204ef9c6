"""``SENTRY_PASTE_<OPTION>`` variables, the file of ``sentry-paste run``, and which takes precedence."""

import contextlib

import pytest

from sentry_paste import ConfigError
from sentry_paste.config.options import default_text, options
from sentry_paste.config.variables import read_environment, variable_of

DSN = "https://key@sentry.example/1"


@pytest.fixture
def read(tmp_path):
    """Read variables, and the text of a file if there is one."""

    def read(text=None, **variables):
        if text is not None:
            path = tmp_path / "options.ini"
            path.write_text(text, encoding="utf-8")
            variables["SENTRY_PASTE_CONFIG"] = str(path)
        return read_environment({"HOME": "/root", **variables})

    return read


def mistakes(caught):
    return str(caught.value).splitlines()[1:]


@pytest.mark.parametrize(
    "option", [o for o in options().values() if o.name.isidentifier()], ids=lambda o: o.name
)
def test_every_option_has_a_variable(read, option):
    variable = variable_of(option.name)
    assert variable.startswith("SENTRY_PASTE_")
    value = default_text(option) or "wrong value"
    if default_text(option):
        assert read(**{variable: value}).origins[option.name].place == f"environment {variable}"
        return
    with contextlib.suppress(ConfigError):
        settings = read(**{variable: value})
        assert option.name in settings.origins
        return
    with pytest.raises(ConfigError) as caught:
        read(**{variable: value})
    assert {line.split()[0].strip(":") for line in mistakes(caught)} == {variable}


def test_parts_of_options_have_variables_with_two_underscores_for_dots(read):
    settings = read(
        SENTRY_PASTE_TAGS__REGION="eu",
        SENTRY_PASTE_CONTEXTS__DEPLOYMENT__RACK="12",
        SENTRY_PASTE_INTEGRATION__LOGGING__EVENT_LEVEL="WARNING",
    )
    assert settings.tags == {"region": "eu"}
    assert settings.contexts == {"deployment": {"rack": 12}}
    assert [type(found).__name__ for found in settings.sdk["integrations"]] == ["LoggingIntegration"]


def test_values_are_text_of_an_ini(read):
    settings = read(SENTRY_PASTE_IGNORE_PATHS="/health\n/static/*", SENTRY_PASTE_SEND_DEFAULT_PII="no")
    assert settings.ignore_paths == ("/health", "/static/*")
    assert settings.sdk["send_default_pii"] is False


def test_other_variables_are_put_in(read, monkeypatch):
    monkeypatch.setenv("STAGE", "staging")
    assert read(SENTRY_PASTE_ENVIRONMENT="${STAGE}").sdk["environment"] == "staging"


def test_empty_variable_counts_as_not_set(read):
    assert read("[sentry]\nrelease = 1", SENTRY_PASTE_RELEASE=" ").sdk["release"] == "1"


@pytest.mark.parametrize("section", ["sentry", "filter:sentry"])
@pytest.mark.parametrize(
    "loader", ["", "use = egg:sentry_paste\n", "paste.filter_factory = sentry_paste:filter_factory\n"]
)
def test_file_has_the_options_in_a_section(read, section, loader):
    assert read(f"[{section}]\n{loader}release = 1\n").sdk["release"] == "1"


def test_section_of_a_filter_goes_first(read):
    assert read("[sentry]\nrelease = 1\n[filter:sentry]\nrelease = 2").sdk["release"] == "2"


def test_section_without_a_kind_may_name_the_factory(read):
    assert read("[sentry]\nuse = egg:sentry_paste\nrelease = 1").sdk["release"] == "1"


def test_section_may_inherit(read, tmp_path):
    (tmp_path / "base.ini").write_text("[filter:sentry]\nuse = egg:sentry_paste\nrelease = 1\ndist = a\n")
    settings = read("[filter:sentry]\nuse = config:base.ini#sentry\ndist = b")
    assert (settings.sdk["release"], settings.sdk["dist"]) == ("1", "b")


def test_paths_are_relative_to_the_file(read, tmp_path):
    assert read("[sentry]\nspool_dir = var", SENTRY_PASTE_CA_CERTS="ca.pem").spool_dir == str(
        tmp_path / "var"
    )
    assert read("[sentry]", SENTRY_PASTE_CA_CERTS="ca.pem").sdk["ca_certs"] == str(tmp_path / "ca.pem")
    assert read("[sentry]\nspool_dir = %(here)s/var").spool_dir == str(tmp_path / "var")


def test_paths_without_a_file_are_relative_to_the_current_directory(read, tmp_path):
    assert read(SENTRY_PASTE_SPOOL_DIR="var").spool_dir == str(tmp_path / "var")


def test_precedence_is_variable_section_default_and_the_variable_of_the_sdk(read, monkeypatch):
    monkeypatch.setenv("SENTRY_RELEASE", "sdk")
    text = "[DEFAULT]\nsentry.release = default\n[sentry]\nrelease = section"
    assert read().sdk["release"] == "sdk"
    assert read("[DEFAULT]\nsentry.release = default\n[sentry]").sdk["release"] == "default"
    assert read(text).sdk["release"] == "section"
    assert read(text, SENTRY_PASTE_RELEASE="variable").sdk["release"] == "variable"


def test_variable_that_turns_out_empty_leaves_the_file_s_value(read, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    assert read("[sentry]\nrelease = 1", SENTRY_PASTE_RELEASE="${NOT_SET}").sdk["release"] == "1"


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("SENTRY_PASTE_TRACES_SAMPEL_RATE", "SENTRY_PASTE_TRACES_SAMPLE_RATE"),
        ("SENTRY_PASTE_DATA_COLLECTION__USER_INF", "SENTRY_PASTE_DATA_COLLECTION__USER_INFO"),
        ("SENTRY_PASTE_CONFG", "SENTRY_PASTE_CONFIG"),
    ],
)
def test_unknown_variable_is_named_with_the_nearest_right_one(read, variable, nearest):
    with pytest.raises(ConfigError) as caught:
        read(**{variable: "1"})
    (line,) = mistakes(caught)
    assert line.startswith(f"  {variable}: is not the variable of an option of sentry_paste")
    assert line.endswith(f"; did you mean {nearest}?")


def test_variable_that_is_near_to_none_has_no_hint(read):
    with pytest.raises(ConfigError) as caught:
        read(SENTRY_PASTE_XYZZY="1")
    assert "did you mean" not in str(caught.value)


def test_all_mistakes_are_reported_at_once_with_their_places(read):
    with pytest.raises(ConfigError) as caught:
        read(
            "[sentry]\nrelaese = 1\nsample_rate = 3",
            SENTRY_PASTE_SAMPLE_RATE="2",
            SENTRY_PASTE_INTEGRATION__LOGGING__LEVLE="1",
        )
    assert [line.partition(":")[0].strip() for line in mistakes(caught)] == [
        "SENTRY_PASTE_INTEGRATION__LOGGING__LEVLE",
        "SENTRY_PASTE_SAMPLE_RATE = 2",
        "line 2",
    ]


def test_integration_that_does_not_exist_is_named_with_its_variable(read):
    with pytest.raises(ConfigError) as caught:
        read(SENTRY_PASTE_INTEGRATION__NOSUCH__X="1")
    assert mistakes(caught) == [
        "  SENTRY_PASTE_INTEGRATION__NOSUCH__X: 'nosuch' is not an integration of sentry-sdk"
    ]


def test_secret_in_a_variable_is_not_shown(read):
    with pytest.raises(ConfigError) as caught:
        read(SENTRY_PASTE_DSN="https://s3cr3t@sentry.example")
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "https://h/?page=1&password=s3cr3t",
        "'https://h/?password=s3cr3t'",
        "Basic s3cr3t",
        "bearer s3cr3t",
        "x, Authorization: Basic s3cr3t",
    ],
)
def test_secret_in_a_wrong_value_is_not_shown(read, value):
    with pytest.raises(ConfigError) as caught:
        read(f"[sentry]\nsample_rate = {value}\nserver_name =\n    {value}\n")
    assert "s3cr3t" not in str(caught.value)
    assert "expected a number" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[app:main]\nuse = egg:myapp", "has no section [filter:sentry] or [sentry]"),
        (
            "[sentry]\nuse = config:s3cr3t.ini#sentry",
            "has use in [sentry], which inherits nothing; name the section [filter:sentry], which does",
        ),
        (
            "[filter:sentry]\nuse = egg:PasteDeploy#prefix",
            "has a section [filter:sentry] that is not of egg:sentry_paste",
        ),
        ("dsn = https://s3cr3t@sentry.example/1", "cannot be parsed: see line 1 (MissingSectionHeaderError)"),
        (
            "[sentry]\ndsn = https://s3cr3t%ret@sentry.example/1",
            "has a percent sign in dsn that is not %(NAME)s",
        ),
        ("[sentry]\ndsn = https://s3cr3t@%(nosuch)s/1", "has a percent sign in dsn that is not %(NAME)s"),
        ("[filter:sentry]\nuse = egg:nosuchdistribution", "cannot be loaded"),
    ],
)
def test_file_that_cannot_be_used_is_a_mistake_without_its_text(read, text, reason):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert reason in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_file_that_is_not_there_is_a_mistake(read, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        read(SENTRY_PASTE_CONFIG=str(tmp_path / "nosuch.ini"))


def test_file_that_is_no_utf_8_is_a_mistake(read, tmp_path):
    (tmp_path / "latin.ini").write_bytes(b"[sentry]\nserver_name = caf\xe9\n")
    with pytest.raises(ConfigError, match="is not encoded in UTF-8"):
        read(SENTRY_PASTE_CONFIG=str(tmp_path / "latin.ini"))


def test_filter_in_an_ini_reads_no_such_variable(load, captured, monkeypatch):
    monkeypatch.setenv("SENTRY_PASTE_RELEASE", "variable")
    app = load(
        f"[filter:sentry]\nuse = egg:sentry_paste\ndsn = {DSN}\n"
        "[app:main]\npaste.app_factory = apps:make_app\nfilter-with = sentry\n"
    )
    assert app.settings.sdk.get("release") is None


def test_here_in_a_variable_is_warned_of(read, caplog):
    read(SENTRY_PASTE_SPOOL_DIR="%(here)s/spool")
    assert "SENTRY_PASTE_SPOOL_DIR: %(here)s is replaced only in a file, not in a variable" in caplog.messages


def test_second_section_of_the_file_is_warned_of(read, caplog):
    settings = read("[filter:sentry]\nenvironment = first\n[sentry]\nenvironment = second\n")
    assert settings.sdk["environment"] == "first"
    (message,) = caplog.messages
    assert message.endswith("has [filter:sentry] and [sentry]: only the options of the first are read")
