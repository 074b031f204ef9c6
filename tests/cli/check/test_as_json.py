"""``check --json`` has what the text has, for machines."""

import json
import sys

from sentry_paste.cli.main import main

from check_reports import SENTRY

APP = "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"


def run(capsys, *arguments):
    status = main(["check", "--json", *map(str, arguments)])
    captured = capsys.readouterr()
    assert captured.err == ""
    found = json.loads(captured.out)
    assert found["status"] == status
    return found


def test_structure_options_and_warnings(write_ini, capsys):
    path = write_ini(SENTRY + "debug = true\nname = web1\n" + APP)
    found = run(capsys, path)
    assert (found["path"], found["name"], found["status"], found["mistakes"]) == (str(path), "main", 0, [])
    sentry = found["structure"]
    assert (sentry["kind"], sentry["section"], sentry["covered"]) == ("sentry", "filter:sentry", False)
    (app,) = sentry["inner"]
    assert (app["name"], app["kind"], app["covered"], app["missing"]) == ("main", "app", True, "myapp")
    (filter_,) = found["filters"]
    assert filter_["reports"] is True
    assert {
        "name": "dsn",
        "value": "https://***@sentry.example/7",
        "origin": "[filter:sentry] line 4",
        "line": 4,
    } in (filter_["options"])
    assert [(one["severity"], one["code"], one["path"], one["line"]) for one in found["warnings"]] == [
        ("medium", "older-name", str(path), 7),
        ("low", "debug", str(path), None),
    ]


def test_mistakes_have_file_and_line(write_ini, capsys):
    path = write_ini(SENTRY + "sample_rate = 7\nnonsense\n" + APP)
    found = run(capsys, path)
    assert found["status"] == 2
    assert [(one["code"], one["path"], one["line"], one.get("option")) for one in found["mistakes"]] == [
        ("syntax", str(path), 7, None),
        ("option", str(path), 6, "sample_rate"),
    ]


def test_ini_that_cannot_be_read(tmp_path, capsys):
    found = run(capsys, tmp_path / "none.ini")
    assert found["structure"] is None
    (mistake,) = found["mistakes"]
    assert (mistake["code"], mistake["text"]) == (
        "unreadable",
        f"{tmp_path}/none.ini: No such file or directory",
    )


def test_warnings_count_where_they_are_asked_to(write_ini, capsys):
    assert run(capsys, "--strict", write_ini(SENTRY + "debug = true\n" + APP))["status"] == 1


def test_secrets_are_not_in_it(write_ini, capsys):
    main(
        [
            "check",
            "--json",
            str(write_ini(SENTRY + "sample_rate = 7\nhttp_proxy = http://a:hunter2@h:1\n" + APP)),
        ]
    )
    out = capsys.readouterr().out
    assert "hunter2" not in out
    assert "secret" not in out.replace("public:secret", "secret") or "secret@" not in out


def test_pipeline_of_hundreds_of_filters(write_ini, capsys):
    before = sys.getrecursionlimit()
    names = [f"f{number}" for number in range(400)]
    sections = "".join(f"[filter:{name}]\nuse = egg:f\n" for name in names)
    path = write_ini(
        f"{SENTRY}{sections}[app:app]\nuse = egg:a\n"
        f"[pipeline:main]\npipeline = sentry {' '.join(names)} app\n"
    )
    assert main(["check", "--json", str(path)]) == 0
    assert sys.getrecursionlimit() == before
    sys.setrecursionlimit(5000)
    try:
        layer = json.loads(capsys.readouterr().out)["structure"]
    finally:
        sys.setrecursionlimit(before)
    depth = 0
    while layer["inner"]:
        (layer,) = layer["inner"]
        depth += 1
    assert depth == 401
