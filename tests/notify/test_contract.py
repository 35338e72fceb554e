"""Every channel keeps the contract, over a server that judges as the vendor does."""

from __future__ import annotations

from typing import Any

from exporter.config.notify import ChannelSettings, FeishuSettings, IcingaSettings, SlackSettings, WebhookSettings
from exporter.testing import NotifierContract
from exporter.testing.doubles import Double, FeishuDouble, IcingaDouble, SlackDouble, WebhookDouble

SECRET = "hush-hush"


class TestFeishu(NotifierContract):
    def double(self) -> Double:
        return FeishuDouble(SECRET, keyword="costs")

    def settings(self, double: Double, **changes: Any) -> ChannelSettings:
        values = {"name": "bot", "type": "feishu", "url": double.url, "secret": SECRET, "keyword": "costs"}
        return FeishuSettings(**values | changes)

    def secrets(self, double: Double) -> list[str]:
        return [*super().secrets(double), SECRET]


class TestSlack(NotifierContract):
    def double(self) -> Double:
        return SlackDouble()

    def settings(self, double: Double, **changes: Any) -> ChannelSettings:
        return SlackSettings(**{"name": "chat", "type": "slack", "url": double.url} | changes)


class TestWebhook(NotifierContract):
    reads_answers = False

    def double(self) -> Double:
        return WebhookDouble(SECRET)

    def settings(self, double: Double, **changes: Any) -> ChannelSettings:
        return WebhookSettings(**{"name": "hook", "type": "webhook", "url": double.url, "secret": SECRET} | changes)

    def secrets(self, double: Double) -> list[str]:
        return [*super().secrets(double), SECRET]


class TestIcinga(NotifierContract):
    def double(self) -> Double:
        return IcingaDouble("cloudspend", SECRET, "cloud!cloudspend")

    def settings(self, double: Double, **changes: Any) -> ChannelSettings:
        values = {"name": "mon", "type": "icinga", "url": double.url, "host": "cloud"}
        return IcingaSettings(**values | {"username": "cloudspend", "password": SECRET} | changes)

    def secrets(self, double: Double) -> list[str]:
        return [SECRET]
