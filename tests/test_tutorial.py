"""The tutorial, followed to the letter: its files, its commands, and what it says that is to be seen."""

import http.client
import re
import signal
import subprocess
import sys
from importlib.metadata import distribution

import pytest
from bs4 import BeautifulSoup

import pages
import servers

PAGE = pages.page("tutorial")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("tutorial")
    PAGE.write(found)
    pages.write_distribution(found, "myapp", PAGE.files["myapp.py"])
    return found


def run(folder, command):
    """Run a command of the page and return what it prints."""
    ended = subprocess.run(
        pages.words(command, pages.PORT, sys.executable),
        cwd=folder,
        env=servers.environment(PYTHONPATH=str(folder)),
        capture_output=True,
        encoding="utf-8",
        timeout=180,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def served(folder, command, port):
    """Start a server of the page, on another port than the page's own."""
    words = pages.words(command, port, sys.executable)
    return servers.started(words, port, folder, PYTHONPATH=str(folder))


def asked(server, path):
    return server.ask(servers.request_bytes(path)).decode()


@pytest.fixture(scope="module")
def crashed(folder):
    """The answer to the request that crashes, and the log of the server."""
    port = servers.free_port()
    ini = folder / "development.ini"
    ini.write_text(ini.read_text().replace(pages.PORT, str(port)))
    with served(folder, PAGE.command("pserve development.ini"), port) as server:
        answer = asked(server, "/checkout")
        assert server.end(signal.SIGINT) == 0
        return answer, server.output()


def test_what_is_installed_exists():
    (extra,) = re.findall(r"\[(\w+)\]", PAGE.command("pip install"))
    assert extra in distribution("sentry-paste").metadata.get_all("Provides-Extra")


def test_lines_to_add_are_seven_and_all_that_the_ini_has_for_sentry():
    lines, whole = PAGE.additions["development.ini"], PAGE.files["development.ini"]
    own = pages.without(whole, lines)
    assert "sentry" not in own.lower()
    assert pages.options(pages.with_lines(own, lines)) == pages.options(whole)
    added = [line for line in lines.splitlines() if line not in ("", "[app:main]")]
    assert len(added) == 7


def test_check_has_nothing_against_the_ini_and_finds_the_mistake_that_the_page_names(folder):
    assert "No warnings" in run(folder, PAGE.command("check"))
    wrong = folder / "wrong.ini"
    wrong.write_text(PAGE.files["development.ini"].replace("traces_sample_rate", "trace_sample_rate"))
    with pytest.raises(AssertionError, match="trace_sample_rate"):
        run(folder, "sentry-paste check wrong.ini")


def test_page_of_the_crash_is_the_servers_own(crashed):
    answer, log = crashed
    assert answer.startswith("HTTP/1.1 500 ")
    assert "Internal Server Error" in answer
    assert "TypeError" in log


def test_spool_has_the_error_and_the_request(folder, crashed):
    text = run(folder, PAGE.command("spool list"))
    assert "TypeError" in text
    assert "took" in text
    error = re.search(r"TypeError.* ([0-9a-f]{8,32})", text)[1]
    shown = run(folder, f"sentry-paste spool show var/sentry {error}")
    assert "TypeError" in shown
    assert "checkout" in shown


def test_inbox_shows_the_error_with_its_variables(folder, crashed):
    port = servers.free_port()
    command = PAGE.command("sentry-paste inbox").removesuffix(" --open")
    with served(folder, f"{command} --port {port}", port) as server:
        browser = http.client.HTTPConnection("127.0.0.1", server.port, timeout=180)

        def page(path):
            headers = {"Connection": "keep-alive", "Sec-Fetch-Site": "none"}
            browser.request("GET", path, headers=headers)
            return BeautifulSoup(browser.getresponse().read(), "html.parser")

        found = page("/")
        assert "TypeError" in found.get_text()
        text = page(found.select_one("a[href*='/envelope/']")["href"]).get_text()
        assert "TypeError" in text
        assert "basket" in text
        assert "checking out 2 dishes" in text
        browser.close()
        server.end(signal.SIGINT)
