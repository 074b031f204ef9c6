"""Every option of the installed SDK, from ini text to the client: right values, and two wrong ones each."""

import inspect
import warnings

import pytest
import sentry_sdk

from sentry_paste import ConfigError, sdk
from sentry_paste.client.registry import registry
from sentry_paste.config import kinds, references
from sentry_paste.config.options import options

HOOK = ("config_hooks:hook", ["nowhere:hook", "config_hooks:not_callable"])
OBJECT = ["no name", "nowhere.at:all"]

# By kind: text of a right value, and at least two wrong ones.
BY_KIND = {
    kinds.BOOLEAN: ("yes", ["maybe", "2"]),
    kinds.RATE: ("0.25", ["10%", "nan", "-0.1", "1.5"]),
    kinds.COUNT: ("7", ["-1", "many"]),
    kinds.POSITIVE: ("7", ["0", "many"]),
    kinds.NUMBER: ("1.5", ["nan", "many"]),
    kinds.NAMES: ("a b, c", []),
    kinds.WORDS: ("a, b", []),
    kinds.PATTERNS: ("^a, b", ["(", "[a"]),
    kinds.SPAN_NAMES: ("a, /b/", ["/(/", "/[/"]),
    kinds.STATUS_CODES: ("404, 500-599", ["5xx", "99"]),
    kinds.DSN: ("https://key@sentry.example/1", ["sentry.example", "https://sentry.example/1"]),
    kinds.BOOLEAN_OR_URL: ("http://127.0.0.1:9/stream", ["maybe", "ftp://x"]),
    kinds.MAPPING: ("X-A: b", ["no mark", ": x"]),
    kinds.FUNCTIONS: ("config_hooks.hook", ["nodots", "a b"]),
    kinds.SOCKET_OPTIONS: ("SOL_SOCKET SO_KEEPALIVE 1", ["x", "a b c"]),
    kinds.PROXY: ("http://proxy.example:3128", ["proxy.example:3128", "ftp://proxy.example"]),
    references.HOOK: HOOK,
}
BY_NAME = {
    "_experiments": ("config_hooks:experiments", [*OBJECT, "config_hooks:hook"]),
    "ca_certs": ("ca.pem", []),
    "data_collection": ("config_hooks:collection", [*OBJECT, "config_hooks:hook"]),
    "disabled_integrations": ("pyramid", ["pyramyd", "a.b:c"]),
    "event_scrubber": ("sentry_sdk.scrubber:EventScrubber", [*OBJECT, "config_hooks:hook"]),
    "ignore_errors": ("KeyError, shop.Error", []),
    "instrumenter": ("sentry", ["x", "y"]),
    "integrations": ("pyramid", ["pyramyd", "a.b:c"]),
    "max_request_body_size": ("small", ["huge", "1"]),
    "profile_lifecycle": ("trace", ["x", "1"]),
    "profiler_mode": ("thread", ["x", "1"]),
    "trace_lifecycle": ("stream", ["x", "1"]),
    "transport": ("sentry_sdk.transport:HttpTransport", ["config_hooks:not_callable", "no.such:thing"]),
}
SDK_OPTIONS = [option for option in options().values() if option.is_sdk]


def values(option):
    if option.name in BY_NAME:
        return BY_NAME[option.name]
    if option.kind.name == "duration":
        return "2 s", ["-1", "2 parsecs"]
    if option.kind.is_path:
        return "a/file.pem", []
    if option.kind is kinds.TEXT:
        return "some text", []
    return BY_KIND[option.kind]


@pytest.fixture
def ini(load):
    def ini(*lines):
        text = "\n".join(["[filter:sentry]", "use = egg:sentry_paste", *lines])
        return load(
            text + "\n[pipeline:main]\npipeline = sentry app\n[app:app]\npaste.app_factory = apps:make_app"
        )

    return ini


# The spotlight of an old SDK needs Django's settings if Django is installed.
STARTS = [o for o in SDK_OPTIONS if o.name != "spotlight" or hasattr(sentry_sdk, "traces")]


# Those that the installed SDK has dropped are in tests/sdk/test_major3.py.
ARRIVE = [o for o in STARTS if o.name not in sdk.options.GONE_OPTIONS]


@pytest.mark.parametrize("option", ARRIVE, ids=lambda option: option.name)
def test_right_value_arrives_at_the_client(ini, captured, tmp_path, option):
    text, _ = values(option)
    with warnings.catch_warnings():
        # The SDK warns of options that have no effect without others, and of profiles.
        warnings.simplefilter("ignore")
        app = ini(f"{option.name} = {text}")
    arrived = app.client.options[option.name]
    expected = app.settings.sdk[option.name]
    if option.name == "_experiments":
        expected = {**arrived, **expected}  # next to redaction's hooks, if the SDK has them there
    if option.name == "transport":
        return  # the test's own transport stands in its place
    if option.name == "data_collection":
        assert arrived["user_info"] is True
        return
    if option.name == "integrations":
        arrived = arrived[: len(expected)]  # before those that the filter adds with sentry-sdk 3
    if option.name == "disabled_integrations":
        arrived, expected = ([cls.identifier for cls in found] for found in (arrived, expected))
    if option.kind is references.HOOK:
        arrived = inspect.unwrap(arrived, stop=lambda hook: hook == expected)
    if option.kind.is_path:
        assert expected == str(tmp_path / text)
    assert arrived == expected
    assert type(arrived) is type(expected)
    if option.default is not None and not isinstance(option.default, (list, tuple)):
        assert isinstance(arrived, (type(option.default), str, int, float))


@pytest.mark.parametrize("option", SDK_OPTIONS, ids=lambda option: option.name)
def test_wrong_values_are_refused_by_name(ini, option):
    _, wrong = values(option)
    if not wrong:
        assert option.kind in (kinds.TEXT, kinds.NAMES, kinds.WORDS) or option.kind.is_path
    for text in wrong:
        with pytest.raises(ConfigError) as caught:
            ini(f"{option.name} = {text.replace('%', '%%')}")
        assert str(caught.value).splitlines()[1].startswith(("  line 3: " + option.name, "  " + option.name))
    assert registry.clients() == []


def test_text_takes_any_text_and_nothing_else_is_text():
    """What the SDK takes as free text; another option here would be one that the table cannot type."""
    free = {option.name for option in SDK_OPTIONS if option.kind is kinds.TEXT}
    assert free <= {"dist", "environment", "org_id", "release", "server_name"}


def test_every_option_of_the_sdk_has_a_type():
    """On a newer SDK this fails for an option that its signature does not type: the table needs a line."""
    assert [option.name for option in SDK_OPTIONS if option.kind is references.OBJECT] == []


def test_every_option_of_the_sdk_has_a_help():
    from sentry_paste.config.sdk_options import SDK_HELP

    assert {name for name, _, _ in sdk.client_options()} <= set(SDK_HELP)


def test_forty_options_are_read_at_once(ini, captured):
    lines = [
        f"{option.name} = {values(option)[0]}"
        for option in SDK_OPTIONS
        if option.kind in (kinds.BOOLEAN, kinds.COUNT, kinds.RATE, kinds.TEXT, kinds.NAMES, kinds.POSITIVE)
        and "integrations" not in option.name
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(ini(*lines).settings.sdk) == len(lines) > 20
