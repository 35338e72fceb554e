"""The HTTP surface: a bare ASGI application, so that a scrape is one look-up and one send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from exporter.metrics.exposition import negotiate
from exporter.web.board import Board
from exporter.web.landing import page

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

Headers = list[tuple[bytes, bytes]]


class Web:
    """`/metrics`, `/`, `/-/healthy`, `/-/ready`. Everything it says comes from the board."""

    def __init__(self, board: Board) -> None:
        self.board = board

    async def __call__(self, scope: MutableMapping[str, Any], _receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        status, headers, body = self._answer(scope)
        head = scope["method"] == "HEAD"
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else body})

    def _answer(self, scope: MutableMapping[str, Any]) -> tuple[int, Headers, bytes]:
        if scope["method"] not in ("GET", "HEAD"):
            return 405, [*_plain(), (b"allow", b"GET, HEAD")], b"only GET and HEAD\n"
        path = scope["path"]
        if path == "/metrics":
            return self._metrics(scope["headers"])
        if path == "/":
            return 200, [(b"content-type", b"text/html; charset=utf-8")], page(self.board.facts()).encode()
        if path == "/-/healthy":
            return 200, _plain(), b"healthy\n"
        if path == "/-/ready":
            return (200, _plain(), b"ready\n") if self.board.ready else (503, _plain(), self._waiting().encode())
        return 404, _plain(), b"not found; try / or /metrics\n"

    def _metrics(self, headers: Headers) -> tuple[int, Headers, bytes]:
        given: dict[bytes, bytes] = {}
        for name, value in headers:  # a header may come in several lines
            given[name] = given[name] + b"," + value if name in given else value
        form = negotiate(
            given.get(b"accept", b"").decode("latin-1"), given.get(b"accept-encoding", b"").decode("latin-1")
        )
        answer: Headers = [(b"content-type", form.content_type.encode()), (b"vary", b"Accept, Accept-Encoding")]
        if form.gzip:
            answer.append((b"content-encoding", b"gzip"))
        return 200, answer, self.board.body(form)

    def _waiting(self) -> str:
        lines = ["no bill yet"]
        for fact in self.board.facts():
            said = fact["failed"] or "waiting for its first poll"
            lines.append(f"{fact['source']}: {said}, next poll {fact['next_poll']:%Y-%m-%dT%H:%M:%SZ}")
        return "\n".join([*lines, ""])


def _plain() -> Headers:
    return [(b"content-type", b"text/plain; charset=utf-8")]
