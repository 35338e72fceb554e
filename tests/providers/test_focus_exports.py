"""Folders of exports: manifests say what counts, runs replace each other, copies are told by content."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exporter.costs import Ask, Bill, Scope, engine
from exporter.errors import BadData, NotReady
from exporter.periods import ALWAYS, Grain, Month
from exporter.providers.focus import Focus, FocusOptions
from exporter.providers.focus_places import Entry, fingerprint

HEADER = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName\n"
RUN = "20240915-0000-1111-2222-333344445555"
LATER = "20240916-0000-1111-2222-333344445555"


class NoMeter:
    def request(self, *args: object, **kwargs: object) -> None:
        pass


def provider(path: Path) -> Focus:
    return Focus(FocusOptions(path=str(path)), NoMeter())


def fetch(path: Path) -> Bill:
    return provider(path).fetch(Ask(ALWAYS))


def write(path: Path, *amounts: str, month: str = "2024-09") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (f"{amount},USD,{month}-01,Usage,{month}-02,AWS\n" for amount in amounts)
    path.write_text(HEADER + "".join(rows))
    return path


def aws(root: Path, month: str, *files: str, run: str = "", at: int = 0) -> Path:
    """A manifest as Data Exports write it: addresses in the bucket, in a folder of the run's own or not."""
    path = root / "metadata" / f"BILLING_PERIOD={month}" / run / "focus-Manifest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"dataFiles": [f"s3://bucket/prefix/focus/data/{file}" for file in files]}))
    if at:
        os.utime(path, (at, at))
    return path


def azure(root: Path, period: str, run: str, amounts: tuple[str, ...], **manifest: Any) -> Path:
    """A run as Azure writes it: one part and a manifest that names it by its place in the container."""
    folder = root / period / run
    part = write(folder / "part_0_0001.csv", *amounts)
    first, last = (datetime.strptime(each, "%Y%m%d").replace(tzinfo=UTC) for each in period.split("-"))
    said = {
        "manifestVersion": "2024-04-01",
        "blobs": [{"blobName": f"costs/focus/{period}/{run}/{part.name}", "byteCount": part.stat().st_size}],
        "exportConfig": {"exportName": "focus", "type": "FocusCost"},
        "runInfo": {
            "submittedTime": f"2024-{run[4:6]}-{run[6:8]}T08:00:00Z",
            "startDate": f"{first:%Y-%m-%dT%H:%M:%S}",
            "endDate": f"{last:%Y-%m-%dT%H:%M:%S}",
        },
        **manifest,
    }
    (folder / "manifest.json").write_text(json.dumps(said))
    return folder


def test_only_files_that_an_aws_manifest_names_count(tmp_path: Path) -> None:
    data = tmp_path / "focus" / "data"
    write(data / "BILLING_PERIOD=2024-08" / "focus-00001.csv", "1", month="2024-08")
    write(data / "BILLING_PERIOD=2024-09" / "focus-00001.csv", "2")
    write(data / "BILLING_PERIOD=2024-09" / "focus-00002.csv", "4")
    write(data / "BILLING_PERIOD=2024-09" / "focus-00003.csv", "1000")  # left from a longer run
    aws(tmp_path / "focus", "2024-08", "BILLING_PERIOD=2024-08/focus-00001.csv")
    aws(tmp_path / "focus", "2024-09", *(f"BILLING_PERIOD=2024-09/focus-0000{i}.csv" for i in (1, 2)))
    bill = fetch(tmp_path)
    assert bill.costs.sum() == 7
    assert [note.text for note in bill.notes if note.subject == "manifests"] == [
        "files that no manifest names, or only that of an older run: 1"
    ]


def test_the_newest_run_of_each_billing_period_counts(tmp_path: Path) -> None:
    root = tmp_path / "focus"
    for run, amount in (("20240915T101010Z-a", "1"), ("20240916T101010Z-b", "2")):
        write(root / "data" / "BILLING_PERIOD=2024-09" / run / "focus-00001.csv", amount)
        aws(root, "2024-09", f"BILLING_PERIOD=2024-09/{run}/focus-00001.csv", run=run)
    assert fetch(tmp_path).costs.sum() == 2


def test_where_an_export_went_over_to_other_folders_the_manifest_written_last_counts(tmp_path: Path) -> None:
    root = tmp_path / "focus"
    run = "20240915T101010Z-a"
    write(root / "data" / "BILLING_PERIOD=2024-09" / run / "focus-00001.csv", "1")
    write(root / "data" / "BILLING_PERIOD=2024-09" / "focus-00001.csv", "2")
    aws(root, "2024-09", f"BILLING_PERIOD=2024-09/{run}/focus-00001.csv", run=run, at=1_726_000_000)
    aws(root, "2024-09", "BILLING_PERIOD=2024-09/focus-00001.csv", at=1_726_500_000)
    assert fetch(tmp_path).costs.sum() == 2


def test_a_manifest_that_names_a_missing_file_is_not_ready(tmp_path: Path) -> None:
    write(tmp_path / "focus" / "data" / "BILLING_PERIOD=2024-09" / "focus-00001.csv", "1")
    manifest = aws(tmp_path / "focus", "2024-09", *(f"BILLING_PERIOD=2024-09/focus-0000{i}.csv" for i in (1, 2)))
    with pytest.raises(NotReady) as caught:
        fetch(tmp_path)
    missing = "s3://bucket/prefix/focus/data/BILLING_PERIOD=2024-09/focus-00002.csv"
    assert caught.value.message == f"{manifest}: names {missing}, which is not there"


def test_a_manifest_that_is_half_written_is_not_ready(tmp_path: Path) -> None:
    write(tmp_path / "focus" / "data" / "BILLING_PERIOD=2024-09" / "focus-00001.csv", "1")
    aws(tmp_path / "focus", "2024-09").write_text('{"dataFiles": ["s3://')
    with pytest.raises(NotReady, match="still being written"):
        fetch(tmp_path)


def test_files_outside_of_an_export_with_manifests_count_as_ever(tmp_path: Path) -> None:
    write(tmp_path / "focus" / "data" / "BILLING_PERIOD=2024-09" / "focus-00001.csv", "1")
    aws(tmp_path / "focus", "2024-09", "BILLING_PERIOD=2024-09/focus-00001.csv")
    write(tmp_path / "oracle" / "reports.csv", "2")
    assert fetch(tmp_path).costs.sum() == 3


def test_overlapping_azure_runs_are_never_counted_twice(tmp_path: Path) -> None:
    azure(tmp_path, "20240901-20240930", RUN, ("1",))
    azure(tmp_path, "20240901-20240930", LATER, ("1", "2"))
    azure(tmp_path, "20241001-20241031", LATER, ("8",))
    assert fetch(tmp_path).costs.sum() == 11


def test_month_to_date_of_a_later_day_replaces_that_of_an_earlier_one(tmp_path: Path) -> None:
    azure(tmp_path, "20240901-20240915", RUN, ("1",))
    azure(tmp_path, "20240901-20240916", LATER, ("1", "2"))
    bill = fetch(tmp_path)
    assert bill.costs.sum() == 3
    assert bill.covered == (Scope(ALWAYS, billing=(Month(2024, 9),)),)


def test_a_run_that_is_still_arriving_leaves_the_one_before_it_in_place_and_says_so(tmp_path: Path) -> None:
    azure(tmp_path, "20240901-20240930", RUN, ("1",))
    later = azure(tmp_path, "20240901-20240930", LATER, ("1", "2"))
    (later / "part_0_0001.csv").write_text(HEADER)
    bill = fetch(tmp_path)
    assert bill.costs.sum() == 1
    [said] = [note.text for note in bill.notes if note.subject == "manifests"]
    assert f"{later}/manifest.json: says that costs/focus/20240901-20240930/{LATER}/part_0_0001.csv has" in said
    assert "the run before it counts" in said


def test_azure_runs_that_overlap_in_part_are_refused(tmp_path: Path) -> None:
    azure(tmp_path, "20240901-20240907", RUN, ("1",))
    azure(tmp_path, "20240902-20240908", LATER, ("2",))
    fetch_error = "they overlap, and would be added up"
    with pytest.raises(BadData, match=fetch_error):
        fetch(tmp_path)


def test_an_azure_run_without_charges_covers_its_month_with_nothing(tmp_path: Path) -> None:
    folder = azure(tmp_path, "20240901-20240930", RUN, (), blobs=[])
    (folder / "part_0_0001.csv").unlink()
    bill = fetch(tmp_path)
    assert bill.costs.rows() == []
    assert bill.covered == (Scope(ALWAYS, billing=(Month(2024, 9),)),)


def test_an_azure_export_of_another_kind_is_passed_over_and_said(tmp_path: Path) -> None:
    azure(tmp_path / "actual", "20240901-20240930", RUN, ("1000",), exportConfig={"type": "ActualCost"})
    azure(tmp_path / "focus", "20240901-20240930", RUN, ("1",))
    bill = fetch(tmp_path)
    assert bill.costs.sum() == 1
    [said] = [note.text for note in bill.notes if note.subject == "manifests"]
    assert said.startswith(f"{tmp_path}/actual: an export of ActualCost, which is not FOCUS; ")


def test_two_runs_without_a_manifest_are_refused_rather_than_added_up(tmp_path: Path) -> None:
    for run in ("run-a", "run-b"):
        write(tmp_path / "20240901-20240930" / run / "part_0_0001.csv", "1")
    with pytest.raises(BadData, match="run-a and run-b are two runs of one export"):
        fetch(tmp_path)


def test_a_manifest_of_something_else_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "1")
    (tmp_path / "manifest.json").write_text('["service workers have manifests too"]')
    assert fetch(tmp_path).costs.sum() == 1


@pytest.mark.parametrize(("one", "other"), [("bill.csv", "bill.csv.gz"), ("a.csv", "z.csv"), ("x.csv.gz", "y.csv.gz")])
def test_two_copies_of_one_file_are_refused_whatever_they_are_called(one: str, other: str, tmp_path: Path) -> None:
    content = write(tmp_path / "original", "1", "2").read_bytes()
    for level, name in enumerate((one, other), start=1):
        packed = gzip.compress(content, level) if name.endswith(".gz") else content
        (tmp_path / name).write_bytes(packed)
    with pytest.raises(BadData) as caught:
        fetch(tmp_path)
    first, second = sorted((one, other))
    assert caught.value.message == (
        f"{tmp_path}/{first} and {tmp_path}/{second} hold the same bytes, and would be counted twice"
    )


def test_a_copy_that_was_packed_in_pieces_is_found_by_its_name(tmp_path: Path) -> None:
    content = write(tmp_path / "bill.csv", "1", "2").read_bytes()
    (tmp_path / "bill.csv.gz").write_bytes(gzip.compress(content[:40]) + gzip.compress(content[40:]))
    with pytest.raises(BadData, match="hold the same bytes"):
        fetch(tmp_path)


def test_copies_of_a_parquet_file_are_refused_too(tmp_path: Path) -> None:
    csv = write(tmp_path / "x" / "bill.csv", "1")
    engine.run(f"COPY (SELECT * FROM read_csv('{csv}', all_varchar = true)) TO '{tmp_path}/a.parquet'")
    csv.unlink()
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes())
    with pytest.raises(BadData, match=r"a\.parquet and .*b\.parquet hold the same bytes"):
        fetch(tmp_path)


def test_a_csv_beside_a_parquet_file_of_its_name_is_a_copy_where_it_tells_the_same(tmp_path: Path) -> None:
    given = write(tmp_path / "bill.csv", "1.25", "0.1", "-3E-7")
    parquet = tmp_path / "bill.parquet"
    engine.run(f"COPY (FROM read_csv('{given}', header = true)) TO '{parquet}' (FORMAT parquet)")
    with pytest.raises(BadData, match=r"bill\.csv and .*bill\.parquet hold the same charges"):
        fetch(tmp_path)
    write(tmp_path / "bill.csv", "1.25", "0.2")
    assert fetch(tmp_path).costs.sum() == Decimal("2.7999997"), "another bill of the same name is none"


def test_files_of_one_size_and_headers_without_rows_are_no_copies(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "1")
    write(tmp_path / "b.csv", "2")
    write(tmp_path / "c.csv")
    write(tmp_path / "d.csv")
    assert fetch(tmp_path).costs.sum() == 3


def test_an_unchanged_folder_answers_without_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.csv", "1")
    source = provider(tmp_path)
    first = source.fetch(Ask(ALWAYS))
    with monkeypatch.context() as blocked:
        blocked.setattr("exporter.providers.focus.opened", lambda *_: pytest.fail("a file was read again"))
        assert source.fetch(Ask(ALWAYS)) is first


@pytest.mark.parametrize("change", ["content", "new file", "gone file", "other question"])
def test_whatever_changes_is_read_again(change: str, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "1")
    write(tmp_path / "b.csv", "2")
    source = provider(tmp_path)
    assert source.fetch(Ask(ALWAYS)).costs.sum() == 3
    if change == "content":
        write(tmp_path / "b.csv", "4")
        assert source.fetch(Ask(ALWAYS)).costs.sum() == 5
    elif change == "new file":
        write(tmp_path / "c.csv", "8")
        assert source.fetch(Ask(ALWAYS)).costs.sum() == 11
    elif change == "gone file":
        (tmp_path / "b.csv").unlink()
        assert source.fetch(Ask(ALWAYS)).costs.sum() == 1
    else:
        assert source.fetch(Ask(Month(2024, 8).window())).costs.rows() == []
        assert source.fetch(Ask(ALWAYS, Grain.HOUR)).costs.sum() == 3


def test_files_that_are_stored_already_are_not_read_by_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.csv", "1")
    known = fetch(tmp_path).made_of
    with monkeypatch.context() as blocked:
        blocked.setattr("exporter.providers.focus.opened", lambda *_: pytest.fail("a file was read again"))
        again = provider(tmp_path).fetch(Ask(ALWAYS, known=known))
    assert (again.unchanged, again.covered, again.costs.rows(), again.made_of) == (True, (), [], known)
    write(tmp_path / "b.csv", "2")
    read = provider(tmp_path).fetch(Ask(ALWAYS, known=known))
    assert not read.unchanged
    assert read.costs.sum() == 3
    assert read.made_of != known


def test_another_version_reads_the_same_files_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.csv", "1")
    known = fetch(tmp_path).made_of
    monkeypatch.setattr("exporter.providers.focus.__version__", "99.0")
    assert not provider(tmp_path).fetch(Ask(ALWAYS, known=known)).unchanged


def test_a_fingerprint_is_of_the_set_and_not_of_its_order() -> None:
    one, other = Entry("a", 1, "m", 0.0), Entry("b", 1, "m", 0.0)
    assert fingerprint([one, other]) == fingerprint([other, one])
    different = {fingerprint([Entry("a", size, mark, 0.0)]) for size in (1, 2) for mark in ("m", "n")}
    assert len(different) == 4
