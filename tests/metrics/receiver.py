"""A receiver of remote write on loopback: reads the protocol as it is specified, and answers what it is told to.

Snappy's block format and the protobuf messages are read by hand here, apart from the code that writes them.
"""

from __future__ import annotations

import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

Sample = tuple[int, float]
"""Unix milliseconds, value."""
Series = tuple[tuple[tuple[str, str], ...], tuple[Sample, ...]]


@dataclass(frozen=True)
class Answer:
    status: int = 204
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    headers: Mapping[str, str]
    series: tuple[Series, ...]

    @property
    def samples(self) -> list[Sample]:
        return [sample for _, samples in self.series for sample in samples]


class Receiver:
    """Remembers every request. `judge` says how each is answered; what it answers 2xx to is `taken`."""

    def __init__(self, judge: Callable[[Request], Answer] = lambda _request: Answer()) -> None:
        self.judge = judge
        self.requests: list[Request] = []
        self.taken: list[Request] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = Request(dict(self.headers), tuple(write_request(unsnapped(body))))
                receiver.requests.append(request)
                answer = receiver.judge(request)
                if answer.status // 100 == 2:
                    receiver.taken.append(request)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body.encode())))
                self.end_headers()
                self.wfile.write(answer.body.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api/v1/write"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def encrypted(self, context: ssl.SSLContext) -> Self:
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")
        return self

    def held(self) -> dict[tuple[tuple[str, str], ...], dict[int, float]]:
        """Series → time → value of all that was taken, as a database keeps it: the first value of an instant stays."""
        found: dict[tuple[tuple[str, str], ...], dict[int, float]] = {}
        for request in self.taken:
            for labels, samples in request.series:
                for at, value in samples:
                    assert found.setdefault(labels, {}).setdefault(at, value) == value, "two values of one instant"
        return found

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def unsnapped(body: bytes) -> bytes:
    """https://github.com/google/snappy/blob/main/format_description.txt, all of it but copies, which we never write."""
    length, at = varint(body, 0)
    out = bytearray()
    while at < len(body):
        tag = body[at]
        assert tag & 3 == 0, "not a literal"
        size, at = tag >> 2, at + 1
        if size >= 60:
            wide = size - 59
            size, at = int.from_bytes(body[at : at + wide], "little"), at + wide
        out += body[at : at + size + 1]
        at += size + 1
    assert len(out) == length
    return bytes(out)


def write_request(body: bytes) -> Iterator[Series]:
    for place, one in fields(body):
        assert place == 1
        labels, samples = [], []
        for inner, part in fields(bytes(one)):
            values = dict(fields(bytes(part)))
            if inner == 1:
                labels.append((bytes(values[1]).decode(), bytes(values[2]).decode()))
            else:
                samples.append((int(values[2]), struct.unpack("<d", bytes(values[1]))[0]))
        assert labels == sorted(labels), "label names are in order"
        yield tuple(labels), tuple(samples)


def fields(body: bytes) -> Iterator[tuple[int, bytes | int]]:
    at = 0
    while at < len(body):
        tag, at = varint(body, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(body, at)
            yield tag >> 3, value
            continue
        if kind == 1:
            size = 8
        else:
            assert kind == 2
            size, at = varint(body, at)
        assert at + size <= len(body)
        yield tag >> 3, body[at : at + size]
        at += size


def varint(body: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (body[at] & 0x7F) << shift
        shift += 7
        at += 1
        if body[at - 1] < 0x80:
            return number, at
