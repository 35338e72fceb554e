"""Asks an ASGI application one thing, without a server."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        packed = self.headers.get("content-encoding") == "gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode()


async def asked(app: App, path: str, method: str = "GET", headers: Sequence[tuple[str, str]] = ()) -> Answer:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    lines = [(name.lower().encode(), value.encode()) for name, value in headers]
    await app({"type": "http", "method": method, "path": path, "headers": lines}, receive, send)
    start, *bodies = sent
    given = {name.decode(): value.decode() for name, value in start["headers"]}
    assert len(given) == len(start["headers"]), "a header stands twice"
    return Answer(start["status"], given, b"".join(part["body"] for part in bodies))


def ask(app: App, path: str, method: str = "GET", headers: Sequence[tuple[str, str]] = ()) -> Answer:
    return asyncio.run(asked(app, path, method, headers))
