"""What goes wrong between us and BigQuery: the right reason, a bounded number of calls, and no query paid for twice."""

import json
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exporter.costs import Ask
from exporter.errors import AccessDenied, BadData, NotReady, SourceError, Throttled, Unavailable
from exporter.periods import Window
from exporter.providers.gcp import SPEC
from exporter.providers.gcp_client import price
from exporter.simulator.gcp import GoogleCloud
from exporter.simulator.server import Fault
from exporter.testing.contract import CountingMeter
from tests.providers.gcp_cloud import KeepingMeter, at, charge, options, source, standing, waits

MARCH = Ask(Window.of_days(date(2024, 3, 1), date(2024, 4, 1)))
CHARGES = [charge(f"2024-03-{day:02}T03:00", "1.5") for day in range(1, 11)]
WHOLE = Decimal(15)
CALLS = ("token", "tables.get", "jobs.dryRun", "jobs.insert", "tabledata.list")


@pytest.fixture(scope="module")
def serving() -> Iterator[GoogleCloud]:
    with standing(*CHARGES, page_rows=5) as cloud:
        yield cloud


@pytest.fixture
def cloud(serving: GoogleCloud) -> GoogleCloud:
    serving.reset()
    serving.jobs.clear()
    serving.tokens.revoke()
    serving.running = 0
    return serving


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # google-auth waits between its own tries for a token; nobody sleeps here.
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
    return waits(monkeypatch)


def billed(cloud: GoogleCloud) -> int:
    """How many queries were paid for."""
    return sum(1 for job in cloud.jobs.values() if job.trouble is None)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", ["reset", "cut", "hang", "503"])
def test_what_passes_is_asked_again_and_nothing_is_paid_for_twice(
    cloud: GoogleCloud, tmp_path: Path, call: str, fault: str
) -> None:
    trouble = Fault("error", call, status=503) if fault == "503" else Fault(fault, call, seconds=1.5)  # type: ignore[arg-type]
    cloud.inject(trouble)
    meter = CountingMeter()
    bill = source(cloud, tmp_path, meter, timeout="1s").fetch(MARCH)
    assert bill.costs.sum() == WHOLE
    assert billed(cloud) == 1
    made = [each for each in cloud.calls if each.operation != "token"]
    assert len(made) == len(meter.operations) or call == "token"  # a try that got no token was no call


LASTING = [
    (Fault("throttle", times=None), Throttled, "poll less often"),
    (Fault("error", status=403, code="quotaExceeded", times=None), Throttled, "quota"),
    (Fault("error", status=429, code="tooMany", times=None), Throttled, "poll less often"),
    (Fault("denied", times=None), AccessDenied, "the credentials need bigquery."),
    (Fault("error", status=403, code="billingNotEnabled", times=None), AccessDenied, "billing account"),
    (Fault("expired", times=None), AccessDenied, "make a new key"),
    (Fault("error", status=500, code="internalError", times=None), Unavailable, ""),
    (Fault("error", status=502, code="badGateway", times=None), Unavailable, ""),
    (Fault("error", status=404, code="notFound", times=None), NotReady, "check `table` and `location`"),
    (Fault("error", status=400, code="invalidQuery", times=None), BadData, "billing export"),
    (Fault("error", status=500, code="bytesBilledLimitExceeded", times=None), Throttled, "raise `max_bytes`"),
    (Fault("error", status=400, code="bytesBilledLimitExceeded", times=None), Throttled, "raise `max_bytes`"),
    (Fault("html", times=None), BadData, "a proxy or a login page"),
    (Fault("hollow", times=None), BadData, ""),
    (Fault("cut", times=None), BadData, ""),
    (Fault("reset", times=None), Unavailable, "proxy"),
]


@pytest.mark.parametrize(
    ("call", "fault", "error", "hint"),
    [
        pytest.param(call, *case, id=f"{call}-{case[0].kind}-{case[0].code}")
        for call in CALLS[1:]
        for case in LASTING
        if (call, case[0].kind) != ("jobs.insert", "cut")  # the job is there then, and is found: the test above
    ],
)
def test_what_lasts_has_its_reason_and_an_end(
    cloud: GoogleCloud, tmp_path: Path, call: str, fault: Fault, error: type[SourceError], hint: str
) -> None:
    cloud.inject(replace(fault, operation=call))
    with pytest.raises(error) as caught:
        source(cloud, tmp_path).fetch(MARCH)
    assert type(caught.value) is error
    assert hint in (caught.value.hint or "")
    assert len(cloud.asked(call)) <= 8
    assert billed(cloud) <= 1
    assert cloud.tokens.account not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("error", "token", status=400, code="invalid_grant", times=None), AccessDenied),
        (Fault("error", "token", status=503, code="internal_failure", times=None), Unavailable),
        (Fault("reset", "token", times=None), Unavailable),
        (Fault("html", "token", times=None), SourceError),
        (Fault("hollow", "token", times=None), SourceError),
        (Fault("hang", "token", times=None, seconds=1.2), Unavailable),
    ],
    ids=lambda value: f"{value.kind}-{value.code}" if isinstance(value, Fault) else "",
)
def test_a_token_endpoint_that_does_not_answer_ends_soon(
    cloud: GoogleCloud, tmp_path: Path, fault: Fault, error: type[SourceError]
) -> None:
    """The client by itself would go on for ten minutes."""
    cloud.inject(fault)
    with pytest.raises(error):
        source(cloud, tmp_path, timeout="1s").fetch(MARCH)
    assert len(cloud.asked("token")) <= 16
    assert cloud.jobs == {}


def test_a_server_that_is_not_there_is_unavailable(cloud: GoogleCloud, tmp_path: Path, slept: list[float]) -> None:
    with pytest.raises(Unavailable, match="describing"):
        source(cloud, tmp_path, endpoint_url="http://127.0.0.1:9").fetch(MARCH)
    assert slept == [1, 2, 4]


def test_a_token_revoked_in_the_middle_is_renewed(cloud: GoogleCloud, tmp_path: Path) -> None:
    class Revoking(CountingMeter):
        def request(self, operation: str, *args: Any, **kwargs: Any) -> None:
            if operation == "tabledata.list":
                cloud.tokens.revoke()
            super().request(operation, *args, **kwargs)

    assert source(cloud, tmp_path, Revoking()).fetch(MARCH).costs.sum() == WHOLE
    assert len(cloud.asked("token")) > 1
    assert billed(cloud) == 1


def test_a_job_that_runs_is_waited_for(cloud: GoogleCloud, tmp_path: Path, slept: list[float]) -> None:
    cloud.running = 4
    assert source(cloud, tmp_path).fetch(MARCH).costs.sum() == WHOLE
    assert len(cloud.asked("jobs.get")) == 4
    assert slept == [0.5, 1, 2, 4]


def test_a_job_that_does_not_end_is_given_up(cloud: GoogleCloud, tmp_path: Path, slept: list[float]) -> None:
    cloud.running = 10_000
    with pytest.raises(Unavailable, match="does not end"):
        source(cloud, tmp_path).fetch(MARCH)
    assert sum(slept) < 400


def test_a_job_that_fails_for_a_passing_reason_is_sent_again(cloud: GoogleCloud, tmp_path: Path) -> None:
    cloud.inject(Fault("error", "jobs.insert", status=200, code="backendError"))
    assert source(cloud, tmp_path).fetch(MARCH).costs.sum() == WHOLE
    assert (len(cloud.jobs), billed(cloud)) == (2, 1)


def test_a_job_that_failed_at_an_earlier_poll_is_not_held_against_this_one(cloud: GoogleCloud, tmp_path: Path) -> None:
    """Its id is kept and names it still; somebody stopped it, or its quota is there again."""
    meter = KeepingMeter()
    cloud.inject(Fault("error", "jobs.insert", status=200, code="stopped"))
    with pytest.raises(Unavailable):
        source(cloud, tmp_path, meter).fetch(MARCH)
    assert source(cloud, tmp_path, meter).fetch(MARCH).costs.sum() == WHOLE
    assert (len(cloud.jobs), billed(cloud)) == (2, 1)


@pytest.mark.parametrize(
    ("code", "error"),
    [("backendError", Unavailable), ("quotaExceeded", Throttled), ("bytesBilledLimitExceeded", Throttled)],
)
def test_a_job_that_fails_always_has_its_reason(
    cloud: GoogleCloud, tmp_path: Path, code: str, error: type[SourceError]
) -> None:
    cloud.inject(Fault("error", "jobs.insert", status=200, code=code, times=None))
    with pytest.raises(error):
        source(cloud, tmp_path).fetch(MARCH)
    assert len(cloud.jobs) <= 4


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_crash_between_pages_pays_once(cloud: GoogleCloud, tmp_path: Path, after: int) -> None:
    """A new process with the same kept pages: the job is there, and its pages that were read are not asked for."""
    meter = KeepingMeter()
    cloud.inject(Fault("denied", "tabledata.list", after=after))
    with pytest.raises(AccessDenied):
        source(cloud, tmp_path, meter).fetch(MARCH)
    assert source(cloud, tmp_path, meter).fetch(MARCH).costs.sum() == WHOLE
    assert billed(cloud) == 1
    assert len(cloud.asked("tabledata.list")) == 4
    assert [each for each in meter.charges if each[1]] == [("jobs.insert", *paid(10 * 2**20))]


def test_a_process_that_dies_before_it_hears_of_its_job_finds_it_again(cloud: GoogleCloud, tmp_path: Path) -> None:
    """The job's id is kept before the job is sent."""
    meter = KeepingMeter()
    cloud.inject(Fault("cut", "jobs.insert"), Fault("denied", "jobs.insert"))
    with pytest.raises(AccessDenied):
        source(cloud, tmp_path, meter).fetch(MARCH)
    assert billed(cloud) == 1
    assert source(cloud, tmp_path, meter).fetch(MARCH).costs.sum() == WHOLE
    assert billed(cloud) == 1


def paid(size: int) -> tuple[Decimal, dict[str, Decimal]]:
    charge, least = price(size, Decimal("6.25"))
    return charge, {"bytes": Decimal(least)}


def test_a_query_is_priced_before_it_is_made_and_that_is_what_it_is_billed_for(tmp_path: Path) -> None:
    with standing(*CHARGES, scale=20_000) as cloud:
        meter = KeepingMeter()
        source(cloud, tmp_path, meter).fetch(MARCH)
        [(_, charge, units)] = [each for each in meter.charges if each[1]]
        assert units == {"bytes": Decimal(cloud.bytes_billed)}
        assert cloud.bytes_billed > 10 * 2**20
        assert charge == Decimal(cloud.bytes_billed) * Decimal("6.25") / 2**40


def test_the_price_of_ten_mebibytes_is_exact() -> None:
    """6.25 USD a TiB: a 16,777,216th of a hundred dollars... to the last digit."""
    assert price(1, Decimal("6.25")) == (Decimal("0.000059604644775390625"), 10 * 2**20)
    assert price(2**40 - 1, Decimal("6.25")) == (Decimal("6.25"), 2**40)


def test_a_query_past_max_bytes_is_not_made(tmp_path: Path) -> None:
    with standing(*CHARGES, scale=200_000) as cloud:
        with pytest.raises(Throttled, match="max_bytes") as caught:
            source(cloud, tmp_path, max_bytes=20 * 2**20).fetch(MARCH)
        assert "raise `max_bytes`" in (caught.value.hint or "")
        assert cloud.jobs == {}


def test_old_partitions_are_not_read(tmp_path: Path) -> None:
    old = [charge(f"2023-{month:02}-05T03:00", "1") for month in range(1, 13)]
    with standing(*CHARGES, *old, scale=10**6) as cloud:
        gcp = source(cloud, tmp_path, max_bytes=2**50)
        gcp.fetch(Ask(Window.of_day(date(2024, 3, 10))))
        few = cloud.bytes_billed
        gcp.fetch(Ask(Window.of_days(date(2023, 1, 1), date(2024, 4, 1))))
        assert few * 5 < cloud.bytes_billed - few


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        ("acme-billing.billing.gcp_billing_export_v1_000000_000000_000000", NotReady, "Not found: Table"),
        ("acme-billing.elsewhere.gcp_billing_export_v1_000000_000000_000000", NotReady, "Not found: Dataset"),
    ],
)
def test_a_table_that_is_not_there_is_not_ready(
    cloud: GoogleCloud, tmp_path: Path, table: str, error: type[SourceError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        source(cloud, tmp_path, table=table).fetch(MARCH)
    assert "a few hours after the export was switched on" in (caught.value.hint or "")


def test_a_table_that_is_no_export_is_refused(cloud: GoogleCloud, tmp_path: Path) -> None:
    name = "acme-billing.billing.something"
    cloud.warehouse.create(name, [{"name": "a", "type": "STRING", "mode": "NULLABLE"}], lambda: ())
    with pytest.raises(BadData, match="has no column billing_account_id"):
        source(cloud, tmp_path, table=name).fetch(MARCH)


def test_keys_that_cannot_be_used_say_so(cloud: GoogleCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AccessDenied, match="No such file"):
        source(cloud, tmp_path, credentials_file=str(tmp_path / "none.json")).fetch(MARCH)
    (tmp_path / "bad.json").write_text('{"type": "authorized_user"}', "utf-8")
    with pytest.raises(AccessDenied, match="no service account's key file"):
        source(cloud, tmp_path, credentials_file=str(tmp_path / "bad.json")).fetch(MARCH)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(AccessDenied) as caught:
        source(cloud, tmp_path, credentials_file=None).fetch(MARCH)
    assert "credentials_file" in (caught.value.hint or "")


def test_default_credentials_are_taken(cloud: GoogleCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options(cloud, tmp_path)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    assert source(cloud, tmp_path, credentials_file=None).fetch(MARCH).costs.sum() == WHOLE


def test_a_key_of_another_account_is_denied(cloud: GoogleCloud, tmp_path: Path) -> None:
    from exporter.simulator.gcp.tokens import Tokens

    stranger = Tokens(cloud.tokens.account).key_file("acme-billing", f"{cloud.url}/token")
    (tmp_path / "stranger.json").write_text(stranger, "utf-8")
    with pytest.raises(AccessDenied, match="Invalid JWT Signature"):
        source(cloud, tmp_path, credentials_file=str(tmp_path / "stranger.json")).fetch(MARCH)


def test_no_secret_is_in_an_error(cloud: GoogleCloud, tmp_path: Path) -> None:
    secret = "open-sesame"
    given = options(cloud, tmp_path)
    key = json.loads((tmp_path / "key.json").read_text("utf-8"))["private_key"]
    for proxy in (f"http://me:{secret}@127.0.0.1:9", f"socks9://me:{secret}@127.0.0.1"):
        with pytest.raises(SourceError) as caught:
            source(cloud, tmp_path, proxy=proxy).fetch(MARCH)
        said = "".join(traceback.format_exception(caught.value)) + repr(given)
        assert secret not in said
        assert key[40:80] not in said


def test_a_request_past_the_cap_is_not_made(cloud: GoogleCloud, tmp_path: Path) -> None:
    with pytest.raises(Throttled, match="the cap of this meter"):
        source(cloud, tmp_path, CountingMeter(cap=2)).fetch(MARCH)
    assert cloud.jobs == {}


def test_what_the_spec_says_of_calls_routes_and_policy(cloud: GoogleCloud, tmp_path: Path) -> None:
    given = options(cloud, tmp_path, project="acme-pays")
    assert SPEC.routes(given) == ("gcp:01ABCD-234567-89EF01",)
    assert SPEC.policy is not None
    assert "--role=roles/bigquery.jobUser" in SPEC.policy(given)
    assert "`roles/bigquery.dataViewer` ON SCHEMA `acme-billing.billing`" in SPEC.policy(given)
    assert [call.charge for call in SPEC.calls(given, MARCH) if call.charge] == [Decimal("0.000059604644775390625")]


def test_calls_are_those_that_a_poll_makes(cloud: GoogleCloud, tmp_path: Path) -> None:
    meter = CountingMeter()
    source(cloud, tmp_path, meter).fetch(MARCH)
    assert set(meter.operations) == {call.operation for call in SPEC.calls(options(cloud, tmp_path), MARCH)}


def test_a_window_before_the_first_row_is_empty(cloud: GoogleCloud, tmp_path: Path) -> None:
    window = Window(at("2020-01-01T00:00"), at("2020-02-01T00:00"))
    assert source(cloud, tmp_path).fetch(Ask(window)).costs.rows() == []


def test_another_account_is_acted_as(cloud: GoogleCloud, tmp_path: Path) -> None:
    other = "reader@acme-pays.iam.gserviceaccount.com"
    gcp = source(cloud, tmp_path, impersonate=other, iam_endpoint_url=cloud.url)
    assert gcp.fetch(MARCH).costs.sum() == WHOLE
    [asked] = cloud.asked("generateAccessToken")
    assert asked.detail["as"] == f"{other}:generateAccessToken"


def test_a_job_in_a_region_is_found_again(tmp_path: Path) -> None:
    """Outside of the two multi-regions jobs.get must say where."""
    with standing(*CHARGES, location="europe-west1", running=2) as cloud:
        assert source(cloud, tmp_path).fetch(MARCH).costs.sum() == WHOLE
        with pytest.raises(NotReady, match="not found in location US") as caught:
            source(cloud, tmp_path, location="US").fetch(MARCH)
        assert "`location`" in (caught.value.hint or "")


def test_a_view_is_read_without_partitions(tmp_path: Path) -> None:
    with standing(*CHARGES, needs_filter=False) as cloud:
        cloud.warehouse.tables[cloud.standard].view = True
        assert source(cloud, tmp_path).fetch(MARCH).costs.sum() == WHOLE
