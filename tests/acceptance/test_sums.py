"""Σ of what is exported is Σ of the ledgers, to the last digit: paged, restated, in three currencies, with credits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.costs.money import add
from exporter.periods import Month
from exporter.simulator.server import Fault
from tests.acceptance.world import ASKED, CLOUDS, MONTH_TO_DATE, PREVIOUS_MONTH, World, opened, pages_of

# A credit larger than the month's usage on the 3rd, refunds on the 10th; days that each cloud corrects in between.
FIRST = datetime(2023, 4, 12, 8, 5, tzinfo=UTC)
LATER = datetime(2023, 4, 17, 12, 5, tzinfo=UTC)
LABELS = ("provider", "service", "region", "currency")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with opened(tmp_path, monkeypatch, FIRST, LATER) as world:
        for cloud in world.clouds.values():
            pages_of(cloud, 60)
        yield world


def exported(world: World) -> None:
    """Everything that /metrics says is what the ledgers hold at this moment."""
    shown, month = world.scrape(), Month.containing(world.now)
    for name, billed in ((MONTH_TO_DATE, month), (PREVIOUS_MONTH, month.previous())):
        assert shown.sums(name, *LABELS) == world.billed(billed.window(), *LABELS)
    whole = world.billed(month.window(), "provider", "currency")
    assert shown.sums("cloudspend_billed_month_to_date_cost", "provider", "currency") == whole
    joined = {key: amount for key, amount in whole.items() if key[0] != "gcp"}  # which joins account with service
    assert shown.sums("cloudspend_account_month_to_date_cost", "provider", "currency") == joined
    for cloud in CLOUDS:
        assert world.stored(cloud) == world.charged(cloud)
    assert shown.total("cloudspend_unattributed_cost") == 0


def test_what_is_exported_is_the_ledger_before_and_after_restatements(world: World) -> None:
    assert world.poll() == dict.fromkeys(CLOUDS, "")
    assert all(len(cloud.server.asked(ASKED[name])) > 4 for name, cloud in world.clouds.items()), "many pages"
    exported(world)
    before = {name: world.charged(name) for name in CLOUDS}
    world.move(LATER)
    restated = {name: before[name].keys() & world.charged(name).keys() for name in CLOUDS}
    assert all(any(before[name][key] != world.charged(name)[key] for key in keys) for name, keys in restated.items()), (
        "each ledger says something else of a day that it had billed"
    )
    assert world.poll() == dict.fromkeys(CLOUDS, "")
    exported(world)


def test_three_currencies_are_in_no_series_together_and_nothing_is_converted_unasked(world: World) -> None:
    world.poll()
    shown = world.scrape()
    assert shown.values(MONTH_TO_DATE, "currency") == {"USD", "EUR", "CAD"}
    for metric, labels, _ in shown.money():
        assert "converted" not in metric
        assert labels["currency"] in {"USD", "EUR", "CAD"}
    assert not [metric for metric, _, _ in shown if "exchange_rate" in metric]
    assert set(shown.sums(MONTH_TO_DATE, "currency")) == {("USD",), ("EUR",), ("CAD",)}


def test_credits_larger_than_the_usage_make_a_negative_total_of_which_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, monkeypatch, LATER, only=["aws"], months=1, series_limit=5) as world:
        world.poll()
        shown = world.scrape()
        by_kind: dict[str, Decimal] = {}
        for charge in world.clouds["aws"].ledger.shown(world.now):
            kind = {"Credit": "credit", "Refund": "adjustment", "Tax": "tax"}.get(charge.kind, "other")
            by_kind[kind] = add(by_kind.get(kind, Decimal(0)), charge.billed)
        total = add(*by_kind.values())
        assert total < 0
        assert shown.total(MONTH_TO_DATE) == total, "also where small series are folded"
        assert shown.total("cloudspend_source_folded_series") > 0
        categories = shown.sums(MONTH_TO_DATE, "charge_category")
        assert categories["credit",] == by_kind["credit"] < -add(*(by_kind[kind] for kind in ("tax", "other")))
        assert (categories["tax",], categories["adjustment",]) == (by_kind["tax"], by_kind["adjustment"])
        gross = add(categories["usage",], categories["purchase",])
        assert gross == by_kind["other"] > 0, "what is used is not less for a credit"


def test_another_basis_of_cost_gives_another_total_of_the_same_estate(world: World) -> None:
    world.poll("aws", "azure")
    billed, asked = world.scrape(), world.requests()
    amortised = world.render(
        world.config.model_copy(update={"cost": world.config.cost.model_copy(update={"basis": "effective"})})
    )
    month = Month.containing(world.now).window()
    for name in ("aws", "azure"):
        for shown, amount in ((billed, "billed"), (amortised, "amortised")):
            charged: dict[str, Decimal] = {}
            for charge in world.clouds[name].ledger.shown(world.now, month):
                if amount == "billed" or charge.details.get("bill") != "actual":
                    charged[charge.currency] = add(charged.get(charge.currency, Decimal(0)), getattr(charge, amount))
            found = {
                currency: total for (currency,), total in shown.sums(MONTH_TO_DATE, "currency", provider=name).items()
            }
            assert found == charged
        assert billed.sums(MONTH_TO_DATE, "currency", provider=name) != amortised.sums(
            MONTH_TO_DATE, "currency", provider=name
        )
    assert world.requests() == asked, "nobody was asked again"


@pytest.mark.parametrize("name", CLOUDS)
def test_a_lost_page_is_money_without_a_line_until_the_next_poll(world: World, name: str) -> None:
    # Cost Explorer answers for fourteen months, and begins with pages of days on which there was nothing.
    world.inject(name, Fault("lost_page", ASKED[name], after=9 if name == "aws" else 1))
    assert world.poll(name) == {name: ""}
    shown = world.scrape()
    lost = shown.sums("cloudspend_unattributed_cost", "source", "currency")
    assert {source for source, _ in lost} == {name}
    assert world.stored(name) != world.charged(name)
    world.move(LATER)
    assert world.poll(name) == {name: ""}
    assert world.scrape().sums("cloudspend_unattributed_cost", "source") == {}
    assert world.stored(name) == world.charged(name)
