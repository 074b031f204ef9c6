"""Apps that need a certain server, for ``test_server_cases``; they write to a file what happens to them."""

import base64
import os
import socket
import sys
import time

FRAME = b"\x81\x05hello"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def upgraded(environ, start_response, record):
    """Take the socket, as websockets under gunicorn do, and give back the marker of its workers."""
    from gunicorn.workers.base_async import ALREADY_HANDLED

    environ["gunicorn.socket"].sendall(SWITCH + FRAME)
    return ALREADY_HANDLED


def websocket(environ, start_response, record):
    """Answer a first message, and wait for more, or return what the path says."""
    import uwsgi

    uwsgi.websocket_handshake(environ["HTTP_SEC_WEBSOCKET_KEY"], environ.get("HTTP_ORIGIN", ""))
    uwsgi.websocket_send(b"echo " + uwsgi.websocket_recv())
    way = environ["PATH_INFO"].rpartition("/")[2]
    if way == "wait":
        while True:
            uwsgi.websocket_recv()
    return None if way == "none" else b""


def slow(environ, start_response, record):
    for _ in range(200):  # mod_wsgi interrupts only between two steps
        time.sleep(0.1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"late"]


def slow_stream(environ, start_response, record):
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        for _ in range(200):
            yield b"x" * 100
            time.sleep(0.1)
    except BaseException as error:
        record(type(error).__name__)
        raise


def answer(environ, start_response, record):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def forwarding(environ, start_response, record):
    """Have ``paste.recursive`` make another request."""
    from paste.recursive import ForwardRequestException

    raise ForwardRequestException("/answer")


def lazy_user(record):
    """Return an object of Django's that says so when it is loaded, which fails."""
    from django.utils.functional import SimpleLazyObject

    def load():
        record("loaded")
        raise RuntimeError("the database is gone")

    return SimpleLazyObject(load)


def lazy(environ, start_response, record):
    """Leave lazy objects in the environ, and answer."""
    environ["app.user"] = environ["REMOTE_USER"] = lazy_user(record)
    return answer(environ, start_response, record)


def lazy_crash(environ, start_response, record):
    """Crash next to lazy objects."""
    user = environ["app.user"] = lazy_user(record)  # noqa: F841
    raise ValueError("of the app")


APPS = {
    app.__name__: app
    for app in (lazy, lazy_crash, upgraded, websocket, slow, slow_stream, answer, forwarding)
}


def make_app(global_conf, notes):
    """A ``paste.app_factory`` for these apps, by the first name of the path."""

    def app(environ, start_response):
        name = environ["PATH_INFO"].strip("/").partition("/")[0]

        def record(line):
            with open(notes, "a", encoding="utf-8") as file:
                file.write(f"{name}: {line}\n")

        record("called")
        try:
            return APPS[name](environ, start_response, record)
        except BaseException as error:
            record(type(error).__name__)
            raise

    return app


def make_outer(global_conf, notes):
    """A ``paste.filter_factory`` for a middleware that leaves lazy objects outside of Sentry."""

    def record(line):
        with open(notes, "a", encoding="utf-8") as file:
            file.write(f"outer: {line}\n")

    def filter_app(app):
        def outer(environ, start_response):
            environ["outer.user"] = environ["HTTP_X_USER"] = lazy_user(record)
            return app(environ, start_response)

        return outer

    return filter_app


def serve_eventlet(ini, port):
    """Serve an ini by eventlet's server, which ends its requests when it is told to end."""
    import signal

    import eventlet

    eventlet.monkey_patch()
    from eventlet import wsgi
    from paste.deploy import loadapp

    pool = eventlet.GreenPool()

    def end():
        for green in list(pool.coroutines_running):
            eventlet.kill(green)
        eventlet.spawn_after(0.5, os.kill, os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGTERM, lambda *args: eventlet.spawn(end))
    wsgi.server(eventlet.listen(("127.0.0.1", int(port))), loadapp(f"config:{ini}"), custom_pool=pool)


# What follows is of the client.


def websocket_request(path):
    key = base64.b64encode(b"0123456789abcdef").decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


def talk(port, path, leave_after):
    """Send a message over a websocket and return all bytes that came, to the end or to as many as given."""
    mask = b"\x01\x02\x03\x04"
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(b"hi"))
    with socket.create_connection(("127.0.0.1", port), timeout=180) as connection:
        connection.sendall(websocket_request(path))
        found = bytearray()
        while b"\r\n\r\n" not in found:
            found += connection.recv(4096)
        connection.sendall(b"\x81\x82" + mask + masked)
        while b"echo hi" not in found:
            found += connection.recv(4096)
        if leave_after:
            return bytes(found)
        while True:
            chunk = connection.recv(4096)
            if not chunk:
                return bytes(found)
            found += chunk


if __name__ == "__main__":
    serve_eventlet(*sys.argv[1:])
