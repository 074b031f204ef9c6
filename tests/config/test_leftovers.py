"""Marks that a shell or a template should have replaced, brackets, colons and near names."""

import pytest

from sentry_paste import ConfigError
from sentry_paste.config import read_ini

DSN = "https://key@sentry.example/1"


def warnings_of(caplog, **options):
    settings = read_ini({}, {name.replace("__", "."): value for name, value in options.items()})
    return settings, [(record.code, record.getMessage().partition(": ")[2]) for record in caplog.records]


@pytest.mark.parametrize(
    ("value", "mark", "advice"),
    [
        (
            "$DEPLOYMENT",
            "$DEPLOYMENT is not replaced",
            "write ${DEPLOYMENT} for a variable of the environment",
        ),
        ("{{ host }}", "{{ host }} is part of the value", "has the template been rendered?"),
        ("web-{% if x %}1", "{% if x %} is part of the value", "has the template been rendered?"),
        ("<%= node.name %>", "<%= node.name %> is part of the value", "has the template been rendered?"),
        ("@@REL@@", "@@REL@@ is part of the value", "has the template been rendered?"),
        ("@VERSION@", "@VERSION@ is part of the value", "has the template been rendered?"),
    ],
)
@pytest.mark.parametrize("option", ["environment", "tags__region"])
def test_mark_of_a_template_is_warned_of(caplog, option, value, mark, advice):
    _, warnings = warnings_of(caplog, **{option: value})
    ((code, text),) = warnings
    assert code == "unreplaced"
    assert mark in text
    assert advice in text


@pytest.mark.parametrize("value", ["5$", "$$NAME", "$5", "a@b.example", "{1}", "50 % of it", "<none>", "A@B"])
def test_other_dollars_and_braces_are_nobodys_mistake(caplog, value):
    assert warnings_of(caplog, environment=value)[1] == []


def test_dollar_in_a_regular_expression_is_right(caplog):
    assert warnings_of(caplog, trace_propagation_targets="^https://api$|x$y")[1] == []


def test_shell_variable_for_a_dsn_is_refused_with_a_hint():
    with pytest.raises(ConfigError) as caught:
        read_ini({}, {"dsn": "$SENTRY_DSN"})
    assert "; write ${SENTRY_DSN} for a variable of the environment" in str(caught.value)


def test_template_for_a_rate_is_refused_with_a_hint():
    with pytest.raises(ConfigError) as caught:
        read_ini({}, {"sample_rate": "{{ rate }}"})
    assert "has the template that this file is made from been rendered?" in str(caught.value)


def test_variable_of_buildout_is_refused_with_a_hint():
    with pytest.raises(ConfigError) as caught:
        read_ini({}, {"environment": "${instance:stage}"})
    assert "if this file is made from a template, it has not been rendered" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ignore_paths", '["/health"]'), ("in_app_include", "['myapp', 'mylib']"), ("in_app_exclude", "('a',)")],
)
def test_brackets_around_a_list_are_warned_of(caplog, name, value):
    _, warnings = warnings_of(caplog, **{name: value})
    message = f"{name} = {value}: brackets and quotes are part of the value; write only what they enclose"
    assert ("brackets", message) in warnings


def test_glob_with_a_set_is_right(caplog):
    assert warnings_of(caplog, ignore_paths="[/*]health")[1] == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            "KeyErorr",
            [
                (
                    "exception-name",
                    "ignore_exceptions: there is no built-in exception KeyErorr; did you mean KeyError?",
                )
            ],
        ),
        ("KeyError, Http404, DoesNotExist", []),
    ],
)
def test_exception_that_nearly_is_built_in_is_warned_of(caplog, value, expected):
    assert warnings_of(caplog, ignore_exceptions=value)[1] == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("KeyError -> {{ defualt }}", "Sentry does not know {{ defualt }}; did you mean {{ default }}?"),
        (
            "KeyError -> {{message_with_ids}}",
            "Sentry does not know {{ message_with_ids }}; did you mean {{ message_without_ids }}?",
        ),
        ("KeyError -> {{ user }}, a", "Sentry does not know {{ user }}"),
        (
            "KeyError -> {{ default }}-a",
            "Sentry replaces {{ default }} only where it is a part of its own, not in '{{ default }}-a'",
        ),
    ],
)
def test_variable_of_a_fingerprint_that_stays_text_is_warned_of(caplog, value, reason):
    assert warnings_of(caplog, fingerprints=value)[1] == [("fingerprint-variable", f"fingerprints: {reason}")]


def test_variables_that_sentry_knows_are_right(caplog):
    rules = "KeyError -> {{ default }}, {{tags.a}}, {{ error.type }}, a {{ message_without_ids }}"
    assert warnings_of(caplog, fingerprints=rules)[1] == []


def test_expression_that_can_take_very_long_is_warned_of(caplog):
    rules = "(a+)+$\nre:^Task \\d+$\nre: (a+)+$"
    reason = "re:(a+)+$ has a repeat within a repeat, and can stop a server for minutes with some messages"
    assert warnings_of(caplog, ignore_messages=rules)[1] == [
        ("slow-expression", f"ignore_messages: {reason}")
    ]


def test_exception_that_nearly_is_built_in_is_warned_of_next_to_mistakes(caplog):
    with pytest.raises(ConfigError):
        read_ini({}, {"ignore_exceptions": "KeyErorr", "sample_rate": "7"})
    assert "did you mean KeyError?" in caplog.text


class TestColons:
    """A colon separates a name from its value, as an equals sign does."""

    APP = "\n[pipeline:main]\npipeline = sentry app\n[app:app]\npaste.app_factory = apps:make_app\n"

    @pytest.mark.parametrize(
        "line",
        [
            "contexts.deploy.url: https://ci.invalid/?id=3",
            "contexts.deploy.url:https://ci.invalid/?id=3",
            "contexts.deploy.url : https://ci.invalid/?id=3",
        ],
    )
    def test_value_with_an_equals_sign(self, load, line):
        app = load(f"[filter:sentry]\nuse: egg:sentry_paste\ndsn: {DSN}\n{line}{self.APP}")
        assert app.settings.contexts == {"deploy": {"url": "https://ci.invalid/?id=3"}}

    def test_name_with_a_colon_is_refused(self, load):
        with pytest.raises(ConfigError, match="the colon ends its name in"):
            load(f"[filter:sentry]\nuse = egg:sentry_paste\ntags.a:b = c{self.APP}")
