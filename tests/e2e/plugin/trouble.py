"""A billing source that misbehaves on demand, installed as a plug-in: what a worker can die of, without a cloud.

The file named by `script` says what the next poll does: ok, empty, deny, bug, crash, kill, litter, hang, memory.
"""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from exporter.clock import Clock
from exporter.costs import Ask, Bill, CostRow, CostTable, Scope
from exporter.errors import AccessDenied, NotReady
from exporter.periods import DAY, day_of
from exporter.providers import Meter, Options, ProviderSpec


class TroubleOptions(Options):
    script: str
    account: str = "111122223333"
    services: int = 0
    """So many more services a day, free of charge, whose names no compression makes short."""


class Trouble:
    def __init__(self, options: TroubleOptions, meter: Meter) -> None:
        self.options = options
        self.meter = meter

    def fetch(self, ask: Ask) -> Bill:
        self.meter.request("bill", Decimal("0.01"))
        word = Path(self.options.script).read_text().strip()
        if word == "deny":
            raise AccessDenied("access denied calling bill:Read", hint="grant bill:Read")
        if word == "not-ready":
            raise NotReady("the export is not enabled")
        if word == "bug":
            raise KeyError("amount")
        if word == "crash":
            os._exit(3)
        if word == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "litter":
            Path(tempfile.mkdtemp(prefix="cloudspend-"), "download.csv").write_text("half a bill")
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "hang":
            threading.Event().wait()
        if word == "memory":
            held = []
            while True:
                held.append(bytearray(64 * 2**20))
        return self._bill(ask, Decimal(0) if word == "empty" else Decimal(word.removeprefix("ok ") or 1))

    def _bill(self, ask: Ask, amount: Decimal) -> Bill:
        today = day_of(Clock.from_environment(may_freeze=True).now())
        rows = [
            CostRow(
                start=today - DAY * age,
                account=self.options.account,
                service="Compute",
                region="eu-west-1",
                billed=amount,
                currency="USD",
                billing_account=self.options.account,
            )
            for age in range(70)
            if amount
        ]
        rows += [
            replace(row, service=hashlib.sha256(f"{row.start} {number}".encode()).hexdigest(), billed=Decimal(0))
            for row in rows
            for number in range(self.options.services)
        ]
        costs = CostTable.of(rows).during(ask.window)
        return Bill(costs=costs, covered=(Scope(ask.window),), totals=costs)


SPEC = ProviderSpec(
    name="trouble",
    options=TroubleOptions,
    connect=Trouble,
    settles_after=timedelta(hours=24),
    poll_every=timedelta(minutes=1),
    label="acme",
    history=timedelta(days=60),
)
