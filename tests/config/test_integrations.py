"""Integrations by name, with arguments typed by their signatures."""

import inspect

import pytest
from sentry_sdk.integrations import Integration
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.pyramid import PyramidIntegration

from sentry_paste import ConfigError
from sentry_paste.config import integrations, kinds, read_ini, read_keywords
from sentry_paste.sdk import MAJOR

from traced_apps import levels


class Mine(Integration):
    identifier = "mine"

    def __init__(self, size: "int" = 3, names: "tuple[str, ...]" = ("a",), on: bool = False, **more) -> None:
        self.arguments = (size, names, on)

    @staticmethod
    def setup_once():
        pass


class Pair(Integration):
    identifier = "pair"

    def __init__(self, left: "int" = 1, right: "int" = 2) -> None:
        if left == right:
            raise ValueError("left and right are the same")

    @staticmethod
    def setup_once():
        pass


class Locked(Integration):
    identifier = "locked"

    def __init__(self, api_token: str = "", door: str = "") -> None:
        raise ValueError(f"{api_token!r} does not open {door!r}")

    @staticmethod
    def setup_once():
        pass


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "mine", sys.modules[__name__])


def sdk(**options):
    return read_ini({}, options).sdk


def mistakes(**options):
    with pytest.raises(ConfigError) as caught:
        read_ini({}, options)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_by_name_and_dotted_name():
    found = sdk(integrations="pyramid flask, mine:Mine")["integrations"]
    assert [type(one).__name__ for one in found] == ["PyramidIntegration", "FlaskIntegration", "Mine"]


def test_argument_turns_the_integration_on():
    (found,) = sdk(**{"integration.pyramid.transaction_style": "route_pattern"})["integrations"]
    assert isinstance(found, PyramidIntegration)
    assert found.transaction_style == "route_pattern"


@pytest.mark.skipif(MAJOR > 2, reason="sentry-sdk 3 has no transaction_style for Flask")
def test_arguments_belong_to_the_integration_that_is_named():
    found = sdk(integrations="flask", **{"integration.flask.transaction_style": "url"})["integrations"]
    assert [type(one) for one in found] == [FlaskIntegration]
    assert found[0].transaction_style == "url"


def test_levels_by_name_and_number():
    (found,) = sdk(**{"integration.logging.event_level": "WARNING", "integration.logging.level": "15"})[
        "integrations"
    ]
    assert isinstance(found, LoggingIntegration)
    assert levels(found) == (30, 15)


def test_arguments_of_an_integration_of_the_users():
    options = {"integration.mine.size": "5", "integration.mine.names": "b, c", "integration.mine.on": "yes"}
    (found,) = sdk(integrations="mine:Mine", **options)["integrations"]
    assert found.arguments == (5, ("b", "c"), True)


def test_disabled_integrations():
    found = sdk(disabled_integrations="pyramid mine:Mine")["disabled_integrations"]
    assert found[0].identifier == "pyramid"


def test_disabled_integration_whose_library_is_missing_is_off_anyway():
    assert sdk(disabled_integrations="sanic")["disabled_integrations"] == []


MISTAKES = [
    (
        {"integrations": "sqlalchmy"},
        "integrations sqlalchmy: 'sqlalchmy' is not an integration of sentry-sdk; did you mean sqlalchemy?",
    ),
    (
        {"integrations": "no.such:Thing"},
        "integrations no.such:Thing: cannot import no.such: ModuleNotFoundError: No module named 'no'",
    ),
    (
        {"integrations": "zipfile:ZipFile"},
        "integrations zipfile:ZipFile: is not an integration of sentry_sdk",
    ),
    (
        {"disabled_integrations": "pyramyd"},
        "disabled_integrations pyramyd: 'pyramyd' is not an integration of sentry-sdk; did you mean pyramid?",
    ),
    (
        {"integration.pyramid.transaction_style": "wild"},
        "integration.pyramid.transaction_style = wild: Invalid value for transaction_style: wild "
        "(must be in ('route_name', 'route_pattern'))",
    ),
    (
        {"integration.pyramid.transaction_stile": "x"},
        "integration.pyramid.transaction_stile: is not an argument of pyramid; "
        "did you mean transaction_style?",
    ),
    (
        {"integration.logging.event_level": "LOUD"},
        "integration.logging.event_level = LOUD: expected a log level, by name or number, or none",
    ),
    ({"integration.qqqq.x": "1"}, "integration.qqqq: 'qqqq' is not an integration of sentry-sdk"),
    ({"integration.logging": "x"}, "integration.logging = x: expected integration.NAME.ARGUMENT"),
    (
        {"integrations": "mine:Mine", "integration.mine.more": "1"},
        "integration.mine.more: is not an argument of mine:Mine; it has size, names, on",
    ),
]


@pytest.mark.parametrize(("options", "message"), MISTAKES, ids=lambda value: str(value)[:40])
def test_mistake_names_the_option(options, message):
    assert mistakes(**options) == [message]


def test_all_mistakes_of_an_integration_are_reported_at_once_each_with_its_line(load):
    text = """
        [filter:sentry]
        use = egg:sentry_paste
        dsn = https://k@sentry.example/1
        integrations = mine:Mine
        integration.mine.more = 1
        integration.mine.size = small
        integration.mine.on = maybe
        integration.logging.event_level = LOUD
        integration.logging.lvl = info
        integration.pyramid.transaction_style = wild
        integration.pyramid.transaction_stile = wild

        [app:main]
        paste.app_factory = apps:make_app
        filter-with = sentry
        """
    with pytest.raises(ConfigError) as caught:
        load(text)
    _, *messages = (line.strip() for line in str(caught.value).splitlines())
    assert messages == [
        "line 6: integration.mine.more: is not an argument of mine:Mine; it has size, names, on",
        "line 7: integration.mine.size = small: expected a whole number, 0 or more",
        "line 8: integration.mine.on = maybe: expected true or false",
        "line 9: integration.logging.event_level = LOUD: expected a log level, by name or number, or none",
        "line 10: integration.logging.lvl: is not an argument of logging; did you mean level?",
        "line 11: integration.pyramid.transaction_style = wild: Invalid value for transaction_style: wild "
        "(must be in ('route_name', 'route_pattern'))",
        "line 12: integration.pyramid.transaction_stile: is not an argument of pyramid; "
        "did you mean transaction_style?",
    ]


def test_arguments_that_an_integration_refuses_together_are_reported_for_the_integration():
    (message,) = mistakes(
        **{"integration.pair.left": "1", "integration.pair.right": "1", "integrations": "mine:Pair"}
    )
    assert message == "integration.pair: left and right are the same"


def test_missing_library_is_named():
    (message,) = mistakes(integrations="sanic")
    assert message.startswith("integrations sanic: sanic cannot be turned on: ")


def test_every_integration_that_is_installed_can_be_found():
    found = []
    for name in integrations.sdk.integration_modules():
        try:
            found.append((name, integrations.find(name)))
        except ValueError:
            continue
    assert len(found) > 20
    assert all(issubclass(cls, Integration) for _, cls in found)


@pytest.mark.parametrize("cls", [LoggingIntegration, PyramidIntegration, FlaskIntegration])
def test_kind_of_every_argument_takes_its_default(cls):
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        if isinstance(parameter.default, (bool, int, str)):
            assert integrations.kind_of(parameter).parse(str(parameter.default)) == parameter.default


def test_argument_without_a_type_takes_a_dotted_name():
    parameter = inspect.Parameter(
        "callback", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="Optional[Any]"
    )
    assert integrations.kind_of(parameter).name == "object"
    codes = inspect.Parameter("failed_request_status_codes", inspect.Parameter.KEYWORD_ONLY, default={500})
    assert integrations.kind_of(codes) is kinds.STATUS_CODES


def test_secret_argument_is_masked_in_an_integration_s_message():
    options = {"integrations": "mine:Locked", "integration.locked.api_token": "hunter2"}
    reason = "'***' does not open"
    assert mistakes(**options) == [f"integration.locked.api_token = ***: {reason} ''"]
    options["integration.locked.door"] = "front"
    assert mistakes(**options) == [f"integration.locked: {reason} 'front'"]


def test_argument_that_python_code_gives_is_taken_as_it_is():
    given = {"integrations": "mine:Mine", "integration.mine.names": ("b",), "integration.mine.on": True}
    (made,) = read_keywords(given).sdk["integrations"]
    assert made.arguments == (3, ("b",), True)


class TestOtlp:
    """Its exporter sends spans past every hook of the SDK, and so past redaction."""

    @pytest.fixture
    def build(self, monkeypatch):
        class OTLPIntegration(Integration):
            identifier = "otlp"

            def __init__(self, setup_otlp_traces_exporter: bool = True, collector_url: "str" = "") -> None:
                self.exports = setup_otlp_traces_exporter

            @staticmethod
            def setup_once():
                pass

        monkeypatch.setattr(integrations, "find", lambda name: OTLPIntegration)

        def build(names, arguments=None, sends_user_info=False):
            made, wrong = integrations.build_all(names, arguments or {}, sends_user_info)
            return [one.exports for one in made], [(w.option, w.entry, str(w.error)) for w in wrong]

        return build

    REASON = (
        "sends spans that bypass redaction, which needs send_default_pii; "
        "set send_default_pii = true, or integration.otlp.setup_otlp_traces_exporter = false"
    )

    @pytest.mark.parametrize("name", ["otlp", "sentry_sdk.integrations.otlp:OTLPIntegration"])
    def test_it_is_refused_unless_personal_data_may_be_sent(self, build, name):
        assert build([name]) == ([], [("integrations", name, self.REASON)])
        assert build([name], sends_user_info=True) == ([True], [])

    def test_it_is_refused_once_whatever_turns_it_on(self, build):
        arguments = {"otlp": {"collector_url": "http://localhost:4318"}}
        assert build(["otlp"], arguments) == ([], [("integrations", "otlp", self.REASON)])
        assert build([], arguments) == ([], [("integration.otlp", "", self.REASON)])

    def test_without_its_exporter_it_is_taken(self, build):
        for off in ("false", "off", False):
            assert build(["otlp"], {"otlp": {"setup_otlp_traces_exporter": off}}) == ([False], [])

    def test_it_is_refused_before_its_library_is_imported(self):
        _, (wrong,) = integrations.build_all(["otlp"], {}, sends_user_info=False)
        assert str(wrong.error) == self.REASON


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, False),
        ({"send_default_pii": True}, True),
        ({"data_collection": {}}, True),
        ({"data_collection": {"user_info": False}, "send_default_pii": True}, False),
        ({"data_collection": {"user_info": True}}, True),
    ],
)
def test_personal_data_may_be_sent_where_options_say_so(values, expected):
    assert integrations.may_send_user_info(values) is expected


@pytest.mark.parametrize("name", ["pylons", "zope"])
def test_name_that_is_not_near_enough_is_not_suggested(name):
    with pytest.raises(ValueError, match=f"'{name}' is not an integration of sentry-sdk$"):
        integrations.find(name)
