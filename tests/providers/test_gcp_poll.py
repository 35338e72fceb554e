"""Google Cloud through whole polls: the real ledger, state file and lake around Google's own client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exporter.clock import Clock
from exporter.periods import ALWAYS
from exporter.polling.sources import Source
from exporter.providers.gcp import SPEC
from exporter.providers.gcp_client import price
from exporter.simulator.gcp import GoogleCloud
from exporter.simulator.server import Fault
from exporter.store.state import Failure, Success
from tests.polling.house import HOUR, House
from tests.providers.gcp_cloud import NOW, at, charge, options, standing, waits

CHARGES = [charge(f"2024-03-{day:02}T03:00", f"{day}.25") for day in range(1, 16)]
LATE = charge("2024-03-05T04:00", "-0.75", kind="adjustment", shown_from=at("2024-03-20T15:00"))


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    with standing(*CHARGES, LATE, page_rows=4, scale=50_000) as cloud:
        yield cloud


@pytest.fixture
def house(cloud: GoogleCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    waits(monkeypatch)
    house = House(tmp_path / "house", now=NOW)
    given: Any = options(cloud, tmp_path, max_bytes=2**40)
    house.sources["gcp"] = Source("gcp", SPEC, given, 6 * HOUR, 72 * HOUR, 36 * HOUR, (), cache=3 * HOUR)
    return house


def stored(house: House) -> Decimal:
    return house.lake.read(ALWAYS).sum()


def spent(house: House) -> dict[str, Decimal]:
    with house.state() as state:
        return {
            each.label: each.value for each in state.counters() if each.name.endswith(("charges_total", "units_total"))
        }


def test_a_crash_loop_pays_for_one_query(house: House, cloud: GoogleCloud) -> None:
    cloud.inject(Fault("denied", "tabledata.list", after=2, times=50))
    for _ in range(50):
        assert isinstance(house.poll("gcp"), Failure)
    assert isinstance(house.poll("gcp"), Success)
    assert stored(house) == sum(each.billed for each in CHARGES)
    assert len(cloud.jobs) == 1


def test_the_ledger_says_what_google_bills(house: House, cloud: GoogleCloud) -> None:
    for _ in range(3):
        house.poll("gcp")
        house.now += 6 * HOUR
    assert len(cloud.jobs) == 3
    costs = [price(job.result.billed, Decimal("6.25"))[0] for job in cloud.jobs.values()]
    assert spent(house) == {"USD": sum(costs), "bytes": cloud.bytes_billed}


def test_a_failing_poll_keeps_the_last_good_bill(house: House, cloud: GoogleCloud) -> None:
    house.poll("gcp")
    before = stored(house)
    for fault in ("html", "hollow", "denied", "cut"):
        house.now += 6 * HOUR
        cloud.inject(Fault(fault, "tabledata.list", after=1, times=None))  # type: ignore[arg-type]
        assert isinstance(house.poll("gcp"), Failure)
        cloud.reset()
        assert stored(house) == before > 0


def test_a_late_correction_restates_a_settled_day(house: House, cloud: GoogleCloud) -> None:
    house.poll("gcp")
    house.now += 6 * HOUR
    cloud.clock = Clock(frozen=house.now)
    success = house.poll("gcp")
    assert isinstance(success, Success)
    assert success.restated == {"EUR": Decimal("-0.75")}
    assert success.unattributed == {"EUR": 0}
    assert stored(house) == cloud.ledger.totals(house.now, lambda _: "")[""]


def test_a_lost_page_is_unattributed_money_until_the_next_poll(house: House, cloud: GoogleCloud) -> None:
    cloud.inject(Fault("lost_page", "tabledata.list", after=1))
    success = house.poll("gcp")
    assert isinstance(success, Success)
    assert success.unattributed["EUR"] > 0
    assert stored(house) + success.unattributed["EUR"] == sum(each.billed for each in CHARGES)
    house.now += 6 * HOUR + timedelta(minutes=1)
    again = house.poll("gcp")
    assert isinstance(again, Success)
    assert again.unattributed == {"EUR": 0}
