"""What users, inis and other packages refer to by name; it stays, wherever the code behind it goes."""

import importlib
from importlib.metadata import distribution

import pytest

NAMES = {
    "sentry_paste": {
        "filter_factory",
        "filter_app_factory",
        "composite_factory",
        "SentryMiddleware",
        "ConfigError",
        "includeme",
    },
    "sentry_paste.testing": {
        "CapturedEnvelopes",
        "CapturedException",
        "CapturedLog",
        "CapturedSpan",
        "CapturedTransaction",
        "NoFilterWarning",
        "capture_envelopes",
    },
    "sentry_paste.pytest_plugin": {"sentry_captured"},
    "sentry_paste.inbox": {"main"},
    "sentry_paste.inbox.health": {"main"},
    "sentry_paste.example": {"main"},
    "sentry_paste.pyramid": {"includeme"},
    "sentry_paste.debugtoolbar": {"includeme"},
}
ENTRY_POINTS = {
    ("paste.filter_factory", "main"),
    ("paste.filter_factory", "sentry"),
    ("paste.filter_app_factory", "app"),
    ("paste.composite_factory", "main"),
    ("paste.app_factory", "example"),
    ("paste.app_factory", "health"),
    ("paste.app_factory", "inbox"),
    ("console_scripts", "sentry-paste"),
    ("pytest11", "sentry_paste"),
}


@pytest.mark.parametrize("module", NAMES)
def test_names_are_there(module):
    if module == "sentry_paste.debugtoolbar":
        pytest.importorskip("pyramid_debugtoolbar")
    found = importlib.import_module(module)
    assert all(callable(getattr(found, name, None)) for name in NAMES[module])


def test_package_exports_the_names_and_nothing_else():
    assert set(importlib.import_module("sentry_paste").__all__) == NAMES["sentry_paste"]


def test_entry_points_are_there_and_load():
    points = distribution("sentry-paste").entry_points
    assert {(point.group, point.name) for point in points} == ENTRY_POINTS
    assert all(callable(point.load()) for point in points if point.group != "pytest11")
