"""An invented bill with a story, for trying the exporter out without a cloud.

Three clouds, five accounts (`demo_estate.py`), from the first of the month 13 months ago to now. The same seed at the
same instant gives the same bill. An amount depends on the seed, its labels, its day and how old that day is when
somebody asks; a day older than `RESTATED_AT` days never moves again, so every event recurs on the calendar instead of
keeping its distance from today.

    event                when                                            what a test looks for
    weekly rhythm        Saturdays and Sundays                           compute costs a third less than on weekdays
    growth               always                                          2 % a month; fees and clusters stay as they are
    deployment           a Tuesday every 18 weeks (2026-09-15 …)         one service costs 35 % more and stays there for
                                                                         60 weeks; 8 more bring it back down
    forgotten cluster    a Monday every 6 weeks (2026-11-02 …)           the dev account has a region that was dark for
                                                                         months: flat, untagged, gone after 40 days
    runaway gateway      14th and 15th of every month                    one region's `EC2 - Other` is 12 times itself
    support fees         1st                                             Purchase for the whole month, billed in full
    tax                  1st                                             Tax with the month before as billing period
    refund               10th of each quarter's first month              negative Purchase, ChargeClass Correction
    credits              daily                                           negative Credit, one project
    savings plan         1st: billed; daily: effective                   month by month the two come to the same
    batch                Tuesdays                                        no row on any other day
    free tier            daily                                           rows of 0
    restated week        ISO weeks 4, 8, 12 …                            3 % more until the day is 9 days old
    partial days         today and yesterday                             an amount only grows while its day settles
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from hashlib import blake2b

from exporter.clock import Clock
from exporter.costs import GLOBAL, MONEY, RATIO, Ask, Bill, ChargeCategory, CostRow, CostTable, Note, Scope
from exporter.costs.money import ZERO
from exporter.periods import DAY, Month, Window, day_of, midnight, settled_until
from exporter.providers import Meter, Options, Provider, ProviderSpec
from exporter.providers import demo_estate as estate
from exporter.providers.demo_estate import Account, Key, Line

MILLION = 1_000_000
SETTLES_AFTER = timedelta(hours=48)
MONTHS = 13
"""Whole months of history before the current one."""

GROWTH_A_DAY = RATIO.power(Decimal("1.02"), RATIO.divide(Decimal(12), Decimal("365.25")))
DEPLOYMENT = date(2026, 9, 15)
DEPLOYMENT_EVERY, DEPLOYMENT_STAYS, DEPLOYMENT_FADES = timedelta(weeks=18), timedelta(weeks=60), timedelta(weeks=8)
DEPLOYMENT_STEP = 350
FORGOTTEN = date(2026, 11, 2)
FORGOTTEN_EVERY, FORGOTTEN_FOR = timedelta(weeks=6), timedelta(days=40)
RUNAWAY_DAYS, RUNAWAY = (14, 15), 12_000
RESTATED_WEEKS, RESTATED_AT, OVERCHARGE = 4, 9, 1030
REFUND_DAY, REFUNDED = 10, Decimal("-287.50")
CREDIT = 180

INVENTED = Note("invented", "The demo bill is invented: no cloud is asked, and nobody owes these amounts.")


class DemoOptions(Options):
    """Options of the demo bill."""

    seed: int = 7
    """Another seed, another estate of the same shape."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When somebody asks: how many minutes into which UTC day. Only recent days depend on it."""

    today: date
    minutes: int
    unsettled: date
    """The first day that still moves."""

    @classmethod
    def of(cls, now: datetime) -> Moment:
        """The moment at an instant."""
        today = day_of(now)
        minutes = (now - midnight(today)) // timedelta(minutes=1)
        return cls(today, minutes, day_of(settled_until(now, SETTLES_AFTER)))

    def life(self) -> Window:
        """From the estate's beginning to the end of today."""
        return Window.of_days(Month.of(self.today).back(MONTHS).first, self.today + DAY)

    def moves(self, day: date) -> bool:
        """Whether the bill still calls a day an estimate."""
        return day >= self.unsettled

    def known(self, day: date, luck: int) -> int:
        """How much of a day the bill knows yet, millionths. It never shrinks as time goes on."""
        age = (self.today - day).days
        if age > 1:
            return MILLION
        arrived = 900_000 + luck % 100_001
        if age == 1:
            return arrived + (MILLION - arrived) * self.minutes // 1440
        return arrived * self.minutes // 1440

    def overcharged(self, day: date) -> int:
        """What a day of a restated week costs until its correction, thousandths of the truth."""
        young = (self.today - day).days < RESTATED_AT
        return OVERCHARGE if young and day.isocalendar().week % RESTATED_WEEKS == 0 else 1000


@cache
def growth(day: date) -> int:
    """The size of the estate, millionths of what it is on LEVEL_DAY."""
    days = (day - estate.LEVEL_DAY).days
    return int(RATIO.multiply(RATIO.power(GROWTH_A_DAY, Decimal(days)), Decimal(MILLION)))


def deployments(day: date) -> Iterator[tuple[Account, str, int]]:
    """Which services stand higher on a day for a deployment, and how high, thousandths."""
    turn, since = divmod(day - DEPLOYMENT, DEPLOYMENT_EVERY)
    for place, (account, service) in enumerate(estate.DEPLOYED):
        age = since + DEPLOYMENT_EVERY * ((turn - place) % len(estate.DEPLOYED))
        left = max(min(DEPLOYMENT_STAYS + DEPLOYMENT_FADES - age, DEPLOYMENT_FADES), timedelta(0))
        yield account, service, 1000 + DEPLOYMENT_STEP * left // DEPLOYMENT_FADES


def forgotten_region(day: date) -> str | None:
    """Where a forgotten cluster runs on a day; None between the finding of one and the start of the next."""
    turn, age = divmod(day - FORGOTTEN, FORGOTTEN_EVERY)
    return estate.CLUSTER_REGIONS[turn % len(estate.CLUSTER_REGIONS)] if age < FORGOTTEN_FOR else None


def runaway_gateway(day: date) -> tuple[Account, str] | None:
    """The account and region whose NAT gateway runs away on a day."""
    if day.day not in RUNAWAY_DAYS:
        return None
    return estate.GATEWAYS[(day.year * 12 + day.month - 1) % len(estate.GATEWAYS)]


def story(day: date) -> dict[Key, int]:
    """What a day's events make of the lines they touch, thousandths of a plain day."""
    touched: dict[Key, int] = {}
    for account, name, height in deployments(day):
        touched.update(((account.id, name, region), height) for region in account.regions)
    here = forgotten_region(day)
    for region in estate.CLUSTER_REGIONS:
        for service in estate.CLUSTER:
            touched[estate.CLUSTER_ACCOUNT.id, service.name, region] = 1000 if region == here else 0
    if gateway := runaway_gateway(day):
        touched[gateway[0].id, estate.EC2_OTHER, gateway[1]] = RUNAWAY
    return touched


class Dice:
    """Chance that falls the same way every time: a hash of the seed and of what it is asked about."""

    def __init__(self, seed: int) -> None:
        self._seed = str(seed)

    def throw(self, *words: str) -> int:
        """A number below 2⁹⁶."""
        return int.from_bytes(blake2b("/".join((self._seed, *words)).encode(), digest_size=12).digest(), "big")


def wobble(luck: int, widest: int) -> int:
    """A bell-shaped factor around one, millionths, from the low 48 bits of a throw."""
    bell = (luck & 4095) + (luck >> 12 & 4095) + (luck >> 24 & 4095) + (luck >> 36 & 4095) - 8190
    return MILLION + bell * widest // 8190


class Demo:
    """The provider."""

    def __init__(self, options: DemoOptions, meter: Meter, clock: Clock | None = None) -> None:
        self._meter = meter
        self._clock = clock
        self._dice = Dice(options.seed)
        self._lines = tuple((line, line.daily * self._size(line)) for line in estate.lines())

    def fetch(self, ask: Ask) -> Bill:
        """The bill as it looks at this instant, in days."""
        self._meter.request("fetch")
        # A command that may not freeze the clock has already said so; a frozen one is meant for the demo too.
        moment = Moment.of((self._clock or Clock.from_environment(may_freeze=True)).now())
        answered = ask.window.meet(moment.life())
        days = [day for day in answered.days() if midnight(day) in answered] if answered else []
        rows = [row for day in days for row in self._charges(day, moment, ask.tags)]
        return Bill(
            costs=CostTable.of(rows),
            covered=_covered(ask.window, moment),
            totals=CostTable.of(_totals(rows)),
            estimated=frozenset(filter(moment.moves, days)),
            accounts={account.id: account.name for account in estate.ACCOUNTS},
            notes=(INVENTED,),
        )

    def _size(self, line: Line) -> int:
        """Millionths: regions do not share a service evenly, the seed makes a line up to 15 % bigger or smaller."""
        return 850_000 + self._dice.throw(*line.key) % 300_001

    def _charges(self, day: date, moment: Moment, tags: tuple[str, ...]) -> Iterator[CostRow]:
        """Every charge whose period starts on a day."""
        if day.day == 1:
            yield from _month_start(Month.of(day), moment)
        if day.day == REFUND_DAY and day.month % 3 == 1:
            yield _refund(day, moment)
        if day < moment.today or moment.minutes:
            yield from self._usage(day, moment, tags)
            yield from self._covered_usage(day, moment, tags)

    def _usage(self, day: date, moment: Moment, tags: tuple[str, ...]) -> Iterator[CostRow]:
        events, written, weekday = story(day), day.isoformat(), day.weekday()
        grown, overcharged, estimated = growth(day), moment.overcharged(day), moment.moves(day)
        for line, plain in self._lines:
            account, rhythm = line.account, line.rhythm
            shape = rhythm.week[weekday] * events.get(line.key, 1000) * (grown if rhythm.grows else MILLION)
            if not shape:
                continue
            luck = self._dice.throw(*line.key, written)
            known = moment.known(day, luck >> 48)
            cost = _whole(plain * shape * overcharged * wobble(luck, rhythm.noise) * known, 39, account)
            billed = _money(cost, account)
            row = CostRow(
                start=day,
                provider=account.provider,
                billing_account=account.billing_account,
                account=account.id,
                service=line.service,
                region=line.region,
                currency=account.currency,
                billed=billed,
                effective=billed,
                list=_money(cost * account.list_price // 1000, account),
                contracted=billed,
                tags=line.tags(tags),
                estimated=estimated,
            )
            yield row
            if (account, line.service) in estate.PROMOTED:
                credit = _money(-cost * CREDIT // 1000, account)
                yield replace(
                    row, category=ChargeCategory.CREDIT, billed=credit, effective=credit, list=None, contracted=None
                )

    def _covered_usage(self, day: date, moment: Moment, tags: tuple[str, ...]) -> Iterator[CostRow]:
        """What the savings plan pays: the day's commitment, part of it used, on weekends part of it not."""
        line, unused = estate.COMMITTED, estate.UNUSED
        account = line.account
        luck = self._dice.throw("commitment", day.isoformat())
        share = 1000 if day.weekday() < 5 else 880 + luck % 81
        whole = _whole(line.daily * moment.known(day, luck >> 48), 12, account)
        used = whole * share // 1000
        for part, cost, status in ((line, used, "Used"), (unused, whole - used, "Unused")):
            if cost:
                yield CostRow(
                    start=day,
                    provider=account.provider,
                    billing_account=account.billing_account,
                    account=account.id,
                    service=part.service,
                    region=part.region,
                    currency=account.currency,
                    billed=ZERO,
                    effective=_money(cost, account),
                    commitment_status=status,
                    tags=part.tags(tags),
                    estimated=moment.moves(day),
                )


def _month_start(month: Month, moment: Moment) -> Iterator[CostRow]:
    """What the first day brings: support and the savings plan for this month, tax on the last one."""
    whole, day = month.window(), month.first
    for account, service, price in estate.SUPPORT:
        yield replace(_fee(day, moment, account, service, price), end=whole.end)
    line = estate.COMMITTED
    price = Decimal(line.daily * ((whole.end - whole.start) // DAY)).scaleb(-6, MONEY)
    # Its cost is amortised over the usage it covers.
    yield replace(_fee(day, moment, line.account, estate.UNUSED.service, price), end=whole.end, effective=ZERO)
    before = month.previous()
    for account in estate.ACCOUNTS:
        if account.tax:
            tax = Decimal(account.monthly * account.tax * growth(before.first) // 10**7).scaleb(-2, MONEY)
            row = _fee(day, moment, account, account.tax_service, tax)
            yield replace(row, category=ChargeCategory.TAX, billing_month=before)


def _refund(day: date, moment: Moment) -> CostRow:
    account, service, _ = estate.SUPPORT[0]
    return replace(_fee(day, moment, account, service, REFUNDED), charge_class="Correction")


def _fee(day: date, moment: Moment, account: Account, service: str, price: Decimal) -> CostRow:
    """A purchase that is billed on a day."""
    return CostRow(
        start=day,
        provider=account.provider,
        billing_account=account.billing_account,
        account=account.id,
        service=service,
        region=GLOBAL,
        currency=account.currency,
        billed=price,
        effective=price,
        category=ChargeCategory.PURCHASE,
        estimated=moment.moves(day),
    )


def _whole(parts: int, places: int, account: Account) -> int:
    """An amount of so many places in the last place of the account's bill; what costs anything costs at least that."""
    return max(parts * 10**account.places // 10**places, 1) if parts else 0


def _money(whole: int, account: Account) -> Decimal:
    return Decimal(whole).scaleb(-account.places, MONEY)


def _covered(window: Window, moment: Moment) -> tuple[Scope, ...]:
    """What the answer is complete for: nothing of the future, and before the beginning that there is nothing."""
    life = moment.life()
    if answered := window.meet(life):
        return (Scope(answered),)
    return (Scope(window),) if window.start < window.end <= life.start else ()


def _totals(rows: Iterable[CostRow]) -> Iterator[CostRow]:
    """One line per account and day, added up here and not by the table."""
    sums: dict[tuple[object, ...], tuple[CostRow, Decimal, Decimal]] = {}
    for row in rows:
        key = (row.provider, row.account, row.start)
        first, billed, effective = sums.get(key, (row, ZERO, ZERO))
        sums[key] = first, MONEY.add(billed, row.billed), MONEY.add(effective, row.effective or ZERO)
    for first, billed, effective in sums.values():
        yield CostRow(
            start=first.start,
            provider=first.provider,
            billing_account=first.billing_account,
            account=first.account,
            service="all",
            region="all",
            currency=first.currency,
            billed=billed,
            effective=effective,
            estimated=first.estimated,
        )


def connect(options: DemoOptions, meter: Meter, clock: Clock | None = None) -> Provider:
    """The demo bill; a clock of one's own is for tests."""
    return Demo(options, meter, clock)


SPEC: ProviderSpec[DemoOptions] = ProviderSpec(
    name="demo",
    options=DemoOptions,
    connect=connect,
    settles_after=SETTLES_AFTER,
    poll_every=timedelta(hours=1),
    history=timedelta(days=428),  # the longest that 13 months and a started one can be
)
