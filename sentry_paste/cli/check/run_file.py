"""The file of ``sentry-paste run``, which has options and no app."""

from __future__ import annotations

import os

from paste.deploy.loadwsgi import APP, FILTER

from sentry_paste.cli.check.loader import StaticLoader
from sentry_paste.cli.check.structure import RUN, Layer, Structure
from sentry_paste.config.variables import SECTIONS


def read_run_file(loader: StaticLoader) -> Structure | None:
    """Return Sentry around the apps that a command loads; None if this is no file of ``sentry-paste run``.

    Args:
        loader: loader of the file.
    """
    parser, reading = loader.parser, loader.reading
    kinds = {section.partition(":")[0] for section in parser.sections()}
    section = next((section for section in SECTIONS if parser.has_section(section)), "")
    if (
        not section
        or os.path.isdir(loader.filename)
        or kinds & {kind for group in APP.config_prefixes for kind in group}
    ):
        return None
    reading.options_section = section
    parser.items(section)  # finds what cannot be interpolated
    if section.startswith("filter:") and parser.has_option(section, "use"):
        loader.get_context(FILTER, section.partition(":")[2])  # finds what cannot be inherited
    apps = Layer("the apps that the command loads", "app", "", "", loader.filename)
    options = Layer(
        section.rpartition(":")[2],
        "sentry",
        section,
        "sentry-paste run",
        loader.filename,
        inner=(("", apps),),
        placed=RUN,
        placed_in=section,
    )
    sources = tuple(reading.sources.values())
    return Structure(
        options, loader.filename, section, section, problems=reading.all_problems(), sources=sources
    )
