"""Azure's native cost exports: every header there is, runs that replace each other, two exports that make one bill."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from exporter.costs import Ask, Bill, Cost, Scope, engine
from exporter.errors import BadData, NotReady
from exporter.periods import ALWAYS, Month
from exporter.providers.azure_export import SPEC, AzureExport, AzureExportOptions
from exporter.testing import BillContract
from exporter.testing.contract import CountingMeter, Subject
from tests.providers.test_focus_object_storage import Cloud, cloud

__all__ = ["cloud"]

ONE, TWO = "00000000-aaaa-bbbb-cccc-000000000001", "00000000-aaaa-bbbb-cccc-000000000002"
RUN, LATER = "20240915-0000-1111-2222-333344445555", "20240916-0000-1111-2222-333344445555"
EA = [
    "BillingAccountId",
    "BillingPeriodStartDate",
    "BillingPeriodEndDate",
    "SubscriptionId",
    "SubscriptionName",
    "Date",
    "MeterCategory",
    "ResourceLocation",
    "CostInBillingCurrency",
    "BillingCurrency",
    "Tags",
    "ChargeType",
    "PricingModel",
]
DIALECTS = {
    "EA": EA,
    "EA of 2020": [{"CostInBillingCurrency": "Cost", "BillingCurrency": "BillingCurrencyCode"}.get(n, n) for n in EA],
    "MCA": [
        name
        if name == "SubscriptionId"
        else {"BillingAccountId": "billingProfileId"}.get(name, name[0].lower() + name[1:])
        for name in EA
    ],
    "German": [
        {
            "SubscriptionId": "Abonnement-GUID (SubscriptionGuid)",
            "SubscriptionName": "Name des Abonnements (SubscriptionName)",
            "Date": "Datum (Date)",
            "MeterCategory": "Kategorie der Verbrauchseinheit (MeterCategory)",
            "CostInBillingCurrency": "Kosten (Cost)",
            "ResourceLocation": "Ressourcenstandort (ResourceLocation)",
        }.get(name, f"Ein Wort ({name})")
        for name in EA
    ],
}
CLASSIC = ["SubscriptionGuid", "ResourceLocation", "UsageDateTime", "MeterCategory", "PreTaxCost", "Currency", "Tags"]
Row = dict[str, str]


def row(cost: str, day: int = 2, kind: str = "Usage", pricing: str = "OnDemand", **more: str) -> Row:
    """A charge by the names of an enterprise agreement."""
    said = {
        "BillingAccountId": "8611537",
        "BillingPeriodStartDate": "09/01/2024",
        "BillingPeriodEndDate": "09/30/2024",
        "SubscriptionId": ONE,
        "SubscriptionName": "shop",
        "Date": f"09/{day:02d}/2024",
        "MeterCategory": "Virtual Machines",
        "ResourceLocation": "US East 2",
        "CostInBillingCurrency": cost,
        "BillingCurrency": "EUR",
        "Tags": '"team": "shop","org": "trey"',
        "ChargeType": kind,
        "PricingModel": pricing,
    }
    return {**said, **more}


ACTUAL = [
    row("1.000000000000000000000001"),
    row("0.00004", 13, MeterCategory="Storage", SubscriptionId=TWO, SubscriptionName="data", Tags=""),
    row("0", 2, pricing="Reservation"),
    row("120", 1, "Purchase", "Reservation", SubscriptionId="", ResourceLocation=""),
    row("-20", 14, "Refund", "Reservation", SubscriptionId="", ResourceLocation=""),
    row("-3.5", 14, "Credit"),
    row("2.5", 1, "Tax", "", MeterCategory=""),
    row("0.005", 30, "RoundingAdjustment", ""),
]
AMORTIZED = [
    *ACTUAL[:2],
    row("2.75", 2, pricing="Reservation"),
    row("0.25", 2, "UnusedReservation", "Reservation", SubscriptionId=""),
    *ACTUAL[5:],
]


def total(rows: list[Row]) -> Decimal:
    exact = Decimal(0)
    for each in rows:
        exact += Decimal(each["CostInBillingCurrency"])
    return exact


def table(rows: list[Row], header: list[str] = EA, names: list[str] = EA) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([each[name] for name in names] for each in rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def write(path: Path, rows: list[Row], header: list[str] = EA) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = table(rows, header)
    if path.suffix == ".parquet":
        source = path.with_suffix(".tmp")
        source.write_bytes(content)
        made = "CAST(CostInBillingCurrency AS DOUBLE) AS CostInBillingCurrency, strptime(Date, '%m/%d/%Y') AS Date"
        engine.run(
            f"COPY (SELECT * REPLACE ({made}) FROM read_csv('{source}', all_varchar = true, nullstr = '~'))"
            f" TO '{path}' (FORMAT parquet)"
        )
        source.unlink()
    else:
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def deliver(
    root: Path, rows: list[Row], run: str = RUN, kind: str = "ActualCost", suffix: str = ".csv.gz", **manifest: Any
) -> Path:
    """A run as Azure writes it, with its manifest; a day's charges in the second of two parts."""
    period = manifest.pop("period", "20240901-20240930")
    folder = root / period / run
    parts = [
        write(folder / f"part_0_000{number}{suffix}", some)
        for number, some in ((1, rows[:2]), (2, rows[2:]))
        if some or number == 1
    ]
    first, last = (datetime.strptime(each, "%Y%m%d").date() for each in period.split("-"))  # noqa: DTZ007
    said = {
        "blobs": [
            {"blobName": f"costs/{root.name}/{period}/{run}/{part.name}", "byteCount": part.stat().st_size}
            for part in parts
        ],
        "exportConfig": {"exportName": root.name, "type": kind},
        "runInfo": {
            "submittedTime": f"2024-{run[4:6]}-{run[6:8]}T08:00:00Z",
            "startDate": f"{first}T00:00:00",
            "endDate": f"{last}T00:00:00",
        },
        **manifest,
    }
    (folder / "manifest.json").write_text(json.dumps(said))
    return folder


def fetch(**options: Any) -> Bill:
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    tags = settings.pop("tags", ())
    return AzureExport(AzureExportOptions.model_validate(settings), CountingMeter()).fetch(Ask(ALWAYS, tags=tags))


@pytest.fixture
def exports(tmp_path: Path) -> dict[str, Path]:
    deliver(tmp_path / "actual", ACTUAL)
    deliver(tmp_path / "amortized", AMORTIZED, kind="AmortizedCost")
    return {"actual": tmp_path / "actual", "amortized": tmp_path / "amortized"}


class TestAzureExport(BillContract):
    spec: ClassVar = SPEC
    window: ClassVar = (date(2024, 9, 1), date(2024, 10, 1))
    split: ClassVar = date(2024, 9, 14)

    @pytest.fixture
    def subject(self, exports: dict[str, Path]) -> Subject:
        options = {name: str(path) for name, path in exports.items()}
        return Subject.asked(SPEC, options, self.window[0], self.split, self.window[1])


def test_billed_is_of_the_actual_costs_and_effective_of_the_amortised_ones(exports: dict[str, Path]) -> None:
    bill = fetch(**exports, tags=("team",))
    assert bill.costs.sum() == total(ACTUAL)
    assert bill.costs.sum(Cost.EFFECTIVE) == total(AMORTIZED)
    assert bill.covered == (Scope(ALWAYS, billing=(Month(2024, 9),)),)
    assert dict(bill.accounts) == {ONE: "shop", TWO: "data", "8611537": "shop"}
    kinds = {
        row.key: (row.billed, row.effective, row.rows)
        for row in bill.costs.by("charge_category", "commitment_status").rows()
    }
    usage = Decimal("1.000040000000000000000001")
    assert kinds == {
        ("adjustment", "none"): (Decimal("0.005"), Decimal("0.005"), 1),
        ("credit", "none"): (Decimal("-3.5"), Decimal("-3.5"), 1),
        ("purchase", "none"): (Decimal(100), Decimal(0), 2),
        ("tax", "none"): (Decimal("2.5"), Decimal("2.5"), 1),
        ("usage", "none"): (usage, usage, 2),
        ("usage", "unused"): (Decimal(0), Decimal("0.25"), 1),
        ("usage", "used"): (Decimal(0), Decimal("2.75"), 1),
    }
    assert set(bill.costs.select("ChargeCategory", "BilledCost", where="ChargeClass = 'Correction'")) == {
        ("Purchase", Decimal(-20))
    }
    assert bill.costs.without(charge_category="refund").sum() == total(ACTUAL) + 20
    assert {row.key for row in bill.costs.by("account", "service", "region").rows()} >= {
        (ONE, "Virtual Machines", "useast2"),
        (TWO, "Storage", "useast2"),
        ("8611537", "Virtual Machines", ""),
    }
    assert bill.costs.where(charge_category="usage").by("tag:team").rows()[-1].key == ("shop",)
    assert {basis for (basis,) in bill.costs.select("CostBasis")} == {"reported"}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_every_dialect_of_the_header_gives_the_same_bill(dialect: str, suffix: str, tmp_path: Path) -> None:
    write(tmp_path / "other" / f"costs{suffix}", ACTUAL, DIALECTS[dialect])
    write(tmp_path / "ea" / "costs.csv", ACTUAL)
    dimensions = (
        "billing_account",
        "account",
        "service",
        "region",
        "charge_category",
        "billing_month",
        "day",
        "currency",
    )
    other, ea = (fetch(actual=tmp_path / name, tags=("team",)) for name in ("other", "ea"))
    assert other.costs.sum() == total(ACTUAL)
    assert other.costs.by(*dimensions, "tag:team").rows() == ea.costs.by(*dimensions, "tag:team").rows()


def test_dates_are_read_as_iso_too(tmp_path: Path) -> None:
    iso = {"Date": "2024-09-02", "BillingPeriodStartDate": "2024-09-01", "BillingPeriodEndDate": "2024-09-30"}
    write(tmp_path / "costs.csv", [row("1", **iso), row("2", **{**iso, "Date": "2024-09-03T00:00:00Z"})])
    assert fetch(actual=tmp_path).costs.daily() == {date(2024, 9, 2): Decimal(1), date(2024, 9, 3): Decimal(2)}


def test_parquet_gives_the_same_bill_as_csv(tmp_path: Path) -> None:
    short = [*ACTUAL[1:], row("1.1")]
    deliver(tmp_path / "actual", short, suffix=".parquet")
    bill = fetch(actual=tmp_path / "actual")
    assert bill.costs.sum() == total(short)
    assert bill.costs.daily()[date(2024, 9, 14)] == Decimal("-23.5")


def test_a_classic_subscription_has_usage_of_calendar_months(tmp_path: Path) -> None:
    rows = [
        ["4f", "West Europe", f"{month}/{day}/2024", "Storage", cost, "USD", ""]
        for month, day, cost in (
            (8, 31, "0.1"),
            (9, 1, "0.2"),
            (9, 14, "0.3"),
        )
    ]
    out = io.StringIO()
    csv.writer(out).writerows([CLASSIC, *rows])
    (tmp_path / "usage.csv").write_text(out.getvalue())
    bill = fetch(actual=tmp_path)
    months = {row.key: row.billed for row in bill.costs.by("billing_month", "charge_category").rows()}
    assert months == {("2024-08", "usage"): Decimal("0.1"), ("2024-09", "usage"): Decimal("0.5")}
    assert {str(start) for (start,) in bill.costs.select("BillingPeriodStart")} == {
        "2024-08-01 00:00:00",
        "2024-09-01 00:00:00",
    }
    assert bill.covered == (Scope(ALWAYS, billing=(Month(2024, 8), Month(2024, 9))),)
    assert bill.costs.sum(Cost.EFFECTIVE) == bill.costs.sum()


def test_the_newest_run_of_a_month_counts_and_takes_away_what_it_no_longer_has(exports: dict[str, Path]) -> None:
    source = AzureExport(AzureExportOptions(actual=str(exports["actual"])), CountingMeter())
    assert source.fetch(Ask(ALWAYS)).costs.sum() == total(ACTUAL)
    deliver(exports["actual"], ACTUAL[:1], LATER)
    bill = source.fetch(Ask(ALWAYS))
    assert bill.costs.sum() == total(ACTUAL[:1])
    assert bill.covered == (Scope(ALWAYS, billing=(Month(2024, 9),)),)


def test_an_overwritten_run_is_read_anew(exports: dict[str, Path]) -> None:
    source = AzureExport(AzureExportOptions.model_validate({k: str(v) for k, v in exports.items()}), CountingMeter())
    assert source.fetch(Ask(ALWAYS)).costs.sum(Cost.EFFECTIVE) == total(AMORTIZED)
    restated = [row("7"), *AMORTIZED[1:]]
    deliver(exports["amortized"], restated, kind="AmortizedCost")
    bill = source.fetch(Ask(ALWAYS))
    assert (bill.costs.sum(), bill.costs.sum(Cost.EFFECTIVE)) == (total(ACTUAL), total(restated))


def test_two_exports_are_left_unread_while_neither_has_changed(exports: dict[str, Path]) -> None:
    options = AzureExportOptions.model_validate({k: str(v) for k, v in exports.items()})

    def polled(known: str = "") -> Bill:
        return AzureExport(options, CountingMeter()).fetch(Ask(ALWAYS, known=known))

    first = polled()
    again = polled(first.made_of)
    assert (again.unchanged, again.covered, again.made_of) == (True, (), first.made_of)
    for changed, rows, kind in (
        ("amortized", [row("7"), *AMORTIZED[1:]], "AmortizedCost"),
        ("actual", ACTUAL[:3], "ActualCost"),
    ):
        known = polled().made_of
        deliver(exports[changed], rows, kind=kind)
        bill = polled(known)
        assert not bill.unchanged
        assert bill.made_of != known
        assert total(rows) in (bill.costs.sum(), bill.costs.sum(Cost.EFFECTIVE))
        assert {basis for (basis,) in bill.costs.select("CostBasis")} == {"reported"}


def test_runs_without_manifests_in_one_period_folder_are_told_by_their_age(tmp_path: Path) -> None:
    folder = tmp_path / "actual" / "20240901-20240930"
    for number, rows in ((1, ACTUAL[:2]), (2, ACTUAL)):
        path = write(folder / f"actual_0000000{number}-aaaa-bbbb-cccc-000000000001.csv", rows)
        os.utime(path, (1_726_000_000 + number, 1_726_000_000 + number))
    bill = fetch(actual=tmp_path)
    assert bill.costs.sum() == total(ACTUAL)
    assert [note.text for note in bill.notes if note.subject == "manifests"] == ["files of older runs: 1"]
    os.utime(path, (1_726_000_001, 1_726_000_001))
    with pytest.raises(BadData, match="are two runs of one export, and neither is newer"):
        fetch(actual=tmp_path)


def test_a_manifest_that_names_a_missing_part_is_not_ready(exports: dict[str, Path]) -> None:
    [missing] = exports["actual"].rglob("part_0_0002.csv.gz")
    missing.unlink()
    with pytest.raises(NotReady, match=r"names costs/actual/.*part_0_0002\.csv\.gz, which is not there"):
        fetch(**exports)


def test_a_part_that_is_half_written_leaves_the_run_before_it_in_place(exports: dict[str, Path]) -> None:
    later = deliver(exports["actual"], ACTUAL[:1], LATER)
    part = later / "part_0_0001.csv.gz"
    part.write_bytes(part.read_bytes()[:50])
    bill = fetch(**exports)
    assert bill.costs.sum() == total(ACTUAL)
    assert "the run before it counts" in " ".join(note.text for note in bill.notes)


def test_an_export_of_the_other_kind_is_not_taken_for_it(exports: dict[str, Path]) -> None:
    with pytest.raises(NotReady, match="an export of AmortizedCost, which is not ActualCost or Usage"):
        fetch(actual=exports["amortized"])


def test_amortised_costs_that_are_late_are_waited_for_and_those_never_kept_are_not(exports: dict[str, Path]) -> None:
    october = {"BillingPeriodStartDate": "10/01/2024", "BillingPeriodEndDate": "10/31/2024", "Date": "10/13/2024"}
    august = {"BillingPeriodStartDate": "08/01/2024", "BillingPeriodEndDate": "08/31/2024", "Date": "08/13/2024"}
    deliver(exports["actual"], [row("8", **august)], period="20240801-20240831")
    bill = fetch(**exports)
    assert {row.key[0]: (row.billed, row.effective) for row in bill.costs.by("billing_month").rows()} == {
        "2024-08": (Decimal(8), Decimal(8)),
        "2024-09": (total(ACTUAL), total(AMORTIZED)),
    }
    said = [note.text for note in bill.notes if note.subject == "no_effective_cost"]
    assert said == ["no amortised costs of 2024-08; effective repeats billed there"]
    deliver(exports["actual"], [row("10", **october)], LATER, period="20241001-20241031")
    with pytest.raises(NotReady, match="no amortised costs of 2024-10, of which there are actual ones"):
        fetch(**exports)


def test_a_charge_type_that_nobody_knows_keeps_its_money_and_is_said(tmp_path: Path) -> None:
    write(tmp_path / "costs.csv", [row("3", 13, "MoonFee"), row("4", 13, "")])
    bill = fetch(actual=tmp_path)
    assert bill.costs.where(charge_category="adjustment").sum() == 7
    assert {note.text for note in bill.notes if note.subject == "unknown_charge_category"} == {
        "'MoonFee' is kept as Adjustment",
        "'no ChargeType' is kept as Adjustment",
    }


@pytest.mark.parametrize("lost", ["CostInBillingCurrency", "BillingCurrency", "Date"])
def test_a_missing_column_is_named_with_its_file(lost: str, tmp_path: Path) -> None:
    path = write(tmp_path / "costs.csv", ACTUAL, [name if name != lost else "Else" for name in EA])
    with pytest.raises(BadData) as caught:
        fetch(actual=tmp_path)
    assert caught.value.message == f"{path}: row 1: no column {lost}"


@pytest.mark.parametrize(
    ("column", "called"),
    [("CostInBillingCurrency", "costInBillingCurrency"), ("Date", "date"), ("BillingCurrency", "billingCurrency")],
)
def test_a_cell_that_cannot_be_is_named_as_the_export_calls_it(column: str, called: str, tmp_path: Path) -> None:
    write(tmp_path / "costs.csv", [*ACTUAL, row("1") | {column: "1.2,3"}], DIALECTS["MCA"])
    with pytest.raises(BadData, match=rf"costs\.csv: row 10, column {called}: '1\.2,3' is not an? "):
        fetch(actual=tmp_path)


def test_an_export_of_focus_takes_the_road_of_focus(tmp_path: Path) -> None:
    header = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName\n"
    (tmp_path / "focus.csv").write_text(header + "1.5,EUR,2024-09-01,Usage,2024-09-02,Microsoft\n")
    assert fetch(path=tmp_path).costs.sum() == Decimal("1.5")


def test_two_kinds_of_exports_make_one_bill_from_blob_storage(cloud: Cloud, exports: dict[str, Path]) -> None:
    for name, root in exports.items():
        for path in root.rglob("*"):
            if path.is_file():
                cloud.objects[f"{name}/{path.relative_to(root)}"] = path.read_bytes()
    bill = fetch(
        actual="az://bills/actual",
        amortized="az://bills/amortized",
        account="account",
        endpoint=f"{cloud.url}/account",
        anonymous=True,
    )
    assert (bill.costs.sum(), bill.costs.sum(Cost.EFFECTIVE)) == (total(ACTUAL), total(AMORTIZED))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "give `path` for an export of FOCUS, or `actual` for one of actual costs"),
        ({"path": "x", "actual": "y"}, "give `path` for an export of FOCUS, or `actual` for one of actual costs"),
        ({"amortized": "x"}, "give `path` for an export of FOCUS, or `actual` for one of actual costs"),
        ({"path": "x", "amortized": "y"}, "`amortized` goes with `actual`"),
        ({"actual": "ftp://x/y"}, "ftp:// is no address of a bill"),
    ],
)
def test_options_that_name_no_bill_are_refused(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        AzureExportOptions.model_validate(options)
