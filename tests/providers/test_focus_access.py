"""What bills in files show of their access: one listing, a look into the newest, and never a whole bill."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from exporter.errors import AccessDenied, BadData, NotReady
from exporter.providers import Access, Accessible, aws_export, azure_export, focus, focus_objects
from exporter.testing.contract import CountingMeter
from tests.providers import test_aws_export as aws
from tests.providers import test_azure_export as azure
from tests.providers.test_focus_object_storage import Cloud, Counting, cloud, connected

__all__ = ["cloud"]

HEADER = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName,x_Team\n"


def bill(day: str, month: str = "2024-09-01") -> str:
    return f"{HEADER}1,USD,{month},Usage,{day},AWS,of mine\n"


def shown(spec: object, **options: object) -> Access:
    provider = spec.connect(spec.options.model_validate(options), CountingMeter())  # type: ignore[attr-defined]
    assert isinstance(provider, Accessible)
    return provider.access()


def test_a_folder_tells_its_files_and_the_newest_day_of_them_all(tmp_path: Path) -> None:
    for name, day, modified in (("b.csv", "2024-09-03", 86_400), ("a.csv", "2024-09-17T23:00:00Z", 0)):
        (tmp_path / name).write_text(bill(day))
        os.utime(tmp_path / name, (modified, modified))
    access = shown(focus.SPEC, path=str(tmp_path))
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert access.found == f"2 files, {size:,} bytes; the newest of 1970-01-02: {tmp_path}/b.csv"
    assert (access.credentials, access.identity, access.calls) == ("none: files on this machine", "", ("read",))
    assert access.newest == date(2024, 9, 17)


def test_its_shape_has_no_column_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(bill("2024-09-03"))
    shape = shown(focus.SPEC, path=str(tmp_path)).shape
    assert (shape["format"], shape["columns"]["BilledCost"]) == ("csv", "VARCHAR")  # type: ignore[index]
    assert "Team" not in str(shape)


def test_dates_with_slashes_tell_the_newest_day_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(bill("9/3/2024", "9/1/2024") + "1,USD,9/1/2024,Usage,9/21/2024,AWS,\n")
    assert shown(focus.SPEC, path=str(tmp_path)).newest == date(2024, 9, 21)


def test_where_there_is_nothing_or_no_bill_the_reason_is_that_of_a_poll(tmp_path: Path) -> None:
    with pytest.raises(NotReady):
        shown(focus.SPEC, path=str(tmp_path))
    (tmp_path / "a.csv").write_text("name,age\nx,1\n")
    with pytest.raises(BadData, match="no column"):
        shown(focus.SPEC, path=str(tmp_path))


def test_object_storage_is_listed_once_and_its_newest_object_fetched(cloud: Cloud) -> None:
    cloud.objects = {"x/a.csv": bill("2024-09-03").encode(), "x/b.csv": bill("2024-09-05").encode()}
    meter = Counting()
    access = connected(cloud, "s3://bills/x", meter).access()
    assert meter.operations == ["read", "list", "get"]
    assert cloud.asked == ["x/b.csv"]
    assert (access.newest, access.calls) == (date(2024, 9, 5), ("s3:ListBucket", "s3:GetObject"))
    assert access.found.startswith("2 files, ")


def test_of_a_large_object_one_byte_is_asked_for_the_permission(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(focus_objects, "_SAMPLE", 10)
    cloud.objects = {"x/a.csv": bill("2024-09-03").encode()}
    access = connected(cloud, "s3://bills/x").access()
    assert (access.newest, access.shape, access.found[:6]) == (None, {}, "1 file")
    assert cloud.asked == ["x/a.csv"]
    cloud.refuse["get"] = 403
    with pytest.raises(AccessDenied) as caught:
        connected(cloud, "s3://bills/x").access()
    assert caught.value.hint == "the credentials need s3:GetObject on arn:aws:s3:::bills/x/*"


@pytest.mark.parametrize(
    ("path", "options", "environment", "credentials"),
    [
        ("s3://bills", {}, {}, "AWS_ACCESS_KEY_ID"),
        ("s3://bills", {}, {"AWS_PROFILE": "billing"}, "profile billing"),
        ("s3://bills", {"anonymous": True}, {"AWS_PROFILE": "billing"}, "none (`anonymous`)"),
        ("s3://bills", {}, {"AWS_ACCESS_KEY_ID": ""}, "the role of this machine"),
        ("gs://bills", {}, {"GOOGLE_APPLICATION_CREDENTIALS": "/k.json"}, "GOOGLE_APPLICATION_CREDENTIALS"),
        ("az://bills", {"account": "a"}, {"AZURE_STORAGE_ACCOUNT_KEY": "k"}, "AZURE_STORAGE_ACCOUNT_KEY"),
        ("az://bills", {"account": "a"}, {}, "the managed identity of this machine"),
    ],
)
def test_it_says_where_credentials_come_from(
    path: str,
    options: dict[str, object],
    environment: dict[str, str],
    credentials: str,
    cloud: Cloud,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert connected(cloud, path, **options).place.credentials == credentials


@pytest.mark.parametrize("dialect", aws.DIALECTS)
def test_an_aws_export_shows_what_its_manifests_name(dialect: str, tmp_path: Path) -> None:
    legacy = dialect.startswith("legacy")
    aws.deliver(tmp_path / "cur", "2024-09", aws.SEPTEMBER, dialect=dialect, legacy=legacy, run="old")
    aws.deliver(tmp_path / "cur", "2024-09", aws.SEPTEMBER, dialect=dialect, legacy=legacy, run="new")
    aws.deliver(tmp_path / "cur", "2024-10", aws.OCTOBER, dialect=dialect, legacy=legacy, run="new")
    access = shown(aws_export.SPEC, path=str(tmp_path / "cur"))
    assert access.newest == date(2024, 10, 2)
    assert access.found.startswith("2 of 3 files, ")
    assert "files that no manifest names, or only that of an older run: 1" in access.found


def test_two_azure_exports_reach_as_far_as_both_do(tmp_path: Path) -> None:
    azure.deliver(tmp_path / "actual", [azure.row("1", 13), azure.row("2", 14)])
    azure.deliver(tmp_path / "amortized", [azure.row("1", 12)], kind="AmortizedCost")
    paths = {"actual": str(tmp_path / "actual"), "amortized": str(tmp_path / "amortized")}
    access = shown(azure_export.SPEC, **paths)
    assert access.newest == date(2024, 9, 12)
    assert access.found.startswith("actual costs: 1 file, ")
    assert "; amortised costs: 1 file, " in access.found
    assert set(access.shape) == {"actual costs", "amortised costs"}
    assert shown(azure_export.SPEC, actual=paths["actual"]).newest == date(2024, 9, 14)
