"""What a plan says is what the ledger holds a month later, to the cent; and a cap lasts the month."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.clock import Clock
from exporter.config.load import load
from exporter.costs import Ask, Bill, CostTable, Scope
from exporter.costs.money import add
from exporter.periods import DAY, Grain, Month
from exporter.polling.budget import Caps
from exporter.polling.plan import Price, polls, price, priced, unasked
from exporter.polling.poll import poll
from exporter.polling.schedule import next_due
from exporter.polling.sources import Paths, Registry, Source, resolve
from exporter.providers import Call, Meter, Options, Provider, ProviderSpec
from exporter.store.lake import Lake
from exporter.store.spending import Answer
from exporter.store.state import State
from tests.polling.house import HOUR, at

CENT = Decimal("0.01")
QPU = {"qpu": Decimal(1)}


def one_page(_ask: Ask) -> int:
    return 1


def a_page_for_ten_days(ask: Ask) -> int:
    return -(-(ask.window.end - ask.window.start).days // 10)


def calls(_options: Options, ask: Ask) -> tuple[Call, ...]:
    return (
        Call(operation="costs", times=2, charge=CENT, units=QPU),
        *([Call(operation="hours", charge=CENT)] if ask.grain is Grain.HOUR else []),
        Call(operation="names", charge=Decimal("0.003"), paged=False),
        Call(operation="login", paged=False),
    )


def sourced(name: str, pages: Callable[[Ask], int] = one_page, **more: object) -> Source:
    """A source that charges as `calls` say; its answers are as long as `pages` says."""

    def connect(_options: Options, meter: Meter) -> Provider:
        class Priced:
            def fetch(self, ask: Ask) -> Bill:
                meter.request("login")
                meter.request("names", Decimal("0.003"))
                for _ in range(2 * pages(ask)):
                    meter.request("costs", CENT, units=QPU)
                if ask.grain is Grain.HOUR:
                    for _ in range(pages(ask)):
                        meter.request("hours", CENT)
                return Bill(CostTable.of([]), (Scope(ask.window),))

        return Priced()

    spec = ProviderSpec(
        "priced", Options, connect, 48 * HOUR, 8 * HOUR, grains=frozenset({Grain.DAY, Grain.HOUR}), calls=calls
    )
    made = Source(name, spec, Options(), 8 * HOUR, 48 * HOUR, 36 * HOUR, ())
    return replace(made, **more)  # type: ignore[arg-type]


class World:
    """A data folder and a clock that jumps from poll to poll."""

    def __init__(self, root: Path, now: datetime, *sources: Source) -> None:
        self.paths = Paths(root)
        self.now = now
        self.sources = sources
        self.polled: list[tuple[datetime, str]] = []

    def run(self, until: datetime) -> None:
        """Poll what is due, when it is due."""
        lake = Lake(self.paths.lake)
        with State(self.paths.state) as state:
            while True:
                states = state.sources()
                dues = [(max(next_due(s, states.get(s.name), self.now), self.now), s) for s in self.sources]
                self.now, source = min(dues, key=lambda one: one[0])
                if self.now >= until:
                    self.now = until
                    return
                rivals = [other.name for other in self.sources if other is not source]
                poll(source, lake, state, Clock(frozen=self.now), rivals)
                self.polled.append((self.now, source.name))

    def plan(self, until: datetime, pages: int | None = None) -> Price:
        """What all sources take from now on."""
        with State(self.paths.state) as state:
            found = []
            for source in self.sources:
                before = state.sources().get(source.name)
                first = max(next_due(source, before, self.now), self.now)
                covered = Lake(self.paths.lake).coverage(source.name)
                kept = state.answers(source.name, source.fingerprint)
                ahead = polls(source, first, covered, until, before)
                found += [each for _, each in priced(source, ahead, kept, pages)]
        return Price.sum(found)

    def ledger(self) -> tuple[int, Decimal, Decimal]:
        """Requests, USD and QPU of all that was ever asked."""
        with State(self.paths.state) as state:
            spent = state.spending()
        return (
            sum(each.requests for each in spent),
            add(*(each.charge for each in spent)),
            add(*(each.units.get("qpu", Decimal(0)) for each in spent)),
        )

    def usd(self, month: Month, source: str | None = None) -> Decimal:
        with State(self.paths.state) as state:
            return state.usd_spent(month, source)


def as_tuple(price: Price) -> tuple[int, Decimal, Decimal]:
    return price.requests, price.usd, price.units["qpu"]


@pytest.mark.parametrize(("start", "polled"), [("2024-02-20T07:13:00", 0), ("2024-08-31T23:30:00", 3)])
def test_the_plan_is_the_ledger_after_a_month_to_the_cent(tmp_path: Path, start: str, polled: int) -> None:
    world = World(tmp_path, at(start), sourced("a"), sourced("b", hours=True, poll_every=15 * HOUR))
    world.run(at(start) + polled * DAY)
    before, until = world.ledger(), world.now + 30 * DAY
    planned = world.plan(until)
    world.run(until)
    assert as_tuple(planned) == tuple(now - then for now, then in zip(world.ledger(), before, strict=True))
    assert len(world.polled) > 140


def test_pages_come_from_the_ledger_once_it_has_seen_them(tmp_path: Path) -> None:
    world = World(tmp_path, at("2024-08-01T00:00:00"), sourced("a", a_page_for_ten_days, poll_every=24 * HOUR))
    world.run(at("2024-09-01T00:00:00"))
    before, until = world.ledger(), at("2024-10-01T00:00:00")
    planned = world.plan(until)
    world.run(until)
    assert as_tuple(planned) == tuple(now - then for now, then in zip(world.ledger(), before, strict=True))


def test_given_pages_count_for_what_has_pages() -> None:
    source = sourced("a", hours=True)
    ahead = next(polls(source, at("2024-09-20T12:00:00"), None, at("2024-09-20T12:01:00")))
    assert [ask.grain for ask in ahead.asks] == ["day", "hour"]
    assert price(source, ahead.asks, (), pages=3).usd == Decimal("0.156")  # 6 + 6 of costs, 3 of hours, 2 of names
    assert price(source, ahead.asks, ()).requests == 9


@pytest.mark.parametrize(("days", "pages"), [(3, 1), (20, 4), (40, 7), (400, 70)])
def test_other_numbers_of_days_are_reckoned_from_the_most_similar_one(days: int, pages: int) -> None:
    source = sourced("a")
    ask = Ask(next(polls(source, at("2024-09-20T12:00:00"), None, at("2024-09-20T12:01:00"))).asks[0].window)
    ask = replace(ask, window=replace(ask.window, start=ask.window.end - days * DAY))
    seen = [Answer("costs", Grain.DAY, 20, 2, 8, 8 * CENT, "USD", {}), Answer("costs", Grain.DAY, 1, 2, 2, CENT, "USD")]
    assert price(source, [ask], seen[:1]).requests == 2 * pages + 2


@pytest.mark.parametrize("cap", ["0.5", "0.3"])
def test_a_cap_of_its_own_lasts_the_month_and_polls_come_evenly(tmp_path: Path, cap: str) -> None:
    world = World(tmp_path, at("2024-09-01T00:00:00"), sourced("a", poll_every=DAY, caps=Caps(own=Decimal(cap))))
    world.run(at("2024-11-01T00:00:00"))
    gaps = [later - sooner for (sooner, _), (later, _) in zip(world.polled, world.polled[1:], strict=False)]
    for month in (Month(2024, 9), Month(2024, 10)):
        assert Decimal(cap) * Decimal("0.9") < world.usd(month) <= Decimal(cap)
    assert max(gaps) < min(gaps) * 4
    with State(world.paths.state) as state:
        assert state.source("a").failures_in_row == 0


def test_a_cap_of_all_is_shared_and_never_passed(tmp_path: Path) -> None:
    each = {"poll_every": DAY, "caps": Caps(overall=Decimal(1))}
    world = World(tmp_path, at("2024-09-01T00:00:00"), sourced("a", **each), sourced("b", **each))
    world.run(at("2024-10-01T00:00:00"))
    assert Decimal("0.9") < world.usd(Month(2024, 9)) <= 1
    one, other = (world.usd(Month(2024, 9), name) for name in ("a", "b"))
    assert abs(one - other) < Decimal("0.2")


def test_a_cap_that_is_large_enough_moves_no_poll(tmp_path: Path) -> None:
    free = World(tmp_path / "free", at("2024-09-01T00:00:00"), sourced("a"))
    capped = World(tmp_path / "capped", at("2024-09-01T00:00:00"), sourced("a", caps=Caps(Decimal(9), Decimal(9))))
    for world in (free, capped):
        world.run(at("2024-09-08T00:00:00"))
    assert free.polled == capped.polled


def test_a_provider_that_does_not_say_what_it_calls_is_priced_by_its_last_answers(tmp_path: Path) -> None:
    silent = sourced("a")
    world = World(tmp_path, at("2024-09-12T00:00:00"), replace(silent, spec=replace(silent.spec, calls=lambda *_: ())))
    assert world.plan(world.now + DAY).requests == 0
    world.run(world.now + timedelta(hours=20))
    before, until = world.ledger(), world.now + DAY
    planned = world.plan(until)
    world.run(until)
    assert as_tuple(planned) == tuple(now - then for now, then in zip(world.ledger(), before, strict=True))


@pytest.mark.parametrize(
    ("options", "charges", "units"),
    [
        ("provider: aws_cost_explorer", ["USD"], []),
        ("provider: aws_athena, table: billing.cur2, region: eu-central-1", ["USD"], ["bytes"]),
        ("provider: azure, scopes: [00000000-0000-0000-0000-000000000001]", ["USD"], ["qpu"]),
        ("provider: gcp, table: acme.billing.gcp_billing_export_v1_01ABCD_234567_89EF01", ["USD"], ["bytes"]),
        ("provider: demo", ["USD"], []),
    ],
)
def test_before_it_is_asked_a_source_has_paid_nothing_of_what_its_provider_tells_of(
    options: str, charges: list[str], units: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSPEND_NOW", "2024-09-12T12:00:00Z")
    config = load(f"sources: [{{name: a, {options}}}]", Registry(), folder=tmp_path, environment={})
    [source] = resolve(config)
    price = unasked(source, at("2024-09-12T12:00:00"))
    assert (list(price.charges), list(price.units)) == (charges, units)
    assert not any([price.requests, *price.charges.values(), *price.units.values()])


def test_a_mistake_in_a_plug_in_costs_its_zeros_and_no_scrape() -> None:
    def broken(_options: Options, ask: Ask) -> tuple[Call, ...]:
        raise KeyError(str(ask))

    source = sourced("a")
    assert list(unasked(source, at("2024-09-12T00:00:00")).charges) == ["USD"]
    price = unasked(replace(source, spec=replace(source.spec, calls=broken)), at("2024-09-12T00:00:00"))
    assert (price.charges, price.units) == ({"USD": 0}, {})
