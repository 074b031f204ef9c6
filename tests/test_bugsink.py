"""What the example reports is found again in a Sentry-compatible server, by the server's own API."""

import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import pytest

import servers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info < (3, 10), reason="Bugsink needs Python 3.10 or newer"),
]

EXAMPLE_INI = Path(__file__).parent.parent / "example.ini"


@dataclass
class Issue:
    """An issue as Bugsink has it, with the payload of its first event."""

    facts: dict
    event: dict


class Bugsink:
    """Bugsink in an environment of its own.

    Args:
        folder: for the environment, the settings and the databases.
    """

    def __init__(self, folder):
        self.folder = folder
        self.port = servers.free_port()
        self.token = ""
        # Neither our modules (it has apps and wsgi of its own) nor our wish for warnings.
        self.variables = {
            "DJANGO_SETTINGS_MODULE": "bugsink_conf",
            "PYTHONPATH": str(folder),
            "PYTHONDEVMODE": "",
        }
        self.bin = folder / "env" / "bin"

    def install(self):
        self.run(sys.executable, "-m", "venv", self.folder / "env")
        self.run(self.bin / "python", "-m", "pip", "install", "--quiet", "bugsink>=2.6,<3")
        self.run(
            self.bin / "bugsink-create-conf", "--template=local", "--host=127.0.0.1", f"--port={self.port}"
        )
        settings = self.folder / "bugsink_conf.py"
        text = settings.read_text(encoding="utf-8")
        silent = text.replace('"SINGLE_USER": True,', '"SINGLE_USER": True,\n    "PHONEHOME": False,')
        assert silent != text, "Bugsink's settings are others than those that this test knows"
        settings.write_text(silent, encoding="utf-8")
        self.run(self.bin / "bugsink-manage", "migrate")
        self.run(self.bin / "bugsink-manage", "migrate", "snappea", "--database=snappea")
        self.token = self.run(self.bin / "bugsink-manage", "create_auth_token").split()[-1]

    def run(self, *command):
        """Run a command to its end and return what it printed."""
        ended = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=servers.environment(**self.variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        assert ended.returncode == 0, f"{command} failed:\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    @contextmanager
    def serve(self):
        command = [self.bin / "gunicorn", "--bind", f"127.0.0.1:{self.port}", "--workers", "1"]
        command += ["--threads", "4", "bugsink.wsgi"]
        with servers.started(command, self.port, self.folder, "bugsink", **self.variables) as server:
            self.get("/health/ready")  # the answer waits until the app is loaded
            yield server

    def get(self, path, **query):
        return self._ask(path + ("?" + urlencode(query) if query else ""))

    def post(self, path, **fields):
        return self._ask(path, json.dumps(fields).encode())

    def _ask(self, path, body=None):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = Request(f"http://127.0.0.1:{self.port}{path}", body, headers)
        with build_opener(ProxyHandler({})).open(request, timeout=180) as answer:
            text = answer.read().decode()
        return json.loads(text) if answer.headers["Content-Type"] == "application/json" else text

    def make_project(self):
        """Make a project and return its id and its DSN."""
        team = self.post("/api/canonical/0/teams/", name="team")
        project = self.post("/api/canonical/0/projects/", name="example", team=team["id"])
        return project["id"], self.get(f"/api/canonical/0/projects/{project['id']}/")["dsn"]

    def issues(self, project, count, seconds=60.0):
        """Wait until so many issues are there, and return all by the type of their exception."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.get("/api/canonical/0/issues/", project=project)["results"]
            if len(found) >= count:
                return {issue["calculated_type"]: Issue(issue, self._event(issue)) for issue in found}
            assert time.monotonic() < deadline, f"{len(found)} of {count} issues after {seconds} s"
            time.sleep(0.2)

    def _event(self, issue):
        first = self.get("/api/canonical/0/events/", issue=issue["id"], order="asc")["results"][0]
        return self.get(f"/api/canonical/0/events/{first['id']}/")["data"]


@contextmanager
def example_serving(folder, dsn):
    """Serve the project's own example.ini; only the port is another."""
    port = servers.free_port()
    text = EXAMPLE_INI.read_text(encoding="utf-8")
    moved, count = re.subn(r"(?m)^listen = 127\.0\.0\.1:\d+$", f"listen = 127.0.0.1:{port}", text)
    assert count == 1
    ini = folder / "example.ini"
    ini.write_text(moved, encoding="utf-8")
    command = [sys.executable, "-m", "pyramid.scripts.pserve", ini]
    with servers.started(command, port, folder, "example", SENTRY_DSN=dsn) as server:
        yield server


def send_test(folder, dsn):
    ini = folder / "tested.ini"
    ini.write_text(
        f"[filter:sentry]\nuse = egg:sentry_paste\ndsn = {dsn}\n"
        "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "sentry_paste", "send-test", str(ini)]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=180)
    return ended.returncode, " ".join(ended.stdout.split()) + ended.stderr


@dataclass
class Story:
    """What came of some requests to the example.

    Attributes:
        answers: the status lines by path.
        issues: those of Bugsink by the type of their exception.
        logs: what both servers printed.
        tested: status and output of send-test.
    """

    answers: dict
    issues: dict
    logs: str
    tested: tuple


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bugsink")
    try:
        bugsink = Bugsink(folder)
        bugsink.install()
        with bugsink.serve() as server:
            project, dsn = bugsink.make_project()
            with example_serving(folder, dsn) as example:
                answers = {
                    path: example.ask(servers.request_bytes(path)).partition(b"\r\n")[0]
                    for path in ("/hello", "/crash", "/handled")
                }
                # The handled error is captured last, so all others are there when it is.
                issues = bugsink.issues(project, 2)
                tested = send_test(folder, dsn)
                return Story(answers, issues, server.output() + example.output(), tested)
    finally:
        shutil.rmtree(folder)  # pytest would keep its 200 MB for three more runs


@pytest.fixture
def story(recorded):
    print(recorded.logs)  # pytest shows it where a test fails
    return recorded


def test_example_answers(story):
    assert story.answers == {
        "/hello": b"HTTP/1.1 200 OK",
        "/crash": b"HTTP/1.1 500 Internal Server Error",
        "/handled": b"HTTP/1.1 200 OK",
    }


def test_each_error_is_an_issue(story):
    recorded = {
        name: (found.facts["calculated_value"], found.facts["transaction"])
        for name, found in story.issues.items()
    }
    assert recorded == {
        "BillError": ("cannot share 2790 cents between 0 guests", "crash"),
        "SoldOutError": ("no tiramisù left tonight", "handled"),
    }


# The filter logs the crash that its page answers, which must not be a second event.
def test_each_error_is_one_event(story):
    counts = {name: found.facts["stored_event_count"] for name, found in story.issues.items()}
    assert counts == {"BillError": 1, "SoldOutError": 1}


@pytest.mark.parametrize(("name", "path"), [("BillError", "/crash"), ("SoldOutError", "/handled")])
def test_event_has_release_environment_and_url(story, name, path):
    event = story.issues[name].event
    found = event["release"], event["environment"], event["request"]["url"]
    assert found == ("sentry-paste-example@1.0", "development", f"http://localhost{path}")


@pytest.mark.parametrize(("name", "handled"), [("BillError", False), ("SoldOutError", True)])
def test_event_says_whether_the_error_was_handled(story, name, handled):
    assert story.issues[name].event["exception"]["values"][-1]["mechanism"]["handled"] is handled


def test_event_shows_the_cause_first(story):
    values = story.issues["BillError"].event["exception"]["values"]
    assert [value["type"] for value in values] == ["ZeroDivisionError", "BillError"]


def test_event_has_nothing_of_a_variable_with_credentials(story):
    assert "swordfish" not in json.dumps(story.issues["BillError"].event)


def test_send_test_knows_that_it_takes_no_transactions(story):
    status, output = story.tested
    assert status == 0
    assert "the server takes errors but no " in output
    assert output.endswith("Look for the error SentryPasteTest.")
