"""A ledger to start with: three subscriptions in three currencies, and what real Azure bills are odd about.

    what                                     where it shows
    locations written in several ways        EastUS, east us, eastus; and none
    a reservation, bought every January      Purchase in the actual bill alone; spread over days in the amortised
    its unused part                          UnusedReservation at weekends, in the amortised bill alone
    a refund                                 negative, on the 10th of April and October
    tax and a credit                         1st of the month; the credit larger than the tax
    a rounding adjustment                    last day of the month, of no subscription
    a marketplace purchase                   5th of the month, in both bills
    late charges                             storage of the second subscription comes a day after the rest
    restated days                            every 13th day, one service costs more until two days later
    tags                                     team and env, on most resources

Amounts have at most 15 significant digits, even when a year of them is added: JSON's doubles hold them exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import NamedTuple

from exporter.costs.money import add
from exporter.periods import DAY, Month, Window, midnight
from exporter.simulator.azure.query import ONLY_ACTUAL, ONLY_AMORTIZED
from exporter.simulator.ledger import Charge, Ledger

FIRST, SECOND, THIRD = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3))
ACCOUNTS = {FIRST: "shop", SECOND: "data platform", THIRD: "sandbox"}
CURRENCIES = {FIRST: "EUR", SECOND: "USD", THIRD: "CAD"}
RESERVED_A_DAY = Decimal("14.25")


class Line(NamedTuple):
    """Something that is charged every day."""

    account: str
    service: str
    region: str
    daily: int
    """About so many hundredths a day."""
    group: str
    team: str = ""
    env: str = ""


LINES = (
    Line(FIRST, "Virtual Machines", "EastUS", 12_500, "rg-web", "web", "prod"),
    Line(FIRST, "Virtual Machines", "west europe", 8_100, "rg-web", "web", "prod"),
    Line(FIRST, "Virtual Machines", "east us", 2_250, "rg-batch", "batch", "test"),
    Line(FIRST, "Storage", "eastus", 1_330, "rg-data", "data", "prod"),
    Line(FIRST, "SQL Database", "westeurope", 7_750, "rg-data", "data", "prod"),
    Line(FIRST, "Bandwidth", "", 940, "rg-web"),
    Line(FIRST, "Azure DNS", "Unassigned", 12, "rg-web", "web"),
    Line(SECOND, "Azure Databricks", "NorthEurope", 15_800, "rg-lake", "data", "prod"),
    Line(SECOND, "Storage", "north europe", 3_720, "rg-lake", "data", "prod"),
    Line(SECOND, "Azure Kubernetes Service", "northeurope", 2_400, "rg-jobs", "batch", "prod"),
    Line(SECOND, "Azure OpenAI", "swedencentral", 5_600, "rg-ai", "search", "prod"),
    Line(THIRD, "Virtual Machines", "canadacentral", 640, "rg-play", "", "dev"),
    Line(THIRD, "Key Vault", "canadacentral", 0, "rg-play"),
)
METERS = {"Storage": "Storage", "SQL Database": "Azure SQL", "Bandwidth": "Network"}


def estate(seed: int, now: datetime, months: int = 13) -> Ledger:
    """Every charge from the first of the month so many months ago to the end of today."""
    window = Window.of_days(Month.containing(now).back(months).first, now.date() + DAY)
    charges = [charge for day in window.days() for charge in (*_usage(seed, day), *_reserved(day), *_odd(day))]
    return Ledger(charges, ACCOUNTS)


def _usage(seed: int, day: date) -> Iterator[Charge]:
    for number, line in enumerate(LINES):
        luck = int.from_bytes(blake2b(f"{seed}/{number}/{day}".encode(), digest_size=4).digest())
        # Four places, of a kind that no double has exactly.
        cents = Decimal(line.daily * (9_000 + luck % 2_001)).scaleb(-6)
        late = DAY if (line.account, line.service) == (SECOND, "Storage") else timedelta(0)
        shown_from = midnight(day) + late
        if line.service == "SQL Database" and day.toordinal() % 13 == 0:
            corrected = midnight(day) + 2 * DAY
            first = add(cents, Decimal("3.5"))
            yield _charge(line, day, first, shown_from=shown_from, shown_until=corrected)
            shown_from = corrected
        yield _charge(line, day, cents, shown_from=shown_from)


def _charge(
    line: Line, day: date, amount: Decimal, *, shown_from: datetime, shown_until: datetime | None = None
) -> Charge:
    tags = {"team": line.team, "env": line.env}
    return Charge(
        start=midnight(day),
        lasts=DAY,
        account=line.account,
        service=line.service,
        region=line.region,
        billed=amount,
        currency=CURRENCIES[line.account],
        kind="Usage",
        tags={key: value for key, value in tags.items() if value},
        details={"resource_group": line.group, "meter_category": METERS.get(line.service, "Compute")},
        shown_from=shown_from,
        shown_until=shown_until,
    )


def _reserved(day: date) -> Iterator[Charge]:
    """Virtual machines that a reservation pays: nothing in the actual bill but the purchase."""
    used = RESERVED_A_DAY if day.weekday() < 5 else Decimal("9.5")
    line = LINES[0]
    yield _odd_charge(day, FIRST, "Usage", "0", effective=str(used), service=line.service, region=line.region)
    if used != RESERVED_A_DAY:
        unused = add(RESERVED_A_DAY, used.copy_negate())
        yield _odd_charge(
            day,
            FIRST,
            "UnusedReservation",
            "0",
            effective=str(unused),
            service=line.service,
            details=ONLY_AMORTIZED,
        )


def _odd(day: date) -> Iterator[Charge]:
    """What is not usage."""
    if (day.month, day.day) == (1, 1):
        yield _odd_charge(day, FIRST, "Purchase", "5201.25", effective="0", details=ONLY_ACTUAL)
    if day.day == 5:
        yield _odd_charge(day, SECOND, "Purchase", "49.99", service="Marketplace")
    if day.day == 10 and day.month in (4, 10):
        yield _odd_charge(day, FIRST, "Refund", "-118.4")
    if day.day == 1:
        yield _odd_charge(day, FIRST, "Tax", "61.07")
        yield _odd_charge(day, FIRST, "Credit", "-75")
    if (day + DAY).day == 1:
        yield _odd_charge(day, "", "RoundingAdjustment", "0.004", currency="EUR")


def _odd_charge(
    day: date,
    account: str,
    kind: str,
    billed: str,
    *,
    effective: str | None = None,
    service: str = "",
    region: str = "",
    currency: str = "",
    details: dict[str, str] | None = None,
) -> Charge:
    return Charge(
        start=midnight(day),
        lasts=DAY,
        account=account,
        service=service,
        region=region,
        billed=Decimal(billed),
        currency=currency or CURRENCIES[account],
        kind=kind,
        effective=None if effective is None else Decimal(effective),
        details=details or {},
    )
