"""The error budget, from the ini to what is sent: each error is sent, or an event reports it as not sent."""

import logging
import os
import shutil
import sys
import threading

import error_apps
import pytest
import sentry_sdk

from sentry_paste.client.registry import registry
from sentry_paste.config import ConfigError
from sentry_paste.spool import budget as budget_module
from sentry_paste.spool.budget_table import Memory, Table

from spooled import open_below
from wsgi_calls import call, environ_of

HOUR, DAY = 3600.0, 86400.0


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.0 // DAY * DAY

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """The time of budgets, which begins at midnight."""
    found = Clock()
    monkeypatch.setattr(budget_module, "now", found)
    return found


@pytest.fixture
def ini(load_failing, captured, clock):
    """Return a function that loads an app with a budget."""
    return lambda budget, *options, **more: load_failing(f"error_budget = {budget}", *options, **more)


def reported(event):
    """How many errors an event reports as not sent."""
    count = (event.get("contexts") or {}).get("error_budget", {}).get("not_sent", 0)
    assert (event.get("tags") or {}).get("sentry_paste.not_sent") == (str(count) if count else None)
    return count


def is_summary(event):
    return event.get("fingerprint") == ["error_budget"]


def sent(captured):
    """How many errors each event reports, without summaries."""
    return [reported(event) for event in captured.errors if not is_summary(event)]


def summaries(captured):
    """What summaries report."""
    return [event["contexts"]["error_budget"] for event in captured.errors if is_summary(event)]


def all_of(captured):
    """The errors that were sent or reported."""
    return len(sent(captured)) + sum(map(reported, captured.errors))


def test_errors_beyond_the_budget_of_their_kind_are_not_sent_but_counted_as_lost(ini, captured):
    app = ini("3 per hour")
    for _ in range(5):
        call(app, environ_of("/raise/a"))
        call(app, environ_of("/capture/b"))
    assert sent(captured) == [0] * 6
    assert app.lost == [("sample_rate", "error")] * 4


@pytest.mark.parametrize(("asked", "expected"), [("true", 4), ("false", 8)])
def test_messages_that_are_grouped_without_their_ids_are_one_kind(ini, captured, asked, expected):
    app = ini("2 per hour", f"fingerprint_without_ids = {asked}")
    for user in ("aB3xK9", "Xy7Qw2", "Zz5Yy1", "aB3xK9"):
        call(app, environ_of(f"/message/{user} is gone"))
        logging.getLogger("app").error(f"{user} has 7 items")
        call(app, environ_of("/raise/aB3xK9"))
    found = [event for event in captured.errors if "exception" not in event]
    assert len(found) == expected
    assert all_of(captured) == len(captured.errors)


def test_errors_of_all_kinds_share_the_budget_in_all(ini, captured):
    app = ini("3 per hour in all")
    for path in ("/raise/a", "/raise/a", "/raise/a", "/raise/a", "/capture/b", "/capture/b"):
        call(app, environ_of(path))
    # The first of the other kind goes, although nothing is left.
    assert sent(captured) == [0] * 4
    assert len(app.lost) == 2


@pytest.mark.parametrize(("period", "seconds"), [("minute", 60), ("hour", HOUR), ("day", DAY)])
def test_first_of_the_next_period_reports_what_was_not_sent(ini, captured, clock, period, seconds):
    app = ini(f"2 per {period}")
    for _ in range(5):
        call(app, environ_of("/raise/a"))
    clock.now += seconds - 1
    call(app, environ_of("/raise/a"))
    clock.now += 1
    for _ in range(2):
        call(app, environ_of("/raise/a"))
    assert sent(captured) == [0, 0, 4, 0]


def test_event_that_reports_goes_beyond_the_budget_in_all(ini, captured, clock):
    app = ini("1 per hour in all")
    for path in ("/raise/a", "/raise/a", "/capture/b", "/capture/b"):
        call(app, environ_of(path))
    clock.now += HOUR
    for path in ("/raise/a", "/capture/b", "/raise/a", "/capture/b"):
        call(app, environ_of(path))
    assert sent(captured) == [0, 0, 1, 1]
    assert len(app.lost) == 4


def test_budget_of_none_sends_the_first_and_the_numbers(ini, captured, clock):
    app = ini("0 per hour")
    for _ in range(2):
        for _ in range(3):
            call(app, environ_of("/raise/a"))
        clock.now += HOUR
    call(app, environ_of("/raise/a"))
    assert sent(captured) == [0, 2, 2]


@pytest.mark.parametrize(
    ("act", "kinds"),
    [
        (lambda number: error_apps.act("handle", "quota"), 1),
        (lambda number: error_apps.act("logexc", "quota"), 1),
        (lambda number: error_apps.act("thread", "quota"), 1),
        (lambda number: error_apps.act("giveup", "quota"), 1),
        (lambda number: logging.getLogger("jobs").error("no %s", number), 1),
        (lambda number: logging.getLogger("jobs").error(f"no {number}"), 3),
        (lambda number: logging.getLogger(f"jobs.{number}").error("no"), 3),
        (lambda number: sentry_sdk.capture_message("no"), 1),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_errors_outside_of_requests_have_kinds_too(ini, captured, act, kinds):
    ini("1 per hour")
    for number in (1, 2, 3, 1, 2, 3):
        act(number)
    assert len(sent(captured)) == kinds


def test_kind_is_class_and_place(ini, captured):
    ini("1 per hour")

    def raises(error):
        try:
            raise error
        except Exception:
            sentry_sdk.capture_exception()

    for error in (ValueError("a"), ValueError("b"), KeyError("a"), error_apps.QuotaError("a"), KeyError("b")):
        raises(error)
    try:
        raise ValueError("elsewhere")
    except ValueError as error:
        sentry_sdk.capture_exception(error)
    assert [found.type for found in captured.exceptions] == [
        "ValueError",
        "KeyError",
        "QuotaError",
        "ValueError",
    ]


def test_kind_of_chained_exceptions_is_that_of_the_title(ini, captured):
    ini("1 per hour")

    def raises(cause):
        try:
            try:
                raise cause
            except Exception as error:
                raise RuntimeError("failed") from error
        except RuntimeError as error:
            sentry_sdk.capture_exception(error)

    for cause in (ValueError(), KeyError()):
        raises(cause)
    assert len(sent(captured)) == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there are no groups")
def test_kind_of_a_group_is_that_of_the_group(ini, captured):
    ini("1 per hour")

    def raises(*errors):
        try:
            raise BaseExceptionGroup("all", errors)  # noqa: F821
        except BaseException as error:
            sentry_sdk.capture_exception(error)

    for errors in ([ValueError()], [KeyError(), SystemExit()]):
        raises(*errors)
    # One of these is an ExceptionGroup, the other a BaseExceptionGroup.
    assert len(sent(captured)) == 2


def test_exception_that_was_never_raised_is_of_its_logger_and_text(ini, captured):
    ini("1 per hour")
    for number in range(3):
        logging.getLogger("jobs").error("job %s", number, exc_info=ValueError(number))
        logging.getLogger("jobs").error("task %s", number, exc_info=ValueError(number))
    assert len(sent(captured)) == 2


def test_failed_status_is_of_its_transaction(ini, captured):
    app = ini("1 per hour", "failed_status_codes = 503", "transaction_names =\n     /a/* a\n     /b/* b")
    for name in ("/a", "/b", "/a", "/b"):
        call(app, environ_of("/status/503", SCRIPT_NAME=name))
    assert [event["transaction"] for event in captured.errors] == ["a", "b"]


def test_first_of_a_release_is_always_sent(ini, captured, tmp_path):
    for release in ("1", "2", "1", "3", "2"):
        app = ini("1 per hour", f"spool_dir = {tmp_path}/spool", release=release)
        for _ in range(2):
            call(app, environ_of("/raise/a"))
        registry.reset()
    assert len(sent(captured)) == 3


def test_what_is_ignored_or_sampled_away_does_not_use_the_budget(ini, captured):
    app = ini(
        "2 per hour in all",
        "ignore_messages = a",
        "ignore_exceptions = KeyError",
        "error_sample_rates = QuotaError 0",
        "before_send = error_apps:drop_b",
    )
    for _ in range(3):
        for path, query in (("/raise/a", ""), ("/raise/b", ""), ("/", "end=key"), ("/", "end=quota")):
            call(app, environ_of(path, QUERY_STRING=query))
    for _ in range(3):
        call(app, environ_of("/raise/c"))
    assert sent(captured) == [0, 0]
    assert app.lost.count(("sample_rate", "error")) == 4


def test_own_sampler_that_fails_leaves_the_decision_to_the_budget(ini, captured):
    app = ini("1 per hour", "error_sampler = error_apps:failing_sampler")
    for _ in range(3):
        call(app, environ_of("/raise/a"))
    assert len(captured.errors) == 1
    assert app.lost.count(("sample_rate", "error")) == 2


def test_request_whose_error_is_not_sent_has_failed(ini, captured):
    app = ini("1 per hour", "traces_keep = errors")
    for _ in range(3):
        call(app, environ_of("/raise/a"))
    for client in registry.clients():
        client.flush()
    counts = [found for aggregates in captured.payloads("sessions") for found in aggregates["aggregates"]]
    assert sum(found.get("crashed", 0) for found in counts) == 3
    assert len(sent(captured)) == 1


def test_error_that_the_answer_makes_none_is_not_counted(ini, captured, clock):
    app = ini("1 per hour")
    lost = []
    for status in (404, 404, 500, 500, 404, 500):
        call(app, environ_of(f"/status/{status}", QUERY_STRING="giveup=answer"))
        lost.append(len(sent(captured)))
    assert lost == [0, 0, 1, 1, 1, 1]
    clock.now += HOUR
    for status in (404, 500, 404, 500):
        call(app, environ_of(f"/status/{status}", QUERY_STRING="giveup=answer"))
    assert sent(captured) == [0, 2]


def test_kind_that_has_stopped_is_reported_by_an_event_of_its_own(ini, captured, clock):
    app = ini("1 per hour")
    for path in ("/raise/a", "/raise/a", "/raise/a", "/message/one", "/message/one"):
        call(app, environ_of(path))
    clock.now += 2 * HOUR - 1
    call(app, environ_of("/capture/b"))
    assert summaries(captured) == []
    clock.now += 1
    call(app, environ_of("/capture/b"))
    (found,) = summaries(captured)
    assert found["not_sent"] == 3
    title, message = found["kinds"]
    assert title.startswith("ValueError in error_apps.app, line ")
    assert (found["kinds"][title], message, found["kinds"][message]) == (2, "messages", 1)
    assert all_of(captured) == 7
    (event,) = [event for event in captured.errors if is_summary(event)]
    assert (event["level"], event["release"]) == ("warning", "1")
    assert "request" not in event


def test_summary_names_the_most_frequent_kinds(ini, captured, clock):
    ini("1 per hour")
    for number in range(80):
        for _ in range(2 + (number == 70)):
            logging.getLogger(f"logger.{number}").error("failed")
    clock.now += 2 * HOUR
    sentry_sdk.capture_message("one")
    (found,) = summaries(captured)
    assert found["not_sent"] == sum(found["kinds"].values()) == 81
    assert len(found["kinds"]) == 51
    assert found["kinds"]["messages of the logger logger.70"] == 2
    assert found["kinds"]["others"] == 30


def test_summary_that_a_hook_drops_is_tried_again(ini, captured, clock):
    app = ini("1 per hour", "before_send = error_apps:drop_summaries_once")
    error_apps.dropped.clear()
    for path in ("/raise/a", "/raise/a", "/raise/a"):
        call(app, environ_of(path))
    for _ in range(2):
        clock.now += 2 * HOUR
        call(app, environ_of("/capture/b"))
    assert error_apps.dropped == [1]
    assert [found["not_sent"] for found in summaries(captured)] == [2]


def test_end_of_a_process_reports_the_rest(ini, captured):
    app = ini("1 per hour")
    for _ in range(4):
        call(app, environ_of("/raise/a"))
    app.client.flush()
    assert summaries(captured) == []
    registry.reset()
    assert [found["not_sent"] for found in summaries(captured)] == [3]


def test_next_process_of_a_spool_reports_the_rest(ini, captured, clock, tmp_path):
    option = f"spool_dir = {tmp_path}/spool"
    app = ini("2 per hour", option)
    for _ in range(4):
        call(app, environ_of("/raise/a"))
    registry.reset()
    assert summaries(captured) == []
    app = ini("2 per hour", option)
    call(app, environ_of("/raise/a"))
    assert len(sent(captured)) == 2
    registry.reset()
    clock.now += 2 * HOUR
    app = ini("2 per hour", option)
    assert summaries(captured) == []
    call(app, environ_of("/status/200"))  # the first request looks for what others have left
    app.client.flush()
    assert [found["not_sent"] for found in summaries(captured)] == [3]


def test_filters_of_one_dsn_share_the_budget_of_their_spool(ini, captured, tmp_path):
    apps = [ini("2 per hour", f"spool_dir = {tmp_path}/spool", f"tags = a={number}") for number in range(2)]
    for app in apps * 3:
        call(app, environ_of("/raise/a"))
    assert len(sent(captured)) == 2


def test_threads_share_the_budget_exactly(ini, captured, clock, tmp_path):
    ini("10 per hour", f"spool_dir = {tmp_path}/spool")

    def work():
        for _ in range(25):
            error_apps.act("handle", "quota")

    for _ in range(2):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clock.now += HOUR
    assert sorted(sent(captured)) == [0] * 19 + [190]
    error_apps.act("handle", "quota")
    assert all_of(captured) == 401


def test_kinds_without_a_slot_share_a_budget_which_is_logged_once(ini, captured, clock, caplog, monkeypatch):
    monkeypatch.setattr(budget_module, "Memory", lambda: Memory(1))
    monkeypatch.setattr(budget_module, "Table", lambda storage: Table(storage, 1))
    ini("2 per hour")
    for number in range(40):
        sentry_sdk.capture_message(f"message {number}")
    assert len(sent(captured)) == 16 + 2
    assert caplog.text.count("too many kinds of errors") == 1
    clock.now += HOUR
    for number in range(40):
        sentry_sdk.capture_message(f"message {number}")
    registry.reset()
    assert all_of(captured) == 80


@pytest.mark.parametrize("damage", ["gone", "no right", "no directory", "other version", "closed"])
def test_budget_goes_on_where_its_file_cannot_be_used(ini, captured, clock, tmp_path, caplog, damage):
    spool = tmp_path / "spool"
    ini("2 per hour", f"spool_dir = {spool}")
    spool.mkdir(mode=0o700)
    if damage == "other version":
        (spool / budget_name()).write_bytes(b"something else")
    else:
        for _ in range(4):
            error_apps.act("handle", "quota")
        assert len(sent(captured)) == 2
    if damage == "gone":
        shutil.rmtree(spool)
    if damage == "no right":
        spool.chmod(0o755)
        (spool / budget_name()).unlink()
    if damage == "no directory":
        shutil.rmtree(spool)
        spool.write_text("")
    if damage == "closed":
        os.close(open_file(spool))
    for _ in range(4):
        error_apps.act("handle", "quota")
    clock.now += HOUR
    error_apps.act("handle", "quota")
    registry.reset()
    warned = damage in ("no right", "no directory", "other version")
    assert caplog.text.count("each process has a budget of its own until this is fixed") == warned
    if damage in ("gone", "closed", "other version"):
        assert len(sent(captured)) == 3
    assert all_of(captured) == (5 if damage == "other version" else 9)


def budget_name():
    ((client,),) = [registry.clients()]
    return client.budget._counts._path.name


def open_file(spool):
    (found,) = [each for path, each in open_below(spool) if path.startswith(f"{spool}/.budget-")]
    return found


def test_failing_budget_sends_everything(ini, captured, monkeypatch, caplog):
    app = ini("1 per hour")
    monkeypatch.setattr(Table, "take", lambda *args: 1 / 0)
    for _ in range(3):
        call(app, environ_of("/raise/a"))
    assert sent(captured) == [0] * 3
    assert "an error is not counted in its budget" in caplog.text


def test_event_that_is_lost_after_all_uses_no_budget(ini, captured, clock, monkeypatch):
    app = ini("1 per hour")
    call(app, environ_of("/raise/a"))
    call(app, environ_of("/raise/a"))
    clock.now += HOUR

    def failing(event, hint):
        raise ValueError("a hook has failed")

    hook = app.client.options["before_send"]
    for found in (failing, hook):
        monkeypatch.setitem(app.client.options, "before_send", found)
        monkeypatch.setattr(app.client, "last_hook", found)
        call(app, environ_of("/raise/a"))
    assert sent(captured) == [0, 1]


def test_spool_is_not_touched_before_there_is_an_error(ini, captured, tmp_path):
    app = ini("1 per hour", f"spool_dir = {tmp_path}/spool")
    call(app, environ_of("/status/200"))
    app.client.flush()
    registry.reset()
    assert not (tmp_path / "spool").exists()


def test_error_that_is_captured_while_another_is_counted_is_sent(ini, captured, monkeypatch):
    """The garbage collector runs anywhere, and what it calls may log an error."""
    # Without a hook, it is counted while it is serialised, and then the SDK captures nothing.
    ini("1 per hour", "before_send = error_apps:drop_summaries_once")
    take = Table.take

    def interrupted(self, *args):
        if not found:
            found.append(True)
            sentry_sdk.capture_message("of a destructor")
        return take(self, *args)

    found = []
    monkeypatch.setattr(Table, "take", interrupted)
    for _ in range(3):
        sentry_sdk.capture_message("of the app")
    assert [event["message"] for event in captured.errors] == ["of a destructor", "of the app"]


def test_other_events_have_no_budget(ini, captured):
    app = ini("0 per hour in all", "traces_sample_rate = 1")
    for _ in range(3):
        sentry_sdk.crons.capture_checkin("job", status="ok")
        call(app, environ_of("/status/200"))
    app.client.flush()
    assert len(captured.payloads("check_in")) == 3
    assert len(captured.transactions) == 3


def test_healthy_requests_do_not_ask_for_it(ini, captured, monkeypatch, tmp_path):
    app = ini("1 per hour", f"spool_dir = {tmp_path}/spool")
    call(app, environ_of("/status/200"))
    monkeypatch.setattr(budget_module.SharedBudget, "_do", lambda *args: 1 / 0)
    call(app, environ_of("/status/200"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("50 per huor", "not '50 per huor'; did you mean '50 per hour'?"),
        ("50 an hour in al", "not '50 an hour in al'; did you mean '50 per hour in all'?"),
        ("50/min", "not '50/min'; did you mean '50 per minute'?"),
        ("100 total per days", "not '100 total per days'; did you mean '100 per day in all'?"),
        ("fifty per hour", "not 'fifty per hour'"),
        (
            "50",
            "expected a number and a period on each line: 50 per hour for each kind of error, 100 per hour",
        ),
        ("-1 per hour", "not '-1 per hour'"),
        ("1.5 per hour", "not '1.5 per hour'"),
    ],
)
def test_mistakes_are_told_with_their_line_and_what_was_meant(ini, text, reason):
    with pytest.raises(ConfigError) as caught:
        ini(text)
    assert reason in str(caught.value)
    assert "line 5" in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "mistakes"),
    [
        (
            ["1 per huor", "2 per dya in all"],
            {6: "not '1 per huor'; did you mean '1 per hour'?", 7: "did you mean '2 per day in all'?"},
        ),
        (
            ["1 per hour", "2 per day"],
            {7: "expected one budget for each kind of error, not 1 per hour and 2 per day"},
        ),
        (
            ["2 per hour in all", "1 per hour in all"],
            {7: "expected one budget in all, not 2 per hour in all"},
        ),
        (
            ["x", "1 per hour", "2 per day", "3 per day ; a comment"],
            {6: "not 'x'", 8: "not 1 per hour and 2 per day", 9: "'; a comment' looks like a comment"},
        ),
    ],
)
def test_every_wrong_line_is_a_mistake_of_its_own(ini, lines, mistakes):
    with pytest.raises(ConfigError) as caught:
        ini("\n     ".join(["", *lines]))
    assert [problem.line for problem in caught.value.problems] == list(mistakes)
    for problem, reason in zip(caught.value.problems, mistakes.values()):
        assert problem.value == lines[problem.line - 6]
        assert reason in problem.reason


@pytest.mark.parametrize("text", ["50 PER Hour", "\n     1   per minute\n\n     2 per day  in all"])
def test_budgets_are_read_in_any_case_and_order(ini, text):
    assert ini(text).client.budget is not None


@pytest.mark.parametrize("where", ["cookie", "user"])
def test_title_of_a_kind_has_no_secret_of_its_request(ini, captured, clock, tmp_path, where):
    def log(environ, start_response):
        if where == "user":
            environ["REMOTE_USER"] = "q8fh23fh28hf2"
        logging.getLogger("error_apps.q8fh23fh28hf2").error("failed")
        return []

    app = ini("1 per hour", f"spool_dir = {tmp_path / 'spool'}")
    app.app = log
    for _ in range(2):
        call(app, environ_of("/", HTTP_COOKIE="sid=q8fh23fh28hf2" if where == "cookie" else "a=b"))
    assert b"q8fh23" not in b"".join(path.read_bytes() for path in (tmp_path / "spool").glob(".budget-*"))
    clock.now += 2 * HOUR
    sentry_sdk.capture_message("one")
    (found,) = summaries(captured)
    assert found["kinds"] == {"messages of the logger error_apps.[Filtered]": 1}


def test_event_that_cannot_report_leaves_the_number_to_the_next(ini, captured_unchecked, clock):
    app = ini("1 per hour", "before_send = error_apps:break_tags_once")
    error_apps.broken.clear()
    for _ in range(3):
        call(app, environ_of("/raise/a"))
    clock.now += HOUR
    call(app, environ_of("/raise/a"))
    clock.now += HOUR
    call(app, environ_of("/raise/a"))
    _, broken, last = captured_unchecked.errors
    assert broken["tags"] == 1
    assert reported(last) == 2
