"""The documentation builds without a warning, and its examples load."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paste.deploy import loadapp
from test_architecture import LAYERS

from sentry_paste import sdk
from sentry_paste.cli import main as commands
from sentry_paste.config.aliases import ALIASES
from sentry_paste.config.examples import EXAMPLES, example
from sentry_paste.config.options import default_words, options, options_by_topic
from sentry_paste.config.sources import VARIABLES

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
RECORDS = sorted((DOCS / "decisions").glob("*.rst"))
BLOCK = re.compile(r"^\.\. code-block:: ini\n\n((?:   .*\n|\n)+)", re.MULTILINE)
INIS = [
    (page.name, "".join(line[3:] if line.startswith("   ") else line for line in block.splitlines(True)))
    for page in sorted(DOCS.glob("*.rst"))
    for block in BLOCK.findall(page.read_text(encoding="utf-8"))
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    source = folder / "docs"
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("_build"))
    for name in ("README.rst", "CHANGES.rst"):  # pages, too
        shutil.copy(ROOT / name, folder)
    command = [sys.executable, "-X", "dev", "-W", "ignore", "-m", "sphinx", "-W", "--keep-going", "-q"]
    ended = subprocess.run(
        [*command, "-b", "html", str(source), str(folder / "html")],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return folder / "html"


def soup(path):
    from bs4 import BeautifulSoup

    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def words(element):
    return " ".join(element.get_text().split())


@pytest.fixture(scope="module")
def entries(built):
    """The entries of the options, by name: the text of each, and its facts."""
    found = {}
    for entry in soup(built / "options.html").select("dl.confval"):
        facts = {
            words(name).rstrip(":"): value
            for name, value in zip(entry.select("dl.field-list > dt"), entry.select("dl.field-list > dd"))
        }
        found[words(entry.select_one("dt .descname"))] = (words(entry.select_one("dd > p")), facts)
    return found


def test_reference_is_the_table(entries):
    assert set(entries) == set(options())
    for option in options().values():
        text, facts = entries[option.name]
        assert text == " ".join(option.help.split())
        assert words(facts["Type"]) == option.kind.expected
        assert words(facts["Default"]) == " ".join(default_words(option).replace("``", "").split())
        assert words(facts["Example"]) == " ".join(example(option.name).split())
        assert re.match(r"sentry-sdk 2\.\d+|sentry_paste", words(facts["New in"]))


def test_each_option_of_the_sdk_leads_to_its_entry_at_sentry(entries):
    for option in options().values():
        if option.is_sdk and option.name.isidentifier() and not option.name.startswith("_"):
            links = [link["href"] for link in entries[option.name][1]["More"].select("a.external")]
            assert links == [f"https://docs.sentry.io/platforms/python/configuration/options/#{option.name}"]


def test_each_own_option_leads_to_a_page_that_names_it(built, entries):
    for option in options().values():
        if not option.is_sdk:
            (link,) = entries[option.name][1]["More"].select("a")
            page = (built / link["href"].partition("#")[0]).read_text(encoding="utf-8")
            assert option.name.partition(".")[0] in page


def test_option_that_a_page_names_leads_to_its_entry(built):
    section = soup(built / "delivery.html").find(id="size-and-age")
    links = [link["href"] for link in section.select("a.reference")]
    assert links.count("options.html#confval-spool_max_size") == 1
    assert links.count("options.html#confval-spool_fsync") == 1


def test_command_that_a_page_names_leads_to_its_section(built):
    links = [link["href"] for link in soup(built / "tutorial.html").select("a.reference")]
    assert "commands.html#sentry-paste-send-test" in links
    assert "commands.html#sentry-paste-spool-show" in links


def test_options_are_grouped_by_topic(built):
    page = soup(built / "options.html")
    shown = [words(section.find("h2")).rstrip("¶") for section in page.select("section section")]
    assert shown == [title for title, _ in options_by_topic()]


def test_every_option_has_an_example_of_its_kind():
    assert set(options()) - set(EXAMPLES) == set()
    for name, value in EXAMPLES.items():
        option = options().get(name)
        is_dotted = value.startswith("myapp.") or name in ("functions_to_trace", "in_app_exclude")
        if option and " = " not in value and not is_dotted:
            parsed = option.kind.parse(value.replace("${SENTRY_DSN}", "https://key@sentry.example/1"))
            assert parsed != option.default, name


def test_new_in_is_said_for_each_option_that_the_oldest_sdk_does_not_have(entries):
    for name, minor in sdk.NEW_IN.items():
        if name in options():
            assert words(entries[name][1]["New in"]) == f"sentry-sdk 2.{minor}"


def every_command(parser):
    for group in parser._actions:
        for name, command in (getattr(group, "choices", None) or {}).items() if group.nargs == "A..." else ():
            if command.prog == f"{parser.prog} {name}":
                yield command
                yield from every_command(command)


def test_page_of_the_command_line_has_every_command_with_every_argument(built):
    page = soup(built / "commands.html")
    titles = [words(heading).rstrip("¶") for heading in page.select("h2, h3")]
    found = list(every_command(commands.make_parser()))
    assert titles == [command.prog for command in found]
    text = words(page)
    for command in found:
        assert command.description in text
        for action in command._actions:
            for name in action.option_strings:
                assert name in ("-h", "--help") or name in text


def highlighted(built, name):
    page = soup(built / "deployments" / f"{name}.html")
    folded = page.select_one("details.folded")
    return [line.get_text().strip() for line in folded.select(".hll")], folded.get_text()


def test_deployments_fold_the_whole_file_and_highlight_the_lines_to_add(built):
    added, text = highlighted(built, "pyramid")
    assert added[:2] == ["[filter:sentry]", "use = egg:sentry_paste"]
    assert added[-1] == "filter-with = sentry"
    assert not {"[app:main]", "use = egg:myapp"} & set(added)
    assert "[app:main]" in text


def test_only_the_entry_of_a_pipeline_is_highlighted(built):
    added, text = highlighted(built, "zope")
    assert added[-1] == "sentry"
    assert not {"[pipeline:main]", "pipeline =", "translogger"} & set(added)
    assert "translogger" in text


def test_entry_page_is_readme_with_the_version(built):
    page = soup(built / "index.html")
    assert words(page.find("h1")).rstrip("¶") == "sentry_paste"
    assert re.search(r"sentry_paste \d+\.\d+", words(page.find("title")))
    assert not [link["href"] for link in page.select("a[href*='.rst']")]


@pytest.mark.parametrize(("page", "text"), INIS, ids=[f"{page}-{n}" for n, (page, _) in enumerate(INIS)])
def test_every_ini_loads(tmp_path, captured, monkeypatch, page, text):
    monkeypatch.setenv("INBOX_TOKEN", "of-the-environment-1234")
    ini = tmp_path / "docs.ini"
    if ":main]" in text:  # a whole file
        ini.write_text(text.replace("use = egg:myapp", "paste.app_factory = apps:make_app"))
        assert callable(loadapp(f"config:{ini}"))
        return
    ini.write_text(
        text + "\n[pipeline:main]\npipeline = sentry app\n[app:app]\npaste.app_factory = apps:make_app"
    )
    assert loadapp(f"config:{ini}").client is not None


def test_every_alias_and_variable_is_documented():
    text = (DOCS / "configuration.rst").read_text(encoding="utf-8")
    for name, alias in ALIASES.items():
        assert re.search(rf"^``{name}``\s+``{re.escape(alias.option)}``$", text, re.MULTILINE)
    for variable in VARIABLES.values():
        assert f"``{variable}``" in text


LONG = [
    page.relative_to(DOCS).as_posix()
    for page in sorted(DOCS.rglob("*.rst"))
    if page.read_text(encoding="utf-8").count("\n") > 150 and page.stem not in ("architecture", "tutorial")
]


@pytest.mark.parametrize("name", LONG)
def test_long_page_begins_with_a_summary_and_what_to_set(name):
    start = (DOCS / name).read_text(encoding="utf-8").partition("\n.. admonition:: What to set\n")[0]
    title, summary = start.split("\n\n", 1)
    assert title.count("\n") == 2
    assert 2 <= summary.count("\n") <= 12
    assert "\n===" not in summary


def row(what):
    """The filter's and the SDK's entry of the page that compares them."""
    text = (DOCS / "comparison.rst").read_text(encoding="utf-8")
    return re.search(rf"   \* - {what}.*\n     - (.*)\n     - (.*)\n", text).groups()


def test_comparison_says_what_the_pages_say_that_it_names():
    text = {page.stem: page.read_text(encoding="utf-8") for page in DOCS.glob("*.rst")}
    behaviours = re.findall(r"   \* - .*\n     - (yes|no)\n     - (yes|no)\n", text["correctness"])
    counts = tuple(str(sum(entry[side] == "yes" for entry in behaviours)) for side in (0, 1))
    assert row("Behaviours") == counts
    for name, what in (
        ("outage", "an outage"),
        ("burst before exit", "burst"),
        ("SIGKILL ", "after SIGKILL"),
    ):
        sdk, spool = re.search(rf"\n{name} +(\d+)/\d+ +(\d+)/\d+", text["delivery"]).groups()
        assert row(f"Errors .*{what}") == (spool, sdk)
    filtered, sdk = re.search(r"errors only, sessions on +([\d.]+) +([\d.]+)", text["performance"]).groups()
    assert row("Added to a request, errors only") == (f"{float(filtered):.0f} µs", f"{float(sdk):.0f} µs")


@pytest.mark.parametrize("page", ["architecture.rst", *(f"decisions/{path.name}" for path in RECORDS)])
def test_architecture_names_paths_that_exist(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    for path in re.findall(r"``((?:[a-z_]+/)+[\w./]*|[a-z_]+\.py)``", text):
        assert (ROOT / path).exists() or (ROOT / "sentry_paste" / path).exists(), path


@pytest.mark.parametrize("picture", ["modules.svg", "request.svg"])
def test_pictures_name_modules_that_exist(picture):
    text = (DOCS / "pictures" / picture).read_text(encoding="utf-8")
    for path in re.findall(r"[\w/]+\.py", text):
        assert list((ROOT / "sentry_paste").rglob(path)), path


def test_picture_of_the_layers_has_every_package():
    text = (DOCS / "pictures" / "modules.svg").read_text(encoding="utf-8")
    shown = re.findall(r'<text class="t"[^>]*>(\w+)<', text)
    assert sorted(shown) == sorted(set().union(*LAYERS) - {"sentry_paste"})


def test_each_decision_has_a_number_and_a_date():
    assert [path.name[:5] for path in RECORDS] == [f"{number:04}-" for number in range(1, len(RECORDS) + 1)]
    for path in RECORDS:
        assert re.search(r"^\d{4}-\d\d-\d\d$", path.read_text(encoding="utf-8"), re.MULTILINE)
