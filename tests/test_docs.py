"""The documentation builds without a warning, and its examples load."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paste.deploy import loadapp
from test_architecture import LAYERS

from sentry_paste.config.aliases import ALIASES
from sentry_paste.config.options import default_words, options
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
    source = folder / "source"
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("_build"))
    command = [sys.executable, "-X", "dev", "-W", "ignore", "-m", "sphinx", "-W", "-q", "-b", "html"]
    ended = subprocess.run(
        [*command, str(source), str(folder / "html")], capture_output=True, encoding="utf-8", timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    return folder / "html"


def test_reference_is_the_table(built):
    from bs4 import BeautifulSoup

    page = BeautifulSoup((built / "options.html").read_text(encoding="utf-8"), "html.parser")
    entries = {
        term.get_text().strip().rstrip("¶"): term.find_next("dd").get_text() for term in page.select("dt")
    }
    for option in options().values():
        entry = " ".join(entries[option.name].split())
        assert option.kind.expected in entry
        assert " ".join(option.help.split()) in entry
        assert " ".join(default_words(option).replace("``", "").split()) in entry


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
        ("outage", "around an outage"),
        ("burst before exit", "burst"),
        ("SIGKILL ", "after SIGKILL"),
    ):
        sdk, spool = re.search(rf"   {name} +(\d+)/\d+ +(\d+)/\d+", text["delivery"]).groups()
        assert row(f"Errors that arrive.*{what}") == (spool, sdk)
    filtered, sdk = re.search(
        r"errors only, sessions on .*filter ([\d.]+), SDK ([\d.]+)", text["performance"]
    ).groups()
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
