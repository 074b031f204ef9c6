"""A real browser: headless Chromium, spoken to over a pipe (the DevTools protocol), with no library between.

https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# Chromium wants its pipe at these numbers.
_LAUNCH = (
    "import os, sys\n"
    "os.dup2(int(sys.argv[1]), 3)\n"
    "os.dup2(int(sys.argv[2]), 4)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)


class Browser:
    """A browser with one page. It is a context manager."""

    def __init__(self):
        self._profile = (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            if sys.version_info >= (3, 10)
            else tempfile.TemporaryDirectory()
        )
        inner_read, outer_write = os.pipe()
        outer_read, inner_write = os.pipe()
        passed = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (inner_read, inner_write)]
        self._process = subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-c",
                    _LAUNCH,
                    *map(str, passed),
                    CHROMIUM,
                    "--headless=new",
                    "--no-sandbox",
                ),
                *("--remote-debugging-pipe", f"--user-data-dir={self._profile.name}", "--disable-gpu"),
                *("--hide-scrollbars", "--no-first-run", "--disable-background-networking", "about:blank"),
            ],
            pass_fds=passed,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for fd in (inner_read, inner_write, *passed):
            os.close(fd)
        self._read, self._write = outer_read, outer_write
        self._buffer = b""
        self._number = 0
        self._events = []
        self._session = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        try:
            self._session = None
            self.send("Browser.close")
        except (OSError, EOFError):
            pass
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._read)
            os.close(self._write)
            time.sleep(0.2)
            self._profile.cleanup()

    def send(self, method, **params):
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive(30)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._events.append(answer)

    def _receive(self, timeout):
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], timeout)[0]:
                raise TimeoutError("the browser does not answer")
            data = os.read(self._read, 1 << 20)
            if not data:
                raise EOFError("the browser has ended")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def look(self, width=1280, height=900, dark=False, scripts=True):
        """Set what the page is looked at with."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=features)
        self.send("Emulation.setScriptExecutionDisabled", value=not scripts)

    def open(self, address):
        """Go to an address and wait until it is there."""
        # What the page before it says as it is left, as of an answer that will not come, is not of this one.
        self.send("Page.navigate", url="about:blank")
        self.until("location.href === 'about:blank'")
        self._events.clear()
        self.send("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def run(self, script):
        """Run a script in the page and return its value; promises are waited for."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def until(self, script, seconds=30):
        """Wait until a script returns something true, and return that."""
        end = time.monotonic() + seconds
        while True:
            try:
                found = self.run(script)
            except RuntimeError:  # between two pages there is nothing to run in
                found = None
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"in {seconds} s this did not become true: {script}")
            time.sleep(0.05)

    def click(self, selector):
        """Click in the middle of an element, as a mouse does."""
        place = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); "
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        for type_ in ("mousePressed", "mouseReleased"):
            self.send(
                "Input.dispatchMouseEvent", type=type_, x=place[0], y=place[1], button="left", clickCount=1
            )

    def press(self, key, code=0, text=""):
        """Press a key."""
        # Scripts of the page listen once it is complete.
        self.until("document.readyState === 'complete'")
        for type_ in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent", type=type_, key=key, code=key, windowsVirtualKeyCode=code, text=text
            )

    def complaints(self):
        """Return what the console said since the page was opened: errors, warnings, dialogs, refusals."""
        self.run("1")
        found = []
        for event in self._events:
            params = event.get("params", {})
            if event.get("method") == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(params["entry"]["text"])
            elif event.get("method") == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"]["text"])
            elif event.get("method") == "Runtime.consoleAPICalled":
                found.append(str(params["args"]))
            elif event.get("method") == "Page.javascriptDialogOpening":
                found.append(f"dialog: {params['message']}")
        return found

    def picture(self, path, whole=False):
        """Write what is to be seen, or the whole page, as a PNG."""
        clip = {}
        if whole:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **clip)["data"]
        path.write_bytes(base64.b64decode(data))


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


class Served:
    """A WSGI app on a loopback port. It is a context manager that gives the address."""

    def __init__(self, app):
        self._server = make_server("127.0.0.1", 0, app, _Server, _Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
