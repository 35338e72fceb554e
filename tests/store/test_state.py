"""The state file: remembered over restarts, counted exactly."""

from __future__ import annotations

import multiprocessing
import sqlite3
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.errors import StoreError
from exporter.store.state import Counter, Failure, SourceState, State, Success

NOW = datetime(2024, 9, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


def test_a_source_never_polled_has_nothing_set(path: Path) -> None:
    with State(path) as state:
        assert state.source("a") == SourceState("a")
        assert not state.source("a").up


def test_a_success_is_remembered_over_a_restart(path: Path) -> None:
    with State(path) as state:
        state.begin("a", NOW, NOW + timedelta(minutes=1), 42)
        assert state.source("a").attempt_pid == 42
        success = Success(
            at=NOW,
            next_due=LATER,
            seconds=1.5,
            rows=7,
            estimated=frozenset({date(2024, 8, 31)}),
            restated={"USD": Decimal("-0.000000000000000000000001")},
            unattributed={"EUR": Decimal("0")},
            notes={"moved": "by a day"},
        )
        state.succeed("a", success)
    with State(path) as state:
        found = state.source("a")
    assert found.up
    assert (found.next_due, found.last_success, found.attempt_pid) == (LATER, NOW, None)
    assert (found.rows, found.poll_seconds, found.estimated) == (7, 1.5, success.estimated)
    assert (found.restated, found.unattributed, found.notes) == (success.restated, {"EUR": 0}, success.notes)


def test_a_failure_keeps_the_last_success_and_counts(path: Path) -> None:
    with State(path) as state:
        state.begin("a", NOW, NOW, 1)
        state.succeed("a", Success(NOW, LATER, 1.0, 7))
        for _ in range(2):
            state.begin("a", LATER, LATER, 1)
            state.fail("a", Failure(LATER, LATER + timedelta(hours=1), "throttled", "asked too often", "wait"))
        found = state.source("a")
        assert not found.up
        assert (found.last_success, found.rows, found.failures_in_row) == (NOW, 7, 2)
        assert (found.failed_reason, found.failed_message, found.failed_hint) == (
            "throttled",
            "asked too often",
            "wait",
        )
        assert state.counters() == [
            Counter("cloudspend_source_poll_failures_total", "a", "throttled", Decimal(2)),
            Counter("cloudspend_source_polls_total", "a", "", Decimal(3)),
        ]
        state.succeed("a", Success(LATER, LATER, 1.0, 7))
        assert (state.source("a").failed_reason, state.source("a").failures_in_row) == (None, 0)


def test_charges_are_counted_to_the_last_digit(path: Path) -> None:
    with State(path) as state:
        for _ in range(10):
            state.count("charges", "a", "USD", Decimal("0.01"))
        assert state.counters()[0].value == Decimal("0.1")


def test_account_names_are_kept_and_renamed(path: Path) -> None:
    with State(path) as state:
        state.name_accounts({("aws", "1"): "old", ("aws", "2"): "two"})
        state.name_accounts({("aws", "1"): "new"})
        assert state.accounts() == {("aws", "1"): "new", ("aws", "2"): "two"}


def test_a_write_by_another_connection_is_noticed(path: Path) -> None:
    with State(path) as reader, State(path) as writer:
        before = reader.version()
        assert reader.version() == before
        writer.count("x")
        assert reader.version() != before


def _count(path: str) -> None:
    with State(Path(path)) as state:
        for _ in range(50):
            state.count("x")


def test_two_processes_that_open_a_new_file_and_count_lose_nothing(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count, args=(str(path),)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    with State(path) as state:
        assert state.counters() == [Counter("x", "", "", Decimal(100))]


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    State(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreError, match=r"newer version \(schema 99\)"):
        State(path)


def test_a_file_that_is_no_database_is_refused_with_its_name(path: Path) -> None:
    path.write_text("not a database, and long enough to be looked at as one")
    with pytest.raises(StoreError, match=r"state\.sqlite: cannot be written"):
        State(path)
