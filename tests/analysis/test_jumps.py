"""Hours that add too much to their month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from exporter.analysis.jumps import Jump, jumps
from exporter.costs import ChargeCategory, CostRow, CostTable
from exporter.periods import DAY, HOUR, Window, day_of, midnight

NOW = datetime(2024, 3, 15, 12, tzinfo=UTC)
"""The hour that is judged."""


def row(at: datetime, amount: Any, service: str = "compute", **changes: Any) -> CostRow:
    values: dict[str, Any] = {
        "start": at,
        "end": at + HOUR,
        "provider": "aws",
        "account": "111122223333",
        "service": service,
        "region": "eu-west-1",
        "billed": Decimal(str(amount)),
        "currency": "USD",
    }
    return CostRow(**values | changes)


def plain(begin: datetime, end: datetime, amount: Any = 10, without: Iterable[datetime] = ()) -> list[CostRow]:
    """The same amount in each hour but some."""
    number = (end - begin) // HOUR
    return [row(at, amount) for at in (begin + n * HOUR for n in range(number)) if at not in set(without)]


def stamped(rows: Iterable[CostRow], source: str = "prod") -> CostTable:
    return CostTable.of(rows).mapped(SourceId=f"'{source}'")


def judged(rows: Iterable[CostRow], minimum: int = 5, share: str = "0.05", hours: int = 1) -> tuple[Jump, ...]:
    """What is said of the newest hours; the days are those rows by day."""
    table = stamped(rows)
    return jumps(table, table, Window(NOW + HOUR - hours * HOUR, NOW + HOUR), Decimal(share), Decimal(minimum))


MONTH = plain(datetime(2024, 3, 1, tzinfo=UTC), NOW)
"""3,480 US dollars before the hour."""


@pytest.mark.parametrize(("cost", "jumped"), [("174.00", False), ("174.01", True), ("10", False), ("-500", False)])
def test_an_hour_jumps_past_a_share_of_the_month_before_it(cost: str, jumped: bool) -> None:
    found = judged([*MONTH, row(NOW, cost)])
    assert [(each.hour, each.cost, each.before, each.dearest) for each in found] == (
        [(NOW, Decimal(cost), Decimal(3480), Decimal(10))] if jumped else []
    )


def test_it_tells_what_moved_the_largest_first_against_a_mean_hour() -> None:
    [jump] = judged([*MONTH, row(NOW, 13), row(NOW, 90, "new"), row(NOW, 117, "disk"), row(NOW - HOUR, 24, "disk")])
    assert jump.services == (("disk", Decimal("116.00")), ("new", Decimal("90.00")), ("compute", Decimal("3.00")))
    assert jump.percent == Decimal("6.3")
    assert jump.sentence == (
        "prod (aws) cost 220.00 USD in the hour from 12:00 UTC on 15 March 2024, 6.3% of its month until then; no hour"
        " of the day before cost more than 34.00."
    )


def test_an_hour_that_is_no_dearer_than_the_day_before_by_the_same_share_does_not_jump() -> None:
    dear = row(NOW - 20 * HOUR, 290)
    assert judged([*MONTH, dear, row(NOW, 300)]) == ()
    assert len(judged([*MONTH, dear, row(NOW, 320)])) == 1


def test_the_first_hours_of_a_month_are_quiet_and_a_jump_among_them_is_not() -> None:
    first = datetime(2024, 4, 1, tzinfo=UTC)
    rows = [*plain(first - 3 * DAY, first), *plain(first, first + DAY, "10.4"), *plain(first + DAY, first + 2 * DAY)]
    table = stamped(rows)
    assert jumps(table, table, Window(first - DAY, first + DAY), Decimal("0.05"), Decimal(5)) == ()
    table = stamped([*rows, row(first, 40, "new")])
    [jump] = jumps(table, table, Window(first - DAY, first + DAY), Decimal("0.05"), Decimal(5))
    assert (jump.hour, jump.before, jump.percent) == (first, Decimal(0), None)
    assert "of its month" not in jump.sentence


@pytest.mark.parametrize(
    "changes",
    [
        {"category": ChargeCategory.PURCHASE},
        {"category": ChargeCategory.TAX},
        {"category": ChargeCategory.CREDIT, "billed": Decimal(-900)},
    ],
)
def test_fees_taxes_and_credits_are_neither_a_jump_nor_hide_one(changes: Mapping[str, Any]) -> None:
    assert judged([*MONTH, row(NOW, 900, **changes)]) == ()
    assert len(judged([*MONTH, row(NOW, 900, **changes), row(NOW, 400)])) == 1


def test_a_gap_makes_no_jump_and_what_comes_late_belongs_to_its_hour() -> None:
    gap = [NOW - number * HOUR for number in range(1, 9)]
    rows = plain(datetime(2024, 3, 1, tzinfo=UTC), NOW + HOUR, without=gap)
    assert judged(rows, hours=48) == ()
    assert judged([*rows, *(row(at, 10) for at in gap)], hours=48) == ()


def test_next_to_few_hours_nothing_is_dear() -> None:
    begin = midnight(day_of(NOW)) + HOUR
    assert judged([*plain(begin, NOW), row(NOW, 400)]) == ()
    assert len(judged([*plain(begin - HOUR, NOW), row(NOW, 400)])) == 1


def test_less_than_the_minimum_is_never_told_and_the_share_is_as_configured() -> None:
    assert judged([*MONTH, row(NOW, 400)], minimum=400) == ()
    assert judged([*MONTH, row(NOW, 400)], share="0.2") == ()


def test_currencies_and_providers_are_judged_apart() -> None:
    others = [row(at.begins, 1000, currency="EUR") for at in MONTH]
    clouds = [row(at.begins, 1000, provider="gcp") for at in MONTH]
    found = judged([*MONTH, *others, *clouds, row(NOW, 400), row(NOW, 1000, currency="EUR")])
    assert [(each.source, each.provider, each.currency) for each in found] == [("prod", "aws", "USD")]
