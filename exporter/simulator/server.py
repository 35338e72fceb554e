"""What every simulated cloud is: an HTTP server on a free loopback port, which misbehaves when told to.

Beside the cloud's own API there is a control plane:

    POST /__simulator__/faults   [{"kind": "throttle", "operation": "GetCostAndUsage", "times": 2}]   queue faults
    GET  /__simulator__/calls    what was asked, in order
    POST /__simulator__/reset    forget calls and faults
    POST /__simulator__/clock    {"now": "2024-03-01T00:05:00Z"}   move the clock; it goes on from there
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from exporter.clock import Clock

CONTROL = "/__simulator__/"
LONGEST_HANG = 30.0

Kind = Literal["throttle", "error", "denied", "expired", "hang", "reset", "cut", "html", "hollow", "lost_page"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        """The body as JSON; an empty one is {}."""
        return json.loads(self.body or b"{}")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answers."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
        """A JSON document."""
        kind = {"Content-Type": "application/json; charset=utf-8"}
        return cls(status, json.dumps(document).encode(), kind | dict(headers or {}))


class Refused(Exception):
    """The cloud's way of saying no: raised inside of `answer`."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.status} {reply.body[:200]!r}")
        self.reply = reply


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next calls that it fits."""

    kind: Kind
    operation: str | None = None
    """Only this one; None: any."""
    account: str | None = None
    """Only where the cloud finds this account, project or scope in the request; None: any."""
    times: int | None = 1
    """How often; None: until reset."""
    after: int = 0
    """How many calls that fit go well first."""
    status: int = 503
    """HTTP status of an `error`."""
    code: str = ""
    """The cloud's own word for an `error`; its usual one unless said."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent along: Retry-After and its relatives."""
    seconds: float = 5.0
    """How long a `hang` lasts."""

    def fits(self, operation: str, account: str) -> bool:
        """Whether it is this one's turn; counts the calls that go well first."""
        if self.operation not in (None, operation) or self.account not in (None, account) or self.times == 0:
            return False
        if self.after:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(frozen=True, slots=True)
class Asked:
    """One call that a cloud got."""

    operation: str
    account: str
    fault: str = ""
    """Kind of the fault that it met; empty where it went as always."""
    status: int = 0
    """HTTP status of the answer; 0 where none came."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What the cloud thinks worth telling: granularity, page, bytes, user agent."""


class CloudServer(ABC):
    """One simulated cloud. A context manager: serves from `__enter__` to `__exit__`."""

    name: ClassVar[str]

    def __init__(self, clock: Clock | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.clock = clock or Clock()
        self.faults: list[Fault] = []
        self.calls: list[Asked] = []
        self._lock = threading.Lock()
        self._http = _Listener(("127.0.0.1", 0), _handler(self))
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name=self.name, daemon=True)
        host = "https://localhost" if tls else "http://127.0.0.1"
        self.url = f"{host}:{self._http.server_address[1]}"

    @abstractmethod
    def operation(self, request: Request) -> tuple[str, str]:
        """What a request asks for and of which account, both as faults name them; account may be empty."""

    @abstractmethod
    def answer(self, request: Request, operation: str) -> tuple[Reply, Mapping[str, Any]]:
        """The answer of a cloud in good health, and details of the call. Raises Refused."""

    @abstractmethod
    def refusal(self, fault: Fault, request: Request, operation: str) -> Reply:
        """How this cloud says `throttle`, `error`, `denied` and `expired`."""

    @abstractmethod
    def hollow(self, operation: str) -> Reply:
        """A well-formed answer that lacks the one key it must have."""

    def without_a_page(self, request: Request, operation: str) -> tuple[Reply, Mapping[str, Any]]:
        """The answer to a request with one page lost: the next page's, or an end before the end."""
        raise NotImplementedError(f"{self.name} has no pages to lose")

    @property
    def now(self) -> datetime:
        """The cloud's time."""
        return self.clock.now()

    def move_clock(self, now: datetime) -> None:
        """It is `now`; time goes on from there."""
        self.clock = Clock(offset=now - datetime.now(UTC))

    def inject(self, *faults: Fault) -> None:
        """Queue faults."""
        with self._lock:
            self.faults.extend(faults)

    def reset(self) -> None:
        """Forget calls and faults."""
        with self._lock:
            self.faults.clear()
            self.calls.clear()

    def asked(self, operation: str) -> list[Asked]:
        """The calls of one operation, in order."""
        return [call for call in self.calls if call.operation == operation]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def control(self, request: Request) -> Reply:
        """The control plane."""
        word = request.path.removeprefix(CONTROL)
        if (request.method, word) == ("GET", "calls"):
            return Reply.json([asdict(call) for call in list(self.calls)])
        if (request.method, word) == ("POST", "faults"):
            self.inject(*(Fault(**fault) for fault in request.json()))
        elif (request.method, word) == ("POST", "reset"):
            self.reset()
        elif (request.method, word) == ("POST", "clock"):
            self.move_clock(datetime.fromisoformat(request.json()["now"]))
        else:
            return Reply.json({"error": f"no {request.method} {request.path}"}, 404)
        return Reply.json({})

    def serve(self, request: Request, wire: _Wire) -> None:
        """Answer one request, or do to it what the next fault says."""
        if request.path.startswith(CONTROL):
            wire.send(self.control(request))
            return
        operation, account = self.operation(request)
        with self._lock:
            fault = next((fault for fault in self.faults if fault.fits(operation, account)), None)
        if fault is None:
            self._answer(request, operation, account, wire)
        else:
            self._misbehave(fault, request, operation, account, wire)

    def _answer(self, request: Request, operation: str, account: str, wire: _Wire) -> None:
        detail: Mapping[str, Any] = {}
        try:
            reply, detail = self.answer(request, operation)
        except Refused as refused:
            reply = refused.reply
        self._note(Asked(operation, account, status=reply.status, detail=detail))
        wire.send(reply)

    def _misbehave(self, fault: Fault, request: Request, operation: str, account: str, wire: _Wire) -> None:
        reply: Reply | None = None
        if fault.kind == "html":
            reply = Reply(200, b"<html><title>Please log in</title></html>", {"Content-Type": "text/html"})
        elif fault.kind == "hollow":
            reply = self.hollow(operation)
        elif fault.kind == "lost_page":
            reply, _ = self.without_a_page(request, operation)
        elif fault.kind in ("throttle", "error", "denied", "expired"):
            reply = self.refusal(fault, request, operation)
        self._note(Asked(operation, account, fault.kind, reply.status if reply else 0))
        if reply is not None:
            wire.send(reply)
        elif fault.kind == "cut":
            whole, _ = self.answer(request, operation)
            wire.send(whole, kept=0.6)
        elif fault.kind == "hang":
            time.sleep(min(fault.seconds, LONGEST_HANG))
            wire.drop()
        else:
            wire.drop(hard=True)

    def _note(self, call: Asked) -> None:
        with self._lock:
            self.calls.append(call)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the play; anything else is a mistake of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Wire:
    """The way back to the client."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler

    def send(self, reply: Reply, kept: float = 1.0) -> None:
        """The reply, or its first part and then silence."""
        handler, sent = self._handler, reply.body[: int(len(reply.body) * kept)]
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if "Transfer-Encoding" not in reply.headers:
            handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        handler.wfile.write(sent)
        if kept < 1:
            handler.wfile.flush()
            self.drop()

    def drop(self, *, hard: bool = False) -> None:
        """Hang up; `hard` resets the connection instead of closing it."""
        self._handler.close_connection = True
        if hard:
            self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._handler.connection.close()


def _handler(server: CloudServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60
        disable_nagle_algorithm = True  # head and body are two packets; the second would wait 40 ms for an answer

        def _serve(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(address.query, keep_blank_values=True))
            server.serve(Request(self.command, address.path, query, headers, body), _Wire(self))

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815  the library's names

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the calls are kept."""

    return Handler


def server_tls(names: Sequence[str] = ("localhost", "127.0.0.1")) -> tuple[ssl.SSLContext, bytes]:
    """A TLS context with a certificate made now, and the PEM of the authority that vouches for it."""
    import trustme

    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context, authority.cert_pem.bytes()
