"""How one page of an answer reads: exactly, by the names of its columns, or not at all."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from exporter.errors import BadData
from exporter.periods import Window
from exporter.providers.azure_query import NOTHING, Cut, Dataset, Question, read

DAY = Window.of_days(date(2024, 2, 29), date(2024, 3, 2))
QUESTION = Question("/subscriptions/x", Dataset.ACTUAL, DAY, (Cut("ServiceName"), Cut("team", tag=True)))
COLUMNS = ["Cost", "UsageDate", "ServiceName", "TagKey", "TagValue", "Currency"]


def body(*rows: str, columns: list[str] = COLUMNS, link: str | None = None) -> bytes:
    """A page; rows as JSON text, so that amounts stand there digit for digit."""
    named = json.dumps([{"name": name, "type": "String"} for name in columns])
    inner = f'"nextLink": {json.dumps(link)}, "columns": {named}, "rows": [{", ".join(rows)}]'
    return f'{{"properties": {{{inner}}}}}'.encode()


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("0.1", "0.1"),
        ("12.345678901234567890123456", "12.345678901234567890123456"),
        ("1.5E-7", "0.00000015"),
        ("-3", "-3"),
        ("1e3", "1000"),
        ("0", "0"),
    ],
)
def test_an_amount_keeps_every_digit(written: str, amount: str) -> None:
    [line] = read(body(f'[{written}, 20240229, "Storage", "team", "web", "EUR"]'), QUESTION).lines
    assert line.amount == Decimal(amount)
    assert (line.day, line.words, line.currency) == (date(2024, 2, 29), ("Storage", "web"), "EUR")


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        (
            ["Currency", "TagValue", "TagKey", "ServiceName", "UsageDate", "Cost"],
            '["EUR", null, null, "S", 20240301, 2]',
        ),
        (["cost", "usagedate", "servicename", "tagvalue", "currency"], '[2, 20240301, "S", "", "EUR"]'),
        (["Cost", "UsageDate", "ServiceName", "team", "Currency", "Extra"], '[2, "20240301", "S", null, "EUR", 1]'),
    ],
)
def test_columns_are_found_by_name_and_nothing_is_an_empty_word(columns: list[str], row: str) -> None:
    [line] = read(body(row, columns=columns), QUESTION).lines
    assert line == (date(2024, 3, 1), ("S", ""), "EUR", Decimal(2))


def test_no_rows_and_no_content_are_empty_pages() -> None:
    assert read(body(), QUESTION).lines == ()
    assert read(NOTHING, QUESTION).lines == ()
    assert read(body(link="https://management.azure.com/x?$skiptoken=y"), QUESTION).following.endswith("y")


GOOD = '[1.5, 20240229, "Storage", "team", "web", "EUR"]'
WITHOUT_ROWS: Any = json.loads(body())
del WITHOUT_ROWS["properties"]["rows"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"null", "not JSON"),
        (b"[3]", "TypeError"),
        (b"{}", "'properties'"),
        (b'{"error": {"code": "BadRequest"}}', "'properties'"),
        (b'{"properties": null}', "TypeError"),
        (json.dumps(WITHOUT_ROWS).encode(), "'rows'"),
        (body().replace(b"[]", b"null"), "no list"),
        (body(GOOD, columns=COLUMNS[1:]), "values for 5|column Cost"),
        (body(GOOD, columns=["PreTaxCost", *COLUMNS[1:]]), "column Cost"),
        (body(GOOD, columns=[*COLUMNS[:-1], "Money"]), "column Currency"),
        (body(GOOD, columns=["Cost", "BillingMonth", *COLUMNS[2:]]), "column UsageDate"),
        (body(GOOD.replace(', "web"', "")), "5 values for 6"),
        (body(GOOD.replace("1.5", "null")), "None is no cost"),
        (body(GOOD.replace("1.5", "NaN")), "not JSON"),
        (body(GOOD.replace("1.5", '"1.5"')), "'1.5' is no cost"),
        (body(GOOD.replace("1.5", "true")), "True is no cost"),
        (body(GOOD.replace("20240229", "20240228")), "not a day that was asked for"),
        (body(GOOD.replace("20240229", "20240302")), "not a day that was asked for"),
        (body(GOOD.replace('"EUR"', "null")), "no currency"),
    ],
)
def test_what_is_no_page_is_bad_data(answer: bytes, said: str) -> None:
    with pytest.raises(BadData, match=said):
        read(answer, QUESTION)
