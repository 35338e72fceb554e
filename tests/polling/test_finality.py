"""How long days move: learned from what polls saw."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from exporter.periods import DAY, midnight
from exporter.polling.finality import Vintage, news, observed
from tests.polling.house import HOUR, at

NOW = at("2024-09-30T00:00:00")


def vintages(day: date, *steps: tuple[int, str]) -> list[Vintage]:
    """Totals of a day, each seen so many hours after its end."""
    return [Vintage(day, "USD", midnight(day + DAY) + hours * HOUR, Decimal(total)) for hours, total in steps]


def fortnight(*steps: tuple[int, str]) -> list[Vintage]:
    return [each for i in range(14) for each in vintages(date(2024, 9, 1) + timedelta(i), *steps)]


def test_the_last_notable_change_of_any_day_tells_how_long_days_move() -> None:
    assert observed(fortnight((-2, "5"), (6, "9"), (30, "10")), NOW) == 30 * HOUR
    late = vintages(date(2024, 9, 15), (1, "5"), (70, "10"))
    assert observed(fortnight((-2, "5"), (6, "10")) + late, NOW) == 70 * HOUR


def test_a_change_of_less_than_half_a_percent_is_not_notable() -> None:
    assert observed(fortnight((1, "9.96"), (90, "10")), NOW) == timedelta(0)
    assert observed(fortnight((1, "9.94"), (90, "10")), NOW) == 90 * HOUR


def test_a_refund_counts_as_a_change_whatever_its_sign() -> None:
    assert observed(fortnight((1, "10"), (50, "-3")), NOW) == 50 * HOUR


def test_less_than_a_fortnight_teaches_nothing() -> None:
    assert observed(fortnight((1, "5"), (6, "10"))[:-2], NOW) is None
    assert observed([], NOW) is None


def test_days_that_may_still_move_and_days_first_seen_late_say_nothing() -> None:
    fresh = vintages(date(2024, 9, 25), (1, "5"), (100, "10"))
    backfilled = vintages(date(2024, 8, 1), (900, "5"), (950, "10"))
    assert observed(fortnight((1, "10")) + fresh + backfilled, NOW) == timedelta(0)


def test_only_what_is_new_or_changed_becomes_a_vintage() -> None:
    first = news({(date(2024, 9, 1), "USD"): Decimal(1), (date(2024, 9, 2), "USD"): Decimal(2)}, [], NOW)
    assert [(each.day.day, each.billed) for each in first] == [(1, 1), (2, 2)]
    again = news({(date(2024, 9, 1), "USD"): Decimal(1), (date(2024, 9, 2), "USD"): Decimal(3)}, first, NOW + HOUR)
    assert [(each.day.day, each.billed, each.seen) for each in again] == [(2, 3, NOW + HOUR)]
    back = news({(date(2024, 9, 2), "USD"): Decimal(2)}, [*first, *again], NOW + 2 * HOUR)
    assert [each.billed for each in back] == [2], "a total that returns is a change too"
