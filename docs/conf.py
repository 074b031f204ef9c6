"""Sphinx: the documentation. The references are made from the option table and from the commands' parsers."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

from sentry_sdk import VERSION

from sentry_paste.config.examples import EXAMPLES
from sentry_paste.config.options import options

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sentry_paste"
copyright = "2026, the sentry_paste contributors"  # noqa: A001 - Sphinx's name
version = release = version_of("sentry-paste")
extensions = ["command_line", "inis", "option_reference", "repository", "sphinx_copybutton", "tables"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"sentry_paste {release}"
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
html_theme_options = {
    "light_css_variables": {
        "font-stack": _FONTS,
        "color-brand-primary": "#5b3fd6",
        "color-brand-content": "#4f37b8",
        "color-added": "#e6f4e1",
        "color-added-edge": "#3f8f2d",
    },
    "dark_css_variables": {
        "color-brand-primary": "#a99bff",
        "color-brand-content": "#a99bff",
        "color-added": "#1e3a22",
        "color-added-edge": "#6fc45c",
    },
}
html_favicon = "static/icon.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = html_show_sourcelink = False
# A block that does not say its language is what a command has printed.
highlight_language = "none"
# The prompt is not copied, nor what a command prints.
copybutton_prompt_text = "$ "
copybutton_selector = "div:not(.highlight-none) > div.highlight > pre"
copybutton_line_continuation_character = "\\"
nitpicky = True
# Options that the pages name, and a newer SDK has.
nitpick_ignore = [("std:confval", name) for name in EXAMPLES if name not in options()]
rst_epilog = f".. |sdk| replace:: {VERSION}"
# What is code in the option table stays code.
smartquotes = False
