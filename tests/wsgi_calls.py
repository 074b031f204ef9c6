"""Call a WSGI app as a server does, and record all that a server could see."""

import contextlib
import io


def environ_of(path="/", method="GET", **more):
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **more,
    }


class Seen:
    """What a server sees of one request: everything but the time it took."""

    def __init__(self):
        self.starts = []
        self.written = []
        self.chunks = []
        self.error = None
        self.length = None
        self.body = None

    def facts(self):
        error = None if self.error is None else (type(self.error), str(self.error))
        return self.starts, self.written, self.chunks, self.length, error


def call(app, environ=None, read=None, close=True):
    """Call an app; ``read`` is after how many chunks the client goes away."""
    seen = Seen()

    def start_response(status, headers, exc_info=None):
        if seen.starts and exc_info is None:
            raise AssertionError("start_response called twice")
        seen.starts.append((status, headers, exc_info and exc_info[0]))
        return seen.written.append

    try:
        seen.body = body = app(environ if environ is not None else environ_of(), start_response)
        with contextlib.suppress(TypeError):
            seen.length = len(body)
        try:
            for chunk in body:
                seen.chunks.append(chunk)
                if read is not None and len(seen.chunks) >= read:
                    break
        finally:
            if close and hasattr(body, "close"):
                body.close()
    except BaseException as error:
        seen.error = error
    return seen
