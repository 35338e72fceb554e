"""A seeded Google Cloud estate: three projects, nine services, fourteen months, in euros.

every day       each line at 03:00 and 15:00 UTC; on the 1st the first lies in the month before on Pacific clocks
discounts       sustained use on Compute Engine, commitments on Cloud SQL: net of the usage they are on
promotions      one project's BigQuery, more than it costs; free tier on Cloud Run: credits of their own
taxes           one line a month, in no project
rounding        one line a month, a cent or less
corrections     on the 12th, of the 5th: `adjustment_info` says so, it lies in the partition of the 12th
late usage      Pub/Sub of every third day comes four days later
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from exporter.costs.money import MONEY
from exporter.periods import DAY, HOUR, Month, Window, day_of, midnight
from exporter.simulator.gcp.export import CREDIT, PACIFIC
from exporter.simulator.ledger import Charge, Ledger

CURRENCY = "EUR"
PROJECTS = {"shop-prod": "Shop", "shop-dev": "Shop (development)", "data-lake": "Data lake"}
TEAMS = {"shop-prod": "shop", "shop-dev": "shop", "data-lake": "data"}
HOURS = (3, 15)
LATE = 4 * DAY


class Line(NamedTuple):
    """One line of the estate."""

    project: str
    service: str
    sku: str
    region: str
    cents: int
    """What half a day costs, hundredths."""
    credit: str = ""
    """The type of the credit on it."""
    share: int = 0
    """How much of the cost the credit takes back, percent."""


ESTATE = (
    Line("shop-prod", "Compute Engine", "N2 Instance Core running in Belgium", "europe-west1", 2150),
    Line(
        "shop-prod", "Compute Engine", "N2 Ram running in Belgium", "europe-west1", 940, "SUSTAINED_USAGE_DISCOUNT", 20
    ),
    Line("shop-prod", "Cloud SQL", "vCPU in Belgium", "europe-west1", 1275, "COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE", 25),
    Line("shop-prod", "Cloud Storage", "Standard Storage EU Multi-region", "eu", 310),
    Line("shop-prod", "Cloud Run", "CPU Allocation Time", "europe-west1", 45, "FREE_TIER", 40),
    Line("shop-prod", "Networking", "Internet Egress", "europe-west1", 480),
    Line("shop-dev", "Compute Engine", "E2 Instance Core running in Frankfurt", "europe-west3", 420),
    Line("shop-dev", "Kubernetes Engine", "Zonal Kubernetes Clusters", "europe-west3", 120),
    Line("shop-dev", "Cloud Logging", "Log Storage cost", "global", 33),
    Line("data-lake", "BigQuery", "Analysis", "us", 890, "PROMOTION", 115),
    Line("data-lake", "BigQuery", "Active Logical Storage", "us", 150),
    Line("data-lake", "Cloud Storage", "Standard Storage US Multi-region", "us", 275),
    Line("data-lake", "Pub/Sub", "Message Delivery Basic", "europe-west1", 60),
    Line("data-lake", "Compute Engine", "N2 Instance Core running in Iowa", "us-central1", 700, "DISCOUNT", 10),
)


def estate(seed: int, now: datetime, months: int = 14) -> Ledger:
    """All charges from the first of the month `months` - 1 months ago to the end of today."""
    first = Month.containing(now).back(months - 1)
    life = Window.of_days(first.first, day_of(now) + DAY)
    charges = [charge for day in life.days() for charge in _day(seed, midnight(day))]
    return Ledger(charges, PROJECTS)


def _day(seed: int, day: datetime) -> Iterator[Charge]:
    luck = random.Random(f"{seed} {day:%Y-%m-%d}")  # noqa: S311  a bill, not a secret
    for line in ESTATE:
        late = line.service == "Pub/Sub" and day.day % 3 == 0
        for hour in HOURS:
            yield from _usage(line, day + hour * HOUR, late=late, thousandths=luck.randrange(900, 1101))
    if day.day == 1:
        yield from _month(Month.containing(day - DAY), day, luck)
    if day.day == 12:
        yield _correction(day)


def _usage(line: Line, start: datetime, *, late: bool, thousandths: int) -> Iterator[Charge]:
    billed = _amount(line.cents, thousandths)
    name = f"{start:%Y%m%d%H} {line.project} {line.sku}"
    tags = {"team": TEAMS[line.project]} if line.service != "Networking" else {}
    charge = Charge(
        start=start,
        account=line.project,
        service=line.service,
        region=line.region,
        billed=billed,
        currency=CURRENCY,
        kind="regular",
        tags=tags,
        details={
            "line": name,
            "sku": line.sku,
            "at_list": str(_amount(line.cents, thousandths + 50)),
            "project_label_env": "dev" if line.project.endswith("dev") else "prod",
        },
        shown_from=start + LATE if late else start,
    )
    yield charge
    if line.credit:
        amount = MONEY.multiply(billed, Decimal(line.share).scaleb(-2)).copy_negate()
        yield _credit(charge, amount, line.credit)


def _credit(charge: Charge, amount: Decimal, kind: str) -> Charge:
    return Charge(
        start=charge.start,
        account=charge.account,
        service=charge.service,
        region=charge.region,
        billed=amount,
        currency=charge.currency,
        kind=CREDIT,
        tags=charge.tags,
        details={
            "line": charge.details["line"],
            "credit_type": kind,
            "credit_name": kind.replace("_", " ").capitalize(),
            "project_label_env": charge.details["project_label_env"],
        },
        shown_from=charge.shown_from,
    )


def _month(month: Month, day: datetime, luck: random.Random) -> Iterator[Charge]:
    """Tax and rounding of a month that ended: its last Pacific hour, on its invoice."""
    last = month.window(PACIFIC).end - HOUR
    for kind, cents in (("tax", luck.randrange(9_000, 12_000)), ("rounding_error", luck.choice((-1, 1)))):
        yield Charge(
            start=last,
            account="",
            service="Invoice",
            region="",
            billed=Decimal(cents).scaleb(-2),
            currency=CURRENCY,
            kind=kind,
            details={"line": f"{month} {kind}", "invoice_month": str(month), "sku": kind},
            shown_from=day + timedelta(hours=20),
        )


def _correction(day: datetime) -> Charge:
    return Charge(
        start=day.replace(day=5, hour=15),
        account="shop-prod",
        service="Compute Engine",
        region="europe-west1",
        billed=Decimal("-12.34"),
        currency=CURRENCY,
        kind="adjustment",
        tags={"team": "shop"},
        details={
            "line": f"{day:%Y-%m} correction",
            "sku": "N2 Instance Core running in Belgium",
            "adjustment_id": f"adjustment-{day:%Y%m}",
            "adjustment_type": "USAGE_CORRECTION",
            "adjustment_mode": "PARTIAL_CORRECTION",
            "project_label_env": "prod",
        },
        shown_from=day + 9 * HOUR,
    )


def _amount(cents: int, thousandths: int) -> Decimal:
    """So many hundredths times so many thousandths: five digits behind the point, no more."""
    return Decimal(cents * thousandths).scaleb(-5)
