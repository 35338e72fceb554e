"""The web configuration in front of an application: its headers on every answer, and nobody in without a password."""

from __future__ import annotations

from exporter.errors import ConfigError
from exporter.web.app import Message, Receive, Scope, Send, Web, plain, respond
from exporter.web.webconfig import LiveFile, Protection


class Guard:
    """Answers 401 itself, and 500 while the file cannot be used; passes all else on."""

    def __init__(self, web: Web, file: LiveFile) -> None:
        self._web = web
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let it through."""
        if scope["type"] != "http":
            return
        try:
            protection = self._file.current()
        except ConfigError:
            await respond(scope, send, (500, plain(), b"the web configuration cannot be used; the log says why\n"))
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                configured = {name.lower() for name, _ in protection.headers}
                own = [each for each in message["headers"] if each[0] not in configured]
                message["headers"] = [*own, *protection.headers]
            await send(message)

        if await _admitted(scope, protection):
            await self._web(scope, receive, dressed)
        else:
            challenge = (b"www-authenticate", b"Basic")
            await respond(scope, dressed, (401, [*plain(), challenge], b"Unauthorized\n"))


async def _admitted(scope: Scope, protection: Protection) -> bool:
    if not len(protection.users):
        return True
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    return await protection.users.admits(given[0] if len(given) == 1 else None)
