"""`cloudspend plan`: what a configuration costs to ask, without asking."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import click

from exporter import snapshot
from exporter.cli.output import Format, Record, rendered
from exporter.cli.settings import DOLLARS, chosen, configuration, one_shot_clock
from exporter.config.schema import Config
from exporter.costs.money import ZERO, add, text
from exporter.periods import DAY, HOUR
from exporter.polling import schedule
from exporter.polling.plan import Price, polls, priced
from exporter.polling.sources import Paths, Source, resolve
from exporter.store.lake import Lake
from exporter.store.spending import Answer
from exporter.store.state import SourceState, State

DAYS = 30
COLUMNS = ("source", "provider", "polls", "calls", "calls_a_day", "charge", "units", "pages", "series")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one source takes over the days to come."""

    source: Source
    polls: int
    total: Price
    busiest: Price
    """The hour with the most of each unit."""
    first: Price
    """The first of these polls: the whole history, where nothing is stored yet."""
    pages: str
    series: int | None

    @property
    def calls_a_day(self) -> Decimal:
        """Requests a day, on average."""
        return (Decimal(self.total.requests) / DAYS).quantize(Decimal("0.1"))

    def record(self) -> Record:
        """One line of a table."""
        return {
            "source": self.source.name,
            "provider": self.source.spec.name,
            "polls": self.polls,
            "calls": self.total.requests,
            "calls_a_day": text(self.calls_a_day),
            "charge": _charge(self.total),
            "units": ", ".join(
                f"{text(amount)} {unit}, {text(self.busiest.units[unit])} in the busiest hour"
                for unit, amount in self.total.units.items()
            ),
            "pages": self.pages,
            "series": self.series,
        }

    def document(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "source": self.source.name,
            "provider": self.source.spec.name,
            "days": DAYS,
            "polls": self.polls,
            "calls": self.total.requests,
            "calls_a_day": text(self.calls_a_day),
            "charges": _texts(self.total.charges),
            "first_poll_charges": _texts(self.first.charges),
            "units": _texts(self.total.units),
            "units_in_the_busiest_hour": _texts(self.busiest.units),
            "pages": self.pages,
            "series": self.series,
            "monthly_usd": None if self.source.caps.own is None else text(self.source.caps.own),
        }


@click.command()
@configuration
@click.option(
    "--pages", type=click.IntRange(1), metavar="N", help="Pages per answer.  [default: as remembered, else 1]"
)
@click.option("--max-monthly", type=DOLLARS, metavar="USD", help="Exit with 1 where it costs more.")
@click.option(
    "--format", "form", type=click.Choice([form.value for form in Format]), default="table", show_default=True
)
def plan(file: Path | None, pages: int | None, max_monthly: Decimal | None, form: str, *, demo: bool) -> None:
    """Price a configuration: what its polls cost over the next 30 days.

    Nobody is asked. The schedule is replayed from now on, as if no poll fails and no cap delays one; prices are those
    that the providers know, pages those of earlier answers to the same question.

    \b
    cloudspend plan --config cloudspend.yml
    cloudspend plan --pages 3 --max-monthly 5
    """
    config, now = chosen(file, demo=demo), one_shot_clock().now()
    plans = planned(config, now, pages)
    usd = add(*(each.total.usd for each in plans))
    if form == Format.JSON:
        click.echo(json.dumps([each.document() for each in plans], indent=2, ensure_ascii=False))
    else:
        title = f"the next {DAYS} days, {now:%Y-%m-%d %H:%M} to {now + DAY * DAYS:%Y-%m-%d %H:%M} UTC"
        totals: Record = {
            **dict.fromkeys(COLUMNS, ""),
            "source": "total",
            "polls": sum(each.polls for each in plans),
            "calls": sum(each.total.requests for each in plans),
            "charge": _charge(Price.sum(each.total for each in plans)),
        }
        right = ("polls", "calls", "calls_a_day", "charge", "series")
        records = [each.record() for each in plans]
        click.echo(rendered(records, COLUMNS, Format(form), title=title, totals=[totals], right=right))
    for line in _said(plans, config, usd):
        click.echo(line, err=True)
    if max_monthly is not None and usd > max_monthly:
        click.echo(f"{text(usd)} USD are more than {text(max_monthly)}", err=True)
        sys.exit(1)


def planned(config: Config, now: datetime, pages: int | None = None) -> list[Plan]:
    """Each source over the days to come, in the order of the configuration. Reads the store where there is one."""
    paths = Paths(config.store.path)
    states: Mapping[str, SourceState] = {}
    answers: dict[str, list[Answer]] = {}
    sources, stored = resolve(config), paths.state.exists()
    if stored:
        with State(paths.state) as state:
            states = state.sources()
            answers = {source.name: state.answers(source.name, source.fingerprint) for source in sources}
    series = _series(paths)
    found = []
    for source in sources:
        remembered = states.get(source.name)
        known = remembered is not None and remembered.stored_as == source.fingerprint
        covered = Lake(paths.lake).coverage(source.name) if known else None
        first = max(schedule.next_due(source, remembered, now), now)
        kept = answers.get(source.name, [])
        ahead = list(priced(source, polls(source, first, covered, now + DAY * DAYS, remembered), kept, pages))
        prices = [each for _, each in ahead]
        told = "given" if pages else "from the ledger" if kept else "one assumed"
        total = Price.sum(prices)
        free = not total.requests or (total.free and not total.units)
        found.append(
            Plan(
                source=source,
                polls=len(ahead),
                total=total,
                busiest=_busiest(ahead),
                first=prices[0] if prices else Price(),
                pages="" if free else told,
                series=series.get(source.name) if series is not None else None,
            )
        )
    return found


def _busiest(ahead: Sequence[tuple[datetime, Price]]) -> Price:
    """The most of each unit within any hour."""
    most: dict[str, Decimal] = {}
    within: deque[tuple[datetime, Price]] = deque()
    for at, price in ahead:
        if not price.units:
            continue
        within.append((at, price))
        while within[0][0] <= at - HOUR:
            within.popleft()
        for unit, amount in Price.sum(each for _, each in within).units.items():
            most[unit] = max(most.get(unit, ZERO), amount)
    return Price(units=most)


def _series(paths: Paths) -> dict[str, int] | None:
    """Source → series in the newest snapshot; None where there is none."""
    published = snapshot.load(paths.snapshots) if paths.snapshots.exists() else None
    if published is None:
        return None
    counts = dict.fromkeys(published.manifest.sources, 0)
    for line in published.plain.decode().splitlines():
        name = line.partition('source="')[2].partition('"')[0]
        if name in counts and not line.startswith("#"):
            counts[name] += 1
    return counts


def _said(plans: Sequence[Plan], config: Config, usd: Decimal) -> list[str]:
    """What no column says."""
    lines = []
    free = [each.source.name for each in plans if each.total.free]
    if free:
        lines.append(f"asked for free: {', '.join(free)}")
    caps = [(each.source.name, each.total.usd, each.source.caps.own) for each in plans]
    overall = config.api_budget.monthly_usd if config.api_budget else None
    for name, spends, cap in [*caps, ("all sources", usd, overall)]:
        if cap is not None and spends > cap:
            lines.append(
                f"{name}: more than api_budget allows ({text(cap)} USD a month), so polls come later than this"
            )
    return lines


def _charge(price: Price) -> str:
    paid = {currency: amount for currency, amount in price.charges.items() if amount}
    return ", ".join(f"{text(amount)} {currency}" for currency, amount in sorted(paid.items())) or "free"


def _texts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {key: text(amount) for key, amount in sorted(amounts.items()) if amount}
