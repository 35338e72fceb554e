"""What real FOCUS files get wrong, each defect by itself: taken where it means one thing only, refused where not."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.costs import Ask, Bill, Cost, engine
from exporter.errors import BadData
from exporter.normalise import names
from exporter.periods import ALWAYS, Grain, Window
from exporter.providers.focus import Focus, FocusOptions

EXAMPLES = Path(__file__).parents[1] / "fixtures" / "focus" / "focus-1.2-spec-examples"
HEADER = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName"


class NoMeter:
    def request(self, *args: object, **kwargs: object) -> None:
        pass


def fetch(path: Path, tags: tuple[str, ...] = (), grain: Grain = Grain.DAY) -> Bill:
    return Focus(FocusOptions(path=str(path)), NoMeter()).fetch(Ask(ALWAYS, grain, tags))


@pytest.fixture
def bill(tmp_path: Path) -> Callable[..., Path]:
    def written(*rows: str, header: str = HEADER, end: str = "\n") -> Path:
        path = tmp_path / "bill.csv"
        path.write_text(end.join([header, *rows]) + end, newline="")
        return path

    return written


def notes(answer: Bill) -> dict[str, str]:
    return {note.subject: note.text for note in answer.notes}


def days(answer: Bill) -> dict[str, Decimal]:
    return {line.key[0]: line.billed for line in answer.costs.by("day").rows()}


def refusal(path: Path, tags: tuple[str, ...] = ()) -> str:
    with pytest.raises(BadData) as caught:
        fetch(path, tags)
    return str(caught.value).removeprefix(f"{path}: ")


# Nulls, times and text


def test_bare_null_empty_and_null_in_small_letters_all_mean_nothing_in_one_file(bill: Callable[..., Path]) -> None:
    header = f"{HEADER},ListCost,RegionId,RegionName"
    rows = [f"1,USD,2024-09-01,Usage,2024-09-02,AWS,{null},{null},r{i}" for i, null in enumerate(("NULL", "", "null"))]
    lines = fetch(bill(*rows, header=header)).costs.by("region").rows()
    assert [(line.key, line.billed, line.list) for line in lines] == [((f"r{i}",), 1, None) for i in range(3)]


@pytest.mark.parametrize(
    ("written", "hour"),
    [
        ("2024-09-02T05:00:00Z", "05"),
        ("2024-09-02 05:00:00", "05"),
        ("2024-09-02 05:00", "05"),
        ("2024-09-02T05:00Z", "05"),
        ("2024-09-02T05:00:00.000Z", "05"),
        ("2024-09-02 05:00:00 UTC", "05"),
        ("2024-09-02T05:00:00+08:00", "21 of the day before"),
        ("2024-09-02", "00"),
        ("9/2/2024 5:00", "05"),
        ("09/02/2024 05:00:00 AM", "05"),
        ("9/2/24 5:00", "05"),
        ("9/2/2024 05:00:00 PM", "17"),
        ("9/2/2024 5:00 Z", "05"),
    ],
)
def test_a_time_may_be_written_in_many_ways_and_is_utc(written: str, hour: str, bill: Callable[..., Path]) -> None:
    period = "9/1/2024" if "/" in written else "2024-09-01"
    answer = fetch(bill(f"1,USD,{period},Usage,{written},AWS"), grain=Grain.HOUR)
    expected = "2024-09-01T21:00Z" if "before" in hour else f"2024-09-02T{hour}:00Z"
    assert [line.key[0] for line in answer.costs.by("hour").rows()] == [expected]


def test_a_day_past_12_decides_the_order_for_the_whole_file(bill: Callable[..., Path]) -> None:
    american = bill("1,USD,2/1/2024,Usage,2/3/2024,AWS", "2,USD,2/1/2024,Usage,2/13/2024,AWS")
    assert days(fetch(american)) == {"2024-02-03": 1, "2024-02-13": 2}
    assert notes(fetch(american))["date_order"] == (
        "dates are read as M/D/YYYY: a number past 12 stands where the day does"
    )
    european = bill("1,USD,01/02/2024,Usage,03/02/2024,AWS", "2,USD,01/02/2024,Usage,13/02/2024,AWS")
    assert days(fetch(european)) == {"2024-02-03": 1, "2024-02-13": 2}
    assert notes(fetch(european))["date_order"].startswith("dates are read as D/M/YYYY")


def test_where_no_day_is_past_12_billing_periods_decide_for_they_begin_on_the_first(bill: Callable[..., Path]) -> None:
    american = fetch(bill("1,USD,4/1/2024,Usage,4/5/2024,AWS"))
    assert days(american) == {"2024-04-05": 1}
    assert notes(american)["date_order"] == (
        "dates are read as M/D/YYYY: its billing periods then begin on the first of a month"
    )
    assert days(fetch(bill("1,USD,1/4/2024,Usage,5/4/2024,AWS"))) == {"2024-04-05": 1}


def test_in_january_the_end_of_the_billing_period_decides(bill: Callable[..., Path]) -> None:
    header = HEADER + ",BillingPeriodEnd"
    assert days(fetch(bill("1,USD,1/1/2024,Usage,1/5/2024,AWS,2/1/2024", header=header))) == {"2024-01-05": 1}
    assert days(fetch(bill("1,USD,1/1/2024,Usage,5/1/2024,AWS,1/2/2024", header=header))) == {"2024-01-05": 1}


def test_where_day_and_month_are_alike_the_order_does_not_matter(bill: Callable[..., Path]) -> None:
    assert days(fetch(bill("1,USD,1/1/2024,Usage,1/1/2024,AWS"))) == {"2024-01-01": 1}


def test_dates_that_nothing_decides_are_refused_and_never_guessed(bill: Callable[..., Path]) -> None:
    sentence = refusal(bill("1,USD,1/1/2024,Usage,2/3/2024,AWS"))
    assert sentence.startswith(
        "dates such as '1/1/2024' can be read in two ways, and nothing in the file decides. hint"
    )


def test_dates_that_contradict_each_other_are_refused(bill: Callable[..., Path]) -> None:
    path = bill("1,USD,2/1/2024,Usage,13/2/2024,AWS", "1,USD,2/1/2024,Usage,2/13/2024,AWS")
    assert refusal(path).startswith("its dates are written both as D/M/YYYY and as M/D/YYYY")


def test_a_day_that_no_month_has_is_refused_in_slashes_too(bill: Callable[..., Path]) -> None:
    path = bill("1,USD,2/1/2024,Usage,2/13/2024,AWS", "1,USD,2/1/2024,Usage,2/30/2024,AWS")
    assert refusal(path).startswith("row 3, column ChargePeriodStart: '2/30/2024' is not an instant")


def test_the_specifications_own_examples_with_byte_order_mark_and_american_dates_are_read() -> None:
    tokens = fetch(EXAMPLES / "virtual_currency_pricing_model_a2.csv")
    assert (tokens.costs.sum(), tokens.costs.sum(Cost.EFFECTIVE)) == (0, 1230)
    purchases = fetch(EXAMPLES / "virtual_currency_pricing_model_c.csv")
    assert days(purchases) == {"2025-04-01": 3000, "2025-10-01": 50000}
    year = fetch(EXAMPLES / "saas_spend_agreements_a1.csv")
    months = {"2025-04": 48, "2025-05": 120, "2025-06": 60, "2026-03": 972}
    assert {line.key[0]: line.billed for line in year.costs.by("billing_month").rows()} == months


def test_amounts_with_a_currency_mark_or_thousands_commas_are_refused() -> None:
    path = EXAMPLES / "simple_saas_agreements_a1.csv"
    assert refusal(path).startswith("row 2, column BilledCost: '$10,000.00' is not an amount")


@pytest.mark.parametrize("amount", ["1_000", "+", "0x10", "1e", "12,5", "Infinity", "1 000", "٣"])
def test_what_only_looks_like_a_number_is_refused(amount: str, bill: Callable[..., Path]) -> None:
    path = bill(f'"{amount}",USD,2024-09-01,Usage,2024-09-02,AWS')
    assert refusal(path).startswith(f"row 2, column BilledCost: {amount!r} is not an amount")


def test_e_notation_and_24_decimals_are_exact(bill: Callable[..., Path]) -> None:
    amounts = ("1.25E-22", "0.000000000000000000000001", "-2.5e+1", "3E2", "99999999999999.000000000000000000000001")
    answer = fetch(bill(*(f"{amount},USD,2024-09-01,Usage,2024-09-02,AWS" for amount in amounts[:4])))
    assert answer.costs.sum() == Decimal("275.000000000000000000000126")
    assert answer.rounded == 0
    assert fetch(bill(f"{amounts[4]},USD,2024-09-01,Usage,2024-09-02,AWS")).costs.sum() == Decimal(amounts[4])


def test_amounts_of_a_parquet_file_are_exact_in_every_type(tmp_path: Path) -> None:
    types = {"DECIMAL(38,24)": "1.000000000000000000000001", "DECIMAL(18,2)": "1.25", "BIGINT": "3", "DOUBLE": "0.1"}
    for number, (type_, amount) in enumerate(types.items()):
        engine.run(
            f"COPY (SELECT CAST('{amount}' AS {type_}) AS BilledCost, 'USD' AS BillingCurrency, DATE '2024-09-01' AS"
            " BillingPeriodStart, 'Usage' AS ChargeCategory, DATE '2024-09-02' AS ChargePeriodStart, 'AWS' AS"
            f" ProviderName) TO '{tmp_path}/{number}.parquet'"
        )
    assert fetch(tmp_path).costs.sum() == Decimal("5.350000000000000000000001")


@pytest.mark.parametrize(("double", "sum_"), [("1.5e-30", "0"), ("2.5e-24", "0.000000000000000000000002")])
def test_a_parquet_double_that_is_too_fine_is_rounded_half_even_and_counted(
    double: str, sum_: str, tmp_path: Path
) -> None:
    path = tmp_path / "bill.parquet"
    engine.run(
        f"COPY (SELECT {double}::DOUBLE AS BilledCost, 'USD' AS BillingCurrency, DATE '2024-09-01' AS"
        " BillingPeriodStart,"
        f" 'Usage' AS ChargeCategory, DATE '2024-09-02' AS ChargePeriodStart, 'AWS' AS ProviderName) TO '{path}'"
    )
    answer = fetch(path)
    assert (answer.rounded, answer.costs.sum()) == (1, Decimal(sum_))


@pytest.mark.parametrize("double", ["'nan'", "'inf'", "1e14", "NULL"])
def test_a_parquet_double_that_is_no_amount_is_refused(double: str, tmp_path: Path) -> None:
    path = tmp_path / "bill.parquet"
    engine.run(
        f"COPY (SELECT {double}::DOUBLE AS BilledCost, 'USD' AS BillingCurrency, DATE '2024-09-01' AS"
        " BillingPeriodStart,"
        f" 'Usage' AS ChargeCategory, DATE '2024-09-02' AS ChargePeriodStart, 'AWS' AS ProviderName) TO '{path}'"
    )
    assert refusal(path).startswith("row 1, column BilledCost:")


def test_ids_keep_their_leading_zeros(bill: Callable[..., Path]) -> None:
    path = bill("1,USD,2024-09-01,Usage,2024-09-02,AWS,000012345678", header=f"{HEADER},SubAccountId")
    assert fetch(path).costs.by("account").rows()[0].key == ("000012345678",)


def test_azure_regions_in_mixed_case_and_with_spaces_are_one_region(bill: Callable[..., Path]) -> None:
    rows = [f"1,USD,2024-09-01,Usage,2024-09-02,Microsoft,{region}" for region in ("EastUS2", "East US 2", "eastus2")]
    costs = names.tidy(fetch(bill(*rows, header=f"{HEADER},RegionId")).costs)
    assert [(line.key, line.billed) for line in costs.by("region").rows()] == [(("eastus2",), 3)]


def test_words_of_a_list_match_whatever_their_case(bill: Callable[..., Path]) -> None:
    header = f"{HEADER},ChargeClass,CommitmentDiscountStatus,ChargeFrequency"
    answer = fetch(bill("1,usd,2024-09-01,usage,2024-09-02,AWS,CORRECTION,uNUSED,Usage-based", header=header))
    [line] = answer.costs.by("charge_category", "commitment_status").rows()
    assert (line.key, line.currency) == (("usage", "unused"), "USD")


def test_line_ends_inside_of_quotes_belong_to_the_cell(bill: Callable[..., Path]) -> None:
    header = f"ChargeDescription,{HEADER}"
    path = bill(
        '"two\nlines, ""quoted""",1,USD,2024-09-01,Usage,2024-09-02,AWS',
        "x" + ",2,USD,2024-09-01,Usage,2024-09-02,AWS",
        header=header,
    )
    assert fetch(path).costs.sum() == 3


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(bill: Callable[..., Path]) -> None:
    path = bill("1,USD,2024-09-01,Usage,2024-09-02,AWS", "", "2,USD,2024-09-01,Usage,2024-09-02,AWS", end="\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert fetch(path).costs.by("provider").rows()[0].billed == 3
    packed = path.with_name("bill.csv.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert fetch(packed).costs.sum() == 3


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_refused_with_the_way_out(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(HEADER + "\n", encoding=encoding)
    assert refusal(path) == "is UTF-16, not UTF-8. hint: iconv -f UTF-16 -t UTF-8 bill.csv"


def test_semicolons_are_taken_where_the_header_has_them(bill: Callable[..., Path]) -> None:
    row = '1.5;USD;2024-09-01;Usage;2024-09-02;AWS;"a;b, c"'
    answer = fetch(bill(row, header=f"{HEADER},SubAccountName".replace(",", ";")))
    assert answer.costs.sum() == Decimal("1.5")
    assert notes(answer)["delimiter"] == "semicolons stand between the fields, as in the header"


def test_a_decimal_comma_is_refused_even_between_semicolons(bill: Callable[..., Path]) -> None:
    path = bill("1,234;USD;2024-09-01;Usage;2024-09-02;AWS", header=HEADER.replace(",", ";"))
    assert refusal(path).startswith("row 2, column BilledCost: '1,234' is not an amount")


# Rows that do not fit their header


def test_rows_may_end_in_empty_fields_that_the_header_does_not_have(bill: Callable[..., Path]) -> None:
    row = "USD,2024-09-01,Usage,2024-09-02,AWS"
    answer = fetch(bill(f"1,{row},,,", f"2,{row}", f"4,{row},"))
    assert answer.costs.sum() == 7
    assert notes(answer)["uneven_rows"] == "2 rows have more or fewer fields than the header, none that counts"


def test_a_row_with_text_past_the_header_is_refused_by_its_number(bill: Callable[..., Path]) -> None:
    row = "USD,2024-09-01,Usage,2024-09-02,AWS"
    assert refusal(bill(f"1,{row}", f"2,{row},,x")) == "row 3: 8 fields under a header of 6"
    assert refusal(bill(f"1,{row}", f"2,{row}{',' * 12}x")) == "row 3: 18 fields under a header of 6"


def test_rows_may_lack_fields_at_their_end_that_no_bill_is_made_of(bill: Callable[..., Path]) -> None:
    row = "USD,2024-09-01,Usage,2024-09-02,AWS"
    answer = fetch(bill(f"1,{row},x,y", f"2,{row},x", f"4,{row}", header=f"{HEADER},SkuId,x_Note"))
    assert answer.costs.sum() == 7
    assert notes(answer)["uneven_rows"].startswith("2 rows")


@pytest.mark.parametrize("column", ["EffectiveCost", "RegionId", "SubAccountId", "Tags"])
def test_a_row_that_ends_before_a_column_that_we_read_is_refused(column: str, bill: Callable[..., Path]) -> None:
    row = "USD,2024-09-01,Usage,2024-09-02,AWS"
    path = bill(f"1,{row},1,x", f"2,{row}", header=f"{HEADER},{column},x_Note")
    assert refusal(path, tags=("team",)) == "row 3: 6 fields under a header of 8"


def test_a_file_that_ends_in_the_middle_of_a_row_is_refused(bill: Callable[..., Path]) -> None:
    header = "BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName,BilledCost,x_Note"
    path = bill("USD,2024-09-01,Usage,2024-09-02,AWS,1,", "USD,2024-09-01,Usage,2024-09-02,AWS,12.5,", header=header)
    path.write_bytes(path.read_bytes()[:-4])  # 12.5 has become 12
    assert refusal(path).startswith("ends in the middle of a row, after 6 fields of 7")


@pytest.mark.parametrize(
    "before", ["", '1,USD,2024-09-01,Usage,2024-09-02,AWS,"two\nlines"', "1,USD,2024-09-01,Usage,2024-09-02,AWS"]
)
def test_a_quote_that_never_ends_is_refused_for_it_swallows_charges(before: str, bill: Callable[..., Path]) -> None:
    row = "USD,2024-09-01,Usage,2024-09-02,AWS"
    rows = (*filter(None, [before]), f'1,{row},"x', f"2,{row},y")
    assert refusal(bill(*rows, header=f"{HEADER},SkuId")).startswith("cannot be read: unexpected end of data")


def test_uneven_rows_and_line_ends_inside_of_quotes_may_come_together(bill: Callable[..., Path]) -> None:
    row = "USD,2024-09-01,Usage,2024-09-02,AWS"
    answer = fetch(bill(f'1,{row},"two\nlines"', f"2,{row}", f"4,{row},x,,", header=f"{HEADER},SkuId"))
    assert answer.costs.sum() == 7
    assert notes(answer)["uneven_rows"].startswith("2 rows")


def test_a_row_past_a_line_end_inside_of_quotes_is_refused_by_its_number(bill: Callable[..., Path]) -> None:
    row = "USD,2024-09-01,Usage,2024-09-02,AWS"
    assert (
        refusal(bill(f'1,{row},"two\nlines"', f"2,{row},,x", header=f"{HEADER},SkuId"))
        == "row 3: 8 fields under a header of 7"
    )


# Headers


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (HEADER.lower(), "in lower case"),
        (HEADER.upper(), "in upper case"),
        (
            "billed_cost,billing_currency,billing_period_start,charge_category,charge_period_start,provider_name",
            "in snake_case",
        ),
        (
            "billedCost,billingCurrency,billingPeriodStart,chargeCategory,chargePeriodStart,providerName",
            "in camelCase",
        ),
        (
            "Billed Cost,Billing Currency,Billing Period Start,Charge Category,Charge Period Start,Provider Name",
            "as display names",
        ),
    ],
)
def test_a_header_may_keep_to_one_of_the_known_spellings(header: str, said: str, bill: Callable[..., Path]) -> None:
    answer = fetch(bill("1,USD,2024-09-01,Usage,2024-09-02,AWS", header=header))
    assert answer.costs.by("provider").rows()[0].billed == 1
    assert notes(answer)["header_spelling"] == f"columns are named {said}"


@pytest.mark.parametrize("name", ["billedcost", "Billed-Cost", "Kosten in Abrechnungswährung", "BilledCost2"])
def test_a_header_that_mixes_spellings_or_speaks_another_language_is_refused(
    name: str, bill: Callable[..., Path]
) -> None:
    path = bill("1,USD,2024-09-01,Usage,2024-09-02,AWS", header=HEADER.replace("BilledCost", name))
    assert refusal(path).startswith("row 1: no column BilledCost. hint: a FOCUS bill has a header with at least")


def test_columns_of_somebodys_own_are_passed_over_with_and_without_x(bill: Callable[..., Path]) -> None:
    header = f"Id,ID,{HEADER},x_Team,tags,"
    path = bill("7,8,1,USD,2024-09-01,Usage,2024-09-02,AWS,t,not json,", header=header)
    assert fetch(path, tags=("team",)).costs.by("tag:team").rows()[0].key == ("none",)


def test_files_without_rows_are_part_of_a_bill(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "\n")
    (tmp_path / "b.csv").write_text(HEADER)
    (tmp_path / "c.csv").write_text(HEADER + "\n1,USD,2024-09-01,Usage,2024-09-02,AWS\n")
    assert fetch(tmp_path).costs.sum() == 1


# Periods and costs


def test_a_months_tax_stays_on_its_first_day_and_is_never_spread(bill: Callable[..., Path]) -> None:
    header = f"{HEADER},ChargePeriodEnd"
    path = bill(
        "30,USD,2024-09-01T00:00:00Z,Tax,2024-09-01T00:00:00Z,AWS,2024-10-01T00:00:00Z",
        "1,USD,2024-09-01T00:00:00Z,Usage,2024-09-02T00:00:00Z,AWS,2024-09-03T00:00:00Z",
        header=header,
    )
    answer = fetch(path)
    assert days(answer) == {"2024-09-01": 30, "2024-09-02": 1}
    september = Window(datetime(2024, 9, 1, tzinfo=UTC), datetime(2024, 10, 1, tzinfo=UTC))
    assert answer.costs.where(charge_category="tax").span() == september


def test_an_effective_cost_of_zero_throughout_is_kept_and_said(bill: Callable[..., Path]) -> None:
    header = f"{HEADER},EffectiveCost"
    oracle = [f"{amount},USD,2024-09-01,Usage,2024-09-02,Oracle,0" for amount in ("1", "2")]
    answer = fetch(bill(*oracle, "4,USD,2024-09-01,Usage,2024-09-02,AWS,3", header=header))
    assert {line.key[0]: (line.billed, line.effective) for line in answer.costs.by("provider").rows()} == {
        "AWS": (4, 3),
        "Oracle": (3, 0),
    }
    assert notes(answer)["zero_effective_cost"] == "EffectiveCost is 0 throughout: Oracle; kept as given"


def test_a_purchase_that_is_amortised_elsewhere_is_no_cause_for_a_note(bill: Callable[..., Path]) -> None:
    answer = fetch(bill("9,USD,2024-09-01,Purchase,2024-09-02,AWS,0", header=f"{HEADER},EffectiveCost"))
    assert "zero_effective_cost" not in notes(answer)


# Tags


@pytest.mark.parametrize(
    ("tags", "org"),
    [
        ('{"org": "a"}', "a"),
        ('{" org": "a"}', "a"),
        ('{"x": "1", "org ": "a"}', "a"),
        ('{" org": "b", "org": "a"}', "a"),
        ('"org": "a","env": "prod"', "a"),
        ('" org": "a"', "a"),
        ('{"note": "my \\" org\\": x"}', "none"),
        ('{"suborg": "b", "org unit": "c"}', "none"),
        ('{"org": true}', "true"),
        ('{"org": null}', "none"),
        ("{}", "none"),
        ("NULL", "none"),
        ("team:a value", "none"),
    ],
)
def test_a_tag_is_found_with_spaces_around_its_key_and_without_braces(
    tags: str, org: str, bill: Callable[..., Path]
) -> None:
    cell = tags.replace('"', '""')
    path = bill(f'1,USD,2024-09-01,Usage,2024-09-02,AWS,"{cell}"', header=f"{HEADER},Tags")
    assert fetch(path, tags=("org",)).costs.by("tag:org").rows()[0].key == (org,)


@pytest.mark.parametrize(
    "tags",
    [
        "MAP {' org': 'a', 'x': 'y'}",
        "MAP {'org': 'a', ' org': 'b'}",
        "[{'key': 'x', 'value': 'y'}, {'key': 'org', 'value': 'a'}]",
        "[{'key': 'org ', 'value': 'a'}]",
        """'{" org": "a"}'""",
    ],
)
def test_a_tag_is_found_in_every_shape_that_parquet_files_have(tags: str, tmp_path: Path) -> None:
    path = tmp_path / "bill.parquet"
    engine.run(
        "COPY (SELECT 1::DECIMAL(18,2) AS BilledCost, 'USD' AS BillingCurrency, DATE '2024-09-01' AS"
        " BillingPeriodStart,"
        " 'Usage' AS ChargeCategory, DATE '2024-09-02' AS ChargePeriodStart, 'AWS' AS ProviderName,"
        f" {tags} AS Tags) TO '{path}'"
    )
    costs = fetch(path, tags=("org", "none")).costs
    assert costs.by("tag:org").rows()[0].key == ("a",)
    assert costs.by("tag:none").rows()[0].key == ("none",)


def test_a_tag_key_may_hold_anything(bill: Callable[..., Path]) -> None:
    keys = ('a"b', "c\\d", "e.f[*]", "it's", "g:h")
    cell = json.dumps({f" {key}" if key == "g:h" else key: key for key in keys}).replace('"', '""')
    path = bill(f'1,USD,2024-09-01,Usage,2024-09-02,AWS,"{cell}"', header=f"{HEADER},Tags")
    costs = fetch(path, tags=keys).costs
    assert {key: costs.by(f"tag:{key}").rows()[0].key[0] for key in keys} == {key: key for key in keys}


# FOCUS 1.0-preview

PREVIEW = f"{HEADER},ChargeSubcategory,EffectiveCost,Region,SubAccountId,UsageQuantity,UsageUnit"


def test_the_preview_is_read_with_its_own_names(bill: Callable[..., Path]) -> None:
    path = bill(
        "10,USD,2024-02-01,Usage,2024-02-03,AWS,On-Demand,10,eu-west-1,1111,2,Hours",
        "0,USD,2024-02-01,Usage,2024-02-03,AWS,Used Commitment,4,eu-west-1,1111,2,Hours",
        "0,USD,2024-02-01,Usage,2024-02-03,AWS,Unused Commitment,1,eu-west-1,1111,2,Hours",
        "-3,USD,2024-02-01,Adjustment,2024-02-03,AWS,Credit,-3,,1111,,",
        "-2,USD,2024-02-01,Adjustment,2024-02-03,AWS,Refund,-2,,1111,,",
        header=PREVIEW,
    )
    answer = fetch(path)
    lines = answer.costs.by("region", "charge_category", "commitment_status").rows()
    assert {line.key: (line.billed, line.effective) for line in lines} == {
        ("eu-west-1", "usage", "none"): (10, 10),
        ("eu-west-1", "usage", "used"): (0, 4),
        ("eu-west-1", "usage", "unused"): (0, 1),
        ("", "credit", "none"): (-3, -3),
        ("", "adjustment", "none"): (-2, -2),
    }
    assert notes(answer)["focus_version"] == "FOCUS 1.0-preview, read from the headers"


def test_a_column_of_the_preview_in_a_later_file_is_somebodys_own(bill: Callable[..., Path]) -> None:
    header = f"{HEADER},ChargeClass,RegionId,Region,ChargeSubcategory"
    answer = fetch(bill("1,USD,2024-09-01,Adjustment,2024-09-02,AWS,,r1,elsewhere,Credit", header=header))
    assert answer.costs.by("region", "charge_category").rows()[0].key == ("r1", "adjustment")
    assert notes(answer)["focus_version"] == "FOCUS 1.0, read from the headers"


@pytest.mark.parametrize("column", ["Region", "ChargeSubcategory"])
def test_either_of_its_own_columns_tells_the_preview(column: str, bill: Callable[..., Path]) -> None:
    answer = fetch(bill(header=f"{HEADER},{column}"))
    assert notes(answer)["focus_version"].startswith("FOCUS 1.0-preview")
