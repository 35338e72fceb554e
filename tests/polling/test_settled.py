"""The settled days of a store, written to a receiver: what is offered when, what is remembered, what is told."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.config.remote_write import RemoteWriteSettings
from exporter.costs import Cost, CostRow
from exporter.errors import NotifyError, Unavailable
from exporter.metrics.history import Record
from exporter.polling import settled
from exporter.polling.settled import Written
from exporter.polling.sources import Paths
from tests.metrics.receiver import Answer, Receiver, Request
from tests.polling.house import House, at, full


def row(day: str, amount: str = "1", service: str = "Compute") -> CostRow:
    return CostRow(
        start=date.fromisoformat(day),
        account="111122223333",
        service=service,
        region="global",
        billed=Decimal(amount),
        currency="USD",
    )


def days(first: str, count: int, amount: str = "1", service: str = "Compute") -> list[CostRow]:
    start = date.fromisoformat(first)
    return [row(str(start + timedelta(days=n)), amount, service) for n in range(count)]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def update(house: House) -> int:
    with house.state() as state:
        sources, paths = list(house.sources.values()), Paths(house.root)
        return settled.update(sources, paths, state, house.clock, house.basis)


def record(house: House) -> Record:
    return settled.record(Paths(house.root))


def write(house: House, receiver: Receiver, **more: bool) -> Written:
    update(house)
    to = RemoteWriteSettings(url=receiver.url)
    return settled.write(record(house), list(house.sources), to, rest=lambda _: False, **more)


def follow(house: House, receiver: Receiver, seconds: float = 60) -> None:
    with house.state() as state:
        to, until = RemoteWriteSettings(url=receiver.url), time.monotonic() + seconds
        sources, paths = list(house.sources.values()), Paths(house.root)
        settled.follow(to, sources, paths, state, house.clock, house.basis, until)


def held(receiver: Receiver) -> dict[tuple[str, str], float]:
    """(service, when in ISO 8601) → value."""
    return {
        (dict(labels)["service"], f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%dT%H:%M:%S}"): value
        for labels, samples in receiver.held().items()
        for at, value in samples.items()
    }


def test_settled_days_are_written_with_the_labels_of_a_line(house: House) -> None:
    house.add("bill", full(*days("2024-09-15", 5)))
    house.poll("bill")
    with Receiver() as receiver:
        assert write(house, receiver) == Written(samples=3)
    [labels] = receiver.held()
    assert labels == (
        ("__name__", "cloudspend_usage_cost"),
        ("account", "111122223333"),
        ("charge_category", "usage"),
        ("currency", "USD"),
        ("provider", "acme"),
        ("region", "global"),
        ("service", "Compute"),
        ("source", "bill"),
    )
    assert sorted(when for _, when in held(receiver)) == [f"2024-09-{n}T12:00:00" for n in (15, 16, 17)]


def test_what_was_taken_is_not_offered_again_and_what_settles_or_changes_is(house: House) -> None:
    house.add("bill", full(*days("2024-09-15", 5)))
    house.poll("bill")
    with Receiver() as receiver:
        write(house, receiver)
        assert write(house, receiver) == Written()
        assert len(receiver.requests) == 1
        house.now = at("2024-09-21T12:00:00")
        house.poll("bill", full(row("2024-09-15"), row("2024-09-16", "7"), *days("2024-09-18", 3)))
        assert write(house, receiver) == Written(samples=3)
    assert held(receiver) == {
        ("Compute", "2024-09-15T12:00:00"): 1.0,
        ("Compute", "2024-09-16T12:00:00"): 1.0,
        ("Compute", "2024-09-16T12:00:01"): 7.0,
        ("Compute", "2024-09-17T12:00:00"): 1.0,
        ("Compute", "2024-09-17T12:00:01"): 0.0,
        ("Compute", "2024-09-18T12:00:00"): 1.0,
    }


def test_an_empty_receiver_gets_everything_at_the_same_times(house: House) -> None:
    house.add("bill", full(*days("2024-09-12", 5)))
    house.poll("bill")
    with Receiver() as first, Receiver() as second:
        write(house, first)
        house.poll("bill", full(*days("2024-09-12", 5, "2")))
        write(house, first)
        assert write(house, second) == Written(samples=5)
        first.taken.clear()
        assert write(house, first, from_scratch=True) == Written(samples=5)
    assert held(first) == held(second)
    assert {when[10:] for _, when in held(second)} == {"T12:00:01"}


def test_months_go_the_oldest_first_and_a_receiver_that_went_away_is_gone_on_with(house: House) -> None:
    house.add("bill", full(*days("2024-06-29", 70)))
    house.poll("bill")
    calls: list[Request] = []

    def away_after_two(request: Request) -> Answer:
        calls.append(request)
        return Answer(204 if len(calls) <= 2 else 401)

    with Receiver(away_after_two) as receiver:
        with pytest.raises(NotifyError, match="answered 401"):
            write(house, receiver)
        assert [len(request.samples) for request in receiver.taken] == [2, 31]
        receiver.judge = lambda _request: Answer()
        assert write(house, receiver) == Written(samples=37)
    assert [len(request.samples) for request in receiver.taken] == [2, 31, 31, 6]
    firsts = [min(request.samples) for request in receiver.taken]
    assert firsts == sorted(firsts)


def window(oldest: str, words: str = "out of bounds", status: int = 400) -> Callable[[Request], Answer]:
    """Answers as Prometheus does: one sample that is too old, and nothing of a request is taken."""
    edge = at(oldest).timestamp() * 1000

    def judge(request: Request) -> Answer:
        return Answer(status, words) if any(when < edge for when, _ in request.samples) else Answer()

    return judge


def test_days_that_are_too_old_are_left_out_and_the_newer_ones_of_their_month_written(house: House) -> None:
    rows = [row for n in range(300) for row in days("2024-07-01", 70, "1", f"Service {n}")]
    house.add("bill", full(*rows))
    house.poll("bill")
    with Receiver(window("2024-08-20T00:00:00")) as receiver:
        came = write(house, receiver)
        assert (came.samples, came.refused) == (300 * (12 + 8), 300 * (31 + 19))
        assert "out_of_order_time_window" in came.why
        assert min(when for _, when in held(receiver)) == "2024-08-20T12:00:00"
        assert len(receiver.requests) < 30
        asked = len(receiver.requests)
        assert write(house, receiver) == Written()
        assert len(receiver.requests) == asked
        receiver.judge = lambda _request: Answer()
        assert write(house, receiver, from_scratch=True).samples == 300 * 70
    assert len(held(receiver)) == 300 * 70


def test_a_damaged_month_that_is_to_be_read_again_is_not_taken_for_an_empty_one(house: House) -> None:
    house.add("bill", full(*days("2024-08-30", 5)))
    house.poll("bill")
    update(house)
    for file in house.root.glob("lake/**/*.parquet"):
        if "2024-08" in str(file):
            file.unlink()
    assert house.lake.repair() == ("bill",)
    with house.state() as state:
        state.ask_again("bill")
    house.poll("bill", Unavailable("away"))
    assert update(house) == 0
    house.poll("bill", full(*days("2024-08-30", 5)))
    assert update(house) == 0


def test_another_basis_is_said_as_a_restatement(house: House) -> None:
    spread = [replace(each, billed=Decimal(2), effective=Decimal(1)) for each in days("2024-09-01", 2)]
    house.add("bill", full(*spread))
    house.poll("bill")
    assert update(house) == 2
    house.basis = Cost.EFFECTIVE
    assert update(house) == 2
    with Receiver() as receiver:
        write(house, receiver)
    assert set(held(receiver).values()) == {1.0}


def test_lines_that_are_folded_are_written_folded_and_sums_stay_exact(house: House) -> None:
    rows = [row("2024-09-17", f"{n}.1", f"Service {n}") for n in range(1, 9)]
    house.add("bill", full(*rows), series_limit=4)
    house.poll("bill")
    house.publish()
    with Receiver() as receiver:
        write(house, receiver)
    services = {service for service, _ in held(receiver)}
    assert len(services) == 4
    assert "other" in services
    assert sum(held(receiver).values()) == pytest.approx(36.8, rel=1e-14)


def test_a_source_without_a_settled_day_writes_nothing(house: House) -> None:
    house.add("bill", full(row("2024-09-20")))
    house.add("never", full())
    house.poll("bill")
    with Receiver() as receiver:
        assert write(house, receiver) == Written()
        assert receiver.requests == []


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.name == settled.__name__]
    caplog.clear()
    return found


def test_the_log_tells_once_when_a_receiver_goes_and_once_when_it_returns(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    house.add("bill", full(*days("2024-09-15", 5)))
    house.poll("bill")
    with Receiver(lambda _: Answer(401, "who are you?")) as receiver:
        follow(house, receiver)
        assert lines(caplog) == ["history cannot be written"]
        follow(house, receiver)
        assert lines(caplog) == []
        receiver.judge = lambda _request: Answer()
        follow(house, receiver)
        assert lines(caplog) == ["history written", "history can be written again"]
        follow(house, receiver)
        assert lines(caplog) == []


def test_the_log_tells_of_refused_days_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    house.add("bill", full(*days("2024-08-01", 50)))
    house.poll("bill")
    with Receiver(window("2024-09-10T00:00:00", "too old sample", 500)) as receiver:
        follow(house, receiver)
        assert lines(caplog) == ["days refused", "history written"]
        follow(house, receiver)
        assert lines(caplog) == []


def test_a_worker_without_time_writes_nothing_and_the_next_one_goes_on(house: House) -> None:
    house.add("bill", full(*days("2024-07-01", 70)))
    house.poll("bill")
    with Receiver() as receiver:
        follow(house, receiver, seconds=0)
        assert receiver.requests == []
        follow(house, receiver)
    assert len(held(receiver)) == 70


def test_without_a_receiver_no_record_is_kept(house: House) -> None:
    house.add("bill", full(*days("2024-09-15", 5)))
    house.poll("bill")
    with house.state() as state:
        sources, paths = list(house.sources.values()), Paths(house.root)
        settled.follow(None, sources, paths, state, house.clock, house.basis, time.monotonic() + 60)
    assert not record(house).folder.exists()


def test_a_record_that_cannot_be_read_is_told_and_takes_nothing_down(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.add("bill", full(*days("2024-09-15", 5)))
    house.poll("bill")
    record(house).folder.mkdir()
    (record(house).folder / "marks.json").write_text(json.dumps({"schema": 99}))
    with Receiver() as receiver:
        follow(house, receiver)
    assert lines(caplog) == ["history cannot be kept"]


def test_a_copy_of_the_record_goes_on_where_it_was(house: House, tmp_path: Path) -> None:
    house.add("bill", full(*days("2024-09-15", 5)))
    house.poll("bill")
    with Receiver() as receiver:
        write(house, receiver)
        record(house).copy_to(tmp_path / "copy")
        to = RemoteWriteSettings(url=receiver.url)
        assert settled.write(Record(tmp_path / "copy"), ["bill"], to) == Written()
