"""From stored charges to the money families: the only place that decides what each family shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from exporter.analysis.basis import Unknown, primary
from exporter.analysis.folding import folded
from exporter.analysis.reach import Reach, common_day
from exporter.costs import Cost, CostLine, CostTable, Line
from exporter.costs.money import add
from exporter.metrics.catalog import CATALOG, LINE
from exporter.metrics.converted import converted
from exporter.metrics.exposition import Family, Value
from exporter.metrics.judged import Judged
from exporter.metrics.judged import families as judged_families
from exporter.normalise.currency import Rates
from exporter.periods import HOUR, Month, Window, day_of


@dataclass(frozen=True, slots=True)
class SourceView:
    """One source as it stands: its charges, how far they reach, and what the last poll said of them."""

    name: str
    adapter: str
    days: CostTable
    reach: Reach
    settles_after: timedelta
    hours: CostTable | None = None
    by_account: CostTable | None = None
    """The same money by account, of a source that cannot join account with service."""
    read: datetime | None = None
    """When the source was last read successfully."""
    restated: Mapping[str, Decimal] | None = None
    unattributed: Mapping[str, Decimal] | None = None
    basis: Cost = Cost.BILLED
    shown: frozenset[Line] | None = None
    """Lines that are shown by name, the others being folded; None shows all."""
    unknown: Unknown = frozenset()
    """Whose bills do not know the basis: they show billed."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything the money families are made of, as of one instant."""

    now: datetime
    sources: Sequence[SourceView]
    accounts: Mapping[tuple[str, str], str]
    rates: Rates | None = None
    """What to convert with; None converts nothing."""
    judged: Judged | None = None

    @property
    def month(self) -> Window:
        """The current UTC month."""
        return Month.containing(self.now).window()


def families(picture: Picture) -> Iterator[Family]:
    """Every money family that has data, in the order of the catalogue."""
    lines = list(_lines(picture))
    yield from lines
    yield from _totals(picture)
    if picture.rates is not None:
        yield from converted(lines, picture.rates, day_of(picture.now))
    yield from _timestamps(picture)
    yield _family("cloudspend_source_info", [((s.name, s.adapter, _basis(s)), 1) for s in picture.sources])
    shown = {key for source in picture.sources for key in _accounts(source)}
    names = [((*key, name), 1) for key, name in sorted(picture.accounts.items()) if key in shown]
    yield _family("cloudspend_account_info", names)
    if picture.judged is not None:
        providers = sorted({provider for source in picture.sources for provider, _ in _accounts(source)})
        yield from judged_families(picture.judged, providers)


def _lines(picture: Picture) -> Iterator[Family]:
    """The families with the labels of a line of the bill."""
    daily: list[tuple[tuple[str, ...], Value]] = []
    running: list[tuple[tuple[str, ...], Value]] = []
    previous: list[tuple[tuple[str, ...], Value]] = []
    hourly: list[tuple[tuple[str, ...], Value]] = []
    last_month = Month.containing(picture.now).previous().window()
    for source in picture.sources:
        if source.reach.latest_day:
            daily += _samples(source, source.days.during(Window.of_day(source.reach.latest_day)))
        running += _samples(source, source.days.during(picture.month))
        previous += _samples(source, source.days.during(last_month))
        hour = _latest_hour(source, picture.now)
        if hour and source.hours is not None:
            hourly += _samples(source, source.hours.during(hour))
    yield _family("cloudspend_daily_cost", daily)
    yield _common(picture)
    yield _family("cloudspend_month_to_date_cost", running)
    yield _family("cloudspend_previous_month_cost", previous)
    closed = [((s.name,), int(s.reach.previous_month_closed)) for s in picture.sources]
    yield _family("cloudspend_previous_month_closed", closed)
    yield _family("cloudspend_hourly_cost", hourly)


def _common(picture: Picture) -> Family:
    day = common_day([source.reach for source in picture.sources], picture.now)
    if day is None:
        return _family("cloudspend_common_day_cost", [])
    sums: dict[tuple[str, ...], Decimal] = {}
    for source in picture.sources:
        for line in source.days.during(Window.of_day(day)).by("provider").rows():
            key = (line.key[0], line.currency)
            sums[key] = add(sums.get(key, Decimal(0)), _amount(source, line.key[0], line))
    return _family("cloudspend_common_day_cost", sorted(sums.items()))


def _totals(picture: Picture) -> Iterator[Family]:
    billed = [
        ((source.name, *line.key, line.currency), line.billed)
        for source in picture.sources
        for line in source.days.during(picture.month).by("provider", "charge_category").rows()
    ]
    yield _family("cloudspend_billed_month_to_date_cost", billed)
    by_account = [
        ((source.name, *line.key, line.currency), _amount(source, line.key[0], line))
        for source in picture.sources
        if source.by_account is not None
        for line in source.by_account.during(picture.month).by("provider", "account", "charge_category").rows()
    ]
    yield _family("cloudspend_account_month_to_date_cost", by_account)
    for name, field in (("cloudspend_restated_cost", "restated"), ("cloudspend_unattributed_cost", "unattributed")):
        yield _family(
            name,
            [
                ((source.name, currency), amount)
                for source in picture.sources
                for currency, amount in sorted((getattr(source, field) or {}).items())
            ],
        )


def _timestamps(picture: Picture) -> Iterator[Family]:
    settled = [((s.name,), s.reach.settled.timestamp()) for s in picture.sources if s.reach.settled]
    yield _family("cloudspend_data_end_timestamp_seconds", settled)
    hours = [((s.name,), hour.end.timestamp()) for s in picture.sources if (hour := _latest_hour(s, picture.now))]
    yield _family("cloudspend_data_hour_end_timestamp_seconds", hours)
    newest = [((s.name,), s.reach.newest.timestamp()) for s in picture.sources]
    yield _family("cloudspend_newest_charge_timestamp_seconds", newest)
    start = picture.month.start.timestamp()
    yield _family("cloudspend_month_start_timestamp_seconds", [((s.name,), start) for s in picture.sources])


def _samples(source: SourceView, charges: CostTable) -> list[tuple[tuple[str, ...], Value]]:
    """Samples with the labels of a line; what is not shown by name is summed into `other`."""
    sums: dict[tuple[str, ...], Decimal] = {}
    for line in charges.by(*LINE[1:-1]).rows():
        provider, account, service, region, category = line.key
        if source.shown is not None:
            provider, account, service, region = folded((provider, account, service, region), source.shown)
        key = (source.name, provider, account, service, region, category, line.currency)
        amount = _amount(source, provider, line)
        sums[key] = add(sums[key], amount) if key in sums else amount
    return list(sums.items())


def sizes(days: CostTable) -> dict[Line, Decimal]:
    """How large each line of the bill is: its billed amounts without their signs, so that a credit hides nothing."""
    found: dict[Line, Decimal] = {}
    for line in days.by("provider", "account", "service", "region", "charge_category").rows():
        provider, account, service, region, _ = line.key
        each = (provider, account, service, region)
        found[each] = add(found.get(each, Decimal(0)), line.billed.copy_abs())
    return found


def _amount(source: SourceView, provider: str, line: CostLine) -> Decimal:
    return primary(line, source.name, provider, source.basis, source.unknown)


def _basis(source: SourceView) -> str:
    """The word of the info series: the basis, `billed` where the bill does not know it, `mixed` where some do."""
    if not source.unknown:
        return str(source.basis)
    everyone = {(source.name, line.key[0], line.currency) for line in source.days.by("provider").rows()}
    return str(Cost.BILLED) if source.unknown >= everyone else "mixed"


def _latest_hour(source: SourceView, now: datetime) -> Window | None:
    """The latest hour that was read `settles_after` or more past its end, of a source that has such hours."""
    span = source.hours.span() if source.hours is not None else None
    if span is None:
        return None
    settled = min(now, source.read or now) - source.settles_after
    edge = min(settled, span.end).replace(minute=0, second=0, microsecond=0)
    return Window(edge - HOUR, edge) if edge > span.start else None


def _accounts(source: SourceView) -> set[tuple[str, str]]:
    tables = (source.days, *([source.by_account] if source.by_account is not None else []))
    return {(line.key[0], line.key[1]) for table in tables for line in table.by("provider", "account").rows()}


def _family(name: str, samples: Sequence[tuple[tuple[str, ...], Value]]) -> Family:
    return Family(CATALOG[name], samples)
