"""Advice in one line each, and reports on narrow terminals."""

import pytest

from sentry_paste.cli.main import main

HINT = "With --explain each warning is shown in full, with what to write."


@pytest.fixture
def advised(write_ini):
    """The path of an ini with advice: a filter that is outside of Sentry, and a rate that is too high."""
    return str(
        write_ini(
            "[filter:sentry]\nuse = egg:sentry_paste\ndsn = https://key@sentry.example/1\nrelease = 1\n"
            "traces_sample_rate = 1\n[filter:cors]\nuse = egg:cors\n[app:shop]\nuse = egg:shop\n"
            "[pipeline:main]\npipeline = cors sentry shop\n"
        )
    )


def warnings_shown(arguments, capsys):
    assert main(["check", *arguments]) == 0
    text = capsys.readouterr().out
    return text[text.index("2 warnings") :].splitlines()


def test_advice_is_one_whole_line_in_a_pipe(advised, capsys):
    lines = warnings_shown([advised], capsys)
    assert lines[1:3] == [
        "  medium  cors is outside sentry, so errors there are not reported; "
        "put sentry first in [pipeline:main]",
        "  medium  traces_sample_rate = 1 traces every request in production "
        "(environment is not set, which means production); 0.1 or less is usual",
    ]


def test_advice_is_cut_at_a_clause_or_a_word_on_a_terminal(advised, terminal, capsys):
    terminal(80)
    assert warnings_shown([advised], capsys) == [
        "2 warnings",
        "  medium  cors is outside sentry, so errors there are not reported",
        "  medium  traces_sample_rate = 1 traces every request in production…",
        "",
        HINT,
    ]


def test_explained_advice_is_wrapped_and_says_what_to_write(advised, terminal, capsys):
    terminal(80)
    lines = warnings_shown([advised, "--explain"], capsys)
    assert max(map(len, lines)) <= 80
    assert "put sentry first in" in " ".join(" ".join(lines).split())
    assert HINT not in lines


def test_what_is_wrong_is_always_shown_in_full(starter, terminal, capsys):
    terminal(60)
    assert main(["check", str(starter(""))]) == 1
    assert "filter-with = sentry" in capsys.readouterr().out


@pytest.mark.parametrize("width", [70, 80])
def test_report_fits_the_terminal(advised, terminal, capsys, width):
    terminal(width)
    main(["check", advised])
    lines = capsys.readouterr().out.splitlines()[1:]  # the first is the path
    assert max(map(len, lines)) <= width
