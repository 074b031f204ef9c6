"""An ini is named as pserve, plaster's loaders, gunicorn and Swift name it."""

import pytest

from sentry_paste.cli.main import main
from sentry_paste.cli.uris import IniUri, parse_uri


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f.ini", IniUri("f.ini")),
        ("f.ini#shop", IniUri("f.ini", "shop")),
        ("config:f.ini", IniUri("f.ini")),
        ("config:/srv/f%20g.ini#shop", IniUri("/srv/f g.ini", "shop")),
        ("pastedeploy+ini:///srv/f.ini#shop", IniUri("/srv/f.ini", "shop")),
        ("pastedeploy://f.ini", IniUri("f.ini")),
        ("file+ini://f.ini", IniUri("f.ini")),
        ("f.ini?key=a%20b&empty=#shop", IniUri("f.ini", "shop", {"key": "a b", "empty": ""})),
        ("/srv/a?b=c", IniUri("/srv/a", "", {"b": "c"})),
        ("C:\\srv\\f.ini", IniUri("C:\\srv\\f.ini")),
        ("", IniUri("")),
    ],
)
def test_uri(text, expected):
    assert parse_uri(text) == expected


def test_file_with_a_question_mark_in_its_name(tmp_path):
    path = tmp_path / "f?x=1.ini"
    path.write_text("")
    assert parse_uri(str(path)) == IniUri(str(path))


def test_loader_of_c2cwsgiutils_has_the_environment(monkeypatch):
    monkeypatch.setenv("GIT_HASH", "50%")
    found = parse_uri("c2c:///app/f.ini#shop")
    assert (found.path, found.name, found.variables["GIT_HASH"]) == ("/app/f.ini", "shop", "50%%")
    assert parse_uri("c2c://f.ini?GIT_HASH=1").variables["GIT_HASH"] == "50%%"


def test_check_reads_what_a_loader_of_others_puts_into_default(write_ini, monkeypatch, capsys):
    monkeypatch.setenv("GIT_HASH", "abc123")
    path = write_ini(
        "[filter:sentry]\nuse = egg:sentry_paste\ndsn = https://k@h.example/1\nrelease = %(GIT_HASH)s\n"
        "environment = %(stage)s\n[app:shop]\nuse = egg:myapp\nfilter-with = sentry\n"
    )
    assert main(["check", f"c2c://{path}?stage=prod#shop"]) == 0
    out = capsys.readouterr().out
    assert "abc123" in out
    assert "prod" in out
    assert main(["check", f"pastedeploy+ini://{path}?stage=prod#shop", "GIT_HASH=def"]) == 0
    assert "def" in capsys.readouterr().out
