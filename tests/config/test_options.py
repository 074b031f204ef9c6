"""The table knows every option of the installed SDK."""

import pytest

from sentry_paste import sdk
from sentry_paste.config import kinds, references
from sentry_paste.config.options import derive_kind, options

SDK_OPTIONS = {name: (annotation, default) for name, annotation, default in sdk.client_options()}


def test_every_option_of_the_sdk_is_in_the_table():
    assert {option.name for option in options().values() if option.is_sdk} == set(SDK_OPTIONS)


def test_own_options_have_a_help_and_no_name_of_the_sdks():
    own = [option for option in options().values() if not option.is_sdk]
    assert all(option.help for option in own)
    assert not {option.name for option in own} & set(SDK_OPTIONS)


@pytest.mark.parametrize("name", [name for name in SDK_OPTIONS if name.endswith("sample_rate")])
def test_sample_rates_are_rates(name):
    assert options()[name].kind is kinds.RATE


@pytest.mark.parametrize(
    "name", [name for name in SDK_OPTIONS if name.startswith("before_") or "sampler" in name]
)
def test_hooks_are_hooks(name):
    assert options()[name].kind is references.HOOK


@pytest.mark.parametrize(
    ("annotation", "default", "kind"),
    [
        ("bool", False, kinds.BOOLEAN),
        ("Optional[bool]", None, kinds.BOOLEAN),
        ("bool | None", None, kinds.BOOLEAN),
        ("Union[int, None]", None, kinds.COUNT),
        ("Optional[float]", None, kinds.NUMBER),
        ("typing.Optional[str]", None, kinds.TEXT),
        ("List[str]", [], kinds.WORDS),
        ("Optional[Sequence[str]]", None, kinds.WORDS),
        ("AbstractSet[int]", frozenset(), kinds.STATUS_CODES),
        ("Optional[Dict[str, str]]", None, kinds.MAPPING),
        ("Optional[Callable[[Event, Hint], Optional[Event]]]", None, references.HOOK),
        ("Optional[sentry_sdk.scrubber.EventScrubber]", None, references.OBJECT),
        ("not python at all (", None, references.OBJECT),
        ("", True, kinds.BOOLEAN),
        ("", 5, kinds.COUNT),
        ("", None, kinds.TEXT),
    ],
)
def test_kind_of_an_option_that_only_a_newer_sdk_has(annotation, default, kind):
    assert derive_kind("new_option", annotation, default) is kind


def test_choice_of_a_newer_sdk():
    kind = derive_kind("new_option", "Optional[Literal['static', 'stream']]", None)
    assert kind.expected == "one of static, stream"
    assert derive_kind("new_option", "'Literal[\"a\"]'", "a").parse("a") == "a"


def test_rate_of_a_newer_sdk():
    assert derive_kind("new_sample_rate", "Optional[float]", None) is kinds.RATE
