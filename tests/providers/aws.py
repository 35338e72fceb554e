"""What tests of AWS share: a ledger, a cloud that bills from it, and a source that reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from exporter.clock import Clock
from exporter.costs import Ask, Bill
from exporter.periods import Grain, Window
from exporter.providers import rest
from exporter.providers.aws_cost_explorer import SPEC, AwsCostExplorer, AwsCostExplorerOptions
from exporter.simulator.aws import Aws, estate
from exporter.simulator.ledger import Charge, Ledger
from exporter.testing import CountingMeter

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
USAGE = ("Usage", "EdpDiscount", "SavingsPlanCoveredUsage", "SavingsPlanNegation")
"""Kinds of charges in the ledger that have a service and a region."""

Sums = dict[tuple[str, ...], Decimal]


@cache
def ledger() -> Ledger:
    """Two months of an estate."""
    return estate(7, NOW, 2)


def cloud(ledger: Ledger, now: datetime = NOW, **more: Any) -> Aws:
    """A cloud at an instant."""
    return Aws(ledger, clock=Clock(frozen=now), **more)


def alone(monkeypatch: pytest.MonkeyPatch, now: datetime = NOW) -> list[float]:
    """No credentials from this machine, nobody sleeps, and it is `now`. Returns the waits."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("CLOUDSPEND_NOW", f"{now:%Y-%m-%dT%H:%M:%SZ},frozen")
    waits: list[float] = []
    monkeypatch.setattr(rest, "PATIENCE", rest.Patience(sleep=waits.append))
    return waits


def options(aws: Aws, **more: object) -> AwsCostExplorerOptions:
    """Options of a source that reads a cloud's bill."""
    return AwsCostExplorerOptions.model_validate({**aws.options(), **more})


def source(aws: Aws, meter: CountingMeter | None = None, **more: object) -> AwsCostExplorer:
    """The provider."""
    made = SPEC.connect(options(aws, **more), meter or CountingMeter())
    assert isinstance(made, AwsCostExplorer)
    return made


def fetch(
    aws: Aws,
    window: Window,
    grain: Grain = Grain.DAY,
    tags: tuple[str, ...] = (),
    meter: CountingMeter | None = None,
    **more: object,
) -> Bill:
    """What the provider answers."""
    return source(aws, meter, **more).fetch(Ask(window, grain, tags))


def charged(ledger: Ledger, window: Window, *key: str, now: datetime = NOW) -> Sums:
    """Sums of the ledger by attributes of its charges."""
    return ledger.totals(now, lambda charge: tuple(str(getattr(charge, name)) for name in key), window)


def used(ledger: Ledger, window: Window, *key: str) -> Sums:
    """The same of usage alone, its regions as labels have them."""

    def which(charge: Charge) -> tuple[str, ...]:
        if charge.kind not in USAGE:
            return ()
        words = {"region": charge.region.replace("NoRegion", ""), "start": f"{charge.start:%Y-%m-%d}"}
        return tuple(words.get(name) or ("" if name == "region" else getattr(charge, name)) for name in key)

    return {key: amount for key, amount in ledger.totals(NOW, which, window).items() if key}
