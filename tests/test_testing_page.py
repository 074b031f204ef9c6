"""The page about testing: its tests pass, and what it lists is there."""

import dataclasses
import re
import subprocess
import sys

import pytest

from sentry_paste import testing

import pages
import servers

PAGE = pages.page("testing")
TEXT = (pages.DOCS / "testing.rst").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", PAGE.commands)
def test_its_tests_pass(tmp_path, command):
    PAGE.write(tmp_path)
    pages.write_distribution(tmp_path, "myapp", pages.page("tutorial").files["myapp.py"])
    words = command.split()
    module = ["-m", "pytest", *words[1:]] if words[0] == "pytest" else words[1:]
    ended = subprocess.run(
        [sys.executable, *module],
        cwd=tmp_path,
        env=servers.environment(PYTHONPATH=str(tmp_path)),
        capture_output=True,
        encoding="utf-8",
        timeout=180,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    count = PAGE.files[f"{words[-1].removesuffix('.py')}.py"].count("def test_")
    assert re.search(rf"\b{count} passed|Ran {count} test", ended.stdout + ended.stderr)


@pytest.mark.parametrize(
    ("attribute", "record"),
    [
        ("exceptions", testing.CapturedException),
        ("transactions", testing.CapturedTransaction),
        ("spans", testing.CapturedSpan),
        ("logs", testing.CapturedLog),
    ],
)
def test_records_have_the_attributes_that_it_lists(attribute, record):
    assert isinstance(getattr(testing.CapturedEnvelopes, attribute), property)
    row = re.search(rf"^``{attribute}`` .*\n(?: .*\n)?", TEXT, re.MULTILINE)[0]
    named = set(re.findall(r"``(\w+)``", row)) - {attribute}
    fields = (
        {field.name for field in dataclasses.fields(record)}
        if dataclasses.is_dataclass(record)
        else {name for name, value in vars(record).items() if isinstance(value, property) and name[0] != "_"}
    )
    assert named == fields
