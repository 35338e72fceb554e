"""Channels of notifications on loopback: real HTTP servers that judge what they get as the vendors do.

    with FeishuDouble(secret="s1gn") as bot:
        …                                   # send to bot.url
        assert bot.taken[0].json["card"]["header"]["template"] == "red"

A double answers as the vendor would, unless it is told otherwise: `then(answer, …)` for the next requests, `always` for
all, `hold` to keep them waiting. `taken` is what was acknowledged, `received` all that came.
"""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """What came."""

    path: str
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    at: float
    """Real time."""

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    status: int = 200
    body: str = ""
    type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    takes: bool = False
    """Whether it acknowledges the message."""


HTML = Answer(200, "<!doctype html><title>Sign in</title><p>Sign in to go on", "text/html; charset=utf-8")
"""What a proxy or a login page answers."""


class Double:
    """A server on loopback; subclasses judge as a vendor does."""

    path = "/hook/t0ken-of-a-double"

    def __init__(self) -> None:
        self.received: list[Request] = []
        self.taken: list[Request] = []
        self.always: Answer | None = None
        """Answer everything so; what the vendor would say where it is None."""
        self._next: deque[Answer] = deque()
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                double._serve(self)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where to send to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.path}"

    def then(self, *answers: Answer) -> None:
        """Answer the next requests so, one each."""
        self._next.extend(answers)

    def hold(self) -> None:
        """Answer nothing until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Answer again, those that wait first."""
        self._open.set()

    def judge(self, request: Request) -> Answer:
        """What the vendor answers."""
        raise NotImplementedError

    def texts(self) -> list[str]:
        """Every text of every request, as people see it."""
        return [text for request in self.received for text in _strings(request.json)]

    # --- what may go wrong, in the vendor's own words ---

    def refusing(self) -> Answer:
        """How it says that our settings are wrong."""
        raise NotImplementedError

    def throttling(self, seconds: int) -> Answer:
        """How it says that there are too many messages."""
        return Answer(429, '{"error": "too many"}', headers={"Retry-After": str(seconds)})

    def failing(self) -> Answer:
        """How it says that it is broken."""
        return Answer(503, "<html>busy", "text/html")

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.path, headers, body, time.time())
        with self._lock:
            self.received.append(request)
            scripted = self._next.popleft() if self._next else self.always
        self._open.wait()
        answer = scripted if scripted is not None else self._judged(request)
        if answer.takes:
            with self._lock:
                self.taken.append(request)
        sent = answer.body.encode()
        try:
            handler.send_response_only(answer.status)
            headers = {"Date": formatdate(usegmt=True), "Content-Type": answer.type, "Content-Length": str(len(sent))}
            for name, value in (headers | dict(answer.headers)).items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(sent)
        except OSError:
            handler.close_connection = True  # whoever asked is gone

    def _judged(self, request: Request) -> Answer:
        if request.path != self.path:
            return Answer(404, "not found", "text/plain")
        try:
            return self.judge(request)
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            return self.malformed(str(error))

    def malformed(self, why: str) -> Answer:
        """What it answers to a message that is none."""
        return Answer(400, json.dumps({"error": why}))


class WebhookDouble(Double):
    """Any address that takes JSON; with a secret it wants it signed."""

    def __init__(self, secret: str | None = None) -> None:
        super().__init__()
        self._secret = secret

    def judge(self, request: Request) -> Answer:
        """401 for a wrong signature or an old one."""
        if self._secret is not None:
            stamp = request.headers.get("x-cloudspend-timestamp", "0")
            mark = hmac.digest(self._secret.encode(), stamp.encode() + b"." + request.body, "sha256").hex()
            given = request.headers.get("x-cloudspend-signature", "")
            if not hmac.compare_digest(given, f"sha256={mark}") or abs(request.at - int(stamp)) > 300:
                return self.refusing()
        assert request.json is not None
        return Answer(202, takes=True)

    def refusing(self) -> Answer:
        """Unauthorized."""
        return Answer(401, '{"error": "who are you?"}')


class FeishuDouble(Double):
    """A custom bot: signature, keyword, the form of a card, 20 KB, 5 messages a second and 100 a minute."""

    path = "/open-apis/bot/v2/hook/t0ken-of-a-double"

    def __init__(self, secret: str | None = None, keyword: str = "", now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._secret = secret
        self._keyword = keyword
        self._now = now
        self._limited: deque[float] = deque(maxlen=100)
        self.limits = True
        """Whether it counts messages."""

    def judge(self, request: Request) -> Answer:
        """What the bot says; with HTTP 200, whatever it is."""
        sent = request.json
        if self._secret is not None and not self._signed(sent):
            return self.said(19021, "sign match fail or timestamp is not within one hour from current time")
        if len(request.body) > 20 * 1024:
            return self.said(11246, "the request body is too large")
        check_card(sent)
        if self._keyword and not any(self._keyword in text for text in _strings(sent["card"])):
            return self.said(19024, "Key Words Not Found")
        if self.limits and self._over():
            return self.said(11232, "frequency limited")
        return Answer(200, '{"code":0,"data":{},"msg":"success","StatusCode":0,"StatusMessage":"success"}', takes=True)

    def said(self, code: int, words: str = "", **headers: str) -> Answer:
        """An answer of the bot with this code."""
        return Answer(200, json.dumps({"code": code, "data": {}, "msg": words}), headers=headers)

    def skewed(self, seconds: float) -> Answer:
        """The signature is refused, and the clocks are so far apart."""
        date = formatdate(self._now() - seconds, usegmt=True)
        return Answer(200, json.dumps({"code": 19021, "msg": "sign match fail"}), headers={"Date": date})

    def refusing(self) -> Answer:
        """The bot is gone."""
        return self.said(19001, "param invalid: incoming webhook access token invalid")

    def throttling(self, seconds: int) -> Answer:
        """Too many, at HTTP 200."""
        return self.said(11232, "frequency limited psm[lark.oapi]", **{"Retry-After": str(seconds)})

    def malformed(self, why: str) -> Answer:
        """A card that is none."""
        return self.said(9499, f"Bad Request: {why}")

    def _signed(self, sent: Mapping[str, Any]) -> bool:
        stamp = str(sent.get("timestamp", "0"))
        key = f"{stamp}\n{self._secret}".encode()
        mark = base64.b64encode(hmac.digest(key, b"", "sha256")).decode()
        return hmac.compare_digest(str(sent.get("sign", "")), mark) and abs(self._now() - int(stamp)) <= 3600

    def _over(self) -> bool:
        now = self._now()
        recent = list(self._limited)
        if sum(now - at < 60 for at in recent) >= 100 or sum(now - at < 1 for at in recent) >= 5:
            return True
        self._limited.append(now)
        return False


def check_card(sent: Any) -> None:
    """AssertionError where a request is no interactive card that the bot shows."""
    assert sent["msg_type"] == "interactive", "msg_type"
    card = sent["card"]
    assert set(card) <= {"config", "header", "elements"}, "keys of the card"
    colours = {"blue", "wathet", "turquoise", "green", "yellow", "orange", "red", "carmine", "violet", "purple", "grey"}
    assert card["header"]["template"] in colours, "template"
    _check_text(card["header"]["title"], "plain_text")
    assert card["elements"], "a card without elements"
    for element in card["elements"]:
        assert element["tag"] in ("div", "hr", "action", "note"), "tag of an element"
        assert element["tag"] != "div" or "text" in element or element.get("fields"), "a div without text"
        if "text" in element:
            _check_text(element["text"])
        for part in element.get("fields", ()):
            assert isinstance(part["is_short"], bool), "is_short"
            _check_text(part["text"])
        for action in element.get("actions", ()):
            assert action["tag"] == "button", "tag of an action"
            assert action["url"].startswith(("http://", "https://")), "url of a button"
            _check_text(action["text"])
        for part in element.get("elements", ()):
            _check_text(part)


class SlackDouble(Double):
    """An incoming webhook: blocks within their limits; answers in plain words."""

    path = "/services/T00000000/B00000000/t0ken"

    def judge(self, request: Request) -> Answer:
        """`ok`, or what Slack says to blocks that are none."""
        sent = request.json
        assert isinstance(sent["text"], str), "text"
        assert sent["text"], "text"
        assert 0 < len(sent["blocks"]) <= 50, "blocks"
        for block in sent["blocks"]:
            check_block(block)
        return Answer(200, "ok", "text/plain", takes=True)

    def refusing(self) -> Answer:
        """The webhook was removed."""
        return Answer(404, "no_service", "text/plain")

    def throttling(self, seconds: int) -> Answer:
        """As Slack says it."""
        return Answer(429, "rate_limited", "text/plain", {"Retry-After": str(seconds)})

    def malformed(self, why: str) -> Answer:  # noqa: ARG002  Slack does not say why
        """Blocks that are none."""
        return Answer(400, "invalid_blocks", "text/plain")


def check_block(block: Any) -> None:
    """AssertionError where a block is none, or past a limit."""
    limits = {"header": 150, "section": 3000, "actions": 75}
    assert block["type"] in ("header", "section", "actions", "context", "divider"), "type of a block"
    if "text" in block:
        assert block["text"]["type"] == ("plain_text" if block["type"] == "header" else "mrkdwn"), "type of a text"
        assert 0 < len(block["text"]["text"]) <= limits[block["type"]], "length of a text"
    if block["type"] == "section":
        assert "text" in block or block.get("fields"), "a section without text"
        assert len(block.get("fields", ())) <= 10, "fields"
        assert all(0 < len(each["text"]) <= 2000 for each in block.get("fields", ())), "length of a field"
    for element in block.get("elements", ()):
        text = element["text"]["text"] if block["type"] == "actions" else element["text"]
        assert 0 < len(text) <= (75 if block["type"] == "actions" else 3000), "length of an element"


class IcingaDouble(Double):
    """The API of Icinga 2, with one user and some services."""

    path = "/v1/actions/process-check-result"

    def __init__(self, username: str, password: str, *services: str) -> None:
        super().__init__()
        self._credentials = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
        self._services = services
        self.states: dict[str, tuple[int, str]] = {}
        """Service (`host!service`) → exit status and output."""

    @property
    def url(self) -> str:
        """Root of the API."""
        return super().url.removesuffix(self.path)

    def judge(self, request: Request) -> Answer:
        """Takes a result for a service that it knows."""
        if request.headers.get("authorization") != self._credentials:
            return self.refusing()
        sent = request.json
        assert sent["type"] == "Service", "type"
        assert sent["exit_status"] in (0, 1, 2, 3), "exit_status"
        assert sent["filter"] == "host.name == hostname && service.name == servicename", "filter"
        name = "{hostname}!{servicename}".format(**sent["filter_vars"])
        if name not in self._services:
            return Answer(500, '{"results":[]}')  # as version 2.13 does where nothing fits the filter
        self.states[name] = sent["exit_status"], sent["plugin_output"]
        done = {"code": 200.0, "status": f"Successfully processed check result for object '{name}'."}
        return Answer(200, json.dumps({"results": [done]}), takes=True)

    def refusing(self) -> Answer:
        """Not this user."""
        return Answer(401, '{"error":401.0,"status":"Unauthorized. Please check your user credentials."}')


def _check_text(text: Any, *kinds: str) -> None:
    assert text["tag"] in (kinds or ("plain_text", "lark_md")), "tag of a text"
    assert isinstance(text["content"], str), "content"
    assert text["content"], "content"


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _strings(inner)]
    return [value] if isinstance(value, str) else []
