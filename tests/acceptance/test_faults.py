"""Clouds in trouble: the last good bill stays, nobody else suffers, and no call is paid for twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.periods import Month
from exporter.simulator.server import Fault, Kind
from tests.acceptance.world import ASKED, CLOUDS, MONTH_TO_DATE, PAID, World, opened

NOW = datetime(2024, 3, 15, 12, 5, tzinfo=UTC)
LAST = NOW + timedelta(days=5)
HOUR = timedelta(hours=1)

TROUBLE: dict[Kind, str] = {
    "throttle": "throttled",
    "error": "unavailable",
    "reset": "unavailable",
    "denied": "access_denied",
    "expired": "access_denied",
    "cut": "bad_data",
    "html": "bad_data",
    "hollow": "bad_data",
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with opened(tmp_path, monkeypatch, NOW, LAST) as world:
        yield world


@pytest.mark.parametrize("name", CLOUDS)
def test_every_lasting_fault_has_its_reason_and_leaves_the_bill(world: World, name: str) -> None:
    assert world.poll() == dict.fromkeys(CLOUDS, "")
    good = world.scrape()
    for kind, reason in TROUBLE.items():
        world.move(world.now + HOUR)
        world.heal()
        world.inject(name, Fault(kind, ASKED[name], times=None))
        assert world.poll(name) == {name: reason}, kind
        assert len(world.calls(name)) <= 12, "tries have an end"
        shown = world.scrape()
        assert shown.money() == good.money()
        assert shown.sums("cloudspend_source_failed", "source", "reason") == {(name, reason): 1}
        assert shown.sums("cloudspend_up", "source") == {(other,): 1 for other in CLOUDS if other != name}
    world.heal()
    world.move(LAST)
    assert world.poll() == dict.fromkeys(CLOUDS, "")
    assert world.scrape().total("cloudspend_up") == len(CLOUDS)
    for each in CLOUDS:
        assert world.stored(each) == world.charged(each)


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "600"}], ids=["silent", "says-when"])
def test_an_hour_of_429_costs_nothing_and_the_last_bill_grows_old(world: World, headers: dict[str, str]) -> None:
    assert world.poll() == dict.fromkeys(CLOUDS, "")
    good, paid, began = world.scrape(), world.charges(), world.now
    world.move(max(world.now, *(state.next_due for state in world.states().values())))
    throttled_at = world.now
    world.heal()
    for name in CLOUDS:  # Google Cloud refuses the query, which is what is paid for
        world.inject(name, Fault("throttle", PAID[name], times=None, headers=headers))
    tries = 0
    while world.now < throttled_at + HOUR:
        outcomes = world.poll_due()
        tries += len(outcomes)
        assert set(outcomes.values()) <= {"throttled"}
        shown = world.scrape()
        assert shown.money() == good.money()
        successes = shown.sums("cloudspend_source_last_success_timestamp_seconds", "source")
        assert successes == {(name,): int(began.timestamp()) for name in CLOUDS}, "the age grows"
        assert shown.total("cloudspend_up") == 0
        world.move(max(world.next_due(), world.now + timedelta(seconds=1)))
    assert len(CLOUDS) < tries <= 8 * len(CLOUDS), "asked again, ever more seldom"
    assert world.charges() == paid
    world.heal()
    world.move(world.now + 2 * HOUR)
    assert world.poll_due() == dict.fromkeys(CLOUDS, "")
    assert world.scrape().total("cloudspend_up") == len(CLOUDS)


@pytest.mark.parametrize("name", ["aws", "azure"])
def test_an_account_leaves_with_a_successful_poll_and_only_then(world: World, name: str) -> None:
    world.poll()
    account = {"aws": "444455556666", "azure": "00000000-0000-0000-0000-000000000003"}[name]
    family = "cloudspend_account_month_to_date_cost"
    assert account in world.scrape().values(family, "account")
    ledger = world.clouds[name].ledger
    ledger.charges[:] = [charge for charge in ledger.charges if charge.account != account]
    world.move(world.now + 9 * HOUR)
    world.inject(name, Fault("error", ASKED[name], times=None))
    assert world.poll(name) == {name: "unavailable"}
    assert account in world.scrape().values(family, "account"), "nobody said that it is gone"
    world.heal()
    assert world.poll(name) == {name: ""}
    shown = world.scrape()
    assert account not in shown.values(family, "account")
    month = Month.containing(world.now).window()  # the bill of the month before is final, and stays
    labels = ("service", "region", "currency")
    assert shown.sums(MONTH_TO_DATE, *labels, provider=name) == world.billed(month, *labels, names=[name])


def test_one_denied_account_leaves_the_others_as_they_are(world: World) -> None:
    world.poll()
    good = world.scrape()
    world.move(world.now + 12 * HOUR)
    world.inject("azure", Fault("denied", ASKED["azure"], times=None))
    assert world.poll() == {"aws": "", "azure": "access_denied", "gcp": ""}
    shown = world.scrape()
    assert shown.sums("cloudspend_up", "source") == {("aws",): 1, ("gcp",): 1}
    hint = world.states()["azure"].failed_hint
    assert "Cost Management Reader" in hint
    for name in ("aws", "gcp"):
        assert world.stored(name) == world.charged(name)
    labels = ("service", "region", "currency")
    assert shown.sums(MONTH_TO_DATE, *labels, provider="azure") == good.sums(MONTH_TO_DATE, *labels, provider="azure")
