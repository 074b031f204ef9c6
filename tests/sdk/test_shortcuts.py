"""What the SDK does for nothing is left out, and nothing else."""

import copy
import io
import logging
import pickle
import sys

import pytest
import sentry_sdk
import sentry_sdk.integrations.logging
from hypothesis import given
from hypothesis import strategies as st
from sentry_sdk.utils import logger

from sentry_paste import sdk
from sentry_paste.client.registry import registry
from sentry_paste.sdk import shortcuts

from traced_apps import answer, traced
from wsgi_calls import call, environ_of

NAMES = st.sampled_from(["Cookie", "authorization", "PASSWORD", "colour", "X-Forwarded-For", "mine", ""])
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=5,
)


@pytest.fixture
def made(monkeypatch):
    """What the SDK's logger has made records of."""
    messages = []
    original = logging.Logger.makeRecord

    def make(self, *args, **kwargs):
        record = original(self, *args, **kwargs)
        if self is logger:
            messages.append(record.getMessage())
        return record

    monkeypatch.setattr(logging.Logger, "makeRecord", make)
    return messages


class TestRecords:
    def test_sampled_request_makes_none(self, receiver, made):
        app = traced(answer, dsn=receiver.dsn)
        del made[:]
        call(app, environ_of("/x"))
        assert made == []

    def test_with_debug_they_are_logged(self, receiver, made, monkeypatch):
        app = traced(answer, dsn=receiver.dsn, debug=True)
        shown = io.StringIO()
        monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(shown)])
        del made[:]
        call(app, environ_of("/x"))
        assert len(made) > 0
        assert made[-1] in shown.getvalue()

    def test_debug_of_the_client_in_use_counts(self, receiver, made):
        traced(answer, dsn=receiver.dsn)
        (quiet,) = registry.clients()
        with sentry_sdk.isolation_scope() as scope:
            scope.set_client(sentry_sdk.Client(debug=True))
            logger.debug("seen")
            scope.set_client(quiet)
            logger.debug("not seen")
        assert [text for text in made if "seen" in text] == ["seen"]

    def test_client_that_is_made_with_debug_logs_it(self, receiver, made):
        traced(answer, dsn=receiver.dsn)
        del made[:]
        sentry_sdk.Client(debug=True)
        assert made

    def test_app_may_remove_the_filter_of_the_logger(self, receiver, made, monkeypatch):
        traced(answer, dsn=receiver.dsn)
        monkeypatch.setattr(logger, "filters", [])
        logger.debug("seen")
        assert made[-1] == "seen"

    def test_filter_of_the_app_that_comes_first_sees_all(self, receiver, monkeypatch):
        seen = []
        traced(answer, dsn=receiver.dsn)
        first = logging.Filter()
        first.filter = lambda record: seen.append(record.getMessage()) or True
        monkeypatch.setattr(logger, "filters", [first, *logger.filters])
        logger.debug("seen")
        assert seen == ["seen"]

    def test_level_of_the_logger_counts(self, receiver, made):
        traced(answer, dsn=receiver.dsn, debug=True)
        before = logger.level
        try:
            logger.setLevel(logging.ERROR)
            del made[:]
            logger.debug("below")
            assert made == []
        finally:
            logger.setLevel(before)

    def test_logger_of_another_kind_stays_as_it_is(self):
        another = logging.Logger("another")
        shortcuts._make_no_unseen_records(another)
        assert "isEnabledFor" not in vars(another)


@pytest.mark.skipif(sdk.MAJOR > 2, reason="makes log items of all records")
@pytest.mark.skipif(
    not hasattr(sentry_sdk.integrations.logging, "SentryLogsHandler"), reason="has no log items"
)
class TestLogItems:
    @pytest.fixture
    def seen(self, monkeypatch):
        """The records that the SDK has looked at for log items."""
        names = []
        handler = sentry_sdk.integrations.logging.SentryLogsHandler
        monkeypatch.setattr(handler, "emit", lambda self, record: names.append(record.name))
        return names

    @pytest.mark.parametrize(
        ("options", "is_seen"),
        [({}, False), ({"enable_logs": True}, True), ({"_experiments": {"enable_logs": True}}, True)],
    )
    def test_record_is_looked_at_only_if_items_are_made_of_them(self, receiver, seen, options, is_seen):
        traced(answer, dsn=receiver.dsn, **options)
        logging.getLogger("shop").warning("sold out")
        assert seen == (["shop"] if is_seen else [])

    @pytest.mark.skipif(
        not hasattr(sentry_sdk.integrations.logging.LoggingIntegration, "capture_sentry_logs"),
        reason="has no such option",
    )
    def test_option_of_the_integration_counts(self, receiver, seen, monkeypatch):
        traced(answer, dsn=receiver.dsn)
        integration = sentry_sdk.integrations.logging.LoggingIntegration
        monkeypatch.setattr(integration, "capture_sentry_logs", True)
        logging.getLogger("shop").warning("sold out")
        assert seen == ["shop"]


@pytest.mark.skipif(sdk.MAJOR > 2, reason="has no scrubber")
class TestScrubber:
    @staticmethod
    def pair(**options):
        found = [sdk.EventScrubber(**options), sdk.EventScrubber(**options)]
        shortcuts._look_up_names(found[1])
        return found

    @given(st.dictionaries(NAMES | st.integers(), VALUES, max_size=4) | VALUES, st.booleans(), st.booleans())
    def test_mapping_is_scrubbed_as_by_the_sdk(self, data, recursive, sends):
        results = []
        for scrubber in self.pair(recursive=recursive, send_default_pii=sends):
            event = {"request": {"headers": data, "data": data}, "extra": data, "spans": [{"data": data}]}
            copied = _copy(event)
            scrubber.scrub_event(copied)
            results.append(_shown(copied))
        assert results[0] == results[1]

    @pytest.mark.parametrize(
        "change", [lambda names: names.append("mine"), lambda names: names.clear(), lambda names: None]
    )
    def test_names_may_be_changed_later(self, change):
        results = []
        for scrubber in self.pair():
            change(scrubber.denylist)
            data = {"mine": 1, "password": 2}
            scrubber.scrub_dict(data)
            results.append(_shown(data))
        assert results[0] == results[1]

    @pytest.mark.parametrize(
        "made_of", [copy.copy, copy.deepcopy, lambda scrubber: pickle.loads(pickle.dumps(scrubber))]
    )
    def test_copy_has_names_of_its_own(self, made_of):
        results = []
        for scrubber in self.pair():
            copied = made_of(scrubber)
            copied.denylist = [*copied.denylist, "mine"]
            data = [{"mine": 1, "password": 2}, {"mine": 1, "password": 2}]
            scrubber.scrub_dict(data[0])
            copied.scrub_dict(data[1])
            results.append(_shown(data))
        assert results[0] == results[1]

    def test_it_may_search_at_every_depth_later(self):
        results = []
        for scrubber in self.pair():
            scrubber.recursive = True
            data = {"a": {"password": 2}}
            scrubber.scrub_dict(data)
            results.append(_shown(data))
        assert results[0] == results[1]

    def test_that_of_many_clients_is_changed_once(self, receiver):
        own = sdk.EventScrubber()
        for number in range(3):
            traced(answer, dsn=receiver.dsn, release=str(number), event_scrubber=own)
        assert _depth(lambda: own.scrub_dict({"password": 1})) <= 2

    def test_scrubber_of_another_class_stays_as_it_is(self, receiver):
        class Own(sdk.EventScrubber):
            pass

        own = Own()
        traced(answer, dsn=receiver.dsn, event_scrubber=own)
        assert type(own) is Own

    def test_that_of_a_client_is_changed(self, receiver):
        traced(answer, dsn=receiver.dsn)
        found = registry.clients()[0].options["event_scrubber"]
        assert type(found) is not sdk.EventScrubber
        assert isinstance(found, sdk.EventScrubber)


def _depth(function):
    """Return how deep the calls of scrubbers are that a function makes."""
    deepest = depth = 0

    def profile(frame, event, arg):
        nonlocal deepest, depth
        if "scrub" in frame.f_code.co_name and event in ("call", "return"):
            depth += 1 if event == "call" else -1
            deepest = max(depth, deepest)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(before)
    return deepest


def _copy(node):
    if isinstance(node, dict):
        return {key: _copy(value) for key, value in node.items()}
    return [_copy(value) for value in node] if isinstance(node, list) else node


def _shown(node):
    if isinstance(node, dict):
        return {key: _shown(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_shown(value) for value in node]
    return (node.value, node.metadata) if hasattr(node, "metadata") else node
