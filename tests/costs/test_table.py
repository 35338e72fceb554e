"""The query language over charges."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.costs import ChargeCategory, Cost, CostRow, CostTable
from exporter.costs.money import add
from exporter.errors import CloudspendError, MixedCurrencies, StoreError
from exporter.periods import Month, Window
from tests.costs.rows import row

BILL = [
    row("2024-02-28", "1.5", service="EC2", region="eu-west-1"),
    row("2024-02-29", "2", service="EC2", region="us-east-1", effective=Decimal("1")),
    row("2024-02-29", "0.25", service="S3", region="eu-west-1", tags={"team": "web"}),
    row("2024-03-01", "-0.75", service="S3", region="eu-west-1", category=ChargeCategory.CREDIT),
    row("2024-03-01", "7", "EUR", service="VM", provider="azure", list=Decimal("9")),
]


@pytest.fixture(scope="module")
def bill() -> CostTable:
    return CostTable.of(BILL)


def lines(table: CostTable) -> dict[tuple[str, ...], Decimal]:
    return {(*line.key, line.currency): line.billed for line in table.rows()}


def test_a_table_groups_by_any_dimension_and_always_by_currency(bill: CostTable) -> None:
    assert lines(bill.by("provider")) == {("aws", "USD"): Decimal("3"), ("azure", "EUR"): Decimal("7")}
    assert lines(bill.by("month", "service")) == {
        ("2024-02", "EC2", "USD"): Decimal("3.5"),
        ("2024-02", "S3", "USD"): Decimal("0.25"),
        ("2024-03", "S3", "USD"): Decimal("-0.75"),
        ("2024-03", "VM", "EUR"): Decimal("7"),
    }


def test_without_a_dimension_there_is_one_line_per_currency(bill: CostTable) -> None:
    assert lines(bill.by()) == {("USD",): Decimal("3"), ("EUR",): Decimal("7")}


def test_verbs_compose_and_leave_the_table_as_it_was(bill: CostTable) -> None:
    february = bill.during(Month(2024, 2).window()).where(service=["EC2", "S3"], region="eu-west-1")
    assert february.sum() == Decimal("1.75")
    assert lines(bill.by()) == {("USD",): Decimal("3"), ("EUR",): Decimal("7")}


def test_a_window_ends_before_its_end(bill: CostTable) -> None:
    assert bill.during(Window.of_day(date(2024, 2, 29))).sum() == Decimal("2.25")


def test_a_sum_over_two_currencies_is_refused(bill: CostTable) -> None:
    with pytest.raises(MixedCurrencies, match="EUR, USD"):
        bill.sum()
    with pytest.raises(MixedCurrencies):
        bill.daily()
    assert bill.where(currency="EUR").sum(Cost.LIST) == Decimal("9")


def test_a_charge_without_an_amortised_cost_repeats_billed(bill: CostTable) -> None:
    assert bill.where(service="EC2").sum(Cost.EFFECTIVE) == Decimal("2.5")


def test_an_unknown_list_price_stays_unknown(bill: CostTable) -> None:
    [line] = bill.where(provider="aws").rows()
    assert line.list is None
    assert line.amount(Cost.LIST) == 0


def test_credits_and_refunds_can_be_left_out() -> None:
    table = CostTable.of(
        [
            row("2024-01-01", "10"),
            row("2024-01-01", "-1", category=ChargeCategory.CREDIT),
            row("2024-01-01", "-2", category=ChargeCategory.PURCHASE),
            row("2024-01-01", "-3", charge_class="Correction"),
            row("2024-01-01", "-4"),
        ]
    )
    assert table.without(charge_category="credit").sum() == Decimal("1")
    assert table.without(charge_category="refund").sum() == Decimal("5")
    assert table.without(charge_category=["credit", "refund"]).sum() == Decimal("6")


def test_tags_are_dimensions(bill: CostTable) -> None:
    usd = bill.where(currency="USD")
    assert lines(usd.by("tag:team")) == {("none", "USD"): Decimal("2.75"), ("web", "USD"): Decimal("0.25")}
    assert usd.where(**{"tag:team": "web"}).sum() == Decimal("0.25")


def test_a_month_cut_in_another_zone_keeps_its_name() -> None:
    table = CostTable.of([row("2024-08-31", "1"), row("2024-09-01", "2", billing_month=Month(2024, 8))])
    beijing = table.mapped(BillingPeriodStart="TIMESTAMP '2024-08-31 16:00:00'")
    pacific = table.mapped(BillingPeriodStart="TIMESTAMP '2024-09-01 07:00:00'")
    assert lines(table.by("billing_month")) == {("2024-08", "USD"): Decimal(3)}
    assert lines(beijing.by("billing_month")) == lines(pacific.by("billing_month")) == {("2024-09", "USD"): Decimal(3)}


def test_a_word_that_is_no_dimension_is_refused_with_those_that_are(bill: CostTable) -> None:
    with pytest.raises(CloudspendError, match=r"'servce' is not a dimension. hint: one of source, provider"):
        bill.by("servce")
    with pytest.raises(CloudspendError, match="not a dimension"):
        bill.where(day2="x")


def test_quotes_in_values_are_values() -> None:
    table = CostTable.of([row("2024-01-01", "1", service="it's; DROP TABLE x")])
    assert table.where(service="it's; DROP TABLE x").sum() == 1
    assert table.where(service="' OR '1'='1").rows() == []


def test_no_character_is_too_odd_for_a_name() -> None:
    names = ["", "\x1f", "a\x1fb", "\x1f\x1f", "\n", "\x00", "😀", "\\", "{}"]
    table = CostTable.of([row("2024-01-01", "1", account=name, service="\x1f", tags={name: name}) for name in names])
    assert {line.key for line in table.by("account", "service").rows()} == {(name, "\x1f") for name in names}
    assert sorted(key for (keys,) in table.select("map_keys(Tags)") for key in keys) == sorted(names)


def test_rows_that_are_alike_all_count() -> None:
    [line] = CostTable.of([row("2024-01-01", "0.1")] * 3).rows()
    assert (line.billed, line.rows, line.list) == (Decimal("0.3"), 3, None)


@pytest.mark.parametrize(
    ("amount", "kept"),
    [("1E+3", "1000"), ("-0", "0"), ("-0.5E-23", "-5E-24"), ("1.0000000000000000000000005", "1"), ("-2E-24", "-2E-24")],
)
def test_amounts_are_kept_however_they_are_written(amount: str, kept: str) -> None:
    table = CostTable.of([row("2024-01-01", amount, effective=Decimal(amount), list=Decimal(amount))])
    assert {table.sum(cost) for cost in (Cost.BILLED, Cost.EFFECTIVE, Cost.LIST)} == {Decimal(kept)}


def test_what_is_no_amount_is_refused() -> None:
    for amount in ("1E+14", "-100000000000000", "NaN", "NaN12", "Infinity"):
        with pytest.raises(ValueError, match="is not an amount"):
            CostTable.of([row("2024-01-01", "1", contracted=Decimal(amount))])
    with pytest.raises(TypeError):
        CostTable.of([row("2024-01-01", "1", effective=0.1)])


def test_an_empty_table_sums_to_nothing() -> None:
    assert CostTable.nothing().sum() == 0
    assert CostTable.nothing().rows() == []
    assert CostTable.nothing().span() is None
    assert CostTable.nothing().matrix("service").days == ()


def test_hours_are_kept_apart_by_their_start() -> None:
    start = datetime(2024, 1, 1, 5, tzinfo=UTC)
    table = CostTable.of(
        [CostRow(start=start, account="a", service="s", region="r", billed=Decimal(1), currency="USD")]
    )
    assert lines(table.by("hour")) == {("2024-01-01T05:00Z", "USD"): Decimal(1)}
    assert lines(table.by("day")) == {("2024-01-01", "USD"): Decimal(1)}


def test_a_matrix_has_a_column_for_every_day(bill: CostTable) -> None:
    matrix = bill.matrix("service")
    assert matrix.days == (date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1))
    assert dict(zip(matrix.labels, (list(values) for values in matrix.values), strict=True)) == {
        ("EC2", "USD"): [1.5, 2.0, 0.0],
        ("S3", "USD"): [0.0, 0.25, -0.75],
        ("VM", "EUR"): [0.0, 0.0, 7.0],
    }


def test_a_sum_past_what_an_amount_holds_is_an_error_and_not_a_wrong_number() -> None:
    table = CostTable.of([row("2024-01-01", "99999999999999", service=f"s{i}") for i in range(3)])
    with pytest.raises(StoreError):
        table.by("provider").rows()


amounts = st.decimals(-(10**9), 10**9, places=24)
rows_of_a_bill = st.lists(
    st.builds(
        row,
        st.dates(date(2023, 12, 1), date(2024, 3, 31)).map(str),
        amounts.map(lambda amount: format(amount, "f")),
        st.sampled_from(["USD", "EUR"]),
        service=st.sampled_from(["EC2", "S3", "é'\"\\"]),
    ),
    max_size=30,
)


@given(rows_of_a_bill)
@settings(max_examples=40, deadline=None)
def test_the_parts_always_sum_to_the_total_to_the_last_digit(rows: list[CostRow]) -> None:
    expected: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for each in rows:
        key = (str(each.start), each.service, each.currency)
        expected[key] = add(expected[key], each.billed)  # Python's own + rounds to 28 digits
    table = CostTable.of(rows)
    assert lines(table.by("day", "service")) == expected
    for currency in ("USD", "EUR"):
        total = add(*(amount for key, amount in expected.items() if key[-1] == currency))
        assert table.where(currency=currency).sum() == total
