"""What is said of a day: at noon first, seconds later when it is restated, 0 once it vanished; and never otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.costs import ChargeCategory, Cost, CostRow, CostTable
from exporter.errors import StoreError
from exporter.metrics.history import Marks, Record, View, openmetrics
from exporter.periods import Month

SEPTEMBER = Month(2024, 9)
END = date(2024, 10, 1)


def row(day: int, service: str, amount: str, **more: object) -> CostRow:
    values: dict[str, object] = {"account": "111122223333", "region": "global", "currency": "USD", "provider": "aws"}
    return CostRow(start=date(2024, 9, day), service=service, billed=Decimal(amount), **(values | more))  # type: ignore[arg-type]


def noon(day: int, restatement: int = 0) -> int:
    return int(datetime(2024, 9, day, 12, tzinfo=UTC).timestamp()) + restatement


Said = dict[tuple[str, int], float]


def said(record: Record, after: int = 0) -> Said:
    """(service, instant) → cost."""
    series = [one for several in record.read("bill", SEPTEMBER, after) for one in several]
    return {(one.labels[3], at): cost for one in series for at, cost in zip(one.instants, one.costs, strict=True)}


def update(record: Record, *rows: CostRow, until: date = END, view: View | None = None) -> int:
    return record.update("bill", SEPTEMBER, CostTable.of(rows), until, view or View())


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path / "history")


def test_a_day_is_said_at_noon_with_the_exact_sum_of_its_line(record: Record) -> None:
    assert update(record, row(1, "Compute", "0.1"), row(1, "Compute", "0.2"), row(2, "Compute", "-3")) == 2
    assert said(record) == {("Compute", noon(1)): 0.3, ("Compute", noon(2)): -3.0}


def test_the_same_bill_again_says_nothing(record: Record) -> None:
    update(record, row(1, "Compute", "0.1"), row(2, "Storage", "0.30000000000000000000001"))
    assert update(record, row(1, "Compute", "0.1"), row(2, "Storage", "0.30000000000000000000001")) == 0
    assert record.revision("bill", SEPTEMBER) == 1


def test_a_restated_day_is_said_a_second_later_and_only_in_the_lines_that_changed(record: Record) -> None:
    update(record, row(1, "Compute", "1"), row(1, "Storage", "2"), row(2, "Compute", "3"))
    assert update(record, row(1, "Compute", "1.5"), row(1, "Storage", "2"), row(2, "Compute", "3")) == 1
    assert said(record) == {("Compute", noon(1, 1)): 1.5, ("Storage", noon(1)): 2.0, ("Compute", noon(2)): 3.0}
    assert said(record, after=1) == {("Compute", noon(1, 1)): 1.5}
    assert update(record, row(1, "Compute", "1.5"), row(1, "Storage", "4"), row(2, "Compute", "5")) == 2
    assert said(record, after=2) == {("Storage", noon(1, 2)): 4.0, ("Compute", noon(2, 1)): 5.0}


def test_a_line_that_vanished_is_0_and_one_that_returns_is_itself(record: Record) -> None:
    update(record, row(1, "Compute", "1"), row(1, "Storage", "2"))
    assert update(record, row(1, "Compute", "1")) == 1
    assert said(record, after=1) == {("Storage", noon(1, 1)): 0.0}
    assert update(record, row(1, "Compute", "1")) == 0
    assert update(record, row(1, "Compute", "1"), row(1, "Storage", "2")) == 1
    assert said(record, after=2) == {("Storage", noon(1, 2)): 2.0}


def test_a_line_that_appears_on_a_day_that_was_said_is_a_restatement_and_on_a_new_day_it_is_none(
    record: Record,
) -> None:
    update(record, row(1, "Compute", "1"))
    update(record, row(1, "Compute", "1"), row(1, "Storage", "2"), row(2, "Storage", "3"))
    assert said(record, after=1) == {("Storage", noon(1, 1)): 2.0, ("Storage", noon(2)): 3.0}


def test_days_that_have_not_settled_are_not_said_and_those_that_unsettle_stay(record: Record) -> None:
    rows = [row(1, "Compute", "1"), row(2, "Compute", "2")]
    assert update(record, *rows, until=date(2024, 9, 2)) == 1
    assert update(record, *rows) == 1
    assert update(record, row(1, "Compute", "9"), until=date(2024, 9, 1)) == 0
    assert said(record) == {("Compute", noon(1)): 1.0, ("Compute", noon(2)): 2.0}


def test_small_lines_are_folded_as_the_live_families_fold_them(record: Record) -> None:
    rows = [row(1, "Compute", "1"), row(1, "Storage", "2"), row(1, "Queue", "3", account="444455556666")]
    update(record, *rows, view=View(shown=[("aws", "111122223333", "Compute", "global")]))
    [[compute, other]] = list(record.read("bill", SEPTEMBER))
    assert compute.labels == ("bill", "aws", "111122223333", "Compute", "global", "usage", "USD")
    assert (other.labels, other.costs) == (("bill", "aws", "other", "other", "other", "usage", "USD"), [5.0])


def test_the_basis_is_that_of_the_live_families_with_billed_where_a_bill_does_not_know_it(record: Record) -> None:
    rows = [
        row(1, "Compute", "1", effective=Decimal("0.75")),
        row(1, "Database", "4", provider="oci", effective=Decimal(0)),
    ]
    update(record, *rows, view=View(Cost.EFFECTIVE, frozenset({("bill", "oci", "USD")})))
    assert said(record) == {("Compute", noon(1)): 0.75, ("Database", noon(1)): 4.0}


def test_currencies_and_categories_are_lines_of_their_own(record: Record) -> None:
    rows = [
        row(1, "Compute", "1"),
        row(1, "Compute", "2", currency="EUR"),
        row(1, "Compute", "-3", category=ChargeCategory.CREDIT),
    ]
    update(record, *rows)
    found = {one.labels[5:]: one.costs for several in record.read("bill", SEPTEMBER) for one in several}
    assert found == {("usage", "USD"): [1.0], ("usage", "EUR"): [2.0], ("credit", "USD"): [-3.0]}


amounts = st.dictionaries(
    st.tuples(st.integers(1, 3), st.sampled_from(["Compute", "Storage"])),
    st.integers(-3, 3).map(lambda n: f"{n}.1"),
)


@settings(max_examples=25, deadline=None)
@given(bills=st.lists(amounts, min_size=1, max_size=5))
def test_whoever_took_each_revision_reads_the_newest_truth_and_never_two_values_of_one_instant(
    tmp_path_factory: pytest.TempPathFactory, bills: list[dict[tuple[int, str], str]]
) -> None:
    record = Record(tmp_path_factory.mktemp("record"))
    database: Said = {}
    for bill in bills:
        before = record.revision("bill", SEPTEMBER)
        update(record, *(row(day, service, amount) for (day, service), amount in bill.items()))
        if record.months("bill"):
            for key, cost in said(record, after=before).items():
                assert database.setdefault(key, cost) == cost
        newest = {(service, at // 86400): cost for (service, at), cost in sorted(database.items())}
        truth = {(service, noon(day) // 86400): float(amount) for (day, service), amount in bill.items()}
        assert {key: cost for key, cost in newest.items() if cost} == truth
        # What is written from scratch agrees with what was written bit by bit.
        if record.months("bill"):
            assert said(record).items() <= database.items()


def test_the_document_is_in_order_of_time_and_ends(record: Record) -> None:
    update(record, row(1, 'Rosetta "Hot" \\', "1e-7"), row(2, 'Rosetta "Hot" \\', "1000000"))
    august = replace(row(1, "S", "5"), start=date(2024, 8, 31))
    record.update("bill", Month(2024, 8), CostTable.of([august]), END, View())
    lines = "".join(openmetrics(record, ["bill"])).splitlines()
    assert lines[0].startswith("# HELP cloudspend_usage_cost ")
    assert lines[1] == "# TYPE cloudspend_usage_cost gauge"
    name = 'cloudspend_usage_cost{source="bill",provider="aws",account='
    service = 'service="Rosetta \\"Hot\\" \\\\"'
    rosetta = f'{name}"111122223333",{service},region="global",charge_category="usage",currency="USD"}}'
    assert lines[3:] == [f"{rosetta} 1e-07 {noon(1)}", f"{rosetta} 1000000.0 {noon(2)}", "# EOF"]
    assert lines[2].endswith(f" 5.0 {noon(1) - 86400}")
    since = "".join(openmetrics(record, ["bill"], since=date(2024, 9, 2))).splitlines()
    assert since[2:] == [f"{rosetta} 1000000.0 {noon(2)}", "# EOF"]
    assert "".join(openmetrics(record, [])).splitlines()[2:] == ["# EOF"]


def test_marks_are_kept_and_those_of_another_version_refused(record: Record) -> None:
    assert record.marks() == Marks()
    record.keep(Marks({"a/2024-09": "x"}, {"http://r": {"a/2024-09": 2}}, {"http://r": "away"}))
    assert record.marks().written == {"http://r": {"a/2024-09": 2}}
    path = record.folder / "marks.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(StoreError, match="made by another version"):
        record.marks()
    path.write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        record.marks()
