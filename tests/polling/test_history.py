"""Sources whose quotas make a year take long: the present first, the months before it behind, each asked for once."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.costs import Ask, Bill, CostRow
from exporter.errors import Throttled
from exporter.periods import DAY, Month
from exporter.polling.history import read_older
from exporter.polling.plan import polls
from tests.polling.house import House, at, full

FIRST, TODAY = date(2023, 6, 1), date(2024, 9, 20)


def rows() -> list[CostRow]:
    days = [FIRST + timedelta(days=n) for n in range((TODAY - FIRST).days)]
    return [CostRow(start=day, account="a", service="s", region="r", billed=Decimal(1), currency="USD") for day in days]


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path, at("2024-09-20T12:00:00"))
    house.add("slow", full(*rows()), recent_first=True)
    return house


def look_back(house: House, until: float | None = None) -> int:
    with house.state() as state:
        return read_older(
            house.sources["slow"], house.lake, state, house.clock, (), time.monotonic() + 60 if until is None else until
        )


def months_asked(house: House) -> list[str]:
    return ["+".join(map(str, ask.window.by_month())) for ask in house.providers["slow"].asked]


def test_the_first_poll_asks_for_this_month_and_the_one_before(house: House) -> None:
    house.poll("slow")
    assert months_asked(house) == ["2024-08+2024-09"]


def test_older_months_follow_the_newest_first_until_all_that_is_kept_is_read(house: House) -> None:
    house.poll("slow")
    house.providers["slow"].asked.clear()
    assert look_back(house) == 13
    assert months_asked(house) == [str(Month(2024, 7).back(n)) for n in range(13)]
    held = house.lake.coverage("slow")
    assert held is not None
    assert held.start == at("2023-07-01T00:00:00")
    assert look_back(house) == 0


def test_what_was_read_of_the_past_says_nothing_about_the_present(house: House) -> None:
    house.poll("slow")
    before = house.shown("cloudspend_month_to_date_cost", "source")
    look_back(house)
    assert house.shown("cloudspend_month_to_date_cost", "source") == before == {("slow",): 19.0}
    assert house.shown("cloudspend_restated_cost", "source") == {("slow",): 0}


def test_it_goes_on_where_it_stopped(house: House) -> None:
    house.poll("slow")
    house.providers["slow"].answer = refusing(Month(2024, 4))
    assert look_back(house) == 3
    house.providers["slow"].asked.clear()
    house.providers["slow"].answer = full(*rows())
    assert look_back(house) == 10
    assert months_asked(house)[0] == "2024-04"


def test_it_stops_when_its_time_is_up(house: House) -> None:
    house.poll("slow")
    assert look_back(house, until=time.monotonic()) == 0
    assert look_back(house) == 13


def test_a_failure_of_the_past_leaves_the_source_up(house: House) -> None:
    house.poll("slow")
    house.providers["slow"].answer = Throttled("no more today")
    assert look_back(house) == 0
    with house.state() as state:
        assert state.source("slow").up


def test_other_sources_are_asked_for_everything_at_once(house: House) -> None:
    house.add("quick", full(*rows()))
    house.poll("quick")
    assert len(house.providers["quick"].asked[0].window.by_month()) == 15
    with house.state() as state:
        assert read_older(house.sources["quick"], house.lake, state, house.clock, (), time.monotonic() + 60) == 0


def test_a_plan_prices_the_older_months_with_the_first_poll(house: House) -> None:
    ahead = list(polls(house.sources["slow"], house.now, None, house.now + DAY))
    assert [len(each.asks) for each in ahead] == [14, 1, 1, 1][: len(ahead)]


def refusing(month: Month) -> Callable[[Ask], Bill]:
    """Says all there is, but not of one month."""

    def answer(ask: Ask) -> Bill:
        if month in ask.window.by_month():
            raise Throttled("not this one")
        return full(*rows())(ask)

    return answer
