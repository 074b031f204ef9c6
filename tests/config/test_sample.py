"""The table, printed: it loads as it is, and with any line uncommented."""

import re
import warnings

import pytest

from sentry_paste.config.options import default_text, options, reference, sample

OPTION_LINES = [line[1:] for line in sample().splitlines() if re.match(r"#\S", line)]
APP = "\n[pipeline:main]\npipeline = sentry app\n[app:app]\npaste.app_factory = apps:make_app"


def test_sample_has_every_option_once():
    names = [line.partition(" = ")[0].removesuffix(" =") for line in OPTION_LINES]
    examples = {"tags.region", "contexts.deployment.rack", "integration.logging.event_level"}
    assert sorted(set(names) - examples) == sorted(name for name in options() if name.isidentifier())
    assert len(names) == len(set(names))


def test_sample_loads_as_it_is(load, captured):
    assert dict(load(sample() + APP).settings.sdk) == {}


@pytest.mark.parametrize("line", OPTION_LINES, ids=lambda line: line.partition(" ")[0])
def test_sample_loads_with_any_line_uncommented(load, captured, line):
    text = sample().replace(f"\n#{line}\n", f"\n{line}\n")
    assert text != sample()
    name, _, value = line.partition(" = ")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = load(text + APP).settings
    assert (name in settings.origins) is bool(value)
    if name in options() and value:
        option = options()[name]
        arrived = (settings.sdk if option.is_sdk else vars(settings))[name]
        assert arrived == (list(option.default) if isinstance(arrived, list) else option.default)


def test_sample_is_of_lines_that_can_be_read():
    assert max(map(len, sample().splitlines())) <= 120
    assert sample().isascii()


def test_defaults_are_text_of_an_ini():
    for option in options().values():
        text = default_text(option)
        if text and option.name.isidentifier():
            option.kind.parse(text)


def test_reference_has_every_option_with_kind_and_help():
    text = reference()
    for option in options().values():
        entry = text[text.index(f"\n``{option.name}``\n") :].partition("\n.. _option")[0]
        assert option.kind.expected in entry
        assert option.help.replace("_", r"\_").replace("*", r"\*") in entry
