"""The JSON Schema: it accepts every ini that we show, and refuses the wrong values of the tests."""

import json
import re
from pathlib import Path

import pytest
from test_every_option import SDK_OPTIONS, values
from test_kinds import REFUSES, TAKES

from sentry_paste import sdk
from sentry_paste.cli.main import main
from sentry_paste.config import kinds, references
from sentry_paste.config.aliases import ALIASES, OBSOLETE
from sentry_paste.config.inifile import IniFile
from sentry_paste.config.options import default_text, minimal_sample, options, sample
from sentry_paste.config.schema import of_kind, schema
from sentry_paste.config.sources import option_name

jsonschema = pytest.importorskip("jsonschema")

ROOT = Path(__file__).parent.parent.parent
INI = re.compile(r"^( *)\.\. code-block:: ini\n(?: +:.*\n)*\n((?:\1   .*\n|\s*\n)+)", re.MULTILINE)


def blocks(path):
    """The inis that a file shows: a page's, or itself."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".rst":
        return [text]
    found = []
    for margin, block in INI.findall(text):
        lines = [line[len(margin) + 3 :] for line in block.splitlines()]
        found.append("\n".join(lines) + "\n")
    return found


PAGES = [
    ROOT / "README.rst",
    ROOT / "example.ini",
    *sorted((ROOT / "docs").rglob("*.rst")),
    *sorted((ROOT / "tests" / "inis").glob("*.ini")),
]
SHOWN = [
    pytest.param(text, id=f"{path.relative_to(ROOT)}-{number}")
    for path in PAGES
    for number, text in enumerate(blocks(path))
]


EXPRESSIONS = (kinds.PATTERNS, kinds.SPAN_NAMES)


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


def accepts(kind, text):
    return jsonschema.Draft202012Validator(of_kind(kind)).is_valid(text)


def instances(path):
    """The options of each section of ours, and what others have with our prefix."""
    file = IniFile.read(str(path))
    ours = {section.name for section in file.ours()} | {"sentry"}
    for section in file.sections.values():
        if section.name in ours:
            yield dict(section.values)
        else:
            yield {key: value for key, value in section.values.items() if key.startswith("sentry.")}


@pytest.mark.parametrize("text", SHOWN)
def test_every_ini_that_we_show_is_accepted(validator, write_ini, text):
    for instance in instances(write_ini(text)):
        newer = [name for name in map(option_name, instance) if name in sdk.NEW_IN and name not in options()]
        if newer:
            pytest.skip(f"{newer[0]} needs a newer sentry-sdk")
        validator.validate(instance)


def test_message_for_an_unknown_name_is_short(validator):
    (error,) = validator.iter_errors({"traces_sampel_rate": "1"})
    assert error.message == "Unevaluated properties are not allowed ('traces_sampel_rate' was unexpected)"


def test_sample_is_accepted_with_all_lines_uncommented(validator, write_ini):
    for text in (minimal_sample(), sample()):
        lines = re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE)
        (instance,) = instances(write_ini(lines))
        assert len(instance) > 5
        validator.validate(instance)


@pytest.mark.parametrize("option", SDK_OPTIONS, ids=lambda option: option.name)
def test_right_value_is_accepted_and_wrong_ones_are_not(validator, option):
    right, wrong = values(option)
    head, rest = option.name[0], option.name[1:]
    for name in (option.name, f"sentry.{option.name}", head + rest.replace("_", "-")):
        validator.validate({name: right})
    # Whether a name can be imported, and a regular expression is one, is Python's to say.
    is_name = "integrations" in option.name or option.kind.expected.startswith("a dotted name")
    for text in wrong:
        is_pythons = option.kind in EXPRESSIONS or (is_name and references.is_dotted(text))
        assert validator.is_valid({option.name: text}) is is_pythons, text


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, text, _ in TAKES])
def test_what_a_kind_takes_is_accepted(kind, text):
    assert accepts(kind, text)


PYTHONS = {(kind, text) for kind, texts in REFUSES for text in texts if kind in EXPRESSIONS}
PYTHONS |= {
    (kinds.STATUS_CODES, "502-500"),
    (kinds.SOCKET_OPTIONS, "SOL_NONE SO_KEEPALIVE 1"),
    # Levels are arguments of integrations.
    *((kinds.LEVEL, text) for text in ("LOUD", "-1", "1.5")),
    # No value at all: the option is not set.
    (kinds.BOOLEAN, ""),
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in REFUSES for text in texts])
def test_what_a_kind_refuses_is_refused(kind, text):
    assert accepts(kind, text) is ((kind, text) in PYTHONS)


@pytest.mark.parametrize(
    "option", [o for o in options().values() if o.name.isidentifier()], ids=lambda o: o.name
)
def test_defaults_are_accepted_and_there(validator, option):
    entry = schema()["properties"][option.name]
    assert option.help in entry["description"]
    assert entry.get("default", "") == default_text(option)
    validator.validate({option.name: default_text(option)})
    validator.validate({option.name: "${SOME_VARIABLE}"})


@pytest.mark.parametrize(
    "option", [o for o in options().values() if o.name.isidentifier()], ids=lambda o: o.name
)
def test_kind_without_a_pattern_takes_nearly_any_text(validator, option):
    """A new kind that refuses text has a pattern in ``config/schema.py``."""
    if option.kind not in EXPRESSIONS and "pattern" not in schema()["properties"][option.name]:
        for text in ("-1", "no, such; text", "a\nb"):
            option.kind.parse(text)


@pytest.mark.parametrize(
    "name",
    [
        "traces_sampel_rate",
        "contexts.trace.x",
        "contexts.x",
        "tags.a b",
        "data_collection.user_inf",
        "integration.logging",
        "sentry.sentry.dsn",
    ],
)
def test_names_that_are_no_options_are_refused(validator, name):
    assert not validator.is_valid({name: "1"})


@pytest.mark.parametrize(
    "name",
    [
        "tags.region",
        "contexts.deployment.rack",
        "integration.logging.event_level",
        "data_collection.user_info",
        "set dsn",
    ],
)
def test_parts_of_options_are_accepted(validator, name):
    validator.validate({name: "${VALUE}"})


def test_older_names_are_marked(validator):
    properties = schema()["properties"]
    assert all(properties[name]["deprecated"] for name in (*ALIASES, *OBSOLETE))


def test_integrations_are_known_by_name(validator):
    validator.validate({"integrations": "sqlalchemy, pyramid\nmypkg.sentry:Integration"})
    assert not validator.is_valid({"integrations": "pyramyd"})


def test_command_prints_it(capsys):
    assert main(["schema"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == schema()
    assert found["title"].endswith(f"sentry-sdk {sdk.VERSION}")


def test_patterns_are_those_of_other_languages_too():
    """ECMA 262 has neither flags within an expression nor named groups of Python's."""
    text = json.dumps(schema())

    assert not re.search(r"\(\?[iLmsux(P<]", text.replace("(?<", ""))
