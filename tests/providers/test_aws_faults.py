"""Everything that boto3 may come back with: the right reason, bounded tries, and nothing paid twice."""

from __future__ import annotations

import json
import logging
import ssl
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from exporter.clock import Clock
from exporter.costs import Ask
from exporter.errors import AccessDenied, BadData, NotReady, SourceError, Throttled, Unavailable
from exporter.periods import Grain, Window
from exporter.polling.ledger import Ledger as Meter
from exporter.polling.sources import Source
from exporter.providers.aws_cost_explorer import SPEC, AwsCostExplorerOptions
from exporter.providers.aws_session import AwsOptions
from exporter.simulator.aws import PAYER, Aws, Key, Role
from exporter.simulator.aws.estate import WEB
from exporter.simulator.server import Fault, Kind
from exporter.store.state import State
from exporter.testing import CountingMeter
from tests.providers.aws import NOW, alone, cloud, fetch, ledger, options, source

WEEK = Window.of_days(date(2026, 11, 1), date(2026, 11, 8))
ROLE = f"arn:aws:iam::{PAYER}:role/cost-reader"
CE, STS = "GetCostAndUsage", "GetCallerIdentity"
TRIES = 4


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return alone(monkeypatch)


@pytest.fixture
def aws() -> Iterator[Aws]:
    with cloud(ledger(), page_size=40, roles=(Role(ROLE, "made-up-id"),)) as aws:
        yield aws


FAULTS: list[tuple[Kind, str, type[SourceError], int]] = [
    ("throttle", CE, Throttled, TRIES),
    ("throttle", STS, Throttled, TRIES),
    ("error", CE, Unavailable, TRIES),
    ("error", STS, Unavailable, TRIES),
    ("hang", CE, Unavailable, TRIES),
    ("hang", STS, Unavailable, TRIES),
    ("reset", CE, Unavailable, TRIES),
    ("reset", STS, Unavailable, TRIES),
    ("cut", CE, BadData, 1),
    ("cut", STS, BadData, 1),
    ("html", CE, BadData, 1),
    ("html", STS, BadData, 1),
    ("hollow", CE, BadData, 1),
    ("hollow", STS, BadData, 1),
    ("denied", CE, AccessDenied, 1),
    ("denied", STS, AccessDenied, 1),
    ("expired", CE, AccessDenied, 1),
    ("expired", STS, AccessDenied, 1),
]


@pytest.mark.parametrize(("kind", "operation", "reason", "tries"), FAULTS)
def test_each_fault_has_its_reason_after_a_bounded_number_of_tries(
    aws: Aws, waits: list[float], kind: Kind, operation: str, reason: type[SourceError], tries: int
) -> None:
    aws.inject(Fault(kind, operation, times=None, seconds=2))
    meter = CountingMeter()
    with pytest.raises(reason) as caught:
        fetch(aws, WEEK, meter=meter, timeout="1s")
    assert type(caught.value) is reason
    assert len(aws.asked(operation)) == tries
    assert waits == [1, 2, 4][: tries - 1]
    assert len(meter.operations) == len(aws.calls)
    service = "ce" if operation == CE else "sts"
    assert f"{service}:{operation}" in caught.value.message


@pytest.mark.parametrize("kind", ["throttle", "error", "reset"])
def test_what_passes_is_waited_for(aws: Aws, waits: list[float], kind: Kind) -> None:
    whole = fetch(aws, WEEK).costs.sum()
    aws.inject(Fault(kind, CE, times=2))
    assert fetch(aws, WEEK).costs.sum() == whole
    assert waits == [1, 2]


CODES = [
    *((code, Throttled) for code in ("LimitExceededException", "ThrottlingException", "Throttling")),
    *((code, Throttled) for code in ("RequestLimitExceeded", "TooManyRequestsException")),
    *((code, AccessDenied) for code in ("AccessDeniedException", "ExpiredTokenException", "ExpiredToken")),
    *((code, AccessDenied) for code in ("UnrecognizedClientException", "InvalidSignatureException", "OptInRequired")),
    ("DataUnavailableException", NotReady),
    ("BillExpirationException", Unavailable),
    ("RequestChangedException", BadData),
    ("InvalidNextTokenException", BadData),
    ("ValidationException", BadData),
    ("SomethingNew", BadData),
]


@pytest.mark.parametrize(("code", "reason"), CODES)
def test_each_code_has_its_reason(aws: Aws, code: str, reason: type[SourceError]) -> None:
    aws.inject(Fault("error", CE, status=400, code=code, times=None))
    with pytest.raises(reason, match=code):
        fetch(aws, WEEK)


def test_retry_after_is_respected(aws: Aws, waits: list[float]) -> None:
    aws.inject(Fault("throttle", CE, headers={"Retry-After": "7"}))
    fetch(aws, WEEK)
    assert waits == [7]
    aws.inject(Fault("throttle", CE, headers={"Retry-After": "300"}, times=None))
    with pytest.raises(Throttled) as caught:
        fetch(aws, WEEK)
    assert caught.value.retry_after == timedelta(seconds=300)
    assert waits == [7]


def test_a_failing_page_means_no_bill(aws: Aws) -> None:
    fetch(aws, WEEK)
    pages = len(aws.asked(CE))
    assert pages > 3
    for after in range(pages):
        aws.reset()
        aws.inject(Fault("denied", CE, after=after))
        with pytest.raises(AccessDenied):
            fetch(aws, WEEK)
        assert len(aws.asked(CE)) == after + 1


def test_hours_that_are_not_switched_on_are_explained() -> None:
    with cloud(ledger(), hourly=False) as aws, pytest.raises(AccessDenied) as caught:
        fetch(aws, Window.of_day(date(2026, 11, 20)), Grain.HOUR)
    assert "hours: false" in (caught.value.hint or "")


def test_an_endpoint_that_is_not_there_is_unavailable(aws: Aws) -> None:
    gone = aws.url.rpartition(":")[0] + ":1"
    with pytest.raises(Unavailable):
        fetch(aws, WEEK, endpoint_url=gone)


@pytest.mark.parametrize(
    "change",
    [
        lambda page: page["ResultsByTime"][0].pop("TimePeriod"),
        lambda page: page["ResultsByTime"][0].pop("Groups"),
        lambda page: page["ResultsByTime"][0].pop("Estimated"),
        lambda page: page["ResultsByTime"][0]["Groups"][0].pop("Keys"),
        lambda page: page["ResultsByTime"][0]["Groups"][0]["Keys"].pop(),
        lambda page: page["ResultsByTime"][0]["Groups"][0].pop("Metrics"),
        lambda page: page["ResultsByTime"][0]["Groups"][0]["Metrics"].pop("UnblendedCost"),
        lambda page: page["ResultsByTime"][0]["Groups"][0]["Metrics"]["AmortizedCost"].pop("Amount"),
        lambda page: page["ResultsByTime"][0]["Groups"][0]["Metrics"]["NetUnblendedCost"].pop("Unit"),
        lambda page: page["ResultsByTime"][0]["Groups"][0]["Metrics"]["NetUnblendedCost"].update(Unit="EUR"),
        lambda page: page["ResultsByTime"][0]["Groups"][0]["Metrics"]["NetUnblendedCost"].update(Amount="1,5"),
        lambda page: page["ResultsByTime"][0]["Groups"][0]["Metrics"]["NetUnblendedCost"].update(Amount="NaN"),
    ],
)
def test_a_page_without_one_of_its_parts_is_bad_data(aws: Aws, change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore hands such a page over without a word."""
    whole = type(aws).answer

    def altered(self: Aws, request: Any, operation: str) -> Any:
        reply, detail = whole(self, request, operation)
        if operation == CE:
            page = json.loads(reply.body)
            change(page)
            reply = replace(reply, body=json.dumps(page).encode())
        return reply, detail

    monkeypatch.setattr(type(aws), "answer", altered)
    with pytest.raises(BadData):
        fetch(aws, WEEK)


# What is paid


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.sqlite") as state:
        yield state


def metered(aws: Aws, state: State, **more: object) -> Source:
    """A configured source, whose pages are kept."""
    given = options(aws, **more)
    hour = timedelta(hours=1)
    return Source("aws", SPEC, given, 8 * hour, 48 * hour, 36 * hour, (), cache=4 * hour)


def paid(state: State) -> Decimal:
    name = "cloudspend_source_api_charges_total"
    return sum((each.value for each in state.counters() if each.name == name), Decimal(0))


def test_failed_calls_cost_nothing_and_every_page_a_cent(aws: Aws, state: State) -> None:
    configured = metered(aws, state)
    aws.inject(Fault("throttle", CE, times=2), Fault("reset", CE, after=1))
    SPEC.connect(configured.options, Meter(state, configured, Clock(frozen=NOW))).fetch(Ask(WEEK))
    good = [call for call in aws.asked(CE) if not call.fault]
    assert len(aws.asked(CE)) == len(good) + 3
    assert paid(state) == len(good) * Decimal("0.01")


def test_after_a_crash_between_pages_only_what_is_missing_is_asked_for(aws: Aws, state: State) -> None:
    configured = metered(aws, state)

    def ask() -> Decimal:
        return (
            SPEC.connect(configured.options, Meter(state, configured, Clock(frozen=NOW))).fetch(Ask(WEEK)).costs.sum()
        )

    whole = fetch(aws, WEEK).costs.sum()
    pages = len(aws.asked(CE))
    aws.reset()
    aws.inject(Fault("expired", CE, after=2, times=None))
    with pytest.raises(AccessDenied):
        ask()
    assert paid(state) == Decimal("0.02")
    aws.reset()
    assert ask() == whole
    assert len(aws.asked(CE)) == pages - 2
    assert paid(state) == pages * Decimal("0.01")
    aws.reset()
    assert ask() == whole
    assert aws.asked(CE) == []


def test_a_request_past_the_cap_is_not_made(aws: Aws) -> None:
    with pytest.raises(Throttled, match="the cap of this meter"):
        fetch(aws, WEEK, meter=CountingMeter(cap=2))
    assert len(aws.calls) == 2


# Who asks


def test_no_credentials_at_all_is_access_denied(aws: Aws) -> None:
    meter = CountingMeter()
    bare = AwsCostExplorerOptions(endpoint_url=aws.url, sts_endpoint_url=aws.url)
    with pytest.raises(AccessDenied, match="no AWS credentials") as caught:
        SPEC.connect(bare, meter).fetch(Ask(WEEK))
    assert "role_arn" in (caught.value.hint or "")
    assert meter.operations == []


def test_a_profile_that_is_not_there_is_access_denied(aws: Aws) -> None:
    bare = AwsCostExplorerOptions(profile="nobody", endpoint_url=aws.url, sts_endpoint_url=aws.url)
    with pytest.raises(AccessDenied, match="ProfileNotFound"):
        SPEC.connect(bare, CountingMeter()).fetch(Ask(WEEK))


def test_a_profile_and_the_environment_are_found(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = aws.options()
    lines = (
        f"[billing]\naws_access_key_id={given['access_key_id']}\naws_secret_access_key={given['secret_access_key']}\n"
    )
    (tmp_path / "credentials").write_text(lines)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    places = dict.fromkeys(("endpoint_url", "sts_endpoint_url"), aws.url)
    found = AwsCostExplorerOptions.model_validate({**places, "profile": "billing"})
    assert SPEC.connect(found, CountingMeter()).access().credentials == "profile billing"  # type: ignore[attr-defined]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["secret_access_key"])
    found = AwsCostExplorerOptions.model_validate(places)
    assert SPEC.connect(found, CountingMeter()).access().credentials == "env"  # type: ignore[attr-defined]


def test_a_role_is_assumed_with_its_external_id(aws: Aws) -> None:
    meter = CountingMeter()
    access = source(aws, meter, role_arn=ROLE, external_id="made-up-id").access()
    assert access.identity == f"arn:aws:sts::{PAYER}:assumed-role/cost-reader/cloudspend"
    assert access.credentials == f"options of the source, then role {ROLE}"
    assert meter.operations[0] == "sts:AssumeRole"
    with pytest.raises(AccessDenied, match="sts:AssumeRole"):
        fetch(aws, WEEK, role_arn=ROLE, external_id="another")
    with pytest.raises(AccessDenied):
        fetch(aws, WEEK, role_arn=ROLE)


def test_the_account_of_the_role_is_the_payer_and_nobody_is_asked_for_it(aws: Aws) -> None:
    meter = CountingMeter()
    bill = fetch(aws, WEEK, meter=meter, role_arn=ROLE, external_id="made-up-id")
    assert "sts:GetCallerIdentity" not in meter.operations
    assert {line.key for line in bill.costs.by("billing_account").rows()} == {(PAYER,)}


def test_a_web_identity_opens_a_role(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("made-up-identity\n")
    with cloud(ledger(), roles=(Role(ROLE, web_token="made-up-identity"),)) as aws:
        bare = dict.fromkeys(("endpoint_url", "sts_endpoint_url"), aws.url)
        given = AwsCostExplorerOptions.model_validate({**bare, "role_arn": ROLE, "web_identity_token_file": token})
        meter = CountingMeter()
        assert SPEC.connect(given, meter).fetch(Ask(WEEK)).costs.sum() == fetch(aws, WEEK).costs.sum()
        assert meter.operations[0] == "sts:AssumeRoleWithWebIdentity"
        token.write_text("another")
        with pytest.raises(AccessDenied, match="InvalidIdentityToken"):
            SPEC.connect(given, CountingMeter()).fetch(Ask(WEEK))
        token.unlink()
        with pytest.raises(AccessDenied, match="cannot be read"):
            SPEC.connect(given, CountingMeter()).fetch(Ask(WEEK))


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"secret_access_key": "wrong-made-up"}, "secret"),
        ({"access_key_id": "AKIANOBODY"}, "access key"),
        ({"session_token": "wrong-made-up"}, "access key"),
    ],
)
def test_wrong_keys_are_access_denied(aws: Aws, given: dict[str, str], hint: str) -> None:
    with pytest.raises(AccessDenied) as caught:
        fetch(aws, WEEK, payer=PAYER, **given)
    assert hint in (caught.value.hint or "")


def test_a_session_that_has_run_out_is_access_denied() -> None:
    old = Key("made-up-secret", PAYER, token="made-up-token", expires=datetime(2024, 1, 1, tzinfo=UTC))
    with cloud(ledger(), keys={"ASIAOLD": old}) as aws, pytest.raises(AccessDenied, match="ExpiredToken"):
        fetch(aws, WEEK, session_token="made-up-token")


def test_a_member_account_sees_its_own_bill() -> None:
    with cloud(ledger(), keys={"AKIAMEMBER": Key("made-up-secret", WEB)}) as aws:
        bill = fetch(aws, WEEK, accounts="each")
    keys = {line.key for line in bill.costs.by("account", "billing_account").rows()}
    assert keys == {(WEB, WEB)}


def test_china_signs_for_its_own_region(aws: Aws) -> None:
    """The simulated cloud is in us-east-1, and says so."""
    with pytest.raises(AccessDenied, match="valid region"):
        fetch(aws, WEEK, partition="aws-cn", payer=PAYER)


def test_a_proxy_that_is_not_there_does_not_show_its_password(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY")
    password = "made-up-password"
    with pytest.raises(Unavailable) as caught:
        fetch(aws, WEEK, proxy=f"http://somebody:{password}@127.0.0.1:1")
    assert password not in "".join(traceback.format_exception(caught.value))


def test_a_certificate_that_nobody_vouches_for_is_explained(aws: Aws) -> None:
    from exporter.simulator.server import server_tls

    context, pem = server_tls()
    assert isinstance(context, ssl.SSLContext)
    assert pem
    aws._http.socket = context.wrap_socket(aws._http.socket, server_side=True, do_handshake_on_connect=False)
    with pytest.raises(Unavailable) as caught:
        fetch(aws, WEEK, payer=PAYER, endpoint_url=aws.url.replace("http:", "https:"))
    assert "ca_bundle" in (caught.value.hint or "")


def test_no_secret_is_in_an_error_or_in_the_log(aws: Aws, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    kinds: tuple[Kind, ...] = ("throttle", "error", "denied", "expired", "reset", "cut", "html", "hollow")
    for kind in kinds:
        for operation in (CE, "AssumeRole"):
            aws.reset()
            aws.inject(Fault(kind, operation, times=None))
            with pytest.raises(SourceError) as caught:
                fetch(aws, WEEK, role_arn=ROLE, external_id="made-up-id")
            said += [str(caught.value), *traceback.format_exception(caught.value)]
    told = "\n".join([*said, caplog.text])
    assert "made-up-secret" not in told
    assert "made-up-session-token" not in told


def test_options_that_do_not_belong_together_are_refused() -> None:
    for given in (
        {"access_key_id": "AKIA"},
        {"secret_access_key": "made-up"},
        {"session_token": "made-up"},
        {"external_id": "made-up"},
        {"profile": "p", "access_key_id": "AKIA", "secret_access_key": "made-up"},
        {"role_arn": "not an arn"},
    ):
        with pytest.raises(ValidationError):
            AwsOptions.model_validate(given)
    for given in ({"accounts": []}, {"accounts": ["1"]}, {"dimensions": ["az"]}, {"regions": ["a", "a"]}):
        with pytest.raises(ValidationError):
            AwsCostExplorerOptions.model_validate(given)
