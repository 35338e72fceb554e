"""Which channels a message takes.

A lane is a channel as messages use it: those of the configuration, a bot of its own for a source with a `webhook_url`,
and what a budget names by address (`email:…`, `slack:…`). Each has its own queue in the outbox, rests and counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import SecretStr

from exporter.config.budgets import channel_name
from exporter.config.notify import (
    ChannelSettings,
    EmailSettings,
    FeishuSettings,
    LogSettings,
    SlackSettings,
    WebhookSettings,
)
from exporter.config.schema import Config
from exporter.notify.message import Message, rank

C = TypeVar("C", bound=ChannelSettings)


@dataclass(frozen=True, slots=True)
class Lanes:
    """Every lane of a configuration."""

    general: Mapping[str, ChannelSettings]
    """The channels of the configuration."""
    of_source: Mapping[str, str]
    """Source → the lane of its own bot."""
    named: Mapping[str, ChannelSettings]
    """Every lane by its name, also those that get only what is meant for them."""

    def of(self, message: Message) -> tuple[str, ...]:
        """The lanes that a message takes; none where no channel wants it."""
        asked = tuple(name for name in message.channels if name in self.named)
        if asked:  # whoever names a channel wants its messages there, whatever the channel takes otherwise
            return tuple(dict.fromkeys(name for name in asked if self.named[name].resolved or not message.over))
        own = self.of_source.get(message.source)
        wanted = (name for name, settings in self.general.items() if _wants(settings, message))
        found = [name for name in wanted if own is None or not isinstance(self.general[name], FeishuSettings)]
        if own is not None and _wants(self.named[own], message):
            found.append(own)
        # A bot without an address of its own is there for the sources' bots alone.
        return tuple(name for name in found if getattr(self.named[name], "url", "") is not None)


def lanes(config: Config) -> Lanes:
    """The lanes of a configuration."""
    general = {channel.name: channel for channel in config.notify.channels}
    named: dict[str, ChannelSettings] = dict(general)
    of_source = {}
    pattern = _first(config, FeishuSettings) or FeishuSettings(name="feishu", type="feishu")
    for source in config.sources:
        if source.webhook_url is not None:
            own = f"{pattern.name}/{source.name}"
            changes = {"url": source.webhook_url, "secret": source.webhook_secret, "sources": ()}
            named[own] = pattern.model_copy(update=changes)
            of_source[source.name] = own
    for text in (text for budget in config.budgets for text in budget.channels):
        if channel_name(text) not in named and (settings := _by_address(text, config)):
            named[channel_name(text)] = settings
    return Lanes(general, of_source, named)


def _by_address(text: str, config: Config) -> ChannelSettings | None:
    """The settings of a channel that a budget names by its address; None where there is no way to it."""
    kind, _, address = text.partition(":")
    name = "budget"  # never shown: the lane has the name
    if text == "log":
        return LogSettings(name=name, type="log")
    if kind == "slack":
        return SlackSettings(name=name, type="slack", url=SecretStr(address))
    if kind == "webhook":
        return WebhookSettings(name=name, type="webhook", url=SecretStr(address))
    if kind == "email" and (server := _first(config, EmailSettings)):
        return server.model_copy(update={"recipients": (address.strip(),)})
    return None


def _first(config: Config, kind: type[C]) -> C | None:
    return next((channel for channel in config.notify.channels if isinstance(channel, kind)), None)


def _wants(settings: ChannelSettings, message: Message) -> bool:
    if message.over and not settings.resolved:
        return False
    if settings.kinds and message.kind not in settings.kinds:
        return False
    if settings.sources and message.source not in settings.sources:
        return False
    return rank(message.severity) >= rank(settings.min_severity)
