"""Messages as JSON to any address, signed where a secret is configured.

POST …
Idempotency-Key: <key of the message, the same at every try>
X-Cloudspend-Timestamp: 1710504000
X-Cloudspend-Signature: sha256=<HMAC-SHA256 in hexadecimal over timestamp, ".", body>
"""

from __future__ import annotations

import hmac
import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from exporter.config.notify import WebhookSettings
from exporter.notify.message import Message, plain
from exporter.notify.wire import Post, judged


def connect(settings: WebhookSettings) -> Webhook:
    """The notifier of a channel of type `webhook`."""
    return Webhook(settings)


class Webhook:
    """One address that takes JSON by POST; any answer of 2xx is an acknowledgement."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._post = Post("the webhook", settings.timeout, settings.ca_file)

    def send(self, message: Message) -> None:
        """Send it. Raises NotifyError."""
        settings = self._settings
        body = json.dumps(filled(settings.body, message), ensure_ascii=False).encode()
        headers = {"Idempotency-Key": message.key}
        if settings.secret is not None:
            # Real time, whatever the business clock shows: the receiver compares it with its own.
            headers |= signed(body, settings.secret.get_secret_value(), int(time.time()))
        headers |= {name: value.get_secret_value() for name, value in settings.headers.items()}
        judged("the webhook", self._post(settings.url.get_secret_value(), body, headers))


def signed(body: bytes, secret: str, timestamp: int) -> dict[str, str]:
    """The headers that prove who sent a body, and when."""
    mark = hmac.digest(secret.encode(), f"{timestamp}.".encode() + body, "sha256").hex()
    return {"X-Cloudspend-Timestamp": str(timestamp), "X-Cloudspend-Signature": f"sha256={mark}"}


def filled(template: Mapping[str, Any] | None, message: Message) -> Any:
    """The JSON to send: the template with what the message says, or the whole message.

    A text that is nothing but `{facts}` becomes the list itself, not its text.
    """
    values = whole(message)
    return values if template is None else _filled(template, values)


def whole(message: Message) -> dict[str, Any]:
    """Everything that a message says, as JSON has it."""
    body = asdict(message)
    del body["channels"], body["done"], body["standing"]
    return body | {
        "when": message.when.isoformat(),
        "facts": dict(message.facts),
        "lines": list(message.lines),
        "links": [{"text": words, "url": url} for words, url in message.links],
        "text": f"{message.heading}\n\n{plain(message)}",
    }


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, Mapping):
        return {name: _filled(inner, values) for name, inner in template.items()}
    if isinstance(template, list | tuple):
        return [_filled(inner, values) for inner in template]
    if not isinstance(template, str):
        return template
    if whole_value := re.fullmatch(r"\{(\w+)\}", template):
        return values[whole_value[1]]
    return re.sub(r"\{(\w+)\}", lambda match: _text(values[match[1]]), template)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
