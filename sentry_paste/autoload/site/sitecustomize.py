"""What ``sentry-paste run`` has each Python process import at its start.

It waits until PasteDeploy is imported, which most processes never do. Only then it imports this package: a
script that buildout has made finds it no sooner, and the SDK's import takes time. So that a process starts as
fast as before, nothing is imported here that is not there anyway.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_AWAITED = "paste.deploy.loadwsgi"


class _Finder:
    """A finder that finds one module with the other finders, and patches it once it is executed."""

    is_searching = False

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """Find PasteDeploy's module, whose loader will patch it; None for any other."""
        if name != _AWAITED or self.is_searching:
            return None
        self.is_searching = True
        try:
            specs = (finder.find_spec(name, path, target) for finder in sys.meta_path)
            spec = next(filter(None, specs), None)
        finally:
            self.is_searching = False
        if spec is not None and spec.loader is not None:
            _call_after(spec.loader)
        return spec


def _call_after(loader: "Any") -> None:
    execute = loader.exec_module

    def exec_module(module: "Any") -> None:
        """Execute a module, and patch it if it is PasteDeploy's."""
        execute(module)
        # A loader of a zip file has other modules as well.
        if module.__name__ == _AWAITED:
            _patch(module)

    loader.exec_module = exec_module


def _patch(module: "Any") -> None:
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder) is not _Finder]
    try:
        from sentry_paste.autoload import patch
    except ImportError as error:
        print(f"sentry-paste run: no Sentry in this process of {sys.executable}: {error}", file=sys.stderr)
    else:
        patch(module)


def _import_hidden() -> None:
    """Import the ``sitecustomize`` that Python would have imported without this one, if there is one."""
    ours = sys.modules.pop("sitecustomize")
    try:
        # The module that is in sys.modules in the end is the one that the outer import returns.
        __import__("sitecustomize")
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        sys.modules.setdefault("sitecustomize", ours)


# Only in this process: those that it starts inherit PYTHONPATH.
_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if entry != _here]
if _AWAITED in sys.modules:  # by a .pth file
    _patch(sys.modules[_AWAITED])
else:
    sys.meta_path.insert(0, _Finder())
_import_hidden()
