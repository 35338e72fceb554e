"""From a finding to a person: messages, and the channels that they take.

message.py      what is said, whoever says it and wherever it goes
news.py         what has changed since people were told last, as messages
words.py        amounts, shares and instants as messages write them
alerts.py       what Alertmanager sends, as messages
lanes.py        which channels a message takes
sender.py       the outbox, emptied: tries, rests, quiet hours
wire.py         one request over HTTP
feishu, slack, email, webhook, icinga, log, apprise     one channel each

A channel is a module with `connect(settings) -> Notifier`, imported when it is first used: the daemon stays small.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from exporter.config.notify import ChannelSettings
from exporter.notify.message import Message


class Notifier(Protocol):
    """One channel, ready to be used."""

    def send(self, message: Message) -> None:
        """Hand a message over; it is the channel's when this returns.

        Raises NotifyError: Refused (our settings), Rejected (this message), TooMany, Unreachable. Nothing else, and
        never with a secret in its words. `message.done` names recipients that have it already.
        """
        ...


MODULES: Mapping[str, str] = MappingProxyType(
    {name: f"exporter.notify.{name}" for name in ("feishu", "slack", "email", "webhook", "icinga", "log", "apprise")}
)
"""`type` of a channel → the module that knows it."""

PACES: Mapping[str, tuple[tuple[int, float], ...]] = MappingProxyType(
    {
        "feishu": ((5, 1.0), (100, 60.0)),  # a bot's own limits
        "slack": ((1, 1.0),),  # the limit of a webhook
        "email": ((10, 1.0),),
        "webhook": ((20, 1.0),),
        "icinga": ((50, 1.0),),
        "apprise": ((1, 1.0),),  # whose limits these are is not known
    }
)
"""`type` of a channel → how many messages it takes in how many seconds. No limit where there is none."""


def connect(settings: ChannelSettings) -> Notifier:
    """The notifier that settings ask for. Connects nothing yet."""
    module: Any = importlib.import_module(MODULES[kind(settings)])
    notifier: Notifier = module.connect(settings)
    return notifier


def kind(settings: ChannelSettings) -> str:
    """The `type` of a channel."""
    return str(getattr(settings, "type"))  # noqa: B009  each kind of settings has its own literal
