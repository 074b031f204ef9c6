"""The codes of mistakes and warnings are documented, so that nobody renames them by mistake."""

import ast
import re
from pathlib import Path

import sentry_paste

PACKAGE = Path(sentry_paste.__file__).parent
DOCS = Path(__file__).parents[3] / "docs" / "configuration.rst"

# Where a call has its code.
PLACES = {"Finding": 1, "_finding": 2, "LoadProblem": 2, "_add_reference_problem": 2, "_place": 2}


def codes():
    """The codes of all calls that have one as they stand."""
    for path in [*PACKAGE.glob("cli/check/*.py"), *PACKAGE.glob("config/*.py"), *PACKAGE.glob("client/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            if name in PLACES and len(node.args) > PLACES[name]:
                given.append(node.args[PLACES[name]])
            for argument in given:
                for part in ast.walk(argument):
                    if isinstance(part, ast.Constant) and re.fullmatch(r"[a-z]+(-[a-z]+)*", str(part.value)):
                        yield part.value


def test_every_code_is_documented_once():
    text = DOCS.read_text(encoding="utf-8")
    documented = re.findall(r"^``([a-z-]+)``  +\S", text.partition(".. _codes:")[2], re.MULTILINE)
    assert len(documented) == len(set(documented))
    undocumented = set(codes()) - set(documented)
    assert undocumented == set()
