"""A client for measuring: it keeps its connection, as Prometheus does, and does as little as it can."""

from __future__ import annotations

import socket
import time
from typing import NamedTuple

_ACCEPT = "text/plain;version=0.0.4"


class Scrape(NamedTuple):
    """One answer."""

    milliseconds: float
    """From the request to the last byte."""
    size: int
    """Bytes of the body as they came."""


class Scraper:
    """One kept connection to a server on the loopback."""

    def __init__(self, port: int, path: str = "/metrics", *, gzip: bool = True) -> None:
        self._port = port
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"Accept: {_ACCEPT}"]
        lines += ["Accept-Encoding: gzip"] if gzip else []
        self._request = "\r\n".join([*lines, "", ""]).encode()
        self._connection: socket.socket | None = None
        self._buffer = bytearray(1 << 20)

    def scrape(self) -> Scrape:
        """Ask once. ConnectionError where the server is not there or hangs up."""
        connection = self._connected()
        began = time.perf_counter()
        try:
            connection.sendall(self._request)
            head, length, got = self._head(connection)
            while got < length:
                got += self._received(connection)
        except OSError:
            self.close()
            raise
        took = (time.perf_counter() - began) * 1e3
        if head.startswith(b"http/1.0") or b"connection: close" in head:
            self.close()
        return Scrape(took, length)

    def body(self) -> bytes:
        """Ask once on a connection of its own, and keep what came."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=120) as connection:
            connection.sendall(self._request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
        head, _, body = received.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(head.split(b"\r\n")[0].decode("latin-1"))
        return body

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> socket.socket:
        if self._connection is None:
            self._connection = socket.create_connection(("127.0.0.1", self._port), timeout=120)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._connection

    def _head(self, connection: socket.socket) -> tuple[bytes, int, int]:
        """The head in lower case, the length of the body, and how much of it came along."""
        received = b""
        while b"\r\n\r\n" not in received:
            count = self._received(connection)
            received += self._buffer[:count]
        head, _, rest = received.partition(b"\r\n\r\n")
        head = head.lower()
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(head.split(b"\r\n")[0].decode("latin-1"))
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        return head, length, len(rest)

    def _received(self, connection: socket.socket) -> int:
        count = connection.recv_into(self._buffer)
        if not count:
            raise ConnectionError("the server hung up")
        return count


def answers(scraper: Scraper) -> bool:
    """Whether the server answers yet."""
    try:
        scraper.scrape()
    except OSError:
        return False
    return True
