"""Messages as blocks to an incoming webhook of Slack.

Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. Answers are plain words.
"""

from __future__ import annotations

import json
from typing import Any

from exporter.config.notify import SlackSettings
from exporter.errors import Refused, Rejected, TooMany, Unreachable
from exporter.notify.message import Message
from exporter.notify.wire import Answer, Post, judged

_HEADER, _SECTION, _FIELD, _FIELDS, _BUTTONS, _BUTTON, _URL = 150, 2_900, 1_000, 10, 5, 75, 3_000
"""Slack's limits, in characters or pieces, some a little below."""

_OURS = {
    "no_service": "the webhook was removed: make another one",
    "no_service_id": "the address is not whole: copy it again",
    "no_team": "the workspace is gone",
    "team_disabled": "the workspace is disabled",
    "invalid_token": "the address is wrong: copy it again",
    "action_prohibited": "an administrator has forbidden it",
    "posting_to_general_channel_denied": "an administrator has forbidden posting there",
    "channel_not_found": "its channel is gone: make another webhook",
    "channel_is_archived": "its channel is archived: make another webhook",
    "user_not_found": "its user is gone: make another webhook",
}


def connect(settings: SlackSettings) -> Slack:
    """The notifier of a channel of type `slack`."""
    return Slack(settings)


class Slack:
    """One incoming webhook."""

    def __init__(self, settings: SlackSettings) -> None:
        self._settings = settings
        self._post = Post("Slack", settings.timeout, settings.ca_file)

    def send(self, message: Message) -> None:
        """Send it. Raises NotifyError."""
        body = json.dumps(request(message), ensure_ascii=False).encode()
        verdict(self._post(self._settings.url.get_secret_value(), body))


def request(message: Message) -> dict[str, Any]:
    """What is posted for a message: text for the notification, blocks for the eye."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(message.heading, _HEADER)}},
        _section(escaped(message.sentence)),
    ]
    if message.facts:
        fields = [_words(f"*{escaped(name)}*\n{_cut(escaped(value), _FIELD)}") for name, value in message.facts]
        blocks.append({"type": "section", "fields": fields[:_FIELDS]})
    if message.lines:
        blocks.append(_section(_joined([f"• {escaped(line)}" for line in message.lines])))
    if links := [link for link in message.links if len(link[1]) <= _URL][:_BUTTONS]:
        blocks.append({"type": "actions", "elements": [_button(*link) for link in links]})
    about = [message.kind.replace("_", " "), message.source, f"{message.when:%Y-%m-%d %H:%M} UTC"]
    blocks.append({"type": "context", "elements": [_words(escaped(" · ".join(filter(None, about))))]})
    return {"text": escaped(_cut(f"{message.heading}: {message.sentence}", _SECTION)), "blocks": blocks}


def verdict(answer: Answer) -> None:
    """Raise what Slack's answer means."""
    word = answer.text.strip()
    if answer.status == 200 and answer.type != "text/html":
        return
    if answer.status == 200:
        raise Unreachable("Slack: answered 200 with a page instead of ok")
    if word in _OURS:
        raise Refused(f"Slack: answered {answer.status}: {word}", hint=_OURS[word])
    if word == "rollup_error":
        raise Unreachable(f"Slack: answered {answer.status}: {word}", retry_after=answer.retry_after)
    if answer.status == 429:
        raise TooMany("Slack: answered 429: too many messages", retry_after=answer.retry_after)
    if answer.status == 400:
        raise Rejected(f"Slack: answered 400: {word[:80]}")
    judged("Slack", answer, hint="copy the webhook address again")


def escaped(text: str) -> str:
    """Text in which nothing is a mention, a link or an entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _words(_cut(text, _SECTION))}


def _words(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def _button(words: str, url: str) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": _cut(words, _BUTTON)}, "url": url}


def _joined(lines: list[str]) -> str:
    """As many lines as a section takes, and how many more there are."""
    taken: list[str] = []
    for line in lines:
        if sum(map(len, taken)) + len(taken) + len(line) > _SECTION - 20:
            return "\n".join([*taken, f"and {len(lines) - len(taken)} more"])
        taken.append(line)
    return "\n".join(taken)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
