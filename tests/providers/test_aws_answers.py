"""Pages of Cost Explorer, as they are read."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from exporter.costs import Cost, CostLine
from exporter.errors import BadData
from exporter.providers.aws_answers import Answers, next_page
from exporter.providers.aws_plan import METRICS, Extra, Plan

PAYER = "111122223333"


def group(first: str, second: str, amount: str = "1", *without: str) -> dict[str, Any]:
    metrics = {name: {"Amount": amount, "Unit": "USD"} for name in METRICS if name not in without}
    return {"Keys": [first, second], "Metrics": metrics}


def page(*groups: dict[str, Any], start: str = "2026-11-01", estimated: bool = False) -> dict[str, Any]:
    return {"ResultsByTime": [{"TimePeriod": {"Start": start}, "Estimated": estimated, "Groups": list(groups)}]}


def read(everything: dict[str, Any], usage: dict[str, Any] | None = None, plan: Plan | None = None) -> Answers:
    plan, answers = plan or Plan(), Answers()
    answers.read(plan.everything(), [json.dumps(everything).encode()])
    if usage is not None:
        answers.read(plan.usage(())[0], [json.dumps(usage).encode()])
    return answers


def charges(answers: Answers, *dimensions: str) -> list[CostLine]:
    return answers.costs(PAYER, answers.bases()).by(*dimensions).rows()


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("0.0123456789", "0.0123456789"),
        ("-99999999999999.123456789012345678901234", "-99999999999999.123456789012345678901234"),
        ("2.5E-9", "0.0000000025"),
        ("1E+3", "1000"),
        ("0.0000000000000000000000015", "0.000000000000000000000002"),
    ],
)
def test_amounts_are_read_digit_for_digit(written: str, stored: str) -> None:
    [line] = charges(read(page(), page(group("S3", "eu-west-1", written))))
    assert line.billed == line.effective == Decimal(stored)


@pytest.mark.parametrize("written", ["100000000000000", "NaN", "1e99", "-Infinity", "much", "1.2.3", ""])
def test_what_is_no_amount_is_refused(written: str) -> None:
    answers = read(page(), page(group("S3", "eu-west-1", written), group("S3", "eu-west-2")))
    with pytest.raises((ValueError, ArithmeticError)):
        answers.costs(PAYER, answers.bases())


def test_the_net_metrics_are_taken_only_where_every_line_has_them() -> None:
    lines = [group("S3", "eu-west-1"), group("EC2", "eu-west-1", "1", "NetUnblendedCost")]
    assert [METRICS[place] for place in read(page(), page(*lines)).bases()] == ["UnblendedCost", "NetAmortizedCost"]


def test_what_cost_explorer_calls_nothing_is_empty() -> None:
    regions = ("NoRegion", "No Region", "us-east-1", "Notary", "global")
    lines = charges(read(page(), page(*(group("NoService", region) for region in regions))), "service", "region")
    assert {line.key: line.billed for line in lines} == {
        **{("", region): 1 for region in ("us-east-1", "Notary", "global")},
        ("", ""): 2,
    }


def test_the_value_of_a_tag_is_all_behind_the_first_dollar() -> None:
    plan = Plan(extra=Extra.of_tag("team's"))
    keys = ("team's$core$data", "team's$", "team's$a")
    lines = charges(read(page(), page(*(group("S3", key) for key in keys)), plan), "tag:team's", "region")
    assert [line.key for line in lines] == [("a", "unknown"), ("core$data", "unknown"), ("none", "unknown")]


def test_the_usage_type_is_kept_as_it_is() -> None:
    plan = Plan(extra=Extra.of_dimension("usage_type"))
    [line] = charges(read(page(), page(group("S3", "A$B")), plan), "tag:usage_type")
    assert line.key == ("A$B",)


def test_only_money_that_comes_back_is_a_refund() -> None:
    kinds = [("Refund", "-2"), ("Refund", "-0.0"), ("Support", "-3"), ("Usage", "-5"), ("Credit", "-7"), ("Tax", "11")]
    answers = read(page(*(group(PAYER, kind, amount) for kind, amount in kinds)))
    totals = answers.by_account(PAYER, answers.bases())
    assert totals.sum() == -6
    assert totals.without(charge_category="refund").sum() == -1
    assert answers.costs(PAYER, answers.bases()).sum(Cost.EFFECTIVE) == -1  # usage is the other questions' to tell


def test_hours_are_instants_and_a_day_without_charges_is_none() -> None:
    answers = read(page(), page(group("S3", "eu-west-1"), start="2026-11-01T05:00:00Z"))
    table = answers.costs(PAYER, answers.bases())
    span = table.span()
    assert span
    assert (f"{span.start:%d %H}", f"{span.end:%d %H}") == ("01 05", "01 06")
    assert [line.key for line in table.by("billing_month").rows()] == [("2026-11",)]


def test_a_month_is_open_where_a_day_without_groups_is_an_estimate_too() -> None:
    assert [str(month) for month in read(page(estimated=True)).open_months()] == ["2026-11"]
    assert not read(page()).open_months()


def test_many_pages_are_one_answer() -> None:
    answers = read(page())
    bodies = (json.dumps(page(group("S3", f"r-{n}", f"{n}"))).encode() for n in range(50))
    answers.read(Plan().usage(())[0], bodies)
    assert answers.costs(PAYER, answers.bases()).sum() == 1225


def lacking(path: str) -> dict[str, Any]:
    whole = page(group("S3", "eu-west-1"))
    inner: Any = whole
    *way, last = (int(part) if part.isdigit() else part for part in path.split("/"))
    for part in way:
        inner = inner[part]
    del inner[last]
    return whole


_BUCKET = "ResultsByTime/0"


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("ResultsByTime", "ResultsByTime"),
        (f"{_BUCKET}/TimePeriod", "Start"),
        (f"{_BUCKET}/TimePeriod/Start", "Start"),
        (f"{_BUCKET}/Estimated", "Estimated"),
        (f"{_BUCKET}/Groups", "Groups"),
        (f"{_BUCKET}/Groups/0/Keys", "Keys"),
        (f"{_BUCKET}/Groups/0/Keys/1", "Keys"),
        (f"{_BUCKET}/Groups/0/Metrics", "UnblendedCost"),
        (f"{_BUCKET}/Groups/0/Metrics/UnblendedCost", "UnblendedCost"),
        (f"{_BUCKET}/Groups/0/Metrics/AmortizedCost", "AmortizedCost"),
        (f"{_BUCKET}/Groups/0/Metrics/AmortizedCost/Unit", "AmortizedCost"),
        (f"{_BUCKET}/Groups/0/Metrics/NetAmortizedCost/Amount", "NetAmortizedCost"),
    ],
)
def test_a_page_that_lacks_a_part_is_bad_data_that_names_it(path: str, word: str) -> None:
    with pytest.raises(BadData, match=word):
        read(lacking(path))


def test_two_currencies_in_one_group_are_bad_data() -> None:
    mixed = group("S3", "eu-west-1")
    mixed["Metrics"]["NetAmortizedCost"]["Unit"] = "EUR"
    with pytest.raises(BadData, match="NetAmortizedCost is in EUR and UnblendedCost in USD"):
        read(page(mixed))


@pytest.mark.parametrize("change", [{"Groups": {}}, {"Groups": [None]}, {"TimePeriod": {"Start": "soon"}}])
def test_a_part_of_another_shape_is_bad_data(change: dict[str, Any]) -> None:
    odd = page(group("S3", "eu-west-1"))
    odd["ResultsByTime"][0] |= change
    with pytest.raises(BadData):
        read(odd)


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b"null", b"[]"])
def test_what_is_no_page_is_bad_data(body: bytes) -> None:
    with pytest.raises(BadData):
        Answers().read(Plan().everything(), [body])


def test_the_next_page_is_found_wherever_it_is_named() -> None:
    token = 'a"\\b/é='
    assert next_page(json.dumps({"NextPageToken": token, **page()}).encode()) == token
    assert next_page(json.dumps({**page(group('"NextPageToken": "x"', "y"))}, indent=1).encode()) is None
