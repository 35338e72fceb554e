"""The demo bill: the same every time, whole however it is cut, and each event of its story where it should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from statistics import mean
from typing import Any

import pytest

from exporter.clock import VARIABLE, Clock
from exporter.costs import Ask, Bill, ChargeCategory, Cost, CostLine, CostTable, Scope
from exporter.periods import DAY, Month, Window, midnight
from exporter.providers import Options, spec
from exporter.providers.demo import SPEC, DemoOptions, connect
from exporter.providers.demo_estate import AWS_DEV, AWS_PROD, AZURE, CLUSTER_REGIONS, EC2, EC2_OTHER, RDS
from exporter.testing.contract import BillContract, CountingMeter

NOW = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
BEGINNING = date(2025, 10, 1)
LIFE = Window.of_days(BEGINNING, date(2026, 11, 22))
OCTOBER = Month(2026, 10).window()
USAGE = "usage"

# Everything that makes a charge what it is, and its four amounts.
WHOLE_ROW = (
    "ServiceProviderName, BillingAccountId, SubAccountId, ServiceName, RegionId, ChargeCategory, ChargeClass",
    "CommitmentDiscountStatus, BillingCurrency, Tags::VARCHAR, ChargePeriodStart, ChargePeriodEnd",
    "BillingPeriodStart, IsEstimated, CostBasis, BilledCost, EffectiveCost, ListCost, ContractedCost",
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def days(first: date | str, until: date | str) -> Window:
    def read(day: date | str) -> date:
        return date.fromisoformat(day) if isinstance(day, str) else day

    return Window.of_days(read(first), read(until))


def fetch(window: Window, now: datetime = NOW, *tags: str, seed: int = 7) -> Bill:
    return connect(DemoOptions(seed=seed), CountingMeter(), Clock(frozen=now)).fetch(Ask(window, tags=tags))


@cache
def whole_bill() -> Bill:
    """All 14 months as they look at NOW."""
    return fetch(LIFE)


def charges(*bills: Bill) -> Counter[tuple[Any, ...]]:
    """Every row, exactly, in no order."""
    return Counter(row for bill in bills for row in bill.costs.select(*WHOLE_ROW))


def amounts(table: CostTable) -> dict[str, tuple[Decimal, Decimal]]:
    return {line.currency: (line.billed, line.effective) for line in table.by().rows()}


def daily_mean(table: CostTable, chosen: Iterable[date]) -> float:
    daily = table.daily()
    return mean(float(daily[day]) for day in chosen)


def usage(table: CostTable, **labels: str) -> CostTable:
    return table.where(charge_category=USAGE, **labels)


def by_line_and_day(bill: Bill) -> dict[tuple[str, ...], Decimal]:
    """(provider, account, service, region, day) → billed, usage only."""
    lines = usage(bill.costs).by("provider", "account", "service", "region", "day").rows()
    return {line.key: line.billed for line in lines}


class TestTheDemoBillIsABill(BillContract):
    """What holds for every provider."""

    spec = replace(SPEC, connect=lambda options, meter: connect(options, meter, Clock(frozen=NOW)))
    window = (date(2026, 10, 28), date(2026, 11, 22))
    split = date(2026, 11, 9)


# How it is made


def test_the_registry_finds_it_and_it_asks_for_no_permission() -> None:
    found = spec("demo")
    assert found is SPEC
    assert found.label == ""
    assert found.permissions == ()
    assert found.grains == {"day"}
    assert (found.settles_after, found.poll_every) == (timedelta(hours=48), timedelta(hours=1))
    assert issubclass(found.options, Options)


def test_its_history_reaches_the_estates_beginning_on_every_day_of_the_year() -> None:
    assert SPEC.history is not None
    for day in days("2023-01-01", "2025-01-01").days():
        assert midnight(day) - SPEC.history <= midnight(Month.of(day).back(13).first)


def test_the_same_seed_at_the_same_instant_gives_the_same_bill() -> None:
    window = days("2026-10-01", "2026-11-22")
    assert charges(fetch(window)) == charges(fetch(window))


def test_the_bill_of_a_closed_month_is_the_same_on_every_machine_to_the_last_digit() -> None:
    totals = {line.key[0]: line.billed for line in fetch(OCTOBER).costs.by("provider").rows()}
    assert totals == {
        "aws": Decimal("39935.5868038376"),
        "azure": Decimal("12037.28724828"),
        "gcp": Decimal("14999.848202"),
    }


def test_another_seed_gives_another_bill_of_the_same_shape() -> None:
    one, other = fetch(OCTOBER), fetch(OCTOBER, seed=8)
    assert charges(one) != charges(other)
    assert by_line_and_day(one).keys() == by_line_and_day(other).keys()


def test_the_clock_of_the_environment_is_asked_when_the_bill_is(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = connect(DemoOptions(), CountingMeter())
    monkeypatch.setenv(VARIABLE, "2024-10-02T12:00:00Z,frozen")
    assert max(provider.fetch(Ask(days("2024-09-25", "2024-10-09"))).estimated) == date(2024, 10, 2)


def test_one_request_is_metered_a_fetch() -> None:
    meter = CountingMeter()
    connect(DemoOptions(), meter, Clock(frozen=NOW)).fetch(Ask(OCTOBER))
    assert meter.operations == ["fetch"]


# How it is cut


def test_two_half_windows_are_the_whole() -> None:
    first, second = fetch(Window(LIFE.start, at("2026-02-01"))), fetch(Window(at("2026-02-01"), LIFE.end))
    assert charges(first, second) == charges(whole_bill())
    assert first.estimated | second.estimated == whole_bill().estimated


@pytest.mark.parametrize("seam", ["2026-10-28T12:00", "2026-11-01", "2026-11-14", "2026-11-20", "2026-11-21"])
def test_it_does_not_matter_where_a_window_is_cut(seam: str) -> None:
    window = days("2026-10-26", "2026-11-22")
    first, second = fetch(Window(window.start, at(seam))), fetch(Window(at(seam), window.end))
    assert charges(first, second) == charges(fetch(window))


def test_a_window_that_begins_within_a_day_leaves_that_day_out() -> None:
    bill = fetch(Window(at("2026-11-02T06:00"), at("2026-11-04T06:00")))
    assert {line.key for line in bill.costs.by("day").rows()} == {("2026-11-03",), ("2026-11-04",)}


def test_the_totals_are_the_bill_in_each_currency() -> None:
    bill = whole_bill()
    assert bill.totals is not None
    assert amounts(bill.totals) == amounts(bill.costs)
    assert set(amounts(bill.costs)) == {"EUR", "USD"}


def test_the_totals_have_one_row_per_account_and_day() -> None:
    totals = fetch(days("2026-11-01", "2026-11-11")).totals
    assert totals is not None
    lines = totals.by("provider", "account", "day").rows()
    assert len(lines) == 5 * 10
    assert {line.rows for line in lines} == {1}


def test_a_window_reaching_past_both_ends_covers_the_estates_life() -> None:
    bill = fetch(days("2020-01-01", "2030-01-01"))
    assert bill.covered == (Scope(LIFE),)
    assert charges(bill) == charges(whole_bill())


def test_before_the_beginning_there_is_provably_nothing() -> None:
    before = days("2025-01-01", BEGINNING)
    bill = fetch(before)
    assert bill.covered == (Scope(before),)
    assert not charges(bill)


def test_nothing_is_said_about_the_future_or_about_no_time_at_all() -> None:
    for window in (days("2026-11-22", "2027-01-01"), days("2026-11-03", "2026-11-03")):
        bill = fetch(window)
        assert bill.covered == ()
        assert bill.estimated == frozenset()
        assert not charges(bill)


def test_no_charge_starts_after_now() -> None:
    span = whole_bill().costs.select("min(ChargePeriodStart)", "max(ChargePeriodStart)")
    assert span == [(datetime(2025, 10, 1), datetime(2026, 11, 21))]  # noqa: DTZ001  the table's instants are bare UTC


# The estate


def test_three_clouds_and_five_named_accounts() -> None:
    owners = {line.key for line in whole_bill().costs.by("provider", "account").rows()}
    assert Counter(provider for provider, _ in owners) == {"aws": 2, "azure": 1, "gcp": 2}
    assert set(whole_bill().accounts) == {account for _, account in owners}
    assert all(whole_bill().accounts.values())


def test_the_estate_has_a_few_hundred_lines_and_history_stays_quick_to_read() -> None:
    assert 150 <= len(whole_bill().costs.by("provider", "account", "service", "region").rows()) <= 400
    assert 50_000 < whole_bill().costs.select("count(*)")[0][0] <= 110_000


def test_a_month_costs_about_what_an_estate_of_that_size_does() -> None:
    october = {line.key[0]: line for line in whole_bill().costs.during(OCTOBER).by("provider").rows()}
    assert {name: line.currency for name, line in october.items()} == {"aws": "USD", "azure": "EUR", "gcp": "USD"}
    for provider, amount in (("aws", 40_000), ("azure", 12_000), ("gcp", 15_000)):
        assert amount * Decimal("0.9") < october[provider].billed < amount * Decimal("1.1")


def test_amounts_carry_as_many_decimals_as_those_bills_do() -> None:
    for provider, places in (("aws", 10), ("azure", 8), ("gcp", 6)):
        billed = [row[0] for row in usage(whole_bill().costs, provider=provider).select("BilledCost")]
        assert max(len(format(amount.normalize(), "f").partition(".")[2]) for amount in billed) == places


def test_the_list_price_of_usage_is_never_below_what_was_paid() -> None:
    for line in usage(whole_bill().costs).by("provider").rows():
        assert line.list is not None
        assert line.contracted is not None
        assert line.list >= line.contracted == line.billed


def test_tags_come_only_when_asked_and_only_those() -> None:
    window = days("2026-11-05", "2026-11-06")
    assert {row[0] for row in fetch(window).costs.select("Tags::VARCHAR")} == {"{}"}
    teams = fetch(window, NOW, "team").costs
    assert {line.key for line in teams.by("tag:env").rows()} == {("none",)}
    assert {("shop",), ("none",)} < {line.key for line in teams.by("tag:team").rows()}
    both = fetch(window, NOW, "env", "team", "cost-centre").costs
    assert {line.key for line in both.by("tag:env").rows()} == {("prod",), ("dev",), ("none",)}
    assert amounts(both) == amounts(teams) == amounts(fetch(window).costs)


def test_a_note_says_that_the_bill_is_invented() -> None:
    assert [note.subject for note in whole_bill().notes] == ["invented"]


# The story


def test_compute_costs_a_third_less_on_weekends() -> None:
    compute = usage(whole_bill().costs, account=AWS_PROD.id, service=EC2)
    week = [date(2026, 11, 2) + n * DAY for n in range(7)]
    assert daily_mean(compute, week[5:]) < 0.75 * daily_mean(compute, week[:5])


def test_the_estate_grows_by_two_percent_a_month() -> None:
    storage = usage(whole_bill().costs, service="Storage", provider="azure")
    then, now = Month(2025, 10).window(), OCTOBER
    grown = float(storage.during(now).sum()) / float(storage.during(then).sum())
    assert grown == pytest.approx(1.02**12, rel=0.005)


def test_a_deployment_nine_weeks_ago_made_one_service_a_third_dearer_and_it_stays() -> None:
    database = usage(whole_bill().costs, service=RDS, account=AWS_PROD.id)
    day = date(2026, 9, 15)
    before, after, today = (
        daily_mean(database, window.days())
        for window in (days(day - 14 * DAY, day), days(day, day + 14 * DAY), days("2026-11-05", "2026-11-19"))
    )
    assert after / before == pytest.approx(1.35 * 1.02 ** (14 / 30.4), rel=0.01)
    assert today > after


def test_deployments_come_every_18_weeks_to_one_service_after_another() -> None:
    weekly = [date(2026, 11, 17) - 7 * n * DAY for n in range(58)][::-1]
    lines = usage(whole_bill().costs).by("provider", "service", "day").rows()
    spent = {line.key: line.billed for line in lines}
    compared = (("aws", RDS), ("gcp", "Cloud Run"), ("azure", "Azure App Service"), ("aws", "Amazon DynamoDB"))
    jumps = {}
    for place in compared:
        for last, this in pairwise(weekly):
            if spent[*place, this.isoformat()] > spent[*place, last.isoformat()] * Decimal("1.2"):
                jumps[place] = this
    assert jumps[compared[0]] == date(2026, 9, 15)
    assert sorted(jumps.values(), reverse=True) == [date(2026, 9, 15) - n * 18 * 7 * DAY for n in range(len(jumps))]
    assert len(jumps) == 3


def test_a_cluster_forgotten_19_days_ago_runs_flat_and_untagged_in_a_region_dark_for_months() -> None:
    region = "ap-southeast-2"
    bill = fetch(days("2026-07-01", "2026-11-20"), NOW, "team")
    here = bill.costs.where(region=region, provider="aws")
    daily = here.daily()
    assert min(daily) == date(2026, 11, 2)
    assert max(daily.values()) / min(daily.values()) < Decimal("1.01")
    assert [line.key for line in here.by("account", "tag:team").rows()] == [(AWS_DEV.id, "none")]
    assert 40 < daily[date(2026, 11, 10)] < 70


def test_a_forgotten_cluster_is_found_after_40_days_and_another_begins_two_days_later() -> None:
    costs = fetch(days("2026-11-01", "2027-01-01"), at("2027-01-20")).costs.where(account=AWS_DEV.id)
    spans = {region: costs.where(region=region).span() for region in CLUSTER_REGIONS}
    assert spans["ap-southeast-2"] == days("2026-11-02", "2026-12-12")
    assert spans["us-west-2"] == days("2026-12-14", "2027-01-01")
    assert spans["sa-east-1"] is None


def test_a_gateway_runs_away_for_two_days_from_the_14th() -> None:
    gateway = usage(whole_bill().costs, account=AWS_PROD.id, service=EC2_OTHER, region="eu-central-1")
    november = gateway.during(days("2026-11-01", "2026-11-20")).daily()
    plain = mean(float(cost) for day, cost in november.items() if day.day not in (14, 15))
    for day, cost in november.items():
        assert float(cost) / plain == pytest.approx(12 if day.day in (14, 15) else 1, rel=0.05)


def test_only_one_gateway_runs_away_in_a_month() -> None:
    lines = by_line_and_day(whole_bill())
    dear = {
        (*key[:4], key[4][:7]) for key, cost in lines.items()
        if key[2] == EC2_OTHER and key[4].endswith("-14") and cost > 8 * lines[(*key[:4], key[4][:-2] + "12")]
    }  # fmt: skip
    assert Counter(month for *_, month in dear) == {str(month): 1 for month in LIFE.months()}
    assert len({key[:4] for key in dear}) == 5


def test_support_is_billed_in_full_on_the_first_for_the_whole_month() -> None:
    support = whole_bill().costs.during(Month(2026, 11).window()).where(service=("AWS Support (Business)", "Support"))
    bare = (datetime(2026, 11, 1), datetime(2026, 12, 1))  # noqa: DTZ001  the table's instants are bare UTC
    found = support.select("ChargeCategory", "ChargePeriodStart", "ChargePeriodEnd", "BilledCost", "EffectiveCost")
    assert sorted(found) == [("Purchase", *bare, Decimal(fee), Decimal(fee)) for fee in (500, 1150)]


def test_tax_comes_on_the_first_and_belongs_to_the_month_before() -> None:
    tax = whole_bill().costs.where(charge_category="tax").by("provider", "account", "day", "billing_month").rows()
    assert {(line.key[2], line.key[3]) for line in tax} == {
        (str(month.first), str(month.previous())) for month in LIFE.months()
    }
    assert {line.key[0] for line in tax} == {"aws", "gcp"}
    assert all(line.billed > 0 for line in tax)


def test_one_project_has_a_promotional_credit_every_day() -> None:
    credit = whole_bill().costs.where(charge_category="credit")
    assert [line.key for line in credit.by("provider", "account").rows()] == [("gcp", "demo-data-lab-000002")]
    daily = credit.daily()
    assert set(daily) == set(LIFE.days())
    assert max(daily.values()) < 0


def test_a_refund_corrects_an_earlier_invoice_once_a_quarter() -> None:
    refunds = whole_bill().costs.select("ChargePeriodStart::DATE", "ChargeCategory", "BilledCost", "ChargeClass")
    negative = [row for row in refunds if row[3] == "Correction"]
    assert [row[0] for row in sorted(negative)] == [date(2025, 10, 10), *(date(2026, m, 10) for m in (1, 4, 7, 10))]
    assert {(row[1], row[2]) for row in negative} == {("Purchase", Decimal("-287.5"))}


def test_the_savings_plan_costs_the_same_billed_and_effective_in_every_whole_month() -> None:
    for month in list(LIFE.months())[:-1]:
        costs = whole_bill().costs.during(month.window()).where(provider="aws")
        assert costs.sum(Cost.BILLED) == costs.sum(Cost.EFFECTIVE)
        plan = costs.where(service="Savings Plans for AWS Compute usage", charge_category="purchase")
        assert plan.sum(Cost.BILLED) == 138 * (month.window().end - month.window().start).days
        assert plan.sum(Cost.EFFECTIVE) == 0


def test_usage_under_the_savings_plan_is_billed_nothing_and_part_of_a_weekend_goes_unused() -> None:
    status = {line.key: line for line in usage(whole_bill().costs).by("commitment_status", "service").rows()}
    used, unused = status["used", EC2], status["unused", "Savings Plans for AWS Compute usage"]
    assert used.billed == unused.billed == 0
    assert 0 < unused.effective < used.effective / 10
    idle = usage(whole_bill().costs, commitment_status="unused").by("day").rows()
    assert {date.fromisoformat(line.key[0]).weekday() for line in idle} == {5, 6}


def test_batch_services_run_on_tuesdays_only() -> None:
    for service in ("AWS Glue", "Azure Data Factory v2", "Cloud Dataflow"):
        ran = usage(whole_bill().costs, service=service).daily()
        assert set(ran) == {day for day in LIFE.days() if day.weekday() == 1}


def test_only_the_free_tier_and_covered_usage_cost_nothing_and_no_usage_is_negative() -> None:
    lines = usage(whole_bill().costs).select("BilledCost", "ServiceName", "CommitmentDiscountStatus")
    assert min(lines)[0] == 0
    free = {(service, status) for billed, service, status in lines if billed == 0}
    assert free == {
        ("Amazon Simple Queue Service", ""),
        (EC2, "Used"),
        ("Savings Plans for AWS Compute usage", "Unused"),
    }


def test_only_credits_and_refunds_are_negative() -> None:
    rows = whole_bill().costs.select("BilledCost", "ChargeCategory", "ChargeClass")
    negative = {(category, class_) for billed, category, class_ in rows if billed < 0}
    assert negative == {(ChargeCategory.CREDIT.value, ""), (ChargeCategory.PURCHASE.value, "Correction")}


# How it changes as time goes on


def test_only_a_restated_week_changes_between_two_looks_at_settled_days() -> None:
    # ISO week 44 of 2026 is 26 October to 1 November; on 6 November
    # its first three days are nine days old and corrected, the others not.
    window = days("2026-09-01", "2026-11-04")
    early, late = by_line_and_day(fetch(window, at("2026-11-06T12:00"))), by_line_and_day(fetch(window))
    assert early.keys() == late.keys()
    changed = {key[4] for key, cost in early.items() if cost != late[key]}
    assert changed == {"2026-10-29", "2026-10-30", "2026-10-31", "2026-11-01"}
    for key, cost in early.items():
        if key[4] in changed and late[key]:
            assert float(cost / late[key]) == pytest.approx(1.03, rel=0.001)


def test_a_day_of_a_restated_week_is_corrected_on_the_day_it_is_nine_days_old() -> None:
    day = days("2026-10-28", "2026-10-29")
    looks = [amounts(fetch(day, at(now)).costs) for now in ("2026-11-05T23:59", "2026-11-06T00:00", "2026-12-31")]
    assert looks[0] != looks[1] == looks[2]
    assert looks[0]["EUR"][0] / looks[1]["EUR"][0] > Decimal("1.029")


def test_story_and_amounts_stay_where_they_are_when_time_goes_on_by_months() -> None:
    window = days("2026-08-01", "2026-11-01")
    assert charges(fetch(window, at("2026-11-12"))) == charges(fetch(window, at("2027-02-28T23:59")))


def test_today_shows_the_elapsed_share_of_the_day() -> None:
    full = by_line_and_day(fetch(days("2026-11-18", "2026-11-19"), at("2026-12-01")))
    for now, elapsed in (("2026-11-18T06:00", 0.25), ("2026-11-18T18:00", 0.75)):
        partial = by_line_and_day(fetch(days("2026-11-18", "2026-11-19"), at(now)))
        assert partial.keys() == full.keys()
        shares = [float(cost / full[key]) for key, cost in partial.items() if full[key] > 1]
        assert 0.9 * elapsed - 0.001 <= min(shares) < max(shares) <= elapsed


def test_yesterday_shows_nine_tenths_or_more() -> None:
    day = days("2026-11-18", "2026-11-19")
    full = by_line_and_day(fetch(day, at("2026-12-01")))
    shares = [
        float(cost / full[key])
        for key, cost in by_line_and_day(fetch(day, at("2026-11-19T00:00"))).items()
        if full[key]
    ]
    assert 0.9 <= min(shares) < 0.93
    assert 0.97 < max(shares) <= 1


def test_an_amount_only_grows_while_its_day_settles() -> None:
    day = days("2026-11-18", "2026-11-19")
    moments = ["2026-11-18T00:05", "2026-11-18T12:00", "2026-11-18T23:59", "2026-11-19T00:00", "2026-11-19T23:59"]
    looks = [by_line_and_day(fetch(day, at(now))) for now in (*moments, "2026-11-20T00:00", "2026-11-25T00:00")]
    for before, after in pairwise(looks):
        assert before.keys() == after.keys()
        assert all(cost <= after[key] for key, cost in before.items())
    assert looks[-2] == looks[-1]


def test_days_that_ended_less_than_48_hours_ago_are_estimates() -> None:
    assert whole_bill().estimated == {date(2026, 11, day) for day in (19, 20, 21)}
    flagged = whole_bill().costs.select("DISTINCT ChargePeriodStart::DATE", "IsEstimated")
    assert {day for day, estimated in flagged if estimated} == whole_bill().estimated
    assert fetch(OCTOBER).estimated == frozenset()


# The edges of the calendar


def test_five_minutes_into_a_month_its_fees_are_there_and_hardly_any_usage() -> None:
    bill = fetch(days("2026-11-30", "2026-12-02"), at("2026-12-01T00:05"))
    today = bill.costs.during(days("2026-12-01", "2026-12-02"))
    assert today.where(charge_category="purchase", provider="aws").sum() == Decimal(1150 + 138 * 31)
    assert {line.key[0] for line in today.by("charge_category").rows()} == {"credit", "purchase", "tax", "usage"}
    assert 0 < usage(today, provider="aws").sum() < 10
    assert bill.covered == (Scope(days("2026-11-30", "2026-12-02")),)
    assert bill.estimated == {date(2026, 11, 30), date(2026, 12, 1)}


def test_at_midnight_today_has_fees_and_no_usage_yet() -> None:
    bill = fetch(days("2026-12-01", "2026-12-02"), at("2026-12-01T00:00"))
    assert {line.key[0] for line in bill.costs.by("charge_category").rows()} == {"purchase", "tax"}


def test_a_new_month_moves_the_beginning_by_a_month() -> None:
    starts = [fetch(days("2024-01-01", "2025-11-03"), at(now)).covered[0].window.start for now in
              ("2026-11-30T23:59", "2026-12-01T00:00")]  # fmt: skip
    assert starts == [at("2025-10-01"), at("2025-11-01")]


def test_a_leap_day_is_a_day_like_others() -> None:
    bill = fetch(days("2024-02-28", "2024-03-02"), at("2024-05-01"))
    lines: list[CostLine] = usage(bill.costs).by("day").rows()
    assert [line.key[0] for line in lines if line.currency == "EUR"] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    leap = fetch(Month(2024, 2).window(), at("2024-05-01")).costs.where(provider="aws")
    assert leap.where(charge_category="purchase").sum() == 1150 + 138 * 29
    assert leap.sum(Cost.BILLED) == leap.sum(Cost.EFFECTIVE)


@pytest.mark.parametrize("now", ["2024-10-02T12:00", "2028-02-29T23:59", "2033-01-01T00:05"])
def test_the_bill_can_be_asked_for_in_other_years(now: str) -> None:
    instant = at(now)
    bill = fetch(days(instant.date() - 60 * DAY, instant.date() + DAY), instant)
    assert bill.totals is not None
    assert amounts(bill.totals) == amounts(bill.costs)
    assert set(bill.accounts) == {AWS_PROD.id, AWS_DEV.id, AZURE.id, "demo-web-000001", "demo-data-lab-000002"}
    assert max(bill.estimated) == instant.date()
    assert min(billed for billed, _ in amounts(bill.costs).values()) > 0
