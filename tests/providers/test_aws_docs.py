"""The page about AWS says what the code says: its policy, and its prices."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.costs import Ask
from exporter.periods import Window
from exporter.providers.aws_cost_explorer import SPEC, AwsCostExplorerOptions

PAGE = (Path(__file__).parents[2] / "docs/how-to/connect-aws.md").read_text("utf-8")
ROLE = "arn:aws:iam::111122223333:role/cost-reader"
POLLS = timedelta(days=30) / SPEC.poll_every


def policy(**more: object) -> str:
    assert SPEC.policy is not None
    return SPEC.policy(AwsCostExplorerOptions.model_validate(more))


def test_the_policy_on_the_page_is_that_of_the_code() -> None:
    [block] = re.findall(r'```json title="policy.json"\n(.*?)\n```', PAGE, re.DOTALL)
    assert block == policy(role_arn=ROLE)


def test_the_policy_has_exactly_the_actions_that_the_options_need() -> None:
    def actions(**more: object) -> list[str]:
        [statement] = json.loads(policy(**more))["Statement"]
        return list(statement["Action"])

    assert actions() == actions(accounts="each") == list(SPEC.permissions)
    assert actions(organizations=True) == [*SPEC.permissions, "organizations:ListAccounts"]


ROWS = {
    "as above": ({}, ()),
    "`accounts: each`, 10 accounts": ({"accounts": "each"}, ()),
    "`tags: [team]`": ({}, ("team",)),
    "`tags: [team]`, `regions: [us-east-1, eu-west-1]`": ({"regions": ["us-east-1", "eu-west-1"]}, ("team",)),
    "`tags: [team]`, `accounts: each`, 10 accounts": ({"accounts": "each"}, ("team",)),
}


@pytest.mark.parametrize("row", ROWS)
def test_the_prices_on_the_page_are_those_of_the_code(row: str) -> None:
    given, tags = ROWS[row]
    options = AwsCostExplorerOptions.model_validate({"role_arn": ROLE, **given})
    calls = SPEC.calls(options, Ask(Window.of_days(date(2026, 11, 1), date(2026, 11, 22)), tags=tags))
    questions = sum(call.times for call in calls if call.charge)
    price = sum((call.times * call.charge for call in calls), Decimal(0)) * Decimal(POLLS)
    assert f"\n| {row} | {questions} | {price:.2f} |" in PAGE


def test_every_row_of_the_page_is_checked() -> None:
    rows = re.findall(r"^\| ([^|]+) \| \d+ \| \d+\.\d\d \|", PAGE, re.MULTILINE)
    assert rows == list(ROWS)
