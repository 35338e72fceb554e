"""Asking costs money: counted to the cent, and never paid twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.clock import Clock
from exporter.costs import Ask, Bill, CostTable, Scope
from exporter.errors import BadData, Throttled, Unavailable
from exporter.periods import Month, Window
from exporter.polling.budget import Caps, month_end
from exporter.polling.ledger import Ledger
from exporter.providers import Meter, Provider
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


def spent(state: State, operation: str = "page") -> tuple[str, int, Decimal]:
    """Month, requests and charge of an operation that was asked in one month."""
    [found] = [each for each in state.spending() if each.operation == operation]
    return str(found.month), found.requests, found.charge


def capped(house: House, own: str | None = None, overall: str | None = None) -> None:
    caps = Caps(*(Decimal(cap) if cap else None for cap in (own, overall)))
    house.sources = {name: replace(source, caps=caps) for name, source in house.sources.items()}


def test_the_ledger_keeps_months_operations_currencies_and_units_apart(house: House, state: State) -> None:
    ledger(house, state).request("x", CENT, units={"bytes": Decimal(10)})
    ledger(house, state).request("x", CENT, units={"bytes": Decimal(5), "qpu": Decimal(2)})
    ledger(house, state).request("x", CENT, "CNY")
    ledger(house, state).request("y")
    house.now += 11 * 24 * HOUR
    ledger(house, state).request("x", CENT)
    assert [
        (str(each.month), each.operation, each.currency, each.requests, each.charge) for each in state.spending()
    ] == [
        ("2024-09", "x", "CNY", 1, CENT),
        ("2024-09", "x", "USD", 2, 2 * CENT),
        ("2024-09", "y", "USD", 1, 0),
        ("2024-10", "x", "USD", 1, CENT),
    ]
    assert state.spending()[1].units == {"bytes": 15, "qpu": 2}
    assert state.usd_spent(Month(2024, 9)) == 2 * CENT


def test_a_try_that_failed_is_a_request_that_cost_nothing(house: House, state: State) -> None:
    meter = ledger(house, state)

    def third_time_lucky() -> bytes:
        for _ in range(3):
            meter.request("page", CENT, units={"qpu": Decimal(2)})
        return b"x"

    def never() -> bytes:
        meter.request("page", CENT, units={"qpu": Decimal(2)})
        raise Unavailable("gone")

    meter.page({"page": 1}, third_time_lucky)
    with pytest.raises(Unavailable):
        meter.page({"page": 2}, never)
    assert spent(state) == ("2024-09", 4, CENT)
    assert state.spending()[0].units == {"qpu": 2}
    assert (counted(state, "api_requests"), counted(state, "api_charges")) == (4, CENT)


def test_what_died_in_the_middle_of_a_request_is_taken_as_paid(house: House, state: State) -> None:
    meter = ledger(house, state)

    def killed() -> bytes:
        meter.request("page", CENT)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        meter.page({"page": 1}, killed)
    assert spent(state) == ("2024-09", 1, CENT)


@pytest.mark.parametrize(("own", "overall", "whose"), [("0.03", None, "this source"), ("9", "0.03", "all sources")])
def test_at_the_cap_nothing_that_costs_is_asked_until_the_month_is_over(
    house: House, state: State, own: str | None, overall: str | None, whose: str
) -> None:
    capped(house, own, overall)
    api = Api(ledger(house, state))
    with pytest.raises(Throttled, match=f"0.03 of the 0.03 USD that api_budget allows {whose} in 2024-09") as caught:
        [api.page(number) for number in range(9)]
    assert api.asked == [0, 1, 2]
    assert caught.value.retry_after == month_end(house.now) - house.now
    assert "api_budget.monthly_usd" in (caught.value.hint or "")
    ledger(house, state).request("free")
    house.now = month_end(house.now)
    again = Api(ledger(house, state))
    [again.page(number) for number in (3, 4)]
    assert state.usd_spent(Month(2024, 10)) == 2 * CENT


def test_two_sources_at_once_cannot_both_take_the_last_cent(house: House, state: State) -> None:
    house.add("b", full())
    capped(house, overall="0.05")

    def asks(name: str) -> int:
        with house.state() as own:
            meter, asked = Ledger(own, house.sources[name], Clock(frozen=house.now)), 0
            with suppress(Throttled):
                for _ in range(20):
                    meter.request("x", CENT)
                    asked += 1
        return asked

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(asks, ["a", "b", "a", "b"])) == 5
    assert state.usd_spent(Month(2024, 9)) == Decimal("0.05")


def test_optional_calls_stop_before_the_others(house: House, state: State) -> None:
    assert ledger(house, state).affords("forecast")
    capped(house, "0.05")
    meter = ledger(house, state)
    for _ in range(3):
        meter.request("x", CENT)
    assert meter.affords("forecast")
    meter.request("x", CENT)
    assert not meter.affords("forecast")
    meter.request("x", CENT)


def test_how_many_pages_answers_took_is_remembered_for_the_days_that_were_asked(house: House, state: State) -> None:
    ask = Ask(Window.of_days(date(2024, 9, 1), date(2024, 9, 21)))
    meter = ledger(house, state)
    api = Api(meter)
    [api.page(number) for number in range(3)]
    meter.request("names")
    meter.answered(ask)
    source = house.sources["a"]
    assert {(a.operation, a.grain, a.days, a.pages, a.charge) for a in state.answers("a", source.fingerprint)} == {
        ("page", "day", 20, 3, 3 * CENT),
        ("names", "day", 20, 1, 0),
    }
    assert state.answers("a", "another question") == []


def test_an_answer_with_kept_pages_says_nothing_of_how_many_there_are(house: House, state: State) -> None:
    ask = Ask(Window.of_days(date(2024, 9, 1), date(2024, 9, 21)))
    Api(ledger(house, state)).page(0)
    meter = ledger(house, state)
    api = Api(meter)
    [api.page(number) for number in range(3)]
    meter.answered(ask)
    assert state.answers("a", house.sources["a"].fingerprint) == []


def test_a_poll_at_the_cap_fails_as_throttled_and_the_last_bill_stays(house: House) -> None:
    house.add("b", full(row("2024-09-19", "7")))

    def connect(_options: object, meter: Meter) -> Provider:
        meter.request("fetch", CENT)
        return house.providers["b"]

    source = house.sources["b"]
    house.sources["b"] = replace(source, spec=replace(source.spec, connect=connect))
    capped(house, "0.01")
    assert isinstance(house.poll("b"), Success)
    failed = house.poll("b")
    assert isinstance(failed, Failure)
    assert failed.reason == "throttled"
    assert house.lake.read(Window.of_days(date(2024, 9, 1), date(2024, 10, 1))).sum() == 7
