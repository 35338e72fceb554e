"""What the tests of the Azure provider share: the cloud over TLS, a source connected to it, and sums to compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exporter.clock import Clock
from exporter.costs import Ask, Bill, Cost, CostTable
from exporter.costs.money import add
from exporter.periods import Window
from exporter.providers import rest
from exporter.providers.azure import Azure, AzureOptions
from exporter.simulator.azure import AzureCloud, estate
from exporter.simulator.azure.estate import FIRST, SECOND, THIRD
from exporter.simulator.azure.server import CLIENT, SECRET, TENANT
from exporter.simulator.ledger import Charge
from exporter.simulator.server import server_tls
from exporter.testing import CountingMeter

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
RECENT = Window.of_days(date(2026, 2, 1), date(2026, 3, 16))
GROUP = "/providers/Microsoft.Management/managementGroups/all-of-it"
BILLING = "/providers/Microsoft.Billing/billingAccounts/12345678"


class Units(CountingMeter):
    """Counts query units too."""

    def __init__(self, cap: int | None = None) -> None:
        super().__init__(cap)
        self.units = Decimal(0)

    def request(self, operation: str, *args: Any, units: Mapping[str, Decimal] = {}, **others: Any) -> None:
        super().request(operation, *args, units=units, **others)
        self.units += units["qpu"]


@dataclass
class House:
    """A cloud, and sources that bill it."""

    cloud: AzureCloud
    ca: Path
    waits: list[float]
    meter: Units = field(default_factory=Units)

    def settings(self, *scopes: str, **options: Any) -> dict[str, Any]:
        """A source's options, as a configuration has them."""
        return {
            "scopes": list(scopes),
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "endpoint_url": self.cloud.url,
            "authority_url": self.cloud.url,
            "ca_bundle": str(self.ca),
            "names": False,
            **options,
        }

    def source(self, *scopes: str, **options: Any) -> Azure:
        given = AzureOptions.model_validate(self.settings(*scopes, **options))
        return Azure(given, self.meter, Clock(frozen=self.cloud.now))

    def bill(self, *scopes: str, window: Window = RECENT, tags: tuple[str, ...] = (), **options: Any) -> Bill:
        return self.source(*scopes, **options).fetch(Ask(window, tags=tags))

    def charged(
        self, key: Callable[[Charge], Any], *accounts: str, window: Window = RECENT, cost: Cost = Cost.BILLED
    ) -> dict[Any, Decimal]:
        """Sums of the ledger, of these subscriptions, by whatever `key` makes of a charge; without what is zero."""
        sums: dict[Any, Decimal] = {}
        for charge in self.cloud.ledger.shown(self.cloud.now, window):
            if not accounts or charge.account in accounts:
                amount = charge.billed if cost is Cost.BILLED else charge.amortised
                sums[key(charge)] = add(sums.get(key(charge), Decimal(0)), amount)
        return {which: amount for which, amount in sums.items() if amount}


def sums(table: CostTable | None, *by: str, cost: Cost = Cost.BILLED) -> dict[Any, Decimal]:
    """Sums of a table by these dimensions and the currency, without what is zero."""
    assert table is not None
    lines = table.by(*by).rows()
    return {(*line.key, line.currency): line.amount(cost) for line in lines if line.amount(cost)}


def words(notes: Iterable[Any]) -> dict[str, str]:
    return {note.subject: note.text for note in notes}


@contextmanager
def opened_house(
    folder: Path, monkeypatch: pytest.MonkeyPatch, now: datetime = NOW, months: int = 13, **cloud: Any
) -> Iterator[House]:
    """A house over the estate as it is at `now`, so many months old. Nobody sleeps: waiting moves the cloud's clock."""
    tls, authority = server_tls()
    ca = folder / "ca.pem"
    ca.write_bytes(authority)
    groups = {"all-of-it": {FIRST, SECOND, THIRD}, "12345678": {FIRST, SECOND, THIRD}}
    with AzureCloud(estate(7, now, months), Clock(frozen=now), tls, groups=groups, **cloud) as azure:
        house = House(azure, ca, [])

        def rest_for(seconds: float) -> None:
            house.waits.append(seconds)
            azure.clock = Clock(frozen=azure.now + timedelta(seconds=seconds))

        monkeypatch.setattr(rest, "PATIENCE", rest.Patience(sleep=rest_for))
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
        yield house
