"""``check --sdk VERSION``: what would change with another version of sentry-sdk, whichever is installed."""

import pytest

from sentry_paste.cli.main import main
from sentry_paste.config.options import options

INI = """
[filter:sentry]
use = egg:sentry_paste
dsn = https://k@sentry.example/1
{line}

[app:main]
paste.app_factory = apps:make_app
filter-with = sentry
"""


@pytest.fixture
def found(write_ini, capsys):
    def found(line, version):
        name = line.partition(" ")[0]
        if name.isidentifier() and name not in options():
            pytest.skip("this sentry-sdk does not have the option yet")
        main(["check", "--sdk", version, str(write_ini(INI.format(line=line)))])
        text = " ".join(capsys.readouterr().out.split())
        return text[text.find(" With ") + 1 :].rstrip() if " With " in text else ""

    return found


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("before_send_transaction = builtins:print", "has no effect: there are no transactions"),
        ("profiles_sample_rate = 0.5", "is the share of processes"),
        ("trace_lifecycle = static", "= static has no effect"),
        ("integration.flask.transaction_style = url", "has no effect with sentry-sdk 3"),
        ("integration.threading.propagate_hub = true", "has no effect with sentry-sdk 3"),
    ],
)
def test_3_says_by_line_what_changes(found, line, note):
    name = line.partition(" ")[0]
    assert found(line, "3").startswith(f"With sentry-sdk 3, line 5: {name} {note}")


@pytest.mark.parametrize(
    "line",
    [
        "send_default_pii = true",
        "include_local_variables = false",
        "event_scrubber.denylist = a",
    ],
)
def test_3_says_nothing_of_what_means_the_same(found, line):
    assert found(line, "3") == ""


def test_older_2_says_what_it_does_not_have(found):
    needs = "With sentry-sdk 2.19, line 5: max_stack_frames needs sentry-sdk 2.20"
    assert found("max_stack_frames = 5", "2.19").startswith(needs)
    assert found("max_stack_frames = 5", "2.20") == ""
    assert found("max_stack_frames = 5", "2") == ""


@pytest.mark.parametrize("version", ["1", "x", "2.x", ""])
def test_what_is_no_version_is_refused(write_ini, capsys, version):
    with pytest.raises(SystemExit) as ended:
        main(["check", "--sdk", version, str(write_ini(INI.format(line="")))])
    assert ended.value.code == 2
    assert "expected a version of sentry-sdk" in capsys.readouterr().err
