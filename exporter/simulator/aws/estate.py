"""A made-up AWS bill with everything that goes wrong in real ones. The same seed gives the same ledger.

usage            8 services of 3 accounts in 3 regions or none; by the hour from 14 days before `now` on, else by day
discount         EdpDiscount: 5 % of the web account's usage, taken off by a line of its own; Net metrics know
savings plan     upfront fee on the 2nd, effective cost 0; covered usage billed, negated, and effective at 60 %
support          on the 1st, of the payer
tax              on the 1st, of every account, in no region
credits          on the 3rd; in April and October more than all the usage of the month
refund           on the 10th of each quarter's first month
late charges     one service is shown a day and a half after its day
restated day     the 12th: one service costs a tenth more until the 16th
tags             team and env; some charges have none, one team has a `$` in its name
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b

from exporter.costs.money import MONEY, RATIO, ZERO, add
from exporter.periods import DAY, HOUR, Month, Window, day_of, midnight
from exporter.simulator.ledger import Charge, Ledger

PAYER = "111122223333"
WEB = "444455556666"
DATA = "777788889999"
ACCOUNTS = {PAYER: "payer", WEB: "web", DATA: "data"}
EVERYWHERE = ("us-east-1", "eu-west-1", "ap-southeast-2")
NOWHERE = ("NoRegion",)
HOURLY = 14
AHEAD = 3
"""Days after `now` that have charges too, for clocks that move."""

EC2 = "Amazon Elastic Compute Cloud - Compute"
RESTATED = "AmazonCloudWatch"
LATE = "Amazon Simple Storage Service"
SERVICES = {  # name → usage type, cents a day, regions
    EC2: ("BoxUsage:m5.large", 4200, EVERYWHERE),
    "EC2 - Other": ("NatGateway-Bytes", 900, EVERYWHERE),
    "Amazon Relational Database Service": ("InstanceUsage:db.m5.large", 2100, EVERYWHERE[:2]),
    LATE: ("TimedStorage-ByteHrs", 700, EVERYWHERE),
    RESTATED: ("CW:Requests", 150, EVERYWHERE[:2]),
    "AWS Lambda": ("Lambda-GB-Second", 60, EVERYWHERE[1:]),
    "Amazon Route 53": ("DNS-Queries", 5, NOWHERE),
    "AWS Cost Explorer": ("APIRequest", 1, EVERYWHERE[:1]),
}
DISCOUNT = 20  # the web account pays a twentieth less
PLACES = 10
CREDIT, LARGE_CREDIT, REFUND = Decimal("-412.75"), Decimal("-30000"), Decimal("-287.5")
SUPPORT, UPFRONT = Decimal(100), Decimal("1460.25")
SHOWN_AFTER = timedelta(hours=36)


@dataclass(frozen=True, slots=True)
class _Line:
    """A service in a region of an account."""

    account: str
    service: str
    region: str
    seed: int

    @property
    def tags(self) -> dict[str, str]:
        if self.account == PAYER or self.service == "AWS Cost Explorer":
            return {}
        team = {WEB: "web", DATA: "core$data"}[self.account]
        return {"team": team, "env": "prod" if self.region == "us-east-1" else "dev"}

    @property
    def details(self) -> dict[str, str]:
        stage = {"cost_category:Stage": "live"} if self.region in EVERYWHERE[:2] else {}
        return {"usage_type": SERVICES[self.service][0], **stage}

    def charge(self, start: datetime, lasts: timedelta) -> Charge:
        """What one period costs, to the tenth digit."""
        words = f"{self.seed}/{self.account}/{self.service}/{self.region}/{start:%Y-%m-%dT%H}"
        luck = int.from_bytes(blake2b(words.encode(), digest_size=6).digest(), "big") % 10**6
        size = SERVICES[self.service][1] * (500_000 + luck) * (lasts // HOUR)
        return Charge(
            start=start,
            lasts=lasts,
            account=self.account,
            service=self.service,
            region=self.region,
            billed=Decimal(size * 100 // 24).scaleb(-PLACES, MONEY),
            currency="USD",
            kind="Usage",
            tags=self.tags,
            details=self.details,
        )


def estate(seed: int, now: datetime, months: int = 14) -> Ledger:
    """The ledger of so many months up to `now`, the current one included, and of the days after it."""
    first = Month.containing(now).back(months - 1).first
    lines = [_Line(a, s, r, seed) for a in ACCOUNTS for s in SERVICES for r in SERVICES[s][2]]
    hourly = day_of(now) - HOURLY * DAY
    charges: list[Charge] = []
    for day in Window.of_days(first, day_of(now) + AHEAD * DAY).days():
        steps = 24 if day >= hourly else 1
        used = [charge for line in lines for charge in _usage(line, day, steps)]
        charges += [*used, _discount(day, used), *_covered(day), *_events(day)]
    return Ledger(charges, ACCOUNTS)


def _usage(line: _Line, day: date, steps: int) -> Iterator[Charge]:
    """A day of a line, in one charge or by the hour."""
    lasts = DAY / steps
    for step in range(steps):
        charge = line.charge(midnight(day) + step * lasts, lasts)
        if line.account == WEB:
            whole = str(charge.billed)
            less = _tenth_digit(MONEY.divide(charge.billed, Decimal(DISCOUNT)))
            details = {**charge.details, "unblended": whole, "amortized": whole}
            charge = replace(charge, billed=MONEY.subtract(charge.billed, less), details=details)
        if line.service == LATE:
            charge = replace(charge, shown_from=midnight(day) + DAY + SHOWN_AFTER)
        if line.service == RESTATED and day.day == 12:
            right = midnight(day) + 4 * DAY
            yield replace(charge, billed=_dearer(charge.billed), shown_until=right)
            charge = replace(charge, shown_from=right)
        yield charge


def _dearer(amount: Decimal) -> Decimal:
    return add(amount, _tenth_digit(MONEY.divide(amount, Decimal(10))))


def _tenth_digit(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-PLACES), context=RATIO)


def _discount(day: date, used: list[Charge]) -> Charge:
    """What the web account pays less, as a line of its own; 0 where discounts are in the lines."""
    mine = [charge for charge in used if charge.account == WEB and charge.shown_until is None]
    whole = add(*(Decimal(charge.details["unblended"]) for charge in mine))
    less = MONEY.subtract(add(*(charge.billed for charge in mine)), whole)
    details = {"unblended": str(less), "amortized": str(less)}
    return _once(day, WEB, EC2, "us-east-1", ZERO, "EdpDiscount", details=details)


def _covered(day: date) -> Iterator[Charge]:
    """Usage that the savings plan pays for, and the line that takes it off the invoice."""
    price = Decimal("80.0000000048")
    paid = MONEY.multiply(price, Decimal("0.6"))
    paid = _tenth_digit(paid)
    yield _once(day, DATA, EC2, "eu-west-1", price, "SavingsPlanCoveredUsage", effective=paid)
    yield _once(day, DATA, EC2, "eu-west-1", price.copy_negate(), "SavingsPlanNegation", effective=ZERO)


def _events(day: date) -> Iterator[Charge]:
    """What happens once a month."""
    if day.day == 1:
        yield _once(day, PAYER, "AWS Support (Business)", "NoRegion", SUPPORT, "Support")
        for number, account in enumerate(ACCOUNTS, 1):
            yield _once(day, account, "Tax", "NoRegion", Decimal(number * 1234567).scaleb(-4, MONEY), "Tax")
    if day.day == 2:
        service = "Savings Plans for AWS Compute usage"
        yield _once(day, PAYER, service, "NoRegion", UPFRONT, "SavingsPlanUpfrontFee", effective=ZERO)
    if day.day == 3:
        yield _once(day, DATA, LATE, "us-east-1", LARGE_CREDIT if day.month % 6 == 4 else CREDIT, "Credit")
    if day.day == 10 and day.month % 3 == 1:
        yield _once(day, WEB, EC2, "us-east-1", REFUND, "Refund")


def _once(
    day: date,
    account: str,
    service: str,
    region: str,
    billed: Decimal,
    kind: str,
    *,
    effective: Decimal | None = None,
    details: dict[str, str] | None = None,
) -> Charge:
    """A charge that has no hours."""
    return Charge(
        start=midnight(day),
        lasts=DAY,
        account=account,
        service=service,
        region=region,
        billed=billed,
        effective=effective,
        currency="USD",
        kind=kind,
        details={"usage_type": "NoUsageType", **(details or {})},
    )
