"""A client for measuring, which does as little as it can."""

from __future__ import annotations

import socket
import time
from typing import NamedTuple

_ACCEPT = "text/plain;version=0.0.4"
_PATIENCE = 120  # seconds


class Scrape(NamedTuple):
    """One answer."""

    milliseconds: float
    """From the first packet to the last byte."""
    size: int
    """Bytes of the body as they came."""


class Scraper:
    """Asks one server on the loopback: on a connection that it keeps, as Prometheus does, or on a new one each time."""

    def __init__(self, port: int, *, gzip: bool = True, keep: bool = False) -> None:
        self._address = ("127.0.0.1", port)
        lines = ["GET /metrics HTTP/1.1", "Host: localhost", f"Accept: {_ACCEPT}"]
        lines += [] if keep else ["Connection: close"]
        lines += ["Accept-Encoding: gzip"] if gzip else []
        self._request = "\r\n".join([*lines, "", ""]).encode()
        self._buffer = bytearray(1 << 20)
        self._keep = keep
        self._kept: socket.socket | None = None

    def scrape(self) -> Scrape:
        """Ask once, and drop the body. OSError where the server is not there, hangs up, or answers with an error."""
        began = time.perf_counter()
        connection, self._kept = self._kept or self._connected(), None
        try:
            connection.sendall(self._request)
            head, rest = self._head(connection)
            size, whole = len(rest), _length(head)
            while size < whole:
                size += self._received(connection)
            took = (time.perf_counter() - began) * 1e3
            if self._keep and not head.startswith(b"HTTP/1.0"):
                self._kept = connection
        finally:
            if self._kept is None:
                connection.close()
        return Scrape(took, whole)

    def close(self) -> None:
        """Hang up, where a connection was kept."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def body(self) -> bytes:
        """Ask once, and keep the body."""
        with socket.create_connection(self._address, _PATIENCE) as connection:
            connection.sendall(self._request)
            received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
        head, _, body = received.partition(b"\r\n\r\n")
        _length(head)
        return body

    def _connected(self) -> socket.socket:
        connection = socket.create_connection(self._address, _PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _head(self, connection: socket.socket) -> tuple[bytes, bytes]:
        """The head, and as much of the body as came along with it."""
        received = b""
        while b"\r\n\r\n" not in received:
            count = self._received(connection)
            received += self._buffer[:count]
        head, _, rest = received.partition(b"\r\n\r\n")
        return head, rest

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


def _length(head: bytes) -> int:
    """What the head says of the body's length. ConnectionError where it says that something is wrong."""
    status, *lines = head.lower().split(b"\r\n")
    if b" 200 " not in status:
        raise ConnectionError(status.decode("latin-1"))
    return next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
