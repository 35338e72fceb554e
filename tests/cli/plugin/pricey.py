"""A billing API that charges a cent a page, installed as a plug-in. Each call that it answers is a line of `calls`."""

from __future__ import annotations

import os
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from exporter.clock import Clock
from exporter.costs import Ask, Bill, CostRow, CostTable, Scope
from exporter.errors import AccessDenied
from exporter.periods import DAY, Grain, day_of
from exporter.providers import Access, Call, Meter, Options, ProviderSpec

CENT = Decimal("0.01")
QUESTIONS = ("by-service", "by-account")


class PriceyOptions(Options):
    calls: str
    """The file that calls are written to."""
    account: str = "111122223333"
    pages: int = 1
    """Of each answer."""
    dies_at: int = 0
    """At which call the process ends, where `calls` has so many lines; 0: never."""
    denied: bool = False


class Pricey:
    def __init__(self, options: PriceyOptions, meter: Meter) -> None:
        self.options = options
        self.meter = meter

    def fetch(self, ask: Ask) -> Bill:
        if self.options.denied:
            raise AccessDenied("access denied calling Costs", hint="grant costs:Read")
        for question in QUESTIONS:
            for page in range(self.options.pages):
                request = {"question": question, "page": page, "window": str(ask.window), "grain": ask.grain}
                self.meter.page(request, lambda question=question: self._asked(question))
        if self.meter.affords("forecast"):
            self.meter.page({"forecast": str(ask.window)}, lambda: self._asked("forecast"))
        return Bill(costs=self._costs(ask), covered=(Scope(ask.window),))

    def access(self) -> Access:
        if self.options.denied:
            raise AccessDenied("access denied calling WhoAmI", hint="grant whoami")
        self.meter.request("whoami")
        return Access(
            credentials="profile billing",
            identity=f"reader of {self.options.account}",
            calls=("whoami",),
            newest=date(2024, 3, 14),
            missing=("accounts:List",),
            shape={"Accounts": [{"Id": "str"}]},
        )

    def _asked(self, operation: str) -> bytes:
        self.meter.request(operation, CENT, units={"qpu": Decimal(2)})
        with Path(self.options.calls).open("a") as calls:
            calls.write(f"{operation}\n")
        if self.options.dies_at and len(Path(self.options.calls).read_text().splitlines()) == self.options.dies_at:
            os._exit(3)
        return operation.encode()

    def _costs(self, ask: Ask) -> CostTable:
        today = day_of(Clock.from_environment(may_freeze=True).now())
        account = self.options.account
        rows = [
            CostRow(
                start=today - DAY * age,
                account=account,
                service="Compute",
                region="eu-west-1",
                billed=Decimal(1),
                currency="USD",
                billing_account=account,
            )
            for age in range(90)
        ]
        return CostTable.of(rows).during(ask.window)


def calls(options: PriceyOptions, ask: Ask) -> tuple[Call, ...]:
    priced = {"charge": CENT, "units": {"qpu": Decimal(2)}}
    return (
        *(Call(operation=question, **priced) for question in QUESTIONS),
        Call(operation="forecast", paged=False, optional=True, **priced),
    )


SPEC = ProviderSpec(
    name="pricey",
    options=PriceyOptions,
    connect=Pricey,
    settles_after=timedelta(hours=48),
    poll_every=timedelta(hours=8),
    permissions=("costs:Read",),
    label="acme",
    history=timedelta(days=80),
    grains=frozenset({Grain.DAY, Grain.HOUR}),
    calls=calls,
    policy=lambda options: f'{{"allow": ["costs:Read", "accounts:List"], "on": "{options.account}"}}',
)
