"""Packaging of sentry_paste: metadata, requirements and entry points."""

from pathlib import Path

from setuptools import find_packages, setup

# The inbox works without Pygments, which highlights its source lines.
INBOX = ["Jinja2>=3.0", "Pygments>=2.12"]
DOCS = ["furo", "Sphinx>=7.4", "sphinx-copybutton"]
EXAMPLE = [
    *INBOX,
    "Paste>=3.10",
    "pyramid>=2.0",
    "pyramid_debugtoolbar>=4.9",
    "pyramid_jinja2>=2.10",
    "waitress>=2.1",
]

setup(
    name="sentry-paste",
    version="1.0",
    description="Sentry around any WSGI application of an ini file: a PasteDeploy filter",
    long_description=Path(__file__).with_name("README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="MIT",
    license_files=["LICENSE"],
    packages=find_packages(include=["sentry_paste", "sentry_paste.*"]),
    include_package_data=False,
    package_data={
        "sentry_paste": ["py.typed"],
        "sentry_paste.debugtoolbar": ["*.dbtmako"],
        "sentry_paste.example": ["templates/*.html", "templates/*.jinja2", "static/*"],
        "sentry_paste.inbox": ["templates/*.jinja2", "static/*"],
    },
    zip_safe=False,
    # By a path and not by an import hook: of its own develop-eggs buildout reads paths, and runs no hooks.
    options={"editable_wheel": {"mode": "compat"}},
    python_requires=">=3.9",
    install_requires=["sentry-sdk>=2.18,<4", "PasteDeploy>=3.0"],
    extras_require={
        "example": EXAMPLE,
        "inbox": INBOX,
        "mcp": ["mcp>=1.23; python_version >= '3.10'"],
        "tests": [
            *DOCS,
            *EXAMPLE,
            # The rules of accessibility that a browser can check; there is none for Python 3.9.
            "axe-core-python; python_version >= '3.10'",
            "bottle",
            "Chameleon",
            "Django",
            "falcon",
            "Flask",
            # On Python 3.9 it brings a setuptools without pkg_resources, which Pyramid imports there.
            "gevent; python_version >= '3.10'",
            "gunicorn",
            "hypothesis",
            "jsonschema",
            "Mako",
            "orjson",
            "Paste",
            "pyramid_retry",
            "pyramid_tm",
            "pytest",
            "sentry-relay",
            "TurboGears2; python_version >= '3.10'",
            "webtest",
        ],
        "docs": DOCS,
        "fast": ["orjson"],
        "benchmarks": [
            "ddtrace>=3.0",
            "elastic-apm>=6.0",
            "gunicorn",
            "line_profiler",
            "matplotlib",
            "newrelic>=14.0; python_version >= '3.10'",
            "opentelemetry-exporter-otlp-proto-http",
            "opentelemetry-instrumentation-wsgi",
            "opentelemetry-sdk",
            "pyramid>=2.0",
            "raven",
            "waitress>=2.1",
        ],
        # The types of pytest are those of the plugin.
        "checks": ["mypy", "pytest", "ruff"],
    },
    entry_points={
        "paste.filter_factory": [
            "main = sentry_paste:filter_factory",
            "sentry = sentry_paste:filter_factory",
        ],
        "paste.filter_app_factory": [
            "app = sentry_paste:filter_app_factory",
        ],
        "paste.composite_factory": [
            "main = sentry_paste:composite_factory",
        ],
        "paste.app_factory": [
            "example = sentry_paste.example:main",
            "health = sentry_paste.inbox.health:main",
            "inbox = sentry_paste.inbox:main",
        ],
        "console_scripts": [
            "sentry-paste = sentry_paste.cli.main:main",
        ],
        "pytest11": [
            "sentry_paste = sentry_paste.pytest_plugin",
        ],
    },
    keywords="sentry wsgi pastedeploy pyramid pylons turbogears zope openstack errors tracing",
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Environment :: Web Environment",
        "Framework :: Paste",
        "Framework :: Pylons",
        "Framework :: Pyramid",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.9",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Internet :: WWW/HTTP :: WSGI :: Middleware",
        "Topic :: System :: Logging",
        "Typing :: Typed",
    ],
)
