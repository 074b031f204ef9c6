"""Names that frameworks leave in the environ."""

import pytest

from sentry_paste.wsgi.naming import ROUTE, framework_name


class Route:
    def __init__(self, pattern):
        self.routepath = pattern


@pytest.mark.parametrize(
    ("pattern", "readable"),
    [
        ("/v2/{project_id:[0-9a-f\\-]+}/shares/:(id)", "/v2/{project_id}/shares/{id}"),
        ("/{year:\\d{4}}/{month:\\d{2}}", "/{year}/{month}"),
        ("/:controller/:action", "/{controller}/{action}"),
        ("/plain/{id}", "/plain/{id}"),
        ("/v1/{id}:cancel", "/v1/{id}:cancel"),
        ("/time/12:30", "/time/12:30"),
        ("/{unfinished:[", "/{unfinished:["),
        ("/{a:" + "{" * 1000, "/{a:" + "{" * 1000),
    ],
)
def test_pattern_of_routes_is_readable(pattern, readable):
    environ = {"REQUEST_METHOD": "GET", "routes.route": Route(pattern)}
    assert framework_name(environ) == (f"GET {readable}", ROUTE)


@pytest.mark.parametrize("rule", [None, 7, "", b"/x"])
def test_bottle_s_route_without_a_rule_is_no_name(rule):
    route = type("Route", (), {"rule": rule})()
    assert framework_name({"bottle.route": route}) is None
