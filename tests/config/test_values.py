"""Options whose value is made of what the ini says."""

import logging
import subprocess

import pytest
import sentry_sdk
from sentry_sdk.integrations import logging as sdk_logging

from sentry_paste import ConfigError, SentryMiddleware, sdk
from sentry_paste.config import read_ini

from wsgi_calls import call


def read(base="", **options):
    return read_ini({"here": str(base)}, options)


def mistake(base="", **options):
    with pytest.raises(ConfigError) as caught:
        read(base, **options)
    (line,) = str(caught.value).splitlines()[1:]
    return line.strip()


class TestRelease:
    def test_distribution(self):
        assert read(release="dist:sentry-sdk").sdk == {"release": f"sentry-sdk@{sentry_sdk.VERSION}"}

    def test_distribution_that_is_not_installed(self):
        message = (
            "release = dist:nothing: expected the name of an installed distribution, "
            "but 'nothing' is not installed"
        )
        assert mistake(release="dist:nothing") == message

    def test_commit(self, tmp_path):
        def git(*arguments):
            command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *arguments]
            return subprocess.run(
                command, cwd=tmp_path, check=True, capture_output=True, encoding="ascii"
            ).stdout

        git("init", "-q")
        git("commit", "-q", "--allow-empty", "-m", "x")
        assert read(tmp_path, release="git").sdk == {"release": git("rev-parse", "HEAD").strip()}

    def test_no_commit(self, tmp_path):
        message = f"release = git: expected {tmp_path} to be in a git repository with a commit"
        assert mistake(tmp_path, release="git") == message

    def test_text(self):
        assert read(release="1.0").sdk == {"release": "1.0"}


class TestDsnFile:
    def test_file(self, tmp_path):
        (tmp_path / "dsn").write_text("https://key@sentry.example/1\n")
        assert read(tmp_path, dsn_file="dsn").sdk == {"dsn": "https://key@sentry.example/1"}

    def test_it_is_above_the_environment(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SENTRY_DSN", "https://other@sentry.example/1")
        (tmp_path / "dsn").write_text("https://key@sentry.example/1\n")
        assert read(tmp_path, dsn_file="dsn").sdk == {"dsn": "https://key@sentry.example/1"}

    def test_two_files_are_two_clients(self, tmp_path):
        for name in ("a", "b"):
            (tmp_path / name).write_text(f"https://{name}@sentry.example/1")
        assert read(tmp_path, dsn_file="a").client_key != read(tmp_path, dsn_file="b").client_key

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "dsn_file = dsn: expected a file that can be read: No such file or directory"),
            (b"\xff", "dsn_file = dsn: expected a file that can be read: it is not text"),
            (b"secret", "dsn_file = dsn: expected a file that contains a DSN, https://KEY@HOST/PROJECT"),
        ],
    )
    def test_mistakes_do_not_show_the_secret(self, tmp_path, content, message):
        if content is not None:
            (tmp_path / "dsn").write_bytes(content)
        assert mistake(tmp_path, dsn_file="dsn") == message

    def test_both(self, tmp_path):
        (tmp_path / "dsn").write_text("https://key@sentry.example/1\n")
        message = mistake(tmp_path, dsn_file="dsn", dsn="https://key@sentry.example/1")
        assert message == "dsn_file = dsn: cannot be combined with dsn; set only one of them"


class TestIgnored:
    def test_exceptions_are_those_that_the_sdk_ignores(self, captured):
        def app(environ, start_response):
            raise FileNotFoundError

        call(SentryMiddleware(app, ignore_exceptions="OSError, zipfile.BadZipFile", ignore_errors="Other"))
        assert captured.errors == []
        assert sentry_sdk.get_client().options["ignore_errors"][0] == "Other"

    def test_loggers_are_those_that_the_sdk_ignores(self, captured):
        def app(environ, start_response):
            logging.getLogger("noisy.part").error("not this")
            logging.getLogger("shop").error("but this")
            return []

        try:
            call(SentryMiddleware(app, ignore_loggers="noisy.* other"))
        finally:
            ignored = "_IGNORED_LOGGERS" if sdk.MAJOR == 2 else "_IGNORED_LOGGERS_EVENTS"
            getattr(sdk_logging, ignored).difference_update({"noisy.*", "other"})
        assert [error["logger"] for error in captured.errors] == ["shop"]
