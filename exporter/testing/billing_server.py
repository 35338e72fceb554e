"""A billing API on a free loopback port: plays recorded pages, and misbehaves when told to.

A folder of recordings holds each page as it came (`whole-1.json`), and a README.md whose table is the index:

    | page | call | what is odd about it |
    |---|---|---|
    | `whole-1.json` | `GET /v1/charges?from=2024-09-01&until=2024-09-08` | amounts are numbers with 24 digits |

The word before the number names the conversation that the page belongs to. A query value `*` stands for any value (a
signature, a nonce, a key); a JSON body stands behind the address. A call that was not recorded is answered 404.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

_LINE = re.compile(
    r"^\| `(?P<page>[\w.-]+)` \| `(?P<method>[A-Z]+) (?P<target>[^\s`]+)(?: (?P<body>[^`]+))?` \|", re.MULTILINE
)
_USUAL = frozenset({"host", "user-agent", "accept", "accept-encoding", "connection", "content-length", "content-type"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request that the server got."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __str__(self) -> str:
        query = "&".join(f"{name}={value}" for name, value in self.query.items())
        words = [self.method, f"{self.path}?{query}" if query else self.path, self.body.decode(errors="replace")]
        return " ".join(filter(None, words))

    def echo(self) -> str:
        """What a gateway may quote of it: first the headers that are not every client's, since readers cut it short."""
        own = [f"{name}: {value}" for name, value in self.headers.items() if name.lower() not in _USUAL]
        return " ".join([*own, str(self)])


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded page: the call that it answers, and its bytes as they came."""

    page: str
    request: Request
    content: bytes

    @property
    def conversation(self) -> str:
        """`whole` for `whole-1.json`."""
        return self.page.rpartition("-")[0]

    def answers(self, request: Request) -> bool:
        """Whether this page was the answer to such a request."""
        call = self.request
        return (
            (call.method, call.path, call.query.keys()) == (request.method, request.path, request.query.keys())
            and all(value in ("*", request.query[name]) for name, value in call.query.items())
            and (not call.body or _same_json(call.body, request.body))
        )


def recordings(folder: Path) -> tuple[Recording, ...]:
    """The pages of a folder in the order of its README. ValueError where the two do not agree."""
    index = folder / "README.md"
    found = [
        Recording(
            line["page"],
            _request(line["method"], line["target"], {}, (line["body"] or "").encode()),
            (folder / line["page"]).read_bytes(),
        )
        for line in _LINE.finditer(index.read_text("utf-8"))
    ]
    unexplained = {path.name for path in folder.glob("*-*.json")} - {recording.page for recording in found}
    if unexplained or not found:
        raise ValueError(f"{index} has no line for {', '.join(sorted(unexplained)) or 'any page'}")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """What goes wrong instead of the next page."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    words: str | None = None
    """Sent instead of the page; `{echo}` is all that the client sent. None: the page itself."""
    kept: float = 1.0
    """The share of the body that is sent before the line goes dead."""
    announced: bool = True
    """Whether Content-Length says how long the body should be."""
    times: int | None = None
    """How often; None: from then on."""
    after: int = 0
    """How many pages are played first."""


class BillingServer:
    """Plays the pages of `folder` on `url`. A context manager; override `page` for an API with a life of its own."""

    def __init__(self, folder: Path) -> None:
        self.recordings = recordings(folder)
        self.requests: list[Request] = []
        """Everything that was asked, in order."""
        self.played: list[str] = []
        """The names of the pages that were played, in order."""
        self._conversation = ""
        self._trouble: _Trouble | None = None
        self._lock = threading.Lock()
        self._http: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self._answer))
        self._http.daemon_threads = False  # so that stop() joins them: no socket outlives a test
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening: from now on the connection is refused."""
        if self._http and self._thread:
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()
            self._http = self._thread = None

    def play(self, conversation: str) -> None:
        """Forget what was, behave well, and answer with the pages of one conversation."""
        with self._lock:
            self._conversation, self._trouble = conversation, None
            self.requests.clear()
            self.played.clear()

    def pages(self, conversation: str) -> list[str]:
        """The names of the pages that one conversation has."""
        return [recording.page for recording in self.recordings if recording.conversation == conversation]

    def page(self, request: Request) -> tuple[str, bytes] | None:
        """The name and the bytes of the answer to a request; None for a call that was not recorded."""
        for recording in self.recordings:
            if recording.conversation == self._conversation and recording.answers(request):
                return recording.page, recording.content
        return None

    def throttle(self, *, times: int | None = None, retry_after: int | None = None) -> None:
        """Answer 429 (so many times, or from now on), with Retry-After in seconds where given."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._trouble = _Trouble(429, headers, "slow down; you sent {echo}", times=times)

    def deny(self, status: int = 403) -> None:
        """Answer 403, or 401, and quote the credentials in it, as some gateways do."""
        self._trouble = _Trouble(status, words="denied; you sent {echo}")

    def fail(self, status: int = 500, *, times: int | None = None, after: int = 0) -> None:
        """Answer with a fault of its own."""
        self._trouble = _Trouble(status, words="internal error; you sent {echo}", times=times, after=after)

    def cut_off(self, *, announced: bool = True, times: int | None = None, after: int = 0) -> None:
        """Hang up in the middle of the body, whose length was announced, or was not."""
        self._trouble = _Trouble(kept=0.5, announced=announced, times=times, after=after)

    def say(self, words: str, *, after: int = 0) -> None:
        """Answer 200 with these words instead of a page; `{echo}` becomes all that the client sent."""
        self._trouble = _Trouble(words=words, after=after)

    def _answer(self, request: Request) -> tuple[_Trouble, bytes]:
        """How the request is answered, and with which body."""
        with self._lock:
            self.requests.append(request)
            trouble = self._trouble
            if trouble and (len(self.played) < trouble.after or trouble.times == 0):
                trouble = None
            if trouble and trouble.times:
                self._trouble = replace(trouble, times=trouble.times - 1)
            if trouble and trouble.words is not None:
                return trouble, trouble.words.replace("{echo}", request.echo()).encode()
            page = self.page(request)
            if page is None:
                return _Trouble(404), f"no page of {self._conversation!r} is recorded for {request}".encode()
            if not trouble:
                self.played.append(page[0])
            return trouble or _Trouble(), page[1]


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP; what it says is `answer`'s."""

    def __init__(self, answer: Callable[[Request], tuple[_Trouble, bytes]], *arguments: Any) -> None:
        self.answer = answer
        super().__init__(*arguments)

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        how, body = self.answer(_request(self.command, self.path, dict(self.headers), self.rfile.read(length)))
        self.send_response(how.status)
        for name, value in {"Content-Type": "application/json", **how.headers}.items():
            self.send_header(name, value)
        if how.announced:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: int(len(body) * how.kept)])

    do_POST = do_GET  # noqa: N815  http.server finds it by this name

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: `requests` says what was asked."""


def _request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
    parts = urlsplit(target)
    return Request(method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False
