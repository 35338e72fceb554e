"""The lake: replaced whole, read whole, readable by anybody."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.costs import Bill, ChargeCategory, CostRow, CostTable, Scope
from exporter.errors import StoreError
from exporter.periods import ALWAYS, Month, Window
from exporter.store.lake import Lake
from tests.costs.rows import row

SEPTEMBER = Month(2024, 9).window()
AUTUMN = Window(SEPTEMBER.start, Month(2024, 11).window().end)


def bill(*rows: CostRow, window: Window = SEPTEMBER, accounts: tuple[str, ...] | None = None) -> Bill:
    return Bill(CostTable.of(rows), (Scope(window, accounts),))


def stored(lake: Lake, *dimensions: str) -> dict[tuple[str, ...], Decimal]:
    return {line.key: line.billed for line in lake.read(ALWAYS).by(*dimensions).rows()}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_what_was_put_in_is_read_back_under_its_source(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1"), row("2024-09-30", "2")))
    lake.replace("b", bill(row("2024-09-01", "4")))
    assert stored(lake, "source") == {("a",): 3, ("b",): 4}


def test_a_purchase_and_its_refund_on_one_day_stay_two_rows(lake: Lake) -> None:
    purchase = ChargeCategory.PURCHASE
    bought = [row("2024-09-01", "100", category=purchase), row("2024-09-01", "-60", category=purchase)]
    lake.replace("a", bill(*bought))
    assert lake.read(ALWAYS).sum() == 40
    assert lake.read(ALWAYS).without(charge_category="refund").sum() == 100


def test_a_second_identical_replacement_changes_nothing(lake: Lake) -> None:
    first = lake.replace("a", bill(row("2024-09-01", "1"), row("2024-09-02", "2", tags={"team": "x"})))
    before = (lake.folder / "manifest.json").read_bytes()
    again = lake.replace("a", bill(row("2024-09-01", "1"), row("2024-09-02", "2", tags={"team": "x"})))
    assert first.days == (date(2024, 9, 1), date(2024, 9, 2))
    assert again.changes == {}
    assert again.rows == first.rows == 2
    assert (lake.folder / "manifest.json").read_bytes() == before


def test_the_same_charges_in_another_order_change_nothing(lake: Lake) -> None:
    charges = [row("2024-09-01", str(number), service=f"s{number % 7}", account=f"a{number}") for number in range(50)]
    lake.replace("a", bill(*charges))
    before = lake.generation
    assert not lake.replace("a", bill(*reversed(charges))).changed
    assert lake.generation == before


@pytest.mark.parametrize(
    "other",
    [
        [("EC2", "2", "1"), ("S3", "1", "1")],
        [("EC2", "1", "2"), ("S3", "2", "1")],
        [("EC2", "1", "1"), ("S3", "2", "1"), ("SQS", "0", "0")],
        [("EC2", "3", "1")],
    ],
    ids=["amounts swapped", "another effective cost", "a row more", "a row less"],
)
def test_a_change_that_leaves_the_sum_of_the_day_alone_is_stored(lake: Lake, other: list[tuple[str, str, str]]) -> None:
    def charges(lines: list[tuple[str, str, str]]) -> Bill:
        return bill(*(row("2024-09-01", cost, service=s, effective=Decimal(more)) for s, cost, more in lines))

    lake.replace("a", charges([("EC2", "1", "1"), ("S3", "2", "1")]))
    answer = lake.replace("a", charges(other))
    assert (answer.changed, answer.changes) == (True, {})
    found = {
        (x.key[0], str(x.billed.normalize()), str(x.effective.normalize()))
        for x in lake.read(ALWAYS).by("service").rows()
    }
    assert found == set(other)


def test_a_vanished_service_leaves_the_table_after_a_restatement(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1", service="EC2"), row("2024-09-01", "2", service="S3")))
    change = lake.replace("a", bill(row("2024-09-01", "1.5", service="EC2")))
    assert stored(lake, "service") == {("EC2",): Decimal("1.5")}
    assert change.changes == {(date(2024, 9, 1), "USD"): Decimal("-1.5")}


def test_only_the_covered_days_are_replaced(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1"), row("2024-09-02", "2")))
    lake.replace("a", bill(row("2024-09-02", "5"), window=Window.of_day(date(2024, 9, 2))))
    assert stored(lake, "day") == {("2024-09-01",): 1, ("2024-09-02",): 5}


def test_only_the_covered_accounts_are_replaced(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1", account="x"), row("2024-09-01", "2", account="y")))
    lake.replace("a", bill(row("2024-09-01", "5", account="y"), accounts=("y",)))
    assert stored(lake, "account") == {("x",): 1, ("y",): 5}


def test_a_complete_empty_bill_wipes_what_it_covers_and_nothing_else(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1"), row("2024-10-01", "2"), window=AUTUMN))
    lake.replace("a", bill(window=SEPTEMBER))
    assert stored(lake, "day") == {("2024-10-01",): 2}


def test_a_bill_that_proves_nothing_wipes_nothing(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1")))
    lake.replace("a", Bill(CostTable.nothing(), ()))
    assert stored(lake, "day") == {("2024-09-01",): 1}


def test_charges_outside_of_what_the_bill_covers_are_refused_and_nothing_changes(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1")))
    with pytest.raises(StoreError, match="1 charges lie outside"):
        lake.replace("a", bill(row("2024-09-01", "9"), row("2024-10-01", "2")))
    assert stored(lake, "day") == {("2024-09-01",): 1}


def test_a_table_read_before_a_replacement_goes_on_reading_the_old_bill(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1"), row("2024-10-01", "2"), window=AUTUMN))
    before = lake.read(ALWAYS)
    lake.replace("a", bill(row("2024-09-01", "10"), row("2024-10-01", "20"), window=AUTUMN))
    assert before.sum() == 3
    assert lake.read(ALWAYS).sum() == 30


def test_coverage_grows_with_what_was_covered(lake: Lake) -> None:
    assert lake.coverage("a") is None
    lake.replace("a", bill(row("2024-09-01", "1")))
    lake.replace("a", bill(window=Month(2024, 11).window()))
    assert lake.coverage("a") == AUTUMN
    assert lake.coverage("b") is None


def test_a_file_answers_for_its_billing_months_on_whatever_days_their_charges_lie(lake: Lake) -> None:
    september, october = Month(2024, 9), Month(2024, 10)
    first = [row("2024-09-15", "10"), row("2024-09-30", "5")]
    lake.replace("a", Bill(CostTable.of(first), (Scope(ALWAYS, billing=(september,)),)))
    late = [row("2024-09-15", "-3", billing_month=october), row("2024-10-01", "1")]
    lake.replace("a", Bill(CostTable.of(late), (Scope(ALWAYS, billing=(october,)),)))
    assert stored(lake, "billing_month") == {("2024-09",): 15, ("2024-10",): -2}
    lake.replace("a", Bill(CostTable.of(late[1:]), (Scope(ALWAYS, billing=(october,)),)))
    assert stored(lake, "month") == {("2024-09",): 15, ("2024-10",): 1}
    assert lake.coverage("a") == september.window().join(october.window())


def test_a_damaged_version_is_restored_from_the_second_tree(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1")))
    lake.replace("b", bill(row("2024-09-01", "2")))
    [version] = (lake.folder / "versions").glob("*-a-*")
    version.unlink()
    assert lake.read(ALWAYS, sources=["b"]).sum() == 2, "one damaged source hurts no other"
    assert lake.repair() == ()
    assert lake.read(ALWAYS).sum() == 3


def test_what_cannot_be_restored_is_named_and_dropped_rather_than_served(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1"), row("2024-10-01", "2"), window=AUTUMN))
    for path in (*(lake.folder / "versions").glob("*-2024-10.parquet"), *lake.folder.glob("grain=*/*/month=2024-10/*")):
        os.truncate(path, 100)
    assert lake.repair() == ("a",)
    assert stored(lake, "month") == {("2024-09",): 1}
    assert lake.repair() == ()


def test_another_engine_reads_the_current_bill_in_place(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1"), row("2024-10-01", "2"), window=AUTUMN))
    lake.replace("a", bill(row("2024-09-01", "5")))
    found = duckdb.sql(
        "SELECT source, month, sum(BilledCost) FROM"
        f" read_parquet('{lake.folder}/grain=day/*/*/*.parquet', hive_partitioning = true) GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert found == [("a", "2024-09", 5), ("a", "2024-10", 2)]


def test_a_month_that_lost_all_its_charges_disappears_from_the_tree(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1")))
    lake.replace("a", bill())
    assert list(lake.folder.glob("grain=*/*/*/*.parquet")) == []
    assert lake.size == 0


def test_a_crash_before_the_commit_leaves_the_old_bill_and_is_cleaned_up(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.replace("a", bill(row("2024-09-01", "1"), row("2024-10-01", "2"), window=AUTUMN))
    with monkeypatch.context() as crash:
        crash.setattr(lake, "_commit", lambda _manifest: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            lake.replace("a", bill(row("2024-09-01", "10"), row("2024-10-01", "20"), window=AUTUMN))
    (lake.folder / "versions" / "00000009-day-a-2024-09.tmp").write_text("half")
    assert lake.read(ALWAYS).sum() == 3
    lake.repair()
    assert lake.read(ALWAYS).sum() == 3
    assert list((lake.folder / "versions").glob("*.tmp")) == []


def test_a_crash_after_the_commit_is_finished_by_repair(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.replace("a", bill(row("2024-09-01", "1")))
    shown = lake.folder / "grain=day/source=a/month=2024-09/bill.parquet"
    old = shown.stat().st_ino
    with monkeypatch.context() as crash:
        crash.setattr(lake, "_publish", lambda _manifest: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            lake.replace("a", bill(row("2024-09-01", "10")))
    assert lake.read(ALWAYS).sum() == 10
    assert shown.stat().st_ino == old
    lake.repair()
    assert shown.stat().st_ino != old
    assert duckdb.sql(f"SELECT sum(BilledCost) FROM '{shown}'").fetchall() == [(10,)]


def test_superseded_versions_are_deleted_after_their_grace(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1")))
    lake.replace("a", bill(row("2024-09-01", "2")))
    versions = lake.folder / "versions"
    assert len(list(versions.iterdir())) == 2
    lake.sweep(grace=0)
    assert [path.name for path in versions.iterdir()] == ["00000002-day-a-2024-09.parquet"]


def test_a_missing_or_cut_off_file_is_an_error_and_not_a_smaller_bill(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1")))
    [version] = (lake.folder / "versions").iterdir()
    os.truncate(version, 100)
    with pytest.raises(StoreError, match="has 100 bytes, not"):
        lake.read(ALWAYS)
    version.unlink()
    with pytest.raises(StoreError, match="is missing"):
        lake.read(ALWAYS)


def test_a_lake_of_another_version_is_refused(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1")))
    manifest = lake.folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema": 99}))
    with pytest.raises(StoreError, match="schema 99"):
        lake.read(ALWAYS)


def _rewrite(folder: str, rounds: int) -> None:
    lake = Lake(Path(folder))
    for i in range(rounds):
        lake.replace("a", bill(row("2024-09-01", str(i)), row("2024-10-01", str(-i)), window=AUTUMN))


@pytest.fixture
def writer(lake: Lake) -> Iterator[multiprocessing.process.BaseProcess]:
    process = multiprocessing.get_context("spawn").Process(target=_rewrite, args=(str(lake.folder), 40))
    process.start()
    yield process
    process.join()
    assert process.exitcode == 0


def test_a_reader_in_another_process_never_sees_half_a_replacement(
    lake: Lake, writer: multiprocessing.process.BaseProcess
) -> None:
    seen = set()
    while writer.is_alive():
        by_day = stored(lake, "day")
        assert sum(by_day.values()) == 0, "September of one version with October of another"
        seen.add(tuple(by_day.values()))
    assert len(seen) > 2


@given(st.lists(st.tuples(st.integers(1, 61), st.integers(-9, 9), st.sampled_from(["x", "y"])), max_size=12))
@settings(max_examples=25, deadline=None)
def test_replacing_twice_equals_replacing_once(
    tmp_path_factory: pytest.TempPathFactory, charges: list[tuple[int, int, str]]
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    days = list(AUTUMN.days())
    rows = [row(days[day - 1].isoformat(), str(amount), account=account) for day, amount, account in charges]
    lake.replace("a", bill(row("2024-09-15", "7"), window=AUTUMN))
    lake.replace("a", bill(*rows, window=AUTUMN))
    once = stored(lake, "day", "account")
    assert lake.replace("a", bill(*rows, window=AUTUMN)).changes == {}
    assert stored(lake, "day", "account") == once


def test_what_a_bill_was_read_from_is_remembered_until_its_charges_change(lake: Lake) -> None:
    lake.replace("a", bill(row("2024-09-01", "1")))
    lake.replace("b", bill(row("2024-09-01", "1", billing_account="2")))
    assert lake.made_of("a") == ""
    generation = lake.generation
    lake.mark("a", "files of monday")
    lake.mark("b", "files of tuesday")
    lake.replace("a", bill(row("2024-09-01", "1")))
    assert (lake.made_of("a"), lake.generation) == ("files of monday", generation), "the charges are the same"
    lake.replace("a", bill(row("2024-09-01", "2")))
    assert (lake.made_of("a"), lake.made_of("b")) == ("", "files of tuesday")
    lake.forget("b")
    assert lake.made_of("b") == ""
