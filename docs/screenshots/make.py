"""Make the pictures of the pages: ``python docs/screenshots/make.py``, in a clone with ``.[tests]``.

Chromium looks at the inbox, the page of a crash and the panel of the toolbar, on a wide window and on a
phone, light and dark. What they show was captured of the example, and moved to the hour before now. Where
Pillow is installed, the pictures have a palette, and half of the size. ``make.py inbox`` or ``make.py pages``
makes some of them.
"""

from __future__ import annotations

import itertools
import json
import logging
import random
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import sentry_sdk
from paste.deploy import loadapp
from pyramid.config import Configurator
from pyramid.response import Response
from sentry_sdk.envelope import Envelope, Item, PayloadRef

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT), str(ROOT / "tests")]

from benchmarks import inbox as copying  # noqa: E402 - from the clone
from sentry_paste import sdk  # noqa: E402
from sentry_paste.example import shop  # noqa: E402
from sentry_paste.inbox import main as inbox  # noqa: E402
from sentry_paste.spool import read_contents  # noqa: E402
from sentry_paste.spool.names import SpoolFile  # noqa: E402

import pages  # noqa: E402
from browser import Browser, Served  # noqa: E402

SIZES = {"wide": (1280, 800), "phone": (360, 740)}
TALL = {"wide": (1280, 1130), "phone": (360, 1130)}
SCHEMES = {"light": False, "dark": True}

_CRASH = """
[filter:sentry]
use = egg:sentry_paste
dsn = http://key@127.0.0.1:9/1
error_page = true

[app:app]
use = egg:sentry_paste#example

[pipeline:main]
pipeline = sentry app
"""
_TOOLBAR = """
[composite:main]
use = egg:Paste#urlmap
/ = site
/inbox = inbox

[filter:sentry]
use = egg:sentry_paste
spool_dir = %(here)s/var/sentry
environment = development
release = sentry-paste-example@1.0
in_app_include = sentry_paste.example
traces_sample_rate = 1.0
ignore_paths = /_debug_toolbar/*

[app:app]
paste.app_factory = make:restaurant
pyramid.includes = pyramid_debugtoolbar
debugtoolbar.includes = sentry_paste.debugtoolbar

[app:inbox]
use = egg:sentry_paste#inbox
spool_dir = %(here)s/var/sentry

[pipeline:site]
pipeline = sentry app
"""

log = logging.getLogger("restaurant")


def evening(_request: Any) -> Response:
    """Do what makes spans, catch an error and log another one."""
    shop.plan_evening()
    for _ in range(3):
        with sdk.start_child_span("db", "SELECT table FROM guests WHERE name = %s"):
            time.sleep(0.01)
    try:
        shop.serve("tiramisù")
    except shop.SoldOutError as error:
        sentry_sdk.capture_exception(error)
    log.error("table %d has waited for %d minutes", 7, 45)
    return Response("<html><body>Tonight: risotto</body></html>")


def restaurant(_global_conf: dict[str, str], **settings: str) -> Any:
    """Make an app of one view: a ``paste.app_factory``."""
    with Configurator(settings=settings) as config:
        config.add_route("evening", "/evening")
        config.add_view(evening, route_name="evening")
        return config.make_wsgi_app()


# A page says where its files are: not in a folder that is gone.
_ELSEWHERE = """
(() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) walker.currentNode.data = walker.currentNode.data.replaceAll(FOLDER, "/srv/shop");
})()
"""


def spool_of_an_hour(folder: Path) -> Path:
    """Return a spool of the example's requests in the last hour.

    Args:
        folder: to work in.
    """
    chance = random.Random(7)  # noqa: S311 - the same pictures each time
    requests = copying.captured(folder)
    hello, greet, slow, crash, stream, handled, logged = (
        [(kind, data) for kind, data in request if kind != "session"] for request in requests
    )
    spool = folder / "var" / "sentry"
    spool.mkdir(parents=True, mode=0o700)
    begun = [(12, crash), (31, hello), (44, slow), (95, stream), (130, logged)]
    moments = itertools.accumulate(chance.uniform(15, 70) for _ in range(80))
    often = [hello] * 8 + [greet] * 7 + [slow] * 4 + [handled] * 5 + [crash] * 2 + [logged, stream]
    for seconds, request in [*begun, *((140 + moment, chance.choice(often)) for moment in moments)]:
        for name, data in copying.copies(request, timedelta(seconds=seconds)):
            (spool / name).write_bytes(data)
    for minute in range(1, 46):
        _sessions(spool, minute, chance)
    return spool


def _sessions(spool: Path, minute: int, chance: random.Random) -> None:
    begun = datetime.now(timezone.utc).replace(second=0, microsecond=0) - timedelta(minutes=minute)
    counts = {"exited": chance.randint(20, 60), "errored": chance.choice((0, 0, 1, 2, 5))}
    counts["crashed"] = chance.choice((0, 0, 0, 1, 3))
    attributes = {"release": f"sentry-paste-example@{'0.9' if minute > 20 else '1.0'}"}
    payload = {
        "aggregates": [{"started": f"{begun:%Y-%m-%dT%H:%M:%SZ}", **counts}],
        "attrs": {**attributes, "environment": "development"},
    }
    envelope = Envelope(items=[Item(PayloadRef(json=payload), type="sessions")])
    data = envelope.serialize()
    name = SpoolFile.new(spool, envelope, "any", data).path.name[len("20261122T071300.123456Z") :]
    (spool / f"{begun + timedelta(seconds=59):%Y%m%dT%H%M%S.%fZ}{name}").write_bytes(data)


class Camera:
    """What takes the pictures.

    Args:
        browser: that looks.
        folder: whose name is not to be seen.
    """

    def __init__(self, browser: Any, folder: Path) -> None:
        self._browser, self._folder = browser, folder

    def take(self, name: str, address: str, script: str = "", is_tall: bool = False, height: int = 0) -> None:
        """Take a picture of a page for each size and scheme.

        Args:
            name: that the files' names begin with.
            address: of the page.
            script: run in the page first.
            is_tall: whether it needs room below, and has no dark scheme.
            height: of the window; then there is no phone.
        """
        sizes = {"wide": (SIZES["wide"][0], height)} if height else TALL if is_tall else SIZES
        shown = itertools.product(sizes.items(), ["light"] if is_tall else SCHEMES)
        for (size, (width, height)), scheme in shown:
            self._browser.look(width=width, height=height, dark=SCHEMES[scheme])
            self._browser.open(address)
            self._browser.run(script or "1")
            self._browser.run("new Promise((done) => setTimeout(done, 400))")
            self._browser.run(_ELSEWHERE.replace("FOLDER", json.dumps(str(self._folder))))
            path = HERE / (f"{name}-{size}.png" if is_tall else f"{name}-{size}-{scheme}.png")
            self._browser.picture(path)
            with_palette(path)


def with_palette(path: Path) -> None:
    """Have a picture name its colours once, where Pillow is installed.

    Args:
        path: of a PNG.
    """
    try:
        from PIL import Image
    except ImportError:
        return
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def pictures_of_the_inbox(camera: Camera, folder: Path, browser: Any) -> None:
    """Take the pictures of the inbox.

    Args:
        camera: that takes them.
        folder: to work in.
        browser: the camera's.
    """
    spool = spool_of_an_hour(folder)
    files = [file for path in sorted(spool.iterdir(), reverse=True) if (file := SpoolFile.from_path(path))]
    error = next(file for file in files if file.kind == "error")
    slow = next(
        contents
        for file in files
        if file.kind == "transaction" and (contents := read_contents(file)).transaction == "slow"
    )
    span = next(event for type_, event in slow.payloads if type_ == "transaction")["spans"][2]["span_id"]
    with Served(inbox({}, spool_dir=str(spool), editor="vscode", app_url="/")) as address:
        for _ in range(10):  # until all files are read
            browser.open(address + "/")
        camera.take("inbox-list", address + "/")
        camera.take("inbox-error", f"{address}/envelope/{error.id}")
        chosen = "document.querySelector('.bar[aria-current]').scrollIntoView({block: 'center'})"
        below = f"if (innerWidth < 600) {chosen}"
        camera.take("inbox-trace", f"{address}/trace/{slow.trace_id}?span={span}", below)
        camera.take("inbox-sessions", address + "/?kind=session")


def pictures_of_pages(camera: Camera, folder: Path, browser: Any) -> None:
    """Take the pictures of the page of a crash and of the panel.

    Args:
        camera: that takes them.
        folder: to work in.
        browser: the camera's.
    """
    for ini in (_CRASH, _TOOLBAR):
        (folder / "shop.ini").write_text(ini, encoding="utf-8")
        with Served(loadapp(f"config:{folder / 'shop.ini'}")) as address:
            if ini is _CRASH:
                camera.take("errorpage", address + "/crash")
                continue
            browser.open(address + "/evening")
            browser.open(address + "/evening")  # the first one of a process has spans of its own
            shown = "document.querySelector('#pDebugPanel-sentry a').click()"
            panel = browser.run("document.getElementById('pShowToolBarButton').href")
            camera.take("toolbar", panel, shown, is_tall=True)


# The tutorial's own port.
_PORT = """
(() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode())
    walker.currentNode.data = walker.currentNode.data.replace(/127\\.0\\.0\\.1:\\d+/, "127.0.0.1:6543");
})()
"""


def picture_of_the_tutorial(camera: Camera, folder: Path, browser: Any) -> None:
    """Follow the tutorial, and take a picture of its error.

    Args:
        camera: that takes it.
        folder: to work in.
        browser: the camera's.
    """
    page = pages.page("tutorial")
    page.write(folder)
    pages.write_distribution(folder, "myapp", page.files["myapp.py"])
    sys.path.insert(0, str(folder))
    logging.getLogger("myapp").setLevel(logging.INFO)
    spool = folder / "var" / "sentry"
    with Served(loadapp(f"config:{folder / 'development.ini'}")) as address:
        browser.open(address + "/checkout")
    files = [file for path in spool.iterdir() if (file := SpoolFile.from_path(path))]
    (error,) = (file for file in files if file.kind == "error")
    with Served(inbox({}, spool_dir=str(spool))) as address:
        camera.take("tutorial", f"{address}/envelope/{error.id}", _PORT, height=885)


_GROUPS = {
    "inbox": pictures_of_the_inbox,
    "pages": pictures_of_pages,
    "tutorial": picture_of_the_tutorial,
}


def main() -> None:
    """Take all pictures, or those of the groups that the command line names."""
    logging.basicConfig(handlers=[logging.NullHandler()])
    with tempfile.TemporaryDirectory() as name, Browser() as browser:
        for group in sys.argv[1:] or _GROUPS:
            folder = Path(name) / group
            folder.mkdir()
            _GROUPS[group](Camera(browser, folder), folder, browser)


if __name__ == "__main__":
    main()
