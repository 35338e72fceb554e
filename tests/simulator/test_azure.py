"""The simulated Azure, checked by the vendor's own clients: what they send is taken, what it answers they can read."""

import json
import ssl
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential
from azure.mgmt.costmanagement import CostManagementClient, models

from exporter.clock import Clock
from exporter.costs.money import add
from exporter.periods import DAY, Window
from exporter.providers.azure_query import API_VERSION, CHARGE_TYPE, SERVICE, Cut, Dataset, Question
from exporter.simulator.azure import AzureCloud, estate
from exporter.simulator.azure.estate import ACCOUNTS, FIRST, SECOND, THIRD
from exporter.simulator.azure.server import CLIENT, SECRET, TENANT
from exporter.simulator.server import server_tls

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
MARCH = Window.of_days(date(2026, 3, 1), date(2026, 3, 16))
QUOTA = "x-ms-ratelimit-microsoft.costmanagement-"


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureCloud]:
    monkeypatch.setenv("NO_PROXY", "localhost")
    tls, authority = server_tls()
    (tmp_path / "ca.pem").write_bytes(authority)
    groups = {"all-of-it": set(ACCOUNTS)}
    with AzureCloud(estate(7, NOW, months=2), Clock(frozen=NOW), tls, groups=groups) as cloud:
        yield cloud


@pytest.fixture
def client(cloud: AzureCloud, tmp_path: Path) -> Iterator[CostManagementClient]:
    ca = str(tmp_path / "ca.pem")
    with (
        ClientSecretCredential(
            TENANT, CLIENT, SECRET, authority=cloud.url, disable_instance_discovery=True, connection_verify=ca
        ) as credential,
        CostManagementClient(credential, cloud.url, connection_verify=ca, retry_total=0) as client,
    ):
        yield client


def definition(**given: Any) -> models.QueryDefinition:
    dataset = {
        "granularity": "Daily",
        "aggregation": {"Cost": models.QueryAggregation(name="Cost", function="Sum")},
        "grouping": [models.QueryGrouping(type="Dimension", name="ServiceName")],
        **given.pop("dataset", {}),
    }
    period = models.QueryTimePeriod(from_property=MARCH.start, to=MARCH.end - timedelta(seconds=1))
    whole = {"type": "ActualCost", "timeframe": "Custom", "time_period": period, **given}
    return models.QueryDefinition(dataset=models.QueryDataset(**dataset), **whole)


def test_the_sdks_models_read_the_answer(cloud: AzureCloud, client: CostManagementClient) -> None:
    answer = client.query.usage(f"/subscriptions/{FIRST}", definition())
    assert answer is not None
    columns = [(column.name, column.type) for column in answer.columns or []]
    assert columns == [
        ("Cost", "Number"),
        ("UsageDate", "Number"),
        ("ServiceName", "String"),
        ("Currency", "String"),
    ]
    rows = answer.rows or []
    total = add(*(Decimal(repr(row[0])) for row in rows))
    assert total == cloud.ledger.totals(NOW, lambda charge: charge.account, MARCH)[FIRST]
    assert {row[1] for row in rows} == {int(f"{day:%Y%m%d}") for day in MARCH.days()}


def test_our_question_is_the_sdks_own(cloud: AzureCloud, client: CostManagementClient) -> None:
    """Ours is made without the SDK's models; a change of theirs would show here."""
    question = Question(f"/subscriptions/{FIRST}", Dataset.ACTUAL, MARCH, (SERVICE, Cut("team", tag=True)))
    question = Question(
        question.scope, question.dataset, MARCH, question.cuts, ((CHARGE_TYPE, ("Usage", "UnusedReservation")),)
    )
    theirs = definition(
        dataset={
            "grouping": [
                models.QueryGrouping(type="Dimension", name="ServiceName"),
                models.QueryGrouping(type="TagKey", name="team"),
            ],
            "filter": models.QueryFilter(
                dimensions=models.QueryComparisonExpression(
                    name="ChargeType", operator="In", values_property=["Usage", "UnusedReservation"]
                )
            ),
        }
    )
    assert question.body() == json.loads(json.dumps(theirs.as_dict()))
    sent = []
    client.query.usage(question.scope, theirs, raw_request_hook=lambda request: sent.append(request.http_request.url))
    assert sent == [cloud.url + question.path]
    assert f"api-version={API_VERSION}" in question.path


def test_the_next_page_needs_the_same_body(cloud: AzureCloud, client: CostManagementClient) -> None:
    cloud.page_rows = 10
    first = client.query.usage(f"/subscriptions/{FIRST}", definition())
    assert first is not None
    assert first.next_link
    body = definition().as_dict()
    again = client.send_request(HttpRequest("POST", first.next_link, json=body))
    assert again.json()["properties"]["rows"] != (first.rows or [])
    assert len(again.json()["properties"]["rows"]) == 10
    other = client.send_request(HttpRequest("POST", first.next_link, json={**body, "type": "AmortizedCost"}))
    assert (other.status_code, other.json()["error"]["code"]) == (400, "BadRequest")
    assert client.send_request(HttpRequest("GET", first.next_link)).status_code == 405


GROUPING = [
    models.QueryGrouping(type="Dimension", name=name) for name in ("ServiceName", "ChargeType", "MeterCategory")
]
LONG = models.QueryTimePeriod(from_property=datetime(2025, 3, 1, tzinfo=UTC), to=datetime(2026, 3, 1, tzinfo=UTC))
TURNED = models.QueryTimePeriod(from_property=MARCH.end, to=MARCH.start)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dataset": {"grouping": GROUPING}}, "at most 2 grouping"),
        ({"dataset": {"grouping": [models.QueryGrouping(type="Dimension", name="Colour")]}}, "'Colour' is not"),
        ({"dataset": {"aggregation": {}}}, "one or two aggregation"),
        ({"type": "Guess"}, "type 'Guess'"),
        ({"time_period": LONG}, "cannot exceed 1 year"),
        ({"time_period": TURNED}, "must not be after"),
        ({"time_period": None}, "timePeriod"),
    ],
)
def test_what_the_api_refuses_is_refused(client: CostManagementClient, given: dict[str, Any], said: str) -> None:
    with pytest.raises(HttpResponseError, match=said) as caught:
        client.query.usage(f"/subscriptions/{FIRST}", definition(**given))
    assert caught.value.status_code == 400


def test_both_ends_of_a_period_are_included(client: CostManagementClient) -> None:
    day = models.QueryTimePeriod(from_property=MARCH.start, to=MARCH.start)
    answer = client.query.usage(f"/subscriptions/{FIRST}", definition(time_period=day))
    assert answer is not None
    assert {row[1] for row in answer.rows or []} == {20260301}


def test_quotas_count_months_and_say_what_is_left(cloud: AzureCloud, client: CostManagementClient) -> None:
    cloud.quotas.enforced = True
    seen: list[Any] = []
    months = models.QueryTimePeriod(from_property=MARCH.start - 40 * DAY, to=MARCH.end - DAY)

    def ask() -> None:
        whole = definition(time_period=months)
        client.query.usage(f"/subscriptions/{FIRST}", whole, raw_response_hook=lambda r: seen.append(r.http_response))

    for left in (9, 6, 3, 0):
        ask()
        assert seen[-1].headers[f"{QUOTA}qpu-consumed"] == "3"
        assert f"QueriesPer10Sec:{left};" in seen[-1].headers[f"{QUOTA}qpu-remaining"]
    with pytest.raises(HttpResponseError) as caught:
        ask()
    assert caught.value.status_code == 429
    assert caught.value.response is not None
    assert caught.value.response.headers[f"{QUOTA}qpu-retry-after"] == "10"
    cloud.clock = Clock(frozen=NOW + timedelta(seconds=10))
    ask()


def test_who_may_not_ask_is_refused(cloud: AzureCloud, client: CostManagementClient, tmp_path: Path) -> None:
    cloud.denied = {SECOND}
    with pytest.raises(HttpResponseError, match="RBACAccessDenied") as caught:
        client.query.usage(f"/subscriptions/{SECOND}", definition())
    assert caught.value.status_code == 403
    with pytest.raises(ResourceNotFoundError, match="SubscriptionNotFound"):
        client.query.usage("/subscriptions/00000000-0000-0000-0000-0000000000ff", definition())
    ca = str(tmp_path / "ca.pem")
    with (
        ClientSecretCredential(
            TENANT, CLIENT, "wrong", authority=cloud.url, disable_instance_discovery=True, connection_verify=ca
        ) as wrong,
        pytest.raises(ClientAuthenticationError, match="AADSTS7000215"),
    ):
        wrong.get_token("https://management.azure.com/.default")


def test_an_empty_scope_has_no_content_and_a_sponsored_one_no_rows(
    cloud: AzureCloud, client: CostManagementClient
) -> None:
    cloud.bare, cloud.sponsored = {SECOND}, {THIRD}
    assert client.query.usage(f"/subscriptions/{SECOND}", definition()) is None
    answer = client.query.usage(f"/subscriptions/{THIRD}", definition())
    assert answer is not None
    assert (answer.rows, len(answer.columns or [])) == ([], 4)


def test_the_control_plane_injects_faults_over_http(cloud: AzureCloud, client: CostManagementClient) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    faults = json.dumps([{"kind": "error", "operation": "query", "account": FIRST, "status": 502}]).encode()
    with urllib.request.urlopen(f"{cloud.url}/__simulator__/faults", faults, timeout=10, context=context) as answer:
        assert answer.status == 200
    client.query.usage(f"/subscriptions/{SECOND}", definition())
    with pytest.raises(HttpResponseError) as caught:
        client.query.usage(f"/subscriptions/{FIRST}", definition())
    assert caught.value.status_code == 502


def test_the_estate_is_the_same_for_the_same_seed_and_fits_into_doubles() -> None:
    one, two, other = (estate(seed, NOW) for seed in (7, 7, 8))
    assert one.charges == two.charges != other.charges
    assert min(charge.start for charge in one.charges) == datetime(2025, 2, 1, tzinfo=UTC)
    for amount in one.totals(NOW, lambda charge: (charge.account, charge.service)).values():
        assert Decimal(repr(float(amount))) == amount
    assert {charge.currency for charge in one.charges} == {"EUR", "USD", "CAD"}
    assert any(charge.billed < 0 for charge in one.charges)
    assert any(charge.shown_until for charge in one.charges)
