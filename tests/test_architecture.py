"""The map of docs/architecture.rst: every module is on it, and packages import one way only."""

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


# From the top. A package imports only packages on layers below its own.
LAYERS = (
    {"factories", "pyramid", "autoload", "debugtoolbar", "__main__", "pytest_plugin", "sentry_paste"},
    {"cli", "middleware"},
    {"request", "testing", "mcp"},
    {"inbox", "client"},
    {"spool", "config", "redaction", "wsgi"},
    {"sdk"},
)
LAYER = {package: number for number, layer in enumerate(LAYERS) for package in layer}


def package_of(module):
    return module.split(".")[1] if "." in module else module


def imports(name):
    """Yield the modules of ours that a module imports, also within its functions."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                member = f"{node.module}.{alias.name}"
                yield member if member in MODULES else node.module


GRAPH = {name: set(imports(name)) - {name} for name in MODULES}


def test_there_is_no_circle():
    assert sum(map(len, GRAPH.values())) > 100
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("name", [name for name in MODULES if package_of(name) in LAYER])
def test_package_imports_only_from_below(name):
    package = package_of(name)
    others = {found for found in GRAPH[name] if package_of(found) != package}
    # The package's own names are imported from its doors.
    if name == "sentry_paste":
        others = set()
    assert {found for found in others if LAYER.get(package_of(found), 99) <= LAYER[package]} == set()


def test_every_package_has_a_layer_or_is_the_example():
    assert {package_of(name) for name in MODULES} - set(LAYER) == {"example"}
    assert not any(
        package_of(found) == "example"
        for name in MODULES
        for found in GRAPH[name]
        if package_of(name) != "example"
    )


def test_environ_functions_know_no_sdk():
    for name in MODULES:
        if package_of(name) == "wsgi":
            text = MODULES[name].read_text(encoding="utf-8")
            assert "sentry_sdk" not in text
            assert all(package_of(found) == "wsgi" for found in GRAPH[name])


def test_every_module_is_on_the_map():
    text = (ROOT / "docs/architecture.rst").read_text(encoding="utf-8")
    described = set(re.findall(r"\w+", text.partition("::\n")[2].partition("Life of a request")[0]))
    missing = [
        name
        for name, path in MODULES.items()
        if name != "sentry_paste"
        and not name.startswith("sentry_paste.example")
        and (path.parent.name if path.stem == "__init__" else path.stem) not in described
    ]
    assert missing == []


@pytest.mark.parametrize("name", MODULES)
def test_only_sdk_uses_what_the_sdk_does_not_document(name):
    if name.startswith("sentry_paste.sdk"):
        return
    text = MODULES[name].read_text(encoding="utf-8")
    assert re.findall(r"from sentry_sdk[\w.]* import .*\b_\w+|sentry_sdk\.(?:\w+\.)*_\w+", text) == []
