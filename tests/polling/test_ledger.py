"""Asking costs money: counted to the cent, and never paid twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.clock import Clock
from exporter.costs import Ask, Bill, CostTable, Scope
from exporter.errors import BadData, Unavailable
from exporter.polling.ledger import Ledger
from exporter.providers import Meter
from exporter.store.state import Failure, State, Success
from tests.costs.rows import row
from tests.polling.house import HOUR, House, full

CENT = Decimal("0.01")


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.add("a", full())
    house.sources["a"] = replace(house.sources["a"], cache=4 * HOUR)
    return house


@pytest.fixture
def state(house: House) -> Iterator[State]:
    with house.state() as state:
        yield state


def ledger(house: House, state: State) -> Ledger:
    return Ledger(state, house.sources["a"], Clock(frozen=house.now))


def counted(state: State, what: str) -> Decimal:
    return next((each.value for each in state.counters() if each.name == f"cloudspend_source_{what}_total"), Decimal(0))


class Api:
    """A paid API of pages; breaks after so many."""

    def __init__(self, meter: Meter, breaks_after: int = 99) -> None:
        self.meter = meter
        self.breaks_after = breaks_after
        self.asked: list[int] = []

    def page(self, number: int) -> bytes:
        def fetch() -> bytes:
            if len(self.asked) >= self.breaks_after:
                raise Unavailable("gone")
            self.meter.request("page", CENT)
            self.asked.append(number)
            return f"page {number}".encode()

        return self.meter.page({"page": number}, fetch)


def test_requests_and_charges_are_counted(house: House, state: State) -> None:
    meter = ledger(house, state)
    for _ in range(3):
        meter.request("x", CENT)
    meter.request("free")
    assert counted(state, "api_requests") == 4
    assert counted(state, "api_charges") == Decimal("0.03")


def test_pages_that_were_paid_for_before_a_crash_are_not_paid_for_again(house: House, state: State) -> None:
    first = Api(ledger(house, state), breaks_after=7)
    with pytest.raises(Unavailable):
        [first.page(number) for number in range(20)]
    again = Api(ledger(house, state))
    assert [again.page(number) for number in range(20)] == [f"page {number}".encode() for number in range(20)]
    assert again.asked == list(range(7, 20))
    assert counted(state, "api_charges") == Decimal("0.20")
    assert counted(state, "cached_pages") == 7


def test_a_page_is_used_until_it_is_stale_and_then_asked_for_again(house: House, state: State) -> None:
    Api(ledger(house, state)).page(1)
    house.now += 4 * HOUR - timedelta(seconds=1)
    fresh = Api(ledger(house, state))
    fresh.page(1)
    house.now += timedelta(seconds=1)
    stale = Api(ledger(house, state))
    stale.page(1)
    assert (fresh.asked, stale.asked) == ([], [1])


def test_another_question_or_another_source_has_its_own_pages(house: House, state: State) -> None:
    Api(ledger(house, state)).page(1)
    house.sources["a"] = replace(house.sources["a"], tags=("team",))
    other = Api(ledger(house, state))
    other.page(1)
    assert other.asked == [1]


def test_a_source_without_a_cache_keeps_nothing(house: House, state: State) -> None:
    house.sources["a"] = replace(house.sources["a"], cache=timedelta(0))
    for _ in range(2):
        api = Api(ledger(house, state))
        api.page(1)
        assert api.asked == [1]
    assert state.drop_pages() == 0


def test_pages_of_a_failed_poll_serve_the_next_and_stale_ones_are_dropped(house: House) -> None:
    apis: list[Api] = []

    def connect(_options: object, meter: Meter) -> object:
        apis.append(Api(meter, breaks_after=2 if not apis else 99))

        class Paged:
            def fetch(self, ask: Ask) -> Bill:
                for number in range(3):
                    apis[-1].page(number)
                return Bill(CostTable.of([row("2024-09-01", "1")]).during(ask.window), (Scope(ask.window),))

        return Paged()

    spec = replace(house.sources["a"].spec, connect=connect)  # type: ignore[arg-type]
    house.sources["a"] = replace(house.sources["a"], spec=spec)
    assert isinstance(house.poll("a"), Failure)
    assert isinstance(house.poll("a"), Success)
    assert [api.asked for api in apis] == [[0, 1], [2]]
    house.now += 5 * HOUR
    assert isinstance(house.poll("a"), Success)
    assert apis[-1].asked == [0, 1, 2]
    with house.state() as state:
        assert state.drop_pages() == 3


def test_pages_that_cannot_be_a_bill_are_not_kept(house: House) -> None:
    with house.state() as state:
        Api(ledger(house, state)).page(1)
    house.poll("a", BadData("page 1 is garbage"))
    with house.state() as state:
        assert state.drop_pages() == 0
