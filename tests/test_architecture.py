"""The map of docs/architecture.rst: every module is on it, and imports go one way."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "sentry_paste").rglob("*.py"))
}


def imports(name):
    """Yield the modules of ours that a module imports while it is imported itself."""
    for node in at_import(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                member = f"{node.module}.{alias.name}"
                yield member if member in MODULES else node.module


def at_import(node):
    """Yield the nodes that run when a module is imported: none of a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        yield child
        yield from at_import(child)


def test_imports_go_one_way():
    graph = {name: set(imports(name)) - {name} for name in MODULES}
    assert sum(map(len, graph.values())) > 100
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_module_is_on_the_map():
    text = (ROOT / "docs/architecture.rst").read_text(encoding="utf-8")
    told = set(re.findall(r"\w+", text.partition("::\n")[2].partition("The way of a request")[0]))
    missing = [
        name
        for name, path in MODULES.items()
        if name != "sentry_paste"
        and not name.startswith("sentry_paste.example")
        and (path.parent.name if path.stem == "__init__" else path.stem) not in told
    ]
    assert missing == []


@pytest.mark.parametrize("name", MODULES)
def test_only_sdk_uses_what_the_sdk_does_not_document(name):
    if name.startswith("sentry_paste.sdk"):
        return
    text = MODULES[name].read_text(encoding="utf-8")
    assert re.findall(r"from sentry_sdk[\w.]* import .*\b_\w+|sentry_sdk\.(?:\w+\.)*_\w+", text) == []
