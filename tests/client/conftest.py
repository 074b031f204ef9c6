import pytest

INI = """
    [filter:sentry]
    use = egg:sentry_paste
    release = {release}
    {options}
    [pipeline:main]
    pipeline = sentry app
    [app:app]
    paste.app_factory = error_apps:make_app
"""


@pytest.fixture
def load_failing(load, monkeypatch):
    """Return a function that loads an app whose requests fail; what is lost is in its attribute ``lost``."""

    def load_failing(*options, release="1"):
        app = load(INI.format(release=release, options="\n    ".join(options)))
        app.lost = []
        monkeypatch.setattr(
            app.client.transport,
            "record_lost_event",
            lambda reason, data_category=None, **_: app.lost.append((reason, data_category)),
        )
        return app

    return load_failing
