"""A simulated Google Cloud for the tests of its provider: a ledger of a few charges, and a source that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exporter.clock import Clock
from exporter.periods import HOUR
from exporter.providers import Provider, rest
from exporter.providers.gcp import SPEC
from exporter.simulator.gcp import GoogleCloud
from exporter.simulator.gcp.export import CREDIT
from exporter.simulator.ledger import Charge, Ledger
from exporter.testing.contract import CountingMeter

NOW = datetime(2024, 3, 20, 12, tzinfo=UTC)
NAMES = {"shop": "Shop", "lake": "Data lake"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def charge(start: str, billed: str, **other: Any) -> Charge:
    """Usage of Compute Engine in `shop`, unless told otherwise."""
    told: dict[str, Any] = {
        "account": "shop",
        "service": "Compute Engine",
        "region": "europe-west1",
        "currency": "EUR",
        "kind": "regular",
    }
    return Charge(start=at(start), billed=Decimal(billed), **told | other)


def credit(start: str, billed: str, kind: str, line: str, **other: Any) -> Charge:
    """A credit on the charge that bears this `line`."""
    return charge(start, billed, kind=CREDIT, details={"line": line, "credit_type": kind}, **other)


def hours(first: str, count: int, billed: str = "0.1", **other: Any) -> list[Charge]:
    """So many hours in a row."""
    return [charge(f"{at(first) + n * HOUR:%Y-%m-%dT%H:%M}", billed, **other) for n in range(count)]


def options(cloud: GoogleCloud, folder: Path, **other: Any) -> Any:
    """A source that reads the standard table with a key file of the cloud's service account."""
    key = folder / "key.json"
    key.write_text(cloud.key_file(), "utf-8")
    told: dict[str, Any] = {"table": cloud.standard, "endpoint_url": cloud.url, "credentials_file": str(key)}
    return SPEC.options.model_validate(told | other)


def source(cloud: GoogleCloud, folder: Path, meter: Any = None, **other: Any) -> Provider:
    """The provider over it."""
    return SPEC.connect(options(cloud, folder, **other), meter or CountingMeter())


def standing(*charges: Charge, now: datetime = NOW, **how: Any) -> GoogleCloud:
    """A cloud over these charges whose clock stands still."""
    return GoogleCloud(Ledger(charges, NAMES), Clock(frozen=now), **how)


def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody sleeps: the waits are collected."""
    kept: list[float] = []
    monkeypatch.setattr(rest, "PATIENCE", rest.Patience(sleep=kept.append))
    return kept


class KeepingMeter(CountingMeter):
    """Keeps pages as the ledger does, also when a provider is made anew; and hears what all requests cost."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: dict[str, bytes] = {}
        self.charges: list[tuple[str, Decimal, Mapping[str, Decimal]]] = []

    def request(self, operation: str, charge: Decimal = Decimal(0), currency: str = "USD", units: Any = None) -> None:
        super().request(operation, charge, currency, units or {})
        self.charges.append((operation, charge, dict(units or {})))

    def page(self, request: Mapping[str, object], fetch: Any) -> bytes:
        import json

        key = json.dumps(request, sort_keys=True)
        if key not in self.pages:
            self.pages[key] = fetch()
        return self.pages[key]


def later(days: int) -> timedelta:
    return timedelta(days=days)
