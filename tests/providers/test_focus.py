"""FOCUS bills: exact against totals that others computed, and refused where they cannot be."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from exporter.costs import Ask, Bill, Cost, CostLine, CostTable, Scope, engine, text
from exporter.costs.money import add, stored
from exporter.errors import BadData, NotReady, Unavailable
from exporter.normalise import names
from exporter.periods import ALWAYS, Grain, Month, Window
from exporter.providers import focus
from exporter.providers.focus import SPEC, FocusOptions

HERE = Path(__file__).parents[1] / "fixtures" / "focus"
REAL = "focus-1.0_focus_sample"
BILLS = {
    REAL: ("", "1.0"),
    "focus-1.2_azure_rows25_credits": ("focus-1.2-synthetic/azure_rows25_seed7_credits.csv", "1.2"),
    "focus-1.2_gcp_rows1000_seed11": ("focus-1.2-synthetic/gcp_rows1000_seed11.csv.gz", "1.2"),
    "focus-1.2_gcp_rows25_credits": ("focus-1.2-synthetic/gcp_rows25_seed7_credits.csv", "1.2"),
    "focus-1.3_aws_rows1000_seed11": ("focus-1.3-synthetic/aws_rows1000_seed11.csv.gz", "1.3"),
    "focus-1.3_aws_rows25_credits": ("focus-1.3-synthetic/aws_rows25_seed7_credits.csv", "1.3"),
    "focus-1.3_consolidated_multi_provider": ("focus-1.3-handmade/consolidated_multi_provider.csv", "1.3"),
}
DIMENSIONS = {
    "all": (),
    "_provider": ("provider",),
    "_provider+ChargeCategory": ("provider", "charge_category"),
    "_provider+ServiceName": ("provider", "service"),
    "_provider+_region": ("provider", "region"),
    "_provider+SubAccountId": ("provider", "account"),
    "_provider+_day": ("provider", "day"),
    "_provider+_bm+BillingCurrency": ("provider", "billing_month"),
    "_provider+CommitmentDiscountStatus": ("provider", "commitment_status"),
    "_provider+ServiceName+_region+SubAccountId": ("provider", "service", "region", "account"),
}
SLUGS = {"AWS": "aws", "Microsoft": "azure", "Microsoft Azure": "azure", "Oracle": "oci", "Google Cloud": "gcp"}


class NoMeter:
    def request(self, operation: str, charge: Decimal = Decimal(0), currency: str = "USD") -> None:
        pass

    def page(self, request: Mapping[str, object], fetch: Callable[[], bytes]) -> bytes:
        return fetch()


def path_of(name: str, tmp_path: Path) -> Path:
    if name != REAL:
        return HERE / BILLS[name][0]
    packed = files("exporter.providers").joinpath("sample/focus_sample.csv.gz").read_bytes()
    unpacked = tmp_path / "focus_sample.csv"
    unpacked.write_bytes(gzip.decompress(packed))
    return unpacked


def fetch(path: Path | str, window: Window = ALWAYS, tags: tuple[str, ...] = (), grain: Grain = Grain.DAY) -> Bill:
    return SPEC.connect(FocusOptions(path=str(path)), NoMeter()).fetch(Ask(window, grain, tags))


def as_label(dimension: str, value: str) -> str:
    """A value of the expected totals as our label has it, worked out apart from the code under test."""
    if dimension == "provider":
        return SLUGS.get(value, value.lower())
    if dimension == "region":
        return value or "global"
    if dimension == "account":
        return value.split("/")[-1]
    if dimension == "commitment_status":
        return value.lower() or "none"
    return value.lower() if dimension == "charge_category" else value


def expected_groups(
    groups: dict[str, Any], dimensions: tuple[str, ...], *, currency: bool
) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for key, group in groups.items():
        values = key.split("|") if dimensions else []
        labels = [as_label(*pair) for pair in zip(dimensions, values, strict=False)]
        if currency:
            labels.append(values[-1])
        assert tuple(labels) not in found, "two groups of the expected totals share a label set"
        found[tuple(labels)] = group
    return found


def across_currencies(lines: list[CostLine]) -> dict[tuple[str, ...], list[CostLine]]:
    found: dict[tuple[str, ...], list[CostLine]] = {}
    for line in lines:
        found.setdefault(line.key, []).append(line)
    return found


def amount_of(lines: list[CostLine], cost: Cost) -> str:
    return text(add(*(line.amount(cost) for line in lines)))


@pytest.mark.parametrize("name", BILLS)
@pytest.mark.parametrize("grouping", DIMENSIONS)
def test_every_grouping_equals_the_expected_totals_to_the_last_decimal(
    name: str, grouping: str, tmp_path: Path
) -> None:
    expected = json.loads((HERE / "expected" / f"{name}.json").read_text())
    dimensions = DIMENSIONS[grouping]
    by_currency = grouping.endswith("BillingCurrency")
    bill = names.tidy(fetch(path_of(name, tmp_path)).costs)
    lines = bill.by(*dimensions).rows()
    groups = expected_groups(expected["totals"][grouping], dimensions, currency=by_currency)
    if by_currency:
        found = {(*line.key, line.currency): [line] for line in lines}
    else:
        found = across_currencies(lines)
    assert found.keys() == groups.keys()
    for key, group in groups.items():
        assert sum(line.rows for line in found[key]) == group["rows"]
        for cost in Cost:
            assert amount_of(found[key], cost) == group[cost.column], (key, cost)
            if group.get(f"{cost.column}_nulls") == group["rows"]:
                assert all(getattr(line, cost.value) is None for line in found[key])


@pytest.mark.parametrize("name", BILLS)
def test_the_version_is_read_from_the_header(name: str, tmp_path: Path) -> None:
    notes = {note.subject: note.text for note in fetch(path_of(name, tmp_path)).notes}
    assert notes["focus_version"] == f"FOCUS {BILLS[name][1]}, read from the headers"


@pytest.mark.parametrize(
    ("columns", "version"),
    [
        ("ProviderName", "1.0"),
        ("ProviderName,BillingAccountType", "1.0"),
        ("ProviderName,SkuMeter", "1.1"),
        ("ProviderName,InvoiceId", "1.2"),
        ("ProviderName,ServiceProviderName", "1.3"),
        ("ServiceProviderName", "1.4"),
    ],
)
def test_each_version_is_known_by_the_columns_it_brought(columns: str, version: str, tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(f"BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,{columns}\n")
    assert fetch(path).notes[0].text.startswith(f"FOCUS {version},")


@pytest.mark.parametrize("name", [REAL, "focus-1.3_aws_rows1000_seed11"])
def test_parquet_of_the_same_rows_gives_the_same_bill(name: str, tmp_path: Path) -> None:
    csv, parquet = path_of(name, tmp_path), tmp_path / "bill.parquet"
    engine.run(
        f"COPY (SELECT * REPLACE (try_cast(nullif(BilledCost, 'NULL') AS DECIMAL(38,20)) AS BilledCost,"
        " CAST(nullif(ChargePeriodStart, 'NULL') AS TIMESTAMPTZ) AS ChargePeriodStart)"
        f" FROM read_csv('{csv}', all_varchar = true)) TO '{parquet}' (FORMAT parquet)"
    )
    dimensions = ("provider", "service", "region", "account", "day", "charge_category", "billing_month")
    assert fetch(parquet).costs.by(*dimensions).rows() == fetch(csv).costs.by(*dimensions).rows()


def test_a_parquet_double_means_its_shortest_decimal(tmp_path: Path) -> None:
    path = tmp_path / "bill.parquet"
    engine.run(
        "COPY (SELECT 0.1::DOUBLE AS BilledCost, 'USD' AS BillingCurrency,"
        " TIMESTAMP '2024-09-01' AS BillingPeriodStart,"
        " 'Usage' AS ChargeCategory, TIMESTAMP '2024-09-01' AS ChargePeriodStart, 'AWS' AS ProviderName,"
        f" MAP {{'team': 'web'}} AS Tags) TO '{path}' (FORMAT parquet)"
    )
    costs = fetch(path, tags=("team",)).costs
    assert costs.sum() == Decimal("0.1")
    assert costs.where(**{"tag:team": "web"}).sum() == Decimal("0.1")


def test_a_folder_is_read_with_all_its_folders_and_a_glob_with_what_it_matches(tmp_path: Path) -> None:
    (tmp_path / "2024").mkdir()
    write(tmp_path / "2024" / "a.csv", line("1"))
    write(tmp_path / "b.csv", line("2"))
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress((HEADER + line("4")).encode()))
    (tmp_path / "readme.txt").write_text("not a bill")
    assert fetch(tmp_path).costs.sum() == 7
    assert fetch(tmp_path / "*.csv").costs.sum() == 2
    assert fetch(tmp_path / "**" / "*.csv").costs.sum() == 3


def test_files_of_different_versions_are_one_bill(tmp_path: Path) -> None:
    write(tmp_path / "old.csv", line("1"))
    write(tmp_path / "new.csv", line("2"), header=HEADER.replace("ProviderName", "ServiceProviderName"))
    bill = fetch(tmp_path)
    assert bill.costs.sum() == 3
    assert bill.notes[0].text == "FOCUS 1.0, 1.4, read from the headers"


def test_the_charges_asked_for_are_those_that_start_in_the_window(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", line("1", day="2024-09-01"), line("2", day="2024-09-02"), line("4", day="2024-09-03"))
    window = Window.of_days(date(2024, 9, 2), date(2024, 9, 3))
    bill = fetch(tmp_path / "a.csv", window)
    assert bill.costs.sum() == 2
    assert bill.covered == (Scope(window, billing=(Month(2024, 9),)),)


def test_a_file_answers_for_its_billing_months_so_that_a_re_export_can_lose_days(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", line("1", day="2024-09-10"))
    assert fetch(tmp_path / "a.csv").covered == (Scope(ALWAYS, billing=(Month(2024, 9),)),)


def test_a_name_with_brackets_or_stars_is_a_name_and_no_pattern(tmp_path: Path) -> None:
    write(tmp_path / "bill1.csv", line("100"))
    write(tmp_path / "bill[1].csv", line("1"))
    write(tmp_path / "bill*.csv", line("10"))
    assert fetch(tmp_path).costs.sum() == 111


def test_folders_named_like_columns_change_no_cell(tmp_path: Path) -> None:
    folder = tmp_path / "BillingCurrency=EUR" / "BilledCost=99"
    folder.mkdir(parents=True)
    write(folder / "x.csv", line("5"))
    [found] = fetch(tmp_path).costs.rows()
    assert (found.currency, found.billed) == ("USD", 5)


@pytest.mark.parametrize("day", ["0024-09-01", "1969-12-31", "2999-01-01"])
def test_a_charge_of_another_age_is_refused_rather_than_lost(day: str, tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(f"{HEADER}{line('1')}1000,USD,2024-09-01,Usage,{day},AWS\n")
    with pytest.raises(BadData, match=f"row 3, column ChargePeriodStart: '{day}' is not an instant"):
        fetch(path)


def test_a_file_that_changes_while_it_is_read_is_read_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "bill.csv", line("1"))
    read = focus._bill

    def meanwhile(*given: Any) -> Bill:
        bill = read(*given)
        write(path, line("1"), line("2"))
        return bill

    monkeypatch.setattr(focus, "_bill", meanwhile)
    with pytest.raises(Unavailable, match="a file changed while it was read"):
        fetch(path)


def test_a_great_many_amounts_that_are_too_fine_are_rounded_exactly(tmp_path: Path) -> None:
    amounts = [Decimal(f"1.{number:05}23456789012e-{10 + number % 20}") for number in range(5000)]
    write(tmp_path / "a.csv", *(line(str(amount)) for amount in amounts))
    bill = fetch(tmp_path / "a.csv")
    assert bill.costs.sum() == add(*map(stored, amounts))


def test_a_year_of_daily_files_is_one_bill(tmp_path: Path) -> None:
    for number in range(120):
        write(tmp_path / f"{number}.csv", line(str(number), day=f"2024-{number % 12 + 1:02}-01"))
    assert fetch(tmp_path).costs.sum() == sum(range(120))


def test_money_that_came_back_can_be_left_out(tmp_path: Path) -> None:
    header = HEADER.replace("ProviderName", "ProviderName,ChargeClass")
    rows = [("100", "Purchase", ""), ("-60", "Purchase", ""), ("7", "Usage", ""), ("-2", "Usage", "Correction")]
    rows += [("-1", "Usage", ""), ("-5", "Credit", "")]
    text = [line(cost, category=category).rstrip() + f",{word}\n" for cost, category, word in rows]
    costs = fetch(write(tmp_path / "a.csv", *text, header=header)).costs
    assert costs.sum() == 39
    assert costs.without(charge_category="refund").sum() == 101


def test_a_bill_without_rows_covers_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.csv")
    bill = fetch(tmp_path / "a.csv")
    assert bill.covered == ()
    assert bill.costs.rows() == []


def test_no_file_is_not_ready_rather_than_an_empty_bill(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="no file"):
        fetch(tmp_path / "missing.csv")
    with pytest.raises(NotReady, match=r"no \.csv, \.csv\.gz, \.parquet file below"):
        fetch(tmp_path)


def test_hours_are_kept_where_hours_are_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", line("1", day="2024-09-01T05:00:00Z"), line("2", day="2024-09-01T06:00:00Z"))
    hours = fetch(tmp_path / "a.csv", grain=Grain.HOUR).costs.by("hour").rows()
    assert [(each.key[0], each.billed) for each in hours] == [("2024-09-01T05:00Z", 1), ("2024-09-01T06:00Z", 2)]


def test_an_offset_counts(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", line("1", day="2024-09-02T05:00:00+08:00"))
    assert fetch(tmp_path / "a.csv").costs.by("day").rows()[0].key == ("2024-09-01",)


def test_a_period_that_ends_in_its_last_second_ends_a_second_later(tmp_path: Path) -> None:
    header = HEADER.replace("ProviderName", "ProviderName,ChargePeriodEnd")
    row = line("1", day="2024-09-01T00:00:00Z").rstrip() + ",2024-09-30T23:59:59Z\n"
    write(tmp_path / "a.csv", row, header=header)
    span = fetch(tmp_path / "a.csv").costs.span()
    assert span == Window(datetime(2024, 9, 1, tzinfo=UTC), datetime(2024, 10, 1, tzinfo=UTC))


def test_more_than_24_decimals_are_counted_and_rounded_half_even(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", line("0.1234567890123456789012345"), line("0.1234567890123456789012355"), line("1e-30"))
    bill = fetch(tmp_path / "a.csv")
    assert bill.rounded == 3
    assert bill.costs.sum() == Decimal("0.246913578024691357802470")


def test_an_amount_may_be_in_e_notation(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", line("1.2E-7"), line("-3e2"))
    bill = fetch(tmp_path / "a.csv")
    assert bill.rounded == 0
    assert bill.costs.sum() == Decimal("-299.99999988")


def test_an_unknown_charge_category_is_kept_as_adjustment_and_said(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", line("1", category="usage"), line("2", category="Rounding"))
    bill = fetch(tmp_path / "a.csv")
    assert [(each.key[0], each.billed) for each in bill.costs.by("charge_category").rows()] == [
        ("adjustment", 2),
        ("usage", 1),
    ]
    assert "'Rounding' is kept as Adjustment" in [note.text for note in bill.notes]


def test_tags_of_the_asked_keys_are_kept(tmp_path: Path) -> None:
    header = HEADER.replace("ProviderName", "ProviderName,Tags")
    tags = '"{""team"": ""web"", ""x.y"": ""1"", ""other"": ""no""}"'
    bare = '"""team"": ""ops"""'  # Azure's native exports leave the braces out
    write(
        tmp_path / "a.csv",
        line("1").rstrip() + f",{tags}\n",
        line("2").rstrip() + f",{bare}\n",
        line("4").rstrip() + ",NULL\n",
        header=header,
    )
    costs = fetch(tmp_path / "a.csv", tags=("team", "x.y")).costs
    assert {each.key[0]: each.billed for each in costs.by("tag:team").rows()} == {"web": 1, "ops": 2, "none": 4}
    assert costs.where(**{"tag:x.y": "1"}).sum() == 1
    assert costs.by("tag:other").rows()[0].key == ("none",)


HEADER = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName\n"


def line(cost: str, currency: str = "USD", day: str = "2024-09-01", category: str = "Usage") -> str:
    month = day[:7] if day.startswith("20") else "2024-09"
    return f"{cost},{currency},{month}-01,{category},{day},AWS\n"


def write(path: Path, *lines: str, header: str = HEADER) -> Path:
    path.write_text(header + "".join(lines))
    return path


REFUSED = {
    "a word for an amount": (line("1") + line("x1"), "row 3, column BilledCost: 'x1' is not an amount"),
    "a thousands comma": (line("1") + line('"1,000.5"'), "row 3, column BilledCost: '1,000.5' is not an amount"),
    "no amount": (line("1") + line(""), "row 3, column BilledCost: is empty"),
    "a null amount": (line("1") + line("NULL"), "row 3, column BilledCost: is empty"),
    "not a number": (line("NaN"), "row 2, column BilledCost: 'NaN' is not an amount"),
    "an amount past 10^14": (line("1e15"), "row 2, column BilledCost: '1e15' is not an amount below 10^14"),
    "no currency": (line("1", currency=""), "row 2, column BillingCurrency: is empty"),
    "no such currency": (line("1", currency="US$"), "row 2, column BillingCurrency: 'US$' is not an ISO 4217 currency"),
    "a date with dots": (
        line("1", day="04.09.2024"),
        "row 2, column ChargePeriodStart: '04.09.2024' is not an instant",
    ),
    "a day that is none": (
        line("1", day="2024-02-30"),
        "row 2, column ChargePeriodStart: '2024-02-30' is not an instant",
    ),
    "a row too long": (line("1") + "a," + line("1"), "row 3: 7 fields under a header of 6"),
    "a row too short": (line("1") + "1,USD\n", "row 3: 2 fields under a header of 6"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_a_bill_is_refused_with_file_row_and_column(case: str, tmp_path: Path) -> None:
    rows, sentence = REFUSED[case]
    path = write(tmp_path / "bill.csv", rows)
    with pytest.raises(BadData) as caught:
        fetch(path)
    assert str(caught.value).startswith(f"{path}: {sentence}")


def test_one_bad_row_in_one_of_many_files_is_found(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", line("1"))
    bad = write(tmp_path / "b.csv", *[line("1")] * 500, line("oops"), line("2"))
    with pytest.raises(BadData, match="row 502, column BilledCost: 'oops'") as caught:
        fetch(tmp_path)
    assert str(bad) in str(caught.value)


def test_a_bad_parquet_row_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / "bill.parquet"
    csv = write(tmp_path / "x.csv", line("1"), line("2"), line("nope"))
    engine.run(f"COPY (SELECT * FROM read_csv('{csv}', all_varchar = true)) TO '{path}' (FORMAT parquet)")
    with pytest.raises(BadData, match="row 3, column BilledCost: 'nope' is not an amount"):
        fetch(path)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.csv", b"", "row 1: the file is empty"),
        ("other.csv", b"a,b\n1,2\n", "row 1: no column BilledCost"),
        ("twice.csv", b"BilledCost,BilledCost\n1,2\n", "row 1: column 'BilledCost' stands there twice"),
        ("broken.csv.gz", b"\x1f\x8b\x08 not gzip", "cannot be read"),
        ("broken.parquet", b"PAR1 not parquet PAR1", "not a Parquet file"),
        ("latin.csv", "Größe".encode("latin-1"), "cannot be read"),
        ("bill.xlsx", b"", "not a bill by its name"),
    ],
)
def test_a_file_that_is_no_bill_at_all_is_refused(name: str, content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadData) as caught:
        fetch(path)
    assert str(caught.value).startswith(f"{path}: {sentence}")


def test_a_gzip_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv.gz"
    path.write_bytes(gzip.compress((HEADER + line("1") * 20000).encode())[:-400])
    with pytest.raises(BadData, match=r"bill.csv.gz"):
        fetch(path)


def test_amounts_whose_sum_does_not_fit_are_an_error_and_not_a_wrong_number(tmp_path: Path) -> None:
    path = write(tmp_path / "bill.csv", *[line("99999999999999")] * 3)
    with pytest.raises(BadData, match="do not fit"):
        fetch(path)


def test_a_table_of_a_bill_outlives_the_bill(tmp_path: Path) -> None:
    table: CostTable = fetch(write(tmp_path / "a.csv", line("1"))).costs.by("provider")
    assert table.rows()[0].billed == 1
