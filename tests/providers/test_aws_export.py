"""AWS exports: what counts by the manifests, and how the lines of a report become FOCUS; sums made anew in Python."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest
from moto.server import ThreadedMotoServer

from exporter.costs import Ask, Bill, Cost, Scope, engine
from exporter.errors import BadData, NotReady
from exporter.periods import ALWAYS, Grain, Month, Window
from exporter.providers.aws_export import SPEC, AwsExport, AwsExportOptions
from exporter.testing import BillContract
from exporter.testing.contract import CountingMeter, Subject

PAYER, SHOP, DATA = "111122223333", "222233334444", "333344445555"
LEGACY = {
    "bill_billing_period_start_date": "bill/BillingPeriodStartDate",
    "bill_billing_period_end_date": "bill/BillingPeriodEndDate",
    "bill_invoice_id": "bill/InvoiceId",
    "bill_payer_account_id": "bill/PayerAccountId",
    "line_item_usage_account_id": "lineItem/UsageAccountId",
    "line_item_line_item_type": "lineItem/LineItemType",
    "line_item_usage_start_date": "lineItem/UsageStartDate",
    "line_item_usage_end_date": "lineItem/UsageEndDate",
    "line_item_product_code": "lineItem/ProductCode",
    "line_item_currency_code": "lineItem/CurrencyCode",
    "line_item_unblended_cost": "lineItem/UnblendedCost",
    "line_item_net_unblended_cost": "lineItem/NetUnblendedCost",
    "product_product_name": "product/ProductName",
    "product_region_code": "product/regionCode",
    "pricing_public_on_demand_cost": "pricing/publicOnDemandCost",
    "reservation_reservation_a_r_n": "reservation/ReservationARN",
    "reservation_effective_cost": "reservation/EffectiveCost",
    "reservation_unused_amortized_upfront_fee_for_billing_period": (
        "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod"
    ),
    "reservation_unused_recurring_fee": "reservation/UnusedRecurringFee",
    "savings_plan_savings_plan_effective_cost": "savingsPlan/SavingsPlanEffectiveCost",
    "savings_plan_total_commitment_to_date": "savingsPlan/TotalCommitmentToDate",
    "savings_plan_used_commitment": "savingsPlan/UsedCommitment",
    "resource_tags_user_team": "resourceTags/user:Team",
}
AMOUNTS = {name for name in LEGACY if name.endswith(("_cost", "_fee", "_period", "_to_date", "_commitment"))}
UNBLENDED, NET = "line_item_unblended_cost", "line_item_net_unblended_cost"
Line = dict[str, str]


def line(kind: str, day: str, cost: str, service: str = "Amazon Elastic Compute Cloud", **more: str) -> Line:
    """A line of a report by its names in CUR 2.0; what it does not say is empty."""
    until = f"{day[:8]}{int(day[8:]) + 1:02d}"
    said = {
        "bill_billing_period_start_date": f"{day[:7]}-01T00:00:00.000Z",
        "bill_payer_account_id": PAYER,
        "line_item_usage_account_id": SHOP,
        "line_item_line_item_type": kind,
        "line_item_usage_start_date": f"{day}T00:00:00.000Z",
        "line_item_usage_end_date": f"{until}T00:00:00.000Z",
        "line_item_product_code": "AmazonEC2",
        "line_item_currency_code": "USD",
        "line_item_unblended_cost": cost,
        "product_product_name": service,
        "product_region_code": "eu-west-1",
    }
    return {**dict.fromkeys(LEGACY, ""), **said, **more}


def covered(day: str, cost: str, effective: str, **more: str) -> Line:
    more = {"savings_plan_savings_plan_effective_cost": effective, "pricing_public_on_demand_cost": cost, **more}
    return line("SavingsPlanCoveredUsage", day, cost, **more)


SEPTEMBER = [
    line("Usage", "2024-09-02", "0.0416000001", pricing_public_on_demand_cost="0.05", resource_tags_user_team="shop"),
    line("Usage", "2024-09-02", "12.3456789012", "Amazon Simple Storage Service", line_item_usage_account_id=DATA),
    line("Usage", "2024-09-03", "0.0000000125", "AWS Lambda"),
    covered("2024-09-02", "1.1", "0.8", resource_tags_user_team="shop"),
    covered("2024-09-03", "2.2", "1.55"),
    line("SavingsPlanNegation", "2024-09-02", "-1.1", product_region_code=""),
    line("SavingsPlanNegation", "2024-09-03", "-2.2", product_region_code=""),
    line(
        "SavingsPlanRecurringFee",
        "2024-09-02",
        "3",
        "Savings Plans for AWS Compute usage",
        product_region_code="",
        savings_plan_total_commitment_to_date="3",
        savings_plan_used_commitment="2.35",
    ),
    line("SavingsPlanUpfrontFee", "2024-09-02", "100", "Savings Plans for AWS Compute usage", product_region_code=""),
    line("DiscountedUsage", "2024-09-03", "0", "Amazon Relational Database Service", reservation_effective_cost="0.31"),
    line(
        "RIFee",
        "2024-09-01",
        "7.2",
        "Amazon Relational Database Service",
        reservation_unused_amortized_upfront_fee_for_billing_period="1.25",
        reservation_unused_recurring_fee="0.125",
    ),
    line("Fee", "2024-09-02", "50", reservation_reservation_a_r_n="arn:aws:rds:eu-west-1:111122223333:ri:made-up"),
    line("Fee", "2024-09-02", "29", "AWS Support (Business)", product_region_code="", bill_invoice_id="2024-77"),
    line("Tax", "2024-09-01", "1.9", product_region_code="", bill_invoice_id="2024-78"),
    line("Credit", "2024-09-02", "-5.5", product_region_code=""),
    line("Refund", "2024-09-02", "-0.75", product_region_code=""),
    line("EdpDiscount", "2024-09-02", "-0.62", product_region_code=""),
    line("BundledDiscount", "2024-09-03", "-0.01"),
]
OCTOBER = [line("Usage", "2024-10-01", "0.1"), line("Usage", "2024-10-02", "0.2"), line("Tax", "2024-10-01", "0.06")]


def billed(lines: list[Line]) -> Decimal:
    return sum((Decimal(each[UNBLENDED]) for each in lines), Decimal(0))


def effective(lines: list[Line]) -> Decimal:
    """By the formulas of AWS ("Understanding your amortized costs"), each written out."""
    total = Decimal(0)
    for each in lines:
        kind = each["line_item_line_item_type"]
        if kind == "SavingsPlanCoveredUsage":
            total += Decimal(each["savings_plan_savings_plan_effective_cost"])
        elif kind == "SavingsPlanRecurringFee":
            total += Decimal(each["savings_plan_total_commitment_to_date"])
            total -= Decimal(each["savings_plan_used_commitment"])
        elif kind == "DiscountedUsage":
            total += Decimal(each["reservation_effective_cost"])
        elif kind == "RIFee":
            total += Decimal(each["reservation_unused_amortized_upfront_fee_for_billing_period"])
            total += Decimal(each["reservation_unused_recurring_fee"])
        elif kind not in ("SavingsPlanNegation", "SavingsPlanUpfrontFee") and not (
            kind == "Fee" and each["reservation_reservation_a_r_n"]
        ):
            total += Decimal(each[UNBLENDED])
    return total


def table(lines: list[Line], names: Mapping[str, str]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    kept = [name for name in names if any(name in each for each in lines)]
    writer.writerow(names[name] for name in kept)
    writer.writerows([each.get(name, "") for name in kept] for each in lines)
    return out.getvalue().encode()


def legacy_csv(path: Path, lines: list[Line]) -> None:
    path.write_bytes(gzip.compress(table(lines, LEGACY)))


def cur2_csv(path: Path, lines: list[Line]) -> None:
    """CUR 2.0 keeps tags and most of the product in maps, as JSON in a CSV."""
    rows = []
    for each in lines:
        product, tags = {}, {}
        row = dict(each)
        if name := row.pop("product_product_name"):
            product["product_name"] = name
        if team := row.pop("resource_tags_user_team"):
            tags["user_team"] = team
        rows.append({**row, "product": json.dumps(product), "resource_tags": json.dumps(tags)})
    path.write_bytes(gzip.compress(table(rows, {name: name for name in rows[0]})))


def parquet(path: Path, lines: list[Line], *, maps: bool) -> None:
    """Amounts as doubles, as AWS writes them; maps in CUR 2.0."""
    source = path.with_suffix(".tmp")
    source.write_bytes(table(lines, {name: name for name in LEGACY}))
    made = {name: f"CAST(nullif({name}, '') AS DOUBLE)" for name in AMOUNTS}
    made |= {name: f"CAST({name} AS TIMESTAMP)" for name in LEGACY if name.endswith("start_date")}
    made["line_item_usage_end_date"] = "CAST(line_item_usage_end_date AS TIMESTAMP)"
    made["bill_billing_period_end_date"] = "CAST(nullif(bill_billing_period_end_date, '') AS TIMESTAMP)"
    listed = [f"{made.get(name, name)} AS {name}" for name in LEGACY]
    if maps:
        listed = [each for each in listed if "product_product_name" not in each and "_user_team" not in each]
        listed.append("MAP {'product_name': product_product_name} AS product")
        listed.append("MAP {'user_team': nullif(resource_tags_user_team, '')} AS resource_tags")
    engine.run(
        f"COPY (SELECT {', '.join(listed)} FROM read_csv('{source}', all_varchar = true, nullstr = '~'))"
        f" TO '{path}' (FORMAT parquet)"
    )
    source.unlink()


def cur2_parquet(path: Path, lines: list[Line]) -> None:
    parquet(path, lines, maps=True)


def legacy_parquet(path: Path, lines: list[Line]) -> None:
    parquet(path, lines, maps=False)


DIALECTS: dict[str, tuple[Callable[[Path, list[Line]], None], str]] = {
    "cur2 csv": (cur2_csv, ".csv.gz"),
    "cur2 parquet": (cur2_parquet, ".snappy.parquet"),
    "legacy csv": (legacy_csv, ".csv.gz"),
    "legacy parquet": (legacy_parquet, ".snappy.parquet"),
}


def deliver(
    root: Path, month: str, *parts: list[Line], dialect: str = "cur2 csv", run: str = "", legacy: bool = False
) -> Path:
    """One run of an export as AWS lays it out, its manifest last. Answers with the manifest."""
    write, suffix = DIALECTS[dialect]
    year, number = map(int, month.split("-"))
    period = f"{year}{number:02d}01-{Month(year, number).next().first:%Y%m%d}"
    folder = root / period / run if legacy else root / "data" / f"BILLING_PERIOD={month}" / run
    folder.mkdir(parents=True, exist_ok=True)
    keys = []
    for number, lines in enumerate(parts, start=1):
        path = folder / f"report-{number:05d}{suffix}"
        write(path, lines)
        keys.append(f"exports/{root.name}/{path.relative_to(root)}")
    if legacy:
        manifest = root / period / "report-Manifest.json"
        said: dict[str, Any] = {"assemblyId": run, "reportKeys": keys, "bucket": "billing"}
        if run:
            (folder / manifest.name).write_text(json.dumps(said))
    else:
        manifest = root / "metadata" / f"BILLING_PERIOD={month}" / run / "report-Manifest.json"
        said = {"dataFiles": [f"s3://billing/{key}" for key in keys]}
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps(said))
    return manifest


def fetch(path: Path, window: Window = ALWAYS, tags: tuple[str, ...] = (), **options: Any) -> Bill:
    settings = AwsExportOptions.model_validate({"path": str(path), **options})
    return AwsExport(settings, CountingMeter()).fetch(Ask(window, Grain.DAY, tags))


@pytest.fixture
def export(tmp_path: Path) -> Path:
    deliver(tmp_path / "report", "2024-09", SEPTEMBER[:7], SEPTEMBER[7:])
    deliver(tmp_path / "report", "2024-10", OCTOBER)
    return tmp_path / "report"


class TestAwsExport(BillContract):
    spec: ClassVar = SPEC
    window: ClassVar = (date(2024, 9, 1), date(2024, 10, 3))
    split: ClassVar = date(2024, 9, 3)

    @pytest.fixture
    def subject(self, export: Path) -> Subject:
        first, until = self.window
        return Subject.asked(SPEC, {"path": str(export)}, first, self.split, until)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_exact_sums_of_its_lines(dialect: str, tmp_path: Path) -> None:
    legacy = dialect.startswith("legacy")
    deliver(tmp_path / "report", "2024-09", SEPTEMBER[:7], SEPTEMBER[7:], dialect=dialect, legacy=legacy)
    deliver(tmp_path / "report", "2024-10", OCTOBER, dialect=dialect, legacy=legacy)
    bill = fetch(tmp_path / "report", tags=("Team",))
    lines = [*SEPTEMBER, *OCTOBER]
    assert bill.costs.sum() == billed(lines)
    assert bill.costs.sum(Cost.EFFECTIVE) == effective(lines)
    assert bill.covered == (Scope(ALWAYS, billing=(Month(2024, 9), Month(2024, 10))),)
    kinds = {
        row.key: (row.billed, row.effective) for row in bill.costs.by("charge_category", "commitment_status").rows()
    }
    assert kinds == {
        ("adjustment", "none"): (Decimal("-0.75"), Decimal("-0.75")),
        ("credit", "none"): (Decimal("-5.5"), Decimal("-5.5")),
        ("purchase", "none"): (Decimal("189.2"), Decimal(29)),
        ("tax", "none"): (Decimal("1.96"), Decimal("1.96")),
        ("usage", "none"): (Decimal("12.0572789138"), Decimal("12.0572789138")),
        ("usage", "unused"): (Decimal(0), Decimal("2.025")),
        ("usage", "used"): (Decimal(0), Decimal("2.66")),
    }
    teams = {row.key[0]: (row.billed, row.effective) for row in bill.costs.by("tag:Team").rows()}
    assert teams["shop"] == (Decimal("0.0416000001"), Decimal("0.8416000001"))
    places = {row.key for row in bill.costs.by("account", "service", "region").rows()}
    assert (DATA, "Amazon Simple Storage Service", "eu-west-1") in places
    assert (SHOP, "Savings Plans for AWS Compute usage", "") in places
    assert {row.key[0] for row in bill.costs.by("billing_account").rows()} == {PAYER}
    assert {basis for (basis,) in bill.costs.select("CostBasis")} == {"computed"}
    assert bill.costs.sum(Cost.LIST) == Decimal("3.35")


def test_a_pair_of_a_savings_plan_that_does_not_cancel_stays_in_the_bill(tmp_path: Path) -> None:
    lines = [covered("2024-09-02", "1.1", "0.8"), line("SavingsPlanNegation", "2024-09-02", "-1.0999999999")]
    deliver(tmp_path / "report", "2024-09", lines)
    bill = fetch(tmp_path / "report")
    assert {row.key[0]: row.billed for row in bill.costs.by("service").rows()} == {
        "Amazon Elastic Compute Cloud": Decimal(0),
        "Savings Plan Negation": Decimal("0.0000000001"),
    }
    assert bill.costs.sum() == billed(lines)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_costs_after_discounts_are_taken_and_the_discounts_not_again(dialect: str, tmp_path: Path) -> None:
    lines = [
        line("Usage", "2024-09-02", "10", **{NET: "9.1"}),
        line("Usage", "2024-09-02", "5", "AWS Lambda", **{NET: "4.5"}),
        line("EdpDiscount", "2024-09-02", "-0.9", **{NET: "0"}),
        line("PrivateRateDiscount", "2024-09-02", "-0.5", "AWS Lambda", **{NET: "0"}),
        line("Tax", "2024-09-01", "1.36"),
    ]
    deliver(tmp_path / "report", "2024-09", lines[:3], lines[3:], dialect=dialect, legacy=dialect.startswith("legacy"))
    bill = fetch(tmp_path / "report")
    assert bill.costs.sum() == bill.costs.sum(Cost.EFFECTIVE) == billed(lines) == Decimal("14.96")
    assert bill.costs.where(service="AWS Lambda").sum() == Decimal("4.5")


def test_columns_for_discounts_that_say_nothing_leave_discounts_as_they_are(tmp_path: Path) -> None:
    lines = [line("Usage", "2024-09-02", "10", **{NET: "0"}), line("EdpDiscount", "2024-09-02", "-1", **{NET: ""})]
    october = [line("Usage", "2024-10-02", "8", **{NET: "7"}), line("EdpDiscount", "2024-10-02", "-1")]
    deliver(tmp_path / "report", "2024-09", lines)
    deliver(tmp_path / "report", "2024-10", october)
    months = {row.key[0]: row.billed for row in fetch(tmp_path / "report").costs.by("billing_month").rows()}
    assert months == {"2024-09": Decimal(9), "2024-10": Decimal(7)}


def test_without_the_columns_of_commitments_effective_is_billed(tmp_path: Path) -> None:
    lines = [{k: v for k, v in each.items() if not k.startswith(("savings_", "reservation_"))} for each in SEPTEMBER]
    deliver(tmp_path / "report", "2024-09", lines, dialect="legacy csv", legacy=True)
    bill = fetch(tmp_path / "report")
    assert bill.costs.sum() == bill.costs.sum(Cost.EFFECTIVE) == billed(SEPTEMBER)


def test_a_line_item_type_that_nobody_knows_keeps_its_money_and_is_said(tmp_path: Path) -> None:
    deliver(tmp_path / "report", "2024-09", [line("MoonFee", "2024-09-02", "3"), line("", "2024-09-02", "4")])
    bill = fetch(tmp_path / "report")
    assert bill.costs.where(charge_category="adjustment").sum() == 7
    said = [note.text for note in bill.notes if note.subject == "unknown_charge_category"]
    assert said == ["'MoonFee' is kept as Adjustment", "'no line item type' is kept as Adjustment"]


def test_a_month_is_open_until_its_charges_have_an_invoice(tmp_path: Path) -> None:
    paid = [line("Usage", "2024-09-02", "1", bill_invoice_id="2024-77"), line("Usage", "2024-09-02", "0")]
    deliver(tmp_path / "report", "2024-09", paid)
    deliver(tmp_path / "report", "2024-10", OCTOBER)
    assert fetch(tmp_path / "report").open_months == {Month(2024, 10)}


@pytest.mark.parametrize("legacy", [True, False])
def test_the_newest_run_counts_where_an_export_writes_new_files(legacy: bool, tmp_path: Path) -> None:
    root = tmp_path / "report"
    dialect = "legacy csv" if legacy else "cur2 csv"
    runs = ("asm-b", "asm-a") if legacy else ("20240903T101010Z-b", "20240904T101010Z-a")
    first = deliver(root, "2024-09", SEPTEMBER, dialect=dialect, run=runs[0], legacy=legacy)
    os.utime(first, (1_725_400_000, 1_725_400_000))
    deliver(root, "2024-09", SEPTEMBER[:3], dialect=dialect, run=runs[1], legacy=legacy)
    assert fetch(root).costs.sum() == billed(SEPTEMBER[:3])


def test_the_manifest_outside_of_the_runs_of_a_legacy_report_says_which_run_counts(tmp_path: Path) -> None:
    root = tmp_path / "report"
    deliver(root, "2024-09", SEPTEMBER, dialect="legacy csv", run="asm-b", legacy=True)
    deliver(root, "2024-09", SEPTEMBER[:3], dialect="legacy csv", run="asm-a", legacy=True)
    [copied_last] = root.rglob("asm-b/*-Manifest.json")
    os.utime(copied_last, (4_000_000_000, 4_000_000_000))
    assert fetch(root).costs.sum() == billed(SEPTEMBER[:3])


def test_an_overwritten_month_loses_what_is_no_longer_in_it(export: Path) -> None:
    source = AwsExport(AwsExportOptions(path=str(export)), CountingMeter())
    assert source.fetch(Ask(ALWAYS)).costs.sum() == billed([*SEPTEMBER, *OCTOBER])
    deliver(export, "2024-09", SEPTEMBER[:2])  # its second part stays behind
    bill = source.fetch(Ask(ALWAYS))
    assert bill.costs.sum() == billed([*SEPTEMBER[:2], *OCTOBER])
    assert [note.text for note in bill.notes if note.subject == "manifests"] == [
        "files that no manifest names, or only that of an older run: 1"
    ]


@pytest.mark.parametrize("legacy", [True, False])
def test_a_manifest_that_names_a_missing_file_is_not_ready(legacy: bool, tmp_path: Path) -> None:
    root = tmp_path / "report"
    dialect = "legacy csv" if legacy else "cur2 csv"
    manifest = deliver(root, "2024-09", SEPTEMBER[:2], SEPTEMBER[2:], dialect=dialect, legacy=legacy)
    [missing] = root.rglob("report-00002.csv.gz")
    missing.unlink()
    with pytest.raises(NotReady) as caught:
        fetch(root)
    assert caught.value.message.startswith(f"{manifest}: names ")
    assert caught.value.message.endswith("report-00002.csv.gz, which is not there")


def test_an_export_without_its_manifest_is_not_ready(export: Path) -> None:
    for manifest in export.rglob("*Manifest.json"):
        manifest.unlink()
    with pytest.raises(NotReady, match="no manifest, which says which files count"):
        fetch(export)


def test_a_manifest_that_is_half_written_is_not_ready(export: Path) -> None:
    manifest = next(export.rglob("*Manifest.json"))
    manifest.write_text(manifest.read_text()[:20])
    with pytest.raises(NotReady, match="still being written"):
        fetch(export)


def test_a_part_that_is_half_written_is_refused_by_name(export: Path) -> None:
    part = export / "data" / "BILLING_PERIOD=2024-09" / "report-00002.csv.gz"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(BadData, match=r"report-00002\.csv\.gz: cannot be read"):
        fetch(export)


@pytest.mark.parametrize(
    ("dialect", "lost"),
    [
        ("cur2 csv", "line_item_unblended_cost"),
        ("cur2 csv", "line_item_currency_code"),
        ("legacy csv", "line_item_usage_start_date"),
        ("legacy csv", "bill_billing_period_start_date"),
        ("cur2 csv", "line_item_line_item_type"),
    ],
)
def test_a_missing_column_is_named_with_its_file(dialect: str, lost: str, tmp_path: Path) -> None:
    lines = [{name: value for name, value in each.items() if name != lost} for each in SEPTEMBER]
    legacy = dialect.startswith("legacy")
    deliver(tmp_path / "report", "2024-09", lines, dialect=dialect, legacy=legacy)
    [part] = (tmp_path / "report").rglob("*.csv.gz")
    with pytest.raises(BadData) as caught:
        fetch(tmp_path / "report")
    assert caught.value.message == f"{part}: row 1: no column {lost}"


@pytest.mark.parametrize(
    ("kind", "column", "called"),
    [
        ("Usage", UNBLENDED, "lineItem/UnblendedCost"),
        ("SavingsPlanNegation", UNBLENDED, "lineItem/UnblendedCost"),
        ("Usage", "line_item_usage_start_date", "lineItem/UsageStartDate"),
        ("Usage", "line_item_currency_code", "lineItem/CurrencyCode"),
    ],
)
def test_a_cell_that_cannot_be_is_named_as_the_report_calls_it(
    kind: str, column: str, called: str, tmp_path: Path
) -> None:
    lines = [*SEPTEMBER[:3], line(kind, "2024-09-02", "1", **{column: "1,5"} if column != UNBLENDED else {})]
    if column == UNBLENDED:
        lines[-1][column] = "1,5"
    deliver(tmp_path / "report", "2024-09", lines, dialect="legacy csv", legacy=True)
    with pytest.raises(BadData, match=rf"report-00001\.csv\.gz: row 5, column {called}: '1,5' is not an? "):
        fetch(tmp_path / "report")


@pytest.mark.parametrize("column", ["savings_plan_used_commitment", "savings_plan_total_commitment_to_date"])
def test_an_unused_part_that_cannot_be_computed_is_refused(column: str, tmp_path: Path) -> None:
    fee = {**SEPTEMBER[7], column: "many"}
    deliver(tmp_path / "report", "2024-09", [fee])
    with pytest.raises(BadData, match="'many' is not an amount"):
        fetch(tmp_path / "report")


def test_hours_are_kept_where_hours_are_asked_for(tmp_path: Path) -> None:
    hour = {"line_item_usage_start_date": "2024-09-02T07:00:00Z", "line_item_usage_end_date": "2024-09-02T08:00:00Z"}
    deliver(tmp_path / "report", "2024-09", [line("Usage", "2024-09-02", "1", **hour)])
    source = AwsExport(AwsExportOptions(path=str(tmp_path / "report")), CountingMeter())
    bill = source.fetch(Ask(ALWAYS, Grain.HOUR))
    assert [row.key for row in bill.costs.by("hour").rows()] == [("2024-09-02T07:00Z",)]


FOCUS = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName\n"


def focus_export(root: Path) -> Path:
    part = root / "data" / "BILLING_PERIOD=2024-09" / "focus-00001.csv.gz"
    part.parent.mkdir(parents=True)
    part.write_bytes(gzip.compress((FOCUS + "1.5,USD,2024-09-01,Usage,2024-09-02,AWS\n").encode()))
    manifest = root / "metadata" / "BILLING_PERIOD=2024-09" / "focus-Manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"dataFiles": [f"s3://billing/x/{root.name}/{part.relative_to(root)}"]}))
    return root


@pytest.mark.parametrize("kind", ["auto", "focus"])
def test_an_export_of_focus_takes_the_road_of_focus(kind: str, tmp_path: Path) -> None:
    bill = fetch(focus_export(tmp_path / "focus"), kind=kind)
    assert bill.costs.sum() == Decimal("1.5")
    assert bill.open_months is None
    assert {line.key[0] for line in bill.costs.by("provider").rows()} == {"AWS"}


@pytest.mark.parametrize(
    ("kind", "dialect", "found"),
    [
        ("focus", "cur2 csv", "a Cost and Usage Report"),
        ("cur2", "legacy csv", "a legacy report"),
        ("cur", "focus", "FOCUS"),
    ],
)
def test_an_export_of_another_kind_than_was_said_is_refused(
    kind: str, dialect: str, found: str, tmp_path: Path
) -> None:
    root = tmp_path / "report"
    if dialect == "focus":
        focus_export(root)
    else:
        deliver(root, "2024-09", SEPTEMBER, dialect=dialect, legacy=dialect.startswith("legacy"))
    with pytest.raises(BadData, match=f"holds {found}, and `kind` says {kind}"):
        fetch(root, kind=kind)


def test_a_folder_of_two_exports_is_refused_rather_than_added_up(export: Path) -> None:
    focus_export(export.parent / "focus")
    with pytest.raises(BadData, match="holds 2 exports"):
        fetch(export.parent)


def test_an_export_that_went_over_to_focus_in_one_folder_is_refused(export: Path) -> None:
    other = focus_export(export.parent / "focus")
    part = next(other.rglob("*.csv.gz"))
    moved = export / "data" / "BILLING_PERIOD=2024-11" / part.name
    moved.parent.mkdir()
    moved.write_bytes(part.read_bytes())
    manifest = export / "metadata" / "BILLING_PERIOD=2024-11" / "report-Manifest.json"
    manifest.parent.mkdir()
    manifest.write_text(json.dumps({"dataFiles": [f"s3://billing/exports/report/{moved.relative_to(export)}"]}))
    with pytest.raises(BadData, match="holds FOCUS, and other files at"):
        fetch(export)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """moto's S3 over HTTP, with an empty bucket."""
    for name, value in {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "made-up-for-this-test"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=url, region_name="us-east-1").create_bucket(Bucket="billing")
    yield url
    server.stop()


def test_an_export_is_read_from_its_bucket_over_http(bucket: str, export: Path) -> None:
    pytest.importorskip("obstore")
    import boto3

    client = boto3.client("s3", endpoint_url=bucket, region_name="us-east-1")
    for path in sorted(export.rglob("*")):
        if path.is_file():
            client.put_object(
                Bucket="billing", Key=f"exports/report/{path.relative_to(export)}", Body=path.read_bytes()
            )
    client.put_object(Bucket="billing", Key="exports/report/data/BILLING_PERIOD=2024-09/old.csv.gz", Body=b"not read")
    options = AwsExportOptions.model_validate(
        {"path": "s3://billing/exports/report", "endpoint": bucket, "region": "us-east-1"}
    )
    meter = CountingMeter()
    bill = AwsExport(options, meter).fetch(Ask(ALWAYS))
    assert bill.costs.sum() == billed([*SEPTEMBER, *OCTOBER])
    assert bill.costs.sum(Cost.EFFECTIVE) == effective([*SEPTEMBER, *OCTOBER])
    assert sorted(set(meter.operations)) == ["get", "list", "read"]
