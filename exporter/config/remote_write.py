"""The section that says where the settled days of the bill are written to, over remote write."""

from __future__ import annotations

from datetime import timedelta
from typing import Self
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator, model_validator

from exporter.config.base import Settings
from exporter.config.values import Duration, LocalPath


class RemoteWriteSettings(Settings):
    """A receiver of remote write: Prometheus, VictoriaMetrics, Mimir, Thanos. It gets every day once it has settled."""

    url: str
    """Where to write to: http://prometheus:9090/api/v1/write."""
    username: str | None = None
    """User, for basic auth."""
    password: SecretStr | None = None
    """Password, for basic auth."""
    bearer_token: SecretStr | None = None
    """A token instead of user and password."""
    tenant: str | None = None
    """Value of the header X-Scope-OrgID, for Mimir, Cortex and Loki's kin with several tenants."""
    ca_file: LocalPath | None = None
    """A PEM file of certificate authorities to trust instead of the usual ones."""
    timeout: Duration = timedelta(seconds=30)
    """How long to wait for a connection, and for an answer."""

    @field_validator("url")
    @classmethod
    def _is_a_receiver(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            fits = False
        if not fits:
            raise ValueError("must be a URL such as http://prometheus:9090/api/v1/write")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold a user or a password. hint: username and password are keys of their own")
        return url

    @field_validator("timeout")
    @classmethod
    def _lasts(cls, timeout: timedelta) -> timedelta:
        if not timeout:
            raise ValueError("must be longer than 0s")
        return timeout

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.bearer_token and (self.username or self.password):
            raise ValueError("bearer_token goes without username and password")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        return self

    @property
    def name(self) -> str:
        """Tells a receiver from others: its URL, and the tenant."""
        return f"{self.url} {self.tenant or ''}".strip()
