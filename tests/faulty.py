"""A receiver of envelopes that fails as networks and servers do, and counts what it has taken."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sentry_sdk.envelope import Envelope

from sentry_paste.spool import segments


@dataclass(frozen=True)
class Answer:
    """How an envelope is answered.

    Attributes:
        status: of the response.
        headers: besides Content-Length.
        delay: seconds before it is answered.
        between: seconds between two bytes of the response; None for all of them at once.
        hangs: whether it is not answered at all.
        body: of the response.
    """

    status: int = 200
    headers: dict = field(default_factory=dict)
    delay: float = 0.0
    between: float | None = None
    hangs: bool = False
    body: bytes = b"{}"


@dataclass
class Arrival:
    """An envelope that came.

    Attributes:
        envelope: as it was sent.
        key: the public key it was sent with.
        status: that it was answered with, 0 where it was not.
        time: of ``time.monotonic`` when it was there.
        clock: of ``time.time`` then.
        cut: whether the connection ended before all of the answer was sent.
    """

    envelope: Envelope
    key: str
    status: int
    time: float
    clock: float
    cut: bool = False

    @property
    def types(self):
        return [item.type for item in self.envelope.items]

    def payloads(self, type_):
        """Return the payloads of a type; streamed spans are transactions as well, with their segment's id."""
        found = [json.loads(item.get_bytes()) for item in self.envelope.items if item.type == type_]
        if type_ != "transaction":
            return found
        streamed = segments.transactions(self.payloads("span"))
        return found + [{**event, "event_id": event["contexts"]["trace"]["span_id"]} for event in streamed]

    @property
    def tag(self):
        """The tag ``n`` of its event; None where it has none."""
        return next((event.get("tags", {}).get("n") for event in self.payloads("event")), None)


class Faulty:
    """A receiver on loopback that can be made to fail in various ways while it runs.

    Only what it answers with 2xx counts as delivered; what comes again after that answer was sent as sent
    twice. A sender whose connection is cut before that knows nothing, and has to send it again.

    Attributes:
        answer: how envelopes are answered.
        answer_to: called with each arrival's envelope, returns another answer or None.
        arrivals: all envelopes, answered or not, in their order.
    """

    def __init__(self):
        self.answer = Answer()
        self.answer_to = lambda envelope: None
        self.arrivals = []
        self._lock = threading.Lock()
        self._connections = set()
        self._released = threading.Event()
        self._server = self._thread = None
        self.port = 0
        self.listen()

    @property
    def dsn(self):
        return self.dsn_of("public")

    def dsn_of(self, key, project=1):
        return f"http://{key}@127.0.0.1:{self.port}/{project}"

    def listen(self):
        """Accept connections, after ``refuse`` on the same port again."""
        self._released.clear()
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.receiver = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def refuse(self):
        """Have connections refused, those that are there cut."""
        if self._server is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = None
        self.hang_up()

    def hang_up(self):
        """Cut all connections, also those that hang."""
        self._released.set()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 5
        while not self._connections.isdisjoint(connections) and time.monotonic() < deadline:
            time.sleep(0.01)
        self._released.clear()

    # What it has taken.

    def delivered(self, type_="event"):
        """Count the ids of the events that were answered with 2xx."""
        return Counter(
            payload["event_id"]
            for arrival in self._all()
            if 200 <= arrival.status < 300
            for payload in arrival.payloads(type_)
        )

    def tags(self, taken=True):
        """Count the tags ``n`` of the errors that were taken, or of all that came."""
        return Counter(
            arrival.tag
            for arrival in self._all()
            if "event" in arrival.types and (200 <= arrival.status < 300 or not taken)
        )

    def transactions(self):
        """Count the transactions that were taken, by the end of their names: streamed spans have no tags."""
        return Counter(
            event["transaction"].rpartition("/")[2]
            for arrival in self._all()
            if 200 <= arrival.status < 300
            for event in arrival.payloads("transaction")
        )

    def sessions(self):
        """Count the requests of the sessions that were taken, by how they ended."""
        counts = Counter()
        for arrival in self._all():
            if 200 <= arrival.status < 300:
                for sessions in arrival.payloads("sessions"):
                    for counted in sessions["aggregates"]:
                        counts.update({name: number for name, number in counted.items() if name != "started"})
        return counts

    def sent_twice(self):
        """Return how often something came again whose sender had been answered 2xx."""
        seen, again = set(), 0
        for arrival in self._all():
            for event in arrival.payloads("event") + arrival.payloads("transaction"):
                again += event["event_id"] in seen
                if 200 <= arrival.status < 300 and not arrival.cut:
                    seen.add(event["event_id"])
        return again

    def lost(self):
        """Count what client reports contain, by category and reason."""
        counts = Counter()
        for arrival in self._all():
            if 200 <= arrival.status < 300:
                for report in arrival.payloads("client_report"):
                    for entry in report["discarded_events"]:
                        counts[entry["category"], entry["reason"]] += entry["quantity"]
        return counts

    def wait_for(self, what, seconds=120.0):
        """Wait until something holds, and fail otherwise."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, f"not after {seconds} s; came: {self.summary()}"
            time.sleep(0.01)

    def wait(self, errors=0, arrivals=0, seconds=120.0):
        """Wait until so many errors were taken and so many envelopes came."""
        self.wait_for(
            lambda: len(self.delivered()) >= errors and len(self.arrivals) >= arrivals, seconds=seconds
        )

    def summary(self):
        return Counter((",".join(arrival.types), arrival.status) for arrival in self._all())

    def _all(self):
        with self._lock:
            return list(self.arrivals)

    # What its handlers call.

    def took(self, envelope, key):
        """Record an envelope; return the record and how to answer it."""
        answer = self.answer_to(envelope) or self.answer
        # Before it is answered: a sender that has the answer may be asked at once what arrived.
        status = 0 if answer.hangs else answer.status
        if answer.delay:
            self._released.wait(answer.delay)
        arrival = Arrival(envelope, key, status, time.monotonic(), time.time())
        with self._lock:
            self.arrivals.append(arrival)
        if answer.hangs:
            self._released.wait(60)
        return arrival, answer

    def connected(self, connection):
        with self._lock:
            self._connections.add(connection)

    def disconnected(self, connection):
        with self._lock:
            self._connections.discard(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Many processes come at once after an outage.
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Those who are killed while they send are no news."""


class _Handler(BaseHTTPRequestHandler):
    # Connections are kept, as Sentry keeps them.
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.server.receiver.connected(self.connection)

    def finish(self):
        self.server.receiver.disconnected(self.connection)
        super().finish()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        key = self.headers["X-Sentry-Auth"].partition("sentry_key=")[2].partition(",")[0]
        arrival, answer = self.server.receiver.took(Envelope.deserialize(body), key)
        if answer.hangs:
            self.close_connection = True
            return
        try:
            self.respond(answer)
        except OSError:
            arrival.cut = True
            raise

    def respond(self, answer):
        text = answer.body
        headers = {"Content-Length": len(text), **answer.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        response = f"HTTP/1.1 {answer.status} Answer\r\n{head}\r\n".encode() + text
        if answer.between is None:
            self.wfile.write(response)
            return
        for number in range(len(response)):
            self.wfile.write(response[number : number + 1])
            time.sleep(answer.between)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serve():
    found = Faulty()
    try:
        yield found
    finally:
        found.refuse()
