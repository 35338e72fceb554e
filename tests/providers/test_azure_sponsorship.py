"""Azure Sponsorship, over HTTP against a portal that behaves like the real one, and badly."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import ClassVar

import pytest
from pydantic import ValidationError

from exporter.clock import Clock
from exporter.costs import Ask, Bill, Scope
from exporter.errors import AccessDenied, BadData, SourceError, Throttled, Unavailable
from exporter.periods import Window
from exporter.providers import Access, azure_sponsorship, rest
from exporter.providers.azure_sponsorship import SPEC, AzureSponsorship, AzureSponsorshipOptions
from exporter.simulator.ledger import Charge, Ledger
from exporter.simulator.server import Fault, Kind
from exporter.simulator.sponsorship import SponsorshipPortal
from exporter.testing import BillContract
from exporter.testing.contract import CountingMeter, Subject

ONE, TWO = "00000000-aaaa-bbbb-cccc-000000000001", "00000000-aaaa-bbbb-cccc-000000000002"
COOKIE = "portal-session=made-up-for-this-test"
DAYS = Window.of_days(date(2024, 9, 28), date(2024, 10, 3))


def charge(day: int, cost: str, service: str = "Virtual Machines", account: str = ONE, month: int = 9) -> Charge:
    return Charge(
        start=datetime(2024, month, day, 7, tzinfo=UTC),
        account=account,
        service=service,
        region="",
        billed=Decimal(cost),
        currency="USD",
        kind="Usage",
        details={"resource": f"some {service}"},
    )


CHARGES = [
    charge(28, "2354.00", "Cognitive Services"),
    charge(28, "12.5"),
    charge(29, "1234567.89"),
    charge(30, "-3.25", "Storage"),
    charge(30, "0.1", account=TWO),
    charge(1, "0.2", month=10),
    charge(2, "0.4", month=10, account=TWO),
]


@pytest.fixture
def portal() -> Iterator[SponsorshipPortal]:
    with SponsorshipPortal(Ledger(CHARGES, {}), COOKIE) as portal:
        yield portal


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(rest, "PATIENCE", rest.Patience(sleep=waits.append))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return waits


def fetch(portal: SponsorshipPortal, window: Window = DAYS, **options: object) -> Bill:
    settings = {"subscriptions": [ONE, TWO], "cookie": COOKIE, "url": portal.url, **options}
    return AzureSponsorship(AzureSponsorshipOptions.model_validate(settings), CountingMeter()).fetch(Ask(window))


class TestAzureSponsorship(BillContract):
    spec: ClassVar = SPEC

    @pytest.fixture
    def subject(self, portal: SponsorshipPortal) -> Subject:
        options = {"subscriptions": [ONE, TWO], "cookie": COOKIE, "url": portal.url}
        return Subject.asked(SPEC, options, date(2024, 9, 28), date(2024, 9, 30), date(2024, 10, 3))

    def test_the_cookie_is_kept_out_of_errors_and_the_log(
        self, subject: Subject, portal: SponsorshipPortal, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        said = ""
        for fault in ("expired", "denied", "throttle", "hollow", "html", "cut", "reset"):
            portal.reset()
            portal.inject(Fault(fault, times=None))
            with pytest.raises(SourceError) as caught:
                subject.fetch()
            said += f"{caught.value!r} {caught.value} {caught.value.hint}"
        assert COOKIE not in said + caplog.text


def test_the_sum_is_that_of_the_ledger_day_by_day_and_subscription_by_subscription(portal: SponsorshipPortal) -> None:
    bill = fetch(portal)
    expected: dict[tuple[str, ...], Decimal] = {}
    for each in CHARGES:
        key = (f"{each.start:%Y-%m-%d}", each.account, each.service)
        expected[key] = expected.get(key, Decimal(0)) + each.billed
    assert {row.key: row.billed for row in bill.costs.by("day", "account", "service").rows()} == expected
    assert {row.currency for row in bill.costs.rows()} == {"USD"}
    assert bill.covered == (Scope(DAYS),)


def test_each_day_is_asked_for_alone_since_a_range_is_one_sum(portal: SponsorshipPortal) -> None:
    fetch(portal)
    asked = [(call.account, call.detail["start"], call.detail["end"]) for call in portal.calls]
    days = [str(day) for day in DAYS.days()]
    assert asked == [(account, day, day) for account in (ONE, TWO) for day in days]
    options = AzureSponsorshipOptions.model_validate({"subscriptions": [ONE, TWO], "cookie": COOKIE})
    [planned] = SPEC.calls(options, Ask(DAYS))
    assert planned.times == len(asked)


def test_days_without_charges_are_covered_with_nothing(portal: SponsorshipPortal) -> None:
    quiet = Window.of_days(date(2024, 8, 1), date(2024, 8, 3))
    bill = fetch(portal, quiet)
    assert bill.costs.rows() == []
    assert bill.covered == (Scope(quiet),)


def test_another_currency_is_taken_by_its_word(portal: SponsorshipPortal) -> None:
    assert {row.currency for row in fetch(portal, currency="EUR").costs.rows()} == {"EUR"}


@pytest.mark.parametrize("kind", ["expired", "html"])
def test_a_session_that_has_ended_is_access_denied_and_never_an_empty_bill(
    kind: Kind, portal: SponsorshipPortal
) -> None:
    portal.inject(Fault(kind, after=3))
    with pytest.raises(AccessDenied) as caught:
        fetch(portal)
    assert caught.value.message == "the session at the sponsorship portal has ended: it answers with its login"
    assert "put the new Cookie header into `cookie`" in (caught.value.hint or "")
    assert len(portal.calls) == 4, "the redirect was not followed, and nobody asked again"


def test_a_wrong_cookie_is_told_in_the_same_words(portal: SponsorshipPortal) -> None:
    with pytest.raises(AccessDenied, match="has ended"):
        fetch(portal, cookie="another=one-of-yesterday")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("throttle", times=None), Throttled),
        (Fault("denied", times=None), AccessDenied),
        (Fault("error", times=None, status=500), Unavailable),
        (Fault("reset", times=None), Unavailable),
        (Fault("cut", times=None), BadData),
        (Fault("hollow", times=None), BadData),
    ],
)
def test_each_fault_has_its_reason(fault: Fault, error: type[SourceError], portal: SponsorshipPortal) -> None:
    portal.inject(replace(fault, after=2))
    with pytest.raises(error):
        fetch(portal)
    assert len(portal.calls) <= 2 + 4


def test_a_passing_fault_is_waited_for(portal: SponsorshipPortal, waits: list[float]) -> None:
    whole = fetch(portal).costs.sum()
    portal.inject(Fault("throttle", headers={"Retry-After": "3"}), Fault("error", status=503))
    assert fetch(portal).costs.sum() == whole
    assert waits == [3.0, 2.0]


def shown(portal: SponsorshipPortal, now: str, **options: object) -> Access:
    settings = {"subscriptions": [ONE, TWO], "cookie": COOKIE, "url": portal.url, **options}
    clock = Clock(frozen=datetime.fromisoformat(now))
    return AzureSponsorship(AzureSponsorshipOptions.model_validate(settings), CountingMeter(), clock).access()


def test_access_asks_for_yesterday_of_each_subscription(portal: SponsorshipPortal) -> None:
    access = shown(portal, "2024-10-01T08:00:00+00:00")
    assert [(call.account, call.detail["start"], call.detail["end"]) for call in portal.calls] == [
        (ONE, "2024-09-30", "2024-09-30"),
        (TWO, "2024-09-30", "2024-09-30"),
    ]
    assert (access.credentials, access.newest) == ("`cookie`", date(2024, 9, 30))
    assert access.shape == {"TableHeaders": ["Service Name", "Service Resource", "Spend"]}
    assert shown(portal, "2024-12-01T08:00:00+00:00").newest is None


def test_access_with_a_session_that_has_ended_is_denied(portal: SponsorshipPortal) -> None:
    with pytest.raises(AccessDenied, match="has ended"):
        shown(portal, "2024-10-01T08:00:00+00:00", cookie="another=one-of-yesterday")


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("$2,354.00", "2354.00"),
        ("$0.00", "0"),
        ("-$1.50", "-1.5"),
        ("($1.50)", "-1.5"),
        ("1234.5", "1234.5"),
        ("€7", "7"),
    ],
)
def test_money_as_text_is_read_exactly(text: str, amount: str) -> None:
    assert azure_sponsorship._money(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "$", "$1,23", "1.234,56", "$1e3", "NaN", "$1.2.3", "$١"])
def test_what_is_no_money_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not money"):
        azure_sponsorship._money(text)


def test_a_configuration_without_a_subscription_is_refused() -> None:
    with pytest.raises(ValidationError, match="subscriptions"):
        AzureSponsorshipOptions.model_validate({"subscriptions": [], "cookie": COOKIE})
