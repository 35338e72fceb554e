"""The simulated Google Cloud, asked by Google's own client: it prices, limits and refuses as the real one."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.cloud import bigquery
from google.oauth2 import service_account

from exporter.clock import Clock
from exporter.simulator.gcp import GoogleCloud, estate
from exporter.simulator.gcp.export import CREDIT, PACIFIC, invoice_month, lines
from exporter.simulator.server import Fault

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
SCOPES = ["https://www.googleapis.com/auth/bigquery"]


@pytest.fixture(scope="module")
def cloud() -> Iterator[GoogleCloud]:
    with GoogleCloud(estate(7, NOW, months=2), Clock(frozen=NOW), page_rows=100) as cloud:
        yield cloud


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch, cloud: GoogleCloud) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    cloud.reset()


@pytest.fixture
def client(cloud: GoogleCloud) -> Iterator[bigquery.Client]:
    key = json.loads(cloud.key_file())
    credentials = service_account.Credentials.from_service_account_info(key, scopes=SCOPES)  # type: ignore[no-untyped-call]
    endpoint = ClientOptions(api_endpoint=cloud.url)
    with bigquery.Client(project="acme-billing", credentials=credentials, client_options=endpoint) as client:
        yield client


def asked(client: bigquery.Client, sql: str, **settings: Any) -> list[tuple[Any, ...]]:
    configuration = bigquery.QueryJobConfig(
        query_parameters=[bigquery.ScalarQueryParameter("since", "TIMESTAMP", datetime(2026, 11, 1, tzinfo=UTC))],
        **settings,
    )
    job = client.query(sql, job_config=configuration, retry=None, job_retry=None, timeout=10)  # type: ignore[arg-type]
    return [tuple(row.values()) for row in job.result(retry=None, timeout=10)]  # type: ignore[arg-type]


def test_a_client_reads_pages_through_get_query_results(client: bigquery.Client, cloud: GoogleCloud) -> None:
    """Another way than the exporter's: jobs.getQueryResults, typed cells."""
    sql = f"SELECT usage_start_time, cost, project.id FROM `{cloud.standard}` WHERE _PARTITIONTIME >= @since"
    rows = asked(client, sql)
    loaded = [line for line in lines(cloud.ledger) if line.partition >= datetime(2026, 11, 1, tzinfo=UTC)]
    assert len(rows) == sum(1 for line in loaded if line.shown_from <= NOW)
    assert isinstance(rows[0][0], datetime)
    assert isinstance(rows[0][1], float)
    assert len(cloud.asked("jobs.getQueryResults")) > 2


def test_a_partition_filter_is_required(client: bigquery.Client, cloud: GoogleCloud) -> None:
    with pytest.raises(exceptions.BadRequest, match="Cannot query over table"):
        asked(client, f"SELECT COUNT(*) FROM `{cloud.standard}` WHERE usage_start_time >= @since")


def test_fewer_columns_and_partitions_are_fewer_bytes(client: bigquery.Client, cloud: GoogleCloud) -> None:
    def size(what: str, since: str) -> int:
        sql = f"SELECT {what} FROM `{cloud.standard}` WHERE _PARTITIONTIME >= TIMESTAMP '{since}'"
        dry = bigquery.QueryJobConfig(dry_run=True)
        return int(client.query(sql, job_config=dry).total_bytes_processed or 0)

    whole = size("cost, service.description", "2026-10-01")
    assert 0 < size("cost", "2026-10-01") < whole
    assert 0 < size("cost, service.description", "2026-11-15") < whole / 2
    assert size("cost", "2026-10-01") == 8 * len([line for line in lines(cloud.ledger) if line.partition <= NOW])
    assert cloud.asked("jobs.insert") == []


def test_a_query_past_its_limit_is_refused(client: bigquery.Client, cloud: GoogleCloud) -> None:
    sql = f"SELECT SUM(cost) FROM `{cloud.standard}` WHERE _PARTITIONTIME >= @since"
    with pytest.raises(exceptions.GoogleAPICallError, match="bytes billed"):
        asked(client, sql, maximum_bytes_billed=1)


def test_a_job_of_the_same_id_is_refused(client: bigquery.Client) -> None:
    client.query("SELECT 1", job_id="once", job_retry=None)
    with pytest.raises(exceptions.Conflict, match="Already Exists"):
        client.query("SELECT 1", job_id="once", job_retry=None)
    assert client.get_job("once").state == "DONE"


def test_what_is_not_there_is_not_found(client: bigquery.Client, cloud: GoogleCloud) -> None:
    for name in ("billing.nothing", "nothing.nothing"):
        with pytest.raises(exceptions.NotFound):
            client.get_table(f"acme-billing.{name}")
    with pytest.raises(exceptions.NotFound):
        client.get_job("never")
    tables = {table.table_id for table in client.list_tables("billing")}
    assert {cloud.standard.split(".")[2], cloud.detailed.split(".")[2]} == tables
    assert client.get_dataset("billing").location == "EU"


def test_syntax_is_checked(client: bigquery.Client) -> None:
    for sql in ("SELEC 1", "DELETE FROM a.b.c WHERE true", "SELECT nothing FROM (SELECT 1 AS a)"):
        with pytest.raises(exceptions.BadRequest):
            asked(client, sql)


def test_calls_without_a_token_are_refused(cloud: GoogleCloud) -> None:
    path = "/bigquery/v2/projects/acme-billing/datasets/billing"
    for headers in ({}, {"Authorization": "Bearer simulated-0"}):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(cloud.url + path, headers=headers), timeout=10)
        with caught.value as answer:
            assert answer.code == 401


def test_faults_speak_as_the_cloud_does(client: bigquery.Client, cloud: GoogleCloud) -> None:
    cloud.inject(
        Fault("throttle", "tables.get", account="acme-billing"), Fault("denied", "tables.get", account="other")
    )
    assert client.get_table(cloud.standard).table_type == "TABLE"  # the client tries again by itself
    assert [each.fault for each in cloud.asked("tables.get")] == ["throttle", ""]


def test_the_estate_is_the_same_for_the_same_seed() -> None:
    one, two, other = estate(7, NOW, 2), estate(7, NOW, 2), estate(8, NOW, 2)
    assert one.charges == two.charges != other.charges


def test_the_estate_has_what_its_story_says() -> None:
    ledger = estate(7, NOW, 3)
    kinds = Counter(each.kind for each in ledger.charges)
    assert set(kinds) == {"regular", CREDIT, "tax", "rounding_error", "adjustment"}
    assert {each.currency for each in ledger.charges} == {"EUR"}
    assert {each.account for each in ledger.charges if each.kind == "tax"} == {""}
    promoted = [
        line
        for line in lines(ledger)
        if sum(c.billed for c in line.credits) + line.charge.billed < 0 < line.charge.billed
    ]
    assert promoted, "credits larger than the cost"
    late = [line for line in lines(ledger) if line.partition - line.charge.start > timedelta(days=3)]
    assert {line.charge.kind for line in late} >= {"regular", "adjustment"}
    first = [each for each in ledger.charges if f"{each.start:%Y-%m-%d}" == "2026-11-01" and each.kind == "regular"]
    assert {str(invoice_month(each)) for each in first} == {"2026-10", "2026-11"}
    assert all(
        float(each.billed) == float(str(each.billed)) and Decimal(repr(float(each.billed))) == each.billed
        for each in ledger.charges
    )


def test_a_month_of_the_pacific_coast_follows_its_summer_time() -> None:
    from tests.providers.gcp_cloud import charge

    months = {
        start: str(invoice_month(charge(start, "1")))
        for start in ("2026-11-01T06:59", "2026-11-01T07:00", "2026-12-01T07:59")
    }
    assert list(months.values()) == ["2026-10", "2026-11", "2026-11"]
    assert PACIFIC.key == "America/Los_Angeles"


def test_the_key_file_is_one_of_a_service_account(cloud: GoogleCloud, tmp_path: Path) -> None:
    key = json.loads(cloud.key_file())
    assert (key["type"], key["token_uri"]) == ("service_account", f"{cloud.url}/token")
