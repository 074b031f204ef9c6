"""Sphinx: the documentation, with the option reference made from the option table."""

from pathlib import Path

from sentry_paste.config.options import reference

project = "sentry_paste"
copyright = "2026, the sentry_paste contributors"  # noqa: A001 - Sphinx's name
extensions: list[str] = []
exclude_patterns = ["_build", "_options.rst"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Sentry around the WSGI applications of an ini file",
    "font_family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif",
    "font_size": "16px",
    "page_width": "1180px",
    "sidebar_width": "240px",
}
html_static_path = ["static"]
html_css_files = ["site.css"]
# A block that does not say its language is what a command has printed.
highlight_language = "none"
nitpicky = True
# What is code in the option table stays code.
smartquotes = False


def setup(app):
    """Write the reference before Sphinx reads its sources."""

    def write(app):
        Path(app.srcdir, "_options.rst").write_text(reference(), encoding="utf-8")

    app.connect("builder-inited", write)
