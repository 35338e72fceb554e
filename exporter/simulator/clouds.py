"""All simulated clouds at once: one ledger each, a configuration that reads them, and what it must come to.

What it must come to is written here from what the clouds' own documents say of their bills, not from what the
providers do with them: the two are compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from exporter.clock import Clock
from exporter.costs import GLOBAL, NONE, UNKNOWN
from exporter.costs.money import text
from exporter.periods import day_of
from exporter.simulator.ledger import Charge, Ledger
from exporter.simulator.server import CloudServer

MONTHS = 12
"""Months of history; every billing API here keeps as many."""

Labels = tuple[str, str]
"""service, region"""

_AWS_NOT_USAGE = frozenset({"Tax", "Credit", "Refund", "Support", "SavingsPlanUpfrontFee", "SavingsPlanRecurringFee"})
_AZURE_USAGE = frozenset({"Usage", "UnusedReservation", "UnusedSavingsPlan"})


@dataclass(frozen=True, slots=True)
class Simulated:
    """One cloud as it runs: its server, its ledger, and a source of a configuration that reads it."""

    server: CloudServer
    ledger: Ledger
    source: Mapping[str, Any]
    labels: Callable[[Charge], Labels]
    """What the default options of its provider show of a charge."""

    def expected(self, now: datetime) -> list[dict[str, str]]:
        """Billed totals by provider, service, region, UTC day and currency, as the bill stands at `now`."""
        totals = self.ledger.totals(now, lambda c: (*self.labels(c), f"{day_of(c.start)}", c.currency))
        names = ("service", "region", "day", "currency")
        return [
            {"provider": self.server.name, **dict(zip(names, key, strict=True)), "billed": text(amount)}
            for key, amount in sorted(totals.items())
        ]


@contextmanager
def running(folder: Path, clock: Clock, only: Sequence[str] = (), seed: int = 1) -> Iterator[tuple[Simulated, ...]]:
    """Start the clouds named, or all. Certificates and key files that their clients need lie in `folder`."""
    makers = {"aws": _aws, "azure": _azure, "gcp": _gcp}
    with ExitStack() as stack:
        clouds = [make(folder, clock, seed) for name, make in makers.items() if not only or name in only]
        for cloud in clouds:
            stack.enter_context(cloud.server)
        yield tuple(clouds)


def configuration(clouds: Sequence[Simulated], store: Path) -> str:
    """A configuration that reads the clouds, as YAML (JSON is YAML)."""
    sources = ",\n".join(f"  {json.dumps(cloud.source, ensure_ascii=False)}" for cloud in clouds)
    return (
        "# Simulated clouds on this machine: made-up accounts, credentials and costs.\n"
        f"store: {{path: {json.dumps(str(store))}}}\nsources: [\n{sources}\n]\n"
    )


def _aws(folder: Path, clock: Clock, seed: int) -> Simulated:  # noqa: ARG001
    from exporter.simulator import aws

    ledger = aws.estate(seed, clock.now(), MONTHS)
    server = aws.Aws(ledger, clock=clock)
    source = {"name": "aws", "provider": "aws_cost_explorer", **server.options()}
    return Simulated(server, ledger, source, _aws_labels)


def _azure(folder: Path, clock: Clock, seed: int) -> Simulated:
    from exporter.simulator import azure
    from exporter.simulator.azure.server import CLIENT, SECRET, TENANT
    from exporter.simulator.server import server_tls

    context, authority = server_tls()
    ca = folder / "azure-ca.pem"
    ca.write_bytes(authority)
    ledger = azure.estate(seed, clock.now(), MONTHS - 1)
    server = azure.AzureCloud(ledger, clock=clock, tls=context, groups={"acme": ledger.accounts})
    source = {
        "name": "azure",
        "provider": "azure",
        "scopes": ["/providers/Microsoft.Management/managementGroups/acme"],
        "tenant_id": TENANT,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "endpoint_url": server.url,
        "authority_url": server.url,
        "ca_bundle": str(ca),
    }
    return Simulated(server, ledger, source, _azure_labels)


def _gcp(folder: Path, clock: Clock, seed: int) -> Simulated:
    from exporter.simulator import gcp

    ledger = gcp.estate(seed, clock.now(), MONTHS)
    server = gcp.GoogleCloud(ledger, clock)
    server.warehouse.load(server.standard)  # what is READY answers at once
    key = folder / "gcp-key.json"
    key.touch(mode=0o600)
    key.write_text(server.key_file())
    source = {
        "name": "gcp",
        "provider": "gcp",
        "table": server.standard,
        "credentials_file": str(key),
        "endpoint_url": server.url,
    }
    return Simulated(server, ledger, source, _gcp_labels)


def _aws_labels(charge: Charge) -> Labels:
    """What is not usage has no service: Cost Explorer groups by two dimensions at most."""
    if charge.kind in _AWS_NOT_USAGE:
        return NONE, GLOBAL
    return charge.service, GLOBAL if charge.region == "NoRegion" else charge.region


def _azure_labels(charge: Charge) -> Labels:
    """The same; and regions are written in one way."""
    if charge.kind not in _AZURE_USAGE:
        return NONE, GLOBAL
    return charge.service or UNKNOWN, charge.region.lower().replace(" ", "") or GLOBAL


def _gcp_labels(charge: Charge) -> Labels:
    return charge.service or UNKNOWN, charge.region or GLOBAL
