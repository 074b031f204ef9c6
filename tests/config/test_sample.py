"""The table, printed: it loads as it is, and with any line uncommented."""

import re
import warnings

import pytest

from sentry_paste.config.options import TOPIC_OF, TOPICS, default_text, minimal_sample, options, sample

OPTION_LINES = [line[1:] for line in sample().splitlines() if re.match(r"#\S", line)]
APP = "\n[pipeline:main]\npipeline = sentry app\n[app:app]\npaste.app_factory = apps:make_app"


def test_sample_has_every_option_once():
    names = [line.partition(" = ")[0].removesuffix(" =") for line in OPTION_LINES]
    examples = {"tags.region", "contexts.deployment.rack", "integration.logging.event_level"}
    assert sorted(set(names) - examples) == sorted(name for name in options() if name.isidentifier())
    assert len(names) == len(set(names))


def test_sample_is_in_the_order_of_the_topics():
    headings = [line[2:].rstrip("- ") for line in sample().splitlines() if line.endswith("---")]
    assert headings == [topic.title for topic in TOPICS]
    names = [line.partition(" = ")[0].removesuffix(" =") for line in OPTION_LINES]
    known = [name for name in names if name in TOPIC_OF]
    assert known == [name for name in TOPIC_OF if name in known]


def test_every_option_has_one_topic():
    named = [name for topic in TOPICS for name in topic.options]
    assert len(named) == len(set(named))
    # With a newer SDK this fails for its new options, which are shown last: the table needs a line.
    assert set(options()) - set(named) == set()
    assert all(option.topic == TOPIC_OF[option.name] for option in options().values())


def test_minimal_sample_loads_as_it_is_and_with_any_line_uncommented(load, captured, monkeypatch, tmp_path):
    monkeypatch.setenv("SENTRY_DSN", "https://key@sentry.example/1")
    settings = load(minimal_sample() + APP).settings
    assert settings.spool_dir == str(tmp_path / "var/sentry")
    more = load(minimal_sample().replace("\n#", "\n").replace("myapp", "PasteDeploy") + APP).settings
    assert set(more.origins) - set(settings.origins) == {"release", "ignore_paths"}


def test_minimal_sample_has_ten_lines():
    assert len(minimal_sample().splitlines()) == 10


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
