"""The tripwire: the first spend ever, told once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from exporter.analysis.tripwire import Place, Watched, learn, trip
from exporter.costs import CostRow, CostTable
from tests.costs.rows import row

NOBODY = Watched(frozenset(), {})


def table(*rows: CostRow) -> CostTable:
    return CostTable.of(rows).mapped(SourceId="'bill'")


OLD = row("2026-03-01", "10", account="prod", service="EC2", region="east")
_, KNOWN = trip(table(OLD), NOBODY)


def names(*rows: CostRow, minimum: str = "0") -> list[tuple[str, str]]:
    found, _ = trip(table(OLD, *rows), KNOWN, minimum=Decimal(minimum))
    return [(first.place.kind, first.place.name) for first in found]


def test_a_source_that_is_seen_for_the_first_time_is_learned_in_silence() -> None:
    found, known = trip(table(OLD), NOBODY)
    assert found == ()
    assert Place("bill", "aws", "region", "east") in known.places
    assert known.since == {"bill": datetime(2026, 3, 1, tzinfo=UTC)}


def test_the_first_spend_in_a_region_is_told_with_its_hour_and_amount_and_only_once() -> None:
    began = datetime(2026, 3, 9, 14, tzinfo=UTC)
    hours = [row("2026-03-09", "0.3", account="prod", service="EC2", region="sydney") for _ in range(2)]
    new = [
        CostRow(
            start=began + timedelta(hours=n),
            end=began + timedelta(hours=n + 1),
            account=each.account,
            service=each.service,
            region=each.region,
            provider=each.provider,
            billed=each.billed,
            currency=each.currency,
        )
        for n, each in enumerate(hours)
    ]
    [first], known = trip(table(OLD, *new), KNOWN)
    assert first.place == Place("bill", "aws", "region", "sydney")
    assert (first.since, first.cost, first.currency) == (began, Decimal("0.6"), "USD")
    assert first.sentence == "First spend ever in aws region sydney (bill): 0.6 USD since 2026-03-09 14:00 UTC."
    assert trip(table(OLD, *new), known)[0] == ()


def test_a_new_account_is_told_as_the_account_and_not_again_as_what_is_in_it() -> None:
    assert names(row("2026-03-09", "5", account="fresh", service="Bedrock", region="tokyo")) == [("account", "fresh")]


def test_a_region_that_an_old_account_shares_with_a_new_one_is_told_too() -> None:
    new = [row("2026-03-09", "5", account=each, service="EC2", region="tokyo") for each in ("fresh", "prod")]
    assert sorted(names(*new)) == [("account", "fresh"), ("region", "tokyo")]


def test_what_costs_too_little_stays_unknown_until_it_costs_more() -> None:
    small = row("2026-03-09", "0.5", account="prod", service="KMS", region="east")
    assert names(small, minimum="1") == []
    found, known = trip(table(OLD, small), KNOWN, minimum=Decimal(1))
    assert found == ()
    more = row("2026-03-10", "0.7", account="prod", service="KMS", region="east")
    found, _ = trip(table(OLD, small, more), known, minimum=Decimal(1))
    assert [first.place.name for first in found] == ["KMS"]


def test_free_usage_credits_and_lines_without_a_region_trip_nothing() -> None:
    free = row("2026-03-09", "0", account="prod", service="Free", region="east")
    credit = row("2026-03-09", "-5", account="prod", service="Promotion", region="east")
    nowhere = row("2026-03-09", "5", account="prod", service="EC2", region="global")
    assert names(free, credit, nowhere) == []


def test_the_dearest_is_told_first() -> None:
    new = [
        row("2026-03-09", cost, account="prod", service=name, region="east") for name, cost in (("A", "1"), ("B", "9"))
    ]
    assert names(*new) == [("service", "B"), ("service", "A")]


def test_what_is_known_reads_back_as_it_was_written() -> None:
    assert KNOWN.places
    assert KNOWN.since
    assert Watched.read(KNOWN.written()) == KNOWN
    assert Watched.read(NOBODY.written()) == NOBODY
    assert all(isinstance(place, Place) for place in Watched.read(KNOWN.written()).places)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"places": [[]], "since": {}}', "3"])
def test_what_the_tripwire_did_not_write_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not what the tripwire knows"):
        Watched.read(text)


def test_a_past_that_is_learned_is_what_a_first_look_would_know() -> None:
    costs = table(row("2024-09-01", "5", region="r1"), row("2024-09-02", "7", region="r2", account="b"))
    _, looked = trip(costs, NOBODY)
    assert learn(costs, NOBODY) == looked


def test_what_cost_less_than_the_minimum_is_not_learned() -> None:
    costs = table(row("2024-09-01", "5", region="r1"), row("2024-09-02", "0.01", region="r2"))
    known = learn(costs, NOBODY, minimum=Decimal(1))
    assert {place.name for place in known.places if place.kind == "region"} == {"r1"}
