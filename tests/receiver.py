"""A receiver of envelopes on loopback: as much of Sentry as a transport can see."""

import gzip
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sentry_sdk.envelope import Envelope

from sentry_paste.testing import CapturedEnvelopes


class Receiver:
    """Keeps what is posted to it.

    ``status`` is what it answers, after ``seconds``; ``raw`` the undecoded bodies, for looking for bytes, and
    ``headers`` what came with them. ``spotlight`` is where it takes what an SDK sends to Spotlight.
    """

    def __init__(self, port):
        self.port = port
        self.dsn = f"http://public@127.0.0.1:{port}/1"
        self.spotlight = f"http://127.0.0.1:{port}/stream"
        self.envelopes = CapturedEnvelopes()
        self.raw = []
        self.headers = []
        self.status = 200
        self.seconds = 0.0
        self.goes_on = threading.Event()
        self.goes_on.set()

    @property
    def errors(self):
        return self.envelopes.errors

    @property
    def transactions(self):
        return self.envelopes.transactions

    def wait(self, errors=0, transactions=0, seconds=120.0):
        """Wait until so much has arrived, and fail otherwise."""
        deadline = time.monotonic() + seconds
        while len(self.errors) < errors or len(self.transactions) < transactions:
            assert time.monotonic() < deadline, (
                f"{len(self.errors)} of {errors} errors and {len(self.transactions)} of {transactions} "
                f"transactions arrived in {seconds} s"
            )
            time.sleep(0.02)
        time.sleep(0.1)  # what should not come has a moment to come


@contextmanager
def serve():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            time.sleep(receiver.seconds)
            receiver.goes_on.wait(60)
            receiver.raw.append(body)
            receiver.headers.append(dict(self.headers))
            receiver.envelopes.append(Envelope.deserialize(body))
            answer = json.dumps({}).encode()
            self.send_response(receiver.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
