"""The simulated AWS, asked by boto3 itself: it answers, limits and refuses as the real one."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from exporter.clock import Clock
from exporter.costs.money import add
from exporter.periods import Window, midnight
from exporter.simulator.aws import PAYER, Aws, Key, Role, estate
from exporter.simulator.aws.cloud import KEY_ID, SECRET
from exporter.simulator.aws.estate import DATA, WEB

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
LEDGER = estate(7, NOW, 2)
ROLE = f"arn:aws:iam::{WEB}:role/cost-reader"
WEEK = {"Start": "2026-11-01", "End": "2026-11-08"}


@pytest.fixture
def aws() -> Iterator[Aws]:
    with Aws(LEDGER, roles=(Role(ROLE),), clock=Clock(frozen=NOW), page_size=50) as aws:
        yield aws


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")


def client(aws: Aws, service: str = "ce", key: str = KEY_ID, secret: str = SECRET, **more: Any) -> Any:
    more.setdefault("region_name", "us-east-1")
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    return boto3.client(
        service, endpoint_url=aws.url, aws_access_key_id=key, aws_secret_access_key=secret, config=config, **more
    )


def ask(ce: Any, **more: Any) -> Any:
    request = {"TimePeriod": WEEK, "Granularity": "DAILY", "Metrics": ["NetUnblendedCost"], **more}
    return ce.get_cost_and_usage(**request)


def by(key: str, type: str = "DIMENSION") -> dict[str, str]:
    return {"Type": type, "Key": key}


def every_group(ce: Any, **more: Any) -> dict[tuple[str, ...], Decimal]:
    """All pages, added up over time."""
    sums: dict[tuple[str, ...], Decimal] = {}
    token: dict[str, str] = {}
    while True:
        page = ask(ce, **more, **token)
        for bucket in page["ResultsByTime"]:
            for group in bucket["Groups"]:
                key = tuple(group["Keys"])
                sums[key] = add(sums.get(key, Decimal(0)), Decimal(group["Metrics"]["NetUnblendedCost"]["Amount"]))
        if "NextPageToken" not in page:
            return sums
        token = {"NextPageToken": page["NextPageToken"]}


def code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def week(key: Any) -> dict[Any, Decimal]:
    return LEDGER.totals(NOW, key, Window.of_days(date(2026, 11, 1), date(2026, 11, 8)))


def test_groups_on_all_pages_add_up_to_the_ledger(aws: Aws) -> None:
    found = every_group(client(aws), GroupBy=[by("SERVICE"), by("REGION")])
    assert found == week(lambda charge: (charge.service, charge.region))
    assert len(aws.asked("GetCostAndUsage")) > 2


def test_tags_and_cost_categories_come_as_key_and_value(aws: Aws) -> None:
    teams = every_group(client(aws), GroupBy=[by("team", "TAG")])
    assert teams == week(lambda charge: (f"team${charge.tags.get('team', '')}",))
    stages = every_group(client(aws), GroupBy=[by("Stage", "COST_CATEGORY")])
    assert set(stages) == {("Stage$live",), ("Stage$",)}


def test_filters_nest(aws: Aws) -> None:
    def one_of(key: str, *values: str) -> dict[str, Any]:
        return {"Dimensions": {"Key": key, "Values": list(values)}}

    either = {"Or": [one_of("LINKED_ACCOUNT", WEB), {"Tags": {"Key": "team", "Values": ["core$data"]}}]}
    filter = {"And": [either, {"Not": one_of("RECORD_TYPE", "Tax")}]}
    wanted = week(
        lambda c: c.kind != "Tax" and (c.account == WEB or c.tags.get("team") == "core$data") and (c.account,)
    )
    del wanted[False]
    assert every_group(client(aws), GroupBy=[by("LINKED_ACCOUNT")], Filter=filter) == wanted


def test_without_groups_there_is_a_total_for_each_bucket(aws: Aws) -> None:
    days = ask(client(aws))["ResultsByTime"]
    assert [day["TimePeriod"]["Start"] for day in days] == [f"2026-11-0{n}" for n in range(1, 8)]
    assert {tuple(day["Groups"]) for day in days} == {()}
    total = add(*(Decimal(day["Total"]["NetUnblendedCost"]["Amount"]) for day in days))
    assert total == add(*week(lambda charge: charge.account).values())
    [month] = ask(client(aws), Granularity="MONTHLY")["ResultsByTime"]
    assert Decimal(month["Total"]["NetUnblendedCost"]["Amount"]) == total


def test_net_metrics_know_the_discount_that_plain_ones_have_as_a_line(aws: Aws) -> None:
    answer = ask(client(aws), Metrics=["UnblendedCost", "NetUnblendedCost"], GroupBy=[by("RECORD_TYPE")])
    found = {group["Keys"][0]: group["Metrics"] for group in answer["ResultsByTime"][4]["Groups"]}
    assert Decimal(found["EdpDiscount"]["UnblendedCost"]["Amount"]) < 0
    assert Decimal(found["EdpDiscount"]["NetUnblendedCost"]["Amount"]) == 0


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"GroupBy": [by("SERVICE"), by("REGION"), by("LINKED_ACCOUNT")]}, "ValidationException"),
        ({"GroupBy": [by("CHARGE_TYPE")]}, "ValidationException"),
        ({"Granularity": "WEEKLY"}, "ValidationException"),
        ({"Metrics": ["Karma"]}, "ValidationException"),
        ({"TimePeriod": {"Start": "2025-09-30", "End": "2025-10-03"}}, "ValidationException"),
        ({"TimePeriod": {"Start": "2026-11-22", "End": "2026-11-23"}}, "ValidationException"),
        ({"TimePeriod": {"Start": "2026-11-20", "End": "2026-12-02"}}, "ValidationException"),
        ({"TimePeriod": {"Start": "2026-11-08", "End": "2026-11-08"}}, "ValidationException"),
        ({"TimePeriod": {"Start": "01.11.2026", "End": "02.11.2026"}}, "ValidationException"),
        (
            {"TimePeriod": {"Start": "2026-11-20T00:00:00Z", "End": "2026-11-20T01:00:00Z"}},
            "ValidationException",
        ),
        ({"Granularity": "HOURLY"}, "ValidationException"),
        ({"NextPageToken": "nonsense"}, "InvalidNextTokenException"),
    ],
    ids=repr,
)
def test_what_the_real_one_refuses_is_refused(aws: Aws, asked: dict[str, Any], refused: str) -> None:
    with pytest.raises(ClientError) as caught:
        ask(client(aws), **asked)
    assert code(caught) == refused


def test_the_token_of_another_question_is_refused(aws: Aws) -> None:
    token = ask(client(aws), GroupBy=[by("SERVICE"), by("REGION")])["NextPageToken"]
    with pytest.raises(ClientError) as caught:
        ask(client(aws), GroupBy=[by("SERVICE")], NextPageToken=token)
    assert code(caught) == "RequestChangedException"


@pytest.mark.parametrize(
    ("who", "refused"),
    [
        ({"secret": "wrong"}, "InvalidSignatureException"),
        ({"key": "AKIANOBODY"}, "UnrecognizedClientException"),
        ({"aws_session_token": "made-up"}, "UnrecognizedClientException"),
        ({"region_name": "eu-central-1"}, "InvalidSignatureException"),
    ],
)
def test_only_a_true_signature_is_taken(aws: Aws, who: dict[str, str], refused: str) -> None:
    with pytest.raises(ClientError) as caught:
        ask(client(aws, **who))
    assert code(caught) == refused


def test_a_session_ends_in_real_time() -> None:
    old = Key(SECRET, PAYER, token="made-up", expires=datetime.now(UTC) - timedelta(seconds=1))
    with Aws(LEDGER, keys={KEY_ID: old}, clock=Clock(frozen=NOW)) as aws, pytest.raises(ClientError) as caught:
        ask(client(aws, aws_session_token="made-up"))
    assert code(caught) == "ExpiredTokenException"


def test_an_assumed_role_is_of_its_own_account_and_sees_that_alone(aws: Aws) -> None:
    found = client(aws, "sts").assume_role(RoleArn=ROLE, RoleSessionName="tests")["Credentials"]
    assert found["Expiration"] > datetime.now(UTC)
    session = {"key": found["AccessKeyId"], "secret": found["SecretAccessKey"]}
    token = {"aws_session_token": found["SessionToken"]}
    assert client(aws, "sts", **session, **token).get_caller_identity()["Account"] == WEB
    assert set(every_group(client(aws, **session, **token), GroupBy=[by("LINKED_ACCOUNT")])) == {(WEB,)}


def test_organizations_lists_its_accounts(aws: Aws) -> None:
    pages = client(aws, "organizations").get_paginator("list_accounts").paginate()
    assert {account["Id"] for page in pages for account in page["Accounts"]} == {PAYER, WEB, DATA}


def test_faults_and_calls_go_over_the_control_plane(aws: Aws) -> None:
    def control(word: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{aws.url}/__simulator__/{word}", data) as answer:
            return json.load(answer)

    control("faults", [{"kind": "throttle", "operation": "GetCostAndUsage", "account": PAYER}])
    with pytest.raises(ClientError) as caught:
        ask(client(aws))
    assert code(caught) == "LimitExceededException"
    ask(client(aws))
    [failed, good] = control("calls")
    assert (failed["fault"], good["fault"]) == ("throttle", "")
    assert good["detail"]["granularity"] == "DAILY"
    assert good["detail"]["paid"] == "0.01"


def test_the_clock_moves_what_is_final_and_what_is_shown(aws: Aws) -> None:
    def estimated(now: datetime) -> bool:
        aws.move_clock(now)
        period = {"Start": "2026-10-31", "End": "2026-11-01"}
        return bool(ask(client(aws), TimePeriod=period)["ResultsByTime"][0]["Estimated"])

    assert estimated(midnight(date(2026, 11, 4)) + timedelta(hours=23))
    assert not estimated(midnight(date(2026, 11, 5)))


def test_the_same_seed_gives_the_same_estate() -> None:
    assert estate(7, NOW, 1).charges == estate(7, NOW, 1).charges != estate(8, NOW, 1).charges


def test_the_estate_has_all_that_goes_wrong() -> None:
    charges = LEDGER.charges
    kinds = {charge.kind for charge in charges}
    assert kinds >= {"Usage", "EdpDiscount", "Tax", "Credit", "Support", "SavingsPlanUpfrontFee", "SavingsPlanNegation"}
    assert any(charge.effective is not None and charge.effective != charge.billed for charge in charges)
    assert min(charge.billed.as_tuple().exponent for charge in charges) == -10
    assert any(charge.shown_until for charge in charges)
    assert any(charge.shown_from > charge.end for charge in charges)
    assert LEDGER.totals(NOW, lambda charge: charge.account)[DATA] < 0
    assert {charge.tags.get("team") for charge in charges} == {None, "web", "core$data"}
    day = [charge.lasts for charge in charges if charge.start == midnight(date(2026, 11, 20))]
    assert set(day) == {timedelta(hours=1), timedelta(days=1)}
