"""Envelopes are sent with fewer steps, and arrive as the SDK sends them."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope, Item, PayloadRef
from sentry_sdk.transport import HttpTransport
from urllib3 import PoolManager, ProxyManager, Timeout
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from sentry_paste.sdk import http
from sentry_paste.sdk.http import compress_at_once, request_directly


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.command, self.path, dict(self.headers), body))
        self.server.clients.add(self.client_address)
        if "/hang/" in self.path:
            self.server.released.wait(10)
            return
        if "/silent/" in self.path:
            self.close_connection = True
            return
        if "/old/" in self.path:
            self.send_response(307)
            self.send_header("Location", self.path.replace("/old/", "/api/"))
        else:
            self.send_response(200)
            self.send_header("X-Sentry-Rate-Limits", "60:replay:organization")
        if "/close/" in self.path:
            self.send_header("Connection", "close")
        if "/chunked/" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")
            return
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        found.requests, found.clients, found.daemon_threads = [], set(), True
        found.released = threading.Event()
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.released.set()
        found.shutdown()
        thread.join()


@pytest.fixture
def transport(server):
    client = sentry_sdk.Client(
        dsn=f"http://key@127.0.0.1:{server.server_port}/7", default_integrations=False, release="1"
    )
    found = client.transport
    yield found
    client.close()
    found._pool.clear()


def envelope():
    found = Envelope(headers={"event_id": "0" * 32})
    found.add_item(Item(payload=PayloadRef(json={"message": "é" * 2000, "level": "error"}), type="event"))
    found.add_item(Item(payload=PayloadRef(bytes=b"\0\1" * 999), type="attachment", filename="a.bin"))
    return found


def test_request_is_the_one_that_the_sdk_makes(transport, server):
    transport._send_envelope(envelope())
    compress_at_once(transport)
    request_directly(transport._pool)
    transport._send_envelope(envelope())
    before, now = server.requests
    assert gzip.decompress(before[3]) == gzip.decompress(now[3]) == envelope().serialize()
    assert now[:2] == before[:2] == ("POST", "/api/7/envelope/")
    sizes = [headers.pop("Content-Length") for headers in (before[2], now[2])]
    assert now[2] == before[2]
    assert now[2]["Content-Encoding"] == "gzip"
    assert abs(int(sizes[0]) - int(sizes[1])) < 64
    assert transport._check_disabled("replay")


def test_all_requests_of_a_connection_are_the_same(transport, server):
    compress_at_once(transport)
    request_directly(transport._pool)
    for _ in range(3):
        transport._send_envelope(envelope())
    first, *others = [
        (command, path, list(headers.items()), body) for command, path, headers, body in server.requests
    ]
    assert others == [first, first]
    assert len(server.clients) == 1


@pytest.fixture
def pool(server):
    """A pool with one connection that is kept."""
    with PoolManager(timeout=Timeout(total=30)) as found:
        request_directly(found)
        found.base = f"http://127.0.0.1:{server.server_port}"
        post(found, "/api/7/envelope/")
        yield found


def post(pool, path):
    return pool.request("POST", pool.base + path, body=b"x", headers={"Content-Type": "text/plain"})


@pytest.mark.parametrize("kind", ["api", "chunked"])
def test_response_on_a_kept_connection_is_read(pool, server, kind):
    response = post(pool, f"/{kind}/7/envelope/")
    response.close()
    assert (response.status, response.data) == (200, b"{}")
    assert response.headers.get("x-sentry-rate-limits") == "60:replay:organization"
    assert len(server.clients) == 1
    assert post(pool, "/api/7/envelope/").status == 200
    assert len(server.clients) == 1


def test_connections_are_made_again_once_they_are_closed(pool, server):
    pool.clear()
    for _ in range(2):
        assert post(pool, "/api/7/envelope/").status == 200
    assert len(server.clients) == 2


def test_requests_to_several_hosts_go_to_each_of_them(pool, server):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as another:
        another.requests, another.clients = [], set()
        thread = threading.Thread(target=another.serve_forever, args=(0.01,))
        thread.start()
        bases = [pool.base, f"http://127.0.0.1:{another.server_port}"]
        for number in range(6):
            pool.base = bases[number % 2]
            assert post(pool, f"/api/{number}/envelope/").status == 200
        another.shutdown()
        thread.join()
        pool.clear()
    assert [path for _, path, _, _ in another.requests] == [
        f"/api/{number}/envelope/" for number in (1, 3, 5)
    ]
    assert len(server.requests) == 1 + 3


def test_connection_that_the_server_closes_is_not_kept(pool, server):
    assert post(pool, "/close/7/envelope/").status == 200
    # At once: the server may take its time, and the next request would be lost.
    (connections,) = [pool.pools[key] for key in list(pool.pools.keys())]
    assert [found for found in connections.pool.queue if found is not None and found.sock is not None] == []
    assert post(pool, "/api/7/envelope/").status == 200
    assert len(server.clients) == 2


def test_connection_without_an_answer_is_an_error_of_urllib3(pool, server):
    with pytest.raises(ProtocolError, match="Connection aborted"):
        post(pool, "/silent/7/envelope/")
    assert post(pool, "/api/7/envelope/").status == 200
    assert len(server.clients) == 2


def test_answer_that_takes_too_long_is_an_error_of_urllib3(server, monkeypatch):
    with PoolManager(timeout=Timeout(total=30)) as pool:
        request_directly(pool)
        pool.base = f"http://127.0.0.1:{server.server_port}"
        post(pool, "/api/7/envelope/")
        (connections,) = [pool.pools[key] for key in list(pool.pools.keys())]
        with monkeypatch.context() as patched:
            patched.setattr(connections, "timeout", Timeout(total=0.2))
            with pytest.raises(ReadTimeoutError):
                post(pool, "/hang/7/envelope/")
        assert post(pool, "/api/7/envelope/").status == 200
    assert len(server.clients) == 2


@pytest.mark.parametrize(
    "headers", [{"X": "a\r\nB: c"}, {"X": "é"}, {"Host": "other"}, {"Content-Length": "1"}]
)
def test_headers_that_are_not_usual_are_left_to_urllib3(pool, headers, monkeypatch):
    url, taken = pool.base + "/api/7/envelope/", []
    (connections,) = [pool.pools[key] for key in list(pool.pools.keys())]
    urlopen = connections.urlopen
    monkeypatch.setattr(
        connections, "urlopen", lambda *args, **kwargs: taken.append(1) or urlopen(*args, **kwargs)
    )
    if "\n" in headers.get("X", ""):
        with pytest.raises(ValueError, match="Invalid header"):
            pool.request("POST", url, body=b"x", headers=headers)
    else:
        assert pool.request("POST", url, body=b"x", headers=headers).status == 200
    assert taken


def test_pool_without_the_undocumented_methods_makes_its_own_requests(pool, monkeypatch):
    (connections,) = [pool.pools[key] for key in list(pool.pools.keys())]
    monkeypatch.setattr(type(connections), "_put_conn", None)
    monkeypatch.setattr(connections, "urlopen", lambda *args, **kwargs: "urllib3's response")
    with pytest.raises(AttributeError):
        post(pool, "/api/7/envelope/").status  # noqa: B018


def test_interrupted_request_does_not_leave_its_answer_to_the_next(pool, server, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(http, "_Response", type("Interrupted", (http._Response,), {"begin": interrupted}))
        with pytest.raises(KeyboardInterrupt):
            post(pool, "/api/7/envelope/")
    assert post(pool, "/api/7/envelope/").status == 200
    assert len(server.clients) == 2


@pytest.mark.parametrize("follows", [True, False])
def test_redirect_is_followed_if_the_pool_does(server, follows):
    with PoolManager() as pool:
        request_directly(pool, follows_redirects=follows)
        url = f"http://127.0.0.1:{server.server_port}/old/7/envelope/"
        response = pool.request("POST", url, body=b"x", headers={"Content-Type": "text/plain"})
    paths = [path for _, path, _, _ in server.requests]
    if follows:
        assert (response.status, paths[-1]) == (200, "/api/7/envelope/")
        assert server.requests[-1][3] == b"x"
    else:
        assert (response.status, paths) == (307, ["/old/7/envelope/"])


def test_arguments_that_are_not_known_are_passed_on():
    passed = []
    with PoolManager() as pool:
        pool.request = lambda *args, **kwargs: passed.append((args, kwargs))
        request_directly(pool)
        pool.request("POST", "http://127.0.0.1:9/a", body=b"x", headers={}, timeout=5)
    assert passed == [(("POST", "http://127.0.0.1:9/a"), {"body": b"x", "headers": {}, "timeout": 5})]


@pytest.mark.parametrize("level", [0, 1, 9])
def test_level_of_compression_is_the_one_of_the_options(server, level):
    client = sentry_sdk.Client(
        dsn=f"http://key@127.0.0.1:{server.server_port}/7",
        default_integrations=False,
        _experiments={"transport_compression_level": level},
    )
    before = len(client.transport._serialize_envelope(envelope())[1].getvalue())
    compress_at_once(client.transport)
    encoding, body = client.transport._serialize_envelope(envelope())
    data = body.getvalue()
    assert abs(len(data) - before) < 20
    assert encoding == ("gzip" if level else None)
    assert (gzip.decompress(data) if level else data) == envelope().serialize()
    client.close()


def test_pools_of_proxies_stay_as_they_are():
    with ProxyManager("http://127.0.0.1:3128") as pool:
        before = pool.request
        request_directly(pool)
        assert pool.request == before


def test_transport_without_the_sdks_methods_stays_as_it_is():
    class Own(HttpTransport):
        def __init__(self):
            self._compression_algo = "br"

    transport = Own()
    compress_at_once(transport)
    compress_at_once(object())
    assert "_serialize_envelope" not in vars(transport)
