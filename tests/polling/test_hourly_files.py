"""Hourly files over a month end, credits, late bookings and gaps: a change is what was charged, and nothing else."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exporter.costs import ChargeCategory, Cost, CostRow
from exporter.polling import hourly_files
from exporter.store.lake import Lake
from tests.costs.rows import row
from tests.polling.house import House, at, full


class Watch:
    """A source whose bill grows between files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "files"
        self.house = House(folder / "data")
        self.rows: list[CostRow] = []
        self.provider = self.house.add("prod", full())

    def charge(self, day: str, amount: str, service: str = "Compute", **more: Any) -> None:
        self.rows.append(row(day, amount, service=service, **more))

    def look(self, now: str) -> dict[str, Any]:
        """Poll and write the file of an hour."""
        self.house.now = at(now)
        self.provider.answer = full(*self.rows)
        self.house.poll("prod")
        [path] = self.keep()
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def keep(self, basis: Cost = Cost.BILLED) -> list[Path]:
        house = self.house
        return hourly_files.keep(
            self.folder, list(house.sources.values()), Lake(house.root / "lake"), house.now, basis, {"prod": "Shop"}
        )


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    watch = Watch(tmp_path)
    watch.charge("2024-02-10", "40")
    watch.charge("2024-03-20", "300")
    watch.charge("2024-03-20", "100", "Storage")
    return watch


def change(document: dict[str, Any]) -> dict[str, Any]:
    [found] = document["change"]
    assert isinstance(found, dict)
    return found


def test_a_file_says_the_month_by_service_and_is_named_by_source_and_hour(watch: Watch) -> None:
    watch.charge("2024-03-21", "-30", category=ChargeCategory.CREDIT)
    said = watch.look("2024-03-21T09:59:00")
    assert [path.name for path in watch.folder.iterdir()] == ["prod_2024-03-21-09.json"]
    assert (said["source"], said["display_name"], said["month"]) == ("prod", "Shop", "2024-03")
    assert said["taken"] == "2024-03-21T09:59:00+00:00"
    assert said["charges"] == [
        {
            "currency": "USD",
            "month_to_date": "370",
            "previous_month": "40",
            "last_30_days": "370",
            "without_credits": {"month_to_date": "400", "previous_month": "40", "last_30_days": "400"},
            "services": [
                {"provider": "aws", "service": "Compute", "month_to_date": "300", "previous_month": "40"},
                {"provider": "aws", "service": "Storage", "month_to_date": "100", "previous_month": "0"},
            ],
        }
    ]
    assert said["change"] is None


def test_an_hour_is_what_was_charged_since_the_hour_before(watch: Watch) -> None:
    watch.look("2024-03-21T09:10:00")
    watch.charge("2024-03-21", "24.000000000000000000000001")
    said = change(watch.look("2024-03-21T10:05:00"))
    assert said == {
        "currency": "USD",
        "since": "2024-03-21T09:10:00+00:00",
        "hours": 1,
        "charged": "24.000000000000000000000001",
        "percent": "6",
        "percent_of_30_days": "6",
        "lowered": "0",
        "credits": "0",
        "services": [{"provider": "aws", "service": "Compute", "amount": "24.000000000000000000000001"}],
    }


def test_a_second_file_of_an_hour_replaces_the_first_and_compares_with_the_hour_before(watch: Watch) -> None:
    watch.look("2024-03-21T09:10:00")
    watch.charge("2024-03-21", "4")
    watch.look("2024-03-21T10:05:00")
    watch.charge("2024-03-21", "8")
    said = change(watch.look("2024-03-21T10:40:00"))
    assert (said["charged"], said["since"]) == ("12", "2024-03-21T09:10:00+00:00")
    assert len(list(watch.folder.iterdir())) == 2


def test_a_day_hour_by_hour_over_a_month_end_never_falls(watch: Watch) -> None:
    """Ten an hour; the last hour of March is booked late, a credit comes, one file is missing."""
    start, told = at("2024-03-31T12:00:00"), []
    watch.look(f"{start:%Y-%m-%dT%H:%M:%S}")
    for hour in range(1, 24):
        now = start + timedelta(hours=hour)
        charged = now - timedelta(hours=1)
        if hour == 13:  # 01:00 on the first: what was used before midnight comes now
            watch.charge("2024-03-31", "10")
        if hour != 12:
            watch.charge(f"{charged:%Y-%m-%d}", "10")
        if hour == 15:
            watch.charge("2024-04-01", "-500", category=ChargeCategory.CREDIT)
        if hour == 18:
            continue
        told.append(change(watch.look(f"{now:%Y-%m-%dT%H:%M:%S}")))
    charged = {each["since"][11:13]: (each["hours"], each["charged"]) for each in told}
    assert charged.pop("23") == (1, "0")
    assert charged.pop("00") == (1, "20")
    assert charged.pop("05") == (2, "20")
    assert set(charged.values()) == {(1, "10")}
    assert [each["credits"] for each in told if each["credits"] != "0"] == ["-500"]
    assert all(each["lowered"] == "0" for each in told)
    assert all(Decimal(each["percent_of_30_days"]) < 5 for each in told)
    midnight = next(each for each in told if each["since"].startswith("2024-03-31T23"))
    assert midnight["percent"] == "0"  # not -100


def test_what_is_restated_downwards_is_no_negative_hour(watch: Watch) -> None:
    watch.look("2024-03-21T09:00:00")
    watch.charge("2024-03-20", "-50", "Storage")
    said = change(watch.look("2024-03-21T10:00:00"))
    assert (said["charged"], said["percent"], said["lowered"]) == ("0", "0", "-50")
    assert said["services"] == [{"provider": "aws", "service": "Storage", "amount": "-50"}]


def test_a_charge_that_moves_between_services_is_no_change(watch: Watch) -> None:
    watch.look("2024-03-21T09:00:00")
    watch.charge("2024-03-20", "-50", "Storage")
    watch.charge("2024-03-20", "50", "Archive")
    said = change(watch.look("2024-03-21T10:00:00"))
    assert (said["charged"], said["lowered"]) == ("0", "0")
    assert [line["service"] for line in said["services"]] == ["Archive", "Storage"]


def test_a_service_that_leaves_the_bill_is_told(watch: Watch) -> None:
    watch.look("2024-03-21T09:00:00")
    watch.rows = [one for one in watch.rows if one.service != "Storage"]
    assert change(watch.look("2024-03-21T10:00:00"))["lowered"] == "-100"


def test_months_without_a_file_are_one_long_gap(watch: Watch) -> None:
    watch.look("2024-03-21T09:00:00")
    for month in ("2024-04", "2024-05", "2024-06"):
        watch.charge(f"{month}-10", "70")
    said = change(watch.look("2024-06-21T09:00:00"))
    assert (said["hours"], said["charged"]) == (92 * 24, "210")


def test_older_months_that_are_read_later_are_no_change(watch: Watch) -> None:
    """The first poll of some sources reads the recent past alone; what lies before it comes behind."""
    february = watch.rows.pop(0)
    first = watch.look("2024-03-21T09:00:00")
    document = watch.folder / "prod_2024-03-21-09.json"
    document.write_text(json.dumps(first | {"known_since": "2024-03-01"}))
    watch.rows.append(february)
    said = change(watch.look("2024-03-21T10:00:00"))
    assert (said["charged"], said["services"]) == ("0", [])


def test_currencies_stay_apart_and_a_credit_alone_has_no_percentage(watch: Watch) -> None:
    watch.charge("2024-03-20", "-5", currency="EUR", category=ChargeCategory.CREDIT)
    watch.look("2024-03-21T09:00:00")
    watch.charge("2024-03-21", "7", currency="EUR")
    watch.charge("2024-03-21", "8", currency="CNY")
    found = {each["currency"]: each for each in watch.look("2024-03-21T10:00:00")["change"]}
    assert {key: (each["charged"], each["percent"]) for key, each in found.items()} == {
        "CNY": ("8", None),
        "EUR": ("7", None),
        "USD": ("0", "0"),
    }


def test_another_basis_is_not_compared(watch: Watch) -> None:
    watch.look("2024-03-21T09:00:00")
    watch.house.now = at("2024-03-21T10:00:00")
    [path] = watch.keep(Cost.LIST)
    assert json.loads(path.read_text())["change"] is None


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema": 99}', '{"schema": 1}'])
def test_a_damaged_file_is_passed_over(watch: Watch, damage: str) -> None:
    watch.look("2024-03-21T08:00:00")
    (watch.folder / "prod_2024-03-21-09.json").write_text(damage)
    (watch.folder / "prod_extra_2024-03-21-09.json").write_text("another source")
    watch.charge("2024-03-21", "4")
    said = change(watch.look("2024-03-21T10:00:00"))
    assert (said["hours"], said["charged"]) == (2, "4")


def test_a_file_of_an_hour_to_come_is_not_one_before(watch: Watch) -> None:
    watch.look("2024-03-22T09:00:00")
    assert watch.look("2024-03-21T09:00:00")["change"] is None


def test_a_folder_that_cannot_be_written_is_logged_and_hurts_nobody(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    watch.folder.write_text("a file in its place")
    watch.house.now = at("2024-03-21T09:00:00")
    assert watch.keep() == []
    assert "no hourly file" in caplog.text
