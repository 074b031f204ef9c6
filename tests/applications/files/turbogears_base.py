"""The base module of TurboGears' tests, which its sdist leaves out: as much of it as the tests need."""

import datetime
import shutil
from pathlib import Path

import tg
from webtest import TestApp

data_dir = str(Path(__file__).parent)
session_dir = str(Path(data_dir, "session"))


def setup_session_dir():
    Path(session_dir).mkdir(exist_ok=True)


def teardown_session_dir():
    shutil.rmtree(session_dir, ignore_errors=True)


def utcnow():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


def make_app(controller=None, environ=None, config_options=None):
    """Return a full-stack app around a controller, which lets errors through."""
    configurator = tg.FullStackApplicationConfigurator()
    configurator.update_blueprint(
        {
            "root_controller": (controller or tg.TGController)(),
            "renderers": ["json", "kajiki", "mako", "jinja", "genshi"],
            "debug": False,
            "errorpage.enabled": False,
            "trace_errors.enable": False,
            **(config_options or {}),
        }
    )
    return TestApp(configurator.make_wsgi_app(), extra_environ=environ)


class TestWSGIController:
    def setup_method(self):
        """For subclasses to call."""
