"""Providers that exist for these tests alone."""

from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, Secret, SecretStr, field_validator

from exporter.config import Duration, LocalPath, PathPattern
from exporter.errors import ConfigError, Problem


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FilesOptions(Strict):
    """Where the bill is."""

    path: PathPattern
    """A file, a folder or a glob."""


class Region(StrEnum):
    EAST = "east"
    WEST = "west"


class Login(Strict):
    user: str
    password: SecretStr


class AcmeOptions(Strict):
    """Where Acme's bill is, and how to get in."""

    url: str = Field(description="Address of the API.")
    token: SecretStr
    """Made in Acme's console."""
    proxy_password: SecretStr | None = None
    login: Login | None = None
    headers: dict[str, SecretStr] = {}
    region: Region = Region.EAST
    mode: Literal["fast", "slow"] = "fast"
    retries: int = Field(default=3, ge=0, le=9)
    verify: bool = True
    share: Decimal = Decimal(1)
    since: date | None = None
    wait: Duration | None = Field(default=timedelta(seconds=90), ge=timedelta(seconds=1))
    pin: Secret[int] | None = None
    key: SecretStr | None = None
    key_file: LocalPath | None = None
    accounts: tuple[str, ...] = ()
    spool: LocalPath | None = None

    @field_validator("token")
    @classmethod
    def _talkative(cls, token: SecretStr) -> SecretStr:
        if token.get_secret_value().endswith("expired"):
            raise ValueError(f"the token {token.get_secret_value()!r} is too old. hint: make another one")
        return token


class Stubs:
    """What the registry of providers is to `load`."""

    def names(self) -> tuple[str, ...]:
        return ("acme", "broken", "focus")

    def options(self, name: str) -> type[BaseModel]:
        if name == "broken":
            message = "the plug-in behind 'broken' does not offer a ProviderSpec so named"
            raise ConfigError((Problem("provider", message),))
        return {"acme": AcmeOptions, "focus": FilesOptions}[name]


STUBS = Stubs()
