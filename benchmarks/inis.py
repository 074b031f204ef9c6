"""The inis that ``benchmarks.servers`` compares: an app bare, in the SDK's middleware, in the filter."""

from __future__ import annotations

import socket
from typing import NamedTuple

RATES = (None, "0.1", "1")
MIDDLEWARES = ("bare", "SDK", "filter", "filter, two integrations off")
# Pyramid's asks for scopes in every request; threading's forks them for each task of a thread pool, which
# gunicorn's requests are.
COSTLY = "pyramid threading"
THREADS = 4
_SENTRY = """dsn = http://k@127.0.0.1:{receiver}/{project}
release = 1
"""
_INI = """[pipeline:main]
pipeline = {pipeline}

[app:shop]
use = call:benchmarks.site:{factory}
{app_options}
[filter:sentry]
use = egg:sentry_paste
{filter_options}
[server:main]
use = egg:waitress
listen = 127.0.0.1:{port}
threads = {threads}

# waitress warns of each request that waits for a thread, which the SDK would make a breadcrumb of.
[loggers]
keys = root, queue

[handlers]
keys = console

[formatters]
keys = plain

[logger_root]
level = WARNING
handlers = console

[logger_queue]
level = ERROR
handlers =
qualname = waitress.queue

[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain

[formatter_plain]
format = %(levelname)s %(name)s %(message)s
"""


class Site(NamedTuple):
    """A server's process.

    Attributes:
        server: waitress or gunicorn.
        middleware: around the app.
        rate: traces_sample_rate, None where it is not set.
        port: on loopback.
        project: of its DSN, by which the receiver counts.
    """

    server: str
    middleware: str
    rate: str | None
    port: int
    project: int


def free_port() -> int:
    """Return a port on loopback that nobody has, for the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def all_sites() -> list[Site]:
    """Return what is to be compared."""
    combinations: list[tuple[str, str, str | None]] = []
    for server in ("waitress", "gunicorn"):
        combinations.append((server, "bare", None))
        combinations += [(server, middleware, rate) for rate in RATES for middleware in MIDDLEWARES[1:]]
    return [Site(*found, free_port(), number) for number, found in enumerate(combinations, 1)]


def ini(site: Site, receiver: int) -> str:
    """Return the ini of a site.

    Args:
        site: to be served.
        receiver: its port.
    """
    sentry = _SENTRY.format(receiver=receiver, project=site.project)
    if site.rate is not None:
        sentry += f"traces_sample_rate = {site.rate}\n"
    is_filtered = site.middleware.startswith("filter")
    without = f"disabled_integrations = {COSTLY}\n" if site.middleware == MIDDLEWARES[3] else ""
    return _INI.format(
        pipeline="sentry shop" if is_filtered else "shop",
        factory="with_sdk" if site.middleware == "SDK" else "plain",
        app_options=sentry if site.middleware == "SDK" else "",
        filter_options=sentry + without if is_filtered else "",
        port=site.port,
        threads=THREADS,
    )
