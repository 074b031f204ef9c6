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


@pytest.mark.parametrize(
    ("pattern", "script", "path", "name"),
    [
        # As Routes 2.5.1 leaves them for /v3/users/7, at the root and below /api.
        ("/v3/{path_info:.*}", "/v3", "/users/7", "/v3/{path_info}"),
        ("/v3/{path_info:.*}", "/api/v3", "/users/7", "/api/v3/{path_info}"),
        ("v3/*path_info", "/v3", "/users/7", "/v3/{path_info}"),
        ("/{path_info:.*}", "/api", "/v3/users/7", "/api/{path_info}"),
        # Without a slash in the pattern, Routes moves the whole path.
        ("/v3{path_info:.*}", "/v3/users/7", "/users/7", "/v3/{path_info}"),
        ("/v3{path_info:.*}", "/v3/", "/", "/v3/{path_info}"),
        ("{path_info:.*}", "/api/v3/users/7", "/v3/users/7", "/api/{path_info}"),
        ("/{tenant}/x{path_info:.*}", "/api/abc/x/users/7", "/users/7", "/api/{tenant}/x/{path_info}"),
        # A mapper within it, and an app that moves a part of the path.
        ("/users/{id}", "/v3/users/7", "/users/7", "/v3/users/{id}"),
        ("/v3/{path_info:.*}", "/v3/users", "/7", "/v3/{path_info}"),
        # RoutesMiddleware(path_info=False) moves nothing.
        ("/v3/{path_info:.*}", "/api", "/v3/users/7", "/api/v3/{path_info}"),
        ("/v3/{path_info:.*}/edit", "/api", "/v3/users/7/edit", "/api/v3/{path_info}/edit"),
        ("/users/{id}", "/api/", "/users/7", "/api/users/{id}"),
        ("/{path_info:.*}", "", "/", "/{path_info}"),
    ],
)
def test_route_that_moves_a_part_of_the_path_has_each_part_once(pattern, script, path, name):
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": script,
        "PATH_INFO": path,
        "routes.route": Route(pattern),
    }
    assert framework_name(environ) == (f"GET {name}", ROUTE)


@pytest.mark.parametrize("value", [None, 7, b"/x"])
def test_environ_that_is_not_text_leaves_the_pattern(value):
    environ = {"SCRIPT_NAME": value, "PATH_INFO": value, "routes.route": Route("/v3/{path_info:.*}")}
    assert framework_name(environ) == ("/v3/{path_info}", ROUTE)


@pytest.mark.parametrize("rule", [None, 7, "", b"/x"])
def test_bottle_s_route_without_a_rule_is_no_name(rule):
    route = type("Route", (), {"rule": rule})()
    assert framework_name({"bottle.route": route}) is None
