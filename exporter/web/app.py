"""The HTTP surface: a bare ASGI application, so that a scrape is one look-up and one send."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from exporter import log
from exporter.errors import ConfigError
from exporter.metrics.exposition import negotiate
from exporter.web.board import Board
from exporter.web.landing import HEADERS, page, standing
from exporter.web.receiver import LARGEST, PATH, Receiver

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]

_RELOAD = "/-/reload"


class Web:
    """`/metrics`, `/`, `/config`, `/api/v1/check`, `/-/healthy`, `/-/ready`, `/-/reload`: what the board says."""

    def __init__(
        self,
        board: Board,
        configuration: Callable[[], str],
        reload: Callable[[], Awaitable[None]],
        receiver: Receiver | None = None,
    ) -> None:
        """`configuration` is the running one as text without secrets; `reload` raises ConfigError for a bad file.

        `receiver` takes what Alertmanager posts; nobody does where there is none.
        """
        self._receiver = receiver
        self._board = board
        self._configuration = configuration
        self._reload = reload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"] == PATH and self._receiver is not None:
            await respond(scope, send, await _received(self._receiver, scope, receive))
        elif scope["type"] == "http":
            if scope["path"] == "/":
                await asyncio.to_thread(self._board.summary)  # read once; of a large bill while scrapes go on
            is_reload = scope["path"] == _RELOAD and scope["method"] in ("POST", "PUT")
            await respond(scope, send, await self._reloaded() if is_reload else self._answer(scope))

    def _answer(self, scope: Scope) -> Answer:
        path = scope["path"]
        if path == _RELOAD:
            return 405, [*plain(), (b"allow", b"POST, PUT")], b"only POST and PUT\n"
        if scope["method"] not in ("GET", "HEAD"):
            return 405, [*plain(), (b"allow", b"GET, HEAD")], b"only GET and HEAD\n"
        if path == "/metrics":
            return self._metrics(scope["headers"])
        if path == "/":
            return 200, HEADERS, self._page().encode()
        if path == "/config":
            return 200, plain(), self._configuration().encode()
        if path == "/-/healthy":
            return 200, plain(), b"healthy\n"
        if path == "/api/v1/check":
            return self._check()
        if path == "/-/ready":
            return (200, plain(), b"ready\n") if self._board.ready else (503, plain(), self._waiting().encode())
        return 404, plain(), b"not found; try / or /metrics\n"

    def _metrics(self, headers: Headers) -> Answer:
        given: dict[bytes, bytes] = {}
        for name, value in headers:  # a header may come in several lines
            given[name] = given[name] + b"," + value if name in given else value
        form = negotiate(
            given.get(b"accept", b"").decode("latin-1"), given.get(b"accept-encoding", b"").decode("latin-1")
        )
        answer: Headers = [(b"content-type", form.content_type.encode()), (b"vary", b"Accept, Accept-Encoding")]
        if form.gzip:
            answer.append((b"content-encoding", b"gzip"))
        return 200, answer, self._board.body(form)

    def _check(self) -> Answer:
        found = self._board.check()
        if found is None:
            return 503, plain(), self._waiting().encode()
        return 200, [(b"content-type", b"application/json"), (b"cache-control", b"no-store")], found

    async def _reloaded(self) -> Answer:
        try:
            await self._reload()
        except ConfigError as error:
            return 400, plain(), f"{log.masked(str(error))}\nnothing has changed\n".encode()
        return 200, plain(), b"reloaded\n"

    def _page(self) -> str:
        return page(self._board.facts(), self._board.summary(), self._board.now, self._too_old())

    def _waiting(self) -> str:
        lines = [self._too_old() or "no bill yet"]
        for fact in self._board.facts():
            said = fact["failed"] or ("up" if fact["up"] else standing(fact))
            lines.append(f"{fact['source']}: {said}, next poll {fact['next_poll']:%Y-%m-%dT%H:%M:%SZ}")
        return "\n".join([*lines, ""])

    def _too_old(self) -> str | None:
        since = self._board.expired
        return f"the last bill is too old to be served since {since:%Y-%m-%dT%H:%M:%SZ}" if since else None


async def _received(receiver: Receiver, scope: Scope, receive: Receive) -> Answer:
    if scope["method"] != "POST":
        return 405, [*plain(), (b"allow", b"POST")], b"only POST\n"
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return 400, plain(), b"the body is not whole\n"
        body += event.get("body", b"")
        if len(body) > LARGEST:
            return 413, plain(), f"more than {LARGEST} bytes\n".encode()
        if not event.get("more_body", False):
            break
    status, said = await receiver.take(bytes(body))
    return status, plain(), f"{said}\n".encode()


async def respond(scope: Scope, send: Send, answer: Answer) -> None:
    """Send a whole answer; to HEAD its head alone."""
    status, headers, body = answer
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def plain() -> Headers:
    """The headers of an answer in plain text."""
    return [(b"content-type", b"text/plain; charset=utf-8")]
