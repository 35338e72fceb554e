"""Messages as interactive cards to a custom bot of Feishu or Lark.

Source: https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot. A bot answers 200 to nearly everything: what
happened is in the body's `code`. All texts are `plain_text`, so that no name in a bill can mention anybody.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from exporter.config.notify import FeishuSettings
from exporter.errors import Refused, Rejected, TooMany, Unreachable
from exporter.notify.message import Message
from exporter.notify.wire import Answer, Post, judged

LARGEST = 20_000
"""Bytes of a body; the bot takes 20 KB, and does not say whose KB."""
_LONGEST_TITLE, _LONGEST_TEXT, _LONGEST_FACT = 200, 2_000, 300
_BUTTONS = 5
_SKEW = timedelta(minutes=50)
"""A signature holds for an hour."""

_COLOURS = {"info": "blue", "low": "blue", "medium": "orange", "high": "red", "critical": "carmine"}

_TOO_MANY = {11232: "too many messages", 9499: "too many requests, or a bad one"}
_BUSY = {2200: "an error inside Feishu", 11233: "an error inside Feishu"}
_OURS: Mapping[int, tuple[str, str]] = {
    19001: ("the bot does not exist", "copy the webhook address of the bot again"),
    19021: ("the signature is wrong", "give the bot's signing secret, or take `secret` out where signing is off"),
    19022: ("our address is not allowed", "add the address of this machine to the bot's list"),
    19024: ("the bot's keyword is missing", "set `keyword` to a word that the bot asks for"),
    19036: ("the bot is not in a group any more", "add it to a group again"),
}
_CLOCK_HINT = "this machine's clock is {skew} {way} that of Feishu, and signatures hold for an hour: set it right"


def connect(settings: FeishuSettings) -> Feishu:
    """The notifier of a channel of type `feishu`."""
    return Feishu(settings)


class Feishu:
    """One bot."""

    def __init__(self, settings: FeishuSettings) -> None:
        self._settings = settings
        self._post = Post("Feishu", settings.timeout, settings.ca_file)

    def send(self, message: Message) -> None:
        """Send a card. Raises NotifyError."""
        settings = self._settings
        if settings.url is None:
            raise Refused("Feishu: there is no address", hint="give url, or a webhook_url to every source")
        # Real time, whatever the business clock shows: Feishu compares it with its own.
        now = int(time.time())
        secret = settings.secret.get_secret_value() if settings.secret else None
        answer = self._post(settings.url.get_secret_value(), body(message, settings.keyword, secret, now))
        verdict(answer, now)


def body(message: Message, keyword: str, secret: str | None, now: int) -> bytes:
    """The request for a message, at most LARGEST bytes: lines that do not fit are left out, and counted."""
    shown = len(message.lines)
    while True:
        request: dict[str, Any] = {"msg_type": "interactive", "card": card(message, keyword, shown)}
        if secret is not None:
            request = {"timestamp": str(now), "sign": sign(secret, now)} | request
        made = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
        if len(made) <= LARGEST or not shown:
            return made
        shown = min(shown - 1, shown * LARGEST // len(made))


def sign(secret: str, timestamp: int) -> str:
    """The signature: timestamp and secret are the key, and what is signed is empty."""
    return base64.b64encode(hmac.digest(f"{timestamp}\n{secret}".encode(), b"", "sha256")).decode()


def card(message: Message, keyword: str = "", shown: int | None = None) -> dict[str, Any]:
    """The card of a message, with so many of its lines; all unless given."""
    colour = "green" if message.over else _COLOURS[message.severity]
    elements: list[dict[str, Any]] = [_text(_cut(message.sentence, _LONGEST_TEXT))]
    if message.facts:
        elements.append({"tag": "div", "fields": [_fact(name, value) for name, value in message.facts[:12]]})
    lines = list(message.lines if shown is None else message.lines[:shown])
    if len(lines) < len(message.lines):
        lines.append(f"and {len(message.lines) - len(lines)} more")
    if lines:
        elements += [{"tag": "hr"}, _text("\n".join(_cut(line, _LONGEST_FACT * 2) for line in lines))]
    if message.links:
        elements.append({"tag": "action", "actions": [_button(*link) for link in message.links[:_BUTTONS]]})
    about = [message.kind.replace("_", " "), message.source, f"{message.when:%Y-%m-%d %H:%M} UTC", keyword]
    elements.append({"tag": "note", "elements": [_plain(" · ".join(filter(None, about)))]})
    return {
        "config": {"wide_screen_mode": True},
        "header": {"template": colour, "title": _plain(_cut(message.heading, _LONGEST_TITLE))},
        "elements": elements,
    }


def verdict(answer: Answer, sent: int) -> None:
    """Raise what the bot's answer means. `sent`: the real time of the request."""
    try:
        said = json.loads(answer.text)
    except (ValueError, RecursionError):
        said = None
    code = said.get("code", said.get("StatusCode")) if isinstance(said, dict) else None
    if not isinstance(code, int) or isinstance(code, bool):
        judged("Feishu", answer)
        # A gateway in front of it, or a page of a proxy.
        what = "a page" if answer.type == "text/html" else "no code"
        raise Unreachable(f"Feishu: answered {answer.status} with {what} instead of its JSON")
    if code == 0:
        return
    words = " ".join(str(said.get("msg") or said.get("StatusMessage") or "").split())[:120]
    told = f"Feishu: code {code}{f', {words}' if words else ''}"
    if code in _TOO_MANY:
        raise TooMany(f"{told} ({_TOO_MANY[code]})", retry_after=answer.retry_after)
    if code == 19021 and answer.date is not None:
        skew = timedelta(seconds=sent - answer.date.timestamp())
        if abs(skew) > _SKEW:
            hint = _CLOCK_HINT.format(skew=_length(abs(skew)), way="ahead of" if skew > timedelta(0) else "behind")
            raise Unreachable(f"{told} (the clock is wrong)", hint=hint)  # it heals without another configuration
    if code == 19021:
        what, hint = _OURS[code]
        raise Refused(f"{told} ({what})", hint=f"{hint}; or the clock of this machine is off by more than an hour")
    if code in _OURS:
        what, hint = _OURS[code]
        raise Refused(f"{told} ({what})", hint=hint)
    if code in _BUSY or answer.status >= 500:
        raise Unreachable(f"{told}{f' ({_BUSY[code]})' if code in _BUSY else ''}", retry_after=answer.retry_after)
    raise Rejected(told)


def _text(content: str) -> dict[str, Any]:
    return {"tag": "div", "text": _plain(content)}


def _fact(name: str, value: str) -> dict[str, Any]:
    return {"is_short": len(value) <= 40, "text": _plain(f"{name}\n{_cut(value, _LONGEST_FACT)}")}


def _button(words: str, url: str) -> dict[str, Any]:
    return {"tag": "button", "text": _plain(words), "type": "default", "url": url}


def _plain(content: str) -> dict[str, str]:
    return {"tag": "plain_text", "content": content}


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _length(length: timedelta) -> str:
    minutes = round(length.total_seconds() / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
