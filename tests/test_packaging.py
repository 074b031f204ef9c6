"""What is installed, and that the tests test it."""

import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

import sentry_paste

INSTALLED = distribution("sentry-paste")


def test_tests_run_against_what_is_installed():
    origin = json.loads(INSTALLED.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        pytest.skip("installed in editable mode, for development")
    assert "site-packages" in Path(sentry_paste.__file__).parts


def test_run_time_needs_the_sdk_and_paste_deploy_only():
    needed = [requirement for requirement in INSTALLED.requires if "extra ==" not in requirement]
    assert sorted(requirement.split(">")[0].split("<")[0].strip() for requirement in needed) == [
        "PasteDeploy",
        "sentry-sdk",
    ]


def test_types_ship():
    assert (Path(sentry_paste.__file__).parent / "py.typed").exists()


def test_import_needs_no_extra():
    script = (
        "import sys\n"
        "for name in ('pyramid', 'webob', 'jinja2', 'waitress', 'webtest'): sys.modules[name] = None\n"
        "import sentry_paste, sentry_paste.cli.main, sentry_paste.testing, sentry_paste.spool\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=180)


def test_the_inbox_says_what_to_install_where_jinja2_is_missing():
    script = (
        "import sys\n"
        "sys.modules['jinja2'] = None\n"
        "from sentry_paste.inbox import main\n"
        "try:\n"
        "    main({}, spool_dir='/srv/spool')\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], check=True, timeout=180, capture_output=True, encoding="utf-8"
    )
    assert "pip install 'sentry-paste[inbox]'" in ended.stdout


def test_the_inbox_needs_jinja2_only():
    script = (
        "import sys\n"
        "for name in ('pyramid', 'webob', 'pyramid_jinja2', 'paste.urlmap'): sys.modules[name] = None\n"
        "from sentry_paste.inbox import main\n"
        "main({}, spool_dir='/srv/spool')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=180)
