"""A proxy on loopback, and behind it the TLS of whatever host it is asked for."""

import socket
import socketserver
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress


def make_certificate(folder, name, host):
    """Write a certificate for a host, of an authority of its own, and its key; return both paths."""
    path, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"]
    # Python 3.13 has OpenSSL look at this strictly.
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    subprocess.run([*command, "-keyout", key, "-out", path], check=True, capture_output=True)
    return path, key


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy that knows ``CONNECT`` (RFC 9110 section 9.3.6) and is, to the client, the host itself.

    Attributes:
        asked: the hosts that were asked for, each with its port.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, certificate, port):
        super().__init__(("127.0.0.1", 0), _Connection)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.behind = ("127.0.0.1", port)
        self.asked = []

    @property
    def port(self):
        return self.server_address[1]


class _Connection(socketserver.StreamRequestHandler):
    rbufsize = 0  # what comes behind the head is TLS

    def handle(self):
        method, target, _ = self.rfile.readline().decode().split()
        while self.rfile.readline().strip():
            pass
        self.server.asked.append((method, target))
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with suppress(OSError), self.server.context.wrap_socket(self.connection, server_side=True) as plain:
            self._pass_on(plain)

    def _pass_on(self, plain):
        with socket.create_connection(self.server.behind) as behind:
            back = threading.Thread(target=_copy, args=(behind, plain))
            back.start()
            _copy(plain, behind)
            with suppress(OSError):
                behind.shutdown(socket.SHUT_RDWR)
            back.join()


def _copy(source, target):
    with suppress(OSError, ValueError):
        while data := source.recv(65536):
            target.sendall(data)


@contextmanager
def serve(certificate, port):
    """Serve a proxy; what its clients send to the host behind it goes to a port of loopback, in the clear."""
    with Proxy(certificate, port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
