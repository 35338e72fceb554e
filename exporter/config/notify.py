"""The section `notify`: which channels there are, and when they are used.

A channel's own keys stand flat beside those that every channel has; `type` says which ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from exporter.config.base import Settings
from exporter.config.values import Duration, LocalPath, Slug

MessageKind = Literal["anomaly", "budget", "first_spend", "hourly_jump", "alert"]
MessageSeverity = Literal["info", "low", "medium", "high", "critical"]

PLACEHOLDERS = (
    *("key", "fingerprint", "status", "kind", "severity", "title", "sentence", "text"),
    *("facts", "lines", "links", "when", "source"),
)
"""What a webhook's body may name in braces."""

_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


def _http(url: SecretStr) -> SecretStr:
    if not re.match(r"https?://[^/\s]+", url.get_secret_value()):
        raise ValueError("must be a URL that begins with https:// or http://")
    return url


def _plain_http(url: str) -> str:
    if not re.match(r"https?://[^/\s@]+(/|$)", url):
        raise ValueError("must be a URL that begins with https:// or http://, without a user or a password")
    return url.rstrip("/")


def _address(text: str) -> str:
    if not re.fullmatch(r"[^@\s<>,;]+@[^@\s<>,;]+", text):
        raise ValueError(f"{text!r} is not an e-mail address such as costs@example.com")
    return text


def _some(length: timedelta) -> timedelta:
    if not length:
        raise ValueError("must be longer than 0s")
    return length


SecretUrl = Annotated[SecretStr, AfterValidator(_http)]
"""An address that is a secret as a whole: whoever knows it may send."""
Address = Annotated[str, AfterValidator(_address)]
"""An e-mail address, without a name."""


class ChannelSettings(Settings):
    """The keys of every channel."""

    name: Slug
    """Names the channel; the `channel` label. Unique."""
    min_severity: MessageSeverity = "info"
    """Messages below this are not sent here. `warning` of an alert counts as medium, a missing one too."""
    kinds: tuple[MessageKind, ...] = ()
    """Only messages of these kinds; all unless given."""
    sources: tuple[str, ...] = ()
    """Only messages about these sources, by name; all unless given."""
    resolved: bool = True
    """Whether to say also that something is over."""
    quiet_hours: bool = True
    """Whether notify.quiet_hours hold for this channel."""
    timeout: Annotated[Duration, AfterValidator(_some)] = timedelta(seconds=10)
    """How long to wait for a connection, and for each part of an answer."""


class FeishuSettings(ChannelSettings):
    """A custom bot of Feishu or Lark."""

    type: Literal["feishu"]
    """Which kind of channel this is."""
    url: SecretUrl | None = None
    """The bot's webhook address. Not needed where each source has a webhook_url."""
    secret: SecretStr | None = None
    """What messages are signed with, where the bot asks for a signature."""
    keyword: str = ""
    """A word that the bot wants in every message."""
    ca_file: LocalPath | None = None
    """A PEM file of certificate authorities to trust instead of the usual ones."""


class SlackSettings(ChannelSettings):
    """An incoming webhook of Slack, or of what understands its messages."""

    type: Literal["slack"]
    """Which kind of channel this is."""
    url: SecretUrl
    """The webhook address."""
    ca_file: LocalPath | None = None
    """A PEM file of certificate authorities to trust instead of the usual ones."""


class EmailSettings(ChannelSettings):
    """E-mail by SMTP."""

    type: Literal["email"]
    """Which kind of channel this is."""
    host: str = Field(min_length=1)
    """The SMTP server."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Its port: 587 for starttls, 465 for tls, 25 for plain unless given."""
    security: Literal["starttls", "tls", "plain"] = "starttls"
    """starttls and tls verify the server's certificate; plain encrypts nothing."""
    username: str = ""
    """Who logs in; nobody unless given."""
    password: SecretStr | None = None
    """The password of the user."""
    sender: Address
    """The address that messages come from."""
    recipients: tuple[Address, ...] = Field(min_length=1)
    """The addresses that messages go to."""
    ca_file: LocalPath | None = None
    """A PEM file of certificate authorities to trust instead of the usual ones."""

    @model_validator(mode="after")
    def _logs_in_safely(self) -> EmailSettings:
        if bool(self.username) is not (self.password is not None):
            raise ValueError("username and password go together. hint: give both or neither")
        if self.password is not None and self.security == "plain":
            raise ValueError("a password over security: plain can be read on the way. hint: starttls or tls")
        return self


class WebhookSettings(ChannelSettings):
    """Any address that takes JSON by POST."""

    type: Literal["webhook"]
    """Which kind of channel this is."""
    url: SecretUrl
    """The address."""
    secret: SecretStr | None = None
    """Signs each request: X-Cloudspend-Signature is HMAC-SHA256 over time and body."""
    headers: Mapping[str, SecretStr] = {}
    """More headers to send."""
    body: Mapping[str, Any] | None = None
    """The JSON to send, with {title}, {sentence} and the like in its texts; the whole message unless given."""
    ca_file: LocalPath | None = None
    """A PEM file of certificate authorities to trust instead of the usual ones."""

    @field_validator("headers")
    @classmethod
    def _can_be_headers(cls, headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        for name, value in headers.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
                raise ValueError(f"{name!r} is no name of a header")
            if not re.fullmatch(r"[\x20-\x7e\t]*", value.get_secret_value()):
                raise ValueError(f"{name} has a character that headers cannot hold")
        return headers

    @field_validator("body")
    @classmethod
    def _names_what_there_is(cls, body: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        for word in _named(body):
            if word not in PLACEHOLDERS:
                raise ValueError(f"{{{word}}} is nothing that a message has. hint: one of {', '.join(PLACEHOLDERS)}")
        return body


class IcingaSettings(ChannelSettings):
    """Passive check results through the API of Icinga 2."""

    type: Literal["icinga"]
    """Which kind of channel this is."""
    url: Annotated[str, AfterValidator(_plain_http)]
    """Root of the API: https://icinga.example.org:5665."""
    username: str
    """An ApiUser with the permission actions/process-check-result."""
    password: SecretStr
    """Its password."""
    host: str = Field(min_length=1)
    """Name of the Host object."""
    service: str = "cloudspend"
    """Name of its Service object; {kind} and {source} stand for those of the message."""
    ttl: Duration | None = None
    """How long a result holds before Icinga calls the service overdue; what the service says unless given."""
    ca_file: LocalPath | None = None
    """A PEM file of certificate authorities to trust instead of the usual ones: Icinga makes its own."""


class LogSettings(ChannelSettings):
    """The exporter's own log, one line a message."""

    type: Literal["log"]
    """Which kind of channel this is."""


class AppriseSettings(ChannelSettings):
    """Any of the services that Apprise knows, by its URL; needs the extra `apprise`."""

    type: Literal["apprise"]
    """Which kind of channel this is."""
    url: SecretStr = Field(min_length=1)
    """The service's URL as Apprise writes it: tgram://…, pover://…, mailtos://…."""


Channel = Annotated[
    FeishuSettings | SlackSettings | EmailSettings | WebhookSettings | IcingaSettings | LogSettings | AppriseSettings,
    Field(discriminator="type"),
]


class QuietSettings(Settings):
    """Hours in which nobody is to be disturbed. What comes meanwhile is sent as one message when they end."""

    start: str = Field(pattern=_CLOCK, examples=["22:00"])
    """When they begin: HH:MM, in quotes."""
    end: str = Field(pattern=_CLOCK, examples=["07:00"])
    """When they end; before `start` it is the next morning."""
    timezone: str = "UTC"
    """Whose clock that is: Europe/Berlin."""
    critical: Literal["send", "hold"] = "send"
    """What becomes of critical messages: sent at once, or held like the others."""

    @field_validator("timezone")
    @classmethod
    def _exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{name!r} is not a time zone such as Europe/Berlin") from None
        return name

    @model_validator(mode="after")
    def _takes_time(self) -> QuietSettings:
        if self.start == self.end:
            raise ValueError("start and end are the same")
        return self


class NotifySettings(Settings):
    """How people hear of findings, budgets and alerts."""

    direct: bool = False
    """Whether the exporter tells by itself what it finds. Off, it passes on what Alertmanager sends to it."""
    cool_down: Duration = timedelta(hours=1)
    """How long nothing more is said of the same finding. Budgets have a cool_down of their own."""
    quiet_hours: QuietSettings | None = None
    """Hours in which nobody is to be disturbed; none unless given."""
    external_url: Annotated[str, AfterValidator(_plain_http)] | None = None
    """Where people reach this exporter, for links in messages."""
    grafana_url: Annotated[str, AfterValidator(_plain_http)] | None = None
    """Where people reach a Grafana with the shipped dashboards, for links in messages."""
    give_up_after: Annotated[Duration, AfterValidator(_some)] = timedelta(days=3)
    """How long a message is tried before it is put aside."""
    keep: Annotated[Duration, AfterValidator(_some)] = timedelta(days=14)
    """How long messages that were sent or put aside are remembered."""
    channels: tuple[Channel, ...] = ()
    """Where messages go; nowhere unless given."""

    @field_validator("channels")
    @classmethod
    def _named_apart(cls, channels: tuple[ChannelSettings, ...]) -> tuple[ChannelSettings, ...]:
        names = [channel.name for channel in channels]
        wrong = [index for index, name in enumerate(names) if names.index(name) < index]
        if wrong:
            details = [
                InitErrorDetails(
                    type=PydanticCustomError("repeated_channel", "is the name of another channel too"),
                    loc=(index, "name"),
                    input=None,
                )
                for index in wrong
            ]
            raise ValidationError.from_exception_data("channels", details)
        return channels


def _named(body: Any) -> list[str]:
    """The words in braces in the texts of a body."""
    if isinstance(body, Mapping):
        return [word for inner in body.values() for word in _named(inner)]
    if isinstance(body, list | tuple):
        return [word for inner in body for word in _named(inner)]
    return re.findall(r"\{(\w+)\}", body) if isinstance(body, str) else []
