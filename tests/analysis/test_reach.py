"""How far data reaches, and which day is the latest to trust."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from exporter.analysis.finality import Finality
from exporter.analysis.reach import Reach, common_day, reach
from exporter.costs import CostTable
from tests.costs.rows import row

TWO_DAYS = timedelta(hours=48)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def read(table: CostTable, now: str, *more: Any, **named: Any) -> Reach | None:
    return reach(table, at(now), at(now), *more, **named)


def days(first: str, last: str) -> CostTable:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    count = (end - start).days + 1
    return CostTable.of([row((start + timedelta(i)).isoformat(), "1") for i in range(count)])


def test_the_latest_settled_day_ended_settles_after_ago() -> None:
    found = read(days("2024-09-01", "2024-09-20"), "2024-09-20T12:00:00", TWO_DAYS)
    assert found is not None
    assert found.latest_day == date(2024, 9, 17)
    assert found.newest == at("2024-09-21T00:00:00")


def test_a_day_that_the_provider_estimates_has_not_settled_nor_those_after_it() -> None:
    found = read(days("2024-09-01", "2024-09-20"), "2024-09-20T12:00:00", TWO_DAYS, [date(2024, 9, 15)])
    assert found is not None
    assert found.latest_day == date(2024, 9, 14)


def test_data_that_stops_early_ends_the_settled_days_early() -> None:
    found = read(days("2024-09-01", "2024-09-10"), "2024-09-20T12:00:00", TWO_DAYS)
    assert found is not None
    assert found.latest_day == date(2024, 9, 10)


def test_before_any_day_has_settled_there_is_no_latest_day() -> None:
    found = read(days("2024-09-20", "2024-09-20"), "2024-09-20T12:00:00", TWO_DAYS)
    assert found is not None
    assert found.settled is None
    assert found.latest_day is None


def test_a_month_long_fee_proves_nothing_about_the_days_until_its_end() -> None:
    fee = CostTable.of([row("2024-09-01", "100", end=at("2024-10-01T00:00:00"))])
    found = read(fee, "2024-09-20T12:00:00", TWO_DAYS)
    assert found is not None
    assert found.newest == at("2024-09-02T00:00:00")


def test_charges_of_the_future_do_not_reach_into_it() -> None:
    found = read(days("2024-09-01", "2024-09-30"), "2024-09-10T12:00:00", TWO_DAYS)
    assert found is not None
    assert found.newest == at("2024-09-11T00:00:00")


def test_a_month_settles_with_its_last_day_and_is_closed_on_the_tenth() -> None:
    table = days("2024-09-01", "2024-10-03")
    hours = ("2024-10-02T23:59:59", "2024-10-03T00:00:00", "2024-10-09T23:59:59", "2024-10-10T00:00:00")
    reaches = [found for hour in hours if (found := read(table, hour, TWO_DAYS))]
    assert [str(each.previous_month) for each in reaches] == ["settling", "settled", "settled", "closed"]
    assert [each.previous_month_closed for each in reaches] == [False, False, False, True]


def test_a_day_that_was_read_too_early_has_not_settled_however_late_it_is() -> None:
    table = days("2024-09-01", "2024-09-20")
    found = reach(table, at("2024-10-20T00:00:00"), at("2024-09-20T12:00:00"), TWO_DAYS)
    assert found is not None
    assert found.latest_day == date(2024, 9, 17)
    assert not found.previous_month_closed


def test_days_that_were_answered_for_without_charges_settle_too() -> None:
    fee = CostTable.of([row("2024-09-01", "100")])
    quiet = read(fee, "2024-09-20T12:00:00", TWO_DAYS, answered=at("2024-09-21T00:00:00"))
    silent = read(fee, "2024-09-20T12:00:00", TWO_DAYS)
    assert quiet is not None
    assert silent is not None
    assert (quiet.latest_day, silent.latest_day) == (date(2024, 9, 17), date(2024, 9, 1))


def test_no_charges_have_no_reach() -> None:
    assert read(CostTable.nothing(), "2024-09-01T00:00:00", TWO_DAYS) is None


def test_the_common_day_is_settled_everywhere_and_old_bills_do_not_hold_it_back() -> None:
    now = at("2024-09-20T12:00:00")
    aws = Reach(at("2024-09-21T00:00:00"), at("2024-09-18T00:00:00"), previous_month=Finality.CLOSED)
    azure = Reach(at("2024-09-20T00:00:00"), at("2024-09-16T00:00:00"), previous_month=Finality.CLOSED)
    history = Reach(at("2022-01-01T00:00:00"), at("2022-01-01T00:00:00"), previous_month=Finality.CLOSED)
    fresh = Reach(at("2024-09-21T00:00:00"), None, previous_month=Finality.CLOSED)
    assert common_day([aws, azure, history], now) == date(2024, 9, 15)
    assert common_day([history], now) is None
    assert common_day([aws, fresh], now) is None
