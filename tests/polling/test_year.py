"""The clock driven over months: days settle one by one, months roll over, and nothing is lost or counted twice."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from exporter.costs import Ask, Bill, ChargeCategory, CostRow, CostTable, Scope
from exporter.periods import DAY, Month, Window, day_of, midnight
from tests.costs.rows import row
from tests.polling.house import House, at


def final(day: date) -> Decimal:
    """What a day costs once it has settled."""
    return Decimal(100) + Decimal(day.toordinal() % 7) / 8


def fee(day: date) -> Decimal:
    return Decimal(30) if day.day == 1 else Decimal(0)


def bill(house: House, first: date) -> object:
    """A bill whose days grow for a day, are restated down on the next, and hold still from then on."""

    def answer(ask: Ask) -> Bill:
        rows: list[CostRow] = []
        for day in Window.of_days(first, day_of(house.now) + DAY).days():
            age = house.now - midnight(day)
            share = Decimal("0.5") if age < DAY else Decimal("1.25") if age < 2 * DAY else Decimal(1)
            rows.append(row(day.isoformat(), str(final(day) * share)))
            if fee(day):
                rows.append(row(day.isoformat(), str(fee(day)), category=ChargeCategory.PURCHASE))
        costs = CostTable.of(rows).during(ask.window)
        return Bill(costs=costs, covered=(Scope(ask.window),), totals=costs)

    return answer


def drive(house: House, first: date, last: date) -> None:
    house.now = midnight(first) + timedelta(hours=12)
    house.add("a", bill(house, first))  # type: ignore[arg-type]
    settled: dict[date, float] = {}
    while day_of(house.now) < last:
        house.poll("a")
        today = day_of(house.now)
        month = Month.of(today)
        samples = [
            (sample.name, sample.value) for family in parse(house.publish().plain.decode()) for sample in family.samples
        ]
        shown: dict[str, float] = {}
        for name, value in samples:
            shown[name] = shown.get(name, 0.0) + value
        end = shown.get("cloudspend_data_end_timestamp_seconds")
        if end is not None:
            settled[day_of(at("1970-01-01T00:00:00") + timedelta(seconds=end)) - DAY] = shown["cloudspend_daily_cost"]
        running = [day for day in month.window().days() if first <= day <= today]
        complete = [day for day in running if midnight(day) + 2 * DAY <= house.now]
        assert shown["cloudspend_month_to_date_cost"] >= float(sum(final(day) + fee(day) for day in complete))
        assert shown["cloudspend_month_start_timestamp_seconds"] == midnight(month.first).timestamp()
        assert shown["cloudspend_unattributed_cost"] == 0
        assert shown["cloudspend_restated_cost"] == 0, "days move only before they settle"
        past = [day for day in month.previous().window().days() if day >= first]
        if shown["cloudspend_previous_month_closed"] and past:
            assert shown["cloudspend_previous_month_cost"] == float(sum(final(day) + fee(day) for day in past))
        house.now += DAY
    days = list(Window.of_days(first, last - 3 * DAY).days())
    assert sorted(settled) == days, "every day settles, once"
    assert settled == {day: float(final(day) + fee(day)) for day in days}
    total = house.lake.read(Window.of_days(days[0], days[-1] + DAY)).sum()
    assert float(total) == sum(settled.values())


def test_every_day_over_a_leap_day_and_two_month_edges_settles_once_at_its_final_cost(tmp_path: Path) -> None:
    drive(House(tmp_path), date(2024, 1, 28), date(2024, 3, 10))


@pytest.mark.matrix
def test_every_day_of_a_year_settles_once_at_its_final_cost(tmp_path: Path) -> None:
    drive(House(tmp_path), date(2023, 12, 20), date(2025, 1, 15))
