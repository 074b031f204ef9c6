"""The pages of the documentation, taken literally: their files are written, their commands are run."""

import configparser
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
_BLOCK = re.compile(
    r"^\.\. code-block:: (?P<language>\w+)\n(?P<options>(?:   :.*\n)*)\n(?P<text>(?:   .*\n|\n)+)",
    re.MULTILINE,
)

#: Where the pages have their apps listen.
PORT = "6543"

# The caption of a block that is no whole file.
_LINES_FOR = "Lines to add to "


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        language: of it.
        caption: the name of the file that it is, empty where it is none.
        text: without its indentation.
    """

    language: str
    caption: str
    text: str


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        name: its path under ``docs/``, without a suffix.
        blocks: its code blocks.
    """

    name: str
    blocks: tuple[Block, ...]

    @property
    def files(self):
        """The files that it shows, by name."""
        return {
            block.caption: block.text
            for block in self.blocks
            if block.caption and not block.caption.startswith(_LINES_FOR)
        }

    @property
    def additions(self):
        """The lines that it adds to an ini that is there, by the name of the whole file with them."""
        return {
            block.caption.removeprefix(_LINES_FOR): block.text
            for block in self.blocks
            if block.caption.startswith(_LINES_FOR)
        }

    @property
    def inis(self):
        return {
            name: text for name, text in self.files.items() if name.endswith(".ini") or "[pipeline:" in text
        }

    @property
    def commands(self):
        """The lines of its console blocks."""
        return [
            line[2:]
            for block in self.blocks
            if block.language == "console"
            for line in block.text.replace("\\\n", "").splitlines()
            if line.startswith("$ ")
        ]

    def command(self, pattern):
        """Return the one command in which a regular expression is found."""
        (found,) = [line for line in self.commands if re.search(pattern, line)]
        return found

    def write(self, folder, port=PORT):
        """Write its files, with another port."""
        write_files(folder, {name: text.replace(PORT, str(port)) for name, text in self.files.items()})


def page(name):
    text = (DOCS / f"{name}.rst").read_text(encoding="utf-8")
    blocks = []
    for found in _BLOCK.finditer(text):
        caption = re.search(r":caption: (.*)", found["options"])
        lines = [line[3:] if line.startswith("   ") else line for line in found["text"].splitlines(True)]
        blocks.append(
            Block(found["language"], caption[1] if caption else "", "".join(lines).strip("\n") + "\n")
        )
    return Page(name, tuple(blocks))


def all_pages(folder):
    return [page(f"{folder}/{path.stem}") for path in sorted((DOCS / folder).glob("*.rst"))]


def options(text):
    """Return the options of an ini by section, as they are written."""
    parser = configparser.RawConfigParser(default_section="", strict=False)
    parser.optionxform = str
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


def ini(sections):
    """Return the text of an ini of options by section."""
    blocks = []
    for section, found in sections.items():
        lines = [f"{name} = " + value.replace("\n", "\n    ") for name, value in found.items()]
        blocks.append("\n".join([f"[{section}]", *lines, ""]))
    return "\n".join(blocks)


def without(whole, lines):
    """Return an ini without some of its lines: what it was before they were added."""
    added, own = options(lines), {}
    for section, found in options(whole).items():
        kept = {name: value for name, value in found.items() if name not in added.get(section, {})}
        if kept:
            own[section] = kept
    return ini(own)


def with_lines(own, lines):
    """Return an ini with lines added, to sections that it has or as new ones."""
    sections = options(own)
    for section, found in options(lines).items():
        sections[section] = {**found, **sections.get(section, {})}
    return ini(sections)


def words(command, port, python):
    """Return the words of a command, its program taken from the environment of a Python."""
    found = [word.replace(PORT, str(port)) for word in shlex.split(command)]
    program = Path(python).parent / found[0]
    return [str(program) if program.exists() else shutil.which(found[0]) or found[0], *found[1:]]


def write_files(folder, files):
    """Write files, by their paths in a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


# ``egg:myapp`` stands in the pages for the reader's app. Here it is a distribution of its own, in a folder.

MYAPP = """
import logging
import os


def main(global_conf, **settings):
    if os.environ.get("MYAPP") == "crashes":
        raise LookupError("myapp does not start")
    return app


def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    if name == "crash":
        raise ZeroDivisionError("crash of myapp")
    if name == "logged":
        logging.getLogger("myapp").error("logged by myapp")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello from " + (environ["SCRIPT_NAME"] or "/").encode()]
"""

PYRAMID = """
import logging
import os

from pyramid.config import Configurator
from pyramid.response import Response


def crash(request):
    raise ZeroDivisionError("crash of myapp")


def main(global_conf, **settings):
    if os.environ.get("MYAPP") == "crashes":
        raise LookupError("myapp does not start")
    with Configurator(settings=settings) as config:
        for name, view in (("hello", lambda request: Response("hello from /")), ("crash", crash)):
            config.add_route(name, f"/{name}")
            config.add_view(view, route_name=name)
        return config.make_wsgi_app()
"""


def write_distribution(folder, name, source, version="1.0", **groups):
    """Write a module and the metadata of an installed distribution of that name.

    Args:
        folder: on the path of whoever imports it.
        name: of both.
        source: of the module.
        version: of the distribution.
        groups: entry points, ``paste_app_factory="main = myapp:main"``.
    """
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    sections = groups or {"paste_app_factory": f"main = {name}:main"}
    (info / "entry_points.txt").write_text(
        "".join(f"[{group.replace('_', '.', 1)}]\n{lines}\n" for group, lines in sections.items())
    )
