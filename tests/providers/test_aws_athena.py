"""Athena through boto3 over HTTP: every cent of the ledger, whatever kind of export the table is over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from exporter.clock import Clock
from exporter.costs import Ask, Bill, Cost
from exporter.costs.money import add
from exporter.errors import BadData, ConfigError
from exporter.periods import Grain, Month, Window
from exporter.providers import Access, Accessible
from exporter.providers.aws_athena import SPEC
from exporter.providers.aws_export_columns import NEGATION
from exporter.simulator.athena import AthenaCloud
from exporter.simulator.athena_lines import CUR, CUR2, FOCUS, Layout
from exporter.simulator.aws import PAYER
from exporter.simulator.aws.estate import DATA, EC2, WEB
from exporter.simulator.ledger import Charge, Ledger
from exporter.simulator.server import Fault
from exporter.testing import BillContract, CountingMeter, Subject
from tests.providers.aws import NOW, Sums, alone, charged, ledger

DAYS = Window.of_days(date(2026, 10, 1), date(2026, 11, 22))
WEEK = Window.of_days(date(2026, 10, 30), date(2026, 11, 6))
LAYOUTS = {"cur2": CUR2, "cur": CUR, "focus": FOCUS}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    alone(monkeypatch)


@pytest.fixture(scope="module", params=LAYOUTS)
def bill(request: pytest.FixtureRequest) -> Iterator[Bill]:
    """The bill of a whole estate from each kind of export."""
    with pytest.MonkeyPatch.context() as patch, cloud(ledger(), LAYOUTS[request.param], rows=300) as aws:
        alone(patch)
        yield fetch(aws, DAYS, tags=("team",))


@pytest.fixture(scope="module")
def serving() -> Iterator[AthenaCloud]:
    with cloud(ledger(), rows=100) as aws:
        yield aws


@pytest.fixture
def aws(serving: AthenaCloud) -> AthenaCloud:
    serving.reset()
    serving.queries.clear()
    return serving


def cloud(bill: Ledger, layout: Layout = CUR2, now: datetime = NOW, **more: Any) -> AthenaCloud:
    return AthenaCloud(bill, layout=layout, clock=Clock(frozen=now), **more)


def fetch(
    aws: AthenaCloud, window: Window, grain: Grain = Grain.DAY, tags: tuple[str, ...] = (), **more: object
) -> Bill:
    given = SPEC.options.model_validate({**aws.options(), **more})
    return SPEC.connect(given, CountingMeter()).fetch(Ask(window, grain, tags))


def billed(bill: Bill, *key: str, cost: Cost = Cost.BILLED) -> Sums:
    return {line.key: getattr(line, cost) for line in bill.costs.by(*key).rows()}


def line(kind: str, billed: str, day: int = 3, **other: Any) -> Charge:
    """A line of March's report."""
    told: dict[str, Any] = {"account": WEB, "service": EC2, "region": "eu-west-1", "currency": "USD"}
    told["start"] = datetime(2026, 3, day, tzinfo=UTC)
    return Charge(billed=Decimal(billed), kind=kind, **told | other)


MARCH = Window.of_days(date(2026, 3, 1), date(2026, 4, 1))


def march(*lines: Charge, layout: Layout = CUR2, **more: Any) -> Bill:
    """The bill of these lines."""
    with cloud(Ledger(lines, {}), layout) as aws:
        return fetch(aws, MARCH, **more)


class TestAwsAthena(BillContract):
    @pytest.fixture
    def subject(self, aws: AthenaCloud) -> Subject:
        return Subject.asked(SPEC, aws.options(), date(2026, 10, 28), date(2026, 11, 3), date(2026, 11, 9))


@pytest.mark.parametrize("key", ["account", "service", "region", "day"])
def test_every_sum_is_that_of_the_ledger(bill: Bill, key: str) -> None:
    def said(charge: Charge) -> tuple[str, ...]:
        region = charge.region.replace("NoRegion", "")
        words = {"account": charge.account, "service": charge.service, "region": region}
        return (words.get(key, f"{charge.start:%Y-%m-%d}"),)

    found = billed(bill, key)
    wanted = ledger().totals(NOW, said, DAYS)
    cancelled = {("Savings Plan Negation",)}
    assert {name: amount for name, amount in found.items() if name not in cancelled} == wanted


def test_effective_costs_are_the_amortised_ones(bill: Bill) -> None:
    amortised = add(*(charge.amortised for charge in ledger().shown(NOW, DAYS)))
    assert bill.costs.sum(Cost.EFFECTIVE) == amortised


def test_tags_are_those_of_the_ledger(bill: Bill) -> None:
    wanted = ledger().totals(NOW, lambda charge: (charge.tags.get("team", "none"),), DAYS)
    assert billed(bill, "tag:team") == wanted


def test_hours_are_those_of_the_ledger(aws: AthenaCloud) -> None:
    day = Window.of_day(date(2026, 11, 18))
    found = billed(fetch(aws, day, Grain.HOUR), "hour")
    assert found == ledger().totals(NOW, lambda charge: (f"{charge.start:%Y-%m-%dT%H:00Z}",), day)
    assert len(found) == 24


def test_the_size_of_pages_changes_nothing(aws: AthenaCloud) -> None:
    day = Window.of_day(date(2026, 11, 3))
    one = sorted(fetch(aws, day).costs.by("account", "service", "region").rows())
    aws.rows, before = 2, aws.rows
    try:
        assert sorted(fetch(aws, day).costs.by("account", "service", "region").rows()) == one
    finally:
        aws.rows = before
    assert len(aws.asked("GetQueryResults")) > 20


def test_a_lost_page_is_no_bill(aws: AthenaCloud) -> None:
    fetch(aws, WEEK)
    pages = len(aws.asked("GetQueryResults"))
    assert pages >= 3
    for after in range(pages):
        aws.reset()
        aws.inject(Fault("lost_page", "GetQueryResults", after=after))
        with pytest.raises(BadData):
            fetch(aws, WEEK)


def test_the_totals_are_those_of_the_ledger(bill: Bill) -> None:
    assert bill.totals is not None
    assert bill.totals.sum() == charged(ledger(), DAYS)[()]


def test_a_restated_day_is_told_anew() -> None:
    wrong = line("Usage", "5", shown_until=datetime(2026, 3, 8, tzinfo=UTC))
    right = line("Usage", "4.5", shown_from=datetime(2026, 3, 8, tzinfo=UTC))
    for day, cost in ((7, "5"), (9, "4.5")):
        with cloud(Ledger((wrong, right), {}), now=datetime(2026, 3, day, tzinfo=UTC)) as aws:
            assert fetch(aws, MARCH).costs.sum() == Decimal(cost)


def test_a_window_without_charges_is_covered() -> None:
    bill = march(line("Usage", "1", day=3, start=datetime(2026, 5, 1, tzinfo=UTC)))
    assert bill.costs.rows() == []
    assert [scope.window for scope in bill.covered] == [MARCH]


# What lines mean


@pytest.mark.parametrize(
    "amount", ["0.1", "0.00000015", "-0.0000000001", "123456789.0123456", "1e-24", "70000000000.5"]
)
def test_amounts_keep_every_digit(amount: str) -> None:
    bill = march(*(line("Usage", amount) for _ in range(10)))
    assert bill.costs.sum() == Decimal(amount) * 10
    assert bill.rounded == 0


def test_what_does_not_fit_into_24_places_is_counted() -> None:
    bill = march(line("Usage", "1.2345e-22"), line("Usage", "1"))
    assert bill.costs.sum() == Decimal("1.000000000000000000000123")
    assert bill.rounded == 1


def test_discounts_count_once_where_the_lines_are_after_discounts() -> None:
    discount = line("EdpDiscount", "0", details={"unblended": "-1"})
    bill = march(line("Usage", "9", details={"unblended": "10"}), discount)
    assert bill.costs.sum() == 9
    assert bill.totals is not None
    assert bill.totals.sum() == 9


def test_discounts_lower_usage_where_lines_are_before_them() -> None:
    nothing = {"line_item_net_unblended_cost": ""}
    bill = march(line("Usage", "10", details=nothing), line("EdpDiscount", "-1", details=nothing))
    assert billed(bill, "charge_category") == {("usage",): 9}


def test_a_month_has_discounts_also_where_the_window_shows_none() -> None:
    """A discount's own line on a day whose usage has none is in the other days' costs already."""
    usage = line("Usage", "9", day=3, details={"unblended": "10"})
    discount = line("EdpDiscount", "0", day=9, details={"unblended": "-1"})
    with cloud(Ledger((usage, discount), {})) as aws:
        assert fetch(aws, Window.of_day(date(2026, 3, 9))).costs.rows() == []


def test_the_unused_part_of_a_savings_plan_is_a_charge_of_its_own() -> None:
    told = {"savings_plan_total_commitment_to_date": "10", "savings_plan_used_commitment": "6.5"}
    bill = march(line("SavingsPlanRecurringFee", "10", details=told))
    assert billed(bill, "charge_category") == {("purchase",): 10, ("usage",): 0}
    assert billed(bill, "commitment_status", cost=Cost.EFFECTIVE) == {("none",): 0, ("unused",): Decimal("3.5")}


def test_a_reservation_is_spread_over_its_use() -> None:
    fee = {"reservation_unused_recurring_fee": "2", "reservation_reservation_a_r_n": "arn:made-up"}
    fee["reservation_unused_amortized_upfront_fee_for_billing_period"] = "1"
    upfront = {"reservation_reservation_a_r_n": "arn:made-up"}
    bill = march(
        line("DiscountedUsage", "0", details={"reservation_effective_cost": "4"}),
        line("RIFee", "6", details=fee),
        line("Fee", "30", details=upfront),
        line("Fee", "5"),
    )
    effective = billed(bill, "charge_category", "commitment_status", cost=Cost.EFFECTIVE)
    assert effective == {("usage", "used"): 4, ("usage", "unused"): 3, ("purchase", "none"): 5}
    assert bill.costs.sum() == 41


def test_pairs_of_savings_plans_cancel_and_what_does_not_is_named() -> None:
    covered = line("SavingsPlanCoveredUsage", "8", effective=Decimal(5))
    exact = march(covered, line("SavingsPlanNegation", "-8", effective=Decimal(0)))
    assert billed(exact, "service") == {(EC2,): 0}
    assert exact.costs.sum(Cost.EFFECTIVE) == 5
    short = march(covered, line("SavingsPlanNegation", "-7.5", effective=Decimal(0)))
    assert billed(short, "service") == {(EC2,): 0, (NEGATION,): Decimal("0.5")}


def test_a_type_that_nobody_knows_is_kept_and_told() -> None:
    bill = march(line("SomethingNew", "3"))
    assert billed(bill, "charge_category") == {("adjustment",): 3}
    assert "'SomethingNew'" in bill.notes[0].text


def test_a_charge_on_a_later_bill_belongs_to_its_day() -> None:
    bill = march(line("Usage", "1"), line("Credit", "-2", details={"billed_in": "2026-05"}))
    assert billed(bill, "month", "billing_month") == {("2026-03", "2026-03"): 1, ("2026-03", "2026-05"): -2}


def test_a_month_without_invoices_is_open(bill: Bill) -> None:
    """FOCUS does not say what a blank invoice means."""
    assert bill.open_months in (None, {Month(2026, 11)})


def test_accounts_have_their_names(bill: Bill) -> None:
    assert bill.accounts == {PAYER: "payer", WEB: "web", DATA: "data"}


def test_lines_without_a_cost_are_bad_data() -> None:
    with pytest.raises(BadData, match=r"1 lines of .* have no cost"):
        march(line("Usage", "1", details={"line_item_unblended_cost": ""}))


def test_lines_without_a_day_are_bad_data() -> None:
    with pytest.raises(BadData, match=r"1 lines of .* have no usage start date"):
        march(line("Usage", "1", details={"line_item_usage_start_date": ""}))


# The table


@pytest.mark.parametrize("layout", LAYOUTS)
def test_only_the_months_that_matter_are_read(layout: str) -> None:
    """From the month before the window on: what a late bill says of it is read, what an old one says is not."""
    months = [line("Usage", "1", start=datetime(2025 + n // 12, n % 12 + 1, 5, tzinfo=UTC)) for n in range(20)]
    with cloud(Ledger(months, {}), LAYOUTS[layout]) as aws:
        for month in (date(2025, 2, 1), date(2025, 3, 1), date(2026, 2, 1)):
            assert fetch(aws, Month.of(month).window()).costs.sum() == 1
    whole, less, least = (query.paid for query in aws.queries.values())
    assert whole / 20 == less / 19 == least / 8


@pytest.mark.parametrize(
    ("column", "type_", "sentence"),
    [
        ("line_item_line_item_type", None, "has no column line_item_line_item_type: it is no AWS export"),
        ("line_item_usage_start_date", "string", "line_item_usage_start_date is string, not timestamp"),
        ("line_item_unblended_cost", "string", "line_item_unblended_cost is string, not double"),
    ],
)
def test_a_table_that_is_no_export_is_refused(column: str, type_: str | None, sentence: str) -> None:
    with cloud(Ledger((line("Usage", "1"),), {})) as aws:
        aws.columns.pop(column)
        if type_:
            aws.columns[column] = type_
        with pytest.raises(BadData, match=sentence):
            fetch(aws, WEEK)
        assert aws.queries == {}


def test_a_report_without_the_columns_of_commitments_has_effective_as_billed() -> None:
    covered, negation = line("SavingsPlanCoveredUsage", "8"), line("SavingsPlanNegation", "-8")
    with cloud(Ledger((covered, negation, line("RIFee", "6")), {})) as aws:
        for column in [name for name in aws.columns if name.startswith(("savings_plan", "reservation"))]:
            aws.columns.pop(column)
        bill = fetch(aws, MARCH)
    assert bill.costs.sum(Cost.EFFECTIVE) == bill.costs.sum() == 6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_kind_than_the_one_said_is_refused(layout: str) -> None:
    for kind in LAYOUTS:
        if kind == layout:
            assert march(line("Usage", "1"), layout=LAYOUTS[layout], kind=kind).costs.sum() == 1
        else:
            with pytest.raises(BadData, match=f"holds {layout}, and `kind` says {kind}"):
                march(line("Usage", "1"), layout=LAYOUTS[layout], kind=kind)


def test_access_shows_who_asks_and_the_newest_day(aws: AthenaCloud) -> None:
    provider = SPEC.connect(SPEC.options.model_validate(aws.options()), CountingMeter())
    assert isinstance(provider, Accessible)
    access: Access = provider.access()
    assert access.newest == NOW.date()
    assert access.identity.endswith(":user/cost-reader")
    [columns] = access.shape.values()
    assert isinstance(columns, dict)


# What it says of itself


@pytest.mark.parametrize("given", [{"table": "export"}, {"table": "a.b.c"}, {"output_location": "https://bucket"}, {}])
def test_options_that_cannot_be_meant_are_refused(given: dict[str, str]) -> None:
    with pytest.raises((ValidationError, ConfigError)):
        SPEC.options.model_validate(given if "table" in given else {**given, "table": "a b.c"})


def test_the_policy_names_all_permissions_and_the_bucket_of_results() -> None:
    options = SPEC.options.model_validate({"table": "billing.export", "output_location": "s3://made-up-results/x"})
    assert SPEC.policy is not None
    policy = json.loads(SPEC.policy(options))
    assert {action for each in policy["Statement"] for action in each["Action"]} == set(SPEC.permissions)
    assert "arn:aws:s3:::made-up-results/*" in policy["Statement"][-1]["Resource"]


def test_a_payer_is_a_route_that_only_one_source_may_take() -> None:
    told = {"table": "billing.export"}
    assert SPEC.routes(SPEC.options.model_validate(told)) == ()
    assert SPEC.routes(SPEC.options.model_validate({**told, "payer": PAYER})) == (f"aws:{PAYER}",)
